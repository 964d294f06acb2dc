"""Integer graphs run as if connections took no time: what a retimed program must compute, only later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from strategies import RandomNet

from loihic.api import lower_float, read_model
from loihic.ir.graph import HardwareGraph
from loihic.ops.compartment import Compartment
from loihic.ops.delay_line import DelayLine
from loihic.ops.source import Source
from loihic.ops.synapse import Synapse
from loihic.options import Options
from loihic.passes.manager import CompileContext, run_passes
from loihic.passes.pipeline import integer_pipeline
from loihic.sim.simulator import simulate


def stages(graph: Any, **choices: Any) -> CompileContext:
    """Every stage of a compilation; the timed graph is the stage ``retime``."""
    context = CompileContext(options=Options(**choices))
    source, provenance, *_ = read_model(graph)
    run_passes(lower_float(source, context, provenance), integer_pipeline(context.options), context)
    return context


def compiled(net: RandomNet, **choices: Any) -> CompileContext:
    """The stages of a random network."""
    return stages(net.graph, dt=net.dt, **choices)


def integers(net: RandomNet, steps: int, **choices: Any) -> dict[str, np.ndarray]:
    """The network's seeded inputs as integers."""
    return {name: x.astype(np.int64) for name, x in net.spikes(steps, **choices).items()}


def run_ideal(graph: HardwareGraph, inputs: Mapping[str, np.ndarray], steps: int) -> dict[str, np.ndarray]:
    """What every point sends, (N, steps, *shape), where a connection answers in the same step and no one waits."""
    batch, length = next(iter(inputs.values())).shape[:2]
    nodes = {name: replace(node, start=0) if isinstance(node, Compartment) else node
             for name, node in graph.nodes.items()}
    states: dict[str, Any] = {name: node.initial(batch) for name, node in nodes.items()
                              if isinstance(node, Compartment | Synapse)}
    sent: dict[str, list[np.ndarray]] = {name: [] for name in nodes}

    def arriving(name: str, t: int) -> list[np.ndarray]:
        return [sent[e.src][t - e.delay] if t >= e.delay else np.zeros((batch, *graph.shapes[e.src]), dtype=np.int64)
                for e in graph.incoming[name]]

    for t in range(steps):
        for name in graph.order():
            node = nodes[name]
            if isinstance(node, Source):
                sent[name].append(inputs[name][:, t] if t < length else np.zeros((batch, *node.shape), dtype=np.int64))
            elif isinstance(node, Synapse):
                node.receive(states[name], arriving(name, t)[0])
                sent[name].append(node.emit(states[name]))
            elif isinstance(node, Compartment):
                total = sum(x.reshape(batch, *node.shape) for x in arriving(name, t))
                sent[name].append(node.step(states[name], total, t))
            elif isinstance(node, DelayLine):
                own = np.broadcast_to(node.steps, node.shape) - node.late
                out = np.zeros((batch, *node.shape), dtype=np.int64)
                for index in np.ndindex(*node.shape):
                    past = t - own[index]
                    edge = graph.incoming[name][0]
                    if past - edge.delay >= 0:
                        source = sent[edge.src][past - edge.delay]
                        out[(slice(None), *index)] = source[(slice(None), *index)]
                sent[name].append(out)
            else:
                sent[name].append(arriving(name, t)[0])
    return {name: np.stack(values, axis=1) for name, values in sent.items()}


def run_timed(graph: HardwareGraph, inputs: Mapping[str, np.ndarray], steps: int) -> dict[str, np.ndarray]:
    """What every population and Sink of a timed graph sends, aligned by its latency, (N, steps, *shape)."""
    start = {name: node.start for name, node in graph.nodes.items() if isinstance(node, Compartment)}
    late = {name: graph.nodes[name].latency for name in graph.nodes if hasattr(graph.nodes[name], "latency")}
    longest = max([*start.values(), *late.values()])
    outputs, recorded = simulate(graph, inputs, steps + longest, record=[(name, "out") for name in start])
    raw = {**outputs, **{name: values for (name, _), values in recorded.items()}}
    return {name: values[:, (late | start)[name] :][:, :steps] for name, values in raw.items()}
