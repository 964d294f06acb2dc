"""Linear maps in NIR's words: convolutions, pooling, scaling, flattening, and full matrices between vectors."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from math import prod
from typing import Any

import numpy as np

from loihic.frontends.to_nir_neurons import NoFormError
from loihic.ir.linear import ConvMap, DenseMap, LinearMap, diagonal
from loihic.ir.node import Array, Shape
from loihic.ops.matrix import Matrix

MOST_WEIGHTS = 1 << 25  # of a map that is written out as a full matrix; 256 MiB


class Form(Enum):
    """How NIR says a linear map."""

    FLATTEN = "a Flatten"
    SCALE = "a Scale"
    CONV = "a Conv2d, SumPool2d or AvgPool2d"
    MATRIX = "an Affine or Linear, between vectors"


def form_of(node: Matrix) -> Form:
    """The form that keeps most of a map's structure."""
    linear = node.linear
    if node.bias is None and linear.is_identity and len(linear.out_shape) == 1 and len(linear.in_shape) > 1:
        return Form.FLATTEN
    if node.bias is None and _factors(linear) is not None:
        return Form.SCALE
    return Form.MATRIX if _as_conv(node) is None else Form.CONV


def with_constant(node: Matrix, constant: Array) -> Matrix | None:
    """The map with a constant added, of the output's size; None if that takes from a feature map its form."""
    shape = node.linear.out_shape
    bias = constant.reshape(shape)
    made = replace(node, bias=bias if node.bias is None else node.bias + bias)
    kept = form_of(made) is Form.CONV or form_of(node) is Form.MATRIX or len(shape) == 1
    return made if kept else None


def nir_map(node: Matrix, form: Form, shape: Shape) -> Any:
    """NIR's node for a map.

    Args:
        node: the map.
        form: one that fits it.
        shape: of what arrives; for a matrix it is a vector.

    Raises:
        NoFormError: its matrix would be too large.
    """
    import nir

    if form is Form.FLATTEN:
        return nir.Flatten(input_type={"input": np.array(shape)}, start_dim=0, end_dim=-1)
    if form is Form.SCALE:
        factors = _factors(node.linear)
        assert factors is not None
        return nir.Scale(scale=factors.reshape(shape))
    if form is Form.CONV:
        return _conv(node)
    return _matrix(node)


def _conv(node: Matrix) -> Any:
    import nir

    linear = _as_conv(node)
    assert linear is not None
    sizes = linear.kernel.shape[2:]
    window = {"kernel_size": np.array(sizes), "stride": np.array(linear.stride),
              "padding": np.array([pair[0] for pair in linear.pads])}
    if node.bias is None and _is_pool(linear):
        weight = linear.kernel.flat[0]
        if weight == 1.0:
            return nir.SumPool2d(**window)
        if weight == 1.0 / prod(sizes):
            return nir.AvgPool2d(**window)
    kernel, padding, dilation = _evenly_padded(linear)
    bias = np.zeros(len(kernel)) if node.bias is None else _per_channel(node.bias, linear.out_shape)
    return nir.Conv2d(input_shape=linear.in_shape[1:], weight=kernel, stride=linear.stride, padding=padding,
                      dilation=dilation, groups=linear.groups, bias=bias)


def _matrix(node: Matrix) -> Any:
    import nir

    linear = node.linear
    size = prod(linear.in_shape) * prod(linear.out_shape)
    if size > MOST_WEIGHTS:
        raise NoFormError(
            f"a map that NIR could say as a full matrix only, of {size} weights; at most {MOST_WEIGHTS} are written",
            "use convolutions, or compile the file itself")
    full = linear.matrix if isinstance(linear, DenseMap) else linear.to_csr().toarray()
    weight = np.asarray(full, dtype=np.float64)
    if node.bias is None:
        return nir.Linear(weight=weight)
    bias = np.broadcast_to(node.bias, linear.out_shape).reshape(-1)
    return nir.Affine(weight=weight, bias=bias.astype(np.float64))


def _factors(linear: LinearMap) -> Array | None:
    """The factor of each element, of the map's shape, if the map only scales."""
    if linear.in_shape != linear.out_shape:
        return None
    return np.ones(linear.out_shape) if linear.is_identity else diagonal(linear)


def _as_conv(node: Matrix) -> ConvMap | None:
    """The map as a convolution of feature maps, if it is one and its bias is one number per channel."""
    linear = node.linear
    if len(linear.out_shape) != 3 or (node.bias is not None and _per_channel(node.bias, linear.out_shape) is None):
        return None
    if isinstance(linear, ConvMap):
        return linear
    factors = _factors(linear)
    channels = None if factors is None else _per_channel(factors, linear.out_shape)
    if channels is None:
        return None
    return ConvMap(in_shape=linear.in_shape, out_shape=linear.out_shape, kernel=channels.reshape(-1, 1, 1, 1),
                   groups=len(channels))


def _per_channel(values: Array, shape: Shape) -> Array | None:
    """One number per channel, (channels,); None if the values within a channel differ."""
    full = np.broadcast_to(values, shape).reshape(shape[0], -1)
    return full[:, 0].astype(np.float64) if np.array_equal(full, np.broadcast_to(full[:, :1], full.shape)) else None


def _is_pool(linear: ConvMap) -> bool:
    """Whether every channel is summed up by itself with the same weight throughout."""
    alone = linear.groups == linear.in_shape[0] == linear.out_shape[0]
    even = all(before == after for before, after in linear.pads)
    return bool(alone and even and linear.dilation == (1, 1) and np.all(linear.kernel == linear.kernel.flat[0]))


def _evenly_padded(linear: ConvMap) -> tuple[Array, tuple[int, int], tuple[int, int]]:
    """Kernel, padding and dilation with as many zeros before as behind.

    Where the map has more on one side, zeros of the kernel make up for it: a window that begins earlier, or ends later,
    and weighs what it hears there with nothing, is the same window.
    """
    kernel, dilation, padding = linear.kernel.astype(np.float64), list(linear.dilation), [0, 0]
    for axis, (before, behind) in enumerate(linear.pads):
        padding[axis] = max(before, behind)
        gap = abs(before - behind)
        if gap % dilation[axis]:
            kernel = _spread(kernel, 2 + axis, dilation[axis])
            dilation[axis] = 1
        zeros = gap // dilation[axis]
        widths = [(0, 0)] * 4
        widths[2 + axis] = (zeros, 0) if before < behind else (0, zeros)
        kernel = np.pad(kernel, widths)
    return kernel, (padding[0], padding[1]), (dilation[0], dilation[1])


def _spread(kernel: Array, axis: int, dilation: int) -> Array:
    """A dilated kernel with its gaps written out as zeros."""
    shape = list(kernel.shape)
    shape[axis] = dilation * (shape[axis] - 1) + 1
    wide = np.zeros(shape)
    place = [slice(None)] * 4
    place[axis] = slice(None, None, dilation)
    wide[tuple(place)] = kernel
    return wide
