"""How many cores twenty networks take: the least possible, plain first fit in the network's order, and loihic.

Run as `python benchmarks/partition/cores.py [NAME ...]`.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
from networks import NETWORKS

from loihic.partition.activity import uniform_rates
from loihic.partition.greedy import first_fit
from loihic.partition.layouts import choose_layout
from loihic.partition.partitioner import Partitioner
from loihic.partition.population import Network
from loihic.passes.fan_in import with_relays
from loihic.targets.limits import chip_limits

EFFORT = 4  # for the bound, which a compilation is in more of a hurry about


def plain(partitioner: Partitioner) -> int:
    """Cores of first fit alone."""
    caps = np.concatenate([partitioner.capacities, np.full(3, np.inf)])
    network = partitioner.network
    cores = first_fit([choose_layout(network, name, caps) for name in network.into], caps)
    assert cores is not None
    return len(cores.fragments)


def own_cores(partitioner: Partitioner) -> int:
    """Cores if no two populations share one, as Intel's splitter has it."""
    caps = np.concatenate([partitioner.capacities, np.full(3, np.inf)])
    network = partitioner.network
    found = [first_fit([choose_layout(network, name, caps)], caps) for name in network.into]
    return sum(len(cores.fragments) for cores in found if cores is not None)


def main() -> None:
    """Print the table."""
    limits = chip_limits("loihi2")
    print("| network | neurons | bound | loihic | over the bound | first fit | unshared | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    ratios = []
    for name in sys.argv[1:] or NETWORKS:
        graph = with_relays(NETWORKS[name](), limits)
        partitioner = Partitioner(Network(graph=graph, limits=limits, rates=uniform_rates(graph, 0.1)), EFFORT)
        start = time.perf_counter()
        cut = partitioner.fewest
        seconds = time.perf_counter() - start
        cut.partition.check()
        neurons = sum(partitioner.network.sizes().values())
        ratios.append(cut.cores / partitioner.bound)
        print(f"| {name} | {neurons} | {partitioner.bound} | {cut.cores} | {ratios[-1] - 1:.1%} | "
              f"{plain(partitioner)} | {own_cores(partitioner)} | {seconds:.1f} |", flush=True)
    within = sum(ratio <= 1.1 for ratio in ratios)
    print(f"\n{sum(ratio == 1 for ratio in ratios)} proven best, {within} of {len(ratios)} within 10 %, "
          f"median {statistics.median(ratios) - 1:.1%} over the bound")


if __name__ == "__main__":
    main()
