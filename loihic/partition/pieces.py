"""Pieces: lower bounds of what a slice of a population takes, linear in its size, one for each range of sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loihic.ir.node import Array
from loihic.partition.layout import Layout, as_map
from loihic.partition.population import Network, Population
from loihic.partition.resources import AXON_MAP, MEMORIES, NEURONS, POOL


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Ranges of sizes that slices of one population may have. Between them they cover every size that fits a core.

    A slice of n neurons, `low` <= n <= `high`, takes at least `fixed` + `slope` (n - `low`).

    Attributes:
        low, high: sizes, (pieces,).
        fixed: words of each of `MEMORIES`, (pieces, MEMORIES).
        slope: words per further neuron, (MEMORIES,).
    """

    low: Array
    high: Array
    fixed: Array
    slope: Array


def pieces(network: Network, name: str, caps: Array, count: int) -> Pieces:
    """At most about `count` pieces for a population, whatever its layout."""
    shape = network.graph.shapes[name]
    plain = network.population(name, Layout.plain(shape))
    most = int(min(plain.size, caps[NEURONS] // plain.state_words))
    if most < 1:
        return Pieces(low=np.zeros(0), high=np.zeros(0), fixed=np.zeros((0, len(MEMORIES))),
                      slope=np.zeros(len(MEMORIES)))
    if plain.is_map:
        return _map_pieces(network, plain, most, caps, count)
    sizes = np.arange(1, most + 1)
    use = plain.least(sizes)
    fits = np.flatnonzero(np.all(use <= caps, axis=1))
    sizes, use = sizes[fits], use[fits]
    slope = _slope(plain)
    steps = np.flatnonzero(np.diff(use[:, POOL] - slope[POOL] * sizes, prepend=-1.0) > 1e-9)  # sizes that begin a word
    starts = steps[np.unique(np.linspace(0, steps.size - 1, count).astype(np.int64))] if steps.size else steps
    return Pieces(low=sizes[starts], high=np.append(sizes[starts[1:] - 1], sizes[-1:]), fixed=use[starts], slope=slope)


def _map_pieces(network: Network, plain: Population, most: int, caps: Array, count: int) -> Pieces:
    """The same where a kernel is shared: its words depend on the channels, which limit the size."""
    shape = plain.layout.shape
    channels, height, width = as_map(shape)
    uses, highs = [], []
    for together in range(1, channels + 1):
        grouped = network.population(plain.name, Layout(shape=shape, channels=together, tile=plain.layout.tile))
        use = grouped.least(np.array([1]))[0]
        if np.all(use <= caps):
            uses.append(use)
            highs.append(min(together * height * width, most))
    if not uses:
        return Pieces(low=np.zeros(0), high=np.zeros(0), fixed=np.zeros((0, len(MEMORIES))), slope=_slope(plain))
    # Of neighbouring numbers of channels the least words and the greatest size stand for all.
    groups = np.array_split(np.arange(len(uses)), min(count, len(uses)))
    return Pieces(low=np.ones(len(groups)), high=np.array([highs[group[-1]] for group in groups], dtype=np.float64),
                  fixed=np.stack([np.min([uses[i] for i in group], axis=0) for group in groups]), slope=_slope(plain))


def _slope(population: Population) -> Array:
    """Words that each further neuron takes for its state and its axons out."""
    slope = np.zeros(len(MEMORIES))
    slope[NEURONS] = population.state_words
    slope[AXON_MAP] = population.axons_out + population.convolved / max(as_map(population.layout.shape)[0], 1)
    slope[POOL] = slope[:POOL].sum()
    return slope
