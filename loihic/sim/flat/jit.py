"""numba's compiler as loihic uses it: without the GIL, and kept on disk from one process to the next."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import numba

Word = Any  # a whole number of a kernel, of the bits that its name or a cast says
F = TypeVar("F", bound=Callable[..., Any])


def inner(function: F) -> F:
    """A part of a kernel."""
    compiled: F = numba.njit(function, nogil=True)
    return compiled


def kernel(function: F) -> F:
    """Compile at the first call; later processes find the result on disk, if there is a place to keep it."""
    if CACHE is None:
        return inner(function)
    settings: Any = numba.config
    before = settings.CACHE_DIR
    settings.CACHE_DIR = str(CACHE)  # read where the function is decorated
    try:
        kept: Any = numba.njit(function, nogil=True, cache=True)
    finally:
        settings.CACHE_DIR = before
    fresh: Any = inner(function)

    @wraps(function)
    def run(*arguments: Any) -> Any:
        try:
            return kept(*arguments)
        except OSError:  # the disk is full, say: what was compiled cannot be kept, and has not run yet
            return fresh(*arguments)

    compiled: Any = run
    return compiled  # type: ignore[no-any-return]


def is_compiled() -> bool:
    """Whether the kernels are on disk already; else the first run compiles them, which takes some seconds."""
    return CACHE is not None and any(CACHE.rglob("*.nbc"))


def _cache() -> Path | None:
    """A folder for these very sources, or None where none can be written to.

    Never numba's own choice: that looks at the date of one file, and a kernel has parts in several.
    """
    digest = hashlib.sha256(f"{numba.__version__} {sys.implementation.cache_tag}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    try:
        given = os.environ.get("LOIHIC_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache",
                                                       "loihic")
        folder = Path(given) / f"kernels-{digest.hexdigest()[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return None


CACHE = _cache()
