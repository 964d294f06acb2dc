"""PilotNet as a spiking network: lava-dl's trained integers as a hardware graph, its input, and Intel's own partition.

The file and its recorded input are those of lava-dl's tests. The input layer is a population of its own, as on the
chip: here it passes on the spikes that were recorded behind it.
"""

from __future__ import annotations

import os
from itertools import pairwise
from math import prod
from pathlib import Path

import h5py
import numpy as np

from loihic.ir.graph import Edge, Fact, HardwareGraph
from loihic.ir.node import HardwareNode, Shape
from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.source import Sink, Source
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import SignMode
from loihic.partition.layout import Layout
from loihic.partition.model import Fragment, Partition

FOLDER = Path(os.environ.get("LOIHIC_SHARED_DATA", "../shared/data")) / "netx" / "pilotnet_lif"
INPUT = "input"
# Slices of one core in the table of netx/pilotnet_snn/benchmark.ipynb, (C, H, W) or neurons, and how many cores.
INTEL = {
    "layer0": ((3, 66, 16), 13), "layer1": ((24, 32, 4), 25), "layer2": ((36, 15, 4), 13), "layer3": ((48, 7, 8), 3),
    "layer4": ((64, 4, 8), 3), "layer5": ((64, 2, 16), 2), "layer7": ((9,), 12), "layer8": ((50,), 1),
    "layer9": ((10,), 1), "layer10": ((1,), 1)}


def network(folder: Path = FOLDER) -> HardwareGraph:
    """The integers of network.net behind an input population, as a timed hardware graph; shapes are (C, H, W)."""
    nodes: dict[str, HardwareNode] = {}
    edges: list[Edge] = []
    shapes: dict[str, Shape] = {}

    def add(name: str, node: HardwareNode, shape: Shape, source: str = "") -> str:
        nodes[name], shapes[name] = node, shape
        if source:
            edges.append(Edge(src=source, dst=name))
        return name

    with h5py.File(folder / "network.net") as file:
        layers = [file["layer"][key] for key in sorted(file["layer"], key=int)]
        shape = tuple(int(n) for n in layers[0]["shape"][()])
        count = prod(shape)
        last = add(INPUT, Source(shape=shape), shape)
        one_to_one = SparseSynapse(
            in_shape=shape, out_shape=shape, sign_mode=SignMode.EXCITATORY, data=np.ones(count, dtype=np.int64),
            indices=np.arange(count), indptr=np.arange(count + 1))
        last = add("layer0.in", one_to_one, shape, last)
        relay = Compartment(shape=shape, du=np.asarray(4095), dv=np.asarray(4096), vth=np.asarray(0), start=1)
        last = add("layer0", relay, shape, last)
        for number, layer in enumerate(layers[1:], 1):
            kind = layer["type"][0].decode()
            if kind == "flatten":
                continue
            before, shape = shape, tuple(int(n) for n in layer["shape"][()])
            shape = shape if kind == "conv" else (shape[0],) if number < 10 else (1,)
            last = add(f"layer{number}.in", _synapse(layer, kind, before, shape), shape, last)
            last = add(f"layer{number}", _neurons(layer["neuron"], layer["bias"][()], shape), shape, last)
        add("output", Sink(shape=shape, latency=len(INTEL)), shape, last)
    return HardwareGraph(nodes=nodes, edges=tuple(edges), shapes=shapes, dt=1.0,
                         facts=frozenset({Fact.INTEGER, Fact.TIMED, Fact.SHAPES}))


def _synapse(layer: h5py.Group, kind: str, before: Shape, shape: Shape) -> HardwareNode:
    weight = np.rint(layer["weight"][()]).astype(np.int64)
    if kind == "conv":
        stride, padding, dilation = (tuple(int(n) for n in layer[key][()]) for key in ("stride", "padding", "dilation"))
        return ConvSynapse(in_shape=before, out_shape=shape, kernel=weight, stride=stride, padding=padding,
                           dilation=dilation, groups=int(layer["groups"][()]))
    return DenseSynapse(in_shape=before, out_shape=shape, weights=weight.reshape(prod(shape), prod(before)))


def _neurons(neuron: h5py.Group, bias: np.ndarray, shape: Shape) -> Compartment:
    """A population as netx builds it: the bias, one a channel, goes to the voltage, shifted by 6.

    All biases act from the step on in which the first convolution hears the first input, as in the recorded run.
    """
    du, dv = int(neuron["iDecay"][()]) - 1, int(neuron["vDecay"][()])
    per_channel = np.rint(bias).astype(np.int64).reshape(-1, *(1,) * (len(shape) - 1))
    return Compartment(shape=shape, du=np.asarray(du), dv=np.asarray(dv), vth=np.asarray(int(neuron["vThMant"][()])),
                       vbias_mant=np.broadcast_to(per_channel, shape), vbias_exp=np.asarray(6), start=2, stock=False)


def spikes(folder: Path = FOLDER) -> np.ndarray:
    """The recorded input, (1, T, C, H, W)."""
    return np.load(folder / "input.npy").transpose(3, 2, 1, 0)[None].astype(np.int64)


def intel_partition(graph: HardwareGraph) -> Partition:
    """The slices of Intel's table, each on a core of its own."""
    layouts, cores = {}, []
    for name, (piece, count) in INTEL.items():
        shape = graph.shapes[name]
        tile = (piece[1], piece[2]) if len(piece) == 3 else (1, 1)
        layouts[name] = Layout(shape=shape, channels=shape[0], tile=tile)
        size, whole = prod(piece), prod(shape)
        bounds = [*range(0, whole, size), whole]
        assert len(bounds) == count + 1, (name, len(bounds))
        cores += [(Fragment(population=name, start=a, stop=b),) for a, b in pairwise(bounds)]
    return Partition(layouts=layouts, cores=tuple(cores))
