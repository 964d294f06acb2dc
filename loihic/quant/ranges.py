"""Ranges of real-valued states: interval bounds that hold for every allowed input, and what a run was seen to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loihic.ir.graph import Graph
from loihic.ir.node import Array, SourceNode
from loihic.ops.delay import StepDelay
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.ops.ports import Input
from loihic.ops.traits import Emit, Reset

Bounds = tuple[Array | float, Array | float]


@dataclass(frozen=True, kw_only=True, slots=True)
class StateRange:
    """Least and greatest values of the states, per neuron, in real units; infinite where nothing bounds them.

    Every low is at most and every high at least zero.
    """

    u: tuple[Array, Array]
    v: tuple[Array, Array]

    def each(self, state: str) -> Array:
        """The greatest magnitude of ``u`` or ``v``, per neuron."""
        low, high = self.u if state == "u" else self.v
        return np.maximum(-low, high)

    def reach(self, state: str) -> float:
        """The greatest magnitude of ``u`` or ``v`` in the whole population."""
        return float(np.max(self.each(state), initial=0.0))


class Intervals:
    """Bounds that hold for every input within its range, found point by point in topological order.

    A leaky state driven by a current within [a, b] stays within [a, b] / (1 - decay) together with its initial value
    (geometric series). Where nothing bounds a graded voltage, its saturation does; round a loop, where that is not
    known yet, twice what was observed is taken, and the result is not a proof.
    """

    def __init__(self, graph: Graph[Any], inputs: Mapping[str, tuple[float, float]],
                 observed: Mapping[str, StateRange]) -> None:
        self.graph = graph
        self.inputs = inputs
        self.observed = observed
        self.guessed: set[str] = set()  # populations whose bounds rest on a guess
        self.sent: dict[str, Bounds] = {
            name: (0.0, 1.0) for name, node in graph.of(Neuron) if node.emit is Emit.SPIKE}

    def leaving(self, name: str) -> Bounds:
        """Least and greatest real value that a point sends."""
        node = self.graph.nodes[name]
        if isinstance(node, Input):
            return self.inputs[name]
        if isinstance(node, StepDelay):
            low, high = self.leaving(self.graph.incoming[name][0].src)
            return np.minimum(low, 0), np.maximum(high, 0)
        return self.sent[name] if name in self.sent else self._guess(name, node)

    def states(self, name: str, node: Neuron) -> StateRange:
        """Bounds of a population's states; its sources must have been settled before, but for those round a loop."""
        least: Array = np.zeros(node.shape)
        most: Array = np.zeros(node.shape)
        for edge in self.graph.incoming[name]:
            linear = self.graph.nodes[edge.src]
            assert isinstance(linear, Map)
            source = self._speaker(edge.src)
            unknown = isinstance(self.graph.nodes[source], Neuron) and source not in self.sent
            if unknown or (source in self.guessed and self.graph.nodes[source].emit is not Emit.SPIKE):
                self.guessed.add(name)
            low, high = self.leaving(self.graph.incoming[edge.src][0].src)
            low, high = linear.linear.row_bounds(np.minimum(low, 0), np.maximum(high, 0))
            least, most = least + low, most + high
        u_low, u_high, v_low, v_high = state_bounds(node, least, most)
        return StateRange(u=(u_low, u_high), v=(v_low, v_high))

    def _speaker(self, name: str) -> str:
        """The Input or population that a map or delay line hears."""
        node = self.graph.nodes[name]
        return self._speaker(self.graph.incoming[name][0].src) if isinstance(node, Map | StepDelay) else name

    def settle(self, name: str, node: Neuron, states: StateRange, saturation: Array) -> None:
        """Note what a population sends, given its states and the real voltage at which it saturates."""
        low, high = np.maximum(states.v[0], -saturation), np.minimum(states.v[1], saturation)
        if node.emit is Emit.STATE:
            self.sent[name] = (low, high)
        elif node.emit is Emit.MULTI:
            with np.errstate(divide="ignore", invalid="ignore"):
                count = np.where(node.threshold > 0, np.ceil(high / node.threshold), 1.0)
            self.sent[name] = (0.0, np.maximum(count, 1.0))

    def _guess(self, name: str, node: SourceNode) -> Bounds:
        low, high = self.observed[name].v
        if isinstance(node, Neuron) and node.emit is Emit.MULTI:
            with np.errstate(divide="ignore", invalid="ignore"):
                count = np.where(node.threshold > 0, np.ceil(high / node.threshold), 1.0)
            return 0.0, 2.0 * np.maximum(count, 1.0)
        return 2.0 * low, 2.0 * high


def state_bounds(node: Neuron, least: Array, most: Array) -> tuple[Array, Array, Array, Array]:
    """Bounds of u and of v before reset, per neuron."""
    room = 1.0 - node.decay_u
    u_low = np.minimum((least + node.bias_u) / room, 0.0)
    u_high = np.maximum((most + node.bias_u) / room, 0.0)
    leak = 1.0 - node.decay_v
    with np.errstate(divide="ignore", invalid="ignore"):
        drive_low, drive_high = u_low + node.bias_v, u_high + node.bias_v
        far_low = np.where(leak > 0, drive_low / leak, np.where(drive_low < 0, -np.inf, 0.0))
        far_high = np.where(leak > 0, drive_high / leak, np.where(drive_high > 0, np.inf, 0.0))
    v_low = np.minimum(np.minimum(far_low, node.v_init), 0.0)
    v_high = np.maximum(np.maximum(far_high, node.v_init), 0.0)
    if node.emit is not Emit.STATE and (node.reset is Reset.ZERO):
        top = np.maximum(node.threshold, np.maximum(node.v_init, 0.0))
        v_high = np.minimum(v_high, node.decay_v * top + np.maximum(drive_high, 0.0))
    return u_low, u_high, v_low, v_high
