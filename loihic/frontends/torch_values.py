"""What operators of a PyTorch graph work on: signals, which depend on the input, and constants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from loihic.frontends.network import Value
from loihic.ir.node import Array, Shape, ShapeError


class UnsupportedError(Exception):
    """An operator that is known, used in a way that is not; the message says in which, `help` what to do."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Grid:
    """How torch's integers stand for real numbers: real = (integer - zero) scale.

    Both are numbers, or broadcast to the shape without the batch.
    """

    scale: Array
    zero: Array

    def same(self, other: Grid) -> bool:
        """Whether both are the same numbers."""
        return np.array_equal(self.scale, other.scale) and np.array_equal(self.zero, other.zero)

    @property
    def single(self) -> bool:
        """Whether there is one scale for all elements."""
        return self.scale.size == 1 and self.zero.size == 1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Signal:
    """A tensor that depends on the input.

    Attributes:
        value: its real value in the network that is built.
        batched: whether torch's first dimension is the batch; it is not part of the value.
        grid: where torch's tensor is integers, what they mean.
        host: operators that were left to the host; what torch computes is theirs of `value`.
    """

    value: Value
    batched: bool = True
    grid: Grid | None = None
    host: tuple[str, ...] = ()

    @property
    def shape(self) -> Shape:
        """The shape without the batch."""
        return self.value.shape

    @property
    def full(self) -> Shape:
        """torch's shape for a batch of one."""
        return (1, *self.shape) if self.batched else self.shape


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Constant:
    """A tensor that does not depend on the input.

    Attributes:
        array: its numbers, in torch's shape.
        unit: of which they are whole multiples, of the same shape; None if they are just real numbers.
    """

    array: Array
    unit: Array | None = None

    def moved(self, change: Callable[[Array], Any]) -> Constant:
        """The numbers and their units moved alike."""
        return Constant(array=np.asarray(change(self.array)),
                        unit=None if self.unit is None else np.asarray(change(self.unit)))

    def unit_along(self, axis: int) -> Array | None:
        """The unit as a number, or one per index of an axis; None where it depends on other indices too."""
        if self.unit is None:
            return None
        rows = np.moveaxis(self.unit, axis, 0).reshape(self.unit.shape[axis], -1)
        if not rows.size or np.any(rows != rows[:, :1]):
            return None
        return np.asarray(rows[0, 0] if np.all(rows == rows[0, 0]) else rows[:, 0])


Tensor = Signal | Constant


def signal_of(tensor: Any, what: str = "it") -> Signal:
    """The tensor, where only one that depends on the input will do."""
    if not isinstance(tensor, Signal):
        raise UnsupportedError(f"{what} does not depend on the input", "compute it before the export")
    return tensor


def constant_of(tensor: Any, what: str) -> Array:
    """The numbers, where only a constant will do."""
    return constant(tensor, what).array


def constant(tensor: Any, what: str) -> Constant:
    """The tensor, where only a constant will do."""
    if isinstance(tensor, bool | int | float):
        return Constant(array=np.asarray(tensor))
    if not isinstance(tensor, Constant):
        raise UnsupportedError(f"{what} depends on the input", "only constants are weights on the chip")
    return tensor


def numbers(value: int | Iterable[int], count: int) -> tuple[int, ...]:
    """One number per spatial dimension, from one number or a list."""
    found = (value,) if isinstance(value, int) else tuple(value)
    found = found * count if len(found) == 1 else found
    if len(found) != count or not all(isinstance(n, int) for n in found):
        raise ShapeError(f"{count} numbers are wanted, not {found}")
    return found
