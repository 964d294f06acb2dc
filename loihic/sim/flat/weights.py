"""Synapses as rows of columns: weights so laid out that what one event adds is contiguous."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from loihic.ir.node import Array, HardwareNode, Shape
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.quant.sums import linear_of
from loihic.sim.flat import columns as c
from loihic.sim.flat.arena import Arena, UnsuitableError

NARROW = 1 << 23  # sums below this cannot wrap at 24 bits
SHORT = 4  # sums; about where a piece is as fast as a sparse matrix
LARGEST = 1 << 22  # weights of a matrix that stands for a kernel


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """The two cells of a synapse: how their elements lie, and the greatest message, if that is known.

    Attributes:
        sender, hearer: where each element, in the kernels' order, lies in the flat array of the node.
        sender_map, hearer_map: (C, H, W) if it lies channels last.
        largest: of any message, or None.
    """

    sender: Array
    hearer: Array
    sender_map: Shape | None
    hearer_map: Shape | None
    largest: int | None


@singledispatch
def weigh(node: HardwareNode, ends: Ends, weights: Arena, table: Arena) -> dict[int, int]:
    """The columns of a synapse, by number; its weights and tables go into the arenas.

    Raises:
        UnsuitableError: it is of an unknown kind.
    """
    raise UnsuitableError(f"no kernel delivers {node.op}")


@weigh.register
def _dense(node: DenseSynapse, ends: Ends, weights: Arena, table: Arena) -> dict[int, int]:
    own = node.weights[ends.hearer][:, ends.sender].T
    return {c.LAYOUT: c.DENSE, c.WEIGHTS: weights.add(np.ascontiguousarray(own))}


@weigh.register
def _sparse(node: SparseSynapse, ends: Ends, weights: Arena, table: Arena) -> dict[int, int]:
    matrix = node.matrix()[ends.hearer][:, ends.sender].tocsc()
    matrix.sort_indices()
    begins = table.add(matrix.indptr.astype(np.int64))
    table.add(matrix.indices.astype(np.int64))
    return {c.LAYOUT: c.SPARSE, c.WEIGHTS: weights.add(matrix.data), c.TABLE: begins, c.CHANNELS: ends.sender.size}


@weigh.register
def _conv(node: ConvSynapse, ends: Ends, weights: Arena, table: Arena) -> dict[int, int]:
    wraps = ends.largest is None or int(node.magnitude.max(initial=0)) * ends.largest >= NARROW
    columns = {c.WRAPS: int(wraps)}
    outs, inner, height, width = node.kernel.shape
    group = outs // node.groups
    fused = node.groups == 1 and node.dilation[1] == 1
    # Pieces of few sums cost more than single weights do, as of a depthwise convolution.
    scattered = not fused and group < SHORT and ends.sender.size * height * width * group <= LARGEST
    if scattered or (ends.sender_map, ends.hearer_map) != (node.in_shape, node.out_shape):
        return columns | _as_matrix(node, ends, weights, table)
    # (C_out, C_in / groups, KH, KW) to (C_in, KH, KW, C_out / groups)
    own = node.kernel.reshape(node.groups, group, inner, height, width).transpose(0, 2, 3, 4, 1)
    own = own.reshape(node.in_shape[0], height, width, group)
    if fused:
        # Columns that an event reaches with a stride s are congruent modulo s, and the last of them lies leftmost.
        own = own[:, :, [column for phase in range(node.stride[1]) for column in _phase(phase, width, node.stride[1])]]
    pieces = _fused_pieces(node) if fused else _pieces(node)
    return columns | {
        c.LAYOUT: c.CONV, c.WEIGHTS: weights.add(np.ascontiguousarray(own)), c.TABLE: table.add(_downs(node)),
        c.CHANNELS: node.in_shape[0], c.EACH: inner, c.WIDTH: node.in_shape[2], c.OUT_CHANNELS: group, c.ROWS: height,
        c.KERNEL: height * width * group, c.KERNEL_ROW: width * group, c.ACROSS: table.add(pieces),
        c.PIECES: pieces.shape[1]}


def _phase(phase: int, width: int, stride: int) -> list[int]:
    """The kernel's columns that are congruent to `phase`, from the last to the first."""
    return list(range(phase, width, stride))[::-1]


def _downs(node: ConvSynapse) -> Array:
    """For each row of the map and of the kernel where the row of sums begins that they reach, or -1; (H, KH)."""
    rows, kernel = np.arange(node.in_shape[1])[:, None], np.arange(node.kernel.shape[2])
    down, rest = np.divmod(rows + node.padding[0] - kernel * node.dilation[0], node.stride[0])
    hit = (rest == 0) & (down >= 0) & (down < node.out_shape[1])
    return np.where(hit, down * node.out_shape[2] * node.out_shape[0], -1)


def _pieces(node: ConvSynapse) -> Array:
    """A piece for each column of the map and of the kernel, (W, KW, 3): first weight, first sum, number of sums."""
    group, outs = node.kernel.shape[0] // node.groups, node.out_shape[0]
    columns, kernel = np.arange(node.in_shape[2])[:, None], np.arange(node.kernel.shape[3])
    across, rest = np.divmod(columns + node.padding[1] - kernel * node.dilation[1], node.stride[1])
    hit = (rest == 0) & (across >= 0) & (across < node.out_shape[2])
    return np.stack([np.broadcast_to(kernel * group, hit.shape), np.where(hit, across * outs, 0), hit * group], axis=2)


def _fused_pieces(node: ConvSynapse) -> Array:
    """One piece for each column of the map, (W, 1, 3)."""
    outs, stride, width = node.out_shape[0], node.stride[1], node.kernel.shape[3]
    begins = np.cumsum([0, *(len(_phase(phase, width, stride)) for phase in range(stride))])
    right, phase = np.divmod(np.arange(node.in_shape[2]) + node.padding[1], stride)
    left = right - np.diff(begins)[phase] + 1
    first, last = np.maximum(left, 0), np.minimum(right, node.out_shape[2] - 1)
    length = np.maximum(last - first + 1, 0)
    slot = begins[phase] + first - left
    return np.where(length > 0, np.stack([slot * outs, first * outs, length * outs]), 0).T[:, None]


def _as_matrix(node: ConvSynapse, ends: Ends, weights: Arena, table: Arena) -> dict[int, int]:
    """A convolution between cells that lie otherwise, as a sparse matrix."""
    linear = linear_of(node)
    if linear is None:
        raise UnsuitableError(f"{node.op} has no matrix")
    matrix = linear.to_csr()
    like = SparseSynapse(origins=node.origins, in_shape=node.in_shape, out_shape=node.out_shape,
                         data=np.rint(matrix.data).astype(np.int64), indices=matrix.indices, indptr=matrix.indptr)
    return _sparse(like, ends, weights, table)
