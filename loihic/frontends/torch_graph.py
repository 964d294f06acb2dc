"""A PyTorch graph as plain values: what torch.export makes, whether it comes from a file or from memory.

No part of it needs torch: shapes, names and numpy arrays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from loihic.errors import InputError, fail
from loihic.ir.node import Array

LARGEST = 1 << 27
"""Elements of one tensor; the largest matrix of VGG-16 has 103 million."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Meta:
    """What the export knows of a tensor.

    Attributes:
        shape: with the batch; None where a size is known only at run time.
        dtype: torch's name without "torch.": ``float32``.
    """

    shape: tuple[int | None, ...]
    dtype: str

    def __post_init__(self) -> None:
        known = [size for size in self.shape if size is not None]
        if any(size < 0 for size in known) or prod(known) > LARGEST:
            fail("LHC103", f"a tensor claims the shape {self.shape}", error=InputError,
                 help=f"at most {LARGEST} elements are read")


@dataclass(frozen=True, slots=True)
class Ref:
    """The value of that name, as an argument."""

    name: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A number known only at run time, or an argument of a kind that no operator here reads, such as a subgraph."""

    kind: str = "a number known only at run time"


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One operator.

    Attributes:
        name: of the node.
        target: ``aten.conv2d.default``.
        arguments: by the names of the operator's schema: numbers, text, None, `Ref`, `Unknown`, or lists of those.
        outputs: the name of each result; None for one that nobody takes.
        path: of the user's module, "" if it is the model itself or not known.
        kind: that module's class.
    """

    name: str
    target: str
    arguments: Mapping[str, Any]
    outputs: tuple[str | None, ...]
    path: str = ""
    kind: str = ""

    @property
    def label(self) -> str:
        """The module's path where the call is all that a module of torch does, else with the node's name behind it."""
        if not self.path:
            return self.name
        return self.path if self.kind.startswith("torch.nn.modules.") else f"{self.path}.{self.name}"

    @property
    def operator(self) -> str:
        """The target without its overload: ``aten.conv2d``."""
        return ".".join(self.target.split(".")[:2])


@dataclass(frozen=True, kw_only=True, slots=True)
class TorchGraph:
    """A whole exported program.

    Attributes:
        name: of the file or the program.
        inputs: names of the user's inputs, in order.
        constants: parameters, buffers and constants that calls refer to, by name.
        metas: of every tensor, by name.
        calls: in an order in which they can be computed.
        outputs: label and name of each output.
        mutated: buffers that the program writes to.
        producer: who wrote it, such as ``torch 2.13.0``.
        digest: SHA-256 of the file; empty for a program in memory.
    """

    name: str
    inputs: tuple[str, ...]
    constants: Mapping[str, Array]
    metas: Mapping[str, Meta]
    calls: tuple[Call, ...]
    outputs: tuple[tuple[str, str], ...]
    mutated: tuple[str, ...] = ()
    producer: str = ""
    digest: str = ""


def refs(argument: Any) -> list[str]:
    """Every name that an argument refers to."""
    if isinstance(argument, Ref):
        return [argument.name]
    return [name for part in argument for name in refs(part)] if isinstance(argument, list) else []


def taken(calls: Sequence[Call], outputs: Sequence[str]) -> tuple[Call, ...]:
    """The calls without names for those of several results that nobody takes; exports have names for all."""
    used = {name for call in calls for argument in call.arguments.values() for name in refs(argument)} | set(outputs)
    return tuple(replace(call, outputs=tuple(name if name in used else None for name in call.outputs))
                 if len(call.outputs) > 1 else call for call in calls)


def printable(text: str) -> str:
    """The text without what a terminal or a report would choke on."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:500])


def module_path(path: str) -> str:
    """``layers.0`` from any of the forms in which exports have written it."""
    path = re.sub(r"^L(\[['\"]self['\"]\]|__self__)", "", path)
    path = re.sub(r"\[['\"]?(\w+)['\"]?\]", r".\1", path)
    return printable(re.sub(r"@\d+$", "", path).strip("."))


def output_labels(spec: str, count: int) -> tuple[str, ...]:
    """The names of a program's outputs.

    Args:
        spec: the structure of what the model returns, as torch writes it; keys of a dict are names.
        count: how many tensors that are, for a structure that says nothing.
    """
    try:
        paths = _leaves(json.loads(spec)[1], ())
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        paths = []
    if len(paths) != count:
        paths = [()] * count
    if count == 1 and not paths[0]:
        return ("output",)
    return tuple(printable(".".join(path)) if path and all(path) else f"output{i}" for i, path in enumerate(paths))


def _leaves(spec: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    if spec["type"] is None:
        return [path]
    keys = json.loads(spec["context"]) if "ict" in spec["type"] and isinstance(spec["context"], str) else None
    children = spec["children_spec"]
    if not isinstance(keys, list) or len(keys) != len(children):
        keys = [""] * len(children)
    return [leaf for key, child in zip(keys, children, strict=True)
            for leaf in _leaves(child, (*path, key if isinstance(key, str) else ""))]
