"""SumPool2d and AvgPool2d: depthwise convolutions with a constant kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from loihic.ir.linear import LinearMap
from loihic.ir.node import Shape, ShapeError
from loihic.ir.registry import register_op
from loihic.ops.conv import conv_map
from loihic.ops.traits import NirLinear, Problem, pair


@register_op("SumPool2d", "sum over windows")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SumPool2d(NirLinear):
    """Sum over windows of `kernel_size` every `stride`, zeros of `padding` around."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)

    @classmethod
    def from_params(cls, params: Mapping[str, Any], origins: tuple[str, ...]) -> SumPool2d:
        kernel = pair(params["kernel_size"])
        return cls(origins=origins, kernel_size=kernel, stride=pair(params.get("stride", kernel)),
                   padding=pair(params.get("padding", 0)))

    def problems(self) -> Iterator[Problem]:
        for name, values in (("kernel_size", self.kernel_size), ("stride", self.stride)):
            if min(values) < 1:
                yield Problem(code="LHC105", message=f"{name} must be at least 1", param=f"{name} = {values}")

    @property
    def weight(self) -> float:
        """Each element's weight within its window."""
        return 1.0

    def linear_map(self, inputs: Shape) -> LinearMap:
        if len(inputs) != 3:
            raise ShapeError(f"a pool takes (C, H, W), but the input is {inputs}")
        kernel = np.full((inputs[0], 1, *self.kernel_size), self.weight)
        return conv_map(inputs, kernel, self.stride, self.padding, (1, 1), inputs[0])


@register_op("AvgPool2d", "mean over windows, padding counted")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AvgPool2d(SumPool2d):
    """Mean over windows; padded zeros count, as PyTorch's default does."""

    @property
    def weight(self) -> float:
        return 1.0 / prod(self.kernel_size)
