"""The bit-accurate simulator: integer semantics of every hardware operator, vectorised over samples and neurons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.ops.delay_line import DelayLine
from loihic.ops.population import Population
from loihic.ops.source import Sink, Source
from loihic.ops.synapse import Synapse

Recorded = dict[str, Array]
Observer = Callable[[str, Mapping[str, Array], Array, int], None]
Listener = Callable[[str, Array], None]


def simulate(graph: HardwareGraph, inputs: Mapping[str, Array], steps: int, *, record: Iterable[tuple[str, str]] = (),
             progress: Callable[[int], None] | None = None, observe: Observer | None = None,
             sent_by: Listener | None = None) -> tuple[Recorded, dict[tuple[str, str], Array]]:
    """Run a timed hardware graph.

    Within a step, connections first deliver what they took in the step before, then neurons compute, then connections
    take what was sent. That is Lava's order, and since neurons only ever hear connections it needs no sorting.

    Args:
        graph: with latencies assigned.
        inputs: per Source, integers (N, T, *shape); zeros after their end.
        steps: number of hardware steps.
        record: (node, state) pairs to keep, such as ("lif1", "v") or ("lif1", "out").
        progress: called with the number of steps done.
        observe: called for every population and connection in each step, before it computes: with its name, its states
            (changed in place afterwards), what arrives, and the step.
        sent_by: called in each step with the name of every node and what it sent, (N, *shape).

    Returns:
        Per Sink the raw (not aligned) values (N, steps, *shape), and the recorded states likewise.
    """
    batch, length = next(iter(inputs.values())).shape[:2] if inputs else (1, 0)
    connections = {n: node for n, node in graph.nodes.items() if isinstance(node, Synapse | DelayLine)}
    neurons = {n: node for n, node in graph.nodes.items() if isinstance(node, Population)}
    sources = {n: node for n, node in graph.nodes.items() if isinstance(node, Source)}
    sinks = {n: node for n, node in graph.nodes.items() if isinstance(node, Sink)}
    feeding = {n: [edge.src for edge in graph.incoming[n]] for n in graph.nodes}
    states: dict[str, Any] = {n: node.initial(batch) for n, node in (*connections.items(), *neurons.items())}
    wanted = list(record)
    kept: dict[tuple[str, str], list[Array]] = {key: [] for key in wanted}
    outputs: dict[str, list[Array]] = {n: [] for n in sinks}
    for k in range(steps):
        sent: dict[str, Array] = {n: node.emit(states[n]) for n, node in connections.items()}
        for n, source in sources.items():
            now = inputs[n][:, k] if k < length else np.zeros((batch, *source.shape), dtype=np.int64)
            sent[n] = np.asarray(now, dtype=np.int64)
        for n, neuron in neurons.items():
            total = np.zeros((batch, *neuron.shape), dtype=np.int64)
            for src in feeding[n]:
                total = total + sent[src].reshape(total.shape)
            if observe is not None:
                observe(n, states[n], total, k)
            sent[n] = neuron.step(states[n], total, k)
        for n, node in connections.items():
            if observe is not None:
                observe(n, states[n], sent[feeding[n][0]], k)
            node.receive(states[n], sent[feeding[n][0]])
        if sent_by is not None:
            for n, values in sent.items():
                sent_by(n, values)
        for n, sink in sinks.items():
            outputs[n].append(sent[feeding[n][0]].reshape(batch, *sink.shape))
        for key in wanted:
            kept[key].append(sent[key[0]] if key[1] == "out" else states[key[0]][key[1]])
        if progress is not None:
            progress(k + 1)
    stacked = {n: np.stack(values, axis=1) for n, values in outputs.items()}
    return stacked, {key: np.stack(values, axis=1) for key, values in kept.items()}
