"""Infer shapes: from the Input nodes along the edges, by each operator's own rule."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from loihic.errors import Diagnostic, Severity
from loihic.ir.graph import Fact
from loihic.ir.node import Shape, ShapeError, SourceNode
from loihic.ledger import Loss
from loihic.ops.ports import Input, Output
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass


@register_pass
@dataclass(frozen=True, kw_only=True)
class InferShapes(Pass):
    """Every node's output shape.

    A loop's shape comes from whichever predecessor is known first; all others are compared with it. Some exporters
    (rockpool) write batch and time into the Input's shape: leading dimensions that nothing behind it takes are dropped.
    """

    name: ClassVar[str] = "infer-shapes"
    gives: ClassVar[frozenset[Fact]] = frozenset({Fact.SHAPES})

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        graph = _drop_leading(graph, context)
        shapes: dict[str, Shape] = {}
        pending = [name for name, node in graph.nodes.items() if isinstance(node, Input)]
        failed: set[str] = set()
        for name in pending:
            node = graph.nodes[name]
            known = [shapes[edge.src] for edge in graph.incoming[name] if edge.src in shapes]
            try:
                shapes[name] = node.output_shape(known[0] if known else ())
            except ShapeError as error:
                failed.add(name)
                context.report(Diagnostic(
                    code="LHC202", message="the input's shape does not fit", node=_label(name, node), param=str(error),
                    help="compare with the layer before it in the trained network"))
                continue
            for edge in graph.outgoing[name]:
                if edge.dst not in shapes and edge.dst not in failed and edge.dst not in pending[pending.index(name):]:
                    pending.append(edge.dst)
        _compare(graph, shapes, context)
        if not any(d.severity is Severity.ERROR for d in context.diagnostics):
            for name, node in graph.nodes.items():
                if name not in shapes:
                    context.report(Diagnostic(
                        code="LHC204", message="no input reaches the node", node=_label(name, node),
                        help="connect it, or remove it from the graph"))
        return graph.with_(shapes=shapes)


def _label(name: str, node: SourceNode) -> str:
    return f"{name} ({node.op})"


def _compare(graph: AnyGraph, shapes: dict[str, Shape], context: CompileContext) -> None:
    """Inputs that meet at one node must agree, and an Output must be what the file says it is."""
    for name, node in graph.nodes.items():
        arriving = {edge.src: shapes[edge.src] for edge in graph.incoming[name] if edge.src in shapes}
        if len(set(arriving.values())) > 1:
            listed = ", ".join(f"{src} {shape}" for src, shape in arriving.items())
            context.report(Diagnostic(code="LHC202", message="inputs that add up differ in shape",
                                      node=_label(name, node), param=listed))
        if isinstance(node, Output) and name in shapes and node.shape:
            shape = shapes[name]
            if node.shape[len(node.shape) - len(shape):] != shape and _size(node.shape) != _size(shape):
                context.report(Diagnostic(
                    code="LHC202", message="the Output's declared shape is not what arrives", node=_label(name, node),
                    param=f"declared {node.shape}, arriving {shape}"))


def _size(shape: Shape) -> int:
    total = 1
    for n in shape:
        total *= n
    return total


def _drop_leading(graph: AnyGraph, context: CompileContext) -> AnyGraph:
    """Remove batch and time from an Input's shape where only the trailing dimensions fit what follows."""
    nodes = dict(graph.nodes)
    for name, node in graph.nodes.items():
        if not isinstance(node, Input) or not graph.outgoing[name]:
            continue
        behind = [graph.nodes[edge.dst] for edge in graph.outgoing[name]]
        for lead in range(len(node.shape)):
            shape = node.shape[lead:]
            if all(_fits(other, shape) for other in behind):
                if lead:
                    nodes[name] = replace(node, shape=shape)
                    context.ledger.add(Loss(
                        node=name, kind="shape", param="shape", wanted=str(node.shape), actual=str(shape), error=0.0,
                        why="leading dimensions of the Input are batch and time; nothing behind it takes them"))
                break
    return graph.with_(nodes=nodes)


def _fits(node: SourceNode, shape: Shape) -> bool:
    try:
        node.output_shape(shape)
    except ShapeError:
        return False
    return True
