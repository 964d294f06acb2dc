"""Functions of one element: ReLU and its kin, as they stand between a linear map and a quantiser."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from loihic.ir.node import Array, Shape, ShapeError, SourceNode
from loihic.ir.registry import register_op


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Elementwise(SourceNode):
    """A node without memory that answers each element by itself.

    `rising` says whether a greater input never gives a smaller output; only such functions have steps that a neuron's
    thresholds can stand for.
    """

    rising: ClassVar[bool] = True

    @abstractmethod
    def apply(self, x: Array) -> Array:
        """The function of a batch (N, *shape), of the same shape."""


@register_op("Relu", "max(x, 0)")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Relu(Elementwise):
    """max(x, 0)."""

    def apply(self, x: Array) -> Array:
        return np.maximum(x, 0.0)


@register_op("Clip", "x within two bounds")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clip(Elementwise):
    """min(max(x, low), high); HardTanh is a Clip to -1..1, ReLU6 one to 0..6."""

    low: float = -np.inf
    high: float = np.inf

    def apply(self, x: Array) -> Array:
        return np.minimum(np.maximum(x, self.low), self.high)


@register_op("LeakyRelu", "x, or a x below zero")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LeakyRelu(Elementwise):
    """x where x >= 0, else slope x; `slope` is a number from 0 on, or one per channel (PReLU)."""

    slope: Array

    def apply(self, x: Array) -> Array:
        return np.where(x >= 0, x, x * self.slope)

    def output_shape(self, inputs: Shape) -> Shape:
        if np.broadcast_shapes(self.slope.shape, inputs) != inputs:
            raise ShapeError(f"slope has shape {self.slope.shape}, the input {inputs}")
        return inputs


@register_op("Sigmoid", "1 / (1 + exp(-x))")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sigmoid(Elementwise):
    """The logistic function, without overflow at either end."""

    def apply(self, x: Array) -> Array:
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


@register_op("Tanh", "hyperbolic tangent")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tanh(Elementwise):
    """tanh(x)."""

    def apply(self, x: Array) -> Array:
        return np.asarray(np.tanh(x))


@register_op("HardSigmoid", "min(max(alpha x + beta, 0), 1)")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HardSigmoid(Elementwise):
    """The piecewise linear sigmoid; alpha 1/6 and beta 1/2 in PyTorch, 0.2 and 0.5 in ONNX."""

    alpha: float = 1.0 / 6.0
    beta: float = 0.5

    def apply(self, x: Array) -> Array:
        return np.asarray(np.clip(self.alpha * x + self.beta, 0.0, 1.0))
