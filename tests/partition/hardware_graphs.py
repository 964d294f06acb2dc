"""Random hardware graphs whose sums wrap and whose exponents matter, which compiled programs are proven never to do.

Every kind of synapse, convolutions with groups, strides, dilations and padding, chained groups, graded messages, delay
lines of several lengths and behind one another, loops, Sinks anywhere.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

from loihic.ir.graph import Edge, HardwareGraph
from loihic.ir.node import HardwareNode
from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.delay_line import DelayLine
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.source import Sink, Source
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import Synapse
from loihic.ops.traits import Emit, Reset

Shape = tuple[int, ...]


class Builder:
    """Adds nodes to a graph; the numbers in it come from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: dict[str, HardwareNode] = {}
        self.edges: list[Edge] = []
        self.shapes: dict[str, Shape] = {}

    def graph(self) -> HardwareGraph:
        """What was built."""
        return HardwareGraph(nodes=self.nodes, edges=tuple(self.edges), shapes=self.shapes)

    def add(self, kind: str, node: HardwareNode, shape: Shape, *sources: str) -> str:
        """Put a node behind `sources`; returns its name."""
        name = f"{kind}{len(self.nodes)}"
        self.nodes[name], self.shapes[name] = node, shape
        self.edges += [Edge(src=source, dst=name) for source in sources]
        return name

    def source(self, shape: Shape, reach: int) -> str:
        """Integers of -reach to reach."""
        return self.add("in", Source(shape=shape, low=-reach, high=reach), shape)

    def population(self, shape: Shape, emit: Emit) -> str:
        """Neurons with parameters of their own, or all alike; at times so plain that v meets the threshold exactly."""
        rng = self.rng
        size: Shape = shape if rng.random() < 0.7 else ()
        stock, plain = emit is Emit.SPIKE and rng.random() < 0.3, rng.random() < 0.3

        def pick(low: int, high: int, *plainly: int) -> np.ndarray:
            return np.asarray(rng.choice(plainly, size) if plain else rng.integers(low, high, size))

        biases: dict[str, Any] = {} if stock or plain else {
            "ibias_mant": rng.integers(-300, 300, size), "ibias_exp": rng.integers(0, 8, size),
            "vbias_mant": rng.integers(-300, 300, size), "vbias_exp": rng.integers(0, 8, size),
            "v_init": rng.integers(-(2**22), 2**22, size)}
        reset = Reset.ZERO if stock else Reset(rng.choice([r.value for r in Reset]))
        node = Compartment(
            shape=shape, du=pick(0, 4096, 4095), dv=pick(0, 4097, 0, 4096), vth=pick(0, 3000, 0, 1, 2, 3, 4), emit=emit,
            stock=stock, start=int(rng.integers(0, 4)), out_shift=int(rng.integers(0, 16)), reset=reset, **biases)
        return self.add("n", node, shape)

    def line(self, source: str) -> str:
        """A delay line, of one length or of one per element."""
        shape = self.shapes[source]
        steps = np.asarray(self.rng.integers(1, 4, shape if self.rng.random() < 0.6 else ()))
        return self.add("line", DelayLine(shape=shape, steps=steps), shape, source)

    def connect(self, source: str, target: str, synapse: Synapse) -> None:
        """A synapse group between two points."""
        name = self.add("w", synapse, synapse.out_shape, source)
        self.edges.append(Edge(src=name, dst=target))

    def matrix(self, source: str, target: str, *, sparse: bool, bits: int, extreme: bool) -> Synapse:
        """A full or sparse matrix; zeros are stored among its weights."""
        rng, into, out = self.rng, self.shapes[source], self.shapes[target]
        weights = self._weights(prod(out), prod(into), extreme=extreme)
        common: dict[str, Any] = {"in_shape": into, "out_shape": out, "exponent": int(rng.integers(-8, 8)),
                                  "message_bits": bits}
        if not sparse:
            return DenseSynapse(**common, weights=weights)
        keep = rng.random(weights.shape) < 0.4
        return SparseSynapse(**common, data=weights[keep], indices=np.nonzero(keep)[1],
                             indptr=np.concatenate([[0], np.cumsum(keep.sum(axis=1))]))

    def convolution(self, in_shape: Shape, groups: int, *, bits: int, extreme: bool) -> ConvSynapse:
        """A convolution of a map whose channels are a multiple of `groups`; its target has the shape `out_shape`."""
        rng = self.rng
        kernel, stride = rng.integers(1, 4, 2), rng.integers(1, 3, 2)
        dilation, padding = rng.integers(1, 3, 2), rng.integers(0, 3, 2)
        room = np.array(in_shape[1:]) + 2 * padding - dilation * (kernel - 1) - 1
        kernel, dilation = np.where(room < 0, 1, kernel), np.where(room < 0, 1, dilation)
        size = (np.array(in_shape[1:]) + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        out = groups * int(rng.integers(1, 4))
        return ConvSynapse(
            in_shape=in_shape, out_shape=(out, int(size[0]), int(size[1])),
            exponent=int(rng.choice([0, -3, 2])), message_bits=bits, stride=_pair(stride), padding=_pair(padding),
            dilation=_pair(dilation), groups=groups,
            kernel=self._weights(out, in_shape[0] // groups, *map(int, kernel), extreme=extreme))

    def _weights(self, *shape: int, extreme: bool) -> np.ndarray:
        if extreme:
            return self.rng.choice([-256, 0, 254], shape)
        return self.rng.integers(-20, 21, shape)


def _pair(values: np.ndarray) -> tuple[int, int]:
    return int(values[0]), int(values[1])


@st.composite
def hardware_graphs(draw: st.DrawFn) -> HardwareGraph:
    """A convolution into a map, then vectors that hear the map, each other, themselves and the inputs."""
    build = Builder(draw(st.integers(0, 2**32 - 1), label="seed"))
    extreme, reach = draw(st.booleans(), label="extreme"), draw(st.sampled_from([1, 7, 2**23 - 1]), label="reach")
    groups = draw(st.sampled_from([1, 1, 2, 3]), label="groups")
    shape = (groups * draw(st.integers(1, 2)), draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    emits = st.sampled_from(list(Emit))
    points = [build.source(shape, reach)]
    convolution = build.convolution(shape, groups, bits=draw(st.sampled_from([0, 24])), extreme=extreme)
    points.append(build.population(convolution.out_shape, draw(emits)))
    build.connect(_behind(draw, build, points[0]), points[1], convolution)
    for size in draw(st.lists(st.integers(1, 6), max_size=3), label="vectors"):
        points.append(build.population((size,), draw(emits)))
        for source in draw(st.lists(st.sampled_from(points), min_size=1, max_size=3)):
            bits, sparse = draw(st.sampled_from([0, 24])), draw(st.booleans())
            for _ in range(draw(st.sampled_from([1, 1, 2]), label="chained")):
                way = _behind(draw, build, source)
                build.connect(way, points[-1], build.matrix(way, points[-1], sparse=sparse, bits=bits, extreme=extreme))
    for source in draw(st.lists(st.sampled_from(points), min_size=1, max_size=2), label="read"):
        way = _behind(draw, build, source)
        build.add("out", Sink(shape=build.shapes[way]), build.shapes[way], way)
    return build.graph()


def _behind(draw: st.DrawFn, build: Builder, source: str) -> str:
    """The point itself, or the end of one or two delay lines behind it."""
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]), label="lines")):
        source = build.line(source)
    return source
