"""Files that torch.export.save wrote, files that it did not write, and files that mean harm."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch_support import Cnn, Mlp, archive, both, exported, rewritten, seeded  # noqa: E402

from loihic.errors import CompileError, InputError, LoihicError  # noqa: E402
from loihic.frontends.torch_file import read_pt2  # noqa: E402

MODEL, WEIGHTS, CONSTANTS = (
    "models/model.json", "data/weights/model_weights_config.json", "data/constants/model_constants_config.json")


@pytest.fixture(scope="module")
def image() -> bytes:
    return archive(exported(seeded(Mlp), (torch.randn(2, 12),), dynamic=True))


def read(image: bytes, folder: Path) -> Any:
    path = folder / "net.pt2"
    path.write_bytes(image)
    return read_pt2(path)


def refused(image: bytes, folder: Path, code: str = "LHC101") -> str:
    with pytest.raises(InputError) as caught:
        read(image, folder)
    assert {found.code for found in caught.value.diagnostics} == {code}
    return str(caught.value)


def edited(image: bytes, member: str, change: Callable[[Any], Any]) -> bytes:
    """An archive whose JSON member is changed in place."""

    def edit(name: str, data: bytes) -> bytes:
        if name != member:
            return data
        content = json.loads(data)
        return json.dumps(change(content) or content).encode()

    return rewritten(image, edit)


def test_round_trip(tmp_path: Path) -> None:
    program = exported(seeded(Cnn), (torch.randn(2, 3, 8, 8),), dynamic=True)
    graph, notes = both(program, tmp_path)
    assert list(graph.nodes)[:3] == ["x", "conv1", "bn"]
    assert not notes


def test_provenance(image: bytes, tmp_path: Path) -> None:
    _, about, notes = read(image, tmp_path)
    assert about["model"] == "net"
    assert about["format"] == "PyTorch"
    assert len(about["sha256"]) == 64
    assert about["torch"]["producer"].startswith("torch 2.")
    assert not notes


def test_reading_needs_no_torch(image: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torch"]:
        monkeypatch.setitem(sys.modules, name, None)
    graph, _, _ = read(image, tmp_path)
    assert "layers.0" in graph.nodes


def test_half_precision_weights(tmp_path: Path) -> None:
    model = torch.nn.Linear(4, 3).to(torch.bfloat16)
    program = exported(model, (torch.randn(2, 4, dtype=torch.bfloat16),))
    graph, _ = both(program, tmp_path)
    weights = graph.nodes["linear"].linear.matrix  # type: ignore[attr-defined]
    assert (weights == model.weight.detach().float().numpy()).all()


class Evil:
    """A pickle of it makes a folder when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def saved(thing: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    return buffer.getvalue()


def test_sample_inputs_are_not_unpickled(image: bytes, tmp_path: Path) -> None:
    read(rewritten(image, {"data/sample_inputs/model.pt": saved(Evil(tmp_path / "run"))}), tmp_path)
    read(rewritten(image, {"data/sample_inputs/model.pt": None}), tmp_path)
    assert not (tmp_path / "run").exists()


def test_custom_objects_are_not_unpickled(image: bytes, tmp_path: Path) -> None:
    entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    changed = edited(image, CONSTANTS, lambda _: {"config": {"thing": entry}})
    changed = rewritten(changed, {"data/constants/opaque_obj_0": pickle.dumps(Evil(tmp_path / "run"))})
    read(changed, tmp_path)
    assert not (tmp_path / "run").exists()


def test_pickled_weights_are_refused(image: bytes, tmp_path: Path) -> None:
    def pickled(config: Any) -> None:
        for entry in config["config"].values():
            entry["use_pickle"] = True

    changed = rewritten(edited(image, WEIGHTS, pickled), {"data/weights/weight_0": saved(Evil(tmp_path / "run"))})
    assert "pickled subclass" in refused(changed, tmp_path, "LHC103")
    legacy = rewritten(image, {"data/weights/model.pt": saved(Evil(tmp_path / "run"))})
    assert "torch 2.8" in refused(legacy, tmp_path, "LHC103")
    assert not (tmp_path / "run").exists()


def test_expressions_are_not_evaluated(image: bytes, tmp_path: Path) -> None:
    bad = f"__import__('os').mkdir({str(tmp_path / 'run')!r})"

    def poisoned(model: Any) -> Any:
        return json.loads(json.dumps(model).replace("Symbol('", bad + "('"))

    read(edited(image, MODEL, poisoned), tmp_path)
    assert not (tmp_path / "run").exists()


def test_compiled_libraries_are_not_loaded(image: bytes, tmp_path: Path) -> None:
    read(rewritten(image, {"data/aotinductor/model/net.so": b"\x7fELF"}), tmp_path)
    only = rewritten(image, {MODEL: None, "data/aotinductor/model/net.so": b"\x7fELF"})
    assert "AOTInductor" in refused(only, tmp_path, "LHC103")


@pytest.mark.filterwarnings("ignore")
def test_files_of_other_kinds(image: bytes, tmp_path: Path) -> None:
    model = seeded(Mlp)
    assert "pickle" in refused(pickle.dumps({"a": 1}), tmp_path)
    assert "torch.save" in refused(saved(model.state_dict()), tmp_path)
    scripted = io.BytesIO()
    torch.jit.save(torch.jit.trace(model, torch.randn(1, 12)), scripted)
    assert "TorchScript" in refused(scripted.getvalue(), tmp_path)
    old = io.BytesIO()
    with zipfile.ZipFile(old, "w") as file:
        file.writestr("version", "8.3")
        file.writestr("serialized_exported_program.json", "{}")
    assert "torch 2.7" in refused(old.getvalue(), tmp_path)
    for junk in (b"", b"hello", b"PK\x03\x04", image[:-40], image[: len(image) // 2]):
        assert "export" in refused(junk, tmp_path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        read_pt2(tmp_path / "none.pt2")
    with pytest.raises(InputError, match="cannot be opened"):
        read_pt2(tmp_path)
    os.mkfifo(tmp_path / "pipe.pt2")
    with pytest.raises(InputError, match="not a regular file"):
        read_pt2(tmp_path / "pipe.pt2")


def zipped(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, data in members:
            file.writestr(name, data)
    return buffer.getvalue()


def test_zip_bombs(image: bytes, tmp_path: Path) -> None:
    bomb = zipped(("archive/archive_format", b"pt2"), ("archive/models/model.json", bytes(1 << 24)),
                  compression=zipfile.ZIP_DEFLATED)
    assert "compressed" in refused(bomb, tmp_path)
    lying = bytearray(image)
    place = lying.rindex(b"PK\x01\x02")  # the last member's entry in the directory
    lying[place + 20 : place + 28] = (1 << 31).to_bytes(4, "little") * 2
    assert "overlap" in refused(bytes(lying), tmp_path)


def test_names_that_lead_outside(tmp_path: Path) -> None:
    for name in ("../archive_format", "/archive/x", "archive/../../x"):
        assert "leads outside" in refused(zipped(("archive/archive_format", b"pt2"), (name, b"")), tmp_path)


def test_unknown_versions(image: bytes, tmp_path: Path) -> None:
    assert "version" in refused(rewritten(image, {"archive_version": b"9"}), tmp_path)
    assert "big-endian" in refused(rewritten(image, {"byteorder": b"big"}), tmp_path)

    def newer(model: Any) -> None:
        model["schema_version"]["major"] = 99

    assert "99" in refused(edited(image, MODEL, newer), tmp_path, "LHC103")


def test_several_programs(image: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(image)) as file:
        program = file.read("archive/" + MODEL)
    several = rewritten(image, {MODEL: None, "models/a.json": program, "models/b.json": program})
    assert "several programs: a, b" in refused(several, tmp_path, "LHC103")


BROKEN: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "not-a-dict": (MODEL, lambda _: [1]),
    "no-graph": (MODEL, lambda m: m["graph_module"].pop("graph") and None),
    "no-specs": (MODEL, lambda m: m["graph_module"].update(signature={})),
    "claims-much": (MODEL, lambda m: m["graph_module"]["graph"]["tensor_values"]["x"].update(
        sizes=[{"as_int": 1}, {"as_int": 1 << 40}])),
    "negative": (MODEL, lambda m: m["graph_module"]["graph"]["tensor_values"]["x"].update(
        sizes=[{"as_int": 1}, {"as_int": -4}])),
    "no-weights": (WEIGHTS, lambda _: {"config": {}}),
    "reaches-far": (WEIGHTS, lambda c: c["config"]["layers.0.weight"]["tensor_meta"].update(
        storage_offset={"as_int": 1 << 20})),
    "steps-back": (WEIGHTS, lambda c: c["config"]["layers.0.weight"]["tensor_meta"].update(
        strides=[{"as_int": -1}, {"as_int": 1}])),
    "grows": (WEIGHTS, lambda c: c["config"]["layers.0.weight"]["tensor_meta"].update(
        sizes=[{"as_int": 1 << 30}, {"as_int": 12}], strides=[{"as_int": 0}, {"as_int": 1}])),
    "no-such-member": (WEIGHTS, lambda c: c["config"]["layers.0.weight"].update(path_name="../model")),
    "odd-type": (WEIGHTS, lambda c: c["config"]["layers.0.weight"]["tensor_meta"].update(dtype=29)),
    "text-for-number": (MODEL, lambda m: m["graph_module"]["graph"]["nodes"][0].update(
        inputs=[{"name": "input", "arg": {"as_int": "x"}}])),
}


@pytest.mark.parametrize("name", BROKEN)
def test_malformed_content(name: str, image: bytes, tmp_path: Path) -> None:
    member, change = BROKEN[name]
    refused(edited(image, member, change), tmp_path, "LHC103")


def test_deeply_nested_json(image: bytes, tmp_path: Path) -> None:
    assert "not JSON" in refused(rewritten(image, {MODEL: b"[" * 200_000}), tmp_path, "LHC103")


def test_calls_that_make_no_sense(image: bytes, tmp_path: Path) -> None:
    def changed(model: Any) -> None:
        nodes = model["graph_module"]["graph"]["nodes"]
        nodes[0]["inputs"] = nodes[0]["inputs"][:1]
        nodes[2]["inputs"][1]["arg"] = {"as_int": 3}

    with pytest.raises(CompileError) as caught:
        read(edited(image, MODEL, changed), tmp_path)
    assert len(caught.value.diagnostics) == 1  # what depends on the first is passed over

    def wrong_shape(model: Any) -> None:
        model["graph_module"]["graph"]["tensor_values"]["linear"]["sizes"][1] = {"as_int": 7}

    with pytest.raises(CompileError, match="the program says"):
        read(edited(image, MODEL, wrong_shape), tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_give_errors_of_ours(image: bytes, tmp_path: Path, data: st.DataObject) -> None:
    """A byte changed anywhere, or a word of the JSON: an error with a code, or a network."""
    if data.draw(st.booleans()):
        changed = bytearray(image)
        for _ in range(data.draw(st.integers(1, 4))):
            changed[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
        damaged = bytes(changed)
    else:
        member = data.draw(st.sampled_from([MODEL, WEIGHTS]))
        damaged = edited(image, member, lambda content: _disturbed(content, data))
    with suppress(LoihicError):
        read(damaged, tmp_path)


def _disturbed(content: Any, data: st.DataObject) -> Any:
    """The content with one value, however deep, replaced or left out."""
    if isinstance(content, dict) and content and data.draw(st.integers(0, 8)):
        key = data.draw(st.sampled_from(sorted(content)))
        return {**content, key: _disturbed(content[key], data)}
    if isinstance(content, list) and content and data.draw(st.integers(0, 8)):
        place = data.draw(st.integers(0, len(content) - 1))
        return [*content[:place], _disturbed(content[place], data), *content[place + 1 :]]
    return data.draw(st.sampled_from([None, 0, -1, 1 << 70, "x", [], {}, True, 0.5, [[]], {"as_int": 2}]))
