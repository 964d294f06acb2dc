"""Time and memory to cut and place networks of up to a million neurons and 120 million synapses.

Run as `python benchmarks/partition/scale.py [--plot FILE.png]`. Each size runs in a process of its own, so that its
peak of memory is its own. `--chips` adds convolutional networks of up to a hundred chips.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from math import prod
from pathlib import Path

from networks import Builder

from loihic.ir.graph import HardwareGraph
from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.sparse_synapse import SparseSynapse

MODULES = (2, 5, 10, 20, 39)
MAPS = (1, 6, 24)


def modular(modules: int) -> HardwareGraph:
    """Modules on a ring: two convolutions, a recurrent matrix, and a sparse population that feeds the next module."""
    build = Builder()
    source = build.input(2, 32, 32)
    hidden, ends = [], []
    for _ in range(modules):
        last = build.conv(build.conv(source, 16), 32, 3, 2)
        last = build.dense(last, 200)
        hidden.append(build.dense(last, target=last))
        ends.append(build.sparse(last, 1024, 0.1))
    for place, end in enumerate(ends):
        build.dense(end, target=hidden[(place + 1) % modules])
    return build.done(ends[-1])


def convolutional(maps: int) -> HardwareGraph:
    """Feature maps of 128 x 128 x 32, `maps` sets of four in a chain."""
    build = Builder()
    last = build.input(2, 128, 128)
    for _ in range(4 * maps):
        last = build.conv(last, 32)
    return build.done(last)


def synapses(graph: HardwareGraph) -> int:
    """Connections between neurons, those of a shared kernel counted as often as they act."""
    total = 0
    for node in graph.nodes.values():
        if isinstance(node, ConvSynapse):
            total += prod(node.kernel.shape[1:]) * prod(node.out_shape)
        elif isinstance(node, DenseSynapse):
            total += node.weights.size
        elif isinstance(node, SparseSynapse):
            total += node.data.size
    return total


def measure(kind: str, size: int, objective: str) -> dict[str, float]:
    """Cut and place one network in this process."""
    from loihic.partition.activity import uniform_rates
    from loihic.partition.plan import plan
    from loihic.targets.limits import chip_limits
    from loihic.targets.systems import counted

    graph = {"modular": modular, "convolutional": convolutional}[kind](size)
    rates = uniform_rates(graph, 0.1)
    stages: list[tuple[str, float]] = []
    made = plan(graph, counted(chip_limits("loihi2")), rates, objective=objective, fixed_chips=False,
                progress=lambda stage: stages.append((stage, time.perf_counter())))
    end = time.perf_counter()
    assert not made.figures.exceeded.any()
    start, middle = stages[0][1], stages[-1][1]
    return {"neurons": sum(prod(node.shape) for node in graph.nodes.values() if isinstance(node, Compartment)),
            "synapses": synapses(graph), "cores": made.cores, "bound": made.bound, "chips": made.chips,
            "partition": middle - start, "place": end - middle,
            "GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def main() -> None:
    """Print the table, one process per network."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--chips", action="store_true")
    parser.add_argument("--objective", default="cores")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "SIZE"))
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one[0], int(given.one[1]), given.objective)))
        return
    print("| network | neurons | synapses | cores | bound | chips | cut, s | place, s | peak, GiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    rows = []
    sizes = [("modular", size) for size in MODULES] + [("convolutional", size) for size in MAPS if given.chips]
    for kind, size in sizes:
        command = [sys.executable, __file__, "--objective", given.objective, "--one", kind, str(size)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows.append((kind, found))
        print(f"| {kind} {size} | {found['neurons']:.0f} | {found['synapses'] / 1e6:.1f} M | {found['cores']} | "
              f"{found['bound']} | {found['chips']} | {found['partition']:.1f} | {found['place']:.1f} | "
              f"{found['GiB']:.2f} |", flush=True)
    if given.plot:
        draw([found for kind, found in rows if kind == "modular"], given.plot)


def draw(rows: list[dict[str, float]], path: Path) -> None:
    """Time over neurons, both logarithmic, with a straight line of slope one for comparison."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    neurons = [row["neurons"] for row in rows]
    seconds = [row["partition"] + row["place"] for row in rows]
    figure, axes = pyplot.subplots(figsize=(5, 3.5))
    axes.loglog(neurons, seconds, "o-", label="cut and placed")
    axes.loglog(neurons, [seconds[-1] * n / neurons[-1] for n in neurons], ":", label="linear")
    axes.set_xlabel("neurons")
    axes.set_ylabel("seconds")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
