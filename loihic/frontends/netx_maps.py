"""The linear maps of lava-dl's synapses: dense, convolutions, sums over windows, and averages over groups."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from scipy import sparse

from loihic.frontends.netx_schema import MOST_NEURONS, MOST_WEIGHTS
from loihic.ir.linear import ConvMap, DenseMap, LinearMap, SparseMap
from loihic.ir.node import Array, Shape, ShapeError

MOST_SYNAPSES = 1 << 24  # of one layer whose kernel cannot be shared
Pair = tuple[int, int]


def layer_map(kind: str, values: Mapping[str, Any], inputs: Shape) -> LinearMap:
    """The map of a layer that has weights.

    Args:
        kind: ``dense``, ``dense_rec``, ``conv``, ``convT``, ``pool`` or ``unpool``.
        values: the layer's checked values (see `netx_schema.LAYERS`).
        inputs: shape of what arrives.

    Raises:
        ShapeError: the weights do not fit the inputs, or the outputs are not what the file says.
    """
    if kind in ("dense", "dense_rec"):
        return dense(values["weight"], prod(values["shape"]), inputs)
    if len(inputs) != 3:
        raise ShapeError(f"it takes (channels, height, width), but the input has the shape {inputs}")
    kernel = _kernel(values["weight"])
    window = (values["stride"], values["padding"], values["dilation"])
    linear: LinearMap
    if kind == "conv":
        linear = conv(inputs, kernel, *window, values["groups"])
    elif kind == "convT":
        linear = conv_transpose(inputs, kernel, *window, values["groups"])
    else:
        linear = (pool if kind == "pool" else unpool)(inputs, kernel, *window)
    if linear.out_shape != values["shape"]:
        raise ShapeError(f"an input of {inputs} gives {linear.out_shape}; the file says {values['shape']}")
    return linear


def dense(weight: Array, count: int, inputs: Shape) -> LinearMap:
    """A full matrix: `weight` (out, in), or flat, with ones behind perhaps; inputs of any shape, in C order."""
    size = weight.size // max(count, 1)
    if not weight.size or weight.size != size * count or (weight.ndim > 1 and weight.shape[:2] != (count, size)):
        raise ShapeError(f"the weights have the shape {weight.shape}, but there are {count} neurons")
    if size != prod(inputs):
        raise ShapeError(f"it takes {size} values, but the input has the shape {inputs}")
    return DenseMap(in_shape=inputs, out_shape=(count,), matrix=weight.reshape(count, size))


def recurrent(weight: Array, count: int) -> LinearMap:
    """From a population of `count` neurons to itself."""
    if weight.size != count * count or (weight.ndim > 1 and weight.shape[:2] != (count, count)):
        raise ShapeError(f"the recurrent weights have the shape {weight.shape}, but there are {count} neurons")
    return DenseMap(in_shape=(count,), out_shape=(count,), matrix=weight.reshape(count, count))


def conv(inputs: Shape, kernel: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> ConvMap:
    """A cross-correlation: the kernel, (C_out, C_in / groups, KH, KW), is neither flipped nor transposed.

    (lava-dl's netx flips and transposes it, since Lava's Conv is a true convolution over width first.)
    """
    if kernel.shape[1] * groups != inputs[0] or kernel.shape[0] % groups:
        raise ShapeError(f"a kernel of shape {kernel.shape} with {groups} groups does not fit {inputs}")
    out = tuple(_windows(inputs[1 + a], kernel.shape[2 + a], stride[a], 2 * padding[a], dilation[a]) for a in range(2))
    padded = inputs[0] * prod(inputs[1 + a] + 2 * padding[a] for a in range(2))
    return ConvMap(in_shape=inputs, out_shape=_bounded((kernel.shape[0], *out), padded), kernel=kernel, stride=stride,
                   pads=((padding[0],) * 2, (padding[1],) * 2), dilation=dilation, groups=groups)


def conv_transpose(inputs: Shape, kernel: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> LinearMap:
    """A transposed convolution with a kernel of (C_in, C_out / groups, KH, KW), as PyTorch's without output padding."""
    into, of_group, *sizes = kernel.shape
    if into != inputs[0] or into % groups:
        raise ShapeError(f"a kernel of shape {kernel.shape} with {groups} groups does not fit {inputs}")
    reach = tuple(dilation[a] * (sizes[a] - 1) for a in range(2))
    out = _bounded((of_group * groups, *(
        (inputs[1 + a] - 1) * stride[a] - 2 * padding[a] + reach[a] + 1 for a in range(2))))
    if stride == (1, 1) and all(reach[a] >= padding[a] for a in range(2)):
        turned = kernel.reshape(groups, -1, of_group, *sizes).swapaxes(1, 2)[..., ::-1, ::-1]
        rims = tuple((reach[a] - padding[a],) * 2 for a in range(2))
        return ConvMap(in_shape=inputs, out_shape=out, kernel=turned.reshape(-1, into // groups, *sizes),
                       pads=(rims[0], rims[1]), dilation=dilation, groups=groups)
    return _transposed(conv(out, kernel, stride, padding, dilation, groups), inputs)


def pool(inputs: Shape, kernel: Array, stride: Pair, padding: Pair, dilation: Pair) -> LinearMap:
    """The weighted sum over windows that lava-dl calls pooling, with one kernel of (1, 1, KH, KW) for all channels.

    lava-dl lays the channels one below the other and convolves that one tall image, after it has appended (size modulo
    kernel) rows and columns of zeros to each channel. Windows as high as their stride stay within their channel; others
    reach into the next, here as there.
    """
    channels, height, width = inputs
    if kernel.shape[:2] != (1, 1):
        raise ShapeError(f"pooling has one kernel, not one of shape {kernel.shape}")
    kh, kw = kernel.shape[2:]
    more = (height % kh, width % kw)
    tall = (channels * (height + more[0]), width + more[1])
    rows, cols = (_windows(tall[a], (kh, kw)[a], stride[a], 2 * padding[a], dilation[a]) for a in range(2))
    if rows % channels:
        raise ShapeError(f"windows of {(kh, kw)} over {inputs} give {rows} rows for {channels} channels")
    out = _bounded((channels, rows // channels, cols), tall[0] * tall[1])
    apart = padding[0] == 0 and dilation[0] == 1 and kh == stride[0] and (height + more[0]) % kh == 0
    if apart:
        return ConvMap(in_shape=inputs, out_shape=out, kernel=np.repeat(kernel, channels, axis=0), stride=stride,
                       pads=((0, more[0]), (padding[1], padding[1] + more[1])), dilation=dilation, groups=channels)
    stack = ConvMap(in_shape=(1, *tall), out_shape=(1, rows, cols), kernel=kernel, stride=stride,
                    pads=((padding[0],) * 2, (padding[1],) * 2), dilation=dilation)
    _check_synapses(prod(out) * kernel.size)
    place = np.arange(prod(tall)).reshape(channels, height + more[0], width + more[1])[:, :height, :width]
    matrix = stack.to_csr().tocsc()[:, place.reshape(-1)]
    return SparseMap(in_shape=inputs, out_shape=out, matrix=sparse.csr_matrix(matrix))


def unpool(inputs: Shape, kernel: Array, stride: Pair, padding: Pair, dilation: Pair) -> LinearMap:
    """The transposed convolution of the channels laid one below the other, with one kernel of (1, 1, KH, KW)."""
    channels, height, width = inputs
    if kernel.shape[:2] != (1, 1):
        raise ShapeError(f"unpooling has one kernel, not one of shape {kernel.shape}")
    tall = conv_transpose((1, channels * height, width), kernel, stride, padding, dilation, 1)
    _, rows, cols = tall.out_shape
    if rows % channels:
        raise ShapeError(f"unpooling {inputs} gives {rows} rows for {channels} channels")
    _check_synapses(prod(inputs) * kernel.size)
    return tall.reshaped(in_shape=inputs, out_shape=(channels, rows // channels, cols))


def average(inputs: Shape, groups: int) -> LinearMap:
    """The mean of each of `groups` runs of neighbours, in C order; weights are 1 / (length of a run)."""
    size = prod(inputs)
    if groups > size or size % groups:
        raise ShapeError(f"{size} values, of the shape {inputs}, are not {groups} groups of one size")
    length = size // groups
    matrix = sparse.csr_matrix(
        (np.full(size, 1.0 / length), np.arange(size), np.arange(0, size + 1, length)), shape=(groups, size))
    return SparseMap(in_shape=inputs, out_shape=(groups,), matrix=matrix)


def _transposed(forward: ConvMap, inputs: Shape) -> LinearMap:
    """x -> A^T x, for a convolution A whose output has the shape `inputs`."""
    if forward.out_shape != inputs:
        raise ShapeError(f"a transposed convolution of {inputs} does not fit its own output {forward.in_shape}")
    _check_synapses(prod(inputs) * prod(forward.kernel.shape[1:]))
    return SparseMap(in_shape=inputs, out_shape=forward.in_shape, matrix=sparse.csr_matrix(forward.to_csr().T))


def _kernel(weight: Array) -> Array:
    """(out, in, KH, KW) from weights that may have a dimension of time, of one, behind."""
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    if weight.ndim != 4 or not weight.size:
        raise ShapeError(f"a kernel has four dimensions, but the weights have the shape {weight.shape}")
    return weight


def _windows(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How many windows fit."""
    free = size + padding - dilation * (kernel - 1) - 1
    if free < 0:
        raise ShapeError(f"a window of {dilation * (kernel - 1) + 1} does not fit {size} with a padding of {padding}")
    return free // stride + 1


def _bounded(shape: Shape, padded: int = 0) -> Shape:
    """The shape of an output, once it is certain to be of a sensible size, as its padded input is."""
    if min(shape) < 1:
        raise ShapeError(f"the output would have the shape {shape}")
    if prod(shape) > MOST_NEURONS or padded > MOST_WEIGHTS:
        raise ShapeError(f"the output would have the shape {shape}, from {padded} values with padding; "
                         f"a layer has at most {MOST_NEURONS} neurons")
    return shape


def _check_synapses(count: int) -> None:
    if count > MOST_SYNAPSES:
        raise ShapeError(f"the layer unfolds into {count} synapses; at most {MOST_SYNAPSES} are read")
