"""Discretise: continuous neurons and delays become their step-by-step forms for one dt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from loihic.errors import Diagnostic
from loihic.ir.graph import Fact
from loihic.ir.node import SourceNode
from loihic.ledger import Loss
from loihic.ops.delay import Delay, StepDelay
from loihic.ops.traits import ContinuousNeuron, Discretisation, Emit, Reset, Scheme, fit_parameter
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass

ASSUMED_DT = 1e-4  # seconds; what NIR's exporters (snnTorch, Norse, SpikingJelly) assume


def choose_dt(graph: AnyGraph, wanted: float | None) -> tuple[float, str]:
    """The time step and where it comes from: the option, the graph, unit-step neurons, or the exporters' habit."""
    if wanted is not None:
        return wanted, "given"
    if graph.dt is not None:
        return graph.dt, "from the graph's metadata"
    if Fact.WHOLE in graph.facts:
        return 1.0, "one step is one input"
    neurons = [node for node in graph.nodes.values() if isinstance(node, ContinuousNeuron)]
    taus = [float(np.min(getattr(node, tau), initial=np.inf)) for node in neurons for tau in node.taus]
    if min(taus, default=np.inf) > 1.0:
        return 1.0, "assumed: the neurons count in steps"
    return ASSUMED_DT, "assumed: what NIR's exporters use"


@register_pass
@dataclass(frozen=True, kw_only=True)
class Discretise(Pass):
    """Every neuron in discrete time; delays in whole steps."""

    name: ClassVar[str] = "discretise"
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.SHAPES})
    gives: ClassVar[frozenset[Fact]] = frozenset({Fact.DISCRETE})
    dt: float
    scheme: Scheme = Scheme.EULER
    reset: Reset = Reset.ZERO
    spikes: Emit = Emit.SPIKE

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        how = Discretisation(dt=self.dt, scheme=self.scheme, reset=self.reset, spikes=self.spikes)
        nodes: dict[str, SourceNode] = {}
        for name, node in graph.nodes.items():
            if isinstance(node, ContinuousNeuron):
                _check_taus(name, node, self.dt, context)
                nodes[name] = node.discretise(graph.shapes[name], how)
            elif isinstance(node, Delay):
                nodes[name] = _steps(name, node, graph.shapes[name], self.dt, context)
            else:
                nodes[name] = node
        return graph.with_(nodes=nodes)


def _check_taus(name: str, node: ContinuousNeuron, dt: float, context: CompileContext) -> None:
    for tau in node.taus:
        least = float(np.min(getattr(node, tau), initial=np.inf))
        if 0 < least <= dt:
            context.report(Diagnostic(
                code="LHC301", message="the time step is not below the time constant", node=f"{name} ({node.op})",
                param=f"{tau}: smallest is {least:g}; dt = {dt:g}",
                help=f"--dt {least / 10:.1g}, or the dt that the network was trained with"))


def _steps(name: str, node: Delay, shape: tuple[int, ...], dt: float, context: CompileContext) -> StepDelay:
    exact = fit_parameter(node.delay, shape, "delay") / dt
    steps = np.rint(exact).astype(np.int64)
    off = float(np.max(np.abs(exact - steps), initial=0.0))
    if off > 1e-6:
        context.ledger.add(Loss(
            node=name, kind="delay", param="delay", wanted="real", actual="whole steps", error=off,
            why=f"delays are rounded to steps of {dt:g}; the largest moves by {off:.3g} steps"))
    return StepDelay(origins=node.origins, shape=shape, steps=steps)
