"""Files made to crash, to hang, to fill the memory or to reach beyond themselves."""

from __future__ import annotations

import resource
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from damaged import check_damaged

from loihic.errors import InputError
from loihic.frontends import read_nir_file
from loihic.frontends.hdf5_heap import heap_fault
from loihic.frontends.nir_hdf5 import ReadLimits

nir = pytest.importorskip("nir")
WEIGHT = "node/nodes/fc/weight"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    weight, one = np.random.default_rng(1).normal(size=(8, 8)), np.ones(8, dtype=np.float32)
    graph = nir.NIRGraph(
        {
            "input": nir.Input(np.array([8])), "fc": nir.Linear(weight),
            "lif": nir.LIF(tau=one, r=one, v_leak=0 * one, v_threshold=one),
            "output": nir.Output(np.array([8])),
        },
        [("input", "fc"), ("fc", "lif"), ("lif", "output")], metadata={"dt": 1e-3, "by": "a test"},
    )
    nir.write(tmp_path / "small.nir", graph)
    return tmp_path / "small.nir"


def error_of(path: Path, limits: ReadLimits | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_nir_file(path, limits=limits)
    return str(caught.value)


def replaced(path: Path, name: str, make: Callable[[h5py.Group, str], object]) -> None:
    with h5py.File(path, "a") as file:
        del file[name]
        make(file, name)


@pytest.mark.parametrize("options", [
    {"chunks": (2**20,), "compression": "gzip"}, {"chunks": (2**20,)}, {"chunks": (2**30,), "compression": "lzf"},
])
def test_huge_shape_of_fill_values(path: Path, options: dict[str, object]) -> None:
    replaced(path, WEIGHT, lambda f, name: f.create_dataset(name, (2**40,), "f4", fillvalue=1.0, **options))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "larger than the file can hold" in error_of(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_many_arrays_that_are_each_allowed(path: Path) -> None:
    with h5py.File(path, "a") as file:
        for i in range(20):
            file.create_dataset(f"node/metadata/m{i}", data=np.zeros(10**5), compression="gzip")
        del file[WEIGHT]
        file.create_dataset(WEIGHT, data=np.zeros((500, 500)), compression="gzip")
    assert read_nir_file(path).nodes["fc"].params["weight"].shape == (500, 500)
    assert "unpacks to more than" in error_of(path, ReadLimits(total_bytes=10**6))


def test_chunk_that_unpacks_beyond_its_size(path: Path) -> None:
    def bomb(file: h5py.Group, name: str) -> None:
        data = file.create_dataset(name, (2**18,), "f4", chunks=(2**18,), compression="gzip")
        data.id.write_direct_chunk((0,), zlib.compress(bytes(400 * 2**20), 9))

    replaced(path, WEIGHT, bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "unpacks to more than it may" in error_of(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_honest_large_array(path: Path) -> None:
    weight = np.random.default_rng(0).normal(size=(300, 400))
    for options in ({"compression": "gzip", "shuffle": True, "fletcher32": True}, {"compression": "lzf"}, {},
                    {"compression": "gzip", "chunks": (7, 400)}):
        replaced(path, WEIGHT, lambda f, name, o=options: f.create_dataset(name, data=weight, **o))
        np.testing.assert_array_equal(read_nir_file(path).nodes["fc"].params["weight"], weight)


def test_links_are_not_followed(path: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["weight"] = np.ones((8, 8))
    replaced(path, WEIGHT, lambda f, n: f.__setitem__(n, h5py.ExternalLink(str(tmp_path / "secret.h5"), "/weight")))
    assert "is a link" in error_of(path)
    replaced(path, WEIGHT, lambda f, n: f.__setitem__(n, h5py.SoftLink("/node/nodes/lif/tau")))
    assert "is a link" in error_of(path)


def test_data_in_other_files(path: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw.bin"
    raw.write_bytes(bytes(8 * 8 * 8))
    replaced(path, WEIGHT, lambda f, n: f.create_dataset(n, (8, 8), "f8", external=[(str(raw), 0, 512)]))
    assert "stored in another file" in error_of(path)
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["w"] = np.ones((8, 8))
    layout = h5py.VirtualLayout((8, 8), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "source.h5"), "w", shape=(8, 8))
    replaced(path, WEIGHT, lambda f, n: f.create_virtual_dataset(n, layout))
    assert "stored in another file" in error_of(path)


def test_group_that_contains_itself(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["node/nodes/again"] = file["node"]
    assert "under another name" in error_of(path)


def test_deep_nesting(path: Path) -> None:
    with h5py.File(path, "a") as file:
        group = file["node"]
        for _ in range(40):
            group = group["nodes"].create_group("deeper")
            group["type"] = "NIRGraph"
            group["edges"] = np.zeros(0)
            group.create_group("nodes")
    assert "nested more than 16 deep" in error_of(path)


def test_too_many_objects(path: Path) -> None:
    assert "more than 10 objects" in error_of(path, ReadLimits(objects=10))
    assert "too large" in error_of(path, ReadLimits(file_bytes=1000))


@pytest.mark.parametrize("value", [
    np.zeros(2, dtype=[("a", "f4")]), np.array([b"x"], dtype="V4"), np.zeros(2, dtype=complex),
])
def test_other_types(path: Path, value: np.ndarray) -> None:
    replaced(path, WEIGHT, lambda f, n: f.__setitem__(n, value))
    assert "neither numbers nor text" in error_of(path)


def test_references_and_ragged_arrays(path: Path) -> None:
    replaced(path, WEIGHT, lambda f, n: f.create_dataset(n, (2,), h5py.ref_dtype))
    assert "neither numbers nor text" in error_of(path)
    replaced(path, WEIGHT, lambda f, n: f.create_dataset(n, (2,), h5py.vlen_dtype(np.int32)))
    assert "neither numbers nor text" in error_of(path)


def test_string_that_claims_gigabytes(path: Path) -> None:
    with h5py.File(path) as file:
        offset = file["node/nodes/lif/type"].id.get_offset()
    image = bytearray(path.read_bytes())
    image[offset + 3] = 0xF0
    path.write_bytes(image)
    assert "a string is longer than the file" in error_of(path)


def test_heap_that_would_hold_hdf5_for_ever(path: Path) -> None:
    image = bytearray(path.read_bytes())
    assert heap_fault(bytes(image)) == ""
    first = image.index(b"GCOL") + 16
    image[first : first + 16] = bytes(16)  # a free object of size zero
    path.write_bytes(image)
    assert "heap" in error_of(path)


def test_truncations_and_flips_end_in_our_errors(path: Path, tmp_path: Path) -> None:
    check_damaged(path, tmp_path)
