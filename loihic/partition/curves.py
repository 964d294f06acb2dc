"""Curves: orders of the sites of a mesh in which neighbours in the order are neighbours on the chip."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from loihic.ir.node import Array
from loihic.partition.model import Mesh

Point = tuple[int, int]


def hilbert_curve(columns: int, rows: int, *, upright: bool | None = None) -> Array:
    """(columns * rows, 2) the cells (x, y) of any rectangle along a curve of Hilbert's kind.

    It starts at (0, 0). Steps go to a neighbour in x or y, but for one diagonal step where the sides are odd and even.

    Args:
        columns: of the rectangle.
        rows: of the rectangle.
        upright: whether it ends at the other end of the first column, not of the first row; along the longer side
            unless told.
    """
    right, down = (columns, 0), (0, rows)
    if upright is None:
        upright = rows > columns
    cells = _walk((0, 0), down, right) if upright else _walk((0, 0), right, down)
    return np.array(list(cells), dtype=np.int64).reshape(-1, 2)


def _walk(corner: Point, along: Point, across: Point) -> Iterator[Point]:
    """Cells of the rectangle that two axis-parallel vectors span, from `corner` on, ending along the first of them.

    A long rectangle is halved; any other is three: up along the second vector, across the top, and down again.
    """
    (x, y), (ax, ay), (bx, by) = corner, along, across
    length, height = abs(ax + ay), abs(bx + by)
    step, rise = (int(np.sign(ax)), int(np.sign(ay))), (int(np.sign(bx)), int(np.sign(by)))
    if height == 1:
        yield from ((x + i * step[0], y + i * step[1]) for i in range(length))
        return
    if length == 1:
        yield from ((x + i * rise[0], y + i * rise[1]) for i in range(height))
        return
    half, up = length // 2, height // 2
    if 2 * length > 3 * height:
        half += half % 2 if length > 2 else 0  # an even part ends at the side where the next begins
        first = (step[0] * half, step[1] * half)
        yield from _walk(corner, first, across)
        yield from _walk((x + first[0], y + first[1]), (ax - first[0], ay - first[1]), across)
        return
    up += up % 2 if height > 2 else 0
    first, lift = (step[0] * half, step[1] * half), (rise[0] * up, rise[1] * up)
    yield from _walk(corner, lift, first)
    yield from _walk((x + lift[0], y + lift[1]), along, (bx - lift[0], by - lift[1]))
    yield from _walk((x + ax - step[0] + lift[0] - rise[0], y + ay - step[1] + lift[1] - rise[1]),
                     (-lift[0], -lift[1]), (first[0] - ax, first[1] - ay))


def chip_order(mesh: Mesh) -> Array:
    """(chips,) the chips along a curve over their grid; the first n of them lie close together."""
    rows = -(-mesh.chips // mesh.chip_columns)
    x, y = hilbert_curve(min(mesh.chips, mesh.chip_columns), rows).T
    chips = y * mesh.chip_columns + x
    return np.asarray(chips[chips < mesh.chips])


def hilbert_sites(mesh: Mesh, cores: int) -> Array:
    """(cores,) the first sites along a curve over the routers of each chip, and over the chips.

    The curve of a chip may be turned and mirrored. Those are chosen that make the ways from chip to chip shortest.
    """
    curves = _variants(mesh.columns, mesh.rows)
    chips = chip_order(mesh)[:max(1, -(-cores // mesh.cores))]
    corner = np.stack([chips % mesh.chip_columns * mesh.columns, chips // mesh.chip_columns * mesh.rows], axis=1)
    starts, ends = curves[:, 0], curves[:, -1]
    orders = _core_orders(mesh, curves)
    cost, chosen = np.zeros(len(curves)), []
    for here, there in pairwise(corner):
        joins = np.abs((starts + there)[None] - (ends + here)[:, None]).sum(axis=2) + cost[:, None]
        chosen.append(joins.argmin(axis=0))
        cost = joins.min(axis=0)
    variant = int(cost.argmin())
    found = [variant]
    for best in reversed(chosen):
        variant = int(best[variant])
        found.append(variant)
    return np.asarray((chips[:, None] * mesh.cores + orders[found[::-1]]).ravel()[:cores])


def _variants(columns: int, rows: int) -> Array:
    """(variants, routers, 2) curves along either side of a chip, mirrored either way."""
    top = np.array([columns - 1, rows - 1])
    return np.array([np.where(flip, top - curve, curve)
                     for curve in (hilbert_curve(columns, rows, upright=upright) for upright in (False, True))
                     for flip in ((False, False), (True, False), (False, True), (True, True))])


def _core_orders(mesh: Mesh, curves: Array) -> Array:
    """(variants, cores) the cores of a chip along each curve."""
    column, row = mesh.routers(np.arange(mesh.cores))
    found = []
    for curve in curves:
        rank = np.empty((mesh.rows, mesh.columns), dtype=np.int64)
        rank[curve[:, 1], curve[:, 0]] = np.arange(len(curve))
        found.append(np.argsort(rank[row, column], kind="stable"))
    return np.array(found)
