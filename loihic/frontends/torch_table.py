"""The table of PyTorch's operators: which function reads which, and what it can be given."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from loihic.frontends.torch_graph import Call

Operator = Callable[..., Any]
OperatorT = TypeVar("OperatorT", bound=Operator)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """An operator of the table.

    Attributes:
        run: builds the operator's nodes: (site, **arguments) to a Signal, Constant or Value, or a sequence of them.
        integers: it takes tensors of torch's integers too.
        tail: behind an operator that is left to the host, it is left to the host as well.
        sizes: numbers known only at run time may be among its arguments; torch's shape of the result says what matters.
        view: its result may share torch's memory with its first argument.
    """

    run: Operator
    integers: bool = False
    tail: bool = False
    sizes: bool = False
    view: bool = False
    signature: inspect.Signature


TABLE: dict[str, Entry] = {}


def entry_of(call: Call) -> Entry | None:
    """The entry of a call's overload, or of its operator."""
    return TABLE.get(call.target) or TABLE.get(call.operator)


def operator_names() -> tuple[str, ...]:
    """The operators of ATen that are read, in-place ones left out."""
    names = {name.split(".")[1] for name in TABLE if name.startswith("aten.")}
    return tuple(sorted(name for name in names if not name.endswith("_") and not name.startswith("_")))


def torch_op(*names: str, integers: bool = False, tail: bool = False, sizes: bool = False,
             view: bool = False) -> Callable[[OperatorT], OperatorT]:
    """Enter a function into the table, under operators (``aten.relu``) or single overloads (``aten.view.dtype``)."""

    def enter(run: OperatorT) -> OperatorT:
        for name in names:
            TABLE[name] = Entry(run=run, integers=integers, tail=tail, sizes=sizes, view=view,
                                signature=inspect.signature(run))
        return run

    return enter
