"""I: dv/dt = r x; sends its voltage."""

from __future__ import annotations

from dataclasses import dataclass

from loihic.ir.node import Array, Shape
from loihic.ir.registry import register_op
from loihic.ops.neuron import Neuron, neuron
from loihic.ops.traits import ContinuousNeuron, Discretisation, Emit, Reset, fit_parameter


@register_op("I", "integrator; sends its voltage")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class I(ContinuousNeuron):  # noqa: E742 - NIR's name
    """Integrator without leak. Starts at zero."""

    r: Array

    def discretise(self, shape: Shape, how: Discretisation) -> Neuron:
        return neuron(shape, origins=self.origins, reset=Reset.NONE, emit=Emit.STATE, decay_v=1.0,
                      gain=how.dt * fit_parameter(self.r, shape, "r"))
