"""Widths: which format each synapse group is to have, as users say it, on the command line or in a TOML file."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from loihic.errors import InputError, fail
from loihic.files import write_atomic
from loihic.ir.node import Array
from loihic.quant.formats import BYTES, Format

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

AUTO = "auto"
LARGEST_FILE = 1 << 24  # bytes of a TOML file
HEADER = """\
# How each synapse group of {model} is stored, written by loihic; `loihic compile --weight-bits THIS_FILE` takes it.
# bits: "8" one synapse a connection, "8f" one of two exponents a connection, "12" two synapses (8 + 4 bits), "auto".
# scale: integer units of a population's summed input per real unit; one number, or one per channel or neuron.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Widths:
    """The rules, the last one that fits a name counts.

    Attributes:
        rules: (pattern with * and ?, format; None to be chosen by the compiler).
        scales: given scales of populations, one number or an array.
    """

    rules: tuple[tuple[str, Format | None], ...] = ()
    scales: Mapping[str, Array] = field(default_factory=dict)

    def __str__(self) -> str:
        return ",".join((f"{pattern}=" if pattern != "*" else "") + (str(form) if form else AUTO)
                        for pattern, form in self.rules) or str(BYTES)

    def of(self, names: Iterable[str]) -> Format | None:
        """The format of a group that has these names (its own, and the user's nodes that it came from)."""
        found: Format | None = BYTES
        known = tuple(names)
        for pattern, form in self.rules:
            if any(fnmatchcase(name, pattern) for name in known):
                found = form
        return found

    def unmatched(self, groups: Iterable[Iterable[str]]) -> list[str]:
        """The patterns that fit no name of any group; the one for all others always fits."""
        names = [name for group in groups for name in group]
        return [pattern for pattern, _ in self.rules
                if pattern != "*" and not any(fnmatchcase(name, pattern) for name in names)]

    @classmethod
    def parse(cls, text: str | int) -> Widths:
        """Rules from ``8``, ``auto`` or ``conv2=4,lif*=8f,auto``; a rule without a name is for all others.

        Raises:
            InputError: LHC702.
        """
        rules: list[tuple[str, Format | None]] = []
        for item in str(text).split(","):
            pattern, equals, width = item.strip().rpartition("=")
            form = None if width.strip() == AUTO else Format.parse(width)
            if equals and not pattern.strip():
                fail("LHC702", f"{item!r} names no node", error=InputError, help="as in conv2=4,lif*=8,auto")
            rules.append((pattern.strip() or "*", form))
        return cls(rules=tuple(sorted(rules, key=lambda rule: rule[0] != "*")))

    @classmethod
    def read(cls, path: Path) -> Widths:
        """Rules and scales from a TOML file, as `write_widths` writes it.

        Raises:
            InputError: LHC101 for the file, LHC702 for what it says.
        """
        try:
            if path.stat().st_size > LARGEST_FILE:
                fail("LHC101", f"{path.name} is too large for a list of widths", error=InputError)
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            fail("LHC101", f"cannot read {path.name or path}", param=str(error)[:200], error=InputError,
                 help="`loihic compile --dump-bits FILE.toml` writes one")
        unknown = sorted(set(data) - {"default", "synapses", "populations"})
        if unknown:
            fail("LHC702", f"{path.name}: unknown keys {', '.join(unknown)}", error=InputError,
                 help="there are default, [synapses] and [populations]")
        rules = [("*", _format(path, "default", data.get("default", "8")))]
        rules += [(re.sub(r"([\[\]?*])", r"[\1]", name), _format(path, name, entry.get("bits", "8")))
                  for name, entry in _tables(path, data, "synapses")]
        scales = {name: _scale(path, name, entry["scale"])
                  for name, entry in _tables(path, data, "populations") if "scale" in entry}
        return cls(rules=tuple(rules), scales=scales)


def _tables(path: Path, data: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any]]]:
    tables = data.get(key, {})
    if not isinstance(tables, dict) or not all(isinstance(entry, dict) for entry in tables.values()):
        fail("LHC702", f"{path.name}: [{key}] must hold a table per node", error=InputError,
             help='as in [synapses.conv2] with bits = "8"')
    return list(tables.items())


def _format(path: Path, name: str, value: Any) -> Format | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        fail("LHC702", f"{path.name}: {name}: {value!r} is not a width", error=InputError, help='as in bits = "8f"')
    return None if value == AUTO else Format.parse(str(value))


def _scale(path: Path, name: str, value: Any) -> Array:
    try:
        scale = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        scale = np.zeros(0)
    if scale.ndim > 1 or not scale.size or not np.all(np.isfinite(scale)) or np.any(scale <= 0):
        fail("LHC702", f"{path.name}: the scale of {name} must be one positive number or a list of them",
             error=InputError)
    return scale


def write_widths(path: Path, model: str, formats: Mapping[str, str], scales: Mapping[str, Array]) -> Path:
    """Write a choice as TOML, atomically.

    Args:
        path: the file.
        model: its name, for the reader.
        formats: by group, as `Format` spells them.
        scales: by population, one number or an array; written so that reading gives the same bits.

    Raises:
        InputError: LHC112.
    """
    lines = [HEADER.format(model=" ".join(model.split()))]
    for name, bits in formats.items():
        lines.append(f'[synapses.{_key(name)}]\nbits = "{bits}"\n')
    for name, scale in scales.items():
        numbers = [repr(float(number)) for number in np.atleast_1d(scale)]
        lines.append(f"[populations.{_key(name)}]\nscale = {numbers[0] if scale.ndim == 0 else ''}"
                     f"{'[' + ', '.join(numbers) + ']' if scale.ndim else ''}\n")
    return write_atomic(path, lambda file: file.write("\n".join(lines).encode()))


def _key(name: str) -> str:
    """A name as a quoted TOML key."""
    escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in name)
    return f'"{escaped}"'
