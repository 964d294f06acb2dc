"""Preparation: what the host does to an input before it sends it, where the model's file says what."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from loihic.ir.node import Array, Node
from loihic.ir.registry import register_op
from loihic.ops.quantiser import Stepwise


@register_op("Preparation", "an input scaled, shifted and quantised by the host")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Preparation(Node):
    """level = steps.level(gain x + shift), computed in float32 as the frameworks do.

    Attributes:
        gain, shift: numbers, or arrays that broadcast to the input's shape.
        steps: the quantiser.
    """

    gain: Array = field(default_factory=lambda: np.ones(()))
    shift: Array = field(default_factory=lambda: np.zeros(()))
    steps: Stepwise

    def levels(self, values: Array) -> Array:
        """Levels of real values (..., *shape), whole numbers as float64."""
        x = values.astype(np.float32)
        if np.any(self.gain != 1.0) or np.any(self.shift != 0.0):
            x = x * self.gain.astype(np.float32) + self.shift.astype(np.float32)
        return self.steps.level(x)
