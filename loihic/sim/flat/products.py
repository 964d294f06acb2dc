"""Dense traffic: the sums of a synapse over all rows of a stretch at once, as one product in floating point.

Where most elements send, a product in BLAS beats adding up event by event. It is exact as long as no partial sum
leaves the whole numbers that the floats can tell apart: the sum of absolute weights times the greatest message bounds
them all, in whatever order they are added.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.quant.fixed import shift_accumulated, wrap_bits
from loihic.sim.flat import columns as c
from loihic.sim.flat.tables import Tables

EXACT = ((np.float32, 1 << 24), (np.float64, 1 << 53))
COLUMNS_LIMIT = 1 << 24  # elements of the windows of a convolution that are laid out at once
# Nanoseconds on one core of 2023, see benchmarks/simulator/roofline.py; only what is faster depends on them.
PER_PIECE, PER_ADDITION = 8.0, 0.08
PER_PRODUCT, PER_MOVE = 0.03, 0.6


@dataclass(frozen=True)
class Product:
    """The sums of one synapse by a product.

    Attributes:
        synapse: the node.
        number: of the synapse in the tables.
        group: the group of cells that hears it.
        sender: the cell that it hears.
        tables: the program.
    """

    synapse: DenseSynapse | ConvSynapse
    number: int
    group: int
    sender: int
    tables: Tables

    @cached_property
    def matrices(self) -> dict[Any, Array]:
        """The weights (inputs, outputs) per type of float; of a convolution (KH * KW * C_in, C_out)."""
        return {}

    def matrix(self, dtype: Any) -> Array:
        """The weights in a type of float, in the kernels' order."""
        if dtype not in self.matrices:
            row = self.tables.synapses[self.number]
            if isinstance(self.synapse, ConvSynapse):
                outs = self.synapse.kernel.shape[0]
                own = self.synapse.kernel.transpose(2, 3, 1, 0).reshape(-1, outs)
            else:
                size = prod(self.synapse.in_shape), int(row[c.OUTPUTS])
                begin = int(row[c.WEIGHTS])
                own = self.tables.weights[begin : begin + prod(size)].reshape(size)
            self.matrices[dtype] = np.ascontiguousarray(own, dtype=dtype)
        return self.matrices[dtype]

    @cached_property
    def magnitude(self) -> int:
        """The greatest sum of absolute weights of an output."""
        return int(self.synapse.magnitude.max(initial=0))

    @cached_property
    def breakeven(self) -> float:
        """The number of events in a row from which the product is faster."""
        sizes = prod(self.synapse.in_shape), prod(self.synapse.out_shape)
        if isinstance(self.synapse, ConvSynapse):
            outs, inner, height, width = self.synapse.kernel.shape
            event = height * (PER_PIECE + width * outs * PER_ADDITION)
            windows = height * width * inner * sizes[1] / outs
            return float((windows * (outs * PER_PRODUCT + PER_MOVE) + sum(sizes) * PER_MOVE) / event)
        event = PER_PIECE / 2 + sizes[1] * PER_ADDITION
        return float((prod(sizes) * PER_PRODUCT + sum(sizes) * PER_MOVE) / event)

    def exact_type(self, largest: int) -> Any:
        """The type of float in which the product is exact for messages up to `largest`, or None."""
        bound = self.magnitude * max(largest, 1)
        return next((dtype for dtype, limit in EXACT if bound < limit), None)

    def sums(self, messages: Array) -> Array:
        """What the synapse delivers, (rows, outputs) int32, for messages (rows, inputs) of an exact type."""
        matrix = self.matrix(messages.dtype.type)
        convolves = isinstance(self.synapse, ConvSynapse)
        found = self._convolved(messages, matrix) if convolves else messages @ matrix
        wide = found.dtype == np.float64
        whole = found.astype(np.int64 if wide else np.int32)
        row = self.tables.synapses[self.number]
        if row[c.WRAPS]:
            whole = wrap_bits(whole, 24)
        elif wide:
            whole = wrap_bits(whole, 32)
        return shift_accumulated(whole, self.synapse.exponent) if self.synapse.exponent else whole

    def _convolved(self, messages: Array, matrix: Array) -> Array:
        node = self.synapse
        assert isinstance(node, ConvSynapse)
        channels, rows, columns = node.in_shape
        (_, height, width), (outs, _, *kernel) = node.out_shape, node.kernel.shape
        maps = messages.reshape(-1, rows, columns, channels)
        padded = np.pad(maps, ((0, 0), *((side, side) for side in node.padding), (0, 0)))
        span = tuple(spread * (size - 1) + 1 for spread, size in zip(node.dilation, kernel, strict=True))
        windows: Array = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(1, 2))  # type: ignore[call-overload]
        windows = windows[:, :: node.stride[0], :: node.stride[1], :, :: node.dilation[0], :: node.dilation[1]]
        windows = windows.transpose(0, 1, 2, 4, 5, 3)  # to kernel, then channels, as the weights lie
        found = np.empty((len(maps), height * width * outs), dtype=messages.dtype)
        each = max(1, COLUMNS_LIMIT // max(prod(windows.shape[1:]), 1))
        for first in range(0, len(maps), each):
            part = windows[first : first + each].reshape(-1, len(matrix))
            np.matmul(part, matrix, out=found[first : first + each].reshape(-1, outs))
        return found


def products(graph: HardwareGraph, tables: Tables) -> list[Product]:
    """The synapses in no loop whose sums can be found by a product, in the order of the groups that hear them."""
    group_of = np.searchsorted(tables.groups, np.arange(len(tables.cells)), side="right") - 1
    found = []
    for name, number in tables.synapse_of.items():
        node, hearer = graph.nodes[name], tables.cell_of[graph.outgoing[name][0].dst]
        sender = int(tables.synapses[number, c.SENDER])
        if group_of[sender] == group_of[hearer]:
            continue
        if isinstance(node, DenseSynapse) or (
                isinstance(node, ConvSynapse) and node.groups == 1 and tables.synapses[number, c.LAYOUT] == c.CONV):
            found.append(Product(node, number, int(group_of[hearer]), sender, tables))
    return sorted(found, key=lambda one: one.group)
