"""Trains a regression network on scikit-learn's first Friedman problem, in 8 bits; `python friedman.py` writes it.

It learns from independent samples and is tested on sensors that move slowly, where one step is much like the last.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from quantise import answers, quantised, simulated, write
from score import determination
from sklearn.datasets import make_friedman1
from torch import nn
from training import SEED, begin, train

SENSORS, HIDDEN = 10, 48
SAMPLES = 8000
BATCH = 128
EPOCHS, QUANTISED_EPOCHS = 60, 10
LEARNING_RATE, QUANTISED_RATE = 5e-3, 5e-4
STEPS = 1000
PERIODS = (500, 2000)  # in steps, of the sensors' ups and downs: about half an 8-bit level a step
GOAL = 0.98
FEW = 50  # steps in the small input file, for simulators that take their time


def friedman(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """What `make_friedman1` computes from x (n, 10), in [0, 1]; five of the ten sensors tell nothing."""
    y: NDArray[np.float64] = (
        10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4])
    return y


def drifting(steps: int) -> NDArray[np.float16]:
    """Sensors (steps, 10) that rise and fall evenly between 0 and 1, each with a period and a phase of its own."""
    rng = np.random.default_rng(SEED)
    period, phase = rng.uniform(*PERIODS, SENSORS), rng.uniform(0, 1, SENSORS)
    waves: NDArray[np.float16] = np.abs(2 * ((np.arange(steps)[:, None] / period + phase) % 1) - 1).astype(np.float16)
    return waves


def network() -> nn.Module:
    """A multilayer perceptron with two hidden layers: 3 thousand weights."""
    return nn.Sequential(
        nn.Linear(SENSORS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))


def main() -> int:
    """Makes the example; the exit status is 1 if it misses the accuracy aimed for."""
    folder = begin(__doc__)
    drawn, wanted = make_friedman1(SAMPLES, SENSORS, noise=0.0, random_state=SEED)
    x, y = torch.from_numpy(drawn).float(), torch.from_numpy(wanted[:, None]).float()

    def fit(model: Any, epochs: int, rate: float) -> None:
        train(lambda chosen: nn.functional.mse_loss(model(x[chosen]), y[chosen]), model.parameters(), samples=SAMPLES,
              epochs=epochs, rate=rate, batch=BATCH)

    model = network()
    fit(model, EPOCHS, LEARNING_RATE)
    sensors = drifting(STEPS)
    targets = friedman(sensors.astype(np.float64))
    shown = torch.from_numpy(sensors).float()
    with torch.no_grad():
        floats = model(shown).numpy()
    rounded = simulated(model, x[:2])
    fit(rounded, QUANTISED_EPOCHS, QUANTISED_RATE)
    program = quantised(rounded, x[:2])
    integers = answers(program, shown).numpy()

    write(program, folder / "friedman_mlp.onnx")
    np.savez_compressed(folder / "friedman_mlp_test.npz", input=sensors)
    np.savez_compressed(folder / "friedman_mlp_few.npz", input=sensors[:FEW])
    np.savez_compressed(folder / "friedman_mlp_torch.npz", output=integers, floats=floats)
    np.save(folder / "friedman_mlp_targets.npy", targets.astype(np.float32))
    for name, found in (("floating point", floats), ("8 bits in torch", integers)):
        reached = determination(found[:, 0], targets)
        print(f"{name:16} R2 {reached:.4f}")
    return 0 if reached >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
