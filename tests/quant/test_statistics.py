"""Calibration: what is streamed equals what a whole trace says, and clipping by it changes nothing that was seen."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loihic.ir.graph import Edge, Fact, Graph
from loihic.ir.linear import ConvMap, DenseMap
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron, neuron
from loihic.ops.ports import Input, Output
from loihic.ops.traits import Emit, Reset
from loihic.quant.histogram import Histogram
from loihic.quant.moments import LEAST, NEAR
from loihic.quant.statistics import CHUNK, collect
from loihic.sim.reference import run_reference

Rng = np.random.Generator


def chain(rng: Rng, node: Neuron, loop: bool = True) -> Graph:
    """Input (4,), a matrix, the population, which hears itself one step later."""
    size = node.shape[0]
    forward, back = rng.normal(size=(size, 4)), 0.5 * rng.normal(size=(size, size))
    nodes = {
        "in": Input(shape=(4,)), "w": Map(linear=DenseMap(in_shape=(4,), out_shape=(size,), matrix=forward)),
        "rec": Map(linear=DenseMap(in_shape=(size,), out_shape=(size,), matrix=back)),
        "n": node, "out": Output(shape=node.shape)}
    edges = [Edge(src="in", dst="w"), Edge(src="w", dst="n"), Edge(src="n", dst="out")]
    if loop:
        edges += [Edge(src="n", dst="rec", delay=1), Edge(src="rec", dst="n")]
    else:
        del nodes["rec"]
    shapes = {"in": (4,), "w": (size,), "rec": (size,), "n": (size,), "out": (size,)}
    return Graph(nodes=nodes, edges=tuple(edges), shapes=shapes, facts=frozenset({Fact.FUSED}))


def population(rng: Rng, size: int, reset: Reset = Reset.ZERO, emit: Emit = Emit.SPIKE) -> Neuron:
    return neuron((size,), decay_u=rng.uniform(0, 0.9, size), decay_v=rng.uniform(0, 1, size), threshold=1.0,
                  bias_u=rng.normal(0.1, 0.1, size), reset=reset, emit=emit)


def spikes(rng: Rng, samples: int, steps: int) -> dict[str, np.ndarray]:
    return {"in": (rng.random((samples, steps, 4)) < 0.3).astype(float)}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(list(Reset)), st.sampled_from(list(Emit)))
def test_ranges_rates_and_events(seed: int, reset: Reset, emit: Emit) -> None:
    rng = np.random.default_rng(seed)
    graph = chain(rng, population(rng, 3, reset, emit), loop=emit is Emit.SPIKE)
    x = spikes(rng, CHUNK + 5, 20)  # more than one chunk
    found = collect(graph, x)
    u, sent = [], []
    run_reference(graph, x, observe=lambda _, state, out: (u.append(state["u"]), sent.append(out)))
    trace, out = np.stack(u, axis=1), np.stack(sent, axis=1)
    states = found.populations["n"].states
    np.testing.assert_array_equal(states.u[0], np.minimum(trace.min(axis=(0, 1)), 0))
    np.testing.assert_array_equal(states.u[1], np.maximum(trace.max(axis=(0, 1)), 0))
    np.testing.assert_allclose(found.populations["n"].rate, out.mean(axis=(0, 1)), atol=1e-12)
    assert found.events["w"] == pytest.approx(np.count_nonzero(x["in"]) / (x["in"].shape[0] * 20))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([Reset.ZERO, Reset.SUBTRACT]))
def test_moments_are_the_weighted_mean_of_what_inputs_leave_in_the_voltage(seed: int, reset: Reset) -> None:
    """Against filters written out for each neuron, input and step."""
    rng = np.random.default_rng(seed)
    node = population(rng, 2, reset)
    graph, x = chain(rng, node), spikes(rng, 3, 25)
    moments = collect(graph, x).moments["w"]
    assert moments.maps == ("w", "rec")
    assert moments.full is not None
    assert moments.bias is not None
    v, sent = [], []
    run_reference(graph, x, observe=lambda _, state, out: (v.append(state["v"]), sent.append(out)))
    out = np.stack(sent, axis=1)
    late = np.concatenate([np.zeros_like(out[:, :1]), out[:, :-1]], axis=1)
    arriving = np.concatenate([x["in"], late, np.ones((3, 25, 1))], axis=2)
    for row in range(2):
        total, weight = np.zeros((7, 7)), 0.0
        for sample in range(3):
            current, left = np.zeros(7), np.zeros(7)
            for t in range(25):
                current = node.decay_u[row] * current + arriving[sample, t]
                left = node.decay_v[row] * left + current
                fired = out[sample, t, row] > 0
                near = 1.0 if fired else np.exp(-abs(v[t][sample, row] - 1.0) / NEAR) + LEAST
                total += near * np.outer(left, left)
                weight += near
                if fired and reset is Reset.ZERO:
                    left = np.zeros(7)
        np.testing.assert_allclose(moments.full[row], total[:6, :6] / weight, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(moments.bias[row], total[6] / weight, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(moments.diagonal[row], np.diag(total)[:4] / weight, rtol=1e-4, atol=1e-4)
        assert moments.nearness[row] == pytest.approx(weight / 75, rel=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2]))
def test_moments_of_a_convolution_are_those_of_its_windows(seed: int, groups: int) -> None:
    """A kernel as large as the map has one window; the same as a matrix, channel by channel."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(4, 2 // groups, 3, 3))
    node = neuron((4, 1, 1), decay_u=0.5, decay_v=0.8, threshold=1.0)
    conv = ConvMap(in_shape=(2, 3, 3), out_shape=(4, 1, 1), kernel=kernel, groups=groups)
    x = {"in": (rng.random((3, 20, 2, 3, 3)) < 0.4).astype(float)}
    shapes = {"in": (2, 3, 3), "w": (4, 1, 1), "n": (4, 1, 1)}
    edges = (Edge(src="in", dst="w"), Edge(src="w", dst="n"))

    def graph(linear: object) -> Graph:
        nodes = {"in": Input(shape=(2, 3, 3)), "w": Map(linear=linear), "n": node}
        return Graph(nodes=nodes, edges=edges, shapes=shapes)

    found = collect(graph(conv), x).moments["w"]
    matrix = conv.to_csr().toarray()
    wanted = collect(graph(DenseMap(in_shape=(2, 3, 3), out_shape=(4, 1, 1), matrix=matrix)), x).moments["w"]
    width = kernel[0].size
    for row in range(4):
        start = row // (4 // groups) * width
        part = slice(start, start + width)
        np.testing.assert_allclose(found.full[row], wanted.full[row][part, part], rtol=1e-4, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_voltage_clipped_below_its_climb_spikes_as_before(seed: int, leak: bool) -> None:
    """What the scales rely on: no spike that was seen comes from so far below."""
    rng = np.random.default_rng(seed)
    node = population(rng, 5)
    node = replace(node, decay_v=node.decay_v if leak else np.ones(5), bias_u=node.bias_u - 0.3)
    graph, x = chain(rng, node), spikes(rng, 4, 120)
    floor = -collect(graph, x, moments=False).climbs["n"] * (1 + 1e-9) - 1e-9

    class Clipped(Neuron):
        def step(self, state: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
            sent = super().step(state, x)
            state["v"] = np.maximum(state["v"], floor)
            return sent

    clipped = Clipped(**{item.name: getattr(node, item.name) for item in fields(node)})
    other = graph.with_(nodes={**graph.nodes, "n": clipped})
    np.testing.assert_array_equal(run_reference(graph, x)["out"], run_reference(other, x)["out"])


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), min_size=1, max_size=5))
def test_a_histogram_of_a_stream(parts: list[list[float]]) -> None:
    histogram = Histogram()
    for part in parts:
        histogram.add(np.array(part))
    sizes = np.abs(np.concatenate([np.array(part) for part in parts]))
    assert histogram.counts.sum() == sizes.size
    assert histogram.percentile(100) >= sizes.max() * (1 - 1e-9)
    for share in (25, 50, 90):
        wanted = np.sort(sizes)[int(np.ceil(sizes.size * share / 100)) - 1]
        assert abs(histogram.percentile(share) - wanted) <= 2 * histogram.top / len(histogram.counts) + 1e-12


def test_the_clip_of_least_squares_cuts_a_lonely_outlier_off() -> None:
    histogram = Histogram()
    histogram.add(np.concatenate([np.random.default_rng(0).normal(size=100_000), [1000.0]]))
    assert 2.0 < histogram.least_squares(8) < 600.0
    even = Histogram()
    even.add(np.linspace(0, 1, 10_000))
    assert even.least_squares(127) > 0.95
