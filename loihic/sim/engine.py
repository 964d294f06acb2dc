"""Engines: what runs a timed hardware graph, a stretch of steps at a time, and can be stopped and taken up again.

All engines compute the same integers. Which one runs is a matter of speed: `NumpyEngine` needs nothing and is the
measure of the others, `FlatEngine` runs compiled kernels, `TorchEngine` runs on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array

Wanted = Sequence[tuple[str, str]]
ARRIVING = "arriving"  # the state of a population that its connections hold: the sum they deliver in the next step
LINE = "line"  # the state of a DelayLine


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything that the next steps depend on, in one form for all engines.

    Attributes:
        step: number of steps done.
        states: per population its own states, (N, *shape), and `ARRIVING`, the sum that will be delivered in the next
            step, (N, *shape); per DelayLine its `LINE`, (longest, N, *shape), oldest first. All int64.
    """

    step: int
    states: Mapping[str, Mapping[str, Array]]

    @property
    def batch(self) -> int:
        """Number of samples."""
        for states in self.states.values():
            for name, values in states.items():
                return int(values.shape[1 if name == LINE else 0])
        return 1


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """What a stretch of steps gave; steps are hardware steps, with the latency still in the outputs.

    Attributes:
        outputs: per Sink, (N, steps, *shape), int64.
        recorded: per (node, state) that was asked for, (N, steps, *shape), int64.
    """

    outputs: dict[str, Array]
    recorded: dict[tuple[str, str], Array] = field(default_factory=dict)


class Engine(Protocol):
    """A graph that runs for a batch of samples.

    Attributes:
        graph: the timed hardware graph.
        batch: number of samples.
        step: number of steps done.
        sent: per population and Source, the number of messages (values other than zero) that each element has sent
            since the engine was made, over samples and steps, (size,) int64; empty unless it was asked to count.
    """

    graph: HardwareGraph
    batch: int
    step: int
    sent: dict[str, Array]

    def advance(self, inputs: Mapping[str, Array], steps: int, progress: Callable[[int], None] | None = None
                ) -> Stretch:
        """Take `steps` steps.

        Args:
            inputs: per Source, integers (N, at most `steps`, *shape) for the next steps; zeros after their end.
            steps: number of steps to take.
            progress: called with the number of steps of this stretch that are done.
        """
        ...

    def checkpoint(self) -> Checkpoint:
        """A copy of the state after the steps done so far."""
        ...
