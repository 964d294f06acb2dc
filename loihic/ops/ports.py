"""Input and Output: where a graph meets the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from loihic.ir.node import Array, Shape
from loihic.ir.registry import register_op
from loihic.ops.preparation import Preparation
from loihic.ops.traits import NirNode


@register_op("Input", "a stream of arrays from outside, one per step")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Input(NirNode):
    """A source of arrays of `shape`; `preparation`, if the host prepares and quantises them as the file says."""

    needs_input: ClassVar[bool] = False
    shape: Shape = ()
    preparation: Preparation | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any], origins: tuple[str, ...]) -> Input:
        return cls(origins=origins, shape=tuple(int(n) for n in np.asarray(params["shape"]).reshape(-1)))

    def output_shape(self, inputs: Shape) -> Shape:
        return self.shape


@register_op("Output", "what the user gets back, one array per step")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Output(NirNode):
    """A sink; the file's own claim of a shape is kept in `shape` and may be empty.

    What the file calls its output is x / scale + offset: a graph that ends with a quantiser gives the quantised
    integers, zero point included.
    """

    shape: Shape = ()
    scale: Array = field(default_factory=lambda: np.ones(()))
    offset: Array = field(default_factory=lambda: np.zeros(()))

    def apply(self, x: Array) -> Array:
        """The file's own output for what arrives, (N, *shape)."""
        return x / self.scale + self.offset

    @classmethod
    def from_params(cls, params: Mapping[str, Any], origins: tuple[str, ...]) -> Output:
        return cls(origins=origins, shape=tuple(int(n) for n in np.asarray(params.get("shape", ())).reshape(-1)))
