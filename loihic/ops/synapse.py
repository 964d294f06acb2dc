"""What synapses have in common: messages in, an accumulated sum out one step later."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

import numpy as np

from loihic.ir.node import Array, HardwareNode, Shape
from loihic.quant.fixed import shift_accumulated, wrap_bits


class SignMode(str, Enum):
    """Lava's sign modes: mixed 8-bit weights are even in -256..254, the others have all of 0..255."""

    MIXED = "MIXED"
    EXCITATORY = "EXCITATORY"
    INHIBITORY = "INHIBITORY"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Synapse(HardwareNode):
    """A connection: delivers `shift(weights . message, exponent)` one step later.

    Attributes:
        in_shape, out_shape: of messages and of the accumulated sums.
        exponent: of all weights; acts on the sum (floor where negative).
        num_weight_bits: of the mantissas.
        sign_mode: of the mantissas.
        message_bits: 0 for binary spikes, else the width of graded ones.
        group: the Map of the fused graph whose weights it holds; chained synapses of one group add up to them.
    """

    hops: ClassVar[int] = 1
    in_shape: Shape
    out_shape: Shape
    exponent: int = 0
    num_weight_bits: int = 8
    sign_mode: SignMode = SignMode.MIXED
    message_bits: int = 0
    group: str = ""

    @abstractmethod
    def accumulate(self, message: Array) -> Array:
        """Exact sums of weight times message: (N, *in_shape) int64 to (N, *out_shape) int64."""

    def initial(self, batch: int) -> dict[str, Array]:
        """What will be delivered in the first step: nothing."""
        return {"a": np.zeros((batch, *self.out_shape), dtype=np.int64)}

    def emit(self, state: dict[str, Array]) -> Array:
        """What is delivered in this step."""
        return state["a"]

    def receive(self, state: dict[str, Array], message: Array) -> None:
        """Take this step's message, for delivery in the next."""
        if self.message_bits == 0:
            message = (message != 0).astype(np.int64)
        state["a"] = shift_accumulated(wrap_bits(self.accumulate(message), 32), self.exponent)


def exact_product(weights: Array, message: Array) -> Array:
    """message @ weights.T in integers, through float64's fast product where that is exact."""
    largest = max(-float(weights.min(initial=0)), float(weights.max(initial=0)))  # int8 has no magnitude of -128
    bound = float(np.abs(message).max(initial=0)) * largest * weights.shape[1]
    if bound < 2.0**53:
        product: Array = np.rint(message.astype(np.float64) @ weights.T.astype(np.float64))
        return product.astype(np.int64)
    return np.asarray(message @ weights.T)
