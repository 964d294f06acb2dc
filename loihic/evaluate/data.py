"""Data sets: inputs and what should come out, from files that may be larger than the memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from loihic.api import load_inputs
from loihic.errors import InputError, fail
from loihic.ir.node import Array

Raw = Array | Mapping[str, Array]
TRUTH_KEYS = ("labels", "label", "targets", "target", "y")


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
    found = load_inputs(wanted, mapped=True)
    if not isinstance(found, dict):
        return found
    keys = list(found) if len(found) == 1 else [key for key in TRUTH_KEYS if key in found]
    if len(keys) != 1:
        fail("LHC115", f"{Path(wanted).name} holds the arrays {', '.join(found) or '(none)'}", error=InputError,
             help="a file of labels holds one array, or one that is called labels")
    return found[keys[0]]
