"""Training: AdamW with a cosine schedule, and the command line that both networks of this folder are made by."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

SEED = 0


def begin(description: str | None) -> Path:
    """The folder to write to, from the command line; everything random is seeded."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # the same sums in the same order on every machine
    torch.manual_seed(SEED)
    return folder


def train(loss: Callable[[Tensor], Tensor], parameters: Iterable[nn.Parameter], *, samples: int, epochs: int,
          rate: float, batch: int) -> None:
    """Makes a loss small.

    Args:
        loss: of the samples with these indices.
        parameters: to be changed.
        samples: how many there are.
        epochs: how often each is shown.
        rate: of learning, at first.
        batch: how many samples a step takes.
    """
    optimiser = torch.optim.AdamW(parameters, lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for chosen in torch.randperm(samples).split(batch):
            optimiser.zero_grad()
            loss(chosen).backward()
            optimiser.step()
        schedule.step()
