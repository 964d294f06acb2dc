"""For the inputs that a program was compiled for, no current leaves 24 bits and no accumulated sum 24 (Conv) or 32."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_bounds import current_reach
from strategies import RandomNet, networks

import loihic
from loihic.ops import compartment, conv_synapse
from loihic.ops.traits import Emit, Reset
from loihic.program import Program
from loihic.quant.fixed import STATE_LIMIT

STEPS = 60


class Watch:
    """Stands in for the two wraps and remembers the largest values that they were given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.current = self.sum = 0
        wrap_current, wrap_bits = compartment.wrap_current, conv_synapse.wrap_bits

        def watched_current(u: np.ndarray) -> np.ndarray:
            self.current = max(self.current, int(np.abs(u).max(initial=0)))
            return wrap_current(u)

        def watched_sum(x: np.ndarray, bits: int) -> np.ndarray:
            self.sum = max(self.sum, int(np.abs(x).max(initial=0)))
            return wrap_bits(x, bits)

        monkeypatch.setattr(compartment, "wrap_current", watched_current)
        monkeypatch.setattr(conv_synapse, "wrap_bits", watched_sum)

    def check(self) -> None:
        assert self.current < STATE_LIMIT
        assert self.sum < STATE_LIMIT


def adversaries(program: Program, seed: int) -> list[dict[str, np.ndarray]]:
    """Inputs that push: everything at its most, at its least, and after the signs of some neuron's first weights."""
    rng = np.random.default_rng(seed)
    found = []
    sources = program.inputs
    for pick in range(6):
        x = {}
        for name, source in sources.items():
            high = np.full((1, STEPS, *source.shape), source.high)
            if pick == 1:
                high[:] = source.low
            if pick >= 2:
                edge = next(e for e in program.source.edges if e.src == name)
                target = program.source.nodes[edge.dst]
                linear = getattr(target, "linear", None)
                if linear is not None:
                    matrix = linear.to_csr().toarray()
                    row = matrix[rng.integers(len(matrix))] if pick > 2 else matrix[np.abs(matrix).sum(1).argmax()]
                    signs = np.where(row > 0, source.high, source.low).reshape(source.shape)
                    high[:] = signs if pick % 2 else np.where(row < 0, source.high, source.low).reshape(source.shape)
            x[name] = high * source.scale
        found.append(x)
    return found


@settings(max_examples=60)
@given(networks(), st.sampled_from([None, (-1.0, 1.0), (0.0, 15.0)]), st.integers(2, 8),
       st.sampled_from([(Reset.ZERO, Emit.SPIKE), (Reset.SUBTRACT, Emit.SPIKE), (Reset.SUBTRACT, Emit.MULTI)]))
def test_random_networks(net: RandomNet, span: Any, bits: int, firing: tuple[Reset, Emit]) -> None:
    """No current wraps, neither under inputs that push nor by bounds that are computed from the integers alone."""
    reset, spikes = firing
    program = loihic.compile(net.graph, dt=net.dt, input_range=span, weight_bits=bits, reset=reset, spikes=spikes)
    if any(loss.kind == "range" and loss.param == "u" for loss in program.ledger):
        return  # not proven, and said so
    for name, reach in current_reach(program.graph).items():
        assert np.all(reach < STATE_LIMIT), (name, reach.max() / STATE_LIMIT)
    with pytest.MonkeyPatch.context() as patch:
        watch = Watch(patch)
        for x in adversaries(program, net.seed):
            program.run(x)
        watch.check()


def cuba(weights: np.ndarray, tau_syn: float, *, threshold: float = 0.001) -> nir.NIRGraph:
    """One population of CubaLIF behind a Linear."""
    rows, cols = weights.shape
    full = np.ones(rows)
    nodes = {
        "in": nir.Input({"input": np.array([cols])}), "w": nir.Linear(weights),
        "lif": nir.CubaLIF(tau_syn=tau_syn * full, tau_mem=20 * full, r=full, v_leak=0 * full,
                           v_threshold=threshold * full, v_reset=0 * full, w_in=full),
        "out": nir.Output({"output": np.array([rows])})}
    return nir.NIRGraph(nodes=nodes, edges=[("in", "w"), ("w", "lif"), ("lif", "out")], type_check=False)


def largest_current(graph: nir.NIRGraph, columns: int, steps: int, **choices: Any) -> int:
    program = loihic.compile(graph, dt=1.0, **choices)
    with pytest.MonkeyPatch.context() as patch:
        watch = Watch(patch)
        program.run(np.ones((steps, columns)))
        return watch.current


@pytest.mark.parametrize("tau", [2800.0, 1640.0, 2731.0])
def test_a_slow_current_whose_decay_is_rounded_down(tau: float) -> None:
    """1 / 2800 is 1.46 parts of 4096 and becomes one: the integer current reaches further than the real one."""
    found = largest_current(cuba(np.array([[1.0, 0.5]]), tau), 2, 15_000)
    assert found < STATE_LIMIT


@pytest.mark.parametrize("bits", [8, 4])
def test_many_small_weights_that_are_all_rounded_up(bits: int) -> None:
    """One large weight sets the exponent; a thousand of a bit more than half a step each double."""
    step = 1 / 127 if bits == 8 else 1 / 7
    weights = np.concatenate([[1.0, -1.0], np.full(1000, 0.55 * step)])[None]
    found = largest_current(cuba(weights, 5.0), weights.size, 200, weight_bits=bits)
    assert found < STATE_LIMIT


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("weight", [0.39, 0.27, 0.7])
def test_a_voltage_that_is_sent_reaches_further_by_rounded_weights(bits: int, weight: float) -> None:
    """An integrator whose weights were rounded up sends more than the real one could; the current behind has room."""
    first = np.array([[*[weight] * 20, 1.0, -0.9]])
    one = np.ones(1)
    nodes = {
        "in": nir.Input({"input": np.array([22])}), "a": nir.Linear(first),
        "li": nir.LI(tau=5 * one, r=one, v_leak=0 * one), "b": nir.Linear(np.array([[0.8]])),
        "lif": nir.CubaLIF(tau_syn=5 * one, tau_mem=9 * one, r=5 * one, v_leak=0 * one, v_threshold=0.001 * one,
                           v_reset=0 * one, w_in=one),
        "out": nir.Output({"output": np.array([1])})}
    edges = [("in", "a"), ("a", "li"), ("li", "b"), ("b", "lif"), ("lif", "out")]
    graph = nir.NIRGraph(nodes=nodes, edges=edges, type_check=False)
    program = loihic.compile(graph, dt=1.0, weight_bits=bits)
    with pytest.MonkeyPatch.context() as patch:
        watch = Watch(patch)
        program.run(np.tile((first[0] > 0).astype(float), (150, 1)))
        watch.check()
    assert np.all(current_reach(program.graph)["lif"] < STATE_LIMIT)


@pytest.mark.parametrize("bits", [8, 4])
def test_kernels_that_are_all_rounded_up(bits: int) -> None:
    kernel = np.full((1, 60, 3, 3), 0.55 / (127 if bits == 8 else 7))
    kernel[0, 0, 0, :2] = 1.0, -1.0
    one = np.ones((1, 4, 4))
    nodes = {
        "in": nir.Input({"input": np.array([60, 6, 6])}),
        "conv": nir.Conv2d((6, 6), kernel, 1, 0, 1, 1, np.zeros(1)),
        "if": nir.IF(r=one, v_threshold=0.01 * one, v_reset=0 * one),
        "out": nir.Output({"output": np.array([1, 4, 4])})}
    graph = nir.NIRGraph(nodes=nodes, edges=[("in", "conv"), ("conv", "if"), ("if", "out")], type_check=False)
    program = loihic.compile(graph, dt=1.0, weight_bits=bits)
    with pytest.MonkeyPatch.context() as patch:
        watch = Watch(patch)
        program.run(np.ones((5, 60, 6, 6)))
        watch.check()


def test_a_negative_and_a_large_input_range() -> None:
    weights = np.random.default_rng(0).normal(size=(3, 50))
    program = loihic.compile(cuba(weights, 3.0, threshold=1.0), dt=1.0, input_range=(-20.0, 5.0))
    with pytest.MonkeyPatch.context() as patch:
        watch = Watch(patch)
        for row in range(3):
            for sign in (1, -1):
                program.run(np.tile(np.where(sign * weights[row] > 0, 5.0, -20.0), (100, 1)))
        watch.check()
