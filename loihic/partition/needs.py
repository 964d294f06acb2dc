"""Needs: what a slice of a population takes of its core through one synapse group.

All are functions of a slice [start, stop) of the population's layout, for several stops at once, so that a search for
the longest slice that fits takes few calls.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from loihic.ir.linear import convolve
from loihic.ir.node import Array
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import Synapse
from loihic.partition.layout import Layout, as_map
from loihic.partition.words import INDEX_BITS, WORD_BITS, column_words, entry_words, stored_bits

SORTED_BELOW = 8  # a slice with fewer weights than an eighth of the axons is counted by sorting, not in a table
COUNTED = (8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048)  # neurons of the blocks that a lower bound counts
LARGEST_COUNTED = 1_200_000  # weights of a matrix, at most, whose blocks are counted


@dataclass(frozen=True, kw_only=True)
class Need(ABC):
    """One synapse group into a population.

    Attributes:
        layout: of the population.
        bits: stored per weight.
        delay_bits: beside every weight, for a delay.
        events: messages per step from each source element, flat.
    """

    layout: Layout
    bits: int
    delay_bits: int
    events: Array

    @abstractmethod
    def memory(self, start: int, stops: Array) -> tuple[Array, Array]:
        """Words of synaptic memory, and axons in, of the slices [start, stop) for each of `stops`."""

    @abstractmethod
    def work(self, start: int, stops: Array) -> tuple[Array, Array]:
        """Synaptic operations and words read, per step."""

    @abstractmethod
    def least(self, sizes: Array) -> tuple[Array, Array]:
        """Words and axons in that slices of so many neurons take at the very least, on average over the population."""


@dataclass(frozen=True, kw_only=True)
class DenseNeed(Need):
    """A full matrix: every axon has an entry for every neuron of the slice."""

    @cached_property
    def total(self) -> float:
        """Messages per step."""
        return float(self.events.sum())

    def per_axon(self, sizes: Array) -> Array:
        """Words that one axon takes for so many neurons."""
        return entry_words(sizes, self.bits, self.delay_bits)

    def memory(self, start: int, stops: Array) -> tuple[Array, Array]:
        return self.least(stops - start)

    def work(self, start: int, stops: Array) -> tuple[Array, Array]:
        sizes = stops - start
        return self.total * sizes, self.total * self.per_axon(sizes)

    def least(self, sizes: Array) -> tuple[Array, Array]:
        return self.events.size * self.per_axon(sizes), np.full(sizes.shape, float(self.events.size))


@dataclass(frozen=True, kw_only=True)
class SharedNeed(Need):
    """One weight for all, each neuron with an axon of its own: a convolution of one pixel and one channel."""

    @cached_property
    def sums(self) -> Array:
        """Messages per step up to each position."""
        return _sums(self.events[self.layout.flat(np.arange(self.layout.size))])

    def memory(self, start: int, stops: Array) -> tuple[Array, Array]:
        return self.least(stops - start)

    def work(self, start: int, stops: Array) -> tuple[Array, Array]:
        operations = self.sums[stops] - self.sums[start]
        return operations, operations

    def least(self, sizes: Array) -> tuple[Array, Array]:
        return np.full(sizes.shape, float(column_words(1, self.bits, self.delay_bits))), np.ones(sizes.shape)


@dataclass(frozen=True, kw_only=True)
class ConvNeed(Need):
    """A kernel, kept whole for the channels of the slice; slices are of whole pixels of one group of channels."""

    synapse: ConvSynapse

    @cached_property
    def taps(self) -> Array:
        """Sums over pixels of the messages that reach a pixel, per group of the convolution: (groups, pixels + 1)."""
        node = self.synapse
        channels, height, width = as_map(node.in_shape)
        events = self.events.reshape(node.groups, channels // node.groups, height, width).sum(axis=1)
        ones = np.ones((node.groups, 1, *node.kernel.shape[2:]))
        pads = ((node.padding[0],) * 2, (node.padding[1],) * 2)
        found = convolve(events[None], ones, node.stride, pads, node.dilation, node.groups)[0].reshape(node.groups, -1)
        plane = Layout(shape=(1, *as_map(node.out_shape)[1:]), channels=1, tile=self.layout.tile)
        return np.stack([_sums(row[plane.flat(np.arange(plane.size))]) for row in found])

    @cached_property
    def per_group(self) -> int:
        """Output channels of a group of the convolution."""
        return int(self.synapse.kernel.shape[0]) // self.synapse.groups

    def kernel_words(self, first: int, end: int) -> tuple[int, list[tuple[int, int, int]]]:
        """Words of the kernel for the channels [first, end); the groups that they are of, with channels and words."""
        if (first, end) not in self._kernel_words:
            self._kernel_words[first, end] = self._count_words(first, end)
        return self._kernel_words[first, end]

    @cached_property
    def _kernel_words(self) -> dict[tuple[int, int], tuple[int, list[tuple[int, int, int]]]]:
        return {}

    def _count_words(self, first: int, end: int) -> tuple[int, list[tuple[int, int, int]]]:
        _, group_in, height, width = self.synapse.kernel.shape
        parts = []
        for group in range(first // self.per_group, (end - 1) // self.per_group + 1):
            together = min(end, (group + 1) * self.per_group) - max(first, group * self.per_group)
            parts.append((group, together, column_words(together, self.bits, self.delay_bits)))
        return sum(words for _, _, words in parts) * int(group_in * height * width), parts

    def memory(self, start: int, stops: Array) -> tuple[Array, Array]:
        first, end, _ = self.layout.group_of(start)
        words, _ = self.kernel_words(first, end)
        return np.full(stops.shape, float(words)), np.full(stops.shape, float(self.phases))

    @cached_property
    def phases(self) -> int:
        """Axons in: one for each step of the stride along the axes on which the map is cut.

        Reproduces AxonIn of the five convolutions in the table of PilotNet (netx/pilotnet_snn), which are cut along x.
        """
        _, height, width = as_map(self.layout.shape)
        rows, columns = self.layout.tile
        (down, across) = self.synapse.stride
        return (down if rows < height else 1) * (across if columns < width else 1)

    def work(self, start: int, stops: Array) -> tuple[Array, Array]:
        first, end, base = self.layout.group_of(start)
        low = (start - base) // (end - first)
        high = np.minimum((stops - base) // (end - first), self.taps.shape[1] - 1)
        operations, reads = np.zeros(stops.shape), np.zeros(stops.shape)
        for group, together, words in self.kernel_words(first, end)[1]:
            taps = self.taps[group, high] - self.taps[group, low]
            operations += taps * together
            reads += taps * words
        return operations, reads

    def least(self, sizes: Array) -> tuple[Array, Array]:
        words, _ = self.kernel_words(*next(self.layout.groups())[:2])
        last = list(self.layout.groups())[-1] if self.layout.size else (0, 1, 0)
        return np.full(sizes.shape, float(min(words, self.kernel_words(*last[:2])[0]))), np.ones(sizes.shape)


@dataclass(frozen=True, kw_only=True)
class SparseNeed(Need):
    """A sparse matrix: each axon that reaches the slice has a header and an entry for every weight in it.

    Attributes:
        columns: source element of each weight, in the order of the layout.
        rows: where the weights of each position begin, and the end of the last.
    """

    columns: Array
    rows: Array

    @cached_property
    def sums(self) -> Array:
        """Synaptic operations per step up to each position."""
        return _sums(self.events[self.columns])[self.rows]

    def memory(self, start: int, stops: Array) -> tuple[Array, Array]:
        words, axons = np.empty(stops.shape), np.empty(stops.shape)
        for place, stop in enumerate(stops):
            _, fan_out = self._fan_out(start, int(stop))
            words[place], axons[place] = entry_words(fan_out, self.bits, self.delay_bits).sum(), fan_out.size
        return words, axons

    def work(self, start: int, stops: Array) -> tuple[Array, Array]:
        reads = np.empty(stops.shape)
        for place, stop in enumerate(stops):
            axons, fan_out = self._fan_out(start, int(stop))
            reads[place] = float(self.events[axons] @ entry_words(fan_out, self.bits, self.delay_bits))
        return self.sums[stops] - self.sums[start], reads

    def _fan_out(self, start: int, stop: int) -> tuple[Array, Array]:
        """The axons that reach a slice, and the weights that each has in it."""
        columns = self.columns[self.rows[start] : self.rows[stop]]
        if columns.size < self.events.size // SORTED_BELOW:
            axons, fan_out = np.unique(columns, return_counts=True)
            return axons, fan_out
        counts = np.bincount(columns, minlength=self.events.size)
        axons = np.flatnonzero(counts)
        return axons, counts[axons]

    def least(self, sizes: Array) -> tuple[Array, Array]:
        """As for all; for slices of this layout, which hold at least one whole block of two thirds of their size."""
        each = self.columns.size / max(self.layout.size, 1)
        words, axons = sizes * each * self._per_weight, sizes * 0.0
        for block, overhead, heard in self._blocks:
            whole = sizes >= block + block // 2 - 1  # wherever such a slice starts
            words = np.where(whole, sizes * each * self._per_weight + overhead, words)
            axons = np.where(whole, heard, axons)
        return words, axons

    @property
    def _per_weight(self) -> float:
        return (self.bits + INDEX_BITS + self.delay_bits) / WORD_BITS

    @cached_property
    def _blocks(self) -> list[tuple[int, float, float]]:
        """Blocks of some sizes, at every half of them: the least that one takes beyond its weights, and of axons."""
        found = []
        for block in COUNTED if self.columns.size <= LARGEST_COUNTED else ():
            starts = np.arange(0, self.layout.size - block + 1, block // 2)
            if starts.size == 0:
                break
            overhead, heard = np.inf, np.inf
            for start in starts.tolist():
                words, axons = self.memory(start, np.array([start + block]))
                weights = self.rows[start + block] - self.rows[start]
                overhead = min(overhead, float(words[0]) - float(weights) * self._per_weight)
                heard = min(heard, float(axons[0]))
            found.append((block, max(overhead, 0.0), heard))
        return found


def need_of(synapse: Synapse, layout: Layout, events: Array, bits: int, delay_bits: int, one_to_one: bool) -> Need:
    """What a synapse group takes.

    Args:
        synapse: the group.
        layout: of the population that it feeds.
        events: messages per step of each source element, flat.
        bits: that its integers need, see `group_bits`.
        delay_bits: bits beside every weight for a delay.
        one_to_one: see `is_one_to_one`.

    Raises:
        TypeError: a synapse of an unknown kind.
    """
    if isinstance(synapse, DenseSynapse):
        return DenseNeed(layout=layout, events=events, bits=bits, delay_bits=delay_bits)
    if isinstance(synapse, ConvSynapse):
        return ConvNeed(layout=layout, events=events, bits=bits, delay_bits=delay_bits, synapse=synapse)
    if one_to_one:
        return SharedNeed(layout=layout, events=events, bits=bits, delay_bits=delay_bits)
    if isinstance(synapse, SparseSynapse):
        columns, rows = _ordered(synapse, layout)
        return SparseNeed(layout=layout, events=events, bits=bits, delay_bits=delay_bits, columns=columns, rows=rows)
    raise TypeError(f"no rule for the words of a {type(synapse).__name__}")


def group_bits(synapse: Synapse) -> int:
    """Bits per weight that the integers of a group need."""
    mantissas = {DenseSynapse: "weights", ConvSynapse: "kernel", SparseSynapse: "data"}[type(synapse)]
    return stored_bits(getattr(synapse, mantissas), synapse.sign_mode)


def is_one_to_one(synapse: Synapse) -> bool:
    """Whether each neuron hears the source element of its own number, all through the same weight."""
    if not isinstance(synapse, SparseSynapse):
        return False
    count = prod(synapse.out_shape)
    return (synapse.data.size == count == prod(synapse.in_shape)
            and bool(np.all(synapse.data == synapse.data.flat[0]) if count else True)
            and np.array_equal(synapse.indices, np.arange(count))
            and np.array_equal(synapse.indptr, np.arange(count + 1)))


def _ordered(synapse: SparseSynapse, layout: Layout) -> tuple[Array, Array]:
    """Columns and row pointers of a matrix whose rows are put into the order of the layout."""
    order = layout.flat(np.arange(layout.size))
    if np.array_equal(order, np.arange(layout.size)):
        return synapse.indices, synapse.indptr
    counts = np.diff(synapse.indptr)[order]
    rows = np.concatenate([[0], np.cumsum(counts)])
    within = np.arange(rows[-1]) - np.repeat(rows[:-1], counts)
    return synapse.indices[np.repeat(synapse.indptr[:-1][order], counts) + within], rows


def _sums(values: Array) -> Array:
    """Cumulative sums, with the zero in front."""
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
