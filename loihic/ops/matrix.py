"""Matrix: y = A x + b for a linear map given as such: a reader's form of Gemm, Conv, pooling and moves of data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loihic.ir.linear import LinearMap
from loihic.ir.node import Array, Shape, ShapeError, SourceNode
from loihic.ir.registry import register_op
from loihic.ops.traits import LinearNode


@register_op("Matrix", "y = A x + b for any linear map")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Matrix(LinearNode, SourceNode):
    """y = A x + b, with shapes that are known.

    Attributes:
        linear: A, with real weights.
        bias: b, broadcastable to the output, or None.
        unit: where the weights are whole multiples of a unit, that unit: a number, or one per output channel or
            element (broadcastable to the output); None if they are real numbers, to be quantised.
    """

    linear: LinearMap
    bias: Array | None = None
    unit: Array | None = None

    def linear_map(self, inputs: Shape) -> LinearMap:
        if inputs != self.linear.in_shape:
            raise ShapeError(f"it takes {self.linear.in_shape}, but the input is {inputs}")
        return self.linear

    def constant(self) -> Array | None:
        return self.bias

    def output_shape(self, inputs: Shape) -> Shape:
        shape = self.linear_map(inputs).out_shape
        for name, value in (("bias", self.bias), ("unit", self.unit)):
            if value is not None and np.broadcast_shapes(value.shape, shape) != shape:
                raise ShapeError(f"{name} has shape {value.shape}, the output {shape}")
        return shape
