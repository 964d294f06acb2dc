"""Refining: windows all over the mesh, in which the cores of a placed network are annealed one window after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from loihic.ir.node import Array
from loihic.partition.anneal import anneal_window
from loihic.partition.model import HOST, Mesh, Traffic
from loihic.partition.routing import cost, extent, merged, weighted_hops
from loihic.partition.start import starts
from loihic.partition.window import TALLEST, WIDEST, Frame, Incidence, open_window, sampled, selected, sites_in

WORK = 6000.0  # for each core: see `anneal_window`
MOST_WORK = 8e6  # for all cores of a large network, in each pass over the chips
RUNS = 400  # for each core of a small network one run less than so many; there are MOST_RUNS of them at most
MOST_RUNS = 10
HOT = (0.1, 0.5)  # first temperatures of the runs of a small network, after one another
WARM = 0.05  # the first temperature where a placement is already good
PINS = 60_000  # targets of a window's hyperedges, above which it works with a sample of them


@dataclass(frozen=True, kw_only=True, slots=True)
class Pass:
    """Windows of one size that cover the mesh.

    Attributes:
        mesh: whose routers the windows consist of: the mesh, or a coarser one with the same sites.
        columns, rows: of a window, in such routers.
        step: columns and rows from one window to the next.
        shift: columns and rows of the first window, from the mesh's corner.
        hot: the first temperature.
        work: for each core in a window.
    """

    mesh: Mesh
    columns: int
    rows: int
    step: tuple[int, int]
    shift: tuple[int, int] = (0, 0)
    hot: float
    work: float

    def frames(self) -> Iterator[Frame]:
        """The windows, row by row."""
        width, height = extent(self.mesh)
        columns, rows = min(self.columns, width), min(self.rows, height)
        for top in _begins(height, rows, self.step[1], self.shift[1]):
            for left in _begins(width, columns, self.step[0], self.shift[0]):
                yield Frame(left=left, top=top, columns=columns, rows=rows)


def _begins(length: int, size: int, step: int, shift: int) -> list[int]:
    """Where windows begin along a line; without a shift they cover it."""
    begins = list(range(shift, length - size + 1, step))
    if not shift and begins[-1] + size < length:
        begins.append(length - size)
    return begins


class Refiner:
    """Anneals a placed network window by window.

    Attributes:
        traffic: of the network, `merged`.
        mesh: that it lies on.
        rng: of what is left to chance.
        sites: (cores,) physical core per logical core.
    """

    def __init__(self, traffic: Traffic, mesh: Mesh, sites: Array, rng: np.random.Generator) -> None:
        self.traffic, self.mesh, self.rng = traffic, mesh, rng
        self.sites = sites.copy()
        self._incidence = Incidence.of(traffic)
        self._chips = np.unique(sites // mesh.cores)  # no other chip is taken into use
        self._core_at = np.full(mesh.sites, HOST)
        self._core_at[sites] = np.arange(traffic.cores)

    def run(self, passes: Iterable[Pass]) -> Array:
        """Anneal every window of some passes; returns the sites."""
        for one in passes:
            for frame in one.frames():
                self._improve(one, frame)
        return self.sites

    def _improve(self, one: Pass, frame: Frame) -> None:
        """Anneal one window."""
        inside = sites_in(one.mesh, frame, self._chips)
        cores = self._core_at[inside]
        present = cores[cores != HOST]
        edges = self._incidence.around(present)
        if not edges.size:
            return
        part = selected(self.traffic, edges)
        drawn = sampled(part, PINS, self.rng)
        window = open_window(drawn, one.mesh, self.sites, frame, inside, cores)
        anneal_window(window, self.rng, one.work * present.size, hot=one.hot)
        before = self.sites[present]
        self.sites[present] = window.sites[window.slot[cores != HOST]]
        if drawn is not part and one.mesh is self.mesh and not self._gains(part, present, before):
            self.sites[present] = before
        self._core_at[inside] = HOST
        self._core_at[self.sites[present]] = present

    def _gains(self, part: Traffic, moved: Array, before: Array) -> bool:
        """Whether some hyperedges cost less than they did when some cores were where they were before."""
        sites = self.sites.copy()
        sites[moved] = before
        return weighted_hops(part, self.mesh, self.sites) < weighted_hops(part, self.mesh, sites)


def annealed(traffic: Traffic, mesh: Mesh, seed: int) -> Array:
    """(cores,) sites that are never worse than those of the order of the cores, straight or along the curve.

    Args:
        traffic: of the network.
        mesh: that it lies on.
        seed: of what is left to chance.
    """
    traffic = merged(traffic)
    if not traffic.targets.size:
        return np.arange(traffic.cores)
    begun = starts(traffic, mesh)
    rng = np.random.default_rng(seed)
    found = begun[:1]
    if traffic.cores > mesh.cores:
        work = min(WORK, MOST_WORK / traffic.cores)
        for passes in (_fine(mesh, work), [_coarse(mesh, work), *_fine(mesh, work)]):
            found.append(Refiner(traffic, mesh, begun[0], rng).run(passes))
    else:
        for index in range(min(MOST_RUNS, max(1, RUNS // traffic.cores))):
            start, hot = begun[index % len(begun)], HOT[index // len(begun)]
            found.append(Refiner(traffic, mesh, start, rng).run([_on_chips(mesh, hot, 2 * WORK)]))
        found.append(Refiner(traffic, mesh, _best(traffic, mesh, found), rng).run([_on_chips(mesh, WARM, WORK)]))
    return _best(traffic, mesh, found)


def _best(traffic: Traffic, mesh: Mesh, found: Iterable[Array]) -> Array:
    """The sites that cost least."""
    return min(found, key=lambda sites: cost(traffic, mesh, sites))


def _on_chips(mesh: Mesh, hot: float, work: float) -> Pass:
    """A window for each chip, or several for a very large one."""
    columns, rows = min(mesh.columns, WIDEST), min(mesh.rows, TALLEST)
    return Pass(mesh=mesh, columns=columns, rows=rows, step=(columns, rows), hot=hot, work=work)


def _fine(mesh: Mesh, work: float) -> list[Pass]:
    """Windows of the chips, then of what lies between two of them."""
    chips = _on_chips(mesh, WARM, work)
    between = replace(chips, hot=WARM / 2, work=work / 3)
    return [chips, replace(between, shift=(chips.columns // 2, 0)), replace(between, shift=(0, chips.rows // 2))]


def _coarse(mesh: Mesh, work: float) -> Pass:
    """Windows of whole chips, in which it matters on which chip a core is, but not where on it."""
    chips = replace(mesh, columns=1, rows=1, per_router=mesh.cores)
    return Pass(mesh=chips, columns=4, rows=3, step=(2, 2), hot=WARM, work=work / 3)
