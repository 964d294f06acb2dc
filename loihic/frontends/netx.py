"""From a lava-dl network file (.net) to a source graph in discrete time, whose numbers are those of the file."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

import loihic
from loihic.errors import CompileError, Diagnostic
from loihic.frontends.netx_file import NetFile, NetLayer, is_complex, read_net_file
from loihic.frontends.netx_maps import average, conv, layer_map, recurrent
from loihic.frontends.netx_neurons import axonal_delay, cuba, exponents, per_neuron
from loihic.frontends.netx_schema import LAYERS, NEURONS, REFUSED_LAYERS, REFUSED_NEURONS, SHAPE_ONLY, check
from loihic.frontends.netx_sdn import sdn_node, sdn_parameters
from loihic.frontends.nir_schema import MalformedError, Problem
from loihic.frontends.raw import listed
from loihic.ir.graph import Edge, SourceGraph
from loihic.ir.linear import IdentityMap, LinearMap
from loihic.ir.node import Array, Shape, ShapeError, SourceNode
from loihic.ops.matrix import Matrix
from loihic.ops.ports import Input, Output
from loihic.ops.quantiser import Quantiser
from loihic.ops.sigma_delta import SdnRole

INPUT, OUTPUT = "input", "output"
TRAINED_ONE = 64  # what a weight of 1 became
LARGEST_LEVEL = 1 << 11  # of a sigma-delta encoder's inputs: 32 times a trained 1
INPUT_STEPS = 32  # of an encoder's inputs in 1: slayer rounds them so, to -4..3.97


def read_netx(path: Path, *, encoder: bool = True) -> tuple[SourceGraph, dict[str, Any], tuple[Diagnostic, ...]]:
    """Read a network that lava-dl exported, without lava-dl.

    The graph is in discrete time and on Loihi's integer grid: decays are parts of 4096; weights, biases and thresholds
    are the file's whole numbers, in units in which a weighted sum of 1 is 1 in the neurons' current and voltage (64 in
    Lava's). A Matrix carries the unit of its weights: 1, a power of two where the file has an exponent, and
    1 / (number of neurons) for an average. Shapes are (channels, height, width) or (neurons,).

    Node names: ``input``; of layer i ``layer<i>.weight`` for its Matrix, ``layer<i>`` for its population (or for all
    there is, if it has none), ``layer<i>.weight_rec`` for recurrent weights, ``layer<i>.delay`` for delays; ``output``.

    An input layer with neurons is part of the network: the Input then takes real numbers, which are weighed and biased
    as the file says (z = weight x + bias) and drive these neurons' currents. slayer rounds x to steps of 1/32 in
    -4..3.97 first; netx leaves weight and bias to the user, who sets the neurons' bias mantissas to whole z. Without
    the `encoder` the Input takes the spikes of these neurons instead, as with netx's skip_layers=1.

    A last layer without neurons, or with neurons that cannot spike (slayer.block.cuba.Affine), hands out numbers.

    In time, a bias acts from the step on in which its layer hears the first input step, as in netx with a
    reset_interval; without one, netx lets the biases of layer i act i steps earlier than that.

    Args:
        path: the file.
        encoder: whether neurons of the input layer are part of the graph.

    Returns:
        The graph; provenance (model, sha256, format, versions, steps per sample); warnings about what was ignored.

    Raises:
        InputError: LHC101 if the file is not a network of lava-dl at all.
        CompileError: every problem found: LHC102 unknown types, LHC103 missing or malformed values, LHC104 values that
            are not finite, LHC105 values out of their range, LHC202 shapes that do not agree, LHC203 a network whose
            input has no shape, LHC401 what Loihi cannot do, LHC408 delays that are too long.
    """
    file = read_net_file(Path(path))
    graph = _Builder(file, encoder).graph()
    provenance: dict[str, Any] = {"model": file.name, "sha256": file.digest, "format": "lava-dl net",
                                  "loihic": loihic.__version__}
    if file.sample_steps is not None:
        provenance["steps_per_sample"] = file.sample_steps
    return graph, provenance, file.found


@dataclass(frozen=True, kw_only=True, slots=True)
class _Checked:
    """The checked values of a layer and of its neurons; None of the latter if it has none."""

    values: dict[str, Any]
    neuron: dict[str, Any] | None
    neuron_type: str = ""


class _Builder:
    """One pass over the layers; problems gather in `found`, and a layer that has one keeps the shape it declares."""

    def __init__(self, file: NetFile, encoder: bool) -> None:
        self.file = file
        self.encoder = encoder
        self.nodes: dict[str, SourceNode] = {}
        self.edges: list[Edge] = []
        self.found: list[Diagnostic] = []
        self.last = ""
        self.unit = 1.0  # of what the last layer sends, in which the trained network counts
        self.shape: Shape | None = None  # of what `last` sends; None where a broken layer does not say

    def graph(self) -> SourceGraph:
        """Everything from Input to Output."""
        for layer in self.file.layers:
            before, checked = self.shape, self._checked(layer)
            if checked is not None:
                try:
                    self._add(layer, checked)
                    continue
                except MalformedError as error:
                    self._report(layer, error.problem)
                except ShapeError as error:
                    self._report(layer, Problem("LHC202", "the layer does not fit what arrives", str(error)))
            self.shape = _declared(layer, before)
        if self.found:
            raise CompileError(self.found)
        assert self.shape is not None
        self._place(OUTPUT, Output(origins=(OUTPUT,), shape=self.shape, scale=np.asarray(self.unit)), self.shape)
        return SourceGraph(nodes=self.nodes, edges=tuple(self.edges), dt=1.0)

    def _checked(self, layer: NetLayer) -> _Checked | None:
        """The layer's values; None, and the problems reported, if there is anything wrong with them."""
        known = len(self.found)
        values: dict[str, Any] = {}
        neuron: dict[str, Any] | None = None
        if layer.fault is not None:
            self._report(layer, layer.fault)
        if not layer.kind:
            return None
        if layer.kind in REFUSED_LAYERS or is_complex(layer.values):
            why = REFUSED_LAYERS.get(layer.kind, REFUSED_LAYERS["dense_comp"])
            self._report(layer, Problem("LHC401", f"layers of type {layer.kind!r} are not supported"
                                        if layer.kind in REFUSED_LAYERS else "complex weights are not supported",
                                        help=why))
        elif layer.kind not in LAYERS:
            self._report(layer, Problem("LHC102", f"unknown layer type {layer.kind!r}",
                                        help=f"known are {listed(LAYERS)}"))
        else:
            values, problems = check(LAYERS[layer.kind], layer.values)
            self._report(layer, *problems)
        kind = "" if layer.neuron is None else str(layer.neuron["type"])
        if layer.neuron is not None and kind in NEURONS:
            neuron, problems = check(NEURONS[kind], layer.neuron)
            self._report(layer, *problems)
        elif layer.neuron is not None:
            refused = REFUSED_NEURONS.get(kind)
            self._report(layer, Problem("LHC401" if refused else "LHC102", f"neurons of type {kind!r} are not supported"
                                        if refused else f"unknown neuron type {kind!r}",
                                        help=refused or f"known are {listed(NEURONS)}"))
        return _Checked(values=values, neuron=neuron, neuron_type=kind) if len(self.found) == known else None

    def _add(self, layer: NetLayer, given: _Checked) -> None:
        values, label = given.values, f"layer{layer.index}"
        if layer.kind == "input":
            if layer.index:
                raise MalformedError("an input layer must be the first")
            self._place(INPUT, Input(origins=(label,), shape=values["shape"]), values["shape"])
            if given.neuron is not None and self.encoder:
                self._encode(label, given, values["shape"])
            return
        if layer.index == 0:
            self._place_input(layer, values)
        if self.shape is None:  # a layer before this one is broken, and has been reported
            return
        if layer.kind == "flatten":
            flat = IdentityMap(in_shape=self.shape, out_shape=(prod(self.shape),))
            self._place(label, _matrix(label, flat), flat.out_shape)
        elif layer.kind == "average":
            groups = values["shape"][0]
            linear = average(self.shape, groups)
            self._place(label, _matrix(label, linear, unit=1.0 / (prod(self.shape) // groups)), linear.out_shape)
        else:
            self._weighted(layer.kind, label, given, layer_map(layer.kind, values, self.shape))

    def _place_input(self, layer: NetLayer, values: dict[str, Any]) -> None:
        """An Input in front of a file's first layer, which must know its size by itself."""
        if layer.kind not in ("dense", "dense_rec"):
            raise MalformedError("nothing says what shape the input has", code="LHC203",
                                 help="export an input block (slayer.block.cuba.Input) as layer 0")
        shape = (values["weight"].size // prod(values["shape"]),)
        self._place(INPUT, Input(origins=(INPUT,), shape=shape), shape)

    def _encode(self, label: str, given: _Checked, shape: Shape) -> None:
        """The neurons of an input layer: what they hear is weight * x + bias; a weight of 64 is a trained 1.

        Of sigma-delta neurons the host computes that, as netx leaves it to the user, and rounds it.
        """
        weight, bias = given.values["weight"], given.values["bias"]
        factor = 64.0 if weight is None else float(weight)
        if given.neuron_type == "SDNN":
            scaled = IdentityMap(in_shape=shape, out_shape=shape).scaled(np.asarray(factor))
            self._place(f"{label}.weight", _matrix(label, scaled, np.asarray(float(bias)) if bias else None), shape)
            steps = Quantiser(origins=(label,), scale=np.ones(()), low=-LARGEST_LEVEL, high=LARGEST_LEVEL - 1)
            self._place(f"{label}.levels", steps, shape)
            self._place(label, self._population(label, given, None, shape, is_input=True), shape)
            return
        linear: LinearMap
        if len(shape) == 3:
            linear = conv(shape, np.full((shape[0], 1, 1, 1), factor), (1, 1), (0, 0), (1, 1), shape[0])
        else:
            linear = IdentityMap(in_shape=shape, out_shape=shape).scaled(np.asarray(factor))
        steps = Quantiser(origins=(label,), scale=np.asarray(1.0 / INPUT_STEPS), low=-128, high=127)
        self._place(f"{label}.levels", steps, shape)
        population = self._population(label, given, None, shape, is_input=True)
        name = f"{label}.weight"
        self._place(name, _matrix(name, linear, np.asarray(float(bias)) if bias else None), shape)
        self._place(label, population, shape)

    def _weighted(self, kind: str, label: str, given: _Checked, linear: LinearMap) -> None:
        """A layer with weights, the neurons behind them, what they send back to themselves, and their delay."""
        shape = linear.out_shape
        raw = given.values["bias"]
        bias = None if raw is None else per_neuron(raw, shape, "bias")
        unit = 2.0 ** exponents(given.neuron or {}).weight
        delay = axonal_delay(given.values["delay"], shape, (f"{label}.delay",))
        if given.neuron is None:
            if kind == "dense_rec":
                raise MalformedError("a recurrent layer has no neurons")
            self._place(label, _matrix(label, linear, bias), shape)
        else:
            population = self._population(label, given, bias, shape, recurrent=kind == "dense_rec")
            name, back = f"{label}.weight", f"{label}.weight_rec"
            loop = recurrent(given.values["weight_rec"], prod(shape)) if kind == "dense_rec" else None
            self._place(name, _matrix(name, _in_unit(linear, unit), unit=unit), shape)
            self._place(label, population, shape)
            if loop is not None:
                self.nodes[back] = _matrix(back, _in_unit(loop, unit), unit=unit)
                self.edges += [Edge(src=label, dst=back), Edge(src=back, dst=label)]
        if delay is not None:
            self._place(f"{label}.delay", delay, shape)

    def _population(self, label: str, given: _Checked, bias: Array | None, shape: Shape, *,
                    is_input: bool = False, recurrent: bool = False) -> SourceNode:
        assert given.neuron is not None
        if given.neuron_type == "SDNN":
            node = sdn_node(sdn_parameters(given.neuron, bias, shape, is_input=is_input), (label,))
            if node.role is SdnRole.SIGMA:
                self.unit = float(1 << (node.spike_exp + node.state_exp)) * TRAINED_ONE
            return node
        return cuba(given.neuron, bias, shape, (label,), recurrent=recurrent)

    def _place(self, name: str, node: SourceNode, shape: Shape) -> None:
        """Put a node behind the last one."""
        self.nodes[name] = node
        if self.last:
            self.edges.append(Edge(src=self.last, dst=name))
        self.last, self.shape = name, shape

    def _report(self, layer: NetLayer, *problems: Problem) -> None:
        self.found += [Diagnostic(code=problem.code, message=problem.message, node=layer.origin, param=problem.param,
                                  help=problem.help) for problem in problems]


def _matrix(name: str, linear: LinearMap, bias: Array | None = None, unit: float = 1.0) -> Matrix:
    return Matrix(origins=(name,), linear=linear, bias=bias, unit=np.asarray(unit))


def _in_unit(linear: LinearMap, unit: float) -> LinearMap:
    return linear if unit == 1.0 else linear.scaled(np.asarray(unit))


def _declared(layer: NetLayer, before: Shape | None) -> Shape | None:
    """The output shape that a broken layer declares, so that the layers behind it can be checked all the same."""
    if layer.kind == "flatten":
        return None if before is None else (prod(before),)
    values, problems = check(SHAPE_ONLY, layer.values)
    shape = values.get("shape")
    if problems or not isinstance(shape, tuple) or layer.kind not in LAYERS:
        return None
    if layer.kind in ("dense", "dense_rec"):
        return (prod(shape),)
    return shape[:1] if layer.kind == "average" else shape
