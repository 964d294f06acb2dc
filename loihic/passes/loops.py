"""Break loops: find the edges of recurrent loops that carry the previous step's value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from loihic.errors import Diagnostic
from loihic.ir.graph import Edge, Fact
from loihic.ops.delay import StepDelay
from loihic.ops.neuron import Neuron
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass


@register_pass
@dataclass(frozen=True, kw_only=True)
class BreakLoops(Pass):
    """Each loop gets one edge with a delay of one step, NIR's one-step recurrence.

    The loop is entered from the inputs, depth first in the file's order; the edge that carries the past is the one
    that leaves the last neuron before the loop closes, so that biases behind it act from the first step on, as in the
    frameworks. A Delay of at least one step in the loop is the past already: the delayed edge is then taken out of it.
    """

    name: ClassVar[str] = "break-loops"
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.DISCRETE})
    gives: ClassVar[frozenset[Fact]] = frozenset({Fact.LOOPS_BROKEN})

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        while True:
            loop = _find_loop(graph)
            if loop is None:
                return graph
            delayed = _delayed_edge(graph, loop)
            if delayed is None:
                names = " -> ".join(edge.src for edge in loop)
                context.report(Diagnostic(code="LHC205", message="a loop passes through linear nodes only", node=names,
                                          help="put a neuron or a Delay of at least one step into the loop"))
                return graph.with_(edges=[edge for edge in graph.edges if edge != loop[-1]])
            nodes = dict(graph.nodes)
            target = nodes[delayed.dst]
            if isinstance(target, StepDelay) and int(target.steps.min()) >= 1:
                nodes[delayed.dst] = replace(target, steps=target.steps - 1)
                graph = _delay_all_into(graph, delayed.dst).with_(nodes=nodes)
            else:
                graph = graph.with_(edges=[replace(e, delay=1) if e == delayed else e for e in graph.edges])


def _delay_all_into(graph: AnyGraph, name: str) -> AnyGraph:
    """Move one step from a Delay to all the edges into it."""
    return graph.with_(edges=[replace(e, delay=e.delay + 1) if e.dst == name else e for e in graph.edges])


def _find_loop(graph: AnyGraph) -> list[Edge] | None:
    """The first loop of undelayed edges met depth first from the nodes without predecessors, entry first."""
    starts = [name for name in graph.nodes if not graph.incoming[name]] + list(graph.nodes)
    finished: set[str] = set()
    for start in starts:
        path: list[Edge] = []
        on_path = {start: 0}
        stack = [(start, iter(graph.outgoing[start]))]
        while stack:
            name, edges = stack[-1]
            for edge in edges:
                if edge.delay or edge.dst in finished:
                    continue
                if edge.dst in on_path:
                    return [*path[on_path[edge.dst]:], edge]
                path.append(edge)
                on_path[edge.dst] = len(path)
                stack.append((edge.dst, iter(graph.outgoing[edge.dst])))
                break
            else:
                stack.pop()
                finished.add(name)
                on_path.pop(name, None)
                if path:
                    path.pop()
    return None


def _delayed_edge(graph: AnyGraph, loop: list[Edge]) -> Edge | None:
    for edge in loop:
        node = graph.nodes[edge.dst]
        if isinstance(node, StepDelay) and node.steps.size and int(np.min(node.steps)) >= 1:
            return edge
    for edge in reversed(loop):
        if isinstance(graph.nodes[edge.src], Neuron):
            return edge
    return None
