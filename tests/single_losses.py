"""Small programs with no loss, or with exactly one kind of loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import nir
import numpy as np

import loihic
from loihic.program import Program
from loihic.sim.emulate import LossKind

SIZE = 6


def chain(*nodes: Any, size: int, out: int) -> nir.NIRGraph:
    """Nodes n0, n1, ... one behind the other between an Input of `size` and an Output of `out` elements."""
    names = ["input", *(f"n{i}" for i in range(len(nodes))), "output"]
    ports = nir.Input(np.array([size])), nir.Output(np.array([out]))
    return nir.NIRGraph(dict(zip(names, (ports[0], *nodes, ports[1]), strict=True)), list(pairwise(names)),
                        type_check=False)


def lif(size: int, threshold: float | np.ndarray = 8.0) -> nir.LIF:
    """With dt = 1: v = 7/8 v + input, a decay that the chip has."""
    ones = np.ones(size)
    return nir.LIF(tau=8 * ones, r=8 * ones, v_leak=0 * ones, v_threshold=threshold * ones)


def exact() -> Program:
    """n0 -> n1 -> n2 -> n3: weights 1, decays 7/8, thresholds 8 and 1; nothing is lost."""
    net = chain(nir.Linear(np.ones((SIZE, 4))), lif(SIZE), nir.Linear(np.ones((3, SIZE))), lif(3, 1.0), size=4, out=3)
    return loihic.compile(net, dt=1.0, neuron_scales=False)


def with_source(program: Program, name: str, **changes: Any) -> Program:
    """The same integers, said to come from a float network that is different at one node."""
    nodes = {**program.source.nodes, name: replace(program.source.nodes[name], **changes)}
    return replace(program, source=program.source.with_(nodes=nodes))


def off(kind: LossKind, name: str = "n1") -> Program:
    """`exact`, whose integers are off by a few parts in a hundred in one kind of parameter of n1."""
    program = exact()
    node = program.source.nodes[name]
    changed: dict[LossKind, Callable[[], dict[str, Any]]] = {
        LossKind.DECAY: lambda: {"decay_v": node.decay_v - 0.02},
        LossKind.THRESHOLD: lambda: {"threshold": node.threshold * 0.96},
        LossKind.BIAS: lambda: {"bias_v": node.bias_v + 0.05},
    }
    if kind is LossKind.WEIGHTS:
        linear = program.source.nodes["n0"].linear
        return with_source(program, "n0", linear=linear.scaled(np.linspace(0.95, 1.05, SIZE)))
    return with_source(program, name, **changed[kind]())


def saturating() -> tuple[Program, dict[str, np.ndarray]]:
    """An integrator that is inhibited until its voltage is clipped, then excited: the integers fire too early."""
    neuron = nir.IF(r=np.ones(1), v_threshold=np.full(1, 100.0))
    net = chain(nir.Linear(np.array([[-2.0, 64.0]])), neuron, size=2, out=1)
    x = np.zeros((1, 400, 2))
    x[:, :300, 0] = x[:, 300:, 1] = 1
    return loihic.compile(net, dt=1.0), {"input": x}


def coarse() -> Program:
    """One neuron's threshold of 100,000 leaves so few units for the others that truncating decays matter."""
    thresholds = np.where(np.arange(SIZE) == 0, 1e5, 11.0)
    net = chain(nir.Linear(np.ones((SIZE, 4))), lif(SIZE, thresholds), size=4, out=SIZE)
    return loihic.compile(net, dt=1.0, neuron_scales=False)


def late() -> Program:
    """Two populations in a loop that means one step and takes two."""
    rng = np.random.default_rng(5)
    neuron = {"r": np.ones(3), "v_threshold": np.full(3, 100.0)}

    def weights() -> nir.Linear:
        return nir.Linear(rng.integers(1, 80, (3, 3)).astype(float))

    nodes = {"input": nir.Input(np.array([3])), "fc": weights(), "a": nir.IF(**neuron), "there": weights(),
             "b": nir.IF(**neuron), "back": weights(), "output": nir.Output(np.array([3]))}
    edges = [("input", "fc"), ("fc", "a"), ("a", "there"), ("there", "b"), ("b", "back"), ("back", "a"),
             ("b", "output")]
    return loihic.compile(nir.NIRGraph(nodes, edges), dt=1.0, neuron_scales=False, allow_loop_delay=True)


def spikes(program: Program, samples: int = 4, steps: int = 60, density: float = 0.4) -> dict[str, np.ndarray]:
    """Seeded inputs of a program."""
    rng = np.random.default_rng(9)
    return {name: (rng.random((samples, steps, *shape)) < density).astype(float)
            for name, shape in program.input_shapes.items()}
