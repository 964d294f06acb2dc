"""PilotNet: loihic's partitions beside the one that Intel's compiler printed, under one cost model and one activity.

Run as `python benchmarks/partition/intel.py`; needs the network and its input, see `pilotnet.py`.
"""

from __future__ import annotations

import numpy as np
import pilotnet

from loihic.partition.activity import message_rates
from loihic.partition.figures import figures
from loihic.partition.partitioner import Partitioner
from loihic.partition.population import Network
from loihic.partition.resources import AXON_IN, AXON_MAP, AXON_MEM, NEURONS, SYNAPSES, SYNOPS
from loihic.targets.limits import chip_limits

# AxonIn, Neurons, SynMem, AxonMap, AxonMem of netx/pilotnet_snn/benchmark.ipynb: the most of any core, AxonMap and
# AxonMem the mean over cores.
PRINTED = {
    "layer10": (10, 1, 10, 1, 0), "layer9": (50, 10, 150, 10, 0), "layer8": (100, 50, 1300, 50, 0),
    "layer7": (2560, 8, 7253, 8, 0), "layer5": (1, 2048, 2880, 1280, 0), "layer4": (1, 2048, 2160, 29, 9),
    "layer3": (2, 2688, 1620, 112, 46), "layer2": (2, 2160, 864, 113, 32), "layer1": (2, 3072, 81, 253, 93),
    "layer0": (1, 3168, 0, 1015, 731)}
MEASURED = 152.8e-6  # s per step on one Oheo Gulch, the same notebook


def main() -> None:
    """Print both tables."""
    limits = chip_limits("loihi2")
    graph, spikes = pilotnet.network(), pilotnet.spikes()
    rates = message_rates(graph, {pilotnet.INPUT: spikes}, spikes.shape[1])
    network = Network(graph=graph, limits=limits, rates=rates)
    intel = pilotnet.intel_partition(graph)
    theirs = figures(network, intel)
    _table(theirs.memory, np.array([fragments[0].population for fragments in intel.cores]))

    partitioner = Partitioner(network)
    print(f"\nat least {partitioner.fewest.bound} cores; Intel's 74, measured {MEASURED * 1e6:.1f} us per step")
    print("\n| partition | cores | busiest core's operations | step by the model | Intel's over it |")
    print("| --- | ---: | ---: | ---: | ---: |")
    slow = float(theirs.seconds.max())
    rows = [("Intel's", intel)]
    rows += [(f"{objective}, at most {most} cores", partitioner.cut(objective, most).partition)
             for objective, most in (("cores", 120), ("latency", 74), ("balanced", 74), ("latency", 120))]
    for label, partition in rows:
        found = figures(network, partition)
        assert not found.exceeded.any()
        partition.check()
        step = float(found.seconds.max())
        print(f"| {label} | {len(partition.cores)} | {found.work[:, SYNOPS].max():.0f} | {step * 1e6:.1f} us | "
              f"{slow / step:.2f} |")


def _table(memory: np.ndarray, names: np.ndarray) -> None:
    print("| node | cores | AxonIn | Neurons | SynMem | AxonMap | AxonMem |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, printed in PRINTED.items():
        here = memory[names == name]
        most, mean = here.max(axis=0), np.floor(here.mean(axis=0))
        # Of the dense node's twelve cores one has a single neuron; the table gives the mean there.
        neurons = mean[NEURONS] if len(here) == 12 else most[NEURONS]
        ours = [most[AXON_IN], neurons, most[SYNAPSES], mean[AXON_MAP], mean[AXON_MEM]]
        cells = [f"{own:.0f}" if own == other else f"{own:.0f} ({other})"
                 for own, other in zip(ours, printed, strict=True)]
        print(f"| {name} | {len(here)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
