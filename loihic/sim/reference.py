"""The float reference: NIR's equations, step by step, on any discretised graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loihic.ir.graph import Graph
from loihic.ir.node import Array
from loihic.ops.delay import StepDelay
from loihic.ops.elementwise import Elementwise
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.ops.ports import Input, Output
from loihic.ops.sigma_delta import SigmaDelta
from loihic.ops.traits import LinearNode
from loihic.ops.window_max import WindowMax

STATEFUL = (Neuron, StepDelay, SigmaDelta)
Observer = Callable[[str, Mapping[str, Array], Array], None]
Listener = Callable[[str, Array], None]


@dataclass(frozen=True, slots=True)
class Moment:
    """The network after a step: states per neuron, and what every node sent, each (N, *shape)."""

    states: Mapping[str, Mapping[str, Array]]
    sent: Mapping[str, Array]


def run_reference(graph: Graph[Any], inputs: Mapping[str, Array], *, observe: Observer | None = None,
                  hear: Listener | None = None, steps: int | None = None) -> dict[str, Array]:
    """Run a discretised source graph in float64.

    Args:
        graph: with loops broken; edges with a delay of d carry the value of d steps ago, zero before.
        inputs: per Input node, (N, T, *shape).
        observe: called per neuron and step with the name, the states after the step and what was sent.
        hear: called per Map and step with the name and what arrives there, before the population behind it computes.
        steps: number of steps; the inputs' length by default, zeros after their end.

    Returns:
        Per Output node, (N, T, *shape).
    """
    outputs: dict[str, list[Array]] = {name: [] for name, node in graph.nodes.items() if isinstance(node, Output)}
    for moment in reference_steps(graph, inputs, hear=hear, steps=steps):
        if observe is not None:
            for name, state in moment.states.items():
                if isinstance(graph.nodes[name], Neuron):
                    observe(name, state, moment.sent[name])
        for name, values in outputs.items():
            values.append(moment.sent[name])
    return {name: np.stack(values, axis=1) for name, values in outputs.items()}


def reference_steps(graph: Graph[Any], inputs: Mapping[str, Array], *, hear: Listener | None = None,
                    steps: int | None = None) -> Iterator[Moment]:
    """The steps of `run_reference` one by one, so that nothing but the last of them need be kept.

    The states are those of the running network: take what is wanted of them before the next step.
    """
    batch, length = next(iter(inputs.values())).shape[:2]
    order = graph.order()
    states: dict[str, Any] = {
        name: graph.nodes[name].initial(batch) for name in order if isinstance(graph.nodes[name], STATEFUL)}
    depth = {name: 1 + max((e.delay for e in graph.outgoing[name]), default=0) for name in order}
    history: dict[str, list[Array]] = {name: [] for name in order}
    for t in range(length if steps is None else steps):
        for name in order:
            if isinstance(graph.nodes[name], Input):
                value = np.asarray(inputs[name][:, t] if t < length else np.zeros_like(inputs[name][:, 0]), dtype=float)
            else:
                arriving = _arriving(graph, name, history, batch)
                if hear is not None and isinstance(graph.nodes[name], Map):
                    hear(name, arriving)
                value = _step(graph, name, states, arriving)
            history[name].append(value)
            del history[name][: -depth[name]]
        yield Moment(states, {name: past[-1] for name, past in history.items()})


def _arriving(graph: Graph[Any], name: str, history: Mapping[str, list[Array]], batch: int) -> Array:
    """The sum of what arrives at a node in the step that is being computed."""
    total: Array | None = None
    for edge in graph.incoming[name]:
        past = history[edge.src]
        # A source computed in this step has its value at the end; a delayed edge may reach a source not yet computed.
        index = len(past) - 1 - edge.delay + _behind(graph, edge.src, name)
        value = past[index] if 0 <= index < len(past) else np.zeros((batch, *graph.shapes[edge.src]))
        total = value if total is None else total + value
    return np.zeros((batch, *graph.shapes[name])) if total is None else total


def _behind(graph: Graph[Any], src: str, dst: str) -> int:
    """1 if `src` comes after `dst` in the order of a step, so that its newest value is the previous step's."""
    rank = _ranks(graph)
    return int(rank[src] >= rank[dst])


def _ranks(graph: Graph[Any]) -> Mapping[str, int]:
    cached: Mapping[str, int] | None = graph.__dict__.get("_ranks")
    if cached is None:
        cached = {name: i for i, name in enumerate(graph.order())}
        graph.__dict__["_ranks"] = cached
    return cached


def _step(graph: Graph[Any], name: str, states: dict[str, Any], x: Array) -> Array:
    node = graph.nodes[name]
    if isinstance(node, STATEFUL):
        return node.step(states[name], x)
    if isinstance(node, Map):
        return node.linear.apply(x)
    if isinstance(node, LinearNode):
        value = node.linear_map(x.shape[1:]).apply(x)
        bias = node.constant()
        return value if bias is None else value + bias
    if isinstance(node, Output):
        return node.apply(x.reshape(x.shape[0], *graph.shapes[name]))
    if isinstance(node, Elementwise | WindowMax):
        return node.apply(x)
    raise TypeError(f"{name}: {node.op} has no float step; discretise the graph first")
