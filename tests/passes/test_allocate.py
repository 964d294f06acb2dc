"""Allocation keeps its budget, spends it where it matters, and is never worse than the same width everywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import SPIKING, RandomNet, networks

import loihic
from loihic.errors import CompileError, Diagnostic, InputError
from loihic.ops.mapping import Map
from loihic.ops.synapse import Synapse
from loihic.partition.words import synapse_words
from loihic.passes import allocator
from loihic.program import Program
from loihic.quant.budget import Budget
from loihic.quant.sensitivity import OutputError

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


def words(program: Program) -> int:
    return sum(synapse_words(node) for node in program.graph.nodes.values() if isinstance(node, Synapse))


def formats(program: Program) -> dict[str, str]:
    return {name: node.bits for name, node in program.source.nodes.items() if isinstance(node, Map)}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks(SPIKING), st.floats(0.3, 1.2))
def test_the_budget_of_words_is_kept(net: RandomNet, share: float) -> None:
    x = net.spikes(20, samples=3)
    allowed = max(int(words(loihic.compile(net.graph, dt=net.dt, calibration=x)) * share), 1)
    try:
        program = loihic.compile(net.graph, dt=net.dt, calibration=x, weight_bits="auto", budget=Budget(words=allowed))
    except CompileError as error:
        assert [item.code for item in error.diagnostics] == ["LHC405"]  # noqa: PT017 - most budgets can be met
        return
    assert words(program) <= allowed


def two_layers(first: float, second: float) -> nir.NIRGraph:
    """Two inputs into populations of which the second counts for nothing where `second` is zero."""
    rng, full = np.random.default_rng(0), np.ones(16)
    nodes = {
        "in": nir.Input({"input": np.array([24])}), "out": nir.Output({"output": np.array([16])}),
        "a": nir.Linear(rng.normal(size=(16, 24))), "b": nir.Linear(rng.normal(size=(16, 24))),
        "one": nir.LIF(tau=4 * full, r=full, v_leak=0 * full, v_threshold=full, v_reset=0 * full),
        "two": nir.LIF(tau=4 * full, r=full, v_leak=0 * full, v_threshold=full, v_reset=0 * full),
        "c": nir.Linear(first * rng.normal(size=(16, 16))), "d": nir.Linear(second * rng.normal(size=(16, 16))),
        "last": nir.LIF(tau=4 * full, r=full, v_leak=0 * full, v_threshold=full, v_reset=0 * full)}
    edges = [("in", "a"), ("in", "b"), ("a", "one"), ("b", "two"), ("one", "c"), ("two", "d"), ("c", "last"),
             ("d", "last"), ("last", "out")]
    return nir.NIRGraph(nodes=nodes, edges=edges, type_check=False)


def compiled(graph: Any, **choices: Any) -> Program:
    x = (np.random.default_rng(1).random((10, 60, 24)) < 0.3).astype(float)
    return loihic.compile(graph, dt=1.0, calibration={"in": x}, **choices)


def test_what_reaches_no_output_gets_no_bits() -> None:
    program = compiled(two_layers(1.0, 0.0), weight_bits="auto")
    found = formats(program)
    assert loihic_bits(found["a"]) >= 8
    assert loihic_bits(found["b"]) < 4


def loihic_bits(text: str) -> float:
    from loihic.quant.formats import Format

    form = Format.parse(text)
    return form.bits * (1 - form.pruned / 100)


def test_given_widths_stay() -> None:
    found = formats(compiled(two_layers(1.0, 1.0), weight_bits="auto,a=5,d=3f"))
    assert found["a"] == "5"
    assert found["d"] == "3f"


@pytest.mark.parametrize("limit", [0.5, 0.2, 0.1])
def test_the_measured_error_is_kept_with_few_words(limit: float) -> None:
    model = DIGITS / "digits_mlp.nir"
    x = np.load(DIGITS / "digits_mlp_test.npz")["input"][:20].astype(float)
    found: list[Diagnostic] = []
    program = loihic.compile(model, calibration={"input": x}, weight_bits="auto", budget=Budget(max_error=limit),
                             report=found.append)
    note = next(item for item in found if item.code == "LHC502")
    assert float(note.message.rpartition(" ")[2]) <= limit
    assert words(program) < words(loihic.compile(model, weight_bits=16))


def test_never_worse_than_the_same_width_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the knapsack is told nonsense: what is measured counts."""
    real = OutputError.of
    monkeypatch.setattr(allocator.Allocator, "_refined", lambda self, picked, _: picked)
    monkeypatch.setattr(allocator.Allocator, "_errors", lambda self: {
        name: {form: float(len(ladder) - i) for i, form in enumerate(reversed(ladder))}
        for name, ladder in self.ladders.items()})
    asked: list[float] = []

    def of(self: OutputError, maps: dict[str, Any]) -> float:
        asked.append(real(self, maps))
        return asked[-1]

    monkeypatch.setattr(OutputError, "of", of)
    found: list[Diagnostic] = []
    compiled(two_layers(1.0, 1.0), weight_bits="auto", report=found.append)
    note = next(item for item in found if item.code == "LHC502")
    assert float(note.message.rpartition(" ")[2]) == pytest.approx(min(asked), rel=0.01)


@pytest.mark.parametrize("budget", [Budget(words=1), Budget(cores=1, words=3), Budget(energy=1e-30)])
def test_a_budget_that_cannot_be_met(budget: Budget) -> None:
    with pytest.raises(CompileError, match="LHC405"):
        compiled(two_layers(1.0, 1.0), weight_bits="auto", budget=budget)


def test_a_budget_without_free_weights() -> None:
    with pytest.raises(InputError, match="LHC702"):
        compiled(two_layers(1.0, 1.0), weight_bits=8, budget=Budget(words=100))


def test_energy_forbids_chains_that_words_would_allow() -> None:
    """7.2 inputs a step into twice 16 neurons, and about 1.5 spikes of each population into 16: 280 operations."""
    dear = compiled(two_layers(1.0, 1.0), weight_bits="auto", budget=Budget(words=100_000))
    assert any(loihic_bits(text) > 8 for text in formats(dear).values())
    thrifty = compiled(two_layers(1.0, 1.0), weight_bits="auto", budget=Budget(words=100_000, energy=280 * 60e-12))
    assert all(loihic_bits(text) <= 8 for text in formats(thrifty).values())


def test_the_same_choice_every_time() -> None:
    first, second = (compiled(two_layers(1.0, 0.5), weight_bits="auto") for _ in range(2))
    assert formats(first) == formats(second)


def test_a_large_network_is_judged_by_samples_of_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = two_layers(1.0, 0.5)
    monkeypatch.setattr(allocator, "LARGE", 10)
    program = compiled(graph, weight_bits="auto")
    assert words(program) <= words(compiled(graph, weight_bits=8))
    assert len(set(formats(program).values())) > 1


@pytest.mark.parametrize("text", ["words", "words=x", "words=0", "words=-3", "cores=nan", "time=3", "words=1e999"])
def test_budgets_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="LHC702"):
        Budget.parse([text])


def test_spelling_of_budgets() -> None:
    assert Budget.parse(["words=500,cores=3", "energy=1e-6"], 0.1) == Budget(
        words=500, cores=3, energy=1e-6, max_error=0.1)


def test_a_budget_that_trials_underestimate_is_kept_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each group's trial is told to take half the words that it does."""
    real = allocator.trial

    def half(*given: Any) -> Any:
        found = real(*given)
        return replace(found, words=found.words // 2)

    monkeypatch.setattr(allocator, "trial", half)
    graph = two_layers(1.0, 1.0)
    allowed = words(compiled(graph, weight_bits=5))
    assert words(compiled(graph, weight_bits="auto", budget=Budget(words=allowed))) <= allowed
