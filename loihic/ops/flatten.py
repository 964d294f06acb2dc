"""Flatten: joins dimensions, moves no data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from loihic.ir.linear import IdentityMap, LinearMap
from loihic.ir.node import Shape, ShapeError
from loihic.ir.registry import register_op
from loihic.ops.traits import NirLinear, whole


@register_op("Flatten", "joins the dimensions start_dim..end_dim")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Flatten(NirLinear):
    """Joins dimensions `start_dim` to `end_dim`, both included, in C order.

    NIR counts dimensions without the batch, but some exporters write PyTorch's start_dim, which counts it; the
    `input_type` stored beside tells the two apart only by its length, so an out-of-range start is read as "all".
    """

    start_dim: int = 0
    end_dim: int = -1
    declared: Shape = ()

    @classmethod
    def from_params(cls, params: Mapping[str, Any], origins: tuple[str, ...]) -> Flatten:
        declared = params.get("input_type")
        return cls(
            origins=origins, start_dim=whole(params.get("start_dim", 0)), end_dim=whole(params.get("end_dim", -1)),
            declared=() if declared is None else tuple(int(n) for n in np.asarray(declared).reshape(-1)))

    def linear_map(self, inputs: Shape) -> LinearMap:
        rank = len(inputs)
        first = self.start_dim + rank if self.start_dim < 0 else self.start_dim
        last = self.end_dim + rank if self.end_dim < 0 else self.end_dim
        if rank <= 1:
            return IdentityMap(in_shape=inputs, out_shape=inputs)
        if not 0 <= first <= last < rank:
            raise ShapeError(f"cannot join dimensions {self.start_dim}..{self.end_dim} of {inputs}")
        joined = (*inputs[:first], prod(inputs[first : last + 1]), *inputs[last + 1 :])
        return IdentityMap(in_shape=inputs, out_shape=joined)
