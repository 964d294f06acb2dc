"""From the JSON of a .pt2 archive to a TorchGraph: the schema of torch.export, major version 8."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from loihic.frontends.torch_archive import Archive, MalformedError, type_name
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

SCHEMA = 8
CALLS = 100_000
T = TypeVar("T")
_NUMBERS = {"as_int": int, "as_float": float, "as_bool": bool, "as_string": str}
_LISTS = {"as_ints": int, "as_floats": float, "as_bools": bool, "as_strings": str}


def read_program(archive: Archive) -> TorchGraph:
    """The program of an archive.

    Raises:
        MalformedError: the archive is not what torch.export.save writes.
    """
    model = _only_model(archive)
    program = _dict(archive.json(f"models/{model}.json"))
    version = _get(_dict(program.get("schema_version")), "major", int)
    if version != SCHEMA:
        raise MalformedError(f"its schema has the version {version}; version {SCHEMA} is read")
    module = _dict(program.get("graph_module"))
    graph, signature = _dict(module.get("graph")), _dict(module.get("signature"))
    metas = {name: _meta(_dict(item)) for name, item in _dict(graph.get("tensor_values")).items()}
    inputs, targets = _inputs(signature)
    outputs, mutated = _outputs(signature)
    nodes = _list(graph.get("nodes"))
    if len(nodes) > CALLS:
        raise MalformedError(f"it has {len(nodes)} operators of at most {CALLS}")
    calls = taken([_call(_dict(item)) for item in nodes], outputs)
    labels = output_labels(_structure(module), len(outputs))
    return TorchGraph(
        name=archive.name, inputs=inputs, metas=metas, calls=calls, mutated=mutated, digest=archive.digest,
        constants=_constants(archive, model, targets), producer=f"torch {program.get('torch_version', '')}",
        outputs=tuple((label, name) for label, name in zip(labels, outputs, strict=True) if name))


def _only_model(archive: Archive) -> str:
    names = archive.models()
    if "model" in names or len(names) == 1:
        return "model" if "model" in names else names[0]
    if names:
        raise MalformedError(f"it holds several programs: {', '.join(map(printable, names))}; save one by itself")
    raise MalformedError("it holds no program; a model compiled by AOTInductor has no graph any more")


def _inputs(signature: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, str | Array]]:
    """The user's inputs; and for each parameter, buffer or constant its name in the weights."""
    inputs: list[str] = []
    targets: dict[str, str | Array] = {}
    for item in _list(signature.get("input_specs")):
        kind, spec = _variant(item)
        if kind == "user_input":
            inner, value = _variant(_dict(spec).get("arg"))
            if inner == "as_tensor":
                inputs.append(_get(_dict(value), "name", str))
        elif kind in ("parameter", "buffer", "tensor_constant"):
            key = {"parameter": "parameter_name", "buffer": "buffer_name"}.get(kind, "tensor_constant_name")
            targets[_get(_dict(_dict(spec).get("arg")), "name", str)] = _get(_dict(spec), key, str)
    return tuple(inputs), targets


def _outputs(signature: Mapping[str, Any]) -> tuple[list[str], tuple[str, ...]]:
    """The names of the user's outputs, "" for what is no tensor; and of the buffers that are written to."""
    outputs: list[str] = []
    mutated: list[str] = []
    for item in _list(signature.get("output_specs")):
        kind, spec = _variant(item)
        if kind == "user_output":
            inner, value = _variant(_dict(spec).get("arg"))
            outputs.append(_get(_dict(value), "name", str) if inner == "as_tensor" else "")
        else:
            names = [str(part) for key, part in _dict(spec).items() if key.endswith("_name")]
            mutated.append(printable(names[0] if names else kind))
    return outputs, tuple(mutated)


def _constants(archive: Archive, model: str, targets: Mapping[str, Any]) -> dict[str, Array]:
    payloads: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for folder in ("weights", "constants"):
        if archive.holds(f"data/{folder}/{model}.pt"):
            raise MalformedError("its weights are pickled, as torch 2.8 did it; load the file with torch.export.load "
                                 "and save it with torch 2.9 or newer")
        config = _dict(archive.json(f"data/{folder}/{model}_{folder}_config.json"))
        for name, item in _dict(config.get("config")).items():
            payloads.setdefault(name, (folder, _dict(item)))
    found: dict[str, Array] = {}
    for name, target in targets.items():
        if target not in payloads:
            raise MalformedError(f"the archive lacks the weights {printable(target)!r}")
        folder, item = payloads[target]
        if item.get("use_pickle") is not False:
            raise MalformedError(f"the weights {printable(target)!r} are a pickled subclass of Tensor; quantise with "
                                 "torchao.quantization.pt2e, which keeps plain tensors")
        meta = _dict(item.get("tensor_meta"))
        strides, (offset,) = _sizes(meta.get("strides")), _sizes([meta.get("storage_offset")])
        shape = _sizes(meta.get("sizes"))
        if None in (*shape, *strides, offset):
            raise MalformedError(f"the weights {printable(target)!r} have no fixed shape")
        found[name] = archive.tensor(
            f"data/{folder}/{_get(item, 'path_name', str)}", type_name(meta.get("dtype")),
            tuple(int(n or 0) for n in shape), tuple(int(n or 0) for n in strides), int(offset or 0))
    return found


def _call(node: Mapping[str, Any]) -> Call:
    arguments = {_get(_dict(item), "name", str): _argument(_dict(item).get("arg")) for item in _list(node["inputs"])}
    outputs = [name for item in _list(node.get("outputs")) for name in _names(item)]
    target = _get(node, "target", str).removeprefix("torch.ops.")
    path, kind = _module(_dict(node.get("metadata")))
    name = node.get("name") or next((name for name in outputs if name), target)
    return Call(name=printable(str(name)), target=printable(target), arguments=arguments, outputs=tuple(outputs),
                path=path, kind=kind)


def _names(output: Any) -> Iterator[str | None]:
    """The names of an operator's results."""
    kind, value = _variant(output)
    for part in value if isinstance(value, list) else [value]:
        yield str(part.get("name") or part.get("as_name")) if isinstance(part, dict) and kind != "as_none" else None


def _argument(argument: Any) -> Any:
    kind, value = _variant(argument)
    if kind == "as_none":
        return None
    if kind in _NUMBERS:
        return _checked(value, _NUMBERS[kind])
    if kind in _LISTS:
        return [_checked(part, _LISTS[kind]) for part in _list(value)]
    if kind == "as_tensor":
        return Ref(_get(_dict(value), "name", str))
    if kind == "as_tensors":
        return [Ref(_get(_dict(part), "name", str)) for part in _list(value)]
    if kind in ("as_optional_tensors", "as_sym_ints"):
        return [_argument(part) for part in _list(value)]
    if kind in ("as_optional_tensor", "as_sym_int"):
        return _argument(value)
    if kind == "as_scalar_type":
        return type_name(value)
    if kind in ("as_device", "as_layout", "as_memory_format"):
        return None
    return Unknown() if kind in ("as_name", "as_sym_float", "as_sym_bool") else Unknown(kind.removeprefix("as_"))


def _module(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """Path and class of the innermost module; the text is "key,path,class;key,path,class"."""
    stack = metadata.get("nn_module_stack")
    parts = stack.split(";")[-1].split(",") if isinstance(stack, str) else []
    return (module_path(parts[1]), printable(parts[2])) if len(parts) == 3 else ("", "")


def _structure(module: Mapping[str, Any]) -> str:
    """How the model's outputs are nested, as text."""
    for entry in _list(module.get("module_call_graph")):
        signature = _dict(entry).get("signature")
        if _dict(entry).get("fqn") == "" and isinstance(signature, dict):
            return str(signature.get("out_spec", ""))
    return ""


def _meta(meta: Mapping[str, Any]) -> Meta:
    return Meta(shape=_sizes(meta.get("sizes")), dtype=type_name(meta.get("dtype")))


def _sizes(items: Any) -> tuple[int | None, ...]:
    """Whole numbers; None for an expression, which is text that torch would evaluate and nothing here does."""
    return tuple(_checked(item.get("as_int"), int) if "as_int" in item else None
                 for item in map(_dict, _list(items)))


def _variant(item: Any) -> tuple[str, Any]:
    """A union: a dict with one key, the kind of its value."""
    union = _dict(item)
    if len(union) != 1:
        raise MalformedError(f"an argument has {len(union)} values")
    return next(iter(union.items()))


def _get(item: Mapping[str, Any], key: str, kind: type[T]) -> T:
    if key not in item:
        raise MalformedError(f"{key!r} is missing")
    return _checked(item[key], kind)


def _checked(value: Any, kind: type[T]) -> T:
    if kind is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:  # infinities are written as text
            return kind(value)  # type: ignore[call-arg]
        except (ValueError, OverflowError):
            raise MalformedError(f"{value!r} is no number") from None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise MalformedError(f"{printable(repr(value))} is no {kind.__name__}")
    return value


def _dict(value: Any) -> dict[str, Any]:
    return _checked(value, dict)


def _list(value: Any) -> list[Any]:
    return _checked(value, list)
