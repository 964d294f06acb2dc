"""Weights to mantissas and an exponent, on the grids that Lava's synapses keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loihic.ir.node import Array
from loihic.ops.synapse import SignMode


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightGrid:
    """The mantissas a synapse can hold: multiples of `step` in [low, high]."""

    step: int
    low: int
    high: int

    def round(self, values: Array) -> Array:
        """Nearest mantissas, clipped."""
        rounded: Array = np.clip(np.rint(values / self.step) * self.step, self.low, self.high)
        return rounded.astype(np.int64)


def grid(sign_mode: SignMode, bits: int) -> WeightGrid:
    """Lava keeps (w >> k) << k of -256..255 (mixed), 0..255, or -255..0, with k = 8 - bits + mixed."""
    step = 1 << (8 - bits + (sign_mode is SignMode.MIXED))
    if sign_mode is SignMode.MIXED:
        return WeightGrid(step=step, low=-256, high=256 - step)
    if sign_mode is SignMode.EXCITATORY:
        return WeightGrid(step=step, low=0, high=256 - step)
    return WeightGrid(step=step, low=-256 + step, high=0)
