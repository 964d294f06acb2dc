"""Networks of other formats as NIR: what loihic reads back is the same network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from netx_nets import LIF, conv, dense, inputs, slayer_networks
from netx_recordings import folder, mnist, pilotnet_spikes
from to_nir_support import answers, net, shaped, spikes, stepwise, through_file

import loihic
from loihic.errors import CompileError
from loihic.frontends.formats import read_model
from loihic.frontends.network import NetworkBuilder
from loihic.frontends.to_nir import to_nir, write_nir
from loihic.frontends.to_nir_neurons import SLOWEST
from loihic.ir.graph import SourceGraph
from loihic.ops.elementwise import Relu
from loihic.ops.neuron import Neuron, neuron
from loihic.ops.quantiser import Quantiser
from loihic.ops.traits import Emit, Reset
from loihic.options import Options
from loihic.passes.discretise import choose_dt

PARAMETERS = ("decay_u", "decay_v", "w_in", "gain", "bias_u", "bias_v", "threshold", "v_reset", "v_init")


def assert_same_neuron(first: Neuron, second: Neuron, but: tuple[str, ...] = ()) -> None:
    assert (first.shape, first.emit) == (second.shape, second.emit)
    for name in PARAMETERS:
        if name not in but:
            np.testing.assert_allclose(getattr(second, name), getattr(first, name), rtol=1e-15, atol=1.0 / SLOWEST
                                       if name.startswith("decay") else 1e-15, err_msg=name)


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
