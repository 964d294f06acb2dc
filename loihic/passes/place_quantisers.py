"""Place quantisers: values that the file leaves real, and that weights or neurons need as whole numbers, get a grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.graph import Edge, Fact
from loihic.ir.node import Array, SourceNode
from loihic.ledger import Loss
from loihic.ops.elementwise import Elementwise
from loihic.ops.neuron import Neuron
from loihic.ops.ports import Input, Output
from loihic.ops.quantiser import Quantiser, Stepwise
from loihic.ops.sigma_delta import SigmaDelta
from loihic.ops.window_max import WindowMax
from loihic.options import Options
from loihic.passes.levels import diagonal_of, prepared_inputs
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass
from loihic.passes.paths import moved_by
from loihic.quant.histogram import Histogram
from loihic.sim.reference import run_reference

OUTPUT_BITS = 12  # of a function's values that nothing but an Output hears
INPUT_BITS = 8


@register_pass
@dataclass(frozen=True, kw_only=True)
class PlaceQuantisers(Pass):
    """A quantiser behind every function, and every Input, whose values would enter weights as real numbers.

    Its scale is that of the values which the calibration data brings about. A network that is quantised throughout
    stays as it is.
    """

    name: ClassVar[str] = "place-quantisers"
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.SHAPES})
    bits: int = 8

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        if Fact.WHOLE not in graph.facts or any(isinstance(node, Neuron | SigmaDelta) for node in graph.nodes.values()):
            return graph  # of neurons the file says every number
        wanted = _wanted(graph)
        inputs = [name for name in wanted if isinstance(graph.nodes[name], Input)]
        functions = [name for name in wanted if name not in inputs]
        seen = _seen(graph, functions, context.options) if functions else {}
        for name in inputs:
            graph = _behind(graph, name, _of_input(name, graph, context.options), wanted[name])
        for name in functions:
            only_out = all(isinstance(graph.nodes[edge.dst], Output) for edge in wanted[name])
            bits = OUTPUT_BITS if only_out else self.bits
            node = _of_values(seen[name], bits, context.options.clip, graph.nodes[name])
            graph = _behind(graph, name, node, wanted[name])
            context.ledger.add(Loss(
                node=name, kind="activation", param="value", wanted="real numbers",
                actual=f"{node.low}..{node.high} times {float(node.scale):.4g}", error=_error(seen[name], node),
                why="rounded to levels; relative root mean square error on the calibration data"))
        return graph


def _wanted(graph: AnyGraph) -> dict[str, list[Edge]]:
    """Nodes whose values are real and must not be, and the edges on which they must not."""
    real: dict[str, bool] = {}
    prepared = prepared_inputs(graph)
    wanted: dict[str, list[Edge]] = {}
    for name in graph.order():
        node = graph.nodes[name]
        arriving = [edge for edge in graph.incoming[name] if edge.delay == 0]
        from_real = [edge for edge in arriving if real.get(edge.src, False)]
        if isinstance(node, Input):
            real[name] = name not in prepared
        elif isinstance(node, Stepwise):
            real[name] = False
            _need(wanted, [edge for edge in from_real if isinstance(graph.nodes[edge.src], Input)])
        elif isinstance(node, Elementwise):
            real[name] = True
        elif isinstance(node, WindowMax):
            real[name] = False
            (edge,) = arriving
            if edge in from_real or not _is_one_grid(_grids(graph, edge.src)):
                _need(wanted, [edge])
        elif len(graph.incoming[name]) == 1 and diagonal_of(node, graph.shapes[graph.incoming[name][0].src]):
            real[name] = bool(from_real)
        else:
            real[name] = False
            _need(wanted, from_real)
    for name in [name for name in wanted if isinstance(graph.nodes[name], Input)]:
        wanted[name] = list(graph.outgoing[name])
    return wanted


def _need(wanted: dict[str, list[Edge]], edges: list[Edge]) -> None:
    for edge in edges:
        wanted.setdefault(edge.src, []).append(edge)


def _grids(graph: AnyGraph, name: str) -> set[float | str | None]:
    """What tells apart the grids whose levels a node sends, moved or the greatest of some; None for other numbers."""
    node = graph.nodes[name]
    if isinstance(node, Stepwise):
        return {float(node.scale) if node.scale.size == 1 else None}
    if isinstance(node, Input):
        return {name}  # that of the quantiser which it gets
    found = {grid for edge in graph.incoming[name] for grid in _grids(graph, edge.src)}
    if isinstance(node, WindowMax):
        return found if _is_one_grid(found) else {name}
    return {None} if moved_by(node) is None else found


def _is_one_grid(found: set[float | str | None]) -> bool:
    return len(found) == 1 and None not in found


def _seen(graph: AnyGraph, names: list[str], options: Options) -> dict[str, Array]:
    """The values of some nodes on the calibration data.

    Raises:
        InputError: there is none.
    """
    ports = dict(graph.of(Input))
    if any(name not in options.calibration for name in ports):
        fail("LHC113", "the network is not quantised, and its values' ranges are unknown", error=InputError,
             param=f"without a quantiser: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}",
             help="give --calibration DATA.npz with some typical inputs")
    outputs = {f"{name}.seen": Output(shape=graph.shapes[name]) for name in names}
    watched = graph.with_(
        nodes={**graph.nodes, **outputs}, shapes={**graph.shapes, **{f"{n}.seen": graph.shapes[n] for n in names}},
        edges=[*graph.edges, *(Edge(src=name, dst=f"{name}.seen") for name in names)])
    data = {name: np.asarray(options.calibration[name], dtype=np.float64) for name in ports}
    found = run_reference(watched, data)
    return {name: found[f"{name}.seen"] for name in names}


def _of_values(values: Array, bits: int, clip: str, node: SourceNode) -> Quantiser:
    """The quantiser of observed values: unsigned where none is negative."""
    signed = bool(values.min(initial=0.0) < 0)
    top = (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1
    if clip == "max":
        size = float(np.abs(values).max(initial=0.0))
    else:
        histogram = Histogram()
        histogram.add(values)
        size = histogram.clip(clip, top)
    return Quantiser(origins=node.origins, scale=np.asarray((size or 1.0) / top), low=-top if signed else 0, high=top)


def _of_input(name: str, graph: AnyGraph, options: Options) -> Quantiser:
    """The quantiser of an Input: by --input-range and --input-bits, else by the calibration data.

    Raises:
        InputError: neither is given.
    """
    node, bits = graph.nodes[name], options.input_bits or INPUT_BITS
    data = options.calibration.get(name)
    if options.input_range is None and data is not None:
        return _of_values(np.asarray(data), bits, options.clip, node)
    if options.input_range is None and not options.input_bits:
        fail("LHC113", f"input {name} is not quantised, and its range is unknown", error=InputError, node=name,
             help="give --input-range LO HI and --input-bits 8, or --calibration DATA.npz with typical inputs")
    low, high = options.input_range or (0.0, 1.0)
    return _of_values(np.asarray([low, high]), bits, "max", node)


def _behind(graph: AnyGraph, name: str, node: Quantiser, edges: list[Edge]) -> AnyGraph:
    """The graph with a quantiser in some edges out of a node."""
    label = graph.unused(f"{name}.levels")
    moved = [replace(edge, src=label) if edge in edges else edge for edge in graph.edges]
    return graph.with_(nodes={**graph.nodes, label: node}, shapes={**graph.shapes, label: graph.shapes[name]},
                       edges=[*moved, Edge(src=name, dst=label)])


def _error(values: Array, node: Quantiser) -> float:
    power = float(np.sqrt(np.mean(values**2)))
    return float(np.sqrt(np.mean((node.apply(values) - values) ** 2))) / power if power else 0.0

