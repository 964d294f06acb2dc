"""Float nodes that compute as the chip does: states in whole units, currents that wrap, voltages that saturate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from scipy import sparse

from loihic.ir.linear import LinearMap
from loihic.ir.node import Array
from loihic.ops.neuron import Neuron, State
from loihic.ops.traits import Emit, Reset
from loihic.quant.fixed import STATE_LIMIT

# In units of the integers. A float that stands for a whole number is off by less than 1e-8 of a unit; the fractions
# that decays (parts of 4096), weight exponents (from -8) and output shifts leave are all above 1e-4.
SLACK = 1e-6
RATIO_SLACK = 1e-9  # of voltage over threshold, where fractions are at least 2**-23


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EmulatedNeuron(Neuron):
    """A Neuron in real units whose states behave like a Compartment's; both peculiarities can be switched off.

    Attributes:
        unit: the real value of 1 in the Compartment's u and v, broadcastable to `shape`.
        out_shift: as in the Compartment.
        saturates: v is clipped at +-(2**23 - 1) units, u wraps once at 24 bits.
        rounds: states are whole units; decays truncate toward zero, a graded output is floored.
    """

    unit: Array
    out_shift: int = 0
    saturates: bool = True
    rounds: bool = True

    def step(self, state: State, x: Array) -> Array:
        """As `Neuron.step`; see `Compartment.step` for where the integers round."""
        u = self._whole(self._truncated(self.decay_u * state["u"]) + self.w_in * x + self.bias_u)
        if self.saturates:
            u = self._wrapped(u)
        v = self._whole(self._truncated(self.decay_v * state["v"]) + self.gain * u + self.bias_v)
        if self.saturates:
            top = (STATE_LIMIT - 1) * self.unit
            v = np.clip(v, -top, top)
        state["u"] = u
        if self.emit is Emit.STATE:
            state["v"] = v
            return self._floored(v)
        span = self.threshold - self.v_reset
        sent = (v > self.threshold).astype(np.float64) if self.emit is Emit.SPIKE else self._counts(v, span)
        if self.reset is Reset.ZERO:
            v = np.where(sent > 0, self.v_reset, v)
        elif self.reset is Reset.SUBTRACT:
            v = self._whole(v - sent * span)
        state["v"] = v
        return sent

    def _counts(self, v: Array, span: Array) -> Array:
        above: Array = v - self.v_reset
        with np.errstate(divide="ignore", invalid="ignore"):
            count = np.where(span > 0, np.ceil(above / span - RATIO_SLACK) - 1, above > 0)
        return np.asarray(np.maximum(count, 0.0))

    def _whole(self, x: Array) -> Array:
        return np.rint(x / self.unit) * self.unit if self.rounds else x

    def _truncated(self, x: Array) -> Array:
        if not self.rounds:
            return x
        scaled = x / self.unit
        return np.asarray(np.trunc(scaled + np.copysign(SLACK, scaled)) * self.unit)

    def _floored(self, v: Array) -> Array:
        if not self.rounds or not self.out_shift:
            return v
        step = self.unit * 2.0**self.out_shift
        return np.asarray(np.floor(v / step + SLACK) * step)

    def _wrapped(self, u: Array) -> Array:
        limit = STATE_LIMIT * self.unit
        return np.where(u > limit, u - 2 * limit, np.where(u <= -limit, u + 2 * limit, u))


@dataclass(frozen=True, kw_only=True, eq=False)
class FlooredMap(LinearMap):
    """What parallel synapses deliver: each one's sums floored to whole accumulated units, then added up.

    Linear but for the floor, which the chip applies where an exponent is negative.

    Attributes:
        parts: the maps of the synapses, in real units.
        step: the real value of 1 in the accumulated sum, broadcastable to `out_shape`.
    """

    parts: tuple[LinearMap, ...]
    step: Array

    def apply(self, x: Array) -> Array:
        return reduce(np.add, (np.floor(part.apply(x) / self.step + SLACK) * self.step for part in self.parts))

    def to_csr(self) -> sparse.csr_matrix:
        return reduce(lambda a, b: a + b, (part.to_csr() for part in self.parts))

    def scaled(self, rows: Array) -> LinearMap:
        return replace(self, parts=tuple(part.scaled(rows) for part in self.parts), step=self.step * rows)
