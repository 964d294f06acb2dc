"""Which loss is to blame: the first divergence, with one loss at a time undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from loihic.ir.graph import SourceGraph
from loihic.ir.node import Array
from loihic.ops.compartment import Compartment
from loihic.report.divergence import Detector, Divergence
from loihic.sim.emulate import Emulator, LossKind, Place
from loihic.sim.reference import reference_steps


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why an element diverges.

    Attributes:
        kind: the loss whose undoing alone removes the divergence, or delays it most; None if it takes several.
        nodes: where that loss lies: maps for weights and delays, the population for the rest. Empty for a loss that
            must be undone in the whole network.
        delayed_to: the step to which undoing it delays the divergence; None if it never comes.
        also: other kinds whose undoing alone removes it too.
    """

    kind: LossKind | None
    nodes: tuple[str, ...] = ()
    delayed_to: int | None = None
    also: tuple[LossKind, ...] = ()

    def __str__(self) -> str:
        if self.kind is None:
            return "several losses together: undoing one kind alone does not even delay it"
        what = "rounding of states" if self.kind is LossKind.ARITHMETIC else self.kind.value
        where = f"{what} of {', '.join(self.nodes)}" if self.nodes else f"{what}, throughout the network"
        effect = "removes it" if self.delayed_to is None else f"delays it to step {self.delayed_to}"
        others = f"; so does {' or '.join(kind.value for kind in self.also)}" if self.also else ""
        return f"{where}: undoing that alone {effect}{others}"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "text": str(self)}


@dataclass(frozen=True)
class _Trial:
    """What one emulation does at the element.

    `step` is where it diverges (None: never), `distance` the squared error of its v before the known divergence.
    """

    kind: LossKind
    places: frozenset[Place]
    step: int | None
    distance: float

    @property
    def rank(self) -> tuple[bool, int, float]:
        """Better trials are greater."""
        return self.step is None, self.step or 0, -self.distance


def find_cause(emulator: Emulator, node: Compartment, found: Divergence, inputs: Mapping[str, Array],
               tolerance: float, progress: Callable[[], None] = lambda: None) -> Cause:
    """Undo one kind of loss at a time: first at the diverging population alone, then in the whole network.

    Where several kinds remove the divergence, the one is named whose undoing brings the voltage nearest to that of the
    floats before it.

    Args:
        emulator: of the program.
        node: the population of the divergence.
        found: the divergence.
        inputs: the sample of it, real, (1, T, *shape) per Input.
        tolerance: for graded values, as the divergence was found with.
        progress: called before each trial.
    """
    truth = _Truth(emulator.source, node, found, inputs, tolerance)
    if truth.trial(emulator, frozenset(), LossKind.ARITHMETIC).step != found.step:
        return Cause(kind=None)  # sums beyond 32 bits, which are not emulated
    for near in (True, False):
        trials = []
        for kind in LossKind:
            places = emulator.at(found.node, kind) if near else emulator.everywhere([kind])
            if places:
                progress()
                trials.append(truth.trial(emulator, places, kind))
        better = [trial for trial in trials if trial.step is None or trial.step > found.step]
        if better:
            best = max(better, key=lambda trial: trial.rank)
            also = tuple(t.kind for t in better if t is not best and t.step is None and best.step is None)
            return Cause(kind=best.kind, nodes=_named(emulator, truth, best), delayed_to=best.step, also=also)
    return Cause(kind=None)


def _named(emulator: Emulator, truth: _Truth, best: _Trial) -> tuple[str, ...]:
    """Where the loss lies, narrowed down to one map where undoing that one does as much; empty if it is not near."""
    near = {truth.found.node, *(edge.src for edge in emulator.source.incoming[truth.found.node])}
    names = sorted(name for name, _ in best.places)
    if not near.issuperset(names):
        return ()
    if len(names) > 1:
        single = [truth.trial(emulator, frozenset({(name, best.kind)}), best.kind) for name in names]
        enough = max(single, key=lambda trial: trial.rank)
        if enough.step == best.step:
            return tuple(name for name, _ in enough.places)
    return tuple(names)


class _Truth:
    """The float run of one sample, against which emulations are tried at one element."""

    def __init__(self, source: SourceGraph, node: Compartment, found: Divergence, inputs: Mapping[str, Array],
                 tolerance: float) -> None:
        self.node, self.found, self.inputs, self.tolerance = node, found, inputs, tolerance
        self.steps = [(moment.sent[found.node], moment.states[found.node]["v"]) for moment in
                      reference_steps(source, inputs)]

    def trial(self, emulator: Emulator, undo: frozenset[Place], kind: LossKind) -> _Trial:
        """What the emulation without the losses in `undo`, all of one kind, does at the element."""
        at, distance = (0, *self.found.index), 0.0
        detector = Detector(self.found.node, self.node, np.zeros(()), self.tolerance)
        moments = zip(reference_steps(emulator.graph(undo), self.inputs), self.steps, strict=True)
        for t, (moment, (sent, v)) in enumerate(moments):
            if detector.differs(moment.sent[self.found.node], sent)[at]:
                return _Trial(kind, undo, t, distance)
            if t < self.found.step:
                distance += float(moment.states[self.found.node]["v"][at] - v[at]) ** 2
        return _Trial(kind, undo, None, distance)
