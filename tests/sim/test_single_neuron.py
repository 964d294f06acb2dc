"""The single neuron of NIR's paper: its exact solution, and the trace of a Loihi 2 chip."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import loihic
from loihic.ir.graph import Edge, Fact, Graph
from loihic.ops.compartment import Compartment
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.source import Sink, Source
from loihic.ops.synapse import SignMode
from loihic.sim.simulator import simulate


def test_spikes_of_the_exact_solution(shared_data: Path) -> None:
    rows = np.loadtxt(shared_data / "nir" / "lif_exact.csv", delimiter=",")
    exact = np.flatnonzero(rows[:, 2])
    program = loihic.compile(shared_data / "nir" / "lif_norse.nir", dt=1e-4)
    x = rows[:, :1]
    for found in (program.run_float(x)["output"][0], program.run(x).outputs["output"][0]):
        steps = np.flatnonzero(found)
        assert len(steps) == len(exact) == 4
        assert np.abs(steps - exact).max() <= 1


def test_trace_of_a_chip(shared_data: Path) -> None:
    rows = np.loadtxt(shared_data / "nir" / "lif_lava_loihi_fixed.csv", delimiter=",")
    given, voltage, spikes = rows.T
    one = (1,)
    nodes = {
        "in": Source(shape=one),
        "w": DenseSynapse(in_shape=one, out_shape=one, weights=np.array([[10]]), sign_mode=SignMode.EXCITATORY),
        "lif": Compartment(shape=one, du=np.array(4095), dv=np.array(163), vth=np.array(25)),
        "out": Sink(shape=one)}
    graph = Graph(nodes=nodes, edges=(Edge(src="in", dst="w"), Edge(src="w", dst="lif"), Edge(src="lif", dst="out")),
                  shapes=dict.fromkeys(nodes, one), facts=frozenset({Fact.INTEGER, Fact.TIMED}))
    x = given.reshape(1, -1, 1).astype(np.int64)
    steps = x.shape[1]
    outputs, recorded = simulate(graph, {"in": x}, steps, record=[("lif", "v"), ("lif", "u")])
    found, v = outputs["out"].reshape(-1), recorded["lif", "v"].reshape(-1)
    # The chip's log and ours count the hop from input to neuron alike: index t is hardware step t.
    assert np.sum(found == spikes) == 1000
    assert np.sum(v == voltage) == 996
    assert np.all(voltage[found == 1] == 128)
    assert np.all(v[found == 1] == 0)
