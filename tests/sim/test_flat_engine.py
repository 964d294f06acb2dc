"""The compiled kernels against the numpy engine, which the operators' own steps make up."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hardware_nets import Net, hardware_nets, recordable
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

pytest.importorskip("numba")

from loihic.errors import InputError
from loihic.ir.graph import Edge, HardwareGraph
from loihic.ops.compartment import Compartment
from loihic.ops.conv import conv_map
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.source import Sink, Source
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.traits import Emit, Reset
from loihic.sim.engine import ARRIVING, Checkpoint, Stretch
from loihic.sim.flat.arena import UnsuitableError
from loihic.sim.flat.engine import FlatEngine
from loihic.sim.simulator import NumpyEngine

SEVERAL = settings(max_examples=60, deadline=None)


def flat(net: Net, **choices: Any) -> FlatEngine:
    return FlatEngine(net.graph, samples(net), record=recordable(net.graph), **choices)


def slow(net: Net, **choices: Any) -> NumpyEngine:
    return NumpyEngine(net.graph, samples(net), record=recordable(net.graph), **choices)


def samples(net: Net) -> int:
    return next((len(values) for values in net.inputs.values()), 1)


def between(net: Net, first: int, last: int) -> dict[str, np.ndarray]:
    return {name: values[:, first:last] for name, values in net.inputs.items()}


def assert_equal(ours: Stretch, wanted: Stretch) -> None:
    for found, expected in ((ours.outputs, wanted.outputs), (ours.recorded, wanted.recorded)):
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            np.testing.assert_array_equal(found[key], values, err_msg=str(key))  # type: ignore[index]


def assert_same_state(ours: Checkpoint, wanted: Checkpoint) -> None:
    assert ours.step == wanted.step
    for name, states in wanted.states.items():
        for state, values in states.items():
            # What arrives counts in 32 bits: every population wraps it to that or less.
            expected = values.astype(np.int32) if state == ARRIVING else values
            np.testing.assert_array_equal(ours.states[name][state], expected, err_msg=f"{name}.{state}")


@SEVERAL
@given(hardware_nets(wide=False), st.integers(1, 3), st.booleans())
def test_every_bit_is_that_of_numpy(net: Net, threads: int, products: bool) -> None:
    ours, theirs = flat(net, threads=threads, count=True), slow(net, count=True)
    if products:  # however sparse it is
        for product in ours.products:
            product.__dict__["breakeven"] = -1.0
    cut = net.steps // 2  # products are chosen by the stretch before
    for first, last in ((0, cut), (cut, net.steps)):
        inputs = between(net, first, last)
        assert_equal(ours.advance(inputs, last - first), theirs.advance(inputs, last - first))
    assert_same_state(ours.checkpoint(), theirs.checkpoint())
    for name, counted in theirs.sent.items():
        np.testing.assert_array_equal(ours.sent[name], counted, err_msg=name)


@SEVERAL
@given(hardware_nets(wide=False), st.data())
def test_either_engine_goes_on_from_the_other(net: Net, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, net.steps))
    ours, theirs = flat(net, threads=1), slow(net)
    for engine in (ours, theirs):
        engine.advance(between(net, 0, cut), cut)
    rest = between(net, cut, net.steps), net.steps - cut
    wanted = slow(net, at=theirs.checkpoint()).advance(*rest)
    assert_equal(theirs.advance(*rest), wanted)
    assert_equal(flat(net, at=slow_checkpoint(net, cut), threads=1).advance(*rest), wanted)
    assert_equal(slow(net, at=ours.checkpoint()).advance(*rest), wanted)


def slow_checkpoint(net: Net, cut: int) -> Checkpoint:
    engine = slow(net)
    engine.advance(between(net, 0, cut), cut)
    return engine.checkpoint()


@settings(max_examples=30, deadline=None)
@given(hardware_nets(wide=True))
def test_numbers_that_do_not_fit_are_refused_or_right(net: Net) -> None:
    try:
        ours = flat(net, threads=1)
    except UnsuitableError:
        return
    assert_equal(ours.advance(net.inputs, net.steps), slow(net).advance(net.inputs, net.steps))


def large_net(seed: int) -> tuple[HardwareGraph, dict[str, np.ndarray]]:
    """A map of several tiles behind an odd convolution, a dense synapse from it, and a loop."""
    rng = np.random.default_rng(seed)
    groups = int(rng.choice([1, 1, 2]))
    into, outs = (2 * groups, int(rng.integers(9, 20)), int(rng.integers(9, 20))), int(rng.integers(1, 5)) * 2 * groups
    stride, spread, pad = ((int(rng.integers(low, 4)), int(rng.integers(low, 4))) for low in (1, 1, 0))
    conv = conv_map(into, rng.integers(-40, 90, (outs, 2, 3, 2)), stride, pad, spread, groups)
    shape, size = conv.out_shape, int(np.prod(conv.out_shape))
    first = ConvSynapse(in_shape=into, out_shape=shape, kernel=conv.kernel.astype(np.int64), stride=stride, padding=pad,
                        dilation=spread, groups=groups)
    back = rng.integers(-100, 60, (size, size)) * (rng.random((size, size)) < 0.02)
    sparse = csr_matrix(back)
    loop = SparseSynapse(in_shape=shape, out_shape=shape, data=sparse.data, indices=sparse.indices,
                         indptr=sparse.indptr)
    dense = DenseSynapse(in_shape=shape, out_shape=(300,), weights=rng.integers(-90, 120, (300, size)), exponent=-2)

    def neurons(shape: tuple[int, ...], emit: Emit) -> Compartment:
        theta = np.asarray(int(rng.integers(9, 60)))
        return Compartment(shape=shape, du=np.asarray(2000), dv=np.asarray(300), vth=theta, emit=emit,
                           stock=emit is Emit.SPIKE, reset=Reset.ZERO, out_shift=6)

    nodes = {"in": Source(shape=into, high=3), "conv": first, "map": neurons(shape, Emit.SPIKE), "loop": loop,
             "dense": dense, "wide": neurons((300,), Emit.STATE if seed % 2 else Emit.SPIKE), "out": Sink(shape=(300,))}
    pairs = [("in", "conv"), ("conv", "map"), ("map", "loop"), ("loop", "map"), ("map", "dense"), ("dense", "wide"),
             ("wide", "out")]
    shapes = {"in": into, "conv": shape, "map": shape, "loop": shape, "dense": (300,), "wide": (300,), "out": (300,)}
    graph = HardwareGraph(nodes=nodes, edges=tuple(Edge(src=a, dst=b) for a, b in pairs), shapes=shapes)
    x = rng.integers(0, 4, (3, 40, *into)) * (rng.random((3, 40, *into)) < rng.choice([0.02, 0.3]))
    return graph, {"in": x}


@pytest.mark.parametrize("seed", range(8))
def test_populations_of_several_tiles(seed: int) -> None:
    graph, inputs = large_net(seed)
    ours, theirs = (kind(graph, 3, record=[("map", "v"), ("wide", "u")]) for kind in (FlatEngine, NumpyEngine))
    for cut in (slice(0, 13), slice(13, 40)):
        part = {name: values[:, cut] for name, values in inputs.items()}
        steps = cut.stop - cut.start
        assert_equal(ours.advance(part, steps), theirs.advance(part, steps))
    assert any(values.any() for values in theirs.checkpoint().states["wide"].values())


def test_a_population_of_no_neurons_is_left_to_numpy() -> None:
    graph, _ = large_net(0)
    nodes = {**graph.nodes, "none": Compartment(shape=(0,), du=np.asarray(0), dv=np.asarray(0), vth=np.asarray(1))}
    with pytest.raises(UnsuitableError, match="none has no elements"):
        FlatEngine(graph.with_(nodes=nodes, shapes={**graph.shapes, "none": (0,)}), 1)


def test_a_stretch_that_was_broken_off_is_not_gone_on_with() -> None:
    graph, inputs = large_net(0)
    engine = FlatEngine(graph, 3)
    with pytest.raises(InputError, match="input in holds a number of more than 32 bits"):
        engine.advance({"in": inputs["in"] << 32}, 40)
    with pytest.raises(RuntimeError, match="broken off"):
        engine.advance(inputs, 40)


def test_kernels_run_where_nothing_can_be_kept() -> None:
    """Each in a process of its own, since the folder is chosen at import."""
    program = ("import numpy as np\nfrom loihic.sim.flat import jit, kernels\nassert jit.CACHE is None\n"
               "ends, out = np.array([0, 2]), np.zeros(4, dtype=np.int64)\n"
               "kernels.count(np.array([1, 3], dtype=np.int32), ends, 0, np.arange(4), out)\nassert out.sum() == 2\n")
    environment = {**os.environ, "LOIHIC_CACHE": os.devnull}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, timeout=120)
