"""The integers and a float network run side by side, each on its own spikes, step against step.

Nothing is kept but the steps by which the integers answer later than the floats: memory does not grow with the length
of a run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from loihic.ir.graph import SourceGraph
from loihic.ir.node import Array
from loihic.ops.compartment import Compartment
from loihic.ops.source import Sink
from loihic.ops.traits import Emit, Reset
from loihic.program import Program
from loihic.quant.fixed import ACTIVATION_SHIFT, DECAY_UNITY, STATE_LIMIT, decode_bias, rsz
from loihic.sim.reference import reference_steps
from loihic.sim.simulator import simulate


class Trace(NamedTuple):
    """A population after a step, in real units, each (N, *shape): states after clip and reset, and what was sent."""

    u: Array
    v: Array
    out: Array


Visitor = Callable[[str, int, Trace, Trace], None]  # population, input step, integers, floats


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WatchedCompartment(Compartment):
    """A Compartment that shows every step and counts, in its states, the steps in which 24 bits were not enough.

    `wrapped` counts steps whose u wrapped; `clipped` those whose v was clipped with consequences: a voltage clipped
    above a threshold that resets to zero is lost anyway.
    """

    watch: Callable[[int, Mapping[str, Array], Array], None]

    def initial(self, batch: int) -> dict[str, Array]:
        states = Compartment.initial(self, batch)
        none = np.zeros((batch, *self.shape), dtype=np.int64)
        return {**states, "wrapped": none, "clipped": none}

    def step(self, state: dict[str, Array], a: Array, k: int) -> Array:
        if not self.stock and k < self.start:
            return Compartment.step(self, state, a, k)
        u_before, v_before = state["u"], state["v"]
        sent = Compartment.step(self, state, a, k)
        u = rsz(u_before * (DECAY_UNITY - (self.du + 1)), 12) + (a << ACTIVATION_SHIFT) + decode_bias(
            self.ibias_mant, self.ibias_exp)
        v = rsz(v_before * (DECAY_UNITY - self.dv), 12) + state["u"] + decode_bias(self.vbias_mant, self.vbias_exp)
        forgotten = (sent > 0) & (self.emit is Emit.SPIKE) & (self.reset is Reset.ZERO)
        state["wrapped"] = state["wrapped"] + (u != state["u"])
        state["clipped"] = state["clipped"] + ((np.abs(v) >= STATE_LIMIT) & ~forgotten)
        self.watch(k, state, sent)
        return sent


@dataclass(frozen=True, slots=True)
class Limits:
    """How many steps of a run each neuron of a population spent beyond 24 bits, (N, *shape)."""

    wrapped: Array
    clipped: Array


def lockstep(program: Program, graph: SourceGraph, encoded: Mapping[str, Array], visit: Visitor,
             progress: Callable[[int], None] | None = None) -> dict[str, Limits]:
    """Run both on the same inputs and show every population at every input step.

    Args:
        program: the integers.
        graph: the float network: `program.source` or an emulation of it.
        encoded: integers (N, T, *shape) per Source.
        visit: called for every population and input step, in the order of the hardware's steps; the integers' answer
            to input step t is that of hardware step t + start.
        progress: called with the number of hardware steps done.
    """
    pair = _Pair(program, graph, encoded, visit)
    steps = pair.length + max((node.start for node in pair.populations.values()), default=0)
    simulate(pair.watched, encoded, steps, progress=progress)
    return {name: Limits(state["wrapped"], state["clipped"]) for name, state in pair.last.items()}


def populations(program: Program) -> dict[str, Compartment]:
    """The populations that the integers and the float graph share, in the order in which a step passes them."""
    found = ((name, program.graph.nodes.get(name)) for name in program.source.order())
    return {name: node for name, node in found if isinstance(node, Compartment)}


class _Pair:
    """The float network, driven by the integers' steps, and what of it the integers have not answered yet."""

    def __init__(self, program: Program, graph: SourceGraph, encoded: Mapping[str, Array], visit: Visitor) -> None:
        self.populations = populations(program)
        self.visit = visit
        self.length = next(iter(encoded.values())).shape[1]
        self.moments = reference_steps(graph, {name: x * program.inputs[name].scale for name, x in encoded.items()})
        self.waiting: dict[str, deque[Trace]] = {name: deque() for name in self.populations}
        self.last: dict[str, Mapping[str, Array]] = {}
        self.step = -1
        watched = {name: self._watched(name, node) for name, node in self.populations.items()}
        # Without Sinks, for which the simulator would keep every step.
        nodes = {name: node for name, node in program.graph.nodes.items() if not isinstance(node, Sink)}
        self.watched = program.graph.with_(nodes={**nodes, **watched},
                                           edges=[edge for edge in program.graph.edges if edge.dst in nodes])

    def _watched(self, name: str, node: Compartment) -> WatchedCompartment:
        kept = {item.name: getattr(node, item.name) for item in fields(node)}
        scale = node.unit * 2.0**node.out_shift if node.emit is Emit.STATE else np.ones(())

        def watch(k: int, state: Mapping[str, Array], sent: Array) -> None:
            self._advance(k)
            self.last[name] = state
            if node.start <= k < node.start + self.length:
                ours = Trace(state["u"] * node.unit, state["v"] * node.unit, sent * scale)
                self.visit(name, k - node.start, ours, self.waiting[name].popleft())

        return WatchedCompartment(**kept, watch=watch)

    def _advance(self, k: int) -> None:
        """Let the float network take the steps up to `k`, as long as there is input."""
        while self.step < k and self.step < self.length - 1:
            self.step += 1
            moment = next(self.moments)
            for name, line in self.waiting.items():
                state = moment.states[name]
                line.append(Trace(state["u"], state["v"], moment.sent[name]))
