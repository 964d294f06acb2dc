"""Operators of PyTorch that quantise: those of PT2E (quantized_decomposed) and of torchao.

Their level is clamp(round(x (1 / scale)) + zero point), computed in float32. The zero point is added after rounding,
so that it shifts no ties: Quantisers have it in their bounds alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from loihic.frontends.network import Value
from loihic.frontends.torch_moves import levels
from loihic.frontends.torch_site import Site
from loihic.frontends.torch_table import torch_op
from loihic.frontends.torch_values import (
    Constant,
    Grid,
    Tensor,
    UnsupportedError,
    constant,
    constant_of,
    signal_of,
)
from loihic.ir.node import Array, ShapeError
from loihic.ops.quantiser import Quantiser


@torch_op("quantized_decomposed.quantize_per_tensor", integers=True, tail=True)
def quantize_per_tensor(site: Site, input: Tensor, scale: Any, zero_point: Any, quant_min: Any, quant_max: Any,
                        dtype: str) -> Tensor:
    """Real numbers to integers."""
    return _quantised(site, input, _single(scale, zero_point), _bounds(quant_min, quant_max), dtype)


@torch_op("quantized_decomposed.dequantize_per_tensor", integers=True, tail=True)
def dequantize_per_tensor(site: Site, input: Tensor, scale: Any, zero_point: Any, quant_min: Any, quant_max: Any,
                          dtype: str, out_dtype: str | None = None) -> Tensor:
    """Integers to the real numbers that they stand for."""
    return _real(site, input, _single(scale, zero_point))


@torch_op("quantized_decomposed.quantize_per_channel", integers=True)
def quantize_per_channel(site: Site, input: Tensor, scales: Tensor, zero_points: Tensor, axis: int, quant_min: int,
                         quant_max: int, dtype: str) -> Tensor:
    """The same with a scale per index of an axis."""
    return _quantised(site, input, _along(input, scales, zero_points, axis), (quant_min, quant_max), dtype)


@torch_op("quantized_decomposed.dequantize_per_channel", integers=True)
def dequantize_per_channel(site: Site, input: Tensor, scales: Tensor, zero_points: Tensor | None, axis: int,
                           quant_min: int, quant_max: int, dtype: str, out_dtype: str | None = None) -> Tensor:
    """The same with a scale per index of an axis."""
    return _real(site, input, _along(input, scales, zero_points, axis))


@torch_op("torchao.quantize_affine", integers=True)
def quantize_affine(site: Site, input: Tensor, block_size: Sequence[int], scale: Tensor, zero_point: Tensor | None,
                    output_dtype: str, quant_min: int | None = None, quant_max: int | None = None) -> Tensor:
    """The same with a scale per block."""
    if quant_min is None or quant_max is None:
        raise UnsupportedError("it does not say its bounds", "give quant_min and quant_max")
    grid = _blocks(input, block_size, scale, zero_point)
    return _quantised(site, input, grid, (quant_min, quant_max), output_dtype)


@torch_op("torchao.dequantize_affine", integers=True)
def dequantize_affine(site: Site, input: Tensor, block_size: Sequence[int], scale: Tensor, zero_point: Tensor | None,
                      input_dtype: str, quant_min: int | None = None, quant_max: int | None = None,
                      output_dtype: str | None = None) -> Tensor:
    """The same with a scale per block."""
    return _real(site, input, _blocks(input, block_size, scale, zero_point))


def _quantised(site: Site, x: Tensor, grid: Grid, bounds: tuple[int, int], dtype: str) -> Tensor:
    if not dtype.startswith(("int", "uint")):
        raise UnsupportedError("it does not quantise to integers", "quantise to int8 or uint8")
    if isinstance(x, Constant):
        return Constant(array=_rounded(x.array, grid, bounds))
    real = signal_of(x)
    if real.grid is not None:
        raise UnsupportedError("integers are quantised again", "quantise real numbers")
    zero = np.unique(grid.zero)
    if zero.size != 1:
        raise UnsupportedError("its zero points differ from channel to channel", "quantise symmetrically")
    node = Quantiser(origins=(site.label,), scale=grid.scale, low=bounds[0] - int(zero[0]),
                     high=bounds[1] - int(zero[0]))
    value: Value = site.builder.add(node, real.value, site.label)
    return replace(real, value=value, grid=grid)


def _rounded(array: Array, grid: Grid, bounds: tuple[int, int]) -> Array:
    """Integers of constants, by torch's own float32 arithmetic."""
    inverse = (1.0 / grid.scale).astype(np.float32)
    return np.asarray(np.clip(np.rint(array.astype(np.float32) * inverse) + grid.zero, *bounds))


def _real(site: Site, x: Tensor, grid: Grid) -> Tensor:
    if isinstance(x, Constant):
        unit = np.broadcast_to(grid.scale, x.array.shape)
        return Constant(array=(x.array.astype(np.float64) - grid.zero) * grid.scale, unit=unit)
    integers = signal_of(x)
    if integers.grid is None:
        raise UnsupportedError("real numbers are dequantised", "quantise them first")
    if integers.grid.same(grid):
        return replace(integers, grid=None)
    whole = levels(site, integers, integers.grid)
    value = site.builder.scaled(whole.value, grid.scale, -grid.zero * grid.scale, site.label)
    return replace(integers, value=value, grid=None)


def _single(scale: Any, zero_point: Any) -> Grid:
    return _grid(constant_of(scale, "the scale"), constant_of(zero_point, "the zero point"), ())


def _along(x: Tensor, scales: Tensor, zero_points: Tensor | None, axis: int) -> Grid:
    """A scale per index of an axis; a signal's batch is no part of the shape."""
    rank = x.array.ndim if isinstance(x, Constant) else len(signal_of(x).full)
    if not -rank <= axis < rank:
        raise ShapeError(f"there is no axis {axis} in a tensor of {rank}")
    lead = 0 if isinstance(x, Constant) else int(signal_of(x).batched)
    place = axis % rank - lead
    if place < 0:
        raise UnsupportedError("it has a scale per sample", "quantise per channel")
    scale = constant_of(scales, "the scales")
    zero = np.zeros(scale.shape) if zero_points is None else constant_of(zero_points, "the zero points")
    return _grid(scale, zero, (-1, *[1] * (rank - lead - place - 1)))


def _blocks(x: Tensor, block_size: Sequence[int], scale: Tensor, zero_point: Tensor | None) -> Grid:
    """A scale per block of elements."""
    shape = x.array.shape if isinstance(x, Constant) else signal_of(x).full
    scales = constant(scale, "the scales")
    zeros = Constant(array=np.zeros(scales.array.shape)) if zero_point is None else constant(zero_point, "zero points")
    if scales.array.size == 1:
        return _single(scales, zeros)
    if len(block_size) != len(shape) or any(n < 1 for n in block_size):
        raise ShapeError(f"blocks of {tuple(block_size)} do not fit {shape}")
    counts = [-(-size // block) for size, block in zip(shape, block_size, strict=True)]
    wide = []
    for part in (scales.array, zeros.array):
        full = part.reshape(counts)
        for axis, block in enumerate(block_size):
            full = full.repeat(block, axis=axis) if block < shape[axis] else full
        wide.append(full if isinstance(x, Constant) or not signal_of(x).batched else full[0])
    return _grid(wide[0], wide[1], None)


def _grid(scale: Array, zero: Array, shape: tuple[int, ...] | None) -> Grid:
    """Scales and zero points, checked, in a shape that broadcasts to the values'."""
    if scale.size != zero.size:
        raise ShapeError(f"{scale.size} scales come with {zero.size} zero points")
    if not np.all(np.isfinite(scale)) or not np.all(scale > 0):
        raise UnsupportedError("a scale is not positive", "calibrate again: a channel has had no values")
    if shape == () and scale.size != 1:
        raise ShapeError(f"{scale.size} scales where one is wanted")
    wanted = scale.shape if shape is None else shape
    return Grid(scale=scale.astype(np.float64).reshape(wanted), zero=zero.astype(np.float64).reshape(wanted))


def _bounds(low: Any, high: Any) -> tuple[int, int]:
    return (int(constant_of(low, "the bound").reshape(())), int(constant_of(high, "the bound").reshape(())))
