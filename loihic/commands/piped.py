"""A run between two pipes: parts of the input arrive on stdin as .npy arrays, and answers leave on stdout as such."""

from __future__ import annotations

import io
from collections.abc import Iterator
from math import prod
from tokenize import TokenError
from typing import IO, TYPE_CHECKING, NoReturn

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.node import Array

if TYPE_CHECKING:
    from loihic.program import Program
    from loihic.sim.stream import Stream

MAGIC = 8  # bytes with which an array begins, the version included
NUMBERS = "buif"  # kinds of types
LARGEST = 1 << 30  # bytes of a part
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def run_piped(program: Program, run: Stream, source: IO[bytes], sink: IO[bytes], *, dequantise: bool) -> None:
    """Answer every array that arrives with one of the same number of samples, until `source` ends.

    Args:
        program: with a single output.
        run: of it.
        source: .npy arrays (t, *shape) or (N, t, *shape), one after the other.
        sink: takes .npy arrays (N, t, *shape): one for each part, and one more for what is under way at the end.
        dequantise: whether they are in real units.

    Raises:
        InputError: LHC101 or LHC110 for what is no array or does not fit, LHC111 for its values.
    """
    for chunk in arrays(source):
        _write(sink, program, run.feed(chunk).outputs, dequantise)
    for piece in run.finish():
        _write(sink, program, piece.outputs, dequantise)


def arrays(source: IO[bytes]) -> Iterator[Array]:
    """The .npy arrays that follow one another, never unpickled.

    Raises:
        InputError: LHC101, LHC110.
    """
    while begin := source.read(MAGIC):
        try:
            version = np.lib.format.read_magic(io.BytesIO(begin))  # type: ignore[no-untyped-call]
            shape, fortran, dtype = HEADERS[version](source)  # type: ignore[no-untyped-call]
            if dtype.hasobject or any(not isinstance(n, int) or n < 0 for n in shape):
                raise ValueError("no array of numbers")
        except (ValueError, TypeError, KeyError, SyntaxError, OverflowError, TokenError) as error:
            _malformed(f"{type(error).__name__}: {error}".splitlines()[0])
        if dtype.kind not in NUMBERS:
            fail("LHC110", f"an array on stdin is of type {dtype}, not numbers", error=InputError)
        size = prod(shape) * dtype.itemsize
        if size > LARGEST:
            fail("LHC110", "an array on stdin is too large", param=f"{size} bytes; at most {LARGEST}",
                 help="send fewer steps at a time", error=InputError)
        content = source.read(size)
        if len(content) < size:
            _malformed(f"it ends after {len(content)} of {size} bytes")
        try:
            array = np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if fortran else "C")
        except (ValueError, OverflowError) as error:  # of a shape that no array has
            _malformed(f"{type(error).__name__}: {error}")
        yield array


def send(sink: IO[bytes], array: Array) -> None:
    """Write a .npy array and see it off; `numpy.save` cannot write to a pipe."""
    whole = io.BytesIO()
    np.save(whole, array, allow_pickle=False)
    sink.write(whole.getvalue())
    sink.flush()


def _write(sink: IO[bytes], program: Program, outputs: dict[str, Array], dequantise: bool) -> None:
    (values,) = (program.dequantise(outputs) if dequantise else outputs).values()
    send(sink, values)


def _malformed(why: str) -> NoReturn:
    fail("LHC101", "cannot read an array from stdin", param=why, error=InputError,
         help="send whole .npy arrays, one after the other")
