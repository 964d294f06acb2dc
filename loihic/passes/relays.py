"""Relays: nodes put into an edge, and delays made of stock neurons."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from loihic.errors import Diagnostic
from loihic.ir.graph import Edge, HardwareGraph
from loihic.ir.node import HardwareNode, Shape
from loihic.ops.compartment import Compartment
from loihic.ops.population import Population
from loihic.ops.source import Source
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import SignMode
from loihic.passes.manager import CompileContext
from loihic.quant.fixed import DECAY_MAX

Inserted = Sequence[tuple[str, HardwareNode, Shape]]


def insert_between(graph: HardwareGraph, edge: Edge, chain: Inserted) -> HardwareGraph:
    """The graph with `chain` (name, node, shape) put into `edge`."""
    names = [edge.src, *(name for name, _, _ in chain), edge.dst]
    place = graph.edges.index(edge)
    edges = list(graph.edges)
    edges[place : place + 1] = [Edge(src=a, dst=b) for a, b in pairwise(names)]
    return graph.with_(
        nodes={**graph.nodes, **{name: node for name, node, _ in chain}}, edges=edges,
        shapes={**graph.shapes, **{name: shape for name, _, shape in chain}})


def relay_chain(graph: HardwareGraph, edge: Edge, steps: int, start: int, context: CompileContext) -> HardwareGraph:
    """Delay the spikes of `edge` by `steps` through as many populations of Lava's LIF; graded messages are an error."""
    shape, sender = graph.shapes[edge.src], graph.nodes[edge.src]
    binary = (isinstance(sender, Source) and sender.message_range == (0, 1)) or (
        isinstance(sender, Population) and not sender.has_payload)
    if not binary:
        context.report(Diagnostic(
            code="LHC402", message="graded messages must wait, and Lava's LIF passes on spikes only", node=edge.src,
            param=f"{steps} steps before {edge.dst}", help="leave --stock-only out"))
        return graph
    count = int(np.prod(shape, dtype=np.int64))
    most = np.asarray(DECAY_MAX)
    identity = SparseSynapse(
        origins=sender.origins, in_shape=shape, out_shape=shape, sign_mode=SignMode.EXCITATORY,
        data=np.ones(count, dtype=np.int64), indices=np.arange(count), indptr=np.arange(count + 1))
    chain: list[tuple[str, HardwareNode, Shape]] = []
    for step in range(1, steps + 1):
        relay = Compartment(origins=sender.origins, shape=shape, du=most, dv=most, vth=np.zeros((), dtype=np.int64),
                            start=start + step)
        label = graph.unused(f"{edge.dst}.wait{step}")
        chain += [(graph.unused(f"{label}.in"), identity, shape), (label, relay, shape)]
    return insert_between(graph, edge, chain)
