"""Scales and weights: what rounding may and may not depend on."""

from __future__ import annotations

import nir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import loihic
from loihic.ops.delay_line import DelayLine
from loihic.ops.synapse import Synapse
from loihic.program import Program
from loihic.quant.fixed import BIAS_MANTISSA_MAX, decode_bias, encode_bias
from loihic.quant.groups import values_of
from loihic.quant.sums import linear_of


def in_units(unit: float) -> Program:
    """The same network with voltages counted in another unit."""
    rng, full = np.random.default_rng(0), np.ones(6)
    nodes = {
        "in": nir.Input({"input": np.array([8])}), "out": nir.Output({"output": np.array([6])}),
        "w": nir.Affine(rng.normal(size=(6, 8)), 0.1 * rng.normal(size=6)),
        "lif": nir.LIF(tau=7 * full, r=3 * unit * full, v_leak=0.05 * unit * full, v_threshold=0.9 * unit * full,
                       v_reset=-0.1 * unit * full)}
    edges = [("in", "w"), ("w", "lif"), ("lif", "out")]
    return loihic.compile(nir.NIRGraph(nodes=nodes, edges=edges, type_check=False), dt=1.0)


@pytest.mark.parametrize("power", [-40, -12, -3, 5, 40])
def test_the_unit_of_voltage_does_not_matter(power: int) -> None:
    first, second = in_units(1.0), in_units(2.0**power)
    x = (np.random.default_rng(1).random((100, 8)) < 0.3).astype(float)
    np.testing.assert_array_equal(first.run(x).outputs["out"], second.run(x).outputs["out"])
    for name, node in first.graph.nodes.items():
        if isinstance(node, Synapse):
            other = second.graph.nodes[name]
            assert isinstance(other, Synapse)
            np.testing.assert_array_equal(values_of(linear_of(node)), values_of(linear_of(other)))
        assert not isinstance(node, DelayLine)


def test_the_narrowest_of_several_synapse_groups_sets_the_scale() -> None:
    """A large weight in one branch and a tiny one in the other: both fit an exponent."""
    one = np.ones(1)
    for first, second in ((1.0, 1e-4), (1e-4, 1.0)):
        nodes = {
            "in": nir.Input({"input": np.array([1])}), "other": nir.Input({"input": np.array([1])}),
            "a": nir.Linear(first * np.eye(1)), "b": nir.Linear(second * np.eye(1)),
            "lif": nir.IF(r=one, v_threshold=0.01 * one, v_reset=0 * one), "out": nir.Output({"output": np.array([1])})}
        edges = [("in", "a"), ("other", "b"), ("a", "lif"), ("b", "lif"), ("lif", "out")]
        program = loihic.compile(nir.NIRGraph(nodes=nodes, edges=edges, type_check=False), dt=1.0)
        assert {name for name, node in program.graph.nodes.items() if isinstance(node, Synapse)} == {"a", "b"}


@given(st.integers(-(2**19), 2**19))
def test_biases_are_the_nearest_that_fit(value: int) -> None:
    mantissa, exponent = encode_bias(np.array(value))
    assert -BIAS_MANTISSA_MAX - 1 <= mantissa <= BIAS_MANTISSA_MAX
    assert 0 <= exponent <= 7
    if abs(value) <= BIAS_MANTISSA_MAX << 7:
        assert abs(int(decode_bias(mantissa, exponent)) - value) <= (1 << int(exponent)) / 2
