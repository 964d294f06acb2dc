"""Delay lines over a block of steps: what they hold, followed by what the block brings."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from loihic.ir.node import Array
from loihic.ops.delay_line import DelayLine


class Line:
    """A delay line for a batch.

    Args:
        node: the line.
        content: what it holds, (longest, samples, elements), oldest first.
    """

    def __init__(self, node: DelayLine, content: Tensor) -> None:
        self.longest = len(content)
        steps = np.asarray(node.steps).astype(np.int64)
        self.lengths = np.broadcast_to(steps, node.shape).reshape(-1)
        self.content = self.passing = content
        self.places: Tensor | None = None  # per element its place in the line at the first step; none: all alike
        if self.lengths.size and np.any(self.lengths != self.lengths[0]):
            self.places = torch.from_numpy(self.longest - self.lengths).to(content.device)

    def begin(self, block: int, dtype: torch.dtype) -> None:
        """Make room for `block` steps of messages of type `dtype`."""
        held = self.content
        self.passing = torch.empty((self.longest + block, *held.shape[1:]), dtype=dtype, device=held.device)
        self.passing[: self.longest] = held

    def take(self, step: int, messages: Tensor) -> None:
        """Messages (steps, samples, elements) that arrive from `step` of the block on."""
        self.passing[self.longest + step : self.longest + step + len(messages)] = messages

    def give(self, step: int, number: int) -> Tensor:
        """What comes out in `number` steps from `step` of the block on, (number, samples, elements)."""
        if self.places is None:
            first = step + self.longest - int(self.lengths[0] if self.lengths.size else self.longest)
            return self.passing[first : first + number]
        when = torch.arange(step, step + number, device=self.places.device)[:, None, None] + self.places
        return torch.gather(self.passing, 0, when.expand(number, *self.passing.shape[1:]))

    def end(self, block: int) -> None:
        """Keep what has not come out yet."""
        self.content = self.passing[block : block + self.longest].clone()
        self.passing = self.content

    def snapshot(self) -> Array:
        """What it holds, int64."""
        return np.array(self.content.to(torch.int64).cpu())
