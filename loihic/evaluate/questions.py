"""Questions: what a data set asks of a program, how the answer is read out of the steps, and what would be right."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.node import Array, Shape
from loihic.ops.source import Sink
from loihic.program import Program

METRICS = ("auto", "accuracy", "regression")
READOUTS = ("auto", "sum", "mean", "last", "max", "each")
LARGEST = 1e150  # of a target: its square is a number too
Size = tuple[int, int]  # samples and steps


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What is asked.

    Attributes:
        output: the name of the output that answers.
        readout: how an answer is read: the ``sum``, ``mean`` or ``max`` over the steps, the ``last`` step, or ``each``
            step, which is then a question of its own.
        metric: ``accuracy``, ``regression``, or nothing where what would be right is not known.
        truth: labels (questions,), or targets (questions, elements); questions are in order of samples, then steps.
        elements: of the output.
    """

    output: str
    readout: str
    metric: str
    truth: Array | None
    elements: int


def choose_output(program: Program, wanted: str | None) -> str:
    """The output that answers.

    Raises:
        InputError: LHC701 if there is none of that name, or several and none is named.
    """
    names = list(program.outputs)
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted not in names:
        what = "the program has several outputs" if wanted is None else f"no output is called {wanted}"
        fail("LHC701", what, error=InputError, help=f"--of names the one that answers: {', '.join(names)}")
    return wanted


def ask(program: Program, output: str, samples: int, steps: int, truth: Array | None, *, metric: str = "auto",
        readout: str = "auto") -> Questions:
    """Fit labels or targets to a data set of `samples` runs of `steps` steps.

    Whole numbers are labels (if the output has several elements; numbers of a real type only where their shape is not
    that of targets), others are targets. They may be given for each sample, or for each step of it; the readout is then
    ``each``. For each sample labels are compared with the sum over the steps, targets with the mean.

    Raises:
        InputError: LHC115 if they do not fit, LHC702 for a metric or readout that does not.
    """
    for name, value, known in (("--metric", metric, METRICS), ("--readout", readout, READOUTS)):
        if value not in known:
            fail("LHC702", f"{name} {value} has no meaning", help=f"one of {', '.join(known)}", error=InputError)
    sink = program.outputs[output]
    size = prod(sink.shape)
    if truth is None:
        if metric != "auto":
            fail("LHC115", f"--metric {metric} needs labels or targets", error=InputError,
                 help="--labels FILE.npy, or an array called labels or targets in the data set")
        chosen = ("each" if program.answers_each_step else "sum") if readout == "auto" else readout
        return Questions(output=output, readout=chosen, metric="", truth=None, elements=size)
    if truth.dtype.kind not in "buif" or truth.size == 0 or not np.all(np.isfinite(truth)):
        fail("LHC115", "labels and targets are finite numbers, and at least one", node=output, error=InputError,
             param=f"of type {truth.dtype}, shape {truth.shape}")
    if metric == "auto":
        metric = _metric(sink, truth, (samples, steps))
    prefix = _fitted(truth, (samples, steps), metric, sink, output)
    each, flat = prefix != (samples,), truth.reshape(prod(prefix), -1)
    flat = _labels(flat, size, output) if metric == "accuracy" else _targets(flat, output)
    if readout == "auto":
        readout = "each" if each else ("sum" if metric == "accuracy" else "mean")
    if readout == "each" and not each:
        flat = np.repeat(flat, steps, axis=0)
    elif readout != "each" and each and steps > 1:
        fail("LHC702", f"--readout {readout} gives one answer a sample, but there is a label or target for each step",
             node=output, help="--readout each, or one label a sample", error=InputError)
    return Questions(output=output, readout=readout, metric=metric, truth=flat, elements=size)


def first_truth(sink: Sink, truth: Array, size: Size, number: int, *, of_steps: bool = False,
                metric: str = "auto") -> Array:
    """The labels or targets of the first samples, or of the first steps of a single one.

    Args:
        sink: the output.
        truth: of the whole data set, or of more; what fits neither it nor the part is returned as it is.
        size: of the data set.
        number: of samples, or of steps.
        of_steps: whether it is of steps.
        metric: as for `ask`.
    """
    if truth.dtype.kind not in "buif" or truth.ndim == 0:
        return truth
    samples, steps = (size[0], min(number, size[1])) if of_steps else (min(number, size[0]), size[1])

    def prefix(part: Array, size: Size) -> Shape | None:
        return _prefix(part.shape, size, metric if metric != "auto" else _metric(sink, part, size), sink)

    found = prefix(truth, size)
    if found is not None:
        axes = {1: (samples if found == size[:1] else steps,), 2: (samples, steps)}[len(found)]
        return truth[tuple(map(slice, axes))]
    parts = [*([truth[:, :number]] if of_steps and truth.ndim > 1 else []), truth[:number]]
    return next((part for part in parts if prefix(part, (samples, steps)) is not None), truth)


def _metric(sink: Sink, truth: Array, size: Size) -> str:
    """Whether numbers are labels or targets."""
    if prod(sink.shape) == 1:
        return "regression"
    if truth.dtype.kind in "bui":
        return "accuracy"
    as_labels = _prefix(truth.shape, size, "accuracy", sink) and not _prefix(truth.shape, size, "regression", sink)
    return "accuracy" if as_labels and _is_whole(truth) else "regression"


def _is_whole(truth: Array) -> bool:
    return truth.dtype.kind != "f" or bool(np.all(truth == np.floor(truth)))


def _prefix(shape: Shape, size: Size, metric: str, sink: Sink) -> Shape | None:
    """The leading axes of labels or targets: (samples, steps), (samples,), or (steps,) of a single sample."""
    elements = prod(sink.shape)
    suffixes: list[Shape] = [(elements,), sink.shape, *([()] if elements == 1 else [])]
    return next((prefix for prefix in _prefixes(size)
                 for suffix in ([(), (1,)] if metric == "accuracy" else suffixes) if shape == (*prefix, *suffix)), None)


def _prefixes(size: Size) -> list[Shape]:
    samples, steps = size
    return [(samples, steps), (samples,), *([(steps,)] if samples == 1 else [])]


def _fitted(truth: Array, size: Size, metric: str, sink: Sink, output: str) -> Shape:
    """As `_prefix`, of labels or targets that fit."""
    found = _prefix(truth.shape, size, metric, sink)
    if found is not None:
        return found
    suffix: Shape = () if metric == "accuracy" else (prod(sink.shape),)
    fits = " or ".join(str((*prefix, *suffix)) for prefix in _prefixes(size))
    other = "regression" if metric == "accuracy" else "accuracy"
    is_other = _prefix(truth.shape, size, other, sink) is not None and (other == "regression" or _is_whole(truth))
    return fail("LHC115", f"labels or targets of shape {truth.shape} do not fit {size[0]} samples of {size[1]} steps",
                node=output, error=InputError, help=f"their shape is {fits}; --samples N takes the first N of both"
                + (f"; they would fit --metric {other}" if is_other else ""))


def _labels(flat: Array, size: int, output: str) -> Array:
    """Labels (questions,) as integers within the output's elements."""
    labels = flat[:, 0]
    if size < 2:
        fail("LHC702", "--metric accuracy needs an output of several elements", node=output,
             param=f"{output} has one", help="--metric regression", error=InputError)
    if not _is_whole(labels):
        fail("LHC115", "labels are whole numbers", node=output, help="--metric regression", error=InputError)
    low, high = labels.min(), labels.max()
    if low < 0 or high >= size:
        fail("LHC115", f"labels are {_number(low)} to {_number(high)}", node=output, error=InputError,
             param=f"the output has {size} elements, so that labels are 0 to {size - 1}",
             help="number the classes from 0; --metric regression if these are no classes")
    return labels.astype(np.int64)


def _targets(flat: Array, output: str) -> Array:
    """Targets (questions, elements) of which errors can be told."""
    if flat.min() < -LARGEST or flat.max() > LARGEST:
        fail("LHC115", f"targets are {_number(flat.min())} to {_number(flat.max())}", node=output, error=InputError,
             param=f"the largest that are compared are {LARGEST:g}")
    return flat


def _number(value: Any) -> str:
    """A whole number in full, unless it is too long for that."""
    return str(int(value)) if abs(float(value)) < 1e15 or isinstance(value, np.integer) else f"{value:g}"


def read_out(values: Array, readout: str, scale: Array | None = None) -> Array:
    """Of an output (N, T, *shape) what is kept: (N, elements), or (N, T, elements) for ``each``; sums for ``mean``.

    Args:
        values: integers, or real numbers.
        readout: as in `Questions`.
        scale: of the integers, which broadcasts to the shape; where it is negative, the greatest is the least.
    """
    if readout in ("sum", "mean"):
        read = values.sum(axis=1)
    elif readout == "max":
        read = values.max(axis=1)
        if scale is not None and np.any(scale < 0):
            read = np.where(scale < 0, values.min(axis=1), read)
    elif readout == "last":
        read = values[:, -1]
    else:
        return values.reshape(*values.shape[:2], -1)
    return np.asarray(read.reshape(len(values), -1))


def real_answers(sink: Sink, read: Array, readout: str, steps: int) -> Array:
    """Answers (questions, elements) in the trained network's units, from what `read_out` kept of its integers.

    Args:
        sink: the output.
        read: (N, elements), or (N, T, elements).
        readout: as for `read_out`.
        steps: T.
    """
    shaped = read.reshape(-1, *sink.shape)
    summed = readout in ("sum", "mean")
    real = shaped * sink.scale + sink.offset * (steps if summed else 1)
    return np.asarray(real / steps if readout == "mean" else real).reshape(len(shaped), -1)
