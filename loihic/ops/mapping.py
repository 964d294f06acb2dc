"""Map: a fused linear map, the only thing that stands between two neurons of a fused graph."""

from __future__ import annotations

from dataclasses import dataclass

from loihic.ir.linear import LinearMap
from loihic.ir.node import Shape, SourceNode
from loihic.ir.registry import register_op


@register_op("Map", "adjacent linear maps fused into one")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Map(SourceNode):
    """y = A x; biases have moved into the neuron behind.

    `bits` is the format in which its weights are to be stored, as `loihic.quant.formats.Format` spells it; empty until
    one is chosen.
    """

    linear: LinearMap
    bits: str = ""

    def output_shape(self, inputs: Shape) -> Shape:
        return self.linear.out_shape
