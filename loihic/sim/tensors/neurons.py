"""The steps of populations on tensors: what `Population.step` computes, for (samples, neurons) int64.

Each kind is a `Dynamics`: parameters, and a pure function from states and sum to states and message, so that torch can
fuse several steps of it into one kernel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import singledispatch

import numpy as np
import torch
from torch import Tensor

from loihic.ir.node import Array, HardwareNode, Shape
from loihic.ops.activation import Activation
from loihic.ops.compartment import Compartment
from loihic.ops.sigma_delta import SdnRole, SigmaDeltaNeurons
from loihic.ops.traits import Emit, Reset
from loihic.quant.fixed import ACTIVATION_SHIFT, DECAY_UNITY, STATE_LIMIT, decode_bias
from loihic.sim.tensors.exact import WORD, wrapped_24, wrapped_32

States = tuple[Tensor, ...]


class Dynamics(ABC):
    """How a population steps.

    Attributes:
        names: of its states, in the order in which `step` takes and gives them.
    """

    names: tuple[str, ...]

    @abstractmethod
    def step(self, states: States, a: Tensor) -> tuple[States, Tensor]:
        """New states, and the message of any type, for sums `a` (samples, neurons) int64."""


@singledispatch
def dynamics(node: HardwareNode, device: torch.device) -> Dynamics:
    """The dynamics of a population, its parameters on `device`."""
    raise TypeError(f"no steps for {node.op}")


def per_neuron(values: Array, shape: Shape, device: torch.device) -> Tensor:
    """A parameter as int64: a number where all are alike, else (neurons,)."""
    whole = np.asarray(values).astype(np.int64)
    flat = np.broadcast_to(whole, shape).reshape(-1) if whole.size != 1 else whole.reshape(-1)
    alike = flat.size == 0 or bool(np.all(flat == flat[0]))
    return torch.tensor(int(flat[0]) if flat.size else 0, device=device) if alike else torch.tensor(flat, device=device)


def _plus(x: Tensor, bias: Tensor | None) -> Tensor:
    return x if bias is None else x + bias


def _decayed(x: Tensor, kept: Tensor) -> Tensor:
    """x * kept / 4096, toward zero."""
    product = x * kept
    return (product + ((product >> 63) & (DECAY_UNITY - 1))) >> 12


class CompartmentDynamics(Dynamics):
    """See `Compartment`."""

    names = ("u", "v")

    def __init__(self, node: Compartment, device: torch.device) -> None:
        self.stock, self.emit, self.reset, self.out_shift = node.stock, node.emit, node.reset, min(node.out_shift, 63)
        whole = {name: np.asarray(getattr(node, name)).astype(np.int64) for name in ("du", "dv", "vth")}
        self.kept_u = per_neuron(DECAY_UNITY - (whole["du"] + 1), node.shape, device)
        self.kept_v = per_neuron(DECAY_UNITY - whole["dv"], node.shape, device)
        self.theta = per_neuron(whole["vth"] << ACTIVATION_SHIFT, node.shape, device)
        biases = [decode_bias(np.asarray(mantissa), np.asarray(exponent)) for mantissa, exponent in (
            (node.ibias_mant, node.ibias_exp), (node.vbias_mant, node.vbias_exp))]
        self.bias_u, self.bias_v = (per_neuron(bias, node.shape, device) if bias.any() else None for bias in biases)

    def step(self, states: States, a: Tensor) -> tuple[States, Tensor]:
        u, v = states
        u = wrapped_32(_plus(_decayed(u, self.kept_u) + (a << ACTIVATION_SHIFT), self.bias_u))
        u = torch.where(u > STATE_LIMIT, u - 2 * STATE_LIMIT, torch.where(u <= -STATE_LIMIT, u + 2 * STATE_LIMIT, u))
        v = _plus(_decayed(v, self.kept_v) + u, self.bias_v)
        v = torch.clamp(wrapped_32(v) if self.stock else v, -STATE_LIMIT + 1, STATE_LIMIT - 1)
        if self.emit is Emit.STATE:
            return (u, v), v >> self.out_shift
        if self.emit is Emit.SPIKE:
            sent = v > self.theta
            fired = sent
        else:
            many = torch.div(torch.clamp(v - 1, min=0), torch.clamp(self.theta, min=1), rounding_mode="floor")
            sent = torch.where(self.theta > 0, many, (v > 0).to(torch.int64))
            fired = sent > 0
        if self.reset is Reset.ZERO:
            v = torch.where(fired, 0, v)
        elif self.reset is Reset.SUBTRACT:
            v = v - sent * self.theta
        return (u, v), sent


class ActivationDynamics(Dynamics):
    """See `Activation`."""

    def __init__(self, node: Activation, device: torch.device) -> None:
        self.names = ("v", "told") if node.delta else ("v",)
        self.sigma, self.delta, self.vth = node.sigma, node.delta, node.vth
        self.low, self.high, self.rise, self.ties_even = node.low, node.high, node.rise, node.ties_even
        self.multiplier, self.addend, self.shift = (
            per_neuron(values, node.shape, device) for values in (node.multiplier, node.addend, node.shift))
        self.half = torch.where(self.shift > 0, 1 << torch.clamp(self.shift - 1, min=0), 0)
        self.rows: Tensor | None = None
        if node.thresholds is not None:
            steps = np.array(node.thresholds, dtype=np.int64)
            rows = steps.reshape(-1, steps.shape[-1]) if steps.size else np.zeros((1, 0), dtype=np.int64)
            self.rows = torch.from_numpy(rows).to(device)

    def level(self, v: Tensor) -> Tensor:
        """The level of each sum."""
        if self.rows is not None:
            return self.low + self.rise * self._counted(v, self.rows)
        product = v * self.multiplier + self.addend
        scaled = product >> self.shift
        if self.ties_even:
            scaled = (product + self.half) >> self.shift
            tie = (self.shift > 0) & (product - ((scaled << self.shift) - self.half) == 0)
            scaled = scaled - (tie & (scaled & 1).to(torch.bool)).to(torch.int64)
        return torch.clamp(scaled, self.low, self.high)

    def _counted(self, v: Tensor, rows: Tensor) -> Tensor:
        """How many thresholds of its row lie at or below each element."""
        if rows.shape[1] == 0:
            return torch.zeros_like(v)
        if len(rows) == 1:
            return torch.searchsorted(rows[0], v.contiguous(), right=True)
        columns = v.reshape(len(v), len(rows), -1).transpose(0, 1)
        found = torch.searchsorted(rows, columns.reshape(len(rows), -1).contiguous(), right=True)
        return found.reshape(columns.shape).transpose(0, 1).reshape(v.shape)

    def step(self, states: States, a: Tensor) -> tuple[States, Tensor]:
        v = wrapped_24(states[0] + a if self.sigma else a)
        y = self.level(v)
        if not self.delta:
            return (v,), y
        change = y - states[1]
        change = torch.where(change.abs() >= self.vth, change, 0)
        return (v, states[1] + change), change


class SigmaDeltaDynamics(Dynamics):
    """See `Sdn`."""

    names = ("sigma", "act", "residue")

    def __init__(self, node: SigmaDeltaNeurons, device: torch.device) -> None:
        self.role, self.shift, self.state_exp = node.role, node.spike_exp + node.state_exp, node.state_exp
        self.bias = per_neuron(node.bias.astype(np.int64) << self.shift, node.shape, device)
        self.least = min(int(node.threshold) << self.shift, WORD + 1)  # changes have 32 bits

    def step(self, states: States, a: Tensor) -> tuple[States, Tensor]:
        sigma, act, residue = states
        if self.role is SdnRole.DELTA:
            new = wrapped_32(a << self.shift)
        else:
            sigma = wrapped_32(sigma + a)
            if self.role is SdnRole.SIGMA:
                return (sigma, act, residue), sigma
            new = torch.clamp(wrapped_32(sigma + self.bias), min=0)
        change = wrapped_32(new - act + residue)
        told = torch.where(change.abs() >= self.least, change, 0)
        return (sigma, new, change - told), told >> self.state_exp


@dynamics.register
def _compartment(node: Compartment, device: torch.device) -> Dynamics:
    return CompartmentDynamics(node, device)


@dynamics.register
def _activation(node: Activation, device: torch.device) -> Dynamics:
    return ActivationDynamics(node, device)


@dynamics.register
def _sigma_delta(node: SigmaDeltaNeurons, device: torch.device) -> Dynamics:
    return SigmaDeltaDynamics(node, device)
