"""Between host arrays and tensors: inputs block by block, and results of a stretch."""

from __future__ import annotations

import warnings
from math import prod

import numpy as np
import torch
from torch import Tensor

from loihic.ir.node import Array, Shape
from loihic.sim.tensors.exact import carrier

TRANSPORT = ((1 << 7, torch.int8), (1 << 15, torch.int16), (1 << 31, torch.int32))  # type below a magnitude
HELD_BYTES = 1 << 30  # of results that wait on a device


class Feed:
    """The inputs of one Source.

    Args:
        values: whole numbers (N, steps, *shape), of any type.
        device: where they are wanted.
    """

    def __init__(self, values: Array, device: torch.device) -> None:
        plain = values if values.dtype in (np.int8, np.int16, np.int32, np.uint8, np.bool_) else values.astype(
            np.int64, copy=False)
        self.values, self.device = plain.reshape(*plain.shape[:2], prod(plain.shape[2:])), device
        self.bound, self.signed = reach(plain), int(plain.min(initial=0)) < 0
        small = next((dtype for limit, dtype in TRANSPORT if self.bound < limit), torch.int64)
        self.transport = small if small.itemsize < plain.itemsize else None

    def block(self, first: int, number: int, dtype: torch.dtype) -> Tensor:
        """(number, samples, elements) of type `dtype` for the steps from `first` on; zeros after the end."""
        part = self.values[:, first : first + number]
        out = torch.empty((number, len(part), part.shape[2]), dtype=dtype, device=self.device)
        out[part.shape[1] :] = 0
        if part.shape[1]:
            with warnings.catch_warnings():  # of arrays that may not be written to, which they are not
                warnings.simplefilter("ignore", UserWarning)
                host = torch.from_numpy(part)
            out[: part.shape[1]] = host.to(self.transport or host.dtype).to(self.device).transpose(0, 1)
        return out


class Tape:
    """A result of a stretch: blocks that wait on the device, until it ends or there are too many of them.

    Args:
        samples, steps, shape: of the result.
    """

    def __init__(self, samples: int, steps: int, shape: Shape) -> None:
        self.values = np.zeros((samples, steps, *shape), dtype=np.int64)
        self.blocks: list[tuple[int, Tensor]] = []
        self.bytes = 0

    def add(self, first: int, block: Tensor) -> None:
        """Keep (steps, samples, elements) from step `first` on."""
        self.blocks.append((first, block))
        self.bytes += block.numel() * block.element_size()
        if self.bytes > HELD_BYTES or block.device.type == "cpu":
            self.settle()

    def settle(self) -> Array:
        """Everything so far as int64 (samples, steps, *shape)."""
        flat = self.values.reshape(*self.values.shape[:2], prod(self.values.shape[2:]))
        for first, block in self.blocks:
            flat[:, first : first + len(block)] = block.transpose(0, 1).cpu().numpy()
        self.blocks, self.bytes = [], 0
        return self.values


def reach(values: Array) -> int:
    """The largest magnitude."""
    return max(-int(values.min(initial=0)), int(values.max(initial=0)))


def on_device(values: Array, bound: int | None, device: torch.device) -> Tensor:
    """Whole numbers as a tensor: int64, or for a `bound` what carries it."""
    found = torch.from_numpy(np.array(values, dtype=np.int64)).to(device)
    return found if bound is None else found.to(carrier(bound))
