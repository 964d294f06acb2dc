"""Ranges of real-valued states: interval bounds that hold for every allowed input, and what a run was seen to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loihic.ir.graph import Graph
from loihic.ir.node import Array
from loihic.ops.delay import StepDelay
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.ops.ports import Input, Output
from loihic.ops.traits import Emit, Reset
from loihic.sim.reference import run_reference

Bounds = tuple[Array | float, Array | float]


@dataclass(frozen=True, kw_only=True, slots=True)
class StateRange:
    """Least and greatest values of a population's states, in real units; infinite where nothing bounds them."""

    u: tuple[float, float]
    v: tuple[float, float]

    def reach(self, state: str) -> float:
        """The greatest magnitude of ``u`` or ``v``."""
        low, high = self.u if state == "u" else self.v
        return max(-low, high)


def interval_ranges(graph: Graph[Any], inputs: Mapping[str, tuple[float, float]],
                    observed: Mapping[str, StateRange]) -> dict[str, StateRange]:
    """Bounds for every Neuron of a fused graph, for inputs anywhere in their ranges.

    A leaky state driven by a current within [a, b] stays within [a, b] / (1 - decay) together with its initial value
    (geometric series). Graded messages that come round a loop have no closed bound; twice what was observed is taken.
    """
    sent: dict[str, Bounds] = {name: _sent_always(node) for name, node in graph.nodes.items()
                               if isinstance(node, Neuron) and node.emit is Emit.SPIKE}
    ranges: dict[str, StateRange] = {}
    for name in graph.order():
        node = graph.nodes[name]
        if isinstance(node, Input):
            sent[name] = inputs[name]
        elif isinstance(node, StepDelay | Output):
            for edge in graph.incoming[name]:
                low, high = sent.get(edge.src, _observed_output(observed, edge.src, graph))
                sent[name] = (np.minimum(low, 0), np.maximum(high, 0))
        elif isinstance(node, Neuron):
            least: Array = np.zeros(node.shape)
            most: Array = np.zeros(node.shape)
            for edge in graph.incoming[name]:
                linear = graph.nodes[edge.src]
                assert isinstance(linear, Map)
                source = graph.incoming[edge.src][0].src
                bounds = sent.get(source, _observed_output(observed, source, graph))
                low, high = linear.linear.row_bounds(np.minimum(bounds[0], 0), np.maximum(bounds[1], 0))
                least, most = least + low, most + high
            u_low, u_high, v_low, v_high = _state_bounds(node, least, most)
            ranges[name] = StateRange(u=(_least(u_low), _most(u_high)), v=(_least(v_low), _most(v_high)))
            if node.emit is Emit.STATE and np.all(np.isfinite(v_low)) and np.all(np.isfinite(v_high)):
                sent[name] = (v_low, v_high)
            elif node.emit is Emit.MULTI and np.all(np.isfinite(v_high)):
                with np.errstate(divide="ignore", invalid="ignore"):
                    count = np.where(node.threshold > 0, v_high / node.threshold, 1.0)
                sent[name] = (0.0, np.maximum(np.ceil(count), 0.0))
    return ranges


def _sent_always(node: Neuron) -> Bounds:
    return 0.0, 1.0


def _least(values: Array) -> float:
    return float(np.min(values, initial=0.0))


def _most(values: Array) -> float:
    return float(np.max(values, initial=0.0))


def _observed_output(observed: Mapping[str, StateRange], source: str, graph: Graph[Any]) -> Bounds:
    node = graph.nodes[source]
    if source not in observed:
        return 0.0, 1.0
    low, high = observed[source].v
    if isinstance(node, Neuron) and node.emit is Emit.MULTI:
        floor = float(np.min(node.threshold, initial=np.inf))
        return 0.0, 2.0 * max(1.0, np.ceil(high / floor) if floor > 0 else 1.0)
    return 2.0 * low, 2.0 * high


def _state_bounds(node: Neuron, least: Array, most: Array) -> tuple[Array, Array, Array, Array]:
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


def observed_ranges(graph: Graph[Any], inputs: Mapping[str, Array]) -> dict[str, StateRange]:
    """What u and v of every Neuron reach in the float reference (v before reset, as far as sent values tell)."""
    found: dict[str, list[float]] = {}

    def observe(name: str, state: Mapping[str, Array], sent: Array) -> None:
        node = graph.nodes[name]
        u, v = state["u"], state["v"]
        if node.emit is not Emit.STATE:
            v = np.maximum(v, np.where(sent > 0, node.threshold, v))
        low_u, high_u, low_v, high_v = found.setdefault(name, [0.0, 0.0, 0.0, 0.0])
        found[name] = [min(low_u, float(u.min(initial=0.0))), max(high_u, float(u.max(initial=0.0))),
                       min(low_v, float(v.min(initial=0.0))), max(high_v, float(v.max(initial=0.0)))]

    run_reference(graph, inputs, observe=observe)
    return {name: StateRange(u=(b[0], b[1]), v=(b[2], b[3])) for name, b in found.items()}
