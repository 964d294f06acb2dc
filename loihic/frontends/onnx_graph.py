"""The graph of an ONNX file: its nodes in order, and which of them its outputs need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loihic.errors import Diagnostic
from loihic.frontends.onnx_file import EVALUATION_ERRORS, OnnxModel, onnx_module
from loihic.frontends.onnx_fold import FOLDED
from loihic.frontends.onnx_host import device_end, left_to_host, unsupported
from loihic.frontends.onnx_table import OnnxNode, operator_of
from loihic.frontends.raw import listed
from loihic.frontends.stored import short

_SHAPES = frozenset({"Shape", "Size"})  # constant whatever their input


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OnnxGraph:
    """What is to be read.

    Attributes:
        nodes: those that the outputs need, each after what feeds it.
        inputs: messages of the graph's inputs that are needed, by name.
        initialisers: messages of the constants, by name.
        outputs: per output to be made, its name and the tensor it gives.
        notes: about nodes left to the host.
    """

    nodes: tuple[OnnxNode, ...]
    inputs: Mapping[str, Any]
    initialisers: Mapping[str, Any]
    outputs: tuple[tuple[str, str], ...]
    notes: tuple[Diagnostic, ...]


def graph_of(model: OnnxModel) -> tuple[OnnxGraph | None, list[Diagnostic]]:
    """Order the nodes that the outputs need, and look every operator up.

    Returns:
        The graph, or None with what is wrong: LHC102 and LHC401 for operators that are not read, LHC103 for names
        that are given twice, LHC201 for names that are given nowhere, LHC203 for a graph without outputs, LHC205 for
        one that runs in a circle.
    """
    proto, found = model.proto.graph, list[Diagnostic]()
    taken = {str(one.name) for one in (*proto.input, *proto.output)}
    nodes = [_node(one, taken, found) for one in proto.node]
    initialisers = {str(one.name): one for one in proto.initializer}
    inputs = {str(one.name): one for one in proto.input if one.name not in initialisers}
    if proto.sparse_initializer:
        found.append(Diagnostic(code="LHC103", message="the file holds sparse constants",
                                node=listed(str(one.values.name) for one in proto.sparse_initializer),
                                help="export them as dense ones"))
    producers = _producers(nodes, {*initialisers, *inputs}, found)
    outputs, notes = _outputs([str(one.name) for one in proto.output], producers)
    if not outputs:
        found.append(Diagnostic(code="LHC203", message="the graph has no output", help="export it with an output"))
    if found:
        return None, found
    ordered = _ordered([tensor for _, tensor in outputs], producers, {*initialisers, *inputs}, found)
    functions = frozenset((str(one.domain), str(one.name)) for one in model.proto.functions)
    found += unsupported(_unknown(ordered, set(initialisers)), functions)
    wanted = {name for node in ordered for name in node.inputs} | {tensor for _, tensor in outputs}
    graph = OnnxGraph(nodes=tuple(ordered), inputs={name: one for name, one in inputs.items() if name in wanted},
                      initialisers=initialisers, outputs=outputs, notes=notes)
    return (None if found else graph), found


def _node(proto: Any, taken: set[str], found: list[Diagnostic]) -> OnnxNode:
    if proto.domain == "ai.onnx":  # the standard domain by its full name
        proto.domain = ""
    outputs = tuple(str(name) for name in proto.output)
    label = str(proto.name) or next((name for name in outputs if name), str(proto.op_type))
    if label in taken:  # inputs and outputs keep their names in the source graph
        label = f"{label}.{proto.op_type}"
    attributes: dict[str, Any] = {}
    try:
        for one in proto.attribute:
            if one.t.data_location == onnx_module().TensorProto.EXTERNAL and proto.op_type != "Constant":
                raise ValueError(f"attribute {one.name} lies in another file")
            value = onnx_module("onnx.helper").get_attribute_value(one)
            attributes[str(one.name)] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    except EVALUATION_ERRORS as error:
        found.append(Diagnostic(code="LHC103", message="an attribute is malformed", node=f"{label} ({proto.op_type})",
                                param=short(error), help="export or download the file again"))
    return OnnxNode(
        op=str(proto.op_type), domain=str(proto.domain), label=label,
        inputs=tuple(str(name) for name in proto.input), outputs=outputs, attributes=attributes, proto=proto)


def _producers(nodes: Iterable[OnnxNode], given: set[str], found: list[Diagnostic]) -> dict[str, OnnxNode]:
    producers: dict[str, OnnxNode] = {}
    for node in nodes:
        for name in filter(None, node.outputs):
            if name in producers or name in given:
                found.append(Diagnostic(code="LHC103", message=f"tensor {name!r} is given more than once",
                                        node=node.shown, help="the exporter is at fault: every name is given once"))
            producers[name] = node
    return producers


def _outputs(names: list[str], producers: Mapping[str, OnnxNode]
             ) -> tuple[tuple[tuple[str, str], ...], tuple[Diagnostic, ...]]:
    """The outputs without what is left to the host; those that then are the same tensor are made once."""
    made: dict[str, str] = {}
    notes: list[Diagnostic] = []
    cut: set[str] = set()
    for name in dict.fromkeys(names):
        tensor, left = device_end(name, producers)
        if left:
            notes.append(left_to_host(name, left))
            if tensor in cut:
                continue
            cut.add(tensor)
        made[name] = tensor
    return tuple(made.items()), tuple(notes)


def _ordered(wanted: list[str], producers: Mapping[str, OnnxNode], given: set[str], found: list[Diagnostic]
             ) -> list[OnnxNode]:
    """The nodes that `wanted` need, each after what feeds it."""
    done: dict[OnnxNode, None] = {}
    entered: set[OnnxNode] = set()
    missing: dict[str, str] = {}
    stack: list[tuple[OnnxNode | None, list[str]]] = [(None, list(reversed(wanted)))]
    while stack:
        node, rest = stack[-1]
        if not rest:
            stack.pop()
            if node is not None:
                done[node] = None
            continue
        name = rest.pop()
        source = producers.get(name)
        if source is None:
            if name and name not in given:
                missing.setdefault(name, node.shown if node is not None else "the graph's outputs")
        elif source not in entered:
            entered.add(source)
            stack.append((source, list(reversed(source.inputs))))
        elif source not in done:
            found.append(Diagnostic(code="LHC205", message="the graph runs in a circle", node=source.shown,
                                    help="ONNX graphs have no loops; the exporter is at fault"))
            return list(done)
    found += [Diagnostic(code="LHC201", message=f"tensor {name!r} is given by no node", node=node,
                         help="the file is damaged, or was cut from a larger one") for name, node in missing.items()]
    return list(done)


def _unknown(nodes: Iterable[OnnxNode], constants: set[str]) -> list[OnnxNode]:
    """Nodes whose operator is not in the table, and that are no constants either."""
    unknown: list[OnnxNode] = []
    for node in nodes:
        fixed = all(name in constants for name in node.inputs if name)
        if fixed or (node.op in _SHAPES and not node.domain):
            constants.update(node.outputs)
        if operator_of(node) is None and not (fixed and node.op in FOLDED and not node.domain):
            unknown.append(node)
    return unknown
