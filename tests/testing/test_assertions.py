"""The assertions of `loihic.testing`: they pass where things are right, and say where they are not."""

from __future__ import annotations

import unittest
from dataclasses import replace

import nir
import numpy as np
import pytest

import loihic
from loihic import testing
from loihic.program import Program
from loihic.targets.lava import runner
from loihic.verify import Divergence, Verdict


@pytest.fixture(scope="module")
def program() -> Program:
    rng, one = np.random.default_rng(0), np.ones(3)
    nodes = {"in": nir.Input({"input": np.array([4])}), "w": nir.Linear(rng.normal(0.3, 0.5, (3, 4))),
             "lif": nir.LIF(tau=4 * one, r=4 * one, v_leak=0 * one, v_threshold=one, v_reset=0 * one),
             "out": nir.Output({"output": np.array([3])})}
    graph = nir.NIRGraph(nodes=nodes, edges=[("in", "w"), ("w", "lif"), ("lif", "out")], type_check=False)
    return loihic.compile(graph, dt=1.0, weight_bits=3)


def test_golden(program: Program) -> None:
    testing.assert_matches_golden(program)
    changed = {name: values + (np.arange(len(values)) == 5)[:, None] for name, values in program.golden_output.items()}
    with pytest.raises(AssertionError, match=r"first divergence: sample 0, step 5: out\[0\]\.out is . in sim, . there"):
        testing.assert_matches_golden(replace(program, golden_output=changed))
    with pytest.raises(AssertionError, match="carries no golden output"):
        testing.assert_matches_golden(replace(program, golden_output={}))


def test_float_with_limits(program: Program) -> None:
    x = (np.random.default_rng(1).random((20, 40, 4)) < 0.3).astype(float)
    testing.assert_matches_float(program, x, share=1.0, per_spike=10.0, decisions=0.0)
    with pytest.raises(AssertionError) as raised:
        testing.assert_matches_float(program, x)
    assert "share of entries that differ is 0.1" in f"{raised.value}"
    assert "first divergence: sample" in f"{raised.value}"
    with pytest.raises(AssertionError, match=r"agreement of decisions is .*, and must be at least 1\.1"):
        testing.assert_matches_float(program, x, decisions=1.1)
    with pytest.raises(AssertionError, match=r"mismatched per float spike is .*, and must be at most 0"):
        testing.assert_matches_float(program, x, per_spike=0.0)


def test_float_names_the_figures_that_there_are(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = Verdict(agrees=True, against="float", compared=10, figures={"mismatched entries": 0.0})
    monkeypatch.setattr(Program, "verify", lambda *_, **__: bare)
    testing.assert_matches_float(program)
    with pytest.raises(ValueError, match="has no figure 'agreement of decisions'; it has share of entries that differ"):
        testing.assert_matches_float(program, decisions=0.9)


def test_accuracy(program: Program) -> None:
    x = (np.random.default_rng(2).random((12, 30, 4)) < 0.3).astype(float)
    answers = program.run(x).outputs["out"].sum(axis=1).argmax(axis=-1)
    testing.assert_accuracy(program, x, answers, at_least=1.0)
    wrong = np.where(np.arange(12) == 7, (answers + 1) % 3, answers)
    testing.assert_accuracy(program, x, wrong, at_least=11 / 12)
    with pytest.raises(AssertionError, match=r"(?s)0\.9167 of 12 answers are right, and must be at least 0\.95.*\[7\]"):
        testing.assert_accuracy(program, x, wrong, at_least=0.95)
    with pytest.raises(ValueError, match=r"labels have shape \(3,\), the answers \(12,\)"):
        testing.assert_accuracy(program, x, [0, 1, 2], at_least=0.5)


def test_losses(program: Program) -> None:
    kinds = tuple({loss.kind for loss in program.ledger})
    testing.assert_no_losses(program, allowed=kinds)
    with pytest.raises(AssertionError, match=r"weights: .*wanted .*, is .*"):
        testing.assert_no_losses(program)


def test_lava_is_skipped_or_required(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "lava_version", lambda: None)
    monkeypatch.setattr(testing, "settings", testing.Settings())
    with pytest.raises(unittest.SkipTest, match="Lava is not installed"):
        testing.assert_matches_lava(program)
    monkeypatch.setattr(testing, "settings", testing.Settings(require_lava=True))
    with pytest.raises(AssertionError, match="Lava is required here"):
        testing.assert_matches_lava(program)


def test_a_divergence_from_lava_is_told(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Divergence(node="lif", state="v", sample=1, step=7, index=(2,), ours=4.0, theirs=5.0)
    found = Verdict(agrees=False, against="lava", compared=99, first=first)
    monkeypatch.setattr(runner, "lava_version", lambda: "0")
    monkeypatch.setattr(Program, "verify", lambda *_, **__: found)
    with pytest.raises(AssertionError) as raised:
        testing.assert_matches_lava(program)
    assert f"{raised.value}".splitlines()[1:] == [
        "  sim differs from lava: 99 values compared",
        "  first divergence: sample 1, step 7: lif[2].v is 4 in sim, 5 there",
        "  see also: loihic verify PROGRAM --against lava"]


@pytest.mark.skipif(runner.lava_version() is None, reason="Lava is not installed")
def test_lava_itself(program: Program) -> None:
    testing.assert_matches_lava(program, np.ones((6, 4)), timeout=120.0)
