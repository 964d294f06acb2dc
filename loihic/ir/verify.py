"""What must hold for any graph at any stage; a breach is loihic's own fault unless a frontend says otherwise."""

from __future__ import annotations

from typing import Any

from loihic.ir.graph import Fact, Graph
from loihic.ir.node import HardwareNode, SourceNode


class MalformedGraphError(Exception):
    """A pass broke an invariant; the message names node and invariant."""


def verify_graph(graph: Graph[Any]) -> None:
    """Check edges, levels, shapes and loops.

    Raises:
        MalformedGraphError: an invariant does not hold.
    """
    level = HardwareNode if Fact.INTEGER in graph.facts else SourceNode
    for name, node in graph.nodes.items():
        if not isinstance(node, level):
            raise MalformedGraphError(f"{name} is a {type(node).__name__} in a graph of {level.__name__}")
        if Fact.SHAPES in graph.facts and name not in graph.shapes:
            raise MalformedGraphError(f"{name} has no shape")
    for edge in graph.edges:
        for end in (edge.src, edge.dst):
            if end not in graph.nodes:
                raise MalformedGraphError(f"edge {edge.src} -> {edge.dst} ends at {end}, which is not in the graph")
        if edge.delay < 0:
            raise MalformedGraphError(f"edge {edge.src} -> {edge.dst} has a negative delay")
    if Fact.LOOPS_BROKEN in graph.facts and Fact.INTEGER not in graph.facts:
        graph.order()
