"""Random networks as NIR: maps of every kind, networks of lava-dl, and NIR's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netx_nets import LIF, dense
from strategies import networks
from to_nir_support import answers, net, shaped, spikes, stepwise, through_file

from loihic.errors import CompileError, LoihicError
from loihic.frontends.formats import read_model
from loihic.frontends.network import NetworkBuilder
from loihic.frontends.to_nir import to_nir
from loihic.ir.graph import SourceGraph
from loihic.sim.reference import run_reference


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
