"""A comparison as a figure: spikes of floats and integers, the error by step, the effect of each loss."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loihic.errors import BackendError, fail
from loihic.files import write_atomic
from loihic.ir.node import Array
from loihic.program import Program
from loihic.report.compare import Comparison
from loihic.report.effects import sends_spikes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 200  # neurons of a raster
DOTS_PER_INCH = 150
FLOAT_COLOUR, INTEGER_COLOUR = "#1f77b4", "#d62728"


def require_matplotlib(what: str = "a plot", help: str = 'pip install matplotlib "numpy<2"') -> None:
    """Say what to type if matplotlib is missing.

    Args:
        what: needs it.
        help: what to type.

    Raises:
        BackendError: LHC601.
    """
    if importlib.util.find_spec("matplotlib") is None:
        fail("LHC601", f"{what} needs matplotlib, which is not installed", help=help, error=BackendError)


def plot(program: Program, found: Comparison, sample: Mapping[str, Array] | None, path: Path) -> Path:
    """Draw `found`, and the outputs of one sample of its input, to a .png or .svg file.

    Args:
        program: that was compared.
        found: the comparison.
        sample: (1, T, *shape) per input; the golden input by default.
        path: the file; its ending says which kind.

    Raises:
        BackendError: LHC601 without matplotlib.
        InputError: LHC112 if the file cannot be written; an older one is then untouched.
    """
    require_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure

    # A figure of its own, without pyplot: no window, no global backend, the same bytes every time.
    with matplotlib.rc_context({"svg.hashsalt": "loihic"}):
        figure = Figure(figsize=(11, 3 * (len(program.outputs) + 2)), layout="constrained")
        axes = figure.subplots(len(program.outputs) + 2, 1, squeeze=False)[:, 0]
        figure.suptitle(f"{program.provenance['model']}: float against integer")
        _outputs(program, sample, axes)
        _profiles(found, axes[-2])
        _effects(found, axes[-1])
        kind = path.suffix.lower().lstrip(".")
        stamp: dict[str, Any] = {"metadata": {"Date": None}} if kind == "svg" else {}
        return write_atomic(path, lambda file: figure.savefig(file, format=kind, dpi=DOTS_PER_INCH, **stamp))


def _outputs(program: Program, sample: Mapping[str, Array] | None, axes: Any) -> None:
    integers = program.dequantise(program.run(sample).outputs)
    floats = program.run_float(sample)
    for axis, (name, theirs) in zip(axes, floats.items(), strict=False):
        ours, size = integers[name][0], theirs[0].shape[0]
        draw = _raster if sends_spikes(program.source, name) else _lines
        draw(axis, ours.reshape(size, -1)[:, :MOST_ROWS], theirs[0].reshape(size, -1)[:, :MOST_ROWS])
        axis.set_title(f"{name}, first sample", loc="left")
        axis.set_xlim(-1, size)


def _raster(axis: Axes, ours: Array, theirs: Array) -> None:
    """Spikes of both as marks that meet where they agree."""
    from matplotlib.ticker import MaxNLocator

    for values, colour, marker, label in ((theirs, FLOAT_COLOUR, "_", "float"), (ours, INTEGER_COLOUR, "|", "integer")):
        steps, neurons = np.nonzero(values)
        axis.scatter(steps, neurons, s=24, c=colour, marker=marker, linewidths=1.2, label=label)
    axis.set_ylabel("neuron")
    axis.set_ylim(-1, ours.shape[1])
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(loc="upper right", ncols=2)


def _lines(axis: Axes, ours: Array, theirs: Array) -> None:
    for values, colour, style, label in ((theirs, FLOAT_COLOUR, "-", "float"), (ours, INTEGER_COLOUR, "--", "integer")):
        lines = axis.plot(values, color=colour, linestyle=style, linewidth=0.9)
        if lines:
            lines[0].set_label(label)
    axis.set_ylabel("value")
    axis.legend(loc="upper right", ncols=2)


def _profiles(found: Comparison, axis: Axes) -> None:
    for one in found.populations:
        axis.plot(one.profile, linewidth=1.2, label=one.node + (" (graded)" if one.is_graded else ""))
    axis.set_title("error by step: share of neurons whose spikes differ, relative error of graded outputs", loc="left")
    axis.set_xlabel("step")
    axis.set_ylim(bottom=0)
    if found.populations:
        axis.legend(loc="upper left", fontsize="small")


def _effects(found: Comparison, axis: Axes) -> None:
    names = [effect.kind.value for effect in found.effects]
    places = np.arange(len(names))
    for offset, label, values in ((-0.2, "without it", [effect.undone for effect in found.effects]),
                                  (0.2, "alone", [effect.alone for effect in found.effects])):
        axis.bar(places + offset, values, width=0.4, label=label)
    axis.axhline(found.output_error, color="black", linewidth=0.8, linestyle=":", label="every loss")
    axis.set_xticks(places, names)
    axis.set_title("output error without one kind of loss, and with it alone", loc="left")
    axis.margins(y=0.2)  # for the legend
    axis.legend(loc="upper right", ncols=3, fontsize="small")
