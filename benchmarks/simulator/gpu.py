"""Throughput of batches on a GPU: torch on CUDA against torch on the CPU, and against the compiled kernels.

Usage: python gpu.py [--batches 256 1024 4096 8192] [--steps 100] [--seeds 200] [--no-fuse] [--json FILE] ...

Needs torch, numpy and scipy; without an installed loihic, PYTHONPATH must name the repository. Networks have random
8-bit weights, and thresholds at which neurons spike in about one step of twenty. Times are those of `advance`, spikes
from the host and outputs to it included, the best of a few runs after one that compiles. The first samples of every run
must be what numpy computes; before that, random graphs with extremes of every kind are run on each device and compared
likewise.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from loihic.ir.graph import Edge, HardwareGraph
from loihic.ir.node import HardwareNode
from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.population import Population
from loihic.ops.source import Sink, Source
from loihic.ops.synapse import Synapse
from loihic.sim.engine import Engine
from loihic.sim.run import begin
from loihic.sim.simulator import NumpyEngine
from loihic.sim.torch_engine import TorchEngine

DENSITY = 0.05  # of input spikes, and of those of neurons
CHECKED = 8  # samples that are compared with numpy
THRESHOLD_MAX = (1 << 17) - 1


@dataclass(frozen=True)
class Way:
    """An engine on a device: `torch`, `flat` or `numpy`, and where."""

    engine: str
    device: str = "cpu"

    def begin(self, graph: HardwareGraph, batch: int, steps: int, fuse: bool | None) -> Engine:
        if self.engine == "torch":
            return TorchEngine(graph, batch, device=self.device, fuse=fuse if self.device != "cpu" else None)
        return begin(graph, batch, engine=self.engine, steps=steps)


def main() -> None:
    """Prints a table, and writes it as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[256, 1024, 4096, 8192])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--cpu-samples", type=int, default=1024, help="largest batch for CPUs, which are slow")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=200, help="number of random graphs that are compared")
    parser.add_argument("--fused-seeds", type=int, default=4, help="of them with compiled neurons, on the GPU; slow")
    parser.add_argument("--no-fuse", action="store_true", help="neurons in single operations, not compiled")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())][:1]
    about = {"gpu": torch.cuda.get_device_name(0) if gpus else None, "torch": torch.__version__,
             "cpu": f"{platform.machine()}, torch takes {torch.get_num_threads()} threads"}
    print(*(f"{key}: {value}" for key, value in about.items()), sep="\n")
    checked = {device: check(device, arguments.seeds, fuse=False) for device in ("cpu", *gpus)}
    checked |= {f"{device}, compiled": check(device, arguments.fused_seeds, fuse=True) for device in gpus
                if not arguments.no_fuse}
    print(*(f"{device}: {number} random graphs equal numpy's" for device, number in checked.items()), sep="\n")
    ways = [*(Way("torch", device) for device in gpus), Way("torch"), Way("flat" if find_spec("numba") else "numpy")]
    fuse = False if arguments.no_fuse else None
    rows = [measured(label, graph, way, batch, arguments.steps, arguments.repeats, fuse)
            for label, graph in networks().items() for way in ways for batch in arguments.batches
            if way.device != "cpu" or batch <= arguments.cpu_samples]
    print_table(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps({"about": about, "random_graphs": checked, "rows": rows}, indent=2))


def check(device: str, seeds: int, *, fuse: bool) -> int:
    """Run random graphs on a device and on numpy; ends the program where they differ."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "sim"))
    from hardware_wiring import random_net

    for seed in range(seeds):
        graph, inputs, steps = random_net(seed, samples=4, steps=20 if fuse else None)
        ours = TorchEngine(graph, 4, device=device, fuse=fuse)
        reference = NumpyEngine(graph, 4)
        same(ours.advance(inputs, steps).outputs, reference.advance(inputs, steps).outputs, f"seed {seed} on {device}")
        states = reference.checkpoint().states
        for name, found in ours.checkpoint().states.items():
            same(dict(found), dict(states[name]), f"seed {seed} on {device}, {name}")
    return seeds


def same(ours: dict[str, np.ndarray], wanted: dict[str, np.ndarray], what: str) -> None:
    """Ends the program where two sets of arrays differ."""
    if any(not np.array_equal(ours[name], values) for name, values in wanted.items()):
        sys.exit(f"{what}: not what numpy computes")


def networks() -> dict[str, HardwareGraph]:
    """By name, with thresholds fitted to the spikes of `spikes`."""
    rng = np.random.default_rng(0)

    def full(into: tuple[int, ...], out: int) -> DenseSynapse:
        columns = int(np.prod(into))
        return DenseSynapse(in_shape=into, out_shape=(out,), weights=weights(rng, (out, columns), columns))

    def kernel(into: tuple[int, int, int], out: int) -> ConvSynapse:
        return ConvSynapse(in_shape=into, out_shape=(out, *into[1:]), padding=(1, 1),
                           kernel=weights(rng, (out, into[0], 3, 3), into[0] * 9))

    return {
        "700-256-256-20 LIF": chain((700,), [full((700,), 256), full((256,), 256), full((256,), 20)]),
        "16x16x2-8c-16c-10 LIF": chain((2, 16, 16), [kernel((2, 16, 16), 8), kernel((8, 16, 16), 16),
                                                     full((16, 16, 16), 10)])}


def weights(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """Even mantissas of 8 bits, a bit more of them positive; smaller where sums have more of them."""
    spread = min(60.0, 60.0 * np.sqrt(128 / fan_in))
    return np.clip(np.rint(rng.normal(0.1, 1.0, shape) * spread / 2) * 2, -254, 254).astype(np.int64)


def chain(into: tuple[int, ...], synapses: list[Synapse]) -> HardwareGraph:
    """A network without branches; each threshold is the voltage that one of twenty exceeds without it."""
    nodes: dict[str, HardwareNode] = {"in": Source(shape=into)}
    shapes, edges, last = {"in": into}, [], "in"
    for index, synapse in enumerate(synapses):
        here = {f"w{index}": synapse,
                f"n{index}": Compartment(shape=synapse.out_shape, du=np.array(819), dv=np.array(410),
                                         vth=np.array(THRESHOLD_MAX))}
        nodes |= here
        shapes |= dict.fromkeys(here, synapse.out_shape)
        edges += [Edge(src=last, dst=f"w{index}"), Edge(src=f"w{index}", dst=f"n{index}")]
        last = f"n{index}"
        nodes[last] = fitted(HardwareGraph(nodes=nodes, edges=tuple(edges), shapes=shapes), last)
    nodes["out"], shapes["out"] = Sink(shape=shapes[last]), shapes[last]
    return HardwareGraph(nodes=nodes, edges=(*edges, Edge(src=last, dst="out")), shapes=shapes)


def fitted(graph: HardwareGraph, name: str) -> Population:
    """The population with a threshold."""
    x = spikes(graph, 4, 40)
    v = NumpyEngine(graph, 4, record=[(name, "v")]).advance({"in": x}, 40).recorded[name, "v"]
    node = graph.nodes[name]
    assert isinstance(node, Compartment)
    return replace(node, vth=np.array(np.clip(int(np.quantile(v[:, 10:], 1 - DENSITY)) >> 6, 1, THRESHOLD_MAX)))


def spikes(graph: HardwareGraph, samples: int, steps: int) -> np.ndarray:
    """Seeded independent spikes, (samples, steps, *shape) uint8."""
    shape = graph.shapes["in"]
    rng = np.random.default_rng(1)
    return (rng.random((samples, steps, *shape), dtype=np.float32) < DENSITY).astype(np.uint8)


def measured(label: str, graph: HardwareGraph, way: Way, batch: int, steps: int, repeats: int, fuse: bool | None
             ) -> dict[str, Any]:
    """Samples times steps in a second."""
    x = spikes(graph, batch, steps)
    begun = time.perf_counter()
    engine = way.begin(graph, batch, steps, fuse)
    outputs = engine.advance({"in": x}, steps).outputs
    first = time.perf_counter() - begun
    wanted = NumpyEngine(graph, min(CHECKED, batch)).advance({"in": x[:CHECKED]}, steps).outputs
    same({name: values[:CHECKED] for name, values in outputs.items()}, wanted, f"{label}, {way}")
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        engine.advance({"in": x}, steps)
        times.append(time.perf_counter() - begun)
    name = type(engine).__name__ + (f" on {way.device}" if way.engine == "torch" else "")
    row = {"network": label, "engine": name, "way": way.engine, "device": way.device, "batch": batch, "steps": steps,
           "throughput": batch * steps / min(times), "first_seconds": first, "spikes": int(outputs["out"].sum())}
    print(f"{label}, {name}, batch {batch}: {row['throughput']:.3g} samples*steps/s", flush=True)
    return row


def print_table(rows: list[dict[str, Any]]) -> None:
    """One line a measurement, with ratios to the best that the CPU does by torch and by the kernels."""
    print("\n| network | engine | batch | samples x steps per s | x torch on the CPU | x kernels | first run s |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        ratios = []
        for torch_ in (True, False):
            most = max((other["throughput"] for other in rows if other["network"] == row["network"]
                        and (other["way"] == "torch") is torch_ and other["device"] == "cpu"), default=float("nan"))
            ratios.append(f"{row['throughput'] / most:.2f}")
        print(f"| {row['network']} | {row['engine']} | {row['batch']} | {row['throughput']:.3g} | {' | '.join(ratios)} "
              f"| {row['first_seconds']:.1f} |")


if __name__ == "__main__":
    main()
