"""Networks run by lava-dl's own netx, in a process group of its own, for comparison with compiled programs."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import loihic
from loihic.frontends.netx_file import read_net_file
from loihic.ir.node import Array
from loihic.targets.lava.runner import run_script
from loihic.targets.lava.worker import load_arrays, save_arrays

SCRIPT = Path(__file__).with_name("run_netx.py")
RESET: Mapping[str, Any] = {"reset_interval": 1 << 14, "reset_offset": 1}
"""Each layer starts from rest in the step in which it hears the first input step, as the layers of a program do."""

try:
    FILES = importlib.metadata.distribution("lava-dl").files or []
except importlib.metadata.PackageNotFoundError:
    pytest.skip("lava-dl is not installed (make test-oracles)", allow_module_level=True)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A network and its input.

    Attributes:
        path: of the .net file.
        x: whole numbers (T, *shape), channels first.
        drive: what the input goes to: ``inp``, the network's own port; ``neuron``, the neurons of its first layer;
            ``bias``, their biases (the first step of x, for all of its steps).
        arguments: of netx.hdf5.Network.
    """

    path: Path
    x: Array
    drive: str = "inp"
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Enough for the last input step to reach the last layer."""
        return len(self.x) + len(read_net_file(self.path).layers)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What netx made of a job.

    Attributes:
        layers: how many netx built.
        late: steps after which the last layer hears an input.
        out: what it sent, (steps, *shape).
        v: the voltages of its neurons, if they have any.
        error: why netx did not build the network, if so; then there is nothing else.
    """

    layers: int = 0
    late: int = 0
    out: Array = field(default_factory=lambda: np.zeros(0))
    v: Array = field(default_factory=lambda: np.zeros(0))
    error: str = ""

    def aligned(self, length: int, of: str = "out") -> Array:
        """`out` or `v`, step t answering input step t."""
        values: Array = getattr(self, of)[self.late : self.late + length]
        assert len(values) == length
        return values.astype(np.int64)


def netx(jobs: Sequence[Job], folder: Path, *, timeout: float = 180) -> list[Answer]:
    """Run jobs one after the other in a process of their own.

    Args:
        jobs: what to run.
        folder: where the process finds it and leaves its answers.
        timeout: limit in seconds for all of it.
    """
    asked = [{"net": str(job.path), "arguments": dict(job.arguments), "drive": job.drive, "steps": job.steps}
             for job in jobs]
    (folder / "jobs.json").write_text(json.dumps(asked), encoding="utf-8")
    save_arrays(folder / "inputs.npz", {f"{index}": job.x for index, job in enumerate(jobs)})
    run_script([sys.executable, str(SCRIPT), str(folder)], timeout=timeout)
    result = load_arrays(folder / "result.npz")
    answers = []
    for index, job in enumerate(jobs):
        found = {name: result[f"{index}.{name}"] for name in ("layers", "out", "v", "error")
                 if f"{index}.{name}" in result}
        if "error" in found:
            answers.append(Answer(error=str(found["error"])))
            continue
        layers = int(found.pop("layers"))
        answers.append(Answer(layers=layers, late=layers - (job.drive != "inp"), **found))
    return answers


def voltages(program: loihic.Program, x: Array, name: str) -> Array:
    """Of a population, (T, *shape), step t answering input step t."""
    start: int = program.graph.nodes[name].start  # type: ignore[attr-defined]
    return program.run(x, record=[(name, "v")]).recorded[name, "v"][0, start : start + len(x)]


def compiled(path: Path, x: Array, **choices: Any) -> Array:
    """What loihic makes of the file, behind its encoder, in Lava's own integers: (T, *shape), aligned."""
    program = loihic.compile(path, **{"encoder": False, "golden_steps": 2, **choices})
    return program.run(x).outputs["output"][0]


def shipped(name: str) -> Path:
    """A file that lava-dl's own tests read, and that it installs with itself."""
    for file in FILES:
        if str(file) == f"tests/lava/lib/dl/netx/{name}":
            return Path(str(file.locate()))
    pytest.skip(f"lava-dl came without its tests' {name}")
