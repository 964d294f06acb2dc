"""A shelf: a folder of what a long run has finished so far, from which a later run goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loihic.errors import InputError, fail
from loihic.files import write_atomic
from loihic.ir.node import Array

NAME = re.compile(r"[0-9a-f]{64}\.(shard|point)|\.[0-9a-f]{64}\.(shard|point)\..+")  # and what was half written


class Shelf:
    """Finished pieces by their keys, each in a file of its own that is written atomically.

    The key is a digest of everything that a piece depends on, so that a stale one is never found. Files hold arrays
    (safetensors) or JSON; nothing is unpickled, and a damaged file counts as missing.

    Args:
        folder: where they lie; made when the first is put there.
        resume: whether to take what is there already; else it is left alone until `clear`.

    Raises:
        InputError: LHC112 if there is a file in place of the folder.
    """

    def __init__(self, folder: Path, *, resume: bool = False) -> None:
        self.folder, self.resume = folder, resume
        if folder.exists() and not folder.is_dir():
            fail("LHC112", f"cannot write {folder.name}", param="it is a file, and should be a folder",
                 error=InputError, help="move it away, or give the output another name")

    def __len__(self) -> int:
        return sum(not file.name.startswith(".") for file in self._files())

    def arrays(self, key: str) -> dict[str, Array] | None:
        """The arrays under `key`, if they are there and whole."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        content = self._read(f"{key}.shard")
        try:
            return None if content is None else dict(load(content))
        except (SafetensorError, KeyError, ValueError, TypeError):
            return None

    def put_arrays(self, key: str, arrays: Mapping[str, Array]) -> None:
        """Keep arrays under `key`.

        Raises:
            InputError: LHC112.
        """
        import numpy as np
        from safetensors.numpy import save

        content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        self._write(f"{key}.shard", bytes(content))

    def record(self, key: str) -> dict[str, Any] | None:
        """The JSON object under `key`, if it is there and whole."""
        content = self._read(f"{key}.point")
        try:
            found = None if content is None else json.loads(content)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def put_record(self, key: str, record: Mapping[str, Any]) -> None:
        """Keep plain data under `key`.

        Raises:
            InputError: LHC112.
        """
        self._write(f"{key}.point", json.dumps(record).encode())

    def clear(self) -> None:
        """Remove what is there; the folder too, unless something else lies in it."""
        try:
            for file in self._files():
                file.unlink(missing_ok=True)
            if self.folder.is_dir() and not any(self.folder.iterdir()):
                self.folder.rmdir()
        except OSError as error:
            fail("LHC112", f"cannot clear {self.folder.name}", param=error.strerror or str(error), error=InputError,
                 help="check the folder and its permissions")

    def _files(self) -> list[Path]:
        return [file for file in self.folder.iterdir() if NAME.fullmatch(file.name)] if self.folder.is_dir() else []

    def _read(self, name: str) -> bytes | None:
        if not self.resume:
            return None
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            fail("LHC112", f"cannot write {self.folder.name}", param=error.strerror or str(error), error=InputError,
                 help="check the folder, its permissions and the free space")
        write_atomic(self.folder / name, lambda file: file.write(content))
