"""Activation, simulator against Lava: random parameters and extremes, graded and sigma-delta, every step."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loihic.ir.graph import Edge, HardwareGraph
from loihic.ir.node import Shape
from loihic.ops.activation import Activation
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.sigma_delta import SdnRole, SigmaDeltaNeurons
from loihic.ops.source import Sink, Source
from loihic.ops.synapse import SignMode
from loihic.sim.simulator import simulate
from loihic.targets.lava.backend import run_on_lava
from loihic.targets.lava.runner import lava_version

pytestmark = pytest.mark.skipif(lava_version() is None, reason="Lava is not installed")
STEPS = 12
SHAPES: tuple[Shape, ...] = ((1,), (5,), (2, 3, 2))


def activation(rng: np.random.Generator, shape: Shape, delta: bool) -> Activation:
    """One of every kind: a product, a product that rounds to even, thresholds alike or by channel or by neuron."""
    per = (shape[0], *[1] * (len(shape) - 1))
    low, high = sorted(int(one) for one in rng.integers(-300, 300, 2))
    common = {"shape": shape, "low": low, "high": high, "start": int(rng.integers(0, 4)), "delta": delta,
              "sigma": bool(rng.integers(2)), "vth": int(rng.integers(0, 9)) if delta else 0}
    kind = rng.integers(5)
    if kind < 2:
        return Activation(**common, multiplier=rng.integers(0, 1 << 24, per), shift=rng.integers(0, 40, per),
                          addend=rng.integers(-(1 << 40), 1 << 40, per), ties_even=bool(kind))
    rows = {2: (), 3: shape[:1], 4: shape}[int(kind)]
    steps = np.sort(rng.integers(-(1 << 23), 1 << 23, (*rows, int(rng.integers(1, 20)))), axis=-1)
    steps[..., -1:] = rng.choice([1 << 30, int(steps.max())])
    return Activation(**common, thresholds=steps, rise=int(rng.integers(1, 3)))


def network(seed: int, shape: Shape) -> tuple[HardwareGraph, np.ndarray]:
    """Source, synapse, population, twice: sums go beyond 24 bits and wrap."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    nodes = {"in": Source(shape=(3,), low=-(1 << 15), high=1 << 15)}
    for name, before, cols in (("first", (3,), 3), ("second", shape, size)):
        weights = rng.integers(-128, 128, (size, cols)) * 2
        nodes[f"{name}.in"] = DenseSynapse(in_shape=before, out_shape=shape, weights=weights, message_bits=24,
                                           exponent=int(rng.integers(-2, 3)), sign_mode=SignMode.MIXED)
        nodes[name] = activation(rng, shape, bool(rng.integers(2)))
    nodes["out"] = Sink(shape=shape)
    names = ["in", "first.in", "first", "second.in", "second", "out"]
    edges = tuple(Edge(src=a, dst=b) for a, b in pairwise(names))
    shapes = {**dict.fromkeys(names, shape), "in": (3,)}
    x = rng.choice([0, 1, -1, 1 << 15, -(1 << 15), 77], (1, STEPS, 3))
    return HardwareGraph(nodes={name: nodes[name] for name in names}, edges=edges, shapes=shapes), x


@settings(max_examples=6)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SHAPES))
def test_every_step_is_lavas(seed: int, shape: Shape) -> None:
    graph, x = network(seed, shape)
    record = [("first", "v"), ("first", "out"), ("second", "v")]
    ours, lavas = (run(graph, {"in": x}, STEPS, record=record) for run in (simulate, run_on_lava))
    np.testing.assert_array_equal(ours[0]["out"], lavas[0]["out"])
    for key in record:
        np.testing.assert_array_equal(ours[1][key], lavas[1][key], err_msg=str(key))


@pytest.mark.parametrize("role", SdnRole)
def test_sigma_delta_neurons_are_lavas(role: SdnRole) -> None:
    rng = np.random.default_rng(3)
    shape = (2, 3, 2)
    neurons = SigmaDeltaNeurons(shape=shape, role=role, threshold=3, spike_exp=6, state_exp=6,
                                bias=rng.integers(-40, 40, shape) if role is SdnRole.SIGMA_DELTA else np.zeros((), int))
    graph, x = network(5, shape)
    graph = graph.with_(nodes={**graph.nodes, "second": neurons})
    ours, lavas = (run(graph, {"in": x}, STEPS) for run in (simulate, run_on_lava))
    np.testing.assert_array_equal(ours[0]["out"], lavas[0]["out"])
