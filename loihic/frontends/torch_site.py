"""Where an operator of a PyTorch graph stands: the network so far, and what torch says of its results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from loihic.frontends.network import NetworkBuilder
from loihic.frontends.torch_graph import Meta
from loihic.frontends.torch_values import Constant, Signal, UnsupportedError
from loihic.ir.node import Array, Shape, ShapeError


@dataclass(kw_only=True, slots=True, eq=False)
class Budget:
    """How much a network may take to build, whatever a file asks for.

    Attributes:
        tensor: elements of one tensor of the network, for a batch of one; also of the windows of a pooling.
        total: of everything that is built.
        constants: elements of all that is computed of parameters.
    """

    tensor: int = 1 << 24
    total: int = 1 << 27
    constants: int = 1 << 29

    def spend(self, count: int) -> None:
        """Account for so many elements, before they are made.

        Raises:
            UnsupportedError: they are too many, alone or with what was built before.
        """
        self.total -= count
        if count > self.tensor or self.total < 0:
            raise UnsupportedError(f"the network is too large: {count} elements here",
                                   f"at most {self.tensor} elements of a tensor are read")

    def keep(self, count: int) -> None:
        """Account for a constant of so many elements.

        Raises:
            UnsupportedError: with what was kept before, they are too many.
        """
        self.constants -= count
        if self.constants < 0:
            raise UnsupportedError("the network's parameters are too large", "compile a smaller network")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Site:
    """The place of one call: the builder, a label, and what torch says of the results.

    Attributes:
        builder: of the network.
        label: for new nodes.
        samples: torch's size of the batch; None if it is known only at run time.
        metas: of the results; None for one that nobody takes.
        budget: of the network.
    """

    builder: NetworkBuilder
    label: str
    samples: int | None
    metas: Sequence[Meta | None]
    budget: Budget

    def meta(self, place: int = 0) -> Meta:
        """What torch says of a result."""
        found = self.metas[place] if place < len(self.metas) else None
        if found is None:
            raise ShapeError("the graph does not say the shape of the result")
        return found

    def split(self, meta: Meta) -> tuple[bool, Shape]:
        """Whether a tensor's first dimension is the batch, and the shape without it.

        Raises:
            UnsupportedError: the batch is not in front, or another size is known only at run time.
        """
        rest: Sequence[int | None] = meta.shape
        batched = bool(rest) and rest[0] == self.samples
        if not batched and self.samples != 1:
            raise UnsupportedError(f"the result of shape {_shown(meta.shape)} has no batch in front",
                                   "leave the first dimension, the batch, as it is throughout the model")
        rest = rest[1:] if batched else rest
        if any(size is None for size in rest):
            raise UnsupportedError(f"a size of {_shown(meta.shape)} is known only at run time",
                                   "only the batch may be dynamic; export the other sizes as numbers")
        return batched, tuple(int(size or 0) for size in rest)

    def shape(self, place: int = 0) -> Shape:
        """The shape of a result without the batch."""
        return self.split(self.meta(place))[1]

    def axis(self, signal: Signal, dim: int) -> int:
        """torch's dimension as one of the shape without batch.

        Raises:
            UnsupportedError: it is the batch.
            ShapeError: there is no such dimension.
        """
        rank = len(signal.full)
        if not -rank <= dim < rank:
            raise ShapeError(f"there is no dimension {dim} in a tensor of {rank}")
        axis = dim % rank - signal.batched
        if axis < 0:
            raise UnsupportedError("it works along the batch", "samples are answered one by one")
        return axis

    def moved(self, signal: Signal, change: Callable[[Array], Any], place: int = 0, fill: float = 0.0) -> Signal:
        """Elements moved as a function of numpy moves those of an array in torch's shape.

        Args:
            signal: whose elements move.
            change: from an array to one of the result's shape; where it is -1, the result is `fill`.
            place: of the result among the call's.
            fill: see `change`.

        Raises:
            UnsupportedError: samples of a batch are mixed.
        """
        batched, shape = self.split(self.meta(place))
        count = 1 if self.samples == 1 else 2  # a second sample shows whether samples stay apart
        size = prod(signal.shape)
        self.budget.spend(max(size, prod(shape)))
        index = np.arange(count * size if signal.batched else size).reshape(
            (count, *signal.shape) if signal.batched else signal.shape)
        try:
            result = np.asarray(change(index))
        except ValueError as error:
            raise ShapeError(str(error)) from error
        if result.shape != ((count, *shape) if batched else shape):
            raise UnsupportedError(f"a result of shape {_shown(self.meta(place).shape)} mixes samples of the batch",
                                   "leave the first dimension, the batch, as it is throughout the model")
        first = result[0] if batched else result
        if count == 2 and not np.array_equal(result[1], np.where(first < 0, first, first + size)):
            raise UnsupportedError("samples of the batch are mixed", "samples are answered one by one")
        if first.shape == signal.shape and np.array_equal(first.reshape(-1), np.arange(size)):
            return replace(signal, batched=batched)
        value = self.builder.move(signal.value, first, self.label)
        if fill and np.any(first < 0):
            value = self.builder.scaled(value, 1.0, np.where(first < 0, fill, 0.0), self.label)
        return replace(signal, value=value, batched=batched)

    def beside(self, constant: Constant, signal: Signal) -> Array:
        """A constant's numbers as they broadcast to the signal's shape without batch.

        Raises:
            UnsupportedError: it differs from sample to sample.
        """
        array = constant.array
        if array.ndim > len(signal.shape):
            if signal.batched and array.ndim == len(signal.full) and np.array_equal(
                    array, np.broadcast_to(array[:1], array.shape)):
                return np.asarray(array[0])
            if not signal.batched or array.ndim > len(signal.full):
                return array
            raise UnsupportedError("a constant differs from sample to sample of the batch",
                                   "export with a batch of one")
        return array


def _shown(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("?" if size is None else str(size) for size in shape) + ")"
