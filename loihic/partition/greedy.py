"""First fit with cutting: populations one after the other, each cut to what is left of the cores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loihic.ir.node import Array
from loihic.partition.model import Fragment
from loihic.partition.population import Population
from loihic.partition.resources import MEMORIES

OPEN = 4096  # cores, at most, that are kept open: the latest
TRIED = 2  # of them, those with the most room for a slice
SLIVER = 0.25  # of the longest slice on an empty core: shorter ones are cut only where they end a population


class DoesNotFitError(Exception):
    """One neuron (with a shared kernel: one pixel of a group of channels) is too much for an empty core.

    Attributes:
        population: it is in.
        need: of its smallest slice, as `Population.use` counts it.
    """

    def __init__(self, population: str, need: Array) -> None:
        super().__init__(population)
        self.population, self.need = population, need


class Cores:
    """Cores that are being filled.

    Attributes:
        caps: of one, as `Population.use` counts it.
        timed: whether their time is limited too.
        rooms: what is left of each, as `Population.use` counts it: (cores, COLUMNS).
        fragments: on each.
    """

    def __init__(self, caps: Array) -> None:
        self.caps = caps.astype(np.float64)
        self.timed = bool(np.isfinite(caps[len(MEMORIES) :]).any())
        self._rooms = np.empty((16, caps.size))
        self.fragments: list[list[Fragment]] = []

    @property
    def rooms(self) -> Array:
        """What is left, a view."""
        return self._rooms[: len(self.fragments)]

    def add(self) -> int:
        """Another core, empty; its number."""
        if len(self.fragments) == len(self._rooms):
            self._rooms = np.concatenate([self._rooms, np.empty_like(self._rooms)])
        self.fragments.append([])
        self.rooms[-1] = self.caps
        return len(self.fragments) - 1

    def put(self, core: int, population: Population, start: int, stop: int) -> None:
        """Take a slice."""
        self.rooms[core] -= population.use(start, np.array([stop]), self.timed)[0]
        self.fragments[core].append(Fragment(population=population.name, start=start, stop=stop))

    def roomiest(self, population: Population, start: int, solo: int, smallest: Array,
                 sliver: float) -> tuple[int, int]:
        """The core that takes most of a population from `start`, and how far; -1 where only slivers fit."""
        first = max(0, len(self.fragments) - OPEN)
        rooms = self.rooms[first:]
        able = np.flatnonzero(np.all(rooms >= smallest, axis=1))
        if able.size == 0:
            return -1, start
        whole = population.use(start, np.array([solo]), self.timed)[0]
        used = np.flatnonzero(whole > 0)
        share = np.min(rooms[np.ix_(able, used)] / whole[used], axis=1)
        best = -1, start
        for core in able[np.argsort(-share, kind="stable")[:TRIED]] + first:
            stop = population.longest(start, self.rooms[core])
            if stop > best[1]:
                best = int(core), stop
            if stop >= solo:
                break
        fits = best[1] == population.grain(start)[1] or best[1] - start >= sliver * (solo - start)
        return best if fits else (-1, start)


def first_fit(populations: Sequence[Population], caps: Array, most: float = np.inf,
              sliver: float = SLIVER, cores: Cores | None = None) -> Cores | None:
    """Pack populations in the order given; None if that takes more than `most` cores.

    Args:
        populations: in their layouts.
        caps: of a core, as `Population.use` counts it.
        most: cores.
        sliver: the share of what an empty core would take below which a slice is not put beside others.
        cores: that hold something already; they are filled further.

    Raises:
        DoesNotFitError: a population cannot be cut finely enough.
    """
    cores = Cores(caps) if cores is None else cores
    for population in populations:
        start = 0
        while start < population.size:
            solo = population.longest(start, caps)
            smallest = population.use(start, np.array([start + population.grain(start)[0]]), cores.timed)[0]
            if solo == start:
                raise DoesNotFitError(population.name, smallest)
            core, stop = cores.roomiest(population, start, solo, smallest, sliver)
            if core < 0:
                if len(cores.fragments) >= most:
                    return None
                core, stop = cores.add(), solo
            cores.put(core, population, start, stop)
            start = stop
    return cores
