"""Lower whole: a network whose file says every whole number becomes that of the chip, and loses nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

import numpy as np

from loihic.errors import Diagnostic, Severity
from loihic.golden import input_ranges
from loihic.ir.graph import Edge, Fact, Graph
from loihic.ir.linear import LinearMap, columns_scaled
from loihic.ir.node import Array, HardwareNode, Shape
from loihic.ledger import Loss
from loihic.ops.activation import Activation, Coding
from loihic.ops.delay import StepDelay
from loihic.ops.delay_line import delay_line
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.ops.ports import Input, Output
from loihic.ops.quantiser import Rounding, Staircase
from loihic.ops.sigma_delta import SigmaDelta, SigmaDeltaNeurons
from loihic.ops.source import Sink, Source
from loihic.ops.traits import Emit
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass
from loihic.quant.decays import round_decays
from loihic.quant.fixed import STATE_LIMIT
from loihic.quant.groups import storable, values_of, with_values
from loihic.quant.neurons import lower_neuron
from loihic.quant.scales import STATE_UNIT
from loihic.quant.steps import MULTIPLIER_BITS, product
from loihic.quant.whole import doubling, sum_bounds, whole_synapses

NEVER = 1 << 30  # a threshold that no 24-bit sum reaches
LONGEST_SHIFT = 30
TINY = 2.0**-60  # a gain that amounts to none
MESSAGE_LIMIT = 1 << 15  # of sigma-delta neurons' messages
FINEST_POWER = 8  # of two, by which a neuron's unit may lie below 1


@register_pass
@dataclass(frozen=True, kw_only=True)
class LowerWhole(Pass):
    """Staircases become Activations, neurons on the integer grid Compartments, whole weights synapses.

    Nothing is chosen but how messages are coded: levels in each step, or their changes.
    """

    name: ClassVar[str] = "lower-whole"
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.FUSED, Fact.WHOLE})
    gives: ClassVar[frozenset[Fact]] = frozenset({Fact.INTEGER})
    coding: Coding = Coding.GRADED
    delta_threshold: int = 0

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        if context.options.stock_only and (found := [name for name, _ in graph.of(Staircase)]):
            context.report(Diagnostic(
                code="LHC402", message="Lava has no Process that computes levels", node=", ".join(found[:8]),
                help="leave --stock-only out: loihic's Activation Process computes them"))
            return graph
        deltas = self.coding is Coding.SIGMA_DELTA
        if deltas and any(isinstance(node, Neuron | SigmaDelta) for node in graph.nodes.values()):
            context.report(Diagnostic(
                code="LHC503", severity=Severity.WARNING,
                message="an option without effect: --activation: the file says itself what its neurons send"))
            deltas = False
        return _Lowering(graph, context, deltas, self.delta_threshold).lowered()


class _Lowering:
    """One run of the pass."""

    def __init__(self, graph: AnyGraph, context: CompileContext, deltas: bool, delta_threshold: int) -> None:
        self.graph, self.context = graph, context
        self.deltas, self.delta_threshold = deltas, delta_threshold
        self.ranges = input_ranges(graph, context.options)
        self.nodes: dict[str, HardwareNode] = {}
        self.shapes: dict[str, Shape] = dict(graph.shapes)
        self.edges: list[Edge] = list(graph.edges)

    def lowered(self) -> AnyGraph:
        """The integer graph."""
        for name, node in self.graph.nodes.items():
            if isinstance(node, Input):
                self.nodes[name] = self._source(name, node)
            elif isinstance(node, Staircase | Neuron | SigmaDelta):
                self._population(name, node)
            elif isinstance(node, StepDelay):
                self.nodes[name] = delay_line(node)
            elif isinstance(node, Output):
                scale = self._message_scale(self.graph.incoming[name][0].src)
                self.nodes[name] = Sink(origins=node.origins, shape=node.shape, scale=scale / node.scale,
                                        offset=node.offset)
        ordered = {name: self.nodes[name] for name in (*self.graph.nodes, *self.nodes) if name in self.nodes}
        return Graph(nodes=ordered, edges=tuple(self.edges), shapes=self.shapes, facts=self.graph.facts,
                     dt=self.graph.dt)

    def _source(self, name: str, node: Input) -> Source:
        source = self.ranges.source(name, node)
        if not self.graph.outgoing[name]:
            return replace(source, exact=False, clips=True)  # whatever it is given
        if not self.deltas:
            return source
        self._note_kept_back(name, source.low, source.high)
        return replace(source, delta=True, vth=self.delta_threshold)

    def _note_kept_back(self, name: str, low: int, high: int) -> None:
        """Write down that small changes of levels are not sent."""
        if self.delta_threshold > 1:
            self.context.ledger.add(Loss(
                node=name, kind="delta", param="delta threshold", wanted="every change",
                actual=f"changes of {self.delta_threshold} levels and more",
                error=(self.delta_threshold - 1) / max(high - low, 1),
                why="a level may be off by what was kept back; relative to the range of levels"))

    def _population(self, name: str, node: Staircase | Neuron | SigmaDelta) -> None:
        """A population, and the synapses that lead to it."""
        unit = node.unit if isinstance(node, Staircase) else self._neuron_unit(name)
        maps = [edge.src for edge in self.graph.incoming[name] if isinstance(self.graph.nodes[edge.src], Map)]
        whole = {key: self._whole(key, unit, name) for key in maps}
        factor = 1
        if isinstance(node, Neuron):
            scale = np.broadcast_to(1.0 / unit, node.shape)
            self.nodes[name] = lower_neuron(name, node, round_decays(node), scale, 0, self.context)
        elif isinstance(node, SigmaDelta):
            self.nodes[name] = SigmaDeltaNeurons(
                origins=node.origins, shape=node.shape, role=node.role, threshold=node.threshold, bias=node.bias,
                spike_exp=node.spike_exp, state_exp=node.state_exp)
        else:
            factor = doubling(whole.values())
            low, high = sum_bounds((linear, *self._levels(self.graph.incoming[key][0].src))
                                   for key, linear in whole.items())
            if factor > 1 and max(-low, high) * factor > STATE_LIMIT - 1:
                factor = 1  # a bit more would make the sums wrap: two kernels then
            self.nodes[name] = self._activation(name, node, factor, (low, high))
        for key, linear in whole.items():
            self._synapses(key, linear, factor)

    def _neuron_unit(self, name: str) -> Array:
        """The greatest power of two of which everything that reaches a neuron is a whole multiple."""
        for power in range(FINEST_POWER + 1):
            unit = np.asarray(2.0**-power)
            found = [values_of(self._in_units(edge.src, unit, name)) for edge in self.graph.incoming[name]
                     if isinstance(self.graph.nodes[edge.src], Map)]
            if all(np.all(np.abs(values - np.rint(values)) < 1e-6) for values in found):
                return unit
        self.context.report(Diagnostic(
            code="LHC412", message="weights that are no whole numbers reach a neuron of whole numbers", node=name,
            help="weights of such a file must be multiples of a power of two, 1/256 at least"))
        return np.ones(())

    def _whole(self, key: str, unit: Array, target: str) -> LinearMap:
        """The whole weights of a map, free of what floats leave over."""
        linear = self._in_units(key, unit, target)
        return with_values(linear, np.rint(values_of(linear)))

    def _in_units(self, key: str, unit: Array, target: str) -> LinearMap:
        """The weights of a map in units of the sum."""
        node = self.graph.nodes[key]
        assert isinstance(node, Map)
        shape, linear = self.graph.shapes[target], storable(node.linear)
        rows = (1.0 / np.broadcast_to(unit, shape)).reshape(linear.out_shape)
        scale = self._message_scale(self.graph.incoming[key][0].src)
        columns = scale.reshape(()) if scale.size == 1 else np.broadcast_to(scale, linear.in_shape)
        return columns_scaled(linear.scaled(rows), columns)

    def _message_scale(self, point: str) -> Array:
        """The real value of 1 in what a point sends."""
        node = self.graph.nodes[point]
        if isinstance(node, Input):
            return np.asarray(self.ranges.scale[point])
        if isinstance(node, Staircase):
            return node.scale
        if isinstance(node, StepDelay):
            return self._message_scale(self.graph.incoming[point][0].src)
        if isinstance(node, Neuron) and node.emit is Emit.STATE:
            return self._neuron_unit(point) / STATE_UNIT
        return np.ones(())

    def _levels(self, point: str) -> tuple[int, int]:
        """Least and greatest level that a point sends, zero among them."""
        node = self.graph.nodes[point]
        low, high = 0, 1
        if isinstance(node, Input):
            low, high = self.ranges.integers[point]
        elif isinstance(node, Staircase):
            low, high = node.low, node.high
        elif isinstance(node, SigmaDelta):
            low, high = -MESSAGE_LIMIT, MESSAGE_LIMIT - 1
        elif isinstance(node, StepDelay):
            return self._levels(self.graph.incoming[point][0].src)
        return min(low, 0), max(high, 0)

    def _synapses(self, key: str, linear: LinearMap, factor: int) -> None:
        """The synapses of a map: the first under its name, a second beside it."""
        point = self.graph.incoming[key][0].src
        low, high = self._levels(point)
        span = high - low if self.deltas else max(-low, high)
        binary = span == 1 and not self.deltas and self._is_binary(point)
        node = self.graph.nodes[key]
        try:
            made = whole_synapses(linear, group=key, origins=node.origins, factor=factor,
                                  message_bits=0 if binary else span.bit_length() + 1)
        except ValueError as error:
            self.context.report(Diagnostic(code="LHC403", message="weights do not fit two synapses", node=key,
                                           param=str(error), help="quantise the weights to fewer bits"))
            return
        for synapse in made:
            name = key if synapse is made[0] else self.graph.unused(f"{key}.low")
            self.nodes[name], self.shapes[name] = synapse, self.shapes[key]
            if name != key:
                self.edges += [replace(edge, src=name if edge.src == key else edge.src,
                                       dst=name if edge.dst == key else edge.dst)
                               for edge in self.graph.edges if key in (edge.src, edge.dst)]

    def _is_binary(self, point: str) -> bool:
        """Whether a point sends zeros and ones alone."""
        node = self.graph.nodes[point]
        if isinstance(node, Input):
            return self.ranges.integers[point] == (0, 1)
        if isinstance(node, StepDelay):
            return self._is_binary(self.graph.incoming[point][0].src)
        return isinstance(node, Neuron) or (isinstance(node, Staircase) and (node.low, node.high) == (0, 1))

    def _activation(self, name: str, node: Staircase, factor: int, reach: tuple[int, int]) -> Activation:
        """The integer neurons of a staircase whose sums, within `reach`, arrive `factor` times as large."""
        deltas = self.deltas and any(not isinstance(self.graph.nodes[e.dst], Output) for e in self.graph.outgoing[name])
        made = Activation(
            origins=node.origins, shape=self.graph.shapes[name], low=node.low, high=node.high, rise=node.rise,
            unit=node.unit / factor, level_scale=node.scale, label=node.label, sigma=self.deltas, delta=deltas,
            vth=self.delta_threshold if deltas else 0)
        if deltas:
            self._note_kept_back(name, node.low, node.high)
        if node.thresholds is None:
            return self._by_gain(name, node, made, factor)
        steps = self._whole_steps(node)
        rows = steps.reshape(prod(steps.shape[:-1]), steps.shape[-1])
        found = product(rows, node.low + 1, *reach) if node.rise == 1 else None
        if found is None:
            whole = np.clip(np.where(np.isfinite(steps), steps, np.copysign(float(NEVER), steps)), -NEVER, NEVER)
            # Sums of a doubled kernel are even: between 2 (T - 1) and 2 T any threshold will do.
            return replace(made, thresholds=(whole * factor).clip(-NEVER, NEVER).astype(np.int64))
        form = (*steps.shape[:-1], *[1] * (len(made.shape) - steps.ndim + 1)) if steps.ndim > 1 else ()
        return replace(
            made, multiplier=found.multiplier.reshape(form), addend=(found.addend * factor).reshape(form),
            shift=(found.shift + (factor > 1)).reshape(form), ties_even=found.ties_even)

    def _whole_steps(self, node: Staircase) -> Array:
        """The whole sums at which the level rises, (..., steps); infinite ones stay."""
        assert node.thresholds is not None
        steps, unit = node.thresholds, node.unit
        if unit.size == 1:
            unit = unit.reshape(())
        else:  # per channel (channels, 1, ..., 1), or per neuron
            unit = unit.reshape(len(unit), 1) if steps.ndim == 2 else unit[..., None]
        return np.where(np.isfinite(steps), np.ceil(steps / unit), steps)

    def _by_gain(self, name: str, node: Staircase, made: Activation, factor: int) -> Activation:
        """Levels too many to list: the nearest multiplication and shift, exact where the gain is one level per unit."""
        gain = np.asarray(node.gain * node.unit, dtype=np.float64)
        gain, offset = np.broadcast_arrays(gain, node.offset)
        if np.all(np.abs(gain - 1.0) < 1e-9) and np.all(np.abs(offset - np.rint(offset)) < 1e-6):
            addend = np.rint(offset).astype(np.int64) * factor
            return replace(made, addend=addend, shift=np.asarray(factor - 1))
        room = np.log2((1 << MULTIPLIER_BITS) - 1) - np.log2(np.maximum(gain, TINY))
        shift = np.clip(np.floor(room), 0, LONGEST_SHIFT).astype(np.int64)
        scale = 2.0**shift
        to_even = node.rounding is Rounding.HALF_EVEN
        half = {Rounding.HALF_EVEN: 0.0, Rounding.FLOOR: 0.0, Rounding.CEIL: 1.0 - 1.0 / scale}.get(node.rounding, 0.5)
        multiplier = np.rint(gain * scale)
        self.context.ledger.add(Loss(
            node=name, kind="rounding", param="gain", wanted=f"{gain.flat[0]:.8g}",
            actual=f"{(multiplier / scale).flat[0]:.8g}",
            error=float(np.max(np.abs(multiplier / scale - gain) / np.maximum(gain, TINY), initial=0.0)),
            why="levels too many to check one by one; relative error of the multiplier"))
        return replace(made, multiplier=multiplier.astype(np.int64), shift=shift + factor - 1, ties_even=to_even,
                       addend=(np.rint((offset + half) * scale) * factor).astype(np.int64))
