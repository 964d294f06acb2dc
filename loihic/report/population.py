"""One population of the integers against the same one in floats: what is counted step by step, and what comes of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from loihic.ir.node import Array, Shape
from loihic.ops.activation import Coding
from loihic.ops.population import Population
from loihic.ops.traits import Emit
from loihic.report.spike_metrics import SignalError, VanRossum
from loihic.sim.lockstep import Limits, Trace


@dataclass(frozen=True, kw_only=True)
class PopulationReport:
    """How far a population of the integers is from the same one in floats, each network on its own spikes.

    Ratios in dB are infinite where nothing differs and None where the float signal is zero throughout. They count v as
    the chip stores it: after saturation and reset.

    Attributes:
        node, origins, shape: the population, the user's nodes it came from, its shape.
        sends: ``spike``, ``multi``, ``graded`` or ``sigma-delta``.
        latency: the hardware step that answers input step 0.
        sqnr_u, sqnr_v: signal over error of current and voltage, dB.
        sqnr_out: the same of graded outputs; None for spikes.
        float_spikes, integer_spikes: spikes sent, over all samples; 0 for graded outputs.
        float_rate, integer_rate: spikes per neuron and step.
        mismatched: entries (sample, step, neuron) of the spike trains that differ.
        mismatched_per_spike: those over the number of float spikes; None without any.
        van_rossum: distance of the trains; 0: equal, 1: as far as silence. None for graded outputs.
        rate_error: relative difference of the spike counts, signed; None without float spikes.
        rate_rms: root mean square difference of the rates of single neurons in single samples, spikes per step.
        profile: the error at every input step: the share of neurons whose spikes differ; for graded outputs the root
            mean square error over the root mean square output of the whole run.
    """

    node: str
    origins: tuple[str, ...]
    shape: Shape
    sends: str
    latency: int
    sqnr_u: float | None
    sqnr_v: float | None
    sqnr_out: float | None
    float_spikes: int
    integer_spikes: int
    float_rate: float
    integer_rate: float
    mismatched: int
    mismatched_per_spike: float | None
    van_rossum: float | None
    rate_error: float | None
    rate_rms: float
    profile: tuple[float, ...]

    @property
    def is_graded(self) -> bool:
        """Whether it sends numbers rather than spikes."""
        return self.sends in (Emit.STATE.value, Coding.SIGMA_DELTA.value)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


class PopulationMeter:
    """Takes in one population step by step, chunk of samples by chunk of samples.

    Attributes:
        samples: number of them in all finished chunks, as for everything below.
        float_counts, integer_counts: spikes per neuron, (*shape).
        always: per neuron the number of samples in which it spiked at every step, of ``integers`` and of ``floats``.
        wrapped, clipped: steps per neuron beyond 24 bits.
        sums: what each neuron sent in each sample, integers and floats, by chunk; only where `keeps_sums`.
    """

    def __init__(self, name: str, node: Population, steps: int, tau: float, *, keeps_sums: bool) -> None:
        self.name, self.node, self.steps, self.keeps_sums = name, node, steps, keeps_sums
        self.graded = node.is_graded
        self.errors = {state: SignalError() for state in Trace._fields}
        self.trains = VanRossum(tau)
        self.samples = self.mismatched = 0
        self.rate_noise = 0.0
        self.profile = np.zeros(steps)
        self.float_counts, self.integer_counts = np.zeros(node.shape), np.zeros(node.shape)
        self.always = {"integers": np.zeros(node.shape, dtype=np.int64), "floats": np.zeros(node.shape, dtype=np.int64)}
        self.wrapped, self.clipped = (np.zeros(node.shape, dtype=np.int64) for _ in range(2))
        self.sums: list[tuple[Array, Array]] = []
        self._chunk: list[Array] = []

    def add(self, t: int, ours: Trace, theirs: Trace) -> None:
        """Take in input step `t` of a chunk."""
        for state, error in self.errors.items():
            error.add(getattr(ours, state), getattr(theirs, state))
        if not self._chunk:
            self._chunk = [np.zeros(theirs.out.shape) for _ in range(4)]
        for total, more in zip(self._chunk, (ours.out, theirs.out, ours.out > 0, theirs.out > 0), strict=True):
            total += more
        if self.graded:
            self.profile[t] += float(np.sum((ours.out - theirs.out) ** 2))
            return
        wrong = int(np.count_nonzero(ours.out != theirs.out))
        self.profile[t] += wrong
        self.mismatched += wrong
        self.trains.add(ours.out, theirs.out)

    def finish(self, limits: Limits) -> None:
        """End a chunk of samples."""
        ours, theirs, our_steps, their_steps = self._chunk
        self.trains.finish()
        self.samples += len(ours)
        self.integer_counts += ours.sum(axis=0)
        self.float_counts += theirs.sum(axis=0)
        self.rate_noise += float(np.sum(((ours - theirs) / self.steps) ** 2))
        for which, fired in (("integers", our_steps), ("floats", their_steps)):
            self.always[which] += (fired == self.steps).sum(axis=0)
        self.wrapped += limits.wrapped.sum(axis=0)
        self.clipped += limits.clipped.sum(axis=0)
        if self.keeps_sums:
            self.sums.append((ours, theirs))
        self._chunk = []

    def report(self) -> PopulationReport:
        """What was measured."""
        spikes = 0 if self.graded else int(self.float_counts.sum())
        found = 0 if self.graded else int(self.integer_counts.sum())
        entries = max(self.samples * self.steps * self.float_counts.size, 1)
        size = max(self.samples * self.float_counts.size, 1)
        return PopulationReport(
            node=self.name, origins=self.node.origins, shape=self.node.shape, sends=self.node.sends,
            latency=self.node.start, sqnr_u=self.errors["u"].sqnr, sqnr_v=self.errors["v"].sqnr,
            sqnr_out=self.errors["out"].sqnr if self.graded else None,
            float_spikes=spikes, integer_spikes=found, float_rate=spikes / entries, integer_rate=found / entries,
            mismatched=self.mismatched, mismatched_per_spike=self.mismatched / spikes if spikes else None,
            van_rossum=None if self.graded else self.trains.distance,
            rate_error=(found - spikes) / spikes if spikes else None,
            rate_rms=0.0 if self.graded else float(np.sqrt(self.rate_noise / size)),
            profile=tuple(self._profile(size).tolist()))

    def _profile(self, size: int) -> Array:
        if not self.graded:
            return self.profile / size
        power = self.errors["out"].signal / (size * self.steps)
        return np.asarray(np.sqrt(self.profile / size / (power or 1.0)))
