"""Quantise: the one step from floats to integers. Nothing before it knows of bits, nothing after it of floats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from loihic.errors import Diagnostic
from loihic.ir.graph import Edge, Fact, Graph, HardwareGraph
from loihic.ir.node import HardwareNode, Shape
from loihic.ledger import Loss
from loihic.ops.delay import StepDelay
from loihic.ops.delay_line import DelayLine, delay_line
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.ops.ports import Input, Output
from loihic.ops.source import Sink
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass
from loihic.quant.neurons import lower_neuron
from loihic.quant.populations import Populations


@register_pass
@dataclass(frozen=True, kw_only=True)
class Quantise(Pass):
    """Scales per population or neuron, weights to mantissas and exponents, decays to 12 bits, thresholds to 17 bits.

    Each map is stored in the format that its `bits` name.
    """

    name: ClassVar[str] = "quantise"
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.FUSED})
    gives: ClassVar[frozenset[Fact]] = frozenset({Fact.INTEGER})
    adaptive: bool = True
    bias_correction: bool = True

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        settled = Populations(graph, context.options, context.statistics, context.report, adaptive=self.adaptive,
                              bias_correction=self.bias_correction)
        return lowered(settled, context)


def lowered(settled: Populations, context: CompileContext) -> HardwareGraph:
    """The integer graph; losses are in the ledger."""
    nodes: dict[str, HardwareNode] = {}
    shapes: dict[str, Shape] = dict(settled.graph.shapes)
    twins: dict[str, str] = {}  # the second synapse of a group, by its map
    for name, node in settled.graph.nodes.items():
        if isinstance(node, Input):
            nodes[name] = settled.inputs.source(name, node)
        elif isinstance(node, Neuron):
            nodes[name] = lower_neuron(name, settled.biased(name, node), settled.decays[name], settled.scales[name],
                                       settled.out_shift(name), context)
        elif isinstance(node, Map):
            first, *second = _synapses(settled, name, node, context)
            nodes[name] = first
            for synapse in second:
                twins[name] = settled.graph.unused(f"{name}.low")
                nodes[twins[name]], shapes[twins[name]] = synapse, shapes[name]
        elif isinstance(node, StepDelay):
            if context.options.stock_only:
                context.report(Diagnostic(
                    code="LHC402", message="delays of several lengths need loihic's own DelayLine", node=name,
                    help="leave --stock-only out"))
            nodes[name] = delay_line(node)
        elif isinstance(node, Output):
            source = settled.graph.incoming[name][0].src
            nodes[name] = Sink(origins=node.origins, shape=node.shape,
                               scale=np.asarray(settled.message(source).scale))
    edges = [*settled.graph.edges, *(_moved(edge, twins) for edge in settled.graph.edges
                                  if edge.src in twins or edge.dst in twins)]
    return Graph(nodes=nodes, edges=tuple(edges), shapes=shapes, facts=settled.graph.facts, dt=settled.graph.dt)


def _synapses(settled: Populations, name: str, node: Map, context: CompileContext) -> list[HardwareNode]:
    """The synapses of a map, and what its rounding lost."""
    if name not in settled.rounded:
        settled.round_late(name)
    made = settled.rounded.get(name)
    if made is None:  # reported; the pass ends with the diagnostics
        return [DelayLine(shape=(), steps=np.ones((), dtype=np.int64))]
    if made.error > 1e-12:
        context.ledger.add(Loss(
            node=name, kind="weights", param="weight", wanted=f"{made.size} real numbers",
            actual=made.described(), error=made.error,
            why="rounded to the synapses' grid; relative root mean square error"))
    return list(made.synapses(name, node.origins, settled.message(settled.source(name)).bits))


def _moved(edge: Edge, twins: Mapping[str, str]) -> Edge:
    """The edge of a group's second synapse."""
    return replace(edge, src=twins.get(edge.src, edge.src), dst=twins.get(edge.dst, edge.dst))
