"""The simulator equals Lava bit for bit: every Process, random parameters, extremes; u, v and output of every step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loihic.ir.graph import Edge, HardwareGraph
from loihic.ir.node import HardwareNode
from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.delay_line import DelayLine
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.source import Sink, Source
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import SignMode, Synapse
from loihic.ops.traits import Emit, Reset
from loihic.quant.weights import grid
from loihic.sim.simulator import simulate
from loihic.targets.lava.backend import run_on_lava
from loihic.targets.lava.runner import lava_version

pytestmark = pytest.mark.skipif(lava_version() is None, reason="Lava is not installed")
Rng = np.random.Generator
MAP = (2, 5, 4)  # channels, height, width of the feature map behind the convolution


def weights(rng: Rng, shape: tuple[int, ...], mode: SignMode, bits: int, extreme: bool) -> np.ndarray:
    where = grid(mode, bits)
    if extreme:
        return rng.choice([where.low, 0, where.high], size=shape)
    return where.round(rng.uniform(where.low, where.high, size=shape))


def population(rng: Rng, shape: tuple[int, ...], stock: bool, extreme: bool) -> Compartment:
    def pick(low: int, high: int) -> np.ndarray:
        size = () if stock else shape
        return np.asarray(rng.choice([low, high], size=size) if extreme else rng.integers(low, high + 1, size=size))

    if stock:
        return Compartment(shape=shape, du=pick(0, 4095), dv=pick(0, 4095), vth=pick(0, 3000))
    return Compartment(
        shape=shape, du=pick(0, 4095), dv=pick(0, 4096), vth=pick(0, 3000), ibias_mant=pick(-4096, 4095),
        ibias_exp=pick(0, 7), vbias_mant=pick(-4096, 4095), vbias_exp=pick(0, 7), v_init=pick(-(2**22), 2**22),
        start=int(rng.integers(0, 6)), reset=Reset(rng.choice([r.value for r in Reset])),
        emit=Emit(rng.choice([e.value for e in Emit])), out_shift=int(rng.integers(0, 12)), stock=False)


def message_bits(node: HardwareNode) -> int:
    return 0 if isinstance(node, Compartment) and node.emit is Emit.SPIKE else 24


def random_network(seed: int, extreme: bool) -> tuple[HardwareGraph, dict[str, np.ndarray]]:
    """Source -> conv -> map -> dense -> vector, with recurrence, and a sparse shortcut behind a delay line."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    graded = bool(rng.integers(2))
    nodes: dict[str, HardwareNode] = {"in": Source(shape=(3, 7, 6), low=-100, high=100)}
    nodes["map"] = population(rng, MAP, bool(rng.integers(2)), extreme)
    nodes["vec"] = population(rng, (n,), bool(rng.integers(2)), extreme)
    nodes["conv"] = ConvSynapse(
        in_shape=(3, 7, 6), out_shape=MAP, kernel=weights(rng, (2, 3, 3, 3), SignMode.MIXED, 8, extreme),
        exponent=int(rng.choice([0, *range(-8, 8)])), message_bits=8 if graded else 0)
    mode = SignMode(rng.choice([m.value for m in SignMode]))
    bits = int(rng.integers(1, 9))
    exponents = rng.integers(-8, 8, size=4)

    def dense(rows: int, src: str, shape: tuple[int, ...], exponent: int) -> DenseSynapse:
        cols = int(np.prod(shape))
        return DenseSynapse(in_shape=shape, out_shape=(rows,), weights=weights(rng, (rows, cols), mode, bits, extreme),
                            exponent=int(exponent), num_weight_bits=bits, sign_mode=mode,
                            message_bits=message_bits(nodes[src]))

    nodes["dense"] = dense(n, "map", MAP, exponents[0])
    nodes["rec"] = dense(n, "vec", (n,), exponents[1])
    nodes["line"] = DelayLine(shape=MAP, steps=rng.integers(1, 5, size=MAP))
    keep = rng.random((n, 40)) < 0.3
    rows, cols = np.nonzero(keep)
    nodes["sparse"] = SparseSynapse(
        in_shape=MAP, out_shape=(n,), data=weights(rng, (len(rows),), SignMode.MIXED, 8, extreme), indices=cols,
        indptr=np.concatenate([[0], np.cumsum(keep.sum(axis=1))]), exponent=int(exponents[2]),
        message_bits=message_bits(nodes["map"]))
    nodes["out"] = Sink(shape=(n,))
    nodes["map_out"] = Sink(shape=MAP)
    pairs = [("in", "conv"), ("conv", "map"), ("map", "dense"), ("dense", "vec"), ("vec", "rec"), ("rec", "vec"),
             ("map", "line"), ("line", "sparse"), ("sparse", "vec"), ("vec", "out"), ("map", "map_out")]
    shapes = {name: node.out_shape if isinstance(node, Synapse) else node.shape  # type: ignore[attr-defined]
              for name, node in nodes.items()}
    graph = HardwareGraph(nodes=nodes, edges=tuple(Edge(src=a, dst=b) for a, b in pairs), shapes=shapes)
    density = float(rng.choice([0.0, 0.1, 1.0]))
    values = rng.integers(-100, 101, size=(2, 12, 3, 7, 6)) if graded else np.ones((2, 12, 3, 7, 6), dtype=np.int64)
    return graph, {"in": values * (rng.random(values.shape) < density)}


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1), extreme=st.booleans())
def test_random_networks(seed: int, extreme: bool) -> None:
    graph, inputs = random_network(seed, extreme)
    record = [(name, state) for name in ("map", "vec") for state in ("u", "v", "out")]
    ours = simulate(graph, inputs, 16, record=record)
    theirs = run_on_lava(graph, inputs, 16, record=record)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.keys() == other.keys()
        for key, values in mine.items():
            np.testing.assert_array_equal(values, other[key], err_msg=str(key))
