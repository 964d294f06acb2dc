"""The emulator: every loss kept, it takes the integers' steps; every loss undone, it is the float network."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from single_losses import chain, late
from strategies import STATEFUL_SPIKING, RandomNet, networks

import loihic
from loihic.ops.traits import Emit, Reset
from loihic.program import Program
from loihic.sim.emulate import Emulator, LossKind, emulated
from loihic.sim.lockstep import Trace, lockstep, populations
from loihic.sim.reference import run_reference

STEPS = 16
PARAMETERS = frozenset(LossKind) - {LossKind.SATURATION, LossKind.ARITHMETIC}


def traces(program: Program, graph: Any, inputs: dict[str, np.ndarray]) -> dict[str, list[tuple[Trace, Trace]]]:
    """Integers and floats of every population, step by step, aligned, in real units."""
    found: dict[str, list[tuple[Trace, Trace]]] = {}
    lockstep(program, graph, program.encode(inputs),
             lambda name, t, ours, theirs: found.setdefault(name, []).append((ours, theirs)))
    return found


def assert_same_steps(program: Program, inputs: dict[str, np.ndarray]) -> None:
    """The emulator with every loss is the integers, to a thousandth of a unit, in every state and message."""
    for name, steps in traces(program, emulated(program), inputs).items():
        unit = program.graph.nodes[name].unit
        for t, (ours, theirs) in enumerate(steps):
            for state, found, wanted in (("u", theirs.u, ours.u), ("v", theirs.v, ours.v)):
                np.testing.assert_allclose(found / unit, wanted / unit, rtol=0, atol=1e-3,
                                           err_msg=f"{name}.{state} at step {t}")
            np.testing.assert_allclose(theirs.out, ours.out, rtol=1e-9, err_msg=f"{name} at step {t}")
        assert t + 1 == next(iter(inputs.values())).shape[1]


@settings(max_examples=20)
@given(networks(), st.sampled_from(list(Reset)[:2]), st.sampled_from([Emit.SPIKE, Emit.MULTI]),
       st.sampled_from([None, True, False]), st.sampled_from([3, 8, "8f", 12]))
def test_both_ends(net: RandomNet, reset: Reset, spikes: Emit, scales: bool | None, bits: int | str) -> None:
    program = loihic.compile(net.graph, dt=net.dt, reset=reset, spikes=spikes, neuron_scales=scales, weight_bits=bits)
    inputs = net.spikes(STEPS, samples=2)
    assert_same_steps(program, inputs)
    emulator = Emulator(program)
    assert not emulator.everywhere([LossKind.DELAY])  # every loop of these networks is as long as it means
    bare = emulator.graph(emulator.places)
    assert all(bare.nodes[name] is node for name, node in program.source.nodes.items())
    assert bare.edges == program.source.edges
    wanted = program.run_float(inputs)
    for name, values in run_reference(bare, program.real_inputs(inputs)).items():
        np.testing.assert_array_equal(values, wanted[name])


@pytest.mark.parametrize("choices", [
    {"weight_bits": 12}, {"weight_bits": "4f"}, {"weight_bits": 2}, {"stock_only": True}, {"neuron_scales": True},
    {"reset": Reset.SUBTRACT}, {"spikes": Emit.MULTI}])
def test_every_way_to_store_a_network(choices: dict[str, Any]) -> None:
    rng = np.random.default_rng(3)
    lif = {"tau": np.full(6, 9.0), "r": np.full(6, 9.0), "v_leak": np.zeros(6), "v_threshold": np.ones(6)}
    biased = {**lif, "v_threshold": rng.choice([0.8, 1.2], 6)}
    net = chain(nir.Affine(rng.normal(0.2, 0.5, (6, 4)), rng.normal(size=6) * 0.1), nir.LIF(**biased),
                nir.Linear(rng.normal(0.2, 0.5, (6, 6))), nir.LIF(**lif), size=4, out=6)
    program = loihic.compile(net, dt=1.0, **choices)
    assert_same_steps(program, {"input": (rng.random((3, 40, 4)) < 0.4).astype(float)})


def test_voltages_sent_from_neuron_to_neuron() -> None:
    rng = np.random.default_rng(4)
    leaky = {"tau": np.full(5, 7.0), "r": np.full(5, 2.0), "v_leak": np.full(5, 0.1)}
    net = chain(nir.Linear(rng.normal(size=(5, 4))), nir.LI(**leaky), nir.Linear(rng.normal(size=(5, 5))),
                nir.LIF(**leaky, v_threshold=np.full(5, 0.3)), size=4, out=5)
    program = loihic.compile(net, dt=1.0)
    assert program.graph.nodes["n1"].out_shift > 0  # the voltages are cut to 16 bits on their way
    assert_same_steps(program, {"input": (rng.random((2, 60, 4)) < 0.3).astype(float)})


def test_a_loop_that_answers_late() -> None:
    program = late()
    inputs = {"input": (np.random.default_rng(1).random((2, 40, 3)) < 0.4).astype(float)}
    assert_same_steps(program, inputs)
    emulator = Emulator(program)
    (place,) = emulator.everywhere([LossKind.DELAY])
    delays = {edge.dst: edge.delay for edge in emulator.graph().edges}
    meant = {edge.dst: edge.delay for edge in program.source.edges}
    assert delays[place[0]] == meant[place[0]] + 1
    assert {edge.dst: edge.delay for edge in emulator.graph([place]).edges} == meant


def test_a_network_of_whole_numbers_loses_nothing() -> None:
    rng = np.random.default_rng(6)
    weight = rng.integers(-30, 60, (6, 4)).astype(float)
    net = chain(nir.Linear(weight), nir.IF(r=np.ones(6), v_threshold=np.full(6, 100.0)), size=4, out=6)
    program = loihic.compile(net, dt=1.0, neuron_scales=False)
    emulator = Emulator(program)
    assert not emulator.everywhere(PARAMETERS)
    inputs = {"input": (rng.random((2, 50, 4)) < 0.5).astype(float)}
    for steps in traces(program, program.source, inputs).values():
        spikes = 0.0
        for ours, theirs in steps:
            np.testing.assert_array_equal(ours.out, theirs.out)
            np.testing.assert_allclose(ours.v, theirs.v, rtol=1e-12, atol=1e-9)
            spikes += theirs.out.sum()
        assert spikes > 10


def test_one_loss_undone_at_one_node_leaves_the_others() -> None:
    rng = np.random.default_rng(7)
    lif = {"tau": np.full(3, 7.3), "r": np.ones(3), "v_leak": np.full(3, 0.05), "v_threshold": rng.uniform(0.1, 0.3, 3)}
    net = chain(nir.Linear(rng.normal(size=(3, 4))), nir.LIF(**lif), nir.Linear(rng.normal(size=(3, 3))),
                nir.LIF(**lif), size=4, out=3)
    program = loihic.compile(net, dt=1.0, neuron_scales=False)
    emulator, source = Emulator(program), program.source
    everything = emulator.graph()
    fields = {LossKind.DECAY: "decay_v", LossKind.THRESHOLD: "threshold", LossKind.BIAS: "bias_v"}
    for kind, undone in fields.items():
        (place,) = emulator.at("n1", kind)
        graph = emulator.graph([place])
        for name in ("n1", "n3"):
            for label in fields.values():
                real = source if (name, label) == ("n1", undone) else everything
                np.testing.assert_array_equal(getattr(graph.nodes[name], label), getattr(real.nodes[name], label))
        assert np.any(getattr(source.nodes["n1"], undone) != getattr(everything.nodes["n1"], undone))
    assert emulator.at("n1", LossKind.WEIGHTS) == {("n0", LossKind.WEIGHTS)}
    graph = emulator.graph(emulator.at("n1", LossKind.WEIGHTS))
    assert graph.nodes["n0"] is source.nodes["n0"]
    assert graph.nodes["n2"] is not source.nodes["n2"]


@settings(max_examples=20)
@given(networks((*STATEFUL_SPIKING, "Threshold")), st.sampled_from(list(Reset)[:2]))
def test_rounding_of_states_is_bounded_until_a_spike_differs(net: RandomNet, reset: Reset) -> None:
    """Every step truncates u and v by less than a unit, and a sum by less than 64 where its shift floors."""
    program = loihic.compile(net.graph, dt=net.dt, reset=reset)
    emulator = Emulator(program)
    found = traces(program, emulator.graph(emulator.everywhere([LossKind.ARITHMETIC])), net.spikes(STEPS))
    agreeing = min(next((t for t, (ours, theirs) in enumerate(steps) if np.any(ours.out != theirs.out)), STEPS)
                   for steps in found.values())
    assume(agreeing > 0)
    checked = 0
    for name, node in populations(program).items():
        if any(not _sends_spikes(program, edge.src) for edge in program.source.incoming[name]):
            continue  # voltages that differ by their rounding arrive
        rounded = emulator.graph().nodes[name]
        parts = sum(len(emulator._real.parts(edge.src)) for edge in program.source.incoming[name])
        u, v = np.zeros(node.shape), np.zeros(node.shape)
        for ours, theirs in found[name][:agreeing]:
            u = np.abs(rounded.decay_u) * u + 1 + 64 * parts
            v = np.abs(rounded.decay_v) * v + 1 + u
            assert np.all(np.abs(ours.v - theirs.v) <= v * node.unit * (1 + 1e-9))
            checked += 1
    assume(checked)


def _sends_spikes(program: Program, name: str) -> bool:
    """Whether what arrives through Map `name` is whole: an input, or spikes, perhaps behind a delay line."""
    while name not in {*populations(program), *program.inputs}:
        name = program.source.incoming[name][0].src
    return getattr(program.graph.nodes[name], "emit", Emit.SPIKE) is not Emit.STATE
