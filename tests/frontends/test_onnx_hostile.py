"""ONNX files that are damaged, that cannot be compiled, or that were made to crash, to hang or to reach beyond."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_support import QONNX, GraphMaker, TensorProto, onnx, saved

from loihic.errors import CompileError, Diagnostic, InputError, LoihicError
from loihic.frontends.onnx_file import OnnxLimits
from loihic.frontends.onnx_reader import read_onnx

F32, I8, U8 = np.float32, np.int8, np.uint8
Make = Callable[[GraphMaker], Any]


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def findings(path: Path, limits: OnnxLimits | None = None) -> tuple[Diagnostic, ...]:
    with pytest.raises(LoihicError) as caught:
        read_onnx(path, limits=limits)
    return caught.value.diagnostics


def finding(make: Make, folder: Path, shape: tuple[int | str, ...] = (1, 4, 6, 6), opset: int = 13) -> Diagnostic:
    """The only thing wrong with a graph, found within little time and memory."""
    maker = GraphMaker(shape, opset=opset)
    path = saved(maker.model(make(maker)), folder)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    (found,) = findings(path)
    assert time.monotonic() - start < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # KiB
    return found


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    maker = GraphMaker([1, 4])
    x = maker.node("Relu", maker.node("Gemm", "x", np.ones((4, 3), F32), np.ones(3, F32)))
    return saved(maker.model(maker.quantise(x, 0.1, U8(3))), tmp_path)


# Files


@pytest.mark.parametrize("content", [b"", b"\x00", b"garbage" * 100, b"\x89HDF\r\n\x1a\n" + b"\0" * 500])
def test_not_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    assert findings(path)[0].code == "LHC101"


def test_missing_folder_and_pipe(tmp_path: Path) -> None:
    assert "does not exist" in findings(tmp_path / "no.onnx")[0].message
    assert findings(tmp_path)[0].code == "LHC101"
    os.mkfifo(tmp_path / "pipe.onnx")
    assert findings(tmp_path / "pipe.onnx")[0].code == "LHC101"


def test_larger_than_the_limit(sound: Path) -> None:
    assert "too large" in findings(sound, OnnxLimits(file_bytes=100))[0].message
    assert "too large" in findings(sound, OnnxLimits(nodes=2))[0].message
    assert "too large" in findings(sound, OnnxLimits(constant_bytes=20))[0].message
    assert "too large" in findings(sound, OnnxLimits(total_elements=8))[0].message


def test_truncated_or_damaged_anywhere(sound: Path, tmp_path: Path) -> None:
    content, path = sound.read_bytes(), tmp_path / "damaged.onnx"
    chance = random.Random(0)
    for trial in range(400):
        damaged = bytearray(content[: chance.randrange(len(content))] if trial % 4 == 0 else content)
        for _ in range(chance.randrange(1, 4)):
            if damaged:
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        with contextlib.suppress(LoihicError):  # and nothing else
            read_onnx(path)


def test_package_is_missing(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    (found,) = findings(sound)
    assert found.code == "LHC601"
    assert "pip install 'loihic[onnx]'" in found.help


@pytest.mark.parametrize("opset", [1, 6, 26, 999])
def test_opset_is_not_read(tmp_path: Path, opset: int) -> None:
    found = finding(lambda m: m.node("Relu", "x"), tmp_path, opset=opset)
    assert found.code == "LHC101"
    assert "read are 7 to 25" in found.param


def test_no_opset(sound: Path) -> None:
    model = onnx.load(sound)
    del model.opset_import[:]
    sound.write_bytes(model.SerializeToString())
    assert "not given" in findings(sound)[0].param


# External data


def external(folder: Path, size: int = 16, **entries: str) -> tuple[Diagnostic, ...]:
    maker = GraphMaker([1, 4])
    model = maker.model(maker.node("Mul", "x", np.ones(4, F32)))
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    (folder / "data.bin").write_bytes(bytes(size))
    return findings(saved(model, folder))


@pytest.mark.parametrize("location", ["/etc/hostname", "../data.bin", "a/../../data.bin", "", ".", "link", "\0"])
def test_data_outside_the_folder(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "data.bin").write_bytes(bytes(64))
    (folder / "link").symlink_to(tmp_path / "data.bin")
    (found,) = external(folder, location=location)
    assert found.code in ("LHC101", "LHC103")
    if location not in ("\0", "."):
        assert "outside the model's folder" in found.message


def test_data_missing_or_short(tmp_path: Path) -> None:
    assert "cannot be read" in external(tmp_path, location="no.bin")[0].message
    assert "truncated" in external(tmp_path, size=15, location="data.bin")[0].message
    assert "truncated" in external(tmp_path, location="data.bin", offset="999999999999")[0].message
    assert "do not fit" in external(tmp_path, location="data.bin", length="8")[0].message
    assert "do not fit" in external(tmp_path, location="data.bin", offset="-4")[0].message
    assert external(tmp_path, location="data.bin", offset="four")[0].code == "LHC103"
    (tmp_path / "inner").mkdir()
    assert external(tmp_path, location="inner")[0].code == "LHC101"


def test_data_in_an_attribute(tmp_path: Path) -> None:
    tensor = onnx.helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")
    for op, operands in (("ConstantOfShape", (ints(4),)), ("Constant", ())):
        found = finding(lambda m, op=op, operands=operands: m.node("Add", "x", m.node(op, *operands, value=tensor)),
                        tmp_path)
        assert "another file" in found.param or "outside" in found.message


# What cannot be compiled


def test_all_unsupported_operators_at_once(tmp_path: Path) -> None:
    maker = GraphMaker([1, 4])
    x = maker.node("Erf", maker.node("Softmax", maker.node("Erf", "x")))
    x = maker.node("Relu", maker.node("Strange", maker.node("LayerNormalization", x, np.ones(4, F32)), domain="my.own"))
    found = findings(saved(maker.model(x), tmp_path))
    assert {one.message for one in found} == {
        "operator Erf is not read", "operator Softmax is not read", "operator LayerNormalization is not read",
        "operator my.own.Strange is not read"}
    assert all(one.help for one in found)
    (erf,) = (one for one in found if "Erf" in one.message)
    assert erf.node.count("Erf_") == 2


@pytest.mark.parametrize("make", [
    lambda m: m.node("MatMul", "x", m.node("Transpose", "x", perm=[0, 1, 3, 2])), lambda m: m.node("Mul", "x", "x"),
    lambda m: m.node("Div", F32(1), "x"), lambda m: m.node("Pow", "x", F32(2)), lambda m: m.node("LeakyRelu", "x",
                                                                                              alpha=-0.1),
    lambda m: m.node("Relu", m.node("Dropout", "x", F32(0.5), np.array(True))), lambda m: m.node("Max", "x", "x"),
    lambda m: m.node("Cast", "x", to=TensorProto.INT32), lambda m: m.node("Relu", m.node("QuantizeLinear", "x", F32(1),
                                                                                       U8(0))),
    lambda m: m.node("QuantizeLinear", "x", np.ones(4, F32), np.array([1, 2, 3, 4], U8)),
    lambda m: m.node("Relu", m.node("MaxPool", "x", kernel_shape=[2, 2], outputs=2)[1]),
    lambda m: m.node("Conv", "x", "x"), lambda m: m.node("Concat", "x", "x", axis=0),
    lambda m: m.node("BatchNormalization", "x", *[np.ones(4, F32)] * 4, training_mode=1),
    lambda m: m.node("AveragePool", "x", kernel_shape=[2, 2], dilations=[2, 2]),
    lambda m: m.node("Gather", np.ones((9, 2), F32), "x"), lambda m: m.node("Quant", "x", F32(1), F32(0), F32(4),
                                                                           domain=QONNX, rounding_mode="RANDOM"),
])
def test_no_integer_form(tmp_path: Path, make: Make) -> None:
    assert finding(make, tmp_path, opset=14).code == "LHC401"


def test_control_flow_and_deep_nesting(tmp_path: Path) -> None:
    graph = onnx.helper.make_graph([], "leaf", [], [])
    for _ in range(30):
        node = onnx.helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph if len(
            graph.node) == 0 else onnx.helper.make_graph([], "leaf", [], []))
        graph = onnx.helper.make_graph([node], "g", [], [])
    maker = GraphMaker([1, 4])
    maker.nodes.append(onnx.helper.make_node("Loop", ["x", ""], ["y"], body=graph))
    (found,) = findings(saved(maker.model("y"), tmp_path))
    assert "control flow" in found.help


def test_functions_are_named(sound: Path) -> None:
    model = onnx.load(sound)
    model.graph.node[0].domain, model.graph.node[0].op_type = "own", "Dense"
    model.functions.append(onnx.helper.make_function("own", "Dense", ["a"], ["b"], [onnx.helper.make_node(
        "Dense", ["a"], ["b"], domain="own")], []))
    sound.write_bytes(model.SerializeToString())
    assert "inline" in findings(sound)[0].help


@pytest.mark.parametrize("shape", [(1, "C", 6, 6), (1, 0, 2, 2), (1, -3, 2, 2), ("N", "M"), ()])
def test_open_shapes(tmp_path: Path, shape: tuple[int | str, ...]) -> None:
    found = finding(lambda m: m.node("Relu", "x"), tmp_path, shape)
    assert found.code == "LHC103"
    assert "input x" in found.node
    assert "fixed shapes" in found.help


def test_inputs_that_are_no_tensors_of_numbers(tmp_path: Path) -> None:
    maker = GraphMaker([1, 4], kind=TensorProto.STRING)
    model = maker.model(maker.node("Relu", "x"))
    assert findings(saved(model, tmp_path))[0].code == "LHC401"
    model.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = 1
    assert findings(saved(model, tmp_path))[0].code == "LHC401"


# Numbers without meaning


@pytest.mark.parametrize("make", [
    *(lambda m, s=s: m.node("QuantizeLinear", "x", F32(s), U8(0)) for s in (np.nan, np.inf, 0, -1)),
    *(lambda m, s=s: m.node("Quant", "x", F32(s[0]), F32(s[1]), F32(s[2]), domain=QONNX) for s in (
        (np.nan, 0, 4), (0, 0, 4), (-1, 0, 4), (1, 0.5, 4), (1, np.nan, 4), (1, 0, 3.5), (1, 0, 0), (1, 0, 99))),
    lambda m: m.node("Conv", "x", np.full((2, 4, 1, 1), np.nan, F32)),
    lambda m: m.node("Add", "x", F32(np.inf)), lambda m: m.node("Div", "x", F32(0)),
    lambda m: m.node("Clip", "x", F32(np.nan)), lambda m: m.node("LeakyRelu", "x", alpha=float("nan")),
    lambda m: m.node("BatchNormalization", "x", *[np.ones(4, F32)] * 3, -np.ones(4, F32)),
    lambda m: m.node("MultiThreshold", "x", np.array([[0, np.nan]], F32), domain=QONNX),
    lambda m: m.node("MultiThreshold", "x", np.ones((1, 2), F32), domain=QONNX, out_scale=0.0),
    lambda m: m.node("Conv", "x", np.ones((2, 4, 1, 1), F32), strides=[0, 1]),
    lambda m: m.node("Conv", "x", np.ones((2, 4, 1, 1), F32), pads=[-1, 0, 0, 0]),
    lambda m: m.node("DequantizeLinear", np.ones(3, I8), F32(np.nan)) and m.node("Add", "x", "dequantizelinear2"),
])
def test_numbers_without_meaning(tmp_path: Path, make: Make) -> None:
    maker = GraphMaker([1, 4, 6, 6])
    (found,) = findings(saved(maker.model(make(maker)), tmp_path))
    assert found.code in ("LHC104", "LHC105", "LHC201")


@pytest.mark.parametrize("make", [
    lambda m: m.node("Conv", "x", np.ones((2, 3, 1, 1), F32)),
    lambda m: m.node("Conv", "x", np.ones((2, 4, 9, 9), F32)),
    lambda m: m.node("Conv", "x", np.ones((2, 4, 1, 1), F32), np.ones(5, F32)),
    lambda m: m.node("Conv", "x", np.ones((2, 4, 1, 1), F32), group=0),
    lambda m: m.node("Conv", "x", np.ones((2, 4), F32)), lambda m: m.node("Gemm", "x", np.ones((2, 4), F32)),
    lambda m: m.node("MatMul", "x", np.ones((5, 4), F32)), lambda m: m.node("Add", "x", np.ones(5, F32)),
    lambda m: m.node("BatchNormalization", "x", *[np.ones(3, F32)] * 4),
    lambda m: m.node("PRelu", "x", np.ones(5, F32)),
    lambda m: m.node("Concat", "x", m.node("Flatten", "x"), axis=1), lambda m: m.node("Concat", "x", "x", axis=7),
    lambda m: m.node("QuantizeLinear", "x", np.ones(5, F32), np.zeros(5, U8)),
    lambda m: m.node("QuantizeLinear", "x", np.ones(4, F32), np.zeros(4, U8), axis=9),
    lambda m: m.node("MaxPool", "x", kernel_shape=[9, 9]), lambda m: m.node("ReduceSum", "x", ints(9)),
    lambda m: m.node("Slice", "x", ints(3), ints(3), ints(1)),
    lambda m: m.node("MultiThreshold", "x", np.ones((3, 2), F32), domain=QONNX),
])
def test_shapes_that_do_not_fit(tmp_path: Path, make: Make) -> None:
    assert finding(make, tmp_path).code == "LHC202"


@pytest.mark.parametrize("make", [
    lambda m: m.node("Reshape", "x", ints(7)), lambda m: m.node("Transpose", "x", perm=[0, 0, 1, 2]),
    lambda m: m.node("Gather", "x", ints(99)), lambda m: m.node("Conv", "x", np.ones((2, 4, 1, 1), F32), group="two"),
    lambda m: m.node("Conv", "x", np.ones((2, 4, 1, 1), F32), pads=[1]), lambda m: m.node("MaxPool", "x"),
    lambda m: m.node("Conv", "x", np.ones((2, 4, 1, 1), F32), auto_pad="SAME"), lambda m: m.node("Add", "x"),
    lambda m: m.node("Pad", "x", ints(1, 2)), lambda m: m.node("Cast", "x", to=77), lambda m: m.node("Cast", "x"),
    lambda m: m.node("Add", "x", np.array(["text"])), lambda m: m.node("Conv", "x"), lambda m: m.node("Sum"),
    lambda m: m.node("DequantizeLinear", "x", F32(1)), lambda m: m.node("QuantizeLinear", "x"),
    lambda m: m.node("Split", "x", ints(1, 1), outputs=2, axis=1)[0], lambda m: m.node("Concat", axis=1),
])
def test_malformed_nodes(tmp_path: Path, make: Make) -> None:
    assert finding(make, tmp_path).code in ("LHC103", "LHC202")


# Too large


@pytest.mark.parametrize("make", [
    lambda m: m.node("Expand", "x", ints(1, 4, 6, 6 * 10**9)), lambda m: m.node("Tile", "x", ints(1, 1, 1, 10**9)),
    lambda m: m.node("Add", "x", m.node("ConstantOfShape", ints(10**6, 10**6))),
    lambda m: m.node("Add", "x", m.node("Expand", F32(1), ints(10**6, 10**6))),
    lambda m: m.node("Add", "x", m.node("Mul", np.ones((10**4, 1), F32), np.ones((1, 10**5), F32))),
    lambda m: m.node("Add", "x", m.node("Range", ints(0)[0], ints(10**12)[0], ints(1)[0])),
    lambda m: m.node("Add", "x", np.ones((3000, 1, 300, 1, 6), F32)[:, :, :, :, :]),
    lambda m: m.node("Pad", "x", ints(0, 0, 0, 10**9, 0, 0, 0, 0)),
    lambda m: m.node("Conv", "x", np.ones((2, 4, 1, 1), F32), pads=[10**9, 0, 0, 0], strides=[10**9, 1]),
    lambda m: m.node("MaxPool", "x", kernel_shape=[10**9, 2], pads=[10**9, 0, 0, 0]),
    lambda m: m.node("AveragePool", "x", kernel_shape=[2, 2], pads=[10**5, 10**5, 0, 0], count_include_pad=1),
    lambda m: m.node("Gather", "x", np.zeros((1000, 1000, 10), np.int64)),
    lambda m: m.node("Reshape", "x", m.node("Tile", ints(1), ints(10**10))),
])
def test_small_files_that_ask_for_much(tmp_path: Path, make: Make) -> None:
    assert finding(make, tmp_path).code in ("LHC103", "LHC202", "LHC401")


def test_huge_inputs(tmp_path: Path) -> None:
    assert "too large" in finding(lambda m: m.node("Relu", "x"), tmp_path, (1, 10**6, 10**6, 10**6)).message


def test_matrix_for_every_row(tmp_path: Path) -> None:
    assert "too large" in finding(lambda m: m.node("MatMul", "x", np.ones((1000, 1000), F32)), tmp_path,
                                  (1, 1000, 1000)).message


def test_claimed_sizes_of_constants(tmp_path: Path) -> None:
    for dims in ([10**6, 10**6], [2**62, 4], [-1], [3]):
        maker = GraphMaker([1, 4])
        model = maker.model(maker.node("Add", "x", np.ones(4, F32)))
        del model.graph.initializer[0].dims[:]
        model.graph.initializer[0].dims.extend(dims)
        assert findings(saved(model, tmp_path))[0].code == "LHC103"


def test_many_large_moves(tmp_path: Path) -> None:
    def make(m: GraphMaker) -> Any:
        x = "x"
        for _ in range(2000):
            x = m.node("Transpose", x, perm=[0, 1, 3, 2])
        return x

    maker = GraphMaker([1, 16, 100, 100])
    path, start = saved(maker.model(make(maker)), tmp_path), time.monotonic()
    (found,) = findings(path, OnnxLimits(total_elements=1 << 22))
    assert "too large" in found.message
    assert time.monotonic() - start < 20


# Graphs


def test_circles(tmp_path: Path) -> None:
    maker = GraphMaker([1, 4])
    maker.nodes.append(onnx.helper.make_node("Add", ["x", "b"], ["a"], name="one"))
    maker.nodes.append(onnx.helper.make_node("Relu", ["a"], ["b"], name="two"))
    assert findings(saved(maker.model("b"), tmp_path))[0].code == "LHC205"
    maker.nodes[:] = [onnx.helper.make_node("Softmax", ["a"], ["a"])]
    assert findings(saved(maker.model("a"), tmp_path))[0].code == "LHC205"


def test_long_chains_are_no_recursion(tmp_path: Path) -> None:
    maker = GraphMaker([1, 4])
    x = "x"
    for _ in range(20_000):
        x = maker.node("Identity", x)
    graph, _, _ = read_onnx(saved(maker.model(x), tmp_path))
    assert len(graph.nodes) == 2


def test_names_given_twice_or_nowhere(tmp_path: Path) -> None:
    maker = GraphMaker([1, 4])
    maker.nodes += [onnx.helper.make_node("Relu", ["x"], ["y"]), onnx.helper.make_node("Tanh", ["x"], ["y"])]
    assert findings(saved(maker.model("y"), tmp_path))[0].code == "LHC103"
    assert findings(saved(GraphMaker([1, 4]).model("nothing"), tmp_path))[0].code == "LHC201"
    maker.nodes[:] = [onnx.helper.make_node("Relu", ["lost"], ["y"])]
    (found,) = findings(saved(maker.model("y"), tmp_path))
    assert (found.code, found.node) == ("LHC201", "y.Relu (Relu)")


def test_outputs(tmp_path: Path) -> None:
    maker = GraphMaker([1, 4])
    maker.node("Relu", "x")
    assert findings(saved(maker.model(), tmp_path))[0].code == "LHC203"
    assert findings(saved(maker.model(maker.node("Add", F32(1), F32(2))), tmp_path))[0].code == "LHC203"


def test_sparse_constants(sound: Path) -> None:
    model = onnx.load(sound)
    model.graph.sparse_initializer.add().values.name = "thin"
    sound.write_bytes(model.SerializeToString())
    (found,) = findings(sound)
    assert (found.code, found.node) == ("LHC103", "thin")


def test_everything_that_is_wrong_is_listed(tmp_path: Path) -> None:
    maker = GraphMaker([1, 4])
    first = maker.node("Mul", "x", "x")
    second = maker.node("Add", "x", np.ones(5, F32))
    with pytest.raises(CompileError) as caught:
        read_onnx(saved(maker.model(maker.node("Relu", first), second), tmp_path))
    assert [one.code for one in caught.value.diagnostics] == ["LHC401", "LHC202"]
    assert not isinstance(caught.value, InputError)
