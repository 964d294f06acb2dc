"""The integers of a program in real units: weights, message scales, and how late each connection answers."""

from __future__ import annotations

from functools import reduce

import numpy as np

from loihic.ir.graph import HardwareGraph, SourceGraph
from loihic.ir.linear import LinearMap, add, columns_scaled, compose
from loihic.ir.node import Array
from loihic.ops.delay_line import DelayLine
from loihic.ops.mapping import Map
from loihic.ops.population import Population
from loihic.ops.source import Source
from loihic.ops.synapse import Synapse
from loihic.quant.groups import values_of
from loihic.quant.sums import linear_of


class Dequantiser:
    """Reads a timed hardware graph in the real units of the fused float graph that it came from."""

    def __init__(self, graph: HardwareGraph, source: SourceGraph) -> None:
        self.graph, self.source = graph, source
        self.groups: dict[str, list[str]] = {}
        for name, node in graph.of(Synapse):
            assert isinstance(node, Synapse)
            self.groups.setdefault(node.group or name, []).append(name)

    def message_scale(self, point: str) -> Array:
        """The real value of 1 in what a point sends: 1 for spikes; a scalar or one per element."""
        node = self.graph.nodes[point]
        if isinstance(node, Source):
            return np.asarray(node.scale)
        if isinstance(node, Population):
            return node.message_scale
        return self.message_scale(self.source.incoming[point][0].src)  # a delay line passes on

    def sum_unit(self, name: str) -> Array:
        """The real value of 1 in the accumulated sum that reaches the population behind Map `name`, (*out_shape)."""
        target = self.source.outgoing[name][0].dst
        node, population = self.source.nodes[name], self.graph.nodes[target]
        assert isinstance(node, Map)
        assert isinstance(population, Population)
        return np.broadcast_to(population.sum_unit, population.shape).reshape(node.linear.out_shape)

    def parts(self, name: str) -> tuple[LinearMap, ...]:
        """The real weights of Map `name`, one map a synapse; they add up."""
        node = self.source.nodes[name]
        assert isinstance(node, Map)
        point = self.source.incoming[name][0].src
        unit, scale = self.sum_unit(name), self.message_scale(point)
        if scale.size > 1:
            scale = np.broadcast_to(scale, self.source.shapes[point])
        found = []
        for label in self.groups[name]:
            synapse = self.graph.nodes[label]
            assert isinstance(synapse, Synapse)
            linear = self._through_relays(label, linear_of(synapse))
            if linear is None:
                raise TypeError(f"{label}: {synapse.op} is not known to loihic.quant.sums.linear_of")
            rows = (unit * 2.0**synapse.exponent).reshape(linear.out_shape)
            columns = 1.0 / (scale if scale.size == 1 else scale.reshape(linear.in_shape))
            found.append(_fitted(columns_scaled(linear.scaled(rows), columns), node.linear))
        return tuple(found)

    def _through_relays(self, label: str, linear: LinearMap | None) -> LinearMap | None:
        """The map of a synapse and of those whose sums relays pass on to it; relays are not in the float graph."""
        source = self.graph.incoming[label][0].src
        if linear is None or source in self.source.nodes or not isinstance(self.graph.nodes[source], Population):
            return linear
        collecting = self.graph.nodes[self.graph.incoming[source][0].src]
        assert isinstance(collecting, Synapse)
        inner = linear_of(collecting)
        return None if inner is None else compose(linear, inner)

    def floors(self, name: str) -> bool:
        """Whether the shifts of Map `name` can lose something: the exponent is negative, the mantissas no multiples."""
        for label in self.groups[name]:
            synapse = self.graph.nodes[label]
            assert isinstance(synapse, Synapse)
            linear = self._through_relays(label, linear_of(synapse))
            if synapse.exponent < 0 and linear is not None:
                shifted = values_of(linear) * 2.0**synapse.exponent
                if not np.array_equal(shifted, np.rint(shifted)):
                    return True
        return False

    def delay(self, name: str) -> int:
        """The steps by which Map `name` answers late, by the program's timing."""
        point, target = self.source.incoming[name][0].src, self.source.outgoing[name][0].dst
        return self._started(point) + self._steps_between(point, self.groups[name][0]) - self._started(target)

    def _started(self, point: str) -> int:
        """The step at which a point answers input step 0."""
        node = self.graph.nodes[point]
        if isinstance(node, Population):
            return node.start
        if isinstance(node, DelayLine):
            (edge,) = self.source.incoming[point]
            waits = self._steps_between(edge.src, self.graph.incoming[point][0].src)
            return self._started(edge.src) + waits + node.late - edge.delay
        return 0

    def _steps_between(self, point: str, last: str) -> int:
        """The steps that what `point` sends takes until `last` delivers it."""
        steps, name = 0, last
        while name != point:
            node = self.graph.nodes[name]
            if isinstance(node, DelayLine):
                steps += int(node.steps)
            steps += node.hops
            name = self.graph.incoming[name][0].src
        return steps


def combined(parts: tuple[LinearMap, ...]) -> LinearMap:
    """The sum of parallel maps."""
    return parts[0] if len(parts) == 1 else reduce(add, parts)


def _fitted(linear: LinearMap, like: LinearMap) -> LinearMap:
    if (linear.in_shape, linear.out_shape) == (like.in_shape, like.out_shape):
        return linear
    return linear.reshaped(in_shape=like.in_shape, out_shape=like.out_shape)
