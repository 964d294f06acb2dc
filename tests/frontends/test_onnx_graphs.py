"""What source graphs of ONNX files look like: units, quantisers, names, outputs, versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_support import BREVITAS, QONNX, GraphMaker, TensorProto, graph_outputs, onnx, reference_outputs, saved

from loihic.errors import CompileError, Diagnostic, Severity
from loihic.frontends.onnx_reader import read_onnx
from loihic.ir.graph import SourceGraph
from loihic.ops.matrix import Matrix
from loihic.ops.ports import Input, Output
from loihic.ops.quantiser import Quantiser, Staircase

F32, I8, U8 = np.float32, np.int8, np.uint8
RNG = np.random.default_rng(3)


def read(maker: GraphMaker, folder: Path, *outputs: str) -> tuple[SourceGraph, tuple[Diagnostic, ...]]:
    graph, _, notes = read_onnx(saved(maker.model(*outputs), folder))
    return graph, notes


def one(graph: SourceGraph, kind: type) -> Any:
    (found,) = (node for node in graph.nodes.values() if isinstance(node, kind))
    return found


def whole_in_units(node: Matrix) -> bool:
    matrix = node.linear.to_csr().toarray()
    unit = np.broadcast_to(node.unit, node.linear.out_shape).reshape(-1, 1)
    return bool(np.allclose(matrix / unit, np.rint(matrix / unit), atol=1e-9))


def test_shared_files(shared_data: Path) -> None:
    """Each file, against the evaluator: real outputs up to float32's rounding, and not one level apart."""
    rng = np.random.default_rng(0)
    paths = sorted((shared_data / "onnx").glob("*.onnx"))
    assert paths
    for path in paths:
        model = onnx.load(path)
        constants = {item.name for item in model.graph.initializer}
        (given,) = (item for item in model.graph.input if item.name not in constants)
        shape = [dim.dim_value for dim in given.type.tensor_type.shape.dim][1:]
        x = rng.normal(size=(2 if "float" in path.name else 50, *shape)).astype(F32)
        expected, found = (run(source, {given.name: x}) for run, source in (
            (reference_outputs, model), (graph_outputs, path)))
        assert expected.keys() == found.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5, err_msg=path.name)


def test_trained_network_decides_alike(shared_data: Path) -> None:
    images = np.load(shared_data / "mnist" / "mnist100.npz")
    path = shared_data / "onnx" / "TFC_2W2A.onnx"
    x = {"0": (images["images"].reshape(-1, 1, 28, 28) / 255).astype(F32)}
    expected, found = reference_outputs(onnx.load(path), x)["90"], graph_outputs(path, x)["90"]
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))
    assert (found.argmax(axis=1) == images["labels"]).mean() > 0.9


@pytest.mark.parametrize("name", ["TFC_2W2A", "brevitas_qcdq_w4a4", "brevitas_qonnx_w4a4", "ort_qdq_int8_cnn",
                                  "ort_qoperator_cnn"])
def test_quantised_weights_have_units(shared_data: Path, name: str) -> None:
    graph, _, _ = read_onnx(shared_data / "onnx" / f"{name}.onnx")
    products = [node for node in graph.nodes.values() if isinstance(node, Matrix) and any(
        word in node.origins[0] for word in ("MatMul", "Conv", "Gemm"))]
    assert products
    assert all(node.unit is not None and whole_in_units(node) for node in products)


def test_unit_per_output_channel(tmp_path: Path) -> None:
    maker = GraphMaker([1, 4])
    scales = np.array([0.25, 0.5, 0.125], F32)
    levels = RNG.integers(-8, 8, (4, 3)).astype(I8)
    out = maker.node("MatMul", "x", maker.node("DequantizeLinear", levels, scales, np.array([1, 2, 3], I8), axis=1))
    node = one(read(maker, tmp_path, out)[0], Matrix)
    np.testing.assert_array_equal(node.unit, scales)
    np.testing.assert_array_equal(node.linear.to_csr().toarray(), ((levels - [1, 2, 3]) * scales).T)


def test_plain_weights_have_no_unit(tmp_path: Path) -> None:
    maker = GraphMaker([1, 4])
    out = maker.node("MatMul", "x", RNG.normal(size=(4, 3)).astype(F32))
    assert one(read(maker, tmp_path, out)[0], Matrix).unit is None


def test_unit_survives_moves_and_factors(tmp_path: Path) -> None:
    maker = GraphMaker([1, 4])
    weights = maker.node("DequantizeLinear", RNG.integers(-8, 8, (3, 4)).astype(I8), F32(0.5))
    weights = maker.node("Mul", maker.node("Reshape", maker.node("Transpose", weights), np.array([4, 3])), F32(0.25))
    node = one(read(maker, tmp_path, maker.node("MatMul", "x", maker.node("Neg", weights)))[0], Matrix)
    assert node.unit == 0.125
    assert whole_in_units(node)


def test_scale_per_input_channel_is_reported(tmp_path: Path) -> None:
    maker = GraphMaker([1, 4])
    weights = maker.node("DequantizeLinear", RNG.integers(1, 8, (4, 3)).astype(I8), np.array([1, 2, 3, 4], F32), axis=0)
    graph, (note,) = read(maker, tmp_path, maker.node("MatMul", "x", weights))
    assert one(graph, Matrix).unit is None
    assert note.severity is Severity.WARNING
    assert "several scales" in note.message


def test_blocks_of_weights(tmp_path: Path) -> None:
    maker = GraphMaker([1, 5], opset=21)
    scale = RNG.uniform(0.1, 1, (3, 2)).astype(F32)
    weights = maker.node("DequantizeLinear", RNG.integers(-8, 8, (5, 2)).astype(I8), scale, axis=0, block_size=2)
    model = maker.model(maker.node("MatMul", "x", weights))
    x = {"x": RNG.normal(size=(3, 5)).astype(F32)}
    (expected,), (found,) = reference_outputs(model, x).values(), graph_outputs(saved(model, tmp_path), x).values()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("kind", [TensorProto.INT4, TensorProto.UINT4])
def test_four_bit_types(tmp_path: Path, kind: int) -> None:
    maker = GraphMaker([1, 3], opset=21)
    zero = onnx.helper.make_tensor("zero", kind, [], [3])
    maker.initialisers.append(zero)
    levels = onnx.helper.make_tensor("levels", kind, [3, 1], [7, 0, 5])
    maker.initialisers.append(levels)
    x = maker.node("DequantizeLinear", maker.node("QuantizeLinear", "x", F32(0.3), "zero"), F32(0.3), "zero")
    model = maker.model(maker.node("MatMul", x, maker.node("DequantizeLinear", "levels", F32(0.5), "zero")))
    graph, _, _ = read_onnx(saved(model, tmp_path))
    node = one(graph, Quantiser)
    assert (node.low, node.high) == ((-11, 4) if kind == TensorProto.INT4 else (-3, 12))
    given = {"x": RNG.normal(size=(5, 3)).astype(F32) * 3}
    (expected,), (found,) = reference_outputs(model, given).values(), graph_outputs(tmp_path / "model.onnx",
                                                                                   given).values()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_clip_narrows_the_quantiser(tmp_path: Path) -> None:
    maker = GraphMaker([1, 4])
    levels = maker.node("Clip", maker.node("QuantizeLinear", "x", F32(0.5), U8(2)), U8(0), U8(15))
    graph, _ = read(maker, tmp_path, maker.node("DequantizeLinear", levels, F32(0.5), U8(2)))
    node = one(graph, Quantiser)
    assert (node.low, node.high, float(node.scale)) == (-2, 13, 0.5)
    assert len(node.origins) == 2


def test_quantising_again_changes_nothing(tmp_path: Path) -> None:
    maker = GraphMaker([1, 4, 2])
    x = maker.node("Flatten", maker.quantise("x", 0.1, U8(7)))
    graph, _ = read(maker, tmp_path, maker.quantise(x, 0.1, U8(7)))
    assert isinstance(one(graph, Quantiser), Quantiser)


def test_qlinear_conv_has_the_formats_multiplier(tmp_path: Path) -> None:
    maker = GraphMaker([1, 1, 4, 4])
    grid, out = (F32(0.1), U8(3)), (F32(0.3), U8(9))
    w_scale = np.array([0.01, 0.07], F32)
    maker.nodes.clear()
    q = maker.node("QLinearConv", maker.node("QuantizeLinear", "x", *grid), *grid, RNG.integers(
        -9, 9, (2, 1, 3, 3)).astype(I8), w_scale, np.zeros(2, I8), *out, np.array([5, -7], np.int32))
    graph, _ = read(maker, tmp_path, maker.node("DequantizeLinear", q, *out))
    (_, node) = (node for node in graph.nodes.values() if isinstance(node, Quantiser))
    assert node.multiplier is not None
    assert node.multiplier.dtype == np.float32
    np.testing.assert_array_equal(node.multiplier, (F32(0.1) * w_scale / F32(0.3)).reshape(2, 1, 1))
    matrix = one(graph, Matrix)
    np.testing.assert_allclose(matrix.bias.reshape(-1) / (np.float64(F32(0.1)) * w_scale), [5, -7])


def test_integers_at_the_output(tmp_path: Path) -> None:
    maker = GraphMaker([1, 3])
    model = maker.model(maker.node("QuantizeLinear", "x", F32(0.25), U8(100)))
    graph, _, _ = read_onnx(saved(model, tmp_path))
    node = one(graph, Output)
    assert (float(node.scale), float(node.offset)) == (0.25, 100.0)
    found = graph_outputs(tmp_path / "model.onnx", {"x": np.array([[0.25, -1.0, 99.0]])})
    np.testing.assert_array_equal(next(iter(found.values())), [[101, 96, 255]])


def test_integers_at_the_input(tmp_path: Path) -> None:
    maker = GraphMaker(["N", 3], kind=TensorProto.UINT8)
    model = maker.model(maker.node("DequantizeLinear", "x", F32(0.5), U8(10)), maker.node(
        "Div", maker.node("Cast", "x", to=TensorProto.FLOAT), F32(255)))
    x = {"x": np.array([[0, 10, 255]], np.uint8)}
    expected, found = reference_outputs(model, x), graph_outputs(saved(model, tmp_path), x)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6)


def test_bipolar_quantisers_are_staircases(tmp_path: Path) -> None:
    maker = GraphMaker([1, 3])
    graph, _ = read(maker, tmp_path, maker.node("BipolarQuant", "x", F32(0.5), domain=BREVITAS))
    node = one(graph, Staircase)
    assert (node.low, node.high, node.rise) == (-1, 1, 2)
    np.testing.assert_array_equal(node.apply(np.array([[0.0, -0.0, -1e-9]])), [[0.5, 0.5, -0.5]])


@pytest.mark.parametrize(("gain", "shift", "low", "rise", "scale"), [
    (0.5, -2.0, -4, 1, 0.5), (2.0, -3.0, -3, 2, 1.0), (0.25, 0.1, 0, 1, 0.25)])
def test_levels_of_thresholds(tmp_path: Path, gain: float, shift: float, low: int, rise: int, scale: float) -> None:
    maker = GraphMaker([1, 3])
    out = maker.node("MultiThreshold", "x", np.array([[-1, 0, 1]], F32), domain=QONNX, out_scale=gain, out_bias=shift)
    node = one(read(maker, tmp_path, out)[0], Staircase)
    assert (node.low, node.rise, float(node.scale)) == (low, rise, scale)


def test_end_of_the_network_is_left_to_the_host(tmp_path: Path) -> None:
    maker = GraphMaker([1, 3])
    x = maker.node("Relu", "x")
    graph, (note,) = read(maker, tmp_path, maker.node("Cast", maker.node("Softmax", x), to=TensorProto.DOUBLE))
    assert note.code == "LHC109"
    assert note.severity is Severity.NOTE
    assert [node.op for node in graph.nodes.values()] == ["Input", "Relu", "Output"]
    values, places = maker.node("TopK", x, np.array([1]), outputs=2)
    graph, notes = read(maker, tmp_path, values, places)
    assert len(notes) == 2
    assert len([node for node in graph.nodes.values() if isinstance(node, Output)]) == 1


def test_names(tmp_path: Path) -> None:
    maker = GraphMaker([1, 3])
    maker.node("Relu", "x")
    maker.nodes[0].name, maker.nodes[0].output[0] = "", "y"
    graph, _ = read(maker, tmp_path, "y")
    assert list(graph.nodes) == ["x", "y.Relu", "y"]
    assert isinstance(graph.nodes["y"], Output)
    assert graph.nodes["y.Relu"].origins == ("y.Relu",)


def test_open_and_larger_batches(tmp_path: Path) -> None:
    for batch in ("N", 8):
        maker = GraphMaker([batch, 2, 3])
        shape = maker.node("Shape", "x")
        flat = maker.node("Reshape", "x", maker.node("Concat", maker.node("Slice", shape, np.array([0]), np.array([1])),
                                                     np.array([6]), axis=0))
        again = maker.node("Reshape", flat, np.array([8 if batch == 8 else -1, 3, 2]))
        graph, _ = read(maker, tmp_path, again)
        assert one(graph, Input).shape == (2, 3)


def test_mixed_samples_are_refused(tmp_path: Path) -> None:
    for batch, shape in (("N", [-1, 3]), (8, [4, 12])):
        maker = GraphMaker([batch, 2, 3])
        with pytest.raises(CompileError, match="with a batch of one"):
            read(maker, tmp_path, maker.node("Reshape", "x", np.array(shape)))


def test_what_leads_to_no_output_is_not_read(tmp_path: Path) -> None:
    maker = GraphMaker([1, 3])
    maker.node("LSTM", "x", "nowhere")
    graph, _ = read(maker, tmp_path, maker.node("Relu", "x"))
    assert len(graph.nodes) == 3


def test_provenance(tmp_path: Path) -> None:
    maker = GraphMaker([1, 3])
    path = saved(maker.model(maker.node("Quant", "x", F32(1), F32(0), F32(3), domain=QONNX)), tmp_path, "net.onnx")
    _, provenance, _ = read_onnx(path)
    assert provenance["model"] == "net"
    assert provenance["format"] == "ONNX"
    assert len(provenance["sha256"]) == 64
    assert provenance["onnx"] == {"producer": "a test", "ir": 10, "opset": 13, "domains": {QONNX: 1}}


def test_external_data(tmp_path: Path) -> None:
    maker = GraphMaker([1, 40])
    weights = RNG.normal(size=(40, 30)).astype(F32)
    model = maker.model(maker.node("MatMul", "x", weights))
    onnx.save_model(model, tmp_path / "model.onnx", save_as_external_data=True, location="data.bin", size_threshold=0)
    node = one(read_onnx(tmp_path / "model.onnx")[0], Matrix)
    np.testing.assert_array_equal(node.linear.to_csr().toarray(), weights.T)


@pytest.mark.parametrize("opset", range(8, 26))
def test_operators_of_every_version(tmp_path: Path, opset: int) -> None:
    """Attributes became inputs over the years; the evaluator follows the version."""
    maker = GraphMaker([1, 4, 6, 6], opset=opset)

    def ints(*values: int) -> np.ndarray:
        return np.array(values, np.int64)

    x = maker.node("Clip", "x", F32(-0.5), F32(1)) if opset >= 11 else maker.node("Clip", "x", min=-0.5, max=1.0)
    x = maker.node("BatchNormalization", x, *(RNG.uniform(0.5, 1, 4).astype(F32) for _ in range(4)))
    x = maker.node("Pad", x, ints(0, 0, 1, 0, 0, 0, 0, 1)) if opset >= 11 else maker.node(
        "Pad", x, pads=[0, 0, 1, 0, 0, 0, 0, 1])
    x = maker.node("Conv", x, RNG.normal(size=(6, 4, 3, 3)).astype(F32))
    x = maker.node("Slice", x, ints(0), ints(4), ints(1)) if opset >= 10 else maker.node(
        "Slice", x, starts=[0], ends=[4], axes=[1])
    left, right = maker.node("Split", x, ints(1, 3), outputs=2, axis=1) if opset >= 13 else maker.node(
        "Split", x, outputs=2, axis=1, split=[1, 3])
    x = maker.node("Concat", right, left, axis=1)
    x = maker.node("MaxPool", maker.node("AveragePool", x, kernel_shape=[2, 2]), kernel_shape=[2, 2])
    x = maker.node("Dropout", x)
    x = maker.node("ReduceMean", x, ints(3), keepdims=1) if opset >= 18 else maker.node("ReduceMean", x, axes=[3])
    x = maker.node("Squeeze", x, ints(3)) if opset >= 13 else maker.node("Squeeze", x, axes=[3])
    x = maker.node("ReduceSum", x, ints(2), keepdims=0) if opset >= 13 else maker.node(
        "ReduceSum", x, axes=[2], keepdims=0)
    x = maker.node("Gemm", x, RNG.normal(size=(4, 3)).astype(F32), RNG.normal(size=3).astype(F32))
    if opset >= 10:
        x = maker.quantise(x, 0.1, U8(128))
    model = maker.model(maker.node("Softmax", x, axis=1) if opset == 8 else x)
    given = {"x": RNG.normal(size=(3, 4, 6, 6)).astype(F32)}
    if opset == 8:
        model.graph.output[0].name = x
    (expected,), (found,) = reference_outputs(model, given).values(), graph_outputs(saved(model, tmp_path),
                                                                                   given).values()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
