"""The words in which a person reads a plan: slices, counts, times, shares and lists of cores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from loihic.ir.node import Shape
from loihic.partition.layout import Box, Layout, as_map
from loihic.partition.step import Seconds

MOST_BOXES = 3  # of one slice that are spelt out
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
LARGE = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
BLOCK, ASCII_BLOCK = "█", "#"
AXES = ("channels", "rows", "columns")
LETTERS = {"channels": "c", "rows": "y", "columns": "x"}


def slice_words(layout: Layout, start: int, stop: int) -> str:
    """The neurons at positions [start, stop) of a layout, as in ``c0-23 y0-31 x4-7``; ``all`` for a whole population.

    Axes on which the population has a single place are left out, and a vector's neurons are just numbers. A slice that
    is no box is told as several, of which the further ones leave out the channels where these are those of the first.
    """
    if stop - start == layout.size:
        return "all"
    boxes = _merged(layout.boxes(start, stop))
    first = boxes[0]
    texts = [_box_words(layout.shape, first, AXES)]
    for box in boxes[1:MOST_BOXES]:
        told = AXES[1:] if box.channels == first.channels else AXES
        texts.append(_box_words(layout.shape, box, told))
    more = len(boxes) - MOST_BOXES
    return " + ".join(texts) + (f" + {more} more" if more > 0 else "")


def _box_words(shape: Shape, box: Box, axes: Iterable[str]) -> str:
    sizes = dict(zip(AXES, as_map(shape), strict=True))
    told = [axis for axis in axes if sizes[axis] > 1]
    letters = {} if sizes["rows"] == sizes["columns"] == 1 else LETTERS
    return " ".join(f"{letters.get(axis, '')}{span(*getattr(box, axis))}" for axis in told)


def span(low: int, high: int) -> str:
    """The numbers from `low` to below `high`."""
    return f"{low}-{high - 1}" if high - low > 1 else str(low)


def _merged(boxes: Iterable[Box]) -> list[Box]:
    """The same neurons in fewer boxes: neighbours that differ in one axis and touch there become one."""
    found: list[Box] = []
    for box in boxes:
        while found and (joined := _joined(found[-1], box)) is not None:
            found.pop()
            box = joined
        found.append(box)
    return found


def _joined(one: Box, other: Box) -> Box | None:
    differing = [axis for axis in AXES if getattr(one, axis) != getattr(other, axis)]
    if len(differing) != 1:
        return None
    low, high = sorted([getattr(one, differing[0]), getattr(other, differing[0])])
    return replace(one, **{differing[0]: (low[0], high[1])}) if low[1] == high[0] else None


def count(value: float) -> str:
    """A number of events or messages in three digits: ``0.25``, ``812``, ``12.3k``."""
    for unit, letter in LARGE:
        if round(value) >= unit:
            return f"{_three(value / unit)}{letter}"
    return _three(value)


def duration(seconds: float) -> str:
    """A time in three digits: ``1.25 us``."""
    if not seconds:
        return "0 s"
    if math.isinf(seconds):
        return "unknown"
    for unit, name in UNITS:
        if seconds >= 0.9995 * unit:
            return f"{_three(seconds / unit)} {name}"
    return f"{_three(seconds / 1e-9)} ns"


def _three(value: float) -> str:
    """Three digits, and no exponent for numbers in between."""
    if not value or value < 1e-3:
        return f"{value:.2g}"
    digits = max(0, 2 - math.floor(math.log10(value)))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def interval(seconds: Seconds) -> str:
    """Between which times the truth may lie."""
    return f"{duration(seconds.low)} to {duration(seconds.high)}"


def percent(share: float) -> str:
    """A share of a whole: ``78 %``; below one per cent with a digit more."""
    return f"{100 * share:.0f} %" if not 0 < share < 0.01 else f"{100 * share:.1g} %"


def bar(share: float, width: int, *, ascii_only: bool = False) -> str:
    """Blocks for a share of a whole; whatever is more than nothing shows."""
    blocks = math.ceil(width * min(max(share, 0.0), 1.0) - 1e-9)
    return (ASCII_BLOCK if ascii_only else BLOCK) * blocks


def plural(number: int, noun: str) -> str:
    """``1 core``, ``3 cores``."""
    return f"{number} {noun}{'s' * (number != 1)}"


def core_list(cores: Sequence[tuple[int, int]], most: int = 4) -> str:
    """How many cores, and which, as in ``24 cores on 2 chips: chip0 cores 3-20, 23; chip1 cores 0-4``.

    Args:
        cores: (chip, core), in order.
        most: chips that are named, and runs of cores of each.
    """
    if len(cores) == 1:
        return f"chip{cores[0][0]}.core{cores[0][1]}"
    by_chip = [(chip, [core for _, core in group]) for chip, group in groupby(cores, key=lambda place: place[0])]
    texts = [f"chip{chip} core{'s' * (len(found) > 1)} {_runs(found, most)}" for chip, found in by_chip[:most]]
    left = len(by_chip) - most
    more = f"; and {plural(left, 'chip')} more" if left > 0 else ""
    return f"{plural(len(cores), 'core')} on {plural(len(by_chip), 'chip')}: {'; '.join(texts)}{more}"


def _runs(numbers: Sequence[int], most: int) -> str:
    """Increasing numbers as ranges."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1]:
            runs[-1] = (runs[-1][0], number + 1)
        else:
            runs.append((number, number + 1))
    left = sum(high - low for low, high in runs[most:])
    return ", ".join(span(*run) for run in runs[:most]) + (f" and {left} more" if left else "")
