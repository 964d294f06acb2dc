"""The digits as spikes: scikit-learn's 8x8 images, one fixed split, one deterministic encoding for each network.

`python data.py` writes the calibration files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SPLIT_SEED = 0
TEST_SHARE = 0.2
GREY_LEVELS = 16  # pixels are whole numbers 0..16
MLP_STEPS = 32
STEPS_PER_LINE = 8


@dataclass(frozen=True, kw_only=True)
class Digits:
    """Both halves of the split; `*_images` are (n, 8, 8) in [0, 1], `*_labels` are (n,) in 0..9."""

    train_images: NDArray[np.float64]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.float64]
    test_labels: NDArray[np.int64]


def load() -> Digits:
    """The 1797 images, 80 % to train on and 360 to test on, every class in proportion."""
    bundle = load_digits()
    train_images, test_images, train_labels, test_labels = train_test_split(
        bundle.images / GREY_LEVELS,
        bundle.target.astype(np.int64),
        test_size=TEST_SHARE,
        random_state=SPLIT_SEED,
        stratify=bundle.target,
    )
    return Digits(
        train_images=train_images, train_labels=train_labels, test_images=test_images, test_labels=test_labels
    )


def rate_spikes(values: NDArray[np.float64], steps: int) -> NDArray[np.uint8]:
    """Evenly spaced spikes: over `steps` steps, channel c fires `steps * values[..., c]` times, rounded up or down.

    Each channel starts at a phase of its own (the golden ratio's multiples), so that equal values do not all fire in
    the same step. No random numbers: the same image always gives the same spikes.

    Args:
        values: (n, channels) in [0, 1].
        steps: number of time steps T.

    Returns:
        (n, T, channels), zeros and ones.
    """
    phase = (np.arange(values.shape[-1]) * (np.sqrt(5.0) - 1.0) / 2.0) % 1.0
    edges = np.arange(steps + 1)[None, :, None]
    spikes: NDArray[np.uint8] = np.diff(np.floor(edges * values[:, None, :] + phase), axis=1).astype(np.uint8)
    return spikes


def encode_whole(images: NDArray[np.float64]) -> NDArray[np.uint8]:
    """All 64 pixels at once, as rates over 32 steps: (n, 32, 64)."""
    return rate_spikes(images.reshape(len(images), -1), MLP_STEPS)


def encode_scan(images: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The image scanned from two sides, 8 steps a line: (n, 64, 16).

    Channels 0..7 carry one row after the other from the top, channels 8..15 one column after the other from the left,
    so a network must remember what it saw to answer.
    """
    lines = np.concatenate([images, images.transpose(0, 2, 1)], axis=2)
    return np.concatenate([rate_spikes(lines[:, line], STEPS_PER_LINE) for line in range(lines.shape[1])], axis=1)


ENCODINGS = {"digits_mlp": encode_whole, "digits_recurrent": encode_scan}
CALIBRATING = 60  # training images in the calibration files


def write_calibration(folder: Path) -> None:
    """Write NAME_calibration.npz: the first training images as spikes, for `loihic compile --calibration`."""
    images = load().train_images[:CALIBRATING]
    for name, encode in ENCODINGS.items():
        np.savez_compressed(folder / f"{name}_calibration.npz", input=encode(images))


if __name__ == "__main__":
    write_calibration(Path(__file__).parent)
