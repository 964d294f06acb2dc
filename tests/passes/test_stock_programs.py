"""Stock-only programs are programs like any other: they are written and read, and what cannot be is said."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest

import loihic
from loihic.artifact import dumps


def biased(delay: np.ndarray | None) -> nir.NIRGraph:
    """A population with biases and decays of two kinds, behind it a Delay or not, and another population."""
    full = np.ones(3)
    nodes = {
        "in": nir.Input({"input": np.array([2])}), "out": nir.Output({"output": np.array([2])}),
        "a": nir.Affine(np.arange(6.0).reshape(3, 2) - 2, 0.3 * full),
        "lif": nir.LIF(tau=np.array([3.0, 3.0, 7.0]), r=3 * full, v_leak=0 * full, v_threshold=full, v_reset=0 * full),
        "b": nir.Linear(np.ones((2, 3))),
        "last": nir.LIF(tau=3 * full[:2], r=full[:2], v_leak=0 * full[:2], v_threshold=full[:2], v_reset=0 * full[:2])}
    path = ["in", "a", "lif", "b", "last", "out"]
    if delay is not None:
        nodes["delay"] = nir.Delay(delay)
        path.insert(3, "delay")
    return nir.NIRGraph(nodes=nodes, edges=list(pairwise(path)), type_check=False)


def test_a_program_with_a_bias_neuron_is_saved(tmp_path: Path) -> None:
    program = loihic.compile(biased(np.full(3, 2.0)), dt=1.0, stock_only=True)
    assert dumps(loihic.load(program.save(tmp_path / "net.loihic"))) == dumps(program)


def test_delays_of_several_lengths_are_refused_whatever_feeds_them() -> None:
    with pytest.raises(loihic.CompileError, match="LHC402"):
        loihic.compile(biased(np.array([1.0, 2.0, 3.0])), dt=1.0, stock_only=True)
