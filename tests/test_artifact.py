"""The artefact: deterministic, whole or refused, written at once or not at all."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest

import loihic
from loihic.artifact import dumps
from loihic.errors import InputError, LoihicError


def small_network() -> nir.NIRGraph:
    rng = np.random.default_rng(3)
    nodes = {
        "in": nir.Input({"input": np.array([2, 5, 5])}),
        "conv": nir.Conv2d((5, 5), rng.normal(size=(3, 2, 3, 3)), 2, 1, 1, 1, rng.normal(size=3) * 0.1),
        "lif": nir.LIF(np.full((3, 3, 3), 2e-3), np.full((3, 3, 3), 8.0), np.zeros((3, 3, 3)), np.ones((3, 3, 3))),
        "flat": nir.Flatten({"input": np.array([3, 3, 3])}, 0),
        "fc": nir.Linear(rng.normal(size=(4, 27))),
        "li": nir.LI(np.full(4, 1e-3), np.ones(4), np.zeros(4)),
        "out": nir.Output({"output": np.array([4])}),
    }
    edges = [("in", "conv"), ("conv", "lif"), ("lif", "flat"), ("flat", "fc"), ("fc", "li"), ("li", "out")]
    return nir.NIRGraph(nodes, edges)


@pytest.fixture(scope="module")
def program() -> loihic.Program:
    return loihic.compile(small_network(), golden_steps=20)


def test_same_model_same_bytes(program: loihic.Program) -> None:
    assert dumps(program) == dumps(loihic.compile(small_network(), golden_steps=20))


def test_round_trip(program: loihic.Program, tmp_path: Path) -> None:
    path = program.save(tmp_path / "net.loihic")
    again = loihic.load(path)
    assert dumps(again) == dumps(program)
    assert again.verify(against="golden").agrees
    x = np.random.default_rng(0).random((2, 15, 2, 5, 5)) < 0.3
    np.testing.assert_array_equal(again.run(x).outputs["out"], program.run(x).outputs["out"])
    np.testing.assert_array_equal(again.run_float(x)["out"], program.run_float(x)["out"])


def test_any_changed_byte_is_noticed(program: loihic.Program, tmp_path: Path) -> None:
    content = dumps(program)
    path = tmp_path / "net.loihic"
    rng = np.random.default_rng(1)
    for place in rng.integers(0, len(content), size=200):
        damaged = bytearray(content)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        with pytest.raises(InputError) as caught:
            loihic.load(path)
        assert caught.value.diagnostics[0].code in ("LHC101", "LHC106", "LHC107")


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100, 5000])
def test_truncated(program: loihic.Program, tmp_path: Path, length: int) -> None:
    path = tmp_path / "net.loihic"
    path.write_bytes(dumps(program)[:length])
    with pytest.raises(LoihicError):
        loihic.load(path)


def test_a_failed_save_leaves_the_old_file(
        program: loihic.Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.loihic"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="LHC112"):
        program.save(path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["net.loihic"]
