"""The legend of a picture of chips: swatches in columns, or a ramp of colours with its ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loihic.report.chip_colours import family_colour, ink_on

LONGEST = 36  # letters of an entry
MOST = 96  # entries
LETTER = 0.58  # width of a letter in its height, on average
LEADING = 1.9  # from one row to the next


@dataclass(frozen=True, kw_only=True, slots=True)
class Swatch:
    """An entry of the legend.

    Attributes:
        x, y: the upper left corner of its square; an entry without colour has none.
        side: of the square.
        colour, ink, label: of the square and the number on it.
        text: beside it.
        tip: the text in full.
    """

    x: float
    y: float
    side: float
    colour: str
    ink: str
    label: str
    text: str
    tip: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Ramp:
    """A bar of colours from `low` to `high`, with a title above it.

    Attributes:
        x, y: where the title begins.
        width: of the bar.
        title, low, high: what the colours mean, and its ends.
        links: what the widest of the links carries; empty where links have no width.
    """

    x: float
    y: float
    width: float
    title: str
    low: str
    high: str
    links: str = ""


def placed_swatches(texts: Sequence[str], x: float, y: float, width: float, text: float) -> tuple[Swatch, ...]:
    """Entries in columns, one below the other within a column, in the order of the palette.

    Args:
        texts: of all entries.
        x: of its left side.
        y: of its upper side.
        width: that it may take.
        text: height of letters.
    """
    shown = [shortened(entry) for entry in texts[:MOST]]
    column = (max((len(entry) for entry in shown), default=0) * LETTER + 3.5) * text
    columns = max(1, int(width // column))
    rows = -(-len(shown) // columns)
    found = []
    for number, entry in enumerate(shown):
        colour = family_colour(number)
        beside, below = divmod(number, rows)
        found.append(Swatch(x=x + beside * column, y=y + below * LEADING * text, side=1.4 * text, colour=colour,
                            ink=ink_on(colour), label=str(number + 1), text=entry, tip=texts[number]))
    if len(texts) > MOST:
        found.append(Swatch(x=x, y=y + rows * LEADING * text, side=0.0, colour="", ink="", label="", tip="",
                            text=f"and {len(texts) - MOST} more: point at a core to see what is on it"))
    return tuple(found)


def legend_height(swatches: Sequence[Swatch], ramp: Ramp | None, text: float) -> float:
    """What the legend takes, with the space above it."""
    if ramp is not None:
        return (7.5 if ramp.links else 5.5) * text
    if not swatches:
        return 0.0
    return max(one.y for one in swatches) - min(one.y for one in swatches) + (1.5 + LEADING) * text


def shortened(words: str, longest: int = LONGEST) -> str:
    """Words of at most so many letters; the middle of longer ones is left out."""
    if len(words) <= longest:
        return words
    half = (longest - 3) // 2
    return f"{words[:half]}...{words[-half:]}"
