"""Scale: y = s x, element by element."""

from __future__ import annotations

from dataclasses import dataclass

from loihic.ir.linear import IdentityMap, LinearMap
from loihic.ir.node import Array, Shape
from loihic.ir.registry import register_op
from loihic.ops.traits import NirLinear, fit_parameter


@register_op("Scale", "y = s x, element by element")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scale(NirLinear):
    """y = s x; `scale` is a scalar or has the input's shape."""

    scale: Array

    def linear_map(self, inputs: Shape) -> LinearMap:
        return IdentityMap(in_shape=inputs, out_shape=inputs).scaled(fit_parameter(self.scale, inputs, "scale"))
