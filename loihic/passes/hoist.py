"""Hoist steps: quantisers come as early as they can, before maxima and moves, whose values are then levels."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from loihic.ir.graph import Edge, Fact
from loihic.ir.linear import IdentityMap, diagonal
from loihic.ir.node import Shape, SourceNode
from loihic.ops.elementwise import Elementwise
from loihic.ops.matrix import Matrix
from loihic.ops.ports import Input
from loihic.ops.quantiser import Stepwise
from loihic.ops.window_max import WindowMax
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass
from loihic.passes.paths import moved_by


@register_pass
@dataclass(frozen=True, kw_only=True)
class HoistSteps(Pass):
    """max(x) then f becomes f then max: exact for every f that rises. Moves of data change places with f likewise.

    Behind an Input scaling comes before moves too, so that the host can do it together with the quantiser.
    """

    name: ClassVar[str] = "hoist-steps"
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.SHAPES})

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        for name, node in graph.nodes.items():
            if isinstance(node, WindowMax) and _is_asked_for_steps(graph, name):
                graph = _parted(graph, name)
        while (pair := _next(graph)) is not None:
            graph = _swapped(graph, *pair)
        return graph


def _is_asked_for_steps(graph: AnyGraph, name: str) -> bool:
    """Whether several functions, and nothing else, hear a node that does not hear one itself."""
    heard = [graph.nodes[edge.dst] for edge in graph.outgoing[name]]
    before = [graph.nodes[edge.src] for edge in graph.incoming[name]]
    return len(heard) > 1 and all(isinstance(node, Elementwise) and node.rising for node in heard) and not any(
        isinstance(node, Stepwise) for node in before)


def _parted(graph: AnyGraph, name: str) -> AnyGraph:
    """The graph with a node of its own for each that hears `name`."""
    for out in graph.outgoing[name][1:]:
        label = graph.unused(name)
        edges = [replace(edge, src=label) if edge == out else edge for edge in graph.edges]
        graph = graph.with_(
            nodes={**graph.nodes, label: graph.nodes[name]}, shapes={**graph.shapes, label: graph.shapes[name]},
            edges=[*edges, *(replace(edge, dst=label) for edge in graph.incoming[name])])
    return graph


def _next(graph: AnyGraph) -> tuple[str, str] | None:
    """A maximum or move, and the function behind it that can come first."""
    for name, node in graph.nodes.items():
        if not isinstance(node, WindowMax | Matrix) or len(graph.incoming[name]) != 1:
            continue
        source = graph.incoming[name][0].src
        before, at_host = graph.nodes[source], _at_host(graph, source)
        if isinstance(before, Stepwise) or len(graph.outgoing[name]) != 1:
            continue
        behind = graph.outgoing[name][0].dst
        function = graph.nodes[behind]
        if len(graph.incoming[behind]) != 1:
            continue
        is_max = isinstance(node, WindowMax)
        if not is_max and not ((isinstance(before, Elementwise | WindowMax) or at_host) and _only_moves(node)):
            continue
        if at_host and _uniform_scaling(function) is not None:
            return name, behind
        if not isinstance(function, Elementwise) or not function.rising:
            continue
        if _fits_before(function, graph.shapes[source], graph.shapes[name], per_channel=is_max):
            return name, behind
    return None


def _at_host(graph: AnyGraph, name: str) -> bool:
    """Whether a node is an Input, or nothing but scaling of one."""
    node = graph.nodes[name]
    if isinstance(node, Input) or _uniform_scaling(node) is None or len(graph.incoming[name]) != 1:
        return isinstance(node, Input)
    return _at_host(graph, graph.incoming[name][0].src)


def _only_moves(node: SourceNode) -> bool:
    """Whether a node moves every element somewhere and puts no zeros in between."""
    index = moved_by(node) if _uniform_scaling(node) is None else None
    return index is not None and bool(np.all(index >= 0))


def _uniform_scaling(node: SourceNode) -> float | None:
    """The factor of a node that scales all elements alike and adds the same to each; None for any other."""
    if not isinstance(node, Matrix) or (node.bias is not None and node.bias.size > 1):
        return None
    if node.linear.is_identity:
        return 1.0 if node.linear.in_shape == node.linear.out_shape else None
    factors = diagonal(node.linear)
    return float(factors.flat[0]) if factors is not None and np.all(factors == factors.flat[0]) else None


def _fits_before(function: Elementwise, before: Shape, behind: Shape, *, per_channel: bool) -> bool:
    """Whether the function treats alike what a maximum or move brings together."""
    for item in fields(function):
        value = getattr(function, item.name)
        if not isinstance(value, np.ndarray) or value.size == 1:
            continue
        full = value.shape[: 1 - len(behind)] if len(behind) > 1 and value.ndim == len(behind) else ()
        per = value.size == value.shape[0] and len(full) == 1 and before[0] == behind[0]
        by_rows = item.name == "thresholds" and value.ndim == 1
        if not (by_rows or (per_channel and per)):
            return False
    return True


def _swapped(graph: AnyGraph, first: str, second: str) -> AnyGraph:
    """The graph with two neighbours in a chain in each other's place."""
    (into,), (out,) = graph.incoming[first], graph.outgoing[first]
    delay = into.delay + out.delay
    edges = []
    for edge in graph.edges:
        if edge == into:
            edge = Edge(src=into.src, dst=second, delay=delay)
        elif edge == out:
            edge = Edge(src=second, dst=first)
        elif edge.src == second:
            edge = replace(edge, src=first)
        edges.append(edge)
    shape, node = graph.shapes[into.src], graph.nodes[second]
    factor = _uniform_scaling(node)
    if isinstance(node, Matrix) and factor is not None:
        identity = IdentityMap(in_shape=shape, out_shape=shape)
        node = replace(node, linear=identity if factor == 1.0 else identity.scaled(np.asarray(factor)))
    return graph.with_(nodes={**graph.nodes, second: node}, edges=edges, shapes={**graph.shapes, second: shape})
