"""Where every message goes, by brute force: each synapse written out, each target looked up.

A neuron sends one message per synapse group and Sink that hears it, to all cores at once that have a synapse from it.
A stored weight is a synapse, even if it is zero: of a full matrix all are stored, of a sparse one its entries, of a
convolution all that the window covers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise, product
from math import prod

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.delay_line import DelayLine
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.source import Sink, Source
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import Synapse
from loihic.partition.model import HOST, Partition, Traffic

Axon = tuple[str, int, str]  # Source or population, element in C order, synapse group or Sink
Hyperedge = tuple[int, frozenset[int]]


def synapses(node: Synapse) -> Iterator[tuple[int, int]]:
    """Source element and target neuron of every stored weight, both in C order."""
    if isinstance(node, DenseSynapse):
        yield from product(range(node.weights.shape[1]), range(node.weights.shape[0]))
    elif isinstance(node, SparseSynapse):
        for target in range(prod(node.out_shape)):
            for entry in range(node.indptr[target], node.indptr[target + 1]):
                yield int(node.indices[entry]), target
    elif isinstance(node, ConvSynapse):
        yield from _windows(node)
    else:
        raise TypeError(f"no rule for a {type(node).__name__}")


def _windows(node: ConvSynapse) -> Iterator[tuple[int, int]]:
    """Every tap of every target's window that lies on the map."""
    _, height, width = node.in_shape
    outputs, inputs, kernel_rows, kernel_columns = node.kernel.shape
    for target, (channel, y, x) in enumerate(np.ndindex(*node.out_shape)):
        first = channel // (outputs // node.groups) * inputs
        for i, ky, kx in np.ndindex(inputs, kernel_rows, kernel_columns):
            row = y * node.stride[0] + ky * node.dilation[0] - node.padding[0]
            column = x * node.stride[1] + kx * node.dilation[1] - node.padding[1]
            if 0 <= row < height and 0 <= column < width:
                yield ((first + i) * height + row) * width + column, target


def reached(graph: HardwareGraph, partition: Partition) -> dict[Axon, frozenset[int]]:
    """The cores that the messages of every element go to, per synapse group or Sink; none where nothing hears it."""
    found: dict[Axon, set[int]] = defaultdict(set)
    for name, node in graph.nodes.items():
        if isinstance(node, Sink):
            for element in range(prod(node.shape)):
                found[_sender(graph, name), element, name].add(HOST)
        elif isinstance(node, Synapse):
            (out,) = graph.outgoing[name]
            cores = _cores(partition, out.dst)
            for element, target in synapses(node):
                found[_sender(graph, name), element, name].add(cores[target])
    return {axon: frozenset(cores) for axon, cores in found.items()}


def hyperedges(graph: HardwareGraph, partition: Partition, rates: Mapping[str, np.ndarray]) -> dict[Hyperedge, float]:
    """Messages per step by sending core and set of receiving ones, for `rates` per element of what sends."""
    total: dict[Hyperedge, float] = defaultdict(float)
    senders = {name: [HOST] * prod(node.shape) if isinstance(node, Source) else _cores(partition, name)
               for name, node in graph.nodes.items() if isinstance(node, Source | Compartment)}
    for (name, element, _), cores in reached(graph, partition).items():
        total[senders[name][element], cores] += float(rates[name].reshape(-1)[element])
    return dict(total)


def as_hyperedges(traffic: Traffic) -> dict[Hyperedge, float]:
    """The same of a `Traffic`.

    Raises:
        ValueError: two hyperedges are alike, one goes nowhere or twice to the same core, or their ends do not fit.
    """
    ends = np.asarray(traffic.first).tolist()
    if len(ends) != len(traffic.source) + 1 or ends[0] != 0 or ends[-1] != len(traffic.targets):
        raise ValueError("the targets of some hyperedge begin nowhere")
    found: dict[Hyperedge, float] = {}
    for edge, (start, stop) in enumerate(pairwise(ends)):
        targets = np.asarray(traffic.targets)[start:stop].tolist()
        key = int(traffic.source[edge]), frozenset(targets)
        if not targets or len(set(targets)) != len(targets):
            raise ValueError(f"hyperedge {edge} goes to {targets}")
        if key in found:
            raise ValueError(f"hyperedge {edge} is there twice: {key}")
        found[key] = float(traffic.weight[edge])
    return found


def pairs(edges: Mapping[Hyperedge, float]) -> dict[tuple[int, int], float]:
    """Messages by sending and receiving core: a message to several cores counts at each."""
    found: dict[tuple[int, int], float] = defaultdict(float)
    for (source, targets), weight in edges.items():
        for target in targets:
            found[source, target] += weight
    return dict(found)


def _cores(partition: Partition, population: str) -> list[int]:
    """The core of every neuron, in C order."""
    layout = partition.layouts[population]
    found = [-2] * layout.size
    for core, fragments in enumerate(partition.cores):
        for fragment in fragments:
            if fragment.population == population:
                for neuron in layout.flat(np.arange(fragment.start, fragment.stop)).tolist():
                    found[neuron] = core
    return found


def _sender(graph: HardwareGraph, name: str) -> str:
    """The Source or population that a synapse or Sink hears, however many delay lines lie between."""
    source = graph.incoming[name][0].src
    return _sender(graph, source) if isinstance(graph.nodes[source], DelayLine) else source
