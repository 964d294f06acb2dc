"""One budget: the multiple-choice knapsack problem, solved by bounds and a breadth-first search.

From each group one option is taken, so that the sum of the costs is least while the sum of the weights stays within a
capacity. Three ideas make it fast (D. Pisinger, A minimal algorithm for the multiple-choice knapsack problem, European
Journal of Operational Research 83, 1995):

- The linear relaxation is solved by sorting: each group's lower convex hull is a chain of increments, and taking all
  groups' increments in order of cost saved per weight is optimal until the last one, of which only a part fits.
- With that one's rate as Lagrange multiplier, most options cost more than the best solution known, whatever the
  other groups do, and are dropped.
- What is left is searched group by group. Of all partial choices, those are kept whose bound, by the relaxation of
  the groups to come, still allows an improvement, and which no lighter one undercuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from loihic.ir.node import Array
from loihic.quant.knapsack_model import Picks

TOLERANCE = 1e-9  # relative: an improvement smaller than this is not looked for
EFFORT = 50_000_000  # partial choices looked at in all: about ten seconds
WIDEST = 50_000  # partial choices kept after a group, at most
NARROWEST = 16  # and when the effort is used up


def least_cost(costs: Sequence[Array], weights: Sequence[Array], capacity: float, *, whole: bool = False,
               effort: int = EFFORT) -> Picks | None:
    """The cheapest option of every group within a capacity; None if even the lightest options exceed it.

    Args:
        costs: of the options of each group, not negative.
        weights: of the same options, not negative.
        capacity: for the sum of the weights.
        whole: the costs are integers, so that improvements are by 1 at least.
        effort: partial choices to look at before settling for a solution that is not shown to be optimal.
    """
    if not costs:
        return Picks(options=(), cost=0.0, bound=0.0, solver="lagrange")
    groups = [_group(cost, weight) for cost, weight in zip(costs, weights, strict=True)]
    increments = _Increments(groups)
    chain = increments.after(-1)
    if chain.weight[0] > capacity:
        return None
    best = _Best(len(groups), whole)
    fitting = int(chain.reached(np.array(capacity)))
    best.adopt(groups, increments.places(-1, fitting), float(chain.cost[fitting]))
    bound = float(chain.bound(np.array(capacity)))
    if bound < best.wanted:
        rate = float(increments.saved[fitting]) / float(increments.weight[fitting])
        if isfinite(rate):
            groups = [_promising(group, rate, best.wanted - bound) for group in groups]
        bound = _search(groups, capacity, best, effort)
    bound = bound if bound < best.wanted else best.cost
    return Picks(options=tuple(best.options), cost=best.cost, bound=bound, solver="lagrange")


@dataclass(frozen=True, slots=True)
class _Group:
    """Options that no other one of the group undercuts, lightest first.

    Attributes:
        options: as the caller numbers them.
        cost, weight: of each; costs descend and weights ascend.
        hull: which of them lie on the lower convex hull of cost over weight, as `options` is indexed.
    """

    options: Array
    cost: Array
    weight: Array
    hull: Array


def _group(cost: Array, weight: Array) -> _Group:
    order = _undercutting(np.asarray(cost, dtype=float), np.asarray(weight, dtype=float))
    c, w = np.asarray(cost, dtype=float)[order], np.asarray(weight, dtype=float)[order]
    return _Group(order, c, w, _hull(c.tolist(), w.tolist()))


def _undercutting(cost: Array, weight: Array) -> Array:
    """The indices of what nothing lighter undercuts, lightest first."""
    order: Array = np.lexsort((cost, weight))
    least = np.minimum.accumulate(cost[order])
    return np.asarray(order[np.concatenate([[True], least[1:] < least[:-1]])[: order.size]])


def _hull(cost: list[float], weight: list[float]) -> Array:
    """The corners of the lower convex hull; the first and the last point are among them."""
    corners: list[int] = []
    for i in range(len(cost)):
        while len(corners) > 1:
            a, b = corners[-2:]
            if (cost[a] - cost[b]) * (weight[i] - weight[a]) > (cost[a] - cost[i]) * (weight[b] - weight[a]):
                break
            corners.pop()
        corners.append(i)
    return np.array(corners)


def _promising(group: _Group, rate: float, slack: float) -> _Group:
    """The options that cost less than `slack` more than the group's best, with weight at a price of `rate`."""
    priced = group.cost + rate * group.weight
    kept = np.flatnonzero(priced <= priced.min() + slack)
    c, w = group.cost[kept], group.weight[kept]
    return _Group(group.options[kept], c, w, _hull(c.tolist(), w.tolist()))


@dataclass(frozen=True, slots=True)
class _Chain:
    """The relaxation of some groups: their cost against their weight, from the lightest options on."""

    weight: Array
    cost: Array

    def bound(self, room: Array) -> Array:
        """Least cost within `room`, options taken in part allowed."""
        return np.interp(room, self.weight, self.cost)

    def reached(self, room: Array) -> Array:
        """How many increments fit completely."""
        return np.asarray(np.searchsorted(self.weight, room, side="right") - 1)


class _Increments:
    """The steps along all groups' hulls, in descending order of cost saved per weight."""

    def __init__(self, groups: Sequence[_Group]) -> None:
        self.lightest = np.array([group.weight[0] for group in groups])
        self.cheapest = np.array([group.cost[-1] for group in groups])
        weight = np.concatenate([np.diff(group.weight[group.hull]) for group in groups])
        saved = np.concatenate([-np.diff(group.cost[group.hull]) for group in groups])
        level = np.repeat(np.arange(len(groups)), [len(group.hull) - 1 for group in groups])
        place = np.concatenate([group.hull[1:] for group in groups])
        with np.errstate(over="ignore"):  # a weight close to zero comes first
            order = np.argsort(-saved / weight, kind="stable")  # stable: a group's own order survives rounding
        self.weight, self.saved, self.level, self.place = weight[order], saved[order], level[order], place[order]

    def after(self, level: int) -> _Chain:
        """The relaxation of the groups behind `level`."""
        later = self.level > level
        weight = self.lightest[level + 1 :].sum() + np.append(0.0, np.cumsum(self.weight[later]))
        # Summed from the cheap end, so that small costs are not lost beside those of the lightest options.
        cost = self.cheapest[level + 1 :].sum() + np.append(np.cumsum(self.saved[later][::-1])[::-1], 0.0)
        return _Chain(weight, cost)

    def places(self, level: int, count: int) -> list[int]:
        """The place of each group behind `level` in its options when the first `count` increments are taken."""
        places = np.zeros(len(self.lightest), dtype=np.int64)
        taken = np.flatnonzero(self.level > level)[:count]
        places[self.level[taken]] = self.place[taken]  # of several increments of a group, the last one stays
        return [int(place) for place in places[level + 1 :]]


class _Best:
    """The best solution so far: one option per group, and their cost."""

    def __init__(self, size: int, whole: bool) -> None:
        self.options = [0] * size
        self.cost = np.inf
        self.whole = whole

    @property
    def wanted(self) -> float:
        """The bound of a partial choice that is worth looking into lies below."""
        return self.cost - 1.0 + 1e-6 if self.whole else self.cost * (1.0 - TOLERANCE)

    def adopt(self, groups: Sequence[_Group], places: Sequence[int], cost: float) -> None:
        self.options = [int(group.options[place]) for group, place in zip(groups, places, strict=True)]
        self.cost = cost


def _search(groups: Sequence[_Group], capacity: float, best: _Best, effort: int) -> float:
    """Improve `best`, group by group; the least bound of the partial choices that were given up for want of effort."""
    increments = _Increments(groups)
    ahead = np.cumsum([group.cost.size for group in groups][::-1])[::-1]  # options of this group and those behind it
    weight, cost = np.zeros(1), np.zeros(1)
    trail: list[tuple[Array, Array]] = []  # per group: which partial choice went on, and with which place
    given_up = np.inf
    for level, group in enumerate(groups):
        chain = increments.after(level)
        room = capacity - (weight[:, None] + group.weight).ravel()
        effort -= int(room.size)
        fits = np.flatnonzero(room >= chain.weight[0])
        if not fits.size:
            break
        before, place = np.divmod(fits, group.cost.size)
        room, cost = room[fits], cost[before] + group.cost[place]
        count = chain.reached(room)
        total = cost + chain.cost[count]
        leader = int(np.argmin(total))
        if total[leader] < best.cost:
            start = [*_walked(trail, int(before[leader])), int(place[leader])]
            best.adopt(groups, start + increments.places(level, int(count[leader])), float(total[leader]))
        bound = cost + chain.bound(room)
        kept = np.flatnonzero(bound < best.wanted)
        kept = kept[_undercutting(cost[kept], -room[kept])]
        width = min(max(effort // int(ahead[level]), NARROWEST), WIDEST)
        if kept.size > width:
            kept = kept[np.argsort(bound[kept], kind="stable")]
            given_up = min(given_up, float(bound[kept[width]]))
            kept = kept[:width]
        trail.append((before[kept], place[kept]))
        weight, cost = capacity - room[kept], cost[kept]
        if not kept.size:
            break
    return given_up


def _walked(trail: Sequence[tuple[Array, Array]], last: int) -> list[int]:
    """The places that led to a partial choice, in the order of the groups."""
    places = []
    for before, place in reversed(trail):
        places.append(int(place[last]))
        last = int(before[last])
    return places[::-1]
