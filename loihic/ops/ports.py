"""Input and Output: where a graph meets the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from loihic.ir.node import Shape
from loihic.ir.registry import register_op
from loihic.ops.traits import NirNode


@register_op("Input", "a stream of arrays from outside, one per step")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Input(NirNode):
    """A source of arrays of `shape`."""

    needs_input: ClassVar[bool] = False
    shape: Shape = ()

    @classmethod
    def from_params(cls, params: Mapping[str, Any], origins: tuple[str, ...]) -> Input:
        return cls(origins=origins, shape=tuple(int(n) for n in np.asarray(params["shape"]).reshape(-1)))

    def output_shape(self, inputs: Shape) -> Shape:
        return self.shape


@register_op("Output", "what the user gets back, one array per step")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Output(NirNode):
    """A sink; the file's own claim of a shape is kept in `shape` and may be empty."""

    shape: Shape = ()

    @classmethod
    def from_params(cls, params: Mapping[str, Any], origins: tuple[str, ...]) -> Output:
        return cls(origins=origins, shape=tuple(int(n) for n in np.asarray(params.get("shape", ())).reshape(-1)))
