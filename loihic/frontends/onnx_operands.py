"""What flows between the nodes of an ONNX graph: constants, real tensors, and integers that stand for real numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loihic.frontends.network import Value
from loihic.ir.node import Array, Shape
from loihic.ops.quantiser import Quantiser

INTEGER_RANGES = {
    "uint2": (0, 3), "int2": (-2, 1), "uint4": (0, 15), "int4": (-8, 7), "bool": (0, 1),
    **{name: (int(np.iinfo(name).min), int(np.iinfo(name).max))
       for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")},
}
"""Least and greatest number of each integer type, by numpy's (or ml_dtypes') name."""


class NodeError(Exception):
    """A node cannot be read; becomes a diagnostic with the node's name."""

    def __init__(self, code: str, message: str, *, param: str = "", help: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.param, self.help = code, message, param, help


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Constant:
    """An array that does not depend on the input.

    Attributes:
        array: as ONNX has it; dequantised weights are float64, since whole numbers times a float32 scale are exact so.
        unit: of quantised weights, broadcast to the array's shape: the array is whole multiples of it.
    """

    array: Array
    unit: Array | None = None

    @property
    def shape(self) -> Shape:
        """Of the array."""
        return self.array.shape


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Grid:
    """The levels that a tensor's elements are on: real value = scale * level, ONNX's integer = level + zero.

    Attributes:
        scale: float64, a number or of the tensor's full rank.
        zero: the zero point.
        low, high: least and greatest level.
    """

    scale: Array
    zero: int
    low: int
    high: int

    def same_steps(self, scale: Array, zero: int) -> bool:
        """Whether another grid has this scale and zero point."""
        try:
            ours, theirs = np.broadcast_arrays(self.scale, scale)
        except ValueError:
            return False
        return self.zero == zero and np.array_equal(ours, theirs)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tensor:
    """A tensor of the network for one sample, as real numbers.

    Attributes:
        value: the node that gives it; its shape is `unbatched(shape)`.
        shape: as ONNX has it for a batch of one.
        grid: what the elements are multiples of, where that is known; always of integers.
        integer: whether ONNX has integers here (level + zero) rather than the real numbers.
        source: what a quantiser that gave the tensor quantised, and that quantiser.
    """

    value: Value
    shape: Shape
    grid: Grid | None = None
    integer: bool = False
    source: tuple[Value, Quantiser] | None = None

    @property
    def levels(self) -> Grid:
        """The grid of integers.

        Raises:
            NodeError: the tensor holds real numbers.
        """
        if self.grid is None or not self.integer:
            raise NodeError("LHC103", "the node takes integers, but real numbers arrive",
                            help="put a QuantizeLinear before it")
        return self.grid

    def real(self) -> Tensor:
        """The same numbers, as DequantizeLinear with the tensor's own scale gives them."""
        return replace(self, integer=False, source=None)


Operand = Constant | Tensor


def unbatched(shape: Shape) -> Shape:
    """The shape of a sample, from ONNX's shape of a batch of one."""
    return shape[1:] if shape and shape[0] == 1 else shape


def aligned(array: Array, shape: Shape) -> Array:
    """An array that broadcasts to ONNX's `shape`, as one that broadcasts to the shape of a sample.

    Raises:
        NodeError: LHC202, it does not broadcast.
    """
    if array.size == 1:
        return array.reshape(())
    fits = array.ndim <= len(shape) and all(
        n in (1, m) for n, m in zip(array.shape[::-1], shape[::-1], strict=False))
    if not fits:
        raise NodeError("LHC202", "a constant does not fit the tensor it meets",
                        param=f"shapes {array.shape} and {shape}")
    return array.reshape(array.shape[1:]) if array.ndim == len(shape) and shape[0] == 1 else array


def per_axis(values: Array, shape: Shape, axis: int, block: int = 0) -> Array:
    """Scales or zero points of a tensor of `shape`: one, one per index of `axis`, or one per block along it.

    Returns:
        A number, or an array of full rank that broadcasts to `shape`.

    Raises:
        NodeError: LHC202, they do not fit.
    """
    if values.size == 1:
        return values.reshape(())
    rank = len(shape)
    if not -rank <= axis < rank:
        raise NodeError("LHC202", "scales are for an axis that the tensor has not", param=f"axis {axis} of {shape}")
    axis %= rank
    if block > 0 and values.ndim == rank:
        wanted = (*shape[:axis], -(-shape[axis] // block), *shape[axis + 1 :])
        if values.shape == wanted:
            of_block = np.arange(shape[axis]) // block
            return np.take(values, of_block, axis=axis)
    elif values.shape == (shape[axis],):
        return values.reshape([shape[axis] if a == axis else 1 for a in range(rank)])
    raise NodeError("LHC202", "scales or zero points do not fit the tensor",
                    param=f"shape {values.shape} for axis {axis} of {shape}, blocks of {block}")


def positive(scale: Any) -> Array:
    """Scales as float64.

    Raises:
        NodeError: LHC104 or LHC105, one is not a finite number above zero.
    """
    values = np.asarray(scale, dtype=np.float64)
    if not np.isfinite(values).all():
        raise NodeError("LHC104", "a scale is not a finite number")
    if not (values > 0).all():
        raise NodeError("LHC105", "a scale is not above zero", param=f"the smallest is {values.min(initial=0.0):g}")
    return values


def whole(values: Any, what: str) -> Array:
    """Whole numbers as int64.

    Raises:
        NodeError: LHC104 or LHC105, one is not whole.
    """
    numbers = np.asarray(values)
    if numbers.dtype.name in INTEGER_RANGES:
        return numbers.astype(np.int64)
    real = numbers.astype(np.float64)
    if not np.isfinite(real).all():
        raise NodeError("LHC104", f"{what} is not a finite number")
    if not np.array_equal(real, np.rint(real)) or np.abs(real).max(initial=0.0) > 2**31:
        raise NodeError("LHC105", f"{what} is not a whole number", param=f"{real.reshape(-1)[:4].tolist()}")
    return real.astype(np.int64)


def single(values: Array, what: str) -> int:
    """The one number that all of `values` are.

    Raises:
        NodeError: LHC401, they differ.
    """
    if values.size == 0 or not (values == values.reshape(-1)[0]).all():
        raise NodeError("LHC401", f"{what} differs between channels",
                        help="quantise activations with one zero point for the whole tensor")
    return int(values.reshape(-1)[0])
