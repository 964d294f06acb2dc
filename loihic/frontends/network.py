"""NetworkBuilder: source graphs of networks without spikes, as readers of ONNX and PyTorch graphs build them.

Shapes are without the batch dimension and known throughout; everything linear becomes a Matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from scipy import sparse

from loihic.ir.graph import Edge, SourceGraph
from loihic.ir.linear import ConvMap, DenseMap, IdentityMap, LinearMap, SparseMap, from_csr, selection
from loihic.ir.node import Array, Shape, ShapeError, SourceNode
from loihic.ops.matrix import Matrix
from loihic.ops.ports import Input, Output
from loihic.ops.window_max import WindowMax, pool_windows

Pads = tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A tensor of the network: the node that gives it, and its shape without the batch."""

    node: str
    shape: Shape


class NetworkBuilder:
    """Collects nodes and edges; every method returns the new value.

    `label` is the name in the user's file; where it is taken, a number follows it.

    Raises:
        ShapeError: from every method, where operands do not fit.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, SourceNode] = {}
        self._edges: list[Edge] = []
        self._numbers: dict[str, int] = {}

    def input(self, label: str, shape: Shape) -> Value:
        """A graph input of `shape`."""
        return self._placed(label, Input(origins=(label,), shape=shape), (), shape)

    def output(self, label: str, value: Value, *, scale: Array | float = 1.0, offset: Array | float = 0.0) -> None:
        """A graph output: value / scale + offset (for the integers of a final quantiser: its scale and zero point)."""
        node = Output(origins=(label,), shape=value.shape, scale=np.asarray(scale, dtype=np.float64),
                      offset=np.asarray(offset, dtype=np.float64))
        self._placed(label, node, (value,), value.shape)

    def add(self, node: SourceNode, value: Value, label: str) -> Value:
        """Any node with one input, such as a Relu or a Quantiser."""
        return self._placed(label, node, (value,), node.output_shape(value.shape))

    def linear(self, value: Value, linear: LinearMap, label: str, *, bias: Array | None = None,
               unit: Array | None = None) -> Value:
        """y = A x + b; see `Matrix` for `bias` and `unit`."""
        return self.add(Matrix(origins=(label,), linear=linear, bias=bias, unit=unit), value, label)

    def scaled(self, value: Value, gain: Array | float, shift: Array | float, label: str) -> Value:
        """gain x + shift, element by element; both broadcast to the value's shape."""
        shape = value.shape
        factors, constant = np.asarray(gain, dtype=np.float64), np.asarray(shift, dtype=np.float64)
        for name, array in (("factor", factors), ("constant", constant)):
            if _broadcast(array.shape, shape) != shape:
                raise ShapeError(f"the {name} has shape {array.shape}, the input {shape}")
        identity = IdentityMap(in_shape=shape, out_shape=shape)
        linear = identity if np.all(factors == 1.0) else identity.scaled(factors)
        return self.linear(value, linear, label, bias=constant if np.any(constant) else None)

    def conv(self, value: Value, kernel: Array, label: str, *, bias: Array | None = None, unit: Array | None = None,
             stride: Sequence[int] = (1, 1), pads: Pads = ((0, 0), (0, 0)), dilation: Sequence[int] = (1, 1),
             groups: int = 1) -> Value:
        """A cross-correlation in one or two dimensions.

        Args:
            value: (C, *spatial).
            kernel: (C_out, C / groups, *sizes).
            label: its name.
            bias: (C_out,), or a number.
            unit: likewise; see `Matrix`.
            stride: per spatial dimension.
            dilation: per spatial dimension.
            pads: zeros before and after, per spatial dimension.
            groups: of channels.
        """
        rank = len(value.shape) - 1
        if rank not in (1, 2) or kernel.ndim != rank + 2:
            raise ShapeError(f"a kernel of shape {kernel.shape} does not fit an input of shape {value.shape}")
        lead: Shape = (1,) * (2 - rank)
        channels, *sizes = value.shape
        full: Shape = (channels, *lead, *sizes)
        weight = kernel.reshape(*kernel.shape[:2], *lead, *kernel.shape[2:]).astype(np.float64)
        both = {"stride": (*lead, *stride), "dilation": (*lead, *dilation)}
        rims = (*(((0, 0),) * len(lead)), *pads)
        if groups < 1 or weight.shape[1] * groups != channels or len(weight) % groups:
            raise ShapeError(f"a kernel of shape {kernel.shape} with {groups} groups does not fit {value.shape}")
        out = tuple((full[1 + a] + sum(rims[a]) - both["dilation"][a] * (weight.shape[2 + a] - 1) - 1)
                    // both["stride"][a] + 1 for a in range(2))
        if min(out) < 1:
            raise ShapeError(f"the kernel {kernel.shape[2:]} is larger than the padded input {value.shape}")
        linear: LinearMap = ConvMap(
            in_shape=full, out_shape=(len(weight), *out), kernel=weight, stride=_pair(both["stride"]),
            pads=(rims[0], rims[1]), dilation=_pair(both["dilation"]), groups=groups)
        if rank == 1:
            linear = linear.reshaped(in_shape=value.shape, out_shape=(len(weight), out[1]))
        return self.linear(value, linear, label, bias=_per_channel(bias, rank), unit=_per_channel(unit, rank))

    def matmul(self, value: Value, weight: Array, label: str, *, bias: Array | None = None,
               unit: Array | None = None) -> Value:
        """x W over the last dimension: `weight` (n_in, n_out); `bias` and `unit` (n_out,) or numbers."""
        *lead, width = value.shape
        if weight.ndim != 2 or weight.shape[0] != width:
            raise ShapeError(f"weights of shape {weight.shape} do not fit an input of shape {value.shape}")
        matrix = np.ascontiguousarray(weight.T, dtype=np.float64)
        out: Shape = (*lead, len(matrix))
        linear: LinearMap
        if prod(lead) == 1:
            linear = DenseMap(in_shape=value.shape, out_shape=out, matrix=matrix)
        else:
            whole = sparse.kron(sparse.identity(prod(lead)), sparse.csr_matrix(matrix), format="csr")
            linear = from_csr(whole, value.shape, out)
        return self.linear(value, linear, label, bias=bias, unit=unit)

    def move(self, value: Value, index: Array, label: str) -> Value:
        """Elements moved: out[i] = x.flat[index[i]], 0 where the index is -1; `index` has the output's shape."""
        linear = selection(value.shape, index)
        return self.linear(value, linear, label, unit=np.ones(()))

    def sum(self, values: Sequence[Value], label: str) -> Value:
        """Values of one shape added up."""
        shape = values[0].shape
        if any(other.shape != shape for other in values):
            raise ShapeError(f"the operands have the shapes {', '.join(str(v.shape) for v in values)}")
        ways: list[Value] = []
        for value in values:  # a value added to itself needs two ways, since edges are a set
            twice = any(value.node == other.node for other in ways)
            ways.append(self.scaled(value, 1.0, 0.0, label) if twice else value)
        node = Matrix(origins=(label,), linear=IdentityMap(in_shape=shape, out_shape=shape), unit=np.ones(()))
        return self._placed(label, node, tuple(ways), shape)

    def concat(self, values: Sequence[Value], axis: int, label: str) -> Value:
        """Values side by side along a dimension (of the shape without batch)."""
        shapes = [value.shape for value in values]
        if len({(*s[:axis], *s[axis + 1 :]) for s in shapes}) > 1 or any(axis >= len(s) for s in shapes):
            raise ShapeError(f"the operands have the shapes {', '.join(map(str, shapes))}")
        parts, start = [], 0
        total: Shape = (*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :])
        for value in values:
            index = np.full(total, -1, dtype=np.int64)
            place = (*(slice(None),) * axis, slice(start, start + value.shape[axis]))
            index[place] = np.arange(prod(value.shape)).reshape(value.shape)
            parts.append(self.move(value, index, label))
            start += value.shape[axis]
        return self.sum(parts, label)

    def average_pool(self, value: Value, label: str, *, kernel: Sequence[int], stride: Sequence[int], pads: Pads,
                     include_padding: bool = True, ceil: bool = False) -> Value:
        """Averages over windows of (C, *spatial); the weights are 1 / n, n the size of the window.

        Args:
            value: (C, *spatial).
            label: its name.
            kernel: sizes of a window.
            stride: per spatial dimension.
            pads: before and after, per spatial dimension.
            include_padding: whether zeros of the padding count in n.
            ceil: whether a last window that begins inside counts although it ends outside.
        """
        shape = value.shape
        plain = not ceil and (include_padding or not any(side for pair in pads for side in pair))
        if plain and len(shape) == 3:
            weight = np.full((shape[0], 1, *kernel), 1.0 / prod(kernel))
            return self.conv(value, weight, label, stride=stride, pads=pads, groups=shape[0],
                             unit=np.asarray(1.0 / prod(kernel)))
        linear, counts = _averages(shape, kernel, stride, pads, include_padding=include_padding, ceil=ceil)
        return self.linear(value, linear, label, unit=1.0 / counts)

    def max_pool(self, value: Value, label: str, *, kernel: Sequence[int], stride: Sequence[int], pads: Pads,
                 dilation: Sequence[int], ceil: bool = False) -> Value:
        """Maxima over windows of (C, *spatial); padding is never the greatest."""
        windows = pool_windows(value.shape, tuple(kernel), tuple(stride), pads, tuple(dilation), ceil=ceil)
        node = WindowMax(origins=(label,), in_shape=value.shape, shape=windows.shape[:-1], windows=windows)
        return self.add(node, value, label)

    def graph(self) -> SourceGraph:
        """What was built, nodes that lead to no output left out."""
        wanted = [name for name, node in self._nodes.items() if isinstance(node, Output)]
        kept = set(wanted)
        while wanted:
            name = wanted.pop()
            fresh = [edge.src for edge in self._edges if edge.dst == name and edge.src not in kept]
            kept.update(fresh)
            wanted += fresh
        nodes = {name: node for name, node in self._nodes.items() if name in kept or isinstance(node, Input)}
        return SourceGraph(nodes=nodes, edges=tuple(e for e in self._edges if e.src in nodes and e.dst in nodes))

    def _placed(self, label: str, node: SourceNode, feeds: Sequence[Value], shape: Shape) -> Value:
        name, count = label, self._numbers.get(label, 1)
        while name in self._nodes:
            count += 1
            name = f"{label}#{count}"
        self._numbers[label] = count
        self._nodes[name] = node
        self._edges += [Edge(src=value.node, dst=name) for value in feeds]
        return Value(node=name, shape=shape)


def _averages(shape: Shape, kernel: Sequence[int], stride: Sequence[int], pads: Pads, *, include_padding: bool,
              ceil: bool) -> tuple[LinearMap, Array]:
    """An average pooling as a sparse matrix, and the number of elements in each window, (C, *out)."""
    axes = []
    for size, width, step, (before, after) in zip(shape[1:], kernel, stride, pads, strict=True):
        free = size + before + after - width
        count = (-(-free // step) if ceil else free // step) + 1
        if ceil and (count - 1) * step >= size + before:
            count -= 1
        if count < 1:
            raise ShapeError(f"a window of {tuple(kernel)} does not fit the input {shape}")
        place = np.arange(count)[:, None] * step - before + np.arange(width)[None, :]
        inside = (place >= 0) & (place < size)
        counted = (place < size + after) if include_padding else inside
        rows = np.repeat(np.arange(count), width)[inside.reshape(-1)]
        one = sparse.csr_matrix((np.ones(len(rows)), (rows, place[inside])), shape=(count, size))
        axes.append((one, counted.sum(axis=1)))
    matrix, counts = sparse.identity(shape[0], format="csr"), np.ones(shape[0])
    for one, number in axes:
        matrix = sparse.kron(matrix, one, format="csr")
        counts = np.multiply.outer(counts, number)
    if not counts.all():
        raise ShapeError(f"a window of {tuple(kernel)} lies in the padding altogether")
    weights = sparse.csr_matrix(sparse.diags(1.0 / counts.reshape(-1)) @ matrix)
    return SparseMap(in_shape=shape, out_shape=counts.shape, matrix=weights), counts


def _per_channel(values: Array | None, rank: int) -> Array | None:
    return values if values is None or values.size == 1 else values.reshape(-1, *[1] * rank)


def _pair(values: Sequence[int]) -> tuple[int, int]:
    return int(values[0]), int(values[1])


def _broadcast(first: Shape, second: Shape) -> Shape | None:
    try:
        return np.broadcast_shapes(first, second)
    except ValueError:
        return None
