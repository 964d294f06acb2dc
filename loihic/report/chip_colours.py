"""Colours of pictures of chips, told apart by colour-blind people too; they stay as they are on dark paper."""

from __future__ import annotations

from dataclasses import dataclass

# Okabe and Ito's palette without black, in an order in which neighbours differ in lightness too.
FAMILIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
BLENDS = (("#FFFFFF", 0.0), ("#FFFFFF", 0.5), ("#000000", 0.4))  # a second round of them is lighter, a third darker
# Viridis (van der Walt and Smith): even steps of lightness, whatever the colour vision.
RAMP = ("#440154", "#46327E", "#365C8D", "#277F8E", "#1FA187", "#4AC16D", "#A0DA39", "#FDE725")
LINK = "#D55E00"
BRIGHT = 0.179  # luminance from which on black is read more easily than white


@dataclass(frozen=True, kw_only=True, slots=True)
class Theme:
    """The colours of everything but data."""

    paper: str
    ink: str
    faint: str
    chip: str
    line: str


LIGHT = Theme(paper="#FFFFFF", ink="#1F2328", faint="#59636E", chip="#F6F8FA", line="#C8CFD6")
DARK = Theme(paper="#0D1117", ink="#E6EDF3", faint="#9198A1", chip="#161B22", line="#3D444D")


def family_colour(number: int) -> str:
    """The colour of the population `number`, counted from 0; they repeat after three rounds of the palette."""
    towards, share = BLENDS[number // len(FAMILIES) % len(BLENDS)]
    return _blend(FAMILIES[number % len(FAMILIES)], towards, share)


def ramp_colour(share: float) -> str:
    """The colour for a share of the greatest value, 0 to 1."""
    place = min(max(share, 0.0), 1.0) * (len(RAMP) - 1)
    low = min(int(place), len(RAMP) - 2)
    return _blend(RAMP[low], RAMP[low + 1], place - low)


def ink_on(colour: str) -> str:
    """Black or white, whichever is read more easily on a colour."""
    red, green, blue = (channel / 255 for channel in _channels(colour))
    luminance = sum(weight * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
                    for weight, c in ((0.2126, red), (0.7152, green), (0.0722, blue)))
    return "#000000" if luminance > BRIGHT else "#FFFFFF"


def _blend(colour: str, towards: str, share: float) -> str:
    mixed = (round(a + (b - a) * share) for a, b in zip(_channels(colour), _channels(towards), strict=True))
    return "#" + "".join(f"{channel:02X}" for channel in mixed)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
