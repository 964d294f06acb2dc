"""Grids: weights that already lie on multiples of one number, as quantisation-aware training leaves them."""

from __future__ import annotations

import numpy as np

from loihic.ir.node import Array
from loihic.quant.groups import Rows

LEVELS = 512  # a grid has at most so many steps on either side: 8 bits of one sign, and some to spare
TOLERANCE = 2.0**-20  # of the largest weight: some units in the last place of single precision
SAMPLE = 4096  # weights that are looked at first


def grid_steps(rows: Rows) -> Array | None:
    """The step of the grid that each row's weights lie on: one for all rows if it can be, else one per row, (rows,).

    None unless every row lies on one. A row of zeros takes any step, written as infinity.
    """
    whole = _step(rows.values)
    if whole:
        return np.full(rows.count, whole)
    if rows.starts is not None or rows.count < 2:
        return None
    steps = np.array([_step(row) for row in rows.values.reshape(rows.count, -1)])
    return steps if np.all(steps) else None


def _step(values: Array) -> float:
    """The step on whose multiples all `values` lie; 0 if there is none, infinity if all are zero."""
    largest = float(np.abs(values).max(initial=0.0))
    if not largest:
        return float("inf")
    sample = np.unique(np.abs(values[:: max(values.size // SAMPLE, 1)]))
    step, noise = largest, TOLERANCE * largest
    for value in sample[::-1]:
        step = _common(float(value), step, largest / LEVELS / 4)
        if step * LEVELS < largest:
            return 0.0
        step = largest / np.rint(largest / step)  # Euclid's remainders gather noise, the largest weight has least
    multiples = np.rint(values / step)
    step = float(np.sum(values * multiples) / np.sum(multiples**2))
    return step if np.all(np.abs(values - multiples * step) <= noise) else 0.0


def _common(first: float, second: float, nothing: float) -> float:
    """The greatest common divisor of two numbers (Euclid); what is left is `nothing` well below the least divisor."""
    while second > nothing:
        first, second = second, abs(first - second * np.rint(first / second))
    return first
