"""compare: the figures against whole traces, faults, chunks, and memory."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import nir
import numpy as np
import pytest
from single_losses import chain, exact, lif, off, saturating, spikes, with_source

import loihic
from loihic.errors import InputError
from loihic.ops.compartment import Compartment
from loihic.ops.traits import Emit
from loihic.program import Program
from loihic.report import compare as module
from loihic.report.comparison_tables import curve, effect_rows, fault_rows, population_legend, population_rows
from loihic.report.faults import Fault, faults
from loihic.report.population import PopulationMeter
from loihic.report.spike_metrics import train_distance
from loihic.sim.emulate import LossKind
from loihic.sim.lockstep import Limits, Trace
from loihic.sim.reference import run_reference


def lossy(**choices: Any) -> Program:
    """Spikes, then voltages: a population of each kind, with every parameter off its grid."""
    rng = np.random.default_rng(8)
    leaky = {"tau": np.full(5, 6.3), "r": np.full(5, 3.0), "v_leak": np.full(5, 0.07)}
    net = chain(nir.Linear(rng.normal(0.3, 0.6, (5, 4))), nir.LIF(**leaky, v_threshold=rng.uniform(0.3, 0.5, 5)),
                nir.Linear(rng.normal(0.2, 0.5, (5, 5))), nir.LI(**leaky), size=4, out=5)
    return loihic.compile(net, dt=1.0, weight_bits=3, **choices)


def whole_traces(program: Program, x: dict[str, np.ndarray]) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Per population and state the integers and the floats, (N, T, *shape), from runs that keep everything."""
    names = [name for name, node in program.graph.nodes.items() if isinstance(node, Compartment)]
    keys = [(name, state) for name in names for state in ("u", "v", "out")]
    recorded = program.run(x, record=keys, raw=True).recorded
    kept: dict[tuple[str, str], list[np.ndarray]] = {key: [] for key in keys}

    def observe(name: str, states: Any, sent: np.ndarray) -> None:
        for state, value in (("u", states["u"]), ("v", states["v"]), ("out", sent)):
            kept[name, state].append(value)

    run_reference(program.source, program.real_inputs(x), observe=observe)
    found: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for name, state in keys:
        node, theirs = program.graph.nodes[name], np.stack(kept[name, state], axis=1)
        unit = node.unit * 2.0 ** (node.out_shift * (state == "out"))
        scale = unit if state != "out" or node.emit is Emit.STATE else 1.0
        ours = recorded[name, state][:, node.start :][:, : theirs.shape[1]] * scale
        found.setdefault(name, {})[state] = ours, theirs
    return found


def decibels(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(theirs**2) / np.sum((ours - theirs) ** 2)))


@pytest.mark.parametrize("chunk", [1, 1e9])
def test_figures_are_those_of_whole_traces(chunk: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk)
    program = lossy()
    x = spikes(program, samples=5, steps=50)
    found, whole = program.compare(x, tau=4.0), whole_traces(program, x)
    assert [one.node for one in found.populations] == list(whole)
    for one in found.populations:
        ours, theirs = whole[one.node]["out"]
        assert one.sqnr_u == pytest.approx(decibels(*whole[one.node]["u"]))
        assert one.sqnr_v == pytest.approx(decibels(*whole[one.node]["v"]))
        if one.is_graded:
            assert one.sqnr_out == pytest.approx(decibels(ours, theirs))
            wanted = np.sqrt(np.mean((ours - theirs) ** 2, axis=(0, 2)) / np.mean(theirs**2))
            np.testing.assert_allclose(one.profile, wanted)
            continue
        assert one.mismatched == np.sum(ours != theirs) > 0
        assert (one.integer_spikes, one.float_spikes) == (ours.sum(), theirs.sum())
        assert one.mismatched_per_spike == one.mismatched / theirs.sum()
        assert one.float_rate == pytest.approx(theirs.mean())
        assert one.integer_rate == pytest.approx(ours.mean())
        assert one.rate_error == pytest.approx((ours.sum() - theirs.sum()) / theirs.sum())
        rates = ours.mean(axis=1) - theirs.mean(axis=1)
        assert one.rate_rms == pytest.approx(np.sqrt(np.mean(rates**2)))
        assert one.van_rossum == pytest.approx(train_distance(ours, theirs, 4.0))
        np.testing.assert_allclose(one.profile, np.mean(ours != theirs, axis=(0, 2)))
    ours, theirs = whole["n3"]["out"]
    agreed = int(np.sum(ours.sum(axis=1).argmax(axis=1) == theirs.sum(axis=1).argmax(axis=1)))
    assert found.decisions["output"] == module.Decisions(agreed=agreed, of=5, silent=0)
    first_spike = np.argwhere(whole["n1"]["out"][0] != whole["n1"]["out"][1])[:, 1].min()
    assert found.first is not None
    assert found.first.step <= first_spike


@pytest.mark.parametrize("kind", [LossKind.WEIGHTS, LossKind.DECAY, LossKind.THRESHOLD, LossKind.BIAS])
def test_the_only_loss_is_the_whole_error(kind: LossKind) -> None:
    program = off(kind)
    x = spikes(program)
    found = program.compare(x)
    assert found.output_error == pytest.approx(train_distance(program.run(x).outputs["output"],
                                                              program.run_float(x)["output"]))
    assert found.output_error > 0.05
    effects = {effect.kind: effect for effect in found.effects}
    assert effects[kind].undone == pytest.approx(0, abs=1e-9)
    assert effects[kind].alone == pytest.approx(found.output_error)
    assert effects[kind].change == pytest.approx(-found.output_error)
    for other in {LossKind.SATURATION, LossKind.ARITHMETIC}:
        assert effects[other].undone == pytest.approx(found.output_error)
        assert effects[other].alone == pytest.approx(0, abs=1e-9)
    assert effect_rows(found)[0][0] == kind.value


def test_without_input_the_golden_input_is_compared() -> None:
    program = lossy()
    assert program.compare().steps == 64
    with pytest.raises(InputError, match="LHC702"):
        program.compare(tau=0.0)


def test_silence_is_no_decision() -> None:
    program = exact()
    program = with_source(program, "n3", threshold=np.array([1.0, 1.0, 1e9]))
    x = spikes(program)["input"]
    x[0] = 0
    assert program.compare(x).decisions["output"] == module.Decisions(agreed=3, of=3, silent=1)
    never = with_source(program, "n3", threshold=np.full(3, 1e9))  # the integers decide, the floats do not
    assert never.compare(x).decisions["output"] == module.Decisions(agreed=0, of=3, silent=1)


def test_json_and_progress() -> None:
    program, seen = lossy(), []
    found = program.compare(spikes(program), progress=lambda what, share: seen.append((what, share)))
    plain = json.loads(json.dumps(found.to_json()))
    assert plain["first"]["node"] in ("n1", "n3")
    assert plain["first"]["text"] == str(found.first)
    assert plain["effects"][0]["kind"] == "weights"
    assert len(plain["populations"][0]["profile"]) == 60
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1
    assert {what for what, _ in seen} == {"comparing", "looking for the cause", "undoing each loss"}


def test_memory_does_not_grow_with_the_length_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 2e6)
    monkeypatch.setattr(module, "EFFECT_WORK", 1.0)
    size, steps, samples = 1500, 60, 30
    net = chain(nir.Linear(np.ones((size, 1))), lif(size, 2.0), nir.Linear(np.full((1, size), 1 / 64)), lif(1), size=1,
                out=1)
    program = loihic.compile(net, dt=1.0, neuron_scales=False)
    x = spikes(program, samples=samples, steps=steps)
    tracemalloc.start()
    program.compare(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < samples * steps * size * 3 * 8 / 6  # a sixth of u, v and spikes of one of the two networks


def meter(counts: list[list[list[int]]], theirs: list[list[list[int]]], **limits: list[list[int]]) -> PopulationMeter:
    """A meter that has seen one chunk of trains (T, N, neurons)."""
    zero = np.zeros((), dtype=np.int64)
    node = Compartment(shape=(len(counts[0][0]),), du=zero, dv=zero, vth=zero + 1)
    made = PopulationMeter("n1", node, len(counts), 10.0, keeps_sums=False)
    for t, (mine, real) in enumerate(zip(counts, theirs, strict=True)):
        ours, floats = np.asarray(mine, dtype=float), np.asarray(real, dtype=float)
        made.add(t, Trace(ours, ours, ours), Trace(floats, floats, floats))
    none = np.zeros(np.asarray(counts[0]).shape, dtype=np.int64)
    made.finish(Limits(np.asarray(limits.get("wrapped", none)), np.asarray(limits.get("clipped", none))))
    return made


def test_faults_of_hand_made_trains() -> None:
    #            dead, stuck, silent, busy, well
    ours = [[[0, 1, 0, 1, 1]], [[0, 1, 0, 1, 0]]]
    theirs = [[[1, 1, 0, 1, 1]], [[0, 0, 0, 1, 0]]]
    program = exact()
    found = {one.fault: one for one in faults(program, [meter(ours, theirs, wrapped=[[0, 0, 2, 0, 0]],
                                                              clipped=[[1, 0, 0, 0, 3]])])}
    where = {fault: one.first for fault, one in found.items()}
    assert where == {Fault.DEAD: ((0,),), Fault.STUCK: ((1,),), Fault.SILENT: ((2,),), Fault.BUSY: ((3,),),
                     Fault.WRAPPED: ((2,),), Fault.CLIPPED: ((0,), (4,))}
    assert found[Fault.CLIPPED].count == 2
    assert "--calibration" in found[Fault.CLIPPED].remedy
    assert found[Fault.DEAD].remedy == "--neuron-scales"
    assert found[Fault.SILENT].remedy == ""
    assert next(iter(found)) is Fault.DEAD


def test_a_neuron_whose_weights_round_to_nothing_is_dead() -> None:
    weight = np.array([[1.0, 1.0], [0.0005, 0.0007]])
    net = chain(nir.Linear(weight), nir.IF(r=np.ones(2), v_threshold=np.full(2, 0.01)), size=2, out=2)
    for choices, remedy in (({"weight_bits": 4}, "--weight-bits n0=8"), ({}, "--neuron-scales")):
        program = loihic.compile(net, dt=1.0, neuron_scales=False, **choices)
        (found,) = [one for one in program.compare(spikes(program)).faults if one.fault is Fault.DEAD]
        assert (found.node, found.count, found.first, found.remedy) == ("n1", 1, ((1,),), remedy)


def test_a_clipped_voltage_is_counted() -> None:
    program, x = saturating()
    (found,) = [one for one in program.compare(x).faults if one.fault is Fault.CLIPPED]
    assert (found.node, found.count) == ("n1", 1)


def test_tables_say_what_there_is() -> None:
    program = lossy()
    found = program.compare(spikes(program))
    spiking, graded = population_rows(found)
    assert spiking[0] == "n1"
    assert spiking[4] == ""
    assert graded[4] == f"{found.populations[1].sqnr_out:.1f}"
    assert graded[5:10] == ("",) * 5
    assert any("van Rossum" in line for line in population_legend(found))
    assert all(len(row) == 5 for row in fault_rows(found.faults))
    same = exact()
    row = population_rows(same.compare(spikes(same)), ascii_only=True)[0]
    assert (row[2], *row[7:]) == ("exact", "equal", "0", "0", "none")


def test_curve() -> None:
    assert curve([0, 0.5, 1], "abc") == "abc"
    assert curve([0, 0, 1, 3], "abc", width=2) == "ac"
    assert curve([0, 0], "abc") == "aa"
    assert curve([], "abc") == ""
    assert len(curve([1.0] * 100)) == 24
