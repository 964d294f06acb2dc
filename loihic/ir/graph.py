"""Graphs: named nodes and edges, as values. A pass returns a new graph and never edits one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from types import MappingProxyType
from typing import Generic, TypeVar

from loihic.errors import CompileError, Diagnostic
from loihic.ir.node import HardwareNode, Node, Shape, SourceNode

N = TypeVar("N", bound=Node)


class Fact(str, Enum):
    """What is known to hold for a graph; passes need some facts and give others."""

    SHAPES = "shapes"
    LOOPS_BROKEN = "loops-broken"
    DISCRETE = "discrete"
    NORMAL = "normal"
    FUSED = "fused"
    WHOLE = "whole"  # the file itself says which whole numbers everything is
    INTEGER = "integer"
    TIMED = "timed"


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Edge:
    """A connection. `delay` counts the steps by which the value arrives late *by meaning* (recurrence is one step)."""

    src: str
    dst: str
    delay: int = 0


@dataclass(frozen=True, kw_only=True)
class Graph(Generic[N]):
    """A network at one stage of its lowering.

    Attributes:
        nodes: by name, in a deterministic order.
        edges: several edges into one node add up.
        shapes: output shape per node, once inferred.
        facts: what passes have established.
        dt: the time step in the file's unit of time, once chosen.
    """

    nodes: Mapping[str, N]
    edges: tuple[Edge, ...]
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    facts: frozenset[Fact] = frozenset()
    dt: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", MappingProxyType(dict(self.nodes)))
        object.__setattr__(self, "shapes", MappingProxyType(dict(self.shapes)))

    @cached_property
    def incoming(self) -> Mapping[str, tuple[Edge, ...]]:
        """Edges into each node, in the order of `edges`."""
        return self._grouped(by_source=False)

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[Edge, ...]]:
        """Edges out of each node, in the order of `edges`."""
        return self._grouped(by_source=True)

    def _grouped(self, *, by_source: bool) -> Mapping[str, tuple[Edge, ...]]:
        groups: dict[str, list[Edge]] = {name: [] for name in self.nodes}
        for edge in self.edges:
            groups[edge.src if by_source else edge.dst].append(edge)
        return MappingProxyType({name: tuple(edges) for name, edges in groups.items()})

    def of(self, kind: type[N] | tuple[type[N], ...]) -> Iterator[tuple[str, N]]:
        """Names and nodes of a class, in graph order."""
        return ((name, node) for name, node in self.nodes.items() if isinstance(node, kind))

    def order(self) -> tuple[str, ...]:
        """Names in a topological order of the edges without delay (stable with respect to graph order).

        Raises:
            CompileError: LHC205, if such edges form a loop.
        """
        pending = {name: sum(edge.delay == 0 for edge in edges) for name, edges in self.incoming.items()}
        ready = [name for name in self.nodes if pending[name] == 0]
        done: list[str] = []
        for name in ready:
            done.append(name)
            for edge in self.outgoing[name]:
                if edge.delay == 0:
                    pending[edge.dst] -= 1
                    if pending[edge.dst] == 0:
                        ready.append(edge.dst)
        if len(done) < len(self.nodes):
            left = ", ".join(name for name in self.nodes if name not in set(done))
            raise CompileError([Diagnostic(
                code="LHC205", message="a loop passes through linear nodes only", node=left,
                help="put a neuron or a Delay of at least one step into the loop")])
        return tuple(done)

    def sources_first(self) -> tuple[str, ...]:
        """Every name after all that feed it, through delayed edges too; loops are cut where they are entered."""
        done: dict[str, None] = {}
        for start in self.nodes:
            stack = [(start, iter(self.incoming[start]))]
            entered = {start}
            while stack:
                name, edges = stack[-1]
                edge = next(edges, None)
                if edge is None:
                    done.setdefault(name)
                    stack.pop()
                elif edge.src not in done and edge.src not in entered:
                    entered.add(edge.src)
                    stack.append((edge.src, iter(self.incoming[edge.src])))
        return tuple(done)

    def unused(self, name: str) -> str:
        """`name`, or where a node has it already, `name` with a number."""
        label, number = name, 1
        while label in self.nodes:
            number += 1
            label = f"{name}#{number}"
        return label

    def with_(self, *, nodes: Mapping[str, N] | None = None, edges: Iterable[Edge] | None = None,
              shapes: Mapping[str, Shape] | None = None, facts: Iterable[Fact] = ()) -> Graph[N]:
        """A copy with some parts replaced and `facts` added."""
        return replace(
            self,
            nodes=self.nodes if nodes is None else nodes,
            edges=self.edges if edges is None else tuple(edges),
            shapes=self.shapes if shapes is None else shapes,
            facts=self.facts | frozenset(facts),
        )


SourceGraph = Graph[SourceNode]
HardwareGraph = Graph[HardwareNode]
