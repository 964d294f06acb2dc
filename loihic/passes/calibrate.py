"""Calibrate: watch the float network on the calibration data, or on the golden input where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from loihic.golden import input_ranges
from loihic.ir.graph import Fact
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass
from loihic.quant.statistics import collect


@register_pass
@dataclass(frozen=True, kw_only=True)
class Calibrate(Pass):
    """Leaves the graph as it is, and its statistics in the context for those who choose bits and scales."""

    name: ClassVar[str] = "calibrate"
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.FUSED})
    moments: bool = True

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        sample = input_ranges(graph, context.options).sample
        context.statistics = collect(graph, sample, moments=self.moments, seed=context.options.seed,
                                     progress=context.advance)
        return graph
