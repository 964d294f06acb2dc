"""Pairs: two values on grids of their own, added up: whether whole weights put every sum on its own level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loihic.ir.linear import LinearMap
from loihic.passes.staircases import Climb
from loihic.quant.groups import Rows, storable, values_of
from loihic.quant.units import Entering

MOST_PAIRS = 1 << 26  # of levels, over all rows


def is_exact(climb: Climb, entering: Sequence[Entering], whole: Sequence[LinearMap]) -> bool:
    """Whether a staircase gives the exact level for every pair of levels that can arrive.

    Tried, pair by pair, for sums of two maps whose weights are all equal, as those of residual sums are: of a map that
    adds up several levels, as a pooling does, for every sum of so many. False for others.

    Args:
        climb: the staircase, of whole sums.
        entering: the two maps, with real weights.
        whole: the same with whole weights.
    """
    if len(entering) != 2:
        return False
    real = [np.unique(values_of(storable(one.linear))) for one in entering]
    weights = [np.unique(values_of(linear)) for linear in whole]
    sums = [range(count * one.low, count * one.high + 1)
            for count, one in zip(map(_most_weights, whole), entering, strict=True)]
    rows = climb.rows
    if any(np.ptp(one) > 1e-12 * np.abs(one).max() for one in (*real, *weights) if one.size) or not all(
            one.size for one in (*real, *weights)) or len(sums[0]) * len(sums[1]) * int(np.prod(rows)) > MOST_PAIRS:
        return False
    first = np.asarray(sums[0], dtype=np.float64)
    for second in sums[1]:
        exact = (first * real[0][0] + second * real[1][0]).reshape(-1, *[1] * len(rows))
        total = (first * weights[0][0] + second * weights[1][0]).reshape(exact.shape)
        if not np.array_equal(climb.level_of_real(exact), climb.level(total)):
            return False
    return True


def _most_weights(linear: LinearMap) -> int:
    """The greatest number of weights that one sum has."""
    rows = Rows(linear=linear)
    return int(rows.sum((rows.values != 0).astype(np.float64)).max(initial=0))
