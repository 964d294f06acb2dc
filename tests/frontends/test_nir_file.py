"""Files as nir and its exporters write them, old and new, and what is said about those that are wrong."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest

from loihic.errors import InputError, Severity
from loihic.frontends import RawGraph, from_nir_graph, read_nir_file
from loihic.frontends.raw import content_digest

nir = pytest.importorskip("nir")


def chain(**nodes: object) -> object:
    """A graph of the given nodes between an Input and an Output, one after another."""
    everything = {"input": nir.Input(np.array([2])), **nodes, "output": nir.Output(np.array([2]))}
    names = list(everything)
    return nir.NIRGraph(everything, list(pairwise(names)), type_check=False)


def lif(**changes: object) -> object:
    one = np.ones(2, dtype=np.float32)
    return nir.LIF(**{"tau": one, "r": one, "v_leak": 0 * one, "v_threshold": one, "v_reset": 0 * one, **changes})


@pytest.fixture
def lif_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.nir"
    nir.write(path, chain(fc=nir.Linear(np.eye(2)), lif=lif()))
    return path


def codes(path: Path, **options: object) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_nir_file(path, **options)
    assert all(d.severity is Severity.ERROR for d in caught.value.diagnostics)
    return [d.code for d in caught.value.diagnostics]


def text_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_nir_file(path)
    return str(caught.value)


def put(group: h5py.Group, name: str, value: object) -> None:
    if name in group:
        del group[name]
    group[name] = value


def test_reads_every_shared_file_as_nir_does(shared_data: Path) -> None:
    paths = sorted((shared_data / "nir").glob("*.nir"))
    assert paths
    for path in paths:
        graph = read_nir_file(path)
        assert graph.name == path.stem
        assert graph.version == nir.serialization.read_version(path)
        assert content_digest(graph) == from_nir_graph(nir.read(path, type_check=False)).digest, path.name
        assert not graph.diagnostics


def test_small_file(lif_file: Path) -> None:
    graph = read_nir_file(lif_file)
    assert list(graph.nodes) == ["fc", "input", "lif", "output"]
    assert graph.edges == (("input", "fc"), ("fc", "lif"), ("lif", "output"))
    node = graph.nodes["lif"]
    assert (node.type, node.origin) == ("LIF", "/nodes/lif")
    assert list(node.params) == ["tau", "r", "v_leak", "v_threshold", "v_reset"]
    assert not node.params["tau"].flags.writeable
    assert len(graph.digest) == 64


def test_old_files_get_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "old.nir"
    one = np.ones(2, dtype=np.float32)
    nir.write(path, chain(
        cuba=nir.CubaLIF(tau_syn=one, tau_mem=one, r=one, v_leak=one, v_threshold=3 * one),
        flat=nir.Flatten(np.array([2, 1]), 0, -1),
        conv=nir.Conv2d((4, 4), np.ones((1, 1, 3, 3)), 2, "same", 1, 1, np.zeros(1)),
    ))
    with h5py.File(path, "a") as file:
        nodes = file["node/nodes"]
        for name in ("cuba/v_reset", "cuba/w_in", "flat/input_type", "flat/start_dim", "conv/input_shape"):
            del nodes[name]
        put(nodes["conv"], "stride", 2)
        del file["version"]
    graph = read_nir_file(path)
    assert graph.version == ""
    cuba, flat, conv = (graph.nodes[name].params for name in ("cuba", "flat", "conv"))
    np.testing.assert_array_equal(cuba["v_reset"], [0, 0])
    np.testing.assert_array_equal(cuba["w_in"], [1, 1])
    assert cuba["w_in"].dtype == np.float32
    assert (flat["input_type"], flat["start_dim"], flat["end_dim"]) == (None, 1, -1)
    assert (conv["input_shape"], conv["padding"], conv["groups"]) == (None, "same", 1)
    np.testing.assert_array_equal(conv["stride"], [2, 2])


def test_scalars_and_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.nir"
    nir.write(path, chain(
        pool=nir.AvgPool2d(np.int64(2), np.array([2]), np.array([0, 1])),
        conv=nir.Conv1d(9, np.ones((1, 1, 3)), 1, 0, 1, 1, np.zeros(1)),
    ))
    graph = read_nir_file(path)
    pool, conv = graph.nodes["pool"].params, graph.nodes["conv"].params
    assert [pool[key].tolist() for key in ("kernel_size", "stride", "padding")] == [[2, 2], [2, 2], [0, 1]]
    assert [conv[key] for key in ("input_shape", "stride", "padding", "dilation", "groups")] == [9, 1, 0, 1, 1]


def test_scalar_w_in_spreads(lif_file: Path) -> None:
    with h5py.File(lif_file, "a") as file:
        node = file["node/nodes/lif"]
        for name, value in (("type", "CubaLIF"), ("tau_mem", np.ones(2)), ("tau_syn", np.ones(2)), ("w_in", 3.0)):
            put(node, name, value)
        del node["tau"]
    np.testing.assert_array_equal(read_nir_file(lif_file).nodes["lif"].params["w_in"], [3, 3])


def test_big_endian_numbers(lif_file: Path) -> None:
    with h5py.File(lif_file, "a") as file:
        put(file["node/nodes/fc"], "weight", np.array([[1, 2], [3, 4]], dtype=">f8"))
    weight = read_nir_file(lif_file).nodes["fc"].params["weight"]
    assert weight.dtype == np.dtype("=f8")
    assert weight.tolist() == [[1, 2], [3, 4]]


def test_metadata(lif_file: Path) -> None:
    with h5py.File(lif_file, "a") as file:
        file["node/metadata/dt"] = 1e-3
        file["node/metadata/tags"] = ["a", "b"]
        file["node/metadata/deep/er"] = np.arange(3)
        file["node/metadata/odd"] = np.zeros(2, dtype=[("a", "f4")])
        file["node/nodes/lif/metadata/note"] = "hello"
    graph = read_nir_file(lif_file)
    assert graph.metadata["dt"] == 1e-3
    assert graph.metadata["tags"] == ("a", "b")
    assert graph.metadata["deep"]["er"].tolist() == [0, 1, 2]
    assert graph.nodes["lif"].metadata == {"note": "hello"}
    assert [d.code for d in graph.diagnostics] == ["LHC108"]


def test_nested_graphs(tmp_path: Path) -> None:
    path = tmp_path / "nested.nir"
    nir.write(path, chain(block=chain(lif=lif())))
    inner = read_nir_file(path).nodes["block"].params["graph"]
    assert isinstance(inner, RawGraph)
    assert inner.nodes["lif"].origin == "/nodes/block/nodes/lif"
    assert inner.name == "block"


def test_not_a_file(tmp_path: Path, lif_file: Path) -> None:
    empty, text = tmp_path / "empty.nir", tmp_path / "text.nir"
    empty.write_bytes(b"")
    text.write_text("hello")
    assert codes(tmp_path / "missing.nir") == ["LHC101"]
    assert codes(tmp_path) == ["LHC101"]
    assert "is empty" in text_of(empty)
    assert "not an HDF5 file" in text_of(text)
    lif_file.write_bytes(lif_file.read_bytes()[:5000])
    assert "truncated" in text_of(lif_file)


def test_hdf5_of_other_kinds(tmp_path: Path) -> None:
    path = tmp_path / "other.nir"
    for name, hint in (("layer", "Lava-DL"), ("nodes", "recorded"), ("x", "nir.write")):
        with h5py.File(path, "w") as file:
            file.create_group(name)
        assert "no group 'node'" in text_of(path)
        assert hint in text_of(path)


def test_single_node_is_no_graph(tmp_path: Path) -> None:
    nir.write(tmp_path / "one.nir", lif())
    assert codes(tmp_path / "one.nir") == ["LHC103"]


def test_all_unknown_types_at_once(lif_file: Path) -> None:
    with h5py.File(lif_file, "a") as file:
        put(file["node/nodes/lif"], "type", "Izhikevich")
        put(file["node/nodes/fc"], "type", "Attention")
    assert codes(lif_file) == ["LHC102", "LHC102"]
    assert "Izhikevich" in text_of(lif_file)
    assert "CubaLIF" in text_of(lif_file)
    assert codes(lif_file, extra_types=["Attention"]) == ["LHC102"]
    graph = read_nir_file(lif_file, extra_types=["Attention", "Izhikevich"])
    assert graph.nodes["fc"].params["weight"].tolist() == [[1, 0], [0, 1]]


def test_many_problems_at_once(lif_file: Path) -> None:
    with h5py.File(lif_file, "a") as file:
        node = file["node/nodes/lif"]
        del node["tau"]
        put(node, "r", "strong")
        put(node, "v_threshold", np.array([1.0, np.nan]))
        put(node, "v_leak", np.array([np.inf, np.inf]))
        put(file["node/nodes/fc"], "weight", np.ones((2, 2), dtype=complex))
        put(file["node/nodes/input"], "shape", np.array([2.0]))
        put(file["node"], "edges", np.array([["input", "nowhere"], ["input", "fc"]], dtype=object))
    found = codes(lif_file)
    assert sorted(found) == ["LHC103"] * 4 + ["LHC104"] * 2 + ["LHC201"]
    assert "v_threshold[1] = nan, 1 of 2 values" in text_of(lif_file)
    assert "/nodes/lif (LIF)" in text_of(lif_file)


@pytest.mark.parametrize(("param", "value"), [
    ("stride", np.array([1, 1, 1])), ("stride", 1.5), ("stride", "same"), ("padding", "full"), ("groups", [1, 2]),
    ("groups", True), ("bias", "none"), ("input_shape", [[1, 2]]), ("dilation", np.uint64(2**63)),
])
def test_malformed_conv(tmp_path: Path, param: str, value: object) -> None:
    path = tmp_path / "conv.nir"
    nir.write(path, chain(conv=nir.Conv2d((4, 4), np.ones((1, 1, 3, 3)), 1, 0, 1, 1, np.zeros(1))))
    with h5py.File(path, "a") as file:
        put(file["node/nodes/conv"], param, value)
    assert codes(path) == ["LHC103"]


def test_graph_without_parts(lif_file: Path) -> None:
    with h5py.File(lif_file, "a") as file:
        del file["node/edges"], file["node/nodes"]
    assert codes(lif_file) == ["LHC103", "LHC103"]


def test_slash_in_a_name(tmp_path: Path) -> None:
    graph = nir.NIRGraph({"a/b": lif()}, [], type_check=False)
    nir.write(tmp_path / "slash.nir", graph)
    assert "rename the node" in text_of(tmp_path / "slash.nir")


def test_repeated_edges_and_extra_parameters_warn(lif_file: Path) -> None:
    with h5py.File(lif_file, "a") as file:
        pairs = [["input", "fc"], ["fc", "lif"], ["lif", "output"], ["fc", "lif"], ["fc", "lif"]]
        put(file["node"], "edges", np.array(pairs, dtype=object))
        file["node/nodes/lif/colour"] = "blue"
    graph = read_nir_file(lif_file)
    assert graph.edges == (("input", "fc"), ("fc", "lif"), ("lif", "output"))
    assert [d.code for d in graph.diagnostics] == ["LHC108", "LHC206"]
    assert all(d.severity is Severity.WARNING for d in graph.diagnostics)


def test_no_edges(tmp_path: Path) -> None:
    nir.write(tmp_path / "none.nir", nir.NIRGraph({"lif": lif()}, [], type_check=False))
    assert read_nir_file(tmp_path / "none.nir").edges == ()
