"""Which engine runs what, with numba and without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hardware_nets import random_net

from loihic.errors import BackendError, InputError
from loihic.sim import run as choice
from loihic.sim.simulator import NumpyEngine

GRAPH, INPUTS, STEPS = random_net(1, wide=False)
MANY = 10**7  # steps


def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda name: None)


def test_numpy_runs_what_is_small() -> None:
    assert isinstance(choice.begin(GRAPH, 1, steps=STEPS), NumpyEngine)


def test_kernels_run_what_is_large() -> None:
    pytest.importorskip("numba")
    for engine in (choice.begin(GRAPH, 1, steps=MANY), choice.begin(GRAPH, 1), choice.begin(GRAPH, 1, engine="flat")):
        assert type(engine).__name__ == "FlatEngine"


def test_numpy_runs_what_does_not_fit_the_kernels() -> None:
    pytest.importorskip("numba")
    graph = next(graph for graph, _, _ in map(random_net, range(100)) if any(
        getattr(node, "high", 0) > (1 << 31) - 1 for node in graph.nodes.values()))
    assert isinstance(choice.begin(graph, 1, engine="flat"), NumpyEngine)


def test_numpy_runs_everything_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = choice.run(GRAPH, INPUTS, STEPS, engine="numpy").outputs
    without_numba(monkeypatch)
    assert isinstance(choice.begin(GRAPH, 1, steps=MANY), NumpyEngine)
    for name, values in choice.run(GRAPH, INPUTS, STEPS).outputs.items():
        np.testing.assert_array_equal(values, wanted[name])
    with pytest.raises(BackendError, match="numba is not installed"):
        choice.begin(GRAPH, 1, engine="flat")


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(InputError, match="LHC702"):
        choice.begin(GRAPH, 1, engine="fast")


def test_the_package_needs_no_numba(tmp_path: Path) -> None:
    """A process in which numba cannot be imported runs and verifies against the golden output."""
    model = Path(__file__).resolve().parents[2] / "examples" / "digits" / "digits_mlp.nir"
    program = ("import sys; sys.modules['numba'] = None; sys.modules['llvmlite'] = None\n"
               "import loihic\n"
               f"program = loihic.compile({str(model)!r})\n"
               "assert program.verify(against='golden').agrees\n")
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, cwd=tmp_path)
