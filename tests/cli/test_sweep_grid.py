"""sweep, and the grid of its points."""

from __future__ import annotations

import importlib.util
import json

import click
import numpy as np
import pytest

from loihic.commands import grid
from loihic.errors import InputError

needs_matplotlib = pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None,
                                      reason="matplotlib is not installed")


@pytest.fixture
def base():
    return grid._reader.make_context("sweep", []).params


@pytest.fixture
def data(folder):
    rng = np.random.default_rng(3)
    np.savez(folder / "data.npz", input=(rng.random((9, 15, 3)) < 0.5).astype(np.uint8), labels=rng.integers(0, 2, 9))


def test_all_combinations(base):
    ways = grid.grid_variants(["weight-bits=8,4", "reset=zero, subtract", "--input-range=0 1;-1 2", "strict=no,yes",
                               "neuron_scales=yes,no,default", "dt=1e-4"], base)
    assert len(ways) == 2 * 2 * 2 * 2 * 3
    made = [way.make() for way in ways]
    assert {(str(o.widths), o.reset.value, o.input_range, o.strict, o.neuron_scales, o.dt) for o in made} == {
        (bits, reset, span, strict, scales, 1e-4) for bits in ("8", "4") for reset in ("zero", "subtract")
        for span in ((0, 1), (-1, 2)) for strict in (False, True) for scales in (True, False, None)}
    assert ways[0].choices == {"weight-bits": "8", "reset": "zero", "input-range": "0 1", "strict": "no",
                               "neuron-scales": "yes", "dt": "1e-4"}


def test_values_with_commas(base):
    ways = grid.grid_variants(["weight-bits=conv2=4,auto;8", "budget=words=900,cores=2;words=500;default"], base)
    budgets = [way.make().budget for way in ways]
    assert [(b.words, b.cores) for b in budgets[:3]] == [(900, 2), (500, None), (None, None)]
    assert str(ways[0].make().widths) == "auto,conv2=4"


def test_the_rest_does_not_vary(base):
    base["stock_only"] = True
    (first, second) = grid.grid_variants(["stock-only=no,yes"], {**base, "cores": 3})
    assert [(first.make().stock_only, first.make().cores), second.make().stock_only] == [(False, 3), True]


@pytest.mark.parametrize("spec", ["beauty=1", "weight-bits", "weight-bits=,", "strict=perhaps"])
def test_specs_without_meaning(base, spec):
    with pytest.raises(InputError, match=r"LHC70[12]"):
        grid.grid_variants([spec], base)


def test_a_value_of_the_wrong_kind(base):
    with pytest.raises(click.UsageError, match="soft"):
        grid.grid_variants(["reset=soft"], base)
    with pytest.raises(InputError, match="twice"):
        grid.grid_variants(["dt=1", "dt=2"], base)


def test_what_it_says(call, model, data, folder):
    result = call("sweep", model, "data.npz", "--grid", "weight-bits=8,3", "--grid", "cores=1,0", "--cost", "words",
                  "--cost", "step-time", "-o", "s.json")
    assert result.exit_code == 0, result.output
    for text in ("4 points", "2 failed", "LHC702", "accuracy", "words", "*", "step time", "written to s.json"):
        assert text in result.stdout
    found = json.loads((folder / "s.json").read_text())
    assert [point["error"] is None for point in found["points"]] == [True, False, True, False]
    assert not (folder / "s.json.partial").exists()
    printed = json.loads(call("sweep", model, "data.npz", "--grid", "weight-bits=8,3", "--grid", "cores=1,0", "--cost",
                              "words", "--cost", "step-time", "--json").stdout)
    assert printed["points"] == found["points"]


def test_options_of_compile_hold_for_all(call, model, data):
    result = call("sweep", model, "data.npz", "--grid", "weight-bits=8,3", "--cores", 0, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["ok"], {p["error"]["code"] for p in found["points"]}) == (2, False, {"LHC702"})


@needs_matplotlib
def test_a_picture(call, model, data, folder):
    result = call("sweep", model, "data.npz", "--grid", "weight-bits=8,3", "--cost", "words", "--cost", "messages",
                  "--plot", "s.png")
    assert "drawn to s.png" in result.stdout
    assert (folder / "s.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("arguments", "status", "words"), [
    ([], 2, "--grid"), (["--grid", "reset=soft"], 2, "--reset"), (["--grid", "x=1"], 2, "LHC701"),
    (["--grid", "dt=1", "--cost", "beauty"], 2, "--cost"), (["--grid", "dt=1", "-o", "s.txt"], 2, ".json"),
    (["--grid", "dt=1", "--labels", "nothing"], 2, "LHC701"),
])
def test_mistakes(call, model, data, arguments, status, words):
    result = call("sweep", model, "data.npz", *arguments)
    assert result.exit_code == status, result.output
    assert words in result.stderr
    assert not result.stdout
