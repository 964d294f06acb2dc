"""Which layout: how many channels of a feature map lie together, and how wide the bands are that it is cut along."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, sqrt

import numpy as np

from loihic.ir.node import Array
from loihic.partition.greedy import DoesNotFitError, first_fit
from loihic.partition.layout import Layout, as_map
from loihic.partition.population import Network, Population

WORTH = 0.97  # channels are parted, so that pixels are heard on more cores, only for this share of slices or less
COMPARED = 5  # numbers of channels, at most, that are tried on the whole population
STRIP = 2.0  # a map is cut straight across while its shorter side is up to this many sides of a square slice


def choose_layout(network: Network, name: str, caps: Array) -> Population:
    """The population in the layout that needs fewest cores of its own.

    Args:
        network: that it is in.
        name: of the population.
        caps: of a core, memories and work, as `Population.use` counts them.

    Raises:
        DoesNotFitError: not even its first neuron fits an empty core, however it is laid out.
    """
    shape = network.graph.shapes[name]
    plain = network.population(name, Layout.plain(shape))
    trials: list[tuple[float, Population]] = []
    for channels in _groupings(as_map(shape)[0]) if plain.is_map else (plain.layout.channels,):
        trial = network.population(name, Layout(shape=shape, channels=channels, tile=plain.layout.tile))
        stop = trial.longest(0, caps)
        if stop or not trial.size:
            pixels = stop // channels if trial.is_map else 0
            # What a core of slices like the first would hold, in the memory that is fullest.
            whole = trial.use(0, np.array([stop]))[0] if stop else np.zeros(1)
            share = float(np.max(whole / caps[: whole.size]))
            cost = len(list(trial.layout.groups())) * ceil(trial.layout.pixels / max(pixels, 1)) * share
            trials.append((cost, network.population(name, _banded(trial.layout, pixels)) if trial.is_map else trial))
    if not trials:
        raise DoesNotFitError(name, trial.use(0, np.array([trial.grain(0)[0]]))[0])
    trials.sort(key=lambda one: (one[0], -one[1].layout.channels))
    return trials[0][1] if len(trials) == 1 else _fewest([trial for _, trial in trials[:COMPARED]], caps)


def _fewest(trials: list[Population], caps: Array) -> Population:
    """The layout that fills fewest cores when its population is alone; what is left of the last core counts."""
    best: tuple[float, Population] | None = None
    limited = np.isfinite(caps)
    for trial in sorted(trials, key=lambda one: -one.layout.channels):
        try:
            cores = first_fit([trial], caps)
        except DoesNotFitError:
            continue
        assert cores is not None  # nothing limits their number
        filled = len(cores.rooms) - float(np.min(cores.rooms[-1:, limited] / caps[limited], initial=1.0))
        if best is None or filled < WORTH * best[0]:
            best = filled, trial
    if best is None:
        raise DoesNotFitError(trials[0].name, trials[0].use(0, np.array([trials[0].grain(0)[0]]))[0])
    return best[1]


def _groupings(channels: int) -> Iterator[int]:
    """Channels per group for one group, two, three and so on, each number once; the largest first."""
    last, groups = 0, 1
    while last != 1 and channels:
        size = ceil(channels / groups)
        if size != last:
            yield size
        last = size
        groups = max(groups + 1, ceil(channels / max(size - 1, 1)))


def _banded(layout: Layout, pixels: int) -> Layout:
    """The layout cut along bands, so that slices of so many pixels have short edges."""
    _, height, width = as_map(layout.shape)
    side = sqrt(max(pixels, 1))
    if min(height, width) <= STRIP * side:
        return layout
    bands = max(1, round(height / side))
    return Layout(shape=layout.shape, channels=layout.channels, tile=(ceil(height / bands), 1))
