"""Operators on integers with scales: QLinearConv and its kin, ConvInteger, and those of onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from loihic.frontends.onnx_layout import flipped, joined_along
from loihic.frontends.onnx_linear import convolved, multiplied
from loihic.frontends.onnx_operands import (
    INTEGER_RANGES,
    Constant,
    Grid,
    NodeError,
    Tensor,
    per_axis,
    positive,
    single,
    whole,
)
from loihic.frontends.onnx_pointwise import applied, leaky, scaled, summed
from loihic.frontends.onnx_pooling import averaged
from loihic.frontends.onnx_quantised import dequantised, grid_of, quantised
from loihic.frontends.onnx_table import CONTRIBUTED, Call, operator
from loihic.frontends.onnx_weights import Weights, dequantised_constant, integer_input, quantised_input
from loihic.ir.node import Array
from loihic.ops.elementwise import Sigmoid


def _single_scale(call: Call, index: int) -> np.float32:
    """The float32 scale of a whole tensor."""
    values = call.array(index).astype(np.float32).reshape(-1)
    if values.size != 1:
        raise NodeError("LHC401", "activations with several scales", param=f"{values.size} scales in input {index}",
                        help="quantise activations per tensor")
    return np.float32(values[0])


def _whole_bias(call: Call, index: int, weights: Weights, scale: np.float32) -> Array | None:
    """A bias of int32 in units of input scale times weight scale, as real numbers."""
    if not call.has(index):
        return None
    unit = 1.0 if weights.unit is None else weights.unit
    return np.asarray(whole(call.array(index), "a bias").reshape(-1) * (np.float64(scale) * unit))


@operator("QLinearConv", domains=("", CONTRIBUTED))
def qlinear_conv(call: Call) -> Tensor:
    """The integer sum times one float32 number per channel, rounded."""
    _channels_first(call)
    tensor = dequantised(call, 0, 1, 2)
    weights, factors = quantised_input(call, 3, outputs=0)
    x_scale, y_scale = _single_scale(call, 1), _single_scale(call, 6)
    found = convolved(call, tensor, weights, _whole_bias(call, 8, weights, x_scale))
    multiplier = x_scale * factors / y_scale
    shaped = multiplier.reshape(()) if multiplier.size == 1 else multiplier.reshape(-1, *[1] * (len(found.shape) - 2))
    return quantised(call, found, grid_of(call, 6, 7, found.shape), multiplier=shaped, zero_first=True)


@operator("QLinearMatMul")
def qlinear_matmul(call: Call) -> Tensor:
    """Constant weights on either side."""
    turned = isinstance(call.operand(0), Constant)
    data, constant = (3, 0) if turned else (0, 3)
    tensor = dequantised(call, data, data + 1, data + 2)
    rank = len(call.operand(constant).shape)
    if rank != 2:
        raise NodeError("LHC401", "weights that are no matrix", param=f"{rank} dimensions")
    weights, factors = quantised_input(call, constant, outputs=0 if turned else 1)
    scale, y_scale = _single_scale(call, data + 1), _single_scale(call, 6)
    if turned:
        weights = Weights(values=weights.values.T, unit=weights.unit)
        tensor = flipped(call, tensor)
    found = multiplied(call, tensor, weights)
    multiplier = scale * factors / y_scale
    if turned:
        found = flipped(call, found)
    column = multiplier.reshape(-1, 1) if turned else multiplier
    return quantised(call, found, grid_of(call, 6, 7, found.shape), zero_first=True,
                     multiplier=multiplier.reshape(()) if multiplier.size == 1 else column)


@operator("QGemm", domains=(CONTRIBUTED,))
def qgemm(call: Call) -> Tensor:
    """alpha (A B + C) of integers; rounded if an output scale is given, else real."""
    tensor = dequantised(call, 0, 1, 2)
    if call.attribute("transA", 0):
        tensor = flipped(call, tensor)
    transposed = bool(call.attribute("transB", 0))
    weights, factors = quantised_input(call, 3, outputs=0 if transposed else 1)
    alpha, scale = call.attribute("alpha", 1.0), _single_scale(call, 1)
    if transposed:
        weights = Weights(values=weights.values.T, unit=weights.unit)
    found = multiplied(call, tensor, weights, _whole_bias(call, 6, weights, scale))
    if alpha != 1.0:
        found = scaled(call, found, alpha, 0.0)
    if not call.has(7):
        return found
    if alpha <= 0:
        raise NodeError("LHC401", "a factor that is not above zero", param=f"alpha = {alpha:g}")
    multiplier = np.float32(alpha) * scale * factors / _single_scale(call, 7)
    return quantised(call, found, grid_of(call, 7, 8, found.shape), multiplier=(
        multiplier.reshape(()) if multiplier.size == 1 else multiplier))


@operator("ConvInteger")
def conv_integer(call: Call) -> Tensor:
    """The integer sum itself."""
    return _sum_of_integers(call, lambda tensor: convolved(call, tensor, integer_input(call, 1, 3, outputs=0), None))


@operator("MatMulInteger")
def matmul_integer(call: Call) -> Tensor:
    """The integer sum itself; constants are on the right."""
    return _sum_of_integers(call, lambda tensor: multiplied(call, tensor, integer_input(call, 1, 3, outputs=1)))


def _sum_of_integers(call: Call, product: Callable[[Tensor], Tensor]) -> Tensor:
    """The product of the real numbers, an integer sum in units of the input's scale: so its integers are int32."""
    tensor = call.tensor(0)
    grid = tensor.levels
    if grid.scale.ndim:
        raise NodeError("LHC401", "a sum of integers of several scales", help="quantise activations per tensor")
    zero = single(whole(call.array(2), "a zero point"), "the zero point") if call.has(2) else 0
    given = tensor.real()
    if zero != grid.zero:
        given = scaled(call, given, 1.0, (grid.zero - zero) * float(grid.scale))
    low, high = INTEGER_RANGES["int32"]
    return replace(product(given), grid=Grid(scale=grid.scale, zero=0, low=low, high=high), integer=True)


@operator("QLinearAdd", "QLinearMul", domains=(CONTRIBUTED,))
def qlinear_arithmetic(call: Call) -> Tensor:
    """Sums of two tensors, or a tensor and constants; products with constants alone."""
    constants = [i for i in (0, 3) if isinstance(call.operand(i), Constant)]
    ways = [dequantised(call, i, i + 1, i + 2) for i in (0, 3) if i not in constants]
    if not constants and call.node.op == "QLinearMul":
        raise NodeError("LHC401", "two tensors of the network are multiplied",
                        help="only products with constants are linear")
    if not constants:
        found = summed(call, ways)
    else:
        i = constants[0]
        zero = whole(call.array(i + 2), "a zero point") if call.has(i + 2) else np.zeros((), np.int64)
        shape = call.operand(i).shape
        other = dequantised_constant(call.array(i), per_axis(positive(call.array(i + 1)), shape, 1),
                                     per_axis(zero, shape, 1)).array
        found = scaled(call, ways[0], *((1.0, other) if call.node.op == "QLinearAdd" else (other, 0.0)))
    return quantised(call, found, grid_of(call, 6, 7, found.shape), zero_first=True)


@operator("QLinearAveragePool", "QLinearGlobalAveragePool", domains=(CONTRIBUTED,))
def qlinear_average(call: Call) -> Tensor:
    """The average of the real numbers, rounded."""
    _channels_first(call)
    found = averaged(call, dequantised(call, 0, 1, 2), everywhere=call.node.op == "QLinearGlobalAveragePool")
    return quantised(call, found, grid_of(call, 3, 4, found.shape), zero_first=True)


@operator("QLinearSigmoid", "QLinearLeakyRelu", domains=(CONTRIBUTED,))
def qlinear_function(call: Call) -> Tensor:
    """The function of the real numbers, rounded."""
    tensor = dequantised(call, 0, 1, 2)
    found = applied(call, tensor, Sigmoid(origins=(call.label,))) if call.node.op == "QLinearSigmoid" else (
        leaky(call, tensor, np.asarray(call.attribute("alpha", 0.01))))
    return quantised(call, found, grid_of(call, 3, 4, found.shape))


@operator("QLinearConcat", domains=(CONTRIBUTED,))
def qlinear_concat(call: Call) -> Tensor:
    """Each tensor is brought to the common grid, then joined."""
    if len(call.operands) < 5 or len(call.operands) % 3 != 2:
        raise NodeError("LHC103", "the tensors to join are not given with a scale and a zero point each")
    parts = []
    for i in range(2, len(call.operands), 3):
        tensor, grid = dequantised(call, i, i + 1, i + 2), grid_of(call, 0, 1, call.operand(i).shape)
        same = tensor.grid is not None and tensor.grid.same_steps(grid.scale, grid.zero)
        parts.append(tensor if same else quantised(call, tensor, grid).real())
    axis, rank = call.attribute("axis", 1), len(parts[0].shape)
    if not -rank <= axis < rank:
        raise NodeError("LHC202", "the axis is not one of the tensor", param=f"axis {axis} of {parts[0].shape}")
    joined = joined_along(call, parts, axis % rank)
    return replace(joined, grid=grid_of(call, 0, 1, joined.shape), integer=True)


def _channels_first(call: Call) -> None:
    if call.attribute("channels_last", 0):
        raise NodeError("LHC401", "channels come last", help="export the network with channels first")


