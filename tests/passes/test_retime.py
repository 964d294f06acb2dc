"""Retiming: a timed program computes what the network would if connections took no time, later by its latency."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ideal import compiled, integers, run_ideal, run_timed, stages
from strategies import NEURONS, STATEFUL_SPIKING, Builder, RandomNet, blocks, networks

import loihic
from loihic.errors import CompileError
from loihic.ops.delay_line import DelayLine
from loihic.ops.source import Sink
from loihic.ops.traits import Emit, Reset

STEPS = 20


def exact_in_time(net: RandomNet, **choices: Any) -> None:
    context = compiled(net, **choices)
    inputs = integers(net, STEPS, samples=2)
    wanted = run_ideal(context.stages["quantise"], inputs, STEPS)
    for name, values in run_timed(context.stages["retime"], inputs, STEPS).items():
        np.testing.assert_array_equal(values, wanted[name], err_msg=name)


@settings(max_examples=60)
@given(networks(), st.sampled_from(list(Reset)[:2]), st.sampled_from([Emit.SPIKE, Emit.MULTI]))
def test_random_networks_answer_in_time(net: RandomNet, reset: Reset, spikes: Emit) -> None:
    exact_in_time(net, reset=reset, spikes=spikes)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 4), min_size=2, max_size=4), st.data())
def test_branches_of_any_depth_meet_in_time(seed: int, depths: list[int], data: st.DataObject) -> None:
    build = Builder(seed)
    source = build.input((3,))
    ends = []
    for depth in depths:
        end, shape = source, (3,)
        for _ in range(depth):
            end, shape = data.draw(blocks(build, end, shape, NEURONS))
        ends.append(build.linear(end, shape, 2, "Affine")[0])
    build.output(build.add(build.neuron_node("CubaLIF", (2,)), *ends), (2,))
    exact_in_time(build.net)


def chain(depth: int, *, bias: float = 0.0) -> nir.NIRGraph:
    """`depth` neurons that pass a spike on at once, then a leaky one with a bias."""
    build = Builder(0)
    end = build.input((1,))
    for _ in range(depth):
        end = build.add(nir.Threshold(np.array([0.5])), build.add(nir.Linear(np.ones((1, 1))), end))
    end = build.add(nir.Affine(np.array([[0.3]]), np.array([bias])), end)
    one = np.ones(1)
    end = build.add(nir.LIF(tau=5 * one, r=5 * one, v_leak=0 * one, v_threshold=one), end)
    build.output(end, (1,))
    return build.net.graph


@pytest.mark.parametrize("bias", [0.0, 0.23, 1.5])
def test_a_bias_begins_with_the_input_however_deep_it_lies(bias: float) -> None:
    x = (np.random.default_rng(0).random((40, 1)) < 0.4).astype(float)
    answers = []
    for depth in range(4):
        program = loihic.compile(chain(depth, bias=bias), dt=1.0)
        assert program.latency == depth + 1
        answers.append(next(iter(program.run(x).outputs.values())))
        np.testing.assert_array_equal(answers[-1], next(iter(program.run_float(x).values())))
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])


def test_without_biases_a_later_input_is_answered_later() -> None:
    program = loihic.compile(chain(2), dt=1.0)
    x = (np.random.default_rng(1).random((30, 1)) < 0.5).astype(float)
    first = next(iter(program.run(x).outputs.values()))
    second = next(iter(program.run(np.concatenate([np.zeros((7, 1)), x])).outputs.values()))
    assert not second[:, :7].any()
    np.testing.assert_array_equal(second[:, 7:], first)


def looped(neurons: int, *, delay: int = 0) -> nir.NIRGraph:
    """A loop through so many neurons, with a Delay of so many steps in its last connection."""
    build = Builder(4)
    first = end = build.neuron(build.linear(build.input((2,)), (2,), 2, "Linear")[0], (2,), "LIF")
    for _ in range(neurons - 1):
        end = build.neuron(build.linear(end, (2,), 2, "Linear")[0], (2,), "LIF")
    build.output(end, (2,))
    back = build.linear(end, (2,), 2, "Linear")[0]
    if delay:
        back = build.add(nir.Delay(np.full(2, float(delay))), back)
    build.net.edges.append((back, first))
    return build.net.graph


@pytest.mark.parametrize(("neurons", "delay"), [(1, 0), (1, 1), (1, 4), (2, 2), (3, 3), (3, 5)])
def test_loops_that_are_short_enough_are_exact(neurons: int, delay: int) -> None:
    context = stages(looped(neurons, delay=delay), dt=1.0)
    assert not any(loss.kind == "delay" for loss in context.ledger)
    inputs = {"in0": np.random.default_rng(0).integers(0, 2, (1, STEPS, 2))}
    wanted = run_ideal(context.stages["quantise"], inputs, STEPS)
    for name, values in run_timed(context.stages["retime"], inputs, STEPS).items():
        np.testing.assert_array_equal(values, wanted[name], err_msg=name)


@pytest.mark.parametrize(("neurons", "delay", "extra"), [(2, 0, 1), (3, 0, 2), (3, 2, 1)])
def test_loops_that_are_too_long(neurons: int, delay: int, extra: int) -> None:
    with pytest.raises(CompileError, match="LHC302") as caught:
        loihic.compile(looped(neurons, delay=delay), dt=1.0)
    assert f"{extra} steps too late" in str(caught.value)
    context = stages(looped(neurons, delay=delay), dt=1.0, allow_loop_delay=True)
    (loss,) = [loss for loss in context.ledger if loss.kind == "delay"]
    assert loss.is_loss
    assert loss.error == extra


def test_a_loop_that_is_loosened_equals_one_that_was_written_so() -> None:
    x = (np.random.default_rng(2).random((60, 2)) < 0.5).astype(float)
    loose = loihic.compile(looped(3), dt=1.0, allow_loop_delay=True)
    written = loihic.compile(looped(3, delay=3), dt=1.0)
    first, second = (next(iter(p.run(x).outputs.values())) for p in (loose, written))
    assert first.any()
    np.testing.assert_array_equal(first, second)


def test_a_delay_of_several_lengths() -> None:
    steps = np.array([0, 1, 5, 3])
    build = Builder(0)
    end = build.add(nir.Delay(steps.astype(float)), build.input((4,)))
    end = build.add(nir.Threshold(np.full(4, 0.5)), end)
    build.output(end, (4,))
    program = loihic.compile(build.net.graph, dt=1.0)
    x = (np.random.default_rng(0).random((30, 4)) < 0.5).astype(float)
    found = program.run(x).outputs["out0"][0]
    for index, delay in enumerate(steps):
        np.testing.assert_array_equal(found[:delay, index], 0)
        np.testing.assert_array_equal(found[delay:, index], x[: len(x) - delay, index])


def test_latency_is_that_of_the_longest_way_and_the_slack_is_a_delay() -> None:
    build = Builder(5)
    source = build.input((2,))
    deep = source
    for _ in range(3):
        deep = build.neuron(build.linear(deep, (2,), 2, "Linear")[0], (2,), "LIF")
    ends = [build.linear(end, (2,), 2, "Linear")[0] for end in (deep, source)]
    build.output(build.add(build.neuron_node("LIF", (2,)), *ends), (2,))
    graph = stages(build.net.graph, dt=1.0).stages["retime"]
    assert [node.latency for _, node in graph.of(Sink)] == [4]
    assert [int(node.steps) for _, node in graph.of(DelayLine)] == [3]


@settings(max_examples=20)
@given(networks(STATEFUL_SPIKING, recurrent=True))
def test_programs_give_what_they_are_worth(net: RandomNet) -> None:
    """Aligned outputs of a program are those of the ideal network, through the public interface as well."""
    program = loihic.compile(net.graph, dt=net.dt)
    x = net.spikes(STEPS, samples=2)
    found = program.run(x).outputs
    wanted = run_ideal(compiled(net).stages["quantise"], integers(net, STEPS, samples=2), STEPS)
    for name, values in found.items():
        assert values.shape == (2, STEPS, *program.outputs[name].shape)
        np.testing.assert_array_equal(values.reshape(wanted[name].shape), wanted[name])
