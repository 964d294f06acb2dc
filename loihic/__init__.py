"""loihic: an open compiler for Intel's Loihi 2. Trained networks in, programs out.

The names below load on first use, so that `import loihic` and `loihic --help` stay instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loihic.api import check as check
    from loihic.api import compile as compile
    from loihic.api import load as load
    from loihic.errors import CompileError as CompileError
    from loihic.errors import LoihicError as LoihicError
    from loihic.options import Options as Options
    from loihic.program import Program as Program

__version__ = "0.1.0"

_HOMES = {
    "check": "loihic.api",
    "compile": "loihic.api",
    "load": "loihic.api",
    "Program": "loihic.program",
    "Options": "loihic.options",
    "CompileError": "loihic.errors",
    "LoihicError": "loihic.errors",
}
__all__ = ["CompileError", "LoihicError", "Options", "Program", "check", "compile", "load"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'loihic' has no attribute {name!r}")
