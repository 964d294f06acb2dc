"""Source and Sink: the integer ends of a program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loihic.ir.node import Array, HardwareNode, Shape
from loihic.ir.registry import register_op


@register_op("Source", "input port: integers from the host, one array per step")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Source(HardwareNode):
    """Input of a program.

    Attributes:
        shape: of one step's input.
        low, high: least and greatest integer that may be sent.
        scale: the real value of 1; real inputs are divided by it and rounded.
        exact: whether inputs must be multiples of `scale` already (spikes, counts).
        clips: whether values outside the range are clipped rather than refused.
    """

    shape: Shape
    low: int = 0
    high: int = 1
    scale: float = 1.0
    exact: bool = True
    clips: bool = False

    def encode(self, values: Array) -> Array:
        """The integers sent for real `values`; nearest, clipped only where the port `clips`."""
        scaled: Array = np.rint(np.asarray(values, dtype=np.float64) / self.scale)
        return (np.clip(scaled, self.low, self.high) if self.clips else scaled).astype(np.int64)


@register_op("Sink", "output port: integers to the host, with their scale")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sink(HardwareNode):
    """Output of a program; the real value is the integer times `scale`. Index t + latency answers input step t."""

    shape: Shape
    scale: float = 1.0
    latency: int = 0
