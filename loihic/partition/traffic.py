"""Traffic: which cores the messages of which go to, and how many per step.

A message is sent once for each synapse group that its neuron feeds, to all cores that hold weights for it. All axons of
a core that go to the same cores are one hyperedge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
from scipy import sparse

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.partition.connections import Connection, connections, read_by_host
from loihic.partition.layout import Layout, as_map
from loihic.partition.model import HOST, Partition, Slices, Traffic

Edges = Iterator[tuple[int, tuple[int, ...], float]]


def traffic(graph: HardwareGraph, partition: Partition, rates: Mapping[str, Array]) -> Traffic:
    """The messages between the cores of a partition.

    Args:
        graph: the timed hardware graph.
        partition: of its populations.
        rates: messages per step of each element of every population and Source, flat.
    """
    total: dict[tuple[int, tuple[int, ...]], float] = defaultdict(float)
    for connection in connections(graph):
        for source, targets, weight in _edges(connection, partition, rates[connection.source]):
            total[source, targets] += weight
    for name in read_by_host(graph):
        for source, weight in _by_core(partition, name, rates[name]):
            total[source, (HOST,)] += weight
    lengths = [len(targets) for _, targets in total]
    return Traffic(
        cores=len(partition.cores), source=np.array([source for source, _ in total], dtype=np.int64),
        weight=np.array(list(total.values()), dtype=np.float64),
        first=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
        targets=np.array([core for _, targets in total for core in targets], dtype=np.int64))


def _edges(connection: Connection, partition: Partition, rates: Array) -> Edges:
    """The hyperedges of one synapse group."""
    synapse = connection.synapse
    if isinstance(synapse, DenseSynapse):
        targets = tuple(np.unique(partition.slices[connection.target].core).tolist())
        for source, weight in _by_core(partition, connection.source, rates):
            yield source, targets, weight
        return
    labels, sets = (_conv_labels if isinstance(synapse, ConvSynapse) else _sparse_labels)(connection, partition)
    owners = _owners(partition, connection.source, rates.size)
    pairs = owners * np.int64(len(sets)) + labels
    found, place = np.unique(pairs, return_inverse=True)
    weights = np.bincount(place, weights=rates, minlength=found.size)
    for pair, weight in zip(found.tolist(), weights.tolist(), strict=True):
        source, label = divmod(pair, len(sets))
        if sets[label]:
            yield source, sets[label], weight


def _by_core(partition: Partition, name: str, rates: Array) -> Iterator[tuple[int, float]]:
    """What each core sends of a population's messages, and the host of a Source's."""
    owners = _owners(partition, name, rates.size)
    cores, place = np.unique(owners, return_inverse=True)
    yield from zip(cores.tolist(), np.bincount(place, weights=rates, minlength=cores.size).tolist(), strict=True)


def _owners(partition: Partition, name: str, size: int) -> Array:
    """The core of each element, in C order; HOST for a Source."""
    if name not in partition.layouts:
        return np.full(size, HOST, dtype=np.int64)
    slices, layout = partition.slices[name], partition.layouts[name]
    found = np.empty(size, dtype=np.int64)
    found[layout.flat(np.arange(size))] = np.repeat(slices.core, slices.stop - slices.start)
    return found


class _Sets:
    """Numbers for sets of cores, growing by one core at a time."""

    def __init__(self) -> None:
        self.sets: list[tuple[int, ...]] = [()]
        self._numbers: dict[tuple[int, ...], int] = {(): 0}

    def extended(self, labels: Array, core: int) -> Array:
        """The numbers of the sets `labels`, each with `core` in it."""
        old, place = np.unique(labels, return_inverse=True)
        return np.asarray([self._with(int(number), core) for number in old])[place].reshape(labels.shape)

    def _with(self, number: int, core: int) -> int:
        larger = self.sets[number]
        if core not in larger:
            larger = tuple(sorted((*larger, core)))
        if larger not in self._numbers:
            self._numbers[larger] = len(self.sets)
            self.sets.append(larger)
        return self._numbers[larger]


def _conv_labels(connection: Connection, partition: Partition) -> tuple[Array, list[tuple[int, ...]]]:
    """The set of cores that each source element reaches; boxes of the target, seen backwards through the kernel."""
    synapse = connection.synapse
    assert isinstance(synapse, ConvSynapse)
    channels = as_map(synapse.in_shape)[0]
    # With one group of channels all channels of a pixel go to the same cores.
    group_in, planes = (channels // synapse.groups, synapse.groups)
    labels = np.zeros((planes, *as_map(synapse.in_shape)[1:]), dtype=np.int64)
    sets = _Sets()
    slices, layout = partition.slices[connection.target], partition.layouts[connection.target]
    for core, low, high, ys, xs in _reached(slices, layout, synapse):
        here = np.ix_(np.arange(low, high), ys, xs)
        labels[here] = sets.extended(labels[here], core)
    return np.repeat(labels.reshape(planes, -1), group_in, axis=0).reshape(-1), sets.sets


def _reached(slices: Slices, layout: Layout, synapse: ConvSynapse) -> Iterator[tuple[int, int, int, Array, Array]]:
    """Per box of the target: its core; first group of the convolution, last, rows and columns of what it hears."""
    per_group = synapse.kernel.shape[0] // synapse.groups
    for start, stop, core in zip(slices.start.tolist(), slices.stop.tolist(), slices.core.tolist(), strict=True):
        for box in layout.boxes(start, stop):
            ys, xs = heard(box.rows, synapse, 0), heard(box.columns, synapse, 1)
            if ys.size and xs.size:
                yield core, box.channels[0] // per_group, (box.channels[1] - 1) // per_group + 1, ys, xs


def heard(span: tuple[int, int], synapse: ConvSynapse, axis: int) -> Array:
    """Source rows (axis 0) or columns (axis 1) under the kernel at any place of a span of the target."""
    places = np.arange(*span)[:, None] * synapse.stride[axis] - synapse.padding[axis]
    taps = np.arange(synapse.kernel.shape[2 + axis])[None] * synapse.dilation[axis]
    heard = np.unique(places + taps)
    return np.asarray(heard[(heard >= 0) & (heard < as_map(synapse.in_shape)[1 + axis])])


def _sparse_labels(connection: Connection, partition: Partition) -> tuple[Array, list[tuple[int, ...]]]:
    """The set of cores that each source element reaches through a sparse matrix."""
    synapse = connection.synapse
    assert isinstance(synapse, SparseSynapse)
    owners = _owners(partition, connection.target, len(synapse.indptr) - 1)
    size = int(np.prod(synapse.in_shape))
    rows = np.repeat(owners, np.diff(synapse.indptr))
    reach = sparse.csr_matrix((np.ones(rows.size, dtype=np.int8), (synapse.indices, rows)),
                              shape=(size, len(partition.cores)))
    reach.sum_duplicates()
    reach.sort_indices()
    numbers: dict[bytes, int] = {}
    sets: list[tuple[int, ...]] = []
    labels = np.empty(size, dtype=np.int64)
    for element in range(size):
        cores = reach.indices[reach.indptr[element] : reach.indptr[element + 1]]
        key = cores.tobytes()
        if key not in numbers:
            numbers[key] = len(sets)
            sets.append(tuple(cores.tolist()))
        labels[element] = numbers[key]
    return labels, sets
