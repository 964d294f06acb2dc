"""IF: dv/dt = r x, a spike above v_threshold, then v_reset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from loihic.ir.node import Array, Shape
from loihic.ir.registry import register_op
from loihic.ops.neuron import Neuron, neuron
from loihic.ops.traits import ContinuousNeuron, Discretisation, fit_parameter


@register_op("IF", "integrate-and-fire")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class IF(ContinuousNeuron):
    """Integrate-and-fire without leak. Starts at zero."""

    spiking: ClassVar[bool] = True
    r: Array
    v_threshold: Array
    v_reset: Array = field(default_factory=lambda: np.zeros(()))

    def discretise(self, shape: Shape, how: Discretisation) -> Neuron:
        return neuron(
            shape, origins=self.origins, reset=how.reset, emit=how.spikes, decay_v=1.0,
            gain=how.dt * fit_parameter(self.r, shape, "r"),
            threshold=fit_parameter(self.v_threshold, shape, "v_threshold"),
            v_reset=fit_parameter(self.v_reset, shape, "v_reset"))
