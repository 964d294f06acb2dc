"""Operators of PyTorch that are left to the host where they end a network."""

from __future__ import annotations

from dataclasses import replace

from loihic.frontends.torch_site import Site
from loihic.frontends.torch_table import torch_op
from loihic.frontends.torch_values import Signal, Tensor, signal_of


@torch_op("aten.softmax", "aten._softmax", tail=True)
def softmax(site: Site, self: Tensor, dim: int, dtype: str | None = None, half_to_float: bool = False) -> Signal:
    """Probabilities; the greatest stays the greatest without it."""
    return _left(self, "softmax")


@torch_op("aten.log_softmax", "aten._log_softmax", tail=True)
def log_softmax(site: Site, self: Tensor, dim: int, dtype: str | None = None, half_to_float: bool = False) -> Signal:
    """Logarithms of probabilities."""
    return _left(self, "log_softmax")


@torch_op("aten.topk", tail=True)
def topk(site: Site, self: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> list[Signal]:
    """The greatest elements and their indices; either output is what they are chosen from."""
    return [_left(self, "topk")] * 2


@torch_op("aten.argmax", tail=True)
def argmax(site: Site, self: Tensor, dim: int | None = None, keepdim: bool = False) -> Signal:
    """The index of the greatest."""
    return _left(self, "argmax")


def _left(tensor: Tensor, name: str) -> Signal:
    x = signal_of(tensor)
    return replace(x, host=(*x.host, name))
