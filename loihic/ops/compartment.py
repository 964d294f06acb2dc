"""Compartment: a population of integer neurons, Lava's LIF or loihic's own Neuron Process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from loihic.ir.node import Array
from loihic.ir.registry import register_op
from loihic.ops.population import Population
from loihic.ops.traits import Emit, Reset
from loihic.quant.fixed import (
    ACTIVATION_SHIFT,
    DECAY_UNITY,
    clip_voltage,
    decode_bias,
    rsz,
    wrap_bits,
    wrap_current,
)


def _zeros() -> Array:
    return np.zeros((), dtype=np.int64)


@register_op("Compartment", "population of integer neurons with current and voltage")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Compartment(Population):
    """Integer neurons.

    One step, with a the sum of what is delivered:

        u = wrap(rsz(u (4096 - (du + 1)), 12) + (a << 6) + ibias)
        v = clip(rsz(v (4096 - dv), 12) + u + vbias)
        s = v > vth << 6, and the reset

    Per-neuron parameters are arrays of `shape` or scalars. `stock` says that Lava's own LIF computes this (uniform du,
    dv, vth; reset to zero; binary spikes; no current bias). Before step `start` the neuron rests: its input has not
    arrived yet, and a bias must not act earlier than in the trained network.

    Attributes:
        du, dv: decays in parts of 4096; du has an offset of one; dv = 4096 keeps nothing.
        vth: threshold, 17 bits, shifted left by 6 in use.
        ibias_mant, ibias_exp, vbias_mant, vbias_exp: biases of current and voltage, mantissa << exponent.
        v_init: voltage before the first step.
        out_shift: a graded output is v >> out_shift.
    """

    states: ClassVar[tuple[str, ...]] = ("u", "v")
    du: Array
    dv: Array
    vth: Array
    ibias_mant: Array = field(default_factory=_zeros)
    ibias_exp: Array = field(default_factory=_zeros)
    vbias_mant: Array = field(default_factory=_zeros)
    vbias_exp: Array = field(default_factory=_zeros)
    v_init: Array = field(default_factory=_zeros)
    reset: Reset = Reset.ZERO
    emit: Emit = Emit.SPIKE
    out_shift: int = 0
    stock: bool = True

    @property
    def is_graded(self) -> bool:
        return self.emit is Emit.STATE

    @property
    def has_payload(self) -> bool:
        return self.emit is not Emit.SPIKE

    @property
    def sends(self) -> str:
        return self.emit.value

    @property
    def message_scale(self) -> Array:
        return np.asarray(self.unit * 2.0**self.out_shift) if self.emit is Emit.STATE else np.ones(())

    @property
    def sum_unit(self) -> Array:
        return np.asarray(self.unit * float(1 << ACTIVATION_SHIFT))

    def initial(self, batch: int) -> dict[str, Array]:
        v = np.broadcast_to(self.v_init, (batch, *self.shape)).astype(np.int64)
        return {"u": np.zeros((batch, *self.shape), dtype=np.int64), "v": v}

    def rests(self, k: int) -> bool:
        return not self.stock and k < self.start

    def current(self, state: Mapping[str, Array], a: Array) -> Array:
        """The new u before any wrap."""
        u = rsz(state["u"] * (DECAY_UNITY - (self.du + 1)), 12)
        return np.asarray(u + (a << ACTIVATION_SHIFT) + decode_bias(self.ibias_mant, self.ibias_exp))

    def voltage(self, state: Mapping[str, Array], u: Array) -> Array:
        """The new v before it saturates and before the reset, for a new current `u` that has wrapped."""
        v = rsz(state["v"] * (DECAY_UNITY - self.dv), 12)
        return np.asarray(v + u + decode_bias(self.vbias_mant, self.vbias_exp))

    def step(self, state: dict[str, Array], a: Array, k: int) -> Array:
        if self.rests(k):
            return np.zeros_like(state["v"])
        u = wrap_current(wrap_bits(self.current(state, a), 32))  # 32-bit sums, then one wrap at 24 bits
        v = self.voltage(state, u)
        v = clip_voltage(wrap_bits(v, 32) if self.stock else v)
        theta = self.vth << ACTIVATION_SHIFT
        state["u"] = u
        if self.emit is Emit.STATE:
            state["v"] = v
            return v >> self.out_shift
        if self.emit is Emit.SPIKE:
            sent = (v > theta).astype(np.int64)
        else:
            sent = np.where(theta > 0, np.maximum(v - 1, 0) // np.maximum(theta, 1), v > 0).astype(np.int64)
        if self.reset is Reset.ZERO:
            v = np.where(sent > 0, 0, v)
        elif self.reset is Reset.SUBTRACT:
            v = v - sent * theta
        state["v"] = v
        return sent
