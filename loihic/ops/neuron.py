"""The neuron in discrete time: the one float form that every spiking or leaky NIR node is brought into."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from loihic.ir.node import Array, Shape, SourceNode
from loihic.ir.registry import register_op
from loihic.ops.traits import Emit, Reset

State = dict[str, Array]


@register_op("Neuron", "any NIR neuron in discrete time")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Neuron(SourceNode):
    """One step, in this order: current, voltage with the new current, spike, reset.

        i = decay_u i + w_in x + bias_u
        v = decay_v v + gain i + bias_v
        s = v > threshold;  then v = v_reset, or v -= threshold - v_reset

    All parameters have the population's `shape`. `neurons`, if given, are the indices that a split population
    has in the one it came from.
    """

    stateful: ClassVar[bool] = True
    shape: Shape
    decay_u: Array
    decay_v: Array
    w_in: Array
    gain: Array
    bias_u: Array
    bias_v: Array
    threshold: Array
    v_reset: Array
    v_init: Array
    reset: Reset = Reset.ZERO
    emit: Emit = Emit.SPIKE

    @property
    def has_current(self) -> bool:
        """Whether the current has memory."""
        return bool(np.any(self.decay_u != 0))

    def initial(self, batch: int) -> State:
        """States before the first step, each (batch, *shape)."""
        v = np.broadcast_to(self.v_init, (batch, *self.shape)).astype(np.float64)
        return {"u": np.zeros((batch, *self.shape)), "v": v}

    def step(self, state: State, x: Array) -> Array:
        """Advance `state` in place by one step with input `x` (batch, *shape); returns what is sent."""
        u = self.decay_u * state["u"] + self.w_in * x + self.bias_u
        v = self.decay_v * state["v"] + self.gain * u + self.bias_v
        state["u"] = u
        if self.emit is Emit.STATE:
            state["v"] = v
            return v
        span = self.threshold - self.v_reset
        if self.emit is Emit.SPIKE:
            sent = (v > self.threshold).astype(np.float64)
        else:
            above: Array = v - self.v_reset
            with np.errstate(divide="ignore", invalid="ignore"):
                count = np.where(span > 0, np.ceil(above / span) - 1, above > 0)
            sent = np.maximum(count, 0.0)
        if self.reset is Reset.ZERO:
            v = np.where(sent > 0, self.v_reset, v)
        elif self.reset is Reset.SUBTRACT:
            v = v - sent * span
        state["v"] = v
        return sent

    def centred(self) -> Neuron:
        """The same neuron in coordinates in which it resets to zero and w_in = gain = 1; exact.

        With v = v' + v_reset and i' = gain i, the spikes do not change:
        i' = decay_u i' + (gain w_in) x + gain bias_u;  v' = decay_v v' + i' + bias_v - (1 - decay_v) v_reset.
        The factor gain * w_in is left for the incoming maps to take.
        """
        shift = self.v_reset if self.emit is not Emit.STATE else np.zeros_like(self.v_reset)
        ones = np.ones(self.shape)
        return replace(
            self, w_in=ones, gain=ones, bias_u=self.gain * self.bias_u,
            bias_v=self.bias_v - (1.0 - self.decay_v) * shift, threshold=self.threshold - shift,
            v_reset=self.v_reset - shift, v_init=self.v_init - shift)


def neuron(shape: Shape, *, origins: tuple[str, ...] = (), reset: Reset = Reset.ZERO, emit: Emit = Emit.SPIKE,
           **parameters: Array | float) -> Neuron:
    """A Neuron with every parameter broadcast to `shape`; those not given take the values of a bare relay."""
    defaults: dict[str, Array | float] = {
        "decay_u": 0.0, "decay_v": 0.0, "w_in": 1.0, "gain": 1.0, "bias_u": 0.0, "bias_v": 0.0, "threshold": 0.0,
        "v_reset": 0.0, "v_init": 0.0}
    full = {key: np.broadcast_to(np.asarray(value, dtype=np.float64), shape)
            for key, value in {**defaults, **parameters}.items()}
    return Neuron(origins=origins, shape=shape, reset=reset, emit=emit, **full)


def always_on(origins: tuple[str, ...]) -> Neuron:
    """A neuron that fires at every step from its start on: without leak, threshold zero, driven by a bias of one."""
    return neuron((1,), origins=origins, decay_v=1.0, bias_v=1.0)


def is_always_on(node: Neuron) -> bool:
    """Whether a neuron is one that `always_on` made."""
    silent = (node.threshold, node.decay_u, node.bias_u, node.v_init)
    return bool(node.shape == (1,) and node.emit is Emit.SPIKE and np.all(node.decay_v == 1)
                and np.all(node.bias_v == 1) and not any(np.any(value) for value in silent))
