"""numba's compiler as loihic uses it: without the GIL, and kept on disk from one process to the next."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
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
    settings: Any = numba.config
    before = settings.CACHE_DIR
    settings.CACHE_DIR = str(CACHE)  # read where the function is decorated
    try:
        compiled: F = numba.njit(function, nogil=True, cache=True)
    except RuntimeError:  # the folder cannot be written to
        compiled = inner(function)
    finally:
        settings.CACHE_DIR = before
    return compiled


def is_compiled() -> bool:
    """Whether the kernels are on disk already; else the first run compiles them, which takes some seconds."""
    return any(CACHE.rglob("*.nbc"))


def _cache() -> Path:
    """A folder for these very sources: numba looks at the date of one file only, and a kernel has parts in several."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    base = os.environ.get("LOIHIC_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loihic"
    return Path(base) / f"kernels-{digest.hexdigest()[:16]}"


CACHE = _cache()
