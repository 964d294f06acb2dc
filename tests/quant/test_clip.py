"""Calibrated ranges that end before the largest value: what lies beyond is clipped, and the rest has finer steps."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import loihic
from loihic.errors import InputError
from loihic.quant.histogram import Histogram


def graded() -> nir.NIRGraph:
    one = np.ones(2)
    nodes = {"in": nir.Input({"input": np.array([2])}), "w": nir.Linear(np.eye(2)),
             "li": nir.LI(tau=3 * one, r=one, v_leak=0 * one), "out": nir.Output({"output": np.array([2])})}
    return nir.NIRGraph(nodes=nodes, edges=[("in", "w"), ("w", "li"), ("li", "out")], type_check=False)


def outlier() -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(4, 500, 2))
    x[0, 0, 0] = 500.0
    return x


@pytest.mark.parametrize("clip", ["99.9", "99"])
def test_an_outlier_does_not_take_the_inputs_precision(clip: str) -> None:
    x = outlier()
    whole = loihic.compile(graded(), dt=1.0, calibration={"in": x}, input_bits=8)
    cut = loihic.compile(graded(), dt=1.0, calibration={"in": x}, input_bits=8, clip=clip)
    assert cut.inputs["in"].scale < whole.inputs["in"].scale / 4
    test = np.random.default_rng(1).normal(size=(2, 300, 2))
    wanted = loihic.compile(graded(), dt=1.0, input_range=(-8.0, 8.0), input_bits=16).run_float(test)["out"]
    error = {name: np.sqrt(np.mean((program.dequantise(program.run(test).outputs)["out"] - wanted) ** 2))
             for name, program in {"whole": whole, "cut": cut}.items()}
    assert error["cut"] < error["whole"] / 3


def test_the_clip_of_least_squares_is_the_best_of_all() -> None:
    """Against every clip tried on the values themselves."""
    values = np.random.default_rng(0).standard_t(3, size=20_000)
    histogram = Histogram()
    histogram.add(values)

    def error(clip: float) -> float:
        cut = np.maximum(np.abs(values) - clip, 0)
        return float(np.sum(cut**2) + values.size * (clip / 7) ** 2 / 12)

    best = min(error(clip) for clip in np.linspace(0.05, 1, 500) * np.abs(values).max())
    assert error(histogram.least_squares(7)) < 1.02 * best


def test_what_lies_beyond_is_clipped_rather_than_refused() -> None:
    program = loihic.compile(graded(), dt=1.0, calibration={"in": outlier()}, input_bits=8, clip="99")
    port = program.inputs["in"]
    x = np.full((1, 10, 2), 100.0)
    np.testing.assert_array_equal(program.encode(x)["in"], np.full((1, 10, 2), port.high))
    with pytest.raises(InputError, match="LHC111"):
        loihic.compile(graded(), dt=1.0, calibration={"in": outlier()}, input_bits=8).encode(10 * x)


@pytest.mark.parametrize("clip", ["least", "0", "101", "-1", "nan", ""])
def test_clips_that_mean_nothing(clip: str) -> None:
    with pytest.raises(InputError, match="LHC702"):
        loihic.Options(clip=clip)
