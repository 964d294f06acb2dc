"""From a source graph, whatever file it was read from, to a graph of nir, and to a .nir file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from loihic.errors import CompileError, Diagnostic, Severity
from loihic.files import write_atomic
from loihic.frontends.nir_schema import SCHEMAS
from loihic.frontends.raw import listed
from loihic.frontends.to_nir_maps import Form, form_of, nir_map, with_constant
from loihic.frontends.to_nir_neurons import NoFormError, Spelling, spelling
from loihic.ir.graph import Fact, SourceGraph
from loihic.ir.node import Array, Shape, SourceNode
from loihic.ops.conv import Conv1d, Conv2d
from loihic.ops.delay import StepDelay
from loihic.ops.elementwise import Elementwise
from loihic.ops.flatten import Flatten
from loihic.ops.matrix import Matrix
from loihic.ops.neuron import Neuron
from loihic.ops.pool import SumPool2d
from loihic.ops.ports import Input, Output
from loihic.ops.quantiser import Stepwise
from loihic.ops.traits import ContinuousNeuron, NirLinear, NirNode, fit_parameter
from loihic.ops.window_max import WindowMax

Report = Callable[[Diagnostic], None]
STEP = 1.0  # of networks that count in steps
_REMEDIES: tuple[tuple[type[SourceNode], str], ...] = (
    (Stepwise, "NIR holds real numbers on no grid: compile the file itself; the quantiser of a .net file's input layer "
               "goes with its neurons (--no-encoder)"),
    (Elementwise, "NIR's functions are its neurons: train a spiking network, or compile the file itself"),
    (WindowMax, "train with average pooling, or compile the file itself"))


def to_nir(graph: SourceGraph, report: Report | None = None) -> Any:
    """The same network as a nir.NIRGraph, that loihic's own reading (Euler's rule, reset to zero) takes back as it was.

    Neurons in discrete time become neurons of NIR (see `to_nir_neurons`), linear maps whatever keeps most of their
    structure (see `to_nir_maps`). NIR reshapes nothing but by Flatten: where a map between feature maps is written as a
    full matrix, what hears it goes on with vectors. Numbers are those of the graph, as float64; that they are whole NIR
    cannot say. The graph's metadata state the time step.

    nir's own type check, as in nir.read(path) without type_check=False, misreads grouped convolutions and kernels that
    are not square.

    Args:
        graph: as a reader gives it, with shapes.
        report: called with warnings: what is written otherwise than it was read.

    Raises:
        CompileError: LHC401 for all nodes that have no form in NIR.
        ValueError: the graph has no shapes, or has edges with a delay.
    """
    if Fact.SHAPES not in graph.facts or any(edge.delay for edge in graph.edges):
        raise ValueError("a graph as a reader gives it is wanted, with shapes")
    return _Writer(graph).written(report)


def write_nir(path: Path, graph: Any) -> Path:
    """Write a nir.NIRGraph; `path` holds the old file or the new one, never half of either.

    Raises:
        InputError: LHC112, if the folder or disk does not take it.
    """
    import nir

    image = BytesIO()
    nir.write(image, graph)
    return write_atomic(path, lambda file: file.write(image.getbuffer()))


class _Writer:
    """One run over a graph; what has no form gathers in `refused`, by what is said of it."""

    def __init__(self, graph: SourceGraph) -> None:
        self.graph = graph
        self.refused: dict[tuple[str, str], list[str]] = {}
        self.settled: list[str] = []
        steps = Fact.WHOLE in graph.facts or any(isinstance(n, Neuron | StepDelay) for n in graph.nodes.values())
        self.dt = STEP if graph.dt is None and steps else graph.dt
        self.maps = {name: node for name, node in graph.nodes.items() if isinstance(node, Matrix)}
        self.forms: dict[str, Form] = {}
        self.flat: dict[str, bool] = {}
        self.nodes: dict[str, Any] = {}
        self.edges: dict[tuple[str, str], None] = {}
        self.names: dict[str, str] = {}
        self.flattened: dict[str, str] = {}

    def written(self, report: Report | None) -> Any:
        """The whole graph."""
        import nir

        spelled = {name: self._spelt(name, node) for name, node in self.graph.nodes.items()
                   if isinstance(node, Neuron)}
        self.forms = {name: form_of(node) for name, node in self.maps.items()}
        self._find_vectors()
        for name, node in self.graph.nodes.items():
            made = self._node(name, node, spelled)
            if made is not None:
                self.names[name] = self._fresh(name)
                self._place(self.names[name], made, self._heard(name), self._shape(name))
        if self.refused:
            raise CompileError([
                Diagnostic(code="LHC401", message=message, node=listed(names, limit=len(names)), help=help)
                for (message, help), names in self.refused.items()])
        for edge in self.graph.edges:
            self._connect(edge.src, edge.dst)
        for diagnostic in self._remarks():
            if report is not None:
                report(diagnostic)
        metadata = {} if self.dt is None else {"dt": float(self.dt)}
        return nir.NIRGraph(self.nodes, list(self.edges), metadata, type_check=False)

    def _spelt(self, name: str, node: Neuron) -> Spelling | None:
        """A population in NIR's words, its constant given to a map in front of it; None if NIR has no words for it."""

        def carrier(constant: Array) -> tuple[str, Matrix] | None:
            for edge in self.graph.incoming[name]:
                front = self.maps.get(edge.src)
                taken = None if front is None else with_constant(front, constant)
                if taken is not None and len(self.graph.outgoing[edge.src]) == 1:
                    return edge.src, taken
            return None

        try:
            found = spelling(node, self.dt or STEP, lambda constant: carrier(constant) is not None)
        except NoFormError as error:
            self._refuse(error, name)
            return None
        if found.constant is not None:
            taken = carrier(found.constant)
            assert taken is not None
            self.maps[taken[0]] = taken[1]
        if found.settled:
            self.settled.append(name)
        return found

    def _find_vectors(self) -> None:
        """Find out which nodes hand on a vector in place of an array of other dimensions.

        A convolution that hears such a vector becomes a full matrix, and so hands on one too.
        """
        self.flat = {name: not self.graph.shapes[name] for name in self.graph.nodes}
        before = -1
        while sum(self.flat.values()) > before:
            before = sum(self.flat.values())
            for name in self.graph.nodes:
                heard = self._hears_flat(name)
                if heard and self.forms.get(name) is Form.CONV:
                    self.forms[name] = Form.MATRIX
                form = self.forms.get(name)
                if form is None or form is Form.SCALE:
                    self.flat[name] |= heard
                elif form is Form.MATRIX:
                    self.flat[name] |= len(self.graph.shapes[name]) != 1

    def _hears_flat(self, name: str) -> bool:
        """Whether what arrives at a node must be a vector."""
        vectors = any(self.flat[edge.src] for edge in self.graph.incoming[name])
        return vectors or self.forms.get(name) is Form.MATRIX

    def _shape(self, name: str) -> Shape:
        """Of what a node of the written graph hands on."""
        shape = self.graph.shapes[name]
        return (prod(shape),) if self.flat[name] else shape

    def _heard(self, name: str) -> Shape:
        """Of what arrives at a node of the written graph."""
        feeds = [self.graph.shapes[edge.src] for edge in self.graph.incoming[name]]
        if not feeds:
            return self._shape(name)
        return (prod(feeds[0]),) if self._hears_flat(name) else feeds[0]

    def _node(self, name: str, node: SourceNode, spelled: dict[str, Spelling | None]) -> Any:
        """NIR's node; None, and the reason in `refused`, if there is none."""
        import nir

        try:
            if isinstance(node, Matrix):
                return nir_map(self.maps[name], self.forms[name], self._heard(name))
            if isinstance(node, Neuron):
                words = spelled[name]
                return None if words is None else getattr(nir, words.type)(**{
                    key: np.broadcast_to(value, node.shape).reshape(self._shape(name)).astype(np.float64)
                    for key, value in words.params.items()})
            if isinstance(node, StepDelay):
                steps = np.broadcast_to(node.steps, node.shape).reshape(self._shape(name))
                return nir.Delay(delay=steps * float(self.dt or STEP))
            if isinstance(node, Output) and (np.any(node.scale != 1.0) or np.any(node.offset)):
                raise NoFormError("NIR's outputs have no scale and no zero point",
                                  "export the network without its last quantiser, or compile the file itself")
            if isinstance(node, NirNode) and node.op in SCHEMAS:
                return _as_it_is(node, self._heard(name), self._shape(name))
            remedy = next((text for kind, text in _REMEDIES if isinstance(node, kind)), "compile the file itself")
            raise NoFormError(f"NIR has no node that stands for {node.op}", remedy)
        except NoFormError as error:
            self._refuse(error, name)
        return None

    def _refuse(self, error: NoFormError, name: str) -> None:
        self.refused.setdefault((error.message, error.help), []).append(name)

    def _place(self, label: str, node: Any, heard: Shape, shape: Shape) -> None:
        """Enter a node; its types are set here, since nir derives those of convolutions wrongly."""
        node.input_type, node.output_type = {"input": np.array(heard)}, {"output": np.array(shape)}
        self.nodes[label] = node

    def _connect(self, src: str, dst: str) -> None:
        """An edge, with a Flatten between where a vector is wanted and an array of other dimensions is sent."""
        import nir

        source, shape = self.names[src], self._shape(src)
        if self._hears_flat(dst) and len(shape) != 1:
            if source not in self.flattened:
                label = self.flattened[source] = self._fresh(f"{source}.flat")
                node = nir.Flatten(input_type={"input": np.array(shape)}, start_dim=0, end_dim=-1)
                self._place(label, node, shape, (prod(shape),))
                self.edges[source, label] = None
            source = self.flattened[source]
        self.edges[source, self.names[dst]] = None

    def _fresh(self, name: str) -> str:
        """A name that HDF5 takes and no node has yet."""
        base = "".join(c if c.isprintable() and c != "/" else "_" for c in name.strip("/"))
        label, count = base if base.strip(".") else f"node{base}", 1
        while label in self.nodes:
            count += 1
            label = f"{base}_{count}"
        return label

    def _remarks(self) -> list[Diagnostic]:
        found = []
        if self.settled:
            found.append(Diagnostic(
                code="LHC114", severity=Severity.WARNING, node=listed(self.settled),
                message="neurons with a bias start at rest (v_leak) where they started at zero",
                help="NIR says nothing of the start; spikes differ until a neuron has spiked or forgotten it"))
        vectors = [name for name in self.graph.nodes if self.flat[name] and len(self.graph.shapes[name]) > 1]
        if vectors:
            found.append(Diagnostic(
                code="LHC114", severity=Severity.WARNING, node=listed(vectors),
                message="feature maps are written as vectors", help="NIR has no map between them but convolutions and "
                "pooling; elements keep their order, channels first"))
        return found


def _as_it_is(node: NirNode, heard: Shape, shape: Shape) -> Any:
    """A node of NIR's own, with parameters of full shape."""
    import nir

    made = getattr(nir, node.op)
    if isinstance(node, Input | Output):
        return made(np.array(shape))
    if isinstance(node, Flatten):
        return made(input_type={"input": np.array(heard)}, start_dim=node.start_dim, end_dim=node.end_dim)
    if isinstance(node, SumPool2d):
        return made(**{name: np.array(getattr(node, name)) for name in ("kernel_size", "stride", "padding")})
    params = {item.name: getattr(node, item.name) for item in fields(node) if item.name != "origins"}
    if isinstance(node, Conv2d):
        count = len(node.weight)
        params["bias"] = np.zeros(count) if node.bias is None else np.broadcast_to(node.bias, (count,)).copy()
        if isinstance(node, Conv1d):
            params |= {"stride": node.stride[-1], "dilation": node.dilation[-1]}
            params["padding"] = node.padding if isinstance(node.padding, str) else node.padding[0]
        return made(input_shape=heard[1] if isinstance(node, Conv1d) else heard[1:], **params)
    if isinstance(node, NirLinear) and "weight" in params:
        return made(**{key: value if key == "weight" else fit_parameter(value, shape, key)
                       for key, value in params.items()})
    per_neuron = heard if isinstance(node, ContinuousNeuron) else shape
    return made(**{key: fit_parameter(value, per_neuron, key) for key, value in params.items()})
