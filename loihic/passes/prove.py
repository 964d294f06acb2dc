"""Prove: which integer states cannot leave their range, and which merely did not on the data at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from loihic.golden import golden_input
from loihic.ir.graph import Fact, HardwareGraph
from loihic.ir.node import Array
from loihic.ledger import Loss
from loihic.ops.population import Population
from loihic.ops.source import Sink, Source
from loihic.ops.synapse import Synapse
from loihic.options import Options
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass
from loihic.quant.observe import observe_ranges
from loihic.quant.proofs import StateProof, Verdict, integer_ranges
from loihic.quant.sums import linear_of, multiplications

SAMPLES = 64  # of the calibration data, at most, that are run
WORK = 2e9  # multiplications that a run may take: a few seconds


@register_pass
@dataclass(frozen=True, kw_only=True)
class Prove(Pass):
    """Interval analysis of the finished program; what it cannot prove goes into the ledger with what a run reached.

    The graph stays as it is; the proofs are left in the context. The run is on the calibration data, or where there is
    none, on the golden input.
    """

    name: ClassVar[str] = "prove"
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.TIMED})

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        inputs = _inputs(graph, context.options)
        length = next(iter(inputs.values())).shape[1] if inputs else context.options.golden_steps
        latency = max((node.latency for node in graph.nodes.values() if isinstance(node, Sink)), default=0)
        context.proofs = integer_ranges(graph, observe_ranges(graph, inputs, length + latency))
        data = "the calibration data" if context.options.calibration else "the golden input"
        for proof in context.proofs:
            if proof.verdict is not Verdict.PROVEN:
                context.ledger.add(_entry(proof, graph, data))
        return graph


def _inputs(graph: HardwareGraph, options: Options) -> dict[str, Array]:
    """What to run the program on, integers (N, T, *shape) per Source; no more than is quickly done."""
    found: dict[str, Array] = {}
    cost = _multiplications(graph)
    sources = [(name, node) for name, node in graph.nodes.items() if isinstance(node, Source)]
    for index, (name, node) in enumerate(sources):
        if name in options.calibration:
            data = options.calibration[name]
            samples = int(np.clip(WORK / (cost * data.shape[1]), 1, min(SAMPLES, len(data))))
            chosen = data[np.linspace(0, len(data) - 1, samples).astype(int)]
            values = np.clip(node.levels(chosen), node.low, node.high)  # a run would refuse what lies outside
        else:
            values = golden_input(node.shape, (node.low, node.high), options.golden_steps, options.seed + index)[None]
        found[name] = node.sent(values[:, : max(1, int(WORK / (cost * len(values))))])
    return found


def _multiplications(graph: HardwareGraph) -> int:
    """How many a step of one sample takes, at least one."""
    maps = (linear_of(node) for node in graph.nodes.values() if isinstance(node, Synapse))
    return 1 + sum(multiplications(linear) for linear in maps if linear is not None)


def _entry(proof: StateProof, graph: HardwareGraph, data: str) -> Loss:
    """A state that is not proven, for the ledger: in integers, and in real units where it has one."""
    node = graph.nodes[proof.node]
    unit = float(np.broadcast_to(node.unit, node.shape)[proof.index]) if isinstance(node, Population) else None

    def amount(value: float) -> str:
        return f"{value:.4g}" if unit is None else f"{value:.4g} ({value * unit:.4g} real)"

    bound = max(-proof.low, proof.high)
    reached = "" if proof.observed is None else f"{data} reached {amount(max(-proof.observed[0], proof.observed[1]))}"
    return Loss(
        node=proof.node, kind="range", param=proof.state, wanted=f"up to {amount(bound)}",
        actual=f"up to {amount(proof.limit)}",
        why=f"{proof.effect} beyond, {proof.verdict.value}; {reached}".removesuffix("; "))
