"""What loihic knows about chips and systems, as rows of tables: every number with its source."""

from __future__ import annotations

from dataclasses import dataclass

from loihic.targets.limits import Limits, chip_limits, known_chips
from loihic.targets.numbers import Number
from loihic.targets.systems import System, nearest

NUMBER_COLUMNS = ("number", "value", "interval", "unit", "confidence", "source")
CHIP_COLUMNS = ("chip", "builds on", "cores", "state words", "synapse words", "pool words", "payload bits", "static W")
SYSTEM_COLUMNS = ("system", "chip", "chips", "grid", "cores")


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberRow:
    """A number and its dotted name."""

    name: str
    number: Number

    def cells(self) -> tuple[str, ...]:
        """What `NUMBER_COLUMNS` hold; of the interval only the sides that are known."""
        number = self.number
        low = "" if number.low is None else f"{number.low:g}"
        high = "" if number.high is None else f"to {number.high:g}"
        interval = f"from {low}" if low and not high else f"{low} {high}".strip()
        return self.name, f"{number.value:g}", interval, number.unit, number.confidence, number.source

    def plain(self) -> dict[str, str | float | None]:
        """The row as JSON."""
        number = self.number
        return {"name": self.name, "value": number.value, "low": number.low, "high": number.high,
                "unit": number.unit, "confidence": number.confidence, "source": number.source}


def rows(limits: Limits | System) -> list[NumberRow]:
    """Every number of a chip, or of a system and then of its chips, in the order of the files."""
    if isinstance(limits, System):
        return [*(NumberRow(name=name, number=number) for name, number in limits.numbers.items()),
                *rows(limits.limits)]
    return [NumberRow(name=name, number=number) for name, number in limits.numbers.items()]


def chip_rows() -> list[tuple[str, ...]]:
    """The known chips, as `CHIP_COLUMNS`."""
    found = [chip_limits(name) for name in known_chips()]
    return [(item.target, "" if item.chip == item.target else item.chip, str(item.cores), str(item.neuron_words),
             str(item.synapse_words), str(item.pool_words), str(item.payload_bits), f"{item.static_power:g}")
            for item in found]


def system_rows() -> list[tuple[str, ...]]:
    """The known systems, the smallest of each chip first, as `SYSTEM_COLUMNS`."""
    return [(item.name, item.limits.target, str(item.chips),
             f"{item.chip_columns} x {-(-item.chips // item.chip_columns)}", str(item.cores))
            for chip in known_chips() for item in nearest(chip)]
