"""Arenas: many arrays of one type, end to end; and the numbers that do not fit them."""

from __future__ import annotations

from typing import Any

import numpy as np

from loihic.ir.node import Array


class UnsuitableError(Exception):
    """A graph holds larger numbers than the kernels have bits for; the numpy engine runs it all the same."""


def check(values: Any, low: int = -(1 << 31), high: int = (1 << 31) - 1) -> None:
    """Make sure that all `values` lie in a range, of 32 bits by default.

    Raises:
        UnsuitableError: some lie outside.
    """
    array = np.asarray(values)
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        raise UnsuitableError(f"{array.min()}..{array.max()} leaves {low}..{high}")


def fitting(values: Any, low: int = -(1 << 31), high: int = (1 << 31) - 1) -> Array:
    """`values` as int64, all of them in a range; see `check`."""
    check(values, low, high)
    return np.asarray(values, dtype=np.int64)


class Arena:
    """Collects arrays; `add` says where each begins."""

    def __init__(self) -> None:
        self.parts: list[Array] = []
        self.size = 0

    def add(self, values: Array) -> int:
        """Append the elements of `values`."""
        begin = self.size
        self.parts.append(values.reshape(-1))
        self.size += values.size
        return begin

    def joined(self, dtype: Any) -> Array:
        """Everything in one array, of at least one element, since kernels take slices of it."""
        return np.asarray(np.concatenate([*self.parts, np.zeros(1, dtype=np.int64)]), dtype=dtype)
