"""loihic run over files that are read and written as the run goes on; runs that are ended and resumed."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest
from click.testing import CliRunner, Result

import loihic
from loihic.cli import main
from loihic.commands import long_run
from loihic.commands.checkpoints import Interval
from loihic.commands.destination import Files
from loihic.commands.npy_file import NpyFile
from loihic.commands.piped import arrays, send
from loihic.errors import InputError
from loihic.sim.state_file import save_state
from loihic.sim.stream import Stream

STEPS = 600
ROOT = str(Path(loihic.__file__).parents[1])
# A process that takes its time over every chunk, so that it can be ended in the middle.
SLOW = """
import sys, time
from loihic.sim.stream import Stream
feed = Stream.feed
Stream.feed = lambda *arguments: (time.sleep(0.03), feed(*arguments))[1]
from loihic.cli import main
main(sys.argv[1:])
"""


@pytest.fixture
def model(model: Path) -> Path:
    """The small model with such weights that its outputs are neither silent nor full."""
    net = nir.read(model)
    net.nodes["fc"].weight *= 30
    net.nodes["out"].weight = np.abs(net.nodes["out"].weight) * 3e3
    nir.write(model, net)
    return model


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    """What is compiled once for all tests."""
    return {}


@pytest.fixture
def program(model: Path, made: dict[str, bytes]) -> Path:
    path = model.with_suffix(".loihic")
    if "program" not in made:
        made["program"] = loihic.compile(model).save(path).read_bytes()
    path.write_bytes(made["program"])
    return path


def test_the_program_answers(program, spikes):
    values = loihic.load(program).run(spikes).outputs["output"]
    assert 0.05 < values.mean() < 0.95
    assert all(0 < values[:, :, neuron].mean() < 1 for neuron in range(2))


@pytest.fixture
def spikes(folder: Path) -> np.ndarray:
    x = (np.random.default_rng(2).random((3, STEPS, 3)) < 0.5).astype(np.uint8)
    np.save(folder / "x.npy", x)
    return x


@pytest.fixture
def blocks_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose memory holds one sample, and a few steps of it."""
    monkeypatch.setattr(long_run, "STATE_BYTES", 1)
    monkeypatch.setattr(long_run, "CHUNK_BYTES", 10_000)


def saved(array: np.ndarray) -> bytes:
    """What numpy writes of it."""
    np.save("saved.npy", array)
    return Path("saved.npy").read_bytes()


def interrupt_after(monkeypatch: pytest.MonkeyPatch, chunks: int) -> None:
    """Ctrl-C before the chunk after so many."""
    feed, fed = Stream.feed, []

    def feed_some(self: Stream, chunk: object) -> object:
        fed.append(chunk)
        if len(fed) == chunks:
            os.kill(os.getpid(), signal.SIGINT)
        return feed(self, chunk)

    monkeypatch.setattr(Stream, "feed", feed_some)


@pytest.mark.parametrize("options", [{}, {"raw": True}, {"samples": 2}, {"dequantise": True}])
def test_an_array_is_what_numpy_saves(call, program, spikes, folder, options):
    typed = {"raw": ["--raw"], "samples": ["--samples", 2], "dequantise": ["--dequantise"]}
    result = call("run", program, "x.npy", "-o", "o.npy", *(word for key in options for word in typed[key]))
    assert result.exit_code == 0, result.output
    net = loihic.load(program)
    wanted = net.run(spikes[: options.get("samples")], raw=options.get("raw", False)).outputs
    if "dequantise" in options:
        wanted = net.dequantise(wanted)
    assert (folder / "o.npy").read_bytes() == saved(wanted["output"])
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [">f8", "bool", "int16"])
def test_blocks_and_chunks_change_nothing(call, program, spikes, folder, blocks_of_one, order, dtype):
    np.save("x.npy", np.asarray(spikes, dtype=dtype, order=order))
    arguments = ["run", program, "x.npy", "--record", "hidden.lif.v", "--record", "last.out"]
    assert call(*arguments, "-o", "o/").exit_code == 0
    assert call(*arguments).exit_code == 0
    whole = loihic.load(program).run(spikes, record=[("hidden.lif", "v"), ("last", "out")])
    wanted = {**whole.outputs, "hidden.lif.v": whole.recorded["hidden.lif", "v"],
              "last.out": whole.recorded["last", "out"]}
    assert {path.stem for path in (folder / "o").iterdir()} == set(wanted)
    with np.load("net.out.npz") as found:
        for name, values in wanted.items():
            assert (folder / "o" / f"{name}.npy").read_bytes() == saved(values)
            np.testing.assert_array_equal(found[name], values)


def test_json_and_other_ends(call, program, spikes, folder):
    found = json.loads(call("run", program, "x.npy", "-o", "o.npy", "--json").stdout)
    wanted = json.loads(call("run", program, "x.npy", "--json").stdout)
    assert found["file"] == "o.npy"
    assert found["outputs"] == wanted["outputs"]
    assert found["steps_per_second"] > 0
    found = json.loads(call("run", program, "x.npy", "-o", "o.npy", "--dequantise", "--json").stdout)
    assert found["outputs"]["output"]["sums"] is None
    (folder / "there").mkdir()
    assert call("run", program, "-o", "there").exit_code == 0  # the golden input
    golden = loihic.load(program).golden_output["output"][None]
    assert (folder / "there" / "output.npy").read_bytes() == saved(golden)
    np.savez("x.npz", input=spikes)
    assert call("run", program, "x.npz", "-o", "z.npy").exit_code == 0
    assert call("run", program, "x.npy", "-o", "o.npy", "--threads", 1).exit_code == 0
    assert (folder / "z.npy").read_bytes() == (folder / "o.npy").read_bytes()


def test_names_that_are_paths(call, folder):
    """Names come from models: they must not lead out of the folder."""
    nodes = {"input": nir.Input(np.array([2])), "fc": nir.Linear(np.ones((2, 2))),
             "../lif": nir.IF(r=np.ones(2), v_threshold=np.ones(2)), "../../out": nir.Output(np.array([2]))}
    names = list(nodes)
    loihic.compile(nir.NIRGraph(nodes, list(pairwise(names)))).save("odd.loihic")
    np.save("x.npy", np.ones((5, 2)))
    before = set(folder.parent.iterdir())
    result = call("run", "odd.loihic", "x.npy", "-o", "o/")
    assert result.exit_code == 0, result.output
    assert set(folder.parent.iterdir()) == before
    assert len(list((folder / "o").iterdir())) == 1


# Interrupted and resumed


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ended_by_a_signal(call, program, spikes, folder, number):
    arguments = ["run", program.name, "x.npy", "-o", "o.npy", "--checkpoint", "c.state", "--checkpoint-every", "20"]
    process = subprocess.Popen([sys.executable, "-c", SLOW, *arguments], cwd=folder, stderr=subprocess.PIPE,
                               env=os.environ | {"PYTHONPATH": ROOT})
    until = time.monotonic() + 60
    while not (folder / "c.state").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 130), said.decode()
    assert number == signal.SIGKILL or b"--resume c.state" in said
    assert (folder / "o.npy.part").exists()
    assert not (folder / "o.npy").exists()
    result = call("run", program, "x.npy", "-o", "o.npy", "--resume", "c.state")
    assert result.exit_code == 0, result.output
    assert (folder / "o.npy").read_bytes() == saved(loihic.load(program).run(spikes).outputs["output"])
    assert not (folder / "o.npy.part").exists()


@pytest.mark.parametrize("chunks", [1, 5, 8])
def test_interrupted_in_any_block(call, program, spikes, folder, blocks_of_one, monkeypatch, chunks):
    arguments = ["run", program, "x.npy", "--record", "last.v", "--raw", "--checkpoint", "c.state",
                 "--checkpoint-every", "40"]
    with monkeypatch.context() as patched:
        interrupt_after(patched, chunks)
        result = call(*arguments)
    assert result.exit_code == 130
    assert "--resume c.state" in result.stderr
    assert (folder / "net.out" / "output.npy.part").exists()
    assert call(*arguments, "--resume", "c.state").exit_code == 0
    whole = loihic.load(program).run(spikes, raw=True, record=[("last", "v")])
    assert (folder / "net.out" / "output.npy").read_bytes() == saved(whole.outputs["output"])
    assert (folder / "net.out" / "last.v.npy").read_bytes() == saved(whole.recorded["last", "v"])


def test_a_finished_run_can_be_resumed(call, program, spikes, folder):
    arguments = ["run", program, "x.npy", "-o", "o.npy"]
    assert call(*arguments, "--checkpoint", "c.state").exit_code == 0
    before = (folder / "o.npy").read_bytes()
    assert call(*arguments, "--resume", "c.state").exit_code == 0
    assert (folder / "o.npy").read_bytes() == before


def test_interrupted_without_a_checkpoint_leaves_nothing(call, program, spikes, folder, monkeypatch):
    interrupt_after(monkeypatch, 2)
    before = sorted(folder.iterdir())
    assert call("run", program, "x.npy", "-o", "o.npy").exit_code == 130
    assert sorted(folder.iterdir()) == before


@pytest.fixture
def interrupted(call: Callable, program: Path, spikes: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> list:
    """The command that goes on with a run that was interrupted."""
    arguments = ["run", program, "x.npy", "-o", "o.npy"]
    with monkeypatch.context() as patched:
        interrupt_after(patched, 2)
        assert call(*arguments, "--checkpoint", "c.state").exit_code == 130
    return [*arguments, "--resume", "c.state"]


@pytest.mark.parametrize(("change", "code"), [
    ("shorter", "LHC116"), ("other values", "LHC116"), ("a value", "LHC116"), ("type", "LHC116"),
    ("fewer samples", "LHC116"), ("no output", "LHC116"),
    ("raw", "LHC116"), ("units", "LHC116"), ("text", "LHC116"), ("other program", "LHC116"),
    ("no checkpoint", "LHC101"), ("cut checkpoint", "LHC106"), ("damaged checkpoint", "LHC106"), ("npz", "LHC702"),
])
def test_what_cannot_be_resumed(call, interrupted, spikes, folder, change, code):
    part, state = folder / "o.npy.part", folder / "c.state"
    if change == "shorter":
        np.save("x.npy", spikes[:, :-1])
    elif change == "other values":
        np.save("x.npy", 1 - spikes)
    elif change == "a value":
        spikes[1, 30, 2] = 1 - spikes[1, 30, 2]  # of a step in the middle
        np.save("x.npy", spikes)
    elif change == "type":
        np.save("x.npy", spikes.astype(np.int8))
    elif change == "fewer samples":
        interrupted += ["--samples", 2]
    elif change == "no output":
        part.unlink()
    elif change in ("raw", "units"):
        interrupted += ["--raw" if change == "raw" else "--dequantise"]
    elif change == "text":
        part.write_text("no array")
    elif change == "other program":
        assert call("compile", "net.nir", "--weight-bits", 4).exit_code == 0
    elif change == "no checkpoint":
        state.unlink()
    elif change == "cut checkpoint":
        state.write_bytes(state.read_bytes()[:-8])
    elif change == "damaged checkpoint":
        state.write_bytes(state.read_bytes()[:-1] + b"\x55")
    else:
        interrupted[4] = "o.npz"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = call(*interrupted)
    assert result.exit_code == (2 if code == "LHC702" else 1)
    assert f"error[{code}]" in result.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_full_disk_keeps_what_a_checkpoint_speaks_of(call, interrupted, spikes, folder, monkeypatch):
    def refuse(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", refuse)
        result = call(*interrupted)
    assert result.exit_code == 1
    assert "LHC112" in result.stderr
    assert (folder / "o.npy.part").exists()
    assert call(*interrupted).exit_code == 0
    assert (folder / "o.npy").read_bytes() == saved(loihic.load(interrupted[1]).run(spikes).outputs["output"])


# Checkpoints and outputs that do not belong together


def killed_after(monkeypatch: pytest.MonkeyPatch, chunks: int) -> None:
    """The end of the process before the chunk after so many, as by `kill -9`: nothing is cleared away."""
    feed, fed = Stream.feed, []

    def feed_some(self: Stream, chunk: object) -> object:
        fed.append(chunk)
        if len(fed) > chunks:
            raise KeyboardInterrupt
        return feed(self, chunk)

    monkeypatch.setattr(Stream, "feed", feed_some)
    monkeypatch.setattr(Files, "abandon", lambda self, *, keep: None)


@pytest.mark.parametrize("kept", [False, True])
def test_a_checkpoint_of_an_earlier_run(call, program, spikes, folder, blocks_of_one, monkeypatch, kept):
    """A new run that is killed before its first checkpoint: the old one is gone, or found not to be of its output."""
    arguments = ["run", program, "x.npy", "-o", "o.npy"]
    assert call(*arguments, "--checkpoint", "c.state").exit_code == 0
    old = (folder / "c.state").read_bytes()
    (folder / "o.npy").unlink()
    with monkeypatch.context() as patched:
        killed_after(patched, 2)
        assert call(*arguments, "--checkpoint", "c.state").exit_code == 130
    assert (folder / "o.npy.part").exists()
    assert not (folder / "c.state").exists()
    if kept:
        (folder / "c.state").write_bytes(old)
    result = call(*arguments, "--resume", "c.state")
    assert result.exit_code == 1
    assert ("LHC116" if kept else "LHC101") in result.stderr
    assert not (folder / "o.npy").exists()


def test_a_new_run_leaves_the_old_checkpoint_if_it_cannot_begin(call, interrupted, spikes, folder):
    before = (folder / "c.state").read_bytes()
    assert call(*interrupted[:-2], "--checkpoint", "c.state", "--record", "last.v").exit_code == 2
    assert (folder / "c.state").read_bytes() == before


@pytest.mark.parametrize("options", [[], ["--record", "last.v"]])
@pytest.mark.parametrize("complete", [False, True])
def test_the_output_of_another_run(call, program, spikes, folder, monkeypatch, options, complete):
    """Of the same shape and type: it is refused, and left as it is."""
    arguments = ["run", program, "x.npy", *options]
    with monkeypatch.context() as patched:
        if not complete:
            interrupt_after(patched, 2)
        assert call(*arguments, "-o", "o/", "--checkpoint", "c.state").exit_code == (0 if complete else 130)
    np.save("y.npy", 1 - spikes)
    assert call("run", program, "y.npy", *options, "-o", "p/").exit_code == 0
    before = {path: path.read_bytes() for path in (folder / "p").iterdir()}
    result = call(*arguments, "-o", "p/", "--resume", "c.state")
    assert result.exit_code == 1
    assert "LHC116" in result.stderr
    assert {path: path.read_bytes() for path in (folder / "p").iterdir()} == before
    assert call(*arguments, "-o", "q/", "--resume", "c.state").exit_code == 1
    assert not (folder / "q").exists()


def test_other_arrays_than_the_interrupted_run_wrote(call, program, spikes, folder):
    arguments = ["run", program, "x.npy", "-o", "o/"]
    assert call(*arguments, "--record", "last.v", "--checkpoint", "c.state").exit_code == 0
    result = call(*arguments, "--resume", "c.state")
    assert result.exit_code == 1
    assert "LHC116" in result.stderr
    assert "last.v" in result.stderr


@pytest.mark.parametrize("at", ["begin", "end"])
def test_every_row_counts(call, interrupted, spikes, folder, at):
    """A single row that the interrupted run did not write; what lies behind the checkpoint is computed again."""
    rows = np.load("o.npy.part", mmap_mode="r+")
    rows[0 if at == "begin" else 2, 3 if at == "begin" else -1] += 1
    rows.flush()
    result = call(*interrupted)
    if at == "begin":
        assert result.exit_code == 1
        assert "LHC116" in result.stderr
    else:
        assert result.exit_code == 0
        assert (folder / "o.npy").read_bytes() == saved(loihic.load(interrupted[1]).run(spikes).outputs["output"])


def test_resumed_again_and_again(call, program, spikes, folder, blocks_of_one, monkeypatch):
    """Killed between two checkpoints in every block, while a complete file was being written again as well."""
    arguments = ["run", program, "x.npy", "-o", "o/", "--record", "hidden.lif.v", "--checkpoint-every", "70"]
    resumed = ["--checkpoint", "c.state"]
    for chunks in (3, 6, 2, 9, 5):
        with monkeypatch.context() as patched:
            killed_after(patched, chunks)
            assert call(*arguments, *resumed).exit_code == 130
        resumed = ["--resume", "c.state"]
    for _ in range(2):
        assert call(*arguments, *resumed).exit_code == 0
    whole = loihic.load(program).run(spikes, record=[("hidden.lif", "v")])
    assert (folder / "o" / "output.npy").read_bytes() == saved(whole.outputs["output"])
    assert (folder / "o" / "hidden.lif.v.npy").read_bytes() == saved(whole.recorded["hidden.lif", "v"])
    assert len(list((folder / "o").iterdir())) == 2


def test_a_complete_output_stays_until_it_is_written_again(call, program, spikes, folder, monkeypatch):
    arguments = ["run", program, "x.npy", "-o", "o.npy"]
    assert call(*arguments, "--checkpoint", "c.state").exit_code == 0
    before = (folder / "o.npy").read_bytes()
    with monkeypatch.context() as patched:
        killed_after(patched, 0)
        patched.setattr(Stream, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert call(*arguments, "--resume", "c.state").exit_code == 130
    assert (folder / "o.npy").read_bytes() == before


def test_a_state_that_python_took(call, program, spikes, folder):
    run = Stream(loihic.load(program), engine="numpy")
    run.feed(spikes[:, :100])
    save_state(run.state(), folder / "c.state")
    result = call("run", program, "x.npy", "-o", "o.npy", "--resume", "c.state")
    assert result.exit_code == 1
    assert "error[LHC116]: c.state is not a checkpoint of `loihic run`" in result.stderr
    assert "None" not in result.stderr


@pytest.mark.parametrize(("sample", "step", "shape"), [
    (1, 3, (1, 2, 3)), (2, 0, (1, 1, 3)), (0, 0, (3, 1, 3)), (-1, 0, (1, 1, 3)), (0, -1, (1, 1, 3)), (0, 0, (1, 1, 2))])
def test_values_outside_an_array_are_not_written(tmp_path, sample, step, shape):
    file = NpyFile(tmp_path / "a.npy", (2, 4, 3), np.int64)
    file.put(1, 2, np.ones((1, 2, 3)))
    with pytest.raises(ValueError, match="array"):
        file.put(sample, step, np.full(shape, 7))
    file.finish()
    assert np.load(tmp_path / "a.npy").sum() == 6


def test_where_a_wrong_value_is(call, program, spikes, folder, blocks_of_one):
    """The sample and step of the file, not of the part that was read."""
    spikes[2, 500, 1] = 7
    np.save("x.npy", spikes)
    result = call("run", program, "x.npy", "-o", "o.npy")
    assert "LHC111" in result.stderr
    assert "in step 500 of sample 2" in result.stderr


# What is typed and what is read


@pytest.mark.parametrize(("arguments", "status", "words"), [
    (["--checkpoint", "c.state", "-o", "o.npz"], 2, "-o OUT.npy"), (["--checkpoint-every", "soon"], 2, "30s"),
    (["--checkpoint-every", "-1s"], 2, "30s"), (["--checkpoint-every", "nans"], 2, "30s"),
    (["--checkpoint", "x.npy"], 2, "overwritten"), (["--checkpoint", "a.npy", "-o", "a.npy"], 2, "is an output"),
    (["--checkpoint", "a.npy.part", "-o", "a.npy"], 2, "is an output"),
    (["--checkpoint", "no/c.state"], 1, "no folder"), (["--checkpoint", ""], 1, "the name is empty"),
    (["-o", ""], 1, "the name is empty"), (["--resume", ""], 1, "the name is empty"),
    (["--checkpoint", "net.loihic"], 2, "overwritten"), (["--checkpoint", "c", "--backend", "lava"], 2, "sim or torch"),
    (["-o", "no/o.npy"], 1, "no folder"), (["-o", "no/o/"], 1, "no folder"), (["-o", "net.nir/"], 1, "it is a file"),
    (["-o", "x.npy"], 2, "overwritten"), (["-o", "o.npy", "--record", "last.v"], 2, "-o o/"),
    (["-o", "o.npy", "--record", "last.w"], 2, "last (u, v, out)"), (["--threads", "0"], 2, "threads"),
    (["--device", "abacus", "--backend", "torch"], 3, "LHC601"),
])
def test_wrong_options_write_nothing(call, program, spikes, folder, arguments, status, words):
    if "torch" in arguments:
        pytest.importorskip("torch")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = call("run", program, "x.npy", *arguments)
    assert result.exit_code == status, result.output
    assert words in result.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_outputs_under_way_are_not_inputs(call, program, spikes, folder):
    for name, output in (("o.npy.part", "o.npy"), ("o/output.npy.part", "o/")):
        (folder / "o").mkdir(exist_ok=True)
        np.save("y.npy", spikes)
        before = Path("y.npy").rename(name).read_bytes()
        result = call("run", program, name, "-o", output)
        assert result.exit_code == 2
        assert "overwritten" in result.stderr
        assert Path(name).read_bytes() == before


@pytest.mark.parametrize("option", ["-o", "--checkpoint"])
def test_pipes_of_the_system_stay(call, program, spikes, folder, option):
    """As devices do; known before the run, and not after it."""
    os.mkfifo("pipe")
    before = sorted(folder.iterdir())
    result = call("run", program, "x.npy", option, "pipe")
    assert result.exit_code == 1
    assert "LHC112" in result.stderr
    assert "no regular file" in result.stderr
    assert (folder / "pipe").is_fifo()
    assert sorted(folder.iterdir()) == before


def test_a_name_in_capitals(call, program, spikes, folder):
    assert call("run", program, "x.npy", "-o", "o.NPY").exit_code == 0
    assert (folder / "o.NPY").read_bytes() == saved(loihic.load(program).run(spikes).outputs["output"])


def test_paths_without_a_name(call, program, spikes):
    for arguments in ((".", "x.npy"), (program, ".")):
        result = call("run", *arguments)
        assert result.exit_code == 1
        assert "cannot read .\n" in result.stderr


def test_a_golden_run_has_no_checkpoint(call, program):
    assert "give an INPUT" in call("run", program, "--checkpoint", "c.state").stderr


@pytest.mark.parametrize("kind", ["cut", "header only", "huge", "negative", "unclosed", "objects", "empty", "later"])
def test_arrays_that_are_not_what_they_say(call, program, spikes, folder, kind):
    image = bytearray((folder / "x.npy").read_bytes())
    header = {"huge": b"(9999999999999, 99999999, 3), }", "negative": b"(-3, -600, 3), }",
              "unclosed": b"((3, 600, 3, "}
    if kind == "cut":
        del image[-1:]
    elif kind == "header only":
        del image[128:]
    elif kind == "empty":
        image = bytearray(b"")
    elif kind == "objects":
        np.save("x.npy", np.array([[{}, {}, {}]]), allow_pickle=True)
        image = bytearray((folder / "x.npy").read_bytes())
    elif kind == "later":
        image[-1] = 7
    else:
        at = image.index(b"(3, 600, 3), ")
        image[at : at + len(header[kind])] = header[kind]
    (folder / "x.npy").write_bytes(image)
    result = call("run", program, "x.npy", "-o", "o.npy")
    assert result.exit_code == 1
    assert ("LHC111" if kind == "later" else "LHC101") in result.stderr
    assert kind != "later" or "in step 599 of sample 2" in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["net.loihic", "net.nir", "x.npy"]


# Between pipes


def piped(program: Path, content: bytes, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["run", str(program), "-", *arguments], input=content)


def sent(*arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    for array in arrays:
        np.save(file, array, allow_pickle=True)
    return file.getvalue()


def headed(shape: str) -> bytes:
    """An array of no elements whose header says that it has this shape."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(245) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


def test_pipes(program, spikes):
    content = sent(spikes[:, :10], np.asfortranarray(spikes[:, 10:11]), spikes[:, 11:11], spikes[:, 11:])
    result = piped(program, content)
    assert result.exit_code == 0, result.stderr
    file, pieces = io.BytesIO(result.stdout_bytes), []
    while file.tell() < len(result.stdout_bytes):
        pieces.append(np.load(file))
    assert len(pieces) == 5
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), loihic.load(program).run(spikes).outputs["output"])
    assert piped(program, b"").stdout_bytes == b""


def test_every_part_is_answered_at_once(program, spikes, folder):
    """Over pipes of the system, on which numpy itself can neither write nor read."""
    x = spikes[0, :30]
    with subprocess.Popen([sys.executable, "-m", "loihic", "run", program.name, "-"], cwd=folder, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": ROOT}) as process:
        answers, found = arrays(process.stdout), []
        for step in range(len(x)):
            send(process.stdin, x[step : step + 1])
            found.append(next(answers))
        process.stdin.close()
        found += answers
    assert process.returncode == 0
    np.testing.assert_array_equal(np.concatenate(found, axis=1), loihic.load(program).run(x).outputs["output"])


@pytest.mark.parametrize(("content", "code"), [
    (b"no array", "LHC101"), (b"\x93NU", "LHC101"), (sent(np.zeros((5, 3)))[:-1], "LHC101"),
    (sent(np.zeros((5, 3)))[:20], "LHC101"), (sent(np.array([{}])), "LHC101"), (sent(np.zeros((5, 4))), "LHC110"),
    (sent(np.array(["a"])), "LHC110"), (sent(np.zeros((5, 3)), np.full((5, 3), 7)), "LHC111"),
    (sent(np.zeros((5, 3))).replace(b"(5, 3), }        ", b"(555555555, 3), }"), "LHC110"),
    (sent(np.zeros((5, 3))).replace(b"(5, 3), }", b"((5, 3), "), "LHC101"),
    (sent(np.zeros((5, 3), dtype="V0")), "LHC110"), (sent(np.zeros((5, 3), dtype=complex)), "LHC110"),
    (headed("(99999999999999999999, 0)"), "LHC101"), (headed(f"(0, {50 * '1, '})"), "LHC101"),
])
def test_pipes_that_carry_something_else(program, content, code):
    result = piped(program, content)
    assert result.exit_code == 1
    assert f"error[{code}]" in result.stderr


@pytest.mark.parametrize("arguments", [["-o", "o.npy"], ["--json"], ["--record", "last.v"], ["--checkpoint", "c"],
                                       ["--samples", "1"], ["--backend", "lava"]])
def test_pipes_take_few_options(program, folder, arguments):
    before = sorted(folder.iterdir())
    result = piped(program, b"", *arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.stderr
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(("text", "found"), [
    ("5000", Interval(steps=5000)), ("30s", Interval(seconds=30)), ("10m", Interval(seconds=600)),
    ("1.5h", Interval(seconds=5400))])
def test_intervals(text: str, found: Interval) -> None:
    assert Interval.parse(text) == found
    with pytest.raises(InputError, match="LHC702"):
        Interval.parse("x" + text)
