"""The bit-accurate simulator that all others are measured by: every hardware operator's own step, one after another.

Plain numpy, vectorised over samples and neurons. It can show what every node hears, holds and sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Any

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.ops.delay_line import DelayLine
from loihic.ops.population import Population
from loihic.ops.source import Sink, Source
from loihic.ops.synapse import Synapse
from loihic.sim.engine import ARRIVING, LINE, Checkpoint, Stretch, Wanted

Recorded = dict[tuple[str, str], Array]
Observer = Callable[[str, Mapping[str, Array], Array, int], None]
Listener = Callable[[str, Array], None]


def simulate(graph: HardwareGraph, inputs: Mapping[str, Array], steps: int, *, record: Iterable[tuple[str, str]] = (),
             progress: Callable[[int], None] | None = None, observe: Observer | None = None,
             sent_by: Listener | None = None) -> tuple[dict[str, Array], Recorded]:
    """Run a timed hardware graph from its first step.

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
    batch = next((len(values) for values in inputs.values()), 1)
    engine = NumpyEngine(graph, batch, record=tuple(record), observe=observe, sent_by=sent_by)
    stretch = engine.advance(inputs, steps, progress)
    return stretch.outputs, stretch.recorded


class NumpyEngine:
    """An `Engine` in numpy.

    Within a step, connections first deliver what they took in the step before, then neurons compute, then connections
    take what was sent. That is Lava's order, and since neurons only ever hear connections and Sources it needs no
    sorting.

    Args:
        graph: with latencies assigned.
        batch: number of samples.
        record: (node, state) pairs to keep.
        count: whether to count messages.
        at: where to go on.
        observe, sent_by: see `simulate`.
    """

    def __init__(self, graph: HardwareGraph, batch: int, *, record: Wanted = (), count: bool = False,
                 at: Checkpoint | None = None, observe: Observer | None = None,
                 sent_by: Listener | None = None) -> None:
        self.graph, self.batch, self.step = graph, batch, 0
        self.record, self.observe, self.sent_by = tuple(dict.fromkeys(record)), observe, sent_by
        self.connections = {n: node for n, node in graph.nodes.items() if isinstance(node, Synapse | DelayLine)}
        self.neurons = {n: node for n, node in graph.nodes.items() if isinstance(node, Population)}
        self.sources = {n: node for n, node in graph.nodes.items() if isinstance(node, Source)}
        self.feeding = {n: [edge.src for edge in graph.incoming[n]] for n in graph.nodes}
        self.states: dict[str, Any] = {
            n: node.initial(batch) for n, node in (*self.connections.items(), *self.neurons.items())}
        self.sent = {n: np.zeros(prod(graph.shapes[n]), dtype=np.int64)
                     for n in (*self.neurons, *self.sources)} if count else {}
        if at is not None:
            self._restore(at)

    def advance(self, inputs: Mapping[str, Array], steps: int, progress: Callable[[int], None] | None = None
                ) -> Stretch:
        kept: dict[tuple[str, str], list[Array]] = {key: [] for key in self.record}
        outputs: dict[str, list[Array]] = {n: [] for n, node in self.graph.nodes.items() if isinstance(node, Sink)}
        for k in range(steps):
            sent = self._step({n: inputs[n][:, k] if n in inputs and k < inputs[n].shape[1]
                               else np.zeros((self.batch, *node.shape)) for n, node in self.sources.items()})
            for n, values in outputs.items():
                values.append(sent[self.feeding[n][0]].reshape(self.batch, *self.graph.shapes[n]))
            for node, state in self.record:
                kept[node, state].append(sent[node] if state == "out" else self.states[node][state])
            if progress is not None:
                progress(k + 1)
        return Stretch(outputs={n: self._stacked(values, self.graph.shapes[n]) for n, values in outputs.items()},
                       recorded={key: self._stacked(values, self.graph.shapes[key[0]])
                                 for key, values in kept.items()})

    def _stacked(self, values: list[Array], shape: tuple[int, ...]) -> Array:
        return np.stack(values, axis=1) if values else np.zeros((self.batch, 0, *shape), dtype=np.int64)

    def _step(self, now: Mapping[str, Array]) -> dict[str, Array]:
        """Take a step with what the Sources send; returns what every node sent."""
        states, feeding, observe = self.states, self.feeding, self.observe
        sent: dict[str, Array] = {n: node.emit(states[n]) for n, node in self.connections.items()}
        sent |= {n: np.asarray(values, dtype=np.int64) for n, values in now.items()}
        for n, neuron in self.neurons.items():
            total = np.zeros((self.batch, *neuron.shape), dtype=np.int64)
            for src in feeding[n]:
                total = total + sent[src].reshape(total.shape)
            if observe is not None:
                observe(n, states[n], total, self.step)
            sent[n] = neuron.step(states[n], total, self.step)
        for n, node in self.connections.items():
            if observe is not None:
                observe(n, states[n], sent[feeding[n][0]], self.step)
            node.receive(states[n], sent[feeding[n][0]])
        for n, values in sent.items():
            if self.sent_by is not None:
                self.sent_by(n, values)
            if n in self.sent:
                self.sent[n] += np.count_nonzero(values.reshape(self.batch, -1), axis=0)
        self.step += 1
        return sent

    def checkpoint(self) -> Checkpoint:
        found: dict[str, dict[str, Array]] = {}
        for n, neuron in self.neurons.items():
            arriving = np.zeros((self.batch, *neuron.shape), dtype=np.int64)
            for src in self._synapses(n):
                arriving = arriving + self.states[src]["a"].reshape(arriving.shape)
            found[n] = {**{name: values.copy() for name, values in self.states[n].items()}, ARRIVING: arriving}
        found |= {n: {LINE: self.states[n][LINE].copy()} for n, node in self.connections.items()
                  if isinstance(node, DelayLine)}
        return Checkpoint(step=self.step, states=found)

    def _restore(self, at: Checkpoint) -> None:
        """Go on from `at`; one connection of each population delivers the whole sum, since only that matters."""
        self.step = at.step
        for n, states in at.states.items():
            self.states[n] = {name: values.copy() for name, values in states.items() if name != ARRIVING}
            for src in self._synapses(n)[:1]:
                held = self.states[src]
                held["a"] = states[ARRIVING].reshape(held["a"].shape).copy()

    def _synapses(self, name: str) -> list[str]:
        """The synapses that a population hears; a Source that it hears without one is heard in the same step."""
        return [src for src in self.feeding[name] if isinstance(self.graph.nodes[src], Synapse)]
