"""Twenty networks to cut and place: dense, convolutional, sparse and recurrent, of 1 to 1000 cores.

Weights are random integers, even and of 8 bits; only their shapes and where they are matters. Networks are made one at
a time, for some hold hundreds of megabytes.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from scipy import sparse

from loihic.ir.graph import Edge, Fact, HardwareGraph
from loihic.ir.node import HardwareNode, Shape
from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.source import Sink, Source
from loihic.ops.sparse_synapse import SparseSynapse


class Builder:
    """Puts a hardware graph together, population by population."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: dict[str, HardwareNode] = {}
        self.edges: list[Edge] = []
        self.shapes: dict[str, Shape] = {}

    def weights(self, *shape: int) -> np.ndarray:
        """Even integers of 8 bits."""
        return self.rng.integers(-63, 64, shape, dtype=np.int8) * 2

    def input(self, *shape: int) -> str:
        """A Source."""
        name = f"in{len(self.nodes)}"
        self.nodes[name], self.shapes[name] = Source(shape=shape), shape
        return name

    def neurons(self, *shape: int, name: str = "") -> str:
        """A population."""
        name = name or f"p{sum(isinstance(node, Compartment) for node in self.nodes.values())}"
        self.nodes[name] = Compartment(shape=shape, du=np.asarray(2048), dv=np.asarray(128), vth=np.asarray(100))
        self.shapes[name] = shape
        return name

    def connect(self, source: str, target: str, synapse: HardwareNode) -> str:
        """A synapse group between two; returns the target."""
        name = f"{source}->{target}"
        while name in self.nodes:
            name += "'"
        self.nodes[name], self.shapes[name] = synapse, synapse.out_shape
        self.edges += [Edge(src=source, dst=name), Edge(src=name, dst=target)]
        return target

    def dense(self, source: str, *shape: int, target: str = "") -> str:
        """A full matrix into a population, a new one unless named."""
        target = target or self.neurons(*shape)
        before, after = self.shapes[source], self.shapes[target]
        return self.connect(source, target, DenseSynapse(
            in_shape=before, out_shape=after, weights=self.weights(prod(after), prod(before))))

    def sparse(self, source: str, count: int = 0, density: float = 0.1, target: str = "") -> str:
        """A random sparse matrix."""
        target = target or self.neurons(count)
        rows, columns = prod(self.shapes[target]), prod(self.shapes[source])
        per_row = self.rng.binomial(columns, density, rows)
        indptr = np.concatenate([[0], np.cumsum(per_row)])
        indices = self.rng.integers(0, columns, indptr[-1])
        matrix = sparse.csr_matrix((np.ones(indices.size, dtype=np.int8), indices, indptr), shape=(rows, columns))
        return self._sparse(source, target, matrix)

    def local(self, source: str, target: str, reach: int, each: int) -> str:
        """A sparse matrix of neighbours on a ring: each neuron hears some within reach."""
        rows, columns = prod(self.shapes[target]), prod(self.shapes[source])
        near = np.arange(rows)[:, None] * columns // rows + self.rng.integers(-reach, reach + 1, (rows, each))
        matrix = sparse.csr_matrix((np.ones(rows * each, dtype=np.int8), (near % columns).reshape(-1),
                                    np.arange(0, rows * each + 1, each)), shape=(rows, columns))
        return self._sparse(source, target, matrix)

    def blocks(self, source: str, size: int) -> str:
        """A block-diagonal matrix of full blocks into a new population."""
        count = prod(self.shapes[source])
        target = self.neurons(count)
        columns = np.arange(count)[:, None] // size * size + np.arange(size)
        matrix = sparse.csr_matrix((np.ones(count * size, dtype=np.int8), columns.reshape(-1),
                                    np.arange(0, count * size + 1, size)), shape=(count, count))
        return self._sparse(source, target, matrix)

    def _sparse(self, source: str, target: str, matrix: sparse.csr_matrix) -> str:
        matrix.sum_duplicates()
        return self.connect(source, target, SparseSynapse(
            in_shape=self.shapes[source], out_shape=self.shapes[target], data=self.weights(matrix.nnz),
            indices=matrix.indices, indptr=matrix.indptr))

    def conv(self, source: str, channels: int, kernel: int = 3, stride: int = 1, padding: int | None = None,
             groups: int = 1, target: str = "") -> str:
        """A convolution into a population, a new one unless named; as large as the input by default."""
        before = self.shapes[source]
        padding = kernel // 2 if padding is None else padding
        size = tuple((n + 2 * padding - kernel) // stride + 1 for n in before[1:])
        target = target or self.neurons(channels, *size)
        weights = self.weights(channels, before[0] // groups, kernel, kernel)
        return self.connect(source, target, ConvSynapse(
            in_shape=before, out_shape=(channels, *size), kernel=weights, stride=(stride, stride),
            padding=(padding, padding), groups=groups))

    def pool(self, source: str) -> str:
        """A sum over 2 by 2 pixels."""
        channels = self.shapes[source][0]
        return self.conv(source, channels, 2, 2, 0, groups=channels)

    def done(self, *outputs: str) -> HardwareGraph:
        """The graph, read at some populations."""
        for output in outputs:
            name, shape = f"{output}.out", self.shapes[output]
            self.nodes[name], self.shapes[name] = Sink(shape=shape), shape
            self.edges.append(Edge(src=output, dst=name))
        return HardwareGraph(nodes=self.nodes, edges=tuple(self.edges), shapes=self.shapes, dt=1.0,
                             facts=frozenset({Fact.INTEGER, Fact.TIMED, Fact.SHAPES}))


def _mlp(*sizes: int) -> HardwareGraph:
    build = Builder()
    last = build.input(sizes[0])
    for size in sizes[1:]:
        last = build.dense(last, size)
    return build.done(last)


def _recurrent(inputs: int, hidden: int, outputs: int, layers: int = 1) -> HardwareGraph:
    build = Builder()
    last = build.input(inputs)
    for _ in range(layers):
        last = build.dense(last, hidden)
        build.dense(last, target=last)
    return build.done(build.dense(last, outputs))


def _chain(shape: Shape, *layers: tuple[int, ...], dense: tuple[int, ...] = ()) -> HardwareGraph:
    """Convolutions (channels, kernel, stride), then full matrices."""
    build = Builder()
    last = build.input(*shape)
    for channels, kernel, stride in layers:
        last = build.conv(last, channels, kernel, stride)
    for size in dense:
        last = build.dense(last, size)
    return build.done(last)


def _vgg(shape: Shape, *blocks: tuple[int, int], dense: tuple[int, ...]) -> HardwareGraph:
    build = Builder()
    last = build.input(*shape)
    for channels, count in blocks:
        for _ in range(count):
            last = build.conv(last, channels)
        last = build.pool(last)
    for size in dense:
        last = build.dense(last, size)
    return build.done(last)


def _mobile(shape: Shape, *layers: tuple[int, int]) -> HardwareGraph:
    """Depthwise and pointwise convolutions in turn."""
    build = Builder()
    last = build.conv(build.input(*shape), 16, 3, 2)
    for channels, stride in layers:
        last = build.conv(last, build.shapes[last][0], 3, stride, groups=build.shapes[last][0])
        last = build.conv(last, channels, 1)
    return build.done(build.dense(last, 10))


def _residual(shape: Shape, *stages: tuple[int, int]) -> HardwareGraph:
    """Blocks of two convolutions with a way around them."""
    build = Builder()
    last = build.conv(build.input(*shape), stages[0][0])
    for channels, count in stages:
        for block in range(count):
            stride = 2 if block == 0 and build.shapes[last][0] != channels else 1
            first = build.conv(last, channels, 3, stride)
            second = build.conv(first, channels)
            build.conv(last, channels, 1, stride, 0, target=second)
            last = second
    return build.done(build.dense(last, 10))


def _unet() -> HardwareGraph:
    build = Builder()
    one = build.conv(build.input(2, 64, 64), 16)
    two = build.conv(one, 32, 3, 2)
    three = build.conv(two, 64, 3, 2)
    bottom = build.conv(three, 64)
    build.conv(bottom, 64, 1, target=three)
    up = build.conv(two, 16)
    build.dense(bottom, 16, target=build.dense(up, 64))
    return build.done(build.conv(one, 2, 1), up)


def _reservoir(inputs: int, count: int, density: float) -> HardwareGraph:
    build = Builder()
    hidden = build.sparse(build.input(inputs), count, 0.1)
    build.sparse(hidden, density=density, target=hidden)
    return build.done(build.dense(hidden, 10))


def _ring(count: int) -> HardwareGraph:
    build = Builder()
    source = build.input(256)
    ring = build.sparse(source, count, 0.02)
    build.local(ring, ring, 400, 40)
    return build.done(build.dense(ring, 4))


def _many_small() -> HardwareGraph:
    """Sixty small populations, each feeding three others."""
    build = Builder()
    source = build.input(32)
    names = [build.neurons(int(n)) for n in build.rng.integers(10, 120, 60)]
    build.dense(source, target=names[0])
    for place, name in enumerate(names[1:], 1):
        build.dense(names[place - 1], target=name)
    for place, name in enumerate(names):
        for other in build.rng.choice(len(names), 2, replace=False):
            if other != place:
                build.dense(name, target=names[int(other)])
    return build.done(names[-1])


def _mixed() -> HardwareGraph:
    """A convolutional front end, and a recurrent population behind it."""
    build = Builder()
    last = build.conv(build.conv(build.conv(build.input(2, 64, 64), 16, 5, 2), 32, 3, 2), 32, 3, 2)
    hidden = build.dense(last, 512)
    build.dense(hidden, target=hidden)
    return build.done(build.dense(hidden, 11))


def _blocks() -> HardwareGraph:
    build = Builder()
    last = build.dense(build.input(128), 8192)
    for _ in range(3):
        last = build.blocks(last, 256)
    return build.done(build.dense(last, 16))


NETWORKS: dict[str, Callable[[], HardwareGraph]] = {
    "mlp 64-32-10": lambda: _mlp(64, 32, 10),
    "mlp 784-128-64-10": lambda: _mlp(784, 128, 64, 10),
    "mlp 784-512-512-10": lambda: _mlp(784, 512, 512, 10),
    "autoencoder 640-512-128-8": lambda: _mlp(640, 512, 128, 8, 128, 512, 640),
    "mlp 1024-4096-4096-1000": lambda: _mlp(1024, 4096, 4096, 1000),
    "recurrent 700-512-20": lambda: _recurrent(700, 512, 20),
    "recurrent 256-1024-1024-35": lambda: _recurrent(256, 1024, 35, layers=2),
    "recurrent 128-4096-10": lambda: _recurrent(128, 4096, 10),
    "reservoir 4096, 5 %": lambda: _reservoir(64, 4096, 0.05),
    "reservoir 20000, 0.5 %": lambda: _reservoir(64, 20000, 0.005),
    "ring of 30000": lambda: _ring(30000),
    "sixty small populations": _many_small,
    "block-dense 8192": _blocks,
    "lenet": lambda: _vgg((1, 28, 28), (6, 1), (16, 1), dense=(120, 84, 10)),
    "gesture 128x128": lambda: _chain((2, 128, 128), (16, 5, 4), (32, 3, 2), (64, 3, 2), dense=(256, 11)),
    "conv and recurrent": _mixed,
    "unet 64x64": _unet,
    "mobilenet 96x96": lambda: _mobile((3, 96, 96), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1)),
    "residual 32x32": lambda: _residual((3, 32, 32), (32, 2), (64, 2), (128, 2)),
    "vgg 64x64": lambda: _vgg((3, 64, 64), (64, 2), (128, 2), (256, 2), (512, 2), dense=(1024, 200)),
}
