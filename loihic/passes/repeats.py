"""Quantisers that say nothing new: of values that lie on their grid already, or next to one that does the same."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from loihic.ir.graph import Edge, Fact
from loihic.ir.linear import IdentityMap
from loihic.ops.matrix import Matrix
from loihic.ops.quantiser import Quantiser, Stepwise
from loihic.ops.window_max import WindowMax
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass
from loihic.passes.paths import moved_by


@register_pass
@dataclass(frozen=True, kw_only=True)
class MergeTwins(Pass):
    """Exporters put a quantiser of a value before each node that hears it: all but one of those that do the same go.

    In their place their values are passed on, since a node that adds up two of them needs two ways.
    """

    name: ClassVar[str] = "merge-twins"

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        first: dict[object, str] = {}
        for name, node in graph.nodes.items():
            if not isinstance(node, Stepwise):
                continue
            twin = first.setdefault((frozenset((e.src, e.delay) for e in graph.incoming[name]), _essence(node)), name)
            if twin != name:
                shape = graph.shapes[name]
                same = IdentityMap(in_shape=shape, out_shape=shape)
                way = Matrix(origins=node.origins, linear=same, unit=np.ones(()))
                edges = [edge for edge in graph.edges if edge.dst != name]
                graph = graph.with_(nodes={**graph.nodes, name: way}, edges=[*edges, Edge(src=twin, dst=name)])
        return graph


def _essence(node: Stepwise) -> tuple[object, ...]:
    """What tells nodes of one kind apart, but for where they come from."""
    values = ((item.name, getattr(node, item.name)) for item in fields(node) if item.name != "origins")
    return node.op, *((key, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else (key, value)
                      for key, value in values)


@register_pass
@dataclass(frozen=True, kw_only=True)
class DropRepeats(Pass):
    """Exporters quantise again behind what only moves values, such as a MaxPool or a Flatten; once is enough."""

    name: ClassVar[str] = "drop-repeats"
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.SHAPES})

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        for name, node in graph.nodes.items():
            if isinstance(node, Quantiser) and len(graph.incoming[name]) == 1:
                (into,) = graph.incoming[name]
                before = _grid(graph, into.src)
                if into.delay == 0 and before is not None and _holds(node, before):
                    graph = _without(graph, name, into.src)
        return graph


def _grid(graph: AnyGraph, name: str) -> Stepwise | None:
    """The quantiser whose levels a node sends, moved or the greatest of some; None where there is none."""
    node = graph.nodes[name]
    if isinstance(node, Stepwise):
        return node
    if (not isinstance(node, WindowMax) and moved_by(node) is None) or len(graph.incoming[name]) != 1:
        return None
    return _grid(graph, graph.incoming[name][0].src)


def _holds(node: Quantiser, before: Stepwise) -> bool:
    """Whether every level of `before` is a level of `node`, of the same scale."""
    same = before.scale.size == node.scale.size == 1 and np.isclose(
        float(before.scale), float(node.scale), rtol=1e-6, atol=0)
    return bool(same and node.low <= min(before.low, 0) and max(before.high, 0) <= node.high)


def _without(graph: AnyGraph, name: str, source: str) -> AnyGraph:
    """The graph in which those that hear `name` hear `source`."""
    nodes = {label: node for label, node in graph.nodes.items() if label != name}
    edges = [replace(edge, src=source) if edge.src == name else edge for edge in graph.edges if edge.dst != name]
    return graph.with_(nodes=nodes, edges=edges, shapes={key: graph.shapes[key] for key in nodes})
