"""Operators of PyTorch that answer with averages, sums or maxima of windows."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from scipy import sparse

from loihic.frontends.network import Pads, Value
from loihic.frontends.torch_site import Site
from loihic.frontends.torch_table import torch_op
from loihic.frontends.torch_values import Signal, Tensor, UnsupportedError, numbers, signal_of
from loihic.ir.linear import from_csr
from loihic.ir.node import Array, Shape, ShapeError
from loihic.ops.window_max import WindowMax

Numbers = int | Sequence[int]


@torch_op("aten.avg_pool1d", "aten.avg_pool2d")
def avg_pool(site: Site, self: Tensor, kernel_size: Numbers, stride: Numbers = (), padding: Numbers = 0,
             ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None) -> Value:
    """Averages over windows."""
    x, rank = _spatial(site, self)
    kernel = numbers(kernel_size, rank)
    steps, pads = _windows(site, x, kernel, stride, padding)
    counted = count_include_pad and divisor_override is None
    pooled = site.builder.average_pool(
        x.value, site.label, kernel=kernel, stride=steps, pads=pads,
        include_padding=counted, ceil=ceil_mode)
    if divisor_override is None or (divisor_override == prod(kernel) and not ceil_mode and not np.any(pads)):
        return pooled
    raise UnsupportedError("it divides by a number of its own", "leave out divisor_override")


@torch_op("aten.adaptive_avg_pool1d", "aten.adaptive_avg_pool2d", "aten._adaptive_avg_pool2d")
def adaptive_avg_pool(site: Site, self: Tensor, output_size: Numbers) -> Value:
    """Averages over windows that cover the input whatever its size."""
    x, rank = _spatial(site, self)
    sizes = site.shape()[1:]
    if all(before % after == 0 for before, after in zip(x.shape[1:], sizes, strict=True)):
        kernel = tuple(before // after for before, after in zip(x.shape[1:], sizes, strict=True))
        return site.builder.average_pool(x.value, site.label, kernel=kernel, stride=kernel, pads=((0, 0),) * rank)
    matrix, counts = sparse.identity(x.shape[0], format="csr"), np.ones(x.shape[0])
    for axis in _adaptive(site, x, sizes):
        rows = np.repeat(np.arange(len(axis)), [len(window) for window in axis])
        one = sparse.csr_matrix((np.ones(len(rows)), (rows, np.concatenate(axis))))
        matrix = sparse.kron(matrix, one, format="csr")
        counts = np.multiply.outer(counts, [len(window) for window in axis])
    weights = sparse.csr_matrix(sparse.diags(1.0 / counts.reshape(-1)) @ matrix)
    return site.builder.linear(x.value, from_csr(weights, x.shape, counts.shape), site.label, unit=1.0 / counts)


def _windows(site: Site, x: Signal, kernel: tuple[int, ...], stride: Numbers,
             padding: Numbers) -> tuple[tuple[int, ...], Pads]:
    """Steps and padding of windows; without steps, one window begins where the last one ends."""
    sides = numbers(padding, len(kernel))
    steps = kernel if not isinstance(stride, int) and not len(stride) else numbers(stride, len(kernel))
    site.budget.spend(prod(site.shape()) * prod(kernel))
    site.budget.spend(sum((size + 2 * side) * width
                          for size, side, width in zip(x.shape[1:], sides, kernel, strict=True)))
    if min(*sides, *(width - 1 for width in kernel), *(step - 1 for step in steps)) < 0:
        raise ShapeError(f"windows of {kernel}, {steps} apart, with a padding of {sides} make no sense")
    return steps, tuple((side, side) for side in sides)


def _adaptive(site: Site, x: Signal, sizes: Shape) -> list[list[Array]]:
    """The windows along each axis: from floor(i n / m) to ceil((i + 1) n / m)."""
    axes = [[np.arange(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
            for n, m in zip(x.shape[1:], sizes, strict=True)]
    site.budget.spend(x.shape[0] * prod(sum(map(len, axis)) for axis in axes))
    return axes


@torch_op("aten.max_pool1d", "aten.max_pool2d", integers=True)
def max_pool(site: Site, self: Tensor, kernel_size: Numbers, stride: Numbers = (), padding: Numbers = 0,
             dilation: Numbers = 1, ceil_mode: bool = False) -> Signal:
    """Maxima over windows."""
    x, rank = _spatial(site, self)
    kernel = numbers(kernel_size, rank)
    steps, pads = _windows(site, x, kernel, stride, padding)
    return _like(x, site.builder.max_pool(x.value, site.label, kernel=kernel, stride=steps, pads=pads,
                                          dilation=numbers(dilation, rank), ceil=ceil_mode))


@torch_op("aten.max_pool1d_with_indices", "aten.max_pool2d_with_indices", integers=True)
def max_pool_with_indices(site: Site, self: Tensor, kernel_size: Numbers, stride: Numbers = (), padding: Numbers = 0,
                          dilation: Numbers = 1, ceil_mode: bool = False) -> list[Signal | None]:
    """The same as core ATen has it; the indices are for training."""
    return [max_pool(site, self, kernel_size, stride, padding, dilation, ceil_mode), None]


@torch_op("aten.adaptive_max_pool1d", "aten.adaptive_max_pool2d", integers=True)
def adaptive_max_pool(site: Site, self: Tensor, output_size: Numbers) -> list[Signal | None]:
    """Maxima over windows that cover the input whatever its size."""
    x, rank = _spatial(site, self)
    axes = _adaptive(site, x, site.shape()[1:])
    index = np.arange(prod(x.shape)).reshape(x.shape)
    for axis, windows in enumerate(axes):  # each axis of the input becomes one of windows, and a last one of elements
        longest = max(map(len, windows))
        places = np.array([np.pad(window, (0, longest - len(window)), mode="edge") for window in windows])
        index = np.moveaxis(index.take(places, axis=1 + axis), 2 + axis, -1)
    windows_of = index.reshape(*index.shape[: 1 + rank], -1)
    return [_like(x, _maxima(site, x, windows_of)), None]


@torch_op("aten.amax", integers=True)
def amax(site: Site, self: Tensor, dim: Numbers = (), keepdim: bool = False) -> Signal:
    """Maxima along dimensions."""
    x = signal_of(self)
    axes = _axes(site, x, dim)
    index = np.arange(prod(x.shape)).reshape(x.shape)
    kept = [axis for axis in range(index.ndim) if axis not in axes]
    windows = index.transpose(*kept, *axes).reshape(*(x.shape[axis] for axis in kept), -1)
    if keepdim:
        windows = windows.reshape(*(1 if axis in axes else size for axis, size in enumerate(x.shape)), -1)
    return _like(x, _maxima(site, x, windows))


@torch_op("aten.max.dim", integers=True)
def max_along(site: Site, self: Tensor, dim: int, keepdim: bool = False) -> list[Signal | None]:
    """Maxima along a dimension; where they are is not computed."""
    return [amax(site, self, dim, keepdim), None]


@torch_op("aten.mean.dim")
def mean(site: Site, self: Tensor, dim: Numbers | None, keepdim: bool = False, dtype: str | None = None) -> Value:
    """Averages along dimensions."""
    return _reduced(site, signal_of(self), dim, keepdim, average=True)


@torch_op("aten.sum.dim_IntList")
def sum_along(site: Site, self: Tensor, dim: Numbers | None, keepdim: bool = False, dtype: str | None = None) -> Value:
    """Sums along dimensions."""
    return _reduced(site, signal_of(self), dim, keepdim, average=False)


def _reduced(site: Site, x: Signal, dim: Numbers | None, keepdim: bool, *, average: bool) -> Value:
    axes = _axes(site, x, () if dim is None else dim)
    count = prod(x.shape[axis] for axis in axes)
    weight = 1.0 / count if average else 1.0
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    if average and len(x.shape) == 3 and set(axes) == {1, 2}:
        value = site.builder.average_pool(x.value, site.label, kernel=x.shape[1:], stride=x.shape[1:],
                                          pads=((0, 0), (0, 0)))
    else:
        size = prod(x.shape)
        site.budget.spend(size)
        rows = np.broadcast_to(np.arange(prod(kept)).reshape(kept), x.shape).reshape(-1)
        matrix = sparse.csr_matrix((np.full(size, weight), (rows, np.arange(size))), shape=(prod(kept), size))
        value = site.builder.linear(x.value, from_csr(matrix, x.shape, kept), site.label, unit=np.asarray(weight))
    if keepdim:
        return value
    shape = tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
    return site.builder.move(value, np.arange(prod(shape)).reshape(shape), site.label)


def _axes(site: Site, x: Signal, dim: Numbers) -> tuple[int, ...]:
    """The dimensions of an operator; none means all of them, of which the batch is one."""
    dims = [dim] if isinstance(dim, int) else list(dim) or list(range(len(x.full)))
    return tuple(site.axis(x, n) for n in dims)


def _maxima(site: Site, x: Signal, windows: Array) -> Value:
    site.budget.spend(windows.size)
    node = WindowMax(origins=(site.label,), in_shape=x.shape, shape=windows.shape[:-1], windows=windows)
    return site.builder.add(node, x.value, site.label)


def _like(x: Signal, value: Value) -> Signal:
    """Maxima of integers are integers of the same meaning."""
    if x.grid is not None and not x.grid.single:
        raise UnsupportedError("integers with a scale per channel are compared", "dequantise them first")
    return Signal(value=value, batched=x.batched, grid=x.grid)


def _spatial(site: Site, tensor: Tensor) -> tuple[Signal, int]:
    """A signal of channels and spatial dimensions, and how many of these there are."""
    x = signal_of(tensor)
    rank = len(x.shape) - 1
    if rank not in (1, 2) or len(site.shape()) != rank + 1:
        raise ShapeError(f"an input of shape {x.full} has no batch and channels in front of 1 or 2 dimensions")
    return x, rank
