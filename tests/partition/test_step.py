"""The time of a step: every term by hand, what limits it, and what each population takes of its cores."""

from __future__ import annotations

from dataclasses import replace
from math import inf, prod

import numpy as np
import pytest
from hardware_graphs import Builder
from hypothesis import given, settings
from hypothesis import strategies as st
from partitions import partitions

from loihic.ir.graph import HardwareGraph
from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.source import Sink
from loihic.ops.traits import Emit
from loihic.partition.activity import senders
from loihic.partition.model import Partition, Placement
from loihic.partition.plan import Plan
from loihic.partition.resources import WORK
from loihic.partition.shares import shares
from loihic.partition.step import BARRIER, LINK, TERMS, placed_loads, step_time
from loihic.targets.limits import chip_limits
from loihic.targets.systems import counted


def network() -> HardwareGraph:
    """A convolution to 3 x 4 x 4 neurons and a full matrix to 5."""
    build = Builder(0)
    source = build.source((2, 6, 6), 1)
    conv = ConvSynapse(in_shape=(2, 6, 6), out_shape=(3, 4, 4), kernel=np.ones((3, 2, 3, 3), dtype=np.int8) * 2)
    pixels = build.population((3, 4, 4), Emit.SPIKE)
    again = ConvSynapse(in_shape=(3, 4, 4), out_shape=(3, 4, 4), kernel=np.ones((3, 3, 3, 3), dtype=np.int8) * 2,
                        padding=(1, 1))
    dense = DenseSynapse(in_shape=(3, 4, 4), out_shape=(5,), weights=np.ones((5, 48), dtype=np.int8) * 2)
    last = build.population((5,), Emit.SPIKE)
    for synapse, before, after in ((conv, source, pixels), (again, pixels, pixels), (dense, pixels, last)):
        name = build.add("w", synapse, synapse.out_shape, before)
        build.edges.append(type(build.edges[0])(src=name, dst=after))
    build.add("out", Sink(shape=(5,)), (5,), last)
    return build.graph()


GRAPH = network()


def planned(partition: Partition, rate: float = 0.5, **numbers: object) -> Plan:
    limits = replace(chip_limits(), **numbers)
    system = counted(limits, 2)
    sites = np.arange(len(partition.cores)) * 37 % system.cores
    rng = np.random.default_rng(1)
    return Plan(graph=GRAPH, system=system, objective="balanced", partition=partition,
                placement=Placement(mesh=system.mesh(), sites=sites), activity="given", bound=1,
                rates={name: rate * rng.random(prod(GRAPH.shapes[name])) for name in senders(GRAPH)})


@settings(max_examples=25)
@given(partitions(GRAPH))
def test_terms_are_those_of_the_busiest(partition):
    plan = planned(partition)
    found = step_time(plan)
    assert tuple(found.terms) == TERMS
    limits = plan.system.limits
    rates = (limits.rates.neuron_update, limits.rates.synop, limits.rates.memory_read)
    for name, number, events in zip(WORK, rates, plan.figures.work.T, strict=True):
        term = found.terms[name]
        assert term.events == events.max() == events[term.core]
        assert (term.seconds.low, term.seconds.value, term.seconds.high) == (
            events.max() * number.low, events.max() * number.value, events.max() * number.high)
    link = found.terms[LINK]
    bits = placed_loads(plan).busiest * limits.message_bits
    assert link.seconds.value == bits / limits.link_bandwidth
    assert link.seconds.low <= link.seconds.value <= link.seconds.high
    assert found.terms[BARRIER].seconds.value == limits.rates.barrier.value
    for part in ("low", "value", "high"):
        assert getattr(found.seconds, part) == max(getattr(term.seconds, part) for term in found.terms.values())
    assert found.terms[found.limit].seconds.value == found.seconds.value
    assert found.seconds.value == pytest.approx(max(plan.figures.seconds.max(), link.seconds.value,
                                                    limits.rates.barrier.value))
    told = found.to_json(plan)
    assert told["terms"][WORK[0]]["core"] == plan.placement.core(found.terms[WORK[0]].core)


@settings(max_examples=25)
@given(partitions(GRAPH))
def test_shares_add_up_to_what_cores_hold(partition):
    plan = planned(partition)
    total = np.sum(list(shares(plan).values()), axis=0)
    held = np.concatenate([plan.figures.memory.sum(axis=0), plan.figures.work.sum(axis=0)])
    assert total == pytest.approx(held)
    assert set(shares(plan)) == {name for name, node in GRAPH.nodes.items() if isinstance(node, Compartment)}


@settings(max_examples=5)
@given(partitions(GRAPH))
def test_nothing_is_shorter_than_the_barrier(partition):
    found = step_time(planned(partition, rate=0.0))
    assert found.limit in (BARRIER, WORK[0])
    assert found.terms[LINK].events == 0
    assert found.terms[LINK].seconds.high == 0


@st.composite
def apart(draw: st.DrawFn) -> Partition:
    """Partitions of several cores, so that links carry messages."""
    return draw(partitions(GRAPH).filter(lambda one: len(one.cores) > 1))


@settings(max_examples=5)
@given(apart())
def test_a_link_may_be_as_slow_as_you_say(partition):
    slow = step_time(planned(partition, link_bandwidth=1.0))
    numbers = dict(chip_limits().numbers)
    numbers["mesh.link_bandwidth"] = replace(numbers["mesh.link_bandwidth"], low=0)
    endless = step_time(planned(partition, numbers=numbers))
    assert slow.terms[LINK].events == endless.terms[LINK].events > 0
    assert endless.terms[LINK].seconds.high == inf
    assert endless.seconds.high == inf
