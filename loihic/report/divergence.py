"""The first place where the integers and the floats part."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from loihic.ir.node import Array
from loihic.ops.activation import Activation
from loihic.ops.compartment import Compartment
from loihic.ops.population import Population
from loihic.quant.fixed import ACTIVATION_SHIFT
from loihic.sim.lockstep import Trace

DEFAULT_TOLERANCE = 0.01  # of graded values, relative to the greatest the population has sent so far in that run


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """One element of one population that sends something else, in real units.

    Attributes:
        node, sample, step, index: where; the step is the input's.
        state: what differs; ``out``, what the population sends.
        ours, theirs: what the integers sent, and the floats.
        charge: where only one of them spiked, the voltage of the other, relative to its threshold.
    """

    node: str
    sample: int
    step: int
    index: tuple[int, ...]
    ours: float
    theirs: float
    charge: float | None = None
    state: str = "out"

    @property
    def place(self) -> str:
        """NODE[INDEX]."""
        return f"{self.node}[{','.join(map(str, self.index))}]"

    def __str__(self) -> str:
        where = f"sample {self.sample}, step {self.step}: {self.place}"
        if self.charge is None:
            return f"{where} sends {self.ours:g} in the integers, {self.theirs:g} in floats"
        fires, silent = ("integers", "floats") if self.ours > self.theirs else ("floats", "integers")
        return f"{where} fires in the {fires}, not in the {silent}: there v is {self.charge:.4g} of the threshold"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "index": list(self.index), "text": str(self)}


class Detector:
    """Watches one population for its first divergence, over chunks of samples.

    Spikes and levels must be equal. A graded output may be off by `tolerance` times the greatest that the population
    has sent in that sample so far, and by one unit of the accumulated sum.
    """

    def __init__(self, name: str, node: Population, threshold: Array, tolerance: float) -> None:
        self.name, self.node, self.threshold = name, node, threshold
        self.tolerance = tolerance
        self.found: Divergence | None = None
        self._peak: Array | None = None

    def differs(self, ours: Array, theirs: Array) -> Array:
        """Which elements (N, *shape) of a step differ; steps must be shown in order."""
        if isinstance(self.node, Activation):
            return np.asarray(np.abs(ours - theirs) > self.node.message_scale / 2)
        if not self.node.is_graded:
            return np.asarray(ours != theirs)
        peak = np.abs(theirs).reshape(len(theirs), -1).max(axis=1, initial=0.0)
        self._peak = peak if self._peak is None else np.maximum(self._peak, peak)
        room = self.tolerance * self._peak.reshape(-1, *(1,) * len(self.node.shape))
        return np.asarray(np.abs(ours - theirs) > np.maximum(room, self.node.sum_unit))

    def add(self, t: int, first_sample: int, ours: Trace, theirs: Trace) -> None:
        """Take in input step `t` of a chunk whose first sample is `first_sample`."""
        wrong = self.differs(ours.out, theirs.out)
        if (self.found is not None and self.found.step <= t) or not wrong.any():
            return
        sample, *index = (int(i) for i in np.argwhere(wrong)[0])
        at = (sample, *index)
        self.found = Divergence(
            node=self.name, sample=first_sample + sample, step=t, index=tuple(index), ours=float(ours.out[at]),
            theirs=float(theirs.out[at]), charge=self._charge(ours, theirs, at))

    def finish(self) -> None:
        """End a chunk of samples."""
        self._peak = None

    def _charge(self, ours: Trace, theirs: Trace, at: tuple[int, ...]) -> float | None:
        silent = [trace for trace in (ours, theirs) if trace.out[at] == 0]
        if not isinstance(self.node, Compartment) or self.node.is_graded or len(silent) != 1:
            return None
        real = self.threshold if silent[0] is theirs else (self.node.vth << ACTIVATION_SHIFT) * self.node.unit
        threshold = float(np.broadcast_to(real, self.node.shape)[at[1:]])
        return float(silent[0].v[at]) / threshold if threshold else None
