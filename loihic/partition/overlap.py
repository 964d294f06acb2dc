"""Overlap: the axon memory of pixels that several tiles of a feature map hear.

An axon to one core, or to cores that share the neurons behind it, needs none: Intel's compiler prints AxonMem 0 where
2560 neurons reach 12 cores. Where a convolution's tiles overlap it prints some. Six words for each further tile that
hears a pixel come within 5 % of two of the five figures printed for PilotNet (netx/pilotnet_snn), and are 0.4, 1.2 and
1.8 times the other three; the rule is not public. `benchmarks/partition/intel.py` prints them side by side.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from loihic.ir.node import Array
from loihic.ops.conv_synapse import ConvSynapse
from loihic.partition.connections import Connection
from loihic.partition.layout import as_map
from loihic.partition.model import Partition
from loihic.partition.traffic import heard

WORDS_PER_TILE = 6


def overlap_words(connections: tuple[Connection, ...], partition: Partition) -> dict[str, Array]:
    """Words of axon memory per pixel of every population that a convolution hears, (H * W,)."""
    found: dict[str, Array] = {}
    for connection in connections:
        node = connection.synapse
        source = partition.layouts.get(connection.source)
        if isinstance(node, ConvSynapse) and source is not None and as_map(source.shape) == as_map(node.in_shape):
            further = np.maximum(_tiles(node, connection.target, partition) - 1, 0).reshape(-1)
            found[connection.source] = found.get(connection.source, 0) + WORDS_PER_TILE * further
    return found


def _tiles(node: ConvSynapse, target: str, partition: Partition) -> Array:
    """How many tiles hear each pixel (H, W); tiles of the same pixels and other channels are one."""
    layout, slices = partition.layouts[target], partition.slices[target]
    counts = np.zeros(as_map(node.in_shape)[1:], dtype=np.int64)
    seen = set()
    for start, stop in zip(slices.start.tolist(), slices.stop.tolist(), strict=True):
        boxes = layout.boxes(start, stop)
        pixels = tuple((box.rows, box.columns) for box in boxes)
        if pixels in seen:
            continue
        seen.add(pixels)
        hears = np.zeros(counts.shape, dtype=bool)
        for rows, columns in pixels:
            hears[np.ix_(heard(rows, node, 0), heard(columns, node, 1))] = True
        counts += hears
    return counts


def slice_overlaps(connections: tuple[Connection, ...], partition: Partition) -> Iterator[tuple[str, int, float, int]]:
    """Per slice that any convolution hears: population, core, words of axon memory, and pixels."""
    for name, words in overlap_words(connections, partition).items():
        layout, slices = partition.layouts[name], partition.slices[name]
        for start, stop, core in zip(slices.start.tolist(), slices.stop.tolist(), slices.core.tolist(), strict=True):
            pixels = np.unique(layout.flat(np.arange(start, stop)) % layout.pixels)
            yield name, core, float(words[pixels].sum()), pixels.size
