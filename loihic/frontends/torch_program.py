"""From an ExportedProgram in memory to a TorchGraph."""

from __future__ import annotations

import operator
from importlib import import_module
from typing import Any

import numpy as np

from loihic.errors import CompileError, Diagnostic, fail
from loihic.frontends.torch_graph import (
    Call,
    Meta,
    Ref,
    TorchGraph,
    Unknown,
    module_path,
    output_labels,
    printable,
    taken,
)
from loihic.ir.node import Array


def torch_module() -> Any:
    """The package torch, which is an extra.

    Raises:
        CompileError: LHC601, if it is not installed.
    """
    try:
        return import_module("torch")
    except ImportError:
        fail("LHC601", "PyTorch is not installed", help="pip install 'loihic[torch]'")


def program_graph(program: Any, name: str) -> TorchGraph:
    """The graph of a `torch.export.ExportedProgram`.

    Raises:
        CompileError: LHC103, for weights that are no plain tensors.
    """
    torch = torch_module()
    signature = program.graph_signature
    nodes = list(program.graph.nodes)
    wanted = {argument.name for node in nodes for argument in node.all_input_nodes}
    names = [_output_name(spec) for spec in signature.output_specs if spec.kind.name == "USER_OUTPUT"]
    spec = torch.utils._pytree.treespec_dumps(program.call_spec.out_spec)
    labels = output_labels(spec, len(names))
    return TorchGraph(
        name=printable(name), producer=f"torch {torch.__version__}",
        inputs=tuple(spec.arg.name for spec in signature.input_specs
                     if spec.kind.name == "USER_INPUT" and type(spec.arg).__name__ == "TensorArgument"),
        constants=_constants(program, wanted),
        metas={node.name: _meta(node.meta["val"]) for node in nodes if _is_tensor(node.meta.get("val"))},
        calls=taken([_call(node, torch) for node in nodes if node.op == "call_function" and not _is_part(node)], names),
        outputs=tuple((label, output) for label, output in zip(labels, names, strict=True) if output),
        mutated=tuple(printable(str(spec.target)) for spec in signature.output_specs
                      if spec.kind.name != "USER_OUTPUT"))


def _output_name(spec: Any) -> str:
    return str(spec.arg.name) if type(spec.arg).__name__ == "TensorArgument" else ""


def _constants(program: Any, wanted: set[str]) -> dict[str, Array]:
    """Parameters, buffers and constants by the names of their placeholders; only those that a node takes."""
    stores = (program.state_dict, program.constants)
    found: dict[str, Array] = {}
    problems: list[Diagnostic] = []
    for spec in program.graph_signature.input_specs:
        if spec.target is None or spec.arg.name not in wanted:
            continue
        value = next((store[spec.target] for store in stores if spec.target in store), None)
        array = None if value is None else _array(value)
        if array is None:
            problems.append(Diagnostic(
                code="LHC103", message="a parameter is no plain tensor of numbers", node=str(spec.target),
                param=f"{type(value).__module__}.{type(value).__name__}",
                help="quantise with torchao.quantization.pt2e, which keeps plain tensors"))
        else:
            found[spec.arg.name] = array
    if problems:
        raise CompileError(problems)
    return found


def _array(tensor: Any) -> Array | None:
    """A tensor's numbers; None for what is no dense tensor of real numbers or integers."""
    if type(getattr(tensor, "data", None)).__name__ != "Tensor":
        return None
    try:
        plain = tensor.detach().cpu()
        return np.array((plain.float() if str(plain.dtype) == "torch.bfloat16" else plain).numpy())
    except (RuntimeError, TypeError, ValueError):  # sparse, quantised, complex, float8
        return None


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _meta(tensor: Any) -> Meta:
    return Meta(shape=tuple(size if isinstance(size, int) else None for size in tensor.shape),
                dtype=str(tensor.dtype).removeprefix("torch."))


def _is_part(node: Any) -> bool:
    """Whether a node picks one result of another; its name is then the name of that result."""
    return node.target is operator.getitem


def _call(node: Any, torch: Any) -> Call:
    schema = getattr(node.target, "_schema", None)
    given = list(node.args)
    names = [item.name for item in schema.arguments] if schema is not None else [f"arg{i}" for i in range(len(given))]
    arguments = {key: _argument(value, torch) for key, value in zip(names, given, strict=False)}
    arguments |= {key: _argument(value, torch) for key, value in node.kwargs.items()}
    path, kind = _module(node.meta.get("nn_module_stack"))
    return Call(name=printable(node.name), target=_target(node.target), arguments=arguments, outputs=_outputs(node),
                path=path, kind=kind)


def _target(target: Any) -> str:
    if hasattr(target, "_schema"):
        return str(target)
    return f"{getattr(target, '__module__', '')}.{getattr(target, '__name__', target)}".replace("torch.ops.", "")


def _outputs(node: Any) -> tuple[str | None, ...]:
    """The node itself, or the nodes that pick its results."""
    value = node.meta.get("val")
    if not isinstance(value, tuple | list):
        return (node.name,)
    parts = {user.args[1]: user.name for user in node.users if _is_part(user)}
    return tuple(parts.get(i) for i in range(len(value)))


def _argument(value: Any, torch: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.fx.Node):
        return Ref(value.name) if _is_tensor(value.meta.get("val")) else Unknown()
    if isinstance(value, list | tuple):
        return [_argument(part, torch) for part in value]
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, torch.device | torch.layout | torch.memory_format):
        return None
    return Unknown(type(value).__name__)


def _module(stack: Any) -> tuple[str, str]:
    """Path and class of the innermost module."""
    if not stack:
        return "", ""
    path, kind = list(stack.values())[-1]
    name = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    return module_path(path), printable(name)
