"""map: its tables, its JSON, its errors; what the pictures hold is in tests/report/test_chip_picture.py."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import small_chip

import loihic
from loihic.partition.resources import LABELS
from loihic.partition.routing import link_loads, weighted_hops
from loihic.partition.step import TERMS

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"
HAS_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, on so small a chip that it takes several."""
    folder = tmp_path_factory.mktemp("digits")
    program = loihic.compile(DIGITS / "digits_mlp.nir", target=str(small_chip.write(folder)))
    return program.save(folder / "digits.loihic")


@pytest.fixture(scope="module")
def plan(digits: Path):
    return loihic.load(digits).plan


def rows(output: str) -> list[list[str]]:
    """The lines of the last table, split at gaps."""
    lines = output.split("\n\n")[-1].splitlines()
    return [line.split() for line in lines[1:]]


def test_heading_and_a_row_for_each_core(call, digits, plan):
    result = call("map", digits, "--top", 1000)
    assert result.exit_code == 0, result.output
    least = "the least possible" if plan.cores == plan.bound else f"at least {plan.bound}"
    for text in (f"{plan.cores} of {plan.system.cores}", f"{plan.chips} chips", least, plan.objective,
                 plan.activity, "step time", "weighted hops", *TERMS, *LABELS):
        assert text in result.stdout
    places = [(int(row[0]), int(row[1])) for row in rows(result.stdout)]
    assert places == sorted(divmod(int(site), small_chip.CORES) for site in plan.placement.sites)


def test_the_rest_is_counted(call, digits, plan):
    result = call("map", digits, "--top", 3)
    assert f"... and {plan.cores - 3} cores more; --top {plan.cores} shows all" in result.stdout
    assert "more" not in call("map", digits, "--top", plan.cores).stdout.splitlines()[-1]
    assert "more" not in call("map", digits, "--top", plan.cores).stdout.split("\n\n")[-1]


@pytest.mark.parametrize(("order", "values"), [
    ("load", lambda plan: plan.figures.seconds), ("synops", lambda plan: plan.figures.work[:, 1]),
    ("fill", lambda plan: (plan.figures.memory / plan.figures.capacities).max(axis=1))])
def test_orders(call, digits, plan, order, values):
    logical = {(plan.placement.chip(core), plan.placement.core(core)): core for core in range(plan.cores)}
    shown = [logical[int(row[0]), int(row[1])] for row in rows(call("map", digits, "--sort", order).stdout)]
    along = values(plan)[shown]
    assert np.all(np.diff(along) <= 0)


def test_a_row_for_each_population(call, digits, plan):
    result = call("map", digits, "--by", "population", "--sort", "load")
    assert result.exit_code == 0, result.output
    assert {row[0] for row in rows(result.stdout)} == {"lif", "lif2"}
    assert "96" in result.stdout
    assert "busiest core" in result.stdout


def test_json_holds_everything(call, digits, plan):
    found = json.loads(call("map", digits, "--json", "--top", 1, "--against", "linear").stdout)
    assert found["ok"]
    assert (found["cores_used"], found["chips_used"], found["bound"]) == (plan.cores, plan.chips, plan.bound)
    assert found["gap"] == plan.cores - plan.bound
    assert found["sites"] == plan.placement.sites.tolist()
    assert found["capacities"]["Neurons"] == small_chip.NEURONS
    assert found["limits"]["core.neuron_words"]["source"] == "Small, so that small networks are cut"
    assert set(found["step"]["terms"]) == set(TERMS)
    assert found["picture"] is None
    assert len(found["cores"]) == plan.cores
    mesh, traffic = plan.placement.mesh, plan.traffic
    assert found["traffic"]["weighted_hops"] == weighted_hops(traffic, mesh, plan.placement.sites)
    assert found["against"]["method"] == "linear"
    assert found["against"]["busiest_link"] == link_loads(traffic, mesh, np.arange(plan.cores)).busiest
    for row in found["cores"]:
        core = row["logical"]
        assert row["seconds"] == plan.figures.seconds[core]
        assert [row["words"][label] for label in LABELS] == np.ceil(plan.figures.memory[core]).tolist()
        assert [(one["population"], one["start"], one["stop"]) for one in row["slices"]] == [
            (one.population, one.start, one.stop) for one in plan.partition.cores[core]]
        assert row["neurons"] == sum(one.size for one in plan.partition.cores[core])
    neurons = {one["name"]: one["words"]["Neurons"] for one in found["populations"]}
    assert neurons == {"lif": 96, "lif2": 10}
    assert found["layouts"]["lif"]["shape"] == [96]


def test_populations_take_what_cores_hold(call, digits, plan):
    found = json.loads(call("map", digits, "--json").stdout)
    for key in ("updates", "synops", "reads"):
        assert sum(one[key] for one in found["populations"]) == pytest.approx(sum(one[key] for one in found["cores"]))
    for label in LABELS:
        total = sum(one["words"][label] for one in found["populations"])
        assert total == sum(one["words"][label] for one in found["cores"])


def test_against_another_placement(call, digits):
    result = call("map", digits, "--against", "linear")
    assert result.exit_code == 0, result.output
    assert "(of the program)" in result.stdout
    assert "linear" in result.stdout


@pytest.mark.parametrize("colour", ["node", "load", "traffic", "fill"])
def test_picture(call, digits, plan, folder, colour):
    result = call("map", digits, "--picture", "chip.svg", "--colour", colour)
    assert result.exit_code == 0, result.output
    assert "drawn to chip.svg" in result.stdout
    drawn = (folder / "chip.svg").read_bytes()
    squares = ElementTree.fromstring(drawn).findall(".//{*}rect[@class='core']")
    assert len(squares) == plan.cores
    assert json.loads(call("map", digits, "--picture", "chip.svg", "--colour", colour, "--json").stdout)[
        "picture"] == "chip.svg"
    assert (folder / "chip.svg").read_bytes() == drawn


@pytest.mark.skipif(not HAS_MATPLOTLIB, reason="matplotlib is not installed")
def test_picture_as_png(call, digits, folder):
    assert call("map", digits, "--picture", "chip.PNG", "--colour", "traffic").exit_code == 0
    assert (folder / "chip.PNG").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib(call, digits, folder, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "matplotlib" else
                        found(name, *rest))
    result = call("map", digits, "--picture", "chip.png")
    assert result.exit_code == 3
    assert "LHC601" in result.stderr
    assert 'pip install "loihic[plot]"' in result.stderr
    assert not result.stdout
    assert not list(folder.iterdir())
    assert call("map", digits, "--picture", "chip.svg").exit_code == 0


def test_full_disk_leaves_the_old_picture(call, digits, folder, monkeypatch):
    (folder / "chip.svg").write_bytes(b"old")

    def refuse(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    result = call("map", digits, "--picture", "chip.svg")
    assert result.exit_code == 1
    assert "LHC112" in result.stderr
    assert (folder / "chip.svg").read_bytes() == b"old"
    assert [path.name for path in folder.iterdir()] == ["chip.svg"]


@pytest.mark.parametrize(("arguments", "status"), [
    (["--picture", "chip.pdf"], 2), (["--picture", "chip"], 2), (["--picture", "no/folder/chip.svg"], 1),
    (["--colour", "heat"], 2), (["--sort", "name"], 2), (["--by", "chip"], 2), (["--top", "0"], 2),
    (["--against", "anneal"], 2)])
def test_wrong_options(call, digits, folder, arguments, status):
    result = call("map", digits, *arguments)
    assert result.exit_code == status, result.output
    assert result.stderr
    assert not result.stdout
    assert not list(folder.iterdir())


def test_a_program_without_a_plan(call, digits, folder):
    replace(loihic.load(digits), plan=None).save(folder / "bare.loihic")
    result = call("map", "bare.loihic")
    assert result.exit_code == 1
    assert "LHC107" in result.stderr
    assert "compile the model again" in result.stderr


def test_terminals_without_blocks_get_ascii(call, digits, monkeypatch):
    monkeypatch.setattr("loihic.commands.map.ascii_only", lambda: True)
    result = call("map", digits)
    assert result.stdout.isascii()
    assert "#" in result.stdout


def test_narrow_terminals_get_fewer_columns(call, digits, monkeypatch):
    monkeypatch.setattr("loihic.commands.output.WIDE", 80)
    for by in ("core", "population"):
        shown = call("map", digits, "--by", by).stdout
        assert "SynMem  AxonIn" not in shown
        assert max(map(len, shown.split("\n\n")[-1].splitlines())) <= 80
