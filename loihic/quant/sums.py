"""Bounds of what synapses accumulate and deliver, from their integer weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce, singledispatch
from math import prod

import numpy as np

from loihic.ir.linear import ConvMap, DenseMap, LinearMap, SparseMap, add
from loihic.ir.node import Array
from loihic.ops.conv import conv_map
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import Synapse
from loihic.quant.reach import INT32_MAX, Span


@singledispatch
def linear_of(node: Synapse) -> LinearMap | None:
    """The mantissas as a linear map of float64; None for a kind of synapse that has not registered how."""
    return None


@linear_of.register
def _(node: DenseSynapse) -> LinearMap:
    matrix = node.weights.astype(np.float64)
    return DenseMap(in_shape=node.in_shape, out_shape=node.out_shape, matrix=matrix)


@linear_of.register
def _(node: SparseSynapse) -> LinearMap:
    return SparseMap(in_shape=node.in_shape, out_shape=node.out_shape, matrix=node.matrix().astype(np.float64))


@linear_of.register
def _(node: ConvSynapse) -> LinearMap:
    return conv_map(node.in_shape, node.kernel, node.stride, node.padding, node.dilation, node.groups)


def accumulator_limit(node: Synapse) -> float:
    """The greatest magnitude of a sum that wraps neither as it is accumulated nor, shifted, as 32 bits."""
    return min(_accumulator_max(node), float(int(INT32_MAX) >> max(node.exponent, 0)))


def messages(node: Synapse, sent: Span) -> Span:
    """What a synapse takes of what is sent to it: of binary spikes only whether there is one."""
    low, high = (np.asarray(side, dtype=np.float64).reshape(node.in_shape) for side in sent)
    if node.message_bits:
        return low, high
    return np.zeros(node.in_shape), np.where((low < 0) | (high > 0), 1.0, 0.0)


def accumulated(node: Synapse, linear: LinearMap | None, sent: Span) -> Span:
    """Bounds of the sums before any wrap, for messages within bounds that include zero."""
    if linear is None:
        return np.full(node.out_shape, -np.inf), np.full(node.out_shape, np.inf)
    return linear.row_bounds(*messages(node, sent))


def delivered(node: Synapse, sums: Span) -> Span:
    """Bounds of what arrives one step later: wrapped, then shifted (right with floor)."""
    most = _accumulator_max(node)
    wraps = (sums[1] > most) | (sums[0] < -most - 1)
    factor = 2.0**node.exponent
    return (np.floor(np.where(wraps, -most - 1, sums[0]) * factor), np.floor(np.where(wraps, most, sums[1]) * factor))


def delivered_together(nodes: Sequence[Synapse], linear: LinearMap, sent: Span) -> Span:
    """Bounds of what parallel synapses deliver of the same messages; `linear` is `combined` of them.

    The bounds of each added up are wider, since a fine synapse often takes back what a coarse one rounded up. Holds
    where no sum wraps.
    """
    low, high = linear.row_bounds(*messages(nodes[0], sent))
    floored = sum(1.0 - 2.0**node.exponent for node in nodes if node.exponent < 0)
    return np.ceil(low - floored), np.floor(high)


def combined(nodes: Sequence[Synapse]) -> LinearMap | None:
    """The map, exponents included, of parallel synapses that hear the same; None where they have no common form."""
    if len({node.message_bits == 0 for node in nodes}) > 1:
        return None
    maps = [linear_of(node) for node in nodes]
    scaled = [linear.scaled(np.asarray(2.0**node.exponent))
              for linear, node in zip(maps, nodes, strict=True) if linear is not None]
    if len(scaled) < len(nodes) or len({(one.in_shape, one.out_shape) for one in scaled}) > 1:
        return None
    matrices = [one for one in scaled if isinstance(one, DenseMap)]
    if len(matrices) == len(nodes):
        return replace(matrices[0], matrix=reduce(np.add, [one.matrix for one in matrices]))
    convolutions = [one for one in scaled if isinstance(one, ConvMap)]
    if not convolutions:
        return reduce(add, scaled)
    forms = {(one.kernel.shape, one.stride, one.pads, one.dilation, one.groups) for one in convolutions}
    if len(convolutions) < len(nodes) or len(forms) > 1:
        return None
    return replace(convolutions[0], kernel=reduce(np.add, [one.kernel for one in convolutions]))


def multiplications(linear: LinearMap) -> int:
    """How many it takes to apply a map once."""
    if isinstance(linear, ConvMap):
        return linear.kernel.size * prod(linear.out_shape[1:])
    return linear.matrix.size if isinstance(linear, DenseMap) else int(linear.to_csr().nnz)


def exact_sums(linear: LinearMap, node: Synapse, message: Array) -> Array:
    """The sums of a batch of messages before any wrap."""
    if node.message_bits == 0:
        message = message != 0
    return linear.apply(message.reshape(-1, *node.in_shape).astype(np.float64))


def _accumulator_max(node: Synapse) -> float:
    """The greatest sum before it wraps: Conv adds in 24 bits, everything else in 32."""
    return float((1 << 23) - 1) if isinstance(node, ConvSynapse) else INT32_MAX
