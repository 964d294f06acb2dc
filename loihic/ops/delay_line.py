"""DelayLine: carries messages for a number of steps; balances branches, and NIR's Delay of several lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from loihic.ir.node import Array, HardwareNode, Shape
from loihic.ir.registry import register_op
from loihic.ops.delay import StepDelay


@register_op("DelayLine", "messages delayed by whole steps, payload unchanged")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DelayLine(HardwareNode):
    """Output at step t is the input of step t - steps (each at least 1), zero before.

    Attributes:
        shape: of the messages.
        steps: scalar or one per element.
        late: how many of the steps exist only because the hardware needs them; the others are the network's own.
    """

    hops: ClassVar[int] = 0
    shape: Shape
    steps: Array
    late: int = 0

    def initial(self, batch: int) -> dict[str, Array]:
        """An empty line, oldest first."""
        return {"line": np.zeros((int(self.steps.max(initial=1)), batch, *self.shape), dtype=np.int64)}

    def emit(self, state: dict[str, Array]) -> Array:
        """What comes out in this step."""
        line = state["line"]
        place = np.broadcast_to(line.shape[0] - self.steps, line.shape[1:])[None]
        return np.asarray(np.take_along_axis(line, place, axis=0)[0])

    def receive(self, state: dict[str, Array], message: Array) -> None:
        """Take this step's message."""
        state["line"] = np.concatenate([state["line"][1:], message[None]])


def delay_line(node: StepDelay) -> DelayLine:
    """The line of a delay of several lengths; one of no steps takes one all the same, and the others come as late."""
    late = int(node.steps.size > 0 and int(node.steps.min()) < 1)
    return DelayLine(origins=node.origins, shape=node.shape, steps=node.steps + late, late=late)
