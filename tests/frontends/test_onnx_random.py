"""Random graphs, float and quantised, against onnx's reference evaluator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_support import (
    QONNX,
    Array,
    GraphMaker,
    TensorProto,
    graph_outputs,
    onnx,
    program_outputs,
    reference_outputs,
    saved,
)

SMALL = settings(max_examples=25, deadline=None)
KINDS = {"uint8": (np.uint8, 0, 255), "int8": (np.int8, -128, 127)}


class Chain:
    """A graph that grows by one random node at a time; `shape` is without the batch."""

    def __init__(self, draw: st.DrawFn, *, opset: int) -> None:
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
        self.first = self.shape
        self.maker = GraphMaker([draw(st.sampled_from([1, "N"])), *self.shape], opset=opset)
        self.name = "x"

    def weights(self, *shape: int) -> Array:
        return self.rng.normal(size=shape).astype(np.float32)

    def add(self, op: str, *operands: object, **attributes: object) -> None:
        self.name = self.maker.node(op, self.name, *operands, **attributes)

    def window(self, *, padded: bool) -> dict[str, list[int]]:
        """Without padding for poolings: the evaluator stumbles over some."""
        spatial = self.shape[1:]
        kernel = [self.draw(st.integers(1, size)) for size in spatial]
        pads = [self.draw(st.integers(0, k - 1)) if padded else 0 for k in kernel] * 2
        strides = [self.draw(st.integers(1, 3)) for _ in spatial]
        self.after = tuple((n + 2 * p - k) // s + 1 for n, p, k, s in zip(spatial, pads, kernel, strides, strict=False))
        return {"kernel_shape": kernel, "pads": pads, "strides": strides}

    def grow(self) -> None:
        spatial = len(self.shape) in (2, 3)
        op = self.draw(st.sampled_from(
            ["Relu", "Clip", "Scale", "Sum", "MatMul", "Flatten", "Transpose", "Pad", "Concat", "Slice", "Reduce",
             *(["Conv", "MaxPool", "AveragePool", "BatchNormalization", "GlobalAveragePool"] if spatial else ["Gemm"] if
               len(self.shape) == 1 else [])]))
        getattr(self, f"_{op.lower()}")()

    def _relu(self) -> None:
        self.add("Relu")

    def _clip(self) -> None:
        self.add("Clip", np.float32(-0.7), np.float32(0.9))

    def _scale(self) -> None:
        shape = [n if self.draw(st.booleans()) else 1 for n in self.shape]
        self.add(self.draw(st.sampled_from(["Mul", "Div", "Add", "Sub"])), 1 + np.abs(self.weights(1, *shape)))

    def _sum(self) -> None:
        other = self.maker.node("Tanh", self.name)
        self.add("Add", other)

    def _matmul(self) -> None:
        width = self.draw(st.integers(1, 5))
        self.add("MatMul", self.weights(self.shape[-1], width))
        self.shape = (*self.shape[:-1], width)

    def _gemm(self) -> None:
        width = self.draw(st.integers(1, 5))
        self.add("Gemm", self.weights(width, self.shape[0]), self.weights(width), transB=1)
        self.shape = (width,)

    def _flatten(self) -> None:
        self.add("Flatten")
        self.shape = (int(np.prod(self.shape)),)

    def _transpose(self) -> None:
        order = self.draw(st.permutations(range(len(self.shape))))
        self.add("Transpose", perm=[0, *(a + 1 for a in order)])
        self.shape = tuple(self.shape[a] for a in order)

    def _pad(self) -> None:
        sides = [self.draw(st.integers(0, 2)) for _ in range(2 * len(self.shape))]
        half = len(self.shape)
        self.add("Pad", np.array([0, *sides[:half], 0, *sides[half:]], np.int64), np.float32(0.5))
        self.shape = tuple(n + a + b for n, a, b in zip(self.shape, sides[:half], sides[half:], strict=True))

    def _concat(self) -> None:
        axis = self.draw(st.integers(0, len(self.shape) - 1))
        self.add("Concat", self.maker.node("Relu", self.name), axis=axis + 1)
        self.shape = (*self.shape[:axis], 2 * self.shape[axis], *self.shape[axis + 1 :])

    def _slice(self) -> None:
        axis = self.draw(st.integers(0, len(self.shape) - 1))
        start = self.draw(st.integers(0, self.shape[axis] - 1))
        self.add("Slice", *(np.array([one], np.int64) for one in (start, 2**31, axis + 1)))
        self.shape = (*self.shape[:axis], self.shape[axis] - start, *self.shape[axis + 1 :])

    def _reduce(self) -> None:
        axis = self.draw(st.integers(0, len(self.shape) - 1))
        self.add("ReduceMax", axes=[axis + 1], keepdims=1)
        self.shape = (*self.shape[:axis], 1, *self.shape[axis + 1 :])

    def _conv(self) -> None:
        window, groups = self.window(padded=True), self.draw(st.sampled_from([1, self.shape[0]]))
        width = groups * self.draw(st.integers(1, 3))
        self.add("Conv", self.weights(width, self.shape[0] // groups, *window["kernel_shape"]), self.weights(width),
                 group=groups, **window)
        self.shape = (width, *self.after)

    def _maxpool(self) -> None:
        self.add("MaxPool", **self.window(padded=False))
        self.shape = (self.shape[0], *self.after)

    def _averagepool(self) -> None:
        self.add("AveragePool", count_include_pad=self.draw(st.integers(0, 1)), **self.window(padded=False))
        self.shape = (self.shape[0], *self.after)

    def _batchnormalization(self) -> None:
        self.add("BatchNormalization", *(np.abs(self.weights(self.shape[0])) for _ in range(4)))

    def _globalaveragepool(self) -> None:
        self.add("GlobalAveragePool")
        self.shape = (self.shape[0], *[1] * (len(self.shape) - 1))

    def quantise(self, *, per_channel: bool) -> None:
        kind, low, high = KINDS[self.draw(st.sampled_from(sorted(KINDS)))]
        zero = kind(self.draw(st.integers(low, high)))
        if not per_channel or self.draw(st.booleans()):
            self.name = self.maker.quantise(self.name, self.rng.uniform(0.005, 0.05), zero)
        else:
            scale = self.rng.uniform(0.005, 0.05, self.shape[0])
            self.name = self.maker.quantise(self.name, scale, np.full(self.shape[0], zero), axis=1)


Answer = Callable[[Path, dict[str, Array]], dict[str, Array]]
quantised = pytest.mark.parametrize("answer", [graph_outputs, program_outputs], ids=["graph", "program"])


def compared(model: onnx.ModelProto, inputs: dict[str, Array], answer: Answer = graph_outputs) -> tuple[Array, Array]:
    """The first output by the evaluator and by the source graph, or the compiled program."""
    with TemporaryDirectory() as folder:
        found = answer(saved(model, Path(folder)), inputs)
    (expected,) = reference_outputs(model, inputs).values()
    (ours,) = found.values()
    return expected.astype(np.float64), ours.reshape(expected.shape)


@SMALL
@given(st.data())
def test_float_graphs(data: st.DataObject) -> None:
    chain = Chain(data.draw, opset=data.draw(st.sampled_from([13, 17])))
    for _ in range(data.draw(st.integers(1, 6))):
        if np.prod(chain.shape) < 2000:
            chain.grow()
    x = chain.rng.normal(size=(2, *chain.first)).astype(np.float32)
    expected, ours = compared(chain.maker.model(chain.name), {"x": x})
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4 * (1 + np.abs(expected).max()))


@quantised
@SMALL
@given(data=st.data())
def test_qdq_graphs(answer: Answer, data: st.DataObject) -> None:
    """Each linear node has quantised weights, each activation is quantised.

    Sums over channels with scales of their own are no whole numbers of any unit: programs have those at the end alone.
    """
    chain = Chain(data.draw, opset=data.draw(st.sampled_from([13, 17, 19, 21, 23])))
    inside = answer is graph_outputs
    chain.quantise(per_channel=inside)
    for _ in range(data.draw(st.integers(1, 3))):
        width, axis = data.draw(st.integers(1, 6)), data.draw(st.integers(0, 1))
        per_output = data.draw(st.booleans())
        image = len(chain.shape) == 3
        shape = (width, chain.shape[0], 1, 1) if image else (chain.shape[-1], width)
        outputs = 0 if image else 1
        levels = chain.rng.integers(-128, 128, shape).astype(np.int8)
        scale = chain.rng.uniform(0.001, 0.02, width) if per_output else chain.rng.uniform(0.001, 0.02)
        zero = np.full(np.shape(scale), data.draw(st.integers(-3, 3)), np.int8)
        weight = chain.maker.node("DequantizeLinear", levels, scale.astype(np.float32) if per_output else np.float32(
            scale), zero, axis=outputs)
        bias = chain.maker.node("DequantizeLinear", chain.rng.integers(-500, 500, width).astype(np.int32),
                                np.float32(0.001))
        if image:
            chain.add("Conv", weight, bias)
            chain.shape = (width, *chain.shape[1:])
        else:
            chain.add("MatMul", weight)
            chain.add("Add", bias)
            chain.shape = (*chain.shape[:-1], width)
        if axis:
            chain.add("Relu")
        chain.quantise(per_channel=inside)
    chain.quantise(per_channel=True)
    x = chain.rng.normal(size=(3, *chain.first)).astype(np.float32)
    agrees(*compared(chain.maker.model(chain.name), {"x": x}, answer))


@quantised
@SMALL
@given(data=st.data())
def test_qoperator_graphs(answer: Answer, data: st.DataObject) -> None:
    """QLinearConv or QLinearMatMul, with integers at the output."""
    chain = Chain(data.draw, opset=data.draw(st.sampled_from([10, 13, 17])))
    kind, low, high = KINDS[data.draw(st.sampled_from(sorted(KINDS)))]
    grids = [(np.float32(chain.rng.uniform(0.01, 0.1)), kind(data.draw(st.integers(low, high)))) for _ in range(2)]
    chain.add("QuantizeLinear", *grids[0])
    width = data.draw(st.integers(1, 5))
    w_scale = chain.rng.uniform(0.001, 0.02, width if data.draw(st.booleans()) else 1).astype(np.float32)
    w_zero = np.full(w_scale.shape, data.draw(st.integers(-3, 3)), np.int8)
    if len(chain.shape) == 3:
        window = chain.window(padded=True)
        levels = chain.rng.integers(-128, 128, (width, chain.shape[0], *window["kernel_shape"])).astype(np.int8)
        bias = chain.rng.integers(-3000, 3000, width).astype(np.int32)
        chain.add("QLinearConv", *grids[0], levels, w_scale, w_zero, *grids[1], bias, **window)
    else:
        levels = chain.rng.integers(-128, 128, (chain.shape[-1], width)).astype(np.int8)
        chain.add("QLinearMatMul", *grids[0], levels, w_scale, w_zero, *grids[1])
    model = chain.maker.model(chain.name)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8 if kind is np.uint8 else TensorProto.INT8
    x = chain.rng.normal(size=(3, *chain.first)).astype(np.float32)
    expected, ours = compared(model, {"x": x}, answer)
    assert np.allclose(ours, np.rint(ours), atol=1e-9)  # an output of integers gives these integers
    assert np.abs(ours - expected).max() <= 1 + 1e-9
    assert (np.abs(ours - expected) > 0.5).mean() <= 0.02 or (np.abs(ours - expected) > 0.5).sum() <= 1


@quantised
@SMALL
@given(data=st.data())
def test_qonnx_graphs(answer: Answer, data: st.DataObject) -> None:
    """Quantisers of few bits, and thresholds."""
    chain = Chain(data.draw, opset=13)

    def quant(values: str | Array, bits: int, scale: float | Array) -> str:
        """A sum that is whole but for float32's errors may be a level off where it is cut rather than rounded."""
        modes = ["ROUND", "HALF_UP"] if isinstance(values, str) and values != "x" else ["ROUND", "FLOOR", "CEIL", "UP"]
        return chain.maker.node("Quant", values, np.asarray(scale, np.float32), np.float32(0), np.float32(bits),
                                domain=QONNX, signed=data.draw(st.integers(0, 1)) if isinstance(values, str) else 1,
                                narrow=data.draw(st.integers(0, 1)), rounding_mode=data.draw(st.sampled_from(modes)))

    for _ in range(2):
        chain.name = quant(chain.name, data.draw(st.integers(2, 8)), 0.3)
        width = data.draw(st.integers(1, 5))
        scale = chain.rng.uniform(0.1, 1.0, (1, width))
        chain.add("MatMul", quant(chain.weights(chain.shape[-1], width), data.draw(st.integers(2, 4)), scale))
        chain.shape = (*chain.shape[:-1], width)
    x = chain.rng.normal(size=(3, *chain.first)).astype(np.float32)
    agrees(*compared(chain.maker.model(chain.name), {"x": x}, answer))


def agrees(expected: Array, ours: Array) -> None:
    """Equal up to float rounding; a level that is another one after a tie may spread, so few elements may differ."""
    far = np.abs(ours - expected) > 1e-5 * (1 + np.abs(expected).max())
    assert far.mean() <= 0.05 or far.sum() <= 1
