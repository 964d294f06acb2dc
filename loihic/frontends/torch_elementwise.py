"""Operators of PyTorch that answer each element by itself: activation functions and arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from loihic.frontends.network import Value
from loihic.frontends.torch_site import Site
from loihic.frontends.torch_table import torch_op
from loihic.frontends.torch_values import Constant, Signal, Tensor, UnsupportedError, constant, signal_of
from loihic.ir.node import Array
from loihic.ops.elementwise import Clip, HardSigmoid, LeakyRelu, Relu, Sigmoid, Tanh


@torch_op("aten.relu", "aten.relu_")
def relu(site: Site, self: Tensor) -> Value:
    """max(x, 0)."""
    return site.builder.add(Relu(origins=(site.label,)), signal_of(self).value, site.label)


@torch_op("aten.hardtanh", "aten.hardtanh_")
def hardtanh(site: Site, self: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Value:
    """x between two bounds; ReLU6 in most exports."""
    return _clipped(site, self, min_val, max_val)


@torch_op("aten.relu6", "aten.relu6_")
def relu6(site: Site, self: Tensor) -> Value:
    """x between 0 and 6."""
    return _clipped(site, self, 0.0, 6.0)


@torch_op("aten.clamp", "aten.clamp_", "aten.clip", "aten.clip_")
def clamp(site: Site, self: Tensor, min: Any = None, max: Any = None) -> Value:
    """x between bounds that may be missing."""
    return _clipped(site, self, -np.inf if min is None else min, np.inf if max is None else max)


@torch_op("aten.clamp_min", "aten.clamp_min_")
def clamp_min(site: Site, self: Tensor, min: Any) -> Value:
    """max(x, bound)."""
    return _clipped(site, self, min, np.inf)


@torch_op("aten.clamp_max", "aten.clamp_max_")
def clamp_max(site: Site, self: Tensor, max: Any) -> Value:
    """min(x, bound)."""
    return _clipped(site, self, -np.inf, max)


def _clipped(site: Site, x: Tensor, low: Any, high: Any) -> Value:
    bounds = [constant(bound, "the bound").array for bound in (low, high)]
    if any(bound.size != 1 for bound in bounds):
        raise UnsupportedError("the bounds differ from element to element", "clip to two numbers")
    least, most = (float(bound.reshape(())) for bound in bounds)
    node = Relu(origins=(site.label,)) if (least, most) == (0.0, np.inf) else Clip(
        origins=(site.label,), low=least, high=most)
    return site.builder.add(node, signal_of(x).value, site.label)


@torch_op("aten.leaky_relu", "aten.leaky_relu_")
def leaky_relu(site: Site, self: Tensor, negative_slope: float = 0.01) -> Value:
    """x, or slope x below zero."""
    return _leaky(site, signal_of(self), np.asarray(negative_slope, dtype=np.float64))


@torch_op("aten.prelu", "aten._prelu_kernel")
def prelu(site: Site, self: Tensor, weight: Tensor) -> Value:
    """x, or below zero a slope times x that was trained, one per channel."""
    x, slope = signal_of(self), constant(weight, "the slope")
    if slope.array.ndim == 1 and slope.array.size > 1:
        return _leaky(site, x, slope.array.reshape(-1, *[1] * (len(x.full) - 2)))
    return _leaky(site, x, slope.array.reshape(()) if slope.array.size == 1 else site.beside(slope, x))


def _leaky(site: Site, x: Signal, slope: Array) -> Value:
    if np.any(slope < 0):
        raise UnsupportedError("its slope below zero is negative, so that it rises on both sides",
                               "train with slopes of at least 0")
    node = LeakyRelu(origins=(site.label,), slope=np.asarray(slope, dtype=np.float64))
    return site.builder.add(node, x.value, site.label)


@torch_op("aten.sigmoid", "aten.sigmoid_")
def sigmoid(site: Site, self: Tensor) -> Value:
    """The logistic function."""
    return site.builder.add(Sigmoid(origins=(site.label,)), signal_of(self).value, site.label)


@torch_op("aten.tanh", "aten.tanh_")
def tanh(site: Site, self: Tensor) -> Value:
    """The hyperbolic tangent."""
    return site.builder.add(Tanh(origins=(site.label,)), signal_of(self).value, site.label)


@torch_op("aten.hardsigmoid", "aten.hardsigmoid_")
def hardsigmoid(site: Site, self: Tensor) -> Value:
    """min(max(x / 6 + 1/2, 0), 1)."""
    return site.builder.add(HardSigmoid(origins=(site.label,)), signal_of(self).value, site.label)


@torch_op("aten.add", "aten.add_")
def add(site: Site, self: Any, other: Any, alpha: float = 1) -> Signal | Constant | Value:
    """self + alpha other."""
    return _sum(site, self, 1.0, other, float(alpha))


@torch_op("aten.sub", "aten.sub_")
def sub(site: Site, self: Any, other: Any, alpha: float = 1) -> Signal | Constant | Value:
    """Self - alpha other."""
    return _sum(site, self, 1.0, other, -float(alpha))


@torch_op("aten.rsub")
def rsub(site: Site, self: Any, other: Any, alpha: float = 1) -> Signal | Constant | Value:
    """Other - alpha self."""
    return _sum(site, other, 1.0, self, -float(alpha))


@torch_op("aten.neg", "aten.neg_")
def neg(site: Site, self: Tensor) -> Constant | Value:
    """-x."""
    if isinstance(self, Constant):
        return Constant(array=-self.array, unit=self.unit)
    return site.builder.scaled(signal_of(self).value, -1.0, 0.0, site.label)


def _sum(site: Site, first: Any, gain: float, second: Any, other_gain: float) -> Signal | Constant | Value:
    if isinstance(first, Signal) and isinstance(second, Signal):
        terms = [_term(site, first, gain, second), _term(site, second, other_gain, first)]
        return site.builder.sum(terms, site.label)
    if isinstance(first, Signal):
        shift = constant(second, "a term")
        x = _spread(site, first)
        return site.builder.scaled(x.value, gain, other_gain * site.beside(shift, x), site.label)
    if isinstance(second, Signal):
        return _sum(site, second, other_gain, first, gain)
    return Constant(array=np.asarray(gain * constant(first, "a term").array + other_gain
                                     * constant(second, "a term").array))


def _term(site: Site, x: Signal, gain: float, other: Signal) -> Value:
    """One term of a sum of two signals, of the shape of the sum."""
    if site.samples != 1 and len(x.full) != len(other.full):
        raise UnsupportedError("tensors of different ranks are added", "give both the same number of dimensions")
    wide = _spread(site, x)
    return wide.value if gain == 1.0 else site.builder.scaled(wide.value, gain, 0.0, site.label)


def _spread(site: Site, x: Signal) -> Signal:
    """A signal broadcast to the shape of the result."""
    batched, shape = site.split(site.meta())
    if x.shape == shape:
        return x
    return site.moved(x, lambda index: np.broadcast_to(
        index, (index.shape[0] if x.batched else 1, *shape) if batched else shape))


@torch_op("aten.mul", "aten.mul_")
def mul(site: Site, self: Any, other: Any) -> Constant | Value:
    """A product with a constant."""
    if not isinstance(self, Signal) and not isinstance(other, Signal):
        return _product(constant(self, "a factor"), constant(other, "a factor"))
    if isinstance(self, Signal) and isinstance(other, Signal):
        raise UnsupportedError("two tensors that both depend on the input are multiplied",
                               "the chip multiplies by constants only")
    x, factor = (self, other) if isinstance(self, Signal) else (other, self)
    gain = constant(factor, "a factor")
    wide = _spread(site, x)
    return site.builder.scaled(wide.value, site.beside(gain, wide), 0.0, site.label)


@torch_op("aten.div", "aten.div_", "aten.true_divide")
def div(site: Site, self: Any, other: Any, rounding_mode: str | None = None) -> Constant | Value:
    """A quotient by a constant."""
    if rounding_mode is not None:
        raise UnsupportedError("the quotient is rounded", "round with a quantiser")
    divisor = constant(other, "the divisor").array
    if not np.all(divisor):
        raise UnsupportedError("it divides by zero")
    return mul(site, self, Constant(array=1.0 / divisor.astype(np.float64)))


def _product(first: Constant, second: Constant) -> Constant:
    """A product of constants; a number times weights scales their unit."""
    for weights, factor in ((first, second), (second, first)):
        if weights.unit is not None and factor.array.size == 1:
            gain = np.abs(factor.array.astype(np.float64))
            return Constant(array=weights.array * factor.array, unit=weights.unit * gain)
    return Constant(array=first.array * second.array)
