"""Linear maps between arrays: apply, compose, add, scale rows. What Affine, Conv2d, pools and Scale all are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from scipy import sparse

from loihic.ir.node import Array, Shape, ShapeError


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearMap(ABC):
    """y = A x, from arrays of `in_shape` to arrays of `out_shape`."""

    in_shape: Shape
    out_shape: Shape

    @abstractmethod
    def apply(self, x: Array) -> Array:
        """A x for a batch: (N, *in_shape) to (N, *out_shape)."""

    @abstractmethod
    def to_csr(self) -> sparse.csr_matrix:
        """The matrix (prod(out_shape), prod(in_shape)), zeros left out."""

    @abstractmethod
    def scaled(self, rows: Array) -> LinearMap:
        """diag(rows) A, with `rows` of `out_shape` (or broadcastable to it)."""

    @property
    def is_identity(self) -> bool:
        """Whether the map only moves data."""
        return False

    def reshaped(self, *, in_shape: Shape | None = None, out_shape: Shape | None = None) -> LinearMap:
        """The same matrix between arrays of other shapes with as many elements."""
        return as_matrix(self).reshaped(in_shape=in_shape, out_shape=out_shape)

    def row_bounds(self, low: Array | float, high: Array | float) -> tuple[Array, Array]:
        """Least and greatest A x per output for low <= x <= high (scalars or arrays of `in_shape`)."""
        matrix = self.to_csr()
        positive, negative = matrix.maximum(0), matrix.minimum(0)
        low_x = np.broadcast_to(np.asarray(low, dtype=float), self.in_shape).ravel()
        high_x = np.broadcast_to(np.asarray(high, dtype=float), self.in_shape).ravel()
        least = positive @ low_x + negative @ high_x
        most = positive @ high_x + negative @ low_x
        return np.asarray(least).reshape(self.out_shape), np.asarray(most).reshape(self.out_shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class IdentityMap(LinearMap):
    """y = x, possibly of another shape (Flatten)."""

    def apply(self, x: Array) -> Array:
        return x.reshape(x.shape[0], *self.out_shape)

    def to_csr(self) -> sparse.csr_matrix:
        return sparse.identity(prod(self.in_shape), format="csr")

    @property
    def is_identity(self) -> bool:
        return True

    def scaled(self, rows: Array) -> LinearMap:
        full = np.broadcast_to(rows, self.out_shape).ravel()
        return SparseMap(in_shape=self.in_shape, out_shape=self.out_shape, matrix=sparse.diags(full, format="csr"))

    def reshaped(self, *, in_shape: Shape | None = None, out_shape: Shape | None = None) -> LinearMap:
        return replace(self, in_shape=in_shape or self.in_shape, out_shape=out_shape or self.out_shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class DenseMap(LinearMap):
    """A full matrix, (prod(out_shape), prod(in_shape))."""

    matrix: Array

    def apply(self, x: Array) -> Array:
        return np.asarray(x.reshape(x.shape[0], -1) @ self.matrix.T).reshape(x.shape[0], *self.out_shape)

    def to_csr(self) -> sparse.csr_matrix:
        return sparse.csr_matrix(self.matrix)

    def scaled(self, rows: Array) -> LinearMap:
        full = np.broadcast_to(rows, self.out_shape).reshape(-1, 1)
        return replace(self, matrix=self.matrix * full)

    def reshaped(self, *, in_shape: Shape | None = None, out_shape: Shape | None = None) -> LinearMap:
        return replace(self, in_shape=in_shape or self.in_shape, out_shape=out_shape or self.out_shape)

    def row_bounds(self, low: Array | float, high: Array | float) -> tuple[Array, Array]:
        positive, negative = np.maximum(self.matrix, 0), np.minimum(self.matrix, 0)
        low_x = np.broadcast_to(np.asarray(low, dtype=float), self.in_shape).ravel()
        high_x = np.broadcast_to(np.asarray(high, dtype=float), self.in_shape).ravel()
        least, most = positive @ low_x + negative @ high_x, positive @ high_x + negative @ low_x
        return least.reshape(self.out_shape), most.reshape(self.out_shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class SparseMap(LinearMap):
    """A sparse matrix in CSR form, columns in order.

    scipy sorts columns in place when it first needs them so, and with them the weights, under the feet of whoever
    shares the arrays; here they are in order from the start.
    """

    matrix: sparse.csr_matrix

    def __post_init__(self) -> None:
        if not self.matrix.has_canonical_format:
            matrix = self.matrix.copy()
            matrix.sum_duplicates()
            object.__setattr__(self, "matrix", matrix)

    def apply(self, x: Array) -> Array:
        flat = x.reshape(x.shape[0], -1)
        return np.asarray((self.matrix @ flat.T).T).reshape(x.shape[0], *self.out_shape)

    def to_csr(self) -> sparse.csr_matrix:
        return self.matrix

    def scaled(self, rows: Array) -> LinearMap:
        full = np.broadcast_to(rows, self.out_shape).ravel()
        return replace(self, matrix=sparse.csr_matrix(sparse.diags(full) @ self.matrix))

    def reshaped(self, *, in_shape: Shape | None = None, out_shape: Shape | None = None) -> LinearMap:
        return replace(self, in_shape=in_shape or self.in_shape, out_shape=out_shape or self.out_shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class ConvMap(LinearMap):
    """A two-dimensional cross-correlation (as PyTorch's Conv2d); shapes are (C, H, W).

    Attributes:
        kernel: (C_out, C_in / groups, KH, KW).
        pads: ((top, bottom), (left, right)) zeros around the input.
    """

    kernel: Array
    stride: tuple[int, int] = (1, 1)
    pads: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def apply(self, x: Array) -> Array:
        return convolve(x, self.kernel, self.stride, self.pads, self.dilation, self.groups)

    def to_csr(self) -> sparse.csr_matrix:
        channels, height, width = self.in_shape
        out_channels, out_h, out_w = self.out_shape
        group_in, kh, kw = self.kernel.shape[1:]
        group_out = out_channels // self.groups
        o, i, ky, kx, y, x = np.ogrid[:out_channels, :group_in, :kh, :kw, :out_h, :out_w]
        row = y * self.stride[0] + ky * self.dilation[0] - self.pads[0][0]
        col = x * self.stride[1] + kx * self.dilation[1] - self.pads[1][0]
        channel = (o // group_out) * group_in + i
        source = (channel * height + row) * width + col
        target = (o * out_h + y) * out_w + x
        inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
        full = np.broadcast_shapes(source.shape, target.shape)
        weight = self.kernel[:, :, :, :, None, None]
        keep = np.broadcast_to(inside & (weight != 0), full)
        data = np.broadcast_to(weight, full)[keep]
        place = (np.broadcast_to(target, full)[keep], np.broadcast_to(source, full)[keep])
        size = (prod(self.out_shape), channels * height * width)
        return sparse.coo_matrix((data, place), shape=size).tocsr()

    def scaled(self, rows: Array) -> LinearMap:
        full = np.broadcast_to(rows, self.out_shape)
        channel = full[:, :1, :1]
        if np.array_equal(full, np.broadcast_to(channel, self.out_shape)):
            return replace(self, kernel=self.kernel * channel[..., None])
        return as_matrix(self).scaled(full)

    def row_bounds(self, low: Array | float, high: Array | float) -> tuple[Array, Array]:
        ends = np.stack([np.broadcast_to(np.asarray(end, dtype=float), self.in_shape) for end in (low, high)])
        above = replace(self, kernel=np.maximum(self.kernel, 0)).apply(ends)
        below = replace(self, kernel=np.minimum(self.kernel, 0)).apply(ends)
        return above[0] + below[1], above[1] + below[0]


def convolve(x: Array, kernel: Array, stride: tuple[int, int], pads: tuple[tuple[int, int], tuple[int, int]],
             dilation: tuple[int, int], groups: int) -> Array:
    """Cross-correlate a batch (N, C, H, W) with a kernel (C_out, C/groups, KH, KW); computed in float64.

    float64 is exact for integers as long as the sum of absolute products stays below 2**53.
    """
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    kh, kw = kernel.shape[2:]
    span = (dilation[0] * (kh - 1) + 1, dilation[1] * (kw - 1) + 1)
    windows: Array = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(2, 3))  # type: ignore[call-overload]
    windows = windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    batch, channels, out_h, out_w = windows.shape[:4]
    columns = windows.reshape(batch, groups, channels // groups, out_h, out_w, kh, kw)
    columns = columns.transpose(1, 0, 3, 4, 2, 5, 6).reshape(groups, batch * out_h * out_w, -1)
    flat = kernel.reshape(groups, kernel.shape[0] // groups, -1).transpose(0, 2, 1)
    out: Array = np.matmul(columns.astype(np.float64, copy=False), flat.astype(np.float64, copy=False))
    ordered = out.reshape(groups, batch, out_h, out_w, -1).transpose(1, 0, 4, 2, 3)
    return ordered.reshape(batch, -1, out_h, out_w)


DENSE_FROM = 0.3  # stored as a full matrix from this share of non-zeros: about where a sparse synapse takes more bits


def as_matrix(linear: LinearMap) -> LinearMap:
    """The map as a dense or sparse matrix, whichever its share of non-zeros suggests."""
    if isinstance(linear, DenseMap | SparseMap):
        return linear
    return from_csr(linear.to_csr(), linear.in_shape, linear.out_shape)


def from_csr(matrix: sparse.spmatrix, in_shape: Shape, out_shape: Shape) -> LinearMap:
    """A dense or sparse map from a scipy matrix."""
    rows, cols = matrix.shape
    if matrix.nnz >= DENSE_FROM * rows * cols:
        return DenseMap(in_shape=in_shape, out_shape=out_shape, matrix=matrix.toarray())
    return SparseMap(in_shape=in_shape, out_shape=out_shape, matrix=sparse.csr_matrix(matrix))


def compose(outer: LinearMap, inner: LinearMap) -> LinearMap:
    """x -> outer(inner(x)), keeping a convolution a convolution where that is exact."""
    if prod(inner.out_shape) != prod(outer.in_shape):
        raise ShapeError(f"{inner.out_shape} does not fit {outer.in_shape}")
    if inner.is_identity and inner.in_shape == outer.in_shape:
        return outer
    if outer.is_identity and outer.out_shape == inner.out_shape:
        return inner
    if inner.is_identity:
        return outer.reshaped(in_shape=inner.in_shape)
    if outer.is_identity:
        return inner.reshaped(out_shape=outer.out_shape)
    if isinstance(outer, ConvMap) and isinstance(inner, ConvMap):
        joined = _join_pool(outer, inner)
        if joined is not None:
            return joined
    if outer.in_shape == outer.out_shape == inner.out_shape and (factors := diagonal(outer)) is not None:
        return inner.scaled(factors)
    if inner.in_shape == inner.out_shape == outer.in_shape and (factors := diagonal(inner)) is not None:
        return columns_scaled(outer, factors)
    left, right = as_matrix(outer), as_matrix(inner)
    if isinstance(left, DenseMap) and isinstance(right, DenseMap):
        return DenseMap(in_shape=inner.in_shape, out_shape=outer.out_shape, matrix=left.matrix @ right.matrix)
    return from_csr(sparse.csr_matrix(left.to_csr() @ right.to_csr()), inner.in_shape, outer.out_shape)


def diagonal(linear: LinearMap) -> Array | None:
    """The factor of each output, (*out_shape), of a map that scales element by element; None for any other."""
    if not isinstance(linear, SparseMap):
        return None
    matrix, size = linear.matrix, prod(linear.out_shape)
    rows = np.repeat(np.arange(size), np.diff(matrix.indptr))  # a factor of 0 may not be stored
    if matrix.shape != (size, size) or not np.array_equal(matrix.indices, rows):
        return None
    return np.asarray(matrix.diagonal()).reshape(linear.out_shape)


def columns_scaled(linear: LinearMap, columns: Array) -> LinearMap:
    """x -> A (columns x), element by element; `columns` is a number or has the map's in_shape.

    A convolution stays one for one number per channel.
    """
    if columns.size == 1:
        return linear if np.all(columns == 1.0) else linear.scaled(columns.reshape(()))
    if isinstance(linear, ConvMap) and np.all(columns == columns[:, :1, :1]):
        of_group = np.repeat(columns[:, 0, 0].reshape(linear.groups, -1), len(linear.kernel) // linear.groups, axis=0)
        return replace(linear, kernel=linear.kernel * of_group[:, :, None, None])
    linear = as_matrix(linear)
    if isinstance(linear, DenseMap):
        return replace(linear, matrix=linear.matrix * columns.reshape(1, -1))
    assert isinstance(linear, SparseMap)
    return replace(linear, matrix=sparse.csr_matrix(linear.matrix @ sparse.diags(columns.reshape(-1))))


def selection(in_shape: Shape, index: Array) -> LinearMap:
    """A map that only moves data: out[i] = in.flat[index[i]], or 0 where the index is -1.

    Args:
        in_shape: of what is moved.
        index: flat indices, of the output's shape.
    """
    flat, size = index.reshape(-1), prod(in_shape)
    if flat.size == size and np.array_equal(flat, np.arange(size)):
        return IdentityMap(in_shape=in_shape, out_shape=index.shape)
    kept = flat >= 0
    ends = np.concatenate([[0], np.cumsum(kept)])
    matrix = sparse.csr_matrix((np.ones(int(ends[-1])), flat[kept], ends), shape=(flat.size, size))
    return SparseMap(in_shape=in_shape, out_shape=index.shape, matrix=matrix)


def add(first: LinearMap, second: LinearMap) -> LinearMap:
    """x -> first(x) + second(x)."""
    for conv, other in ((first, second), (second, first)):
        if isinstance(conv, ConvMap) and (joined := _with_skip(conv, other)) is not None:
            return joined
    total = sparse.csr_matrix(first.to_csr() + second.to_csr())
    return from_csr(total, first.in_shape, first.out_shape)


def _with_skip(conv: ConvMap, other: LinearMap) -> ConvMap | None:
    """A convolution and its input, scaled channel by channel, added up: one convolution; None where it is none.

    The input is what a kernel with a single weight in its middle gives, if the middle lies on the pixel itself.
    """
    factors = np.ones(other.out_shape) if other.is_identity else diagonal(other)
    channels = conv.kernel.shape[0]
    middle = tuple((size - 1) // 2 for size in conv.kernel.shape[2:])
    in_place = conv.stride == (1, 1) and conv.in_shape == conv.out_shape == other.in_shape == other.out_shape and all(
        size % 2 == 1 and low == high == spread * half
        for size, half, spread, (low, high) in zip(
            conv.kernel.shape[2:], middle, conv.dilation, conv.pads, strict=True))
    if factors is None or not in_place or not np.array_equal(
            factors, np.broadcast_to(factors[:, :1, :1], factors.shape)):
        return None
    kernel = conv.kernel.astype(np.float64)
    output = np.arange(channels)
    kernel[output, output % conv.kernel.shape[1], middle[0], middle[1]] += factors[:, 0, 0]
    return replace(conv, kernel=kernel)


def _join_pool(conv: ConvMap, pool: ConvMap) -> ConvMap | None:
    """A convolution after a depthwise one with a single shared kernel, as one convolution; None if not exact.

    A window of the convolution over the pooled map is a window over the unpooled one, `stride` times as wide:
    W'[o, i, s*ky + py, s*kx + px] = W[o, i, ky, kx] * P[py, px]. Padding of the pooled map stays padding only if
    every padded pixel's window lies outside the unpooled map, hence the conditions.
    """
    first = pool.kernel[:1]
    if pool.out_shape[0] != pool.in_shape[0]:
        return None
    if pool.groups != pool.in_shape[0] or not np.array_equal(pool.kernel, np.broadcast_to(first, pool.kernel.shape)):
        return None
    if conv.dilation != (1, 1) or pool.dilation != (1, 1) or pool.pads != ((0, 0), (0, 0)):
        return None
    sizes = pool.kernel.shape[2:]
    padded = any(side for pair in conv.pads for side in pair)
    whole = all(pool.in_shape[1 + a] == pool.out_shape[1 + a] * pool.stride[a] for a in range(2))
    if padded and not (whole and sizes == pool.stride):
        return None
    (sy, sx), (py, px) = pool.stride, sizes
    o, i, kh, kw = conv.kernel.shape
    kernel = np.zeros((o, i, (kh - 1) * sy + py, (kw - 1) * sx + px), dtype=conv.kernel.dtype)
    for y in range(kh):
        for x in range(kw):
            kernel[:, :, y * sy : y * sy + py, x * sx : x * sx + px] += conv.kernel[:, :, y, x, None, None] * first[0]
    (top, bottom), (left, right) = conv.pads
    return ConvMap(
        in_shape=pool.in_shape, out_shape=conv.out_shape, kernel=kernel,
        stride=(conv.stride[0] * sy, conv.stride[1] * sx),
        pads=((top * sy, bottom * sy), (left * sx, right * sx)), groups=conv.groups)
