"""Populations: scales, decays and rounded weights of every population of a fused graph, settled one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from loihic.errors import Diagnostic
from loihic.ir.graph import Graph
from loihic.ir.linear import ConvMap, LinearMap
from loihic.ir.node import Array
from loihic.ops.neuron import Neuron
from loihic.ops.traits import Emit, Reset
from loihic.options import Options
from loihic.quant.decays import RoundedDecays, round_decays
from loihic.quant.fit import Demand, fit
from loihic.quant.fixed import STATE_LIMIT
from loihic.quant.neurons import is_plain
from loihic.quant.ranges import Intervals, StateRange, state_bounds
from loihic.quant.scales import STATE_UNIT, Layout, given_scales
from loihic.quant.statistics import Statistics
from loihic.quant.synapses import Rounded
from loihic.quant.weighing import Weigher

SHRINKINGS = 12  # tries to make room for what rounding adds to the weights
SHRINK_TO = 0.98
DRAFTED = 4096  # weights of a group that a draft looks at


class Populations(Weigher):
    """Settles every population; those that feed others first, but for loops.

    Args:
        graph: fused; the `bits` of its maps say how they are to be stored.
        options: of the compilation.
        statistics: of the calibration data; collected on the golden input if not given.
        report: takes diagnostics.
        adaptive: whether roundings are chosen so that errors cancel.
        bias_correction: whether biases make up for the mean error.
        draft: whether to choose scales only, from some of the weights: enough to try formats with.
    """

    def __init__(self, graph: Graph[Any], options: Options, statistics: Statistics | None,
                 report: Callable[[Diagnostic], None], *, adaptive: bool = True, bias_correction: bool = True,
                 draft: bool = False) -> None:
        super().__init__(graph, options, statistics, report)
        self.adaptive, self.bias_correction, self.draft = adaptive, bias_correction, draft
        self.intervals = Intervals(graph, self.inputs.real, self.statistics.ranges)
        self.decays = {}
        self.corrections = {}
        self.rounded: dict[str, Rounded] = {}
        for name in graph.sources_first():
            node = graph.nodes[name]
            if isinstance(node, Neuron):
                self._settle(name, node)

    def _settle(self, name: str, node: Neuron) -> None:
        """Choose a population's scales and round the weights into it, so that even rounded they cannot wrap it."""
        self.bounds[name] = self.intervals.states(name, node)
        maps = self.maps(name)
        self.layouts[name] = layout = self._layout(name, node, maps)
        self.decays[name] = _shareable(round_decays(node, self._rate(name, node)), maps)
        groups = {key: self.group(key) for key in maps if self.is_known(key)}
        given = self.options.widths.scales.get(name)
        demand = self.demand(name, node, groups, None if given is None else given_scales(name, given, layout))
        if self.draft:
            few = [group.sampled(DRAFTED, np.random.default_rng(0)) for group in groups.values()]
            fitted = fit(few, demand, quick=True)
        for _ in range(0 if self.draft else SHRINKINGS):
            fitted = fit(list(groups.values()), demand)
            if fitted is None:
                break
            self.scales[name] = fitted.scales[layout.index]
            rounded, self.corrections[name] = self.round(name, groups, fitted)
            self.rounded |= rounded
            excess = float(np.max(self._integer_reach(name, node), initial=0.0)) / STATE_LIMIT
            if excess < 1.0 or self.calibrated or demand.fixed is not None:
                break
            demand = replace(demand, caps=np.minimum(demand.caps, fitted.scales) * (SHRINK_TO / excess))
        if fitted is None:
            self._misfit(name)
        self.scales[name] = np.ones(node.shape) if fitted is None else fitted.scales[layout.index]
        saturation = STATE_LIMIT / (STATE_UNIT * self.scales[name])
        self.intervals.settle(name, node, self._rounded_states(name, node), saturation)

    def _rate(self, name: str, node: Neuron) -> float:
        """The mean of the spikes per neuron and step that clear a population's voltage."""
        if node.emit is Emit.STATE or node.reset is not Reset.ZERO:
            return 0.0
        rate = self.statistics.populations[name].rate
        return float(rate.mean()) if rate.size else 0.0

    def _layout(self, name: str, node: Neuron, maps: Mapping[str, LinearMap]) -> Layout:
        """One scale for the population, or one per neuron where that costs nothing: where Lava's LIF cannot serve."""
        options = self.options
        wanted = False if options.stock_only else options.neuron_scales
        if not (wanted or (wanted is None and not is_plain(node))):
            return Layout.shared(node)
        convs = [linear for linear in maps.values() if isinstance(linear, ConvMap)]
        if node.emit is Emit.STATE:
            # What is sent then has units that differ, which the weights behind can take up, but not the host.
            behind = [edge.dst for edge in self.graph.outgoing[name]]
            if not all(key in self.linears for key in behind):
                return Layout.shared(node)
            heard = [self.linears[key] for key in behind]
            if any(linear.groups > 1 for linear in heard if isinstance(linear, ConvMap)):
                return Layout.shared(node)
            convs += [linear for linear in heard if isinstance(linear, ConvMap)]
        return Layout.by_channel(node) if convs else Layout.by_neuron(node)

    def round_late(self, name: str) -> None:
        """Round a map round a loop of graded messages: the scales on both of its sides are fixed by now."""
        target, _ = self.target(name)
        layout, group = self.layouts[target], self.group(name)
        scales = np.zeros(layout.count)
        scales[layout.index] = self.scales[target]
        free = Demand(caps=scales, threshold=np.zeros(layout.count), noise=np.ones(layout.count),
                      size=np.ones(layout.count), weight=np.ones(layout.count), fixed=scales)
        fitted = fit([group], free)
        if fitted is None:
            self._misfit(name)
        else:
            rounded, correction = self.round(target, {name: group}, fitted)
            self.rounded |= rounded
            self.corrections[target] = self.corrections.get(target, 0.0) + correction

    def _misfit(self, name: str) -> None:
        self.report(Diagnostic(
            code="LHC403", message="the weights do not fit any exponent", node=name,
            param=f"the limit is {255 * 2**7} integer units",
            help="give --calibration or a narrower --input-range"))

    def _rounded_states(self, name: str, node: Neuron) -> StateRange:
        """The bounds of a population that sends its voltage, widened by what the rounded weights and decays allow."""
        bound = self.bounds[name]
        if node.emit is Emit.SPIKE:
            return bound
        scales = self.scales[name]
        least, most = self._integer_sums(name, node)
        rounded = self._with_rounded_decays(name, node)
        u_low, u_high, v_low, v_high = state_bounds(rounded, least / scales, most / scales)
        return StateRange(u=(np.minimum(u_low, bound.u[0]), np.maximum(u_high, bound.u[1])),
                          v=(np.minimum(v_low, bound.v[0]), np.maximum(v_high, bound.v[1])))

    def _with_rounded_decays(self, name: str, node: Neuron) -> Neuron:
        decays = self.decays[name]
        node = self.biased(name, node)
        return replace(node, decay_u=decays.factor_u, decay_v=decays.factor_v, bias_u=node.bias_u * decays.gain,
                       bias_v=node.bias_v * decays.leak)

    def _integer_reach(self, name: str, node: Neuron) -> Array:
        """The greatest |u| that the rounded weights allow, per neuron, in integer units."""
        decays = self.decays[name]
        least, most = self._integer_sums(name, node)
        bias = self.biased(name, node).bias_u * decays.gain * STATE_UNIT * self.scales[name]
        reach: Array = np.maximum(-(least * STATE_UNIT + bias), most * STATE_UNIT + bias) / (1.0 - decays.factor_u)
        return reach

    def _integer_sums(self, name: str, node: Neuron) -> tuple[Array, Array]:
        """Least and greatest sum that the rounded weights deliver to each neuron; those not yet rounded left out."""
        least, most = np.zeros(node.shape), np.zeros(node.shape)
        for edge in self.graph.incoming[name]:
            if edge.src not in self.rounded:
                continue
            unit = self.unit(edge.src)
            low, high = self.intervals.leaving(self.source(edge.src))
            low, high = self.rounded[edge.src].bounds(np.minimum(low, 0) / unit, np.maximum(high, 0) / unit)
            low, high = low.reshape(node.shape), high.reshape(node.shape)
            least, most = least + low - 2.0, most + high  # a right shift floors, at most in two synapses
        return least, most


def _shareable(decays: RoundedDecays, maps: Mapping[str, LinearMap]) -> RoundedDecays:
    """Decays whose gain a shared kernel can take: alike within a channel."""
    if not any(isinstance(linear, ConvMap) for linear in maps.values()):
        return decays
    axes = tuple(range(1, decays.gain.ndim))
    return replace(decays, gain=np.broadcast_to(decays.gain.mean(axis=axes, keepdims=True), decays.gain.shape))
