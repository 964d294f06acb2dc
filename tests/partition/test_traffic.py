"""Traffic between cores is what every synapse written out gives, hyperedge by hyperedge."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hardware_graphs import hardware_graphs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from partitions import partitions
from reach import Hyperedge, as_hyperedges, hyperedges
from strategies import RandomNet, networks

import loihic
from loihic.ir.graph import HardwareGraph
from loihic.ops.compartment import Compartment
from loihic.ops.source import Source
from loihic.partition.model import Partition
from loihic.partition.traffic import traffic


def random_rates(graph: HardwareGraph, seed: int) -> dict[str, np.ndarray]:
    """Messages per step of every element, flat; a third of them none at all."""
    rng = np.random.default_rng(seed)
    sizes = {name: prod(node.shape) for name, node in graph.nodes.items() if isinstance(node, Source | Compartment)}
    return {name: rng.random(size) * (rng.random(size) < 0.7) for name, size in sizes.items()}


def weighed(edges: dict[Hyperedge, float]) -> dict[Hyperedge, float]:
    """The hyperedges that any messages take."""
    return {edge: weight for edge, weight in edges.items() if weight}


def check(graph: HardwareGraph, partition: Partition, seed: int) -> None:
    rates = random_rates(graph, seed)
    found = traffic(graph, partition, rates)
    assert found.cores == len(partition.cores)
    assert weighed(as_hyperedges(found)) == pytest.approx(weighed(hyperedges(graph, partition, rates)))


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(networks(), st.sampled_from([8, 12]), st.data())
def test_compiled_networks(net: RandomNet, bits: int, data: st.DataObject) -> None:
    graph = loihic.compile(net.graph, dt=net.dt, weight_bits=bits, golden_steps=1).graph
    check(graph, data.draw(partitions(graph)), net.seed)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(hardware_graphs(), st.integers(0, 2**32 - 1), st.data())
def test_every_kind_of_synapse(graph: HardwareGraph, seed: int, data: st.DataObject) -> None:
    check(graph, data.draw(partitions(graph)), seed)
