"""An evaluation, or a sweep, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loihic.evaluate.evaluation import Evaluation
from loihic.evaluate.sweep import Sweep
from loihic.files import write_atomic
from loihic.report.plots import DOTS_PER_INCH, require_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NUMBERS = 20  # classes up to which the numbers are written into the matrix
MOST_DOTS = 5000
PARETO_COLOUR, OTHER_COLOUR = "#d62728", "#7f7f7f"


def plot_evaluation(found: Evaluation, path: Path) -> Path:
    """Draw the confusion matrix, or answers against targets, and how active every population is.

    Raises:
        BackendError: LHC601 without matplotlib.
        InputError: LHC112 if the file cannot be written; an older one is then untouched.
    """
    def draw(figure: Figure) -> None:
        known = bool(found.questions.metric)
        axes = figure.subplots(1, 1 + known, squeeze=False)[0]
        if found.score.classification is not None:
            _confusion(found, axes[0])
        elif known:
            _answers(found, axes[0])
        _activity(found, axes[-1])
        figure.suptitle(f"{found.model}: {found.samples} samples of {found.steps} steps")

    return _drawn(draw, path, (12, 5.5))


def plot_sweep(found: Sweep, path: Path) -> Path:
    """Draw what every point achieves against what it costs, a panel for each cost; Pareto points are named.

    Raises:
        BackendError, InputError: as for `plot_evaluation`.
    """
    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, len(found.costs), squeeze=False)[0]
        for axis, cost in zip(axes, found.costs, strict=True):
            _pareto(found, cost, axis)
        figure.suptitle(f"{found.model}: {found.measure} against cost")

    return _drawn(draw, path, (6.5 * len(found.costs), 5.5))


def _drawn(draw: Any, path: Path, size: tuple[float, float]) -> Path:
    require_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "loihic"}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        kind = path.suffix.lower().lstrip(".")
        stamp: dict[str, Any] = {"metadata": {"Date": None}} if kind == "svg" else {}
        return write_atomic(path, lambda file: figure.savefig(file, format=kind, dpi=DOTS_PER_INCH, **stamp))


def _confusion(found: Evaluation, axis: Axes) -> None:
    one = found.score.classification
    if one is None:
        return
    shares = one.confusion / np.maximum(one.support, 1)[:, None]
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(shares) <= MOST_NUMBERS:
        for label, answer in np.argwhere(one.confusion):
            axis.text(answer, label, str(one.confusion[label, answer]), ha="center", va="center", fontsize="small",
                      color="white" if shares[label, answer] > 0.5 else "black")
        axis.set_xticks(range(len(shares)))
        axis.set_yticks(range(len(shares)))
    axis.set_xlabel("answer")
    axis.set_ylabel("label")
    low, high = one.interval
    axis.set_title(f"accuracy {one.accuracy:.1%} ({low:.1%} to {high:.1%})", loc="left")


def _answers(found: Evaluation, axis: Axes) -> None:
    truth = found.questions.truth
    if truth is None:
        return
    every = max(1, len(truth) // MOST_DOTS)
    for element in range(min(truth.shape[1], 10)):
        axis.scatter(truth[::every, element], found.answers[::every, element], s=6, label=str(element))
    low, high = float(truth.min()), float(truth.max())
    axis.plot([low, high], [low, high], color="black", linewidth=0.8)
    axis.set_xlabel("target")
    axis.set_ylabel("answer")
    axis.set_title(f"R2 {found.score.regression.overall['r2']:.4f}" if found.score.regression else "", loc="left")
    if truth.shape[1] > 1:
        axis.legend(title="element", fontsize="small")


def _activity(found: Evaluation, axis: Axes) -> None:
    names = [one.node for one in found.activity]
    places = np.arange(len(names))
    for offset, label, values in ((-0.25, "messages per step and neuron", [one.rate for one in found.activity]),
                                  (0.0, "dead", [one.dead for one in found.activity]),
                                  (0.25, "saturated", [one.saturated for one in found.activity])):
        axis.barh(places + offset, values, height=0.25, label=label)
    axis.set_yticks(places, names)
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.set_title("activity, as shares", loc="left")
    axis.legend(fontsize="small")


def _pareto(found: Sweep, cost: str, axis: Axes) -> None:
    points = [(point, point.figure(cost), point.figure(found.measure)) for point in found.points if not point.code]
    shown: Sequence[tuple[Any, float, float]] = [one for one in points if not np.isnan(one[1:]).any()]
    for chosen, colour, label in ((False, OTHER_COLOUR, "others"), (True, PARETO_COLOUR, "Pareto")):
        group = [(x, y) for point, x, y in shown if point.is_pareto is chosen]
        if group:
            xs, ys = np.array(group).T
            axis.scatter(xs, ys, c=colour, s=24, label=label)
    for point, x, y in shown:
        if point.is_pareto:
            axis.annotate(point.label, (x, y), textcoords="offset points", xytext=(4, 4), fontsize="x-small")
    axis.set_xlabel(cost.replace("_", " "))
    axis.set_ylabel(found.measure)
    axis.margins(x=0.2)  # for the labels
    if shown:
        axis.legend(fontsize="small")
