"""States on disk: a safetensors file whose header carries what the state belongs to, as JSON.

No pickle. Names, types and sizes are checked against the program before any number is read, and a digest tells a
damaged file from a whole one.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loihic.errors import InputError, fail
from loihic.files import write_atomic
from loihic.ir.node import Array
from loihic.sim.state import MOST_STEPS, RunState, check_program, expected

if TYPE_CHECKING:
    from loihic.program import Program

FORMAT_VERSION = 1
KEY = "loihic-state"
HEADER_LIMIT = 100_000_000  # bytes; safetensors' own limit
LENGTH = struct.Struct("<Q")  # of the header, with which a safetensors file begins
_HELP = "resume from another checkpoint, or begin anew"


@dataclass(frozen=True, kw_only=True)
class _Header:
    program: str
    batch: int
    step: int
    note: dict[str, int | str]
    digest: str
    body: str  # the JSON of the above but the digest, which is of it and the tensors
    declared: dict[str, tuple[str, tuple[int, ...]]]  # type and shape of each tensor
    size: int  # bytes before the first tensor


def save_state(state: RunState, path: str | Path) -> Path:
    """Write a state to `path`, atomically: whatever happens, there is the old file or the new one.

    Raises:
        InputError: LHC112.
    """
    from safetensors.numpy import save as save_tensors

    tensors = {key: np.ascontiguousarray(values) for key, values in sorted(state.tensors().items())}
    body = json.dumps({"program": state.program, "batch": state.batch, "step": state.step, "note": dict(state.note)})
    head = json.dumps({"version": FORMAT_VERSION, "digest": _digest(body, tensors), "body": body})
    encoded = bytes(save_tensors(tensors, metadata={KEY: head}))
    return write_atomic(Path(path), lambda file: file.write(encoded))


def load_state(path: str | Path, program: Program) -> RunState:
    """Read a state of `program`.

    Raises:
        InputError: LHC101 if the file is no state, LHC106 if it is damaged, LHC107 if it is of another version, LHC116
            if it belongs to another program.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            header = _header(path.name, file.read(LENGTH.size), file.read)
            check_program(header.program, program.graph)
            _check_sizes(path, header, program)
            file.seek(0)
            content = file.read()
    except OSError as error:
        fail("LHC101", f"cannot read {path.name or path}", param=error.strerror or str(error), error=InputError)
    return _state(path.name, header, content)


def _header(name: str, begin: bytes, read: Any) -> _Header:
    """The JSON in the safetensors header, read before any tensor."""
    try:
        (length,) = LENGTH.unpack(begin)
        if length > HEADER_LIMIT:
            raise ValueError("the header is too long")
        table = json.loads(read(length).decode())
        head = json.loads(table.pop("__metadata__")[KEY])
        version = int(head["version"])
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        fail("LHC101", f"{name} is not the state of a run", error=InputError,
             help="`loihic run --checkpoint FILE` writes one")
    if version != FORMAT_VERSION:
        fail("LHC107", f"{name} is of format version {version}", error=InputError,
             param=f"this loihic reads version {FORMAT_VERSION}", help="begin the run anew")
    try:
        text = str(head["body"])
        body = json.loads(text)
        note = {str(key): value for key, value in body["note"].items() if isinstance(value, int | str)}
        declared = {str(key): (str(one["dtype"]), tuple(int(n) for n in one["shape"])) for key, one in table.items()}
        header = _Header(program=str(body["program"]), batch=int(body["batch"]), step=int(body["step"]), note=note,
                         digest=str(head["digest"]), body=text, declared=declared, size=LENGTH.size + length)
        if not (1 <= header.batch < MOST_STEPS and 0 <= header.step < MOST_STEPS):
            raise ValueError("numbers out of range")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        _damaged(name, error)
    return header


def _check_sizes(path: Path, header: _Header, program: Program) -> None:
    """Check that the file holds the tensors of a state of the program, and is as long as they are."""
    wanted = expected(program.graph, header.batch, header.step)
    for key in sorted(wanted.keys() | header.declared.keys()):
        if header.declared.get(key) != ("I64", wanted.get(key)):
            dtype, shape = header.declared.get(key, ("nothing", ()))
            fail("LHC106", f"{path.name} is damaged", error=InputError, help=_HELP,
                 param=f"{key[:80]} is {dtype} {shape}, the program has {wanted.get(key, 'nothing')}"[:300])
    size = header.size + 8 * sum(prod(shape) for shape in wanted.values())
    if path.stat().st_size != size:
        fail("LHC106", f"{path.name} is damaged", error=InputError, help=_HELP,
             param=f"{path.stat().st_size} bytes, {size} belong there")


def _state(name: str, header: _Header, content: bytes) -> RunState:
    from safetensors import SafetensorError
    from safetensors.numpy import load as load_tensors

    try:
        tensors = dict(sorted(load_tensors(content).items()))
        if _digest(header.body, tensors) != header.digest:
            raise ValueError("it does not match its checksum")
    except (SafetensorError, ValueError) as error:
        _damaged(name, error)
    return RunState.of_tensors(tensors, program=header.program, batch=header.batch, step=header.step, note=header.note)


def _damaged(name: str, error: Exception) -> Any:
    fail("LHC106", f"{name} is damaged", param=f"{type(error).__name__}: {error}"[:300], error=InputError, help=_HELP)


def _digest(body: str, tensors: Mapping[str, Array]) -> str:
    """SHA-256 of the JSON and of every tensor's name, shape and bytes; all are int64."""
    digest = hashlib.sha256(body.encode())
    for name, array in tensors.items():
        digest.update(f"{name}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
