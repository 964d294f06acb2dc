"""Affine and Linear: y = W x + b on vectors."""

from __future__ import annotations

from dataclasses import dataclass

from loihic.ir.linear import DenseMap, LinearMap
from loihic.ir.node import Array, Shape, ShapeError
from loihic.ir.registry import register_op
from loihic.ops.traits import NirLinear


@register_op("Linear", "y = W x")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Linear(NirLinear):
    """y = W x; `weight` is (n_out, n_in)."""

    weight: Array

    def linear_map(self, inputs: Shape) -> LinearMap:
        if self.weight.ndim != 2:
            raise ShapeError(f"weight has shape {self.weight.shape}; loihic takes (n_out, n_in)")
        rows, cols = self.weight.shape
        if inputs != (cols,):
            raise ShapeError(f"weight has shape {self.weight.shape} and takes ({cols},), but the input is {inputs}")
        return DenseMap(in_shape=inputs, out_shape=(rows,), matrix=self.weight)


@register_op("Affine", "y = W x + b")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Affine(Linear):
    """y = W x + b; `bias` is (n_out,) or a scalar."""

    bias: Array

    def constant(self) -> Array:
        return self.bias

    def output_shape(self, inputs: Shape) -> Shape:
        shape = self.linear_map(inputs).out_shape
        if self.bias.size != 1 and self.bias.shape != shape:
            raise ShapeError(f"bias has shape {self.bias.shape}, the output {shape}")
        return shape
