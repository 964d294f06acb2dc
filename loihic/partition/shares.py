"""Shares: what each population takes of the cores that it lies on, which it may share with others."""

from __future__ import annotations

import numpy as np

from loihic.ir.node import Array
from loihic.partition.overlap import overlap_words
from loihic.partition.plan import Plan
from loihic.partition.population import COLUMNS, Network
from loihic.partition.resources import AXON_MEM, POOL


def shares(plan: Plan) -> dict[str, Array]:
    """Per population, (COLUMNS,): words of each of `MEMORIES`, then events per step of each kind of `WORK`.

    The sum over all populations is the sum over all cores of `Plan.figures`.
    """
    network = Network(graph=plan.graph, limits=plan.system.limits, rates=plan.rates)
    found = {name: np.zeros(COLUMNS) for name in plan.partition.layouts}
    for fragments in plan.partition.cores:
        for one in fragments:
            population = network.population(one.population, plan.partition.layouts[one.population])
            found[one.population] += population.use(one.start, np.array([one.stop]))[0]
    words = overlap_words(network.connections, plan.partition)
    for name, use in found.items():
        overlap = _overlap(plan, name, words[name]) if name in words else 0.0
        use[POOL] += overlap - use[AXON_MEM]
        use[AXON_MEM] = overlap
    return found


def _overlap(plan: Plan, name: str, words: Array) -> float:
    """Words of axon memory of one population, from those of each of its pixels: once for every slice with the pixel."""
    layout, slices = plan.partition.layouts[name], plan.partition.slices[name]
    return sum(float(words[np.unique(layout.flat(np.arange(start, stop)) % layout.pixels)].sum())
               for start, stop in zip(slices.start.tolist(), slices.stop.tolist(), strict=True))
