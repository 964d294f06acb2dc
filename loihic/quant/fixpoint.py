"""Interval analysis of a finished integer graph: what every point can send, round loops too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ir.linear import LinearMap
from loihic.ops.activation import Activation
from loihic.ops.compartment import Compartment
from loihic.ops.delay_line import DelayLine
from loihic.ops.population import Population
from loihic.ops.sigma_delta import SdnRole, SigmaDeltaNeurons
from loihic.ops.source import Source
from loihic.ops.synapse import Synapse
from loihic.quant.reach import INT32_MAX, STATE_MAX, NeuronReach, Span, neuron_reach, sent_within
from loihic.quant.sums import accumulated, accumulator_limit, combined, delivered, delivered_together, linear_of

GROWTHS = 8  # times that a population's messages may grow round a loop before all that it can send is assumed
NARROWINGS = 3  # times that what was assumed so is bounded anew by what follows from it


class Reach:
    """Least and greatest values at every node of a graph, for any input within the Sources' ranges, at any step.

    Starting from silence, nodes are bounded again and again until nothing grows: then, by induction over the steps,
    nothing can ever leave the bounds. Round a loop of graded messages that could go on for ever, so that a population
    that keeps growing is given everything that it can send at all (its voltage saturates); since that is sound, so is
    each narrowing by what follows from it.

    Attributes:
        sent: per node, what it sends; for a synapse, what it delivers.
        sums: per synapse, its sums before any wrap.
        neurons: per Compartment.
        totals: per Activation, the sums before any wrap; of sigma-delta neurons nothing is known.
    """

    def __init__(self, graph: HardwareGraph) -> None:
        self.graph = graph
        self.maps = {name: linear_of(node) for name, node in graph.nodes.items() if isinstance(node, Synapse)}
        self.order = graph.sources_first()
        self.groups = {name: _parallel(graph, name) for name, node in graph.nodes.items()
                       if isinstance(node, Population)}
        self.joint: dict[tuple[str, ...], LinearMap | None] = {}
        self.sums: dict[str, Span] = {}
        self.neurons: dict[str, NeuronReach] = {}
        self.totals: dict[str, Span] = {}
        self.sent: dict[str, Span] = {name: _nothing(graph.shapes[name]) for name in graph.nodes}
        widened = self._grow()
        if widened:
            self._narrow(widened)

    def _grow(self) -> set[str]:
        """Bound until nothing grows; returns the populations of which everything possible had to be assumed."""
        growths: dict[str, int] = defaultdict(int)
        widened: set[str] = set()

        def update(name: str) -> bool:
            old, new = self.sent[name], self._bounded(name)
            node = self.graph.nodes[name]
            if not (np.any(new[0] < old[0]) or np.any(new[1] > old[1])):
                return isinstance(node, Synapse)  # of parallel ones the common bound may still be another
            growths[name] += 1
            if isinstance(node, Compartment) and growths[name] > GROWTHS:
                widened.add(name)
                new = sent_within(node, np.full(node.shape, -STATE_MAX), np.full(node.shape, STATE_MAX))
            self.sent[name] = np.minimum(old[0], new[0]), np.maximum(old[1], new[1])
            return True

        self._until_settled(set(self.order), update)
        return widened

    def _narrow(self, widened: set[str]) -> None:
        """Bound what was assumed by what follows from it."""
        rounds: dict[str, int] = defaultdict(int)

        def update(name: str) -> bool:
            if rounds[name] == NARROWINGS:
                return False
            rounds[name] += 1
            old, new = self.sent[name], self._bounded(name)
            self.sent[name] = np.maximum(old[0], new[0]), np.minimum(old[1], new[1])
            shrunk = np.any(self.sent[name][0] > old[0]) or np.any(self.sent[name][1] < old[1])
            return bool(shrunk) or isinstance(self.graph.nodes[name], Synapse)

        self._until_settled(set(widened), update)

    def _until_settled(self, pending: set[str], update: Callable[[str], bool]) -> None:
        """Update nodes, and those that hear them wherever something changed, in the order data flows."""
        while pending:
            for name in self.order:
                if name in pending:
                    pending.remove(name)
                    if update(name):
                        pending.update(edge.dst for edge in self.graph.outgoing[name])

    def _bounded(self, name: str) -> Span:
        """What a node sends, given what the others do."""
        node = self.graph.nodes[name]
        if isinstance(node, Source):
            lowest, highest = node.message_range
            return np.full(node.shape, min(lowest, 0.0)), np.full(node.shape, max(highest, 0.0))
        if isinstance(node, SigmaDeltaNeurons):
            self.totals[name] = np.full(node.shape, -np.inf), np.full(node.shape, np.inf)
            most = (INT32_MAX + 1) / 2.0 ** (0 if node.role is SdnRole.SIGMA else node.state_exp)
            return np.full(node.shape, -most), np.full(node.shape, most)
        if isinstance(node, Activation):
            self.totals[name] = self._totals(name, node)
            return np.full(node.shape, float(node.message_range[0])), np.full(node.shape, float(node.message_range[1]))
        if isinstance(node, Compartment):
            self.neurons[name] = neuron_reach(node, *self._arriving(name, node))
            return self.neurons[name].sent
        if not self.graph.incoming[name]:
            return self.sent[name]
        arriving = self.sent[self.graph.incoming[name][0].src]
        if isinstance(node, Synapse):
            self.sums[name] = accumulated(node, self.maps[name], arriving)
            low, high = delivered(node, self.sums[name])
        else:
            low, high = arriving
        shape = self.graph.shapes[name]
        return low.reshape(shape), high.reshape(shape)

    def _totals(self, name: str, node: Activation) -> Span:
        """The sums that an Activation applies its staircase to; of changes, those of the levels that they add up to."""
        if not node.sigma:
            return self._arriving(name, node)
        return self._added_up(name, arriving=True)

    def _added_up(self, name: str, *, arriving: bool = False) -> Span:
        """What all changes that a node sends, or of which it hears, add up to, from the first step to any other.

        Those of a Source or an Activation add up to a level, but for a change below the threshold that is kept back;
        delay lines and relays pass changes on.
        """
        node, shape = self.graph.nodes[name], self.graph.shapes[name]
        if isinstance(node, Source | Activation) and not arriving:
            return (np.full(shape, min(node.low, 0) - float(node.vth)),
                    np.full(shape, max(node.high, 0) + float(node.vth)))
        heard = [self._added_up(edge.src) for edge in self.graph.incoming[name]]
        if isinstance(node, Synapse):
            below, above = accumulated(node, self.maps[name], heard[0])
            factor = 2.0**node.exponent  # a right shift leaves nothing over: see `loihic.quant.whole`
            return below * factor, above * factor
        least, most = (sum((span[side].reshape(shape) for span in heard), start=np.zeros(shape)) for side in (0, 1))
        return least, most

    def _arriving(self, name: str, node: Population) -> Span:
        """The sum of what is delivered to a population."""
        least, most = np.zeros(node.shape), np.zeros(node.shape)
        for group in self.groups[name]:
            low, high = (sum((self.sent[src][side].reshape(node.shape) for src in group), start=np.zeros(node.shape))
                         for side in (0, 1))
            together = self._together(group) if len(group) > 1 else None
            if together is not None:
                low = np.maximum(low, together[0].reshape(node.shape))
                high = np.minimum(high, together[1].reshape(node.shape))
            least, most = least + low, most + high
        return least, most

    def _together(self, group: tuple[str, ...]) -> Span | None:
        """The bounds of parallel synapses as one, if none of them can wrap."""
        synapses = [node for name in group if isinstance(node := self.graph.nodes[name], Synapse)]
        if group not in self.joint:
            self.joint[group] = combined(synapses) if len(synapses) == len(group) else None
        linear = self.joint[group]
        heard = self.sent[self.graph.incoming[group[0]][0].src]
        if linear is None or not all(within(self.sums[name], accumulator_limit(node))
                                     for name, node in zip(group, synapses, strict=False) if name in self.sums):
            return None
        return delivered_together(synapses, linear, heard)


def within(span: Span, limit: float) -> bool:
    """Whether no element leaves [-limit, limit]."""
    return not (np.any(span[0] < -limit) or np.any(span[1] > limit))


def _nothing(shape: tuple[int, ...]) -> Span:
    return np.zeros(shape), np.zeros(shape)


def _parallel(graph: HardwareGraph, name: str) -> list[tuple[str, ...]]:
    """The connections into a population, grouped by what they hear: one point, equally late."""
    groups: dict[object, list[str]] = defaultdict(list)
    for edge in graph.incoming[name]:
        key: object = edge.src
        if isinstance(graph.nodes[edge.src], Synapse):
            point, late = graph.incoming[edge.src][0].src, []
            while isinstance(line := graph.nodes[point], DelayLine):
                late.append((line.steps.shape, line.steps.tobytes()))
                point = graph.incoming[point][0].src
            key = (point, tuple(late))
        groups[key].append(edge.src)
    return [tuple(group) for group in groups.values()]
