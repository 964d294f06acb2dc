"""Levels: the points of a quantised network, whose messages are whole levels, and the staircases between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from loihic.ir.linear import LinearMap, columns_scaled, diagonal
from loihic.ir.node import Array, Shape
from loihic.ops.activation import FULL
from loihic.ops.neuron import Neuron
from loihic.ops.ports import Input
from loihic.ops.preparation import Preparation
from loihic.ops.quantiser import Staircase, Stepwise
from loihic.ops.traits import Emit, LinearNode
from loihic.passes.manager import AnyGraph
from loihic.passes.pairs import is_exact
from loihic.passes.paths import Arriving, Path, Way, moves
from loihic.passes.staircases import Climb, UnfitError
from loihic.quant.groups import values_of
from loihic.quant.neurons import squeezed
from loihic.quant.units import Entering, Settled, settle
from loihic.quant.whole import sum_bounds
from loihic.quant.widths import Widths

BITS = 8  # of weights that --weight-bits leaves to the compiler


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """The levels of a sum: the real value of 1, and the least and the greatest."""

    scale: Array
    low: int
    high: int

    def relay(self, shape: Shape, origins: tuple[str, ...], low: int, high: int, label: str) -> Staircase:
        """Sums on the grid passed on, clipped to other levels."""
        return Staircase(origins=origins, scale=self.scale, low=low, high=high, gain=1.0 / self.scale, label=label)


@dataclass(frozen=True, kw_only=True, eq=False)
class Climbed:
    """A staircase, and per way into it: key and path, real weights on its units, their bits, and what was lost."""

    node: Staircase
    ways: tuple[tuple[tuple[Way, Path], LinearMap, str, float], ...]


class LevelPoints:
    """What the points of a source graph send.

    Args:
        graph: with shapes.
        inputs: quantisers that the host takes over, and the Inputs that they belong to.

    Attributes:
        inputs: as given.
        placed: points that were added, by name.
        chose_bits: whether any weights were real and had to be rounded.
    """

    def __init__(self, graph: AnyGraph, inputs: Mapping[str, str]) -> None:
        self.graph, self.inputs = graph, inputs
        self.placed: dict[str, Staircase] = {}
        self.chose_bits = False
        self._quantisers = {name: graph.nodes[steps] for steps, name in inputs.items()}

    def grid(self, point: str) -> Grid:
        """The levels of a point's messages.

        Raises:
            UnfitError: it sends real numbers.
        """
        node = self.placed.get(point) or self._quantisers.get(point) or self.graph.nodes[point]
        if isinstance(node, Stepwise):
            return Grid(scale=node.scale, low=node.low, high=node.high)
        if isinstance(node, Neuron) and node.emit is Emit.SPIKE:
            return Grid(scale=np.ones(()), low=0, high=1)
        if isinstance(node, Input):
            return Grid(scale=np.ones(()), low=0, high=1)
        raise UnfitError(f"{point} sends real numbers")

    def of_sum(self, arriving: Arriving) -> Grid:
        """The levels of a sum of points that only moves data, with one unit for all.

        Raises:
            UnfitError: it is no such sum.
        """
        if arriving.stages or np.any(arriving.constant):
            raise UnfitError("the greatest of values that are not quantised")
        grids = []
        for (point, _, _), path in arriving.paths.items():
            grid = self.grid(point)
            if moves(path.linear) is None or grid.scale.size != 1:
                raise UnfitError("the greatest of sums")
            grids.append(grid)
        if len({float(grid.scale) for grid in grids}) != 1:
            raise UnfitError("the greatest of values on different grids")
        return Grid(scale=grids[0].scale, low=min(0, *(grid.low for grid in grids)),
                    high=max(0, *(grid.high for grid in grids)))

    def climb(self, shape: Shape, arriving: Arriving, steps: Stepwise, widths: Widths) -> Climbed:
        """The staircase of a quantiser, for the sum that arrives.

        Raises:
            UnfitError: it is none.
        """
        entering = self._entering(arriving, widths)
        settled = settle(entering, shape)
        one, constant = np.ones(()), np.asarray(arriving.constant, dtype=np.float64)
        sign = Climb.of(arriving.stages, steps, settled.unit, constant, shape, one).sign()
        whole = settled.whole
        if sign is not None:
            whole = tuple(linear.scaled(np.broadcast_to(sign, shape).reshape(linear.out_shape)) for linear in whole)
        climb = Climb.of(arriving.stages, steps, settled.unit, constant, shape, one if sign is None else sign)
        node = climb.staircase(*_bounds(entering, whole))
        errors = settled.errors
        if any(errors) and sign is None and is_exact(climb, entering, whole):
            errors = (0.0,) * len(errors)  # rounded, but to no effect
        return Climbed(node=node, ways=tuple(
            self._ways(arriving, replace(settled, whole=whole, errors=errors), shape)))

    def summed(self, arriving: Arriving, shape: Shape, widths: Widths, origins: tuple[str, ...]) -> tuple[
            Climbed, Array]:
        """A sum passed on as it is, and what of its constant is no whole number of units, for the host to add."""
        entering = self._entering(arriving, widths)
        settled = settle(entering, shape)
        constant = np.broadcast_to(arriving.constant, shape) / settled.unit
        whole = np.rint(constant)
        low, high = _bounds(entering, settled.whole)
        fits = bool(np.all(np.abs(constant - whole) < 1e-6)) and (
            low + whole.min(initial=0.0) >= -FULL and high + whole.max(initial=0.0) <= FULL)
        offset = whole if fits else np.zeros(shape)
        node = Staircase(origins=origins, scale=settled.unit, low=-FULL, high=FULL, gain=1.0 / settled.unit,
                         offset=offset, unit=settled.unit, label="sums")
        rest = (constant - offset) * settled.unit
        return (Climbed(node=node, ways=tuple(self._ways(arriving, settled, shape))),
                np.zeros(()) if fits else rest)

    def _entering(self, arriving: Arriving, widths: Widths) -> list[Entering]:
        """The maps that arrive, per level of their messages."""
        ways = []
        for (point, _, _), path in arriving.paths.items():
            grid = self.grid(point)
            scale = grid.scale
            chosen = widths.of(path.origins) if path.unit is None else None
            bits = BITS if chosen is None else chosen.bits
            self.chose_bits |= path.unit is None
            per_level, unit = path.linear, path.unit
            if scale.size == 1:
                per_level = per_level.scaled(scale.reshape(()))
                unit = None if unit is None else unit * float(scale)
            else:
                full = np.broadcast_to(scale, path.linear.in_shape)
                per_level = columns_scaled(per_level, full)
                index = moves(path.linear)
                unit = None if unit is None or index is None else np.where(
                    index >= 0, full.reshape(-1)[index], full.max())
            ways.append(Entering(linear=per_level, unit=unit, bits=bits, low=min(grid.low, 0),
                                 high=max(grid.high, 0)))
        return ways

    def _ways(self, arriving: Arriving, settled: Settled, shape: Shape) -> Iterator[
            tuple[tuple[Way, Path], LinearMap, str, float]]:
        for (way, path), whole, error in zip(
                arriving.paths.items(), settled.whole, settled.errors, strict=True):
            scale = self.grid(way[0]).scale
            unit = np.broadcast_to(settled.unit, shape).reshape(whole.out_shape)
            real = columns_scaled(whole.scaled(unit), 1.0 / (
                scale.reshape(()) if scale.size == 1 else np.broadcast_to(scale, whole.in_shape)))
            values = values_of(whole)
            peak = max(int(-values.min(initial=0.0)) - 1, int(values.max(initial=0.0)))
            yield (way, path), real, str(min(max(peak.bit_length() + 1, 1), 16)), error


def _bounds(entering: Sequence[Entering], whole: Sequence[LinearMap]) -> tuple[int, int]:
    """Least and greatest whole sum."""
    return sum_bounds((linear, one.low, one.high) for linear, one in zip(whole, entering, strict=True))


def prepared_inputs(graph: AnyGraph) -> dict[str, tuple[str, Preparation]]:
    """Inputs whose file says how to quantise them, behind nothing but scaling: the quantiser's name, and the whole."""
    found = {}
    for name, _ in graph.of(Input):
        gain, shift, here = np.ones(()), np.zeros(()), name
        while len(graph.outgoing[here]) == 1:
            here = graph.outgoing[here][0].dst
            step = graph.nodes[here]
            if len(graph.incoming[here]) != 1:
                break
            if isinstance(step, Stepwise):
                per_neuron = isinstance(step, Staircase) and step.thresholds is not None and step.thresholds.ndim > 1
                if not per_neuron:
                    found[name] = here, Preparation(gain=squeezed(gain), shift=squeezed(shift), steps=step)
                break
            factors = diagonal_of(step, graph.shapes[name])
            if factors is None:
                break
            gain, shift = gain * factors[0], shift * factors[0] + factors[1]
    return found


def diagonal_of(node: object, shape: Shape) -> tuple[Array, Array] | None:
    """Factor and constant of a node that only scales and shifts each element; None for any other."""
    if not isinstance(node, LinearNode):
        return None
    linear = node.linear_map(shape)
    if linear.in_shape != linear.out_shape:
        return None
    gain = np.ones(()) if linear.is_identity else diagonal(linear)
    bias = node.constant()
    return None if gain is None else (gain, np.zeros(()) if bias is None else bias)


def columns_of(windows: Array) -> list[Array]:
    """The windows of a maximum, (*shape, k), element by element, those left out that say nothing new."""
    found: list[Array] = []
    for column in np.moveaxis(windows, -1, 0):
        if not any(np.array_equal(column, other) for other in found):
            found.append(column)
    return found

