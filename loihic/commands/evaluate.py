"""evaluate: a program over a data set."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loihic.commands.arrays import write_npz
from loihic.commands.dataset import BAR, dataset_options, plot_path, results_path, shelved, teller
from loihic.commands.output import Meter, finite, json_option, print_json, print_table, say

if TYPE_CHECKING:
    from loihic.evaluate import Evaluation

RESULTS = (".npz", ".json")


@click.command(short_help="Accuracy or error of a program over a data set.")
@click.argument("program_file", metavar="OUT.loihic")
@click.argument("data_file", metavar="DATA")
@dataset_options
@click.option("--shard", type=click.IntRange(min=1), metavar="N", default=None,
              help="Samples that are run together.  [default: a few seconds' work]")
@click.option("-o", "--output", metavar="RESULTS", default=None,
              help="Write the results: .npz with every answer, or .json with what --json prints.")
@click.option("--plot", "plot_file", metavar="FILE", default=None,
              help="Draw the confusion matrix, or answers against targets, and the activity: .png or .svg; needs "
                   "matplotlib.")
@json_option
def evaluate(program_file: str, data_file: str, output: str | None, plot_file: str | None, labels: str | None,
             answering: str | None, resume: bool, as_json: bool, **choices: Any) -> None:
    """Run a program over a data set, and say how well it does and how active it is.

    DATA is .npy, (N, T, *shape) or (T, *shape), or .npz with one array per input node and, if they are known, labels
    (whole numbers) or targets, for each sample or for each step. The work is cut into shards; the results are the same
    however that is done.
    """
    from loihic import api
    from loihic.evaluate import evaluate as over
    from loihic.evaluate.data import split_truth

    labels_file = labels if labels is not None and Path(labels).exists() else None
    target = results_path(output, RESULTS, program_file, data_file, labels_file)
    drawn = plot_path(plot_file, program_file, data_file, labels_file)
    program = api.load(program_file)
    raw, truth = split_truth(api.load_inputs(data_file, mapped=True), program.input_shapes, labels)
    begun = time.monotonic()
    with shelved(target, resume, "shards") as shelf:
        with Meter("evaluating", BAR) as meter:
            found = over(program, raw, truth, output=answering, shelf=shelf,
                         progress=teller(meter, "evaluating", "shards"), **choices)
            if drawn is not None:
                from loihic.report.evaluation_plots import plot_evaluation

                meter.stage("drawing")
                plot_evaluation(found, drawn)
        if target is not None:
            _write(found, target)
    seconds = time.monotonic() - begun
    if as_json:
        print_json({"ok": True, "file": program_file, "data": data_file, "results": None if target is None else
                    str(target), "plot": None if drawn is None else str(drawn), "seconds": seconds,
                    "shards": found.shards, "resumed": found.resumed, **found.to_json()})
        return
    _print(found, Path(data_file).name, seconds)
    for what, path in (("written", target), ("drawn", drawn)):
        if path is not None:
            say(f"{what} to {path}")


def _write(found: Evaluation, target: Path) -> None:
    from loihic.files import write_atomic

    text = json.dumps(finite(found.to_json()), indent=2, allow_nan=False)
    if target.suffix.lower() == ".json":
        write_atomic(target, lambda file: file.write(f"{text}\n".encode()))
    else:
        write_npz(target, {**found.arrays(), "summary": text})


def _print(found: Evaluation, data: str, seconds: float) -> None:
    from loihic.report import evaluation_tables as tables
    from loihic.report.plan_words import duration, plural

    earlier = f", {found.resumed} of them from an earlier run" if found.resumed else ""
    say(f"{found.model} on {data}: {plural(found.samples, 'sample')} of {plural(found.steps, 'step')}, "
        f"{plural(len(found.answers), 'question')} ({found.questions.readout})")
    say(f"{found.backend}: {plural(found.shards, 'shard')}{earlier} in {duration(seconds)}")
    for line in tables.score_lines(found):
        say(line)
    say()
    if found.score.classification is not None:
        if len(found.score.classification.confusion) <= tables.MOST_CLASSES:
            columns, rows = tables.confusion_table(found.score.classification)
            print_table(columns, rows, right=columns[1:])
        else:
            most = tables.MOST_CLASSES
            print_table(tables.CLASS_COLUMNS, tables.class_rows(found.score.classification, most),
                        right=tables.CLASS_COLUMNS)
            say(f"the {most} classes of least recall; --json gives all")
        say()
    if found.score.regression is not None and len(found.score.regression.mse) > 1:
        print_table(tables.ELEMENT_COLUMNS, tables.element_rows(found.score.regression, tables.MOST_ELEMENTS),
                    right=tables.ELEMENT_COLUMNS)
        if len(found.score.regression.mse) > tables.MOST_ELEMENTS:
            say(f"the first {tables.MOST_ELEMENTS} elements; --json gives all")
        say()
    print_table(tables.ACTIVITY_COLUMNS, tables.activity_rows(found.activity), right=tables.ACTIVITY_COLUMNS[2:])
