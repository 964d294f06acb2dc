"""Delay: y(t) = x(t - tau)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from loihic.ir.node import Array, Shape, SourceNode
from loihic.ir.registry import register_op
from loihic.ops.traits import NirNode, Problem, fit_parameter


@register_op("Delay", "y(t) = x(t - delay)")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Delay(NirNode):
    """Delay in the unit of dt, a scalar or one per element."""

    stateful: ClassVar[bool] = True
    delay: Array

    def output_shape(self, inputs: Shape) -> Shape:
        fit_parameter(self.delay, inputs, "delay")
        return inputs

    def problems(self) -> Iterator[Problem]:
        if float(np.min(self.delay, initial=0.0)) < 0:
            yield Problem(code="LHC105", message="a delay must not be negative",
                          param=f"delay: smallest is {float(np.min(self.delay)):g}")


@register_op("StepDelay", "a Delay in whole steps")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StepDelay(SourceNode):
    """y[t] = x[t - steps], zero before; `steps` has the input's shape."""

    stateful: ClassVar[bool] = True
    shape: Shape
    steps: Array

    def initial(self, batch: int) -> dict[str, Array]:
        """The values under way, oldest first: (longest + 1, batch, *shape)."""
        return {"line": np.zeros((int(self.steps.max(initial=0)) + 1, batch, *self.shape))}

    def step(self, state: dict[str, Array], x: Array) -> Array:
        """Push `x` and return what comes out."""
        line = np.roll(state["line"], -1, axis=0)
        line[-1] = x
        state["line"] = line
        last = line.shape[0] - 1
        place = np.broadcast_to(last - self.steps, x.shape)[None]
        return np.asarray(np.take_along_axis(line, place, axis=0)[0])
