"""Random networks in lava-dl's format: the compiled program and Lava agree in every state and message of every step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netx_nets import LIF, SDNN, conv, dense, inputs, write_net
from netx_recordings import folder, recorded

import loihic

pytest.importorskip("lava")
NEURONS = {"spikes": LIF, "changes": SDNN}


def random_layers(draw: st.DrawFn, kind: str) -> list[dict[str, Any]]:
    """An input, a convolution, a flatten and two dense layers, with biases, thresholds and decays at random."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width = draw(st.integers(3, 6)), draw(st.integers(3, 6))

    def neuron(**more: Any) -> dict[str, Any]:
        threshold = draw(st.sampled_from([0, 1, 5, 64]))
        if kind == "changes":
            return {**SDNN, "vThMant": threshold, **more}
        return {**LIF, "vThMant": threshold, "iDecay": draw(st.sampled_from([1, 409, 4096])),
                "vDecay": draw(st.sampled_from([0, 128, 4096]))}

    def weights(*shape: int) -> Any:
        return 2 * rng.integers(-64, 64, shape)

    out = (3, height - 1, width - 1)
    size = int(np.prod(out))
    first = inputs(2, height, width, **({"neuron": neuron()} if kind == "changes" else {}))
    bias = {"bias": rng.integers(-50, 50, 3)} if draw(st.booleans()) else {}
    last = {"sigma_output": True} if kind == "changes" and draw(st.booleans()) else {}
    return [first, conv(out, weights(3, 2, 2, 2), neuron=neuron(), **bias),
            {"type": "flatten", "shape": np.array([size, 1, 1])},
            dense(weights(4, size), neuron()), dense(weights(2, 4), neuron(**last))]


@pytest.mark.parametrize("kind", NEURONS)
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_lava_agrees(tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject) -> None:
    path = write_net(tmp_path_factory.mktemp("net") / "random.net", random_layers(data.draw, kind))
    program = loihic.compile(path, golden_steps=20)
    if kind == "changes":
        assert all(node.op != "Compartment" for node in program.graph.nodes.values())
        x = np.random.default_rng(0).normal(size=(12, *program.input_shapes["input"]))
        verdict = program.verify(x)
    else:
        verdict = program.verify()
    assert verdict.agrees, verdict.lines


def test_trained_mnist_network(shared_data: Path) -> None:
    path = folder(shared_data, "mnist") / "trained_mnist_network.net"
    assert loihic.compile(path, golden_steps=24).verify().agrees


def test_sigma_delta_pilotnet_as_recorded(shared_data: Path) -> None:
    """A constant image: what lava-dl's authors recorded of the output in each step, the waves of biases included."""
    place = folder(shared_data, "pilotnet_sdnn")
    program = loihic.compile(place / "network.net", golden_steps=2)
    image = recorded(place, "input")[0] / 64.0
    expected = recorded(place, "output")
    found = program.run(np.repeat(image[None], len(expected), axis=0), raw=True).outputs["output"][0]
    np.testing.assert_array_equal(found[: len(expected)], expected)
