"""Writing files so that an interrupted run leaves the old file or the new one, never half of either."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from loihic.errors import InputError, fail


def write_atomic(path: Path, write: Callable[[IO[bytes]], object]) -> Path:
    """Let `write` fill a temporary file beside `path`, then rename it; a link stays, and what it leads to is replaced.

    Raises:
        InputError: LHC112, if the folder or disk does not take it; the temporary file is removed. Also if `path` is
            something else than a file: a folder, a device, a pipe.
    """
    check_replaceable(path)
    place = Path(os.path.realpath(path))
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, place)
        temporary = None
    except OSError as error:
        fail("LHC112", f"cannot write {path.name}", param=error.strerror or str(error), error=InputError,
             help="check the folder, its permissions and the free space")
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
    return path


def check_replaceable(path: Path) -> None:
    """Check that `path` is a file or nothing: a folder, a device or a pipe must not be replaced by a file.

    Raises:
        InputError: LHC112.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return  # nothing is there, or writing says what is wrong
    if not stat.S_ISREG(mode):
        fail("LHC112", f"cannot write {path}", error=InputError, help="give a file's name",
             param="it is a folder" if stat.S_ISDIR(mode) else "it is no regular file")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
