"""The measures against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loihic.report.spike_metrics import SignalError, VanRossum, train_distance

TAU = 7.0
DECAY = math.exp(-1 / TAU)


def train(*times: int, steps: int = 40) -> np.ndarray:
    """One sample of one neuron."""
    spikes = np.zeros((1, steps, 1))
    spikes[0, list(times)] = 1
    return spikes


def energy(times: list[tuple[int, float]]) -> float:
    """The energy of kernels of given weights at given times: the kernel's autocorrelation at every pair's distance."""
    return sum(a * b * DECAY ** abs(s - t) for s, a in times for t, b in times) / (1 - DECAY**2)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.6), st.floats(0.01, 0.6))
def test_distance_is_the_sum_over_pairs_of_spikes(seed: int, ours: float, theirs: float) -> None:
    rng = np.random.default_rng(seed)
    first, second = (rng.random((2, 30, 3)) < ours).astype(int), (rng.random((2, 30, 3)) < theirs).astype(int)
    off = signal = 0.0
    for sample, neuron in np.ndindex(2, 3):
        mine, real = ([(t, 1.0) for t in np.flatnonzero(x[sample, :, neuron])] for x in (first, second))
        off += energy([*mine, *((t, -weight) for t, weight in real)])
        signal += energy(real)
    wanted = math.sqrt(max(off, 0.0) / signal) if signal else math.sqrt(max(off, 0.0) * (1 - DECAY**2))
    assert train_distance(first, second, TAU) == pytest.approx(wanted, rel=1e-9, abs=1e-7)


def test_what_the_numbers_mean() -> None:
    assert train_distance(train(3, 9), train(3, 9), TAU) == 0
    assert train_distance(train(), train(3, 9, 39), TAU) == pytest.approx(1)  # silence, also at the very end
    assert train_distance(train(), train(), TAU) == 0
    assert train_distance(train(1, 39), train(), TAU) == pytest.approx(math.sqrt(2), rel=1e-2)
    for shift in (1, 5, 20):  # one spike at another time
        wanted = math.sqrt(2 * (1 - DECAY**shift))
        assert train_distance(train(10), train(10 + shift), TAU) == pytest.approx(wanted)


def test_runs_do_not_touch_each_other() -> None:
    meter = VanRossum(TAU)
    for ours, theirs in ((train(39), train(38)), (train(0), train(1))):
        for t in range(40):
            meter.add(ours[:, t], theirs[:, t])
        meter.finish()
    assert meter.distance == pytest.approx(math.sqrt(2 * (1 - DECAY)))


def test_signal_over_noise() -> None:
    error = SignalError()
    assert error.sqnr is None
    assert error.relative == 0
    error.add(np.array([3.0, 4.0]), np.array([3.0, 4.0]))
    assert error.sqnr == math.inf
    error.add(np.array([[1.0]]), np.array([[1.5]]))
    assert error.sqnr == pytest.approx(10 * math.log10((9 + 16 + 2.25) / 0.25))
    assert error.relative == pytest.approx(0.5 / math.sqrt(27.25))
    silent = SignalError()
    silent.add(np.array([3.0, 4.0]), np.zeros(2))
    assert silent.sqnr is None
    assert silent.relative == 5
