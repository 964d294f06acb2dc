"""The brute-force account of messages is what the machine of cores sends."""

from __future__ import annotations

import numpy as np
import pytest
from core_machine import build
from hardware_graphs import hardware_graphs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from partitions import partitions
from reach import as_hyperedges, hyperedges, pairs

from loihic.ir.graph import HardwareGraph
from loihic.ops.source import Source
from loihic.partition.model import HOST, Traffic

STEPS = 8


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(hardware_graphs(), st.integers(0, 2**32 - 1), st.data())
def test_messages_are_as_many_as_the_machine_sends(graph: HardwareGraph, seed: int, data: st.DataObject) -> None:
    partition = data.draw(partitions(graph))
    machine = build(graph, partition)
    rng = np.random.default_rng(seed)
    inputs = {name: rng.integers(-1, 2, (STEPS, *node.shape)) for name, node in graph.nodes.items()
              if isinstance(node, Source)}
    _, kept = machine.run(inputs, STEPS)
    sent = {**inputs, **{name: values for (name, state), values in kept.items() if state == "out"}}
    edges = hyperedges(graph, partition, {name: np.count_nonzero(values, axis=0) for name, values in sent.items()})
    assert {pair: count for pair, count in pairs(edges).items() if count} == machine.counts


def made(first: list[int], targets: list[int], source: tuple[int, ...] = (HOST, 0)) -> Traffic:
    return Traffic(cores=2, source=np.array(source), weight=np.ones(len(source)), first=np.array(first),
                   targets=np.array(targets))


def test_hyperedges_of_traffic_are_read() -> None:
    assert as_hyperedges(made([0, 2, 3], [0, 1, 1])) == {(HOST, frozenset({0, 1})): 1, (0, frozenset({1})): 1}


@pytest.mark.parametrize("traffic", [
    made([0, 2, 2], [0, 1]), made([0, 2, 4], [0, 1, 1, 1]), made([0, 1, 2], [1, 1], (0, 0)), made([0, 1], [0, 1]),
    made([1, 2, 3], [0, 1, 0]), made([0, 1, 2], [0, 1, 0])])
def test_malformed_traffic_is_refused(traffic: Traffic) -> None:
    with pytest.raises(ValueError, match="hyperedge"):
        as_hyperedges(traffic)
