"""Nodes: frozen values with read-only arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Array = NDArray[Any]

NodeT = TypeVar("NodeT", bound="Node")


def frozen(array: Any, dtype: Any = None) -> Array:
    """A read-only copy of `array`; the same object if it is read-only already."""
    value = np.asarray(array, dtype=dtype)
    if value.flags.writeable:
        value = value.copy()
        value.setflags(write=False)
    return value


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Node:
    """Base of every node.

    Attributes:
        origins: names in the user's file that this node came from; fusing two nodes unions them.
    """

    op: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray | np.generic):  # arithmetic on 0-d arrays gives scalars
                object.__setattr__(self, item.name, frozen(value))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SourceNode(Node):
    """A float node that speaks NIR."""

    needs_input: ClassVar[bool] = True
    stateful: ClassVar[bool] = False

    def output_shape(self, inputs: Shape) -> Shape:
        """Shape of the output for an input of shape `inputs`; raises ShapeError if they do not fit."""
        return inputs


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HardwareNode(Node):
    """An integer node that speaks Loihi."""

    hops: ClassVar[int] = 0  # steps between what arrives and what leaves


class ShapeError(ValueError):
    """An input's shape does not fit a node's parameters; the message says both."""


def merged_origins(*groups: tuple[str, ...]) -> tuple[str, ...]:
    """The union of several origins, in order of first appearance."""
    return tuple(dict.fromkeys(name for group in groups for name in group))
