"""Emit: the integer graph as a description of Lava Processes.

Feature maps are (C, H, W) in loihic and (H, W, C) in Lava; matrices that touch one have their rows and columns in
Lava's order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import singledispatch
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array, HardwareNode, Shape
from loihic.ops.activation import Activation
from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.delay_line import DelayLine
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.sigma_delta import SdnRole, SigmaDeltaNeurons
from loihic.ops.source import Sink, Source
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import Synapse
from loihic.targets.lava.network import (
    ArgValue,
    LavaConnection,
    LavaNetwork,
    LavaProbe,
    LavaProcess,
    LavaTap,
)

if TYPE_CHECKING:
    from loihic.program import Program


def lava_shape(shape: Shape) -> Shape:
    """(C, H, W) becomes (H, W, C); everything else stays."""
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape


def lava_order(shape: Shape) -> Array:
    """The flat index in loihic's order of each element in Lava's order."""
    index = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
    return (np.moveaxis(index, 0, -1) if len(shape) == 3 else index).reshape(-1)


def to_lava(values: Array, shape: Shape) -> Array:
    """Arrays (..., *shape) in Lava's order; scalars stay scalars."""
    values = np.asarray(values)
    return np.moveaxis(values, -3, -1) if len(shape) == 3 and values.ndim >= 3 else values


def from_lava(values: Array, shape: Shape) -> Array:
    """The inverse of `to_lava`."""
    return np.moveaxis(values, -1, -3) if len(shape) == 3 else values


def process_name(name: str) -> str:
    """A node's name as a Lava Process bears it."""
    return re.sub(r"\W", "_", name)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a node stands: its name, and the shapes of the points before and behind it."""

    name: str
    before: Shape
    behind: Shape


@singledispatch
def emit_process(node: HardwareNode, place: Place) -> LavaProcess:
    """The Process of a node; third parties register their own operators here."""
    raise TypeError(f"{place.name}: no Lava Process for {node.op}")


@emit_process.register
def _(node: Source, place: Place) -> LavaProcess:
    return LavaProcess(name=place.name, kind="input", args={"shape": lava_shape(node.shape)})


@emit_process.register
def _(node: DelayLine, place: Place) -> LavaProcess:
    steps = np.broadcast_to(node.steps, node.shape)
    return LavaProcess(name=place.name, kind="loihic.DelayLine",
                       args={"shape": lava_shape(node.shape), "steps": to_lava(steps, node.shape)})


@emit_process.register
def _(node: Compartment, place: Place) -> LavaProcess:
    shape = node.shape
    args: dict[str, ArgValue] = {"shape": lava_shape(shape)}
    if node.stock:
        args |= {"du": int(node.du), "dv": int(node.dv), "vth": int(node.vth)}
        if node.vbias_mant.any():
            args |= {"bias_mant": int(node.vbias_mant), "bias_exp": int(node.vbias_exp), "v": int(node.v_init)}
        return LavaProcess(name=place.name, kind="lava.proc.lif.process.LIF", args=args)
    for field in ("du", "dv", "vth", "ibias_mant", "ibias_exp", "vbias_mant", "vbias_exp", "v_init"):
        args[field] = to_lava(getattr(node, field), shape)
    args |= {"start": node.start, "reset": node.reset.value, "output": node.emit.value, "out_shift": node.out_shift}
    return LavaProcess(name=place.name, kind="loihic.Neuron", args=args)


@emit_process.register
def _(node: Activation, place: Place) -> LavaProcess:
    shape = node.shape
    args: dict[str, ArgValue] = {
        "shape": lava_shape(shape), "low": node.low, "high": node.high, "rise": node.rise, "ties_even": node.ties_even,
        "sigma": node.sigma, "delta": node.delta, "vth": node.vth, "start": node.start}
    if node.thresholds is None:
        args["thresholds"] = np.zeros((1, 0), dtype=np.int64)
        args |= {key: to_lava(getattr(node, key), shape) for key in ("multiplier", "addend", "shift")}
    else:
        rows = node.thresholds.shape[:-1]
        index = np.arange(prod(rows)).reshape(*rows, *[1] * (len(shape) - len(rows)))
        args |= {"thresholds": node.thresholds.reshape(prod(rows), -1),
                 "row": to_lava(np.broadcast_to(index, shape), shape)}
    return LavaProcess(name=place.name, kind="loihic.Activation", args=args)


@emit_process.register
def _(node: SigmaDeltaNeurons, place: Place) -> LavaProcess:
    shape = lava_shape(node.shape)
    if node.role is SdnRole.SIGMA:
        return LavaProcess(name=place.name, kind="lava.proc.sdn.process.Sigma", args={"shape": shape})
    args: dict[str, ArgValue] = {"shape": shape, "vth": node.threshold, "spike_exp": node.spike_exp,
                                 "state_exp": node.state_exp}
    if node.role is SdnRole.DELTA:
        return LavaProcess(name=place.name, kind="lava.proc.sdn.process.Delta", args=args)
    args["bias"] = to_lava(np.broadcast_to(node.bias, node.shape), node.shape)
    return LavaProcess(name=place.name, kind="lava.proc.sdn.process.SigmaDelta", args=args)


def _synapse_args(node: Synapse) -> dict[str, ArgValue]:
    return {"weight_exp": node.exponent, "num_weight_bits": node.num_weight_bits, "sign_mode": node.sign_mode.value,
            "num_message_bits": node.message_bits}


@emit_process.register
def _(node: DenseSynapse, place: Place) -> LavaProcess:
    weights = node.weights[lava_order(place.behind)][:, lava_order(place.before)]
    return LavaProcess(name=place.name, kind="lava.proc.dense.process.Dense",
                       args={"weights": weights, **_synapse_args(node)})


@emit_process.register
def _(node: SparseSynapse, place: Place) -> LavaProcess:
    matrix = node.matrix()[lava_order(place.behind)][:, lava_order(place.before)]
    matrix = sparse.csr_matrix(matrix)
    matrix.sort_indices()
    args: dict[str, ArgValue] = {
        "weights_data": matrix.data, "weights_indices": matrix.indices, "weights_indptr": matrix.indptr,
        "weights_shape": (int(matrix.shape[0]), int(matrix.shape[1]))}
    return LavaProcess(name=place.name, kind="lava.proc.sparse.process.Sparse", args=args | _synapse_args(node))


@emit_process.register
def _(node: ConvSynapse, place: Place) -> LavaProcess:
    # Lava's Conv is a true convolution: the kernel is flipped. Its weights are (C_out, KX, KY, C_in).
    kernel = np.moveaxis(node.kernel, 1, -1)[:, ::-1, ::-1]
    args: dict[str, ArgValue] = {
        "weight": kernel, "input_shape": lava_shape(node.in_shape), "padding": node.padding, "stride": node.stride,
        "dilation": node.dilation, "groups": node.groups, "num_weight_bits": node.num_weight_bits,
        "num_message_bits": node.message_bits}
    if node.exponent:
        return LavaProcess(name=place.name, kind="loihic.Conv", args=args | {"weight_exp": node.exponent})
    return LavaProcess(name=place.name, kind="lava.proc.conv.process.Conv", args=args)


def _port_in(node: HardwareNode) -> str:
    return "s_in" if isinstance(node, Synapse) else "a_in"


def _port_out(node: HardwareNode) -> str:
    return "a_out" if isinstance(node, Synapse) else "s_out"


def emit(graph: HardwareGraph, record: Iterable[tuple[str, str]] = ()) -> LavaNetwork:
    """The network of a timed graph, with a tap per Sink and one per recorded state."""
    names = _unique_names(graph)
    processes, connections, taps, probes = [], [], [], []
    for name, node in graph.nodes.items():
        if isinstance(node, Sink):
            (edge,) = graph.incoming[name]
            taps.append(LavaTap(key=f"sink/{name}", process=names[edge.src], port=_port_out(graph.nodes[edge.src])))
            continue
        before = graph.shapes[graph.incoming[name][0].src] if graph.incoming[name] else ()
        behind = graph.shapes[graph.outgoing[name][0].dst] if graph.outgoing[name] else ()
        processes.append(emit_process(node, Place(name=names[name], before=before, behind=behind)))
    for edge in graph.edges:
        src, dst = graph.nodes[edge.src], graph.nodes[edge.dst]
        if isinstance(dst, Sink):
            continue
        have, want = _port_shape(graph, edge.src, outward=True), _port_shape(graph, edge.dst, outward=False)
        connections.append(LavaConnection(
            src=names[edge.src], src_port=_port_out(src), dst=names[edge.dst], dst_port=_port_in(dst),
            shape=want if have != want else None))
    for name, state in record:
        key = f"{name}.{state}"
        if state == "out":
            taps.append(LavaTap(key=key, process=names[name], port="s_out"))
        else:
            probes.append(LavaProbe(key=key, process=names[name], var=state))
    return LavaNetwork(processes=tuple(processes), connections=tuple(connections), taps=tuple(taps),
                       probes=tuple(probes))


def _unique_names(graph: HardwareGraph) -> dict[str, str]:
    """Process names: as in the graph, without what Python names cannot hold, numbered where two would be equal."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for name in graph.nodes:
        base = process_name(name)
        label, count = base, 1
        while label in taken:
            count += 1
            label = f"{base}_{count}"
        taken.add(label)
        names[name] = label
    return names


def process_names(graph: HardwareGraph) -> Mapping[str, str]:
    """The Lava Process of each node that becomes one."""
    return {name: label for name, label in _unique_names(graph).items() if not isinstance(graph.nodes[name], Sink)}


def _port_shape(graph: HardwareGraph, name: str, *, outward: bool) -> Shape:
    """Lava's shape of a node's out or in port: matrices have vectors, everything else feature maps."""
    node = graph.nodes[name]
    if not isinstance(node, Synapse):
        return lava_shape(graph.shapes[name])
    shape = node.out_shape if outward else node.in_shape
    return lava_shape(shape) if isinstance(node, ConvSynapse) else (int(np.prod(shape, dtype=np.int64)),)


def export_program(program: Program, folder: Path, inputs: Mapping[str, Array]) -> None:
    """Write a standalone Lava script with the program and encoded `inputs` (N, T, *shape) to `folder`."""
    from loihic.targets.lava.export import export_network
    from loihic.targets.lava.sites import FILE, placement_text

    graph = program.graph
    names = _unique_names(graph)
    arrays = {names[name]: to_lava(values, program.inputs[name].shape) for name, values in inputs.items()}
    steps = next(iter(inputs.values())).shape[1] + program.latency
    beside = {} if program.plan is None else {FILE: placement_text(program.plan, process_names(graph))}
    export_network(emit(graph), arrays, steps, folder, beside=beside,
                   name=process_name(str(program.provenance.get("model", "model"))))
