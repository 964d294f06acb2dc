"""PilotNet as lava-dl ships it: the recorded spikes, the table that Intel's compiler printed, and what beats it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from loihic.ir.graph import HardwareGraph
from loihic.partition.activity import message_rates
from loihic.partition.figures import Figures, figures
from loihic.partition.partitioner import Partitioner
from loihic.partition.population import Network
from loihic.partition.resources import AXON_IN, AXON_MAP, NEURONS, SYNAPSES
from loihic.sim.simulator import simulate
from loihic.targets.limits import chip_limits

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "partition"
SAMPLE = slice(1, 17)  # steps of the recording between two resets of the network, which has one every 16 steps
# Per node: AxonIn, Neurons and SynMem of its fullest core, AxonMap as the mean over its cores.
PRINTED = {
    "layer10": (10, 1, 10, 1), "layer9": (50, 10, 150, 10), "layer8": (100, 50, 1300, 50),
    "layer5": (1, 2048, 2880, 1280), "layer4": (1, 2048, 2160, 29), "layer3": (2, 2688, 1620, 112),
    "layer2": (2, 2160, 864, 113), "layer1": (2, 3072, 81, 253)}


@pytest.fixture(scope="module")
def pilotnet() -> ModuleType:
    """The benchmark's module, which reads the network."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import pilotnet
    finally:
        sys.path.remove(str(BENCHMARKS))
    return pilotnet


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "netx" / "pilotnet_lif"


@pytest.fixture(scope="module")
def graph(pilotnet: ModuleType, folder: Path) -> HardwareGraph:
    return pilotnet.network(folder)


@pytest.fixture(scope="module")
def network(pilotnet: ModuleType, folder: Path, graph: HardwareGraph) -> Network:
    spikes = pilotnet.spikes(folder)
    rates = message_rates(graph, {pilotnet.INPUT: spikes}, spikes.shape[1])
    return Network(graph=graph, limits=chip_limits("loihi2"), rates=rates)


@pytest.fixture(scope="module")
def intel(pilotnet: ModuleType, graph: HardwareGraph, network: Network) -> Figures:
    return figures(network, pilotnet.intel_partition(graph))


def test_the_graph_computes_what_was_recorded(pilotnet: ModuleType, folder: Path, graph: HardwareGraph) -> None:
    spikes = pilotnet.spikes(folder)
    _, kept = simulate(graph, {pilotnet.INPUT: spikes}, spikes.shape[1] + 1, record=[("layer1", "out")])
    recorded = np.load(folder / "conv-0.npy").transpose(3, 2, 1, 0)
    assert np.array_equal(kept["layer1", "out"][0, 1:][SAMPLE], recorded[SAMPLE])


@pytest.mark.parametrize("node", PRINTED)
def test_the_model_of_a_core_gives_the_printed_table(pilotnet: ModuleType, graph: HardwareGraph, intel: Figures,
                                                     node: str) -> None:
    partition = pilotnet.intel_partition(graph)
    here = intel.memory[[fragments[0].population == node for fragments in partition.cores]]
    most = here.max(axis=0)
    assert (most[AXON_IN], most[NEURONS], most[SYNAPSES], np.floor(here[:, AXON_MAP].mean())) == PRINTED[node]


def test_fewest_cores_and_shortest_step(network: Network, intel: Figures) -> None:
    partitioner = Partitioner(network)
    fewest = partitioner.cut("cores", 120)
    assert fewest.cores == fewest.bound <= 56
    quickest = partitioner.cut("latency", 74)
    assert quickest.cores <= 74
    assert 2 * quickest.seconds <= intel.seconds.max()
    for cut in (fewest, quickest):
        cut.partition.check()
        assert not figures(network, cut.partition).exceeded.any()
