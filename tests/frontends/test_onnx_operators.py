"""Every operator that is read, against onnx's reference evaluator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx_support import FINN, MICROSOFT, QONNX, GraphMaker, TensorProto, graph_outputs, reference_outputs, saved

from loihic.frontends.onnx_fold import FOLDED
from loihic.frontends.onnx_table import operator_names

RNG = np.random.default_rng(7)
IMAGE, ROW = (1, 4, 6, 5), (1, 12)
Case = Callable[[GraphMaker], str]


def weights(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


F32, I8, U8 = np.float32, np.int8, np.uint8
KERNEL, SIGNED = weights(6, 4, 3, 3), RNG.integers(-127, 128, (6, 4, 3, 3)).astype(I8)
MATRIX, WHOLE = weights(12, 5), RNG.integers(0, 256, (12, 5)).astype(U8)
SCALES = np.array([0.01, 0.02, 0.03, 0.015, 0.025, 0.005], F32)


def levels(m: GraphMaker, x: str = "x", zero: int = 3, kind: type = U8, scale: float = 0.031) -> tuple[str, str, str]:
    """A tensor of integers, with its scale and zero point."""
    grid = m.array(scale, F32), m.array(zero, kind)
    return m.node("QuantizeLinear", x, *grid), *grid


def back(m: GraphMaker, q: str, scale: str, zero: str, **attributes: int) -> str:
    return m.node("DequantizeLinear", q, scale, zero, **attributes)


CASES: dict[str, tuple[tuple[int, ...], Case]] = {
    # convolutions
    "conv": (IMAGE, lambda m: m.node("Conv", "x", KERNEL, weights(6))),
    "conv asymmetric": (IMAGE, lambda m: m.node("Conv", "x", KERNEL, pads=[1, 0, 2, 1], strides=[2, 1])),
    "conv dilated": (IMAGE, lambda m: m.node("Conv", "x", KERNEL, dilations=[2, 1], pads=[2, 1, 2, 1])),
    "conv groups": (IMAGE, lambda m: m.node("Conv", "x", weights(8, 2, 3, 2), weights(8), group=2)),
    "conv same upper": (IMAGE, lambda m: m.node("Conv", "x", KERNEL, auto_pad="SAME_UPPER", strides=[2, 2])),
    "conv same lower": (IMAGE, lambda m: m.node("Conv", "x", weights(6, 4, 2, 2), auto_pad="SAME_LOWER")),
    "conv valid": (IMAGE, lambda m: m.node("Conv", "x", KERNEL, auto_pad="VALID")),
    "conv 1d": ((1, 3, 9), lambda m: m.node("Conv", "x", weights(5, 3, 4), weights(5), pads=[1, 2], strides=[2])),
    # products
    "gemm": (ROW, lambda m: m.node("Gemm", "x", MATRIX, weights(5))),
    "gemm turned": (ROW, lambda m: m.node("Gemm", "x", weights(5, 12), weights(1, 5), transB=1, alpha=0.5, beta=2.0)),
    "gemm beta": (ROW, lambda m: m.node("Gemm", "x", MATRIX, weights(5), beta=3.0)),
    "gemm bare": (ROW, lambda m: m.node("Gemm", "x", MATRIX)),
    "gemm of two": (ROW, lambda m: m.node("Gemm", "x", weights(12, 12), m.node("Relu", "x"), alpha=2.0, beta=0.5)),
    "gemm transA": (ROW, lambda m: m.node("Gemm", m.node("Reshape", "x", ints(12, 1)), MATRIX, transA=1)),
    "matmul": (ROW, lambda m: m.node("MatMul", "x", MATRIX)),
    "matmul rows": ((1, 3, 12), lambda m: m.node("MatMul", "x", MATRIX)),
    "matmul left": ((1, 3, 12), lambda m: m.node("MatMul", weights(4, 3), "x")),
    "matmul vector": ((1, 3, 12), lambda m: m.node("MatMul", "x", weights(12))),
    # single elements
    "relu": (IMAGE, lambda m: m.node("Relu", "x")),
    "leaky": (IMAGE, lambda m: m.node("LeakyRelu", "x", alpha=0.2)),
    "prelu": (IMAGE, lambda m: m.node("PRelu", "x", np.abs(weights(4, 1, 1)))),
    "clip": (IMAGE, lambda m: m.node("Clip", "x", F32(-0.5), F32(0.7))),
    "clip above": (IMAGE, lambda m: m.node("Clip", "x", "", F32(0.3))),
    "clip crossed": (IMAGE, lambda m: m.node("Clip", "x", F32(0.6), F32(0.3))),
    "max min": (IMAGE, lambda m: m.node("Min", F32(0.9), m.node("Max", "x", F32(0.1)))),
    "sigmoid": (IMAGE, lambda m: m.node("Sigmoid", "x")),
    "tanh": (IMAGE, lambda m: m.node("Tanh", "x")),
    "hard sigmoid": (IMAGE, lambda m: m.node("HardSigmoid", "x", alpha=0.3)),
    "dropout": (IMAGE, lambda m: m.node("Relu", m.node("Dropout", "x", outputs=2)[0])),
    "identity": (IMAGE, lambda m: m.node("Identity", "x")),
    "negate": (IMAGE, lambda m: m.node("Neg", "x")),
    "power": (IMAGE, lambda m: m.node("Pow", "x", F32(1.0))),
    # arithmetic
    "add": (IMAGE, lambda m: m.node("Add", "x", weights(4, 1, 1))),
    "add wider": (ROW, lambda m: m.node("Add", weights(3, 1), "x")),
    "sub": (IMAGE, lambda m: m.node("Sub", "x", weights(5))),
    "sub from": (IMAGE, lambda m: m.node("Sub", weights(1, 4, 6, 5), "x")),
    "sub two": (IMAGE, lambda m: m.node("Sub", m.node("Relu", "x"), "x")),
    "mul": (IMAGE, lambda m: m.node("Mul", weights(1, 4, 1, 1), "x")),
    "div": (IMAGE, lambda m: m.node("Div", "x", F32(3.0))),
    "double": (IMAGE, lambda m: m.node("Add", "x", "x")),
    "broadcast": (IMAGE, lambda m: m.node("Add", m.node("GlobalAveragePool", "x"), "x")),
    "sum": (IMAGE, lambda m: m.node("Sum", "x", m.node("Tanh", "x"), F32(2.0))),
    "mean": (IMAGE, lambda m: m.node("Mean", "x", m.node("Relu", "x"))),
    "batch norm": (IMAGE, lambda m: m.node("BatchNormalization", "x", weights(4), weights(4), weights(4),
                                           np.abs(weights(4)), epsilon=0.01)),
    "batch norm flat": (ROW, lambda m: m.node("BatchNormalization", "x", *(np.abs(weights(12)) for _ in range(4)))),
    # moves
    "flatten": (IMAGE, lambda m: m.node("Flatten", "x")),
    "flatten 0": (IMAGE, lambda m: m.node("Flatten", "x", axis=0)),
    "reshape": (IMAGE, lambda m: m.node("Reshape", "x", ints(0, -1, 2))),
    "transpose": (IMAGE, lambda m: m.node("Transpose", "x", perm=[0, 2, 3, 1])),
    "transpose all": (IMAGE, lambda m: m.node("Transpose", "x")),
    "squeeze": ((1, 4, 1, 5), lambda m: m.node("Unsqueeze", m.node("Squeeze", "x", ints(2)), ints(1, 4))),
    "squeeze all": ((1, 4, 1, 5), lambda m: m.node("Squeeze", "x")),
    "slice": (IMAGE, lambda m: m.node("Slice", "x", ints(4, 1), ints(-7, 4), ints(2, 3), ints(-2, 1))),
    "split": (IMAGE, lambda m: m.node("Concat", *m.node("Split", "x", ints(3, 1), outputs=2, axis=1)[::-1], axis=1)),
    "gather": (IMAGE, lambda m: m.node("Gather", "x", ints(2, 0, 2), axis=2)),
    "gather one": (IMAGE, lambda m: m.node("Gather", "x", np.int64(1), axis=1)),
    "expand": ((1, 1, 5), lambda m: m.node("Expand", "x", ints(1, 3, 5))),
    "tile": ((1, 2, 3), lambda m: m.node("Tile", "x", ints(1, 2, 2))),
    "depth to space": (IMAGE, lambda m: m.node("DepthToSpace", "x", blocksize=2, mode="CRD")),
    "space to depth": ((1, 2, 4, 6), lambda m: m.node("SpaceToDepth", "x", blocksize=2)),
    "pad": (IMAGE, lambda m: m.node("Pad", "x", ints(0, 0, 1, 2, 0, 1, 0, 0))),
    "pad with": (IMAGE, lambda m: m.node("Pad", "x", ints(0, 0, 1, 2, 0, 1, 0, 0), F32(1.5))),
    "pad reflect": (IMAGE, lambda m: m.node("Pad", "x", ints(0, 0, 2, 1, 0, 0, 1, 2), mode="reflect")),
    "pad edge": (IMAGE, lambda m: m.node("Pad", "x", ints(0, 0, 2, 1, 0, 0, 1, 2), mode="edge")),
    "concat": (IMAGE, lambda m: m.node("Concat", "x", m.node("Relu", "x"), m.node("Tanh", "x"), axis=-3)),
    # poolings
    "max pool": (IMAGE, lambda m: m.node("MaxPool", "x", kernel_shape=[2, 3], strides=[2, 1], pads=[0, 1, 1, 1])),
    "max pool ceil": (IMAGE, lambda m: m.node("MaxPool", "x", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)),
    "max pool dilated": (IMAGE, lambda m: m.node("MaxPool", "x", kernel_shape=[2, 2], dilations=[2, 3])),
    "max pool same": (IMAGE, lambda m: m.node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2],
                                              auto_pad="SAME_UPPER")),
    "max pool 1d": ((1, 3, 9), lambda m: m.node("MaxPool", "x", kernel_shape=[3], strides=[3])),
    "global max": (IMAGE, lambda m: m.node("GlobalMaxPool", "x")),
    "reduce max": (IMAGE, lambda m: m.node("ReduceMax", "x", axes=[2], keepdims=0)),
    "average": (IMAGE, lambda m: m.node("AveragePool", "x", kernel_shape=[2, 2], strides=[2, 2])),
    "average padded": (IMAGE, lambda m: m.node("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1])),
    "average padding counts": (IMAGE, lambda m: m.node("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 0, 1, 2],
                                                       count_include_pad=1)),
    "average ceil": (IMAGE, lambda m: m.node("AveragePool", "x", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)),
    "average 1d": ((1, 3, 9), lambda m: m.node("AveragePool", "x", kernel_shape=[4], strides=[2])),
    "global average": (IMAGE, lambda m: m.node("GlobalAveragePool", "x")),
    "mean of axes": (IMAGE, lambda m: m.node("ReduceMean", "x", axes=[-1, 2], keepdims=0)),
    "mean of channels": (IMAGE, lambda m: m.node("ReduceMean", "x", axes=[1])),
    "sum of axes": (IMAGE, lambda m: m.node("ReduceSum", "x", ints(1, 3), keepdims=0)),
    "sum of all": (ROW, lambda m: m.node("ReduceSum", "x")),
    # constants
    "shape": (IMAGE, lambda m: m.node("Reshape", "x", m.node("Concat", m.node("Slice", m.node("Shape", "x"), ints(0),
                                      ints(2)), ints(-1), axis=0))),
    "folded": (ROW, lambda m: m.node("MatMul", "x", m.node("Transpose", m.node("Mul", weights(5, 12), m.node(
        "Sqrt", F32(2.0)))))),
    "constant": (ROW, lambda m: m.node("Add", "x", m.node("ConstantOfShape", ints(12)))),
    "constant node": (ROW, lambda m: m.node("Mul", "x", m.node("Constant", value_float=2.5))),
    "size": (ROW, lambda m: m.node("Mul", "x", m.node("Cast", m.node("Size", "x"), to=TensorProto.FLOAT))),
    # QDQ and QCDQ
    "quantise": (IMAGE, lambda m: m.quantise("x", 0.03, I8(-7))),
    "quantise channels": (IMAGE, lambda m: m.quantise("x", [0.03, 0.01, 0.2, 0.1], np.zeros(4, U8), axis=1)),
    "quantise once": (IMAGE, lambda m: m.node("Flatten", m.quantise(m.quantise("x", 0.03, U8(9)), 0.03, U8(9)))),
    "quantise int16": (IMAGE, lambda m: m.quantise("x", 0.0003, np.int16(-7))),
    "clip of integers": (IMAGE, lambda m: back(m, m.node("Clip", *levels(m)[:1], U8(0), U8(15)), F32(0.031), U8(3))),
    "clip of moved": (IMAGE, lambda m: back(m, m.node("Clip", m.node("Flatten", levels(m)[0]), U8(1), ""), F32(0.031),
                                            U8(3))),
    "other scale": (IMAGE, lambda m: back(m, levels(m)[0], F32(0.5), U8(9))),
    "pad of integers": (IMAGE, lambda m: back(m, m.node("Pad", levels(m)[0], ints(0, 0, 1, 0, 0, 0, 0, 1)), F32(0.031),
                                              U8(3))),
    "max of integers": (IMAGE, lambda m: back(m, m.node("MaxPool", levels(m)[0], kernel_shape=[2, 2]), F32(0.031),
                                              U8(3))),
    "concat of integers": (IMAGE, lambda m: back(m, m.node("Concat", levels(m)[0], levels(m, scale=0.1, zero=40)[0],
                                                           axis=1), F32(0.031), U8(3))),
    "cast of integers": (IMAGE, lambda m: m.node("Cast", m.node("Cast", levels(m)[0], to=TensorProto.INT32),
                                                 to=TensorProto.FLOAT)),
    "quantised weights": (IMAGE, lambda m: m.node("Conv", m.quantise("x", 0.03, U8(100)), m.node(
        "DequantizeLinear", SIGNED, SCALES, np.arange(6).astype(I8), axis=0), weights(6))),
    "quantised matrix": (ROW, lambda m: m.node("MatMul", m.quantise("x", 0.03, U8(100)), m.node(
        "DequantizeLinear", WHOLE, SCALES[:5], np.arange(5).astype(U8), axis=1))),
    "quantised turned": (ROW, lambda m: m.node("MatMul", "x", m.node("Transpose", m.node(
        "DequantizeLinear", WHOLE.T.copy(), SCALES[:5], axis=0)))),
    "quantised in the file": (IMAGE, lambda m: m.node("Conv", "x", m.quantise(m.array(KERNEL), SCALES, np.zeros(6, I8),
                                                                            axis=0))),
    # QOperator
    "qlinear conv": (IMAGE, lambda m: back(m, m.node(
        "QLinearConv", *levels(m), SIGNED, SCALES, np.zeros(6, I8), F32(0.09), U8(40),
        RNG.integers(-900, 900, 6).astype(np.int32), pads=[1, 0, 0, 1], strides=[2, 1]), F32(0.09), U8(40))),
    "qlinear conv tensor": (IMAGE, lambda m: back(m, m.node(
        "QLinearConv", *levels(m, zero=-7, kind=I8), SIGNED, F32(0.01), I8(2), F32(0.09), I8(-40)), F32(0.09),
        I8(-40))),
    "qlinear matmul": (ROW, lambda m: back(m, m.node(
        "QLinearMatMul", *levels(m), WHOLE, SCALES[:5], np.full(5, 128, U8), F32(0.2), U8(77)), F32(0.2), U8(77))),
    "qlinear matmul left": ((1, 12, 2), lambda m: back(m, m.node(
        "QLinearMatMul", WHOLE.T.copy(), F32(0.01), U8(100), *levels(m), F32(0.2), U8(77)), F32(0.2), U8(77))),
    "qgemm": (ROW, lambda m: back(m, m.node(
        "QGemm", *levels(m), WHOLE, SCALES[:5], np.full(5, 100, U8), RNG.integers(-900, 900, 5).astype(np.int32),
        F32(0.2), U8(77), domain=MICROSOFT, alpha=0.5), F32(0.2), U8(77))),
    "qgemm real": (ROW, lambda m: m.node(
        "QGemm", *levels(m), WHOLE.T.copy(), SCALES[:5], np.full(5, 100, U8), domain=MICROSOFT, transB=1)),
    "conv integer": (IMAGE, lambda m: m.node("Mul", m.node("Cast", m.node(
        "ConvInteger", levels(m)[0], SIGNED.astype(I8), U8(3), I8(1)), to=TensorProto.FLOAT), F32(0.001))),
    "matmul integer": (ROW, lambda m: m.node("Cast", m.node("MatMulInteger", levels(m)[0], WHOLE, U8(9)),
                                             to=TensorProto.FLOAT)),
    "qlinear add": (IMAGE, lambda m: back(m, m.node("QLinearAdd", *levels(m), *levels(m, scale=0.017), F32(0.07),
                                                    U8(11), domain=MICROSOFT), F32(0.07), U8(11))),
    "qlinear add constant": (IMAGE, lambda m: back(m, m.node("QLinearAdd", *levels(m), SIGNED[0, :, :1, :1], F32(0.01),
                                                             I8(2), F32(0.07), U8(11), domain=MICROSOFT), F32(0.07),
                                                   U8(11))),
    "qlinear mul constant": (IMAGE, lambda m: back(m, m.node("QLinearMul", WHOLE[0], F32(0.01), U8(2), *levels(m),
                                                             F32(0.07), U8(11), domain=MICROSOFT), F32(0.07), U8(11))),
    "qlinear sigmoid": (IMAGE, lambda m: back(m, m.node("QLinearSigmoid", *levels(m), F32(1 / 256), U8(0),
                                                        domain=MICROSOFT), F32(1 / 256), U8(0))),
    "qlinear leaky": (IMAGE, lambda m: back(m, m.node("QLinearLeakyRelu", *levels(m, zero=-9, kind=I8), F32(0.02),
                                                      I8(-90), domain=MICROSOFT, alpha=0.1), F32(0.02), I8(-90))),
    "qlinear global": (IMAGE, lambda m: back(m, m.node("QLinearGlobalAveragePool", *levels(m), F32(0.02), U8(7),
                                                       domain=MICROSOFT), F32(0.02), U8(7))),
    "qlinear average": (IMAGE, lambda m: back(m, m.node(
        "QLinearAveragePool", *levels(m), F32(0.02), U8(7), domain=MICROSOFT, kernel_shape=[2, 3], strides=[2, 1],
        pads=[1, 0, 0, 1]), F32(0.02), U8(7))),
    "qlinear concat": (IMAGE, lambda m: back(m, m.node("QLinearConcat", F32(0.031), U8(3), *levels(m), *levels(
        m, scale=0.017), domain=MICROSOFT, axis=1), F32(0.031), U8(3))),
    # QONNX
    "quant": (IMAGE, lambda m: m.node("Quant", "x", F32(0.25), F32(0), F32(4), domain=QONNX, narrow=1)),
    "quant zero point": (IMAGE, lambda m: m.node("Quant", "x", F32(0.3), F32(3), F32(4), domain=QONNX, signed=0)),
    "quant channels": (IMAGE, lambda m: m.node("IntQuant", "x", np.abs(weights(1, 4, 1, 1)), F32(0), F32(3),
                                               domain=QONNX)),
    "quant weights": (IMAGE, lambda m: m.node("Conv", "x", m.node("Quant", KERNEL, np.abs(weights(6, 1, 1, 1)), F32(0),
                                                                  F32(3), domain=QONNX, narrow=1))),
    "quant of input channels": (ROW, lambda m: m.node("MatMul", "x", m.node("Quant", weights(12), np.abs(weights(12)),
                                                                            F32(0), F32(4), domain=QONNX))),
    "quant one bit": (IMAGE, lambda m: m.node("Quant", "x", F32(0.3), F32(0), F32(1), domain=QONNX)),
    "bipolar": (IMAGE, lambda m: m.node("Conv", m.node("BipolarQuant", "x", F32(0.3), domain=FINN), m.node(
        "BipolarQuant", KERNEL, F32(0.2), domain=FINN))),
    "trunc 1": (IMAGE, lambda m: m.node("Trunc", m.node("Quant", "x", F32(0.1), F32(0), F32(8), domain=QONNX), F32(0.1),
                                        F32(0), F32(8), F32(5), domain=QONNX)),
    "trunc 2": (IMAGE, lambda m: m.node("Trunc", m.node("Quant", "x", F32(0.1), F32(0), F32(8), domain=QONNX), F32(0.1),
                                        F32(0), F32(8), F32(0.8), F32(4), domain=QONNX, rounding_mode="HALF_EVEN")),
    "thresholds": (IMAGE, lambda m: m.node("MultiThreshold", "x", np.sort(weights(4, 7), axis=1), domain=QONNX,
                                           out_scale=2.0, out_bias=-7.0)),
    "thresholds shared": (IMAGE, lambda m: m.node("MultiThreshold", "x", np.sort(weights(1, 3), axis=1), domain=FINN,
                                                  out_scale=0.25, out_bias=0.1)),
    "thresholds last": (IMAGE, lambda m: m.node("MultiThreshold", "x", np.sort(weights(5, 3), axis=1), domain=FINN,
                                                data_layout="NHWC")),
    **{f"rounding {mode}": (IMAGE, lambda m, mode=mode: m.node(
        "Quant", m.node("Quant", "x", F32(0.125), F32(0), F32(6), domain=QONNX), F32(0.25), F32(0), F32(5),
        domain=QONNX, rounding_mode=mode)) for mode in (
            "FLOOR", "CEIL", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "ROUND")},
}


@pytest.mark.parametrize("name", CASES)
def test_operator(name: str, tmp_path: Path) -> None:
    shape, case = CASES[name]
    maker = GraphMaker(shape)
    model = maker.model(case(maker))
    inputs = {"x": RNG.normal(size=(4, *shape[1:])).astype(np.float32)}
    expected = reference_outputs(model, inputs)
    found = graph_outputs(saved(model, tmp_path), inputs)
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key].reshape(values.shape).shape == values.shape
        np.testing.assert_allclose(found[key].reshape(values.shape), values, rtol=1e-4, atol=1e-5)


def test_padding_below_zero_cuts(tmp_path: Path) -> None:
    maker = GraphMaker(IMAGE)
    path = saved(maker.model(maker.node("Pad", "x", ints(0, 0, -1, 2, 0, 0, 0, -1))), tmp_path)
    x = RNG.normal(size=(3, *IMAGE[1:]))
    (found,) = graph_outputs(path, {"x": x}).values()
    np.testing.assert_array_equal(found, np.pad(x[:, :, 1:, :-1], ((0, 0), (0, 0), (0, 0), (2, 0))))


def test_every_operator_is_tested() -> None:
    seen: set[str] = set()
    for shape, case in CASES.values():
        maker = GraphMaker(shape)
        case(maker)
        seen |= {f"{node.domain}.{node.op_type}" if node.domain else node.op_type for node in maker.nodes}
    same = {"GatherElements", "GatherND", f"{MICROSOFT}.QuantizeLinear", f"{MICROSOFT}.DequantizeLinear",
            f"{MICROSOFT}.QLinearConv"}  # read by functions that others test
    standard = {name for name in operator_names() if "." not in name or MICROSOFT in name}
    assert standard - seen - same == set()
    assert {"Sqrt", "Mul"} <= FOLDED
