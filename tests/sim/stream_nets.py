"""Small programs with everything that a run has to carry along from one part of its input to the next."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import nir
import numpy as np

import loihic
from loihic.ops.source import Source
from loihic.program import Program


@cache
def two_ends() -> Program:
    """3 inputs; an output after one population, another after a second and a Delay of several lengths."""
    rng = np.random.default_rng(0)
    ones = np.ones(4)
    nodes = {
        "input": nir.Input(np.array([3])),
        "fc": nir.Affine(rng.random((4, 3)) * 60 - 20, rng.normal(size=4)),
        "lif": nir.LIF(tau=ones * 0.01, r=ones, v_leak=ones * 0, v_threshold=ones * 0.1),
        "early": nir.Output(np.array([4])),
        "wait": nir.Delay(np.array([0.0, 1, 2, 3]) * 1e-4),
        "out": nir.Linear(rng.random((2, 4)) * 4 - 1),
        "last": nir.CubaLIF(tau_syn=np.full(2, 4e-4), tau_mem=np.full(2, 8e-4), r=np.ones(2), v_leak=np.zeros(2),
                            v_threshold=np.ones(2) * 0.1, w_in=np.ones(2)),
        "late": nir.Output(np.array([2])),
    }
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "early"), ("lif", "wait"), ("wait", "out"), ("out", "last"),
             ("last", "late")]
    return loihic.compile(nir.NIRGraph(nodes, edges), dt=1e-4, placement="linear")


@cache
def told_changes() -> Program:
    """The same, told of changes of at least 3 in levels from -20 to 20."""
    program = two_ends()
    nodes = {name: replace(node, low=-20, high=20, delta=True, vth=3) if isinstance(node, Source) else node
             for name, node in program.graph.nodes.items()}
    return replace(program, graph=program.graph.with_(nodes=nodes))


def random_input(program: Program, steps: int, samples: int = 2, seed: int = 0) -> np.ndarray:
    """Whole numbers over the program's range, (samples, steps, 3)."""
    (source,) = program.inputs.values()
    rng = np.random.default_rng(seed)
    return rng.integers(source.low, source.high, endpoint=True, size=(samples, steps, *source.shape))
