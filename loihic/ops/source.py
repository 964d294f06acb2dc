"""Source and Sink: the integer ends of a program."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from loihic.ir.node import Array, HardwareNode, Shape
from loihic.ir.registry import register_op
from loihic.ops.preparation import Preparation


@register_op("Source", "input port: integers from the host, one array per step")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Source(HardwareNode):
    """Input of a program.

    Attributes:
        shape: of one step's input.
        low, high: least and greatest level, the integer that stands for a real value.
        scale: the real value of level 1; real inputs are divided by it and rounded. A number, or an array that
            broadcasts to the shape.
        exact: whether inputs must be multiples of `scale` already (spikes, counts).
        clips: whether values outside the range are clipped rather than refused.
        preparation: how the file itself has the host prepare and quantise inputs, if it does.
        delta: whether changes of levels are sent (sigma-delta coding), those of at least `vth`.
    """

    shape: Shape
    low: int = 0
    high: int = 1
    scale: Array = field(default_factory=lambda: np.ones(()))
    exact: bool = True
    clips: bool = False
    preparation: Preparation | None = None
    delta: bool = False
    vth: int = 0

    def levels(self, values: Array) -> Array:
        """The levels of real `values`, (..., *shape); nearest, clipped only where the port `clips`."""
        if self.preparation is not None:
            return self.preparation.levels(np.asarray(values)).astype(np.int64)
        scaled: Array = np.rint(np.asarray(values, dtype=np.float64) / self.scale)
        return (np.clip(scaled, self.low, self.high) if self.clips else scaled).astype(np.int64)

    def sent(self, levels: Array) -> Array:
        """What is sent for levels (N, T, *shape), from the first step on: these, or their changes."""
        return self.changes(levels, np.zeros_like(levels[:, 0]))[0] if self.delta else levels

    def changes(self, levels: Array, told: Array) -> tuple[Array, Array]:
        """The changes that a delta-coded port sends for levels (N, T, *shape), and what the network is told after them.

        Args:
            levels: of the next steps.
            told: the sum of everything sent before, (N, *shape).
        """
        changes = np.zeros_like(levels)
        for t in range(levels.shape[1]):
            change = levels[:, t] - told
            changes[:, t] = np.where(np.abs(change) >= self.vth, change, 0)
            told = told + changes[:, t]
        return changes, told

    def real(self, sent: Array) -> Array:
        """The real values that the network sees of what is sent, (N, T, *shape)."""
        return np.asarray((np.cumsum(sent, axis=1) if self.delta else sent) * self.scale)

    @property
    def real_range(self) -> tuple[float, float]:
        """Least and greatest real value."""
        return float(np.min(self.low * self.scale)), float(np.max(self.high * self.scale))

    @property
    def message_range(self) -> tuple[int, int]:
        """Least and greatest message."""
        if not self.delta:
            return self.low, self.high
        span = self.high - self.low
        return min(self.low, -span), max(self.high, span)


@register_op("Sink", "output port: integers to the host, with their scale")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sink(HardwareNode):
    """Output of a program; index t + latency answers input step t.

    Attributes:
        shape: of one step's output.
        scale, offset: the real value is the integer times `scale`, plus `offset`; numbers, or arrays that broadcast to
            the shape.
        latency: in steps.
    """

    shape: Shape
    scale: Array = field(default_factory=lambda: np.ones(()))
    offset: Array = field(default_factory=lambda: np.zeros(()))
    latency: int = 0

    def real(self, sent: Array) -> Array:
        """The real values of what arrives, (..., *shape)."""
        return sent * self.scale + self.offset
