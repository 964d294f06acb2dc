"""LI: tau dv/dt = (v_leak - v) + r x; sends its voltage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from loihic.ir.node import Array, Shape
from loihic.ir.registry import register_op
from loihic.ops.neuron import Neuron, neuron
from loihic.ops.traits import ContinuousNeuron, Discretisation, Emit, Reset, fit_parameter


@register_op("LI", "leaky integrator; sends its voltage")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LI(ContinuousNeuron):
    """Leaky integrator. Starts at v_leak."""

    taus: ClassVar[tuple[str, ...]] = ("tau",)
    tau: Array
    r: Array
    v_leak: Array

    def discretise(self, shape: Shape, how: Discretisation) -> Neuron:
        decay = how.decay(fit_parameter(self.tau, shape, "tau"))
        leak = fit_parameter(self.v_leak, shape, "v_leak")
        return neuron(
            shape, origins=self.origins, reset=Reset.NONE, emit=Emit.STATE, decay_v=decay,
            gain=(1 - decay) * fit_parameter(self.r, shape, "r"), bias_v=(1 - decay) * leak, v_init=leak)
