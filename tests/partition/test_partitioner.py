"""What the partitioner promises: no core holds more than it can, every neuron is on one core, the bits are the same."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, prod

import numpy as np
import pytest
from core_machine import build
from hardware_graphs import hardware_graphs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import RandomNet, networks
from test_core_machine import convolutional, differences, random_inputs
from test_traffic import random_rates

import loihic
from loihic.errors import CompileError
from loihic.ir.graph import HardwareGraph
from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import Synapse
from loihic.partition.model import Fragment, Partition
from loihic.partition.partitioner import OBJECTIVES
from loihic.partition.plan import Plan, plan
from loihic.partition.words import stored_bits
from loihic.targets.limits import Limits, chip_limits
from loihic.targets.systems import counted

RELAXED = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@st.composite
def small_chips(draw: st.DrawFn) -> Limits:
    """Chips whose cores hold a fraction of what they should, so that small networks take many."""
    small = draw(st.sampled_from([60, 150, 400]), label="pool")
    return replace(
        chip_limits("loihi2"), pool_words=small, synapse_words=draw(st.integers(small // 2, small)),
        axon_in=draw(st.integers(small // 3, small)), axon_map=draw(st.integers(small // 3, small)),
        axon_mem=draw(st.integers(small // 2, small)), neuron_words=draw(st.integers(4, small // 2)),
        neuron_groups=draw(st.integers(1, 8)))


def neurons_of(partition: Partition, fragment: Fragment) -> np.ndarray:
    """C-order numbers of the neurons in a fragment."""
    return partition.layouts[fragment.population].flat(np.arange(fragment.start, fragment.stop))


def synaptic_words(synapse: Synapse, neurons: np.ndarray) -> tuple[int, int]:
    """Words of synaptic memory, and axons, that some neurons of a population take, axon by axon."""
    if isinstance(synapse, ConvSynapse):
        per_channel = prod(synapse.out_shape[1:])
        channels = sorted(set((neurons // per_channel).tolist()))
        kernel, total = synapse.kernel, 0
        bits = stored_bits(kernel, synapse.sign_mode)
        per_group = kernel.shape[0] // synapse.groups
        for group in range(synapse.groups):
            here = sum(group * per_group <= channel < (group + 1) * per_group for channel in channels)
            runs = [2**k for k in range(12) if here & 2**k]
            total += prod(kernel.shape[1:]) * sum(ceil((run * bits + 10) / 64) for run in runs)
        return total, 1
    if isinstance(synapse, DenseSynapse):
        fan_out = np.full(synapse.weights.shape[1], neurons.size)
        bits = stored_bits(synapse.weights, synapse.sign_mode)
    else:
        assert isinstance(synapse, SparseSynapse)
        if synapse.data.size and np.array_equal(synapse.matrix().toarray(),
                                                np.eye(prod(synapse.in_shape), dtype=int) * synapse.data[0]):
            return 1, 1  # one weight, shared
        fan_out = np.diff(synapse.matrix()[neurons].tocsc().indptr)
        bits = stored_bits(synapse.data, synapse.sign_mode)
    fan_out = fan_out[fan_out > 0]
    return sum(ceil((int(n) * (bits + 12) + 10) / 64) for n in fan_out), fan_out.size


def assert_fits(made: Plan, limits: Limits) -> None:
    """Nothing holds more than it can: by the plan's own account, and by one from the weights themselves."""
    assert not made.figures.exceeded.any()
    made.partition.check()
    made.placement.check()
    assert made.bound <= made.cores
    delayed = any(hasattr(node, "steps") for node in made.graph.nodes.values())  # then weights are wider
    for core, fragments in enumerate(made.partition.cores):
        words = axons = 0
        for fragment in fragments:
            for edge in made.graph.incoming[fragment.population]:
                synapse = made.graph.nodes[edge.src]
                assert isinstance(synapse, Synapse)
                more, heard = synaptic_words(synapse, neurons_of(made.partition, fragment))
                words, axons = words + more, axons + heard
        neurons = sum(fragment.size for fragment in fragments)
        held = made.figures.memory[core]
        assert held[0] == neurons <= limits.neuron_words
        assert words <= held[1] <= limits.synapse_words if delayed else held[1] == words <= limits.synapse_words
        assert axons <= held[2] <= limits.axon_in
        assert neurons + words + axons + len(fragments) <= held[6] <= limits.pool_words


def planned(graph: HardwareGraph, limits: Limits, objective: str, seed: int) -> Plan | None:
    """A plan; None where a neuron does not fit such a small core."""
    try:
        return plan(graph, counted(limits), random_rates(graph, seed), objective=objective, fixed_chips=False,
                    method="linear")
    except CompileError as error:
        found = error.diagnostics
    assert {one.code for one in found} <= {"LHC406", "LHC408"}
    assert all(one.node and one.param and one.help for one in found)
    return None


@RELAXED
@given(st.one_of(networks(), convolutional()), small_chips(), st.sampled_from(OBJECTIVES))
def test_compiled_networks(net: RandomNet, limits: Limits, objective: str) -> None:
    graph = loihic.compile(net.graph, dt=net.dt, golden_steps=1).graph
    made = planned(graph, limits, objective, net.seed)
    if made is not None:
        assert_fits(made, limits)
        assert not differences(graph, build(graph, made.partition), random_inputs(graph, net.seed, 0.5))


@RELAXED
@given(hardware_graphs(), small_chips(), st.sampled_from(OBJECTIVES), st.integers(0, 2**32 - 1))
def test_every_kind_of_synapse(graph: HardwareGraph, limits: Limits, objective: str, seed: int) -> None:
    made = planned(graph, limits, objective, seed)
    if made is not None:
        assert_fits(made, limits)
        assert not differences(graph, build(graph, made.partition), random_inputs(graph, seed, 0.5))


@RELAXED
@given(convolutional(), small_chips())
def test_objectives_save_what_they_name(net: RandomNet, limits: Limits) -> None:
    """No other objective takes fewer cores than `cores`, or, on as many chips, a shorter step than `latency`."""
    graph = loihic.compile(net.graph, dt=net.dt, golden_steps=1).graph
    made = {objective: planned(graph, limits, objective, net.seed) for objective in OBJECTIVES}
    if made["cores"] is None:
        return
    assert all(one is not None and one.cores >= made["cores"].cores for one in made.values())
    seconds = {name: max(one.figures.seconds.max(), 2e-7) for name, one in made.items() if one is not None}
    assert seconds["latency"] == pytest.approx(min(seconds.values()), rel=0.02)


def test_small_populations_share_a_core(shared_small: HardwareGraph) -> None:
    made = plan(shared_small, counted(chip_limits("loihi2")), random_rates(shared_small, 0), objective="cores")
    assert made.cores == 1
    assert len({one.population for one in made.partition.cores[0]}) == 3


@pytest.fixture
def shared_small() -> HardwareGraph:
    """Three populations that one core holds."""
    from hardware_graphs import Builder

    build_ = Builder(0)
    last = build_.source((5,), 1)
    for size in (7, 6, 5):
        shape = build_.shapes[last]
        weights = 2 * build_.rng.integers(-20, 20, (size, prod(shape)))
        link = build_.add("w", DenseSynapse(in_shape=shape, out_shape=(size,), weights=weights), (size,), last)
        neurons = Compartment(shape=(size,), du=np.asarray(0), dv=np.asarray(0), vth=np.asarray(10))
        last = build_.add("p", neurons, (size,), link)
    return build_.graph()
