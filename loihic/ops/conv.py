"""Conv1d and Conv2d: cross-correlations as in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loihic.ir.linear import ConvMap, LinearMap
from loihic.ir.node import Array, Shape, ShapeError
from loihic.ir.registry import register_op
from loihic.ops.traits import NirLinear, Problem, pair, whole

Padding = tuple[int, ...] | str


def read_padding(value: Any) -> Padding:
    """'same', 'valid', or one number a dimension."""
    raw = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if isinstance(raw, bytes):
        raw = raw.decode("utf8", "replace")
    if isinstance(raw, str):
        return raw
    return tuple(int(v) for v in np.asarray(raw).reshape(-1))


def side_pads(padding: Padding, axis: int, size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Zeros before and after one dimension. 'same' gives ceil(size / stride) outputs, the odd zero at the end."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        outputs = -(-size // stride)
        total = max((outputs - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
        return total // 2, total - total // 2
    if isinstance(padding, str):
        raise ShapeError(f"padding {padding!r} is neither 'same', 'valid' nor numbers")
    each = padding[axis] if axis < len(padding) else padding[0]
    return each, each


def conv_map(inputs: Shape, kernel: Array, stride: tuple[int, int], padding: Padding, dilation: tuple[int, int],
             groups: int) -> ConvMap:
    """A convolution for inputs (C, H, W); raises ShapeError where kernel, groups and input do not fit."""
    channels, height, width = inputs
    if kernel.shape[1] * groups != channels or kernel.shape[0] % groups:
        raise ShapeError(
            f"weight has shape {kernel.shape} with groups={groups} and takes {kernel.shape[1] * groups} channels, but "
            f"the input is {inputs}")
    pads = tuple(
        side_pads(padding, axis, size, kernel.shape[2 + axis], stride[axis], dilation[axis])
        for axis, size in enumerate((height, width)))
    out = tuple(
        (size + sum(pads[axis]) - dilation[axis] * (kernel.shape[2 + axis] - 1) - 1) // stride[axis] + 1
        for axis, size in enumerate((height, width)))
    if min(out) < 1:
        raise ShapeError(f"the kernel {kernel.shape[2:]} is larger than the padded input {inputs}")
    return ConvMap(in_shape=inputs, out_shape=(kernel.shape[0], *out), kernel=kernel, stride=stride,
                   pads=(pads[0], pads[1]), dilation=dilation, groups=groups)


@register_op("Conv2d", "two-dimensional convolution; stride, padding, dilation, groups")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Conv2d(NirLinear):
    """Cross-correlation of (C, H, W) with `weight` (C_out, C / groups, KH, KW), plus `bias` per channel."""

    weight: Array
    bias: Array | None = None
    stride: tuple[int, int] = (1, 1)
    padding: Padding = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @classmethod
    def from_params(cls, params: Mapping[str, Any], origins: tuple[str, ...]) -> Conv2d:
        bias = params.get("bias")
        return cls(
            origins=origins, weight=np.asarray(params["weight"], dtype=np.float64),
            bias=None if bias is None else np.asarray(bias, dtype=np.float64),
            stride=pair(params.get("stride", 1)), padding=read_padding(params.get("padding", 0)),
            dilation=pair(params.get("dilation", 1)), groups=whole(params.get("groups", 1)))

    def problems(self) -> Iterator[Problem]:
        rank = 3 if isinstance(self, Conv1d) else 4
        if self.weight.ndim != rank or 0 in self.weight.shape:
            yield Problem(code="LHC103", message=f"a kernel must have {rank} dimensions and no empty one",
                          param=f"weight has shape {self.weight.shape}")
        for name, values in (("stride", self.stride), ("dilation", self.dilation), ("groups", (self.groups,))):
            if min(values) < 1:
                yield Problem(code="LHC105", message=f"{name} must be at least 1", param=f"{name} = {values}")
        if not isinstance(self.padding, str) and min(self.padding, default=0) < 0:
            yield Problem(code="LHC105", message="padding must not be negative", param=f"padding = {self.padding}")

    def linear_map(self, inputs: Shape) -> LinearMap:
        if len(inputs) != 3:
            raise ShapeError(f"a Conv2d takes (C, H, W), but the input is {inputs}")
        return conv_map(inputs, self.weight, self.stride, self.padding, self.dilation, self.groups)

    def constant(self) -> Array | None:
        if self.bias is None or self.bias.size == 1:
            return self.bias
        return self.bias.reshape(-1, *([1] * (self.weight.ndim - 2)))


@register_op("Conv1d", "one-dimensional convolution; stride, padding, dilation, groups")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Conv1d(Conv2d):
    """Cross-correlation of (C, L) with `weight` (C_out, C / groups, K), plus `bias` per channel."""

    def linear_map(self, inputs: Shape) -> LinearMap:
        if len(inputs) != 2:
            raise ShapeError(f"a Conv1d takes (C, L), but the input is {inputs}")
        padding = self.padding
        if not isinstance(padding, str):
            padding = (0, padding[0])
        flat = conv_map(
            (inputs[0], 1, inputs[1]), self.weight[:, :, None, :], (1, self.stride[1]), padding,
            (1, self.dilation[1]), self.groups)
        return flat.reshaped(in_shape=inputs, out_shape=(flat.out_shape[0], flat.out_shape[2]))
