"""check, compile, show, where."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest


def test_compile_alone_writes_the_program_here_and_prints_its_defaults(call, model, folder):
    result = call("compile", model)
    assert result.exit_code == 0, result.output
    assert (folder / "net.loihic").is_file()
    for text in ("dt", "assumed", "zero (default)", "hidden.lif", "latency: 2 steps", "loihic run net.loihic"):
        assert text in result.stdout


def test_compile_json_is_one_object(call, model, folder):
    result = call("compile", model, "-o", "a.loihic", "--json", "--dt", "1e-3", "--weight-bits", "6")
    found = json.loads(result.stdout)
    assert found["ok"]
    assert found["file"] == "a.loihic"
    assert found["latency"] == 2
    assert found["bits"]["fc"] == 6
    assert found["provenance"]["dt_source"] == "given"
    assert {node["name"] for node in found["nodes"]} >= {"input", "fc", "hidden.lif", "output"}
    assert found["outputs"]["output"] == {"shape": [2], "scale": 1.0, "offset": 0.0, "latency": 2}
    assert "weights" in found["ledger"]["summary"]


def test_the_same_compilation_gives_the_same_bytes(call, model, folder):
    for name in ("a.loihic", "b.loihic"):
        assert call("compile", model, "-o", name).exit_code == 0
    assert (folder / "a.loihic").read_bytes() == (folder / "b.loihic").read_bytes()


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_calibration_from_either_kind_of_file(call, model, folder, name):
    data = np.random.default_rng(1).random((2, 20, 3))
    np.save(folder / "x.npy", data)
    np.savez(folder / "x.npz", input=data)
    result = call("compile", model, "--calibration", name, "--json")
    assert json.loads(result.stdout)["options"]["calibration"] == ["input"]


@pytest.mark.parametrize(("arguments", "key", "value"), [
    (["--spikes", "multi"], "spikes", "multi"),
    (["--spikes", "binary"], "spikes", "spike"),
    (["--reset", "subtract"], "reset", "subtract"),
    (["--scheme", "exponential"], "scheme", "exponential"),
    (["--input-range", "-1", "1", "--input-bits", "6"], "input_range", [-1.0, 1.0]),
    (["--allow-loop-delay"], "allow_loop_delay", True),
])
def test_options_arrive(call, model, arguments, key, value):
    assert json.loads(call("compile", model, "--json", *arguments).stdout)["options"][key] == value


@pytest.mark.parametrize(("arguments", "status"), [
    (["--reset", "sideways"], 2), (["--dt", "nan"], 2), (["--dt", "0"], 2), (["--dt", "soon"], 2),
    (["--weight-bits", "17"], 2), (["--input-range", "1", "0"], 2), (["--input-bits", "1"], 2), (["--target", "x"], 2),
    (["--nonsense"], 2), (["--dt", "1"], 1), (["--calibration", "no.npz"], 1), (["--strict"], 1),
    (["-o", "no/such/folder/a.loihic"], 1), (["-o", "."], 1), (["-o", "net.nir"], 2),
])
def test_wrong_options_write_nothing(call, model, folder, arguments, status):
    before = model.read_bytes()
    result = call("compile", model, *arguments)
    assert result.exit_code == status, result.output
    assert result.stderr
    assert not result.stdout
    assert model.read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["net.nir"]


@pytest.mark.parametrize("command", ["check", "compile", "show"])
@pytest.mark.parametrize("content", [None, b"", b"not HDF5", b"\x89HDF\r\n\x1a\n" + bytes(40)])
def test_files_that_are_no_models(call, folder, command, content):
    if content is not None:
        (folder / "bad.nir").write_bytes(content)
    result = call(command, "bad.nir")
    assert result.exit_code == 1
    assert "LHC101" in result.output
    assert not (folder / "bad.loihic").exists()


def test_errors_under_json_are_one_object_too(call):
    result = call("compile", "nope.nir", "--json")
    found = json.loads(result.stdout)
    assert (found["ok"], found["exit_code"], result.exit_code) == (False, 1, 1)
    assert found["diagnostics"][0]["code"] == "LHC101"


def test_check(call, model):
    result = call("check", model)
    assert result.exit_code == 0
    assert "LHC303" in result.stdout
    assert "compiles" in result.stdout
    result = call("check", model, "--dt", "1", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["diagnostics"][0]["code"] == "LHC301"


def test_show_a_model_at_its_stages(call, model):
    assert "%hidden.lif : (4,) = Neuron(" in call("show", model, "--after", "fuse").stdout
    assert "= Compartment(" in call("show", model, "--after", "retime").stdout
    source = call("show", model).stdout
    assert "= LIF(tau=0.01" in source
    assert source == call("show", model).stdout
    assert json.loads(call("show", model, "--json").stdout)["graph"]["fc"]["op"] == "Affine"


def test_show_an_early_stage_of_a_model_that_fails_later(call, model):
    assert call("show", model, "--dt", "1", "--after", "infer-shapes").exit_code == 0
    assert call("show", model, "--dt", "1", "--after", "fuse").exit_code == 1


def test_show_a_program(call, program):
    shown = call("show", program)
    for text in ("sha256", "= Compartment(", "ledger", "8-bit mantissas"):
        assert text in shown.stdout
    assert "= Neuron(" in call("show", program, "--after", "fuse").stdout
    assert call("show", program, "--after", "discretise").exit_code == 2
    found = json.loads(call("show", program, "--json").stdout)
    assert len(found["ledger"]["losses"]) == found["ledger"]["entries"]
    renamed = program.rename(program.with_suffix(".bin"))
    assert call("show", renamed).exit_code == 0


def test_show_an_unknown_pass(call, model):
    result = call("show", model, "--after", "nope")
    assert result.exit_code == 2
    assert "quantise" in result.stderr


def test_where_both_ways(call, conv_model):
    assert call("compile", conv_model).exit_code == 0
    found = json.loads(call("where", "map.loihic", "spikes[1,2,3]", "--json").stdout)["locations"][0]
    assert (found["flat"], found["lava_index"], found["lava_flat"]) == (23, [2, 3, 1], 23)
    there = json.loads(call("where", "map.loihic", "spikes[1,0,0]", "--json").stdout)["locations"][0]
    assert (there["flat"], there["lava_index"], there["lava_flat"]) == (12, [0, 0, 1], 1)
    back = json.loads(call("where", "map.loihic", "spikes[0,0,1]", "--lava", "--json").stdout)["locations"][0]
    assert back == there
    assert json.loads(call("where", "map.loihic", "spikes[12]", "--json").stdout)["locations"][0] == there
    assert "conv" in call("where", "map.loihic", "conv").stdout


def test_where_by_the_name_of_the_process(call, program):
    by_process = call("where", program, "hidden_lif[2]")
    assert by_process.stdout == call("where", program, "hidden.lif[2]").stdout
    assert "hidden_lif[2], flat index 2" in by_process.stdout


@pytest.mark.parametrize("query", ["nope", "hidden.lif[4]", "hidden.lif[1,1]", "hidden.lif[x]", "hidden.lif[]", "[3]"])
def test_where_asked_wrongly(call, program, query):
    result = call("where", program, query)
    assert result.exit_code == 2
    assert result.stderr.startswith("error[LHC70")


def test_full_disk(call, model, folder, monkeypatch):
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    result = call("compile", model)
    assert result.exit_code == 1
    assert "LHC112" in result.stderr
    assert [path.name for path in folder.iterdir()] == ["net.nir"]


def test_a_folder_that_cannot_be_written(call, model, folder, monkeypatch):
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    result = call("compile", model)
    assert result.exit_code == 1
    assert "Permission denied" in result.stderr
    assert [path.name for path in folder.iterdir()] == ["net.nir"]


def test_ctrl_c(call, model, monkeypatch):
    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("loihic.api.compile", interrupt)
    assert call("compile", model).exit_code == 130


def test_an_internal_error_is_one_message_and_a_file(call, model, folder, monkeypatch):
    def crash(*args: object, **kwargs: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr("loihic.api.compile", crash)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    result = call("compile", model)
    assert result.exit_code == 70
    assert result.stderr.startswith("error[LHC900]: internal error: RuntimeError: surprise")
    (report,) = Path(folder).glob("loihic-*.txt")
    assert "Traceback" in report.read_text()
