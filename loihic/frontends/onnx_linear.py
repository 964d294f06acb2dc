"""ONNX operators that are linear maps with constant weights: convolutions and matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from loihic.frontends.network import Pads
from loihic.frontends.onnx_fold import index_of
from loihic.frontends.onnx_layout import flipped, placed, settled
from loihic.frontends.onnx_operands import Constant, NodeError, Tensor
from loihic.frontends.onnx_pointwise import scaled, summed
from loihic.frontends.onnx_table import Call, operator
from loihic.frontends.onnx_weights import Weights, bias_of, several_scales, weights_of
from loihic.ir.node import Array, Shape


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """How a window moves over the spatial dimensions.

    Attributes:
        kernel, stride, dilation: per dimension.
        pads: before and after, per dimension.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: Pads

    def outputs(self, spatial: Shape, *, ceil: bool = False) -> Shape:
        """Number of windows per dimension, at most."""
        free = [n + sum(pad) - d * (k - 1) - 1 for n, pad, d, k in zip(
            spatial, self.pads, self.dilation, self.kernel, strict=True)]
        return tuple((-(-room // step) if ceil else room // step) + 1 for room, step in zip(
            free, self.stride, strict=True))


def sweep_of(call: Call, spatial: Shape, kernel: Sequence[int]) -> Sweep:
    """The attributes that convolutions and poolings share.

    Raises:
        NodeError: LHC103 or LHC105, they are malformed.
    """
    rank = len(spatial)
    sizes = call.integers("kernel_shape", kernel)
    stride, dilation = call.integers("strides", [1] * rank), call.integers("dilations", [1] * rank)
    given, mode = call.integers("pads", [0] * 2 * rank), call.attribute("auto_pad", "NOTSET")
    if not len(sizes) == len(stride) == len(dilation) == rank or len(given) != 2 * rank or (
            kernel and list(kernel) != sizes):
        raise NodeError("LHC103", "the window is malformed", param=f"kernel {sizes}, strides {stride}, dilations "
                        f"{dilation}, pads {given} for {rank} dimensions")
    if min(*sizes, *stride, *dilation) < 1 or min(given) < 0:
        raise NodeError("LHC105", "a size of the window is out of its range", param=f"kernel {sizes}, strides "
                        f"{stride}, dilations {dilation}, pads {given}")
    pads = tuple(zip(given[:rank], given[rank:], strict=True))
    if mode == "VALID":
        pads = ((0, 0),) * rank
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        missing = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, k, s, d in zip(
            spatial, sizes, stride, dilation, strict=True)]
        pads = tuple((m // 2, m - m // 2) if mode == "SAME_UPPER" else (m - m // 2, m // 2) for m in missing)
    elif mode not in ("NOTSET", ""):
        raise NodeError("LHC103", "the padding is of an unknown kind", param=f"auto_pad = {mode!r}")
    return Sweep(kernel=tuple(sizes), stride=tuple(stride), dilation=tuple(dilation), pads=pads)


def channels_first(call: Call, tensor: Tensor) -> Shape:
    """The spatial dimensions of a tensor (1, C, *spatial).

    Raises:
        NodeError: LHC202 or LHC401, it has none, or more than two.
    """
    if len(tensor.shape) < 3 or tensor.shape[0] != 1:
        raise NodeError("LHC202", "the input is not of the shape (batch, channels, ...)", param=f"{tensor.shape}")
    if len(tensor.shape) > 4:
        raise NodeError("LHC401", "only one or two spatial dimensions are read", param=f"shape {tensor.shape}")
    return tensor.shape[2:]


def convolved(call: Call, tensor: Tensor, weights: Weights, bias: Array | None) -> Tensor:
    """A convolution of real numbers, with the node's attributes."""
    spatial, kernel = channels_first(call, tensor), weights.values
    if kernel.ndim != len(tensor.shape):
        raise NodeError("LHC202", "the kernel does not fit the input", param=f"{kernel.shape} and {tensor.shape}")
    sweep = sweep_of(call, spatial, kernel.shape[2:])
    shape = (1, len(kernel), *sweep.outputs(spatial))
    padded = [n + sum(pad) for n, pad in zip(spatial, sweep.pads, strict=True)]
    call.reading.spend(prod(shape), tensor.shape[1] * prod(padded))
    value = call.builder.conv(
        tensor.value, kernel, call.label, bias=bias, unit=weights.unit, stride=sweep.stride, pads=sweep.pads,
        dilation=sweep.dilation, groups=call.attribute("group", 1))
    return Tensor(value=value, shape=shape)


def multiplied(call: Call, tensor: Tensor, weights: Weights, bias: Array | None = None) -> Tensor:
    """x W over the last dimension.

    Args:
        call: the node.
        tensor: real, (..., n_in).
        weights: (n_in, n_out).
        bias: (n_out,) or a number.
    """
    matrix = weights.values
    if matrix.ndim != 2 or not tensor.shape or tensor.shape[-1] != len(matrix):
        raise NodeError("LHC202", "the weights do not fit the input", param=f"shapes {tensor.shape} and {matrix.shape}",
                        help="weights of more than two dimensions are not read" if matrix.ndim > 2 else "")
    shape = (*tensor.shape[:-1], matrix.shape[1])
    rows = prod(tensor.shape[:-1])
    call.reading.spend(prod(shape), rows * matrix.size if rows > 1 else 1)
    value = tensor.value
    if not value.shape:  # a single number is a row of one
        value = call.builder.move(value, np.zeros(1, np.int64), call.label)
    return settled(call, call.builder.matmul(value, matrix, call.label, bias=bias, unit=weights.unit), shape)


@operator("Conv")
def conv(call: Call) -> Tensor:
    """A cross-correlation with constant weights."""
    tensor, weights = call.real(0), weights_of(call, 1, outputs=0)
    return convolved(call, tensor, weights, bias_of(call, 2, weights.values.shape[:1]))


@operator("MatMul")
def matmul(call: Call) -> Tensor:
    """A product with constant weights on either side."""
    if isinstance(call.operand(0), Constant):
        tensor, weights = call.real(1), weights_of(call, 0, outputs=0)
        if weights.values.ndim != 2 or len(tensor.shape) < 2:
            raise NodeError("LHC401", "constants of this shape on the left are not read",
                            param=f"shapes {weights.values.shape} and {tensor.shape}")
        turned = Weights(values=weights.values.T, unit=weights.unit)
        return flipped(call, multiplied(call, flipped(call, tensor), turned))
    tensor = call.real(0)
    if call.operand(1).shape[1:] == ():
        column = weights_of(call, 1, outputs=0)
        matrix = column.values.reshape(-1, 1)
        found = multiplied(call, tensor, Weights(values=matrix, unit=column.unit) if column.unit is None
                           or column.unit.size == 1 else several_scales(call, matrix))
        return placed(call, found, index_of(found.shape).reshape(found.shape[:-1]))
    return multiplied(call, tensor, weights_of(call, 1, outputs=1))


@operator("Gemm")
def gemm(call: Call) -> Tensor:
    """alpha A B + beta C."""
    tensor = call.real(0)
    if len(tensor.shape) != 2:
        raise NodeError("LHC202", "the input has not two dimensions", param=f"shape {tensor.shape}",
                        help="put a Flatten before it")
    if call.attribute("transA", 0):
        tensor = flipped(call, tensor)
    turned = bool(call.attribute("transB", 0))
    weights = weights_of(call, 1, outputs=0 if turned else 1)
    if turned:
        weights = Weights(values=weights.values.T, unit=weights.unit)
    alpha, beta = call.attribute("alpha", 1.0), call.attribute("beta", 1.0)
    addend = call.operand(2) if call.has(2) else None
    plain = isinstance(addend, Constant) and alpha == 1.0 and addend.shape in (
        (weights.values.shape[-1],), (1, weights.values.shape[-1]), (1,), ())
    bias = beta * call.floats(2).reshape(-1) if plain else None
    found = multiplied(call, tensor, weights, bias)
    if addend is None or plain:
        return found if alpha == 1.0 else scaled(call, found, alpha, 0.0)
    if isinstance(addend, Constant):
        return scaled(call, found, alpha, beta * call.floats(2))
    other = call.real(2)
    return summed(call, [found if alpha == 1.0 else scaled(call, found, alpha, 0.0),
                         other if beta == 1.0 else scaled(call, other, beta, 0.0)])
