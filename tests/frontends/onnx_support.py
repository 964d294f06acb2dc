"""ONNX graphs for tests, and what they compute: onnx's reference evaluator with QONNX's and onnxruntime's operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx.reference.op_run import OpRun  # noqa: E402
from onnx.reference.ops.op_dequantize_linear import DequantizeLinear_25  # noqa: E402
from onnx.reference.ops.op_quantize_linear import QuantizeLinear_25  # noqa: E402

import loihic  # noqa: E402
from loihic.frontends.onnx_reader import read_onnx  # noqa: E402
from loihic.ir.node import Array  # noqa: E402
from loihic.options import Options  # noqa: E402
from loihic.passes.manager import CompileContext  # noqa: E402
from loihic.passes.shapes import InferShapes  # noqa: E402
from loihic.quant.proofs import Verdict  # noqa: E402
from loihic.sim.reference import run_reference  # noqa: E402

QONNX, BREVITAS, FINN = "qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general"
MICROSOFT = "com.microsoft"


def rounded(values: Array, mode: str) -> Array:
    """QONNX's rounding modes, as its documentation has them."""
    size = np.abs(values)
    return {
        "ROUND": np.round(values), "HALF_EVEN": np.round(values), "CEIL": np.ceil(values), "FLOOR": np.floor(values),
        "DOWN": np.fix(values), "UP": np.sign(values) * np.ceil(size),
        "HALF_UP": np.sign(values) * np.floor(size + 0.5), "HALF_DOWN": np.sign(values) * np.ceil(size - 0.5),
    }[mode.upper()]


def bounds(bits: int, signed: int, narrow: int) -> tuple[int, int]:
    """Least and greatest integer of a QONNX quantiser."""
    return (-(2 ** (bits - 1)) + bool(narrow), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1 - bool(narrow))


class Quant(OpRun):
    """QONNX, qonnx_custom_ops/quant_op.md."""

    def _run(self, x, scale, zero, bits, **_):  # type: ignore[no-untyped-def]
        signed, narrow = getattr(self, "signed", 1), getattr(self, "narrow", 0)
        y = x / scale + zero
        if int(bits) == 1 and signed:
            y = np.where(y >= 0, 1.0, -1.0)
        else:
            y = rounded(np.clip(y, *bounds(int(bits), signed, narrow)), getattr(self, "rounding_mode", "ROUND"))
        return (((y - zero) * scale).astype(np.float32),)


class IntQuant(Quant):
    """The newer name."""


class BipolarQuant(OpRun):
    """QONNX, qonnx_custom_ops/bipolar_quant_op.md."""

    def _run(self, x, scale, **_):  # type: ignore[no-untyped-def]
        return ((np.where(x >= 0, 1.0, -1.0) * scale).astype(np.float32),)


class Trunc(OpRun):
    """QONNX, qonnx_custom_ops/trunc_op.md, versions 1 and 2."""

    def _run(self, x, scale, zero, before, *rest, **_):  # type: ignore[no-untyped-def]
        y = np.round(x / scale + zero)
        mode = getattr(self, "rounding_mode", "FLOOR")
        if len(rest) == 1:
            return ((((rounded(y / 2.0 ** (before - rest[0]), mode)) - zero) * scale).astype(np.float32),)
        target, after = rest
        step = 2.0 ** np.round(np.log2(target / scale))
        low, high = bounds(int(after), getattr(self, "signed", 1), getattr(self, "narrow", 0))
        return (((rounded(np.clip(y / step, low, high), mode) - zero / step) * target).astype(np.float32),)


class MultiThreshold(OpRun):
    """QONNX, qonnx_custom_ops/multithreshold.md."""

    def _run(self, x, thresholds, **_):  # type: ignore[no-untyped-def]
        layout = getattr(self, "data_layout", "") or {2: "NC", 3: "NWC", 4: "NCHW"}[x.ndim]
        moved = np.moveaxis(x, layout.index("C"), -1)
        count = (moved[..., None] >= thresholds).sum(axis=-1)
        y = np.moveaxis(count, -1, layout.index("C"))
        return ((getattr(self, "out_scale", 1.0) * y + getattr(self, "out_bias", 0.0)).astype(np.float32),)


def levels(x: Array, scale: Array, zero: Array | None, *, zero_first: bool = False) -> Array:
    """Real numbers to integers of the zero point's type."""
    zero = np.zeros((), np.uint8) if zero is None else zero
    offset = zero.astype(np.float64)
    y = np.rint(x / scale + offset) if zero_first else np.rint(x / scale) + offset
    info = np.iinfo(zero.dtype)
    return np.clip(y, info.min, info.max).astype(zero.dtype)


def numbers(q: Array, scale: Array, zero: Array | None) -> Array:
    """Integers to real numbers."""
    return (q.astype(np.float64) - (0 if zero is None else zero.astype(np.float64))) * scale.astype(np.float64)


class QGemm(OpRun):
    """onnxruntime, docs/ContribOperators.md."""

    def _run(self, a, a_scale, a_zero, b, b_scale, b_zero, c=None, y_scale=None, y_zero=None, **_):
        # type: ignore[no-untyped-def]
        left, right = a.astype(np.int64) - a_zero, b.astype(np.int64)
        per_output = (-1, 1) if getattr(self, "transB", 0) else (1, -1)
        right = right - (b_zero.reshape(per_output) if b_zero.ndim else b_zero)
        left = left.T if getattr(self, "transA", 0) else left
        right = right.T if getattr(self, "transB", 0) else right
        total = left @ right + (0 if c is None else c.astype(np.int64))
        factor = np.float32(getattr(self, "alpha", 1.0)) * a_scale * b_scale
        if y_scale is None:
            return ((total * factor).astype(np.float32),)
        product = total.astype(np.float32) * (factor / y_scale).astype(np.float32)
        return (levels(product, np.ones(1, np.float32), y_zero),)


class QLinearAdd(OpRun):
    """onnxruntime, docs/ContribOperators.md."""

    def _run(self, a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero, **_):  # type: ignore[no-untyped-def]
        return (levels(numbers(a, a_scale, a_zero) + numbers(b, b_scale, b_zero), y_scale, y_zero, zero_first=True),)


class QLinearMul(OpRun):
    """onnxruntime, docs/ContribOperators.md."""

    def _run(self, a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero, **_):  # type: ignore[no-untyped-def]
        return (levels(numbers(a, a_scale, a_zero) * numbers(b, b_scale, b_zero), y_scale, y_zero, zero_first=True),)


class QLinearSigmoid(OpRun):
    """onnxruntime, docs/ContribOperators.md."""

    def _run(self, x, x_scale, x_zero, y_scale, y_zero, **_):  # type: ignore[no-untyped-def]
        return (levels(1.0 / (1.0 + np.exp(-numbers(x, x_scale, x_zero))), y_scale, y_zero),)


class QLinearLeakyRelu(OpRun):
    """onnxruntime, docs/ContribOperators.md."""

    def _run(self, x, x_scale, x_zero, y_scale, y_zero, **_):  # type: ignore[no-untyped-def]
        real = numbers(x, x_scale, x_zero)
        return (levels(np.where(real >= 0, real, getattr(self, "alpha", 0.01) * real), y_scale, y_zero),)


class QLinearGlobalAveragePool(OpRun):
    """onnxruntime, docs/ContribOperators.md."""

    def _run(self, x, x_scale, x_zero, y_scale, y_zero, **_):  # type: ignore[no-untyped-def]
        mean = numbers(x, x_scale, x_zero).mean(axis=tuple(range(2, x.ndim)), keepdims=True)
        return (levels(mean, y_scale, y_zero, zero_first=True),)


class QLinearAveragePool(OpRun):
    """onnxruntime, docs/ContribOperators.md, in two dimensions."""

    def _run(self, x, x_scale, x_zero, y_scale, y_zero, **_):  # type: ignore[no-untyped-def]
        top, left, bottom, right = getattr(self, "pads", [0, 0, 0, 0])
        outside = 0.0 if getattr(self, "count_include_pad", 0) else np.nan
        real = np.pad(numbers(x, x_scale, x_zero), ((0, 0), (0, 0), (top, bottom), (left, right)),
                      constant_values=outside)
        down, across = self.strides
        windows = np.lib.stride_tricks.sliding_window_view(real, self.kernel_shape, axis=(2, 3))[:, :, ::down, ::across]
        return (levels(np.nanmean(windows, axis=(4, 5)), y_scale, y_zero, zero_first=True),)


class QLinearConcat(OpRun):
    """onnxruntime, docs/ContribOperators.md."""

    def _run(self, y_scale, y_zero, *rest, **_):  # type: ignore[no-untyped-def]
        parts = [levels(numbers(*rest[i : i + 3]), y_scale, y_zero) for i in range(0, len(rest), 3)]
        return (np.concatenate(parts, axis=self.axis),)


class BatchNormalization(OpRun):
    """Of every opset: the evaluator's own takes the statistics of the batch below opset 14."""

    op_domain = ""

    def _run(self, x, scale, bias, mean, variance, **_):  # type: ignore[no-untyped-def]
        shape = (-1, *[1] * (x.ndim - 2))
        scale, bias, mean, variance = (one.reshape(shape) for one in (scale, bias, mean, variance))
        return ((scale * (x - mean) / np.sqrt(variance + np.float32(self.epsilon)) + bias).astype(x.dtype),)


_OLD_OPS = [type(name, (op,), {"op_domain": ""}) for name, op in (  # the evaluator has none below opset 19
    ("QuantizeLinear", QuantizeLinear_25), ("DequantizeLinear", DequantizeLinear_25))]
_QONNX_OPS = (Quant, IntQuant, BipolarQuant, Trunc, MultiThreshold)
_MICROSOFT_OPS = (QGemm, QLinearAdd, QLinearMul, QLinearSigmoid, QLinearLeakyRelu, QLinearGlobalAveragePool,
                  QLinearAveragePool, QLinearConcat)
NEW_OPS = [type(op.__name__, (op,), {"op_domain": domain})
           for ops, domains in ((_QONNX_OPS, (QONNX, BREVITAS, FINN)), (_MICROSOFT_OPS, (MICROSOFT,)))
           for domain in domains for op in ops]


def reference_outputs(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What the model gives, one sample at a time.

    Args:
        model: with any first dimension.
        inputs: per graph input (N, *shape).

    Returns:
        Per graph output (N, ...); the batch of one that the model gives is gone.
    """
    known = {one.domain for one in model.opset_import}
    missing = {node.domain for node in model.graph.node} - known
    if missing:  # some exporters forget to name their domains
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        copy.opset_import.extend(helper.make_opsetid(domain, 1) for domain in missing)
        model = copy
    opset = next(one.version for one in model.opset_import if not one.domain)
    run = ReferenceEvaluator(model, new_ops=[*NEW_OPS, BatchNormalization, *(_OLD_OPS if opset < 19 else [])])
    names = [one.name for one in model.graph.output]
    count = len(next(iter(inputs.values())))
    found: dict[str, list[Array]] = {name: [] for name in names}
    for n in range(count):
        for name, value in zip(names, run.run(None, {key: one[n : n + 1] for key, one in inputs.items()}), strict=True):
            value = np.asarray(value)
            found[name].append(value[0] if value.ndim and value.shape[0] == 1 else value)
    return {name: np.stack(values) for name, values in found.items()}


def graph_outputs(path: Path, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What the source graph of a file gives for inputs (N, *shape), in float64."""
    graph, _, _ = read_onnx(path)
    shaped = InferShapes().run(graph, CompileContext(options=Options()))
    given = {name: np.asarray(value, dtype=np.float64)[:, None] for name, value in inputs.items()}
    return {name: value[:, 0] for name, value in run_reference(shaped, given).items()}


def program_outputs(path: Path, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What the compiled program of a file gives for inputs (N, *shape), one a step, in the file's own numbers."""
    program = loihic.compile(path, golden_steps=2, placement="linear", objective="cores")
    assert all(proof.verdict is Verdict.PROVEN for proof in program.proofs)
    assert not [loss for loss in program.ledger if loss.is_loss]
    found = program.dequantise(program.run({name: values[None] for name, values in inputs.items()}).outputs)
    return {name: values[0] for name, values in found.items()}


def saved(model: onnx.ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    """The model as a file."""
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


class GraphMaker:
    """Builds a model node by node.

    Tensors are named by the operators that give them; arrays given as operands become initialisers.
    """

    def __init__(self, shape: Sequence[int | str], *, opset: int = 13, kind: int = TensorProto.FLOAT) -> None:
        self.opset = opset
        self.inputs = [helper.make_tensor_value_info("x", kind, list(shape))]
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []
        self._count = 0

    def array(self, values: Any, dtype: Any = None) -> str:
        """An initialiser."""
        self._count += 1
        name = f"c{self._count}"
        self.initialisers.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def node(self, op: str, *operands: Any, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """A node; its output's name, or a list of them."""
        self._count += 1
        names = [one if isinstance(one, str) else self.array(one) for one in operands]
        made = [f"{op.lower()}{self._count}" + (f"_{i}" if i else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(op, names, made, name=f"{op}_{self._count}", domain=domain, **attributes))
        return made[0] if outputs == 1 else made

    def quantise(self, x: str, scale: Any, zero: Any, **attributes: Any) -> str:
        """QuantizeLinear and DequantizeLinear."""
        grid = self.array(scale, np.float32), self.array(zero)
        return self.node("DequantizeLinear", self.node("QuantizeLinear", x, *grid, **attributes), *grid, **attributes)

    def model(self, *outputs: str) -> onnx.ModelProto:
        """The model with these tensors as outputs."""
        made = [onnx.ValueInfoProto(name=name) for name in outputs]
        for one in made:
            one.type.tensor_type.elem_type = TensorProto.FLOAT
        graph = helper.make_graph(self.nodes, "test", self.inputs, made, self.initialisers)
        domains = {node.domain for node in self.nodes} - {""}
        opsets = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="a test")
