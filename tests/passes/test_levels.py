"""Random quantised networks through the whole path: the integers are those of the network, in both codings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loihic.api import compile_source
from loihic.errors import CompileError, InputError
from loihic.frontends.network import NetworkBuilder, Value
from loihic.ir.graph import Fact, SourceGraph
from loihic.ir.node import Array
from loihic.ops.activation import Activation, Coding
from loihic.ops.elementwise import Clip, Elementwise, HardSigmoid, LeakyRelu, Relu, Sigmoid, Tanh
from loihic.ops.quantiser import Quantiser, Rounding, Staircase
from loihic.options import Options
from loihic.passes.manager import CompileContext
from loihic.passes.shapes import InferShapes
from loihic.program import Program
from loihic.quant.proofs import Verdict
from loihic.sim.reference import run_reference
from loihic.targets.lava.runner import lava_version

FUNCTIONS = (Relu(), Clip(low=-1.0, high=1.0), LeakyRelu(slope=np.asarray(0.1)), Sigmoid(), Tanh(), HardSigmoid())


class Random:
    """A network that grows by one random block at a time; every value is on a grid of 1/16 to 1/2 between blocks."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.builder = NetworkBuilder()
        shape = draw(st.sampled_from([(1,), (6,), (2, 5, 4), (1, 6, 6)]))
        self.value = self.quantised(self.builder.input("x", shape))

    def quantised(self, value: Value) -> Value:
        bits, signed = self.draw(st.integers(2, 8)), self.draw(st.booleans())
        top = (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1
        kind = self.draw(st.sampled_from(["plain", "channels", "floor", "bipolar"]))
        scale = self.rng.uniform(0.06, 0.5)
        if kind == "bipolar":
            return self.builder.add(Staircase(scale=np.asarray(scale), low=-1, high=1, rise=2,
                                              thresholds=np.zeros(1)), value, "sign")
        rounding = Rounding.FLOOR if kind == "floor" else Rounding.HALF_EVEN
        return self.builder.add(Quantiser(scale=np.asarray(scale), low=-top if signed else 0, high=top,
                                          rounding=rounding), value, "levels")

    def grow(self) -> None:
        value, builder, rng = self.value, self.builder, self.rng
        image = len(value.shape) == 3
        block = self.draw(st.sampled_from(["linear", "residual", *(["max", "average", "concat"] if image else [])]))
        if block == "max" and min(value.shape[1:]) > 1:
            self.value = builder.max_pool(value, "max", kernel=(2, 2), stride=(self.draw(st.integers(1, 2)), 2),
                                          pads=((1, 0), (0, 1)), dilation=(1, 1))
            return
        if block == "average":
            value = builder.average_pool(value, "average", kernel=(2, 1), stride=(1, 1), pads=((1, 0), (0, 0)))
        elif block == "residual":
            value = builder.sum([value, self.linear(value, value.shape[0], same=True)], "residual")
        elif block == "concat":
            value = builder.concat([value, self.quantised(self.linear(value, 2, same=True))], 0, "concat")
        else:
            value = self.linear(value, self.draw(st.integers(1, 4)))
        if self.draw(st.booleans()):
            gain = rng.uniform(-1.5, 1.5, (value.shape[0], *[1] * (len(value.shape) - 1)))
            value = builder.scaled(value, gain, rng.normal(), "norm")
        function: Elementwise | None = self.draw(st.sampled_from([None, *FUNCTIONS]))
        if function is not None:
            value = builder.add(function, value, "function")
        self.value = self.quantised(value)

    def linear(self, value: Value, width: int, *, same: bool = False) -> Value:
        unit = self.rng.uniform(0.002, 0.02, width)
        bias = self.rng.normal(size=width) if self.draw(st.booleans()) else None
        if len(value.shape) == 3:
            size = 3 if same or self.draw(st.booleans()) else 1
            whole = self.rng.integers(-127, 128, (width, value.shape[0], size, size))
            pads = ((size // 2, size // 2),) * 2
            return self.builder.conv(value, whole * unit[:, None, None, None], "conv", bias=bias, unit=unit, pads=pads)
        whole = self.rng.integers(-7, 8, (value.shape[0], width))
        return self.builder.matmul(value, whole * unit, "dense", bias=bias, unit=unit)

    def graph(self) -> SourceGraph:
        self.builder.output("y", self.value)
        return self.builder.graph().with_(facts=[Fact.WHOLE])


def reference(graph: SourceGraph, x: Array) -> Array:
    shaped = InferShapes().run(graph, CompileContext(options=Options()))
    return run_reference(shaped, {"x": x.astype(float)})["y"]


def compiled(graph: SourceGraph, **choices: Any) -> Program:
    options = Options(golden_steps=4, placement="linear", objective="cores", **choices)
    return compile_source(graph, {"model": "random"}, CompileContext(options=options))


def networks(draw: st.DrawFn, blocks: int) -> SourceGraph:
    made = Random(draw)
    for _ in range(draw(st.integers(1, blocks))):
        if np.prod(made.value.shape) < 400:
            made.grow()
    return made.graph()


@settings(max_examples=30)
@given(data=st.data())
def test_integers_are_those_of_the_network(data: st.DataObject) -> None:
    """Equal to the network in float64, which may round a tie another way: one level in a thousand, and it spreads."""
    graph = networks(data.draw, 3)
    shape = graph.nodes["x"].shape  # type: ignore[attr-defined]
    x = np.random.default_rng(1).normal(size=(2, 6, *shape)) * 2
    x = x.astype(np.float32)
    expected = reference(graph, x)
    outputs = []
    for coding in Coding:
        program = compiled(graph, activation=coding)
        found = program.dequantise(program.run(x).outputs)["y"]
        far = np.abs(found - expected) > 1e-4
        assert far.mean() <= 0.05
        np.testing.assert_allclose(program.run_float(x)["y"], found, atol=1e-9)
        assert all(proof.verdict is Verdict.PROVEN for proof in program.proofs)
        outputs.append(found)
    np.testing.assert_array_equal(*outputs)


@pytest.mark.skipif(lava_version() is None, reason="Lava is not installed")
@settings(max_examples=3)
@given(data=st.data())
def test_lava_agrees(data: st.DataObject) -> None:
    graph = networks(data.draw, 2)
    for coding in Coding:
        verdict = compiled(graph, activation=coding).verify()
        assert verdict.agrees, verdict.lines


def chain(*functions: Elementwise, quantised: bool = True) -> SourceGraph:
    """Input, 8-bit quantiser, dense layer, functions, and perhaps a quantiser."""
    builder = NetworkBuilder()
    value = builder.add(Quantiser(scale=np.asarray(0.1), low=-128, high=127), builder.input("x", (4,)), "levels")
    weights = np.random.default_rng(2).integers(-9, 10, (4, 3)) * 0.01
    value = builder.matmul(value, weights, "dense", unit=np.asarray(0.01), bias=np.array([0.3, -0.2, 0.05]))
    for function in functions:
        value = builder.add(function, value, "function")
    if quantised:
        value = builder.add(Quantiser(scale=np.asarray(0.05), low=-8, high=7), value, "last")
    builder.output("y", value)
    return builder.graph().with_(facts=[Fact.WHOLE])


def test_delta_threshold_loses_a_little_and_says_less() -> None:
    x = np.cumsum(np.random.default_rng(0).normal(size=(1, 60, 4)), axis=1) * 0.2
    exact, coarse = (compiled(chain(), activation=Coding.SIGMA_DELTA, delta_threshold=least) for least in (0, 3))
    encoded = {name: program.encode(x)["x"] for name, program in (("exact", exact), ("coarse", coarse))}
    assert np.count_nonzero(encoded["coarse"]) < np.count_nonzero(encoded["exact"])
    level = 0.05
    error = np.abs(exact.dequantise(exact.run(x).outputs)["y"] - coarse.dequantise(coarse.run(x).outputs)["y"])
    assert 0 < error.max() <= 8 * level


def test_sums_at_the_output_keep_their_biases() -> None:
    """What of a bias is no whole number of units is added by the host."""
    graph = chain(quantised=False)
    program = compiled(graph)
    x = np.random.default_rng(0).normal(size=(1, 5, 4)).astype(np.float32)
    np.testing.assert_allclose(program.dequantise(program.run(x).outputs)["y"], reference(graph, x), atol=1e-9)
    assert not [loss for loss in program.ledger if loss.is_loss]


@pytest.mark.parametrize("seed", range(6))
def test_residual_sums_lose_nothing(seed: int) -> None:
    """Two grids without a unit in common: every pair of levels is tried, and lands on its own level."""
    first, second, last = np.random.default_rng(seed).uniform([0.01, 0.01, 0.02], [0.3, 0.3, 0.5])
    builder = NetworkBuilder()
    branches = []
    for name, scale in (("a", first), ("b", second)):
        value = builder.input(name, (1,))
        branches.append(builder.add(Quantiser(scale=np.asarray(scale), low=-128, high=127), value, f"{name}.levels"))
    value = builder.add(Relu(), builder.sum(branches, "sum"), "relu")
    builder.output("y", builder.add(Quantiser(scale=np.asarray(last), low=0, high=255), value, "last"))
    program = compiled(builder.graph().with_(facts=[Fact.WHOLE]))
    assert not [loss for loss in program.ledger if loss.is_loss]
    a, b = (levels.reshape(4096, 16, 1) for levels in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    found = program.run({"a": a * first, "b": b * second}).outputs["y"]
    np.testing.assert_array_equal(found, np.clip(np.rint(np.maximum(a * first + b * second, 0) / last), 0, 255))


class Bump(Elementwise):
    """A function that falls as well."""

    rising = False

    def apply(self, x: Array) -> Array:
        return np.exp(-(x**2))


def test_functions_that_fall_are_refused() -> None:
    with pytest.raises(CompileError, match="LHC411"):
        compiled(chain(Bump()))


def test_real_values_need_calibration() -> None:
    graph = chain(Relu(), quantised=False)
    with pytest.raises(InputError, match="LHC113"):
        compiled(graph)
    x = np.random.default_rng(0).normal(size=(3, 20, 4)).astype(np.float32)
    program = compiled(graph, calibration={"x": x})
    found = program.dequantise(program.run(x).outputs)["y"]
    np.testing.assert_allclose(found, reference(graph, x), atol=2e-3)
    (loss,) = (loss for loss in program.ledger if loss.is_loss)
    assert loss.kind == "activation"


def test_wide_ranges_become_two_kernels_rather_than_wrap() -> None:
    """Doubled sums of odd weights would leave 24 bits: the kernel is stored in two parts instead."""
    builder = NetworkBuilder()
    value = builder.add(Quantiser(scale=np.asarray(1.0), low=0, high=255), builder.input("x", (64, 3, 3)), "levels")
    value = builder.conv(value, np.full((1, 64, 3, 3), 57.0) - 116.0 * (np.arange(9).reshape(3, 3) % 2), "conv",
                         unit=np.ones(()))
    builder.output("y", builder.add(Quantiser(scale=np.asarray(9999.0), low=-128, high=127), value, "last"))
    graph = builder.graph().with_(facts=[Fact.WHOLE])
    program = compiled(graph)
    assert {"conv", "conv.low"} <= set(program.graph.nodes)
    assert all(proof.verdict is Verdict.PROVEN for proof in program.proofs)
    x = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 3, 3)).astype(float)
    np.testing.assert_allclose(program.dequantise(program.run(x).outputs)["y"], reference(graph, x), atol=1e-9)


def test_populations_rest_until_their_input_comes() -> None:
    program = compiled(chain(Relu()))
    (last,) = (node for node in program.graph.nodes.values() if isinstance(node, Activation))
    assert last.start == program.latency == 1
    raw = program.run(np.full((1, 3, 4), 5.0), raw=True).outputs["y"]
    assert not raw[:, 0].any()
