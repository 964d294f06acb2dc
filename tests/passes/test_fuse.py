"""Fusing: what is exact by a change of coordinates, and names that a user may already have given."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import nir
import numpy as np
import pytest
from ideal import stages

import loihic
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron

ONE = np.ones(1)


def graph(nodes: dict[str, Any], edges: list[tuple[str, str]], width: int = 1) -> nir.NIRGraph:
    ports = {"in": nir.Input({"input": np.array([width])}), "out": nir.Output({"output": np.array([width])})}
    return nir.NIRGraph(nodes={**ports, **nodes}, edges=edges, type_check=False)


def chain(*nodes: Any, width: int = 1) -> nir.NIRGraph:
    names = [f"n{i}" for i in range(len(nodes))]
    path = ["in", *names, "out"]
    return graph(dict(zip(names, nodes, strict=True)), list(pairwise(path)), width)


def test_neurons_are_centred_and_have_no_gains() -> None:
    rng = np.random.default_rng(0)
    size = 4
    node = nir.CubaLIF(
        tau_syn=rng.uniform(2, 9, size), tau_mem=rng.uniform(2, 9, size), r=rng.normal(size=size),
        v_leak=rng.normal(size=size), v_threshold=np.full(size, 2.0), v_reset=rng.normal(size=size) - 2,
        w_in=rng.normal(size=size))
    weight = rng.normal(size=(size, size))
    fused = stages(chain(nir.Linear(weight), node, width=size), dt=1.0).stages["fuse"]
    ((_, neuron),) = fused.of(Neuron)
    for values, wanted in ((neuron.w_in, 1.0), (neuron.gain, 1.0), (neuron.v_reset, 0.0)):
        np.testing.assert_array_equal(values, wanted)
    np.testing.assert_allclose(neuron.threshold, node.v_threshold - node.v_reset)
    np.testing.assert_allclose(neuron.v_init, node.v_leak - node.v_reset)
    ((_, linear),) = fused.of(Map)
    gains = node.w_in / node.tau_syn * node.r / node.tau_mem
    np.testing.assert_allclose(linear.linear.to_csr().toarray(), gains[:, None] * weight)


def test_linear_nodes_between_two_neurons_become_one_map() -> None:
    shape = (2, 6, 6)
    conv = nir.Conv2d((6, 6), np.random.default_rng(0).normal(size=(3, 2, 3, 3)), 1, 0, 1, 1, np.ones(3))
    pool = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    flat = nir.Flatten({"input": np.array([3, 2, 2])}, 0, -1)
    full = np.ones(5)
    nodes = {"c": conv, "p": pool, "f": flat, "w": nir.Affine(np.ones((5, 12)), np.ones(5)),
             "lif": nir.IF(r=full, v_threshold=full, v_reset=0 * full),
             "in": nir.Input({"input": np.array(shape)}), "out": nir.Output({"output": np.array([5])})}
    path = ["in", "c", "p", "f", "w", "lif", "out"]
    fused = stages(nir.NIRGraph(nodes=nodes, edges=list(pairwise(path)), type_check=False),
                   dt=1.0).stages["fuse"]
    ((_, linear),) = fused.of(Map)
    assert set(linear.origins) == {"c", "p", "f", "w"}
    ((_, neuron),) = fused.of(Neuron)
    np.testing.assert_allclose(neuron.bias_v, 13.0)  # the kernels' biases, averaged, through twelve ones; and its own


def test_a_negative_threshold() -> None:
    program = loihic.compile(chain(nir.Threshold(np.array([-0.5, 0.0, 0.5])), width=3), dt=1.0)
    x = np.array([[0.0, 0, 0], [1, 1, 1], [0, 1, 0]])
    np.testing.assert_array_equal(program.run(x).outputs["out"][0], [[1, 0, 0], [1, 1, 1], [1, 1, 0]])
    np.testing.assert_array_equal(program.run_float(x)["out"][0], program.run(x).outputs["out"][0])


@pytest.mark.parametrize("steps", [1, 3])
def test_a_bias_before_a_delay_is_written_down(steps: int) -> None:
    nodes = {"w": nir.Linear(np.eye(1)), "if": nir.IF(r=ONE, v_threshold=ONE, v_reset=0 * ONE),
             "rec": nir.Affine(0.1 * np.eye(1), np.array([0.6])), "d": nir.Delay(steps * ONE)}
    edges = [("in", "w"), ("w", "if"), ("if", "rec"), ("rec", "d"), ("d", "if"), ("if", "out")]
    context = stages(graph(nodes, edges), dt=1.0)
    assert any(loss.param == "bias before a Delay" and loss.is_loss for loss in context.ledger)


def test_an_uneven_delay_behind_a_flatten() -> None:
    shape = (2, 2, 3)
    spikes = nir.Threshold(np.full(shape, 0.5))
    delays = np.arange(12.0) % 4
    nodes = {"t": spikes, "f": nir.Flatten({"input": np.array(shape)}, 0, -1), "d": nir.Delay(delays),
             "u": nir.Threshold(np.full(12, 0.5)), "in": nir.Input({"input": np.array(shape)}),
             "out": nir.Output({"output": np.array([12])})}
    path = ["in", "t", "f", "d", "u", "out"]
    program = loihic.compile(
        nir.NIRGraph(nodes=nodes, edges=list(pairwise(path)), type_check=False), dt=1.0)
    x = (np.random.default_rng(0).random((20, *shape)) < 0.5).astype(float)
    wanted = np.zeros((20, 12))
    for index, delay in enumerate(delays.astype(int)):
        wanted[delay:, index] = x.reshape(20, 12)[: 20 - delay, index]
    np.testing.assert_array_equal(program.run(x).outputs["out"][0], wanted)
    np.testing.assert_array_equal(program.run_float(x)["out"][0], wanted)


@pytest.mark.parametrize("stock_only", [False, True])
def test_names_that_the_compiler_would_have_chosen(stock_only: bool) -> None:
    """A user's node may be called as a balancing delay would be; neither replaces the other."""
    relay = {"tau": 1.5 * ONE, "r": 1.5 * ONE, "v_leak": 0 * ONE, "v_threshold": 0.5 * ONE, "v_reset": 0 * ONE}
    nodes = {"a": nir.Linear(np.eye(1)), "b": nir.Linear(np.eye(1)), "a.delay": nir.LIF(**relay),
             "w": nir.Linear(np.eye(1)), "a.wait1": nir.LIF(**relay), "c": nir.Linear(np.eye(1)), "m": nir.LIF(**relay)}
    edges = [("in", "b"), ("b", "a.delay"), ("a.delay", "w"), ("w", "a.wait1"), ("a.wait1", "c"), ("c", "m"),
             ("in", "a"), ("a", "m"), ("m", "out")]
    program = loihic.compile(graph(nodes, edges), dt=1.0, stock_only=stock_only)
    x = (np.random.default_rng(0).random((30, 1)) < 0.5).astype(float)
    np.testing.assert_array_equal(program.run(x).outputs["out"][0], program.run_float(x)["out"][0])


def test_an_output_relay_whose_name_is_taken() -> None:
    two = np.ones(2)
    nodes = {"s": nir.Scale(two), "d": nir.Delay(np.array([1.0, 2.0])),
             "out.relay": nir.LIF(tau=3 * two, r=3 * two, v_leak=0 * two, v_threshold=0.5 * two, v_reset=0 * two)}
    edges = [("in", "s"), ("s", "out.relay"), ("out.relay", "d"), ("d", "out")]
    program = loihic.compile(graph(nodes, edges, 2), dt=1.0)
    x = np.ones((8, 2))
    np.testing.assert_allclose(program.dequantise(program.run(x).outputs)["out"], program.run_float(x)["out"])
