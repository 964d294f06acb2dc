"""Operators of PyTorch with weights: convolutions, matrix products and batch normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from loihic.frontends.network import Value
from loihic.frontends.torch_site import Site
from loihic.frontends.torch_table import torch_op
from loihic.frontends.torch_values import (
    Constant,
    Tensor,
    UnsupportedError,
    constant,
    constant_of,
    numbers,
    signal_of,
)
from loihic.ir.node import Array, ShapeError


@torch_op("aten.conv1d", "aten.conv2d")
def conv(site: Site, input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sequence[int] | int = 1,
         padding: Sequence[int] | int | str = 0, dilation: Sequence[int] | int = 1, groups: int = 1) -> Value:
    """A cross-correlation in one or two dimensions."""
    x, kernel = signal_of(input, "the input"), constant(weight, "the kernel")
    rank = kernel.array.ndim - 2
    if rank not in (1, 2):
        raise UnsupportedError(f"it convolves over {rank} dimensions", "convolve over one or two")
    if len(x.shape) != rank + 1 or not (x.batched or site.samples == 1):
        raise ShapeError(f"an input of shape {x.full} has no batch and channels in front")
    spread = numbers(dilation, rank)
    if isinstance(padding, str):
        pads = tuple(_same(size, step) if padding == "same" else (0, 0)
                     for size, step in zip(kernel.array.shape[2:], spread, strict=True))
    else:
        pads = tuple((size, size) for size in numbers(padding, rank))
    return site.builder.conv(
        x.value, _real(kernel.array), site.label, bias=None if bias is None else _real(constant_of(bias, "the bias")),
        unit=kernel.unit_along(0), stride=numbers(stride, rank), pads=pads, dilation=spread, groups=groups)


@torch_op("aten.convolution")
def convolution(site: Site, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sequence[int],
                padding: Sequence[int], dilation: Sequence[int], transposed: bool, output_padding: Sequence[int],
                groups: int) -> Value:
    """The same as core ATen has it."""
    if transposed:
        raise UnsupportedError("it is a transposed convolution", "enlarge with nn.Upsample and convolve after it")
    return conv(site, input, weight, bias, stride, padding, dilation, groups)


def _same(size: int, dilation: int) -> tuple[int, int]:
    total = dilation * (size - 1)
    return total // 2, total - total // 2


@torch_op("aten.linear")
def linear(site: Site, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Value:
    """x W^T + b."""
    return _product(site, input, constant(weight, "the weights").moved(np.transpose), bias)


@torch_op("aten.addmm.default")
def addmm(site: Site, self: Tensor, mat1: Tensor, mat2: Tensor, beta: float = 1, alpha: float = 1) -> Value:
    """Beta b + alpha x W."""
    weights = constant(mat2, "the matrix on the right")
    if alpha != 1:
        unit = None if weights.unit is None else weights.unit * abs(alpha)
        weights = Constant(array=weights.array * alpha, unit=unit)
    return _product(site, mat1, weights, Constant(array=constant_of(self, "the bias") * beta))


@torch_op("aten.mm.default")
def mm(site: Site, self: Tensor, mat2: Tensor) -> Value:
    """X W."""
    return _product(site, self, constant(mat2, "the matrix on the right"), None)


@torch_op("aten.matmul")
def matmul(site: Site, self: Tensor, other: Tensor) -> Value:
    """X W."""
    return _product(site, self, constant(other, "the matrix on the right"), None)


def _product(site: Site, left: Tensor, weights: Constant, bias: Tensor | None) -> Value:
    x = signal_of(left, "the matrix on the left")
    if weights.array.ndim != 2 or not x.shape:
        raise UnsupportedError(f"it multiplies tensors of {len(x.full)} and {weights.array.ndim} dimensions",
                               "the right one must be a matrix of weights, and the left one needs a batch in front")
    if len(x.shape) > 1:
        site.budget.spend(prod(x.shape[:-1]) * weights.array.size)
    offset = None if bias is None else _real(constant_of(bias, "the bias"))
    if offset is not None and offset.ndim > 1:
        if offset.size != offset.shape[-1]:
            raise UnsupportedError("the bias differs from row to row", "give one number per output")
        offset = offset.reshape(-1)
    return site.builder.matmul(x.value, _real(weights.array), site.label, bias=offset, unit=weights.unit_along(1))


@torch_op("aten.batch_norm")
def batch_norm(site: Site, input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
               running_var: Tensor | None, training: bool, momentum: float, eps: float,
               cudnn_enabled: bool = False) -> Value:
    """(x - mean) / sqrt(variance + eps) times a weight plus a bias, per channel, all of them trained."""
    if training or running_mean is None or running_var is None:
        raise UnsupportedError("it normalises by statistics of the batch, as in training",
                               "call model.eval() before the export, and track running statistics")
    x = signal_of(input)
    mean, variance = (_real(constant_of(part, "a statistic")) for part in (running_mean, running_var))
    gain = 1.0 / np.sqrt(variance + eps)
    if weight is not None:
        gain = gain * _real(constant_of(weight, "the weight"))
    shift = -mean * gain
    if bias is not None:
        shift = shift + _real(constant_of(bias, "the bias"))
    per_channel = (-1, *[1] * (len(x.full) - 2))
    return site.builder.scaled(x.value, gain.reshape(per_channel), shift.reshape(per_channel), site.label)


@torch_op("aten._native_batch_norm_legit_no_training")
def trained_norm(site: Site, input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor,
                 running_var: Tensor, momentum: float, eps: float) -> list[Value | None]:
    """The same as core ATen has it; the other results are of use in training only."""
    return [batch_norm(site, input, weight, bias, running_mean, running_var, False, momentum, eps), None, None]


@torch_op("aten.native_batch_norm", "aten._native_batch_norm_legit.default")
def native_norm(site: Site, input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
                running_var: Tensor | None, training: bool, momentum: float, eps: float) -> list[Value | None]:
    """The same as older exports have it."""
    return [batch_norm(site, input, weight, bias, running_mean, running_var, training, momentum, eps), None, None]


def _real(array: Array) -> Array:
    return np.asarray(array, dtype=np.float64)
