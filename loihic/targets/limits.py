"""What a chip holds and costs: numbers with a unit, a source and a confidence, read from `targets/*.toml`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from loihic.errors import InputError, fail

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent
CONFIDENCES = {"H": "primary source", "M": "one secondary source", "L": "inferred", "X": "assumed"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A number and where it comes from.

    Attributes:
        value: in `unit`, never negative.
        unit: what it counts.
        source: where it was found.
        confidence: a key of `CONFIDENCES`.
    """

    value: int | float
    unit: str
    source: str
    confidence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one chip holds and what an event costs.

    Attributes:
        target: the name of the chip.
        synapse_words, axon_in, axon_map, axon_mem: 64-bit words of a core, each for its own purpose.
        neuron_words: words of neuron state of a core.
        neuron_groups: groups of neurons with parameters of their own, of a core.
        pool_words: 64-bit words of a core for all of these together.
        cores: cores of a chip that a program may use.
        synop_energy: J per synaptic operation, everything else that a step costs included.
        numbers: every number of the file by its dotted name, with its source.
    """

    target: str
    synapse_words: int
    axon_in: int
    axon_map: int
    axon_mem: int
    neuron_words: int
    neuron_groups: int
    pool_words: int
    cores: int
    synop_energy: float
    numbers: Mapping[str, Number] = field(compare=False, repr=False)


@cache
def chip_limits(target: str = "loihi2") -> Limits:
    """The limits of a chip that loihic knows.

    Raises:
        InputError: LHC701 for an unknown chip, LHC101 for a malformed file.
    """
    known = sorted(path.stem for path in FOLDER.glob("*.toml"))
    if target not in known:
        fail("LHC701", f"no target is called {target}", help=f"known: {', '.join(known)}", error=InputError)
    return read_limits(FOLDER / f"{target}.toml")


def read_limits(path: Path) -> Limits:
    """The limits in a TOML file; numbers that `Limits` has no field for are kept in `numbers`.

    Raises:
        InputError: LHC101 for a file that cannot be read, is not TOML, or lacks a number or a part of one.
    """
    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        fail("LHC101", f"{path.name}: the limits of a chip cannot be read", param=str(error), error=InputError)
    numbers = dict(_numbers(tables, "", path))

    def real(name: str) -> float:
        if name not in numbers:
            _refuse(path, name, "is missing")
        return float(numbers[name].value)

    def whole(name: str) -> int:
        value = real(name)
        if value < 1 or not value.is_integer():
            _refuse(path, name, f"must be a whole number from 1, not {value:g}")
        return int(value)

    return Limits(
        target=path.stem, synapse_words=whole("core.synapse_words"), axon_in=whole("core.axon_in"),
        axon_map=whole("core.axon_map"), axon_mem=whole("core.axon_mem"), neuron_words=whole("core.neuron_words"),
        neuron_groups=whole("core.neuron_groups"), pool_words=whole("core.pool_words"), cores=whole("chip.cores"),
        synop_energy=real("energy.synop_all_in"), numbers=numbers)


def _numbers(table: Mapping[str, Any], prefix: str, path: Path) -> Iterator[tuple[str, Number]]:
    """The numbers within nested tables; a table with a value is one."""
    for key, entry in table.items():
        name = f"{prefix}{key}"
        if not isinstance(entry, dict):
            _refuse(path, name, "must be a table with value, unit, source and confidence")
        if "value" in entry:
            yield name, _number(entry, name, path)
        else:
            yield from _numbers(entry, f"{name}.", path)


def _number(entry: Mapping[str, Any], name: str, path: Path) -> Number:
    value = entry["value"]
    # A bool is an int to Python, and none of these numbers can be negative.
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        _refuse(path, f"{name}.value", f"must be a number from 0, not {value!r}")
    for key in ("unit", "source"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            _refuse(path, f"{name}.{key}", "must be a text that is not empty")
    if entry.get("confidence") not in CONFIDENCES:
        _refuse(path, f"{name}.confidence", f"must be one of {', '.join(CONFIDENCES)}")
    return Number(value=value, unit=entry["unit"], source=entry["source"], confidence=entry["confidence"])


def _refuse(path: Path, name: str, what: str) -> NoReturn:
    fail("LHC101", f"{path.name}: the limits of a chip are malformed", param=f"{name} {what}", error=InputError)
