"""Fuse: everything linear between two neurons becomes one map, and biases become the neurons' own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from loihic.ir.graph import Edge, Fact
from loihic.ir.linear import IdentityMap, LinearMap, add, compose
from loihic.ir.node import Array, Shape, SourceNode, merged_origins
from loihic.ledger import Loss
from loihic.ops.delay import StepDelay
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron, neuron
from loihic.ops.ports import Input, Output
from loihic.ops.traits import Emit, LinearNode, Reset
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass


@dataclass(frozen=True)
class Path:
    """One linear way from a point (an Input, neuron or delay line) to where it is used."""

    linear: LinearMap
    origins: tuple[str, ...] = ()


@dataclass
class Arriving:
    """What adds up at a node: paths by (source, delay in steps), and a constant."""

    paths: dict[tuple[str, int], Path] = field(default_factory=dict)
    constant: Array | float = 0.0

    def put(self, source: str, delay: int, path: Path) -> None:
        """Add a path; parallel paths of the same delay become one."""
        old = self.paths.get((source, delay))
        if old is not None:
            path = Path(add(old.linear, path.linear), merged_origins(old.origins, path.origins))
        self.paths[source, delay] = path


@register_pass
@dataclass(frozen=True, kw_only=True)
class Fuse(Pass):
    """Leaves Inputs, Maps, centred Neurons, delay lines and Outputs, alternating points and Maps.

    Exact: linear maps compose, constants travel through them into the current of the neuron behind (into its voltage
    where the current has no memory), v_reset and v_leak go by a change of coordinates, r and w_in into the maps.
    """

    name: ClassVar[str] = "fuse"
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.SHAPES, Fact.DISCRETE, Fact.LOOPS_BROKEN})
    gives: ClassVar[frozenset[Fact]] = frozenset({Fact.FUSED})

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        return _Fuser(graph, context).fused()


def is_point(node: SourceNode) -> bool:
    """Whether a node stays a node of its own; a uniform delay becomes the edges' delay instead."""
    if isinstance(node, StepDelay):
        return not _is_uniform(node)
    return isinstance(node, Input | Neuron | Output)


def _is_uniform(node: StepDelay) -> bool:
    return bool(np.all(node.steps == node.steps.flat[0])) if node.steps.size else True


class _Fuser:
    """Builds the fused graph; one instance a run."""

    def __init__(self, graph: AnyGraph, context: CompileContext) -> None:
        self.graph = graph
        self.context = context
        self.nodes: dict[str, SourceNode] = {}
        self.shapes: dict[str, Shape] = {}
        self.edges: list[Edge] = []
        self.memo: dict[str, Arriving] = {}

    def fused(self) -> AnyGraph:
        for name, node in self.graph.nodes.items():
            if not is_point(node):
                continue
            if isinstance(node, Input):
                self._place(name, node, node.shape)
            elif isinstance(node, Neuron):
                self._place_neuron(name, node, self._arriving(name))
            elif isinstance(node, Output):
                self._place_output(name, node)
            elif isinstance(node, StepDelay):
                self._place(name, node, node.shape)
                self._connect_plain(name, node.origins)
        return self.graph.with_(nodes=self.nodes, edges=self.edges, shapes=self.shapes)

    def _place(self, name: str, node: SourceNode, shape: Shape) -> None:
        self.nodes[name] = node
        self.shapes[name] = shape

    def _arriving(self, name: str) -> Arriving:
        """Everything that adds up at the input of `name`."""
        if name in self.memo:
            return self.memo[name]
        total = Arriving()
        for edge in self.graph.incoming[name]:
            source = self.graph.nodes[edge.src]
            if is_point(source):
                shape = self.graph.shapes[edge.src]
                total.put(edge.src, edge.delay, Path(IdentityMap(in_shape=shape, out_shape=shape)))
                continue
            through = self._leaving(edge.src)
            for (point, delay), path in through.paths.items():
                total.put(point, delay + edge.delay, path)
            if edge.delay:
                self._note_early_bias(edge.src, edge.delay, through.constant)
            total.constant = total.constant + through.constant
        self.memo[name] = total
        return total

    def _note_early_bias(self, name: str, steps: int, constant: Array | float) -> None:
        """Write down that a constant acts earlier than the network means."""
        if np.any(constant):
            self.context.ledger.add(Loss(
                node=name, kind="delay", param="bias before a Delay", wanted=f"from step {steps} on",
                actual="from step 0 on", error=float(steps), why="a bias has no time of arrival"))

    def _leaving(self, name: str) -> Arriving:
        """What a linear node or a uniform delay sends."""
        node, arriving = self.graph.nodes[name], self._arriving(name)
        out = Arriving()
        if isinstance(node, StepDelay):
            steps = int(node.steps.flat[0]) if node.steps.size else 0
            if steps:
                self._note_early_bias(name, steps, arriving.constant)
            out.paths = {(point, delay + steps): path for (point, delay), path in arriving.paths.items()}
            out.constant = arriving.constant
            return out
        assert isinstance(node, LinearNode)
        shape = next(self.graph.shapes[edge.src] for edge in self.graph.incoming[name])
        linear = node.linear_map(shape)
        for (point, delay), path in arriving.paths.items():
            out.put(point, delay, Path(compose(linear, path.linear), merged_origins(path.origins, node.origins)))
        constant = np.asarray(0.0)
        if np.any(arriving.constant):
            constant = linear.apply(np.broadcast_to(arriving.constant, shape)[None])[0]
        bias = node.constant()
        out.constant = constant if bias is None else constant + bias
        return out

    def _place_neuron(self, name: str, node: Neuron, arriving: Arriving) -> None:
        rows = node.gain * node.w_in
        constant = np.broadcast_to(node.w_in * arriving.constant, node.shape)
        centred = replace(node, bias_u=node.bias_u + constant).centred()
        if not centred.has_current:
            centred = replace(centred, bias_v=centred.bias_v + centred.bias_u, bias_u=np.zeros(node.shape))
        self._place(name, centred, node.shape)
        for (point, delay), path in arriving.paths.items():
            linear = path.linear if np.all(rows == 1.0) else path.linear.scaled(rows)
            self._connect(point, name, delay, Path(linear.reshaped(out_shape=node.shape) if
                                                   linear.out_shape != node.shape else linear, path.origins))

    def _connect(self, point: str, target: str, delay: int, path: Path) -> None:
        """Put a Map between two points."""
        base = path.origins[-1] if path.origins else f"{point}->{target}"
        name, count = base, 1
        while name in self.nodes or (name in self.graph.nodes and is_point(self.graph.nodes[name])):
            count += 1
            name = f"{base}#{count}"
        origins = path.origins or (point, target)
        self._place(name, Map(origins=origins, linear=path.linear), path.linear.out_shape)
        self.edges += [Edge(src=point, dst=name, delay=delay), Edge(src=name, dst=target)]

    def _connect_plain(self, name: str, origins: tuple[str, ...]) -> None:
        """Feed a node that takes one source as it is; otherwise a relay adds up what arrives."""
        arriving = self._arriving(name)
        items = list(arriving.paths.items())
        if len(items) == 1 and not np.any(arriving.constant):
            (point, delay), path = items[0]
            from_neuron = isinstance(self.graph.nodes[point], Neuron)
            # A delay line has its source's shape: behind a Flatten it takes a relay, whose weights know both orders.
            to_delay = isinstance(self.graph.nodes[name], StepDelay) and path.linear.in_shape == path.linear.out_shape
            to_output = isinstance(self.graph.nodes[name], Output) and from_neuron and delay == 0
            if path.linear.is_identity and (to_delay or to_output):
                self.edges.append(Edge(src=point, dst=name, delay=delay))
                return
        shape = self.graph.shapes[name]
        relay = neuron(shape, origins=merged_origins(*(p.origins for p in arriving.paths.values()), origins),
                       reset=Reset.NONE, emit=Emit.STATE)
        label = f"{name}.relay"
        while label in self.nodes or label in self.graph.nodes:
            label += "'"
        self._place_neuron(label, relay, arriving)
        self.edges.append(Edge(src=label, dst=name))

    def _place_output(self, name: str, node: Output) -> None:
        self._place(name, replace(node, shape=self.graph.shapes[name]), self.graph.shapes[name])
        self._connect_plain(name, node.origins)
