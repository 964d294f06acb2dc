"""CubaLIF: tau_syn di/dt = -i + w_in x; tau_mem dv/dt = (v_leak - v) + r i; a spike above v_threshold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from loihic.ir.node import Array, Shape
from loihic.ir.registry import register_op
from loihic.ops.neuron import Neuron, neuron
from loihic.ops.traits import ContinuousNeuron, Discretisation, fit_parameter


@register_op("CubaLIF", "current-based leaky integrate-and-fire")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CubaLIF(ContinuousNeuron):
    """LIF behind a leaky current; the voltage sees the current of the same step. Starts at v_leak."""

    taus: ClassVar[tuple[str, ...]] = ("tau_syn", "tau_mem")
    spiking: ClassVar[bool] = True
    tau_syn: Array
    tau_mem: Array
    r: Array
    v_leak: Array
    v_threshold: Array
    v_reset: Array = field(default_factory=lambda: np.zeros(()))
    w_in: Array = field(default_factory=lambda: np.ones(()))

    def discretise(self, shape: Shape, how: Discretisation) -> Neuron:
        decay_u = how.decay(fit_parameter(self.tau_syn, shape, "tau_syn"))
        decay_v = how.decay(fit_parameter(self.tau_mem, shape, "tau_mem"))
        leak = fit_parameter(self.v_leak, shape, "v_leak")
        return neuron(
            shape, origins=self.origins, reset=how.reset, emit=how.spikes, decay_u=decay_u, decay_v=decay_v,
            w_in=(1 - decay_u) * fit_parameter(self.w_in, shape, "w_in"),
            gain=(1 - decay_v) * fit_parameter(self.r, shape, "r"), bias_v=(1 - decay_v) * leak, v_init=leak,
            threshold=fit_parameter(self.v_threshold, shape, "v_threshold"),
            v_reset=fit_parameter(self.v_reset, shape, "v_reset"))
