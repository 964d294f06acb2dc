"""Make lava-nc 0.10.0 importable on Python 3.11 and 3.12 without touching its installation.

Lava's module ``lava.magma.compiler.var_model`` gives dataclass fields a mutable default (``x: ByteEncoder =
ByteEncoder()``), which Python refuses from 3.11 on. `install` puts a finder before Python's own that loads this one
module from a source in which those defaults are factories. Standard library only: exported folders carry a copy.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

MODULE = "lava.magma.compiler.var_model"
_IMPORT = re.compile(r"^from dataclasses import ", re.MULTILINE)
_MUTABLE_DEFAULT = re.compile(r"^(\s+\w+\s*:\s*(\w+Encoder)\s*=\s*)\2\(\)\s*$", re.MULTILINE)


def rewrite(source: str) -> str:
    """`source` of the module with every mutable ``...Encoder()`` default made a default factory."""
    patched, count = _MUTABLE_DEFAULT.subn(r"\1field(default_factory=\2)", source)
    return _IMPORT.sub("from dataclasses import field, ", patched, count=1) if count else source


class _RewritingLoader(SourceFileLoader):
    """Loads the module from its rewritten source, and never from or into a bytecode cache.

    A cached file would be one in Lava's own folder, and would hold code that does not belong to Lava's source.
    """

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        source = importlib.util.decode_source(self.get_data(path))
        code: CodeType = self.source_to_code(rewrite(source).encode(), path)
        return code


class _Finder:
    """Finds the one module where Python finds it, but with the loader that rewrites it.

    Attributes:
        loihic_lava: a mark by which `install` knows the finder, also that of a copy of this file in another folder.
    """

    loihic_lava = True

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != MODULE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _RewritingLoader(fullname, spec.origin)
        return spec


def install() -> None:
    """Install the finder, once; does nothing before Python 3.11, where Lava loads as it is."""
    if sys.version_info >= (3, 11) and not any(getattr(finder, "loihic_lava", False) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder)
