"""Arrays in and out of the commands that run a program."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from loihic.errors import InputError, fail

if TYPE_CHECKING:
    from loihic.program import Program, Result


def read_inputs(program: Program, path: str | None, samples: int | None) -> dict[str, Any] | None:
    """The arrays (N, T, *shape) of an input file, the first `samples` of them; None for the golden input.

    Raises:
        InputError: LHC101 or LHC110.
    """
    from loihic.api import load_inputs
    from loihic.golden import fit_inputs

    if path is None:
        return None
    fitted = fit_inputs(load_inputs(path), program.input_shapes)
    return fitted if samples is None else {name: values[:samples] for name, values in fitted.items()}


def map_inputs(program: Program, path: str, samples: int | None) -> dict[str, Any]:
    """As `read_inputs`, but of a .npy file nothing is read until it is used, and no value has been looked at.

    Raises:
        InputError: LHC101 or LHC110.
    """
    from loihic.api import load_inputs
    from loihic.golden import fit_shapes

    fitted = fit_shapes(load_inputs(path, mapped=True), program.input_shapes)
    return {name: values[:samples] for name, values in fitted.items()}


def results(program: Program, result: Result, *, dequantise: bool) -> dict[str, Any]:
    """What an .npz of results holds: outputs by name, recorded states as ``NODE.STATE``.

    Raises:
        InputError: LHC701, if an output is called as a recorded state is.
    """
    outputs = program.dequantise(result.outputs) if dequantise else dict(result.outputs)
    recorded = {f"{node}.{state}": values for (node, state), values in result.recorded.items()}
    check_names(program, result.recorded)
    return {**outputs, **recorded}


def check_names(program: Program, record: Iterable[tuple[str, str]]) -> None:
    """Check that results can be told apart by their names.

    Raises:
        InputError: LHC701, if an output is called as a recorded state is.
    """
    both = sorted(set(program.outputs) & {f"{node}.{state}" for node, state in record})
    if both:
        fail("LHC701", f"the output {both[0]} and a recorded state have the same name", error=InputError,
             help="record that state from Python: program.run(x, record=...)")


def write_npz(path: Path, arrays: Mapping[str, Any]) -> Path:
    """Write an .npz of any names (`numpy.savez` takes no array called ``file``); the same arrays, the same bytes.

    Raises:
        InputError: LHC112; an older file is then untouched.
    """
    from loihic.files import write_atomic

    return write_atomic(path, lambda file: _write_zip(file, arrays))


def _write_zip(file: IO[bytes], arrays: Mapping[str, Any]) -> None:
    import numpy as np

    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # of 1980: no time of writing
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)  # type: ignore[no-untyped-call]
