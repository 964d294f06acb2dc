"""Operators of PyTorch that are computed here, since nothing in them depends on the input."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from loihic.frontends.torch_site import Site
from loihic.frontends.torch_table import torch_op
from loihic.frontends.torch_values import Constant, Signal, Tensor, UnsupportedError, constant_of
from loihic.ir.node import Array, Shape

_KINDS = {"bool": np.bool_, "int": np.int64, "uint": np.int64}


@torch_op("aten.full", "aten.full_like", "aten.scalar_tensor", integers=True)
def filled(site: Site, self: Any = None, size: Any = None, fill_value: Any = 0, s: Any = None, **_: Any) -> Constant:
    """One number everywhere."""
    number = constant_of(fill_value if s is None else s, "the number")
    return Constant(array=np.full(_shape(site), number, dtype=_kind(site)))


@torch_op("aten.ones", "aten.ones_like", integers=True)
def ones(site: Site, **_: Any) -> Constant:
    """1 everywhere."""
    return Constant(array=np.ones(_shape(site), dtype=_kind(site)))


@torch_op("aten.zeros", "aten.zeros_like", integers=True)
def zeros(site: Site, **_: Any) -> Constant:
    """0 everywhere."""
    return Constant(array=np.zeros(_shape(site), dtype=_kind(site)))


@torch_op("aten.arange.default", "aten.arange.start", "aten.arange.start_step")
def arange(site: Site, end: float, start: float = 0, step: float = 1, **_: Any) -> Constant:
    """Numbers at equal distances."""
    shape = _shape(site)
    return Constant(array=np.asarray(start + step * np.arange(prod(shape)), dtype=_kind(site)))


@torch_op("aten.abs")
def absolute(site: Site, self: Tensor) -> Constant:
    """|x| of a constant."""
    return _computed(np.abs, self)


@torch_op("aten.sqrt")
def root(site: Site, self: Tensor) -> Constant:
    """The square root of a constant."""
    return _computed(np.sqrt, self)


@torch_op("aten.rsqrt")
def inverse_root(site: Site, self: Tensor) -> Constant:
    """1 / sqrt(x) of a constant."""
    return _computed(lambda x: 1.0 / np.sqrt(x), self)


@torch_op("aten.reciprocal")
def reciprocal(site: Site, self: Tensor) -> Constant:
    """1 / x of a constant."""
    return _computed(lambda x: 1.0 / x, self)


@torch_op("aten.exp")
def exponential(site: Site, self: Tensor) -> Constant:
    """exp(x) of a constant."""
    return _computed(np.exp, self)


def _computed(function: Callable[[Array], Any], x: Tensor) -> Constant:
    if isinstance(x, Signal):
        raise UnsupportedError("it has no counterpart on the chip but for constants",
                               "train with ReLU, ReLU6, LeakyReLU, Hardtanh, Sigmoid, Tanh or Hardsigmoid")
    with np.errstate(all="ignore"):
        found = np.asarray(function(np.asarray(x.array, dtype=np.float64 if x.array.dtype.kind == "f" else None)))
    if not np.all(np.isfinite(found)):
        raise UnsupportedError("what it computes of constants is not finite", "check the parameters")
    return Constant(array=found)


def _shape(site: Site) -> Shape:
    shape = site.meta().shape
    if None in shape:
        raise UnsupportedError("a constant's size is known only at run time", "export with a batch of one")
    found = tuple(int(size or 0) for size in shape)
    site.budget.spend(prod(found))
    return found


def _kind(site: Site) -> Any:
    kinds = [kind for name, kind in _KINDS.items() if site.meta().dtype.startswith(name)]
    return kinds[0] if kinds else np.float64
