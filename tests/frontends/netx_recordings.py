"""What lava-dl's authors recorded of their networks, and at which steps it answers which.

In the recorded runs layer i (counted without flatten layers, the input layer being 0) hears the first input step i
steps late, and its neurons are set to zero every so often. A layer that rests until it hears the first input step, as
loihic's do, gives the same within one such period.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loihic.ir.node import Array

# PilotNet: population, its recording, and how many steps late it hears the input.
POPULATIONS = {"layer1": ("conv-0", 1), "layer2": ("conv-1", 2), "layer5": ("conv-4", 5), "layer7": ("fc-0", 6),
               "layer9": ("fc-2", 8)}
PERIOD = 17  # steps after which these were set to zero
READ_OUT, LATE = "layer10", 9
SHORT = 16  # period of the run in which the last layer was recorded


def folder(shared_data: Path, name: str) -> Path:
    """A folder of recordings, or a skipped test."""
    place = shared_data / "netx" / name
    if not place.is_dir():
        pytest.skip(f"no recordings in {place}")
    return place


def recorded(place: Path, name: str) -> Array:
    """Spikes or states, (T, C, H, W) or (T, n), from an array of (W, H, C, T) or (n, T)."""
    values = np.load(place / f"{name}.npy")
    return values.transpose(*reversed(range(values.ndim))).astype(np.int64)


def pilotnet_spikes(place: Path) -> tuple[Array, dict[str, Array]]:
    """The first run: input spikes (17, C, H, W), and per population its spikes, step t answering input step t.

    Layer i was set to zero before step i, i + 17, ...: what it did before its first input step is without effect, and
    from then on it is undisturbed for 17 steps. The recording ends after 24.
    """
    answers = {name: recorded(place, file)[late : late + PERIOD] for name, (file, late) in POPULATIONS.items()}
    return recorded(place, "input")[:PERIOD], answers


def pilotnet_read_out(place: Path) -> tuple[Array, dict[str, Array]]:
    """The second run: input spikes (16, C, H, W), and current, voltage and spikes of the last layer.

    Here layer i was set to zero before step i - 1, i + 15, ...: its bias acts once before it hears the first input
    step, which is what an empty step in front of the input does.
    """
    first = recorded(place, "input")[: SHORT - 1]
    x = np.concatenate([np.zeros_like(first[:1]), first])
    return x, {key: recorded(place, f"fc-3-{file}")[LATE - 1 : LATE - 1 + SHORT]
               for key, file in (("u", "u"), ("v", "v"), ("out", "s"))}


def mnist(shared_data: Path, steps: int) -> tuple[Path, Array, Array]:
    """The file, images as random spikes (100, steps, 784), and labels."""
    images = np.load(folder(shared_data, "mnist").parents[1] / "mnist" / "mnist100.npz")
    pixels = images["images"].reshape(100, 1, 784) / 255
    spikes = np.random.default_rng(0).random((100, steps, 784)) < pixels
    return shared_data / "netx" / "mnist" / "trained_mnist_network.net", spikes.astype(np.int64), images["labels"]
