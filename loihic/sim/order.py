"""The order of things: of elements within a cell, and of cells within a step."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter
from math import prod

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array, Shape
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.delay_line import DelayLine
from loihic.ops.synapse import Synapse


def channels_last(shape: Shape) -> Array:
    """For each element of a map (C, H, W), laid out as (H, W, C), its place in the flat (C, H, W) array."""
    return np.arange(prod(shape)).reshape(shape).transpose(1, 2, 0).reshape(-1)


def layouts(graph: HardwareGraph, cells: Mapping[str, int]) -> dict[str, Shape]:
    """The (C, H, W) of the cells that lie channels last: those that convolutions reach, whose sums are then contiguous.

    A cell between convolutions that see it in different shapes has that of the first; a line lies as what it delays.
    """
    origins = {name: _origin(graph, name) for name in cells}
    found: dict[str, Shape] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, ConvSynapse):
            found.setdefault(graph.outgoing[name][0].dst, node.out_shape)
            found.setdefault(origins[graph.incoming[name][0].src], node.in_shape)
    return {name: found[origin] for name, origin in origins.items() if origin in found}


def _origin(graph: HardwareGraph, name: str) -> str:
    """What a cell sends on: itself, or what is before lines."""
    while isinstance(graph.nodes[name], DelayLine):
        name = graph.incoming[name][0].src
    return name


def groups(graph: HardwareGraph, cells: Mapping[str, int]) -> list[list[str]]:
    """Cells in an order in which each hears only earlier ones; those of a loop are one group."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pairs = [(cells[sender], cells[name]) for name in cells for sender in senders(graph, name)]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    links = coo_matrix((np.ones(len(pairs)), (rows, columns)), shape=(len(cells), len(cells)))
    number, label = connected_components(links, directed=True, connection="strong")
    sorter: TopologicalSorter[int] = TopologicalSorter({int(one): () for one in range(number)})
    for sender, hearer in pairs:
        if label[sender] != label[hearer]:
            sorter.add(int(label[hearer]), int(label[sender]))
    members: dict[int, list[str]] = {}
    for name, cell in cells.items():
        members.setdefault(int(label[cell]), []).append(name)
    return [members[one] for one in sorter.static_order()]


def senders(graph: HardwareGraph, name: str) -> list[str]:
    """The cells that a cell hears, through synapses or directly."""
    return [graph.incoming[edge.src][0].src if isinstance(graph.nodes[edge.src], Synapse) else edge.src
            for edge in graph.incoming[name]]
