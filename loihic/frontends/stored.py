"""Bytes of a stranger's file: read once, of a size that was checked before, never waiting for a pipe."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from loihic.errors import InputError, fail


def stored_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """The whole of a regular file.

    Raises:
        InputError: LHC101 if it is missing, empty, larger than `limit` bytes or no regular file.
    """
    shown = os.fspath(path)
    try:
        with open(path, "rb", opener=open_without_waiting) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                fail("LHC101", f"{shown} is not a regular file", error=InputError)
            if status.st_size > limit:
                fail("LHC101", f"{shown} is too large", param=f"{status.st_size} bytes; the limit is {limit}",
                     error=InputError)
            image = stream.read(limit)
    except FileNotFoundError:
        fail("LHC101", f"{shown} does not exist", error=InputError)
    except (OSError, ValueError) as error:
        fail("LHC101", f"{shown} cannot be read", param=short(error), error=InputError)
    if not image:
        fail("LHC101", f"{shown} is empty", help="export or download it again", error=InputError)
    return image


def stored_digest(path: Path) -> str:
    """SHA-256 of a regular file of any size; nothing if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb", opener=open_without_waiting) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return ""
            while block := stream.read(1 << 20):
                digest.update(block)
    except (OSError, ValueError):
        return ""
    return digest.hexdigest()


def short(error: BaseException) -> str:
    """The first line of an error of the library underneath, without its pages of context."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200] or type(error).__name__


def open_without_waiting(path: str | Path, flags: int) -> int:
    """Open so that a named pipe without a writer is refused rather than waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
