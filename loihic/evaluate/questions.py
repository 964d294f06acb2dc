"""Questions: what a data set asks of a program, how the answer is read out of the steps, and what would be right."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.node import Array, Shape
from loihic.ops.source import Sink
from loihic.program import Program

METRICS = ("auto", "accuracy", "regression")
READOUTS = ("auto", "sum", "mean", "last", "max", "each")


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

    Whole numbers are labels (if the output has several elements), others are targets. They may be given for each
    sample, or for each step of it; the readout is then ``each``. For each sample labels are compared with the sum over
    the steps, targets with the mean.

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
        metric = "accuracy" if truth.dtype.kind in "bui" and size > 1 else "regression"
    suffixes: list[Shape] = [(), (1,)] if metric == "accuracy" else [(size,), sink.shape, *([()] if size == 1 else [])]
    each, flat = _fit(truth, samples, steps, suffixes, output)
    if metric == "accuracy":
        flat = _labels(flat, size, output)
    if readout == "auto":
        readout = "each" if each else ("sum" if metric == "accuracy" else "mean")
    if readout == "each" and not each:
        flat = np.repeat(flat, steps, axis=0)
    elif readout != "each" and each and steps > 1:
        fail("LHC702", f"--readout {readout} gives one answer a sample, but there is a label or target for each step",
             node=output, help="--readout each, or one label a sample", error=InputError)
    return Questions(output=output, readout=readout, metric=metric, truth=flat, elements=size)


def _fit(truth: Array, samples: int, steps: int, suffixes: list[Shape], output: str) -> tuple[bool, Array]:
    """Whether there is a truth for each step, and all as (questions, elements)."""
    prefixes: list[tuple[bool, Shape]] = [(True, (samples, steps)), (False, (samples,))]
    if samples == 1:
        prefixes.append((True, (steps,)))
    for each, prefix in prefixes:
        for suffix in suffixes:
            if truth.shape == (*prefix, *suffix):
                return each, truth.reshape(prod(prefix), -1)
    fits = " or ".join(str((*prefix, *suffixes[0])) for _, prefix in prefixes)
    return fail("LHC115", f"labels or targets of shape {truth.shape} do not fit {samples} samples of {steps} steps",
                node=output, error=InputError, help=f"their shape is {fits}; --samples N takes the first N of both")


def _labels(flat: Array, size: int, output: str) -> Array:
    """Labels (questions,) as integers within the output's elements."""
    labels = flat[:, 0]
    whole = labels.astype(np.int64)
    if size < 2:
        fail("LHC702", "--metric accuracy needs an output of several elements", node=output,
             param=f"{output} has one", help="--metric regression", error=InputError)
    if not np.array_equal(whole, labels):
        fail("LHC115", "labels are whole numbers", node=output, help="--metric regression", error=InputError)
    low, high = int(whole.min()), int(whole.max())
    if low < 0 or high >= size:
        fail("LHC115", f"labels are {low} to {high}", node=output, error=InputError,
             param=f"the output has {size} elements, so that labels are 0 to {size - 1}",
             help="number the classes from 0; --metric regression if these are no classes")
    return whole


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
