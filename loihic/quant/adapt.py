"""Adapt: rounding up or down so that errors of a row cancel in the voltage, given what its inputs do together."""

from __future__ import annotations

import numpy as np

from loihic.ir.node import Array

LARGEST = 8e6  # weights; larger matrices keep the nearest numbers
WORK = 3e9  # weights looked at in all


def adapt(wanted: Array, made: Array, steps: Array, low: Array, high: Array, moments: Array) -> Array:
    """Coordinate descent on D H D' per row, D = made - wanted: one step up or down at a time, the best one first.

    Args:
        wanted: (rows, columns).
        made: the same on the lattice.
        steps: distance to the neighbouring numbers, (rows, columns); 0 for what must not move.
        low: least number of each weight.
        high: greatest number of each weight.
        moments: H, (columns, columns) for all rows or (rows, columns, columns); symmetric.

    Returns:
        The numbers, on the lattice; no row errs more than before.
    """
    rows, columns = made.shape
    if not made.size or made.size > LARGEST:
        return made
    made = made.copy()
    shared = moments.ndim == 2
    off = made - wanted
    slope = off @ moments if shared else np.einsum("ri,rij->rj", off, moments)
    own = np.diagonal(moments)[None] if shared else np.diagonal(moments, axis1=1, axis2=2)
    curve = own * steps**2
    row = np.arange(rows)
    frozen = np.where(steps > 0, 0.0, np.inf)
    for _ in range(int(min(8 * columns, WORK / made.size))):
        change = 2.0 * slope * steps
        up = np.where(made + steps <= high, curve + change, np.inf) + frozen
        down = np.where(made - steps >= low, curve - change, np.inf) + frozen
        best = np.minimum(up, down)
        column = best.argmin(axis=1)
        gain = best[row, column]
        moved = gain < -1e-12 * np.abs(curve).max(axis=1)
        if not moved.any():
            break
        sign = np.where(up[row, column] <= down[row, column], 1.0, -1.0)
        by = np.where(moved, sign * steps[row, column], 0.0)
        made[row, column] += by
        slope += by[:, None] * (moments[column] if shared else moments[row, column])
    return made
