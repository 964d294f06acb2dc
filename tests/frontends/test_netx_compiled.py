"""Programs compiled from lava-dl's network files run in the file's own integers, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from netx_nets import run_exact, slayer_networks, write_net
from netx_recordings import READ_OUT, folder, mnist, pilotnet_read_out, pilotnet_spikes

import loihic
from loihic.frontends.netx import read_netx
from loihic.ir.node import Array


def answered(program: loihic.Program, x: Array, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Array]:
    """Recorded states of populations, (T, *shape), step t answering input step t."""
    kept = program.run(x, record=wanted).recorded
    starts = {name: program.graph.nodes[name].start for name, _ in wanted}  # type: ignore[attr-defined]
    return {key: values[0, starts[key[0]] : starts[key[0]] + len(x)] for key, values in kept.items()}


@pytest.mark.parametrize("name", ["dense", "recurrent", "conv", "pool", "tall pool", "transposed"])
def test_small_networks(name: str, tmp_path: Path) -> None:
    layers, x = slayer_networks()[name]
    path = write_net(tmp_path / "small.net", layers)
    program = loihic.compile(path)
    given = program.dequantise(program.run(x.astype(np.int64)).outputs)["output"][0]
    ours = run_exact(read_netx(path)[0], x)["output"]["out"]
    np.testing.assert_array_equal(given.reshape(ours.shape), ours)


@pytest.mark.slow
def test_pilotnet(shared_data: Path) -> None:
    """Driven by the spikes of its input layer, as recorded."""
    place = folder(shared_data, "pilotnet_lif")
    program = loihic.compile(place / "network.net", encoder=False, golden_steps=2)
    assert not [loss for loss in program.ledger if loss.is_loss]
    x, answers = pilotnet_spikes(place)
    ours = answered(program, x, [(name, "out") for name in answers])
    for name, spikes in answers.items():
        np.testing.assert_array_equal(ours[name, "out"][: len(spikes)], spikes, err_msg=name)
    x, states = pilotnet_read_out(place)
    ours = answered(program, x, [(READ_OUT, key) for key in states])
    for key, values in states.items():
        np.testing.assert_array_equal(ours[READ_OUT, key], values, err_msg=key)


def test_mnist_network(shared_data: Path) -> None:
    path, spikes, _ = mnist(shared_data, 16)
    program = loihic.compile(path)
    x = spikes[0]
    ours = run_exact(read_netx(path)[0], x)
    wanted = [(f"layer{i}", key) for i in range(3) for key in ("u", "v", "out")]
    for (name, key), values in answered(program, x, wanted).items():
        np.testing.assert_array_equal(values, ours[name][key], err_msg=f"{name} {key}")
    np.testing.assert_array_equal(program.run(x).outputs["output"][0], ours["output"]["out"])
