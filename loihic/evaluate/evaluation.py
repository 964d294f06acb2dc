"""An evaluation: a program over a data set, and how well it does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loihic.errors import InputError, fail
from loihic.evaluate.activity import BACKENDS, Activity, activities
from loihic.evaluate.data import Raw
from loihic.evaluate.executors import Executor, close, cores, executor
from loihic.evaluate.metrics import Classification, Regression, classification, regression
from loihic.evaluate.questions import Questions, ask, choose_output, first_truth, real_answers
from loihic.evaluate.shards import Job, Setting, Shard, ShardResult, cut, forgetful, gathered, run_shard, shard_key
from loihic.evaluate.shelf import Shelf
from loihic.golden import fit_shapes
from loihic.ir.node import Array
from loihic.ops.source import Sink
from loihic.program import Program
from loihic.report.tables import is_graded

Progress = Callable[[float, int], None]


@dataclass(frozen=True, kw_only=True)
class Score:
    """How well one network does: one of the two where there are labels or targets, else neither."""

    classification: Classification | None = None
    regression: Regression | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"classification": None if self.classification is None else self.classification.to_json(),
                "regression": None if self.regression is None else self.regression.to_json()}


@dataclass(frozen=True, kw_only=True)
class Floats:
    """The float network on the same inputs.

    Attributes:
        answers: (questions, elements).
        score: how well it does.
        agreement: share of the questions in which both choose the same element; None for an output of one element.
        rmse: root of the mean squared difference between both networks' answers, in the trained network's units.
    """

    answers: Array
    score: Score
    agreement: float | None
    rmse: float

    def to_json(self) -> dict[str, Any]:
        """Plain data, without the answers."""
        return {"agreement": self.agreement, "rmse": self.rmse, **self.score.to_json()}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What an evaluation found. It is the same whatever the shards and workers were.

    Attributes:
        model: the name of the model.
        backend: where it ran.
        samples, steps: of the data set.
        questions: what was asked: how answers were read out, and what would be right.
        answers: in the trained network's units, (questions, elements), in order of samples, then steps.
        score: how well the program does.
        silent: questions to which no element sent anything; None for graded outputs.
        ties: questions to which several elements answered alike; the first of them counts.
        activity: messages of every input and population.
        floats: the float network, if it was asked.
        shards: pieces that the data set was cut into.
        resumed: those that an earlier run had finished.
    """

    model: str
    backend: str
    samples: int
    steps: int
    questions: Questions
    answers: Array
    score: Score
    silent: int | None
    ties: int
    activity: tuple[Activity, ...]
    floats: Floats | None = None
    shards: int = 1
    resumed: int = 0

    @property
    def chosen(self) -> Array:
        """The most active element of the output for each question, (questions,)."""
        return np.asarray(self.answers.argmax(axis=1))

    @property
    def accuracy(self) -> float | None:
        """Share of right answers, if labels are known."""
        return None if self.score.classification is None else self.score.classification.accuracy

    def to_json(self) -> dict[str, Any]:
        """Plain data, without single answers; the same for the same program and data."""
        return {"model": self.model, "backend": self.backend, "samples": self.samples, "steps": self.steps,
                "output": self.questions.output, "readout": self.questions.readout,
                "metric": self.questions.metric or None, "questions": len(self.answers), **self.score.to_json(),
                "silent": self.silent, "ties": self.ties, "activity": [one.to_json() for one in self.activity],
                "float": None if self.floats is None else self.floats.to_json()}

    def arrays(self) -> dict[str, Array]:
        """Everything as arrays by name: answers, labels, confusion matrix, and rates as ``rate/NODE``."""
        found: dict[str, Array] = {"answers": self.answers}
        if self.answers.shape[1] > 1:
            found["chosen"] = self.chosen
        if self.questions.truth is not None:
            found["labels" if self.questions.metric == "accuracy" else "targets"] = self.questions.truth
        if self.score.classification is not None:
            found["confusion"] = self.score.classification.confusion
        if self.floats is not None:
            found["float_answers"] = self.floats.answers
        return found | {f"rate/{one.node}": one.rates for one in self.activity}


def evaluate(program: Program, x: Raw, labels: Array | None = None, *, output: str | None = None, metric: str = "auto",
             readout: str = "auto", backend: str = "sim", device: str = "cpu", with_float: bool = False,
             samples: int | None = None, workers: int | None = None, threads: int | None = None,
             shard: int | None = None, scheduler: str | None = None, timeout: float | None = None,
             shelf: Shelf | None = None, progress: Progress | None = None) -> Evaluation:
    """Run a program over a data set, and say how well it does.

    Args:
        program: the program.
        x: inputs as for `Program.run`; arrays may be mapped into memory, of which a shard is read at a time.
        labels: labels or targets, for each sample or each step; see `loihic.evaluate.questions.ask`.
        output: that answers; needed where there are several.
        metric: ``accuracy``, ``regression``, or ``auto``.
        readout: ``sum``, ``mean``, ``max`` or ``last`` over the steps, ``each`` step, or ``auto``.
        backend: ``sim``, ``torch`` or ``lava``.
        device: of torch.
        with_float: run the float network as well.
        samples: only the first so many, of labels too; of a single long run of a network that answers each step by
            itself, steps.
        workers: shards at once; by default all cores, or one with torch. With Lava each is a process group of its own.
        threads: of each shard's engine; by default the cores that are left.
        shard: samples of a shard (or steps, as above); by default a few seconds' work.
        scheduler: address of a Dask scheduler, whose workers then do the shards.
        timeout: seconds of one shard on Lava.
        shelf: where finished shards are kept; the caller clears it.
        progress: called with the number of shards done (not always whole), and of how many.

    Raises:
        InputError: LHC110, LHC111 or LHC115 where data and program do not go together, LHC701 or LHC702 for a choice.
        BackendError: the backend or the cluster is missing or failed.
    """
    if backend not in BACKENDS:
        fail("LHC702", f"unknown backend {backend!r}", error=InputError, help=f"one of {', '.join(BACKENDS)}")
    output = choose_output(program, output)
    inputs = fit_shapes(x, program.input_shapes)
    truth = None if labels is None else np.asarray(labels)
    if samples is not None:
        inputs, truth = _first(program, inputs, truth, samples, program.outputs[output], metric)
    count, steps = _size(inputs)
    questions = ask(program, output, count, steps, truth, metric=metric, readout=readout)
    shards = cut(program, count, steps, size=shard, backend=backend)
    if len({piece.start for piece in shards}) > 1 and questions.readout != "each":
        shards = [Shard(first=0, last=1, start=0, stop=steps)]  # an answer that takes all steps together
    used = executor(workers, scheduler, alone=backend == "torch")
    try:
        spread = threads or (None if used.remote else max(1, cores() // max(1, min(used.workers, len(shards)))))
        setting = Setting(output=output, readout=questions.readout, backend=backend, device=device, threads=spread,
                          timeout=timeout, with_float=with_float, shards=len(shards))
        results, resumed = _all(program, setting, shards, inputs, used, shelf, progress)
    finally:
        close(used)
    return replace(_found(program, questions, gathered(results), count, steps), backend=backend, shards=len(shards),
                   resumed=resumed)


def _size(inputs: Mapping[str, Array]) -> tuple[int, int]:
    """Samples and steps."""
    samples, steps = next(iter(inputs.values())).shape[:2]
    return samples, steps


def _first(program: Program, inputs: Mapping[str, Array], truth: Array | None, samples: int, sink: Sink, metric: str
           ) -> tuple[dict[str, Array], Array | None]:
    """The first `samples` of inputs and labels, or steps of a single long run."""
    size = _size(inputs)
    of_steps = size[0] == 1 and forgetful(program)
    if truth is not None:
        truth = first_truth(sink, truth, size, samples, of_steps=of_steps, metric=metric)
    cut = (slice(None), slice(samples)) if of_steps else (slice(samples),)
    return {name: values[cut] for name, values in inputs.items()}, truth


def _all(program: Program, setting: Setting, shards: list[Shard], inputs: dict[str, Array], used: Executor,
         shelf: Shelf | None, progress: Progress | None) -> tuple[list[ShardResult], int]:
    """The results of all shards, and how many of them lay on the shelf."""
    content = _bytes(program) if used.remote or shelf is not None else b""
    digest = hashlib.sha256(content).hexdigest()
    found: dict[int, ShardResult] = {}
    keys: dict[int, str] = {}
    waiting: list[int] = []  # places of the jobs, in the order in which they are handed out
    resumed = 0

    def jobs() -> Iterator[Job]:
        nonlocal resumed
        for place, shard in enumerate(shards):
            arrays = shard.of(inputs)
            if shelf is not None:
                keys[place] = shard_key(digest, setting, arrays)
                kept = _unshelved(shelf, keys[place], program, setting, shard)
                if kept is not None:
                    found[place] = kept
                    resumed += 1
                    continue
            waiting.append(place)
            yield setting, shard, arrays

    def tell(done: float) -> None:
        if progress is not None:
            progress(done + resumed, len(shards))

    for job, result in used.results(run_shard, content if used.remote else program, jobs(), tell):
        place = waiting[job]
        found[place] = result
        if shelf is not None:
            shelf.put_arrays(keys[place], _shelved(result))
    return [found[place] for place in range(len(shards))], resumed


def _bytes(program: Program) -> bytes:
    from loihic.artifact import dumps

    return dumps(program)


def _shelved(result: ShardResult) -> dict[str, Array]:
    floats = {} if result.floats is None else {"floats": result.floats}
    return {"read": result.read, **floats, **{f"sent/{name}": counts for name, counts in result.sent.items()}}


def _unshelved(shelf: Shelf, key: str, program: Program, setting: Setting, shard: Shard) -> ShardResult | None:
    """A finished shard, if it is there and of the shapes that it must have."""
    arrays = shelf.arrays(key)
    if arrays is None or "read" not in arrays or setting.with_float != ("floats" in arrays):
        return None
    size = int(np.prod(program.outputs[setting.output].shape))
    each = (shard.stop - shard.start,) if setting.readout == "each" else ()
    shapes = {"read": (shard.last - shard.first, *each, size), "floats": (shard.last - shard.first, *each, size)}
    sent = {name.removeprefix("sent/"): values for name, values in arrays.items() if name.startswith("sent/")}
    whole = all(arrays[name].shape == shape for name, shape in shapes.items() if name in arrays) and all(
        values.dtype == np.int64 and name in program.graph.shapes
        and values.shape == (int(np.prod(program.graph.shapes[name])),) for name, values in sent.items())
    return ShardResult(read=arrays["read"], floats=arrays.get("floats"), sent=sent) if whole else None


def _found(program: Program, questions: Questions, whole: ShardResult, count: int, steps: int) -> Evaluation:
    sink = program.outputs[questions.output]
    answers = real_answers(sink, whole.read, questions.readout, steps)
    spikes = not is_graded(program, questions.output)
    ties = int(np.sum(np.sum(answers == answers.max(axis=1, keepdims=True), axis=1) > 1)) if answers.shape[1] > 1 else 0
    floats = None
    if whole.floats is not None:
        theirs = whole.floats / steps if questions.readout == "mean" else whole.floats
        agreement = float(np.mean(answers.argmax(axis=1) == theirs.argmax(axis=1))) if answers.shape[1] > 1 else None
        floats = Floats(answers=theirs, score=_score(questions, theirs), agreement=agreement,
                        rmse=float(np.sqrt(np.mean((answers - theirs) ** 2))))
    return Evaluation(
        model=str(program.provenance.get("model", "")), backend="", samples=count, steps=steps, questions=questions,
        answers=answers, score=_score(questions, answers), ties=ties, floats=floats,
        silent=int(np.sum(~np.any(whole.read, axis=1))) if spikes else None,
        activity=activities(program, whole.sent, count * steps))


def _score(questions: Questions, answers: Array) -> Score:
    if questions.truth is None:
        return Score()
    if questions.metric == "accuracy":
        return Score(classification=classification(answers.argmax(axis=1), questions.truth, questions.elements))
    return Score(regression=regression(answers, questions.truth))
