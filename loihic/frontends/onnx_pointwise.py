"""ONNX operators on single elements: functions, arithmetic with constants, sums, normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from loihic.frontends.onnx_layout import expanded
from loihic.frontends.onnx_operands import Constant, NodeError, Operand, Tensor, aligned
from loihic.frontends.onnx_table import Call, operator
from loihic.ir.node import Array, SourceNode
from loihic.ops.elementwise import Clip, HardSigmoid, LeakyRelu, Relu, Sigmoid, Tanh
from loihic.ops.quantiser import Quantiser

_NOT_LINEAR = "only products with constants are linear; a gate or an attention has no integer form on the chip"


def applied(call: Call, tensor: Tensor, node: SourceNode) -> Tensor:
    """A node that keeps the shape, after a tensor; what it gives is real and on no grid that is known."""
    call.reading.spend(prod(tensor.shape))
    return Tensor(value=call.builder.add(node, tensor.value, call.label), shape=tensor.shape)


def scaled(call: Call, tensor: Tensor, gain: Array | float, shift: Array | float) -> Tensor:
    """gain x + shift, with arrays that broadcast as ONNX's do."""
    factors, constant = np.asarray(gain, dtype=np.float64), np.asarray(shift, dtype=np.float64)
    if not (np.isfinite(factors).all() and np.isfinite(constant).all()):
        raise NodeError("LHC104", "a factor or an addend is not a finite number")
    try:
        shape = np.broadcast_shapes(tensor.shape, factors.shape, constant.shape)
    except ValueError as error:
        raise NodeError("LHC202", "a constant does not fit the tensor it meets",
                        param=f"shapes {factors.shape}, {constant.shape} and {tensor.shape}") from error
    call.reading.spend(prod(shape))
    if shape != tensor.shape:
        tensor = expanded(call, tensor, shape)
    value = call.builder.scaled(tensor.value, aligned(factors, shape), aligned(constant, shape), call.label)
    return Tensor(value=value, shape=shape)


def summed(call: Call, tensors: Sequence[Tensor]) -> Tensor:
    """Real tensors added up, with ONNX's broadcasting."""
    try:
        shape = np.broadcast_shapes(*(one.shape for one in tensors))
    except ValueError as error:
        raise NodeError("LHC202", "the operands differ in shape",
                        param=", ".join(str(one.shape) for one in tensors[:8])) from error
    call.reading.spend(*[prod(shape)] * len(tensors))
    full = [one if one.shape == shape else expanded(call, one, shape) for one in tensors]
    return Tensor(value=call.builder.sum([one.value for one in full], call.label), shape=shape)


@operator("Relu")
def relu(call: Call) -> Tensor:
    """max(x, 0)."""
    return applied(call, call.real(0), Relu(origins=(call.label,)))


@operator("Sigmoid")
def sigmoid(call: Call) -> Tensor:
    """The logistic function."""
    return applied(call, call.real(0), Sigmoid(origins=(call.label,)))


@operator("Tanh")
def tanh(call: Call) -> Tensor:
    """Hyperbolic tangent."""
    return applied(call, call.real(0), Tanh(origins=(call.label,)))


@operator("HardSigmoid")
def hard_sigmoid(call: Call) -> Tensor:
    """With ONNX's own slope and offset."""
    alpha, beta = call.attribute("alpha", 0.2), call.attribute("beta", 0.5)
    if alpha < 0:
        raise NodeError("LHC401", "a function that falls has no thresholds", param=f"alpha = {alpha:g}")
    return applied(call, call.real(0), HardSigmoid(origins=(call.label,), alpha=alpha, beta=beta))


@operator("LeakyRelu")
def leaky_relu(call: Call) -> Tensor:
    """One slope below zero for all."""
    return leaky(call, call.real(0), np.asarray(call.attribute("alpha", 0.01)))


@operator("PRelu")
def prelu(call: Call) -> Tensor:
    """A slope below zero per channel or element."""
    tensor = call.real(0)
    return leaky(call, tensor, aligned(call.floats(1), tensor.shape))


def leaky(call: Call, tensor: Tensor, slope: Array) -> Tensor:
    """x, or slope x below zero; the slope broadcasts to a sample."""
    if (slope < 0).any():
        raise NodeError("LHC401", "a slope below zero falls before it rises", param=f"least slope {slope.min():g}",
                        help="train with slopes from 0 on")
    return applied(call, tensor, LeakyRelu(origins=(call.label,), slope=slope))


@operator("Clip")
def clip(call: Call) -> Tensor:
    """Bounds of real numbers; of integers, they narrow the quantiser that gave them."""
    tensor = call.tensor(0)
    low, high = (_bound(call, i + 1, name, default) for i, (name, default) in enumerate(
        (("min", -np.inf), ("max", np.inf))))
    return narrowed(call, tensor, low, high) if tensor.integer else applied(
        call, tensor, Clip(origins=(call.label,), low=min(low, high), high=high))


@operator("Max", "Min")
def bounded(call: Call) -> Tensor:
    """Of a tensor and numbers."""
    tensors = [one for one in call.operands if isinstance(one, Tensor)]
    limits = [call.floats(i) for i, one in enumerate(call.operands) if isinstance(one, Constant)]
    if len(tensors) != 1 or tensors[0].integer or any(one.size != 1 for one in limits):
        raise NodeError("LHC401", f"{call.node.op} of several tensors", help="only bounds that are single numbers are "
                        "read; use Clip or Relu")
    bounds = [float(one.reshape(())) for one in limits]
    node = Clip(origins=(call.label,), low=max(bounds, default=-np.inf)) if call.node.op == "Max" else (
        Clip(origins=(call.label,), high=min(bounds, default=np.inf)))
    return applied(call, tensors[0], node)


def _bound(call: Call, index: int, name: str, default: float) -> float:
    if not call.has(index):
        return float(call.attribute(name, default))
    array = call.array(index)
    if array.size != 1 or (array.dtype.kind not in "fiu" and "int" not in array.dtype.name):
        raise NodeError("LHC103", f"the bound {name} is not a number", param=f"shape {array.shape}")
    bound = float(array.reshape(()).astype(np.float64))
    if np.isnan(bound):
        raise NodeError("LHC104", f"the bound {name} is not a number")
    return bound


def narrowed(call: Call, tensor: Tensor, low: float, high: float) -> Tensor:
    """Integers within two bounds, as in QCDQ, where Clip narrows QuantizeLinear's range to fewer bits."""
    grid = tensor.levels
    least = int(np.ceil(np.clip(low - grid.zero, grid.low, grid.high + 1)))
    most = int(np.floor(np.clip(high - grid.zero, grid.low - 1, grid.high)))
    if (least, most) == (grid.low, grid.high):
        return tensor
    if least > most:
        raise NodeError("LHC105", "the bounds leave no integer", param=f"{low:g} to {high:g}")
    value, quantiser = tensor.source or (tensor.value, Quantiser(
        scale=aligned(grid.scale, tensor.shape), low=grid.low, high=grid.high))
    quantiser = replace(quantiser, origins=(*quantiser.origins, call.label), low=least, high=most)
    found = applied(call, replace(tensor, value=value), quantiser)
    return replace(found, grid=replace(grid, low=least, high=most), integer=True, source=(value, quantiser))


@operator("Add", "Sub")
def add(call: Call) -> Tensor:
    """Of two tensors, or of a tensor and constants."""
    sign = 1.0 if call.node.op == "Add" else -1.0
    first, second = call.operand(0), call.operand(1)
    if isinstance(second, Constant):
        return scaled(call, call.real(0), 1.0, sign * call.floats(1))
    if isinstance(first, Constant):
        return scaled(call, call.real(1), sign, call.floats(0))
    ways = [call.real(0), call.real(1)]
    return summed(call, ways if sign > 0 else [ways[0], scaled(call, ways[1], -1.0, 0.0)])


@operator("Sum", "Mean")
def add_all(call: Call) -> Tensor:
    """The sum or the average of any number of tensors and constants."""
    tensors = [call.real(i) for i, one in enumerate(call.operands) if isinstance(one, Tensor)]
    constants = [call.floats(i) for i, one in enumerate(call.operands) if isinstance(one, Constant)]
    total = summed(call, tensors) if len(tensors) > 1 else tensors[0]
    for one in constants:
        total = scaled(call, total, 1.0, one)
    return scaled(call, total, 1.0 / len(call.operands), 0.0) if call.node.op == "Mean" else total


@operator("Mul")
def multiply(call: Call) -> Tensor:
    """By constants."""
    first, second = call.operand(0), call.operand(1)
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        raise NodeError("LHC401", "two tensors of the network are multiplied", help=_NOT_LINEAR)
    tensor, factor = (0, 1) if isinstance(first, Tensor) else (1, 0)
    return scaled(call, call.real(tensor), call.floats(factor), 0.0)


@operator("Div")
def divide(call: Call) -> Tensor:
    """By constants."""
    if isinstance(call.operand(1), Tensor):
        raise NodeError("LHC401", "something is divided by a tensor of the network", help=_NOT_LINEAR)
    divisor = call.floats(1)
    if not divisor.all():
        raise NodeError("LHC104", "a divisor is zero")
    return scaled(call, call.real(0), 1.0 / divisor, 0.0)


@operator("Neg")
def negate(call: Call) -> Tensor:
    """-x."""
    return scaled(call, call.real(0), -1.0, 0.0)


@operator("Pow")
def power(call: Call) -> Operand:
    """With an exponent of one, which changes nothing."""
    tensor = call.real(0)
    if not isinstance(call.operand(1), Constant) or not np.all(call.floats(1) == 1.0):
        raise NodeError("LHC401", "a tensor of the network is raised to a power", help=_NOT_LINEAR)
    return tensor


@operator("BatchNormalization")
def batch_normalisation(call: Call) -> Tensor:
    """A gain and a shift per channel, the second of ONNX's dimensions."""
    tensor = call.real(0)
    if call.attribute("training_mode", 0) or call.attribute("spatial", 1) != 1:
        raise NodeError("LHC401", "a batch normalisation in training mode, or one that is not per channel",
                        help="export the network for inference (model.eval())")
    gamma, beta, mean, variance = (call.floats(i).reshape(-1) for i in range(1, 5))
    rank, channels = len(tensor.shape), tensor.shape[1] if len(tensor.shape) > 1 else 0
    spread = variance + call.attribute("epsilon", 1e-5)
    if any(one.shape != (channels,) for one in (gamma, beta, mean, variance)):
        raise NodeError("LHC202", "the statistics of the normalisation do not fit the channels",
                        param=f"shapes {gamma.shape}, {beta.shape}, {mean.shape}, {variance.shape} for {tensor.shape}")
    if not (spread > 0).all():
        raise NodeError("LHC105", "a variance is not above zero", param=f"the smallest is {spread.min():g}")
    gain = gamma / np.sqrt(spread)
    per_channel = (channels, *[1] * (rank - 2))
    return scaled(call, tensor, gain.reshape(per_channel), (beta - mean * gain).reshape(per_channel))
