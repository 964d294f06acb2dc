"""CubaLI: tau_syn di/dt = -i + w_in x; tau_mem dv/dt = (v_leak - v) + r i; sends its voltage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from loihic.ir.node import Array, Shape
from loihic.ir.registry import register_op
from loihic.ops.neuron import Neuron, neuron
from loihic.ops.traits import ContinuousNeuron, Discretisation, Emit, Reset, fit_parameter


@register_op("CubaLI", "current-based leaky integrator; sends its voltage")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CubaLI(ContinuousNeuron):
    """Leaky integrator behind a leaky current. Starts at v_leak."""

    taus: ClassVar[tuple[str, ...]] = ("tau_syn", "tau_mem")
    tau_syn: Array
    tau_mem: Array
    r: Array
    v_leak: Array
    w_in: Array = field(default_factory=lambda: np.ones(()))

    def discretise(self, shape: Shape, how: Discretisation) -> Neuron:
        decay_u = how.decay(fit_parameter(self.tau_syn, shape, "tau_syn"))
        decay_v = how.decay(fit_parameter(self.tau_mem, shape, "tau_mem"))
        leak = fit_parameter(self.v_leak, shape, "v_leak")
        return neuron(
            shape, origins=self.origins, reset=Reset.NONE, emit=Emit.STATE, decay_u=decay_u, decay_v=decay_v,
            w_in=(1 - decay_u) * fit_parameter(self.w_in, shape, "w_in"),
            gain=(1 - decay_v) * fit_parameter(self.r, shape, "r"), bias_v=(1 - decay_v) * leak, v_init=leak)
