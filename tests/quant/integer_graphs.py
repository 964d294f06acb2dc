"""Random integer graphs: every Process, chained synapses, graded messages, loops, delays, extremes of every field."""

from __future__ import annotations

from math import prod

import numpy as np

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
MAPS = ((1, 4, 3), (2, 4, 4), (3, 5, 4))
INPUT_RANGES = ((0, 1), (0, 1), (-1, 1), (0, 15), (-100, 100), (-7, 0), (3, 9))


class IntegerGraphs:
    """Draws a graph from a seed; fields are wide enough that some states overflow and most do not."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: dict[str, HardwareNode] = {}
        self.edges: list[Edge] = []

    def graph(self) -> HardwareGraph:
        """One to two inputs, one to four populations, each fed from before, some from behind."""
        rng = self.rng
        inputs = [self._source(f"in{i}") for i in range(int(rng.integers(1, 3)))]
        names = list(inputs)
        for i in range(int(rng.integers(1, 5))):
            name = f"n{i}"
            self._population(name)
            for _ in range(int(rng.integers(1, 3))):
                self._connect(str(rng.choice(names)), name)
            names.append(name)
        for name in names[len(inputs):]:
            if rng.random() < 0.4:
                self._connect(str(rng.choice(names[len(inputs):])), name)
        self.nodes["out"] = Sink(shape=self._shape(names[-1]))
        self.edges.append(Edge(src=names[-1], dst="out"))
        shapes = {name: node.out_shape if isinstance(node, Synapse) else self._shape(name)
                  for name, node in self.nodes.items()}
        return HardwareGraph(nodes=self.nodes, edges=tuple(self.edges), shapes=shapes)

    def _shape(self, name: str) -> Shape:
        node = self.nodes[name]
        assert isinstance(node, Source | Compartment | DelayLine | Sink)
        return node.shape

    def _any_shape(self) -> Shape:
        rng = self.rng
        return MAPS[rng.integers(len(MAPS))] if rng.random() < 0.4 else (int(rng.integers(1, 7)),)

    def _source(self, name: str) -> str:
        low, high = INPUT_RANGES[self.rng.integers(len(INPUT_RANGES))]
        self.nodes[name] = Source(shape=self._any_shape(), low=low, high=high)
        return name

    def _population(self, name: str) -> None:
        rng, shape = self.rng, self._any_shape()
        extreme = rng.random() < 0.15
        size = () if rng.random() < 0.5 else shape

        def pick(low: int, high: int, *, often: int | None = None) -> np.ndarray:
            if often is not None and rng.random() < 0.6:
                return np.full(size, often)
            return np.asarray(rng.choice([low, high], size) if extreme else rng.integers(low, high + 1, size))

        fast = 0 if extreme else 40  # a slow state would need thousands of steps to come near its bound
        slow = extreme or rng.random() < 0.2
        common = {"shape": shape, "du": pick(fast, 4095), "dv": pick(0 if slow else fast, 4096),
                  "vth": pick(0, (1 << 17) - 1 if extreme else 4000)}
        if rng.random() < 0.3:
            self.nodes[name] = Compartment(**{
                key: value if key == "shape" else value.reshape(-1)[0] * np.ones((), dtype=int)
                for key, value in common.items()})
            return
        self.nodes[name] = Compartment(
            **common, ibias_mant=pick(-4096, 4095, often=0), ibias_exp=pick(0, 7, often=0),
            vbias_mant=pick(-4096, 4095, often=0), vbias_exp=pick(0, 7, often=0),
            v_init=pick(-(2**23) + 1, 2**23 - 1, often=0), start=int(rng.integers(0, 4)),
            reset=Reset(rng.choice([r.value for r in Reset])), emit=Emit(rng.choice([e.value for e in Emit])),
            out_shift=int(rng.integers(0, 18)), stock=False)

    def _bits(self, name: str) -> int:
        """Width of what a point sends; now and then a graded message is heard as a spike."""
        node = self.nodes[name]
        binary = (node.low, node.high) == (0, 1) if isinstance(node, Source) else (
            isinstance(node, Compartment) and node.emit is Emit.SPIKE)
        return 0 if binary or self.rng.random() < 0.1 else 24

    def _connect(self, src: str, dst: str) -> None:
        """One synapse or two chained ones between two points, at times behind a delay line, or one each."""
        rng, bits = self.rng, self._bits(src)
        lines = int(rng.choice([0, 0, 0, 1, 2]))
        steps = rng.integers(1, 5, () if rng.random() < 0.5 else self._shape(src))
        exponent = int(rng.integers(-8, 8) if rng.random() < 0.3 else rng.integers(-8, 1))
        count = 2 if rng.random() < 0.4 else 1
        convolution = len(self._shape(src)) == len(self._shape(dst)) == 3 and self._kernel_shape(src, dst) is not None
        kind = rng.choice(["dense", "sparse", *["conv", "conv"] * convolution])
        point = src
        for i in range(count):
            if lines > i:
                point = self._unused(f"{src}.line")
                self.nodes[point] = DelayLine(shape=self._shape(src), steps=steps)
                self.edges.append(Edge(src=src, dst=point))
            name = self._unused(f"{src}->{dst}")
            self.nodes[name] = self._synapse(str(kind), src, dst, max(-8, exponent - 7 * i), bits)
            self.edges += [Edge(src=point, dst=name), Edge(src=name, dst=dst)]

    def _unused(self, name: str) -> str:
        return next(label for i in range(len(self.nodes) + 1) if (label := f"{name}.{i}") not in self.nodes)

    def _kernel_shape(self, src: str, dst: str) -> tuple[int, int] | None:
        """A kernel that makes the one map of the other, with padding one and stride one."""
        (_, h, w), (_, oh, ow) = self._shape(src), self._shape(dst)
        size = h + 2 - oh + 1, w + 2 - ow + 1
        return size if min(size) >= 1 else None

    def _synapse(self, kind: str, src: str, dst: str, exponent: int, bits: int) -> Synapse:
        rng, into, out = self.rng, self._shape(src), self._shape(dst)
        common = {"in_shape": into, "out_shape": out, "exponent": exponent, "message_bits": bits}
        reach = int(rng.choice([20, 254]))

        def weights(*shape: int) -> np.ndarray:
            signs = rng.choice([(-1, 1), (0, 1), (-1, 0)], p=[0.7, 0.15, 0.15])
            return rng.integers(signs[0] * reach, signs[1] * reach + 1, shape) // 2 * 2

        if kind == "conv":
            size = self._kernel_shape(src, dst)
            assert size is not None
            return ConvSynapse(**common | {"exponent": exponent if rng.random() < 0.5 else 0},
                               kernel=weights(out[0], into[0], *size), padding=(1, 1))
        matrix = weights(prod(out), prod(into))
        if kind == "dense":
            return DenseSynapse(**common, weights=matrix)
        keep = rng.random(matrix.shape) < 0.4
        return SparseSynapse(**common, data=matrix[keep], indices=np.nonzero(keep)[1],
                             indptr=np.concatenate([[0], np.cumsum(keep.sum(axis=1))]))
