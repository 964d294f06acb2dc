"""Pairs: two values on grids of their own, added up: whether whole weights put every sum on its own level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loihic.ir.linear import LinearMap
from loihic.passes.staircases import Climb
from loihic.quant.groups import storable, values_of
from loihic.quant.units import Entering

MOST_PAIRS = 1 << 26  # of levels, over all rows


def is_exact(climb: Climb, entering: Sequence[Entering], whole: Sequence[LinearMap]) -> bool:
    """Whether a staircase gives the exact level for every pair of levels that can arrive.

    Tried, pair by pair, for sums of two maps that each have one weight alone, as residual sums have. False for others.

    Args:
        climb: the staircase, of whole sums.
        entering: the two maps, with real weights.
        whole: the same with whole weights.
    """
    if len(entering) != 2:
        return False
    real = [np.unique(values_of(storable(one.linear))) for one in entering]
    weights = [np.unique(values_of(linear)) for linear in whole]
    sizes = [one.high - one.low + 1 for one in entering]
    rows = climb.rows
    if any(np.ptp(one) > 1e-12 * np.abs(one).max() for one in (*real, *weights) if one.size) or not all(
            one.size for one in (*real, *weights)) or sizes[0] * sizes[1] * int(np.prod(rows)) > MOST_PAIRS:
        return False
    first = np.arange(entering[0].low, entering[0].high + 1, dtype=np.float64)
    for second in range(entering[1].low, entering[1].high + 1):
        exact = (first * real[0][0] + second * real[1][0]).reshape(-1, *[1] * len(rows))
        total = (first * weights[0][0] + second * weights[1][0]).reshape(exact.shape)
        if not np.array_equal(climb.level_of_real(exact), climb.level(total)):
            return False
    return True
