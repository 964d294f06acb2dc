"""Operators of PyTorch that join tensors or cut them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np

from loihic.frontends.torch_moves import select, sizes, slice_
from loihic.frontends.torch_site import Site
from loihic.frontends.torch_table import torch_op
from loihic.frontends.torch_values import Constant, Signal, Tensor, UnsupportedError, signal_of


@torch_op("aten.cat", "aten.concat", "aten.concatenate", integers=True)
def cat(site: Site, tensors: Sequence[Any], dim: int = 0) -> Signal | Constant:
    """Tensors side by side."""
    constants = [part for part in tensors if isinstance(part, Constant)]
    if len(constants) == len(tensors):
        return Constant(array=np.concatenate([part.array for part in constants], axis=dim))
    parts = [signal_of(part, "one of the tensors") for part in tensors]
    grid = parts[0].grid
    if any((part.grid is None) != (grid is None) or (grid is not None and not (
            grid.single and part.grid is not None and grid.same(part.grid))) for part in parts):
        raise UnsupportedError("integers with different scales are joined", "dequantise them first")
    axis = site.axis(parts[0], dim)
    value = site.builder.concat([part.value for part in parts], axis, site.label)
    return replace(parts[0], value=value)


@torch_op("aten.stack")
def stack(site: Site, tensors: Sequence[Any], dim: int = 0) -> Signal | Constant:
    """Tensors side by side along a new dimension."""
    constants = [part for part in tensors if isinstance(part, Constant)]
    if len(constants) == len(tensors):
        return Constant(array=np.stack([part.array for part in constants], axis=dim))
    parts = [signal_of(part, "one of the tensors") for part in tensors]
    rank = len(parts[0].full) + 1
    axis = dim % rank - parts[0].batched
    if axis < 0:
        raise UnsupportedError("it works along the batch", "samples are answered one by one")
    values = []
    for part in parts:
        shape = (*part.shape[:axis], 1, *part.shape[axis:])
        values.append(site.builder.move(part.value, np.arange(np.prod(shape, dtype=int)).reshape(shape), site.label))
    return replace(parts[0], value=site.builder.concat(values, axis, site.label))


@torch_op("aten.split", "aten.split_with_sizes", "aten.chunk", integers=True, view=True)
def split(site: Site, self: Tensor, split_size: Any = None, split_sizes: Any = None, chunks: int | None = None,
          dim: int = 0) -> list[Tensor | None]:
    """A dimension cut in pieces."""
    size = sizes(self)[dim]
    if isinstance(self, Signal):
        site.axis(self, dim)
    length: Any = next(given for given in (split_sizes, split_size, -(-size // max(chunks or 1, 1)))
                       if given is not None)
    ends = list(accumulate(length)) if isinstance(length, list) else list(range(length, size + length, length))
    return [slice_(_at(site, place), self, dim, start, end) if meta is not None else None
            for place, (meta, start, end) in enumerate(zip(site.metas, [0, *ends], ends, strict=False))]


@torch_op("aten.unbind", integers=True, view=True)
def unbind(site: Site, self: Tensor, dim: int = 0) -> list[Tensor | None]:
    """Every index of a dimension by itself."""
    return [None if meta is None else select(_at(site, place), self, dim, place)
            for place, meta in enumerate(site.metas)]


def _at(site: Site, place: int) -> Site:
    """The site as one of its results sees it."""
    return replace(site, metas=(site.metas[place],))
