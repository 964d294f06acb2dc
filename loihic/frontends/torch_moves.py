"""Operators of PyTorch that only move elements; numpy moves indices in their stead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import zip_longest
from math import prod
from typing import Any

import numpy as np

from loihic.frontends.torch_site import Site
from loihic.frontends.torch_table import torch_op
from loihic.frontends.torch_values import (
    Constant,
    Grid,
    Signal,
    Tensor,
    UnsupportedError,
    constant_of,
    signal_of,
)
from loihic.ir.node import Array, ShapeError

_REAL = ("float16", "bfloat16", "float32", "float64")
_PADDING = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
Change = Callable[[Array], Any]


def moved(site: Site, x: Tensor, change: Change, place: int = 0) -> Tensor:
    """A signal or constant whose elements move as numpy moves those of an array."""
    if isinstance(x, Constant):
        return x.moved(change)
    signal = signal_of(x)
    if signal.grid is not None and not signal.grid.single:
        raise UnsupportedError("integers with a scale per channel are moved", "dequantise them first")
    return site.moved(signal, change, place)


@torch_op("aten.view", "aten._unsafe_view", "aten.reshape", "aten.flatten", "aten.unflatten", "aten.squeeze",
          "aten.unsqueeze", "aten.squeeze_", "aten.unsqueeze_", "aten.view_as", "aten.reshape_as",
          integers=True, sizes=True, view=True, tail=True)
def reshape(site: Site, self: Tensor, **_: Any) -> Tensor:
    """The same elements in another shape; torch says which."""
    if isinstance(self, Constant):
        target = [-1 if n is None else n for n in site.meta().shape]
        return self.moved(lambda x: x.reshape(target))
    x = signal_of(self)
    batched, rest = site.split(site.meta())
    if prod(rest) != prod(x.shape):
        raise UnsupportedError("it joins the batch with another dimension, or cuts it",
                               "keep the batch in front; run_decompositions(), which joins them, is not needed")
    return moved(site, x, lambda index: index.reshape(
        (index.shape[0] if x.batched else 1, *rest) if batched else rest))


@torch_op("aten.permute", integers=True, view=True)
def permute(site: Site, self: Tensor, dims: Sequence[int]) -> Tensor:
    """Dimensions in another order."""
    return moved(site, self, lambda x: x.transpose(dims))


@torch_op("aten.t", "aten.numpy_T", integers=True, view=True)
def transposed(site: Site, self: Tensor) -> Tensor:
    """A matrix transposed."""
    return moved(site, self, lambda x: x.T)


@torch_op("aten.transpose.int", "aten.swapaxes", "aten.swapdims", integers=True, view=True)
def transpose(site: Site, self: Tensor, dim0: int | None = None, dim1: int | None = None, axis0: int | None = None,
              axis1: int | None = None) -> Tensor:
    """Two dimensions swapped."""
    first, second = (dim0, dim1) if axis0 is None else (axis0, axis1)
    if first is None or second is None:
        raise ShapeError("two dimensions are wanted")
    return moved(site, self, lambda x: x.swapaxes(first, second))


@torch_op("aten.movedim.int", "aten.movedim.intlist", integers=True, view=True)
def movedim(site: Site, self: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions moved to other places."""
    return moved(site, self, lambda x: np.moveaxis(x, source, destination))


@torch_op("aten.expand", "aten.expand_as", integers=True, sizes=True, view=True)
def expand(site: Site, self: Tensor, **_: Any) -> Tensor:
    """Elements repeated along dimensions of size 1."""
    if isinstance(self, Constant):
        return self.moved(lambda x: np.broadcast_to(x, [1 if n is None else n for n in site.meta().shape]))
    x = signal_of(self)
    batched, rest = site.split(site.meta())
    return moved(site, x, lambda index: np.broadcast_to(
        index, (index.shape[0] if x.batched else 1, *rest) if batched else rest))


@torch_op("aten.repeat", integers=True)
def repeat(site: Site, self: Tensor, repeats: Sequence[int]) -> Tensor:
    """The tensor laid out several times."""
    if prod(repeats) * prod(sizes(self)) != prod(size or 1 for size in _sizes_of(site, self)):
        raise ShapeError(f"{tuple(repeats)} times {sizes(self)} is not what the program says")
    return moved(site, self, lambda x: np.tile(x, repeats))


@torch_op("aten.slice.Tensor", integers=True, view=True)
def slice_(site: Site, self: Tensor, dim: int = 0, start: int | None = None, end: int | None = None,
           step: int = 1) -> Tensor:
    """Part of a dimension."""
    return moved(site, self, lambda x: _part(x, dim, slice(start, end, step)))


@torch_op("aten.narrow.default", integers=True, view=True)
def narrow(site: Site, self: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`length` indices of a dimension."""
    begin = start + sizes(self)[dim] if start < 0 else start
    return slice_(site, self, dim, begin, begin + length)


@torch_op("aten.select.int", integers=True, view=True)
def select(site: Site, self: Tensor, dim: int, index: int) -> Tensor:
    """One index of a dimension."""
    return moved(site, self, lambda x: _part(x, dim, index))


@torch_op("aten.index_select", integers=True)
def index_select(site: Site, self: Tensor, dim: int, index: Tensor) -> Tensor:
    """Indices of a dimension, as a constant lists them."""
    chosen = constant_of(index, "the index")
    return moved(site, self, lambda x: np.take(x, chosen, axis=dim))


@torch_op("aten.index", integers=True)
def index_(site: Site, self: Tensor, indices: Sequence[Tensor | None]) -> Tensor:
    """Elements as constants index them."""
    chosen = tuple(slice(None) if part is None else constant_of(part, "the index") for part in indices)
    arrays = [part for part in chosen if not isinstance(part, slice)]
    free = [size for size, part in zip_longest(sizes(self), chosen) if part is None or isinstance(part, slice)]
    site.budget.spend(prod(np.broadcast_shapes(*(part.shape for part in arrays))) * prod(free))
    return moved(site, self, lambda x: x[chosen])


@torch_op("aten.flip", integers=True)
def flip(site: Site, self: Tensor, dims: Sequence[int]) -> Tensor:
    """Dimensions backwards."""
    return moved(site, self, lambda x: np.flip(x, tuple(dims)))


@torch_op("aten.roll", integers=True)
def roll(site: Site, self: Tensor, shifts: Any, dims: Sequence[int] = ()) -> Tensor:
    """Elements shifted around the edges."""
    return moved(site, self, lambda x: np.roll(x, shifts, tuple(dims) if dims else None))


@torch_op("aten.upsample_nearest1d", "aten.upsample_nearest2d")
def upsample(site: Site, self: Any = None, input: Any = None, **_: Any) -> Tensor:
    """Each element repeated, a whole number of times along each dimension."""
    x = signal_of(input if self is None else self)
    shape = site.shape()
    times = [after // before for before, after in zip(x.shape[1:], shape[1:], strict=True)]
    if any(before * n != after for before, after, n in zip(x.shape[1:], shape[1:], times, strict=True)):
        raise UnsupportedError("it does not enlarge by a whole number", "enlarge 2 or 3 times")

    def enlarged(index: Array) -> Array:
        for axis, n in enumerate(times):
            index = np.repeat(index, n, axis=index.ndim - len(times) + axis)
        return index

    return site.moved(x, enlarged)


@torch_op("aten.constant_pad_nd", "aten.pad")
def pad(site: Site, self: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = 0.0) -> Tensor:
    """Numbers around the edges; negative ones cut."""
    if mode not in _PADDING:
        raise UnsupportedError(f"padding of mode {mode!r}")
    pairs = [(int(a), int(b)) for a, b in zip(pad[::2], pad[1::2], strict=True)][::-1]
    x = signal_of(self)
    sides = [(0, 0)] * (len(x.full) - len(pairs)) + pairs
    if len(sides) > len(x.full):
        raise ShapeError(f"{len(pairs)} dimensions of {len(x.full)} are padded")
    site.budget.spend(int(np.prod([size + max(a, 0) + max(b, 0) for size, (a, b) in zip(
        x.full, sides, strict=True)], dtype=float)))
    extra: dict[str, Any] = {"constant_values": -1} if mode == "constant" else {}

    def widened(index: Array) -> Array:
        cut = tuple(slice(max(-a, 0), size - max(-b, 0)) for size, (a, b) in zip(index.shape, sides, strict=True))
        grown = [(max(a, 0), max(b, 0)) for a, b in sides]
        return np.pad(index[cut], grown, mode=_PADDING[mode], **extra)  # type: ignore[call-overload,no-any-return]

    return site.moved(x, widened, fill=float(value or 0.0))


@torch_op("aten.clone", "aten.lift_fresh_copy", integers=True, tail=True)
@torch_op("aten.contiguous", "aten.detach", "aten.detach_", "aten.alias", "aten.lift_fresh", "aten.dropout",
          "aten.dropout_", "aten.feature_dropout", "aten.alpha_dropout", "aten.native_dropout",
          integers=True, view=True, tail=True)
def same(site: Site, self: Any = None, input: Any = None, p: float = 0.0, train: bool | None = False,
         memory_format: Any = None) -> Any:
    """What changes nothing once training is over."""
    if train:
        raise UnsupportedError("it drops elements at random, as in training", "call model.eval() before the export")
    found = input if self is None else self
    return [found, None] if len(site.metas) > 1 else found


@torch_op("aten.to", "aten._to_copy", "aten.type_as", "quantized_decomposed.convert_element_type.no_fuse",
          integers=True, view=True, tail=True)
def cast(site: Site, self: Any = None, input: Any = None, **_: Any) -> Tensor:
    """Another type of number; between types of real numbers it changes nothing."""
    found: Tensor = input if self is None else self
    to_real = site.meta().dtype in _REAL
    if not to_real and not site.meta().dtype.startswith(("int", "uint", "bool")):
        raise UnsupportedError("its numbers are neither real nor integers, or of 8 bits with an exponent",
                               "quantise to integers")
    if isinstance(found, Constant):
        return found if to_real or found.array.dtype.kind in "iub" else Constant(array=np.trunc(found.array))
    x = signal_of(found)
    if to_real and x.grid is not None:
        return replace(x, value=levels(site, x, x.grid).value, grid=None)
    if not to_real and x.grid is None:
        raise UnsupportedError("real numbers are cut to integers", "quantise with torchao.quantization.pt2e")
    return x


def levels(site: Site, x: Signal, grid: Grid) -> Signal:
    """torch's integers as the real numbers that they are."""
    if grid.single and grid.scale == 1 and grid.zero == 0:
        return x
    return replace(x, value=site.builder.scaled(x.value, 1.0 / grid.scale, grid.zero, site.label))


def _sizes_of(site: Site, x: Tensor) -> tuple[int | None, ...]:
    """The sizes of a result, for a batch of one."""
    return site.meta().shape if isinstance(x, Constant) else site.shape()


def sizes(x: Tensor) -> tuple[int, ...]:
    """torch's shape of a tensor, for a batch of one."""
    return x.array.shape if isinstance(x, Constant) else signal_of(x).full


def _part(x: Array, dim: int, chosen: slice | int) -> Array:
    if not -x.ndim <= dim < x.ndim:
        raise ShapeError(f"there is no dimension {dim} in a tensor of {x.ndim}")
    index: tuple[slice | int, ...] = (*[slice(None)] * (dim % x.ndim), chosen)
    return np.asarray(x[index])
