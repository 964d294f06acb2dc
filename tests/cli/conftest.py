"""Small models on disk, a compiled program, and a way to call the command line."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest
from click.testing import CliRunner, Result

from loihic.cli import main

Call = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(folder: Path) -> Call:
    """Run the command line; a traceback is never what comes back."""

    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(main, [str(item) for item in arguments])
        assert "Traceback" not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


def mlp() -> nir.NIRGraph:
    """3 inputs, 4 LIF neurons under a name with a dot, 2 outputs."""
    rng = np.random.default_rng(0)
    ones = np.ones(4)
    nodes = {
        "input": nir.Input(np.array([3])),
        "fc": nir.Affine(rng.normal(size=(4, 3)), rng.normal(size=4) * 0.1),
        "hidden.lif": nir.LIF(tau=ones * 0.01, r=ones, v_leak=ones * 0, v_threshold=ones * 0.1),
        "out": nir.Linear(rng.normal(size=(2, 4))),
        "last": nir.IF(r=np.ones(2), v_threshold=np.ones(2)),
        "output": nir.Output(np.array([2])),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)))


def feature_map() -> nir.NIRGraph:
    """A convolution to 2 x 3 x 4 IF neurons."""
    nodes = {
        "input": nir.Input(np.array([1, 5, 6])),
        "conv": nir.Conv2d(input_shape=(5, 6), weight=np.arange(18.0).reshape(2, 1, 3, 3) - 8, stride=1, padding=0,
                           dilation=1, groups=1, bias=np.zeros(2)),
        "spikes": nir.IF(r=np.ones((2, 3, 4)), v_threshold=np.ones((2, 3, 4))),
        "output": nir.Output(np.array([2, 3, 4])),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)))


@pytest.fixture
def model(folder: Path) -> Path:
    path = folder / "net.nir"
    nir.write(path, mlp())
    return path


@pytest.fixture
def conv_model(folder: Path) -> Path:
    path = folder / "map.nir"
    nir.write(path, feature_map())
    return path


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What `compile` makes of `model`."""
    path = tmp_path_factory.mktemp("compiled") / "net.nir"
    nir.write(path, mlp())
    target = path.with_suffix(".loihic")
    assert CliRunner().invoke(main, ["compile", str(path), "-o", str(target)]).exit_code == 0
    return target.read_bytes()


@pytest.fixture
def program(model: Path, compiled: bytes) -> Path:
    path = model.with_suffix(".loihic")
    path.write_bytes(compiled)
    return path
