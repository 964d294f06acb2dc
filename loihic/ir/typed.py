"""Typed: whether a value that was read from a file is what the annotation of its field says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

WIDEST = 1 << 63  # of whole numbers: numpy computes in 64 bits


def check_fields(cls: type, values: Mapping[str, Any]) -> None:
    """Check the values of a dataclass's fields before it is built.

    Raises:
        TypeError: a value is of another type than its field; a number is too large.
    """
    hints = _hints(cls)
    for key, value in values.items():
        if key in hints and not _fits(value, hints[key]):
            raise TypeError(f"{cls.__name__}.{key} is {str(value)[:40]!r}, of type {type(value).__name__}")


@cache
def _hints(cls: type) -> Mapping[str, Any]:
    return get_type_hints(cls)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type; annotations that no operator of ours has are trusted."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in args)
    if origin is tuple and args[-1] is Ellipsis:
        return isinstance(value, tuple) and all(_fits(item, args[0]) for item in value)
    if origin is tuple:
        return isinstance(value, tuple) and len(value) == len(args) and all(map(_fits, value, args))
    if origin is np.ndarray:
        return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and -WIDEST <= value < WIDEST
    return not isinstance(hint, type) or isinstance(value, hint)
