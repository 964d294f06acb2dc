"""Split fan-in: where a neuron has more inputs than a core has axons, relays add up parts of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import ClassVar

import numpy as np
from scipy import sparse

from loihic.errors import Diagnostic
from loihic.ir.graph import Edge, Fact, HardwareGraph
from loihic.ir.node import HardwareNode
from loihic.ops.activation import Activation
from loihic.ops.compartment import Compartment
from loihic.ops.delay_line import DelayLine
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.source import Source
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import SignMode, Synapse
from loihic.ops.traits import Emit, Reset
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass
from loihic.quant.fixed import ACTIVATION_SHIFT, DECAY_MAX, DECAY_UNITY, STATE_LIMIT
from loihic.targets.limits import Limits

RELAYED_BITS = 24  # of the partial sums: messages of the widest kind
SHARE = 0.1  # of a core's memory for the axons of one part: the fewer, the more relays share them


@register_pass
@dataclass(frozen=True, kw_only=True)
class SplitFanIn(Pass):
    """A synapse group W becomes relays r_k = W[:, part k] x, and a synapse that adds them: W x = r_1 + r_2 + ...

    Exact: a relay keeps its sum for one step, unshifted, and the exponent acts on the whole sum as before. Each part is
    so small that no sum of it can leave a relay's 24 bits. The answer comes one step later.
    """

    name: ClassVar[str] = "split-fan-in"
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.INTEGER})
    stock_only: bool = False

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        limits = context.options.machine.limits
        for name, node in graph.nodes.items() if self.stock_only else ():
            if isinstance(node, DenseSynapse | SparseSynapse) and _needs_more(node, limits):
                context.report(Diagnostic(
                    code="LHC402", message="a neuron has more inputs than a core has axons, and needs relays",
                    node=name, param=f"{prod(node.in_shape)} inputs; Lava has no Process that adds and passes on",
                    help="leave --stock-only out"))
        return graph if self.stock_only else with_relays(graph, limits)


def with_relays(graph: HardwareGraph, limits: Limits) -> HardwareGraph:
    """The graph with every synapse group split that has too many inputs; those that cannot be fail when placed."""
    for name, node in graph.nodes.items():
        if isinstance(node, DenseSynapse | SparseSynapse) and _needs_more(node, limits):
            graph = _split(graph, name, node, limits) or graph
    return graph


def _needs_more(node: Synapse, limits: Limits) -> bool:
    """Whether the axons of one neuron alone, each with a word of weights, are too many."""
    if prod(node.out_shape) == 0:
        return False
    fan_in = prod(node.in_shape) if isinstance(node, DenseSynapse) else int(
        np.diff(node.indptr).max()) if isinstance(node, SparseSynapse) else 0
    return fan_in > min(limits.axon_in, limits.synapse_words) or 2 * fan_in + 3 > limits.pool_words


def _split(graph: HardwareGraph, name: str, node: DenseSynapse | SparseSynapse, limits: Limits) -> HardwareGraph | None:
    """The graph with relays in place of one synapse group; None where not even single inputs are safe."""
    matrix = sparse.csr_matrix(node.weights) if isinstance(node, DenseSynapse) else node.matrix()
    (into,), (out,) = graph.incoming[name], graph.outgoing[name]
    cuts = _cuts(matrix, _largest_message(graph, into.src, node), max(int(SHARE * limits.pool_words), 1))
    if cuts is None:
        return None
    parts = [matrix[:, low:high] for low, high in pairwise(cuts)]
    count, rows = len(parts), matrix.shape[0]
    stacked = sparse.csr_matrix(sparse.vstack([
        sparse.csr_matrix((part.data, part.indices + low, part.indptr), shape=matrix.shape)
        for part, low in zip(parts, cuts, strict=False)]))
    relays, label = (count * rows,), graph.unused(f"{name}.relay")
    collecting = graph.unused(f"{name}.parts")
    most = np.asarray(DECAY_MAX)
    nodes: dict[str, HardwareNode] = {
        collecting: SparseSynapse(
            origins=node.origins, in_shape=node.in_shape, out_shape=relays, num_weight_bits=node.num_weight_bits,
            sign_mode=node.sign_mode, message_bits=node.message_bits, group=f"{name}.parts",
            data=stacked.data.astype(np.int64), indices=stacked.indices.astype(np.int64),
            indptr=stacked.indptr.astype(np.int64)),
        label: Compartment(origins=node.origins, shape=relays, du=most, dv=np.asarray(DECAY_UNITY), stock=False,
                           vth=np.zeros((), dtype=np.int64), reset=Reset.NONE, emit=Emit.STATE,
                           out_shift=ACTIVATION_SHIFT),
        name: SparseSynapse(
            origins=node.origins, in_shape=relays, out_shape=node.out_shape, exponent=node.exponent,
            sign_mode=SignMode.EXCITATORY, message_bits=RELAYED_BITS, group=node.group or name,
            data=np.ones(count * rows, dtype=np.int64), indptr=np.arange(0, count * rows + 1, count),
            indices=(np.arange(rows)[:, None] + rows * np.arange(count)).reshape(-1))}
    edges = [edge for edge in graph.edges if edge not in (into, out)]
    edges += [replace(into, dst=collecting), Edge(src=collecting, dst=label), Edge(src=label, dst=name), out]
    return graph.with_(nodes={**graph.nodes, **nodes}, edges=edges,
                       shapes={**graph.shapes, collecting: relays, label: relays})


def _cuts(matrix: sparse.csr_matrix, message: int, axons: int) -> list[int] | None:
    """Where the inputs are parted: parts of up to `axons`, whose sums stay within a relay's 24 bits."""
    most = (STATE_LIMIT - 1) >> ACTIVATION_SHIFT
    axons = -(-matrix.shape[1] // -(-matrix.shape[1] // axons))  # parts alike in size
    columns = sparse.csc_matrix(abs(matrix))
    sums = np.zeros(matrix.shape[0], dtype=np.int64)
    cuts = [0]
    for column in range(matrix.shape[1]):
        rows = columns.indices[columns.indptr[column] : columns.indptr[column + 1]]
        added = message * columns.data[columns.indptr[column] : columns.indptr[column + 1]].astype(np.int64)
        if np.any(added > most):
            return None
        if column - cuts[-1] >= axons or np.any(sums[rows] + added > most):
            cuts.append(column)
            sums[:] = 0
        sums[rows] += added
    return [*cuts, matrix.shape[1]]


def _largest_message(graph: HardwareGraph, source: str, node: Synapse) -> int:
    """The greatest magnitude of what arrives at a synapse."""
    if node.message_bits == 0:
        return 1
    while isinstance(graph.nodes[source], DelayLine):
        source = graph.incoming[source][0].src
    sender = graph.nodes[source]
    if isinstance(sender, Source | Activation):
        return max(-sender.message_range[0], sender.message_range[1])
    if not isinstance(sender, Compartment):
        return STATE_LIMIT  # nothing is known
    if sender.emit is Emit.STATE:
        return STATE_LIMIT >> sender.out_shift
    return STATE_LIMIT // max(int(np.min(sender.vth)) << ACTIVATION_SHIFT, 1)
