"""Single ONNX nodes evaluated on arrays: of constants, and of indices, which is how data are moved."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from loihic.frontends.onnx_file import EVALUATION_ERRORS, onnx_module
from loihic.frontends.onnx_operands import Constant, NodeError
from loihic.frontends.onnx_table import Call
from loihic.frontends.stored import short
from loihic.ir.node import Array, Shape

_ONE_BY_ONE = frozenset({
    "Abs", "Add", "And", "Cast", "CastLike", "Ceil", "Clip", "Div", "Equal", "Exp", "Floor", "Greater",
    "GreaterOrEqual", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow",
    "Reciprocal", "Relu", "Round", "Sign", "Sqrt", "Sub", "Sum", "Where", "Xor", "QuantizeLinear",
})
MOVES = frozenset({
    "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Reshape",
    "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
})
_REDUCTIONS = frozenset({"ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"})
FOLDED = _ONE_BY_ONE | MOVES | _REDUCTIONS | {"Range"}
"""Standard operators that are computed here where all their inputs are constants."""


def evaluate(call: Call, arrays: Sequence[Array | None]) -> tuple[Array, ...]:
    """The outputs of a standard node, by onnx's own reference implementation.

    Raises:
        NodeError: LHC103 if they would be too large or the node makes no sense.
    """
    reference, onnx, node = onnx_module("onnx.reference"), onnx_module(), call.node
    try:
        elements = _elements(call, arrays)
        if elements > call.reading.limits.tensor_elements:
            raise NodeError("LHC103", "the node gives too large a tensor", param=f"{elements} elements; the limit is "
                            f"{call.reading.limits.tensor_elements}")
        names = {name: array for name, array in zip(node.inputs, arrays, strict=False) if array is not None}
        graph = onnx.GraphProto(
            node=[node.proto], input=[onnx.ValueInfoProto(name=name) for name in names],
            output=[onnx.ValueInfoProto(name=name) for name in node.outputs if name])
        graph.node[0].domain = ""  # of onnxruntime's QuantizeLinear, which is the standard one
        with np.errstate(all="ignore"):
            found = reference.ReferenceEvaluator(graph, opsets={"": call.reading.opset}).run(None, names)
    except EVALUATION_ERRORS as error:
        raise NodeError("LHC103", "the node is malformed", param=short(error),
                        help="export or download the file again") from error
    return tuple(np.asarray(one) for one in found)


def folded(call: Call) -> tuple[Constant, ...]:
    """A standard node of constants, as constants; where data are only moved, the unit of quantised weights with them.

    Raises:
        NodeError: see `evaluate`.
    """
    constants = [one if isinstance(one, Constant) else None for one in call.operands]
    units = [None if one is None else one.unit for one in constants]
    arrays = [_as_file_has(one) for one in constants]
    results = evaluate(call, arrays)
    call.reading.store.spend(sum(one.nbytes for one in results), call.label)
    known = [index for index, unit in enumerate(units) if unit is not None]
    if not known:
        return tuple(Constant(array=one) for one in results)
    if call.node.op in ("Mul", "Div", "Neg"):
        return (_multiplied(call, constants, results[0]),)
    if call.node.op == "Cast" and results[0].dtype in (np.float32, np.float64):
        return tuple(one for one in constants[:1] if one is not None)
    if call.node.op not in MOVES or (call.node.op == "Concat" and len(known) < len(units)):
        return tuple(Constant(array=one) for one in results)
    moved = evaluate(call, [_array(one) if i in known else arrays[i] for i, one in enumerate(constants)])
    scales = evaluate(call, [unit if i in known else arrays[i] for i, unit in enumerate(units)])
    return tuple(Constant(array=one, unit=unit) for one, unit in zip(moved, scales, strict=True))


def _multiplied(call: Call, constants: Sequence[Constant | None], result: Array) -> Constant:
    """Quantised weights times numbers: still whole multiples of a unit."""
    first, second = (constants[0], constants[1] if len(constants) > 1 else None)
    if call.node.op == "Neg" and first is not None:
        return Constant(array=-first.array, unit=first.unit)
    if first is None or second is None:
        return Constant(array=result)
    if first.unit is None and call.node.op == "Mul":
        first, second = second, first
    if first.unit is None or second.unit is not None:
        return Constant(array=result)
    factor = second.array.astype(np.float64)
    with np.errstate(all="ignore"):
        factor = 1.0 / factor if call.node.op == "Div" else factor
        scaled = first.array * factor
    unit = np.broadcast_to(first.unit * np.abs(factor), scaled.shape)
    return Constant(array=scaled, unit=unit) if np.isfinite(factor).all() and factor.all() else Constant(array=result)


def _array(constant: Constant | None) -> Array | None:
    return None if constant is None else constant.array


def _as_file_has(constant: Constant | None) -> Array | None:
    """Dequantised weights are float32 in the file's own arithmetic."""
    if constant is None or constant.unit is None:
        return _array(constant)
    return constant.array.astype(np.float32)


def _elements(call: Call, arrays: Sequence[Array | None]) -> int:
    """How many elements all outputs have together, at most."""
    op, given = call.node.op, [one for one in arrays if one is not None]
    total = sum(one.size for one in given)
    if op in _ONE_BY_ONE:
        return given[0].size if op == "QuantizeLinear" else prod(np.broadcast_shapes(*(one.shape for one in given)))
    if op == "Expand":
        return prod(np.broadcast_shapes(given[0].shape, _dims(given[1])))
    if op == "Tile":
        return given[0].size * prod(max(n, 1) for n in _dims(given[1]))
    if op == "Gather":
        axis = int(call.attribute("axis", 0))
        return given[0].size // max(given[0].shape[axis], 1) * given[1].size
    if op == "GatherND":
        return given[0].size * max(given[1].size, 1)
    if op == "Range":
        start, stop, step = (float(one.reshape(())) for one in given)
        return int(abs((stop - start) / step)) + 1
    return total


def _dims(array: Array) -> Shape:
    return tuple(int(n) for n in array.reshape(-1))


def index_of(shape: Shape) -> Array:
    """The flat index of every element of a tensor."""
    return np.arange(prod(shape), dtype=np.int64).reshape(shape)

