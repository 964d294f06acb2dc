"""compare: a program against the float network it was compiled from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loihic.commands.arrays import read_inputs
from loihic.commands.choices import output_path
from loihic.commands.output import Meter, ascii_only, json_option, print_json, print_table, say
from loihic.errors import InputError, fail

if TYPE_CHECKING:
    from loihic.program import Program
    from loihic.report.compare import Comparison

PLOTS = (".png", ".svg")
BAR = 1000  # steps of the progress bar


@click.command(short_help="Float against integer, per node and per step.")
@click.argument("program_file", metavar="OUT.loihic")
@click.argument("input_file", metavar="[INPUT]", required=False)
@click.option("--samples", type=click.IntRange(min=1), metavar="N", default=None,
              help="Only the first N samples of INPUT.")
@click.option("--tau", type=click.FloatRange(min=0, min_open=True), metavar="STEPS", default=10.0, show_default=True,
              help="Time constant of the van Rossum distance of spike trains.")
@click.option("--tolerance", type=click.FloatRange(min=0), default=0.01, show_default=True,
              help="By which graded outputs may differ before they diverge, relative to the greatest so far.")
@click.option("--plot", "plot_file", metavar="FILE", default=None,
              help="Draw spikes, errors by step and the effects of the losses: .png or .svg; needs matplotlib.")
@json_option
def compare(program_file: str, input_file: str | None, samples: int | None, tau: float, tolerance: float,
            plot_file: str | None, as_json: bool) -> None:
    """Compare a program with the float network it was compiled from; INPUT is the golden input by default.

    Says how far every population is off, where the two part first and which loss is to blame, what each kind of loss
    does to the outputs, and which neurons do not do their work. Both networks run free, each on its own spikes.
    """
    from loihic import api

    target = None if plot_file is None else _plot_path(plot_file, program_file, input_file)
    program = api.load(program_file)
    x = read_inputs(program, input_file, samples)
    with Meter("comparing", BAR) as meter:
        def progress(what: str, share: float) -> None:
            meter.stage(what)
            meter.steps(round(BAR * share))

        found = program.compare(x, tau=tau, tolerance=tolerance, progress=progress)
        if target is not None:
            from loihic.report.plots import plot

            meter.stage("drawing")
            plot(program, found, None if x is None else {name: values[:1] for name, values in x.items()}, target)
    if as_json:
        print_json({"ok": True, "file": program_file, "plot": None if target is None else str(target),
                    **found.to_json()})
        return
    _print(program, found, "the golden input" if x is None else Path(str(input_file)).name)
    if target is not None:
        say()
        say(f"drawn to {target}")


def _plot_path(plot_file: str, *inputs: str | None) -> Path:
    """Where to draw; what is wrong with it is found out before the work is done."""
    from loihic.report.plots import require_matplotlib

    if Path(plot_file).suffix.lower() not in PLOTS:
        fail("LHC702", f"--plot {plot_file} is of no known kind", help=f"its name ends in {' or '.join(PLOTS)}",
             error=InputError)
    target = output_path(plot_file, plot_file, *inputs)
    require_matplotlib()
    return target


def _print(program: Program, found: Comparison, source: str) -> None:
    from loihic.report.comparison_tables import POPULATION_COLUMNS, population_legend, population_rows

    plain = ascii_only()
    count = f"{found.samples} sample{'s' * (found.samples != 1)} of {found.steps} steps"
    say(f"{program.provenance['model']}: float against integer on {source}, {count}, each network on its own spikes")
    for name, one in found.decisions.items():
        silent = f"; in {one.silent} samples neither network decides" if one.silent else ""
        say(f"decisions of {name}: {one.agreed} of {one.of} agree{silent}")
    say()
    rows = population_rows(found, ascii_only=plain)
    used = [i for i, _ in enumerate(POPULATION_COLUMNS) if any(row[i] for row in rows)]
    columns = [POPULATION_COLUMNS[i] for i in used]
    print_table(columns, [[row[i] for i in used] for row in rows], right=set(columns) - {"population", "error by step"})
    say()
    for line in population_legend(found):
        say(f"  {line}")
    say()
    _print_divergence(found)
    _print_effects(found, plain)
    _print_faults(found)


def _print_divergence(found: Comparison) -> None:
    if found.first is None:
        say("nothing diverges: the same spikes, and graded outputs within the tolerance")
        return
    say(f"first divergence: {found.first}")
    if found.cause is not None:
        say(f"cause:            {found.cause}")


def _print_effects(found: Comparison, plain: bool) -> None:
    from loihic.report.comparison_tables import EFFECT_COLUMNS, effect_rows

    say()
    measured = "" if found.effect_samples == found.samples else f" (on the first {found.effect_samples} samples)"
    say(f"output error: {found.output_error:.3g}{measured}; 0: the same answers, 1: worth no more than silence")
    if found.output_error:
        say("what it is without one kind of loss, and with that kind alone:")
        print_table(EFFECT_COLUMNS, effect_rows(found, ascii_only=plain),
                    right=["places", "without it", "change", "alone"])


def _print_faults(found: Comparison) -> None:
    from loihic.report.comparison_tables import FAULT_COLUMNS, fault_rows

    if found.faults:
        say()
        say("neurons that do not do their work:")
        print_table(FAULT_COLUMNS, fault_rows(found.faults))
