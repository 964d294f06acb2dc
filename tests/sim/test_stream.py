"""Input in parts: the same outputs, records and states as of a whole run."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from strategies import RandomNet, networks
from stream_nets import random_input, told_changes, two_ends

import loihic
from loihic.encoding import InputEncoder
from loihic.errors import BackendError, CompileError, InputError, fail
from loihic.program import Program
from loihic.sim.state_file import load_state, save_state
from loihic.sim.stream import Piece, Stream, stream

FAST = "auto" if find_spec("numba") is None else "flat"
RECORD = (("lif", "v"), ("last", "out"))
PROGRAMS = {"levels": two_ends, "changes": told_changes}


def joined(pieces: list[Piece]) -> tuple[dict, dict]:
    for kind in ("outputs", "recorded"):
        assert len({tuple(getattr(piece, kind)) for piece in pieces}) == 1
    return tuple({key: np.concatenate([getattr(piece, kind)[key] for piece in pieces], axis=1)
                  for key in getattr(pieces[0], kind)} for kind in ("outputs", "recorded"))


def equal(found: dict, wanted: dict) -> None:
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        np.testing.assert_array_equal(found[key], values)


def cut(x: np.ndarray, lengths: list[int]) -> list[np.ndarray]:
    return np.split(x, np.cumsum(lengths), axis=1)


@pytest.mark.parametrize("name", PROGRAMS)
@settings(max_examples=12)
@given(lengths=st.lists(st.integers(0, 9), max_size=6), rest=st.integers(0, 20), samples=st.integers(1, 3),
       raw=st.booleans(), seed=st.integers(0, 99), stop=st.integers(0, 6))
def test_any_cut_is_the_whole_run(name: str, lengths: list[int], rest: int, samples: int, raw: bool, seed: int,
                                  stop: int) -> None:
    program = PROGRAMS[name]()
    x = random_input(program, max(1, sum(lengths) + rest), samples, seed)
    whole = program.run(x, record=RECORD, raw=raw)
    chunks = cut(x, lengths)
    pieces = list(stream(program, chunks, record=RECORD, raw=raw))
    outputs, recorded = joined(pieces)
    equal(outputs, whole.outputs)
    equal(recorded, whole.recorded)
    at = 0
    for piece in pieces:
        assert piece.first == at
        at += piece.outputs["late"].shape[1]

    first = Stream(program, record=RECORD, raw=raw)
    stop = min(stop, len(chunks) - 1)
    begun = [first.feed(chunk) for chunk in chunks[: stop + 1]]
    state = first.state()
    outputs, recorded = joined([*begun, *stream(program, chunks[stop + 1 :], record=RECORD, raw=raw, at=state)])
    equal(outputs, whole.outputs)
    equal(recorded, whole.recorded)


@pytest.mark.parametrize("program", PROGRAMS.values())
def test_the_programs_have_something_to_carry(program: Callable[[], Program]) -> None:
    outputs = program().run(random_input(program(), 40)).outputs
    assert all(0 < values.mean() < 1 for values in outputs.values())
    assert len({sink.latency for sink in program().outputs.values()}) == 2


def test_changes_are_those_of_the_whole_input() -> None:
    program = told_changes()
    (source,) = program.inputs.values()
    x = random_input(program, 40)
    sent = source.sent(x)
    assert np.count_nonzero(sent) < np.count_nonzero(x)
    told = np.zeros_like(x[:, 0])
    found = []
    for part in cut(x, [7, 0, 1, 20]):
        changes, told = source.changes(part, told)
        found.append(changes)
    np.testing.assert_array_equal(np.concatenate(found, axis=1), sent)
    np.testing.assert_array_equal(told, sent.sum(axis=1))


@pytest.mark.parametrize("engines", [("numpy", "flat"), ("flat", "numpy"), ("numpy", "torch"), ("torch", "flat")])
def test_another_engine_goes_on(engines: tuple[str, str], tmp_path: Path) -> None:
    for engine, package in (("torch", "torch"), ("flat", "numba")):
        if engine in engines:
            pytest.importorskip(package)
    program = told_changes()
    x = random_input(program, 60)
    first = Stream(program, engine=engines[0])
    begun = first.feed(x[:, :25])
    path = save_state(first.state(), tmp_path / "at.state")
    rest = stream(program, [x[:, 25:]], engine=engines[1], at=load_state(path, program))
    equal(joined([begun, *rest])[0], program.run(x).outputs)


@settings(max_examples=5)
@given(net=networks(), cuts=st.lists(st.integers(0, 7), min_size=1, max_size=3))
def test_random_networks_change_engines(net: RandomNet, cuts: list[int]) -> None:
    try:
        program = loihic.compile(net.graph, dt=net.dt, placement="linear")
    except CompileError:
        return  # of a network that is refused nothing can be run
    x = net.spikes(24, samples=2)
    state, pieces = None, []
    for index in range(len(cuts) + 1):
        part = {name: cut(values, cuts)[index] for name, values in x.items()}
        run = Stream(program, engine=("numpy", FAST)[index % 2], at=state)
        pieces.append(run.feed(part))
        state = run.state()
    pieces += run.finish(1)
    equal(joined(pieces)[0], program.run(x).outputs)


def test_a_run_goes_on_after_a_state_was_taken() -> None:
    program = told_changes()
    x = random_input(program, 30)
    run = Stream(program)
    pieces, states = [], []
    for part in cut(x, [10, 10]):
        pieces.append(run.feed(part))
        states.append(run.state())
    kept = {key: values.copy() for key, values in states[0].tensors().items()}
    equal(joined([*pieces, *run.finish(2)])[0], program.run(x).outputs)
    equal(states[0].tensors(), kept)
    assert list(run.finish()) == []
    for use in (lambda: run.feed(x), run.state):
        with pytest.raises(InputError, match="LHC116"):
            use()


def test_one_sample_and_named_inputs() -> None:
    program = two_ends()
    x = random_input(program, 12, 1)
    found = joined(list(stream(program, [{"input": x[0, :5]}, x[0, 5:]])))[0]
    equal(found, program.run(x).outputs)


def test_wrong_parts() -> None:
    program = two_ends()
    x = random_input(program, 12)
    run = Stream(program)
    with pytest.raises(InputError, match="LHC116"):
        run.state()
    run.feed(x)
    before = run.state()
    wrong = x.copy()
    wrong[1, 4] = 9
    for part, code, words in ((x[:1], "LHC110", "has 1 samples"), (x[..., :2], "LHC110", "shape"),
                              (wrong, "LHC111", "in step 16 of sample 1"), (x * 0.5, "LHC111", "not whole"),
                              ({"no": x, "input": x}, "LHC110", "unknown: no")):
        with pytest.raises(InputError, match=code) as caught:
            run.feed(part)
        assert words in str(caught.value)
    equal(run.state().tensors(), before.tensors())
    with pytest.raises(InputError, match="LHC701"):
        Stream(program, record=[("lif", "w")])


def test_an_engine_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is where it was before: once the engine is there, it takes the same part."""
    program = told_changes()
    x = random_input(program, 20)
    run = Stream(program)

    def missing(*_: object, **__: object) -> None:
        fail("LHC601", "there is no engine", error=BackendError)

    with monkeypatch.context() as patched:
        patched.setattr("loihic.sim.stream.begin", missing)
        with pytest.raises(BackendError, match="LHC601"):
            run.feed(x)
    assert (run.step, run.batch) == (0, None)
    equal(joined([run.feed(x), *run.finish()])[0], program.run(x).outputs)


def test_a_first_part_that_is_refused_decides_nothing() -> None:
    program = two_ends()
    x = random_input(program, 12, 3)
    run = Stream(program)
    with pytest.raises(InputError, match="LHC111"):
        run.feed(x[:2] + 7)
    equal(joined([run.feed(x), *run.finish()])[0], program.run(x).outputs)


def test_messages_count_from_the_first_step_and_sample() -> None:
    program = two_ends()
    x = random_input(program, 12)
    (name,) = program.inputs
    x[1, 4] = 9
    with pytest.raises(InputError, match=r"(?s)LHC111.*in step 104 of sample 2001"):
        InputEncoder(program.inputs, step=100, first_sample=2000).encode({name: x})
    with pytest.raises(InputError, match=r"(?s)LHC111.*in step 4 of sample 11"):
        Stream(program, first_sample=10).feed(x)


# Files


@pytest.fixture
def state_file(tmp_path: Path) -> Path:
    run = Stream(told_changes())
    run.feed(random_input(told_changes(), 20))
    return save_state(run.state({"answer": 42, "of": "question"}), tmp_path / "run.state")


def test_state_files(state_file: Path, tmp_path: Path) -> None:
    program = told_changes()
    state = load_state(state_file, program)
    assert (state.step, state.batch, state.note) == (20, 2, {"answer": 42, "of": "question"})
    again = save_state(state, tmp_path / "again.state")
    assert again.read_bytes() == state_file.read_bytes()
    # A program that was saved and loaded is the same program.
    load_state(state_file, loihic.load(program.save(tmp_path / "p.loihic")))


def test_another_program(state_file: Path) -> None:
    with pytest.raises(InputError, match=r"LHC116.*another program"):
        load_state(state_file, two_ends())
    state = load_state(state_file, told_changes())
    with pytest.raises(InputError, match=r"LHC116.*another program"):
        Stream(two_ends(), at=state)
    with pytest.raises(InputError, match=r"LHC116.*does not fit"):
        Stream(told_changes(), at=replace(state, batch=3))


def test_no_file_and_other_files(tmp_path: Path) -> None:
    program = two_ends()
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_bytes(b"no state at all, but long enough to be one")
    program.save(tmp_path / "program")
    for name in ("missing", "empty", "text", "program", "."):
        with pytest.raises(InputError, match="LHC101"):
            load_state(tmp_path / name, program)
    run = Stream(program)
    run.feed(random_input(program, 3))
    with pytest.raises(InputError, match="LHC112"):
        save_state(run.state(), tmp_path / "no" / "folder")


def test_damaged_at_random(state_file: Path) -> None:
    image, program = state_file.read_bytes(), told_changes()
    for seed in range(200):
        rng = random.Random(seed)
        changed = bytearray(image)
        if seed % 5 == 0:
            del changed[rng.randrange(len(image)) :]
        elif seed % 5 == 1:
            changed += bytes(rng.randrange(1, 20))
        for _ in range(rng.choice([1, 2, 8])):
            at = rng.randrange(len(image))
            if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
        state_file.write_bytes(changed)
        with pytest.raises(InputError, match=r"LHC1(01|06|07|16)"):
            load_state(state_file, program)


@pytest.mark.parametrize(("change", "code"), [
    ({"version": 2}, "LHC107"), ({"version": None}, "LHC101"), ({"batch": 3}, "LHC106"), ({"batch": 0}, "LHC106"),
    ({"batch": 1 << 61}, "LHC106"), ({"batch": 1e400}, "LHC106"), ({"step": -1}, "LHC106"),
    ({"step": 1 << 70}, "LHC106"), ({"step": 0}, "LHC106"), ({"step": 30}, "LHC106"), ({"note": 3}, "LHC106"),
    ({"program": 7}, "LHC116"),
])
def test_headers_that_lie(state_file: Path, change: dict, code: str) -> None:
    """Everything but the digest speaks for the file; it is refused before a number is used."""
    tensors = load_tensors(state_file.read_bytes())
    image = state_file.read_bytes()
    head = json.loads(json.loads(image[8 : 8 + int.from_bytes(image[:8], "little")])["__metadata__"]["loihic-state"])
    body = json.loads(head["body"])
    for key, value in change.items():
        (head if key == "version" else body)[key] = value
    head["body"] = json.dumps(body)
    state_file.write_bytes(save_tensors(tensors, metadata={"loihic-state": json.dumps(head)}))
    with pytest.raises(InputError, match=code):
        load_state(state_file, told_changes())


@pytest.mark.parametrize("change", ["type", "shape", "more", "fewer", "large"])
def test_tensors_that_do_not_fit(state_file: Path, change: str) -> None:
    image = state_file.read_bytes()
    tensors = dict(load_tensors(image))
    metadata = json.loads(image[8 : 8 + int.from_bytes(image[:8], "little")])["__metadata__"]
    key = "state/v/lif"
    if change == "type":
        tensors[key] = tensors[key].astype(np.float64)
    elif change == "shape":
        tensors[key] = tensors[key].reshape(-1)
    elif change == "more":
        tensors["state/v/nobody"] = tensors[key]
    elif change == "fewer":
        del tensors[key]
    else:
        tensors[key] = np.zeros((2, 1 << 16), dtype=np.int64)
    state_file.write_bytes(save_tensors(tensors, metadata=metadata))
    with pytest.raises(InputError, match="LHC106"):
        load_state(state_file, told_changes())
