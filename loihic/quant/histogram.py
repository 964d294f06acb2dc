"""Histogram: the magnitudes of a stream of values, and where to clip them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from loihic.ir.node import Array

BINS = 2048


@dataclass
class Histogram:
    """Counts of magnitudes in equal bins from zero; the range doubles as larger ones come."""

    top: float = 0.0
    counts: Array = field(default_factory=lambda: np.zeros(BINS))

    def add(self, values: Array) -> None:
        """Count the magnitudes of `values`."""
        sizes = np.abs(values).reshape(-1)
        largest = float(sizes.max(initial=0.0))
        if not largest:
            self.counts[0] += sizes.size
            return
        if not self.top:
            self.top = largest
        while self.top < largest:
            self.counts = np.concatenate([self.counts.reshape(-1, 2).sum(axis=1), np.zeros(BINS // 2)])
            self.top *= 2
        self.counts += np.histogram(sizes, BINS, (0.0, self.top))[0]

    def clip(self, how: str, levels: int) -> float:
        """The magnitude at which to clip: of least squared error ("mse"), or a percentile."""
        return self.least_squares(levels) if how == "mse" else self.percentile(float(how))

    def percentile(self, share: float) -> float:
        """The magnitude below which `share` per cent lie, up to the width of a bin."""
        reached = np.cumsum(self.counts) >= self.counts.sum() * share / 100
        return float(self.top * (np.argmax(reached) + 1) / BINS) if self.top else 0.0

    def least_squares(self, levels: int) -> float:
        """The clip at which `levels` equal steps on either side of zero err least, clipping and rounding together."""
        centres = (np.arange(BINS) + 0.5) * self.top / BINS
        clips = np.linspace(0.05, 1.0, 96) * self.top
        clipped = [np.sum(self.counts * np.maximum(centres - clip, 0.0) ** 2) for clip in clips]
        rounded = (clips / levels) ** 2 / 12 * self.counts.sum()
        return float(clips[int(np.argmin(np.asarray(clipped) + rounded))]) if self.top else 0.0
