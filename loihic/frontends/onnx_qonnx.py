"""QONNX: quantisers of arbitrary width, as Brevitas and FINN write them."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from loihic.frontends.onnx_operands import Constant, Grid, NodeError, Operand, Tensor, aligned, positive, single, whole
from loihic.frontends.onnx_pointwise import applied, scaled
from loihic.frontends.onnx_table import QONNX_DOMAINS, Call, operator
from loihic.frontends.onnx_weights import dequantised_constant
from loihic.ir.node import Array
from loihic.ops.quantiser import Quantiser, Rounding, Staircase

_ROUNDINGS = {
    "ROUND": Rounding.HALF_EVEN, "HALF_EVEN": Rounding.HALF_EVEN, "CEIL": Rounding.CEIL, "FLOOR": Rounding.FLOOR,
    "DOWN": Rounding.TO_ZERO, "ROUND_TO_ZERO": Rounding.TO_ZERO, "UP": Rounding.FROM_ZERO,
    "HALF_UP": Rounding.HALF_FROM_ZERO, "HALF_DOWN": Rounding.HALF_TO_ZERO,
}
_MOST_BITS = 32


def _rounding(call: Call, default: str) -> Rounding:
    name = str(call.attribute("rounding_mode", default)).upper()
    if name not in _ROUNDINGS:
        raise NodeError("LHC401", "the quantiser rounds in an unknown way", param=f"rounding_mode = {name!r}",
                        help=f"known are {', '.join(_ROUNDINGS)}")
    return _ROUNDINGS[name]


def _bits(call: Call, index: int) -> int:
    bits = single(whole(call.array(index), "a bit width"), "the bit width")
    if not 1 <= bits <= _MOST_BITS:
        raise NodeError("LHC105", "a bit width is out of its range", param=f"{bits} bits; read are 1 to {_MOST_BITS}")
    return bits


def _range(bits: int, *, signed: bool, narrow: bool) -> tuple[int, int]:
    """Least and greatest integer."""
    if signed:
        return -(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1 - narrow


@operator("Quant", "IntQuant", domains=QONNX_DOMAINS)
def quant(call: Call) -> Operand:
    """(clip(round(x / scale + zero point)) - zero point) * scale."""
    scale = positive(call.array(1))
    zero = single(whole(call.array(2), "a zero point"), "the zero point")
    bits, signed = _bits(call, 3), bool(call.attribute("signed", 1))
    low, high = _range(bits, signed=signed, narrow=bool(call.attribute("narrow", 0)))
    rounding, found = _rounding(call, "ROUND"), call.operand(0)
    if bits == 1 and signed:
        if zero:
            raise NodeError("LHC401", "a quantiser of one bit with a zero point", param=f"zero point {zero}")
        return _bipolar(call, found, scale)
    if low > high or low == high:
        raise NodeError("LHC105", "the quantiser has one level only", param=f"{bits} bits")
    if isinstance(found, Constant):
        numbers = call.floats(0).astype(np.float32) / scale.astype(np.float32) + np.float32(zero)
        levels = np.clip(rounding(numbers), low, high) - zero
        call.reading.store.spend(16 * levels.size, call.label)
        return dequantised_constant(levels, np.broadcast_to(scale, levels.shape), np.zeros((), np.int64))
    tensor = call.real(0)
    node = Quantiser(origins=(call.label,), scale=aligned(scale, tensor.shape), low=low - zero, high=high - zero,
                     zero_point=np.array(zero), rounding=rounding)
    return _on_grid(applied(call, tensor, node), scale, node.low, node.high)


@operator("BipolarQuant", domains=QONNX_DOMAINS)
def bipolar_quant(call: Call) -> Operand:
    """The scale, or minus the scale below zero."""
    return _bipolar(call, call.operand(0), positive(call.array(1)))


def _bipolar(call: Call, found: Operand, scale: Array) -> Operand:
    if isinstance(found, Constant):
        levels = np.where(call.floats(0) >= 0, 1.0, -1.0)
        call.reading.store.spend(16 * levels.size, call.label)
        return dequantised_constant(levels, np.broadcast_to(scale, levels.shape), np.zeros((), np.int64))
    tensor = call.real(0)
    node = Staircase(origins=(call.label,), scale=aligned(scale, tensor.shape), low=-1, high=1, rise=2,
                     thresholds=np.zeros(1))
    return _on_grid(applied(call, tensor, node), scale, -1, 1)


def _on_grid(tensor: Tensor, scale: Array, low: int, high: int) -> Tensor:
    """QONNX's numbers stay real; the grid is known all the same."""
    lead = [1] * (len(tensor.shape) - scale.ndim)
    full = scale.reshape(()) if scale.size == 1 else scale.reshape(*lead, *scale.shape)
    return replace(tensor, grid=Grid(scale=full, zero=0, low=low, high=high))


@operator("Trunc", domains=QONNX_DOMAINS)
def trunc(call: Call) -> Tensor:
    """Low bits cut off: the input's levels over a power of two, rounded.

    Inputs are x, scale, zero point, input bits, output bits; in version 2 of the domain x, scale, zero point, input
    bits, output scale, output bits.
    """
    tensor, scale = call.real(0), positive(call.array(1))
    zero = single(whole(call.array(2), "a zero point"), "the zero point")
    if zero:
        raise NodeError("LHC401", "a truncation with a zero point", param=f"zero point {zero}")
    rounding, before = _rounding(call, "FLOOR"), _bits(call, 3)
    signed = bool(call.attribute("signed", 1))
    if call.has(5):
        after = _bits(call, 5)
        target = positive(call.array(4))
        shift = np.rint(np.log2(target / scale))
        low, high = _range(after, signed=signed, narrow=bool(call.attribute("narrow", 0)))
    else:
        after, target = _bits(call, 4), scale
        shift = np.full(scale.shape, float(before - after))
        bound = 1 << before
        low, high = -bound, bound
    whole_levels = _levels_of(call, tensor, scale, before)
    step = scale * np.exp2(shift)
    node = Quantiser(origins=(call.label,), scale=aligned(step, tensor.shape), low=low, high=high, rounding=rounding)
    found = applied(call, whole_levels, node)
    if np.array_equal(step, np.broadcast_to(target, step.shape)):
        return _on_grid(found, step, low, high)
    return scaled(call, found, target / step, 0.0)


def _levels_of(call: Call, tensor: Tensor, scale: Array, bits: int) -> Tensor:
    """The input on its grid; averages and sums before may have left it beside it by a rounding error."""
    if tensor.grid is not None and tensor.grid.same_steps(scale, 0):
        return tensor
    bound = 1 << bits
    return applied(call, tensor, Quantiser(origins=(call.label,), scale=aligned(scale, tensor.shape), low=-bound,
                                           high=bound))


@operator("MultiThreshold", domains=QONNX_DOMAINS)
def multi_threshold(call: Call) -> Tensor:
    """How many thresholds lie at or below x, scaled and shifted."""
    tensor = call.real(0)
    gain, shift = call.attribute("out_scale", 1.0), call.attribute("out_bias", 0.0)
    if gain <= 0:
        raise NodeError("LHC105", "out_scale is not above zero", param=f"out_scale = {gain:g}")
    thresholds = _thresholds(call, tensor)
    steps = thresholds.shape[-1]
    low, rise, unit, left = 0, 1, gain, shift
    if float(shift / gain).is_integer():
        low, left = int(shift / gain), 0.0
    elif gain.is_integer() and shift.is_integer():
        low, rise, unit, left = int(shift), int(gain), 1.0, 0.0
    node = Staircase(origins=(call.label,), scale=np.array(unit), low=low, high=low + rise * steps, rise=rise,
                     thresholds=thresholds)
    found = applied(call, tensor, node)
    return scaled(call, found, 1.0, left) if left else _on_grid(found, np.array(unit), node.low, node.high)


def _thresholds(call: Call, tensor: Tensor) -> Array:
    """As Staircase has them: (steps,), (channels, steps) or (*sample, steps), rising."""
    values, shape = call.array(1).astype(np.float64), tensor.shape
    if values.ndim != 2 or not values.size or np.isnan(values).any():
        raise NodeError("LHC104", "thresholds are missing or no numbers", param=f"an array of shape {values.shape}")
    values = np.sort(values, axis=1)
    if len(values) == 1:
        return np.asarray(values[0])
    layout = str(call.attribute("data_layout", "")) or {2: "NC", 3: "NWC", 4: "NCHW"}.get(len(shape), "NC")
    axis = layout.index("C") if "C" in layout else 1
    if axis >= len(shape) or shape[axis] != len(values) or shape[0] != 1:
        raise NodeError("LHC202", "the thresholds do not fit the channels",
                        param=f"{len(values)} rows for axis {axis} of {shape}")
    if axis == 1:
        return values
    call.reading.spend(prod(shape) * values.shape[1])
    inner = shape[1:]
    placed = values.reshape(*[len(values) if a == axis - 1 else 1 for a in range(len(inner))], -1)
    return np.broadcast_to(placed, (*inner, values.shape[1])).copy()
