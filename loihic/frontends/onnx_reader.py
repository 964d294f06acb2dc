"""From an .onnx file to a source graph: trained networks without spikes, real or quantised."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from loihic.errors import CompileError, Diagnostic
from loihic.frontends import (  # noqa: F401 - each enters its operators into the table
    onnx_layout,
    onnx_linear,
    onnx_pointwise,
    onnx_pooling,
    onnx_qonnx,
    onnx_qoperator,
    onnx_quantised,
)
from loihic.frontends.network import NetworkBuilder
from loihic.frontends.onnx_file import OnnxLimits, OnnxModel, load_model, type_name
from loihic.frontends.onnx_fold import FOLDED, folded
from loihic.frontends.onnx_graph import OnnxGraph, graph_of
from loihic.frontends.onnx_operands import INTEGER_RANGES, Constant, Grid, NodeError, Operand, Tensor, aligned
from loihic.frontends.onnx_table import Call, OnnxNode, Reading, operator_of
from loihic.ir.graph import SourceGraph
from loihic.ir.node import Shape, ShapeError

_REAL = frozenset({"float16", "bfloat16", "float32", "float64"})
_MALFORMED = (ValueError, TypeError, LookupError, ArithmeticError, MemoryError)
_FIXED = ("only the first dimension, the batch, may be left open; export with fixed shapes, or set them with "
          "onnxruntime.tools.make_dynamic_shape_fixed")


def read_onnx(path: str | os.PathLike[str], *, limits: OnnxLimits | None = None
              ) -> tuple[SourceGraph, dict[str, Any], tuple[Diagnostic, ...]]:
    """Read a network for one sample; the batch dimension is gone.

    Every tensor is real numbers. Integers of quantised formats are what they stand for, and an output of integers
    says with which scale and zero point; weights that were quantised come with the unit they are multiples of.

    Args:
        path: an .onnx file; external data are read from beside it.
        limits: bounds on what the file may ask for.

    Returns:
        The graph, its provenance, and notes: what is left to the host.

    Raises:
        InputError: LHC101 if the file cannot be read, LHC601 if the package onnx is missing.
        CompileError: everything that is wrong with the network; all operators that are not read come first.
    """
    limits = limits or OnnxLimits()
    model = load_model(Path(path), limits)
    graph, found = graph_of(model)
    if graph is None:
        raise CompileError(found)
    source, notes = _Reader(model, limits).read(graph)
    made_by = f"{model.proto.producer_name} {model.proto.producer_version}".strip()
    provenance = {
        "model": model.name, "sha256": model.store.digest, "format": "ONNX",
        "onnx": {"producer": made_by, "ir": int(model.proto.ir_version), "opset": model.opset,
                 "domains": {name: version for name, version in model.opsets.items() if name}}}
    return source, provenance, (*graph.notes, *notes)


class _Reader:
    """One pass over the nodes; what is wrong gathers in `found`, and nodes that depend on it are left out."""

    def __init__(self, model: OnnxModel, limits: OnnxLimits) -> None:
        self.reading = Reading(builder=NetworkBuilder(), store=model.store, opset=model.opset, batch=1, limits=limits)
        self.found: list[Diagnostic] = []
        self.values: dict[str, Operand] = {}
        self.failed: set[str] = set()
        self.absent: dict[str, OnnxNode] = {}
        self.initialisers: dict[str, Any] = {}

    def read(self, graph: OnnxGraph) -> tuple[SourceGraph, tuple[Diagnostic, ...]]:
        self.initialisers = dict(graph.initialisers)
        for name, message in graph.inputs.items():
            with _Reports(self, f"input {name}"):
                self.values[name] = self._input(name, message)
        self.failed.update(name for name in graph.inputs if name not in self.values)
        for node in graph.nodes:
            self._node(node)
        for label, tensor in graph.outputs:
            if tensor not in self.failed:
                with _Reports(self, f"output {label}"):
                    self._output(label, tensor)
        if self.found:
            raise CompileError(dict.fromkeys((*self.found, *self.reading.notes)))
        return self.reading.builder.graph(), tuple(dict.fromkeys(self.reading.notes))

    def _input(self, name: str, message: Any) -> Tensor:
        kind = _type_of(message)
        shape, batch = _shape_of(message)
        if batch != 1:
            if self.reading.batch > 1 and batch > 1 and batch != self.reading.batch:
                raise NodeError("LHC202", "inputs differ in their batch", param=f"{batch} and {self.reading.batch}")
            self.reading.batch = max(batch, self.reading.batch) if self.reading.batch > 1 else batch
        self.reading.spend(prod(shape))
        value = self.reading.builder.input(name, shape[1:] if shape[0] == 1 else shape)
        if kind in _REAL:
            return Tensor(value=value, shape=shape)
        low, high = INTEGER_RANGES[kind]
        return Tensor(value=value, shape=shape, grid=Grid(scale=np.ones(()), zero=0, low=low, high=high), integer=True)

    def _node(self, node: OnnxNode) -> None:
        if any(name in self.failed for name in node.inputs):
            self.failed.update(filter(None, node.outputs))
            return
        results: tuple[Operand, ...] = ()
        with _Reports(self, node.shown):
            results = self._results(node)
        if not results:
            self.failed.update(filter(None, node.outputs))
        for place, name in enumerate(node.outputs):
            if place < len(results):
                self.values[name] = results[place]
            elif results:
                self.absent[name] = node

    def _results(self, node: OnnxNode) -> tuple[Operand, ...]:
        operands = [self._operand(name) if name else None for name in node.inputs]
        call = Call(node=node, operands=operands, reading=self.reading)
        fixed = operands and not any(isinstance(one, Tensor) for one in operands)
        if fixed and node.op in FOLDED and not node.domain:
            return folded(call)
        read = operator_of(node)
        if read is None:
            raise NodeError("LHC102", "the operator is read between constants only")
        result = read(call)
        return result if isinstance(result, tuple) else (result,)

    def _operand(self, name: str) -> Operand:
        if name in self.absent:
            raise NodeError("LHC401", f"tensor {name!r} is needed, an output that is not read of "
                            f"{self.absent[name].shown}")
        if name not in self.values:
            self.values[name] = Constant(array=self.reading.store.array(self.initialisers[name]))
        return self.values[name]

    def _output(self, label: str, name: str) -> None:
        tensor = self._operand(name)
        if isinstance(tensor, Constant):
            raise NodeError("LHC203", "the output does not depend on the input")
        if tensor.integer:
            grid = tensor.levels
            self.reading.builder.output(label, tensor.value, scale=aligned(grid.scale, tensor.shape),
                                        offset=float(grid.zero))
        else:
            self.reading.builder.output(label, tensor.value)


class _Reports:
    """A block whose errors become diagnostics."""

    def __init__(self, reader: _Reader, node: str) -> None:
        self.reader, self.node = reader, node

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, NodeError):
            self._report(error.code, error.message, error.param, error.help)
        elif isinstance(error, ShapeError):
            self._report("LHC202", "the shapes do not agree", str(error), "")
        elif isinstance(error, _MALFORMED):
            self._report("LHC103", "the node is malformed", f"{type(error).__name__}: {error}"[:200],
                         "export or download the file again")
        else:
            return False
        return True

    def _report(self, code: str, message: str, param: str, help: str) -> None:
        self.reader.found.append(Diagnostic(code=code, message=message, node=self.node, param=param, help=help))


def _type_of(message: Any) -> str:
    """The type of an input's elements, by numpy's name."""
    if not message.type.HasField("tensor_type"):
        raise NodeError("LHC401", "the input is no tensor", help="sequences, maps and optional values are not read")
    kind = type_name(message.type.tensor_type.elem_type)
    if kind not in _REAL and kind not in INTEGER_RANGES:
        raise NodeError("LHC401", "the input holds neither real nor whole numbers", param=f"type {kind}")
    return kind


def _shape_of(message: Any) -> tuple[Shape, int]:
    """An input's shape with a batch of one, and the batch of the file; 0 if it is open."""
    dims = [int(one.dim_value) if one.HasField("dim_value") else 0 for one in message.type.tensor_type.shape.dim]
    shown = ", ".join(str(n) if n > 0 else str(one.dim_param) or "?" for n, one in zip(
        dims, message.type.tensor_type.shape.dim, strict=True))
    if not dims or min(dims[1:], default=1) < 1 or dims[0] < 0:
        raise NodeError("LHC103", "the shape of the input is not fixed", param=f"({shown})" if dims else "no shape",
                        help=_FIXED)
    if len(dims) == 1 and dims[0] > 1:  # nothing but a batch would be no network
        return (dims[0],), 1
    return (1, *dims[1:]), dims[0]
