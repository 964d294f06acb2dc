"""ONNX operators that take averages, sums or maxima, over windows or over whole dimensions."""

from __future__ import annotations

from math import prod

import numpy as np
from scipy import sparse

from loihic.frontends.onnx_fold import index_of
from loihic.frontends.onnx_layout import settled
from loihic.frontends.onnx_linear import Sweep, channels_first, sweep_of
from loihic.frontends.onnx_operands import Grid, NodeError, Tensor, unbatched
from loihic.frontends.onnx_table import Call, operator
from loihic.ir.linear import from_csr
from loihic.ir.node import Array, Shape
from loihic.ops.window_max import WindowMax


@operator("AveragePool")
def average_pool(call: Call) -> Tensor:
    """Averages over windows."""
    return averaged(call, call.real(0))


@operator("GlobalAveragePool")
def global_average_pool(call: Call) -> Tensor:
    """The average of each channel."""
    return averaged(call, call.real(0), everywhere=True)


def averaged(call: Call, tensor: Tensor, *, everywhere: bool = False) -> Tensor:
    """Averages over the node's windows, or over all of the spatial dimensions."""
    sweep = _sweep(call, tensor, everywhere=everywhere)
    if max(sweep.dilation) > 1:
        raise NodeError("LHC401", "an average over windows with gaps", param=f"dilations {sweep.dilation}")
    ceil, padding = bool(call.attribute("ceil_mode", 0)), bool(call.attribute("count_include_pad", 0))
    value = call.builder.average_pool(tensor.value, call.label, kernel=sweep.kernel, stride=sweep.stride,
                                      pads=sweep.pads, include_padding=padding, ceil=ceil)
    return Tensor(value=value, shape=(1, *value.shape))


@operator("MaxPool", "GlobalMaxPool")
def max_pool(call: Call) -> Tensor:
    """Maxima keep to the grid of what they are of, so that integers stay integers."""
    tensor = call.tensor(0)
    sweep = _sweep(call, tensor, everywhere=call.node.op == "GlobalMaxPool")
    ceil = bool(call.attribute("ceil_mode", 0))
    value = call.builder.max_pool(tensor.value, call.label, kernel=sweep.kernel, stride=sweep.stride,
                                  pads=sweep.pads, dilation=sweep.dilation, ceil=ceil)
    return Tensor(value=value, shape=(1, *value.shape), grid=_kept(tensor, tuple(range(2, len(tensor.shape)))),
                  integer=tensor.integer)


def _sweep(call: Call, tensor: Tensor, *, everywhere: bool) -> Sweep:
    spatial = channels_first(call, tensor)
    if everywhere:
        ones = (1,) * len(spatial)
        sweep = Sweep(kernel=spatial, stride=ones, dilation=ones, pads=((0, 0),) * len(spatial))
    else:
        sweep = sweep_of(call, spatial, ())
    padded = [n + sum(pad) for n, pad in zip(spatial, sweep.pads, strict=True)]
    windows = prod(sweep.outputs(spatial, ceil=bool(call.attribute("ceil_mode", 0))))
    call.reading.spend(tensor.shape[1] * windows * prod(sweep.kernel), tensor.shape[1] * prod(padded))
    return sweep


def _kept(tensor: Tensor, axes: tuple[int, ...]) -> Grid | None:
    """The grid of a tensor after maxima along `axes`."""
    grid = tensor.grid
    if grid is None or not grid.scale.ndim or all(grid.scale.shape[axis] == 1 for axis in axes):
        return grid
    if tensor.integer:
        raise NodeError("LHC401", "maxima of integers of several scales", help="dequantise first")
    return None


@operator("ReduceMean", "ReduceSum")
def reduce_linear(call: Call) -> Tensor:
    """Averages or sums over whole dimensions."""
    tensor = call.real(0)
    axes, shape = _reduction(call, tensor)
    if not axes:
        return tensor
    rows = _rows(tensor.shape, axes)
    weight = 1.0 / rows.shape[1] if call.node.op == "ReduceMean" else 1.0
    if axes == (2, 3) and tensor.shape[0] == 1 and len(tensor.shape) == 4 and call.node.op == "ReduceMean":
        return settled(call, averaged(call, tensor, everywhere=True).value, shape)
    ends = np.arange(len(rows) + 1) * rows.shape[1]
    matrix = sparse.csr_matrix((np.full(rows.size, weight), rows.reshape(-1), ends), (len(rows), prod(tensor.shape)))
    linear = from_csr(matrix, tensor.value.shape, unbatched(shape))
    value = call.builder.linear(tensor.value, linear, call.label, unit=np.asarray(weight))
    return Tensor(value=value, shape=shape)


@operator("ReduceMax")
def reduce_max(call: Call) -> Tensor:
    """Maxima over whole dimensions."""
    tensor = call.tensor(0)
    axes, shape = _reduction(call, tensor)
    if not axes:
        return tensor
    windows = _rows(tensor.shape, axes).reshape(*unbatched(shape), -1)
    node = WindowMax(origins=(call.label,), in_shape=tensor.value.shape, shape=unbatched(shape), windows=windows)
    grid = _kept(tensor, axes)
    if grid is not None and grid.scale.ndim and len(shape) < len(tensor.shape):
        raise NodeError("LHC401", "maxima of integers of several scales", help="dequantise first")
    return Tensor(value=call.builder.add(node, tensor.value, call.label), shape=shape, grid=grid,
                  integer=tensor.integer)


def _reduction(call: Call, tensor: Tensor) -> tuple[tuple[int, ...], Shape]:
    """The axes that a node takes together, in order, and the shape that is left."""
    rank = len(tensor.shape)
    given = call.ints(1) if call.has(1) else call.integers("axes", ())
    if not given and call.attribute("noop_with_empty_axes", 0):
        return (), tensor.shape
    axes = tuple(sorted({axis % rank for axis in given})) if given else tuple(range(rank))
    if any(not -rank <= axis < rank for axis in given):
        raise NodeError("LHC202", "the axes are not those of the tensor", param=f"axes {given} of {tensor.shape}")
    if 0 in axes and call.reading.batch != 1:
        raise NodeError("LHC401", "the node mixes the samples of a batch",
                        help="export the network with a batch of one, or leave the first dimension alone")
    call.reading.spend(prod(tensor.shape))
    if call.attribute("keepdims", 1):
        return axes, tuple(1 if axis in axes else n for axis, n in enumerate(tensor.shape))
    return axes, tuple(n for axis, n in enumerate(tensor.shape) if axis not in axes)


def _rows(shape: Shape, axes: tuple[int, ...]) -> Array:
    """Flat indices (outputs, elements) of what each output is made of, in rising order."""
    last = tuple(range(len(shape) - len(axes), len(shape)))
    moved = np.moveaxis(index_of(shape), axes, last)
    return moved.reshape(-1, prod(shape[axis] for axis in axes))
