"""Weights that lie on a grid already are recognised, and survive compilation to the last bit."""

from __future__ import annotations

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loihic
from loihic.ir.linear import DenseMap
from loihic.ops.synapse import Synapse
from loihic.quant.grids import grid_steps
from loihic.quant.groups import Rows
from loihic.quant.sums import linear_of


def rows(matrix: np.ndarray) -> Rows:
    return Rows(linear=DenseMap(in_shape=(matrix.shape[1],), out_shape=(matrix.shape[0],), matrix=matrix))


@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.floats(1e-6, 1e6), st.booleans(), st.booleans())
def test_a_grid_is_found(seed: int, bits: int, step: float, per_row: bool, single: bool) -> None:
    """Also in single precision, where a step times a whole number is known to some units in the last place."""
    rng = np.random.default_rng(seed)
    top = 2 ** (bits - 1) - 1
    levels = rng.integers(-top, top + 1, (6, 40))
    levels[:, :2] = 1, top  # else a multiple of the step would do as well
    steps = step * (rng.uniform(0.5, 2.0, 6) if per_row else np.ones(6))
    matrix = levels * steps[:, None]
    if single:
        matrix = matrix.astype(np.float32).astype(np.float64)
    found = grid_steps(rows(matrix))
    assert found is not None
    np.testing.assert_allclose(found, steps, rtol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_no_grid_is_found_where_there_is_none(seed: int) -> None:
    assert grid_steps(rows(np.random.default_rng(seed).normal(size=(3, 64)))) is None


def quantised(levels: np.ndarray, steps: np.ndarray, bias: float, tau: float) -> nir.NIRGraph:
    n_out, n_in = levels.shape
    full = np.ones(n_out)
    nodes = {
        "in": nir.Input({"input": np.array([n_in])}), "out": nir.Output({"output": np.array([n_out])}),
        "w": nir.Affine(levels * steps[:, None], bias * full),
        "lif": nir.LIF(tau=tau * full, r=full, v_leak=0 * full, v_threshold=full, v_reset=0 * full)}
    return nir.NIRGraph(nodes=nodes, edges=[("in", "w"), ("w", "lif"), ("lif", "out")], type_check=False)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.booleans())
def test_quantised_weights_stay_what_they_are(seed: int, bits: int, per_row: bool) -> None:
    """Per tensor on Lava's own LIF, per channel where each neuron has a scale: mantissas proportional to the levels."""
    rng = np.random.default_rng(seed)
    top = 2 ** (bits - 1) - 1
    levels = rng.integers(-top, top + 1, (5, 30))
    levels[:, :2] = 1, top
    steps = np.full(5, rng.uniform(0.01, 0.5)) * (rng.uniform(0.5, 2.0, 5) if per_row else 1.0)
    program = loihic.compile(quantised(levels, steps, 0.02 if per_row else 0.0, 4.0), dt=1.0, weight_bits=bits)
    assert not [loss for loss in program.ledger if loss.kind == "weights" and (loss.error or 0) > 1e-6]
    made = sum(linear_of(node).to_csr().toarray() * 2.0**node.exponent
               for node in program.graph.nodes.values() if isinstance(node, Synapse))
    ratio = made[:, :1]  # what one level became
    np.testing.assert_array_equal(made, ratio * levels)


def test_a_network_of_whole_weights_loses_nothing() -> None:
    """No leak, weights and thresholds on a grid: the integers are the network, spike by spike."""
    rng = np.random.default_rng(3)
    full = np.ones(20)
    nodes = {
        "in": nir.Input({"input": np.array([30])}), "out": nir.Output({"output": np.array([20])}),
        "w": nir.Linear(0.037 * rng.integers(-127, 128, (20, 30))),
        "if": nir.IF(r=full, v_threshold=1.3337 * full, v_reset=0 * full)}
    program = loihic.compile(nir.NIRGraph(nodes=nodes, edges=[("in", "w"), ("w", "if"), ("if", "out")],
                                          type_check=False), dt=1.0)
    x = (rng.random((10, 300, 30)) < 0.2).astype(float)
    spikes = program.run(x).outputs["out"]
    assert spikes.sum() > 1000
    np.testing.assert_array_equal(spikes, program.run_float(x)["out"])


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_zero_weights_take_any_grid(bits: int) -> None:
    program = loihic.compile(quantised(np.zeros((3, 4), dtype=int), np.ones(3), 0.0, 4.0), dt=1.0, weight_bits=bits)
    assert not program.run(np.ones((20, 4))).outputs["out"].any()
