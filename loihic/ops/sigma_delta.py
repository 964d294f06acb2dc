"""Sigma-delta neurons as Lava's own Processes compute them: Delta, SigmaDelta and Sigma of lava.proc.sdn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

import numpy as np

from loihic.ir.node import Array, Shape, SourceNode
from loihic.ir.registry import register_op
from loihic.ops.population import Population
from loihic.quant.fixed import wrap_bits

State = dict[str, Array]


class SdnRole(str, Enum):
    """Which part of a sigma-delta neuron a population has."""

    DELTA = "delta"
    """It sends the changes of what it is given."""
    SIGMA_DELTA = "sigma-delta"
    """It adds up changes, takes the positive part, and sends its changes."""
    SIGMA = "sigma"
    """It adds up changes, and sends the sum."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sdn:
    """The arithmetic, in whole numbers.

    With E = spike_exp, S = state_exp and a what arrives, one step of lava.proc.sdn.models, `fixed_pt`:

        DELTA        act' = a << (E + S)
        SIGMA_DELTA  sigma += a;  act' = max(sigma + (bias << (E + S)), 0)
        both         d = act' - act + residue;  s = d if |d| >= vth << (E + S), else 0
                     residue = d - s;  act = act';  sends s >> S (floor)
        SIGMA        sigma += a;  sends sigma

    States have 32 bits in Lava's models, whatever the chip has.
    """

    role: SdnRole
    threshold: int
    bias: Array
    spike_exp: int
    state_exp: int

    def initial(self, batch: int, shape: Shape) -> State:
        """States before the first step, each (batch, *shape)."""
        return {name: np.zeros((batch, *shape), dtype=np.int64) for name in ("sigma", "act", "residue")}

    def step(self, state: State, a: Array) -> Array:
        """Advance `state` in place by one step with what arrives; returns what is sent."""
        shift = self.spike_exp + self.state_exp
        if self.role is SdnRole.DELTA:
            act = wrap_bits(a << shift, 32)
        else:
            state["sigma"] = wrap_bits(state["sigma"] + a, 32)
            if self.role is SdnRole.SIGMA:
                return state["sigma"]
            act = np.maximum(wrap_bits(state["sigma"] + (self.bias.astype(np.int64) << shift), 32), 0)
        change = wrap_bits(act - state["act"] + state["residue"], 32)
        told = np.where(np.abs(change) >= self.threshold << shift, change, 0)
        state["act"], state["residue"] = act, change - told
        return np.asarray(told >> self.state_exp)


@register_op("SigmaDelta", "sigma-delta neurons of lava-dl, in the file's whole numbers")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SigmaDelta(SourceNode):
    """Sigma-delta neurons; what they hear and send are whole numbers. See `Sdn` for the fields and the arithmetic."""

    stateful: ClassVar[bool] = True
    shape: Shape
    role: SdnRole
    threshold: int = 0
    bias: Array = field(default_factory=lambda: np.zeros((), dtype=np.int64))
    spike_exp: int = 6
    state_exp: int = 6

    def initial(self, batch: int) -> State:
        """States before the first step, each (batch, *shape)."""
        return _sdn(self).initial(batch, self.shape)

    def step(self, state: State, x: Array) -> Array:
        """Advance `state` in place by one step with input `x` (batch, *shape); returns what is sent."""
        return _sdn(self).step(state, np.rint(x).astype(np.int64)).astype(np.float64)


@register_op("SigmaDeltaNeurons", "integer sigma-delta neurons (lava.proc.sdn)")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SigmaDeltaNeurons(Population):
    """Lava's Delta, SigmaDelta or Sigma; they answer from the first step on, and a bias acts from there."""

    states: ClassVar[tuple[str, ...]] = ("sigma",)
    role: SdnRole
    threshold: int = 0
    bias: Array = field(default_factory=lambda: np.zeros((), dtype=np.int64))
    spike_exp: int = 6
    state_exp: int = 6

    @property
    def sends(self) -> str:
        return "graded" if self.role is SdnRole.SIGMA else "sigma-delta"

    @property
    def message_scale(self) -> Array:
        return np.ones(())

    @property
    def sum_unit(self) -> Array:
        return np.ones(())

    def initial(self, batch: int) -> State:
        return _sdn(self).initial(batch, self.shape)

    def rests(self, k: int) -> bool:
        return False

    def total(self, state: Mapping[str, Array], a: Array) -> Array:
        """The new sigma before any wrap; what arrives, of a DELTA."""
        return np.asarray(a if self.role is SdnRole.DELTA else state["sigma"] + a)

    def step(self, state: State, a: Array, k: int) -> Array:
        return _sdn(self).step(state, a)


def _sdn(node: Any) -> Sdn:
    return Sdn(role=node.role, threshold=node.threshold, bias=node.bias, spike_exp=node.spike_exp,
               state_exp=node.state_exp)
