"""Relays for parts of a large fan-in: the same bits a step later, and every part within a core and within 24 bits."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path

import nir
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st
from strategies import Builder, RandomNet, networks

import loihic
from loihic.errors import CompileError
from loihic.ops.compartment import Compartment
from loihic.ops.synapse import Synapse
from loihic.partition.connections import connections
from loihic.passes.fan_in import with_relays
from loihic.targets.limits import Limits, chip_limits

OVERLAY = """base = "loihi2"
[core.pool_words]
value = {words}
source = "made up"
confidence = "X"
"""


def tight(words: int) -> Limits:
    """A chip whose cores hold few words."""
    return replace(chip_limits("loihi2"), pool_words=words)


def overlay(folder: Path, words: int) -> str:
    """The same as a file for --target."""
    path = folder / "tight.toml"
    path.write_text(OVERLAY.format(words=words))
    return str(path)


def wide(inputs: int, seed: int) -> RandomNet:
    """A population with many inputs, and one behind it."""
    build = Builder(seed)
    last, shape = build.linear(build.input((inputs,)), (inputs,), 4, "Affine")
    last = build.neuron(last, shape, "LIF")
    last, shape = build.linear(last, shape, 3, "Linear")
    build.output(build.neuron(last, shape, "LIF"), shape)
    return build.net


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(30, 90), st.integers(0, 2**32 - 1), st.sampled_from([None, (-3.0, 3.0)]),
       st.sampled_from([3, 8, 12]))
def test_the_bits_are_the_same(tmp_path_factory: pytest.TempPathFactory, inputs: int, seed: int,
                               span: tuple[float, float] | None, bits: int) -> None:
    net = wide(inputs, seed)
    plain = loihic.compile(net.graph, dt=net.dt, input_range=span, weight_bits=bits)
    target = overlay(tmp_path_factory.mktemp("chip"), 56)
    try:
        split = loihic.compile(net.graph, dt=net.dt, input_range=span, weight_bits=bits, target=target,
                               objective="cores", placement="linear")
    except loihic.CompileError as error:
        if [one.code for one in error.diagnostics] != ["LHC406"]:
            raise
        reject()  # too large for so small a chip, with relays or without
    relays = [name for name in split.graph.nodes if name.endswith(".relay")]
    assume(relays)  # with few bits so many weights are zero that a core may hold the rest
    assert split.latency == plain.latency + 1
    x = np.random.default_rng(seed).integers(0 if span is None else -3, 2 if span is None else 4, (2, 20, inputs))
    for name, values in plain.run(x).outputs.items():
        assert np.array_equal(split.run(x).outputs[name], values)
    assert split.plan is not None
    assert not split.plan.figures.exceeded.any()
    assert {one.target for one in connections(split.graph)} >= set(relays)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(networks(recurrent=False))
def test_what_fits_is_left_alone(net: RandomNet) -> None:
    graph = loihic.compile(net.graph, dt=net.dt, golden_steps=1).graph
    assert with_relays(graph, chip_limits("loihi2")) is graph


def test_relays_cannot_wrap() -> None:
    """The sum of a part's weights stays below 2**17, of which a relay's current has 2**6 times as many units."""
    net = wide(3000, 0)
    graph = loihic.compile(net.graph, dt=net.dt, golden_steps=1).graph
    split = with_relays(graph, tight(4000))
    (name,) = (name for name, node in split.nodes.items() if isinstance(node, Compartment) and name.endswith(".relay"))
    (edge,) = split.incoming[name]
    collecting = split.nodes[edge.src]
    assert isinstance(collecting, Synapse)
    assert collecting.magnitude.max() < 1 << 17
    assert prod(split.shapes[name]) % 4 == 0


def test_stock_processes_have_no_relay(tmp_path: Path) -> None:
    net = wide(60, 1)
    # Neurons alike, without leak or bias, as Lava's own LIF has them.
    net.nodes["n1"] = nir.Linear(net.nodes["n1"].weight)
    for name, shape in (("n2", 4), ("n4", 3)):
        one = np.ones(shape)
        net.nodes[name] = nir.LIF(tau=4 * one, r=3 * one, v_leak=0 * one, v_threshold=one, v_reset=0 * one)
    with pytest.raises(CompileError, match="needs relays"):
        loihic.compile(net.graph, dt=net.dt, stock_only=True, target=overlay(tmp_path, 56))
