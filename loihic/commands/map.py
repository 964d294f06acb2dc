"""map: which core holds what, as tables and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loihic.commands.choices import output_path
from loihic.commands.output import Meter, ascii_only, console, json_option, print_json, print_table, say
from loihic.errors import InputError, fail

if TYPE_CHECKING:
    from loihic.report.plan_summary import Summary
    from loihic.report.plan_tables import CoreRow, PopulationRow

PICTURES = (".svg", ".png")
WIDE = 130  # columns from which on a terminal takes the words of every memory
MIDDLING = 88  # columns from which on it takes bars beside the times


@click.command("map", short_help="Show which core holds what, and how busy it is.")
@click.argument("program_file", metavar="OUT.loihic")
@click.option("--by", type=click.Choice(["core", "population"]), default="core", show_default=True,
              help="A row for each core, or for each population.")
@click.option("--sort", "order", type=click.Choice(["core", "load", "synops", "fill"]), default="core",
              show_default=True, help="Rows in order, or first those that take most time per step, have most synaptic "
                                      "operations, or the fullest memory.")
@click.option("--top", type=click.IntRange(min=1), metavar="N", default=40, show_default=True,
              help="Only the first N rows.")
@click.option("--against", type=click.Choice(["linear", "hilbert"]), default=None,
              help="Compare the placement with this one.")
@click.option("--picture", "picture_file", metavar="FILE", default=None,
              help="Draw the chips: .svg, or .png, which needs matplotlib.")
@click.option("--colour", type=click.Choice(["node", "load", "traffic", "fill"]), default="node", show_default=True,
              help="What the colours of the picture tell: the population of each core, its time per step, its messages "
                   "with those on every link, or its fullest memory.")
@json_option
def map_(program_file: str, by: str, order: str, top: int, against: str | None, picture_file: str | None, colour: str,
         as_json: bool) -> None:
    """Show which core of which chip holds what, how full and how busy each is, and how long a step takes by the model.

    --json prints all cores and populations, whatever --by, --sort and --top say.
    """
    from loihic import api
    from loihic.partition.whereabouts import require_plan
    from loihic.report.plan_summary import summarise, summary_json
    from loihic.report.plan_tables import core_rows, population_rows

    target = None if picture_file is None else _picture_path(picture_file, program_file)
    program = api.load(program_file)
    plan = require_plan(program.plan)
    with Meter("working out the figures") as meter:
        found = summarise(plan, against)
        cores = core_rows(plan)
        populations = population_rows(plan) if as_json or by == "population" else []
        if target is not None:
            meter.stage("drawing")
            _draw(found, cores, colour, str(program.provenance.get("model", "")), target)
    if as_json:
        print_json({"ok": True, "file": program_file, "picture": None if target is None else str(target),
                    **summary_json(found, cores, populations)})
        return
    _print_heading(found, str(program.provenance.get("model", "")))
    say()
    _print_rows(cores if by == "core" else populations, by, order, top)
    if target is not None:
        say()
        say(f"drawn to {target}")


def _picture_path(picture_file: str, program_file: str) -> Path:
    """Where to draw; what is wrong with it is found out before the work is done."""
    suffix = Path(picture_file).suffix.lower()
    if suffix not in PICTURES:
        fail("LHC702", f"--picture {picture_file} is of no known kind", error=InputError,
             help=f"its name ends in {' or '.join(PICTURES)}")
    target = output_path(picture_file, picture_file, program_file)
    if suffix == ".png":
        from loihic.report.chip_png import require_png

        require_png()
    return target


def _draw(found: Summary, cores: list[CoreRow], colour: str, model: str, target: Path) -> None:
    from loihic.report.chip_picture import picture

    drawing = picture(found, cores, colour, model)
    if target.suffix.lower() == ".svg":
        from loihic.report.chip_svg import write_svg

        write_svg(drawing, target)
    else:
        from loihic.report.chip_png import write_png

        write_png(drawing, target)


def _print_heading(found: Summary, model: str) -> None:
    from loihic.report.plan_summary import (
        ROUTE_COLUMNS,
        ROUTE_RIGHT,
        TERM_COLUMNS,
        TERM_RIGHT,
        heading,
        route_rows,
        term_rows,
    )

    if model:
        say(model)
    facts = heading(found)
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        say(f"  {name:<{width}}  {value}")
    say()
    say("a step takes as long as the longest of (events per step)")
    columns = len(TERM_COLUMNS) - (console().width < MIDDLING)
    terms = term_rows(found, ascii_only=ascii_only())
    print_table(TERM_COLUMNS[:columns], [row[:columns] for row in terms], right=TERM_RIGHT)
    if found.against is not None:
        say()
        print_table(ROUTE_COLUMNS, route_rows(found), right=ROUTE_RIGHT)


def _print_rows(rows: list[CoreRow] | list[PopulationRow], by: str, order: str, top: int) -> None:
    from loihic.report.plan_tables import (
        CORE_COLUMNS,
        NARROW_COLUMNS,
        NARROW_POPULATION_COLUMNS,
        POPULATION_COLUMNS,
        RIGHT,
        ordered,
    )

    wide, narrow = ((CORE_COLUMNS, NARROW_COLUMNS) if by == "core" else
                    (POPULATION_COLUMNS, NARROW_POPULATION_COLUMNS))
    columns: tuple[str, ...] = wide if console().width >= WIDE else narrow
    shown = ordered(rows, order)[:top]
    plain: dict[str, Any] = {"ascii_only": ascii_only()} if by == "core" else {}
    print_table(columns, [row.cells(columns, **plain) for row in shown], right=RIGHT)
    left = len(rows) - len(shown)
    if left:
        noun = by if left == 1 else f"{by}s"
        say(f"... and {left} {noun} more; --top {len(rows)} shows all")
