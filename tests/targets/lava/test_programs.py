"""Whole programs on Lava: random NIR graphs and the exporters' files give the simulator's bits, stock-only ones too."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest

import loihic
from loihic.ops.compartment import Compartment
from loihic.ops.delay_line import DelayLine
from loihic.ops.traits import Emit, Reset
from loihic.targets.lava.runner import lava_version

pytestmark = pytest.mark.skipif(lava_version() is None, reason="Lava is not installed")
FILES = ["braille_noDelay_bias_zero", "lif_norse", "rockpool_lin_lif", "sinabs_mlp_iaf", "snntorch_rsynaptic_unbatched",
         "spikingjelly_conv"]


def everything(seed: int) -> nir.NIRGraph:
    """Most of NIR in one graph: branches of unequal depth, recurrence, delays, leaks and resets, three outputs."""
    rng = np.random.default_rng(seed)
    field = (3, 6, 3)
    nodes = {
        "in": nir.Input({"input": np.array([2, 6, 6])}),
        "conv": nir.Conv2d((6, 6), rng.normal(size=(3, 2, 3, 5)), (1, 2), (1, 2), 1, 1, rng.normal(size=3) * 0.1),
        "lif": nir.LIF(rng.uniform(5e-4, 3e-3, field), np.full(field, 4.0), rng.normal(size=field) * 0.1,
                       np.ones(field), rng.normal(size=field) * 0.2),
        "pool": nir.SumPool2d(np.array([2, 1]), np.array([2, 1]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([3, 3, 3])}, 0, -1),
        "fc": nir.Affine(rng.normal(size=(5, 27)), rng.normal(size=5) * 0.3),
        "cuba": nir.CubaLIF(np.full(5, 5e-4), np.full(5, 1e-3), np.full(5, 3.0), np.zeros(5), np.ones(5)),
        "rec": nir.Affine(rng.normal(size=(5, 5)) * 0.4, rng.normal(size=5) * 0.1),
        "to_li": nir.Linear(rng.normal(size=(4, 5))),
        "li": nir.LI(np.full(4, 1e-3), np.ones(4), np.zeros(4)),
        "delay": nir.Delay(np.array([0.0, 1e-4, 3e-4, 2e-4])),
        "to_cubali": nir.Linear(rng.normal(size=(3, 4))),
        "cubali": nir.CubaLI(np.full(3, 5e-4), np.full(3, 1e-3), np.full(3, 3.0), np.full(3, 0.1)),
        "skip": nir.Linear(rng.normal(size=(3, 5))),
        "state": nir.Output({"output": np.array([3])}),
        "spikes": nir.Output({"output": np.array([5])}),
        "sums": nir.Output({"output": np.array([4])}),
    }
    edges = [("in", "conv"), ("conv", "lif"), ("lif", "pool"), ("pool", "flat"), ("flat", "fc"), ("fc", "cuba"),
             ("cuba", "rec"), ("rec", "cuba"), ("cuba", "to_li"), ("to_li", "li"), ("li", "delay"),
             ("delay", "to_cubali"), ("to_cubali", "cubali"), ("cuba", "skip"), ("skip", "cubali"),
             ("cubali", "state"), ("cuba", "spikes"), ("to_li", "sums")]
    return nir.NIRGraph(nodes, edges, type_check=False)


def uneven(seed: int) -> nir.NIRGraph:
    """Spiking neurons only, with biases, decays that differ within a population, a shortcut and recurrence."""
    rng = np.random.default_rng(seed)
    nodes = {
        "in": nir.Input({"input": np.array([6])}),
        "fc0": nir.Affine(rng.normal(size=(7, 6)), rng.normal(size=7) * 0.1),
        "lif": nir.LIF(rng.choice([5e-4, 2e-3], 7), np.full(7, 4.0), np.zeros(7), np.ones(7)),
        "fc": nir.Affine(rng.normal(size=(5, 7)), rng.normal(size=5) * 0.3),
        "cuba": nir.CubaLIF(np.full(5, 5e-4), np.array([1e-3, 1e-3, 2e-3, 2e-3, 2e-3]), np.full(5, 3.0), np.zeros(5),
                            np.ones(5)),
        "rec": nir.Affine(rng.normal(size=(5, 5)) * 0.4, rng.normal(size=5) * 0.1),
        "skip": nir.Linear(rng.normal(size=(5, 6))),
        "out": nir.Output({"output": np.array([5])}),
    }
    edges = [("in", "fc0"), ("fc0", "lif"), ("lif", "fc"), ("fc", "cuba"), ("cuba", "rec"), ("rec", "cuba"),
             ("in", "skip"), ("skip", "cuba"), ("cuba", "out")]
    return nir.NIRGraph(nodes, edges, type_check=False)


@pytest.mark.parametrize("reset", [Reset.ZERO, Reset.SUBTRACT])
@pytest.mark.parametrize("spikes", [Emit.SPIKE, Emit.MULTI])
def test_every_kind_of_neuron(reset: Reset, spikes: Emit) -> None:
    verdict = loihic.compile(everything(1), reset=reset, spikes=spikes, golden_steps=40).verify()
    assert verdict.agrees, verdict.lines


def test_graded_input() -> None:
    program = loihic.compile(everything(2), input_range=(-1.0, 1.0), input_bits=8, golden_steps=30)
    x = np.random.default_rng(0).uniform(-1, 1, size=(2, 25, 2, 6, 6))
    verdict = program.verify(x)
    assert verdict.agrees, verdict.lines


@pytest.mark.parametrize("name", FILES)
def test_exporters_files(shared_data: Path, name: str) -> None:
    verdict = loihic.compile(shared_data / "nir" / f"{name}.nir", golden_steps=40).verify()
    assert verdict.agrees, verdict.lines


def test_cnn_on_two_samples(shared_data: Path) -> None:
    program = loihic.compile(shared_data / "nir" / "cnn_sinabs.nir")
    verdict = program.verify(np.random.default_rng(0).random((2, 100, 2, 34, 34)) < 0.1)
    assert verdict.agrees, verdict.lines


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_stock_only(seed: int) -> None:
    """Nothing of loihic's own is left, Lava agrees, and the network fires as the float one does."""
    program = loihic.compile(uneven(seed), stock_only=True, golden_steps=60)
    for node in program.graph.nodes.values():
        assert not isinstance(node, DelayLine)
        assert not isinstance(node, Compartment) or node.stock
    verdict = program.verify()
    assert verdict.agrees, verdict.lines
    x = np.random.default_rng(0).random((10, 200, 6)) < 0.3
    ours, wanted = program.run(x).outputs["out"].sum(1), program.run_float(x)["out"].sum(1)
    assert wanted.sum() > 500
    assert np.abs(ours - wanted).sum() < 0.1 * wanted.sum()


@pytest.mark.parametrize("bits", ["1", "6f", "4fp30", "9", "16", "conv=13,fc=8f,rec=3,auto"])
def test_every_way_to_store_weights(bits: str) -> None:
    """One, two and chained synapses, convolutions among them: Lava agrees, and more bits come closer to the floats."""
    program = loihic.compile(everything(6), weight_bits=bits, golden_steps=40)
    verdict = program.verify()
    assert verdict.agrees, verdict.lines


@pytest.mark.parametrize("bits", ["6f", "12", "5p40"])
def test_every_way_to_store_weights_of_stock_processes(bits: str) -> None:
    program = loihic.compile(uneven(7), stock_only=True, weight_bits=bits, golden_steps=60)
    assert all(node.stock for node in program.graph.nodes.values() if isinstance(node, Compartment))
    verdict = program.verify()
    assert verdict.agrees, verdict.lines


def test_a_chained_convolution_needs_a_process_of_our_own() -> None:
    with pytest.raises(loihic.CompileError, match="LHC402"):
        loihic.compile(everything(8), stock_only=True, weight_bits=12)
