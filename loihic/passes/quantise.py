"""Quantise: the one step from floats to integers. Nothing before it knows of bits, nothing after it of floats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from loihic.errors import Diagnostic
from loihic.golden import input_ranges
from loihic.ir.graph import Fact, Graph, HardwareGraph
from loihic.ir.linear import ConvMap, DenseMap, LinearMap, SparseMap, as_matrix
from loihic.ir.node import Array, HardwareNode, SourceNode
from loihic.ledger import Loss
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.delay import StepDelay
from loihic.ops.delay_line import DelayLine
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.ops.ports import Input, Output
from loihic.ops.source import Sink
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import Synapse
from loihic.ops.traits import Emit
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass
from loihic.quant.fixed import DECAY_UNITY, STATE_LIMIT
from loihic.quant.neurons import is_plain, lower_neuron
from loihic.quant.ranges import Intervals, StateRange, observed_ranges, state_bounds
from loihic.quant.scales import STATE_UNIT, Incoming, choose_scale, spread_scales
from loihic.quant.weights import CONV_GRID, choose_exponent, grid, sign_mode_of

MARGIN = 1.25  # by which calibrated ranges may be exceeded
VOLTAGE_MARGIN = 4.0  # a voltage saturates rather than wraps: room beyond what was observed before it may
SHRINKINGS = 12  # tries to make room for what rounding adds to the weights
SHRINK_TO = 0.98
INT8_MAX = 127  # Lava's Conv keeps its sizes in int8 and goes wrong beyond without a word
GRADED_BITS = 15  # magnitude of graded messages between neurons


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a point sends: the real value of 1, and how many bits it takes (0 for binary spikes)."""

    scale: float
    bits: int


@dataclass(frozen=True)
class Rounded:
    """A synapse, and the real weights it stands for in units of the accumulated sum."""

    wanted: Array
    made: Synapse
    linear: LinearMap

    def bounds(self, low: Array | float, high: Array | float) -> tuple[Array, Array]:
        """Least and greatest accumulated sums for messages between `low` and `high`."""
        actual = mantissas_of(self.made) * 2.0**self.made.exponent
        return with_values(self.linear, actual).row_bounds(low, high)


@register_pass
@dataclass(frozen=True, kw_only=True)
class Quantise(Pass):
    """One scale per population, weights to mantissas and exponents, decays to 12 bits, thresholds to 17 bits."""

    name: ClassVar[str] = "quantise"
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.FUSED})
    gives: ClassVar[frozenset[Fact]] = frozenset({Fact.INTEGER})
    weight_bits: int = 8

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        return _Quantiser(graph, context, self.weight_bits).lowered()


class _Quantiser:
    """Lowers one fused graph; holds what is shared between its nodes."""

    def __init__(self, graph: AnyGraph, context: CompileContext, weight_bits: int) -> None:
        self.graph, self.context, self.bits = graph, context, weight_bits
        self.inputs = input_ranges(graph, context.options)
        self.calibrated = bool(context.options.calibration)
        self.observed = observed_ranges(graph, self.inputs.sample)
        self.intervals = Intervals(graph, self.inputs.real, self.observed)
        self.bounds: dict[str, StateRange] = {}
        self.scales: dict[str, Array] = {}
        for name in graph.sources_first():
            node = graph.nodes[name]
            if isinstance(node, Neuron):
                self.bounds[name] = self.intervals.states(name, node)
                self.scales[name] = self._settled(name, node)
                saturation = STATE_LIMIT / (STATE_UNIT * self.scales[name])
                self.intervals.settle(name, node, self._rounded_states(name, node), saturation)

    def lowered(self) -> HardwareGraph:
        nodes: dict[str, HardwareNode] = {}
        for name, node in self.graph.nodes.items():
            if isinstance(node, Input):
                nodes[name] = self.inputs.source(name, node)
            elif isinstance(node, Neuron):
                nodes[name] = lower_neuron(
                    name, node, self.scales[name], self._out_shift(name), self.graph.shapes[name], self.context)
                self._note_range(name, node)
            elif isinstance(node, Map):
                nodes[name] = self._synapse(name, node)
            elif isinstance(node, StepDelay):
                if self.context.options.stock_only:
                    self.context.report(Diagnostic(
                        code="LHC402", message="delays of several lengths need loihic's own DelayLine", node=name,
                        help="leave --stock-only out"))
                late = int(node.steps.size > 0 and int(node.steps.min()) < 1)
                nodes[name] = DelayLine(origins=node.origins, shape=node.shape, steps=node.steps + late, late=late)
            elif isinstance(node, Output):
                source = self.graph.incoming[name][0].src
                nodes[name] = Sink(origins=node.origins, shape=node.shape, scale=self._message(source).scale)
        return Graph(nodes=nodes, edges=self.graph.edges, shapes=self.graph.shapes,
                     facts=self.graph.facts, dt=self.graph.dt)

    def _limits(self, name: str, node: Neuron) -> StateRange:
        """The ranges to provide for: proven ones, or calibrated ones with a margin; v may be left to saturate."""
        bound, seen = self.bounds[name], self.observed[name]
        u = bound.u
        if self.calibrated:
            u = (np.maximum(bound.u[0], MARGIN * seen.u[0]), np.minimum(bound.u[1], MARGIN * seen.u[1]))
        floor = np.maximum(np.maximum(node.threshold, 0.0), seen.each("v"))
        v = (np.maximum(bound.v[0], -VOLTAGE_MARGIN * floor), np.minimum(bound.v[1], VOLTAGE_MARGIN * floor))
        return StateRange(u=u, v=v)

    def _settled(self, name: str, node: Neuron) -> Array:
        """Scales per neuron at which even the rounded weights cannot make the current wrap.

        One scale for the population, or one per neuron where that costs nothing: where Lava's LIF cannot serve.
        """
        limits, groups = self._limits(name, node), self._groups(name)
        scales = np.full(node.shape, choose_scale(node, limits, groups, self.bits).scale)
        wanted = False if self.context.options.stock_only else self.context.options.neuron_scales
        if node.emit is Emit.SPIKE and (wanted or (wanted is None and not is_plain(node))):
            scales = spread_scales(node, float(scales.flat[0]), limits, groups, self.bits) if scales.size else scales
        for _ in range(SHRINKINGS):
            excess = float(np.max(self._integer_reach(name, node, scales), initial=0.0)) / STATE_LIMIT
            if excess < 1.0 or self.calibrated:
                break
            scales = scales * (SHRINK_TO / excess)
        return scales

    def _rounded_states(self, name: str, node: Neuron) -> StateRange:
        """The bounds of a population that sends its voltage, widened by what the rounded weights and decays allow."""
        bound = self.bounds[name]
        if node.emit is Emit.SPIKE:
            return bound
        scales = self.scales[name]
        least, most = self._integer_sums(name, node, scales)
        rounded = replace(node, decay_u=_rounded(node.decay_u, 1.0), decay_v=_rounded(node.decay_v, 0.0))
        u_low, u_high, v_low, v_high = state_bounds(rounded, least / scales, most / scales)
        return StateRange(u=(np.minimum(u_low, bound.u[0]), np.maximum(u_high, bound.u[1])),
                          v=(np.minimum(v_low, bound.v[0]), np.maximum(v_high, bound.v[1])))

    def _integer_reach(self, name: str, node: Neuron, scales: Array) -> Array:
        """The greatest |u| that the rounded weights allow, per neuron, in integer units."""
        least, most = self._integer_sums(name, node, scales)
        bias = node.bias_u * STATE_UNIT * scales
        leak = 1.0 - _rounded(node.decay_u, 1.0)
        reach: Array = np.maximum(-(least * STATE_UNIT + bias), most * STATE_UNIT + bias) / leak
        return reach

    def _integer_sums(self, name: str, node: Neuron, scales: Array) -> tuple[Array, Array]:
        """Least and greatest sum that the rounded weights deliver to each neuron."""
        least, most = np.zeros(node.shape), np.zeros(node.shape)
        for edge in self.graph.incoming[name]:
            source = self.graph.incoming[edge.src][0].src
            if source not in self.scales and self._is_graded(source):
                continue  # round a loop: its scale waits for this one
            made = self._made(self._map(edge.src), self.graph.nodes[edge.src], self._message(source), scales)
            if made is None:
                continue
            unit = self._message(source).scale
            low, high = self.intervals.leaving(source)
            low, high = made.bounds(np.minimum(low, 0) / unit, np.maximum(high, 0) / unit)
            least, most = least + low - 1.0, most + high  # a right shift floors
        return least, most

    def _groups(self, name: str) -> list[Incoming]:
        """The synapse groups of a population, but for those whose message scale waits for the population's own."""
        groups = []
        for edge in self.graph.incoming[name]:
            linear = self._map(edge.src)
            source = self.graph.incoming[edge.src][0].src
            if source not in self.scales and self._is_graded(source):
                continue  # a convolution there falls back to sparse weights
            unit = self._message(source).scale
            groups.append(Incoming(weights=_values(linear) * unit, peaks=_peaks(linear) * unit,
                                   conv=_fits_conv(linear)))
        return groups

    def _map(self, name: str) -> LinearMap:
        node = self.graph.nodes[name]
        assert isinstance(node, Map)
        return node.linear if _fits_conv(node.linear) else as_matrix(node.linear)

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
        reach = self._limits(name, node).reach("v") * float(self.scales[name].max(initial=0.0)) * STATE_UNIT
        return max(0, int(np.ceil(np.log2(max(reach, 1.0)))) - GRADED_BITS)

    def _message(self, name: str) -> Message:
        node = self.graph.nodes[name]
        if isinstance(node, Input):
            return Message(scale=self.inputs.scale[name], bits=self.inputs.bits[name])
        if isinstance(node, StepDelay):
            return self._message(self.graph.incoming[name][0].src)
        assert isinstance(node, Neuron)
        if node.emit is Emit.SPIKE:
            return Message(scale=1.0, bits=0)
        if node.emit is Emit.MULTI:
            return Message(scale=1.0, bits=16)
        scale = 2.0 ** self._out_shift(name) / (STATE_UNIT * float(self.scales[name].flat[0]))
        return Message(scale=scale, bits=GRADED_BITS + 1)

    def _synapse(self, name: str, node: Map) -> HardwareNode:
        target = self.graph.outgoing[name][0].dst
        message = self._message(self.graph.incoming[name][0].src)
        made = self._made(self._map(name), node, message, self.scales[target])
        if made is None:
            self.context.report(Diagnostic(
                code="LHC403", message="the weights do not fit any exponent", node=name,
                param=f"the limit is {255 * 2**7} integer units",
                help="give --calibration or a narrower --input-range"))
            return ConvSynapse(in_shape=(0, 0, 0), out_shape=(0, 0, 0), kernel=np.zeros((0, 0, 0, 0)))
        return self._finish(name, made)

    def _made(self, linear: LinearMap, node: SourceNode, message: Message, scales: Array) -> Rounded | None:
        """A synapse with rounded weights for a population of such scales; None if no exponent fits."""
        scaled = linear.scaled(message.scale * scales)
        values = _values(scaled)
        if isinstance(scaled, ConvMap) and CONV_GRID[self.bits].fits(float(values.min()), float(values.max())):
            return Rounded(values, _conv_synapse(scaled, node, self.bits, message.bits), scaled)
        scaled = as_matrix(scaled)
        values = _values(scaled)
        mode = sign_mode_of(values)
        where = grid(mode, self.bits)
        exponent = choose_exponent(values, where)
        if exponent is None:
            return None
        mantissas = where.round(values / 2.0**exponent)
        common: dict[str, Any] = {
            "origins": node.origins, "in_shape": scaled.in_shape, "out_shape": scaled.out_shape, "exponent": exponent,
            "num_weight_bits": self.bits, "sign_mode": mode, "message_bits": message.bits}
        if isinstance(scaled, DenseMap):
            made: Synapse = DenseSynapse(weights=mantissas.reshape(scaled.matrix.shape), **common)
        else:
            assert isinstance(scaled, SparseMap)
            made = SparseSynapse(data=mantissas, indices=scaled.matrix.indices.astype(np.int64),
                                 indptr=scaled.matrix.indptr.astype(np.int64), **common)
        return Rounded(values, made, scaled)

    def _finish(self, name: str, rounded: Rounded) -> Synapse:
        """Write the rounding of a synapse's weights into the ledger."""
        wanted, made = rounded.wanted, rounded.made
        actual = mantissas_of(made) * 2.0**made.exponent
        power = float(np.sqrt(np.mean(wanted**2))) if wanted.size else 0.0
        error = float(np.sqrt(np.mean((actual - wanted) ** 2))) / power if power else 0.0
        if error > 1e-12:
            self.context.ledger.add(Loss(
                node=name, kind="weights", param="weight", wanted=f"{wanted.size} real numbers",
                actual=f"{made.num_weight_bits}-bit mantissas << {made.exponent}", error=error,
                why="rounded to the synapse's grid; relative root mean square error"))
        return made

    def _note_range(self, name: str, node: Neuron) -> None:
        """Say whether the states are proven in range, or may saturate or wrap beyond what was observed."""
        room = np.broadcast_to((STATE_LIMIT - 1) / (STATE_UNIT * self.scales[name]), node.shape)
        for state in ("u", "v"):
            spiking = state == "v" and node.emit is Emit.SPIKE
            needed = -self.bounds[name].v[0] if spiking else self.bounds[name].each(state)
            short = needed > room * (1 + 1e-9)
            if state == "u" and not np.any(short) and name in self.intervals.guessed:
                self.context.ledger.add(Loss(
                    node=name, kind="range", param=state, wanted="a proof", actual=f"up to {np.min(room):.4g}",
                    why="wraps beyond; values that come round a loop were taken to be twice what the golden run had"))
            if np.any(short):
                self.context.ledger.add(Loss(
                    node=name, kind="range", param=state, wanted=f"up to {np.max(needed):.4g}",
                    actual=f"up to {np.min(room[short]):.4g}",
                    why=("wraps" if state == "u" else "saturates") + " beyond; provided for "
                    + ("the calibration data with a margin" if self.calibrated else "what the golden run reached")))


def _rounded(decay: Array, least: float) -> Array:
    """A decay whose leak is a whole number of parts of 4096, as the compartment has it."""
    return np.asarray(1.0 - np.maximum(np.rint((1.0 - decay) * DECAY_UNITY), least) / DECAY_UNITY)


def _fits_conv(linear: LinearMap) -> bool:
    """Whether Lava's Conv can express a convolution: the same padding on both sides, and sizes that fit its int8."""
    if not isinstance(linear, ConvMap):
        return False
    sizes = (*linear.kernel.shape[2:], *linear.stride, *linear.dilation, linear.groups)
    return all(low == high for low, high in linear.pads) and max(*sizes, *linear.pads[0], *linear.pads[1]) <= INT8_MAX


def _values(linear: LinearMap) -> Array:
    """The weights, flat."""
    if isinstance(linear, ConvMap):
        return linear.kernel.reshape(-1)
    matrix = as_matrix(linear)
    return np.asarray(matrix.matrix.reshape(-1) if isinstance(matrix, DenseMap) else matrix.to_csr().data)


def _peaks(linear: LinearMap) -> Array:
    """The largest weight per neuron, in the shape of the population or per channel of it."""
    if isinstance(linear, ConvMap):
        return np.asarray(np.abs(linear.kernel).max(axis=(1, 2, 3))[:, None, None])
    matrix = as_matrix(linear)
    peaks = np.abs(matrix.matrix).max(axis=1, initial=0) if isinstance(matrix, DenseMap) else (
        np.asarray(abs(matrix.to_csr()).max(axis=1).todense()))
    return np.asarray(peaks).reshape(linear.out_shape)


def with_values(linear: LinearMap, values: Array) -> LinearMap:
    """The map with other weights, flat as `_values` gives them."""
    if isinstance(linear, ConvMap):
        return replace(linear, kernel=values.reshape(linear.kernel.shape))
    if isinstance(linear, DenseMap):
        return replace(linear, matrix=values.reshape(linear.matrix.shape))
    assert isinstance(linear, SparseMap)
    parts = (values, linear.matrix.indices, linear.matrix.indptr)
    return replace(linear, matrix=sparse.csr_matrix(parts, shape=linear.matrix.shape))


def mantissas_of(synapse: HardwareNode) -> Array:
    """The integer weights of any synapse, flat."""
    if isinstance(synapse, ConvSynapse):
        return synapse.kernel.reshape(-1)
    if isinstance(synapse, DenseSynapse):
        return synapse.weights.reshape(-1)
    assert isinstance(synapse, SparseSynapse)
    return synapse.data


def _conv_synapse(linear: ConvMap, node: SourceNode, bits: int, message_bits: int) -> ConvSynapse:
    return ConvSynapse(
        origins=node.origins, in_shape=linear.in_shape, out_shape=linear.out_shape, num_weight_bits=bits,
        message_bits=message_bits, kernel=CONV_GRID[bits].round(linear.kernel), stride=linear.stride,
        padding=(linear.pads[0][0], linear.pads[1][0]), dilation=linear.dilation, groups=linear.groups)


