"""Small programs and data sets."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest

import loihic
from loihic.ops.activation import Coding
from loihic.program import Program

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def spiking_graph(seed: int = 0) -> nir.NIRGraph:
    """5 inputs, 7 LIF neurons with a loop, 3 outputs; a path of another length beside it."""
    rng = np.random.default_rng(seed)

    def leaky(size: int) -> nir.LIF:
        ones = np.ones(size)
        return nir.LIF(tau=ones * 0.002, r=ones * 8, v_leak=ones * 0, v_threshold=ones * 0.5)

    nodes = {
        "input": nir.Input(np.array([5])), "fc": nir.Linear(rng.normal(0.3, 0.6, (7, 5))), "hidden": leaky(7),
        "out": nir.Affine(rng.normal(0.2, 0.6, (3, 7)), rng.normal(0, 0.02, 3)), "last": leaky(3),
        "output": nir.Output(np.array([3])), "back": nir.Linear(rng.normal(0, 0.2, (7, 7)))}
    edges = [*pairwise(list(nodes)[:6]), ("hidden", "back"), ("back", "hidden")]
    return nir.NIRGraph(nodes, edges)


@pytest.fixture(scope="session")
def network() -> nir.NIRGraph:
    return spiking_graph()


@pytest.fixture(scope="session")
def spiking(network: nir.NIRGraph) -> Program:
    return loihic.compile(network)


@pytest.fixture(scope="session")
def stepwise() -> Program:
    """Every step is a question: the quantised network of images."""
    return loihic.compile(EXAMPLES / "quantised" / "digits_cnn.onnx")


@pytest.fixture(scope="session")
def regressing() -> Program:
    return loihic.compile(EXAMPLES / "quantised" / "friedman_mlp.onnx")


@pytest.fixture(scope="session")
def regressing_by_changes() -> Program:
    return loihic.compile(EXAMPLES / "quantised" / "friedman_mlp.onnx", activation=Coding.SIGMA_DELTA)


@pytest.fixture(scope="session")
def images() -> tuple[np.ndarray, np.ndarray]:
    folder = EXAMPLES / "quantised"
    with np.load(folder / "digits_cnn_test.npz") as arrays:
        return arrays["input"], np.load(folder / "digits_cnn_labels.npy")


@pytest.fixture(scope="session")
def spikes() -> tuple[np.ndarray, np.ndarray]:
    """Inputs (23, 20, 5) and labels (23,)."""
    rng = np.random.default_rng(1)
    return (rng.random((23, 20, 5)) < 0.4).astype(np.uint8), rng.integers(0, 3, 23)
