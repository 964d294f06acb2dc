"""Random timed hardware graphs with inputs, for engines to run: every kind of node, every kind of wiring, extremes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from hardware_nodes import POPULATIONS, V_MAX, Mood, Nodes, Shape

from loihic.ir.graph import Edge, Fact, HardwareGraph
from loihic.ir.node import HardwareNode
from loihic.ops.compartment import Compartment
from loihic.ops.population import Population
from loihic.ops.source import Sink, Source
from loihic.ops.synapse import Synapse
from loihic.ops.traits import Emit

MAPS = ((1, 4, 3), (2, 4, 4), (3, 5, 4), (6, 3, 3))
INPUT_RANGES = ((0, 1), (0, 1), (0, 1), (-1, 1), (0, 15), (-128, 127), (-7, 0), (3, 9), (-V_MAX, V_MAX))
WIDE_RANGES = ((-(1 << 31), 1 << 31),)


@dataclass(frozen=True)
class Net:
    """What was drawn: a graph, inputs per Source (N, at most `steps`, *shape) int64, and how many steps to take."""

    graph: HardwareGraph
    inputs: dict[str, np.ndarray]
    steps: int
    label: str

    def __repr__(self) -> str:
        kinds = {name: node.op for name, node in self.graph.nodes.items()}
        edges = [(edge.src, edge.dst) for edge in self.graph.edges]
        return f"Net({self.label}, steps={self.steps}, nodes={kinds}, edges={edges})"


class Nets(Nodes):
    """Wires random nodes up."""

    def __init__(self, rng: np.random.Generator, mood: Mood, wide: bool, kinds: Sequence[str]) -> None:
        super().__init__(rng, mood, wide)
        self.kinds = kinds
        self.nodes: dict[str, HardwareNode] = {}
        self.shapes: dict[str, Shape] = {}
        self.edges: list[Edge] = []

    def graph(self, sources: int, populations: int) -> HardwareGraph:
        """Each population is fed from what is before it, and at times from behind: its own self included."""
        points = [self.source() for _ in range(sources)]
        made: list[str] = []
        for _ in range(populations):
            if self.chance(0.08):  # hears nothing: a bias may drive it
                made.append(self.add("n", self.population(self.one(*self.kinds), self.any_shape())))
            elif sources and self.chance(0.08):  # hears a Source without a synapse, in the same step
                point = self.one(*points[:sources])
                made.append(self.add("n", self.population(self.one(*self.kinds), self.shapes[point]), point))
            else:
                made.append(self.fed(self.one(*points, *made)))
            for _ in range(int(self.one(0, 0, 1, 2))):
                self.connect(self.one(*points, *made[:-1]), made[-1])
        for _ in range(int(self.one(0, 1, 1, 2)) if made else 0):
            self.connect(self.one(*made), self.one(*made))
        for point in (*made[-1:], *(self.one(*points, *made) for _ in range(int(self.one(0, 0, 1, 2))))):
            self.sink(point)
        names = list(self.nodes)
        order = [names[i] for i in self.rng.permutation(len(names))] if self.chance(0.3) else names
        return HardwareGraph(
            nodes={name: self.nodes[name] for name in order}, edges=tuple(self.edges),
            shapes={name: self.shapes[name] for name in order},
            facts=frozenset({Fact.SHAPES, Fact.DISCRETE, Fact.FUSED, Fact.INTEGER, Fact.TIMED}), dt=1.0)

    def add(self, kind: str, node: HardwareNode, *feeds: str) -> str:
        """Put a node behind `feeds`; returns its name."""
        name = f"{kind}{len(self.nodes)}"
        self.nodes[name] = node
        self.shapes[name] = node.out_shape if isinstance(node, Synapse) else getattr(node, "shape")  # noqa: B009
        self.edges += [Edge(src=feed, dst=name) for feed in feeds]
        return name

    def any_shape(self) -> Shape:
        vector = (int(self.rng.integers(2, 9)),)
        return self.one(*MAPS) if self.chance(0.4) else self.one((1,), (1,), vector, vector, (2, 3), ())

    def source(self) -> str:
        low, high = self.one(*INPUT_RANGES, *(WIDE_RANGES if self.wide else ()))
        return self.add("in", Source(shape=self.any_shape(), low=low, high=high))

    def sink(self, point: str) -> str:
        """An output, at times of another shape, at times behind lines."""
        for _ in range(int(self.one(0, 0, 0, 1, 2))):
            point = self.add("line", self.line(self.shapes[point]), point)
        shape = self.shapes[point] if self.chance(0.7) else (prod(self.shapes[point]),)
        return self.add("out", Sink(shape=shape, latency=int(self.rng.integers(0, 4))), point)

    def fed(self, point: str) -> str:
        """A new population behind a first synapse from `point`: a convolution where that is a map."""
        into = self.shapes[point]
        if len(into) == 3 and self.chance(0.7):
            synapse: Synapse = self.convolution(into, **self.manner(point))
            shape = synapse.out_shape if self.chance(0.8) else (prod(synapse.out_shape),)
        else:
            shape = self.any_shape()
            synapse = self.matrix(into, shape, sparse=self.chance(0.5), **self.manner(point))
        name = self.add("n", self.population(self.one(*self.kinds), shape))
        self.join(point, synapse, name)
        return name

    def manner(self, point: str) -> dict[str, int]:
        """Exponent and width of messages; now and then a graded message is heard as a spike."""
        node = self.nodes[point]
        binary = (node.low, node.high) == (0, 1) if isinstance(node, Source) else (
            isinstance(node, Compartment) and node.emit is Emit.SPIKE)
        exponent = int(self.one(-8, 7) if self.mood is Mood.EXTREME else self.one(-6, -3, 0, 0, 0, 2))
        return {"exponent": exponent, "bits": 0 if binary or self.chance(0.15) else 24}

    def connect(self, src: str, dst: str) -> None:
        """One matrix or two chained ones between two points, at times behind delay lines."""
        for _ in range(int(self.one(1, 1, 1, 2))):
            point = src
            for _ in range(int(self.one(0, 0, 0, 1, 2))):
                point = self.add("line", self.line(self.shapes[point]), point)
            self.join(point, self.matrix(self.shapes[src], self.shapes[dst], sparse=self.chance(0.5),
                                         **self.manner(src)), dst)

    def join(self, src: str, synapse: Synapse, dst: str) -> None:
        self.edges.append(Edge(src=self.add("w", synapse, src), dst=dst))


def random_net(seed: int, *, mood: str | None = None, sources: int | None = None, populations: int | None = None,
               samples: int | None = None, steps: int | None = None, wide: bool = True,
               kinds: Sequence[str] = POPULATIONS) -> tuple[HardwareGraph, dict[str, np.ndarray], int]:
    """A graph, inputs and a number of steps.

    Args:
        seed: what is not given follows from it.
        mood: a value of `Mood`: what the numbers are like.
        sources, populations: how many.
        samples, steps: of the inputs; these may end before the last step, and one Source may be given none.
        wide: whether inputs and parameters may need more than 32 bits.
        kinds: of populations, from `POPULATIONS`.
    """
    net = net_of(seed, mood, sources, populations, samples, steps, wide, kinds)
    return net.graph, net.inputs, net.steps


def net_of(seed: int, mood: str | None, sources: int | None, populations: int | None, samples: int | None,
           steps: int | None, wide: bool, kinds: Sequence[str]) -> Net:
    """As `random_net`, with a label that says what was drawn."""
    rng = np.random.default_rng(seed)
    moods = [Mood.PLAIN, Mood.PLAIN, Mood.PLAIN, Mood.LOUD, Mood.EXTREME, *Mood]
    felt = Mood(mood) if mood is not None else moods[rng.integers(len(moods))]
    build = Nets(rng, felt, wide, kinds)
    graph = build.graph(int(rng.integers(1, 3)) if sources is None else sources,
                        int(rng.integers(1, 5)) if populations is None else populations)
    samples = int(rng.integers(1, 5)) if samples is None else samples
    steps = int(build.one(1, 6, 10, 16)) if steps is None else steps
    length = max(steps - int(build.one(0, 0, 0, 2)), 0)
    inputs = {}
    for name, node in graph.nodes.items():
        if isinstance(node, Source) and not build.chance(0.05 if inputs else 0.0):
            values = rng.integers(node.low, node.high, (samples, length, *node.shape), endpoint=True)
            inputs[name] = np.where(rng.random(values.shape) < build.one(0.2, 0.5, 1.0), values, 0)
    return Net(graph, inputs, steps, f"seed={seed}, {felt.value}")


def recordable(graph: HardwareGraph) -> list[tuple[str, str]]:
    """Every (node, state) that can be recorded."""
    return [(name, state) for name, node in graph.nodes.items() if isinstance(node, Population)
            for state in (*node.states, "out")]
