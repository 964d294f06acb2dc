"""Two spiking networks in torch, trained through a surrogate gradient and exported to NIR.

Both use forward Euler, as NIR describes its neurons, and NIR's order within a step: current, voltage from the new
current, spike if v > threshold, reset to zero in the same step. Recurrent spikes arrive one step later.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import Any, ClassVar

import nir
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

CLASSES = 10
THRESHOLD = 1.0
SURROGATE_SLOPE = 5.0


class Spike(torch.autograd.Function):
    """A step function whose gradient is that of a fast sigmoid (Zenke and Ganguli, 2018)."""

    @staticmethod
    def forward(ctx: Any, overshoot: Tensor) -> Tensor:
        ctx.save_for_backward(overshoot)
        return (overshoot > 0).to(overshoot.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (overshoot,) = ctx.saved_tensors
        return grad / (1.0 + SURROGATE_SLOPE * overshoot.abs()) ** 2


def spike(v: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes of the voltage `v`, and the voltage after the reset to zero."""
    z: Tensor = Spike.apply(v - THRESHOLD)
    return z, v * (1.0 - z.detach())


def noisy(linear: nn.Linear, x: Tensor, noise: float) -> Tensor:
    """`linear(x)` with Gaussian noise on the weights, of `noise` times the largest weight.

    Training under such noise finds weights that survive being rounded to 8 bits.
    """
    weight = linear.weight
    if noise:
        weight = weight + torch.randn_like(weight) * (noise * weight.detach().abs().max())
    currents: Tensor = nn.functional.linear(x, weight, linear.bias)
    return currents


def numbers(tensor: Tensor) -> NDArray[np.float32]:
    """A parameter as an array that no longer shares memory with torch."""
    array: NDArray[np.float32] = tensor.detach().numpy().astype(np.float32)
    return array


def affine(linear: nn.Linear) -> nir.Affine:
    """The NIR node of a torch linear layer with bias."""
    return nir.Affine(weight=numbers(linear.weight), bias=numbers(linear.bias))


class SpikingNetwork(nn.Module, ABC):
    """What training and export need of a network."""

    dt: ClassVar[float]

    @abstractmethod
    def forward(self, x: Tensor, noise: float = 0.0) -> Tensor:
        """Spike counts (n, 10) for input spikes (n, T, channels)."""

    @abstractmethod
    def export(self) -> nir.NIRGraph:
        """The network as a NIR graph, with dt in its metadata."""


class SpikingMLP(SpikingNetwork):
    """64 inputs, one hidden population and 10 outputs of LIF neurons."""

    dt = 1e-3
    tau = 10e-3
    hidden = 96

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, self.hidden)
        self.fc2 = nn.Linear(self.hidden, CLASSES)

    def forward(self, x: Tensor, noise: float = 0.0) -> Tensor:
        decay = self.dt / self.tau
        v1 = x.new_zeros(len(x), self.hidden)
        v2 = counts = x.new_zeros(len(x), CLASSES)
        for step in range(x.shape[1]):
            z1, v1 = spike(v1 - decay * v1 + noisy(self.fc1, x[:, step], noise))
            z2, v2 = spike(v2 - decay * v2 + noisy(self.fc2, z1, noise))
            counts = counts + z2
        return counts

    def neuron(self, size: int) -> nir.LIF:
        """LIF neurons whose resistance r = tau / dt cancels Euler's factor dt / tau on the input."""
        one = np.ones(size, np.float32)
        return nir.LIF(
            tau=self.tau * one,
            r=self.tau / self.dt * one,
            v_leak=0 * one,
            v_reset=0 * one,
            v_threshold=THRESHOLD * one,
        )

    def export(self) -> nir.NIRGraph:
        nodes = {
            "input": nir.Input(input_type=np.array([64])),
            "fc1": affine(self.fc1),
            "lif": self.neuron(self.hidden),
            "fc2": affine(self.fc2),
            "lif2": self.neuron(CLASSES),
            "output": nir.Output(output_type=np.array([CLASSES])),
        }
        names = list(nodes)
        return nir.NIRGraph(nodes, list(pairwise(names)), metadata={"dt": self.dt})


class RecurrentNetwork(SpikingNetwork):
    """16 inputs that scan the image line by line, a recurrent population and 10 outputs of CubaLIF neurons."""

    dt = 1e-4
    tau_syn = 0.3e-3
    tau_mem = 2e-3
    inputs = 16
    hidden = 128
    feedforward_gain = 0.3
    recurrent_gain = 0.8

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(self.inputs, self.hidden)
        self.w_rec = nn.Linear(self.hidden, self.hidden, bias=False)
        self.fc2 = nn.Linear(self.hidden, CLASSES)
        # The double integration of a CubaLIF gains tens of thresholds; torch's default would make everything fire.
        with torch.no_grad():
            for linear in (self.fc1, self.fc2):
                linear.weight *= self.feedforward_gain
                linear.bias *= 0.1 * self.feedforward_gain
            self.w_rec.weight *= self.recurrent_gain

    def forward(self, x: Tensor, noise: float = 0.0) -> Tensor:
        syn, mem = self.dt / self.tau_syn, self.dt / self.tau_mem
        z1 = v1 = i1 = x.new_zeros(len(x), self.hidden)
        v2 = i2 = counts = x.new_zeros(len(x), CLASSES)
        for step in range(x.shape[1]):
            drive = noisy(self.fc1, x[:, step], noise) + noisy(self.w_rec, z1, noise)
            i1 = i1 - syn * i1 + drive
            z1, v1 = spike(v1 - mem * v1 + i1)
            i2 = i2 - syn * i2 + noisy(self.fc2, z1, noise)
            z2, v2 = spike(v2 - mem * v2 + i2)
            counts = counts + z2
        return counts

    def neuron(self, size: int) -> nir.CubaLIF:
        """CubaLIF neurons whose w_in = tau_syn / dt and r = tau_mem / dt cancel Euler's factors on the inputs."""
        one = np.ones(size, np.float32)
        return nir.CubaLIF(
            tau_syn=self.tau_syn * one,
            tau_mem=self.tau_mem * one,
            r=self.tau_mem / self.dt * one,
            w_in=self.tau_syn / self.dt * one,
            v_leak=0 * one,
            v_reset=0 * one,
            v_threshold=THRESHOLD * one,
        )

    def export(self) -> nir.NIRGraph:
        nodes = {
            "input": nir.Input(input_type=np.array([self.inputs])),
            "fc1": affine(self.fc1),
            "lif": self.neuron(self.hidden),
            "w_rec": nir.Linear(weight=numbers(self.w_rec.weight)),
            "fc2": affine(self.fc2),
            "lif2": self.neuron(CLASSES),
            "output": nir.Output(output_type=np.array([CLASSES])),
        }
        edges = [
            ("input", "fc1"),
            ("fc1", "lif"),
            ("lif", "w_rec"),
            ("w_rec", "lif"),
            ("lif", "fc2"),
            ("fc2", "lif2"),
            ("lif2", "output"),
        ]
        return nir.NIRGraph(nodes, edges, metadata={"dt": self.dt})
