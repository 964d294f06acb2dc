"""Taking the latency out of outputs that come a stretch at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from loihic.ir.node import Array
from loihic.ops.source import Sink


class Aligner:
    """Turns the outputs of hardware steps into answers to input steps, of all Sinks for the same steps.

    A Sink answers input step t in hardware step t + its latency. Its first `latency` values answer nothing, and what a
    faster Sink says is held until the slowest has answered.

    Args:
        sinks: the outputs by name.
        step: number of hardware steps that have gone by.
        held: what an earlier aligner held then.

    Attributes:
        held: per Sink, (N, `waiting` steps, *shape).
    """

    def __init__(self, sinks: Mapping[str, Sink], *, step: int = 0, held: Mapping[str, Array] | None = None) -> None:
        self.sinks, self.step, self.held = sinks, step, dict(held or {})
        self.latency = latency_of(sinks)

    @property
    def answered(self) -> int:
        """Number of input steps that all Sinks have answered."""
        return max(0, self.step - self.latency)

    def push(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The input steps that the next hardware steps' outputs (N, t, *shape) let all Sinks answer."""
        before, steps = self.step, next(iter(outputs.values())).shape[1] if outputs else 0
        answered = self.answered
        self.step += steps
        ready: dict[str, Array] = {}
        for name, values in outputs.items():
            values = values[:, max(0, self.sinks[name].latency - before) :]
            if name in self.held and self.held[name].shape[1]:
                values = np.concatenate([self.held[name], values], axis=1)
            cut = self.answered - answered
            ready[name], self.held[name] = values[:, :cut], values[:, cut:].copy()
        return ready


def latency_of(sinks: Mapping[str, Sink]) -> int:
    """Steps from an input to the slowest Sink that answers it."""
    return max((sink.latency for sink in sinks.values()), default=0)


def waiting(sinks: Mapping[str, Sink], step: int) -> dict[str, int]:
    """Number of answers that an `Aligner` holds of each Sink after `step` hardware steps."""
    answered = max(0, step - latency_of(sinks))
    return {name: max(0, step - sink.latency) - answered for name, sink in sinks.items()}
