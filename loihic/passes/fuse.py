"""Fuse: everything linear between two neurons becomes one map, and biases become the neurons' own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from loihic.errors import Diagnostic, Severity
from loihic.ir.graph import Edge, Fact
from loihic.ir.linear import IdentityMap, compose, diagonal
from loihic.ir.node import Array, Shape, SourceNode, merged_origins
from loihic.ledger import Loss
from loihic.ops.activation import Coding
from loihic.ops.delay import StepDelay
from loihic.ops.elementwise import Elementwise
from loihic.ops.mapping import Map
from loihic.ops.matrix import Matrix
from loihic.ops.neuron import Neuron, neuron
from loihic.ops.ports import Input, Output
from loihic.ops.quantiser import Stepwise
from loihic.ops.sigma_delta import SdnRole, SigmaDelta
from loihic.ops.traits import Emit, LinearNode, Reset
from loihic.ops.window_max import WindowMax
from loihic.options import Options
from loihic.passes.levels import Climbed, LevelPoints, columns_of, prepared_inputs
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass
from loihic.passes.paths import Arriving, Path, composed_unit
from loihic.passes.staircases import Scaled, UnfitError, merged
from loihic.quant.budget import Budget


@register_pass
@dataclass(frozen=True, kw_only=True)
class Fuse(Pass):
    """Leaves Inputs, Maps, centred Neurons, Staircases, delay lines and Outputs, alternating points and Maps.

    Exact: linear maps compose, constants travel through them into the current of the neuron behind (into its voltage
    where the current has no memory), v_reset and v_leak go by a change of coordinates, r and w_in into the maps;
    functions before a quantiser become its thresholds, maxima the sums of clipped differences.
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
    return isinstance(node, Input | Neuron | Output | Stepwise | WindowMax | SigmaDelta)


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
        self.prepared = prepared_inputs(graph)
        self.levels = LevelPoints(graph, {steps: name for name, (steps, _) in self.prepared.items()})

    def fused(self) -> AnyGraph:
        for name, node in self.graph.nodes.items():
            if not is_point(node):
                continue
            if isinstance(node, Input):
                _, preparation = self.prepared.get(name, ("", None))
                self._place(name, replace(node, preparation=preparation), node.shape)
            elif isinstance(node, Stepwise):
                if name not in self.levels.inputs:
                    self._place_levels(name, self.graph.shapes[name], self._arriving(name), node)
            elif isinstance(node, SigmaDelta):
                self._place_sigma_delta(name, node)
            elif isinstance(node, WindowMax):
                self._place_maxima(name, node, self._arriving(name))
            elif isinstance(node, Neuron):
                self._place_neuron(name, node, self._arriving(name))
            elif isinstance(node, Output):
                self._place_output(name, node)
            elif isinstance(node, StepDelay):
                self._place(name, node, node.shape)
                self._connect_plain(name, node.origins)
        if Fact.WHOLE in self.graph.facts:
            self._note_unused()
        return self.graph.with_(nodes=self.nodes, edges=self.edges, shapes=self.shapes)

    def _note_unused(self) -> None:
        """Say which options change nothing."""
        for text in self._unused():
            self.context.report(Diagnostic(code="LHC503", message=f"an option without effect: {text}",
                                           severity=Severity.WARNING))

    def _unused(self) -> Iterator[str]:
        """Options whose choice the file makes itself, or that networks of whole numbers leave aside, and why."""
        options, inputs = self.context.options, [name for name, _ in self.graph.of(Input)]
        groups = [(name, *node.origins) for name, node in self.nodes.items() if isinstance(node, Map)]
        if str(options.widths) != str(Options().widths):
            if not self.levels.chose_bits:
                yield "--weight-bits: all weights are whole in the file"
            elif strangers := options.widths.unmatched(groups):
                yield f"--weight-bits: no weights are called {', '.join(strangers)}"
            elif any(form is not None and (form.split or form.pruned) for _, form in options.widths.rules):
                yield "--weight-bits: two exponents and weights left out are for spiking networks"
        if options.budget != Budget():
            yield "--budget, --max-error: the bits of networks of whole numbers are not chosen by their cost"
        if (options.input_range or options.input_bits) and all(name in self.prepared for name in inputs) and not any(
                f"{name}.levels" in self.graph.nodes for name in inputs):
            yield "--input-range, --input-bits: the file quantises its inputs itself"

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
                point = self.levels.inputs.get(edge.src, edge.src)
                total.put(point, edge.delay, Path(IdentityMap(in_shape=shape, out_shape=shape), unit=np.ones(shape)))
                continue
            through = self._leaving(edge.src)
            for (point, delay, _), path in through.paths.items():
                total.put(point, delay + edge.delay, path)
            if edge.delay:
                self._note_early_bias(edge.src, edge.delay, through.constant)
            total.constant = total.constant + through.constant
            total.stages += through.stages  # of one edge at most: a function's value is quantised before it is added
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
            out.paths = {(point, delay + steps, n): path for (point, delay, n), path in arriving.paths.items()}
            out.constant = arriving.constant
            return out
        if isinstance(node, Elementwise):
            return replace(arriving, stages=merged(arriving.stages, node))
        assert isinstance(node, SourceNode)
        assert isinstance(node, LinearNode)
        if arriving.stages:
            gain, bias = diagonal(node.linear_map(self.graph.shapes[name])), node.constant()
            factor, shift = np.ones(()) if gain is None else gain, np.zeros(()) if bias is None else bias
            return replace(arriving, stages=merged(arriving.stages, Scaled(gain=factor, shift=shift)))
        shape = next(self.graph.shapes[edge.src] for edge in self.graph.incoming[name])
        linear = node.linear_map(shape)
        for (point, delay, _), path in arriving.paths.items():
            unit = composed_unit(linear, node.unit if isinstance(node, Matrix) else None, path.unit)
            out.put(point, delay, Path(compose(linear, path.linear), merged_origins(path.origins, node.origins), unit))
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
        for (point, delay, _), path in arriving.paths.items():
            linear = path.linear if np.all(rows == 1.0) else path.linear.scaled(rows)
            self._connect(point, name, delay, Path(linear.reshaped(out_shape=node.shape) if
                                                   linear.out_shape != node.shape else linear, path.origins))

    def _place_levels(self, name: str, shape: Shape, arriving: Arriving, steps: Stepwise) -> None:
        """A quantiser, with everything before it since the sum, becomes a Staircase."""
        try:
            settled = self.levels.climb(shape, arriving, steps, self.context.options.widths)
        except UnfitError as error:
            self._refuse(name, error)
            self._place(name, steps, shape)
            return
        self._place_climbed(name, settled, shape)

    def _refuse(self, name: str, error: UnfitError) -> None:
        """Report a node that no staircases of sums stand for."""
        self.context.report(Diagnostic(
            code="LHC411", message="the quantiser is no staircase of a sum", node=name, param=str(error),
            help="put a quantiser of up to 12 bits behind each function that is no clip; the function must rise"))

    def _place_climbed(self, name: str, settled: Climbed, shape: Shape) -> None:
        """A Staircase and the Maps into it; what rounding lost is written down."""
        self._place(name, settled.node, shape)
        for ((point, delay, _), path), linear, bits, error in settled.ways:
            label = self._connect(point, name, delay, replace(path, linear=linear), bits)
            if error:
                self.context.ledger.add(Loss(
                    node=label, kind="weights", param="weight", wanted="real numbers", actual=f"{bits} bits",
                    error=error, why="rounded to whole units; relative root mean square error"))

    def _place_sigma_delta(self, name: str, node: SigmaDelta) -> None:
        """Sigma-delta neurons of lava-dl; those that encode the input hear it without a connection in between."""
        self._place(name, node, node.shape)
        for (point, delay, _), path in self._arriving(name).paths.items():
            if node.role is SdnRole.DELTA and path.linear.is_identity:
                self.edges.append(Edge(src=point, dst=name, delay=delay))
            else:
                self._connect(point, name, delay, path)

    def _place_maxima(self, name: str, node: WindowMax, arriving: Arriving) -> None:
        """max(a, b) = b + relu(a - b), pair by pair: populations of differences, and one of the maxima."""
        origins, shape = node.origins, node.shape
        try:
            level = self.levels.of_sum(arriving)
        except UnfitError as error:
            self._refuse(name, error)
            self._place(name, node, shape)
            return
        rivals = [arriving.selected(column) for column in columns_of(node.windows)]
        count = 0
        while len(rivals) > 1:
            winners = []
            for first, second in zip(rivals[::2], rivals[1::2], strict=False):
                count += 1
                label = self.graph.unused(f"{name}.gain{count}")
                ahead = level.relay(shape, origins, 0, level.high - level.low, f"gain of {name}")
                self.levels.placed[label] = ahead
                self._place_levels(label, shape, first.minus(second), ahead)
                winners.append(second.plus(label, shape))
            rivals = winners + rivals[len(rivals) - len(rivals) % 2 :]
        most = level.relay(shape, origins, level.low, level.high, "greatest")
        self.levels.placed[name] = most
        self._place_levels(name, shape, rivals[0], most)

    def _connect(self, point: str, target: str, delay: int, path: Path, bits: str = "") -> str:
        """Put a Map between two points; returns its name."""
        base = path.origins[-1] if path.origins else f"{point}->{target}"
        name, count = base, 1
        while name in self.nodes or (name in self.graph.nodes and is_point(self.graph.nodes[name])):
            count += 1
            name = f"{base}#{count}"
        origins = path.origins or (point, target)
        self._place(name, Map(origins=origins, linear=path.linear, bits=bits), path.linear.out_shape)
        self.edges += [Edge(src=point, dst=name, delay=delay), Edge(src=name, dst=target)]
        return name

    def _connect_plain(self, name: str, origins: tuple[str, ...]) -> None:
        """Feed a node that takes one source as it is; otherwise a relay adds up what arrives."""
        arriving = self._arriving(name)
        items = list(arriving.paths.items())
        if len(items) == 1 and not np.any(arriving.constant):
            (point, delay, _), path = items[0]
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
        shape = self.graph.shapes[name]
        if Fact.WHOLE in self.graph.facts:
            node = self._place_sums(name, node, shape)
        else:
            self._connect_plain(name, node.origins)
        self._place(name, replace(node, shape=shape), shape)

    def _place_sums(self, name: str, node: Output, shape: Shape) -> Output:
        """Feed an Output of a network of whole numbers: from the point that it hears, or by neurons that pass sums on.

        What of a constant is no whole number of the sums' units is left for the host to add.
        """
        arriving = self._arriving(name)
        if len(arriving.paths) == 1 and not np.any(arriving.constant):
            ((point, delay, _), path), = arriving.paths.items()
            direct = path.linear.is_identity and delay == 0 and point not in self.prepared
            if direct and not self._sends_changes(point):
                self.edges.append(Edge(src=point, dst=name))
                return node
        label = self.graph.unused(f"{name}.sum")
        origins = merged_origins(*(path.origins for path in arriving.paths.values()), node.origins)
        try:
            climbed, rest = self.levels.summed(arriving, shape, self.context.options.widths, origins)
        except UnfitError as error:
            self._refuse(name, error)
            return node
        self._place_climbed(label, climbed, shape)
        self.edges.append(Edge(src=label, dst=name))
        return replace(node, offset=node.offset + rest / node.scale)

    def _sends_changes(self, point: str) -> bool:
        """Whether a point must send changes of its levels, because an Output is not all that hears it."""
        if self.context.options.activation is not Coding.SIGMA_DELTA:
            return False
        heard: set[str] = set()
        pending = [point]
        while pending:
            for edge in self.graph.outgoing[pending.pop()]:
                if is_point(self.graph.nodes[edge.dst]):
                    heard.add(edge.dst)
                else:
                    pending.append(edge.dst)
        return len(heard) > 1
