"""Proven ranges hold against inputs that are searched for, and are not wider than they need be."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from adversary import attacked, outside
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_graphs import IntegerGraphs
from small_graphs import chain, dense, finished, loop, neurons
from strategies import RandomNet, networks

import loihic
from loihic.ir.graph import Edge, HardwareGraph
from loihic.ir.node import HardwareNode
from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.source import Sink, Source
from loihic.ops.traits import Emit, Reset
from loihic.quant.fixed import STATE_LIMIT, rsz, shift_accumulated
from loihic.quant.fixpoint import Reach
from loihic.quant.observe import observe_ranges
from loihic.quant.proofs import StateProof, Verdict, integer_ranges
from loihic.quant.reach import greatest, least
from loihic.sim.simulator import simulate

STEPS = 80


def check_bounds(graph: HardwareGraph, seed: int, *, rounds: int = 1) -> None:
    """Search for inputs; no element of any state may leave its bounds, nor a proven one its limit."""
    proofs = integer_ranges(graph)
    seen = attacked(graph, proofs, seed, steps=STEPS, rounds=rounds)
    assert outside(graph, seen) == []
    for proof in integer_ranges(graph, seen):
        if proof.observed is None:
            continue
        assert proof.low <= proof.observed[0] <= proof.observed[1] <= proof.high
        if proof.verdict is Verdict.PROVEN and proof.effect == "wraps":
            assert max(-proof.observed[0], proof.observed[1]) <= proof.limit


@pytest.mark.parametrize("seed", range(30))
def test_random_integer_graphs(seed: int) -> None:
    check_bounds(IntegerGraphs(seed).graph(), seed)


@settings(max_examples=30, derandomize=True)
@given(networks(), st.sampled_from([None, (-1.0, 1.0), (0.0, 15.0)]), st.sampled_from(list(Reset)),
       st.sampled_from([Emit.SPIKE, Emit.MULTI]))
def test_compiled_networks(net: RandomNet, span: Any, reset: Reset, spikes: Emit) -> None:
    program = loihic.compile(net.graph, dt=net.dt, input_range=span, reset=reset, spikes=spikes)
    check_bounds(program.graph, net.seed, rounds=0)


# The closed forms, against the recurrence itself.

@given(st.integers(-(2**20), 2**20), st.integers(-(2**16), 2**16), st.integers(2, 4096))
def test_the_greatest_value_is_reached_and_not_exceeded(start: int, drive: int, decay: int) -> None:
    x, found = np.array(start), []
    while len(found) < 2 or found[-1] != found[-2]:
        x = rsz(x * (4096 - decay), 12) + drive
        found.append(int(x))
    numbers = (np.array(float(n)) for n in (start, drive, decay))
    assert greatest(*numbers) == max(found)
    numbers = (np.array(float(n)) for n in (start, drive, decay))
    assert least(*numbers) == min(found)


# Small graphs of which everything is known.

def proof_of(graph: HardwareGraph, node: str, state: str, inputs: Any = None, steps: int = 20) -> StateProof:
    """The proof of one state; with inputs (T, *shape), after a run on them."""
    seen = None if inputs is None else observe_ranges(graph, {"in": np.asarray(inputs)[None]}, steps)
    return next(proof for proof in integer_ranges(graph, seen) if (proof.node, proof.state) == (node, state))


def test_a_current_reaches_its_bound_exactly() -> None:
    graph = chain(neurons(du=99, dv=50, emit=Emit.STATE), dense([[6, -2, 4]]))
    held = np.tile([1, 0, 1], (2000, 1))
    for state, inputs in (("u", held), ("v", held)):
        proof = proof_of(graph, "n", state, inputs, 2000)
        assert proof.observed is not None
        assert proof.high == proof.observed[1]
        assert proof.tightness == 1.0


@pytest.mark.parametrize("delays", [0, 2])
def test_chained_synapses_are_bounded_together(delays: int) -> None:
    """A fine synapse takes back what the coarse one rounded up: the bound is that of their sum, but for the floor."""
    rng = np.random.default_rng(0)
    coarse, fine = rng.integers(-100, 101, (4, 7)) * 2, rng.integers(-127, 128, (4, 7)) * 2
    graph = chain(neurons(4), dense(coarse), dense(fine, exponent=-7), delays=delays)
    corners = np.array(list(product([0, 1], repeat=7)))
    sums = corners @ coarse.T + shift_accumulated(corners @ fine.T, -7)
    low, high = Reach(graph).neurons["n"].total
    assert np.all(low / 64 <= sums.min(axis=0))
    assert np.all(sums.max(axis=0) <= high / 64)
    assert np.all(sums.min(axis=0) - low / 64 <= 1)
    assert np.all(high / 64 - sums.max(axis=0) <= 1)


def test_chained_synapses_that_wrap_are_not_bounded_together() -> None:
    """Their common weight is 2, but the first sum wraps before the second takes it back."""
    one = {"in_shape": (1, 1, 1), "out_shape": (1, 1, 1), "message_bits": 24}
    synapses = [ConvSynapse(kernel=np.full((1, 1, 1, 1), weight), **one) for weight in (254, -252)]
    node = Compartment(shape=(1, 1, 1), du=np.asarray(4095), dv=np.asarray(4096), vth=np.asarray(1))
    graph = chain(node, *synapses, source=Source(shape=(1, 1, 1), high=40_000))
    proof = proof_of(graph, "n", "sum", np.full((5, 1, 1, 1), 33_100))
    assert proof.observed is not None
    assert proof.low <= proof.observed[0] == 64 * (254 * 33_100 - 2**24 - 252 * 33_100)


def test_the_common_bound_of_chained_synapses_grows_round_a_loop() -> None:
    """Of messages up to 7 both sums, floored, reach no further than of 6, but what they have in common does."""
    first = neurons(emit=Emit.STATE, out_shift=6)
    pair = [dense([[weight]], exponent=-8, bits=24) for weight in (100, -60)]
    nodes: dict[str, HardwareNode] = {
        "in": Source(shape=(1,)), "w": dense([[6]]), "a": first, "r": dense([[2]], exponent=-3, bits=24),
        "c0": pair[0], "c1": pair[1], "n": neurons(), "out": Sink(shape=(1,))}
    pairs = [("in", "w"), ("w", "a"), ("a", "r"), ("r", "a"), ("a", "c0"), ("a", "c1"), ("c0", "n"), ("c1", "n"),
             ("n", "out")]
    reach = Reach(finished(nodes, [Edge(src=a, dst=b) for a, b in pairs]))
    assert reach.sent["a"][1].item() == 7
    plain = Reach(chain(neurons(), *pair, source=Source(shape=(1,), high=7)))
    assert reach.neurons["n"].total[1] == plain.neurons["n"].total[1] == 64


def test_convolutions_are_exact_at_the_borders() -> None:
    kernel = 2 * np.random.default_rng(1).integers(-60, 61, (3, 2, 3, 3))
    synapse = ConvSynapse(in_shape=(2, 5, 4), out_shape=(3, 5, 4), kernel=kernel, padding=(1, 1), exponent=-2)
    node = Compartment(shape=(3, 5, 4), du=np.asarray(4095), dv=np.asarray(4096), vth=np.asarray(1))
    graph = chain(node, synapse)
    low, high = Reach(graph).sums["w0"]
    for channel, row, col in product(range(3), range(5), range(4)):
        response = np.stack([np.asarray(synapse.accumulate(one[None]))[0, channel, row, col]
                             for one in np.eye(40, dtype=np.int64).reshape(40, 2, 5, 4)])
        assert high[channel, row, col] == response[response > 0].sum()
        assert low[channel, row, col] == response[response < 0].sum()


def test_a_sum_that_leaves_24_bits_may_be_anything() -> None:
    kernel = np.full((1, 1, 1, 1), 254)
    synapse = ConvSynapse(in_shape=(1, 1, 1), out_shape=(1, 1, 1), kernel=kernel, exponent=-3, message_bits=24)
    source = Source(shape=(1, 1, 1), low=0, high=40_000)
    node = Compartment(shape=(1, 1, 1), du=np.asarray(4095), dv=np.asarray(4096), vth=np.asarray(1))
    graph = chain(node, synapse, source=source)
    proof = proof_of(graph, "w0", "sum", np.full((5, 1, 1, 1), 40_000))
    assert (proof.verdict, proof.limit, proof.high) == (Verdict.MAY_OVERFLOW, 2**23 - 1, 254 * 40_000)
    assert proof_of(graph, "w0", "sum", np.full((5, 1, 1, 1), 9)).verdict is Verdict.OBSERVED
    assert proof_of(graph, "w0", "sum").verdict is Verdict.MAY_OVERFLOW
    low, high = Reach(graph).sent["w0"]
    assert (low.item(), high.item()) == (-(2**23) >> 3, (2**23 - 1) >> 3)


def test_a_current_that_wraps_is_seen_and_told_from_a_voltage_that_saturates() -> None:
    graph = chain(neurons(du=0, dv=0, emit=Emit.STATE), dense([[254]], exponent=7))
    u = proof_of(graph, "n", "u", np.ones((20, 1)))
    assert (u.verdict, u.effect) == (Verdict.MAY_OVERFLOW, "wraps")
    assert u.observed is not None
    assert u.observed[1] > STATE_LIMIT
    v = proof_of(graph, "n", "v", np.ones((3, 1)), steps=3)
    assert (v.verdict, v.effect) == (Verdict.OBSERVED, "saturates")


@pytest.mark.parametrize(("exponent", "low", "high"), [(0, -10_000, 10_000), (5, 0, 10_000), (5, -10_000, 0)])
def test_a_drive_of_more_than_two_turns_is_not_brought_back(exponent: int, low: int, high: int) -> None:
    """u moves by 2**24 once, so that it may lie beyond 24 bits; or it wraps at 32 bits, and changes its sign."""
    graph = chain(neurons(du=2000, dv=3000, emit=Emit.STATE), dense([[254]], exponent=exponent, bits=24),
                  source=Source(shape=(1,), low=low, high=high))
    inputs = np.random.default_rng(0).integers(low, high + 1, (400, 1))
    inputs[:60], inputs[60:120] = low, high
    _, states = simulate(graph, {"in": inputs[None]}, 400, record=[("n", "u"), ("n", "v")])
    assert np.abs(states["n", "u"]).max() > STATE_LIMIT  # the case is what it says
    if exponent:
        assert states["n", "u"].min() < 0 < states["n", "u"].max()
    for state in ("u", "v"):
        proof = proof_of(graph, "n", state, inputs, 400)
        assert proof.observed is not None
        assert proof.low <= proof.observed[0] <= proof.observed[1] <= proof.high


FIRING = list(product([Reset.ZERO, Reset.SUBTRACT, Reset.NONE], [Emit.SPIKE, Emit.MULTI]))


@pytest.mark.parametrize(("reset", "emit"), FIRING)
def test_without_leak_only_a_reset_bounds_the_voltage(reset: Reset, emit: Emit) -> None:
    """A drive below the threshold: any reset keeps v below threshold and drive; without one it saturates."""
    graph = chain(neurons(dv=0, vth=100, reset=reset, emit=emit), dense([[90]]))
    proof = proof_of(graph, "n", "v", np.ones((100, 1)), 100)
    if reset is Reset.NONE:
        assert proof.verdict is Verdict.OBSERVED
        assert proof.high == STATE_LIMIT - 1 + 64 * 90
    else:
        assert proof.verdict is Verdict.PROVEN
        assert proof.high <= 64 * (100 + 90)


@pytest.mark.parametrize("reset", [Reset.ZERO, Reset.SUBTRACT])
@pytest.mark.parametrize("emit", [Emit.SPIKE, Emit.MULTI])
def test_a_threshold_of_zero_takes_nothing_off(reset: Reset, emit: Emit) -> None:
    graph = chain(neurons(dv=0, vth=0, reset=reset, emit=emit), dense([[90]]))
    proof = proof_of(graph, "n", "v", np.ones((100, 1)), 100)
    kept = reset is Reset.SUBTRACT
    assert proof.observed == (0, 64 * 90 * (99 if kept else 1))
    assert proof.verdict is (Verdict.OBSERVED if kept else Verdict.PROVEN)


@pytest.mark.parametrize(("reset", "verdict"), [(Reset.ZERO, Verdict.PROVEN), (Reset.SUBTRACT, Verdict.OBSERVED)])
def test_saturation_above_costs_nothing_where_the_neuron_starts_again_at_zero(reset: Reset, verdict: Verdict) -> None:
    graph = chain(neurons(dv=0, vth=100, reset=reset, vbias_mant=4000, vbias_exp=7, du=129), dense([[254]], exponent=4))
    assert proof_of(graph, "n", "u").verdict is Verdict.PROVEN
    proof = proof_of(graph, "n", "v", np.zeros((2, 1)), 3)
    assert proof.high > proof.limit
    assert proof.verdict is verdict


def test_a_voltage_below_is_unbounded_without_leak_and_harmless_without_memory() -> None:
    inputs = np.ones((4, 1))
    assert proof_of(chain(neurons(dv=0), dense([[-90]])), "n", "v", inputs).verdict is Verdict.OBSERVED
    assert proof_of(chain(neurons(dv=0), dense([[90]])), "n", "v", inputs).verdict is Verdict.PROVEN
    forgetful = chain(neurons(dv=4096, vbias_mant=-4000, vbias_exp=7), dense([[-254]], exponent=7, bits=8),
                      source=Source(shape=(1,), high=4))
    proof = proof_of(forgetful, "n", "v")
    assert proof.low < -proof.limit
    assert proof.verdict is Verdict.PROVEN


def test_messages_of_every_kind() -> None:
    """One step of a memoryless neuron: v is 64 times the sum."""
    weights = dense([[100]])
    for emit, expected in ((Emit.SPIKE, 1), (Emit.MULTI, 9), (Emit.STATE, 64 * 100 >> 3)):
        graph = chain(neurons(vth=11, emit=emit, out_shift=3), weights)
        low, high = Reach(graph).sent["n"]
        assert (low.item(), high.item()) == (0, expected)
    never = chain(neurons(vth=100), weights)  # 100 is not above 100
    assert Reach(never).sent["n"][1].item() == 0


def test_a_graded_loop_that_shrinks_is_proven_and_one_that_grows_is_not() -> None:
    node = neurons(emit=Emit.STATE, out_shift=6)
    shrinking, growing = loop(node, 64, exponent=-7), loop(node, 254)
    assert proof_of(shrinking, "n", "u").high <= 64 * 100 * 2
    assert proof_of(shrinking, "n", "u").verdict is Verdict.PROVEN
    assert proof_of(growing, "n", "u", np.ones((60, 1)), 60).verdict is Verdict.MAY_OVERFLOW
    assert proof_of(growing, "n", "u", np.zeros((60, 1)), 60).verdict is Verdict.OBSERVED


def test_a_loop_that_shrinks_too_slowly_to_be_followed_is_widened_and_narrowed() -> None:
    """From silence the bound would take hundreds of rounds; from all that v can be, it comes down part of the way."""
    graph = loop(neurons(emit=Emit.STATE, out_shift=6), 126, exponent=-7)
    proof = proof_of(graph, "n", "u")
    assert 64 * 100 * 64 * 0.9 < proof.high < STATE_LIMIT


def test_a_loop_that_nothing_wakes_stays_silent() -> None:
    graph = loop(neurons(vth=200), 254)
    assert proof_of(graph, "n", "u").high == 64 * 100
    assert Reach(graph).sent["n"][1].item() == 0


def test_what_a_run_reaches_is_what_the_simulator_records() -> None:
    graph = chain(neurons(3, du=300, dv=200, emit=Emit.STATE, ibias_mant=7), dense([[6, -8], [90, 2], [-30, 4]]))
    x = np.random.default_rng(0).integers(0, 2, (4, 50, 2))
    seen = observe_ranges(graph, {"in": x}, 55)
    _, states = simulate(graph, {"in": x}, 55, record=[("n", "u"), ("n", "v")])
    for state in ("u", "v"):
        low, high = seen["n", state]
        np.testing.assert_array_equal(low, states["n", state].min(axis=(0, 1)))
        np.testing.assert_array_equal(high, states["n", state].max(axis=(0, 1)))


def test_what_is_seen_before_the_start_does_not_count() -> None:
    node = neurons(start=4, vbias_mant=9, dv=4096, emit=Emit.STATE)
    seen = observe_ranges(chain(node, dense([[5]])), {"in": np.ones((1, 2, 1))}, 8)
    assert seen["n", "v"][1].item() == 9
