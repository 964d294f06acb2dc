"""Weights to mantissas and an exponent, on the grids that Lava's synapses keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loihic.ir.node import Array
from loihic.ops.synapse import SignMode
from loihic.quant.fixed import EXPONENT_MAX, EXPONENT_MIN

FEW_LEVELS = 32  # below so many mantissa steps for the largest weight, a flooring exponent beats coarse weights


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

    def fits(self, least: float, most: float) -> bool:
        """Whether values in [least, most] round without clipping."""
        half = self.step / 2
        return most < self.high + half and least > self.low - half


def grid(sign_mode: SignMode, bits: int) -> WeightGrid:
    """Lava keeps (w >> k) << k of -256..255 (mixed), 0..255, or -255..0, with k = 8 - bits + mixed."""
    step = 1 << (8 - bits + (sign_mode is SignMode.MIXED))
    if sign_mode is SignMode.MIXED:
        return WeightGrid(step=step, low=-256, high=256 - step)
    if sign_mode is SignMode.EXCITATORY:
        return WeightGrid(step=step, low=0, high=256 - step)
    return WeightGrid(step=step, low=-256 + step, high=0)


CONV_GRID = {bits: WeightGrid(step=1 << (9 - bits), low=-256, high=256 - (1 << (9 - bits))) for bits in range(2, 9)}


def sign_mode_of(values: Array) -> SignMode:
    """Mixed, or a single sign; as Lava determines it."""
    least, most = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    if least >= 0:
        return SignMode.EXCITATORY
    return SignMode.INHIBITORY if most <= 0 else SignMode.MIXED


def choose_exponent(values: Array, where: WeightGrid) -> int | None:
    """The least exponent with which `values` (in units of the accumulated sum) fit; None if none does.

    Down to -log2(step) an exponent loses nothing, since mantissas are multiples of step; below, sums are floored.
    """
    least, most = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    exact = -(where.step.bit_length() - 1)
    for exponent in range(EXPONENT_MIN, EXPONENT_MAX + 1):
        if not where.fits(least / 2.0**exponent, most / 2.0**exponent):
            continue
        if exponent >= exact:
            return exponent
        levels = max(most, -least) / 2.0**exact / where.step
        return exponent if levels < FEW_LEVELS else exact
    return None
