"""Windows: a rectangle of routers whose cores may change places, while all others stay.

What a swap inside the window changes is exactly what it changes in the whole network. Lines of routers are numbered
from 1 inside the window; 0 and the last stand for all that lies beyond its borders.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from loihic.ir.node import Array
from loihic.partition.model import HOST, Mesh, Traffic
from loihic.partition.routing import distances, router_of

TARGET, SOURCE = 1, 2
WIDEST, TALLEST = 16, 12  # of a window: sets of rows and columns are bits that index tables


@dataclass(frozen=True, kw_only=True, slots=True)
class Incidence:
    """The hyperedges of each logical core.

    Attributes:
        first: (cores + 1,) where those of each core begin.
        edges: hyperedges that it sends or receives, each once or twice.
    """

    first: Array
    edges: Array

    @classmethod
    def of(cls, traffic: Traffic) -> Incidence:
        """Of all cores but the host."""
        edge = np.arange(traffic.source.size)
        core = np.concatenate([traffic.source, traffic.targets])
        edge = np.concatenate([edge, np.repeat(edge, np.diff(traffic.first))])[core != HOST]
        core = core[core != HOST]
        order = np.argsort(core, kind="stable")
        first = np.concatenate([[0], np.cumsum(np.bincount(core, minlength=traffic.cores))])
        return cls(first=first.astype(np.int64), edges=edge[order])

    def around(self, cores: Array) -> Array:
        """The hyperedges of some cores, sorted, each once."""
        return np.asarray(np.unique(np.concatenate([np.zeros(0, dtype=np.int64)] + [
            self.edges[self.first[core]:self.first[core + 1]] for core in cores])))


def selected(traffic: Traffic, edges: Array) -> Traffic:
    """Some hyperedges of a traffic, in the order of `edges`."""
    size = np.diff(traffic.first)[edges]
    first = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    pins = np.arange(first[-1]) + np.repeat(traffic.first[edges] - first[:-1], size)
    return Traffic(cores=traffic.cores, source=traffic.source[edges], weight=traffic.weight[edges], first=first,
                   targets=traffic.targets[pins])


def sampled(traffic: Traffic, pins: int, rng: np.random.Generator) -> Traffic:
    """A traffic with about as many targets in all as `pins`; those that have not more are returned as they are.

    Hyperedges are drawn with a chance that is their part of the weighted deliveries, so what they cost is what the
    whole costs, as far as chance allows.
    """
    if traffic.targets.size <= pins:
        return traffic
    size = np.diff(traffic.first)
    share = np.cumsum(traffic.weight * size)
    whole = share[-1]
    share /= whole
    draws = max(1, int(pins / float(np.diff(share, prepend=0.0) @ size)))
    drawn = np.searchsorted(share, (np.arange(draws) + rng.random()) / draws)
    edges, times = np.unique(drawn, return_counts=True)
    found = selected(traffic, edges)
    return replace(found, weight=times * (whole / draws) / size[edges])


@dataclass(kw_only=True, slots=True)
class Window:
    """The state of a window. Slots are its sites; units are what lies there, a core or nothing, and move.

    Attributes:
        sites: (slots,) physical cores.
        cores: (units,) logical core of each unit, or HOST for an empty one. Unit i starts at slot i.
        column, row: (slots,) of the router, from 1.
        across, down: hops from the line before the window to each of its lines, and to the one after it.
        pins: (units, edges) bits TARGET and SOURCE.
        weight: (edges,) messages per step.
        x, y: (edges,) column and row of the source.
        first, last: (edges,) columns that targets beyond the window make the tree reach at least.
        count: (columns, rows, edges) targets at each router; rows as far as those beyond the window.
        mask: (columns, edges) the same as sets of rows, one bit each.
        stem: (columns, edges) hops to the window from a source above or below it, or from the fixed target on that side
            that is next to it; a column costs them that has targets elsewhere than on that side.
        elsewhere: (edges,) the set of rows that are not on the side of such a source.
        beyond: (rows, edges) hops in columns beyond the window, by the row of the source.
        slot, unit: where each unit lies, and what lies at each slot.
    """

    sites: Array
    cores: Array
    column: Array
    row: Array
    across: Array
    down: Array
    pins: Array
    weight: Array
    x: Array
    y: Array
    first: Array
    last: Array
    count: Array
    mask: Array
    stem: Array
    elsewhere: Array
    beyond: Array
    slot: Array
    unit: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """Where a window lies: `columns` by `rows` routers, at most WIDEST by TALLEST, from column `left`, row `top` on."""

    left: int
    top: int
    columns: int
    rows: int


def sites_in(mesh: Mesh, frame: Frame, chips: Array) -> Array:
    """The sites of a frame, in order, that are on some of the mesh's chips, which are sorted."""
    sites = (chips[:, None] * mesh.cores + np.arange(mesh.cores)).ravel()
    x, y = mesh.routers(sites)
    return np.asarray(sites[(x >= frame.left) & (x < frame.left + frame.columns) &
                            (y >= frame.top) & (y < frame.top + frame.rows)])


def open_window(traffic: Traffic, mesh: Mesh, sites: Array, frame: Frame, inside: Array, cores: Array) -> Window:
    """The window of a frame.

    Args:
        traffic: the hyperedges with cores in the window, `merged`.
        mesh: that the network lies on.
        sites: (cores,) physical core per logical core.
        frame: of the window.
        inside: (slots,) the sites of the frame that cores may lie at.
        cores: (slots,) the logical cores that do, or HOST.
    """
    left, top, columns, rows = frame.left, frame.top, frame.columns, frame.rows
    x, y = mesh.routers(inside)
    source, target = traffic.source, traffic.targets
    edges = source.size
    pin_edge = np.repeat(np.arange(edges), np.diff(traffic.first))

    unit_of = np.full(traffic.cores + 1, -1)
    unit_of[cores] = np.arange(cores.size)
    unit_of[HOST] = -1
    pins = np.zeros((cores.size, edges), dtype=np.uint8)
    moves = unit_of[target] >= 0
    pins[unit_of[target][moves], pin_edge[moves]] = TARGET
    moves = unit_of[source] >= 0
    pins[unit_of[source][moves], np.flatnonzero(moves)] |= SOURCE

    across, down = distances(mesh)
    lines = np.clip(np.arange(left - 1, left + columns + 1), 0, across.size - 1)
    levels = np.clip(np.arange(top - 1, top + rows + 1), 0, down.size - 1)
    source_x, source_y = router_of(mesh, sites, source)
    target_x, target_y = router_of(mesh, sites, target)
    column = np.clip(target_x - left + 1, 0, columns + 1)
    row = np.clip(target_y - top + 1, 0, rows + 1)
    near = (column > 0) & (column <= columns)
    shape = (columns, rows + 2, edges)
    flat = np.ravel_multi_index((column[near] - 1, row[near], pin_edge[near]), shape)
    count = np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)
    bits = (1 << np.arange(rows + 2)).astype(np.int32)
    first, last = np.full(edges, columns + 1), np.zeros(edges, dtype=np.int64)
    first[pin_edge[column == 0]] = 0
    last[pin_edge[column > columns]] = columns + 1
    local_y = np.clip(source_y - top + 1, 0, rows + 1)
    slots = np.arange(cores.size)
    above, below = local_y == 0, local_y == rows + 1
    last_above, first_below = np.tile(source_y, (columns, 1)), np.tile(source_y, (columns, 1))
    to = (column[near] - 1, pin_edge[near])
    np.maximum.at(last_above, to, np.where(row[near] == 0, target_y[near], -1))
    np.minimum.at(first_below, to, np.where(row[near] == rows + 1, target_y[near], down.size))
    return Window(
        sites=inside, cores=cores, column=x - left + 1, row=y - top + 1,
        across=across[lines], down=down[levels], pins=pins, weight=traffic.weight,
        x=np.clip(source_x - left + 1, 0, columns + 1), y=local_y, first=first, last=last, count=count.astype(np.int32),
        mask=np.einsum("r,cre->ce", bits, (count > 0).astype(np.int32)),
        stem=np.where(above, down[levels[0]] - down[last_above], 0) +
        np.where(below, down[first_below] - down[levels[-1]], 0),
        elsewhere=bits.sum() - bits[0] * above - bits[-1] * below,
        beyond=_beyond(pin_edge[~near], target_x[~near], target_y[~near], down, levels, edges),
        slot=slots, unit=slots.copy())


def _beyond(edge: Array, column: Array, row: Array, down: Array, levels: Array, edges: int) -> Array:
    """(rows, edges) hops in the columns of some targets, by the row that the source would lie in."""
    branch, of = np.unique(np.stack([edge, column]), axis=1, return_inverse=True)
    of = of.ravel()
    top, bottom = np.full(branch.shape[1], down.size), np.zeros(branch.shape[1], dtype=np.int64)
    np.minimum.at(top, of, row)
    np.maximum.at(bottom, of, row)
    return np.stack([np.bincount(branch[0], down[np.maximum(bottom, level)] - down[np.minimum(top, level)],
                                 minlength=edges) for level in levels])
