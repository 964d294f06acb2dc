"""Figures: what each core of a partition holds and does, and how long a step takes by the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from loihic.ir.node import Array
from loihic.partition.model import Partition
from loihic.partition.overlap import slice_overlaps
from loihic.partition.population import COLUMNS, Network
from loihic.partition.resources import AXON_MEM, MEMORIES, POOL, capacities, durations


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Per core, in the order of the partition's cores.

    Attributes:
        memory: words, (cores, MEMORIES).
        work: events per step, (cores, WORK).
        seconds: that each core computes in a step: the longest of what its updates, operations and reads take.
        capacities: of a core, in the order of `MEMORIES`.
    """

    memory: Array
    work: Array
    seconds: Array
    capacities: Array

    @property
    def exceeded(self) -> Array:
        """(cores, MEMORIES) whether a memory holds more than it can."""
        return np.asarray(self.memory > self.capacities)


def uses(network: Network, partition: Partition) -> Iterator[tuple[str, int, Array]]:
    """What slices take, by population and core, to be added up: words of `MEMORIES`, then events of `WORK` per step."""
    for core, fragments in enumerate(partition.cores):
        for one in fragments:
            population = network.population(one.population, partition.layouts[one.population])
            taken = population.use(one.start, np.array([one.stop]))[0]
            taken[POOL] -= taken[AXON_MEM]  # that was foreseen; what it came to follows
            taken[AXON_MEM] = 0.0
            yield one.population, core, taken
    for name, core, words, _ in slice_overlaps(network.connections, partition):
        overlap = np.zeros(COLUMNS)
        overlap[[AXON_MEM, POOL]] = words
        yield name, core, overlap


def figures(network: Network, partition: Partition) -> Figures:
    """What each core holds and does.

    The time follows Timcheck, Pierro and Shrestha, arXiv:2601.10035: the parts of a core work side by side, so that a
    step takes as long as the busiest part of the busiest core.

    Args:
        network: with rates.
        partition: of its populations.
    """
    use = np.zeros((len(partition.cores), COLUMNS))
    for _, core, taken in uses(network, partition):
        use[core] += taken
    work = use[:, len(MEMORIES) :]
    return Figures(memory=use[:, : len(MEMORIES)], work=work, capacities=capacities(network.limits),
                   seconds=np.max(work * durations(network.limits), axis=1, initial=0.0))
