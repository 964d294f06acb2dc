"""Float against integer: every population at every step, the first divergence and its cause, the effect of each loss.

Both networks run free, each on its own spikes, so that the figures say what the program is worth in use. Samples run in
chunks and steps are taken in as they come: memory is bounded however long the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.node import Array
from loihic.ops.compartment import Compartment
from loihic.ops.neuron import Neuron
from loihic.program import Program
from loihic.report.causes import Cause, find_cause
from loihic.report.divergence import DEFAULT_TOLERANCE, Detector, Divergence
from loihic.report.effects import KindEffect, kind_effects, output_error, work
from loihic.report.faults import Finding, faults
from loihic.report.population import PopulationMeter, PopulationReport
from loihic.report.spike_metrics import DEFAULT_TAU
from loihic.sim.emulate import Emulator, LossKind
from loihic.sim.lockstep import Trace, lockstep, populations
from loihic.sim.reference import run_reference
from loihic.sim.run import run
from loihic.verify import chosen

Progress = Callable[[str, float], None]  # what is being done, and how much of it all is done, 0 to 1
CHUNK_BYTES = 64e6
EFFECT_WORK = 2e9  # multiply-adds for the effects of the kinds of loss
EFFECT_SAMPLES = 64
MAIN_SHARE, CAUSE_SHARE = 0.4, 0.2  # of the progress bar


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """How often both networks choose the same element of a vector output: the one with the greatest sum.

    Attributes:
        agreed: samples with the same choice; steps, where each step is a question of its own.
        of: samples (steps) in which at least one of the two sends anything.
        silent: samples in which neither does.
    """

    agreed: int
    of: int
    silent: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A program against the float network it was compiled from.

    Attributes:
        samples, steps: of the input.
        tau: of the van Rossum distance, in steps.
        tolerance: of graded outputs, for the first divergence.
        populations: every population, in the order data flows.
        decisions: per vector output.
        first: the first divergence: the earliest step, there the first population, sample and element. None if none.
        cause: of the first divergence.
        output_error: of the first `effect_samples` samples; 0: the same answers, about 1: worth no more than silence.
        effects: what each kind of loss does to it.
        effect_samples: on how many samples the effects were measured.
        faults: neurons that do not do their work.
    """

    samples: int
    steps: int
    tau: float
    tolerance: float
    populations: tuple[PopulationReport, ...]
    decisions: Mapping[str, Decisions]
    first: Divergence | None
    cause: Cause | None
    output_error: float
    effects: tuple[KindEffect, ...]
    effect_samples: int
    faults: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "samples": self.samples, "steps": self.steps, "tau": self.tau, "tolerance": self.tolerance,
            "populations": [one.to_json() for one in self.populations],
            "decisions": {name: asdict(one) for name, one in self.decisions.items()},
            "first": self.first.to_json() if self.first else None,
            "cause": self.cause.to_json() if self.cause else None,
            "output_error": self.output_error, "effects": [one.to_json() for one in self.effects],
            "effect_samples": self.effect_samples, "faults": [one.to_json() for one in self.faults]}


def compare(program: Program, x: Array | Mapping[str, Array] | None = None, *, tau: float = DEFAULT_TAU,
            tolerance: float = DEFAULT_TOLERANCE, progress: Progress | None = None) -> Comparison:
    """Compare a program with the float network on `x` (the golden input by default).

    Args:
        program: the program.
        x: inputs as for `Program.run`; samples are independent runs.
        tau: time constant of the van Rossum distance, in steps.
        tolerance: by which graded outputs may differ before they diverge, relative to the greatest so far.
        progress: called now and then.

    Raises:
        InputError: the input does not fit, or an option has no meaning.
    """
    if not (tau > 0 and np.isfinite(tau)):
        fail("LHC702", f"tau = {tau:g} has no meaning", help="a positive number of steps", error=InputError)
    report = progress or (lambda what, share: None)
    encoded = {n: g[None] for n, g in program.golden.items()} if x is None else program.encode(x)
    run = _Run(program, encoded, tau, tolerance)
    run.main(lambda share: report("comparing", MAIN_SHARE * share))
    emulator = Emulator(program)
    first, cause = run.first, None
    if first is not None:
        node = populations(program)[first.node]
        sample = run.real(slice(first.sample, first.sample + 1))
        cause = None if not isinstance(node, Compartment) else find_cause(
            emulator, node, first, sample, tolerance,
            _counted(report, "looking for the cause", MAIN_SHARE, CAUSE_SHARE, 2 * len(LossKind)))
    chosen = run.effect_samples
    start = MAIN_SHARE + CAUSE_SHARE
    error, effects = kind_effects(
        emulator, run.real(slice(0, chosen)), tau,
        _counted(report, "undoing each loss", start, 1 - start, 2 * len(LossKind) + 1))
    decisions = run.decisions()
    if program.answers_each_step:  # of levels there is no emulation: what the program itself answers is compared
        ours, theirs = run.answers()
        error, decisions = output_error(program.source, ours, theirs, tau), _each_step(ours, theirs)
    return Comparison(
        samples=run.samples, steps=run.steps, tau=tau, tolerance=tolerance,
        populations=tuple(meter.report() for meter in run.meters.values()), decisions=decisions, first=first,
        cause=cause, output_error=error, effects=effects, effect_samples=chosen,
        faults=faults(program, list(run.meters.values())))


class _Run:
    """The run of integers beside floats, and what is measured on it."""

    def __init__(self, program: Program, encoded: Mapping[str, Array], tau: float, tolerance: float) -> None:
        self.program, self.encoded = program, encoded
        self.samples, self.steps = next(iter(encoded.values())).shape[:2]
        self.outputs = {name: program.source.incoming[name][0].src for name in program.outputs}
        nodes = populations(program)
        kept = set(self.outputs.values())
        self.meters = {name: PopulationMeter(name, node, self.steps, tau, keeps_sums=name in kept)
                       for name, node in nodes.items()}
        thresholds = {name: node.threshold for name, node in program.source.of(Neuron) if isinstance(node, Neuron)}
        self.detectors = {name: Detector(name, node, thresholds.get(name, np.zeros(())), tolerance)
                          for name, node in nodes.items()}

    def main(self, progress: Callable[[float], None]) -> None:
        """Run everything, chunk by chunk."""
        latest = max((meter.node.start for meter in self.meters.values()), default=0)
        for part in self._chunks():
            def visit(name: str, t: int, ours: Trace, theirs: Trace, first: int = part.start) -> None:
                self.meters[name].add(t, ours, theirs)
                self.detectors[name].add(t, first, ours, theirs)

            def share(done: int, part: slice = part) -> None:
                size = (part.stop - part.start) / self.samples
                progress(part.start / self.samples + size * done / (self.steps + latest))

            inputs = {name: values[part] for name, values in self.encoded.items()}
            limits = lockstep(self.program, self.program.source, inputs, visit, share)
            for name, meter in self.meters.items():
                meter.finish(limits[name])
                self.detectors[name].finish()

    def _chunks(self) -> Iterator[slice]:
        """So many samples at once that what is kept of them stays within bounds."""
        arrays = sum(int(np.prod(m.node.shape)) * (24 + 4 * m.node.start) for m in self.meters.values())
        size = max(1, int(CHUNK_BYTES / 8 / max(arrays, 1)))
        for start in range(0, self.samples, size):
            yield slice(start, min(start + size, self.samples))

    @property
    def first(self) -> Divergence | None:
        """The earliest divergence; at the same step, that of the population that data passes first."""
        found = [one.found for one in self.detectors.values() if one.found is not None]
        return min(found, key=lambda one: one.step) if found else None

    def decisions(self) -> dict[str, Decisions]:
        """Of every vector output with something to choose."""
        found = {}
        for name, population in self.outputs.items():
            if population not in self.meters:  # sigma-delta neurons of lava-dl are the same in floats
                continue
            meter = self.meters[population]
            if len(meter.node.shape) == 1 and meter.node.shape[0] > 1:
                ours, theirs = (np.concatenate(sums) for sums in zip(*meter.sums, strict=True))
                decided = np.any(ours != 0, axis=1) & np.any(theirs != 0, axis=1)
                silent = ~np.any(ours != 0, axis=1) & ~np.any(theirs != 0, axis=1)
                same = decided & (ours.argmax(axis=1) == theirs.argmax(axis=1))
                found[name] = Decisions(agreed=int(same.sum()), of=int((~silent).sum()), silent=int(silent.sum()))
        return found

    def answers(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """The outputs of the integers and of the floats, (N, T, *shape), in real units."""
        found = {}
        raw = run(self.program.graph, self.encoded, self.steps + self.program.latency).outputs
        for name, sink in self.program.outputs.items():
            found[name] = sink.real(raw[name][:, sink.latency : sink.latency + self.steps])
        return found, run_reference(self.program.source, self.real(slice(None)))

    def real(self, part: slice) -> dict[str, Array]:
        """The inputs of some samples in real units."""
        return {name: self.program.inputs[name].real(values[part]) for name, values in self.encoded.items()}

    @property
    def effect_samples(self) -> int:
        """How many samples the effects can be measured on within bounds of work."""
        runs = 2 * len(LossKind) + 2
        affordable = int(EFFECT_WORK / (runs * self.steps * max(work(self.program.source), 1)))
        return min(self.samples, EFFECT_SAMPLES, max(affordable, 1))


def _each_step(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> dict[str, Decisions]:
    """Of every vector output with something to choose."""
    found = {}
    for name, values in theirs.items():
        if values.ndim == 3 and values.shape[2] > 1:
            same = chosen(ours[name], each_step=True) == chosen(values, each_step=True)
            found[name] = Decisions(agreed=int(same.sum()), of=same.size, silent=0)
    return found


def _counted(report: Progress, what: str, start: float, share: float, total: int) -> Callable[[], None]:
    """A callback to call before each of `total` runs."""
    done = iter(range(total + 1))
    return lambda: report(what, start + share * next(done, total) / total)
