"""Threshold: 1 where the input is above the threshold, else 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from loihic.ir.node import Array, Shape
from loihic.ir.registry import register_op
from loihic.ops.neuron import Neuron, neuron
from loihic.ops.traits import ContinuousNeuron, Discretisation, Reset, fit_parameter


@register_op("Threshold", "1 where x > threshold, else 0")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Threshold(ContinuousNeuron):
    """A step function; a neuron without memory."""

    stateful: ClassVar[bool] = False
    threshold: Array

    def discretise(self, shape: Shape, how: Discretisation) -> Neuron:
        threshold = fit_parameter(self.threshold, shape, "threshold")
        # The chip's thresholds are not negative: x > -c is x + c > 0.
        return neuron(shape, origins=self.origins, reset=Reset.NONE, threshold=np.maximum(threshold, 0.0),
                      bias_v=np.maximum(-threshold, 0.0))
