"""Inputs that are searched for: what drives an integer state furthest, within what the Sources allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from integer_bounds import linear_of

from loihic.ir.graph import HardwareGraph
from loihic.ops.compartment import Compartment
from loihic.ops.delay_line import DelayLine
from loihic.ops.source import Source
from loihic.ops.synapse import Synapse
from loihic.quant.fixed import rsz, wrap_bits, wrap_current
from loihic.quant.fixpoint import Reach
from loihic.quant.proofs import StateProof
from loihic.sim.simulator import simulate

Inputs = dict[str, np.ndarray]
Key = tuple[str, str]
DENSITIES = (0.03, 0.3, 0.8)


@dataclass(frozen=True)
class Target:
    """A state of one neuron, to be made as large (sign 1) or as small (sign -1) as can be."""

    node: str
    state: str
    index: tuple[int, ...]
    sign: int


@dataclass
class Seen:
    """The least and greatest values of every state, per element, over all inputs that were tried."""

    extremes: dict[Key, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def note(self, key: Key, values: np.ndarray) -> None:
        low, high = values.min(axis=0), values.max(axis=0)
        old = self.extremes.get(key)
        self.extremes[key] = (low, high) if old is None else (np.minimum(old[0], low), np.maximum(old[1], high))


class Adversary:
    """Searches: held inputs by the sign of the weights on the way to a neuron, then mutations of the best."""

    def __init__(self, graph: HardwareGraph, seed: int, steps: int) -> None:
        self.graph, self.steps = graph, steps
        self.rng = np.random.default_rng(seed)
        self.sources = {name: node for name, node in graph.nodes.items() if isinstance(node, Source)}
        self.maps = {name: linear_of(node).to_csr() for name, node in graph.nodes.items() if isinstance(node, Synapse)}
        self.seen = Seen()

    def attack(self, targets: list[Target], rounds: int, children: int) -> Seen:
        """Everything that can be tried at once is one batch; each round mutates the best input per target."""
        tries = [*self.plain(), *(x for target in targets for x in self.pushed(target))]
        best: dict[Target, tuple[float, Inputs]] = {}
        for turn in range(rounds + 1):
            batch = {name: np.stack([x[name] for x in tries]) for name in self.sources}
            for target, scores in self.run(batch, targets).items():
                top = int(np.argmax(scores))
                if target not in best or scores[top] > best[target][0]:
                    best[target] = float(scores[top]), tries[top]
            if turn < rounds:
                tries = [self.mutated(x) for _, x in best.values() for _ in range(children)]
        return self.seen

    def plain(self) -> list[Inputs]:
        """All at the most, at the least, alternating, and random at several densities."""
        rng, found = self.rng, []
        shapes = {name: (self.steps, *node.shape) for name, node in self.sources.items()}
        for value in ("high", "low"):
            found.append({name: np.full(shapes[name], getattr(node, value)) for name, node in self.sources.items()})
        found.append({name: np.where((np.arange(self.steps) % 2).reshape(-1, *[1] * len(node.shape)) > 0, node.high,
                                     node.low) * np.ones(shapes[name], dtype=int)
                      for name, node in self.sources.items()})
        for density in DENSITIES:
            found.append({name: np.where(rng.random(shapes[name]) < density,
                                         rng.integers(node.low, node.high + 1, shapes[name]), max(node.low, 0)
                                         if node.high >= 0 else node.high)
                          for name, node in self.sources.items()})
        return found

    def pushed(self, target: Target) -> list[Inputs]:
        """Held inputs after the sign of the weights of one way and of all ways to the target, and some of only late."""
        found = []
        for hops in (1, 4):
            wish = self._wish(target, hops)
            held = {name: np.broadcast_to(np.where(wish[name] > 0, node.high, np.where(
                wish[name] < 0, node.low, node.low if node.low > 0 else 0)), (self.steps, *node.shape))
                for name, node in self.sources.items()}
            late = {name: values.copy() for name, values in held.items()}
            for name, node in self.sources.items():
                late[name][: self.steps // 2] = np.where(wish[name] > 0, node.low, node.high)
            found += [held, late]
        return found

    def _wish(self, target: Target, hops: int) -> Inputs:
        """How much more the target would get from one more of each input, if neurons passed on what they hear."""
        start = np.zeros(self.graph.shapes[target.node])
        start[target.index] = target.sign
        wish: Inputs = {name: np.zeros(node.shape) for name, node in self.sources.items()}
        front = {target.node: start}
        for _ in range(hops):
            behind: Inputs = {}
            for name, value in front.items():
                for edge in self.graph.incoming[name]:
                    back = self.maps[edge.src].T @ value.reshape(-1)
                    point = self.graph.incoming[edge.src][0].src
                    while isinstance(self.graph.nodes[point], DelayLine):
                        point = self.graph.incoming[point][0].src
                    shape = self.graph.shapes[point]
                    place = wish if point in wish else behind
                    place[point] = place.get(point, np.zeros(shape)) + back.reshape(shape)
            front = behind
        return wish

    def mutated(self, x: Inputs) -> Inputs:
        """A few elements held at another value for a while."""
        rng, out = self.rng, {}
        for name, node in self.sources.items():
            values = np.array(x[name])
            begin = int(rng.integers(0, self.steps))
            end = int(rng.integers(begin, self.steps)) + 1
            pick = rng.random(node.shape) < rng.choice([0.1, 0.5, 1.0])
            values[begin:end, pick] = rng.choice([node.low, node.high])
            out[name] = values
        return out

    def run(self, batch: Mapping[str, np.ndarray], targets: list[Target]) -> dict[Target, np.ndarray]:
        """Simulate; states are noted before they wrap or saturate. Returns each target's peak per sample."""
        size = len(next(iter(batch.values())))
        peaks = {target: np.full(size, -np.inf) for target in targets}

        def note(name: str, state: str, values: np.ndarray) -> None:
            self.seen.note((name, state), values)
            for target, peak in peaks.items():
                if (target.node, target.state) == (name, state):
                    np.maximum(peak, target.sign * values[(slice(None), *target.index)], out=peak)

        def observe(name: str, state: Mapping[str, np.ndarray], arriving: np.ndarray, k: int) -> None:
            node = self.graph.nodes[name]
            if isinstance(node, Synapse):
                message = arriving if node.message_bits else arriving != 0
                flat = message.reshape(size, -1).astype(np.int64)
                note(name, "sum", (self.maps[name] @ flat.T).T.reshape(size, *node.out_shape))
            elif isinstance(node, Compartment) and (node.stock or k >= node.start):
                u = rsz(state["u"] * (4095 - node.du), 12) + 64 * arriving + (node.ibias_mant << node.ibias_exp)
                kept = wrap_current(wrap_bits(u, 32))
                v = rsz(state["v"] * (4096 - node.dv), 12) + kept + (node.vbias_mant << node.vbias_exp)
                note(name, "sum", 64 * arriving)
                note(name, "u", u)
                note(name, "v", v)

        simulate(self.graph, batch, self.steps + 3, observe=observe)
        return peaks


def attacked(graph: HardwareGraph, proofs: tuple[StateProof, ...], seed: int, *, steps: int, rounds: int,
             children: int = 2) -> dict[Key, tuple[np.ndarray, np.ndarray]]:
    """What inputs that are searched for reach, element by element; they drive the neuron nearest to its limit."""
    targets = [Target(proof.node, proof.state, proof.index, sign) for proof in proofs
               if proof.state in ("u", "v") and proof.index for sign in (1, -1)]
    return Adversary(graph, seed, steps).attack(targets, rounds, children).extremes


def outside(graph: HardwareGraph, seen: Mapping[Key, tuple[np.ndarray, np.ndarray]]) -> list[Key]:
    """The states of which any element left its bounds."""
    reach, found = Reach(graph), []
    for (name, state), (low, high) in seen.items():
        if isinstance(graph.nodes[name], Synapse):
            least, most = reach.sums[name]
        else:
            neurons = reach.neurons[name]
            least, most = {"sum": neurons.total, "u": neurons.u, "v": neurons.v}[state]
        if np.any(low < least.reshape(low.shape)) or np.any(high > most.reshape(high.shape)):
            found.append((name, state))
    return found
