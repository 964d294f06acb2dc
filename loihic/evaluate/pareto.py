"""Pareto: the points that no other point beats in everything."""

from __future__ import annotations

import numpy as np

from loihic.ir.node import Array


def pareto(costs: Array) -> Array:
    """Which points no other dominates, (points,) bool.

    A point dominates another if it is nowhere worse and somewhere better; equal points do not dominate each other.
    Points with a NaN take no part, and are not marked.

    Args:
        costs: (points, criteria), each to be as small as possible.
    """
    costs = np.asarray(costs, dtype=np.float64)
    whole = ~np.isnan(costs).any(axis=1)
    best = whole.copy()
    for point in np.flatnonzero(whole):
        no_worse = np.all(costs <= costs[point], axis=1) & whole
        better = np.any(costs < costs[point], axis=1)
        best[point] = not np.any(no_worse & better)
    return np.asarray(best)
