"""Quantised networks at the edges of what files say: each compiles without losing a value, or is refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from loihic.api import compile_source, load
from loihic.artifact import KEY, _digest, _header
from loihic.errors import CompileError, InputError
from loihic.frontends.network import NetworkBuilder, Value
from loihic.ir.graph import Fact
from loihic.ir.node import Array
from loihic.ops.activation import Coding
from loihic.ops.elementwise import Clip, Relu
from loihic.ops.ports import Input
from loihic.ops.quantiser import Quantiser, Rounding
from loihic.options import Options
from loihic.passes.manager import CompileContext
from loihic.passes.shapes import InferShapes
from loihic.program import Program
from loihic.quant.budget import Budget
from loihic.quant.proofs import Verdict
from loihic.sim.reference import run_reference

UNIT = np.asarray(0.01)
Build = Callable[[NetworkBuilder], None]


def levels(scale: float | Array = 0.1, low: int = -128, high: int = 127, *,
           rounding: Rounding = Rounding.HALF_EVEN, multiplier: Array | None = None) -> Quantiser:
    return Quantiser(scale=np.asarray(scale), low=low, high=high, rounding=rounding, multiplier=multiplier)


def whole(*shape: int) -> Array:
    """Weights that are multiples of UNIT."""
    return np.random.default_rng(5).integers(-9, 10, shape) * float(UNIT)


def quantised(builder: NetworkBuilder, *shape: int) -> Value:
    """An input with its quantiser."""
    return builder.add(levels(), builder.input("x", shape), "levels")


def pooled(builder: NetworkBuilder, value: Value) -> Value:
    return builder.max_pool(value, "max", kernel=(2, 2), stride=(2, 2), pads=((0, 0), (0, 0)), dilation=(1, 1))


def compiled(build: Build, coding: Coding = Coding.GRADED) -> Program:
    builder = NetworkBuilder()
    build(builder)
    context = CompileContext(options=Options(golden_steps=4, placement="linear", objective="cores", activation=coding))
    return compile_source(builder.graph().with_(facts=[Fact.WHOLE]), {"model": "corner"}, context)


def exactly(build: Build, coding: Coding, samples: int = 2) -> Program:
    """The program of a network; its answers are the network's own, all of them, and nothing is lost or left open."""
    builder = NetworkBuilder()
    build(builder)
    graph, context = builder.graph(), CompileContext(options=Options())
    rng = np.random.default_rng(0)
    x = {name: (2 * rng.normal(size=(samples, 4, *node.shape))).astype(np.float32) for name, node in graph.of(Input)
         if isinstance(node, Input)}
    expected = run_reference(InferShapes().run(graph, context), {name: one.astype(float) for name, one in x.items()})
    program = compiled(build, coding)
    found = program.dequantise(program.run(x).outputs)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4)
        np.testing.assert_allclose(program.run_float(x)[name], found[name], atol=1e-9)
    assert not [loss for loss in program.ledger if loss.is_loss]
    assert all(proof.verdict is Verdict.PROVEN for proof in program.proofs)
    return program


def features_and_answers(builder: NetworkBuilder) -> None:
    """An output that neurons hear too: in sigma-delta coding they hear changes, the host must not."""
    value = builder.add(levels(0.3, 0, 7), builder.matmul(quantised(builder, 4), whole(4, 3), "a", unit=UNIT), "b")
    builder.output("features", value)
    builder.output("y", builder.add(levels(0.5), builder.matmul(value, whole(3, 2), "c", unit=UNIT), "d"))


def equal_quantisers(builder: NetworkBuilder) -> None:
    """One value with a quantiser on each way, as some exporters write it."""
    x = builder.input("x", (4,))
    ways = [builder.matmul(builder.add(levels(), x, "q"), whole(4, 3), "dense", unit=UNIT) for _ in range(2)]
    builder.output("y", builder.add(levels(0.3), builder.sum(ways, "sum"), "last"))


def twins_added_up(builder: NetworkBuilder) -> None:
    x = builder.input("x", (4,))
    builder.output("y", builder.sum([builder.add(levels(), x, "q") for _ in range(2)], "sum"))


def unheard_input(builder: NetworkBuilder) -> None:
    builder.input("unheard", (3,))
    features_and_answers(builder)


def maximum_of_two_grids(builder: NetworkBuilder) -> None:
    """A maximum of sums that two quantisers hear: each comes first, before a maximum of its own."""
    value = pooled(builder, builder.conv(quantised(builder, 2, 4, 4), whole(2, 2, 1, 1), "conv", unit=UNIT))
    for scale in (0.3, 0.2):
        builder.output(f"y{scale}", builder.add(levels(scale), value, "last"))


def one_level(builder: NetworkBuilder) -> None:
    value = builder.matmul(quantised(builder, 4), whole(4, 3), "dense", unit=UNIT)
    builder.output("y", builder.add(levels(0.3, 2, 2), value, "last"))
    builder.output("z", builder.add(levels(np.array([0.1, 0.2, 0.3]), 0, 0), value, "last"))


def pruned_channel(builder: NetworkBuilder) -> None:
    """A normalisation with a factor of 0, before and behind a function."""
    value = builder.matmul(quantised(builder, 4), whole(4, 3), "dense", unit=UNIT)
    value = builder.scaled(value, np.array([1.3, 0.0, 0.7]), 0.2, "norm")
    value = builder.scaled(builder.add(Relu(), value, "relu"), np.array([0.0, 1.3, 0.7]), 0.2, "norm")
    builder.output("y", builder.add(levels(0.05), value, "last"))


def silent_channel(builder: NetworkBuilder) -> None:
    """A channel without weights has the unit that the file says, not another's: its bias and multiplier count in it."""
    unit, weights = np.array([0.02, 0.04, 0.01]), whole(4, 3) / float(UNIT)
    weights[:, 1] = 0
    value = builder.matmul(quantised(builder, 4), weights * unit, "dense", unit=unit,
                           bias=np.array([30.0, 100.0, -20.0]) * unit * 0.1)
    builder.output("y", builder.add(levels(0.07, multiplier=unit * 0.1 / 0.07), value, "last"))


def wide_behind_functions(builder: NetworkBuilder) -> None:
    """Levels too many to list, behind a scaling that turns the sum round and moves where it was clipped."""
    value = builder.matmul(quantised(builder, 4), whole(4, 3), "dense", unit=UNIT)
    value = builder.scaled(builder.add(Relu(), value, "relu"), -1.0, 2.0, "turn")
    builder.output("y", builder.add(levels(0.002, -32768, 32767), value, "last"))


def bias_beyond_the_levels(builder: NetworkBuilder) -> None:
    """A whole bias that the sums leave no room for is added by the host."""
    value = builder.add(levels(1.0), builder.input("x", (4,)), "levels")
    value = builder.matmul(value, np.full((4, 2), 16000.0), "dense", unit=np.ones(()), bias=np.array([4e6, -4e6]))
    builder.output("y", value)


@pytest.mark.parametrize("coding", Coding)
@pytest.mark.parametrize("build", [
    features_and_answers, equal_quantisers, twins_added_up, unheard_input, maximum_of_two_grids, one_level,
    pruned_channel, silent_channel, wide_behind_functions, bias_beyond_the_levels])
def test_nothing_is_lost(build: Build, coding: Coding) -> None:
    exactly(build, coding)


@pytest.mark.parametrize("coding", Coding)
def test_more_inputs_than_axons(coding: Coding) -> None:
    """Relays pass on changes as they do levels, and each step stays a question of its own."""
    def build(builder: NetworkBuilder) -> None:
        value = builder.add(levels(1.0, 0, 15), builder.input("x", (16500,)), "levels")
        builder.output("y", builder.add(levels(0.3), builder.matmul(value, whole(16500, 1), "d", unit=UNIT), "last"))

    program = exactly(build, coding, samples=1)
    assert any(name.startswith("d.relay") for name in program.graph.nodes)
    assert program.answers_each_step


def test_scales_per_channel_are_compared(tmp_path: Path) -> None:
    """Messages on a grid per channel, of neurons in a plane."""
    def build(builder: NetworkBuilder) -> None:
        scale = np.array([0.05, 0.07]).reshape(2, 1, 1)
        value = builder.conv(quantised(builder, 2, 3, 3), whole(2, 2, 1, 1), "conv", unit=UNIT)
        builder.output("y", builder.add(levels(0.05), builder.add(levels(scale, 0, 15), value, "grid"), "last"))

    program = load(compiled(build).save(tmp_path / "corner.loihic"))
    assert program.compare().output_error == 0


def test_what_is_no_staircase_is_refused() -> None:
    def grids(builder: NetworkBuilder) -> None:
        value = quantised(builder, 2, 4, 4)
        both = [builder.add(levels(scale), builder.scaled(value, scale * 7, 0, "s"), "q") for scale in (0.2, 0.3)]
        builder.output("y", pooled(builder, builder.concat(both, 0, "concat")))

    def clips(builder: NetworkBuilder) -> None:
        value = builder.add(Clip(low=-0.05, high=0.05), quantised(builder, 2), "clip")
        builder.output("y", builder.add(levels(np.array([1e-5, 2e-5]), -32768, 32767), value, "last"))

    def truncated(builder: NetworkBuilder) -> None:
        wide = levels(0.001, -32768, 32767, rounding=Rounding.TO_ZERO)
        builder.output("y", builder.add(wide, quantised(builder, 2), "last"))

    with pytest.raises(InputError, match="LHC113"):
        compiled(grids)
    for build in (clips, truncated):
        with pytest.raises(CompileError, match="LHC411"):
            compiled(build)


@pytest.mark.parametrize("rounding", [Rounding.CEIL, Rounding.HALF_FROM_ZERO, Rounding.HALF_TO_ZERO])
def test_wide_levels_are_rounded_as_the_file_says(rounding: Rounding) -> None:
    """No more than a level off: the nearest multiplication may miss a boundary, which the ledger says."""
    def build(builder: NetworkBuilder) -> None:
        builder.output("y", builder.add(levels(0.0131, -32768, 32767, rounding=rounding), quantised(builder, 3), "q"))

    program = compiled(build)
    x = np.linspace(-12.0, 12.0, 300).reshape(1, 100, 3)
    found, expected = program.dequantise(program.run(x).outputs)["y"], program.run_float(x)["y"]
    assert np.mean(np.abs(found - expected) > 1e-9) < 0.02


@pytest.mark.parametrize(("choices", "why"), [
    ({"weight_bits": "conv*=4,8"}, "no weights are called"), ({"weight_bits": "8f"}, "two exponents"),
    ({"budget": Budget(cores=1)}, "not chosen by their cost")])
def test_options_that_real_weights_leave_aside_are_named(choices: dict[str, Any], why: str) -> None:
    builder = NetworkBuilder()
    value = builder.matmul(quantised(builder, 4), np.random.default_rng(0).normal(size=(4, 2)), "dense")
    builder.output("y", builder.add(levels(0.05), value, "last"))
    context = CompileContext(options=Options(golden_steps=4, placement="linear", objective="cores", **choices))
    compile_source(builder.graph().with_(facts=[Fact.WHOLE]), {"model": "corner"}, context)
    assert [why in one.message for one in context.diagnostics if one.code == "LHC503"] == [True]


@pytest.mark.parametrize(("key", "value"), [
    ("low", "1"), ("low", 1 << 70), ("vth", -1), ("rise", 0), ("shift", None), ("start", 1.5), ("delta", 2),
    ("thresholds", {"$tensor": "golden/x", "shape": [4, 4]}), ("unit", {"$tensor": "golden/x", "shape": [2, 2, 4]})])
def test_malformed_neurons_are_refused(tmp_path: Path, key: str, value: object) -> None:
    """An artefact with a sound checksum is not to be trusted either."""
    path = compiled(features_and_answers).save(tmp_path / "corner.loihic")
    head = _header(path.name, path.read_bytes())
    tensors, body = load_file(path), json.loads(head["body"])
    body["graph"]["nodes"]["b"][key] = value
    text = json.dumps(body)
    digest = _digest(text, dict(sorted(tensors.items())))
    save_file(tensors, path, metadata={KEY: json.dumps({**head, "digest": digest, "body": text})})
    with pytest.raises(InputError, match="LHC106"):
        load(path)
