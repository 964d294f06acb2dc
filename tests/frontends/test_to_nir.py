"""Networks of other formats as NIR: what loihic reads back is the same network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netx_nets import LIF, conv, dense, inputs, slayer_networks, write_net
from netx_recordings import folder, mnist, pilotnet_spikes
from strategies import networks

import loihic
from loihic.errors import CompileError, Diagnostic, LoihicError
from loihic.frontends.formats import read_model
from loihic.frontends.network import NetworkBuilder
from loihic.frontends.to_nir import to_nir, write_nir
from loihic.frontends.to_nir_neurons import SLOWEST
from loihic.ir.graph import SourceGraph
from loihic.ir.node import Array
from loihic.ops.elementwise import Relu
from loihic.ops.neuron import Neuron, neuron
from loihic.ops.quantiser import Quantiser
from loihic.ops.traits import Emit, Reset
from loihic.options import Options
from loihic.passes.discretise import Discretise, choose_dt
from loihic.passes.loops import BreakLoops
from loihic.passes.manager import CompileContext, run_passes
from loihic.passes.shapes import InferShapes
from loihic.sim.reference import run_reference

PARAMETERS = ("decay_u", "decay_v", "w_in", "gain", "bias_u", "bias_v", "threshold", "v_reset", "v_init")


def shaped(graph: SourceGraph) -> SourceGraph:
    return run_passes(graph, [InferShapes()], CompileContext(options=Options()))


def stepwise(graph: SourceGraph) -> SourceGraph:
    """In discrete time, loops broken, nothing fused."""
    dt, _ = choose_dt(graph, None)
    return run_passes(graph, [InferShapes(), Discretise(dt=dt), BreakLoops()], CompileContext(options=Options()))


def through_file(graph: SourceGraph, tmp: Path) -> tuple[SourceGraph, list[Diagnostic]]:
    """Written as NIR and read back."""
    remarks: list[Diagnostic] = []
    made = to_nir(shaped(graph), remarks.append)
    made.check_types()
    path = write_nir(tmp / "made.nir", made)
    return read_model(path)[0], remarks


def answers(graph: SourceGraph, x: Array) -> Array:
    """(T, n) of a graph with one input and one output."""
    (name,) = [name for name, node in graph.nodes.items() if node.op == "Input"]
    (values,) = run_reference(stepwise(graph), {name: x[None]}).values()
    return values[0].reshape(len(x), -1)


def spikes(graph: SourceGraph, steps: int = 20) -> Array:
    shape = next(node.shape for node in graph.nodes.values() if node.op == "Input")  # type: ignore[attr-defined]
    return (np.random.default_rng(3).random((steps, *shape)) < 0.5).astype(np.float64)


def assert_same_neuron(first: Neuron, second: Neuron, but: tuple[str, ...] = ()) -> None:
    assert (first.shape, first.emit) == (second.shape, second.emit)
    for name in PARAMETERS:
        if name not in but:
            np.testing.assert_allclose(getattr(second, name), getattr(first, name), rtol=1e-15, atol=1.0 / SLOWEST
                                       if name.startswith("decay") else 1e-15, err_msg=name)


def net(tmp: Path, *layers: dict[str, Any]) -> SourceGraph:
    return read_model(write_net(tmp / "net.net", layers))[0]


def one_neuron(node: Neuron) -> SourceGraph:
    builder = NetworkBuilder()
    value = builder.matmul(builder.input("in", (3,)), np.array([[2.0, -4.0], [6.0, 2.0], [-2.0, 8.0]]), "fc")
    builder.output("out", builder.add(node, value, "pop"))
    return builder.graph()


@pytest.mark.parametrize(("parameters", "kind"), [
    ({"decay_u": 0.75, "decay_v": 0.9, "threshold": 3.0}, "CubaLIF"),
    ({"decay_u": 0.75, "decay_v": 0.0, "threshold": 3.0}, "CubaLIF"),
    ({"decay_u": 0.75, "decay_v": 1.0, "threshold": 3.0}, "CubaLIF"),
    ({"decay_u": 1.0, "decay_v": 0.5, "threshold": 3.0}, "CubaLIF"),
    ({"decay_u": np.array([0.0, 0.5]), "decay_v": np.array([1.0, 0.0]), "threshold": 3.0}, "CubaLIF"),
    ({"decay_v": 0.9, "threshold": 3.0, "bias_v": 1.0}, "LIF"),
    ({"decay_v": np.array([1.0, 0.25]), "threshold": 3.0, "v_reset": -0.5}, "LIF"),
    ({"decay_v": 1.0, "threshold": np.array([3.0, 7.0]), "bias_v": np.array([1.0, 0.0])}, "IF"),
    ({"threshold": 3.0, "bias_v": 1.0}, "Threshold"),
    ({"threshold": 3.0, "gain": 2.0}, "LIF"),
    ({"decay_u": 0.5, "decay_v": 0.9, "emit": Emit.STATE}, "CubaLI"),
    ({"decay_v": 0.9, "emit": Emit.STATE}, "LI"),
    ({"decay_v": 1.0, "emit": Emit.STATE}, "I"),
    ({"emit": Emit.STATE}, "LI"),
])
def test_neurons(parameters: dict[str, Any], kind: str, tmp_path: Path) -> None:
    graph = one_neuron(neuron((2,), **parameters))
    assert type(to_nir(shaped(graph)).nodes["pop"]).__name__ == kind
    back, remarks = through_file(graph, tmp_path)
    assert not remarks
    x = spikes(graph)
    np.testing.assert_allclose(answers(back, x), answers(graph, x), rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("decay", [k / 4096 for k in (1, 409, 1024, 2047, 2048, 3000, 3686, 4095)])
def test_time_constants_give_the_same_decay_and_gain(decay: float, tmp_path: Path) -> None:
    graph = one_neuron(neuron((2,), decay_u=decay, decay_v=1.0 - decay, threshold=3.0))
    back = stepwise(through_file(graph, tmp_path)[0]).nodes["pop"]
    before = graph.nodes["pop"]
    assert isinstance(before, Neuron)
    assert isinstance(back, Neuron)
    for name in PARAMETERS:
        np.testing.assert_allclose(getattr(back, name), getattr(before, name), rtol=0, atol=2.3e-16, err_msg=name)


@pytest.mark.parametrize(("parameters", "text"), [
    ({"decay_u": 0.5, "decay_v": 1.0, "bias_v": 1.0}, "never decays, behind a current that does"),
    ({"decay_v": 0.5, "emit": Emit.MULTI}, "--spikes multi"),
    ({"decay_v": 0.5, "reset": Reset.SUBTRACT}, "--reset subtract"),
    ({"decay_v": -0.5}, "0..1"),
    ({"decay_v": 0.5, "w_in": 0.0}, "do not hear"),
])
def test_neurons_without_a_form(parameters: dict[str, Any], text: str) -> None:
    with pytest.raises(CompileError, match=text):
        to_nir(shaped(one_neuron(neuron((2,), **parameters))))


def test_every_node_without_a_form_is_named() -> None:
    builder = NetworkBuilder()
    value = builder.input("in", (2, 6, 6))
    for number in range(2):
        value = builder.add(Relu(), value, f"relu{number}")
        value = builder.max_pool(value, f"max{number}", kernel=(2, 2), stride=(1, 1), pads=((0, 0), (0, 0)),
                                 dilation=(1, 1))
    value = builder.add(Quantiser(scale=np.asarray(0.5), low=-8, high=7), value, "steps")
    builder.output("out", value, scale=0.5)
    with pytest.raises(CompileError) as caught:
        to_nir(shaped(builder.graph()))
    assert {item.code for item in caught.value.diagnostics} == {"LHC401"}
    assert [item.node for item in caught.value.diagnostics] == ["relu0, relu1", "max0, max1", "steps", "out"]
    assert all(item.help for item in caught.value.diagnostics)


def test_a_matrix_can_be_too_large() -> None:
    builder = NetworkBuilder()
    value = builder.input("in", (6000, 2))
    builder.output("out", builder.move(value, np.arange(12000)[::-1].reshape(2, 6000), "turned"))
    with pytest.raises(CompileError, match="full matrix"):
        to_nir(shaped(builder.graph()))


def test_a_graph_must_have_shapes() -> None:
    with pytest.raises(ValueError, match="shapes"):
        to_nir(one_neuron(neuron((2,))))


@pytest.mark.parametrize("name", ["dense", "recurrent", "conv", "pool", "tall pool", "transposed"])
def test_networks_of_lava_dl(name: str, tmp_path: Path) -> None:
    layers, x = slayer_networks()[name]
    graph = net(tmp_path, *layers)
    back, remarks = through_file(graph, tmp_path)
    ours, theirs = stepwise(graph), stepwise(back)
    for key, node in ours.of(Neuron):
        other = theirs.nodes[key]
        assert isinstance(other, Neuron)
        if other.shape == node.shape:
            assert_same_neuron(node, other, but=("bias_u", "bias_v", "v_init"))
    settled = any("start at rest" in item.message for item in remarks)
    assert settled == (name in ("dense", "conv"))
    assert any("as vectors" in item.message for item in remarks) == (name in ("tall pool", "transposed"))
    if not settled:
        np.testing.assert_array_equal(answers(back, x), answers(graph, x))


def test_a_bias_behind_a_current_with_memory_is_a_leak(tmp_path: Path) -> None:
    graph = net(tmp_path, dense(np.array([[2, 4], [6, -2]]), bias=np.array([4, -2])))
    back, (remark,) = through_file(graph, tmp_path)
    assert (remark.code, remark.node) == ("LHC114", "layer0")
    first, second = stepwise(graph).nodes["layer0"], stepwise(back).nodes["layer0"]
    assert isinstance(first, Neuron)
    assert isinstance(second, Neuron)
    assert_same_neuron(first, second, but=("v_init",))
    np.testing.assert_allclose(second.v_init, [4 * 32, -2 * 32])


def test_a_bias_of_each_neuron_of_a_map_is_a_leak_too(tmp_path: Path) -> None:
    lif = {**LIF, "iDecay": 4096}
    bias = np.arange(32).reshape(2, 4, 4)
    graph = net(tmp_path, inputs(1, 6, 6), conv((2, 4, 4), np.ones((2, 1, 3, 3)), neuron=lif, bias=bias))
    made = to_nir(shaped(graph), lambda item: None)
    assert isinstance(made.nodes["layer1.weight"], nir.Conv2d)
    np.testing.assert_allclose(made.nodes["layer1"].v_leak / 32, bias)


def test_the_time_step_and_the_type_check_of_nir(tmp_path: Path) -> None:
    graph = net(tmp_path, inputs(1, 6, 6), conv((2, 6, 6), np.ones((2, 1, 3, 3)), padding=1))
    write_nir(tmp_path / "made.nir", to_nir(shaped(graph)))
    made = nir.read(tmp_path / "made.nir")
    assert made.metadata == {"dt": 1.0}
    assert choose_dt(read_model(tmp_path / "made.nir")[0], None) == (1.0, "from the graph's metadata")


def test_names_that_hdf5_would_take_for_paths(tmp_path: Path) -> None:
    builder = NetworkBuilder()
    value = builder.matmul(builder.input("/in", (2,)), np.eye(2) * 2, "/fc/Gemm")
    value = builder.matmul(value, np.eye(2) * 3, "fc_Gemm")
    builder.output("..", value)
    back, _ = through_file(builder.graph(), tmp_path)
    assert set(back.nodes) == {"in", "fc_Gemm", "fc_Gemm_2", "node.."}
    np.testing.assert_array_equal(answers(back, np.ones((1, 2))), [[6, 6]])


@st.composite
def linear_networks(draw: st.DrawFn) -> SourceGraph:
    """Maps of every kind, one behind the other."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    builder = NetworkBuilder()
    value = builder.input("in", (2, 7, 6))
    pads, pair = st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2), st.tuples(*[st.integers(1, 2)] * 2)
    for number in range(draw(st.integers(1, 4))):
        label, rank = f"map{number}", len(value.shape)
        windows = rank == 3 and min(value.shape[1:]) > 2
        kind = draw(st.sampled_from(["conv", "pool", "move", "scale", "sum", "join", "matmul"]))
        if kind == "conv" and windows:
            groups = draw(st.sampled_from([1, value.shape[0]]))
            out = value.shape[0] if groups > 1 else 3
            kernel = rng.integers(-4, 5, (out, value.shape[0] // groups, *draw(pair)))
            value = builder.conv(value, kernel, label, groups=groups, stride=draw(pair), pads=draw(pads),
                                 dilation=draw(pair), bias=rng.normal(size=out) if draw(st.booleans()) else None)
        elif kind == "pool" and windows:
            value = builder.average_pool(value, label, kernel=(2, 1), stride=(1, 1), pads=((1, draw(st.integers(0, 1))),
                                                                                         (0, 0)))
        elif kind == "move":
            value = builder.move(value, np.arange(np.prod(value.shape)).reshape(value.shape).T, label)
        elif kind == "scale":
            value = builder.scaled(value, rng.normal(size=value.shape[:1] + (1,) * (rank - 1)), draw(
                st.sampled_from([0.0, 1.5])), label)
        elif kind == "sum":
            value = builder.sum([value, value, builder.scaled(value, 2.0, 0.0, label)], label)
        elif kind == "join":
            value = builder.concat([value, value], draw(st.integers(0, rank - 1)), label)
        else:
            value = builder.matmul(value, rng.normal(size=(value.shape[-1], 3)), label, bias=rng.normal(size=3))
    builder.output("out", value)
    return builder.graph()


@given(graph=linear_networks())
@settings(max_examples=15)
def test_random_maps(graph: SourceGraph, tmp_path_factory: pytest.TempPathFactory) -> None:
    back, _ = through_file(graph, tmp_path_factory.mktemp("maps"))
    x = np.random.default_rng(0).normal(size=(2, 2, 7, 6))
    np.testing.assert_allclose(answers(back, x), answers(graph, x), rtol=1e-12, atol=1e-12)


@st.composite
def lava_dl_layers(draw: st.DrawFn) -> list[dict[str, Any]]:
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    size, layers = 4, []
    for _ in range(draw(st.integers(1, 3))):
        count = draw(st.integers(1, 5))
        layer = dense(2 * rng.integers(-40, 41, (count, size)), {
            **LIF, "vThMant": 2 * int(rng.integers(5, 60)) + 1, "iDecay": draw(st.sampled_from([4096, 2048, 409, 0])),
            "vDecay": draw(st.sampled_from([4096, 1024, 410, 1, 0]))})
        if draw(st.booleans()):
            layer |= {"type": "dense_rec", "weight_rec": 2.0 * rng.integers(-20, 21, (count, count))}
        if draw(st.integers(0, 2)) == 2:
            layer["bias"] = 2 * rng.integers(-9, 10, count)
        if draw(st.booleans()):
            layer["delay"] = rng.integers(0, 5, count).astype(np.float32)
        layers.append(layer)
        size = count
    return layers


@given(layers=lava_dl_layers())
@settings(max_examples=15)
def test_random_networks_of_lava_dl(layers: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp = tmp_path_factory.mktemp("nets")
    graph = net(tmp, *layers)
    lasting = [layer for layer in layers if layer["type"] == "dense" and np.any(layer.get("bias", 0))
               and layer["neuron"]["iDecay"] < 4096 and layer["neuron"]["vDecay"] < 4096]
    if any(layer["neuron"]["vDecay"] == 0 for layer in lasting):
        with pytest.raises(CompileError, match="never decays"):
            to_nir(shaped(graph))
        return
    back, remarks = through_file(graph, tmp)
    assert bool(remarks) == bool(lasting)
    if not remarks:
        np.testing.assert_array_equal(answers(back, spikes(graph)), answers(graph, spikes(graph)))


@given(given_net=networks())
@settings(max_examples=15)
def test_nir_stays_as_it_is(given_net: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    graph, _, _ = read_model(given_net.graph)
    try:
        first = stepwise(graph)
    except LoihicError:
        return
    back, remarks = through_file(graph, tmp_path_factory.mktemp("nir"))
    assert not remarks
    x = given_net.spikes(6)
    ours, theirs = run_reference(first, x), run_reference(stepwise(back), x)
    for name, values in ours.items():
        np.testing.assert_array_equal(theirs[name], values, err_msg=name)


def test_mnist_network(shared_data: Path, tmp_path: Path) -> None:
    """The integers that the compiler finds for the NIR file answer as those of the .net file: in every spike."""
    path, images, _ = mnist(shared_data, 16)
    graph = read_model(path)[0]
    back, remarks = through_file(graph, tmp_path)
    assert not remarks
    ours, theirs = stepwise(graph), stepwise(back)
    for name, node in ours.of(Neuron):
        for key in PARAMETERS:
            np.testing.assert_array_equal(getattr(theirs.nodes[name], key), getattr(node, key))
    direct, written = loihic.compile(path), loihic.compile(tmp_path / "made.nir")
    first, second = (program.run(images[:4]).outputs["output"] for program in (direct, written))
    assert first.sum() > 20
    np.testing.assert_array_equal(second, first)


def test_pilotnet_is_read_back(shared_data: Path, tmp_path: Path) -> None:
    graph = read_model(folder(shared_data, "pilotnet_lif") / "network.net", Options(encoder=False))[0]
    back, remarks = through_file(graph, tmp_path)
    assert not remarks
    ours, theirs = stepwise(graph), stepwise(back)
    for name, node in ours.of(Neuron):
        other = theirs.nodes[name]
        assert isinstance(other, Neuron)
        assert_same_neuron(node, other, but=("bias_v",))  # it is the Conv2d's now
    assert {type(node).__name__ for node in nir.read(tmp_path / "made.nir").nodes.values()} == {
        "Input", "Conv2d", "LIF", "Flatten", "Affine", "Linear", "IF", "Output"}


@pytest.mark.slow
def test_pilotnet_spikes_alike(shared_data: Path, tmp_path: Path) -> None:
    """Truncation on another grid moves one spike in 200000 of the first layer; what it starts grows from there."""
    place = folder(shared_data, "pilotnet_lif")
    through_file(read_model(place / "network.net", Options(encoder=False))[0], tmp_path)
    x = pilotnet_spikes(place)[0][None, :4]
    wanted = [("layer1", "out"), ("layer2", "out")]
    sent = [loihic.compile(path, encoder=False, golden_steps=2).run(x, record=wanted).recorded
            for path in (place / "network.net", tmp_path / "made.nir")]
    for key in wanted:
        first, second = (one[key] for one in sent)
        assert np.count_nonzero(first != second) < 0.001 * np.count_nonzero(first)
