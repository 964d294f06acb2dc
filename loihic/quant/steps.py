"""Steps: the whole sums at which a staircase rises, and the multiplication and shift that rise at the same sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from loihic.ir.node import Array

MULTIPLIER_BITS = 24  # as wide as a state
LONGEST_SHIFT = 40
SEARCHES = 60  # halvings of an interval
VAST = 2.0**62


def rises(level: Callable[[Array], Array], levels: Array, low: int, high: int, rows: tuple[int, ...]) -> Array:
    """The least whole sum at which each level is reached, by bisection.

    Args:
        level: a rising function from whole sums (steps, *rows), float64, to levels.
        levels: (steps,), rising.
        low: the least sum that can occur.
        high: the greatest.
        rows: shape of what `level` treats differently.

    Returns:
        (steps, *rows) float64: -inf where the level is reached at `low` already, inf where `high` does not reach it.
    """
    wanted = levels.reshape(-1, *[1] * len(rows)).astype(np.float64)
    least = np.full((len(levels), *rows), low, dtype=np.int64)
    most = np.full_like(least, high + 1)  # reached here, or never
    while np.any(least < most):
        middle = (least + most) >> 1
        reached = level(middle.astype(np.float64)) >= wanted
        most = np.where(reached, middle, most)
        least = np.where(reached, least, np.minimum(middle + 1, most))
    found = most.astype(np.float64)
    found[most > high] = np.inf
    found[most <= low] = -np.inf
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Product:
    """(sum * multiplier + addend) >> shift, per row; `ties_even` rounds to the nearest instead of down."""

    multiplier: Array
    addend: Array
    shift: Array
    ties_even: bool = False


def product(steps: Array, first: int, low: int, high: int) -> Product | None:
    """The multiplication and shift that rise exactly at `steps`; None if there are none that the neuron can do.

    (v M + A) >> S is at least L from the sum T on if L 2^S <= T M + A, and below it before if (T - 1) M + A < L 2^S.
    With s = M / 2^S and o = A / 2^S each step bounds o from below by L - s T and from above by L - s (T - 1). The room
    between all bounds is a concave function of s: where it is greatest a line goes through all steps, if one does.

    Args:
        steps: (rows, steps), whole sums, -inf or inf at the ends.
        first: the level that the first step reaches.
        low: the least sum that can occur; a level reached at -inf is reached there.
        high: the greatest; a level reached at inf is not reached there.
    """
    rows = _Rows(steps, first, low, high)
    flat = ~np.isfinite(steps).any(axis=1)
    multiplier, addend, shift = (np.zeros(len(steps), dtype=np.int64) for _ in range(3))
    # One level for every sum: multiply by nothing.
    addend[flat] = first - 1 + np.count_nonzero(steps[flat] == -np.inf, axis=1)
    if np.all(flat):
        return Product(multiplier=multiplier, addend=addend, shift=shift)
    least, most = rows.slopes()
    open_ = ~flat
    for width in range(LONGEST_SHIFT + 1):
        scale = float(1 << width)
        middle = np.clip(np.rint((least + most) / 2 * scale), 1, (1 << MULTIPLIER_BITS) - 1)
        floor, ceiling = rows.addends(middle, scale)
        fits = open_ & (floor <= ceiling)
        multiplier[fits], shift[fits] = middle[fits], width
        addend[fits] = np.floor((floor + ceiling) / 2)[fits]
        open_ = open_ & ~fits
        if not np.any(open_):
            return Product(multiplier=multiplier, addend=addend, shift=shift)
    return _even(rows, flat, addend) if np.all(least[~flat] > 0) else None


class _Rows:
    """Steps of several neurons, and what they ask of a line."""

    def __init__(self, steps: Array, first: int, low: int, high: int) -> None:
        self.levels = (first + np.arange(steps.shape[1])).astype(np.float64)
        self.reached = np.where(np.isfinite(steps), steps, np.where(steps < 0, low, np.inf))
        self.before = np.where(np.isfinite(steps), steps - 1, np.where(steps > 0, high, -np.inf))

    def addends(self, slope: Array, scale: float = 1.0) -> tuple[Array, Array]:
        """Least and greatest addend for a whole multiplier per row."""
        least, most = self._bounds(slope, scale)
        return least, most - 1

    def room(self, slope: Array) -> Array:
        """How far apart the bounds of the offset are, per row."""
        least, most = self._bounds(slope, 1.0)
        return np.minimum(most - least, VAST)

    def _bracket(self) -> tuple[Array, Array]:
        """Slopes below and above which no line goes through the first and the last step."""
        inside = np.isfinite(self.reached) & np.isfinite(self.before)
        count = np.maximum(inside.sum(axis=1) - 1, 0)
        row = np.arange(len(inside))
        first, last = inside.argmax(axis=1), inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
        ends = np.where(inside, self.reached, 0.0)
        span = ends[row, last] - ends[row, first]
        steepest = 2.0 * len(self.levels) + 2.0
        return count / (span + 1.0), np.where(span > 1, count / np.maximum(span - 1.0, 1.0), steepest)

    def _bounds(self, slope: Array, scale: float) -> tuple[Array, Array]:
        with np.errstate(invalid="ignore"):
            least = np.where(np.isfinite(self.reached), self.levels * scale - slope[:, None] * self.reached, -VAST)
            most = np.where(np.isfinite(self.before), self.levels * scale - slope[:, None] * self.before, VAST)
        return least.max(axis=1), most.min(axis=1)

    def slopes(self) -> tuple[Array, Array]:
        """Between which slopes there is room; where there is none, both ends are the best one."""
        bottom, top = self._bracket()
        low, high = bottom, top
        for _ in range(SEARCHES):
            third = (high - low) / 3
            better = self.room(low + third) < self.room(high - third)
            low, high = np.where(better, low + third, low), np.where(better, high, high - third)
        best = (low + high) / 2
        ends = []
        for end in (bottom, top):
            inner, outer = best, end
            for _ in range(SEARCHES):
                middle = (inner + outer) / 2
                has_room = self.room(middle) > 0
                inner, outer = np.where(has_room, middle, inner), np.where(has_room, outer, middle)
            ends.append(inner)
        return ends[0], ends[1]


def _even(rows: _Rows, flat: Array, addend: Array) -> Product | None:
    """Multiplier 1, rounding half to even: scales that are powers of two, whose ties alternate."""
    for width in range(1, LONGEST_SHIFT + 1):
        scale = float(1 << width)
        inside = np.isfinite(rows.reached) & np.isfinite(rows.before)
        place = inside.argmax(axis=1)
        row = np.arange(len(place))
        middle = (rows.levels[place] - 0.5) * scale - rows.reached[row, place]
        for off in (0, 1):
            candidate = np.where(flat, addend * scale, np.rint(middle) + off)
            factor = np.where(flat, 0.0, 1.0)[:, None]
            low = np.rint((np.where(np.isfinite(rows.reached), rows.reached, 0) * factor + candidate[:, None]) / scale)
            high = np.rint((np.where(np.isfinite(rows.before), rows.before, 0) * factor + candidate[:, None]) / scale)
            reached = (low >= rows.levels) | ~np.isfinite(rows.reached)
            before = (high < rows.levels) | ~np.isfinite(rows.before)
            if np.all(reached & before):
                return Product(multiplier=factor[:, 0].astype(np.int64), addend=candidate.astype(np.int64),
                               shift=np.full(len(place), width), ties_even=True)
    return None
