"""evaluate."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import loihic
from loihic.evaluate.evaluation import evaluate

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
needs_matplotlib = pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None,
                                      reason="matplotlib is not installed")


@pytest.fixture
def data(folder):
    """Inputs and labels in one file, and apart."""
    rng = np.random.default_rng(3)
    x, labels = (rng.random((9, 15, 3)) < 0.5).astype(np.uint8), rng.integers(0, 2, 9)
    np.savez(folder / "data.npz", input=x, labels=labels)
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", labels)
    return x, labels


def test_what_it_says(call, program, data):
    result = call("evaluate", program, "data.npz", "--float")
    assert result.exit_code == 0, result.output
    found = evaluate(loihic.load(program), *data, with_float=True)
    one = found.score.classification
    for text in ("9 samples of 15 steps", f"accuracy {100 * one.accuracy:.1f} %: {one.right} of 9 right", "recall",
                 "hidden.lif", "decisions of both agree in", "dead"):
        assert text in result.stdout
    apart = call("evaluate", program, "x.npy", "--labels", "y.npy", "--shard", 2, "--workers", 2)
    assert f"{one.right} of 9 right" in apart.stdout
    assert "5 shards" in apart.stdout


def test_json_and_files(call, program, data, folder):
    wanted = evaluate(loihic.load(program), *data).to_json()
    found = json.loads(call("evaluate", program, "data.npz", "-o", "r.json", "--json").stdout)
    assert found["ok"]
    assert {key: found[key] for key in wanted} == wanted
    assert json.loads((folder / "r.json").read_text()) == wanted
    assert call("evaluate", program, "data.npz", "-o", "r.npz", "--shard", 2).exit_code == 0
    with np.load(folder / "r.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["labels"], data[1])
        np.testing.assert_array_equal(arrays["confusion"], wanted["classification"]["confusion"])
        assert json.loads(str(arrays["summary"])) == wanted
        assert arrays["rate/hidden.lif"].shape == (4,)
    assert not list(folder.glob("*.partial"))


def test_a_run_that_ended_goes_on(call, program, data, folder, monkeypatch):
    from loihic.evaluate.shelf import Shelf

    put = Shelf.put_arrays

    def third_time_unlucky(self, *given):
        if len(self) == 2:
            raise KeyboardInterrupt
        put(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Shelf, "put_arrays", third_time_unlucky)
        result = call("evaluate", program, "data.npz", "-o", "r.npz", "--shard", 2)
    assert result.exit_code == 130
    assert "--resume" in result.stderr
    assert not (folder / "r.npz").exists()
    assert len(list((folder / "r.npz.partial").iterdir())) == 2
    result = call("evaluate", program, "data.npz", "-o", "r.npz", "--shard", 2, "--resume")
    assert "5 shards, 2 of them from an earlier run" in result.stdout
    assert (folder / "r.npz").exists()
    assert not (folder / "r.npz.partial").exists()


def test_an_earlier_run_is_mentioned(call, program, data, folder):
    from loihic.evaluate.shelf import Shelf

    Shelf(folder / "r.npz.partial").put_record("0" * 64, {})
    result = call("evaluate", program, "data.npz", "-o", "r.npz")
    assert "--resume would use those that fit" in result.stderr
    assert not (folder / "r.npz.partial").exists()


def test_results_of_two_kinds_do_not_share_their_shards(call, program, data, folder):
    from loihic.evaluate.shelf import Shelf

    Shelf(folder / "r.npz.partial").put_record("0" * 64, {})
    assert call("evaluate", program, "data.npz", "-o", "r.json").exit_code == 0
    assert len(Shelf(folder / "r.npz.partial")) == 1


@pytest.mark.parametrize("arguments", [(), ("--samples", 4)])
def test_a_single_number_is_no_labels(call, program, data, folder, arguments):
    np.savez(folder / "one.npz", input=data[0], labels=1)
    result = call("evaluate", program, "one.npz", *arguments)
    assert (result.exit_code, "LHC115" in result.stderr) == (1, True)


@needs_matplotlib
@pytest.mark.parametrize(("name", "begins"), [("a.png", b"\x89PNG"), ("b.SVG", b"<?xml")])
def test_plots(call, program, data, folder, name, begins):
    assert "drawn to" in call("evaluate", program, "data.npz", "--plot", name).stdout
    drawn = (folder / name).read_bytes()
    assert drawn.startswith(begins)
    call("evaluate", program, "data.npz", "--plot", name, "--shard", 2)
    assert (folder / name).read_bytes() == drawn


def test_without_labels(call, program, data):
    result = call("evaluate", program, "x.npy")
    assert result.exit_code == 0
    assert "accuracy" not in result.stdout
    assert "hidden.lif" in result.stdout


@pytest.mark.parametrize(("arguments", "status", "words"), [
    (["data.npz", "--labels", "nothing.npy"], 2, "neither a file nor an array"),
    (["x.npy", "--labels", "x.npy"], 1, "LHC115"),
    (["none.npy"], 1, "LHC101"),
    (["y.npy"], 1, "LHC110"),
    (["data.npz", "--resume"], 2, "-o"),
    (["data.npz", "-o", "r.txt"], 2, ".npz or .json"),
    (["data.npz", "-o", "data.npz"], 2, "overwritten"),
    (["data.npz", "--plot", "a.jpg"], 2, ".png or .svg"),
    (["data.npz", "--of", "nobody"], 2, "output"),
    (["data.npz", "--workers", "0"], 2, "--workers"),
    (["data.npz", "--scheduler", "nonsense"], 3, "LHC60"),
])
def test_mistakes(call, program, data, arguments, status, words):
    result = call("evaluate", program, *arguments)
    assert result.exit_code == status, result.output
    assert words in result.stderr
    assert not result.stdout


def test_pickles_are_refused(call, program, folder):
    np.save(folder / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    result = call("evaluate", program, "x.npy")
    assert (result.exit_code, "LHC101" in result.stderr) == (1, True)


@pytest.mark.parametrize(("model", "data", "truth", "words"), [
    ("digits/digits_mlp.nir", "digits/digits_mlp_test.npz", "digits/digits_mlp_labels.npy", "350 of 360 right"),
    ("quantised/friedman_mlp.onnx", "quantised/friedman_mlp_test.npz", "quantised/friedman_mlp_targets.npy",
     "R2 0.9833"),
])
def test_examples(call, folder, model, data, truth, words):
    assert call("compile", EXAMPLES / model, "-o", "p.loihic").exit_code == 0
    result = call("evaluate", "p.loihic", EXAMPLES / data, "--labels", EXAMPLES / truth)
    assert words in result.stdout
