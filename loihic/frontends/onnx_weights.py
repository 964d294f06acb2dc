"""Weights as ONNX has them: real numbers, and the unit that quantised ones are whole multiples of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loihic.frontends.onnx_operands import Constant, NodeError, per_axis, positive, whole
from loihic.frontends.onnx_table import Call
from loihic.ir.node import Array, Shape


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Weights:
    """Weights of a linear map.

    Attributes:
        values: float64.
        unit: a number, or one per output (n_out,); None if they are real numbers.
    """

    values: Array
    unit: Array | None


def weights_of(call: Call, index: int, *, outputs: int) -> Weights:
    """A constant input as weights.

    Args:
        call: the node.
        index: of the input.
        outputs: the dimension that counts the outputs, which may have a unit each.

    Raises:
        NodeError: LHC401 if it is no constant, LHC104 if it holds numbers that are not finite.
    """
    found = call.operand(index)
    if not isinstance(found, Constant):
        raise NodeError("LHC401", "the weights depend on the network's input",
                        help="products of two tensors, as in attention, have no integer form on the chip")
    values = call.floats(index)
    if found.unit is None or not values.size:
        return Weights(values=values, unit=None)
    of_output = np.moveaxis(found.unit, outputs, 0).reshape(values.shape[outputs], -1)
    if not (of_output == of_output[:, :1]).all():
        return several_scales(call, values)
    unit = of_output[:, 0]
    return Weights(values=values, unit=unit[0].reshape(()) if (unit == unit[0]).all() else unit)


def several_scales(call: Call, values: Array) -> Weights:
    """Weights that no sum has one unit for, as real numbers; reported."""
    call.warn("the weights of one output are quantised with several scales", param="per input channel or per block",
              help="they are taken as real numbers and quantised again; quantise per tensor or per output channel for "
              "an exact result")
    return Weights(values=values, unit=None)


def dequantised_constant(levels: Array, scale: Array, zero: Array) -> Constant:
    """(levels - zero) * scale, exactly, and the unit.

    Args:
        levels: integers.
        scale: float64, broadcasts to the levels.
        zero: int64, likewise.
    """
    values = (levels.astype(np.float64) - zero) * scale
    return Constant(array=values, unit=np.broadcast_to(scale, values.shape))


def quantised_input(call: Call, index: int, *, outputs: int) -> tuple[Weights, Array]:
    """Weights from three inputs: integers, scale and zero point, as QLinearConv and QLinearMatMul have them.

    Args:
        call: the node.
        index: of the integers; the two others follow.
        outputs: the dimension that counts the outputs.

    Returns:
        The weights, and the scale as float32, (1,) or (n_out,).
    """
    levels = call.array(index)
    scale = call.array(index + 1)
    zero = whole(call.array(index + 2), "a zero point") if call.has(index + 2) else np.zeros((), np.int64)
    shape = levels.shape
    if levels.dtype.kind not in "iu" and "int" not in levels.dtype.name:
        raise NodeError("LHC103", f"input {index} does not hold whole numbers")
    factors = per_axis(positive(scale), shape, outputs)
    constant = dequantised_constant(levels, factors, per_axis(zero, shape, outputs))
    unit = factors.reshape(-1)
    return (Weights(values=constant.array, unit=unit[0].reshape(()) if unit.size == 1 else unit),
            scale.astype(np.float32).reshape(-1))


def integer_input(call: Call, index: int, zero: int, *, outputs: int) -> Weights:
    """Weights from integers and a zero point, in input `zero`, as ConvInteger and MatMulInteger have them."""
    levels = call.array(index)
    offset = whole(call.array(zero), "a zero point") if call.has(zero) else np.zeros((), np.int64)
    shift = per_axis(offset, levels.shape, outputs)
    return Weights(values=levels.astype(np.float64) - shift, unit=np.ones(()))


def bias_of(call: Call, index: int, outputs: Shape) -> Array | None:
    """A constant bias that broadcasts to `outputs`, or None if the input is left out.

    Raises:
        NodeError: LHC202, it does not fit.
    """
    if not call.has(index):
        return None
    values = call.floats(index)
    if values.shape not in (outputs, (1,), ()):
        raise NodeError("LHC202", "the bias does not fit the outputs", param=f"shapes {values.shape} and {outputs}")
    return values
