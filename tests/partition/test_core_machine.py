"""A partitioned program computes the bits of the plain one, with nothing but messages between its cores."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest
from core_machine import Machine, Message, build
from hardware_graphs import Builder, hardware_graphs
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from partitions import partitions
from strategies import NEURONS, RandomNet, networks
from strategies import Builder as NetBuilder

import loihic
from loihic.ir.graph import HardwareGraph
from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.source import Sink, Source
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.traits import Emit, Reset
from loihic.partition.layout import Layout
from loihic.partition.model import HOST, Fragment, Partition
from loihic.sim.simulator import simulate

STEPS = 12
ONES = np.array([[1, 1, 1, 0]])  # a step of inputs for `pair_of_cores`
SPANS = (None, (-1.0, 1.0), (0.0, 15.0))
FIRINGS = ((Reset.ZERO, Emit.SPIKE), (Reset.SUBTRACT, Emit.SPIKE), (Reset.SUBTRACT, Emit.MULTI))


def random_inputs(graph: HardwareGraph, seed: int, density: float) -> dict[str, np.ndarray]:
    """Integers (T, *shape) within what each Source allows; the last steps of a run have none."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, node in graph.nodes.items():
        if isinstance(node, Source):
            shape = (STEPS - 3, *node.shape)
            found[name] = rng.integers(node.low, node.high + 1, shape) * (rng.random(shape) < density)
    return found


def differences(graph: HardwareGraph, machine: Machine, inputs: dict[str, np.ndarray]) -> list[str]:
    """What the machine computes otherwise than the simulator: Sinks, and states of populations."""
    record = [(name, state) for name, node in graph.nodes.items() if isinstance(node, Compartment)
              for state in ("u", "v", "out")]
    outputs, kept = simulate(graph, {name: x[None] for name, x in inputs.items()}, STEPS, record=record)
    found_outputs, found_kept = machine.run(inputs, STEPS)
    assert found_outputs.keys() == outputs.keys()
    assert found_kept.keys() == kept.keys()
    return [*(name for name in outputs if not np.array_equal(found_outputs[name], outputs[name][0])),
            *(f"{name}.{state}" for name, state in record
              if not np.array_equal(found_kept[name, state], kept[name, state][0]))]


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(networks(), st.sampled_from(SPANS), st.sampled_from([2, 8, 12]), st.sampled_from(FIRINGS), st.data())
def test_compiled_networks(net: RandomNet, span: Any, bits: int, firing: tuple[Reset, Emit],
                           data: st.DataObject) -> None:
    reset, spikes = firing
    graph = loihic.compile(net.graph, dt=net.dt, input_range=span, weight_bits=bits, reset=reset, spikes=spikes,
                           golden_steps=1).graph
    machine = build(graph, data.draw(partitions(graph)))
    assert not differences(graph, machine, random_inputs(graph, net.seed, 0.5))


@st.composite
def convolutional(draw: st.DrawFn) -> RandomNet:
    """Convolutions that may stay convolutions, since the neurons of a map are alike, and a matrix behind them."""
    nodes = NetBuilder(draw(st.integers(0, 2**32 - 1), label="seed"))
    shape: tuple[int, ...] = (2 * draw(st.integers(1, 2)), draw(st.integers(3, 6)), draw(st.integers(3, 6)))
    end = nodes.input(shape)
    for _ in range(draw(st.integers(1, 2), label="convolutions")):
        padding, groups = draw(st.sampled_from(["numbers", "valid"])), draw(st.sampled_from([1, 2]))
        end, shape = nodes.conv2d(end, shape, padding, groups)
        one = np.ones(shape)
        end = nodes.add(nir.IF(r=one, v_threshold=0.3 * one, v_reset=0 * one), end)
    end, shape = nodes.linear(*nodes.flatten(end, shape), 4, "Affine")
    nodes.output(nodes.neuron(end, shape, draw(st.sampled_from(NEURONS))), shape)
    return nodes.net


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(convolutional(), st.sampled_from([4, 8, 12]), st.data())
def test_compiled_convolutions(net: RandomNet, bits: int, data: st.DataObject) -> None:
    graph = loihic.compile(net.graph, dt=net.dt, weight_bits=bits, golden_steps=1).graph
    assume(any(isinstance(node, ConvSynapse) for node in graph.nodes.values()))
    machine = build(graph, data.draw(partitions(graph)))
    assert not differences(graph, machine, random_inputs(graph, net.seed, 0.6))


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(hardware_graphs(), st.integers(0, 2**32 - 1), st.sampled_from([0.2, 1.0]), st.data())
def test_graphs_that_wrap(graph: HardwareGraph, seed: int, density: float, data: st.DataObject) -> None:
    machine = build(graph, data.draw(partitions(graph)))
    assert not differences(graph, machine, random_inputs(graph, seed, density))


def neurons(count: int, *, out_shift: int) -> Compartment:
    """Neurons that keep nothing and send what they hear."""
    return Compartment(shape=(count,), du=np.asarray(4095), dv=np.asarray(4096), vth=np.asarray(0), emit=Emit.STATE,
                       out_shift=out_shift, stock=False)


def single_neuron(weight: int, inputs: int, *, exponent: int = 0) -> tuple[HardwareGraph, Machine]:
    """A neuron that hears some inputs with the same weight, alone on a core."""
    nodes = Builder(0)
    source, target = nodes.source((inputs,), 2**23 - 1), nodes.add("n", neurons(1, out_shift=0), (1,))
    nodes.connect(source, target, DenseSynapse(
        in_shape=(inputs,), out_shape=(1,), weights=np.full((1, inputs), weight), message_bits=24, exponent=exponent))
    graph, whole = nodes.graph(), Fragment(population=target, start=0, stop=1)
    return graph, build(graph, Partition(layouts={target: Layout.plain((1,))}, cores=((whole,),)))


@pytest.mark.parametrize("a", [sign * (2**17 + by) for sign in (-1, 1) for by in (-1, 0, 1)])
def test_currents_at_the_end_of_their_range(a: int) -> None:
    """64 a is 2**23, where u wraps, or next to it."""
    graph, machine = single_neuron(1, 1)
    assert not differences(graph, machine, {"in0": np.array([[a]])})


@pytest.mark.parametrize("message", [2**22, -(2**22), 2**23 - 1])
def test_sums_wrap_at_32_bits_before_they_are_shifted(message: int) -> None:
    graph, machine = single_neuron(254, 5, exponent=-8)
    assert not differences(graph, machine, {"in0": np.full((1, 5), message)})


def pair_of_cores() -> tuple[HardwareGraph, Partition]:
    """Four inputs, four neurons that pass on one each, four that take half of the sum; two of each kind on a core."""
    nodes = Builder(0)
    source = nodes.source((4,), 1)
    relay, half = (nodes.add("n", neurons(4, out_shift=6), (4,)) for _ in range(2))
    common: dict[str, Any] = {"in_shape": (4,), "out_shape": (4,), "message_bits": 24}
    nodes.connect(source, relay, SparseSynapse(**common, data=np.ones(4, dtype=int), indices=np.arange(4),
                                               indptr=np.arange(5)))
    nodes.connect(relay, half, DenseSynapse(**common, weights=np.ones((4, 4), dtype=int), exponent=-1))
    nodes.add("out", Sink(shape=(4,)), (4,), half)
    cores = tuple(tuple(Fragment(population=name, start=start, stop=start + 2) for name in (relay, half))
                  for start in (0, 2))
    return nodes.graph(), Partition(layouts={name: Layout.plain((4,)) for name in (relay, half)}, cores=cores)


def test_the_sum_is_shifted_and_not_its_parts() -> None:
    """1 + 1 + 1 from two cores is 3, and 3 >> 1 is 1; shifted one by one, nothing would be left."""
    graph, partition = pair_of_cores()
    machine = build(graph, partition)
    outputs, _ = machine.run({"in0": ONES}, 3)
    np.testing.assert_array_equal(next(iter(outputs.values()))[2], [1, 1, 1, 1])


def test_only_values_other_than_zero_are_sent_and_each_to_its_cores_only() -> None:
    graph, partition = pair_of_cores()
    machine = build(graph, partition)
    machine.run({"in0": ONES}, 3)
    assert machine.counts == {(HOST, 0): 2, (HOST, 1): 1, (0, 0): 2, (0, 1): 2, (1, 0): 1, (1, 1): 1, (0, HOST): 2,
                              (1, HOST): 2}


def test_a_message_that_its_core_has_no_axon_for_is_an_error() -> None:
    machine = build(*pair_of_cores())
    with pytest.raises(LookupError, match="no axon 99"):
        machine.cores[0].step([Message(axon=99, payload=1)], 0)


def test_a_core_has_the_weights_of_its_neurons_only() -> None:
    for core in build(*pair_of_cores()).cores:
        assert len(core.neurons) == 4
        assert len(core.axons) == 2 + 4
        sparse, dense = core.groups.values()
        assert sum(len([*sparse.reached(element)]) for element in range(4)) == 2
        assert {compartment for compartment, _ in dense.reached(0)} == {2, 3}


def test_a_neuron_that_no_core_has_is_refused() -> None:
    graph, partition = pair_of_cores()
    with pytest.raises(ValueError, match="exactly one core"):
        build(graph, Partition(layouts=partition.layouts, cores=partition.cores[:1]))
