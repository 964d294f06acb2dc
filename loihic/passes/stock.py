"""Stock only: rewrite what Lava's LIF does not know into networks of what it knows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from loihic.ir.graph import Edge, Fact
from loihic.ir.linear import DenseMap, from_csr
from loihic.ir.node import Array, Shape, SourceNode
from loihic.ops.delay import StepDelay
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron, always_on, neuron
from loihic.ops.ports import Output
from loihic.ops.traits import Emit, Reset
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass

RELAY_THRESHOLD = 0.5  # of a neuron that passes single spikes on


@register_pass
@dataclass(frozen=True, kw_only=True)
class StockOnly(Pass):
    """Populations are split by (decays, threshold); biases come from a neuron that fires every step.

    Exact but for rounding: a bias becomes a synaptic weight. Voltage biases behind a current with memory, resets other
    than to zero and graded outputs stay as they are; the quantiser reports them.
    """

    name: ClassVar[str] = "stock-only"
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.FUSED})

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        for name, node in list(graph.of(Neuron)):
            if node.emit is Emit.SPIKE and node.reset is Reset.ZERO:
                graph = _bias_by_spikes(graph, name, node)
        for name in [name for name, _ in graph.of(Neuron)]:
            graph = _split(graph, name)
        return graph


def _bias_by_spikes(graph: AnyGraph, name: str, node: Neuron) -> AnyGraph:
    """Move a population's bias to the weights of an always-on neuron's synapses."""
    bias = node.bias_u if node.has_current else node.bias_v
    if not np.any(bias):
        return graph
    nothing = np.zeros(node.shape)
    moved = replace(node, bias_u=nothing) if node.has_current else replace(node, bias_v=nothing)
    source, link = graph.unused(f"{name}.bias"), graph.unused(f"{name}.bias->{name}")
    nodes: dict[str, SourceNode] = {
        **graph.nodes, name: moved, source: always_on(node.origins),
        link: Map(origins=node.origins, linear=DenseMap(
            in_shape=(1,), out_shape=node.shape, matrix=np.asarray(bias, dtype=float).reshape(-1, 1)))}
    return graph.with_(nodes=nodes, edges=[*graph.edges, Edge(src=source, dst=link), Edge(src=link, dst=name)],
                       shapes={**graph.shapes, source: (1,), link: node.shape})


def _split(graph: AnyGraph, name: str) -> AnyGraph:
    """Replace a population whose neurons differ in decay or threshold by one population per kind."""
    node = graph.nodes[name]
    beside = {*(edge.src for edge in graph.incoming[name]), *(edge.dst for edge in graph.outgoing[name])}
    if any(isinstance(graph.nodes[other], StepDelay) for other in beside):
        return graph  # delays of several lengths are not stock either: the quantiser reports them
    kinds = np.stack([node.decay_u.ravel(), node.decay_v.ravel(), node.threshold.ravel()], axis=1)
    unique, which = np.unique(kinds, axis=0, return_inverse=True)
    if len(unique) <= 1:
        return graph
    parts = [np.flatnonzero(which.reshape(-1) == kind) for kind in range(len(unique))]
    if any(isinstance(graph.nodes[edge.dst], Output) for edge in graph.outgoing[name]):
        graph = _relay_outputs(graph, name)
    nodes, shapes = dict(graph.nodes), dict(graph.shapes)
    del nodes[name], shapes[name]
    edges = [edge for edge in graph.edges if name not in (edge.src, edge.dst)]
    labels = [graph.unused(f"{name}.{kind}") for kind in range(len(parts))]
    for label, chosen in zip(labels, parts, strict=True):
        nodes[label], shapes[label] = _part(node, chosen), (len(chosen),)
    for edge in dict.fromkeys((*graph.incoming[name], *graph.outgoing[name])):
        inward = edge.dst == name
        other = edge.src if inward else edge.dst
        old = nodes.pop(other) if other in nodes else None
        halves = [(other, old)] if old is not None else []
        if old is None:  # a recurrent map, already split on its other side
            halves = [(key, value) for key, value in nodes.items() if key.startswith(f"{other}.part")]
        for key, value in halves:
            assert isinstance(value, Map)
            nodes.pop(key, None)
            shapes.pop(key, None)
            ends = [e for e in edges if key in (e.src, e.dst)]
            edges = [e for e in edges if e not in ends]
            for kind, (label, chosen) in enumerate(zip(labels, parts, strict=True)):
                piece = f"{key}.part{kind}"
                nodes[piece] = _piece(value, chosen, rows=inward)
                shapes[piece] = nodes[piece].linear.out_shape
                edges += [replace(e, src=piece) if e.src == key else replace(e, dst=piece) for e in ends]
                edges.append(replace(edge, src=piece, dst=label) if inward else replace(edge, src=label, dst=piece))
    return graph.with_(nodes=nodes, shapes=shapes, edges=edges)


def _part(node: Neuron, chosen: Array) -> Neuron:
    shape: Shape = (len(chosen),)
    arrays: dict[str, Any] = {
        field: getattr(node, field).ravel()[chosen]
        for field in ("decay_u", "decay_v", "w_in", "gain", "bias_u", "bias_v", "threshold", "v_reset", "v_init")}
    return replace(node, shape=shape, **arrays)


def _piece(node: Map, chosen: Array, *, rows: bool) -> Map:
    """The rows or columns of a map that belong to a part."""
    matrix = node.linear.to_csr()
    size = (len(chosen),)
    if rows:
        linear = from_csr(sparse.csr_matrix(matrix[chosen]), node.linear.in_shape, size)
    else:
        linear = from_csr(sparse.csr_matrix(matrix[:, chosen]), size, node.linear.out_shape)
    return replace(node, linear=linear)


def _relay_outputs(graph: AnyGraph, name: str) -> AnyGraph:
    """Let an Output hear a population through relays that pass spikes on, so that the population can be split."""
    shape = graph.shapes[name]
    relay, link = graph.unused(f"{name}.relay"), graph.unused(f"{name}->{name}.relay")
    nodes: dict[str, SourceNode] = {
        **graph.nodes,
        relay: neuron(shape, origins=graph.nodes[name].origins, decay_v=1.0 / 4096, threshold=RELAY_THRESHOLD),
        link: Map(origins=graph.nodes[name].origins, linear=from_csr(
            sparse.identity(int(np.prod(shape)), format="csr"), shape, shape))}
    edges = [replace(edge, src=relay) if edge.src == name and isinstance(graph.nodes[edge.dst], Output) else edge
             for edge in graph.edges]
    return graph.with_(nodes=nodes, shapes={**graph.shapes, relay: shape, link: shape},
                       edges=[*edges, Edge(src=name, dst=link), Edge(src=link, dst=relay)])
