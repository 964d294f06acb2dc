"""Trains both digits networks and writes everything this folder commits: `python examples/digits/train.py`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import data
import nir
import numpy as np
import torch
from networks import RecurrentNetwork, SpikingMLP, SpikingNetwork
from numpy.typing import NDArray
from reference import accuracy, spike_counts
from torch import nn

SEED = 0
BATCH = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2
WEIGHT_NOISE = 0.005  # of the largest weight; rounding to 8 bits errs by at most 1/256 = 0.004 of it
SPIKE_COST = 0.01  # added to the loss per output spike and class: a quiet network is cheap to run
GOAL = 0.95
FEW = 3  # samples in the small input file, for simulators that take their time


@dataclass(frozen=True, kw_only=True)
class Example:
    """One network of this folder and how it is fed and trained."""

    name: str
    network: type[SpikingNetwork]
    encode: Callable[[NDArray[np.float64]], NDArray[np.uint8]]
    epochs: int


EXAMPLES = (
    Example(name="digits_mlp", network=SpikingMLP, encode=data.ENCODINGS["digits_mlp"], epochs=30),
    Example(name="digits_recurrent", network=RecurrentNetwork, encode=data.ENCODINGS["digits_recurrent"], epochs=50),
)


def train(network: SpikingNetwork, spikes: NDArray[np.uint8], labels: NDArray[np.int64], epochs: int) -> None:
    """Fits the output spike counts to the labels by cross entropy, weights noisy, spikes at a small price."""
    x, y = torch.from_numpy(spikes).float(), torch.from_numpy(labels)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(BATCH):
            counts = network(x[chosen], noise=WEIGHT_NOISE)
            loss = nn.functional.cross_entropy(counts, y[chosen]) + SPIKE_COST * counts.mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
        schedule.step()


def make(example: Example, digits: data.Digits, folder: Path) -> bool:
    """Trains, exports and checks one network; True if it is good enough to be an example.

    Writes NAME.nir, NAME_test.npz (one array per input node, (360, T, channels)), NAME_few.npz (its first samples) and
    NAME_labels.npy ((360,)).
    """
    started = time.perf_counter()
    torch.manual_seed(SEED)
    network = example.network()
    train(network, example.encode(digits.train_images), digits.train_labels, example.epochs)
    seconds = time.perf_counter() - started

    test_spikes = example.encode(digits.test_images)
    with torch.no_grad():
        torch_counts = network(torch.from_numpy(test_spikes).float()).numpy()
    path = folder / f"{example.name}.nir"
    nir.write(path, network.export())
    np.savez_compressed(folder / f"{example.name}_test.npz", input=test_spikes)
    np.savez_compressed(folder / f"{example.name}_few.npz", input=test_spikes[:FEW])
    np.save(folder / f"{example.name}_labels.npy", digits.test_labels.astype(np.uint8))

    file_counts = spike_counts(path, test_spikes)
    rounded_counts = spike_counts(path, test_spikes, round_weights=True)
    reached = accuracy(file_counts, digits.test_labels)
    print(f"{example.name}: trained in {seconds:.0f} s")
    print(f"  accuracy, torch            {accuracy(torch_counts, digits.test_labels):.4f}")
    print(f"  accuracy, file in numpy    {reached:.4f}, {int((file_counts != torch_counts).sum())} spike counts differ")
    print(f"  accuracy, 8-bit weights    {accuracy(rounded_counts, digits.test_labels):.4f}")
    print(f"  output spikes per sample   {file_counts.sum(axis=1).mean():.1f}")
    return reached >= GOAL


def main() -> int:
    """Makes every example; the exit status is 1 if one of them misses the accuracy aimed for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # one core is enough, and the same sums in the same order on every machine
    digits = data.load()
    good = [make(example, digits, folder) for example in EXAMPLES]
    data.write_calibration(folder)
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
