"""Activity: how many messages each element sends per step, on average, as observed in a run."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.ops.population import Population
from loihic.ops.source import Source
from loihic.sim.run import begin


def message_rates(graph: HardwareGraph, inputs: Mapping[str, Array], steps: int) -> dict[str, Array]:
    """Messages per step of every element of every population and Source, flat; a message is any value but zero.

    Args:
        graph: a timed hardware graph.
        inputs: per Source, integers (N, T, *shape).
        steps: to run; the inputs' length and the latency.
    """
    batch = next((len(values) for values in inputs.values()), 1)
    engine = begin(graph, batch, steps=steps, count=True)
    engine.advance(inputs, steps)
    return {name: engine.sent[name] / (batch * max(steps, 1)) for name in senders(graph)}


def uniform_rates(graph: HardwareGraph, rate: float) -> dict[str, Array]:
    """The same rate for all, where nothing was observed."""
    return {name: np.full(prod(graph.shapes[name]), rate) for name in senders(graph)}


def senders(graph: HardwareGraph) -> list[str]:
    """Populations and Sources."""
    return [name for name, node in graph.nodes.items() if isinstance(node, Population | Source)]
