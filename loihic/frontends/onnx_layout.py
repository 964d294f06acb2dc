"""ONNX operators that move data, join and part tensors, or speak of their shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from loihic.frontends.network import Value
from loihic.frontends.onnx_file import type_name
from loihic.frontends.onnx_fold import evaluate, index_of
from loihic.frontends.onnx_operands import (
    INTEGER_RANGES,
    Constant,
    Grid,
    NodeError,
    Operand,
    Tensor,
    aligned,
    unbatched,
)
from loihic.frontends.onnx_table import Call, operator
from loihic.ir.node import Array, Shape


def placed(call: Call, tensor: Tensor, index: Array, *, fill: float = 0.0) -> Tensor:
    """A tensor's elements at new places.

    Args:
        call: the node.
        tensor: what is moved.
        index: of the new shape (ONNX's), flat indices into the tensor; -1 where `fill` goes.
        fill: a real number.

    Raises:
        NodeError: samples of a batch would mix, or the result is too large.
    """
    shape, reading = index.shape, call.reading
    if reading.batch != 1 and (not shape or shape[0] != 1):
        raise NodeError("LHC401", "the node mixes the samples of a batch", param=f"{tensor.shape} becomes {shape}",
                        help="export the network with a batch of one, or keep the first dimension first")
    if shape == tensor.shape and np.array_equal(index, index_of(shape)):
        return tensor
    reading.spend(index.size)
    value = call.builder.move(tensor.value, index.reshape(unbatched(shape)), call.label)
    if fill and (index < 0).any():
        value = call.builder.scaled(value, 1.0, np.where(index < 0, fill, 0.0).reshape(value.shape), call.label)
    grid = tensor.grid
    if grid is not None and (index < 0).any() and not tensor.integer:
        grid = None
    if grid is not None and grid.scale.ndim:
        scales = np.broadcast_to(grid.scale, tensor.shape).reshape(-1)
        grid = replace(grid, scale=np.where(index < 0, 1.0, scales[index]))
    return replace(tensor, value=value, shape=shape, grid=grid, source=None)


def settled(call: Call, value: Value, shape: Shape) -> Tensor:
    """A value as the tensor of ONNX's `shape`, with as many elements."""
    inner = unbatched(shape)
    if value.shape != inner:
        value = call.builder.move(value, index_of(inner), call.label)
    return Tensor(value=value, shape=shape)


def flipped(call: Call, tensor: Tensor) -> Tensor:
    """The last two dimensions exchanged."""
    return placed(call, tensor, np.swapaxes(index_of(tensor.shape), -1, -2))


def expanded(call: Call, tensor: Tensor, shape: Shape) -> Tensor:
    """A tensor broadcast to `shape`."""
    call.reading.spend(prod(shape))
    return placed(call, tensor, np.broadcast_to(index_of(tensor.shape), shape))


@operator("DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Reshape", "Slice",
          "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze")
def move(call: Call) -> tuple[Operand, ...]:
    """Whatever the node does to data, it does to their indices."""
    tensor = call.tensor(0)
    call.reading.spend(prod(tensor.shape))
    arrays: list[Array | None] = [index_of(tensor.shape)]
    arrays += [call.array(i) if call.has(i) else None for i in range(1, len(call.operands))]
    target = arrays[1] if call.node.op in ("Reshape", "Expand") and len(arrays) > 1 else None
    if target is not None and call.reading.batch > 1 and target.size and target[0] == call.reading.batch:
        arrays[1] = np.array([1, *target[1:]], dtype=np.int64)  # the network is read for a batch of one
    try:
        moved = evaluate(call, arrays)
    except NodeError as error:
        if call.reading.batch > 1:
            error.help = f"the file is for a batch of {call.reading.batch}; export the network with a batch of one"
        raise
    if call.node.op == "Split" and sum(index.size for index in moved) != prod(tensor.shape):
        raise NodeError("LHC202", "the parts do not make up the tensor", param=f"{tensor.shape} into "
                        f"{', '.join(str(index.shape) for index in moved)}")
    return tuple(placed(call, tensor, index) for index in moved)


@operator("Dropout")
def dropout(call: Call) -> Operand:
    """Nothing, in a network that is not trained."""
    if call.has(2) and np.any(call.array(2)):
        raise NodeError("LHC401", "Dropout in training mode", help="export the network for inference (model.eval())")
    return call.operand(0)


@operator("Cast")
def cast(call: Call) -> Operand:
    """Integers to real numbers, or to wider integers; never real numbers to integers."""
    tensor, kind = call.tensor(0), type_name(call.attribute("to", 0))
    if kind not in INTEGER_RANGES:
        if not kind.startswith(("float", "bfloat")) or kind.startswith(("float8", "float4", "float6")):
            raise NodeError("LHC401", "the node gives numbers of a type that is not read", param=f"type {kind}")
        return as_numbers(call, tensor)
    if not tensor.integer:
        raise NodeError("LHC401", "real numbers are cut to integers", help="quantise them with QuantizeLinear instead")
    grid, (low, high) = tensor.levels, INTEGER_RANGES[kind]
    if grid.low + grid.zero < low or grid.high + grid.zero > high:
        raise NodeError("LHC401", "integers are cast to a type that does not hold them", param=f"type {kind}")
    return replace(tensor, source=None)


def as_numbers(call: Call, tensor: Tensor) -> Tensor:
    """ONNX's integers of a tensor as real numbers; real numbers as they are."""
    if not tensor.integer:
        return tensor
    grid = tensor.levels
    if grid.zero == 0 and np.all(grid.scale == 1.0):
        return tensor.real()
    call.reading.spend(prod(tensor.shape))
    scale = aligned(grid.scale, tensor.shape)
    value = call.builder.scaled(tensor.value, 1.0 / scale, float(grid.zero), call.label)
    whole = Grid(scale=np.ones(()), zero=0, low=grid.low + grid.zero, high=grid.high + grid.zero)
    return Tensor(value=value, shape=tensor.shape, grid=whole)


@operator("Pad")
def pad(call: Call) -> Tensor:
    """Zeros, another number, or what lies near the edge."""
    tensor, mode = call.tensor(0), call.attribute("mode", "constant")
    rank = len(tensor.shape)
    pads = call.ints(1) if call.has(1) else call.integers("pads", ())
    axes = [axis % rank for axis in call.ints(3)] if call.has(3) else list(range(rank))
    if len(pads) != 2 * len(axes) or mode not in ("constant", "reflect", "edge", "wrap"):
        raise NodeError("LHC103", "the padding is malformed", param=f"pads {pads} of mode {mode!r}")
    sides, cuts = [(0, 0)] * rank, [slice(None)] * rank
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        sides[axis] = (max(before, 0), max(after, 0))
        cuts[axis] = slice(max(-before, 0), tensor.shape[axis] - max(-after, 0))
    call.reading.spend(prod(n + sum(side) for n, side in zip(tensor.shape, sides, strict=True)))
    inside = index_of(tensor.shape)[tuple(cuts)]
    if mode != "constant":
        return placed(call, tensor, np.pad(inside, sides, mode=mode))
    number = float(call.floats(2).reshape(())) if call.has(2) else float(call.attribute("value", 0.0))
    fill = number
    if tensor.integer:
        grid = tensor.levels
        if grid.scale.ndim:
            raise NodeError("LHC401", "integers of several scales are padded", help="dequantise before padding")
        fill = (number - grid.zero) * float(grid.scale)
    return placed(call, tensor, np.pad(inside, sides, constant_values=-1), fill=fill)


@operator("Concat")
def concat(call: Call) -> Tensor:
    """Tensors side by side; integers on the first one's grid."""
    tensors = [call.tensor(i) for i in range(len(call.operands))]
    first = tensors[0]
    axis = call.attribute("axis", 0)
    if not -len(first.shape) <= axis < len(first.shape):
        raise NodeError("LHC202", "the axis is not one of the tensor", param=f"axis {axis} of {first.shape}")
    axis %= len(first.shape)
    if any(one.integer != first.integer for one in tensors):
        raise NodeError("LHC401", "integers and real numbers are joined")
    if first.integer:
        grid = first.levels
        if grid.scale.ndim and grid.scale.shape[axis] > 1:
            raise NodeError("LHC401", "integers of several scales are joined", help="dequantise before joining")
        tensors = [on_grid(call, one, grid.scale, grid.zero) for one in tensors]
    joined = joined_along(call, tensors, axis)
    return replace(joined, grid=_common(tensors, axis), integer=first.integer)


def _common(tensors: Sequence[Tensor], axis: int) -> Grid | None:
    """The grid that all tensors are on, if there is one."""
    first, grids = tensors[0].grid, [one.grid for one in tensors if one.grid is not None]
    if first is None or len(grids) < len(tensors) or any(one.scale.ndim and one.scale.shape[axis] > 1 for one in grids):
        return None
    if not all(one.same_steps(first.scale, first.zero) for one in grids):
        return None
    return replace(first, low=min(one.low for one in grids), high=max(one.high for one in grids))


def joined_along(call: Call, tensors: Sequence[Tensor], axis: int) -> Tensor:
    """Real tensors side by side along an axis of ONNX's shape."""
    first = tensors[0].shape
    if axis == 0 and any(unbatched(one.shape) != one.shape for one in tensors):
        raise NodeError("LHC401", "tensors are joined along the batch",
                        help="join them along another dimension, or export two networks")
    if any((*one.shape[:axis], *one.shape[axis + 1 :]) != (*first[:axis], *first[axis + 1 :]) for one in tensors):
        raise NodeError("LHC202", "the tensors that are joined differ in shape",
                        param=", ".join(str(one.shape) for one in tensors[:8]))
    total = (*first[:axis], sum(one.shape[axis] for one in tensors), *first[axis + 1 :])
    call.reading.spend(*[prod(total)] * len(tensors))
    inner = axis - (len(first) - len(unbatched(first)))
    value = call.builder.concat([one.value for one in tensors], inner, call.label) if len(tensors) > 1 else (
        tensors[0].value)
    return Tensor(value=value, shape=total)


def on_grid(call: Call, tensor: Tensor, scale: Array, zero: int) -> Tensor:
    """A tensor of integers as integers of another scale and zero point, which stand for other real numbers.

    Args:
        call: the node.
        tensor: integers.
        scale: a number, or of full rank.
        zero: the zero point.
    """
    grid = tensor.levels
    if grid.same_steps(scale, zero):
        return tensor
    call.reading.spend(prod(tensor.shape))
    gain = aligned(np.asarray(scale / grid.scale), tensor.shape)
    shift = aligned(np.asarray((grid.zero - zero) * scale), tensor.shape)
    value = call.builder.scaled(tensor.value, gain, shift, call.label)
    moved = Grid(scale=scale, zero=zero, low=grid.low + grid.zero - zero, high=grid.high + grid.zero - zero)
    return replace(tensor, value=value, grid=moved, source=None)


@operator("Shape")
def shape_of(call: Call) -> Constant:
    """Of a batch of one."""
    shape = call.operand(0).shape
    return Constant(array=np.array(shape[call.attribute("start", 0) : call.attribute("end", len(shape))], np.int64))


@operator("Size")
def size_of(call: Call) -> Constant:
    """Of a batch of one."""
    return Constant(array=np.array(prod(call.operand(0).shape), np.int64))


@operator("ConstantOfShape")
def constant_of_shape(call: Call) -> Constant:
    """One number, everywhere."""
    shape = tuple(call.ints(0))
    stored = call.attribute("value", None)
    number = np.zeros(1, np.float32) if stored is None else call.reading.store.array(stored)
    if min(shape, default=0) < 0 or prod(shape) > call.reading.limits.tensor_elements or number.size != 1:
        raise NodeError("LHC103", "the node is malformed or too large", param=f"shape {shape[:8]}")
    call.reading.store.spend(prod(shape) * number.itemsize, call.label)
    return Constant(array=np.full(shape, number.reshape(())))


@operator("Constant")
def constant(call: Call) -> Constant:
    """An array in an attribute."""
    attributes = call.node.attributes
    for name, kind in (("value_float", np.float32), ("value_floats", np.float32), ("value_int", np.int64),
                       ("value_ints", np.int64)):
        if name in attributes:
            return Constant(array=np.array(attributes[name], dtype=kind))
    if "value" not in attributes:
        raise NodeError("LHC401", "the constant is sparse or a text", help="export it as a dense array of numbers")
    return Constant(array=call.reading.store.array(attributes["value"]))

