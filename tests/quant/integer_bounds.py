"""How far integer currents can reach: bounds from the compiled integers alone, independent of the compiler's own."""

from __future__ import annotations

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ir.linear import DenseMap, LinearMap, SparseMap
from loihic.ir.node import Array, HardwareNode
from loihic.ops.compartment import Compartment
from loihic.ops.conv import conv_map
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.delay_line import DelayLine
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.source import Source
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import Synapse
from loihic.ops.traits import Emit, Reset
from loihic.quant.fixed import ACTIVATION_SHIFT, DECAY_UNITY, STATE_LIMIT, decode_bias

Span = tuple[Array, Array]
MOST = float(STATE_LIMIT - 1)
ROUNDS = 100  # round every loop, before the widest bound is taken instead


def current_reach(graph: HardwareGraph) -> dict[str, Array]:
    """The greatest |u| before any wrap, per population and neuron, for every input that its Sources allow.

    A current of decay d that receives at most a in a step stays within a / d (geometric series; shifts toward zero only
    make it smaller). What comes round a loop is found by going round from silence until nothing grows any more, or if
    it grows too long bounded by what a neuron can send at all: one spike, or a voltage that saturates. Hence a proof by
    induction over the steps, if no reach is above 2**23.
    """
    sent: dict[str, Span] = {name: (np.zeros(shape), np.zeros(shape)) for name, shape in graph.shapes.items()}
    for _ in range(ROUNDS):
        before = dict(sent)
        reach = _once_round(graph, sent)
        if all(np.all(sent[name][0] >= low) and np.all(sent[name][1] <= high) for name, (low, high) in before.items()):
            return reach
    return _once_round(graph, {})


def _once_round(graph: HardwareGraph, sent: dict[str, Span]) -> dict[str, Array]:
    """The currents' reach given what is sent, which is brought up to date on the way."""
    reach: dict[str, Array] = {}
    for name in graph.sources_first():
        node = graph.nodes[name]
        arriving = [sent.get(edge.src) or _widest(graph, edge.src) for edge in graph.incoming[name]]
        if isinstance(node, Source):
            sent[name] = np.asarray(min(node.low, 0.0)), np.asarray(max(node.high, 0.0))
        elif isinstance(node, DelayLine):
            sent[name] = arriving[0]
        elif isinstance(node, Synapse):
            sent[name] = _accumulated(node, arriving[0])
        elif isinstance(node, Compartment):
            low = sum((span[0].reshape(node.shape) for span in arriving), np.zeros(node.shape))
            high = sum((span[1].reshape(node.shape) for span in arriving), np.zeros(node.shape))
            u_low, u_high = _current(node, low, high)
            reach[name] = np.maximum(-u_low, u_high)
            sent[name] = _sent(node, np.maximum(u_low, -MOST), np.minimum(u_high, MOST))
    return reach


def _accumulated(node: Synapse, message: Span) -> Span:
    low, high = message if node.message_bits else (np.zeros(()), np.ones(()))
    shape = node.in_shape
    low, high = (np.broadcast_to(x.reshape(shape) if x.size > 1 else x, shape) for x in (low, high))
    least, most = linear_of(node).row_bounds(low, high)
    factor = 2.0**node.exponent
    return np.floor(least * factor), np.floor(most * factor)


def linear_of(node: Synapse) -> LinearMap:
    """The mantissas as a linear map."""
    if isinstance(node, ConvSynapse):
        return conv_map(node.in_shape, node.kernel, node.stride, node.padding, node.dilation, node.groups)
    if isinstance(node, DenseSynapse):
        return DenseMap(in_shape=node.in_shape, out_shape=node.out_shape, matrix=node.weights)
    if isinstance(node, SparseSynapse):
        return SparseMap(in_shape=node.in_shape, out_shape=node.out_shape, matrix=node.matrix())
    raise TypeError(f"{node.op} has no weights that can be bounded")


def _current(node: Compartment, low: Array, high: Array) -> Span:
    """Bounds of u before any wrap."""
    decay = (node.du + 1) / DECAY_UNITY
    bias = decode_bias(node.ibias_mant, node.ibias_exp)
    unit = float(1 << ACTIVATION_SHIFT)
    return np.minimum(low * unit + bias, 0) / decay, np.maximum(high * unit + bias, 0) / decay


def _sent(node: Compartment, u_low: Array, u_high: Array) -> Span:
    """Bounds of what a population sends, for currents within bounds; v itself saturates."""
    if node.emit is Emit.SPIKE:
        return np.zeros(()), np.ones(())
    bias = decode_bias(node.vbias_mant, node.vbias_exp)
    decay = node.dv / DECAY_UNITY
    theta = np.broadcast_to((node.vth << ACTIVATION_SHIFT).astype(float), node.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = np.minimum(u_low + bias, 0), np.maximum(u_high + bias, 0)
        low = np.where(low < 0, low / decay, 0.0)
        high = np.where(high > 0, high / decay, 0.0)
        if node.emit is Emit.MULTI and node.reset is not Reset.NONE:  # what is left after a step is at most theta
            high = np.minimum(high, (1 - decay) * theta + np.maximum(u_high + bias, 0))
    low = np.maximum(np.minimum(low, node.v_init), -MOST)
    high = np.minimum(np.maximum(high, node.v_init), MOST)
    if node.emit is Emit.STATE:
        return np.floor(low / 2.0**node.out_shift), np.floor(high / 2.0**node.out_shift)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.zeros(()), np.where(theta > 0, np.floor(high / theta), 1.0)


def _widest(graph: HardwareGraph, name: str) -> Span:
    """What a node can send at all; asked for those whose bounds are not known yet, because they close a loop."""
    node: HardwareNode = graph.nodes[name]
    if isinstance(node, DelayLine | Synapse):
        span = _widest(graph, graph.incoming[name][0].src)
        return _accumulated(node, span) if isinstance(node, Synapse) else span
    if isinstance(node, Compartment):
        return _sent(node, np.full(node.shape, -MOST), np.full(node.shape, MOST))
    raise TypeError(f"{name}: a {node.op} cannot close a loop")
