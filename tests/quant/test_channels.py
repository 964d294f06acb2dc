"""Channels of very different sizes: graded messages get units of their own, which the weights behind take up."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import loihic
from loihic.ops.compartment import Compartment
from loihic.ops.traits import Emit
from loihic.targets.lava.runner import lava_version


def outliers(conv: bool) -> nir.NIRGraph:
    """An integrator whose channels differ by three orders of magnitude, undone by the weights behind."""
    rng = np.random.default_rng(0)
    gain = np.logspace(-2, 1, 6)
    one = np.ones(4)
    if conv:
        first = nir.Conv2d((5, 5), rng.normal(size=(6, 2, 3, 3)) * gain[:, None, None, None], 1, 0, 1, 1, np.zeros(6))
        second = nir.Conv2d((3, 3), rng.normal(size=(4, 6, 3, 3)) / gain[None, :, None, None], 1, 0, 1, 1, np.zeros(4))
        shapes = (2, 5, 5), (6, 3, 3), (4, 1, 1)
    else:
        first, second = nir.Linear(rng.normal(size=(6, 8)) * gain[:, None]), nir.Linear(rng.normal(size=(4, 6)) / gain)
        shapes = (8,), (6,), (4,)
    full = np.ones(shapes[1])
    nodes = {
        "in": nir.Input({"input": np.array(shapes[0])}), "a": first,
        "li": nir.LI(tau=5 * full, r=full, v_leak=0 * full), "b": second,
        "last": nir.LI(tau=3 * one.reshape(shapes[2]), r=one.reshape(shapes[2]), v_leak=0 * one.reshape(shapes[2])),
        "out": nir.Output({"output": np.array(shapes[2])})}
    edges = [("in", "a"), ("a", "li"), ("li", "b"), ("b", "last"), ("last", "out")]
    return nir.NIRGraph(nodes=nodes, edges=edges, type_check=False)


def error(program: loihic.Program, x: np.ndarray) -> float:
    wanted, made = program.run_float(x)["out"], program.dequantise(program.run(x).outputs)["out"]
    return float(np.sqrt(np.mean((made - wanted) ** 2) / np.mean(wanted**2)))


@pytest.mark.parametrize("conv", [False, True])
def test_outlier_channels_do_not_drown_the_others(conv: bool) -> None:
    graph = outliers(conv)
    shape = (2, 5, 5) if conv else (8,)
    x = (np.random.default_rng(1).random((4, 150, *shape)) < 0.3).astype(float)
    shared = error(loihic.compile(graph, dt=1.0, neuron_scales=False), x)
    own = loihic.compile(graph, dt=1.0)
    assert error(own, x) < 0.03
    assert error(own, x) < shared / 10
    li = own.graph.nodes["li"]
    assert isinstance(li, Compartment)
    assert li.emit is Emit.STATE
    assert np.unique(li.unit).size == 6


@pytest.mark.skipif(lava_version() is None, reason="Lava is not installed")
@pytest.mark.parametrize("conv", [False, True])
def test_lava_has_the_same_bits(conv: bool) -> None:
    verdict = loihic.compile(outliers(conv), dt=1.0, golden_steps=30).verify()
    assert verdict.agrees, verdict.lines


def test_what_the_host_reads_has_one_unit() -> None:
    program = loihic.compile(outliers(conv=False), dt=1.0)
    last = program.graph.nodes["last"]
    assert isinstance(last, Compartment)
    assert last.unit.size == 1
