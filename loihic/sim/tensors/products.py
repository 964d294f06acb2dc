"""Weights times messages for many rows at once, exactly: see `loihic.sim.tensors.exact` for when that is so."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import prod

import numpy as np
import torch
from torch import Tensor

from loihic.ir.node import Array
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import Synapse
from loihic.quant.fixed import STATE_LIMIT
from loihic.sim.tensors.bounds import heaviest_row
from loihic.sim.tensors.exact import DOUBLE_LIMIT, SINGLE_LIMIT, WORD, wrapped_24, wrapped_32

FULL_UP_TO = 1 << 18  # elements: a sparse matrix no larger is kept as a full one, whose product is quicker
FULL_FROM = 0.05  # share of non-zeros from which that holds for any size
COLUMN_BYTES = {"cpu": 1 << 24, "cuda": 1 << 29}  # of the unfolded input of a convolution, at a time


class Product(ABC):
    """What a synapse delivers for rows of messages.

    Args:
        node: the synapse.
        heard: largest magnitude of a message, as the synapse takes it.
        device: where the weights lie.

    Attributes:
        binary: whether messages are zeros and ones already; else a synapse for spikes makes them so.
    """

    def __init__(self, node: Synapse, heard: int, device: torch.device) -> None:
        self.node, self.heard, self.device = node, heard, device
        self.binary = False
        self.row = heaviest_row(node)
        self.bound = self.row * heard
        self.dtype = torch.float32 if self.bound <= SINGLE_LIMIT else torch.float64
        self.wraps = self.bound >= (STATE_LIMIT if isinstance(node, ConvSynapse) else WORD)

    @abstractmethod
    def multiply(self, message: Tensor) -> Tensor:
        """Sums (rows, n_out) for messages (rows, n_in), both of `dtype`."""

    def __call__(self, message: Tensor) -> Tensor:
        """What is delivered, whole numbers as floats (rows, n_out), for messages (rows, n_in) of any type."""
        exponent = self.node.exponent
        if self.node.message_bits == 0 and not self.binary:
            message = message != 0
        sums = self._in_parts(message) if self.bound > DOUBLE_LIMIT else self.multiply(message.to(self.dtype))
        if self.wraps:
            whole = wrapped_32(sums.to(torch.int64))
            if isinstance(self.node, ConvSynapse):
                whole = wrapped_24(whole)
            return (whole << exponent if exponent > 0 else whole >> -exponent).to(torch.float64)
        if exponent > 0:
            return sums.mul_(float(1 << exponent))
        return sums.mul_(2.0**exponent).floor_() if exponent < 0 else sums

    def _in_parts(self, message: Tensor) -> Tensor:
        """Sums of messages that are too large for float64, int64, right in their low 32 bits.

        Only these bits of a message tell on these bits of a sum; and if even they are too many, they go in two halves.
        """
        low = wrapped_32(message.to(torch.int64))
        if self.row * WORD <= DOUBLE_LIMIT:
            return self.multiply(low.to(torch.float64)).to(torch.int64)
        upper, lower = low >> 16, low & 0xFFFF
        sums = [self.multiply(part.to(torch.float64)).to(torch.int64) for part in (upper, lower)]
        return (wrapped_32(sums[0]) << 16) + sums[1]

    def _tensor(self, values: Array) -> Tensor:
        return torch.from_numpy(np.array(values, dtype=np.float64)).to(self.device, self.dtype)


class DenseProduct(Product):
    """By a full matrix."""

    def __init__(self, node: Synapse, heard: int, device: torch.device, matrix: Array) -> None:
        super().__init__(node, heard, device)
        self.weights = self._tensor(matrix)

    def multiply(self, message: Tensor) -> Tensor:
        return message @ self.weights.t()


class SparseProduct(Product):
    """By a sparse matrix, as triples: torch calls its row-wise forms a beta, and has no product of them everywhere."""

    def __init__(self, node: SparseSynapse, heard: int, device: torch.device) -> None:
        super().__init__(node, heard, device)
        matrix = node.matrix()
        matrix.sum_duplicates()
        triples = matrix.tocoo()
        places = torch.from_numpy(np.stack([triples.row, triples.col]).astype(np.int64))
        self.weights = torch.sparse_coo_tensor(places.to(device), self._tensor(triples.data), matrix.shape,
                                               check_invariants=False, is_coalesced=True)

    def multiply(self, message: Tensor) -> Tensor:
        sums: Tensor = torch.sparse.mm(self.weights, message.t().contiguous())
        return sums.t().contiguous()


class ConvProduct(Product):
    """By a kernel, as a matrix product of the unfolded input.

    No `conv2d`: cuDNN and oneDNN choose among algorithms that transform kernel and input first (Winograd, FFT), and
    what these compute is not exact for whole numbers. `torch.nn.functional.unfold` takes one sample after another.
    """

    def __init__(self, node: ConvSynapse, heard: int, device: torch.device) -> None:
        super().__init__(node, heard, device)
        self.conv = node
        self.kernel = self._tensor(node.kernel).reshape(node.groups, node.kernel.shape[0] // node.groups, -1)
        places = node.out_shape[1] * node.out_shape[2]
        row = node.in_shape[0] * prod(node.kernel.shape[2:]) * places * self.kernel.element_size()
        self.rows = max(COLUMN_BYTES.get(device.type, 1 << 24) // max(row, 1), 1)

    def multiply(self, message: Tensor) -> Tensor:
        number = len(message)
        if number <= self.rows:
            return self._convolved(message)
        sums = message.new_empty((number, prod(self.node.out_shape)))
        for first in range(0, number, self.rows):
            sums[first : first + self.rows] = self._convolved(message[first : first + self.rows])
        return sums

    def _convolved(self, message: Tensor) -> Tensor:
        node, rows = self.conv, len(message)
        (down, across), (dy, dx) = node.padding, node.dilation
        padded = torch.nn.functional.pad(message.reshape(rows, *node.in_shape), (across, across, down, down))
        sample, channel, line, pixel = padded.contiguous().stride()
        (_, out_h, out_w), (kernel_h, kernel_w) = node.out_shape, node.kernel.shape[2:]
        windows = padded.contiguous().as_strided(
            (node.in_shape[0], kernel_h, kernel_w, rows, out_h, out_w),
            (channel, line * dy, pixel * dx, sample, line * node.stride[0], pixel * node.stride[1]))
        columns = windows.reshape(node.groups, -1, rows * out_h * out_w)
        sums = torch.bmm(self.kernel, columns).view(*self.kernel.shape[:2], rows, out_h * out_w)
        return sums.permute(2, 0, 1, 3).reshape(rows, -1)


def product(node: Synapse, heard: int, device: torch.device) -> Product:
    """The product of a synapse whose messages have magnitudes up to `heard`."""
    if isinstance(node, DenseSynapse):
        return DenseProduct(node, heard, device, node.weights)
    if isinstance(node, SparseSynapse):
        size = prod(node.out_shape) * prod(node.in_shape)
        if size <= FULL_UP_TO or len(node.data) >= FULL_FROM * size:
            return DenseProduct(node, heard, device, node.matrix().toarray())
        return SparseProduct(node, heard, device)
    if isinstance(node, ConvSynapse):
        return ConvProduct(node, heard, device)
    raise TypeError(f"no product for {node.op}")
