"""import, and show for files of every format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

LIF = {"type": "CUBA", "iDecay": 4096, "vDecay": 128, "vThMant": 20, "refDelay": 1, "gradedSpike": False}


def net_file(path: Path, *, encoder: bool = False, **neuron: Any) -> Path:
    """Four inputs, a dense layer of three neurons with biases; perhaps neurons in the input layer."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for index, kind in enumerate(("input", "dense")):
            layer = file.create_group(f"layer/{index}")
            layer.create_dataset("type", (1,), "S10", [kind.encode()])
            layer["shape"] = np.array([4 if kind == "input" else 3])
            if encoder or kind == "dense":
                for key, value in {**LIF, **neuron}.items():
                    layer[f"neuron/{key}"] = value
        layer["weight"] = 2.0 * rng.integers(-20, 21, (3, 4))
        layer["bias"] = np.array([2.0, -4.0, 6.0])
    return path


@pytest.fixture
def net(folder: Path) -> Path:
    return net_file(folder / "net.net")


@pytest.fixture
def onnx_file(folder: Path) -> Path:
    """A dense layer and two functions."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["a"], "/fc/MatMul"), helper.make_node("Relu", ["a"], ["b"], "/relu"),
         helper.make_node("Sigmoid", ["b"], ["y"], "/sigmoid")],
        "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(np.ones((4, 3), dtype=np.float32), "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "net.onnx")
    return folder / "net.onnx"


def test_a_net_file_becomes_nir_that_compiles(call, net, folder):
    result = call("import", net, "--nir", "out.nir")
    assert result.exit_code == 0, result.output
    assert "loihic compile out.nir" in result.stdout
    assert not result.stderr
    made = nir.read(folder / "out.nir")
    assert {name: type(node).__name__ for name, node in made.nodes.items()} == {
        "input": "Input", "layer1.weight": "Affine", "layer1": "LIF", "output": "Output"}
    assert made.metadata == {"dt": 1.0}
    np.testing.assert_array_equal(made.nodes["layer1.weight"].bias, [2, -4, 6])
    assert call("compile", net, "-o", "direct.loihic").exit_code == 0
    assert "from the graph's metadata" in call("compile", "out.nir").stdout
    np.save(folder / "x.npy", np.random.default_rng(1).integers(0, 2, (30, 4)))
    for name in ("direct", "out"):
        assert call("run", f"{name}.loihic", "x.npy", "-o", f"{name}.npz").exit_code == 0
    first, second = (np.load(folder / f"{name}.npz")["output"] for name in ("direct", "out"))
    assert first.any()
    np.testing.assert_array_equal(first, second)


def test_the_same_network_gives_the_same_bytes(call, net, folder):
    for name in ("a.nir", "b.nir"):
        assert call("import", net, "--nir", name).exit_code == 0
    assert (folder / "a.nir").read_bytes() == (folder / "b.nir").read_bytes()


def test_without_a_target_it_prints_what_it_read(call, net, folder):
    shown = call("import", net).stdout
    for text in ("lava-dl net", "dt", "input (4,)", "output (3,)", "Matrix", "Neuron"):
        assert text in shown
    found = json.loads(call("import", net, "--json").stdout)
    assert (found["ok"], found["file"], found["dt"]) == (True, None, 1.0)
    assert (found["inputs"], found["outputs"]) == ({"input": [4]}, {"output": [3]})
    assert [node["op"] for node in found["nodes"]] == ["Input", "Matrix", "Neuron", "Output"]
    assert found["provenance"]["format"] == "lava-dl net"
    assert [path.name for path in folder.iterdir()] == ["net.net"]


def test_warnings_come_along(call, folder):
    path = net_file(folder / "slow.net", iDecay=1024)
    result = call("import", path, "--nir", "out.nir")
    assert result.exit_code == 0
    assert "warning[LHC114]" in result.stderr
    found = json.loads(call("import", path, "--nir", "out.nir", "--json").stdout)
    assert [item["code"] for item in found["diagnostics"]] == ["LHC114"]
    assert found["file"] == "out.nir"


def test_nodes_without_a_form_are_listed_at_once(call, onnx_file, folder):
    result = call("import", onnx_file, "--nir", "out.nir")
    assert result.exit_code == 3
    assert not result.stdout
    assert "/relu" in result.stderr
    assert "/sigmoid" in result.stderr
    found = json.loads(call("import", onnx_file, "--nir", "out.nir", "--json").stdout)
    assert {item["code"] for item in found["diagnostics"]} == {"LHC401"}
    assert all(item["help"] for item in found["diagnostics"])
    assert [path.name for path in folder.iterdir()] == ["net.onnx"]
    assert call("import", onnx_file).exit_code == 0


def test_the_input_layer_can_be_left_out(call, folder):
    path = net_file(folder / "coded.net", encoder=True)
    result = call("import", path, "--nir", "out.nir")
    assert result.exit_code == 3
    assert "--no-encoder" in result.stderr
    assert call("import", path, "--no-encoder", "--nir", "out.nir").exit_code == 0


def test_nir_stays_nir(call, model):
    assert call("import", model, "--nir", "copy.nir").exit_code == 0
    assert call("show", "copy.nir").stdout.replace("copy", "net") == call("show", model).stdout


@pytest.mark.parametrize(("arguments", "status", "code"), [
    (["net.net", "--nir", "out.onnx"], 2, "LHC702"), (["net.net", "--nir", "no/out.nir"], 1, "LHC112"),
    (["nope.net", "--nir", "out.nir"], 1, "LHC101"), (["broken.net", "--nir", "out.nir"], 1, "LHC101"),
    (["same.nir", "--nir", "same.nir"], 2, "LHC702"),
])
def test_wrong_use_writes_nothing(call, net, folder, arguments, status, code):
    (folder / "broken.net").write_bytes(b"not HDF5")
    (folder / "same.nir").write_bytes(b"not HDF5")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = call("import", *arguments)
    assert result.exit_code == status, result.output
    assert code in result.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_program_is_no_model(call, program):
    result = call("import", program, "--nir", "out.nir")
    assert result.exit_code == 1
    assert "compiled program" in result.stderr


def test_full_disk(call, net, folder, monkeypatch):
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    result = call("import", net, "--nir", "out.nir")
    assert result.exit_code == 1
    assert "LHC112" in result.stderr
    assert [path.name for path in folder.iterdir()] == ["net.net"]


def test_show_a_net_file_at_its_stages(call, net):
    assert "= Matrix(" in call("show", net).stdout
    assert "%layer1 : (3,) = Neuron(" in call("show", net, "--after", "fuse").stdout
    for name in ("lower-whole", "retime"):
        assert "= Compartment(" in call("show", net, "--after", name).stdout
    result = call("show", net, "--after", "quantise")
    assert result.exit_code == 2
    assert "lower-whole" in result.stderr
    assert json.loads(call("show", net, "--json").stdout)["facts"] == ["whole"]


def test_show_heeds_how_the_file_is_to_be_read(call, folder):
    path = net_file(folder / "coded.net", encoder=True)
    assert "= Quantiser(" in call("show", path).stdout
    assert "= Quantiser(" not in call("show", path, "--no-encoder").stdout


def test_show_the_program_of_a_net_file(call, net):
    assert call("compile", net).exit_code == 0
    shown = call("show", "net.loihic").stdout
    for text in ("lava-dl net", "= Compartment(", "ranges"):
        assert text in shown
    assert "= Neuron(" in call("show", "net.loihic", "--after", "fuse").stdout


def test_show_an_onnx_file(call, onnx_file, folder):
    assert "= Sigmoid()" in call("show", onnx_file).stdout
    np.save(folder / "x.npy", np.random.default_rng(0).random((5, 1, 4)))
    arguments = ["--calibration", "x.npy", "--input-range", "0", "1"]
    assert "= Staircase(" in call("show", onnx_file, "--after", "fuse", *arguments).stdout
    assert "= Activation(" in call("show", onnx_file, "--after", "retime", *arguments).stdout
    refused = call("show", onnx_file, "--after", "fuse")
    assert refused.exit_code == 1
    assert "LHC113" in refused.stderr


def test_show_an_exported_program(call, folder):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    block = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU())
    torch.export.save(torch.export.export(block, (torch.ones(1, 4),)), folder / "net.pt2")
    assert "= Relu()" in call("show", "net.pt2").stdout
    result = call("import", "net.pt2", "--nir", "out.nir")
    assert result.exit_code == 3
    assert "Relu" in result.stderr
    assert json.loads(call("import", "net.pt2", "--json").stdout)["ok"]
