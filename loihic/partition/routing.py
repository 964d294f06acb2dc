"""Routing: what the messages of a placed network cost, when each takes a multicast tree along rows, then columns.

The tree of a hyperedge runs from the router of its source along the row to every column where a target lies, and from
there up and down those columns. So it is one interval of a row and one interval of each such column, and all that
follows is found from their ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loihic.ir.node import Array
from loihic.partition.model import HOST, Mesh, Traffic


@dataclass(frozen=True, kw_only=True, slots=True)
class Trees:
    """The multicast trees of all hyperedges: columns and rows are those of routers, over all chips.

    Attributes:
        x, y: (edges,) column and row of the source.
        left, right: (edges,) the interval of the source's row.
        edge, column, top, bottom: (branches,) the interval [top, bottom] of a column, and the hyperedge that it is of.
    """

    x: Array
    y: Array
    left: Array
    right: Array
    edge: Array
    column: Array
    top: Array
    bottom: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Loads:
    """Messages per step of each link and router of a mesh that is `width` by `height` routers.

    Attributes:
        horizontal: (2, height, width - 1) links between neighbours in a row; first to the right, then to the left.
        vertical: (2, height - 1, width) links between neighbours in a column; first down, then up.
        routers: (height, width) messages that come to a router, from its links and from the cores at it.
    """

    horizontal: Array
    vertical: Array
    routers: Array

    @property
    def busiest(self) -> float:
        """Messages per step of the busiest link."""
        return float(max(self.horizontal.max(initial=0.0), self.vertical.max(initial=0.0)))


def extent(mesh: Mesh) -> tuple[int, int]:
    """Width and height of the grid of all chips' routers."""
    return (min(mesh.chips, mesh.chip_columns) * mesh.columns,
            -(-mesh.chips // mesh.chip_columns) * mesh.rows)


def distances(mesh: Mesh) -> tuple[Array, Array]:
    """Hops from the first router to each column, and to each row, with what the borders of chips count."""
    width, height = extent(mesh)
    column, row = np.arange(width), np.arange(height)
    return column + mesh.crossing * (column // mesh.columns), row + mesh.crossing * (row // mesh.rows)


def router_of(mesh: Mesh, sites: Array, cores: Array) -> tuple[Array, Array]:
    """Column and row of the router of each logical core in `cores`, any of which may be HOST."""
    return mesh.routers(np.append(sites, HOST)[cores])


def trees(traffic: Traffic, mesh: Mesh, sites: Array) -> Trees:
    """The tree of every hyperedge of a placed network.

    Args:
        traffic: of the network.
        mesh: that it lies on.
        sites: (cores,) physical core per logical core.
    """
    width, height = extent(mesh)
    x, y = router_of(mesh, sites, traffic.source)
    column, row = router_of(mesh, sites, traffic.targets)
    edge = np.repeat(np.arange(traffic.source.size), np.diff(traffic.first))
    # Sorted, the ends of every interval are the neighbours of a change: no table of hyperedges by columns is needed.
    key = np.sort((edge * width + column) * height + row)
    branch = key // height
    starts, ends = _runs(branch)
    of_edge, at = np.divmod(branch[starts], width)
    left, right = x.copy(), x.copy()
    heads, tails = _runs(of_edge)
    reached = of_edge[heads]
    left[reached] = np.minimum(x[reached], at[heads])
    right[reached] = np.maximum(x[reached], at[tails])
    return Trees(x=x, y=y, left=left, right=right, edge=of_edge, column=at,
                 top=np.minimum(key[starts] % height, y[of_edge]),
                 bottom=np.maximum(key[ends] % height, y[of_edge]))


def _runs(values: Array) -> tuple[Array, Array]:
    """Where each run of equal values starts, and where it ends, both inclusive."""
    change = np.flatnonzero(values[1:] != values[:-1])
    if not values.size:
        return change, change
    return np.concatenate([[0], change + 1]), np.append(change, values.size - 1)


def hops(traffic: Traffic, mesh: Mesh, sites: Array) -> Array:
    """(edges,) hops of every hyperedge's tree; a link from chip to chip counts 1 + mesh.crossing."""
    across, down = distances(mesh)
    found = trees(traffic, mesh, sites)
    branches = np.bincount(found.edge, down[found.bottom] - down[found.top], minlength=traffic.source.size)
    return np.asarray(across[found.right] - across[found.left] + branches)


def weighted_hops(traffic: Traffic, mesh: Mesh, sites: Array) -> float:
    """Hops of all messages of one step: what a placement is judged by first."""
    return float(traffic.weight @ hops(traffic, mesh, sites))


def link_loads(traffic: Traffic, mesh: Mesh, sites: Array) -> Loads:
    """Messages per step of every directed link and every router."""
    width, height = extent(mesh)
    found = trees(traffic, mesh, sites)
    weight, heavy = traffic.weight, traffic.weight[found.edge]
    stem, turn = found.y, found.y[found.edge]
    horizontal = np.stack([
        _covered(stem, found.x, found.right, weight, (height, width)),
        _covered(stem, found.left, found.x, weight, (height, width))])
    vertical = np.stack([
        _covered(found.column, turn, found.bottom, heavy, (width, height)).T,
        _covered(found.column, found.top, turn, heavy, (width, height)).T])
    routers = np.bincount(found.y * width + found.x, weight, minlength=width * height).astype(np.float64)
    routers = routers.reshape(height, width)
    routers[:, 1:] += horizontal[0]
    routers[:, :-1] += horizontal[1]
    routers[1:] += vertical[0]
    routers[:-1] += vertical[1]
    return Loads(horizontal=horizontal, vertical=vertical, routers=routers)


def cost(traffic: Traffic, mesh: Mesh, sites: Array) -> tuple[float, float]:
    """What placements are compared by: weighted hops, and where those are equal the busiest link."""
    return weighted_hops(traffic, mesh, sites), link_loads(traffic, mesh, sites).busiest


def _covered(line: Array, start: Array, stop: Array, weight: Array, shape: tuple[int, int]) -> Array:
    """(lines, length - 1) the weight of all intervals over each link of a line: what begins less what has ended."""
    lines, length = shape
    begun = np.bincount(line * length + start, weight, minlength=lines * length)
    ended = np.bincount(line * length + stop, weight, minlength=lines * length)
    sums = np.cumsum((begun - ended).reshape(shape).astype(np.float64), axis=1)[:, :-1]
    return np.asarray(np.maximum(sums, 0.0))  # a link that nothing passes may else read as -1e-17


def merged(traffic: Traffic) -> Traffic:
    """The same costs from fewer hyperedges: those of one source to the same targets become one.

    A target that is the source itself costs no hop and is left out, as are hyperedges without weight or targets.
    """
    edge = np.repeat(np.arange(traffic.source.size), np.diff(traffic.first))
    live = (traffic.weight[edge] > 0) & (traffic.targets != traffic.source[edge])
    span = traffic.cores + 1
    key = np.unique(edge[live] * span + traffic.targets[live] + 1)
    edge, target = np.divmod(key, span)
    heads, _ = _runs(edge)
    # Sets of targets are told apart by the sum of 64 random bits of each. Were two sums equal by chance, a placement
    # would be chosen for slightly wrong traffic; it would still be a placement.
    bits = np.random.default_rng(0).integers(0, 2**64, span, dtype=np.uint64)
    digest = np.add.reduceat(bits[target], heads) if heads.size else np.zeros(0, dtype=np.uint64)
    source, weight = traffic.source[edge[heads]], traffic.weight[edge[heads]]
    _, kept, same = np.unique(np.stack([source.astype(np.uint64), digest]), axis=1, return_index=True,
                              return_inverse=True)
    sizes = np.diff(np.append(heads, edge.size))
    first = np.concatenate([[0], np.cumsum(sizes[kept])]).astype(np.int64)
    pins = np.arange(first[-1]) + np.repeat(heads[kept] - first[:-1], sizes[kept])
    return Traffic(cores=traffic.cores, source=source[kept],
                   weight=np.bincount(same.ravel(), weight, minlength=kept.size).astype(np.float64),
                   first=first, targets=target[pins] - 1)
