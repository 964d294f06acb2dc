"""A .npy file that is written bit by bit, and that an interrupted run leaves behind to be gone on with."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from loihic.commands.row_digest import RowDigest, Rows
from loihic.errors import InputError, fail
from loihic.ir.node import Array, Shape

PART = ".part"  # ends the name of a file that is not complete


def part_of(path: Path) -> Path:
    """Where a file lies that will be `path` once it is complete."""
    return path.with_name(path.name + PART)


class NpyFile:
    """An array (N, T, *shape) on disk, filled by samples and steps under a temporary name beside its own.

    Written rather than mapped: a full disk is an error then, and not the end of the process.

    Args:
        path: where the array lies once it is complete.
        shape: of the array.
        dtype: of its elements.
        traced: whether a digest is kept of what is written, which has to come in order.
        left: what an earlier run must have left at `path` or its temporary name, to go on with; a new file without.

    Raises:
        InputError: LHC112 if it cannot be written, LHC116 if the earlier run has left nothing, or something else.
    """

    def __init__(self, path: Path, shape: Shape, dtype: Any, *, traced: bool = False, left: Rows | None = None) -> None:
        self.path, self.shape, self.dtype = path, shape, np.dtype(dtype)
        self.part = self.place = part_of(path)  # the file is at its place, which is `path` if it was complete before
        self.digest = RowDigest() if traced else None
        self.row = int(np.prod(shape[2:], dtype=np.int64)) * self.dtype.itemsize  # bytes of one step
        self.begin = 0
        self.file: IO[bytes] | None = None
        try:
            with self._writing():
                self.file = self._fresh() if left is None else self._resumed(left)
        except BaseException:
            self.close(remove=left is None)
            raise

    def put(self, sample: int, step: int, values: Array) -> None:
        """Write values (n, t, *shape) from `sample` and `step` on.

        Raises:
            InputError: LHC112.
            ValueError: they do not lie in the array; nothing is then written.
        """
        lies_within = (values.shape[2:] == self.shape[2:] and 0 <= sample <= self.shape[0] - values.shape[0]
                       and 0 <= step <= self.shape[1] - values.shape[1])
        if not lies_within:
            raise ValueError(f"{values.shape} from sample {sample} and step {step} on leave the array {self.shape}")
        if self.file is None:
            return
        with self._writing():
            if values.shape[1]:
                self._move(self.part)
            for index, own in enumerate(values):
                data = np.ascontiguousarray(own, dtype=self.dtype).tobytes()
                self.file.seek(self.begin + ((sample + index) * self.shape[1] + step) * self.row)
                self.file.write(data)
                if self.digest is not None:
                    self.digest.take(sample, index, data)

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
            self._move(self.path)

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

    def _move(self, place: Path) -> None:
        if self.place != place:
            os.replace(self.place, place)
            self.place = place

    def _resumed(self, left: Rows) -> IO[bytes]:
        """What the earlier run has left; a complete file becomes one under way when it is written to."""
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
            self.digest = left.read(file, self.begin, self.shape[1], self.row)
            if self.digest.hexdigest() != left.digest:
                fail("LHC116", f"{found.name} is not this run's output", error=InputError,
                     param="it holds other values than the interrupted run had written at its checkpoint",
                     help="give the same -o as to the interrupted run, or begin anew")
        except BaseException:
            file.close()
            raise
        self.place = found
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
