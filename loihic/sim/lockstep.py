"""The integers and a float network run side by side, each on its own spikes, step against step.

Nothing is kept but the steps by which the integers answer later than the floats: memory does not grow with the length
of a run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from loihic.ir.graph import SourceGraph
from loihic.ir.node import Array
from loihic.ops.activation import Activation
from loihic.ops.compartment import Compartment
from loihic.ops.population import Population
from loihic.ops.source import Sink
from loihic.ops.traits import Emit, Reset
from loihic.program import Program
from loihic.quant.fixed import ACTIVATION_SHIFT, DECAY_UNITY, STATE_LIMIT, decode_bias, rsz
from loihic.sim.reference import Moment, reference_steps
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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WatchedActivation(Activation):
    """An Activation that shows every step, with the level it stands at rather than the change, and counts wraps."""

    watch: Callable[[int, Mapping[str, Array], Array], None]

    def initial(self, batch: int) -> dict[str, Array]:
        none = np.zeros((batch, *self.shape), dtype=np.int64)
        return {**Activation.initial(self, batch), "wrapped": none, "clipped": none}

    def step(self, state: dict[str, Array], a: Array, k: int) -> Array:
        total = self.total(state, a)
        sent = Activation.step(self, state, a, k)
        if not self.rests(k):
            state["wrapped"] = state["wrapped"] + (total != state["v"])
            self.watch(k, state, state["told"] if self.delta else sent)
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


def populations(program: Program) -> dict[str, Population]:
    """The populations that the integers and the float graph share, in the order in which a step passes them."""
    found = ((name, program.graph.nodes.get(name)) for name in program.source.order())
    return {name: node for name, node in found if isinstance(node, Compartment | Activation)}


class _Pair:
    """The float network, driven by the integers' steps, and what of it the integers have not answered yet."""

    def __init__(self, program: Program, graph: SourceGraph, encoded: Mapping[str, Array], visit: Visitor) -> None:
        self.populations = populations(program)
        self.graph = graph
        self.visit = visit
        self.length = next(iter(encoded.values())).shape[1]
        self.moments = reference_steps(graph, {name: program.inputs[name].real(x) for name, x in encoded.items()})
        self.waiting: dict[str, deque[Trace]] = {name: deque() for name in self.populations}
        self.last: dict[str, Mapping[str, Array]] = {}
        self.step = -1
        watched = {name: self._watched(name, node) for name, node in self.populations.items()}
        # Without Sinks, for which the simulator would keep every step.
        nodes = {name: node for name, node in program.graph.nodes.items() if not isinstance(node, Sink)}
        self.watched = program.graph.with_(nodes={**nodes, **watched},
                                           edges=[edge for edge in program.graph.edges if edge.dst in nodes])

    def _watched(self, name: str, node: Population) -> WatchedCompartment | WatchedActivation:
        kept: dict[str, Any] = {item.name: getattr(node, item.name) for item in fields(node)}
        scale, main = node.message_scale, node.states[0]

        def watch(k: int, state: Mapping[str, Array], sent: Array) -> None:
            self._advance(k)
            self.last[name] = state
            if node.start <= k < node.start + self.length:
                ours = Trace(state[main] * node.unit, state["v"] * node.unit, sent * scale)
                self.visit(name, k - node.start, ours, self.waiting[name].popleft())

        return WatchedActivation(**kept, watch=watch) if isinstance(node, Activation) else WatchedCompartment(
            **kept, watch=watch)

    def _advance(self, k: int) -> None:
        """Let the float network take the steps up to `k`, as long as there is input."""
        while self.step < k and self.step < self.length - 1:
            self.step += 1
            moment = next(self.moments)
            for name, line in self.waiting.items():
                line.append(self._trace(moment, name))

    def _trace(self, moment: Moment, name: str) -> Trace:
        """A population of the floats; one without states is shown with the sum that reaches it."""
        state = moment.states.get(name)
        if state is not None:
            return Trace(state["u"], state["v"], moment.sent[name])
        feeds = [moment.sent[edge.src] for edge in self.graph.incoming[name]]
        total = np.asarray(sum(feeds[1:], start=feeds[0])) if feeds else np.zeros_like(moment.sent[name])
        return Trace(total, total, moment.sent[name])
