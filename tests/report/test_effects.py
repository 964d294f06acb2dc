"""Effects of single entries of the ledger, and when they are not measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest
from single_losses import chain, exact, late, lif, off, spikes, with_source

import loihic
from loihic.artifact import load, save
from loihic.ledger import Ledger, Loss
from loihic.report.effects import measured_effects, work
from loihic.report.spike_metrics import train_distance
from loihic.report.tables import LEDGER_COLUMNS, SUMMARY_COLUMNS, ledger_rows, summary_rows
from loihic.sim.emulate import LossKind


def entry(node: str, kind: str, error: float = 0.1, param: str = "") -> Loss:
    return Loss(node=node, kind=kind, param=param, wanted="", actual="", error=error)


def rough(**choices: object) -> loihic.Program:
    """Two populations with coarse weights and uneven decays."""
    rng = np.random.default_rng(2)
    uneven = nir.LIF(tau=np.full(5, 6.3), r=np.full(5, 6.0), v_leak=np.zeros(5), v_threshold=np.ones(5))
    net = chain(nir.Linear(rng.normal(0.3, 0.5, (5, 4))), uneven, nir.Linear(rng.normal(0.4, 0.5, (3, 5))),
                lif(3, 1.0), size=4, out=3)
    return loihic.compile(net, dt=1.0, weight_bits=3, **choices)


def test_an_entry_is_worth_what_undoing_it_alone_saves() -> None:
    weights = off(LossKind.WEIGHTS).source.nodes["n0"].linear
    bias = np.full(3, 0.2)
    program = with_source(off(LossKind.WEIGHTS), "n3", bias_v=bias)
    program = replace(program, ledger=Ledger([
        entry("n0", "weights"), entry("n3", "bias"), entry("n1", "decay"), entry("", "dt")]))
    x = spikes(program)
    truth = program.run_float(x)["output"]
    everything = train_distance(program.run(x).outputs["output"], truth)
    without_weights = train_distance(with_source(exact(), "n0", linear=weights).run_float(x)["output"], truth)
    without_bias = train_distance(with_source(exact(), "n3", bias_v=bias).run_float(x)["output"], truth)
    assert len({everything, without_weights, without_bias}) == 3
    of_weights, of_bias, of_decay, of_dt = measured_effects(program, x)
    assert of_weights.effect == pytest.approx(everything - without_weights)
    assert of_bias.effect == pytest.approx(everything - without_bias)
    assert of_decay.effect is None  # 7/8 was represented exactly: there is nothing to undo
    assert of_dt.effect is None  # no parameter of the graph


def test_the_greatest_errors_are_measured_first() -> None:
    program = rough()
    bare = replace(program, ledger=Ledger([replace(loss, effect=None) for loss in program.ledger]))
    worst = max(bare.ledger, key=lambda loss: loss.error or 0.0)
    steps, nodes = 64, len(program.source.nodes)
    assert work(program.source) == 4 * 5 + 5 * 3
    assert [loss.effect for loss in measured_effects(bare, budget=0.0)] == [None] * len(bare.ledger)
    budget = 3.5 * steps * (work(program.source) + 5000 * nodes)  # two runs to compare with, and one entry
    measured = [loss for loss in measured_effects(bare, budget=budget) if loss.effect is not None]
    assert [replace(loss, effect=None) for loss in measured] == [worst]


def test_late_loops_have_an_effect() -> None:
    program = late()
    (loop,) = [loss for loss in measured_effects(program, spikes(program)) if loss.param == "loop"]
    assert loop.effect is not None
    assert loop.effect > 0.01


def test_compile_measures_and_the_artefact_keeps_it(tmp_path: Path) -> None:
    program = rough()
    effects = [loss.effect for loss in program.ledger if loss.kind == "weights"]
    assert len(effects) == 2
    assert any(effect for effect in effects)
    assert load(save(program, tmp_path / "p.loihic")).ledger.to_json() == program.ledger.to_json()
    column, summary = LEDGER_COLUMNS.index("effect"), SUMMARY_COLUMNS.index("largest effect")
    shown = {row[:3]: row[column] for row in ledger_rows(program.ledger)}
    for loss in program.ledger:
        wanted = "" if loss.effect is None else f"{loss.effect:.3g}" if loss.effect else "none"
        assert shown[loss.node, loss.kind, loss.param] == wanted
    largest = {row[0]: row[summary] for row in summary_rows(program.ledger)}
    assert largest["weights"] == f"{max(filter(None, effects)):.3g}"


def test_calibration_data_is_measured_on() -> None:
    x = {"input": (np.random.default_rng(3).random((12, 30, 4)) < 0.3).astype(float)}
    program = rough(calibration=x)
    wanted = measured_effects(program, {"input": x["input"][:8]})
    assert program.ledger.to_json() == wanted.to_json()
    assert wanted.to_json() != measured_effects(program).to_json()


def test_calibration_data_beyond_a_declared_range_does_not_stop_a_compilation() -> None:
    x = {"input": 3.0 * (np.random.default_rng(3).random((2, 30, 4)) < 0.3)}
    program = rough(calibration=x, input_range=(0.0, 1.0))
    assert program.ledger.to_json() == measured_effects(program).to_json()
