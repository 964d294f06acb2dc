"""Numbers with a unit, a source and a confidence, read from TOML files that may build on one another."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from loihic.errors import InputError, fail

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIDENCES = {"H": "primary source", "M": "one secondary source", "L": "inferred", "X": "assumed"}
FILE_BYTES = 1_000_000  # the shipped files have less than a hundredth of it
LINE_CHARACTERS = 2000  # tomllib takes time with the square of a dotted name's length, and a name ends with its line
DEPTH = 8  # tables within tables; the shipped files have two
PARTS = ("value", "low", "high", "unit", "source", "confidence")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
LARGEST = 1e300  # far from where sums of such numbers would be infinite
SHOWN = 40  # characters of a user's value or name in a message


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A number and where it comes from.

    Attributes:
        value: in `unit`, never negative.
        unit: what it counts.
        source: where it was found.
        confidence: a key of `CONFIDENCES`.
        low, high: between which the true value lies, low <= value <= high; None where nothing is known of that side.
    """

    value: int | float
    unit: str
    source: str
    confidence: str
    low: int | float | None = None
    high: int | float | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """`low` and `high`, each replaced by `value` where nothing is known of it."""
        return (float(self.value if self.low is None else self.low),
                float(self.value if self.high is None else self.high))


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """What one TOML file says by itself.

    Attributes:
        path: of the file.
        builds_on: the text after `base`, the name of what the file overrides numbers of.
        chip: the text after `chip` in the table `system`, the name of what the system is made of.
        tables: the numbers, not yet looked at.
    """

    path: Path
    builds_on: str | None
    chip: str | None
    tables: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What the file describes: its own name without the ending."""
        return self.path.stem

    def base(self, known: Collection[str], kind: str, seen: tuple[str, ...] = ()) -> str | None:
        """The name after `base`, if there is one.

        Args:
            known: names that it may be. No other is ever made a path of, so that a file cannot reach another.
            kind: what those are names of.
            seen: names of the files that build on this one.

        Raises:
            InputError: LHC101 for an unknown name, and for a file that builds on itself.
        """
        base = self.builds_on
        if base is None:
            return None
        trail = (*seen, self.name)
        if base in trail:
            refuse(self.path, "base", f"builds on itself: {' -> '.join(shown(name) for name in (*trail, base))}",
                   help="give the file another name than what it builds on")
        if base not in known:
            refuse(self.path, "base", f"= {shown(base)} is no {kind} that loihic knows",
                   help=nearest_names(base, known))
        return base

    def numbers(self, base: Mapping[str, Number] | None = None) -> dict[str, Number]:
        """The numbers of the file by their dotted names.

        Args:
            base: of the file that this one builds on: no other names are known, and units are inherited from it.
                None for a file that stands alone, which may name its numbers as it likes.

        Raises:
            InputError: LHC101 for a number that lacks a part, and for one that the base does not have.
        """
        return dict(_numbers(self.tables, "", 1, self.path, base))


def read_sheet(path: Path) -> Sheet:
    """Read a TOML file.

    Args:
        path: of a regular file of at most `FILE_BYTES`.

    Raises:
        InputError: LHC101 for a file that cannot be read, is too large, or is not TOML.
    """
    tables = _load(path)
    builds_on = _link(tables, "base", "base", path)
    system = tables.get("system")
    chip = _link(system, "chip", "system.chip", path) if isinstance(system, dict) else None
    return Sheet(path=path, builds_on=builds_on, chip=chip, tables=tables)


def refuse(path: Path, name: str, what: str, *, help: str = "") -> NoReturn:
    """Raise LHC101 for an entry of a file."""
    fail("LHC101", f"{shown(path.name)}: the numbers in this file are malformed", param=f"{name} {what}", help=help,
         error=InputError)


def nearest_names(name: str, known: Collection[str]) -> str:
    """What the user may have meant by a name, or all there is, as a line of help."""
    near = get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(known))}"


def shown(value: object) -> str:
    """A value or name from a file, short enough for a message and on one line, so that it cannot pass for another."""
    try:
        text = value if isinstance(value, str) and value.isprintable() else repr(value)
    except ValueError:  # Python does not print whole numbers of thousands of digits
        return "a number too long to print"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _load(path: Path) -> dict[str, Any]:
    try:
        # A pipe would keep the reader waiting, and a device has no end.
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            raise OSError("not a regular file")
        with path.open("rb") as file:
            data = file.read(FILE_BYTES + 1)
        if len(data) > FILE_BYTES:
            raise OSError(f"larger than {FILE_BYTES} bytes")
        text = data.decode("utf-8").replace("\r\n", "\n")
        if any(len(line) > LINE_CHARACTERS for line in text.split("\n")):
            raise ValueError(f"a line of more than {LINE_CHARACTERS} characters; a long text goes over several lines "
                             "within three quotes")
        tables: dict[str, Any] = tomllib.loads(text)
        return tables
    except RecursionError:
        _unreadable(path, "nested too deeply")
    except OSError as error:
        _unreadable(path, error.strerror or str(error))
    except ValueError as error:  # not UTF-8, not TOML, a number of too many digits, or no possible path
        _unreadable(path, str(error))


def _unreadable(path: Path, problem: str) -> NoReturn:
    fail("LHC101", f"{shown(path.name or str(path))}: the file cannot be read", param=problem, error=InputError)


def _link(table: dict[str, Any], key: str, name: str, path: Path) -> str | None:
    """Take the name of another file out of a table, if there is one."""
    if key not in table:
        return None
    link = table.pop(key)
    if not isinstance(link, str):
        refuse(path, name, f"must be a name in quotes, not {shown(link)}")
    return link


def _numbers(table: Mapping[str, Any], prefix: str, depth: int, path: Path,
             base: Mapping[str, Number] | None) -> Iterator[tuple[str, Number]]:
    """The numbers within nested tables; a table with a value is one."""
    for key, entry in table.items():
        name = f"{prefix}{shown(key)}"
        if not NAME.fullmatch(key):
            refuse(path, name, "is no name: small letters, digits, - and _")
        if not isinstance(entry, dict):
            refuse(path, name, "must be a table with value, unit, source and confidence")
        if "value" in entry:
            if base is not None and name not in base:
                refuse(path, name, "is no number of what this file builds on", help=nearest_names(name, base))
            yield name, _number(entry, name, path, base[name].unit if base is not None else None)
        elif base is not None and name in base:
            refuse(path, f"{name}.value", "is missing")
        elif depth >= DEPTH:
            refuse(path, name, "is nested too deeply")
        else:
            yield from _numbers(entry, f"{name}.", depth + 1, path, base)


def _number(entry: Mapping[str, Any], name: str, path: Path, unit: str | None) -> Number:
    """One number; `unit` is the inherited one."""
    for key in entry:
        if key not in PARTS:
            refuse(path, f"{name}.{shown(key)}", "is no part of a number", help=nearest_names(key, PARTS))
    value = _real(entry["value"], f"{name}.value", path)
    low = _real(entry["low"], f"{name}.low", path) if "low" in entry else None
    high = _real(entry["high"], f"{name}.high", path) if "high" in entry else None
    if low is not None and low > value:
        refuse(path, f"{name}.low", f"must be at most the value, {value:g}")
    if high is not None and high < value:
        refuse(path, f"{name}.high", f"must be at least the value, {value:g}")
    own = entry.get("unit", unit)
    for key, text in (("unit", own), ("source", entry.get("source"))):
        if not isinstance(text, str) or not text.strip():
            refuse(path, f"{name}.{key}", "must be a text that is not empty")
    if unit is not None and own != unit:
        # Nothing here converts, so that J taken for pJ would go unseen.
        refuse(path, f"{name}.unit", f"must be {unit!r} or left out", help="give the number in that unit")
    confidence = entry.get("confidence")
    if not isinstance(confidence, str) or confidence not in CONFIDENCES:
        refuse(path, f"{name}.confidence", f"must be one of {', '.join(CONFIDENCES)}")
    return Number(value=value, unit=own, source=entry["source"], confidence=confidence, low=low, high=high)


def _real(value: object, name: str, path: Path) -> int | float:
    # A bool is an int to Python, and none of these numbers can be negative.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST:
        refuse(path, name, f"must be a number from 0, not {shown(value)}")
    return value
