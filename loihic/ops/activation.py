"""Activation: neurons of quantised networks: a whole sum, a staircase of levels, and messages of levels or changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

import numpy as np

from loihic.ir.node import Array
from loihic.ir.registry import register_op
from loihic.ops.population import Population
from loihic.ops.quantiser import counted
from loihic.quant.fixed import STATE_LIMIT, wrap_bits

SUM_BITS = 24  # of the sum that a neuron keeps


class Coding(str, Enum):
    """What messages mean: levels, one each step, or the changes of levels (sigma-delta coding)."""

    GRADED = "graded"
    SIGMA_DELTA = "sigma-delta"


def _zeros() -> Array:
    return np.zeros((), dtype=np.int64)


@register_op("Activation", "integer neurons with a staircase of levels; graded or sigma-delta messages")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Activation(Population):
    """Neurons without dynamics, or with those of sigma-delta coding.

    One step, with a the sum of what is delivered, in 24 bits that wrap:

        v = a, or v + a if `sigma`
        y = clip((v * multiplier + addend) >> shift, low, high), or low + rise * (number of thresholds <= v)
        sends y, or if `delta` the change y - told where it is at least `vth`; told is what was sent so far

    The shift floors; with `ties_even` it rounds to the nearest, ties to even. Before step `start` the neuron rests. The
    multiplication takes place in the neuron's own program; like Lava's models of such neurons, it is not narrowed.

    Attributes:
        low, high: least and greatest level.
        multiplier, addend, shift: numbers, or arrays that broadcast to the shape.
        thresholds: None, or whole numbers, (steps,), (channels, steps) or (*shape, steps), rising.
        rise: height of a step of the staircase.
        ties_even: how the shift rounds.
        sigma: whether what arrives are changes.
        delta: whether changes are sent.
        vth: least change that is sent; 0 and 1 send them all.
        level_scale: the real value of level 1.
        label: what the staircase stands for.
    """

    states: ClassVar[tuple[str, ...]] = ("v",)
    low: int
    high: int
    multiplier: Array = field(default_factory=lambda: np.ones((), dtype=np.int64))
    addend: Array = field(default_factory=_zeros)
    shift: Array = field(default_factory=_zeros)
    thresholds: Array | None = None
    rise: int = 1
    ties_even: bool = False
    sigma: bool = False
    delta: bool = False
    vth: int = 0
    level_scale: Array = field(default_factory=lambda: np.ones(()))
    label: str = ""

    @property
    def sends(self) -> str:
        return str(Coding.SIGMA_DELTA.value if self.delta else Coding.GRADED.value)

    @property
    def message_scale(self) -> Array:
        return self.level_scale

    @property
    def sum_unit(self) -> Array:
        return self.unit

    def initial(self, batch: int) -> dict[str, Array]:
        nothing = np.zeros((batch, *self.shape), dtype=np.int64)
        return {"v": nothing, "told": nothing} if self.delta else {"v": nothing}

    def rests(self, k: int) -> bool:
        return k < self.start

    def total(self, state: Mapping[str, Array], a: Array) -> Array:
        """The new v before it wraps."""
        return state["v"] + a if self.sigma else a

    def level(self, v: Array) -> Array:
        """The level of each sum, (N, *shape)."""
        if self.thresholds is not None:
            return self.low + self.rise * counted(v, self.thresholds)
        product = v * self.multiplier + self.addend
        scaled = product >> self.shift
        if self.ties_even:
            half = np.where(self.shift > 0, np.int64(1) << np.maximum(self.shift - 1, 0), 0)
            scaled = (product + half) >> self.shift
            tie = (self.shift > 0) & (product - ((scaled << self.shift) - half) == 0)
            scaled = scaled - (tie & (scaled & 1 == 1))
        return np.clip(scaled, self.low, self.high)

    def step(self, state: dict[str, Array], a: Array, k: int) -> Array:
        if self.rests(k):
            return np.zeros_like(state["v"])
        state["v"] = v = wrap_bits(self.total(state, a), SUM_BITS)
        y = self.level(v)
        if not self.delta:
            return y
        change = y - state["told"]
        change = np.where(np.abs(change) >= self.vth, change, 0)
        state["told"] = state["told"] + change
        return change

    @property
    def message_range(self) -> tuple[int, int]:
        """Least and greatest message."""
        span = self.high - self.low
        if not self.delta:
            return min(self.low, 0), max(self.high, 0)
        return min(self.low, -span), max(self.high, span)


FULL = STATE_LIMIT - 1  # the greatest level that a message can carry
