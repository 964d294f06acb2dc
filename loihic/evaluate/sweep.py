"""A sweep: one model compiled in many ways, what each achieves over a data set, and what it costs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

import loihic
from loihic import api
from loihic.errors import CompileError, Diagnostic, InputError, LoihicError, fail
from loihic.evaluate.data import Raw, read_truth, split_truth
from loihic.evaluate.evaluation import Evaluation, evaluate
from loihic.evaluate.executors import Beat, close, cores, executor
from loihic.evaluate.pareto import pareto
from loihic.evaluate.shards import arrays_digest
from loihic.evaluate.shelf import Shelf
from loihic.frontends.formats import model_digest
from loihic.ir.node import Array
from loihic.options import Options
from loihic.partition.resources import POOL, SYNAPSES
from loihic.partition.step import step_time
from loihic.program import Program

COSTS = ("words", "memory", "cores", "chips", "messages", "latency", "step_time")
RISING = frozenset({"accuracy", "agreement"})  # measures of which more is better
Progress = Callable[[float, int], None]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way to compile: what it is called, by option, and the options; made when it is its turn, for they hold data."""

    choices: Mapping[str, str]
    make: Callable[[], Options]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A variant and what became of it.

    Attributes:
        choices: the options that vary, as text.
        figures: by name: ``accuracy`` (with ``accuracy_low``, ``accuracy_high``), ``rmse``, ``mae``, ``r2``,
            ``agreement`` with the float network; `COSTS`: 64-bit ``words`` of synaptic memory, words of all ``memory``,
            ``cores``, ``chips``, ``messages`` per step, ``latency`` in steps, ``step_time`` in seconds, by the model;
            and ``losses``, entries of the ledger.
        code, message: of the first error, if the variant failed.
        is_pareto: whether no other point is better in something and worse in nothing.
    """

    choices: Mapping[str, str]
    figures: Mapping[str, float] = field(default_factory=dict)
    code: str = ""
    message: str = ""
    is_pareto: bool = False

    @property
    def label(self) -> str:
        """The choices in one line."""
        return " ".join(f"{name}={value}" for name, value in self.choices.items())

    def figure(self, name: str) -> float:
        """A figure; NaN if there is none."""
        return float(self.figures.get(name, nan))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"choices": dict(self.choices), "figures": dict(self.figures), "pareto": self.is_pareto,
                "error": {"code": self.code, "message": self.message} if self.code else None}


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """All points, in the order of the variants.

    Attributes:
        model: the name of the model's file.
        measure: what says how good a point is: ``accuracy``, ``rmse``, ``agreement``, or nothing.
        costs: what a point is to save.
        points: all of them.
        resumed: those that an earlier run had finished.
    """

    model: str
    measure: str
    costs: tuple[str, ...]
    points: tuple[Point, ...]
    resumed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"model": self.model, "measure": self.measure or None, "costs": list(self.costs),
                "points": [point.to_json() for point in self.points]}


@dataclass(frozen=True, kw_only=True)
class Material:
    """What all points need.

    Attributes:
        name: of the model's file.
        model: its path, or its bytes where the work is done elsewhere.
        loaded: the arrays of the data set.
        labels: labels or targets, or the name of their array, or None.
        choices: of the evaluation, as keyword arguments of `evaluate`.
    """

    name: str
    model: str | bytes
    loaded: Raw
    labels: str | Array | None
    choices: Mapping[str, Any]


def variants(base: Options, **choices: Sequence[Any]) -> list[Variant]:
    """Every combination of some fields of `Options`, as in ``variants(base, weight_bits=[8, 4], dt=[1e-4])``."""
    def made(values: tuple[Any, ...]) -> Variant:
        given = dict(zip(choices, values, strict=True))
        shown = {name: str(getattr(value, "value", value)) for name, value in given.items()}
        return Variant(choices=shown, make=lambda: replace(base, **given))

    return [made(values) for values in product(*choices.values())]


def sweep(model: str | Path, ways: Sequence[Variant], x: Raw, labels: str | Array | None = None, *,
          costs: Sequence[str] = ("words",), workers: int | None = None, scheduler: str | None = None,
          shelf: Shelf | None = None, progress: Progress | None = None, **choices: Any) -> Sweep:
    """Compile a model in many ways, and evaluate each.

    A variant that cannot be compiled, or does not take the data, is a point with an error's code.

    Args:
        model: path of a model.
        ways: the variants.
        x: inputs as for `evaluate`, labels among them as in a file.
        labels: labels or targets, or the name of their array or file.
        costs: of `COSTS`, for the Pareto points.
        workers: points at once; by default all cores, or one with torch.
        scheduler: address of a Dask scheduler, whose workers then do the points.
        shelf: where finished points are kept; the caller clears it.
        progress: called with the number of points done (not always whole), and of how many.
        choices: output, metric, readout, backend, device, with_float, samples, timeout of `evaluate`.

    Raises:
        InputError: LHC101 if the model cannot be read, LHC702 for an unknown cost.
        BackendError: the backend or the cluster is missing or failed.
    """
    path = Path(model)
    for cost in costs:
        if cost not in COSTS:
            fail("LHC702", f"nothing is called {cost}", help=f"costs are {', '.join(COSTS)}", error=InputError)
    try:
        content = path.read_bytes()
    except OSError as error:
        fail("LHC101", f"cannot read {path.name}", param=error.strerror or str(error), error=InputError)
    used = executor(workers, scheduler, alone=choices.get("backend") == "torch")
    try:
        threads = None if used.remote else max(1, cores() // max(1, min(used.workers, len(ways))))
        material = Material(name=path.name, model=content if used.remote else str(path), labels=read_truth(x, labels),
                            loaded=_in_memory(x, used.remote), choices={"workers": 1, "threads": threads, **choices})
        common = "" if shelf is None else _digest(model_digest(path, content), material, choices)
        points: dict[int, Point] = {}
        waiting: list[int] = []
        keys: dict[int, str] = {}
        resumed = 0

        def jobs() -> Iterator[tuple[Mapping[str, str], Options]]:
            nonlocal resumed
            for place, way in enumerate(ways):
                try:
                    options = way.make()
                except InputError as error:
                    points[place] = _failed(way.choices, error)
                    continue
                if shelf is not None:
                    keys[place] = _key(common, options)
                    kept = _point(way.choices, shelf.record(keys[place]))
                    if kept is not None:
                        points[place] = kept
                        resumed += 1
                        continue
                waiting.append(place)
                yield way.choices, options

        def tell(done: float) -> None:
            if progress is not None:
                progress(done + len(points) - sum(place in points for place in waiting), len(ways))

        for job, point in used.results(run_point, material, jobs(), tell):
            points[waiting[job]] = point
            if shelf is not None:
                shelf.put_record(keys[waiting[job]], point.to_json())
    finally:
        close(used)
    found = [points[place] for place in range(len(ways))]
    measure = next((name for name in ("accuracy", "rmse", "agreement") if any(name in p.figures for p in found)), "")
    return Sweep(model=path.name, measure=measure, costs=tuple(costs), points=_marked(found, measure, costs),
                 resumed=resumed)


def run_point(material: Material, job: tuple[Mapping[str, str], Options], beat: Beat) -> Point:
    """Compile and evaluate one variant; see `loihic.evaluate.executors`."""
    shown, options = job
    try:
        program = _compiled(material, options)
        raw, truth = split_truth(material.loaded, program.input_shapes, material.labels)
        found = evaluate(program, raw, truth, progress=lambda done, of: beat(done / of), **material.choices)
    except (CompileError, InputError) as error:
        return _failed(shown, error)
    return Point(choices=shown, figures=figures(program, found))


def _compiled(material: Material, options: Options) -> Program:
    if isinstance(material.model, str):
        return api.compile(material.model, options=options)
    with tempfile.TemporaryDirectory(prefix="loihic-sweep-") as folder:
        path = Path(folder) / material.name
        path.write_bytes(material.model)
        return api.compile(str(path), options=options)


def figures(program: Program, found: Evaluation) -> dict[str, float]:
    """What a program achieves and costs; see `Point`."""
    figures: dict[str, float] = {}
    one, values = found.score.classification, found.score.regression
    if one is not None:
        figures |= {"accuracy": one.accuracy, "accuracy_low": one.interval[0], "accuracy_high": one.interval[1]}
    if values is not None:
        figures |= {name: value for name, value in values.overall.items() if name != "mse"}
    if found.floats is not None and found.floats.agreement is not None:
        figures["agreement"] = found.floats.agreement
    plan = program.plan
    if plan is not None:
        memory = plan.figures.memory.sum(axis=0)
        figures |= {"words": float(memory[SYNAPSES]), "memory": float(memory[POOL]), "cores": float(plan.cores),
                    "chips": float(plan.chips), "step_time": step_time(plan).seconds.value}
    return figures | {"messages": sum(each.messages for each in found.activity), "latency": float(program.latency),
                      "losses": float(sum(loss.is_loss for loss in program.ledger))}


def _failed(shown: Mapping[str, str], error: LoihicError) -> Point:
    first: Diagnostic = error.diagnostics[0]
    message = first.message + (f" ({first.param})" if first.param else "")
    return Point(choices=shown, code=first.code, message=message)


def _marked(points: Sequence[Point], measure: str, costs: Sequence[str]) -> tuple[Point, ...]:
    """The points with the Pareto ones marked; without a measure only costs count."""
    if not points:
        return ()
    signs = [(measure, -1.0 if measure in RISING else 1.0)] if measure else []
    table = np.array([[sign * point.figure(name) for name, sign in (*signs, *((cost, 1.0) for cost in costs))]
                      for point in points])
    return tuple(replace(point, is_pareto=bool(best)) for point, best in zip(points, pareto(table), strict=True))


def _in_memory(x: Raw, remote: bool) -> Raw:
    """The data set, read whole where it has to travel."""
    if not remote:
        return x
    return {name: np.array(values) for name, values in x.items()} if isinstance(x, Mapping) else np.array(x)


def _digest(model: str, material: Material, choices: Mapping[str, Any]) -> str:
    """Of everything that all points depend on."""
    arrays = dict(material.loaded) if isinstance(material.loaded, Mapping) else {"": material.loaded}
    labels = material.labels
    if labels is not None and not isinstance(labels, str):
        arrays = {**arrays, "|labels": labels}
    plain = {name: value for name, value in sorted(choices.items()) if name not in ("timeout", "device")}
    what = json.dumps([loihic.__version__, labels if isinstance(labels, str) else "", plain], default=str)
    return arrays_digest(arrays, model + what)


def _key(common: str, options: Options) -> str:
    what = json.dumps([common, options.described(), repr(options.machine)], sort_keys=True, default=str)
    return arrays_digest(options.calibration, what)


def _point(shown: Mapping[str, str], record: Mapping[str, Any] | None) -> Point | None:
    """A finished point, if it is there and whole."""
    try:
        if record is None:
            return None
        error = record["error"] or {"code": "", "message": ""}
        return Point(choices=shown, code=str(error["code"]), message=str(error["message"]),
                     figures={str(name): float(value) for name, value in record["figures"].items()})
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
