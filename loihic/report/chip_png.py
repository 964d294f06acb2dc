"""A picture of chips as a PNG file, drawn by matplotlib."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loihic.files import write_atomic
from loihic.report.chip_colours import LIGHT, RAMP
from loihic.report.chip_legend import Ramp, Swatch
from loihic.report.chip_picture import CORE, MARGIN, ROUTER, WIDEST, Picture
from loihic.report.plots import require_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 72  # per inch, so that a unit of the picture is a point
MOST_PIXELS = 6000  # of the longer side
ZOOM = 2.0  # pixels per unit, where that is not too many


def require_png() -> None:
    """Say what to type if a .png file cannot be drawn.

    Raises:
        BackendError: LHC601.
    """
    require_matplotlib("a .png picture", 'pip install "loihic[plot]"; a .svg picture needs nothing')


def write_png(picture: Picture, path: Path) -> Path:
    """Write a picture to a file.

    Raises:
        BackendError: LHC601 without matplotlib.
        InputError: LHC112 if the file cannot be written; an older one is then untouched.
    """
    require_png()
    from matplotlib.figure import Figure

    zoom = min(ZOOM, MOST_PIXELS / max(picture.width, picture.height))
    # A figure of its own, without pyplot: no window, no global backend.
    figure = Figure(figsize=(picture.width / POINTS, picture.height / POINTS), facecolor=LIGHT.paper)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, picture.width)
    axes.set_ylim(picture.height, 0)
    axes.set_axis_off()
    _draw(picture, axes)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)  # a name may be in any script
        return write_atomic(path, lambda file: figure.savefig(file, format="png", dpi=POINTS * zoom))


def _draw(picture: Picture, axes: Axes) -> None:
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.patches import FancyBboxPatch, Rectangle
    from matplotlib.patheffects import withStroke

    text = picture.text
    _say(axes, MARGIN, MARGIN + 0.7 * text, picture.title, size=1.35 * text, weight="bold")
    _say(axes, MARGIN, MARGIN + 2.5 * text, picture.subtitle, size=text, color=LIGHT.faint)
    rounded = [_rounded(chip.x, chip.y, chip.width, chip.height, 6.0) for chip in picture.chips]
    axes.add_collection(PatchCollection(rounded, facecolor=LIGHT.chip, edgecolor=LIGHT.line, linewidth=1.0, zorder=1))
    for chip in picture.chips:
        _say(axes, chip.x, chip.y - 0.9 * text, chip.label, size=text, color=LIGHT.faint,
             path_effects=[withStroke(linewidth=0.3 * text, foreground=LIGHT.paper)])
    for lines, colour, order in (([line for line in picture.links if not line.width], LIGHT.line, 2),
                                 ([line for line in picture.links if line.width], picture.link_colour, 3)):
        axes.add_collection(LineCollection(
            [[(line.x1, line.y1), (line.x2, line.y2)] for line in lines], colors=colour,
            linewidths=[line.width or 1.0 for line in lines], capstyle="butt", zorder=order))
    host = picture.host
    axes.plot((host.x1, host.x2), (host.y1, host.y2), color=LIGHT.faint, linewidth=1.0, linestyle="--", zorder=3)
    _say(axes, host.x1 - 4, host.y1, "host", size=text, color=LIGHT.faint, horizontalalignment="right")
    routers = [Rectangle((x - ROUTER / 2, y - ROUTER / 2), ROUTER, ROUTER) for x, y in picture.routers]
    axes.add_collection(PatchCollection(routers, facecolor=LIGHT.line, linewidth=0, zorder=4))
    spare = [Rectangle((x, y), CORE, CORE) for x, y in picture.spare]
    axes.add_collection(PatchCollection(spare, facecolor="none", edgecolor=LIGHT.line, linewidth=1.0, zorder=4))
    squares: list[FancyBboxPatch] = [_rounded(one.x, one.y, CORE, CORE, 3.0) for one in picture.squares]
    axes.add_collection(PatchCollection(squares, facecolor=[one.colour for one in picture.squares],
                                        edgecolor=LIGHT.faint, linewidth=0.75, zorder=5))
    for one in picture.squares:
        if one.label:
            _say(axes, one.x + CORE / 2, one.y + CORE / 2, one.label, size=10, color=one.ink,
                 horizontalalignment="center")
    for swatch in picture.swatches:
        _swatch(axes, swatch, text)
    if picture.ramp is not None:
        _ramp(axes, picture.ramp, text, picture.link_colour)


def _rounded(x: float, y: float, width: float, height: float, radius: float) -> Any:
    from matplotlib.patches import FancyBboxPatch

    return FancyBboxPatch((x, y), width, height, boxstyle=f"round,pad=0,rounding_size={radius}")


def _swatch(axes: Axes, swatch: Swatch, text: float) -> None:
    middle = swatch.y + 0.7 * text
    if swatch.side:
        patch = _rounded(swatch.x, swatch.y, swatch.side, swatch.side, 0.2 * text)
        patch.set(facecolor=swatch.colour, edgecolor=LIGHT.faint, linewidth=0.75)
        axes.add_patch(patch)
        _say(axes, swatch.x + swatch.side / 2, middle, swatch.label, size=0.75 * text, color=swatch.ink,
             horizontalalignment="center")
    _say(axes, swatch.x + (swatch.side + 0.6 * text if swatch.side else 0.0), middle, swatch.text, size=text)


def _ramp(axes: Axes, ramp: Ramp, text: float, link_colour: str) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    _say(axes, ramp.x, ramp.y + 0.6 * text, ramp.title, size=text)
    axes.imshow([[place / 255 for place in range(256)]], cmap=LinearSegmentedColormap.from_list("ramp", RAMP),
                extent=(ramp.x, ramp.x + ramp.width, ramp.y + 2.6 * text, ramp.y + 1.6 * text), aspect="auto", zorder=5)
    _say(axes, ramp.x, ramp.y + 3.4 * text, ramp.low, size=text, color=LIGHT.faint)
    _say(axes, ramp.x + ramp.width, ramp.y + 3.4 * text, ramp.high, size=text, color=LIGHT.faint,
         horizontalalignment="right")
    if ramp.links:
        middle = ramp.y + 5.4 * text
        axes.plot((ramp.x, ramp.x + 2 * text), (middle, middle), color=link_colour, linewidth=WIDEST,
                  solid_capstyle="butt")
        _say(axes, ramp.x + 2.6 * text, middle, ramp.links, size=text)


def _say(axes: Axes, x: float, y: float, words: str, *, size: float, color: str = LIGHT.ink, **style: Any) -> None:
    """Text, as it is: a name that holds dollars is no formula."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)
    axes.text(x, y, shown, fontsize=size, color=color, verticalalignment="center", zorder=6, parse_math=False, **style)
