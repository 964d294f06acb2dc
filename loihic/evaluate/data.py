"""Data sets: inputs and what should come out, from files that may be larger than the memory."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from loihic.api import load_inputs
from loihic.errors import InputError, fail
from loihic.golden import fit_inputs
from loihic.ir.node import Array, Shape

Raw = Array | Mapping[str, Array]
TRUTH_KEYS = ("labels", "label", "targets", "target", "y")
NPY = b"\x93NUMPY"


def open_arrays(path: str | os.PathLike[str]) -> Array | dict[str, Array]:
    """The arrays of a .npy or .npz file; a .npy is mapped into memory, not read. Never unpickles.

    Raises:
        InputError: LHC101.
    """
    try:
        with open(path, "rb") as file:
            mapped = file.read(len(NPY)) == NPY
        if mapped:
            found: Array = np.load(path, mmap_mode="r", allow_pickle=False)
            return found
    except (OSError, ValueError):
        pass  # told below
    return load_inputs(path)


def split_truth(loaded: Raw, inputs: Collection[str], wanted: str | Array | None = None) -> tuple[Raw, Array | None]:
    """What goes into a program, and what should come out of it, if that is known.

    Args:
        loaded: the arrays of a data set.
        inputs: names of the program's inputs; an array of such a name is an input whatever it is called.
        wanted: labels or targets, or the name of their array in the data set, or of their file; by default an array
            called as one of `TRUTH_KEYS`.

    Raises:
        InputError: LHC701 if nothing is called `wanted`; LHC101 if its file cannot be read; LHC115 if several arrays
            may be meant.
    """
    named = dict(loaded) if isinstance(loaded, Mapping) else {}
    found = read_truth(loaded, wanted)
    if found is not None and not isinstance(found, str):
        return _without(loaded, inputs), found
    keys = [found] if found is not None else [key for key in TRUTH_KEYS if key in named and key not in inputs]
    if len(keys) > 1:
        fail("LHC115", f"the data set holds {' and '.join(keys)}", error=InputError,
             help=f"--labels {keys[0]} says which of them is meant")
    return _without(loaded, inputs, *keys), named[keys[0]] if keys else None


def read_truth(loaded: Raw, wanted: str | Array | None) -> str | Array | None:
    """`wanted` as in `split_truth`, read if it is the name of a file."""
    if isinstance(wanted, str) and not (isinstance(loaded, Mapping) and wanted in loaded):
        return _truth_file(wanted, loaded if isinstance(loaded, Mapping) else {})
    return wanted


def _without(loaded: Raw, inputs: Collection[str], *keys: str) -> Raw:
    """The arrays that are inputs, as far as that can be told: nothing that labels are wont to be called."""
    if not isinstance(loaded, Mapping):
        return loaded
    return {name: values for name, values in loaded.items()
            if name in inputs or (name not in keys and name not in TRUTH_KEYS)}


def _truth_file(wanted: str, named: Mapping[str, Array]) -> Array:
    if not Path(wanted).exists():
        held = f"; the data set holds {', '.join(named)}" if named else ""
        fail("LHC701", f"--labels {wanted} is neither a file nor an array of the data set", error=InputError,
             help=f"labels or targets as a .npy file, or the name of an array{held}")
    found = open_arrays(wanted)
    if not isinstance(found, dict):
        return found
    keys = list(found) if len(found) == 1 else [key for key in TRUTH_KEYS if key in found]
    if len(keys) != 1:
        fail("LHC115", f"{Path(wanted).name} holds the arrays {', '.join(found) or '(none)'}", error=InputError,
             help="a file of labels holds one array, or one that is called labels")
    return found[keys[0]]


def lay_out(raw: Raw, ports: Mapping[str, Shape]) -> dict[str, Array]:
    """Arrays per input, each (N, T, *shape), without looking at a value: these are checked shard by shard.

    Raises:
        InputError: LHC110, as for `Program.run`.
    """
    arrays = dict(raw) if isinstance(raw, Mapping) else {"": raw}
    arrays = {name: values if isinstance(values, np.ndarray) else np.asarray(values) for name, values in arrays.items()}
    # Zeros of the same shape take no memory, and are finite without being read.
    hollow = {name: np.broadcast_to(np.uint8(0), values.shape) if values.dtype.kind in "buif" else values
              for name, values in arrays.items()}
    fitted = fit_inputs(hollow if isinstance(raw, Mapping) else hollow[""], ports)
    found = {}
    for name, values in fitted.items():
        array = arrays[name] if name in arrays else next(iter(arrays.values()))
        found[name] = array if array.ndim == values.ndim else array[None]
    return found
