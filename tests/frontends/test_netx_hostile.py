"""lava-dl network files made to crash, to fill the memory or to reach beyond themselves."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from damaged import check_damaged
from netx_nets import LIF, SDNN, conv, dense, inputs, write_net

from loihic.errors import CompileError, InputError, LoihicError
from loihic.frontends.netx import read_netx
from loihic.frontends.netx_file import read_net_file
from loihic.frontends.nir_hdf5 import ReadLimits

WEIGHT = "layer/1/weight"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_net(tmp_path / "small.net", [
        inputs(2, 6, 5), conv((3, 4, 4), np.arange(-18, 18).reshape(3, 2, 3, 2), bias=np.arange(3)),
        {"type": "flatten", "shape": np.array([48, 1, 1])},
        {**dense(np.ones((4, 48)), {**LIF, "weight_exp": np.array([1.0])}), "type": "dense_rec",
         "weight_rec": np.ones((4, 4)), "delay": np.arange(4)},
    ], t_sample=16)


def error_of(path: Path) -> LoihicError:
    with pytest.raises(LoihicError) as caught:
        read_netx(path)
    str(caught.value).encode()
    return caught.value


def only(path: Path) -> tuple[str, str]:
    """Code and text of the only problem."""
    (found,) = error_of(path).diagnostics
    return found.code, str(found)


def replaced(path: Path, name: str, make: Callable[[h5py.File, str], object]) -> None:
    with h5py.File(path, "a") as file:
        del file[name]
        make(file, name)


def stored(path: Path, name: str, value: Any) -> None:
    replaced(path, name, lambda file, key: file.create_dataset(key, data=value))


def test_the_file_itself_is_sound(path: Path) -> None:
    assert len(read_netx(path)[0].nodes) == 9


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\n" + bytes(50)])
def test_not_hdf5(tmp_path: Path, content: bytes) -> None:
    bad = tmp_path / "bad.net"
    bad.write_bytes(content)
    error = error_of(bad)
    assert isinstance(error, InputError)
    assert error.diagnostics[0].code == "LHC101"
    assert error_of(tmp_path / "none.net").diagnostics[0].code == "LHC101"


def test_other_hdf5_files(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.net", "w") as file:
        file.create_group("node")
    code, words = only(tmp_path / "a.net")
    assert code == "LHC101"
    assert "NIR" in words
    with h5py.File(tmp_path / "b.net", "w") as file:
        file["layer"] = np.ones(3)
    assert only(tmp_path / "b.net")[0] == "LHC101"


@pytest.mark.parametrize("names", [[], ["1"], ["0", "2"], ["0", "first"], ["00"], [str(i) for i in range(300)]])
def test_layers_must_be_numbered(tmp_path: Path, names: list[str]) -> None:
    with h5py.File(tmp_path / "a.net", "w") as file:
        file.create_group("layer")
        for name in names:
            file.create_group(f"layer/{name}")
    assert only(tmp_path / "a.net")[0] == "LHC103"


def test_every_missing_dataset_is_named(path: Path) -> None:
    gone = ["layer/0/shape", "layer/1/weight", "layer/1/stride", "layer/1/neuron/iDecay", "layer/3/weight_rec",
            "layer/3/neuron/vThMant"]
    with h5py.File(path, "a") as file:
        for name in gone:
            del file[name]
    found = error_of(path).diagnostics
    assert [(d.code, d.message) for d in found] == [
        ("LHC103", f"{name.split('/')[-1]!r} is missing") for name in gone]
    assert "layer 3 (dense_rec), from small.net /layer/3" in str(found[-1])


@pytest.mark.parametrize(("name", "value", "code", "words"), [
    (WEIGHT, np.full((3, 2, 3, 2), np.nan), "LHC104", "36 of 36"),
    (WEIGHT, np.full((3, 2, 3, 2), 0.5), "LHC103", "whole numbers"),
    (WEIGHT, np.full((3, 2, 3, 2), 256), "LHC105", "-256..255"),
    (WEIGHT, np.full((3, 2, 3, 2), -1e300), "LHC105", "-256..255"),
    (WEIGHT, np.ones(7), "LHC202", "four dimensions"),
    (WEIGHT, np.ones((0, 2, 3, 2)), "LHC202", "four dimensions"),
    (WEIGHT, "text", "LHC103", "not text"),
    ("layer/1/type", np.array([b"conv", b"conv"]), "LHC103", "no 'type'"),
    ("layer/1/type", 3, "LHC103", "no 'type'"),
    ("layer/1/type", "\x1b[2Jx", "LHC102", "\\x1b"),
    ("layer/1/shape", np.ones((2, 2)), "LHC103", "one to three sizes"),
    ("layer/1/shape", np.array([3, 4, 0]), "LHC105", "allowed are 1.."),
    ("layer/1/shape", np.array([2**62, 2**62, 2**62]), "LHC105", "allowed are 1.."),
    ("layer/0/shape", np.array([2**24, 2**24, 2**24]), "LHC105", "at most"),
    ("layer/1/stride", np.array([1, 2, 3]), "LHC103", "one or two whole numbers"),
    ("layer/1/stride", 0, "LHC105", "allowed are 1.."),
    ("layer/1/padding", -1, "LHC105", "allowed are 0.."),
    ("layer/1/padding", np.array([1 << 20, 1 << 20]), "LHC202", "at most"),
    ("layer/1/dilation", 1 << 20, "LHC202", "does not fit"),
    ("layer/1/groups", 2, "LHC202", "does not fit"),
    ("layer/1/groups", np.array([], dtype=int), "LHC103", "one whole number"),
    ("layer/1/bias", np.ones(5), "LHC103", "neither one number"),
    ("layer/1/neuron/iDecay", 5000, "LHC105", "0..4096"),
    ("layer/1/neuron/vThMant", np.inf, "LHC104", "not finite"),
    ("layer/1/neuron/vThMant", -1, "LHC105", "0..262143"),
    ("layer/1/neuron/type", np.zeros(3), "LHC103", "with a 'type'"),
    ("layer/3/delay", np.array([1, 2, 3, 2**30]), "LHC105", "delay"),
    ("layer/3/delay", np.array([1, 2, 3, -1]), "LHC105", "delay"),
    ("layer/3/weight", np.ones((5, 48)), "LHC202", "4 neurons"),
    ("layer/3/neuron/weight_exp", np.nan, "LHC104", "not finite"),
])
def test_values_out_of_place(path: Path, name: str, value: Any, code: str, words: str) -> None:
    stored(path, name, value)
    found = error_of(path).diagnostics
    assert code in {item.code for item in found}
    assert any(words in str(item) for item in found)


def test_a_broken_layer_does_not_hide_the_next(path: Path) -> None:
    stored(path, WEIGHT, np.full((3, 2, 3, 2), 0.5))
    stored(path, "layer/3/weight", np.ones((4, 47)))
    assert [item.code for item in error_of(path).diagnostics] == ["LHC103", "LHC202"]


def test_groups_and_values_in_each_others_place(path: Path) -> None:
    replaced(path, "layer/1/neuron", lambda file, name: file.create_dataset(name, data=1))
    replaced(path, "layer/1/stride", lambda file, name: file.create_group(name))
    replaced(path, "layer/2", lambda file, name: file.create_dataset(name, data=1))
    assert [item.code for item in error_of(path).diagnostics] == ["LHC103"] * 3


def test_links_are_not_followed(path: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["w"] = np.ones((3, 2, 3, 2))
    replaced(path, WEIGHT, lambda f, n: f.__setitem__(n, h5py.ExternalLink(str(tmp_path / "secret.h5"), "/w")))
    assert "is a link" in only(path)[1]
    replaced(path, WEIGHT, lambda f, n: f.__setitem__(n, h5py.SoftLink("/layer/3/weight")))
    assert "is a link" in only(path)[1]
    for name in ("layer/1/neuron", "layer/1", "layer"):
        replaced(path, name, lambda f, n: f.__setitem__(n, h5py.SoftLink("/simulation")))
        assert any("is a link" in str(item) for item in error_of(path).diagnostics)


def test_data_in_other_files(path: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw.bin"
    raw.write_bytes(bytes(36 * 8))
    replaced(path, WEIGHT, lambda f, n: f.create_dataset(n, (3, 2, 3, 2), "f8", external=[(str(raw), 0, 288)]))
    assert "stored in another file" in only(path)[1]
    layout = h5py.VirtualLayout((3, 2, 3, 2), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "source.h5"), "w", shape=(3, 2, 3, 2))
    replaced(path, WEIGHT, lambda f, n: f.create_virtual_dataset(n, layout))
    assert "stored in another file" in only(path)[1]


def test_group_that_contains_itself(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["layer/1/neuron"]
        file["layer/1/neuron"] = file["layer"]
    assert "under another name" in only(path)[1]


@pytest.mark.parametrize("options", [
    {"chunks": (2**20,), "compression": "gzip"}, {"chunks": (2**20,)}, {"chunks": (2**30,), "compression": "lzf"}])
def test_huge_arrays_of_fill_values(path: Path, options: dict[str, Any]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for count, words in ((2**40, "more than"), (2**26, "larger than the file can hold")):
        replaced(path, WEIGHT, lambda f, n, c=count: f.create_dataset(n, (c,), "f4", fillvalue=1.0, **options,
                                                                      maxshape=(None,)))
        assert words in only(path)[1]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_limits_of_the_whole_file(path: Path) -> None:
    with pytest.raises(InputError, match="too large"):
        read_net_file(path, ReadLimits(file_bytes=1000))
    with pytest.raises(CompileError, match="more than 2 objects"):
        read_net_file(path, ReadLimits(objects=2))
    found = read_net_file(path, ReadLimits(total_bytes=1000)).layers[3].values["weight"]
    assert "unpacks to more than 1000 bytes" in str(found)


def test_sigma_delta_layers_are_checked_before_they_are_refused(tmp_path: Path) -> None:
    layers = [inputs(3, neuron=SDNN), dense(np.ones((2, 3)), {**SDNN, "activation": "gelu"}),
              dense(np.ones((2, 2)), {**SDNN, "vThMant": -3}),
              dense(np.ones((2, 2)), {**SDNN, "sigma_output": True}, bias=np.ones(2))]
    found = error_of(write_net(tmp_path / "sdn.net", layers)).diagnostics
    assert any("'gelu' is not supported" in str(item) for item in found)
    assert any("vThMant is -3..0" in str(item) for item in found)
    assert any("has no bias" in str(item) for item in found)


def test_truncations_and_flips_end_in_our_errors(path: Path, tmp_path: Path) -> None:
    check_damaged(path, tmp_path)
