"""lava-dl network files become graphs with the file's own numbers, which spike as lava-dl's own blocks do."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netx_nets import LIF, SDNN, conv, dense, inputs, run_exact, slayer_networks, write_net

from loihic.errors import CompileError
from loihic.frontends.netx import read_netx
from loihic.ir.graph import SourceGraph
from loihic.ir.linear import ConvMap, DenseMap
from loihic.ops.delay import StepDelay
from loihic.ops.matrix import Matrix
from loihic.ops.neuron import Neuron
from loihic.ops.ports import Input, Output
from loihic.ops.traits import Emit, Reset

# Of what the blocks of lava-dl 0.6.0 (slayer.block.cuba, in PyTorch, delay_shift=False) give for the networks of
# `slayer_networks`: non-zero values at the output, and SHA-256 of all of them times 64, as int64, (T, *shape).
SLAYER = {
    "dense": (84, "e780699f287ae2bf"),
    "recurrent": (47, "6959b4a58f4b0801"),
    "conv": (16, "4e64ed2d7508f11c"),
    "pool": (92, "f8701d7c8f6e09c5"),
    "tall pool": (1245, "ef95e4fd6bea99ba"),
    "transposed": (5884, "53d5a6e3807fe5bb"),
    "encoder": (168, "9e707104492a01f3"),
}


def read(path: Path, *layers: dict[str, Any], **options: Any) -> SourceGraph:
    return read_netx(write_net(path / "small.net", layers), **options)[0]


def problems(path: Path, *layers: dict[str, Any]) -> list[tuple[str, str]]:
    """Code and, as one line, the text of every problem."""
    with pytest.raises(CompileError) as caught:
        read(path, *layers)
    return [(item.code, " ".join(str(item).split())) for item in caught.value.diagnostics]


@pytest.mark.parametrize("name", SLAYER)
def test_spikes_are_those_of_lava_dl(name: str, tmp_path: Path) -> None:
    layers, x = slayer_networks()[name]
    out = run_exact(read(tmp_path, *layers), x)["output"]["out"]
    integers = np.rint(out * 64).astype("<i8")
    assert np.array_equal(integers, out * 64)
    assert (np.count_nonzero(integers), hashlib.sha256(integers.tobytes()).hexdigest()[:16]) == SLAYER[name]


def test_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    weight, kernel = np.array([[2, -256, 254], [0, 4, -6]]), np.arange(-18, 18).reshape(2, 2, 3, 3)
    layers = [
        inputs(2, 5, 4), conv((2, 3, 2), kernel, bias=np.array([5.0, -7.0])),
        {"type": "flatten", "shape": np.array([12, 1, 1])},
        dense(np.ones((3, 12)), {**LIF, "type": "LOIHI", "theta": 5120, "wgtExp": 0}, shape=np.array([3, 1, 1])),
        dense(weight, {**LIF, "iDecay": 4096, "vDecay": 0, "vThMant": 131071}, bias=np.array([-4.0]),
              delay=np.array([0.0, 62.0])),
    ]
    graph = read(tmp_path, *layers)
    assert list(graph.nodes) == ["input", "layer1.weight", "layer1", "layer2", "layer3.weight", "layer3",
                                 "layer4.weight", "layer4", "layer4.delay", "output"]
    assert [(edge.src, edge.dst) for edge in graph.edges] == list(zip(graph.nodes, list(graph.nodes)[1:], strict=False))
    assert graph.dt == 1.0
    first, last = graph.nodes["layer1"], graph.nodes["layer4"]
    assert isinstance(first, Neuron)
    assert isinstance(last, Neuron)
    assert (first.shape, first.reset, first.emit) == ((2, 3, 2), Reset.ZERO, Emit.SPIKE)
    assert np.all(first.decay_u == 3072 / 4096)
    assert np.all(first.decay_v == 3968 / 4096)
    assert np.all(first.threshold == 80)
    np.testing.assert_array_equal(first.bias_v[:, 2, 1], [5, -7])
    assert (last.decay_u.max(), last.decay_v.min(), last.threshold[0], last.bias_v.tolist()) == (0, 1, 131071, [-4, -4])
    maps = {name: node for name, node in graph.nodes.items() if isinstance(node, Matrix)}
    assert all(np.all(node.unit == 1) for node in maps.values())
    shared, full = maps["layer1.weight"].linear, maps["layer4.weight"].linear
    assert isinstance(shared, ConvMap)
    assert isinstance(full, DenseMap)
    np.testing.assert_array_equal(shared.kernel, kernel)
    np.testing.assert_array_equal(full.matrix, weight)
    delay = graph.nodes["layer4.delay"]
    assert isinstance(delay, StepDelay)
    assert delay.steps.tolist() == [0, 62]


def test_recurrent_loop_passes_one_connection(tmp_path: Path) -> None:
    back = np.array([[0, 2], [-4, 0]])
    layer = {**dense(np.ones((2, 3))), "type": "dense_rec", "weight_rec": back.astype(np.float32),
             "delay": np.array([3.0])}
    graph = read(tmp_path, layer)
    pairs = [(edge.src, edge.dst) for edge in graph.edges]
    assert ("layer0", "layer0.weight_rec") in pairs
    assert ("layer0.weight_rec", "layer0") in pairs
    assert [dst for src, dst in pairs if src == "layer0"] == ["layer0.weight_rec", "layer0.delay"]
    loop = graph.nodes["layer0.weight_rec"]
    assert isinstance(loop, Matrix)
    np.testing.assert_array_equal(loop.linear.to_csr().toarray(), back)


def test_average_sums_in_units_of_its_weights(tmp_path: Path) -> None:
    graph = read(tmp_path, dense(np.ones((6, 2))), {"type": "average", "shape": np.array([2, 1, 1])})
    node = graph.nodes["layer1"]
    assert isinstance(node, Matrix)
    assert node.unit == 1 / 3
    x = np.array([[1.0, 0, 1, 1, 1, 1]])
    np.testing.assert_allclose(node.linear.apply(x), [[2 / 3, 1]])


def test_exponents_scale_weights_by_powers_of_two(tmp_path: Path) -> None:
    graph = read(tmp_path, dense(np.array([[6, -10]]), {**LIF, "wgtExp": 2, "weight_exp": np.array([-5.0])},
                                 bias=np.array([3])))
    node, population = graph.nodes["layer0.weight"], graph.nodes["layer0"]
    assert isinstance(node, Matrix)
    assert isinstance(population, Neuron)
    assert node.unit == 32
    np.testing.assert_array_equal(node.linear.to_csr().toarray(), [[192, -320]])
    assert population.bias_v == 24


def test_layers_without_neurons_hand_out_sums(tmp_path: Path) -> None:
    graph = read(tmp_path, dense(np.array([[2, 4]]), None, bias=np.array([1.0])))
    assert list(graph.nodes) == ["input", "layer0", "output"]
    np.testing.assert_array_equal(run_exact(graph, np.array([[1.0, 1], [0, 3]]))["output"]["out"], [[7], [13]])


def test_input_layer_with_and_without_its_neurons(tmp_path: Path) -> None:
    layers = (inputs(3, 2, 2, weight=np.array([[40.0]]), bias=np.array([36.0]), neuron=LIF),
              conv((1, 1, 1), np.ones((1, 3, 2, 2))))
    graph = read(tmp_path, *layers)
    encoder = graph.nodes["layer0.weight"]
    assert isinstance(encoder, Matrix)
    np.testing.assert_array_equal(encoder.linear.apply(np.ones((1, 3, 2, 2))), np.full((1, 3, 2, 2), 40))
    assert encoder.bias == 36
    assert list(read(tmp_path, *layers, encoder=False).nodes) == ["input", "layer1.weight", "layer1", "output"]
    flat = read(tmp_path, inputs(4, neuron=LIF), dense(np.ones((2, 4))))
    relay = flat.nodes["layer0.weight"]
    assert isinstance(relay, Matrix)
    np.testing.assert_array_equal(relay.linear.apply(np.ones((1, 4))), [[64] * 4])
    assert relay.bias is None


def test_provenance_and_warnings(tmp_path: Path) -> None:
    layer = dense(np.ones((2, 3)), {**LIF, "colour": 3}, taste=np.ones(3))
    path = write_net(tmp_path / "a.net", [layer], t_sample=16)
    _, provenance, warnings = read_netx(path)
    assert provenance["model"] == "a.net"
    assert provenance["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (provenance["format"], provenance["steps_per_sample"]) == ("lava-dl net", 16)
    assert [(d.code, d.severity.value, d.message) for d in warnings] == [
        ("LHC108", "warning", "'taste' is not read"), ("LHC108", "warning", "'colour' is not read")]


def test_everything_without_a_place_is_listed_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path, inputs(2, 4, 4), {"type": "concat", "layers": np.arange(2)},
        {"type": "attention", "shape": np.array([3])},
        dense(np.ones((2, 32)), {"type": "RF_PHASE", "vThMant": 3}),
        dense(np.ones((2, 2)), {"type": "spooky"}),
        {**dense(np.ones((2, 2))), "weight": np.ones((3, 5))},
        dense(np.ones((2, 2)), {**LIF, "gradedSpike": True}), dense(np.ones((2, 2)), {**LIF, "refDelay": 3}),
        dense(np.ones((2, 2)), {**SDNN, "activation": "gelu"}), dense(np.ones((2, 2)), delay=np.array([63.0, 0])))
    assert [code for code, _ in found] == ["LHC401", "LHC102", "LHC401", "LHC102", "LHC202", "LHC401", "LHC401",
                                           "LHC401", "LHC408"]
    for index, words in enumerate(["layer 1 (concat)", "layer 2 (attention)", "resonator", "'spooky'", "(3, 5)",
                                   "gradedSpike", "refDelay", "gelu", "63 steps"]):
        assert words in found[index][1]
        assert "help" in found[index][1] or index == 4


def test_complex_weights_are_refused_by_name(tmp_path: Path) -> None:
    layer = {**dense(np.ones((2, 2)), {"type": "RF_IZHIKEVICH"}), "weight/real": np.ones((2, 2)),
             "weight/imag": np.ones((2, 2))}
    del layer["weight"]
    assert [code for code, _ in problems(tmp_path, layer)] == ["LHC401", "LHC401"]


@pytest.mark.parametrize(("layers", "words"), [
    ([conv((2, 2, 2), np.ones((2, 1, 2, 2)))], "nothing says what shape the input has"),
    ([dense(np.ones((2, 3))), inputs(2)], "must be the first"),
    ([inputs(5), conv((2, 2, 2), np.ones((2, 1, 2, 2)))], "takes (channels, height, width)"),
    ([inputs(1, 4, 4), conv((2, 2, 2), np.ones((2, 1, 2, 2)))], "gives (2, 3, 3); the file says (2, 2, 2)"),
    ([inputs(2, 4, 4), conv((2, 3, 3), np.ones((2, 1, 2, 2)))], "does not fit (2, 4, 4)"),
    ([inputs(1, 4, 4), conv((1, 1, 1), np.ones((1, 1, 5, 5)))], "a window of 5 does not fit 4"),
    ([inputs(1, 4, 4), dense(np.ones((2, 15)))], "takes 15 values"),
    ([dense(np.ones((2, 3)), bias=np.ones(3))], "bias is neither one number nor one per channel"),
    ([dense(np.ones((2, 3)), {**LIF, "iDecay": np.ones(4)})], "iDecay is neither"),
    ([dense(np.ones((2, 3)), {**LIF, "vThMant": np.array([80, 200_000])})], "some neurons of the layer spike"),
    ([dense(np.ones((4, 3))), {"type": "average", "shape": np.array([3])}], "are not 3 groups"),
    ([{**dense(np.ones((2, 3)), None), "type": "dense_rec", "weight_rec": np.ones((2, 2))}], "has no neurons"),
    ([{**dense(np.ones((2, 3))), "type": "dense_rec", "weight_rec": np.ones((3, 3))}], "the recurrent weights"),
])
def test_what_does_not_fit(layers: list[dict[str, Any]], words: str, tmp_path: Path) -> None:
    (found,) = problems(tmp_path, *layers)
    assert words in found[1]


@settings(max_examples=20)
@given(st.data())
def test_any_chain_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    draw = data.draw
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape: tuple[int, ...] = tuple(draw(st.tuples(st.integers(1, 3), st.integers(3, 6), st.integers(3, 6))))
    arriving, layers = shape, [inputs(*shape)]
    for _ in range(draw(st.integers(1, 4))):
        lif = {**LIF, "iDecay": int(rng.integers(0, 4097)), "vDecay": int(rng.integers(0, 4097)),
               "vThMant": int(rng.integers(0, 131072))}
        kind = draw(st.sampled_from(["conv", "dense", "dense_rec"] if len(shape) == 3 else ["dense", "dense_rec"]))
        if kind == "conv":
            weight = rng.integers(-128, 128, (draw(st.integers(1, 4)), shape[0], *rng.integers(1, 4, 2)))
            size = tuple((shape[1 + a] + 2 - weight.shape[2 + a]) // 2 + 1 for a in range(2))
            shape = (len(weight), *size)
            layer = conv(shape, weight, stride=2, padding=1, neuron=lif)
        else:
            weight = rng.integers(-256, 256, (draw(st.integers(1, 5)), int(np.prod(shape))))
            shape = (len(weight),)
            layer = {**dense(weight, lif), "type": kind, "weight_rec": rng.integers(-9, 9, (len(weight),) * 2)}
        if draw(st.booleans()):
            layer["bias"] = rng.integers(-4096, 4096, shape[0]).astype(np.float64)
        if draw(st.booleans()):
            layer["delay"] = rng.integers(0, 63, shape[0]).astype(np.float32)
        layers.append(layer)
    graph = read(tmp_path_factory.mktemp("net"), *layers)
    for index, layer in enumerate(layers[1:], 1):
        population, matrix = graph.nodes[f"layer{index}"], graph.nodes[f"layer{index}.weight"]
        assert isinstance(population, Neuron)
        assert isinstance(matrix, Matrix)
        given_lif = layer["neuron"]
        assert np.all(4096 * (1 - population.decay_u) == given_lif["iDecay"])
        assert np.all(4096 * (1 - population.decay_v) == given_lif["vDecay"])
        assert np.all(population.threshold == given_lif["vThMant"])
        bias = population.bias_u if layer["type"] == "dense_rec" else population.bias_v
        assert np.array_equal(bias.reshape(population.shape[0], -1)[:, 0], layer.get("bias", np.zeros(bias.shape[0])))
        linear = matrix.linear
        assert isinstance(linear, ConvMap | DenseMap)
        stored = linear.kernel if isinstance(linear, ConvMap) else linear.matrix
        assert np.array_equal(stored, layer["weight"])
        delay = graph.nodes.get(f"layer{index}.delay")
        assert (delay is not None) == bool(np.any(layer.get("delay", 0)))
        if isinstance(delay, StepDelay):
            assert np.array_equal(delay.steps.reshape(len(layer["delay"]), -1)[:, -1], layer["delay"])
    first, last = graph.nodes["input"], graph.nodes["output"]
    assert isinstance(first, Input)
    assert isinstance(last, Output)
    assert first.shape == arriving
    assert last.shape == shape
