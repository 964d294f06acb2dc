"""A second opinion: runs the exported file in plain numpy (float64), with no torch and nothing of loihic."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
WEIGHT_LEVELS = 128  # 8-bit signed weights: the largest magnitude over 128 is one step


class Neurons:
    """A LIF or CubaLIF population and its state, for n samples at once."""

    def __init__(self, node: nir.LIF | nir.CubaLIF, dt: float, samples: int) -> None:
        self.node = node
        self.dt = dt
        self.i: Floats = np.zeros((samples, *node.v_threshold.shape))
        self.v: Floats = np.zeros_like(self.i)

    def step(self, x: Floats) -> Floats:
        """One Euler step: (n, size) input to (n, size) spikes."""
        node = self.node
        if isinstance(node, nir.CubaLIF):
            self.i = self.i + self.dt / node.tau_syn * (-self.i + node.w_in * x)
            drive, tau = self.i, node.tau_mem
        else:
            drive, tau = x, node.tau
        self.v = self.v + self.dt / tau * ((node.v_leak - self.v) + node.r * drive)
        spikes = self.v > node.v_threshold
        self.v = np.where(spikes, node.v_reset, self.v)
        return spikes.astype(np.float64)


def rounded(weight: Floats) -> Floats:
    """The matrix with one 8-bit scale: what the plainest quantisation would leave of it."""
    scale = np.abs(weight).max() / WEIGHT_LEVELS
    return np.clip(np.rint(weight / scale), -WEIGHT_LEVELS, WEIGHT_LEVELS - 1) * scale


def spike_counts(path: Path, spikes: NDArray[np.uint8], *, round_weights: bool = False) -> Floats:
    """Output spike counts (n, 10) of the network in the file `path` for input spikes (n, T, channels).

    Knows exactly the two topologies of this folder: a chain, with or without one recurrent edge.
    """
    graph = nir.read(path)
    dt = float(graph.metadata["dt"])
    weights = {
        name: rounded(node.weight.astype(np.float64)) if round_weights else node.weight.astype(np.float64)
        for name, node in graph.nodes.items()
        if isinstance(node, (nir.Affine, nir.Linear))
    }
    hidden, last = (Neurons(graph.nodes[name], dt, len(spikes)) for name in ("lif", "lif2"))
    recurrent = weights.get("w_rec", np.zeros((hidden.v.shape[1],) * 2))
    z: Floats = np.zeros_like(hidden.v)
    counts: Floats = np.zeros_like(last.v)
    for step in range(spikes.shape[1]):
        x = spikes[:, step].astype(np.float64)
        z = hidden.step(x @ weights["fc1"].T + graph.nodes["fc1"].bias + z @ recurrent.T)
        counts += last.step(z @ weights["fc2"].T + graph.nodes["fc2"].bias)
    return counts


def accuracy(counts: Floats, labels: NDArray[np.int64]) -> float:
    """Share of samples whose most active output is the label; a tie goes to the lowest index."""
    return float(np.mean(np.argmax(counts, axis=1) == labels))
