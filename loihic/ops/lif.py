"""LIF: tau dv/dt = (v_leak - v) + r x, a spike above v_threshold, then v_reset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from loihic.ir.node import Array, Shape
from loihic.ir.registry import register_op
from loihic.ops.neuron import Neuron, neuron
from loihic.ops.traits import ContinuousNeuron, Discretisation, fit_parameter


@register_op("LIF", "leaky integrate-and-fire")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LIF(ContinuousNeuron):
    """Leaky integrate-and-fire; `tau` in the unit of dt, the rest in units of voltage. Starts at v_leak."""

    taus: ClassVar[tuple[str, ...]] = ("tau",)
    spiking: ClassVar[bool] = True
    tau: Array
    r: Array
    v_leak: Array
    v_threshold: Array
    v_reset: Array = field(default_factory=lambda: np.zeros(()))

    def discretise(self, shape: Shape, how: Discretisation) -> Neuron:
        decay = how.decay(fit_parameter(self.tau, shape, "tau"))
        leak = fit_parameter(self.v_leak, shape, "v_leak")
        return neuron(
            shape, origins=self.origins, reset=how.reset, emit=how.spikes, decay_v=decay,
            gain=(1 - decay) * fit_parameter(self.r, shape, "r"), bias_v=(1 - decay) * leak, v_init=leak,
            threshold=fit_parameter(self.v_threshold, shape, "v_threshold"),
            v_reset=fit_parameter(self.v_reset, shape, "v_reset"))
