"""Trains a convolutional network on scikit-learn's digits, in 8 bits: `python digits_cnn.py` writes its files."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from quantise import answers, quantised, simulated, write
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from training import begin, train

GREY_LEVELS = 16  # pixels are whole numbers 0..16
BATCH = 64
EPOCHS, QUANTISED_EPOCHS = 40, 5
LEARNING_RATE, QUANTISED_RATE = 4e-3, 4e-4
GOAL = 0.98
FEW = 20  # images in the small input file, for simulators that take their time


def network() -> nn.Module:
    """Two convolutions, each with max pooling, and a linear end: 6 thousand weights."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 10))


def shifted(images: Tensor) -> Tensor:
    """The images moved by one pixel at most, all of them alike."""
    down, right = torch.randint(0, 3, (2,)).tolist()
    return nn.functional.pad(images, (1, 1, 1, 1))[:, :, down : down + 8, right : right + 8]


def main() -> int:
    """Makes the example; the exit status is 1 if it misses the accuracy aimed for."""
    folder = begin(__doc__)
    bundle = load_digits()
    images = torch.from_numpy(bundle.images[:, None] / GREY_LEVELS).float()
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, torch.from_numpy(bundle.target), test_size=0.2, random_state=0, stratify=bundle.target)

    def fit(model: Any, epochs: int, rate: float) -> None:
        train(lambda chosen: nn.functional.cross_entropy(model(shifted(train_images[chosen])), train_labels[chosen]),
              model.parameters(), samples=len(train_images), epochs=epochs, rate=rate, batch=BATCH)

    model = network()
    fit(model, EPOCHS, LEARNING_RATE)
    with torch.no_grad():
        floats = model(test_images)
    rounded = simulated(model, train_images[:2])
    fit(rounded, QUANTISED_EPOCHS, QUANTISED_RATE)
    program = quantised(rounded, train_images[:2])
    integers = answers(program, test_images)

    write(program, folder / "digits_cnn.pt2")
    write(program, folder / "digits_cnn.onnx")
    np.savez_compressed(folder / "digits_cnn_test.npz", input=test_images.numpy())
    np.savez_compressed(folder / "digits_cnn_few.npz", input=test_images[:FEW].numpy())
    np.savez_compressed(folder / "digits_cnn_torch.npz", output=integers.numpy(), floats=floats.numpy())
    np.save(folder / "digits_cnn_labels.npy", test_labels.numpy().astype(np.uint8))
    for name, logits in (("floating point", floats), ("8 bits in torch", integers)):
        right = int((logits.argmax(1) == test_labels).sum())
        print(f"{name:16} {right} of {len(test_labels)} right ({right / len(test_labels):.1%})")
    return 0 if right >= GOAL * len(test_labels) else 1


if __name__ == "__main__":
    sys.exit(main())
