"""Measures of how far two spike trains, or two signals, are apart; each taken in step by step.

The distance of spike trains is van Rossum's (M. C. W. van Rossum, "A novel spike distance", Neural Computation 13,
2001, 751-763): the trains f and g are filtered with a causal exponential kernel of time constant tau, and the distance
is the energy of the difference, D^2 = sum_t (f(t) - g(t))^2. Given here is D over the same for silence, sqrt(sum (f -
g)^2 / sum f^2): 0 for equal trains, 1 where g is as far off as if it never spiked, about sqrt(2) for trains of as many
spikes at other times. With few spikes that is the distance per spike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from loihic.ir.node import Array

DEFAULT_TAU = 10.0  # steps


def decibels(signal: float, noise: float) -> float | None:
    """10 log10(signal / noise) for energies; infinite without noise, None where there is no signal to compare with."""
    if not signal:
        return None
    return 10.0 * math.log10(signal / noise) if noise else math.inf


@dataclass
class SignalError:
    """The energies of a signal and of its error, over everything added so far."""

    signal: float = 0.0
    noise: float = 0.0

    def add(self, ours: Array, theirs: Array) -> None:
        """Take in one step; the error counts against `theirs`."""
        difference = (ours - theirs).ravel()
        reference = theirs.ravel()
        self.signal += float(reference @ reference)
        self.noise += float(difference @ difference)

    @property
    def sqnr(self) -> float | None:
        """Signal over quantisation noise in dB."""
        return decibels(self.signal, self.noise)

    @property
    def relative(self) -> float:
        """Root mean square error over root mean square; the error itself where the signal is zero throughout."""
        return math.sqrt(self.noise / self.signal) if self.signal else math.sqrt(self.noise)


@dataclass
class VanRossum:
    """The distance of two spike trains (or trains of counts), over any number of runs.

    Attributes:
        tau: time constant of the kernel in steps.
    """

    tau: float = DEFAULT_TAU
    energies: SignalError = field(default_factory=SignalError)
    _filtered: tuple[Array, Array] | None = None

    @property
    def _decay(self) -> float:
        return math.exp(-1.0 / self.tau)

    def add(self, ours: Array, theirs: Array) -> None:
        """Take in one step of both trains, arrays of one shape."""
        ours, theirs = ours.astype(float), theirs.astype(float)
        if self._filtered is not None:
            ours, theirs = ours + self._decay * self._filtered[0], theirs + self._decay * self._filtered[1]
        self._filtered = ours, theirs
        self.energies.add(ours, theirs)

    def finish(self) -> None:
        """End a run: the tails of the kernels count in full, and the next run starts from silence."""
        if self._filtered is None:
            return
        tail = SignalError()
        tail.add(*self._filtered)
        rest = self._decay**2 / (1.0 - self._decay**2)  # sum of decay^2k over k >= 1
        self.energies.signal += rest * tail.signal
        self.energies.noise += rest * tail.noise
        self._filtered = None

    @property
    def distance(self) -> float:
        """Over all finished runs; against silence it is the root of the number of spikes, were each alone."""
        if self.energies.signal:
            return self.energies.relative
        return math.sqrt(self.energies.noise * (1.0 - self._decay**2))


def train_distance(ours: Array, theirs: Array, tau: float = DEFAULT_TAU) -> float:
    """The van Rossum distance of whole trains, (N, T, *shape)."""
    meter = VanRossum(tau)
    for t in range(theirs.shape[1]):
        meter.add(ours[:, t], theirs[:, t])
    meter.finish()
    return meter.distance
