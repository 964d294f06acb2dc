"""Annealing: cores of a window change places while that makes messages travel less, or by chance a little more.

Many swaps are tried at once. Those are made that are accepted and touch no hyperedge that another one touches, so each
of them gains exactly what was foreseen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loihic.ir.node import Array
from loihic.partition.window import SOURCE, TARGET, Window

COLD = 0.01  # the last temperature, as a part of the first
QUENCH = 0.05  # of the sweeps at the end accept no loss
SWEEP = 1500  # hyperedges that could be looked at in the time that a sweep takes beside
LEAST = 4  # swaps tried at once
CLASH = 4  # wanted swaps for each that is made, above which fewer are tried at once
NEAR = 0.8  # of the swaps are with a router next to one of the core's partners


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What some swaps would change. A row is a hyperedge that one swap changes.

    Attributes:
        delta: (swaps,) by how much the weighted hops would grow.
        swap, edge: (rows,) which of the swaps, and which hyperedge.
        target: (rows,) whether one of the hyperedge's targets moves; its source moves otherwise, or as well.
        old, new: (2, rows) column and row, as they index `Window.count`, that such a target leaves and comes to.
        x, y, mask, cost: (rows,), (rows,), (columns, rows) and (rows,) the hyperedge's new state.
    """

    delta: Array
    swap: Array
    edge: Array
    target: Array
    old: Array
    new: Array
    x: Array
    y: Array
    mask: Array
    cost: Array


class Annealer:
    """Swaps units of a window, whose state it keeps.

    Attributes:
        window: that it changes.
        busy: units with hyperedges.
        cost: (edges,) weighted hops of each hyperedge, but for hops beyond the window that no swap changes.
    """

    def __init__(self, window: Window) -> None:
        self.window = window
        self.columns, self.rows = window.count.shape[:2]
        self._stems = bool(window.stem.any())
        low, high = _set_ends(self.columns)
        # Columns count from 1. The empty set has its ends where minimum and maximum pass it over.
        self._low, self._high = low + 1, high + 1
        self._vertical = _column_hops(window.down).ravel()
        self.busy = np.flatnonzero(window.pins.any(axis=1))
        self.cost = self._tree_cost(np.arange(window.weight.size), window.mask, window.x, window.y)
        unit, self._edges = np.nonzero(window.pins)
        self._of_unit = np.searchsorted(unit, np.arange(window.slot.size + 1))
        edge, self._units = np.nonzero(window.pins.T)
        self._of_edge = np.searchsorted(edge, np.arange(window.weight.size + 1))
        router = window.column * self.rows + window.row
        self._slots = np.argsort(router, kind="stable")
        self._of_router = np.searchsorted(router[self._slots], np.arange((self.columns + 2) * self.rows + 1))

    @property
    def total(self) -> float:
        """Weighted hops of all hyperedges."""
        return float(self.cost.sum())

    def partners(self, rng: np.random.Generator, units: Array) -> Array:
        """For each unit another one to change places with, most often beside a unit that it shares a hyperedge with."""
        window, count = self.window, units.size
        luck = rng.random((4, count))
        near = np.flatnonzero(luck[0] < NEAR)
        edge = _pick(luck[1, near], self._of_unit, self._edges, units[near])
        slot = window.slot[_pick(luck[2, near], self._of_edge, self._units, edge)]
        step = rng.integers(-1, 2, (2, near.size))
        column = np.clip(window.column[slot] + step[0], 1, self.columns)
        router = column * self.rows + np.clip(window.row[slot] + step[1], 1, self.rows - 2)
        slots = (luck[3] * window.slot.size).astype(np.int64)
        filled = self._of_router[router] < self._of_router[router + 1]  # not all of a chip's last routers have cores
        slots[near[filled]] = _pick(luck[3, near[filled]], self._of_router, self._slots, router[filled])
        return np.asarray(window.unit[slots])

    def trial(self, one: Array, other: Array) -> Trial:
        """What it would change to swap units `one[i]` and `other[i]`, for each i by itself."""
        window = self.window
        pins = window.pins[one]
        differs = pins ^ window.pins[other]
        flat = np.flatnonzero(differs)
        swap, edge = np.divmod(flat, differs.shape[1])
        bits, own = differs.ravel()[flat], pins.ravel()[flat]
        here, there = window.slot[one][swap], window.slot[other][swap]
        target = (bits & TARGET) > 0
        leaves = np.where(own & TARGET, here, there)
        comes = here + there - leaves
        source = np.where(own & SOURCE, there, here)
        moves = (bits & SOURCE) > 0
        x = np.where(moves, window.column[source], window.x[edge])
        y = np.where(moves, window.row[source], window.y[edge])
        old = np.stack([window.column[leaves] - 1, window.row[leaves]])
        new = np.stack([window.column[comes] - 1, window.row[comes]])
        mask, rows = window.mask[:, edge], np.arange(swap.size)
        last = target & (window.count[old[0], old[1], edge] == 1)
        mask[old[0], rows] ^= last.astype(np.int32) << old[1].astype(np.int32)
        mask[new[0], rows] |= target.astype(np.int32) << new[1].astype(np.int32)
        cost = self._tree_cost(edge, mask, x, y)
        return Trial(delta=np.bincount(swap, cost - self.cost[edge], minlength=one.size), swap=swap, edge=edge,
                     target=target, old=old, new=new, x=x, y=y, mask=mask, cost=cost)

    def sweep(self, rng: np.random.Generator, temperature: float, batch: int) -> tuple[int, int, int]:
        """Try to swap each of `batch` units, and make the swaps that gain, or lose little.

        Returns:
            How many hyperedges were looked at, how many swaps were wanted, and how many were made.
        """
        window = self.window
        one = self.busy[rng.integers(0, self.busy.size, batch)]
        other = self.partners(rng, one)
        luck = rng.exponential(size=one.size)
        here, there = window.slot[one], window.slot[other]
        apart = (window.column[here] != window.column[there]) | (window.row[here] != window.row[there])
        one, other, luck = one[apart], other[apart], luck[apart]
        tried = self.trial(one, other)
        wanted = tried.delta <= temperature * luck
        made = self._compatible(tried, one, other, wanted)
        rows = np.flatnonzero(made[tried.swap])
        edge = tried.edge[rows]
        window.mask[:, edge], self.cost[edge] = tried.mask[:, rows], tried.cost[rows]
        window.x[edge], window.y[edge] = tried.x[rows], tried.y[rows]
        rows = rows[tried.target[rows]]
        window.count[tried.old[0, rows], tried.old[1, rows], tried.edge[rows]] -= 1
        window.count[tried.new[0, rows], tried.new[1, rows], tried.edge[rows]] += 1
        one, other = one[made], other[made]
        here, there = window.slot[one], window.slot[other]
        window.slot[one], window.slot[other] = there, here
        window.unit[there], window.unit[here] = one, other
        return tried.swap.size, int(np.count_nonzero(wanted)), one.size

    def _compatible(self, tried: Trial, one: Array, other: Array, wanted: Array) -> Array:
        """(swaps,) those of the wanted swaps that are first to claim both their units, and all their hyperedges."""
        swaps = np.arange(wanted.size)
        claims = np.flatnonzero(wanted)[::-1]  # of several values given to one place, numpy keeps the last
        owner = np.full((2, self.window.slot.size), wanted.size)
        owner[0, one[claims]] = claims
        owner[1, other[claims]] = claims
        first = owner.min(axis=0)
        made = wanted & (first[one] == swaps) & (first[other] == swaps)
        rows = np.flatnonzero(made[tried.swap])
        edge, swap = tried.edge[rows], tried.swap[rows]
        claimed = np.empty(self.window.weight.size, dtype=np.int64)
        claimed[edge[::-1]] = swap[::-1]
        made[swap[claimed[edge] != swap]] = False
        return np.asarray(made)

    def _tree_cost(self, edge: Array, mask: Array, x: Array, y: Array) -> Array:
        """(rows,) weighted hops of hyperedges in a given state."""
        window = self.window
        cost = self._vertical[mask + (y << self.rows)].sum(axis=0)
        packed = np.packbits(mask != 0, axis=0, bitorder="little").astype(np.int64)
        columns = packed[0] if len(packed) == 1 else packed[0] + (packed[1] << 8)
        left = np.minimum(np.minimum(self._low[columns], window.first[edge]), x)
        right = np.maximum(np.maximum(self._high[columns], window.last[edge]), x)
        cost += window.across[right] - window.across[left]
        cost += window.beyond[y, edge]
        if self._stems:
            cost += (window.stem[:, edge] * ((mask & window.elsewhere[edge]) != 0)).sum(axis=0)
        return np.asarray(cost * window.weight[edge])


def _pick(luck: Array, first: Array, members: Array, groups: Array) -> Array:
    """A member of each group, by luck in [0, 1); the members of group i begin at first[i]."""
    start = first[groups]
    return np.asarray(members[start + (luck * (first[groups + 1] - start)).astype(np.int64)])


def _set_ends(lines: int) -> tuple[Array, Array]:
    """(sets,) lowest and highest member of every set of lines as bits; of the empty one `lines` and -1."""
    sets = np.arange(1 << lines)[:, None] >> np.arange(lines) & 1
    low = np.where(sets.any(axis=1), sets.argmax(axis=1), lines)
    high = np.where(sets.any(axis=1), lines - 1 - sets[:, ::-1].argmax(axis=1), -1)
    return low, high


def _column_hops(down: Array) -> Array:
    """(rows, sets) hops of a column, by the row of the source and the set of rows with targets."""
    low, high = _set_ends(down.size)
    source = np.arange(down.size)[:, None]
    low[0] = 0
    found = down[np.maximum(high, source)] - down[np.minimum(low, source)]
    found[:, 0] = 0.0
    return np.asarray(found, dtype=np.float64)


def anneal_window(window: Window, rng: np.random.Generator, work: float, *, hot: float) -> None:
    """Let the units of a window change places; it ends with the best state that was met.

    Args:
        window: whose `slot` and `unit` are changed; all else in it is of use no more.
        rng: of what is left to chance.
        work: how often a changed hyperedge is looked at, with `SWEEP` for every sweep.
        hot: the first temperature, as a part of what one swap changes in the mean.
    """
    annealer = Annealer(window)
    if not annealer.busy.size:
        return
    units = rng.permutation(annealer.busy)
    tried = annealer.trial(units, window.unit[rng.integers(0, window.slot.size, units.size)])
    start = hot * float(np.abs(tried.delta).mean())
    # Up to about SWEEP hyperedges cost little more than none.
    most = max(units.size, SWEEP * units.size // max(1, tried.swap.size), LEAST)
    best, slot = annealer.total, window.slot.copy()
    batch, done = float(most), 0.0
    while done < work:
        temperature = start * COLD ** (done / work) if done < work * (1 - QUENCH) else 0.0
        rows, wanted, made = annealer.sweep(rng, temperature, int(batch))
        done += SWEEP + rows
        # Where every hyperedge has many cores few swaps are compatible, and it is wasted work to try many.
        batch = min(max(batch * (1.05 if made * CLASH >= wanted else 0.95), LEAST), most)
        total = annealer.total
        if total < best * (1 - 1e-9):  # less than sums round
            best, slot = total, window.slot.copy()
    window.slot[:] = slot
    window.unit[slot] = np.arange(slot.size)
