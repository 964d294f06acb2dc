"""Calibration: what a fused graph's states, spikes and inputs do over a data set, streamed, no trace held in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loihic.ir.graph import Graph
from loihic.ir.node import Array
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.ops.traits import Emit
from loihic.quant.histogram import Histogram
from loihic.quant.moments import MomentCollector, Moments
from loihic.quant.ranges import StateRange
from loihic.sim.reference import run_reference

CHUNK = 16  # samples that run together


@dataclass
class PopulationStatistics:
    """What one population was seen to do.

    Attributes:
        states: least and greatest u and v, per neuron, real units; v before reset, as far as sent values tell.
        sent: the sum of what each neuron sent.
        climb: how far v rose above its lowest since the last spike, per neuron. A voltage may be clipped so far below
            zero without harm: it was not seen to come back to the threshold from there.
        voltages: magnitudes of v.
        steps: samples times steps seen.
    """

    states: StateRange
    sent: Array
    climb: Array
    voltages: Histogram = field(default_factory=Histogram)
    steps: int = 0

    @property
    def rate(self) -> Array:
        """What each neuron sends per step, on average: spikes per step."""
        return np.asarray(self.sent / max(self.steps, 1))


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What a data set does to a fused graph.

    Attributes:
        populations: by Neuron.
        moments: by Map; what of its weights' errors reaches the voltage behind it.
        events: by Map, the number of inputs that are not zero, per step.
        inputs: by Input, the magnitudes of its values.
        samples: that were run.
    """

    samples: int
    populations: Mapping[str, PopulationStatistics]
    moments: Mapping[str, Moments]
    events: Mapping[str, float]
    inputs: Mapping[str, Histogram]

    @property
    def climbs(self) -> dict[str, Array]:
        """How far each neuron's voltage was seen to rise, by Neuron."""
        return {name: found.climb for name, found in self.populations.items()}

    @property
    def ranges(self) -> dict[str, StateRange]:
        """The observed states by Neuron."""
        return {name: found.states for name, found in self.populations.items()}


def collect(graph: Graph[Any], inputs: Mapping[str, Array], *, moments: bool = True, seed: int = 0,
            progress: Callable[[int, int], None] | None = None) -> Statistics:
    """Run the float reference over `inputs` (per Input, (N, T, *shape)) and keep what quantisation needs.

    Args:
        graph: fused.
        inputs: real values.
        moments: whether to collect second moments, which cost more than the run itself.
        seed: of the choice of neurons and steps that moments are sampled at.
        progress: called with samples done and samples in all.
    """
    samples, steps = next(iter(inputs.values())).shape[:2] if inputs else (1, 1)
    populations = {name: _at_rest(node) for name, node in graph.nodes.items() if isinstance(node, Neuron)}
    lowest: dict[str, Array] = {}  # of each voltage since the last spike, (N, *shape)
    events: dict[str, float] = {name: 0.0 for name, node in graph.nodes.items() if isinstance(node, Map)}
    collector = MomentCollector(graph, samples * steps, seed) if moments else None

    def hear(name: str, x: Array) -> None:
        events[name] += float(np.count_nonzero(x))
        if collector is not None:
            collector.hear(name, x)

    def observe(name: str, state: Mapping[str, Array], sent: Array) -> None:
        node, found = graph.nodes[name], populations[name]
        u, v = state["u"], state["v"]
        if node.emit is not Emit.STATE:
            v = np.maximum(v, np.where(sent > 0, node.threshold, v))
        if node.emit is not Emit.STATE:
            low = np.minimum(lowest.get(name, np.zeros(v.shape)), v)
            found.climb = np.maximum(found.climb, (v - low).max(axis=0))
            lowest[name] = np.where(sent > 0, np.minimum(state["v"], 0.0), low)
        found.states = StateRange(u=_widened(found.states.u, u), v=_widened(found.states.v, v))
        found.sent += sent.sum(axis=0)
        found.steps += len(sent)
        found.voltages.add(v)
        if collector is not None:
            collector.observe(name, node, state["v"], sent)

    for start in range(0, samples, CHUNK):
        chunk = {name: values[start : start + CHUNK] for name, values in inputs.items()}
        if collector is not None:
            collector.begin(min(CHUNK, samples - start))
        lowest.clear()
        if chunk:
            run_reference(graph, chunk, observe=observe, hear=hear)
        if progress is not None:
            progress(min(start + CHUNK, samples), samples)
    seen: dict[str, Histogram] = {name: Histogram() for name in inputs}
    for name, histogram in seen.items():
        histogram.add(inputs[name])
    return Statistics(
        samples=samples, populations=populations, moments={} if collector is None else collector.moments(), inputs=seen,
        events={name: count / (samples * steps) for name, count in events.items()})


def _at_rest(node: Neuron) -> PopulationStatistics:
    nothing = np.zeros(node.shape)
    return PopulationStatistics(states=StateRange(u=(nothing, nothing), v=(nothing, nothing)), sent=nothing.copy(),
                                climb=nothing)


def _widened(old: tuple[Array, Array], values: Array) -> tuple[Array, Array]:
    """A range per neuron that also holds a batch of values."""
    return np.minimum(old[0], values.min(axis=0)), np.maximum(old[1], values.max(axis=0))
