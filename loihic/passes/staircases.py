"""Staircases: everything between a whole sum and the next quantiser, as the sums at which the level rises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from loihic.ir.node import Array, Shape
from loihic.ops.elementwise import Clip, Elementwise, Relu
from loihic.ops.quantiser import Quantiser, Rounding, Staircase, Stepwise
from loihic.quant.steps import rises

PER_NEURON = ("scale", "gain", "shift", "offset", "slope", "zero_point", "multiplier")  # fields that may differ
MOST_LEVELS = 1 << 12  # that are listed one by one
MOST_STEPS = 1 << 26  # of all neurons of a population together
SIGNED = (Rounding.TO_ZERO, Rounding.FROM_ZERO)  # that a sum with an offset cannot stand for
FAR = 1e30  # beyond every clip


@dataclass(frozen=True, kw_only=True, eq=False)
class Scaled:
    """gain x + shift behind a function, where it cannot move into the weights."""

    gain: Array
    shift: Array

    def apply(self, x: Array) -> Array:
        """The scaled numbers."""
        return x * self.gain + self.shift


Stage = Elementwise | Scaled


class UnfitError(ValueError):
    """A quantiser that is no staircase of a whole sum; the message says why."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Climb:
    """A quantiser behind a sum.

    Attributes:
        stages: functions in between, in order.
        steps: the quantiser.
        unit: real value of 1 in the sum.
        direction: -1 where the whole sum is the negative of the real one.
        constant: what is added to the sum, real.
        shape: of the population.
    """

    stages: tuple[Stage, ...]
    steps: Stepwise
    unit: Array
    constant: Array
    shape: Shape
    direction: Array = field(default_factory=lambda: np.ones(()))

    @classmethod
    def of(cls, stages: tuple[Stage, ...], steps: Stepwise, unit: Array, constant: Array, shape: Shape,
           direction: Array) -> Climb:
        """A climb whose arrays tell apart only what differs."""
        return cls(stages=tuple(_slim(stage, shape) for stage in stages), steps=_slim(steps, shape), shape=shape,
                   unit=_reduced(unit, shape), constant=_reduced(constant, shape), direction=_reduced(direction, shape))

    def sign(self) -> Array | None:
        """-1 where the sum must be negated for the level to rise with it; None where it rises everywhere.

        Raises:
            UnfitError: a function that does not rise.
        """
        sign = np.ones(())
        for stage in (*self.stages, self.steps):
            if isinstance(stage, Scaled):
                sign = sign * np.where(stage.gain < 0, -1.0, 1.0)
            elif not stage.rising:
                raise UnfitError(f"{stage.op} does not rise with its input")
        return None if np.all(sign > 0) else sign

    def staircase(self, low: int, high: int) -> Staircase:
        """The staircase, for whole sums within bounds.

        Raises:
            UnfitError: it has too many steps.
        """
        node = self.steps
        rise = node.rise if isinstance(node, Staircase) else 1
        levels = np.arange(node.low + rise, node.high + 1, rise)
        rows = self.rows
        if len(levels) > MOST_LEVELS or len(levels) * int(np.prod(rows)) > MOST_STEPS:
            return self._by_gain()
        found = rises(self.level, levels, low, high, rows)
        unit = np.broadcast_to(self.unit, rows)
        steps = np.moveaxis((found - 0.5) * unit, 0, -1)
        if len(rows) > 1 and all(size == 1 for size in rows[1:]) and rows != self.shape:
            steps = steps.reshape(rows[0], len(levels))
        if steps.size == len(levels):
            steps = steps.reshape(-1)
        return Staircase(origins=node.origins, scale=node.scale, low=node.low, high=node.high, thresholds=steps,
                         rise=rise, unit=self.unit, label=self.label())

    def label(self) -> str:
        """What it does, in a few words."""
        names = [stage.op.lower() for stage in self.stages if isinstance(stage, Elementwise)]
        return ", ".join([*names, f"levels {self.steps.low}..{self.steps.high}"])

    def level(self, total: Array) -> Array:
        """The level of whole sums (steps, *rows)."""
        node = self.steps
        offset = self.constant / self.unit
        if isinstance(node, Quantiser) and self._multiplies(node) and _is_whole(offset):
            return node.level_of_sum(total + np.rint(offset))
        return self.level_of_real(total * (self.unit * self.direction))

    def _multiplies(self, node: Quantiser) -> bool:
        """Whether the format's own multiplication is that of this very sum."""
        return node.multiplier is not None and not self.stages and np.allclose(
            node.multiplier, self.unit / node.scale, rtol=1e-6, atol=0.0)

    def level_of_real(self, total: Array) -> Array:
        """The level of real sums (steps, *rows)."""
        x = total + self.constant
        for stage in self.stages:
            x = stage.apply(x)
        return self.steps.level(x)

    @property
    def rows(self) -> tuple[int, ...]:
        """The shape of what differs between neurons, of the population's rank."""
        arrays = [self.unit, self.direction, self.constant]
        for stage in (*self.stages, self.steps):
            arrays += [value for name in PER_NEURON if isinstance(value := getattr(stage, name, None), np.ndarray)]
        rows = np.broadcast_shapes((1,) * len(self.shape), *(one.shape for one in arrays))
        if isinstance(self.steps, Staircase) and self.steps.thresholds is not None:
            own = self.steps.thresholds.shape[:-1]
            rows = np.broadcast_shapes(rows, (*own, *[1] * (len(self.shape) - len(own))) if own else ())
        # Levels by channel, or else by neuron: nothing between the two is stored.
        return rows if all(size == 1 for size in rows[1:]) else self.shape

    def _by_gain(self) -> Staircase:
        """Levels too many to list: a gain and rounding, for quantisers behind nothing but clips."""
        node = self.steps
        if isinstance(node, Staircase) and node.thresholds is None and not self.stages:
            return replace(node, offset=node.offset + self.constant * node.gain, unit=self.unit)
        if not isinstance(node, Quantiser) or np.any(node.zero_point) or node.rounding in SIGNED:
            raise UnfitError(f"{node.high - node.low + 1} levels are too many to list")
        gain, offset = self.direction / node.scale, self.constant / node.scale
        for stage in self.stages:
            if isinstance(stage, Scaled):
                gain, offset = gain * stage.gain, offset * stage.gain + stage.shift / node.scale
            elif not isinstance(stage, Clip | Relu):
                raise UnfitError(f"{stage.op} before so many levels is not a clip")
        ends = [self.level_of_real((self.direction * far)[None]) for far in (-FAR, FAR)]
        if any(np.ptp(end) for end in ends):
            raise UnfitError(f"{node.high - node.low + 1} levels, clipped differently, are too many to list")
        low, high = (int(end.flat[0]) for end in ends)
        return Staircase(origins=node.origins, scale=node.scale, low=low, high=high, gain=gain, offset=offset,
                         rounding=node.rounding, unit=self.unit, label=self.label())


def _is_whole(values: Array) -> bool:
    return bool(np.all(np.abs(values - np.rint(values)) <= 1e-6 * np.maximum(np.abs(values), 1.0)))


StageT = TypeVar("StageT", bound="Elementwise | Scaled")


def _slim(stage: StageT, shape: Shape) -> StageT:
    """A function with its arrays reduced."""
    changed: dict[str, Any] = {name: _reduced(value, shape) for name in PER_NEURON
                               if isinstance(value := getattr(stage, name, None), np.ndarray)}
    return replace(stage, **changed)


def _reduced(values: Array, shape: Shape) -> Array:
    """The array in the rank of the population, with axes of equal values cut to one."""
    values = values.reshape(*[1] * (len(shape) - values.ndim), *values.shape)
    for axis in range(values.ndim):
        first = values.take([0], axis=axis)
        if values.shape[axis] > 1 and np.all(values == first):
            values = first
    return values


def merged(stages: Sequence[Stage], extra: Stage) -> tuple[Stage, ...]:
    """The stages and one more; two scalings in a row become one."""
    if stages and isinstance(extra, Scaled) and isinstance(last := stages[-1], Scaled):
        both = replace(last, gain=last.gain * extra.gain, shift=last.shift * extra.gain + extra.shift)
        return (*stages[:-1], both)
    return (*stages, extra)
