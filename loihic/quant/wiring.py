"""Wiring: what the quantisation of a fused graph knows of its maps, and of the messages between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from loihic.errors import Diagnostic
from loihic.golden import input_ranges
from loihic.ir.graph import Graph
from loihic.ir.linear import ConvMap, LinearMap
from loihic.ir.node import Array
from loihic.ops.delay import StepDelay
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.ops.ports import Input, Output
from loihic.ops.traits import Emit
from loihic.options import Options
from loihic.quant.fixed import STATE_LIMIT
from loihic.quant.formats import BYTE
from loihic.quant.groups import Rows, storable
from loihic.quant.histogram import Histogram
from loihic.quant.ranges import StateRange
from loihic.quant.scales import STATE_UNIT, Layout, room_wanted
from loihic.quant.statistics import Statistics, collect

GRADED_BITS = 15  # magnitude of graded messages between neurons


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a point sends: the real value of 1, for all or per element, and its bits (0 for binary spikes)."""

    scale: Array
    bits: int


class Wiring:
    """A fused graph, and what has been settled of its populations so far.

    Args:
        graph: fused.
        options: of the compilation.
        statistics: of the calibration data; collected on the golden input if not given.
        report: takes diagnostics.
    """

    def __init__(self, graph: Graph[Any], options: Options, statistics: Statistics | None,
                 report: Callable[[Diagnostic], None]) -> None:
        self.graph, self.options, self.report = graph, options, report
        self.inputs = input_ranges(graph, options)
        self.calibrated = bool(options.calibration) and not options.strict
        self.statistics = statistics or collect(graph, self.inputs.sample, moments=False)
        self.linears: dict[str, LinearMap] = {  # in storable form; a convolution may have to be unrolled for it
            name: storable(node.linear) for name, node in graph.nodes.items() if isinstance(node, Map)}
        self.bounds: dict[str, StateRange] = {}
        self.layouts: dict[str, Layout] = {}
        self.scales: dict[str, Array] = {}

    def target(self, key: str) -> tuple[str, Neuron]:
        """The population behind a map."""
        name = self.graph.outgoing[key][0].dst
        node = self.graph.nodes[name]
        assert isinstance(node, Neuron)
        return name, node

    def maps(self, name: str) -> dict[str, LinearMap]:
        """The maps into a population, in storable form."""
        return {edge.src: self.linears[edge.src] for edge in self.graph.incoming[name]}

    def source(self, key: str) -> str:
        """The point that a map hears."""
        return self.graph.incoming[key][0].src

    def unit(self, key: str) -> Array:
        """The real value of 1 in what a map hears."""
        return self.message(self.source(key)).scale

    def is_known(self, key: str) -> bool:
        """Whether the scale of what arrives at a map is known; round a loop of graded messages it waits."""
        return self.source(key) in self.scales or not self.is_graded(self.source(key))

    def is_graded(self, name: str) -> bool:
        """Whether a point sends its voltage."""
        node = self.graph.nodes[name]
        return isinstance(node, Neuron) and node.emit is Emit.STATE

    def room(self, name: str, node: Neuron) -> StateRange:
        """The ranges that a population's scales provide for."""
        seen = self.statistics.ranges[name]
        if node.emit is Emit.STATE and self.calibrated and self.options.clip != "max":
            seen = _clipped(seen, self.statistics.populations[name].voltages, self.options.clip)
        samples = self.statistics.samples if self.calibrated else 0
        return room_wanted(node, self.bounds[name], seen, self.statistics.climbs[name], samples=samples)

    def out_shift(self, name: str) -> int:
        """How far a graded voltage is shifted before it is sent: not at all to the host, to 16 bits between neurons."""
        if not self.is_graded(name):
            return 0
        if all(isinstance(self.graph.nodes[edge.dst], Output) for edge in self.graph.outgoing[name]):
            return 0
        node = self.graph.nodes[name]
        assert isinstance(node, Neuron)
        wanted = self.room(name, node)
        reach = float(np.max(wanted.each("v") * self.scales[name], initial=0.0)) * STATE_UNIT
        return max(0, int(np.ceil(np.log2(max(reach, 1.0)))) - self.graded_bits(name))

    def graded_bits(self, name: str) -> int:
        """The magnitude of a population's messages in bits: fewer where a convolution's 24-bit sum must hold them."""
        bits = GRADED_BITS
        for edge in self.graph.outgoing[name]:
            linear = self.linears.get(edge.dst)
            if isinstance(linear, ConvMap):
                full = float(Rows(linear=linear).width * (1 << BYTE))
                bits = min(bits, int(np.log2(STATE_LIMIT / full)))
        return max(bits, 1)

    def message(self, name: str) -> Message:
        """What a point sends; of a population once its scales are settled."""
        node = self.graph.nodes[name]
        if isinstance(node, Input):
            return Message(scale=np.asarray(self.inputs.scale[name]), bits=self.inputs.bits[name])
        if isinstance(node, StepDelay):
            return self.message(self.source(name))
        assert isinstance(node, Neuron)
        if node.emit is Emit.SPIKE:
            return Message(scale=np.ones(()), bits=0)
        if node.emit is Emit.MULTI:
            return Message(scale=np.ones(()), bits=16)
        scale = 2.0 ** self.out_shift(name) / (STATE_UNIT * self.scales[name])
        shared = self.layouts[name].count == 1
        return Message(scale=scale.reshape(-1)[:1].reshape(()) if shared else scale, bits=self.graded_bits(name) + 1)


def _clipped(seen: StateRange, voltages: Histogram, how: str) -> StateRange:
    """Observed ranges without the rarest voltages, which then saturate."""
    size = voltages.clip(how, 1 << GRADED_BITS)
    return StateRange(u=seen.u, v=(np.maximum(seen.v[0], -size), np.minimum(seen.v[1], size)))
