"""A convolutional network of another exporter: how far the integers follow the floats over many steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import loihic

STEPS = 300


def random_spikes(density: float, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((STEPS, 2, 34, 34)) < density).astype(np.float64)


def moving_bars(seed: int) -> np.ndarray:
    """A bar that crosses the field, its leading edge in one channel and its trailing edge in the other."""
    x = np.zeros((STEPS, 2, 34, 34))
    rng = np.random.default_rng(seed)
    for t in range(STEPS):
        place = (t // 2 + int(rng.integers(0, 3))) % 32
        x[t, 0, 4:30, place : place + 2] = rng.random((26, 2)) < 0.6
        x[t, 1, 4:30, (place - 3) % 32] = rng.random(26) < 0.4
    return x


def test_counts_of_output_spikes_correlate(shared_data: Path) -> None:
    """Each of the ten outputs of each sample is a point; shorter runs have few spikes and correlate less."""
    program = loihic.compile(shared_data / "nir" / "cnn_sinabs.nir")
    for samples in ([random_spikes(density, seed) for seed, density in enumerate((0.05, 0.1, 0.2, 0.3))],
                    [moving_bars(seed) for seed in range(4)]):
        x = np.stack(samples)
        found, wanted = program.run(x).outputs["output"].sum(1), program.run_float(x)["output"].sum(1)
        assert wanted.sum() > 100
        assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] >= 0.99
