"""How far messages travel in twenty networks: cores in their own order, along a curve, cut, and as loihic places them.

Run as `python benchmarks/partition/placement.py [NAME ...]`. Networks whose cores share one router are left out of the
medians: none of their messages travels at all. The column of `cut` is empty without mtkahypar.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import time
from collections.abc import Iterator
from math import ceil

from networks import NETWORKS

from loihic.partition.activity import uniform_rates
from loihic.partition.greedy import DoesNotFitError
from loihic.partition.model import Mesh, Traffic
from loihic.partition.partitioner import Partitioner
from loihic.partition.placement import place
from loihic.partition.population import Network
from loihic.partition.routing import cost
from loihic.partition.traffic import traffic
from loihic.passes.fan_in import with_relays
from loihic.targets.limits import chip_limits
from loihic.targets.systems import counted

RATE = 0.1  # messages per step of every neuron and input
METHODS = ("hilbert", "cut", "auto") if importlib.util.find_spec("mtkahypar") else ("hilbert", "auto")


def traffics(names: list[str]) -> Iterator[tuple[str, Traffic, Mesh]]:
    """The traffic of each network that fits, on as few cores as loihic finds, and the chips that those need."""
    limits = chip_limits("loihi2")
    for name in names:
        graph = with_relays(NETWORKS[name](), limits)
        rates = uniform_rates(graph, RATE)
        try:
            partition = Partitioner(Network(graph=graph, limits=limits, rates=rates)).fewest.partition
        except DoesNotFitError:
            print(f"{name} does not fit", file=sys.stderr)
            continue
        mesh = counted(limits, max(1, ceil(len(partition.cores) / limits.cores))).mesh()
        yield name, traffic(graph, partition, rates), mesh


def measured(messages: Traffic, mesh: Mesh, method: str) -> tuple[float, float, float]:
    """Weighted hops, messages per step of the busiest link, and seconds that a method takes."""
    start = time.perf_counter()
    placement = place(messages, mesh, method)
    seconds = time.perf_counter() - start
    placement.check()
    return *cost(messages, mesh, placement.sites), seconds


def main() -> None:
    """Print the table: weighted hops in the cores' own order, and what the others have for each of those."""
    titles = [f"{method}{what}" for what in ("", " busiest", " s") for method in METHODS]
    print("| network | cores | linear hops | " + " | ".join(titles) + " |")
    print("| --- |" + " ---: |" * (2 + len(titles)))
    ratios: list[list[float]] = []
    for name, messages, mesh in traffics(sys.argv[1:] or list(NETWORKS)):
        hops, busiest, _ = measured(messages, mesh, "linear")
        found = [measured(messages, mesh, method) for method in METHODS]
        seconds = [f"{one[2]:.2f}" for one in found]
        shares = [one[0] / hops for one in found] + [one[1] / busiest for one in found] if hops else []
        if shares:
            ratios.append(shares)
        cells = [f"{share:.3f}" for share in shares] or ["–"] * (2 * len(METHODS))
        print(f"| {name} | {messages.cores} | {hops:.1f} | " + " | ".join(cells + seconds) + " |", flush=True)
    if ratios:
        medians = [f"{statistics.median(column):.3f}" for column in zip(*ratios, strict=True)]
        print("| median | | | " + " | ".join(medians + [""] * len(METHODS)) + " |")


if __name__ == "__main__":
    main()
