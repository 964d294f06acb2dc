"""Retime: prove at which step every node answers input step t, and balance branches with delay lines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from loihic.errors import Diagnostic
from loihic.ir.graph import Edge, Fact, HardwareGraph
from loihic.ir.node import HardwareNode
from loihic.ledger import Loss
from loihic.ops.compartment import Compartment
from loihic.ops.delay_line import DelayLine
from loihic.ops.population import Population
from loihic.ops.source import Sink, Source
from loihic.ops.synapse import Synapse
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass
from loihic.passes.relays import insert_between, relay_chain


@dataclass(frozen=True, kw_only=True)
class Link:
    """A way from point to point: through one synapse (`via`), or directly into a delay line or a Sink.

    `needed` is the number of steps the hardware takes, `meant` what the network wants; an answer may come later by
    the difference of the two points' latencies, never earlier.
    """

    src: str
    dst: str
    via: str | None
    needed: int
    meant: int


@register_pass
@dataclass(frozen=True, kw_only=True)
class Retime(Pass):
    """Latencies by longest path: L(dst) + meant >= L(src) + needed for every link, least L; the slack becomes a delay.

    A loop is exact if its synapses are not more than the steps it means; otherwise the constraints have no solution.
    """

    name: ClassVar[str] = "retime"
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.INTEGER})
    gives: ClassVar[frozenset[Fact]] = frozenset({Fact.TIMED})
    allow_loop_delay: bool = False
    stock_only: bool = False

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        links = _links(graph)
        while True:
            latency, stuck = _longest(graph, links)
            if latency is not None:
                return self._timed(graph, links, latency, context)
            late = _loosen(links, stuck)
            loop = " -> ".join(dict.fromkeys(link.src for link in stuck))
            extra = sum(link.needed - link.meant for link in stuck)
            if not self.allow_loop_delay or late is None:
                context.report(Diagnostic(
                    code="LHC302", message=f"a loop through {len(stuck)} connections answers {extra} steps too late",
                    node=loop, help="--allow-loop-delay accepts it and writes it into the ledger"))
                return graph
            context.ledger.add(Loss(
                node=loop, kind="delay", param="loop", wanted=f"{sum(link.meant for link in stuck)} steps",
                actual=f"{sum(link.needed for link in stuck)} steps", error=float(extra),
                why="every connection takes one step on the chip"))
            links = [replace(link, meant=link.meant + extra) if link == late else link for link in links]

    def _timed(self, graph: HardwareGraph, links: list[Link], latency: dict[str, int],
               context: CompileContext) -> HardwareGraph:
        """Delay what would come too early, and tell populations and Sinks their latencies."""
        for name, node in graph.nodes.items():
            if isinstance(node, Population) and not graph.incoming[name]:  # starts just in time, not as soon as it can
                latency[name] = min(latency[k.dst] + k.meant - k.needed for k in links if k.src == name)
        graph = graph.with_(
            nodes={name: _started(node, latency.get(name, 0)) for name, node in graph.nodes.items()},
            edges=[replace(edge, delay=0) for edge in graph.edges])
        for link in links:
            slack = latency[link.dst] + link.meant - latency[link.src] - link.needed
            if slack == 0 or isinstance(graph.nodes[link.dst], Sink):
                continue
            edge = Edge(src=link.src, dst=link.via or link.dst)
            if self.stock_only:
                graph = relay_chain(graph, edge, slack, latency[link.src], context)
            else:
                label = graph.unused(f"{edge.dst}.delay")
                line = DelayLine(origins=graph.nodes[edge.dst].origins, shape=graph.shapes[link.src],
                                 steps=np.asarray(slack))
                graph = insert_between(graph, edge, [(label, line, line.shape)])
        return graph


def _started(node: HardwareNode, latency: int) -> HardwareNode:
    """A node that knows its latency; a stock neuron that fires by its own bias counts up to its start."""
    if isinstance(node, Sink):
        return replace(node, latency=latency)
    if not isinstance(node, Population):
        return node
    if isinstance(node, Compartment) and node.stock and node.vbias_mant.any():
        return replace(node, start=latency, v_init=-latency * node.vbias_mant)
    return replace(node, start=latency)


def _links(graph: HardwareGraph) -> list[Link]:
    found = []
    for name, node in graph.nodes.items():
        if isinstance(node, Synapse):
            (into,), (out,) = graph.incoming[name], graph.outgoing[name]
            found.append(Link(src=into.src, dst=out.dst, via=name, needed=node.hops, meant=into.delay + out.delay))
    for edge in graph.edges:
        target = graph.nodes[edge.dst]
        if isinstance(target, DelayLine):
            found.append(Link(src=edge.src, dst=edge.dst, via=None, needed=target.late, meant=edge.delay))
        elif isinstance(target, Sink):
            found.append(Link(src=edge.src, dst=edge.dst, via=None, needed=0, meant=edge.delay))
    return found


def _longest(graph: HardwareGraph, links: list[Link]) -> tuple[dict[str, int] | None, list[Link]]:
    """Least latencies (Bellman-Ford), or the links of a loop that allows none."""
    latency = {name: 0 for name, node in graph.nodes.items() if not isinstance(node, Synapse)}
    cause: dict[str, Link] = {}
    last = ""
    for _ in range(len(latency) + 1):
        last = ""
        for link in links:
            least = latency[link.src] + link.needed - link.meant
            if least > latency[link.dst]:
                if isinstance(graph.nodes[link.dst], Source):
                    continue
                latency[link.dst] = least
                cause[link.dst] = link
                last = link.dst
        if not last:
            return latency, []
    for _ in range(len(latency)):  # step back until surely on the loop
        last = cause[last].src
    loop, name = [], last
    while True:
        loop.append(cause[name])
        name = cause[name].src
        if name == last:
            return None, loop[::-1]


def _loosen(links: list[Link], loop: list[Link]) -> Link | None:
    """The link of the loop that carries the past."""
    return next((link for link in loop if link.meant), None)
