"""Networks for the tests of the .net reader: files written as lava-dl writes them, and integers run step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from loihic.ir.graph import SourceGraph
from loihic.ir.node import Array
from loihic.ops.delay import StepDelay
from loihic.ops.matrix import Matrix
from loihic.ops.neuron import Neuron
from loihic.ops.ports import Input, Output
from loihic.ops.quantiser import Quantiser
from loihic.ops.traits import Emit
from loihic.quant.fixed import clip_voltage, rsz, wrap_current

LIF: Mapping[str, Any] = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 80, "refDelay": 1,
                          "gradedSpike": False}
SDNN: Mapping[str, Any] = {"type": "SDNN", "activation": "relu", "vThMant": 6}


def write_net(path: Path, layers: Sequence[Mapping[str, Any]], *, t_sample: int | None = None) -> Path:
    """Write a file as the blocks of lava-dl 0.6.0 export it; ``neuron`` is a mapping, ``type`` a str."""
    with h5py.File(path, "w") as file:
        for index, layer in enumerate(layers):
            group = file.create_group(f"layer/{index}")
            for name, value in layer.items():
                if name == "type":
                    group.create_dataset("type", (1,), "S10", [str(value).encode("ascii")])
                elif name == "neuron":
                    for key, entry in value.items():
                        group.create_dataset(f"neuron/{key}", data=entry)
                else:
                    group.create_dataset(name, data=value)
        if t_sample is not None:
            file.create_dataset("simulation/Ts", data=1)
            file.create_dataset("simulation/tSample", data=t_sample)
    return path


def dense(weight: Array, neuron: Mapping[str, Any] | None = LIF, **more: Any) -> dict[str, Any]:
    count, inputs = weight.shape
    layer = {"type": "dense", "shape": np.array([count]), "inFeatures": inputs, "outFeatures": count,
             "weight": weight.astype(np.float32), **more}
    return layer if neuron is None else {**layer, "neuron": neuron}


def conv(shape: Sequence[int], weight: Array, *, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1,
         neuron: Mapping[str, Any] | None = LIF, kind: str = "conv", **more: Any) -> dict[str, Any]:
    layer = {"type": kind, "shape": np.array(shape), "kernelSize": np.array(weight.shape[2:4]),
             "stride": np.array([stride] * 2), "padding": np.array([padding] * 2),
             "dilation": np.array([dilation] * 2), "weight": weight.astype(np.float32), **more}
    if kind in ("conv", "convT"):
        layer["groups"] = groups
    return layer if neuron is None else {**layer, "neuron": neuron}


def inputs(*shape: int, **more: Any) -> dict[str, Any]:
    return {"type": "input", "shape": np.array(shape), **more}


def run_exact(graph: SourceGraph, x: Array) -> dict[str, dict[str, Array]]:
    """Run a graph of the reader in the integers of Lava's LIF, without the steps that connections take.

    Args:
        graph: its loops pass through one connection, which is then heard a step later.
        x: (T, *shape) of the Input.

    Returns:
        Per node ``out``, (T, *shape), and for populations u and v: index t answers input step t.
    """
    order = [name for name in graph.sources_first() if not name.endswith(".weight_rec")]
    order += [name for name in graph.nodes if name.endswith(".weight_rec")]  # heard in the next step
    populations = {name: Integers(node) for name, node in graph.nodes.items() if isinstance(node, Neuron)}
    lines = {name: node.initial(1) for name, node in graph.nodes.items() if isinstance(node, StepDelay)}
    sent: dict[str, Array] = {}
    kept: dict[str, dict[str, list[Array]]] = {name: {"out": [], "u": [], "v": []} for name in graph.nodes}
    for t in range(len(x)):
        for name in order:
            node = graph.nodes[name]
            total = np.asarray(sum(sent[edge.src] for edge in graph.incoming[name] if edge.src in sent), dtype=float)
            if isinstance(node, Input):
                sent[name] = x[t]
            elif isinstance(node, Matrix):
                out = node.linear.apply(total[None])[0]
                sent[name] = out if node.bias is None else out + node.bias
            elif isinstance(node, Neuron):
                sent[name] = populations[name].step(total)
                kept[name]["u"].append(populations[name].u)
                kept[name]["v"].append(populations[name].v)
            elif isinstance(node, Quantiser):
                sent[name] = node.apply(total[None])[0]
            elif isinstance(node, StepDelay):
                sent[name] = node.step(lines[name], total[None])[0]
            else:
                assert isinstance(node, Output)
                sent[name] = total
            kept[name]["out"].append(np.asarray(sent[name]))
    return {name: {key: np.array(values) for key, values in one.items() if values} for name, one in kept.items()}


class Integers:
    """Lava's LIF (lava.proc.lif.models, fixed_pt) with the numbers of a Neuron; nothing is rounded on the way."""

    def __init__(self, node: Neuron) -> None:
        assert np.all(node.w_in == 1)
        assert np.all(node.gain == 1)
        self.keep_u, self.keep_v = _whole(4096 * node.decay_u), _whole(4096 * node.decay_v)
        self.theta = _whole(node.threshold) << 6
        self.bias_u, self.bias_v = _whole(64 * node.bias_u), _whole(64 * node.bias_v)
        self.node = node
        self.u = self.v = np.zeros(node.shape, dtype=np.int64)

    def step(self, total: Array) -> Array:
        """What is sent for a weighted sum, a multiple of 1/64: spikes, or the voltage / 64."""
        self.u = wrap_current(rsz(self.u * self.keep_u, 12) + _whole(64 * total) + self.bias_u)
        v = clip_voltage(rsz(self.v * self.keep_v, 12) + self.u + self.bias_v)
        spikes = v > self.theta
        graded = self.node.emit is Emit.STATE
        self.v = v if graded else np.where(spikes, 0, v)
        return v / 64 if graded else spikes.astype(np.int64)


def _whole(values: Array) -> Array:
    whole = np.rint(values)
    assert np.array_equal(values, whole)
    return np.asarray(whole, dtype=np.int64)


def slayer_networks() -> dict[str, tuple[list[dict[str, Any]], Array]]:
    """Small networks of every kind of layer, with inputs (T, *shape)."""
    rng = np.random.default_rng(7)

    def even(*shape: int, most: int = 120) -> Array:
        return 2 * rng.integers(-most // 2, most // 2 + 1, shape)

    def lif(**changes: Any) -> dict[str, Any]:
        return {**LIF, **changes}

    def spikes(*shape: int, share: float = 0.4) -> Array:
        return (rng.random((24, *shape)) < share).astype(np.float64)

    return {
        "dense": ([
            dense(even(9, 12), bias=even(9, most=20), delay=rng.integers(0, 9, 9).astype(np.float32)),
            dense(even(7, 9), lif(iDecay=rng.integers(300, 3000, 7), vDecay=rng.integers(0, 900, 7))),
            dense(even(5, 7), lif(weight_exp=np.array([1.0]), vThMant=40), bias=even(5, most=20)),
        ], spikes(12)),
        "recurrent": ([
            {**dense(even(8, 10)), "type": "dense_rec", "weight_rec": even(8, 8).astype(np.float32),
             "bias": even(8, most=20), "delay": rng.integers(0, 5, 8).astype(np.float32)},
            dense(even(6, 8)),
        ], spikes(10)),
        "conv": ([
            inputs(2, 9, 8),
            conv((4, 5, 4), even(4, 2, 3, 3), stride=2, padding=1, bias=even(4, most=20)),
            conv((6, 5, 4), even(6, 2, 2, 2), padding=1, dilation=2, groups=2,
                 delay=rng.integers(0, 6, 6).astype(np.float32)),
            {"type": "flatten", "shape": np.array([120, 1, 1])},
            dense(even(3, 120, most=40)),
        ], spikes(2, 9, 8)),
        "pool": ([
            inputs(2, 8, 10),
            conv((3, 7, 9), even(3, 2, 2, 2)),
            conv((3, 4, 5), np.full((1, 1, 2, 2), 64), stride=2, kind="pool", neuron=lif(vThMant=150)),
            conv((3, 2, 3), np.full((1, 1, 2, 1), 64), stride=2, kind="pool", neuron=lif(vThMant=100, iDecay=4096)),
            {"type": "flatten", "shape": np.array([18, 1, 1])},
            dense(even(4, 18), lif(vThMant=(1 << 18) - 1)),
        ], spikes(2, 8, 10)),
        "tall pool": ([
            inputs(2, 9, 8),
            conv((2, 9, 4), np.full((1, 1, 3, 3), 64), kind="pool", stride=1, padding=1, neuron=lif(vThMant=300))
            | {"stride": np.array([1, 3])},
        ], spikes(2, 9, 8)),
        "transposed": ([
            inputs(4, 3, 4),
            conv((4, 6, 8), np.full((1, 1, 2, 2), 64), stride=2, kind="unpool", neuron=lif(vThMant=120)),
            conv((6, 6, 8), even(4, 3, 3, 3), padding=1, groups=2, kind="convT"),
            conv((2, 13, 17), even(6, 2, 3, 3), stride=2, kind="convT"),
        ], spikes(4, 3, 4)),
        "encoder": ([
            inputs(2, 6, 5, weight=np.float32(44), bias=np.float32(-6),
                   neuron=lif(iDecay=2048, vDecay=1024, vThMant=64)),
            conv((3, 4, 3), even(3, 2, 3, 3)),
        ], np.repeat(rng.integers(-30, 128, (1, 2, 6, 5)) / 32.0, 24, axis=0)),
    }
