"""Graphs within graphs become one graph: `block` with `inner` becomes `block.inner`, its ports become wires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter

from loihic.errors import CompileError, Diagnostic
from loihic.frontends.raw import SUBGRAPH, RawGraph, RawNode, listed

_Place = tuple[str, ...]  # names from the outermost graph inwards
_Wires = Mapping[_Place, tuple[_Place, ...]]


@dataclass(slots=True)
class _Parts:
    """A nest of graphs taken apart: real nodes, wires (ports of subgraphs), and edges between the two."""

    nodes: dict[_Place, RawNode] = field(default_factory=dict)
    wires: dict[_Place, RawNode] = field(default_factory=dict)
    edges: list[tuple[_Place, _Place]] = field(default_factory=list)
    found: list[Diagnostic] = field(default_factory=list)


def flatten_subgraphs(raw: RawGraph) -> RawGraph:
    """Inline all subgraphs, at every depth.

    An edge to a subgraph goes to its only Input, an edge from it comes from its only Output: NIR's edges name nodes,
    not ports. Several edges into one Input sum, as everywhere in NIR. Loops may cross the border. Names that are
    taken get a suffix ``_1``, ``_2``, ...; names of the outer graph never change. Metadata of subgraphs is dropped,
    that of their nodes is kept.

    Raises:
        CompileError: every problem found: LHC207 where the port is not certain or two wires run in parallel,
            LHC205 for a loop of wires alone.
    """
    if not any(node.type == SUBGRAPH for node in raw.nodes.values()):
        return raw
    parts = _Parts()
    _take_apart(raw, (), parts)
    ends = _ends_of_wires(parts)
    names = _unique_names(parts.nodes)
    edges: dict[tuple[str, str], None] = {}
    for source, target in parts.edges:
        if source not in parts.nodes:
            continue
        for end in ends.get(target, (target,)):
            pair = (names[source], names[end])
            if pair in edges:
                parts.found.append(_parallel(source, end))
            edges[pair] = None
    if parts.found:
        raise CompileError(parts.found)
    nodes = {names[place]: node for place, node in parts.nodes.items()}
    return replace(raw, nodes=nodes, edges=tuple(edges))


def _take_apart(graph: RawGraph, place: _Place, parts: _Parts) -> None:
    inner: dict[str, RawGraph] = {}
    for name, node in graph.nodes.items():
        here = (*place, name)
        below = node.params.get("graph")
        if node.type == SUBGRAPH and isinstance(below, RawGraph):
            inner[name] = below
            _take_apart(below, here, parts)
        elif place and node.type in ("Input", "Output"):
            parts.wires[here] = node
        else:
            parts.nodes[here] = node
    for source, target in graph.edges:
        start = _port(graph, source, place, "Output", parts) if source in inner else (*place, source)
        end = _port(graph, target, place, "Input", parts) if target in inner else (*place, target)
        if start is not None and end is not None:
            parts.edges.append((start, end))


def _port(graph: RawGraph, name: str, place: _Place, kind: str, parts: _Parts) -> _Place | None:
    """The place of the subgraph's only Input or Output; None, and a diagnostic once, if there is not exactly one."""
    node = graph.nodes[name]
    below = node.params["graph"]
    ports = [key for key, port in below.nodes.items() if port.type == kind] if isinstance(below, RawGraph) else []
    if len(ports) == 1:
        return (*place, name, ports[0])
    finding = Diagnostic(
        code="LHC207", message=f"an edge names subgraph {name!r}, which has {len(ports)} {kind} nodes",
        node=node.origin, param=f"{kind} nodes: {listed(ports)}",
        help=f"give the subgraph exactly one {kind}, or flatten it before the export",
    )
    if finding not in parts.found:
        parts.found.append(finding)
    return None


def _ends_of_wires(parts: _Parts) -> _Wires:
    """For each wire the real nodes that it leads to, through any number of other wires."""
    after: dict[_Place, list[_Place]] = {wire: [] for wire in parts.wires}
    for source, target in parts.edges:
        if source in after:
            after[source].append(target)
    try:
        order = list(TopologicalSorter({w: [t for t in ts if t in after] for w, ts in after.items()}).static_order())
    except CycleError as error:
        loop: list[_Place] = error.args[1]
        raise CompileError([*parts.found, Diagnostic(
            code="LHC205", message=f"a loop of bare wires: {' -> '.join('.'.join(wire) for wire in reversed(loop))}",
            node=parts.wires[loop[0]].origin, help="put a neuron or a Delay into the loop",
        )]) from error
    ends: dict[_Place, tuple[_Place, ...]] = {}
    for wire in order:
        reached: dict[_Place, None] = {}
        for target in after[wire]:
            for end in ends.get(target, (target,)):
                if end in reached:
                    parts.found.append(_parallel(wire, end))
                reached[end] = None
        ends[wire] = tuple(reached)
    return ends


def _parallel(source: _Place, target: _Place) -> Diagnostic:
    return Diagnostic(
        code="LHC207", message=f"two wires run in parallel from {'.'.join(source)!r} to {'.'.join(target)!r}",
        help="NIR's edges are a set, so their sum cannot be written without subgraphs; put a Scale into one of them",
    )


def _unique_names(places: Mapping[_Place, RawNode]) -> dict[_Place, str]:
    """Joined with dots. Outer nodes choose first, then inner ones in order; the later one gets the suffix."""
    names: dict[_Place, str] = {place: place[0] for place in places if len(place) == 1}
    taken = set(names.values())
    for place in places:
        if place in names:
            continue
        base = name = ".".join(place)
        count = 0
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name)
        names[place] = name
    return names
