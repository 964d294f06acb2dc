"""A .npy file that is written bit by bit, and that an interrupted run leaves behind to be gone on with."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.node import Array, Shape

PART = ".part"  # ends the name of a file that is not complete


class NpyFile:
    """An array (N, T, *shape) on disk, filled by samples and steps under a temporary name beside its own.

    Written rather than mapped: a full disk is an error then, and not the end of the process.

    Args:
        path: where the array lies once it is complete.
        shape: of the array.
        dtype: of its elements.
        resume: whether to go on with what an earlier run has left at `path` or its temporary name.

    Raises:
        InputError: LHC112 if it cannot be written, LHC116 if the earlier run has left nothing, or something else.
    """

    def __init__(self, path: Path, shape: Shape, dtype: Any, *, resume: bool = False) -> None:
        self.path, self.shape, self.dtype = path, shape, np.dtype(dtype)
        self.part = path.with_name(path.name + PART)
        self.row = int(np.prod(shape[2:], dtype=np.int64)) * self.dtype.itemsize  # bytes of one step
        self.begin = 0
        self.file: IO[bytes] | None = None
        try:
            with self._writing():
                self.file = self._resumed() if resume else self._fresh()
        except BaseException:
            self.close(remove=not resume)
            raise

    def put(self, sample: int, step: int, values: Array) -> None:
        """Write values (n, t, *shape) from `sample` and `step` on.

        Raises:
            InputError: LHC112.
        """
        if self.file is None or not values.shape[1]:
            return
        with self._writing():
            for index, own in enumerate(values):
                self.file.seek(self.begin + ((sample + index) * self.shape[1] + step) * self.row)
                self.file.write(np.ascontiguousarray(own, dtype=self.dtype).tobytes())

    def sync(self) -> None:
        """Let what was written survive a loss of power.

        Raises:
            InputError: LHC112.
        """
        if self.file is not None:
            with self._writing():
                self.file.flush()
                os.fsync(self.file.fileno())

    def finish(self) -> None:
        """Give the file its name.

        Raises:
            InputError: LHC112.
        """
        self.sync()
        self.close()
        with self._writing():
            os.replace(self.part, self.path)

    def close(self, *, remove: bool = False) -> None:
        """Leave the file under its temporary name, or remove it."""
        if self.file is not None:
            with contextlib.suppress(OSError):  # what is left cannot be written to a full disk
                self.file.close()
            self.file = None
            if remove:
                self.part.unlink(missing_ok=True)

    def _fresh(self) -> IO[bytes]:
        file = self.part.open("wb")
        self.file = file  # so that `close` removes it if the rest fails
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
        self.begin = file.tell()
        file.truncate(self.begin + self.shape[0] * self.shape[1] * self.row)
        return file

    def _resumed(self) -> IO[bytes]:
        """What the earlier run has left; a complete file becomes one under way again."""
        found = next((path for path in (self.part, self.path) if path.is_file()), None)
        if found is None:
            fail("LHC116", f"the interrupted run's output {self.part.name} is not there", error=InputError,
                 help="give the same -o as to the interrupted run, or begin anew")
        file = found.open("r+b")
        try:
            self.begin, shape, dtype = _header(file)
            size = file.seek(0, os.SEEK_END) - self.begin
            if (shape, dtype, size) != (self.shape, self.dtype, self.shape[0] * self.shape[1] * self.row):
                fail("LHC116", f"{found.name} is not this run's output", error=InputError,
                     param=f"{dtype} {shape}, {size} bytes; this run writes {self.dtype} {self.shape}",
                     help="give the same input and options as to the interrupted run, or begin anew")
            os.replace(found, self.part)
        except BaseException:
            file.close()
            raise
        return file

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            fail("LHC112", f"cannot write {self.path.name}", param=error.strerror or str(error), error=InputError,
                 help="check the folder, its permissions and the free space")


def _header(file: IO[bytes]) -> tuple[int, Shape, Any]:
    """Where the numbers begin, and their shape and type; those of no array if it is no .npy file."""
    try:
        if np.lib.format.read_magic(file) == (1, 0):  # type: ignore[no-untyped-call]
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)  # type: ignore[no-untyped-call]
            return file.tell(), () if fortran else shape, dtype
    except (ValueError, SyntaxError, TypeError):
        pass
    return 0, (), np.dtype("V")
