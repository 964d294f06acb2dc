"""sweep: a model compiled in many ways, each evaluated."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loihic.commands.choices import compile_options
from loihic.commands.dataset import BAR, dataset_options, plot_path, results_path, shelved, teller
from loihic.commands.grid import grid_variants
from loihic.commands.output import Meter, finite, json_option, print_json, print_table, say

if TYPE_CHECKING:
    from loihic.evaluate.sweep import Sweep

EXECUTION = ("labels", "metric", "readout", "answering", "with_float", "backend", "device", "samples", "workers",
             "scheduler", "timeout", "resume")


@click.command(short_help="Compile a model in many ways, and compare what each achieves and costs.")
@click.argument("model")
@click.argument("data_file", metavar="DATA")
@click.option("--grid", "specs", metavar="OPTION=VALUES", multiple=True, required=True,
              help="An option of `compile` and its values, as in weight-bits=8,6,4; semicolons where values hold "
                   "commas, as in budget=words=900,cores=2;words=500. yes and no for a switch, default for its "
                   "default. May be given several times: all combinations are compiled.")
@click.option("--cost", "costs", multiple=True, default=("words",), show_default=True,
              type=click.Choice(["words", "memory", "cores", "chips", "messages", "latency", "step-time"]),
              help="What Pareto points save: words of synaptic memory, words of all memory, cores, chips, messages per "
                   "step, steps of latency, or time of a step; may be given several times.")
@click.option("-o", "--output", metavar="SWEEP.json", default=None, help="Write what --json prints.")
@click.option("--plot", "plot_file", metavar="FILE", default=None,
              help="Draw accuracy or error against each cost: .png or .svg; needs matplotlib.")
@dataset_options
@compile_options
@json_option
@click.pass_context
def sweep(ctx: click.Context, /, model: str, data_file: str, specs: tuple[str, ...], costs: tuple[str, ...],
          output: str | None, plot_file: str | None, as_json: bool, **given: Any) -> None:
    """Compile MODEL with every combination of the grid, and evaluate each over DATA (as in `loihic evaluate`).

    The options of `compile` apply to all points. A combination that does not compile is a row with its error's code;
    the exit status is that of an error only if none does.
    """
    from loihic.api import load_inputs
    from loihic.codes import CODES
    from loihic.evaluate.sweep import sweep as over

    execution = {name: given.pop(name) for name in EXECUTION}
    labels, resume = execution.pop("labels"), execution.pop("resume")
    inputs = [model, data_file, given["calibration"], labels if labels is not None and Path(labels).exists() else None]
    target = results_path(output, (".json",), *inputs)
    drawn = plot_path(plot_file, *inputs)
    ways = grid_variants(specs, given)
    loaded = load_inputs(data_file, mapped=True)
    begun = time.monotonic()
    with shelved(target, resume, "points") as shelf:
        with Meter("sweeping", BAR) as meter:
            found = over(model, ways, loaded, labels, costs=[cost.replace("-", "_") for cost in costs], shelf=shelf,
                         output=execution.pop("answering"), progress=teller(meter, "sweeping", "points"), **execution)
            if drawn is not None:
                from loihic.report.evaluation_plots import plot_sweep

                meter.stage("drawing")
                plot_sweep(found, drawn)
        if target is not None:
            from loihic.files import write_atomic

            text = json.dumps(finite(found.to_json()), indent=2, allow_nan=False)
            write_atomic(target, lambda file: file.write(f"{text}\n".encode()))
    failed = [point.code for point in found.points if point.code]
    status = max(CODES[code].exit_code if code in CODES else 1 for code in failed) if len(failed) == len(ways) else 0
    if as_json:
        print_json({"ok": status == 0, "exit_code": status, "data": data_file,
                    "results": None if target is None else str(target), "plot": None if drawn is None else str(drawn),
                    "seconds": time.monotonic() - begun, "resumed": found.resumed, **found.to_json()})
    else:
        _print(found, Path(data_file).name, time.monotonic() - begun)
        for what, path in (("written", target), ("drawn", drawn)):
            if path is not None:
                say(f"{what} to {path}")
    ctx.exit(status)


def _print(found: Sweep, data: str, seconds: float) -> None:
    from loihic.report.plan_words import duration, plural
    from loihic.report.sweep_tables import sweep_table

    failed = sum(bool(point.code) for point in found.points)
    earlier = f", {found.resumed} of them from an earlier run" if found.resumed else ""
    say(f"{found.model} on {data}: {plural(len(found.points), 'point')}{earlier} in {duration(seconds)}"
        + (f"; {failed} failed" if failed else ""))
    say()
    columns, rows, right = sweep_table(found)
    print_table(columns, rows, right=right)
    say()
    if found.measure:
        costs = " or ".join(cost.replace("_", " ") for cost in found.costs)
        say(f"*: no other point has a better {found.measure} without costing more {costs}")
    else:
        say("no labels: only costs are compared; --labels, or --float for the agreement with the float network")
