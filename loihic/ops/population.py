"""Population: what neurons of any kind have in common, as passes, placement and reports see them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from loihic.ir.node import Array, HardwareNode, Shape


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Population(HardwareNode):
    """Neurons that hear synapses and send messages.

    Attributes:
        states: names of the states that can be recorded.
        shape: number and arrangement of the neurons.
        start: the step at which the answer to input step 0 is computed (the population's latency).
        unit: the real value of 1 in its states; a number, or one per neuron.
    """

    states: ClassVar[tuple[str, ...]] = ()
    shape: Shape
    start: int = 0
    unit: Array = field(default_factory=lambda: np.ones(()))

    @property
    def is_graded(self) -> bool:
        """Whether messages are numbers, such as a voltage or a level, rather than spikes or counts of them."""
        return True

    @property
    def has_payload(self) -> bool:
        """Whether messages are more than binary spikes."""
        return True

    @property
    @abstractmethod
    def sends(self) -> str:
        """What messages are: ``spike``, ``multi``, ``graded`` or ``sigma-delta``."""

    @property
    @abstractmethod
    def message_scale(self) -> Array:
        """The real value of 1 in what is sent: a number, or one per neuron."""

    @property
    @abstractmethod
    def sum_unit(self) -> Array:
        """The real value of 1 in the sum that is delivered."""

    @abstractmethod
    def initial(self, batch: int) -> dict[str, Array]:
        """States before the first step, each (batch, *shape)."""

    @abstractmethod
    def rests(self, k: int) -> bool:
        """Whether nothing happens in step `k` because the input has not arrived yet."""

    @abstractmethod
    def step(self, state: dict[str, Array], a: Array, k: int) -> Array:
        """Advance `state` in place by step `k` (from 0) with delivered sums `a`; returns what is sent."""
