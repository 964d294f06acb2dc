"""Integer graphs of a few nodes: one population behind parallel synapses, or one that hears itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from loihic.ir.graph import Edge, Fact, HardwareGraph
from loihic.ir.node import HardwareNode
from loihic.ops.compartment import Compartment
from loihic.ops.delay_line import DelayLine
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.source import Sink, Source
from loihic.ops.synapse import Synapse

FACTS = frozenset({Fact.INTEGER, Fact.TIMED})


def chain(node: Compartment, *synapses: Synapse, source: Source | None = None, delays: int = 0) -> HardwareGraph:
    """Source, parallel synapses, each behind a delay line of its own if asked for, a population, Sink."""
    source = source or Source(shape=synapses[0].in_shape)
    nodes: dict[str, HardwareNode] = {"in": source, "n": node, "out": Sink(shape=node.shape)}
    edges = [Edge(src="n", dst="out")]
    for i, synapse in enumerate(synapses):
        nodes[f"w{i}"] = synapse
        edges.append(Edge(src=f"w{i}", dst="n"))
        if delays:
            nodes[f"d{i}"] = DelayLine(shape=source.shape, steps=np.asarray(delays))
            edges += [Edge(src="in", dst=f"d{i}"), Edge(src=f"d{i}", dst=f"w{i}")]
        else:
            edges.append(Edge(src="in", dst=f"w{i}"))
    return finished(nodes, edges)


def finished(nodes: dict[str, HardwareNode], edges: list[Edge]) -> HardwareGraph:
    shapes = {name: node.out_shape if isinstance(node, Synapse) else node.shape  # type: ignore[attr-defined]
              for name, node in nodes.items()}
    return HardwareGraph(nodes=nodes, edges=tuple(edges), shapes=shapes, facts=FACTS, dt=1.0)


def dense(weights: Any, *, exponent: int = 0, bits: int = 0) -> DenseSynapse:
    matrix = np.atleast_2d(np.asarray(weights, dtype=np.int64))
    return DenseSynapse(in_shape=matrix.shape[1:], out_shape=matrix.shape[:1], weights=matrix, exponent=exponent,
                        message_bits=bits)


def neurons(count: int = 1, *, du: int = 4095, dv: int = 4096, vth: int = 100, **parameters: Any) -> Compartment:
    numbers = {"du": du, "dv": dv, "vth": vth} | {k: v for k, v in parameters.items() if isinstance(v, int)}
    others = {k: v for k, v in parameters.items() if not isinstance(v, int)}
    arrays = {k: v if k in ("start", "out_shift") else np.asarray(v) for k, v in numbers.items()}
    return Compartment(shape=(count,), stock=False, **arrays, **others)


def loop(node: Compartment, back: int, *, exponent: int = 0) -> HardwareGraph:
    """A population that hears itself and an input of one."""
    nodes: dict[str, HardwareNode] = {
        "in": Source(shape=(1,)), "w": dense([[100]]), "n": node, "r": dense([[back]], exponent=exponent, bits=24),
        "out": Sink(shape=(1,))}
    pairs = [("in", "w"), ("w", "n"), ("n", "r"), ("r", "n"), ("n", "out")]
    return finished(nodes, [Edge(src=a, dst=b) for a, b in pairs])
