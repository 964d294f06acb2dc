"""The registry of operators: what the frontends read, the tools list and the conformance tests run over."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import TypeVar

from loihic.ir.node import HardwareNode, Node, SourceNode

NodeClass = TypeVar("NodeClass", bound=type[Node])
_OPS: dict[str, type[Node]] = {}


def register_op(op: str, summary: str) -> Callable[[NodeClass], NodeClass]:
    """Class decorator: makes an operator known under its name `op`, with a one-line `summary`."""

    def register(cls: NodeClass) -> NodeClass:
        cls.op = op
        cls.summary = summary
        _OPS[op] = cls
        return cls

    return register


@cache
def _load_all() -> None:
    """Import every operator file of ours and every one registered by entry point ``loihic.ops``."""
    package = import_module("loihic.ops")
    for module in iter_modules(package.__path__):
        import_module(f"loihic.ops.{module.name}")
    for point in entry_points(group="loihic.ops"):
        point.load()


def source_ops() -> dict[str, type[SourceNode]]:
    """Every float operator by name."""
    _load_all()
    return {op: cls for op, cls in sorted(_OPS.items()) if issubclass(cls, SourceNode)}


def hardware_ops() -> dict[str, type[HardwareNode]]:
    """Every integer operator by name."""
    _load_all()
    return {op: cls for op, cls in sorted(_OPS.items()) if issubclass(cls, HardwareNode)}


def op_class(op: str) -> type[Node] | None:
    """The class of an operator, or None."""
    _load_all()
    return _OPS.get(op)
