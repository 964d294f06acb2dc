"""The networks that are measured: two with random weights, and those of other projects, with seeded inputs.

Random weights are scaled so that hidden neurons spike in about one step of twenty, as trained networks do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np

import loihic
from loihic.program import Program

SHARED = Path(os.environ.get("LOIHIC_SHARED_DATA", Path(__file__).resolve().parents[2] / ".." / "shared" / "data"))
DENSITY = 0.05  # of input spikes


@dataclass(frozen=True)
class Case:
    """A compiled network and what it runs on.

    Attributes:
        name: for the table.
        program: compiled.
        spikes: inputs (samples, T, *shape) uint8 of its only input, for a number of samples and of steps.
        lava_steps: how many steps Lava is given; it is slow.
        steps: how many steps are simulated in one go.
    """

    name: str
    program: Program
    spikes: Callable[[int, int], np.ndarray]
    lava_steps: int
    steps: int


def random_spikes(shape: tuple[int, ...], samples: int, steps: int, density: float = DENSITY) -> np.ndarray:
    """Seeded independent spikes."""
    rng = np.random.default_rng(1)
    return (rng.random((samples, steps, *shape), dtype=np.float32) < density).astype(np.uint8)


def cuba(shape: tuple[int, ...]) -> nir.CubaLIF:
    """Neurons with 5 ms and 10 ms, at steps of 1 ms."""
    return nir.CubaLIF(tau_syn=np.full(shape, 5e-3), tau_mem=np.full(shape, 1e-2), r=np.full(shape, 10.0),
                       v_leak=np.zeros(shape), v_threshold=np.ones(shape), w_in=np.ones(shape))


def chain(nodes: dict[str, nir.NIRNode]) -> nir.NIRGraph:
    """A graph without branches."""
    names = list(nodes)
    return nir.NIRGraph(nodes=nodes, edges=list(pairwise(names)))


def dense(gains: tuple[float, ...] = (1.9, 1.5, 1.5)) -> Program:
    """700-256-256-20."""
    rng, sizes = np.random.default_rng(0), (700, 256, 256, 20)
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input({"input": np.array(sizes[:1])})}
    for i, gain in enumerate(gains):
        before, after = sizes[i : i + 2]
        weight = rng.normal(0.02, 1.0, (after, before)) * gain / np.sqrt(before)
        nodes |= {f"fc{i}": nir.Linear(weight=weight.astype(np.float32)), f"lif{i}": cuba((after,))}
    return loihic.compile(chain({**nodes, "output": nir.Output({"output": np.array(sizes[-1:])})}), dt=1e-3)


def convolutional(gains: tuple[float, ...] = (0.42, 0.30, 0.06)) -> Program:
    """16x16x2-8c-16c-10, kernels 3x3."""
    rng = np.random.default_rng(0)
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input({"input": np.array([2, 16, 16])})}
    for i, (before, after) in enumerate(((2, 8), (8, 16))):
        kernel = rng.normal(0.05, 1.0, (after, before, 3, 3)) * gains[i]
        nodes[f"conv{i}"] = nir.Conv2d(input_shape=(16, 16), weight=kernel.astype(np.float32), stride=1, padding=1,
                                       dilation=1, groups=1, bias=np.zeros(after, dtype=np.float32))
        nodes[f"lif{i}"] = cuba((after, 16, 16))
    nodes["flat"] = nir.Flatten({"input": np.array([16, 16, 16])}, start_dim=0, end_dim=-1)
    nodes["fc"] = nir.Linear(weight=(rng.normal(0.02, 1.0, (10, 4096)) * gains[2]).astype(np.float32))
    nodes |= {"lif2": cuba((10,)), "output": nir.Output({"output": np.array([10])})}
    return loihic.compile(chain(nodes), dt=1e-3)


def recorded_frames(samples: int, steps: int) -> np.ndarray:
    """PilotNet's recorded input, (24, 3, 66, 200), repeated for as long as is asked for."""
    frames = np.load(SHARED / "netx" / "pilotnet_lif" / "input.npy").transpose(3, 2, 1, 0).astype(np.uint8)
    return np.broadcast_to(frames[np.arange(steps) % len(frames)], (samples, steps, *frames.shape[1:]))


def cases(names: list[str]) -> list[Case]:
    """The cases of some names, all of them by default; those whose file is missing are left out."""
    found = {
        "dense": lambda: Case("700-256-256-20 LIF", dense(), partial(random_spikes, (700,)), 1000, 1000),
        "conv": lambda: Case("16x16x2-8c-16c-10 LIF", convolutional(), partial(random_spikes, (2, 16, 16)), 1000, 1000),
        "pilotnet": lambda: Case("PilotNet LIF", loihic.compile(SHARED / "netx" / "pilotnet_lif" / "network.net"),
                                 recorded_frames, 24, 96),
        "cnn_sinabs": lambda: Case("cnn_sinabs", loihic.compile(SHARED / "nir" / "cnn_sinabs.nir"),
                                   partial(random_spikes, (2, 34, 34)), 100, 300),
        "braille": lambda: Case("Braille, recurrent",
                                loihic.compile(SHARED / "nir" / "braille_noDelay_bias_zero.nir", dt=1e-4),
                                partial(random_spikes, (12,)), 1000, 1000)}
    given = names or [name for name in found if name in ("dense", "conv") or SHARED.is_dir()]
    return [found[name]() for name in given]
