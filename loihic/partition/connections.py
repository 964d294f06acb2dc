"""Connections: synapse groups between what sends and the population that hears, delay lines looked through."""

from __future__ import annotations

from dataclasses import dataclass

from loihic.ir.graph import HardwareGraph
from loihic.ops.delay_line import DelayLine
from loihic.ops.population import Population
from loihic.ops.source import Sink
from loihic.ops.synapse import Synapse


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """One synapse group. Its weights lie in the cores of `target`.

    Attributes:
        name: of the synapse.
        synapse: the node.
        source: the population or Source whose messages it takes.
        target: the population that it feeds.
        delay: the longest delay line on the way, in steps; 0 without one.
    """

    name: str
    synapse: Synapse
    source: str
    target: str
    delay: int = 0


def connections(graph: HardwareGraph) -> tuple[Connection, ...]:
    """Every synapse group of a timed hardware graph, in graph order."""
    found = []
    for name, node in graph.nodes.items():
        if isinstance(node, Synapse):
            source, delay = sender(graph, name)
            (out,) = graph.outgoing[name]
            found.append(Connection(name=name, synapse=node, source=source, target=out.dst, delay=delay))
    return tuple(found)


def sender(graph: HardwareGraph, name: str) -> tuple[str, int]:
    """The population or Source that a node's messages come from, and the steps that delay lines take on the way."""
    delay = 0
    source = graph.incoming[name][0].src
    while isinstance(line := graph.nodes[source], DelayLine):
        delay += int(line.steps.max(initial=0))
        source = graph.incoming[source][0].src
    return source, delay


def populations(graph: HardwareGraph) -> dict[str, Population]:
    """Every population, by name."""
    return {name: node for name, node in graph.nodes.items() if isinstance(node, Population)}


def read_by_host(graph: HardwareGraph) -> tuple[str, ...]:
    """Populations whose messages go to the host, once for each Sink."""
    return tuple(sender(graph, name)[0] for name, node in graph.nodes.items() if isinstance(node, Sink))
