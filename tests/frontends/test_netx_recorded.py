"""Networks that lava-dl's authors trained, against what they recorded of them, spike by spike."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from netx_nets import run_exact
from netx_recordings import READ_OUT, folder, mnist, pilotnet_read_out, pilotnet_spikes, recorded

from loihic.frontends.netx import read_netx
from loihic.frontends.netx_file import read_net_file
from loihic.frontends.netx_maps import layer_map
from loihic.frontends.netx_schema import LAYERS, NEURONS, check
from loihic.frontends.netx_sdn import SdnParameters, sdn_parameters
from loihic.ir.node import Array, Shape
from loihic.ops.sigma_delta import SdnRole


def test_pilotnet_in_plain_integers(shared_data: Path) -> None:
    place = folder(shared_data, "pilotnet_lif")
    graph, provenance, warnings = read_netx(place / "network.net", encoder=False)
    assert (provenance["steps_per_sample"], warnings) == (16, ())
    x, answers = pilotnet_spikes(place)
    ours = run_exact(graph, x)
    for name, spikes in answers.items():
        assert spikes.any()
        np.testing.assert_array_equal(ours[name]["out"][: len(spikes)], spikes, err_msg=name)
    x, states = pilotnet_read_out(place)
    ours = run_exact(graph, x)
    for key, values in states.items():
        np.testing.assert_array_equal(ours[READ_OUT][key], values, err_msg=key)


def test_mnist_network_reads_digits(shared_data: Path) -> None:
    path, spikes, labels = mnist(shared_data, 16)
    graph, _, warnings = read_netx(path)
    assert warnings == ()
    assert [graph.nodes[f"layer{i}"].shape for i in range(3)] == [(128,), (64,), (10,)]  # type: ignore[attr-defined]
    counts = [run_exact(graph, x)["output"]["out"].sum(axis=0) for x in spikes[:50]]
    assert np.mean(np.argmax(counts, axis=1) == labels[:50]) > 0.9


def test_axonal_delays_of_the_ntidigits_network(shared_data: Path) -> None:
    place = folder(shared_data, "ntidigits")
    graph, _, _ = read_netx(place / "ntidigits.net")
    x = np.load(place / "input.npy").T.reshape(-1, 1, 1, 64)
    spikes = run_exact(graph, x)["layer4"]["out"]
    expected = recorded(place, "output")
    assert expected.sum() > 20_000
    np.testing.assert_array_equal(spikes[:-4], expected[4:])


def test_sigma_delta_pilotnet_by_its_parameters(shared_data: Path) -> None:
    place = folder(shared_data, "pilotnet_sdnn")
    x = recorded(place, "input")[0]
    sums = run_sigma_delta(sigma_delta_layers(place / "network.net"), x, steps=9)
    np.testing.assert_array_equal(sums, recorded(place, "output"))


def sigma_delta_layers(path: Path) -> list[tuple[Any, SdnParameters]]:
    """Per layer its map and its neurons' parameters."""
    layers, shape = [], ()
    for layer in read_net_file(path).layers:
        values, problems = check(LAYERS[layer.kind], layer.values)
        assert not problems
        if layer.kind == "flatten":
            shape = (prod(shape),)
            continue
        assert layer.neuron is not None
        neuron, problems = check(NEURONS["SDNN"], layer.neuron)
        assert not problems
        first = layer.kind == "input"
        linear = None if first else layer_map(layer.kind, values, shape)
        shape = _shape(values["shape"]) if linear is None else linear.out_shape
        layers.append((linear, sdn_parameters(neuron, values["bias"], shape, is_input=first)))  # type: ignore[arg-type]
    return layers


def run_sigma_delta(layers: list[tuple[Any, SdnParameters]], x: Array, steps: int) -> Array:
    """What the last layer sends, (steps, *shape), for an input that stays `x`, every connection taking a step."""
    zeros = [np.zeros(parameters.shape, dtype=np.int64) for _, parameters in layers]
    sigma, act, residue, sent, kept = list(zeros), list(zeros), list(zeros), list(zeros), []
    for _ in range(steps):
        before = list(sent)
        for i, (linear, one) in enumerate(layers):
            shift = one.spike_exp + one.state_exp
            if one.role is SdnRole.DELTA:
                level = x << shift
            else:
                heard = linear.apply(before[i - 1].reshape(1, *linear.in_shape).astype(float))[0]
                sigma[i] = sigma[i] + np.rint(heard).astype(np.int64)
                level = np.maximum(sigma[i] + (one.bias.astype(np.int64) << shift), 0)
            if one.role is SdnRole.SIGMA:
                sent[i] = sigma[i]
                continue
            change = level - act[i] + residue[i]
            told = np.where(np.abs(change) >= one.threshold << shift, change, 0)
            residue[i], act[i], sent[i] = change - told, level, told >> one.state_exp
        kept.append(sent[-1])
    return np.array(kept)


def _shape(value: object) -> Shape:
    assert isinstance(value, tuple)
    return value
