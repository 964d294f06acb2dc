"""run, verify, export."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import loihic
from loihic.targets.lava.runner import lava_version


@pytest.fixture
def spikes(folder):
    x = (np.random.default_rng(2).random((3, 20, 3)) < 0.5).astype(np.uint8)
    np.save(folder / "x.npy", x)
    return x


def test_golden(call, program, folder):
    before = sorted(folder.iterdir())
    result = call("run", program)
    assert result.exit_code == 0, result.output
    assert "equal to the golden output" in result.stdout
    assert sorted(folder.iterdir()) == before
    assert json.loads(call("run", program, "--raw", "--json").stdout)["matches_golden"] is True


def test_golden_that_does_not_match(call, program):
    right = loihic.load(program)
    wrong = {name: values + 1 for name, values in right.golden_output.items()}
    replace(right, golden_output=wrong).save(program)
    for command in (["run", program], ["verify", program, "--against", "golden"]):
        assert call(*command).exit_code == 1
    assert "LHC604" in call("run", program).stderr


def test_outputs_and_records(call, program, spikes, folder):
    result = call("run", program, "x.npy", "--record", "hidden.lif.v", "--record", "last.out")
    assert result.exit_code == 0, result.output
    assert "net.out.npz" in result.stdout
    expected = loihic.load(program).run(spikes, record=[("hidden.lif", "v")])
    with np.load(folder / "net.out.npz") as found:
        assert set(found.files) == {"output", "hidden.lif.v", "last.out"}
        np.testing.assert_array_equal(found["output"], expected.outputs["output"])
        np.testing.assert_array_equal(found["hidden.lif.v"], expected.recorded["hidden.lif", "v"])


def test_samples_raw_and_units(call, program, spikes, folder):
    assert call("run", program, "x.npy", "--samples", 2, "--raw", "--dequantize", "-o", "o.npz").exit_code == 0
    with np.load(folder / "o.npz") as found:
        assert found["output"].shape == (2, 22, 2)
        assert found["output"].dtype.kind == "f"


def test_json(call, program, spikes):
    found = json.loads(call("run", program, "x.npy", "--json").stdout)
    assert found["file"] == "net.out.npz"
    assert np.asarray(found["outputs"]["output"]["sums"]).shape == (3, 2)
    assert len(found["outputs"]["output"]["decisions"]) == 3


def test_the_same_run_gives_the_same_bytes(call, program, spikes, folder):
    for name in ("a.npz", "b.npz"):
        assert call("run", program, "x.npy", "-o", name).exit_code == 0
    assert (folder / "a.npz").read_bytes() == (folder / "b.npz").read_bytes()


@pytest.mark.parametrize("array", [
    np.zeros((3, 20, 4)), np.zeros(3), np.zeros((0, 3)), np.full((5, 3), np.nan), np.full((5, 3), 7),
    np.full((5, 3), 0.5), np.array(["a"]), np.array([{}], dtype=object),
])
def test_wrong_arrays(call, program, folder, array):
    np.save(folder / "bad.npy", array, allow_pickle=True)
    result = call("run", program, "bad.npy")
    assert result.exit_code == 1
    assert result.stderr.startswith("error[LHC1")
    assert not (folder / "net.out.npz").exists()


@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY", b"PK\x03\x04broken"])
def test_files_that_are_no_arrays(call, program, folder, content):
    if content is not None:
        (folder / "bad.npz").write_bytes(content)
    for command in ("run", "verify"):
        result = call(command, program, "bad.npz")
        assert result.exit_code == 1
        assert "LHC101" in result.stderr


@pytest.mark.parametrize(("arguments", "status"), [
    (["--record", "nope.v"], 2), (["--record", "hidden"], 2), (["--record", "last.w"], 2), (["--backend", "x"], 2),
    (["--samples", "0"], 2), (["--timeout", "-1"], 2), (["-o", "no/folder/o.npz"], 1), (["-o", "net.loihic"], 2),
    (["-o", "x.npy"], 2),
])
def test_wrong_options_write_nothing(call, program, spikes, folder, arguments, status):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = call("run", program, "x.npy", *arguments)
    assert result.exit_code == status, result.output
    assert result.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("command", [["run"], ["verify"], ["show"], ["where", "lif"], ["export", "--lava", "d"]])
def test_a_changed_byte_a_cut_and_no_program(call, program, folder, command):
    whole = program.read_bytes()
    for content in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[: len(whole) // 2], b"", b"{}", None):
        if content is None:
            program.unlink()
        else:
            program.write_bytes(content)
        result = call(command[0], program, *command[1:])
        assert result.exit_code == 1, result.output
        assert "LHC106" in result.stderr or "LHC101" in result.stderr
    assert not (folder / "d").exists()


def test_full_disk_leaves_the_old_outputs(call, program, spikes, folder, monkeypatch):
    (folder / "net.out.npz").write_bytes(b"old")

    def refuse(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    result = call("run", program, "x.npy")
    assert result.exit_code == 1
    assert "LHC112" in result.stderr
    assert (folder / "net.out.npz").read_bytes() == b"old"
    assert not list(folder.glob(".net*"))


def test_verify_against_what_needs_no_lava(call, program, spikes):
    assert call("verify", program, "--against", "golden").exit_code == 0
    assert call("verify", program, "x.npy", "--against", "golden").exit_code == 2
    result = call("verify", program, "x.npy", "--against", "float", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == (0 if found["agrees"] else 1)


@pytest.mark.skipif(lava_version() is None, reason="Lava is not installed")
def test_verify_against_lava(call, program, spikes):
    result = call("verify", program, "x.npy", "--samples", 1)
    assert result.exit_code == 0, result.output
    assert "agrees" in result.stdout


def test_export(call, program, folder):
    result = call("export", program, "--lava", "there")
    assert result.exit_code == 0, result.output
    assert (folder / "there" / "run.py").is_file()
    (folder / "taken").mkdir()
    (folder / "taken" / "mine.txt").write_text("mine")
    result = call("export", program, "--lava", "taken")
    assert result.exit_code == 1
    assert "LHC112" in result.stderr
    assert call("export", program).exit_code == 2
