"""ONNX's quantised formats: QuantizeLinear and DequantizeLinear, and what QDQ and QCDQ graphs are made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from loihic.frontends.onnx_file import type_name
from loihic.frontends.onnx_fold import folded
from loihic.frontends.onnx_layout import on_grid
from loihic.frontends.onnx_operands import (
    INTEGER_RANGES,
    Constant,
    Grid,
    NodeError,
    Operand,
    Tensor,
    aligned,
    per_axis,
    positive,
    single,
    whole,
)
from loihic.frontends.onnx_pointwise import applied
from loihic.frontends.onnx_table import CONTRIBUTED, Call, operator
from loihic.frontends.onnx_weights import dequantised_constant
from loihic.ir.node import Array, Shape
from loihic.ops.quantiser import Quantiser


def grid_of(call: Call, scale: int, zero: int, shape: Shape, *, kind: str = "") -> Grid:
    """The grid that two inputs of a node describe, of a tensor of `shape`.

    Args:
        call: the node.
        scale: which input is the scale.
        zero: which input is the zero point, of the integers' type.
        shape: of the tensor.
        kind: the integers' type where the zero point is left out; uint8 if nothing is said.

    Raises:
        NodeError: LHC104 or LHC105 for scales and zero points that make no sense, LHC401 for a type that is no
            integer or zero points that differ.
    """
    axis, block = call.attribute("axis", 1), call.attribute("block_size", 0)
    given = whole(call.array(zero), "a zero point") if call.has(zero) else np.zeros((), np.int64)
    if call.has(zero):
        kind = call.array(zero).dtype.name
    output = call.attribute("output_dtype", 0)
    kind = kind or (type_name(output) if output else "uint8")
    if kind not in INTEGER_RANGES:
        raise NodeError("LHC401", "the quantised numbers are no integers", param=f"type {kind}",
                        help="quantise to integers of 2 to 16 bits")
    low, high = INTEGER_RANGES[kind]
    offset = single(given, "the zero point")
    return Grid(scale=per_axis(positive(call.array(scale)), shape, axis, block), zero=offset,
                low=low - offset, high=high - offset)


def quantised(call: Call, tensor: Tensor, grid: Grid, *, multiplier: Array | None = None,
              zero_first: bool = False) -> Tensor:
    """Real numbers to integers of a grid.

    Args:
        call: the node.
        tensor: real.
        grid: of the integers.
        multiplier: see `Quantiser`; it broadcasts to a sample.
        zero_first: whether the zero point is added before the rounding rather than after, which shows where a number
            lies halfway between two levels and the zero point is odd.
    """
    node = Quantiser(origins=(call.label,), scale=aligned(grid.scale, tensor.shape), low=grid.low, high=grid.high,
                     zero_point=np.array(grid.zero if zero_first else 0), multiplier=multiplier)
    found = applied(call, tensor, node)
    return replace(found, grid=grid, integer=True, source=(tensor.value, node))


def dequantised(call: Call, index: int, scale: int, zero: int) -> Tensor:
    """An input of integers as the real numbers that a scale and zero point make of them."""
    tensor = call.tensor(index)
    grid = grid_of(call, scale, zero, tensor.shape, kind="int32")
    return on_grid(call, tensor, grid.scale, grid.zero).real()


@operator("QuantizeLinear", domains=("", CONTRIBUTED))
def quantize_linear(call: Call) -> Operand:
    """round(x / scale) + zero point, within the integers' range."""
    if isinstance(call.operand(0), Constant):
        return folded(call)[0]
    tensor = call.real(0)
    grid = grid_of(call, 1, 2, tensor.shape)
    known = tensor.grid
    if known is not None and known.same_steps(grid.scale, grid.zero) and (
            grid.low <= known.low and known.high <= grid.high):
        return replace(tensor, integer=True, source=None)
    return quantised(call, tensor, grid)


@operator("DequantizeLinear", domains=("", CONTRIBUTED))
def dequantize_linear(call: Call) -> Operand:
    """(integer - zero point) * scale; of constants, weights with a unit."""
    found = call.operand(0)
    if isinstance(found, Tensor):
        return dequantised(call, 0, 1, 2)
    if found.array.dtype.name not in INTEGER_RANGES:
        raise NodeError("LHC401", "the quantised numbers are no integers", param=f"type {found.array.dtype.name}")
    axis, block = call.attribute("axis", 1), call.attribute("block_size", 0)
    scale = per_axis(positive(call.array(1)), found.shape, axis, block)
    zero = whole(call.array(2), "a zero point") if call.has(2) else np.zeros((), np.int64)
    call.reading.store.spend(16 * found.array.size, call.label)
    return dequantised_constant(found.array, scale, per_axis(zero, found.shape, axis, block))

