"""Synaptic memory: the 64-bit words that a synapse group takes of a core.

The rules were fitted to the tables that Intel's compiler prints in lava-dl's notebooks (netx/pilotnet_snn,
netx/mnist) and reproduce every figure printed there; they are not documented anywhere. Sparse synapses appear in
none of them: theirs is modelled on the dense ones. All figures are for one copy: a kernel is stored once in every core
that needs it, and a matrix that is split over cores takes an axon's header once in each.

A synapse holds weights of 1 to 6 or 8 bits. Wider ones, up to 16, are two chained synapses, of 8 bits and of the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TypeVar

import numpy as np

from loihic.ir.linear import DENSE_FROM, ConvMap, DenseMap, IdentityMap, LinearMap, SparseMap, as_matrix
from loihic.ir.node import Array, Shape
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import SignMode, Synapse

WORD_BITS = 64
HEADER_BITS = 10  # per axon, or per kernel column of a convolution
INDEX_BITS = 12  # of the target neuron, beside every weight of a matrix
SYNAPSE_BITS = 8  # the widest weight of one synapse
WIDEST = 2 * SYNAPSE_BITS  # of two chained ones

Bits = TypeVar("Bits", int, Array)
Words = TypeVar("Words", int, Array)


def stored_bits(mantissas: Array, sign_mode: SignMode) -> int:
    """Bits per weight that the integers need: from the sign, or the greatest, down to the last bit that any one uses.

    Equals `lava.utils.weightutils.optimize_weight_bits(...).num_weight_bits`, but for 7, which is stored as 8, and for
    weights that are all zero, which take 1. More than 8 (9 or 10) means that one synapse cannot hold the integers:
    mixed weights that are odd and beyond -128..127.

    Args:
        mantissas: integers of any shape, within -256..255, 0..255 or -255..0 by sign mode.
        sign_mode: of the weights.

    Raises:
        ValueError: mantissas outside the range of the sign mode.
    """
    integers = np.asarray(mantissas)
    if not np.issubdtype(integers.dtype, np.integer):
        integers = integers.astype(np.int64)
    most, least = int(integers.max(initial=0)), int(integers.min(initial=0))
    low = {SignMode.MIXED: -256, SignMode.EXCITATORY: 0, SignMode.INHIBITORY: -255}[sign_mode]
    high = 0 if sign_mode is SignMode.INHIBITORY else 255
    if least < low or most > high:
        raise ValueError(f"{sign_mode.value} weights are within {low}..{high}, not {least}..{most}")
    if most == least == 0:
        return 1
    if sign_mode is SignMode.MIXED:
        # Lava scales by 127 / 255, whose logarithm is just below -1, where 2**8 would give -1.
        width = max(most.bit_length() + (most == 255), (-least - 1).bit_length() if least else 0) + 1
    else:
        width = max(most, -least).bit_length()
    used = int(np.bitwise_or.reduce(integers, axis=None))
    return stored_width(width - (used & -used).bit_length() + 1)


def stored_width(bits: int) -> int:
    """The width that the chip has for weights of so many bits: there is none of 7."""
    return SYNAPSE_BITS if bits == SYNAPSE_BITS - 1 else bits


def chained_words(words: Callable[[int], Words], bits: int) -> Words:
    """The sum of `words(stored width)` over the synapses that weights of 1 to 16 bits are chained of.

    Raises:
        ValueError: a width outside 1..16.
    """
    if not 1 <= bits <= WIDEST:
        raise ValueError(f"weights have 1 to {WIDEST} bits, not {bits}")
    if bits <= SYNAPSE_BITS:
        return words(stored_width(bits))
    return words(SYNAPSE_BITS) + words(stored_width(bits - SYNAPSE_BITS))


def entry_words(fan_out: Array, bits: int, delay_bits: int = 0) -> Array:
    """Words per axon with so many weights, elementwise: a header, and index, weight and delay of each.

    Args:
        fan_out: weights per axon, integers; an axon without any takes nothing.
        bits: per weight, 1 to 16.
        delay_bits: beside every weight.
    """
    def words(width: int) -> Array:
        return np.where(fan_out > 0, _whole(fan_out * (width + INDEX_BITS + delay_bits) + HEADER_BITS), 0)

    return chained_words(words, bits)


def column_words(channels: int, bits: int, delay_bits: int = 0) -> int:
    """Words of the weights from one input channel and place in a kernel to so many output channels.

    They lie together in runs as long as the powers of two that the number of channels is made of.
    """
    runs = [1 << place for place in range(channels.bit_length()) if channels >> place & 1]
    return chained_words(lambda width: sum(_whole(run * (width + delay_bits) + HEADER_BITS) for run in runs), bits)


def dense_words(n_out: int, n_in: int, bits: int) -> int:
    """Words of a full matrix: one axon per input, with index and weight of every output, zeros as well."""
    return n_in * int(entry_words(np.asarray(n_out), bits))


def conv_words(kernel_shape: tuple[int, int, int, int], bits: int, groups: int = 1) -> int:
    """Words of one copy of a kernel (C_out, C_in / groups, KH, KW)."""
    channels_out, channels_in, height, width = kernel_shape
    return groups * channels_in * height * width * column_words(channels_out // groups, bits)


def sparse_words(nnz: int, n_axons: int, bits: int) -> int:
    """Words of `nnz` weights spread evenly over `n_axons` axons, as modelled; see `axon_words` where they are not."""
    if n_axons == 0:
        return 0
    fewer, rest = divmod(nnz, n_axons)
    few, more = entry_words(np.array([fewer, fewer + 1]), bits)
    return int(few) * (n_axons - rest) + int(more) * rest


def axon_words(fan_out: Array, bits: int) -> int:
    """Words of axons with `fan_out` weights each, as modelled; see `entry_words`."""
    return int(entry_words(fan_out, bits).sum())


def synapse_words(synapse: Synapse) -> int:
    """Words of one synapse group, with as many bits per weight as its integers need.

    Raises:
        TypeError: a synapse of an unknown kind.
        ValueError: mantissas outside the range of the sign mode.
    """
    if isinstance(synapse, DenseSynapse):
        n_out, n_in = synapse.weights.shape
        return dense_words(n_out, n_in, stored_bits(synapse.weights, synapse.sign_mode))
    if isinstance(synapse, SparseSynapse):
        fan_out = np.bincount(synapse.indices, minlength=prod(synapse.in_shape))
        return axon_words(fan_out, stored_bits(synapse.data, synapse.sign_mode))
    if isinstance(synapse, ConvSynapse):
        bits = stored_bits(synapse.kernel, synapse.sign_mode)
        return conv_words(_four(synapse.kernel.shape), bits, synapse.groups)
    raise TypeError(f"no rule for the words of a {type(synapse).__name__}")


def map_words(linear: LinearMap, bits: int, conv: bool) -> int:
    """Words that a map of real weights will take as synapses of `bits` (1 to 16) per weight.

    Args:
        linear: the map; its zeros count as they would be stored.
        bits: per weight.
        conv: whether a convolution may share its kernel. If not, it is a matrix, dense or sparse as `as_matrix` says.
    """
    if isinstance(linear, ConvMap) and conv:
        return conv_words(_four(linear.kernel.shape), bits, linear.groups)
    if not isinstance(linear, ConvMap | IdentityMap):
        linear = as_matrix(linear)
    n_out, n_in = prod(linear.out_shape), prod(linear.in_shape)
    if isinstance(linear, DenseMap):
        return dense_words(n_out, n_in, bits)
    fan_out = _fan_out(linear)
    if not isinstance(linear, SparseMap) and int(fan_out.sum()) >= DENSE_FROM * n_out * n_in:
        return dense_words(n_out, n_in, bits)
    return axon_words(fan_out, bits)


def _fan_out(linear: LinearMap) -> Array:
    """Weights per input element, flat; a convolution is not unrolled for it."""
    if isinstance(linear, SparseMap):
        return np.bincount(linear.matrix.indices, minlength=prod(linear.in_shape))
    if not isinstance(linear, ConvMap):
        return np.ones(prod(linear.in_shape), dtype=np.int64)
    out_channels, group_in, kh, kw = linear.kernel.shape
    by_group = linear.kernel.reshape(linear.groups, out_channels // linear.groups, group_in, kh, kw)
    per_place = np.count_nonzero(by_group, axis=1).reshape(-1, kh, kw)
    rows, columns = _touched(0, kh, linear), _touched(1, kw, linear)
    return np.asarray(np.einsum("ckl,ky,lx->cyx", per_place, rows, columns, optimize=True)).reshape(-1)


def _touched(axis: int, size: int, linear: ConvMap) -> Array:
    """Along one axis, (size of the kernel, size of the input): whether an output meets the input there, 0 or 1."""
    place, position = np.ogrid[:size, : linear.in_shape[1 + axis]]
    offset = position + linear.pads[axis][0] - place * linear.dilation[axis]
    output, remainder = np.divmod(offset, linear.stride[axis])
    inside: Array = (remainder == 0) & (output >= 0) & (output < linear.out_shape[1 + axis])
    return inside.astype(np.int64)


def _whole(bits: Bits) -> Bits:
    """Words that so many bits take, rounded up."""
    return -(-bits // WORD_BITS)


def _four(shape: Shape) -> tuple[int, int, int, int]:
    """The shape of a kernel as a type checker wants it."""
    channels_out, channels_in, height, width = shape
    return channels_out, channels_in, height, width
