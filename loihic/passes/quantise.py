"""Quantise: the one step from floats to integers. Nothing before it knows of bits, nothing after it of floats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from loihic.errors import Diagnostic
from loihic.golden import input_ranges
from loihic.ir.graph import Edge, Fact, Graph, HardwareGraph
from loihic.ir.linear import ConvMap, LinearMap
from loihic.ir.node import Array, HardwareNode, Shape
from loihic.ledger import Loss
from loihic.ops.delay import StepDelay
from loihic.ops.delay_line import DelayLine
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.ops.ports import Input, Output
from loihic.ops.source import Sink
from loihic.ops.traits import Emit, Reset
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass
from loihic.quant.adapt import adapt
from loihic.quant.decays import RoundedDecays, round_decays
from loihic.quant.fit import Demand, Fitted, Group, fit
from loihic.quant.fixed import STATE_LIMIT
from loihic.quant.formats import BYTE, BYTES, Format
from loihic.quant.grids import grid_steps
from loihic.quant.groups import Rows, column_units, ordered, per_message, pruned, storable, with_values
from loihic.quant.histogram import Histogram
from loihic.quant.moments import Moments
from loihic.quant.neurons import is_plain, lower_neuron
from loihic.quant.ranges import Intervals, StateRange, state_bounds
from loihic.quant.scales import STATE_UNIT, Layout, demand_of, given_scales, room_wanted
from loihic.quant.statistics import Statistics, collect
from loihic.quant.synapses import Rounded

SHRINKINGS = 12  # tries to make room for what rounding adds to the weights
SHRINK_TO = 0.98
DRAFTED = 4096  # weights of a group that a draft looks at
GRADED_BITS = 15  # magnitude of graded messages between neurons
USUAL_RATE = 0.1  # of an input that was never observed


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a point sends: the real value of 1, for all or per element, and its bits (0 for binary spikes)."""

    scale: Array
    bits: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """A map in a format.

    Attributes:
        error: mean squared error of the voltage behind it, relative to the threshold.
        linear: the map as rounded, in real units.
        words: of synaptic memory.
    """

    error: float
    linear: LinearMap
    words: int


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
        return Quantiser(graph, context, adaptive=self.adaptive, bias_correction=self.bias_correction).lowered()


class Quantiser:
    """Lowers one fused graph; holds what is shared between its nodes.

    Args:
        graph: fused; the `bits` of its maps say how they are to be stored.
        context: with options and statistics; gets ledger and diagnostics.
        adaptive: whether roundings are chosen so that errors cancel.
        bias_correction: whether biases make up for the mean error.
        draft: whether to choose scales only, from some of the weights: enough for `trial` and `estimates`.
    """

    def __init__(self, graph: AnyGraph, context: CompileContext, *, adaptive: bool = True,
                 bias_correction: bool = True, draft: bool = False) -> None:
        self.graph, self.context = graph, context
        self.adaptive, self.bias_correction, self.draft = adaptive, bias_correction, draft
        self.inputs = input_ranges(graph, context.options)
        self.calibrated = bool(context.options.calibration) and not context.options.strict
        self.statistics: Statistics = context.statistics or collect(graph, self.inputs.sample, moments=False)
        self.intervals = Intervals(graph, self.inputs.real, self.statistics.ranges)
        self.bounds: dict[str, StateRange] = {}
        self.decays: dict[str, RoundedDecays] = {}
        self.layouts: dict[str, Layout] = {}
        self.scales: dict[str, Array] = {}
        self.rounded: dict[str, Rounded] = {}
        self.corrections: dict[str, Array] = {}  # of the currents' biases, real units
        for name in graph.sources_first():
            node = graph.nodes[name]
            if isinstance(node, Neuron):
                self._settle(name, node)

    def lowered(self) -> HardwareGraph:
        """The integer graph; losses are in the ledger."""
        nodes: dict[str, HardwareNode] = {}
        shapes: dict[str, Shape] = dict(self.graph.shapes)
        twins: dict[str, str] = {}  # the second synapse of a group, by its map
        for name, node in self.graph.nodes.items():
            if isinstance(node, Input):
                nodes[name] = self.inputs.source(name, node)
            elif isinstance(node, Neuron):
                nodes[name] = lower_neuron(name, self._biased(name, node), self.decays[name], self.scales[name],
                                           self._out_shift(name), self.context)
            elif isinstance(node, Map):
                first, *second = self._synapses(name, node)
                nodes[name] = first
                for synapse in second:
                    twins[name] = self.graph.unused(f"{name}.low")
                    nodes[twins[name]], shapes[twins[name]] = synapse, shapes[name]
            elif isinstance(node, StepDelay):
                if self.context.options.stock_only:
                    self.context.report(Diagnostic(
                        code="LHC402", message="delays of several lengths need loihic's own DelayLine", node=name,
                        help="leave --stock-only out"))
                late = int(node.steps.size > 0 and int(node.steps.min()) < 1)
                nodes[name] = DelayLine(origins=node.origins, shape=node.shape, steps=node.steps + late, late=late)
            elif isinstance(node, Output):
                source = self.graph.incoming[name][0].src
                nodes[name] = Sink(origins=node.origins, shape=node.shape,
                                   scale=float(self._message(source).scale))
        edges = [*self.graph.edges, *(_moved(edge, twins) for edge in self.graph.edges
                                      if edge.src in twins or edge.dst in twins)]
        return Graph(nodes=nodes, edges=tuple(edges), shapes=shapes, facts=self.graph.facts, dt=self.graph.dt)

    # ------------------------------------------------------------------------------------------- one population
    def _settle(self, name: str, node: Neuron) -> None:
        """Choose a population's scales and round the weights into it, so that even rounded they cannot wrap it."""
        self.bounds[name] = self.intervals.states(name, node)
        maps = self._maps(name)
        self.layouts[name] = layout = self._layout(name, node, maps)
        self.decays[name] = _shareable(round_decays(node, self._rate(name, node)), maps)
        groups = {key: self._group(name, key, linear) for key, linear in maps.items() if self._is_known(key)}
        wanted = self._room(name, node)
        given = self.context.options.widths.scales.get(name)
        demand = demand_of(node, self.decays[name], wanted, layout, self._nearness(node, groups),
                           None if given is None else given_scales(name, given, layout))
        if self.draft:
            few = [group.sampled(DRAFTED, np.random.default_rng(0)) for group in groups.values()]
            fitted = fit(few, demand, quick=True)
        for _ in range(0 if self.draft else SHRINKINGS):
            fitted = fit(list(groups.values()), demand)
            if fitted is None:
                break
            self.scales[name] = fitted.scales[layout.index]
            self._round(self.rounded, groups, fitted)
            excess = float(np.max(self._integer_reach(name, node), initial=0.0)) / STATE_LIMIT
            if excess < 1.0 or self.calibrated or demand.fixed is not None:
                break
            demand = replace(demand, caps=np.minimum(demand.caps, fitted.scales) * (SHRINK_TO / excess))
        if fitted is None:
            self._misfit(name)
        self.scales[name] = np.ones(node.shape) if fitted is None else fitted.scales[layout.index]
        saturation = STATE_LIMIT / (STATE_UNIT * self.scales[name])
        self.intervals.settle(name, node, self._rounded_states(name, node), saturation)

    def _room(self, name: str, node: Neuron) -> StateRange:
        """The ranges that a population's scales provide for."""
        seen = self.statistics.ranges[name]
        if node.emit is Emit.STATE and self.calibrated and self.context.options.clip != "max":
            seen = _clipped(seen, self.statistics.populations[name].voltages, self.context.options.clip)
        return room_wanted(node, self.bounds[name], seen, self.statistics.climbs[name], calibrated=self.calibrated)

    def _rate(self, name: str, node: Neuron) -> float:
        """The mean of the spikes per neuron and step that clear a population's voltage."""
        if node.emit is Emit.STATE or node.reset is not Reset.ZERO:
            return 0.0
        rate = self.statistics.populations[name].rate
        return float(rate.mean()) if rate.size else 0.0

    def _layout(self, name: str, node: Neuron, maps: Mapping[str, LinearMap]) -> Layout:
        """One scale for the population, or one per neuron where that costs nothing: where Lava's LIF cannot serve."""
        options = self.context.options
        wanted = False if options.stock_only else options.neuron_scales
        if not (wanted or (wanted is None and not is_plain(node))):
            return Layout.shared(node)
        convs = [linear for linear in maps.values() if isinstance(linear, ConvMap)]
        if node.emit is Emit.STATE:
            # What is sent then has units that differ, which the weights behind can take up, but not the host.
            behind = [self.graph.nodes[edge.dst] for edge in self.graph.outgoing[name]]
            if not all(isinstance(item, Map) for item in behind):
                return Layout.shared(node)
            heard = [storable(item.linear) for item in behind if isinstance(item, Map)]
            if any(linear.groups > 1 for linear in heard if isinstance(linear, ConvMap)):
                return Layout.shared(node)
            convs += [linear for linear in heard if isinstance(linear, ConvMap)]
        return Layout.by_channel(node) if convs else Layout.by_neuron(node)

    def trial(self, key: str, form: Format) -> Trial:
        """What a map would lose in another format, all else as it is."""
        name = self.graph.outgoing[key][0].dst
        node = self.graph.nodes[name]
        assert isinstance(node, Neuron)
        group = self._group(name, key, self._maps(name)[key], form)
        demand = demand_of(node, self.decays[name], self._room(name, node), self.layouts[name],
                           self._nearness(node, {key: group}))
        fitted = fit([group], demand, quick=True)
        if fitted is None:
            return Trial(error=float("inf"), linear=group.rows.linear, words=0)
        trial: dict[str, Rounded] = {}
        self._round(trial, {key: group}, fitted)
        made = trial[key]
        rows = 1.0 / (self.decays[name].gain * fitted.scales[self.layouts[name].index])
        rounded = with_values(made.rows.linear, made.numbers).scaled(rows)
        unit = self._message(self._source(key)).scale
        return Trial(error=fitted.error, linear=per_message(rounded, 1.0 / unit), words=made.words)

    def estimates(self, key: str, forms: Iterable[Format], size: int) -> dict[Format, float]:
        """The errors of `trial` for several formats, from about `size` of the map's weights."""
        name = self.graph.outgoing[key][0].dst
        node = self.graph.nodes[name]
        assert isinstance(node, Neuron)
        whole = self._group(name, key, self._maps(name)[key], BYTES)
        group = whole.sampled(size, np.random.default_rng(0))
        demand = demand_of(node, self.decays[name], self._room(name, node), self.layouts[name],
                           self._nearness(node, {key: whole}))
        found = {}
        for form in forms:
            as_stored = replace(group, format=_for(form, whole.rows),
                                fixed_exponent=self._is_fixed(key, whole.rows, form))
            fitted = fit([_pruned(as_stored) if as_stored.format.pruned else as_stored], demand, quick=True)
            found[form] = float("inf") if fitted is None else fitted.error
        return found

    def _group(self, name: str, key: str, linear: LinearMap, form: Format | None = None) -> Group:
        """The weights of a map as the population behind it sees them; stored as its `bits` say, or as `form`."""
        decays, layout = self.decays[name], self.layouts[name]
        unit = self._message(self._source(key)).scale
        rows = Rows(linear=ordered(per_message(linear.scaled(decays.gain), unit)))
        units = column_units(rows, unit)
        form = self._format(key, rows) if form is None else _for(form, rows)
        moments = self.statistics.moments.get(key) if self.adaptive else None
        importance: Array | float
        if moments is None:
            usual = self._usual_importance(name, key)
            importance = rows.by_column(usual / units**2) if units.size > 1 else usual / float(units) ** 2
        else:
            importance = rows.by_column(moments.diagonal / units**2)
        index = layout.index.reshape(rows.count, -1)[:, 0]
        group = Group(rows=rows, format=form, scale_of=index, importance=importance, grid=grid_steps(rows),
                      fixed_exponent=self._is_fixed(key, rows, form))
        return _pruned(group) if form.pruned else group

    def _is_fixed(self, key: str, rows: Rows, form: Format) -> bool:
        """Whether a map's exponent must be 0, as Lava's Conv has it: unless it is chained, or large messages come."""
        if not rows.is_conv or form.is_chained:
            return False
        return self.context.options.stock_only or not self._is_graded(self._source(key))

    def _nearness(self, node: Neuron, groups: Mapping[str, Group]) -> Array:
        """How much the errors of each neuron count, in the population's shape."""
        found = [self.statistics.moments[key].nearness for key in groups if key in self.statistics.moments]
        if not found or not found[0].size or not self.adaptive:
            return np.ones(node.shape)
        rows = found[0].reshape(-1, *[1] * (len(node.shape) - 1)) if found[0].size != np.prod(node.shape) else (
            found[0].reshape(node.shape))
        return np.broadcast_to(rows, node.shape)

    def _format(self, key: str, rows: Rows) -> Format:
        node = self.graph.nodes[key]
        assert isinstance(node, Map)
        form = Format.parse(node.bits) if node.bits else BYTES
        if rows.is_conv and form.is_chained and self.context.options.stock_only:
            self.context.report(Diagnostic(
                code="LHC402", message="a convolution of more than 8 bits needs loihic's own Conv", node=key,
                param=f"{form} bits", help=f"--weight-bits {key}=8, or leave --stock-only out"))
        return _for(form, rows)

    def _usual_importance(self, name: str, key: str) -> float:
        """What a squared error of one weight counts if its input is like any other: variance and mean of its trace."""
        decays = self.decays[name]
        a, b = (min(float(np.mean(factor)), 0.98) for factor in (decays.factor_u, decays.factor_v))
        low, high = self.intervals.leaving(self._source(key))
        size = max(float(np.max(-np.asarray(low), initial=0.0)), float(np.max(high, initial=0.0)))
        energy = (1 + a * b) / ((1 - a * b) * (1 - a**2) * (1 - b**2))
        return size**2 * (USUAL_RATE * energy + (USUAL_RATE / ((1 - a) * (1 - b))) ** 2)

    def _round(self, into: dict[str, Rounded], groups: Mapping[str, Group], fitted: Fitted) -> None:
        """Round the groups of a population at the scales found."""
        for (key, group), lattice in zip(groups.items(), fitted.lattices, strict=True):
            wanted = group.rows.values * group.rows.spread(fitted.scales[group.scale_of])
            steps = lattice.steps(wanted)
            dropped = None if group.dropped is None else group.dropped.scaled(
                fitted.scales[group.scale_of].reshape(group.dropped.out_shape))
            into[key] = Rounded(rows=group.rows, wanted=wanted, numbers=lattice.round(wanted, steps), steps=steps,
                                lattice=lattice, dropped=dropped)
        done: set[tuple[str, ...]] = set()
        for key in groups:
            moments = self.statistics.moments.get(key) if self.adaptive else None
            if moments is not None and moments.full is not None and moments.maps not in done and (
                    set(moments.maps) <= set(groups)):
                done.add(moments.maps)
                self._adapt(into, moments)

    def _adapt(self, into: dict[str, Rounded], moments: Moments) -> None:
        """Round the rows of several groups into one population again, so that their errors cancel."""
        parts = [into[key] for key in moments.maps]
        units = np.concatenate([
            np.broadcast_to(column_units(part.rows, self._message(self._source(key)).scale), (part.rows.width,))
            for key, part in zip(moments.maps, parts, strict=True)])
        assert moments.full is not None
        full, bias = moments.full / np.outer(units, units), None
        target = self.graph.outgoing[moments.maps[0]][0].dst
        if self._corrects(target) and moments.bias is not None:
            # The bias that undoes an error of each column; what is left of the errors then counts less.
            bias = moments.bias[..., :-1] / units / moments.bias[..., -1:]
            full = full - moments.bias[..., -1, None, None] * bias[..., :, None] * bias[..., None, :]
        bounds = [part.lattice.limits(part.steps) for part in parts]

        def beside(values: list[Array | float]) -> Array:
            return np.concatenate([part.rows.dense(np.broadcast_to(value, part.wanted.shape).astype(float))
                                   for part, value in zip(parts, values, strict=True)], axis=1)

        wanted = np.concatenate([part.wanted_rows() for part in parts], axis=1)
        made = adapt(wanted, beside([part.numbers for part in parts]),
                     beside([part.steps for part in parts]), beside([low for low, _ in bounds]),
                     beside([high for _, high in bounds]), full)
        if bias is not None:
            off = made - wanted
            layout = self.layouts[target]
            rows = -np.sum(off * bias, axis=1) / self.scales[target].reshape(len(off), -1)[:, 0]
            self.corrections[target] = np.broadcast_to(
                rows.reshape(-1, *[1] * (layout.index.ndim - 1)) if len(rows) != layout.index.size
                else rows.reshape(layout.index.shape), layout.index.shape)
        start = 0
        for key, part in zip(moments.maps, parts, strict=True):
            piece = made[:, start : start + part.rows.width]
            into[key] = replace(part, numbers=part.rows.flat(piece))
            start += part.rows.width

    def _corrects(self, name: str) -> bool:
        """Whether a population's biases may make up for the mean error of its weights: only where it has some already.

        A bias acts without input too, and would wake a population that rests.
        """
        node = self.graph.nodes[name]
        assert isinstance(node, Neuron)
        return self.bias_correction and bool(np.any(node.bias_u) or np.any(node.bias_v)) and not is_plain(node)

    def _biased(self, name: str, node: Neuron) -> Neuron:
        """The population with its corrected biases."""
        correction = self.corrections.get(name)
        return node if correction is None else replace(
            node, bias_u=node.bias_u + correction / self.decays[name].gain)

    # ------------------------------------------------------------------------------------------- what may be reached
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
        node = self._biased(name, node)
        return replace(node, decay_u=decays.factor_u, decay_v=decays.factor_v, bias_u=node.bias_u * decays.gain,
                       bias_v=node.bias_v * decays.leak)

    def _integer_reach(self, name: str, node: Neuron) -> Array:
        """The greatest |u| that the rounded weights allow, per neuron, in integer units."""
        decays = self.decays[name]
        least, most = self._integer_sums(name, node)
        bias = self._biased(name, node).bias_u * decays.gain * STATE_UNIT * self.scales[name]
        reach: Array = np.maximum(-(least * STATE_UNIT + bias), most * STATE_UNIT + bias) / (1.0 - decays.factor_u)
        return reach

    def _integer_sums(self, name: str, node: Neuron) -> tuple[Array, Array]:
        """Least and greatest sum that the rounded weights deliver to each neuron; those not yet rounded left out."""
        least, most = np.zeros(node.shape), np.zeros(node.shape)
        for edge in self.graph.incoming[name]:
            if edge.src not in self.rounded:
                continue
            source = self._source(edge.src)
            unit = self._message(source).scale
            low, high = self.intervals.leaving(source)
            low, high = self.rounded[edge.src].bounds(np.minimum(low, 0) / unit, np.maximum(high, 0) / unit)
            low, high = low.reshape(node.shape), high.reshape(node.shape)
            least, most = least + low - 2.0, most + high  # a right shift floors, at most in two synapses
        return least, most

    # ------------------------------------------------------------------------------------------- maps and messages
    def _maps(self, name: str) -> dict[str, LinearMap]:
        """The maps into a population, in storable form."""
        found = {}
        for edge in self.graph.incoming[name]:
            node = self.graph.nodes[edge.src]
            assert isinstance(node, Map)
            found[edge.src] = storable(node.linear)
        return found

    def _source(self, key: str) -> str:
        return self.graph.incoming[key][0].src

    def _is_known(self, key: str) -> bool:
        """Whether the scale of what arrives at a map is known; round a loop of graded messages it waits."""
        return self._source(key) in self.scales or not self._is_graded(self._source(key))

    def _is_graded(self, name: str) -> bool:
        node = self.graph.nodes[name]
        return isinstance(node, Neuron) and node.emit is Emit.STATE

    def _out_shift(self, name: str) -> int:
        """How far a graded voltage is shifted before it is sent: not at all to the host, to 16 bits between neurons."""
        if not self._is_graded(name):
            return 0
        if all(isinstance(self.graph.nodes[edge.dst], Output) for edge in self.graph.outgoing[name]):
            return 0
        node = self.graph.nodes[name]
        assert isinstance(node, Neuron)
        wanted = self._room(name, node)
        reach = float(np.max(wanted.each("v") * self.scales[name], initial=0.0)) * STATE_UNIT
        return max(0, int(np.ceil(np.log2(max(reach, 1.0)))) - self._graded_bits(name))

    def _graded_bits(self, name: str) -> int:
        """The magnitude of a population's messages in bits: fewer where a convolution's 24-bit sum must hold them."""
        bits = GRADED_BITS
        for edge in self.graph.outgoing[name]:
            node = self.graph.nodes[edge.dst]
            if isinstance(node, Map) and isinstance(linear := storable(node.linear), ConvMap):
                full = float(Rows(linear=linear).width * (1 << BYTE))
                bits = min(bits, int(np.log2(STATE_LIMIT / full)))
        return max(bits, 1)

    def _message(self, name: str) -> Message:
        node = self.graph.nodes[name]
        if isinstance(node, Input):
            return Message(scale=np.asarray(self.inputs.scale[name]), bits=self.inputs.bits[name])
        if isinstance(node, StepDelay):
            return self._message(self._source(name))
        assert isinstance(node, Neuron)
        if node.emit is Emit.SPIKE:
            return Message(scale=np.ones(()), bits=0)
        if node.emit is Emit.MULTI:
            return Message(scale=np.ones(()), bits=16)
        scale = 2.0 ** self._out_shift(name) / (STATE_UNIT * self.scales[name])
        shared = self.layouts[name].count == 1
        return Message(scale=scale.reshape(-1)[:1].reshape(()) if shared else scale, bits=self._graded_bits(name) + 1)

    def _synapses(self, name: str, node: Map) -> list[HardwareNode]:
        """The synapses of a map, and what its rounding lost."""
        if name not in self.rounded:
            self._round_late(name)
        made = self.rounded.get(name)
        if made is None:  # reported; the pass ends with the diagnostics
            return [DelayLine(shape=(), steps=np.ones((), dtype=np.int64))]
        if made.error > 1e-12:
            self.context.ledger.add(Loss(
                node=name, kind="weights", param="weight", wanted=f"{made.wanted.size} real numbers",
                actual=made.described(), error=made.error,
                why="rounded to the synapses' grid; relative root mean square error"))
        return list(made.synapses(name, node.origins, self._message(self._source(name)).bits))

    def _round_late(self, name: str) -> None:
        """Round a map round a loop of graded messages: the scales on both of its sides are fixed by now."""
        target = self.graph.outgoing[name][0].dst
        node = self.graph.nodes[target]
        assert isinstance(node, Neuron)
        layout = self.layouts[target]
        group = self._group(target, name, self._maps(target)[name])
        scales = np.zeros(layout.count)
        scales[layout.index] = self.scales[target]
        free = Demand(caps=scales, threshold=np.zeros(layout.count), noise=np.ones(layout.count),
                      size=np.ones(layout.count), weight=np.ones(layout.count), fixed=scales)
        fitted = fit([group], free)
        if fitted is None:
            self._misfit(name)
        else:
            self._round(self.rounded, {name: group}, fitted)

    def _misfit(self, name: str) -> None:
        self.context.report(Diagnostic(
            code="LHC403", message="the weights do not fit any exponent", node=name,
            param=f"the limit is {255 * 2**7} integer units",
            help="give --calibration or a narrower --input-range"))


def _clipped(seen: StateRange, voltages: Histogram, how: str) -> StateRange:
    """Observed ranges without the rarest voltages, which then saturate."""
    size = voltages.clip(how, 1 << GRADED_BITS)
    return StateRange(u=seen.u, v=(np.maximum(seen.v[0], -size), np.minimum(seen.v[1], size)))


def _for(form: Format, rows: Rows) -> Format:
    """A format as far as a map can have it: a shared kernel is stored whole, at one exponent."""
    return replace(form, split=False, pruned=0) if rows.is_conv else form


def _pruned(group: Group) -> Group:
    """A group without the weights whose loss counts least."""
    scores = group.rows.values**2 * group.importance
    kept, dropped = pruned(group.rows.linear, scores, group.format.pruned / 100)
    rows, gone = Rows(linear=kept), Rows(linear=dropped)
    columns = group.rows.dense(np.broadcast_to(group.importance, group.rows.values.shape))
    return replace(group, rows=rows, dropped=dropped, importance=rows.flat(columns),
                   lost=gone.sum(gone.values**2 * gone.flat(columns)))


def _moved(edge: Edge, twins: Mapping[str, str]) -> Edge:
    """The edge of a group's second synapse."""
    return replace(edge, src=twins.get(edge.src, edge.src), dst=twins.get(edge.dst, edge.dst))


def _shareable(decays: RoundedDecays, maps: Mapping[str, LinearMap]) -> RoundedDecays:
    """Decays whose gain a shared kernel can take: alike within a channel."""
    if not any(Rows(linear=linear).is_conv for linear in maps.values()):
        return decays
    axes = tuple(range(1, decays.gain.ndim))
    return replace(decays, gain=np.broadcast_to(decays.gain.mean(axis=axes, keepdims=True), decays.gain.shape))
