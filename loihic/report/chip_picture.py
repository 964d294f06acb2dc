"""The picture of a plan: chips in their grid, cores at their routers, links between them; where each lies, its colour.

What is drawn here as shapes, `chip_svg` and `chip_png` write to files. Lengths are in units of about a pixel, y points
down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt

import numpy as np

from loihic.ir.node import Array
from loihic.partition.model import HOST, Mesh, Traffic
from loihic.report.chip_colours import LINK, family_colour, ink_on, ramp_colour
from loihic.report.chip_legend import LETTER, Ramp, Swatch, legend_height, placed_swatches, shortened
from loihic.report.plan_summary import Summary
from loihic.report.plan_tables import CoreRow
from loihic.report.plan_words import count, duration, percent, plural

CORE = 20.0  # side of a core's square
NEAR = 2.0  # between squares at one router
STREET = 11.0  # between squares at one router, where the links run
APART = 20.0  # between the squares of neighbouring routers
EDGE = 14.0  # from a chip's border to its first square
ROUTER = 11.0  # side of a router's square
GUTTER = 44.0  # between chips, with the name of the lower one
MARGIN = 24.0
HOST_ROOM = 3.6  # at the left, for the host; in heights of letters
TEXT = 13.0  # height of letters, where the chips are not wider than `PLAIN_WIDTH`
PLAIN_WIDTH = 800.0
LEAST_WIDTH = 640.0  # of the paper, for the words on it
HEAD = 1.0  # width of a letter of the title, in heights of others
GROWTH = 0.75  # how the letters grow with wider pictures, which are shown smaller
LANE = 2.6  # how far the two directions of a link lie from its middle
WIDEST, THINNEST = 5.0, 0.6  # of links that carry messages


@dataclass(frozen=True, kw_only=True, slots=True)
class Rectangle:
    """A chip, with its name above it."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Square:
    """A core in use.

    Attributes:
        x, y: its upper left corner.
        colour, ink: of the square and of the text on it.
        label: on it; may be empty.
        tip: what a reader learns who points at it, a line a fact.
    """

    x: float
    y: float
    colour: str
    ink: str
    label: str
    tip: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A link between routers, or one direction of it.

    Attributes:
        x1, y1, x2, y2: its ends.
        width: 0 for a link that is only shown to be there.
        tip: what it carries.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    width: float = 0.0
    tip: str = ""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Everything that is drawn.

    Attributes:
        width, height: of the paper.
        text: height of letters.
        title, subtitle: at the top.
        chips, spare, links, routers, squares: from the bottom to the top; `spare` are the corners of unused cores,
            `routers` the middles of routers.
        host: the line from the host's name to the router where its messages enter.
        swatches: the legend of populations.
        ramp: the legend of values.
        link_colour: of links that carry messages.
    """

    width: float
    height: float
    text: float
    title: str
    subtitle: str
    chips: tuple[Rectangle, ...]
    spare: tuple[tuple[float, float], ...]
    links: tuple[Line, ...]
    routers: tuple[tuple[float, float], ...]
    squares: tuple[Square, ...]
    host: Line
    swatches: tuple[Swatch, ...]
    ramp: Ramp | None
    link_colour: str = LINK


class Grid:
    """Where routers, cores and chips lie on the paper.

    Only the chips in use and those between them are shown, and the first, at which the host is.

    Args:
        mesh: of the system.
        rows: the cores in use.
    """

    def __init__(self, mesh: Mesh, rows: list[CoreRow]) -> None:
        self.mesh = mesh
        self.side = isqrt(mesh.per_router - 1) + 1
        chips = {0, *(row.chip for row in rows)}
        self.right = 1 + max(chip % mesh.chip_columns for chip in chips)
        self.down = 1 + max(chip // mesh.chip_columns for chip in chips)
        self.block = self._offset(self.side - 1) + CORE
        self.chip_width = mesh.columns * (self.block + APART) - APART + 2 * EDGE
        self.chip_height = mesh.rows * (self.block + APART) - APART + 2 * EDGE
        self.text = TEXT * max(1.0, self.right * self.chip_width / PLAIN_WIDTH) ** GROWTH
        self.gutter = max(GUTTER, 2 * self.text)
        self.left = MARGIN + HOST_ROOM * self.text
        self.width = max(self.left + self.right * (self.chip_width + self.gutter) - self.gutter + MARGIN, LEAST_WIDTH)
        self.top = MARGIN + 5.5 * self.text
        self.bottom = self.top + self.down * (self.chip_height + self.gutter) - self.gutter

    @property
    def shown(self) -> list[int]:
        """The chips that are drawn."""
        found = (row * self.mesh.chip_columns + column for row in range(self.down) for column in range(self.right))
        return [chip for chip in found if chip < self.mesh.chips]

    def chip(self, chip: int) -> tuple[float, float]:
        """The upper left corner of a chip."""
        row, column = divmod(chip, self.mesh.chip_columns)
        return (self.left + column * (self.chip_width + self.gutter),
                self.top + row * (self.chip_height + self.gutter))

    def core(self, chip: int, core: int) -> tuple[float, float]:
        """The upper left corner of a core's square."""
        router, place = divmod(core, self.mesh.per_router)
        x, y = self._corner(chip, router)
        below, beside = divmod(place, self.side)
        return x + self._offset(beside), y + self._offset(below)

    def router(self, column: int, row: int) -> tuple[float, float]:
        """The middle of a router, by its column and row over all chips."""
        chip = row // self.mesh.rows * self.mesh.chip_columns + column // self.mesh.columns
        x, y = self._corner(chip, row % self.mesh.rows * self.mesh.columns + column % self.mesh.columns)
        return x + self.block / 2, y + self.block / 2

    def routers(self) -> Iterator[tuple[float, float]]:
        """The middles of all routers."""
        for chip in self.shown:
            row, column = divmod(chip, self.mesh.chip_columns)
            for place in range(self.mesh.rows * self.mesh.columns):
                below, beside = divmod(place, self.mesh.columns)
                yield self.router(column * self.mesh.columns + beside, row * self.mesh.rows + below)

    def _corner(self, chip: int, router: int) -> tuple[float, float]:
        x, y = self.chip(chip)
        row, column = divmod(router, self.mesh.columns)
        return x + EDGE + column * (self.block + APART), y + EDGE + row * (self.block + APART)

    def _offset(self, place: int) -> float:
        """From the corner of a router's block to the square at a place in its row; the street is in the middle."""
        return place * (CORE + NEAR) + (STREET - NEAR if self.side > 1 and place >= (self.side + 1) // 2 else 0.0)


def picture(found: Summary, rows: list[CoreRow], colour: str, model: str = "") -> Picture:
    """Draw a plan.

    Args:
        found: what the plan costs.
        rows: its cores in use.
        colour: what colours tell: "node", "load", "traffic" or "fill".
        model: its name.
    """
    plan = found.plan
    grid = Grid(plan.placement.mesh, rows)
    messages = _messages(plan.traffic)
    names = list(plan.partition.layouts)
    shades = _shades(rows, colour, messages, names)
    swatches, ramp = _legend(found, rows, colour, messages, names, grid)
    legend = legend_height(swatches, ramp, grid.text)
    used = {(row.chip, row.core) for row in rows}
    return Picture(
        width=grid.width, height=grid.bottom + MARGIN + legend, text=grid.text,
        title=shortened(model or "placed program", int(grid.width / (HEAD * grid.text))),
        subtitle=shortened(_subtitle(found), int(grid.width / grid.text / LETTER)),
        chips=tuple(Rectangle(x=grid.chip(chip)[0], y=grid.chip(chip)[1], width=grid.chip_width,
                              height=grid.chip_height, label=f"chip{chip}") for chip in grid.shown),
        spare=tuple(grid.core(chip, core) for chip in grid.shown for core in range(plan.placement.mesh.cores)
                    if (chip, core) not in used),
        links=tuple(_links(found, grid, colour == "traffic")), routers=tuple(grid.routers()), squares=tuple(
            _square(grid, row, shade, str(names.index(row.main) + 1) if colour == "node" else "",
                    float(messages[row.logical]), found) for row, shade in zip(rows, shades, strict=True)),
        host=_host(grid), swatches=swatches, ramp=ramp)


def _subtitle(found: Summary) -> str:
    plan = found.plan
    return (f"{plan.system.name}: {plural(plan.cores, 'core')} on {plural(plan.chips, 'chip')}, "
            f"{duration(found.step.seconds.value)} per step ({found.step.limit})")


def _messages(traffic: Traffic) -> Array:
    """(cores,) messages per step that each core sends and receives."""
    sends = traffic.source != HOST
    weights = np.repeat(traffic.weight, np.diff(traffic.first))
    takes = traffic.targets != HOST
    return (np.bincount(traffic.source[sends], traffic.weight[sends], minlength=traffic.cores)
            + np.bincount(traffic.targets[takes], weights[takes], minlength=traffic.cores))


def _shades(rows: list[CoreRow], colour: str, messages: Array, names: list[str]) -> list[str]:
    """The colour of every core."""
    if colour == "node":
        place = {name: number for number, name in enumerate(names)}
        return [family_colour(place[row.main]) for row in rows]
    if colour == "fill":
        return [ramp_colour(row.fill) for row in rows]
    values = [row.seconds if colour == "load" else float(messages[row.logical]) for row in rows]
    most = max(values, default=0.0)
    return [ramp_colour(value / most if most else 0.0) for value in values]


def _legend(found: Summary, rows: list[CoreRow], colour: str, messages: Array, names: list[str],
            grid: Grid) -> tuple[tuple[Swatch, ...], Ramp | None]:
    """What the colours mean, below the chips."""
    x, y, width = grid.left, grid.bottom + 1.5 * grid.text, grid.width - grid.left - MARGIN
    if colour == "node":
        texts = [f"{name}, {plural(int(np.unique(found.plan.partition.slices[name].core).size), 'core')}"
                 for name in names]
        return placed_swatches(texts, x, y, width, grid.text), None
    links = ""
    if colour == "fill":
        title, low, high = "words of each core's fullest memory", "0 %", "100 %"
    elif colour == "load":
        title, low = "time that each core computes per step", "0 s"
        high = duration(max((row.seconds for row in rows), default=0.0))
    else:
        title, low = "messages per step that each core sends and receives", "0"
        high = count(float(messages.max(initial=0.0)))
        links = f"{count(found.loads.busiest)} messages per step on the busiest link"
    return (), Ramp(x=x, y=y, width=min(width, 24 * grid.text), title=title, low=low, high=high, links=links)


def _square(grid: Grid, row: CoreRow, shade: str, label: str, messages: float, found: Summary) -> Square:
    x, y = grid.core(row.chip, row.core)
    fullest = found.plan.figures.capacities
    total = dict(zip(row.words, fullest.tolist(), strict=True))
    lines = [f"chip{row.chip}.core{row.core}", *(f"{one.population} {one.words}" for one in row.slices),
             plural(row.neurons, "neuron"),
             f"{row.fullest} {percent(row.fill)} full: {row.words[row.fullest]} of {total[row.fullest]:.0f} words",
             f"{count(row.synops)} synaptic operations per step, {duration(row.seconds)}",
             f"{count(messages)} messages per step"]
    return Square(x=x, y=y, colour=shade, ink=ink_on(shade), label=label, tip="\n".join(lines))


def _host(grid: Grid) -> Line:
    x, y = grid.router(0, 0)
    return Line(x1=grid.left - 8, y1=y, x2=x, y2=y)


def _links(found: Summary, grid: Grid, loaded: bool) -> Iterator[Line]:
    """Every link in grey, and above them what is on the links, each direction on its own side."""
    columns, rows = grid.right * grid.mesh.columns, grid.down * grid.mesh.rows
    there = set(grid.shown)
    pairs = [((column, row), (column + right, row + 1 - right)) for right in (1, 0)
             for row in range(rows - 1 + right) for column in range(columns - right)
             if {_chip(grid.mesh, column, row), _chip(grid.mesh, column + right, row + 1 - right)} <= there]
    for one, other in pairs:
        (x1, y1), (x2, y2) = grid.router(*one), grid.router(*other)
        yield Line(x1=x1, y1=y1, x2=x2, y2=y2)
    busiest = found.loads.busiest
    if not (loaded and busiest):
        return
    for (column, row), other in pairs:
        loads = found.loads.horizontal if other[1] == row else found.loads.vertical
        (x1, y1), (x2, y2) = grid.router(column, row), grid.router(*other)
        across, down = (0.0, LANE) if other[1] == row else (-LANE, 0.0)
        for way, side in ((0, 1), (1, -1)):
            load = float(loads[way, row, column])
            if load:
                ends = (f"({column}, {row})", f"({other[0]}, {other[1]})")
                yield Line(x1=x1 + side * across, y1=y1 + side * down, x2=x2 + side * across, y2=y2 + side * down,
                           width=THINNEST + (WIDEST - THINNEST) * load / busiest,
                           tip=f"router {ends[way]} to {ends[1 - way]}\n{count(load)} messages per step")


def _chip(mesh: Mesh, column: int, row: int) -> int:
    return row // mesh.rows * mesh.chip_columns + column // mesh.columns
