"""A picture of chips as an SVG file: plain text, no dependency, light or dark as the reader's screen is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from loihic.files import write_atomic
from loihic.report.chip_colours import DARK, LIGHT, RAMP, Theme
from loihic.report.chip_legend import Ramp, Swatch
from loihic.report.chip_picture import CORE, MARGIN, ROUTER, WIDEST, Picture

FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"


def write_svg(picture: Picture, path: Path) -> Path:
    """Write a picture to a file; the same picture, the same bytes.

    Raises:
        InputError: LHC112 if the file cannot be written; an older one is then untouched.
    """
    content = svg(picture).encode()
    return write_atomic(path, lambda file: file.write(content))


def svg(picture: Picture) -> str:
    """The text of the file."""
    return "\n".join(_lines(picture)) + "\n"


def visible(text: str) -> str:
    """A name as text of an XML file: control characters and whatever else XML lacks are spelt out."""
    return escape("".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text))


def _lines(picture: Picture) -> Iterator[str]:
    width, height, text = picture.width, picture.height, picture.text
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" '
           f'height="{_n(height)}" style="max-width:100%;height:auto" role="img" font-size="{_n(text)}">')
    yield f"<title>{visible(picture.title)}: {visible(picture.subtitle)}</title>"
    yield f"<style>{_style(picture)}</style>"
    yield f'<rect class="paper" width="{_n(width)}" height="{_n(height)}"/>'
    yield f'<text class="head" x="{_n(MARGIN)}" y="{_n(MARGIN + 1.2 * text)}">{visible(picture.title)}</text>'
    yield f'<text class="faint" x="{_n(MARGIN)}" y="{_n(MARGIN + 2.9 * text)}">{visible(picture.subtitle)}</text>'
    for chip in picture.chips:
        yield (f'<rect class="chip" x="{_n(chip.x)}" y="{_n(chip.y)}" width="{_n(chip.width)}" '
               f'height="{_n(chip.height)}" rx="6"/>')
    yield from _mesh(picture)
    for chip in picture.chips:
        yield f'<text class="faint halo" x="{_n(chip.x)}" y="{_n(chip.y - 0.5 * text)}">{visible(chip.label)}</text>'
    yield from _cores(picture)
    for swatch in picture.swatches:
        yield from _swatch(swatch, text)
    if picture.ramp is not None:
        yield from _ramp(picture.ramp, text)
    yield "</svg>"


def _mesh(picture: Picture) -> Iterator[str]:
    """Links first, so that cores lie on them."""
    idle = "".join(f"M{_n(line.x1)} {_n(line.y1)}L{_n(line.x2)} {_n(line.y2)}"
                   for line in picture.links if not line.width)
    yield f'<path class="idle" d="{idle}"/>'
    for line in picture.links:
        if line.width:
            yield (f'<line class="link" x1="{_n(line.x1)}" y1="{_n(line.y1)}" x2="{_n(line.x2)}" y2="{_n(line.y2)}" '
                   f'stroke-width="{_n(line.width)}"><title>{visible(line.tip)}</title></line>')
    host = picture.host
    yield f'<path class="host" d="M{_n(host.x1)} {_n(host.y1)}L{_n(host.x2)} {_n(host.y2)}"/>'
    yield (f'<text class="faint" text-anchor="end" x="{_n(host.x1 - 4)}" y="{_n(host.y1)}" dy=".35em">'
           "host</text>")
    routers = "".join(f"M{_n(x - ROUTER / 2)} {_n(y - ROUTER / 2)}h{_n(ROUTER)}v{_n(ROUTER)}h-{_n(ROUTER)}z"
                      for x, y in picture.routers)
    yield f'<path class="router" d="{routers}"/>'


def _cores(picture: Picture) -> Iterator[str]:
    """Outlines of unused cores, as a single path, and a square for each core in use."""
    spare = "".join(f"M{_n(x)} {_n(y)}h{_n(CORE)}v{_n(CORE)}h-{_n(CORE)}z" for x, y in picture.spare)
    yield f'<path class="spare" d="{spare}"/>'
    for square in picture.squares:
        label = "" if not square.label else (
            f'<text class="number" x="{_n(square.x + CORE / 2)}" y="{_n(square.y + CORE / 2)}" dy=".35em" '
            f'fill="{square.ink}">{visible(square.label)}</text>')
        yield (f'<g><title>{visible(square.tip)}</title><rect class="core" x="{_n(square.x)}" y="{_n(square.y)}" '
               f'width="{_n(CORE)}" height="{_n(CORE)}" rx="3" fill="{square.colour}"/>{label}</g>')


def _swatch(swatch: Swatch, text: float) -> Iterator[str]:
    middle = swatch.y + 0.7 * text
    if swatch.side:
        yield (f'<rect class="swatch" x="{_n(swatch.x)}" y="{_n(swatch.y)}" width="{_n(swatch.side)}" '
               f'height="{_n(swatch.side)}" rx="{_n(0.2 * text)}" fill="{swatch.colour}"/>')
        yield (f'<text text-anchor="middle" font-size="{_n(0.75 * text)}" x="{_n(swatch.x + swatch.side / 2)}" '
               f'y="{_n(middle)}" dy=".35em" fill="{swatch.ink}">{swatch.label}</text>')
    beside = swatch.x + (swatch.side + 0.6 * text if swatch.side else 0.0)
    tip = f"<title>{visible(swatch.tip)}</title>" if swatch.tip else ""
    yield f'<text class="ink" x="{_n(beside)}" y="{_n(middle)}" dy=".35em">{tip}{visible(swatch.text)}</text>'


def _ramp(ramp: Ramp, text: float) -> Iterator[str]:
    stops = "".join(f'<stop offset="{_n(100 * place / (len(RAMP) - 1))}%" stop-color="{colour}"/>'
                    for place, colour in enumerate(RAMP))
    yield f'<defs><linearGradient id="ramp">{stops}</linearGradient></defs>'
    yield f'<text class="ink" x="{_n(ramp.x)}" y="{_n(ramp.y + text)}">{visible(ramp.title)}</text>'
    yield (f'<rect class="swatch" x="{_n(ramp.x)}" y="{_n(ramp.y + 1.6 * text)}" width="{_n(ramp.width)}" '
           f'height="{_n(text)}" rx="{_n(0.2 * text)}" fill="url(#ramp)"/>')
    yield f'<text class="faint" x="{_n(ramp.x)}" y="{_n(ramp.y + 3.8 * text)}">{visible(ramp.low)}</text>'
    yield (f'<text class="faint" text-anchor="end" x="{_n(ramp.x + ramp.width)}" y="{_n(ramp.y + 3.8 * text)}">'
           f"{visible(ramp.high)}</text>")
    if ramp.links:
        middle = ramp.y + 5.4 * text
        yield (f'<line class="link" x1="{_n(ramp.x)}" y1="{_n(middle)}" x2="{_n(ramp.x + 2 * text)}" '
               f'y2="{_n(middle)}" stroke-width="{_n(WIDEST)}"/>')
        yield (f'<text class="ink" x="{_n(ramp.x + 2.6 * text)}" y="{_n(middle)}" dy=".35em">'
               f"{visible(ramp.links)}</text>")


def _style(picture: Picture) -> str:
    return (f"text{{font-family:{FONT}}}.head{{font-size:1.35em;font-weight:600}}"
            f".number{{font-size:10px;text-anchor:middle;pointer-events:none}}.core,.swatch{{stroke-width:.75}}"
            f".spare,.idle,.host{{fill:none}}.host{{stroke-dasharray:3 2}}"
            f".halo{{paint-order:stroke;stroke-width:.3em}}.link{{stroke:{picture.link_colour}}}"
            f"{_themed(LIGHT)}@media(prefers-color-scheme:dark){{{_themed(DARK)}}}")


def _themed(theme: Theme) -> str:
    return (f".paper{{fill:{theme.paper}}}.halo{{stroke:{theme.paper}}}.chip{{fill:{theme.chip};stroke:{theme.line}}}"
            f".head,.ink{{fill:{theme.ink}}}.faint{{fill:{theme.faint}}}"
            f".router{{fill:{theme.line}}}.spare,.idle{{stroke:{theme.line}}}.host,.core,.swatch{{stroke:{theme.faint}}}")


def _n(value: float) -> str:
    """A coordinate without digits that nobody sees."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
