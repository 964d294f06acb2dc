"""compare."""

from __future__ import annotations

import importlib.util
import json
from itertools import pairwise

import nir
import numpy as np
import pytest

import loihic

HAS_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None
needs_matplotlib = pytest.mark.skipif(not HAS_MATPLOTLIB, reason="matplotlib is not installed")


@pytest.fixture
def lossy(call, folder):
    """A lively network in weights of three bits, so that there is something to see."""
    rng = np.random.default_rng(1)
    ones = np.ones(4)
    leaky = {"tau": ones * 0.0008, "r": ones * 4, "v_leak": ones * 0, "v_threshold": ones * 0.5}
    nodes = {
        "input": nir.Input(np.array([3])),
        "fc": nir.Linear(rng.normal(0.4, 0.5, (4, 3))), "hidden.lif": nir.LIF(**leaky),
        "out": nir.Linear(rng.normal(0.4, 0.5, (4, 4))), "last": nir.LIF(**leaky), "output": nir.Output(np.array([4]))}
    nir.write(folder / "lossy.nir", nir.NIRGraph(nodes, list(pairwise(nodes))))
    assert call("compile", "lossy.nir", "--weight-bits", 3).exit_code == 0
    return folder / "lossy.loihic"


@pytest.fixture
def spikes(folder):
    x = (np.random.default_rng(2).random((4, 40, 3)) < 0.5).astype(np.uint8)
    np.save(folder / "x.npy", x)
    return x


def test_what_it_says(call, lossy, spikes):
    result = call("compare", lossy, "x.npy")
    assert result.exit_code == 0, result.output
    found = loihic.load(lossy).compare(spikes)
    assert f"first divergence: {found.first}" in result.stdout
    assert f"cause:            {found.cause}" in result.stdout
    assert f"output error: {found.output_error:.3g};" in result.stdout
    assert "4 samples of 40 steps" in result.stdout
    for text in ("hidden.lif", "last", "v dB", "decisions of output: ", "of 4 agree", "weights", "without it"):
        assert text in result.stdout


def test_json_is_the_comparison(call, lossy, spikes):
    found = json.loads(call("compare", lossy, "x.npy", "--json", "--samples", 2, "--tau", 5, "--tolerance", 0.5).stdout)
    wanted = loihic.load(lossy).compare(spikes[:2], tau=5, tolerance=0.5)
    assert (found["ok"], found["samples"], found["tau"], found["tolerance"]) == (True, 2, 5, 0.5)
    assert found["populations"][0]["van_rossum"] == wanted.populations[0].van_rossum
    assert found["output_error"] == wanted.output_error
    assert found["first"]["index"] == list(wanted.first.index)
    assert found["cause"]["kind"] == wanted.cause.kind.value
    assert {one["kind"] for one in found["effects"]} == {one.kind.value for one in wanted.effects}


def test_the_golden_input_by_default(call, program):
    result = call("compare", program)
    assert result.exit_code == 0, result.output
    assert "on the golden input, 1 sample of 64 steps" in result.stdout


@needs_matplotlib
@pytest.mark.parametrize(("name", "begins"), [("a.png", b"\x89PNG"), ("b.SVG", b"<?xml")])
def test_plots(call, lossy, spikes, folder, name, begins):
    result = call("compare", lossy, "x.npy", "--plot", name)
    assert result.exit_code == 0, result.output
    assert f"drawn to {name}" in result.stdout
    drawn = (folder / name).read_bytes()
    assert drawn.startswith(begins)
    assert json.loads(call("compare", lossy, "x.npy", "--plot", name, "--json").stdout)["plot"] == name
    assert (folder / name).read_bytes() == drawn  # the same comparison, the same bytes


@needs_matplotlib
def test_full_disk_leaves_the_old_plot(call, lossy, folder, monkeypatch):
    (folder / "a.png").write_bytes(b"old")

    def refuse(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    result = call("compare", lossy, "--plot", "a.png")
    assert result.exit_code == 1
    assert "LHC112" in result.stderr
    assert (folder / "a.png").read_bytes() == b"old"
    assert not list(folder.glob(".a.png*"))


def test_without_matplotlib(call, lossy, folder, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "matplotlib" else
                        found(name, *rest))
    result = call("compare", lossy, "--plot", "a.png")
    assert result.exit_code == 3
    assert "LHC601" in result.stderr
    assert "pip install matplotlib" in result.stderr
    assert not result.stdout
    assert not (folder / "a.png").exists()
    assert call("compare", lossy).exit_code == 0


@pytest.mark.parametrize(("arguments", "status"), [
    (["--tau", "0"], 2), (["--tolerance", "-1"], 2), (["--samples", "0"], 2), (["--plot", "a.jpg"], 2),
    (["--plot", "no/folder/a.png"], 1), (["nope.npy"], 1),
])
def test_wrong_options(call, lossy, folder, arguments, status):
    before = {path.name for path in folder.iterdir()}
    result = call("compare", lossy, *arguments)
    assert result.exit_code == status, result.output
    assert result.stderr
    assert not result.stdout
    assert {path.name for path in folder.iterdir()} == before


def test_terminals_without_blocks_get_ascii(call, lossy, spikes, monkeypatch):
    monkeypatch.setattr("loihic.commands.compare.ascii_only", lambda: True)
    result = call("compare", lossy, "x.npy")
    assert result.stdout.isascii()
    assert "#" in result.stdout
