"""Models for the tests of the PyTorch reader, and how its graphs are compared with torch."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loihic.errors import Diagnostic
from loihic.frontends.torch_file import from_exported, read_pt2
from loihic.ir.graph import SourceGraph
from loihic.ops.ports import Input, Output
from loihic.options import Options
from loihic.passes.manager import CompileContext
from loihic.passes.shapes import InferShapes
from loihic.sim.reference import run_reference

torch = pytest.importorskip("torch")
nn = torch.nn


class Cnn(nn.Module):  # type: ignore[misc,name-defined]
    """Convolution, batch norm, ReLU, pooling, a residual sum, a concatenation, and a linear end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.fc = nn.Linear(12 * 4, 5)

    def forward(self, x: Any) -> Any:
        y = self.pool(torch.relu(self.bn(self.conv1(x))))
        z = torch.cat([torch.relu(self.conv2(y) + y), y], 1)
        return self.fc(nn.functional.adaptive_avg_pool2d(z, 2).flatten(1))


class Mlp(nn.Module):  # type: ignore[misc,name-defined]
    """Three linear layers with two kinds of ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 16), nn.ReLU6(), nn.Linear(16, 4))

    def forward(self, x: Any) -> Any:
        return self.layers(x)


def seeded(make: Callable[[], Any], seed: int = 0) -> Any:
    """A model in evaluation mode whose batch norms have statistics that are not trivial."""
    torch.manual_seed(seed)
    model = make()
    for part in model.modules():
        if hasattr(part, "running_mean") and part.running_mean is not None:
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2.0)
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.normal_()
    return model.eval()


def exported(model: Any, example: tuple[Any, ...], *, dynamic: bool = False) -> Any:
    """The program of a model; `dynamic` leaves the batch open."""
    shapes = tuple({0: torch.export.Dim("batch")} for _ in example) if dynamic else None
    return torch.export.export(model, example, dynamic_shapes=shapes)


def archive(program: Any) -> bytes:
    """The .pt2 file of a program."""
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def rewritten(image: bytes, change: dict[str, bytes | None] | Callable[[str, bytes], bytes | None]) -> bytes:
    """An archive with members replaced, left out (None) or added; names are without the archive's root."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(image)) as old, zipfile.ZipFile(buffer, "w") as new:
        root = old.namelist()[0].split("/")[0]
        done = set()
        for member in old.infolist():
            name = member.filename[len(root) + 1 :]
            data: bytes | None = old.read(member)
            assert data is not None
            data = change.get(name, data) if isinstance(change, dict) else change(name, data)
            done.add(name)
            if data is not None:
                new.writestr(member.filename, data)
        for name, data in (change.items() if isinstance(change, dict) else ()):
            if name not in done and data is not None:
                new.writestr(f"{root}/{name}", data)
    return buffer.getvalue()


def shaped(graph: SourceGraph) -> SourceGraph:
    """The graph with shapes, or the errors of inferring them."""
    context = CompileContext(options=Options())
    found: SourceGraph = InferShapes().run(graph, context)
    context.raise_errors()
    return found


def answers(graph: SourceGraph, *inputs: Any) -> list[np.ndarray[Any, Any]]:
    """What the source graph answers to arrays (N, *shape), in the order of its outputs."""
    names = [name for name, node in graph.nodes.items() if isinstance(node, Input)]
    steps = {name: np.asarray(x, dtype=np.float64)[:, None] for name, x in zip(names, inputs, strict=True)}
    found = run_reference(shaped(graph), steps)
    return [found[name][:, 0] for name, node in graph.nodes.items() if isinstance(node, Output)]


def both(program: Any, folder: Path) -> tuple[SourceGraph, tuple[Diagnostic, ...]]:
    """The source graph of a program, after checking that its file gives the same."""
    graph, _, notes = from_exported(program, "model")
    path = folder / "model.pt2"
    path.write_bytes(archive(program))
    again, about, _ = read_pt2(path)
    assert list(graph.nodes) == list(again.nodes)
    assert graph.edges == again.edges
    assert about["model"] == "model"
    return graph, notes


def torch_answers(run: Any, *inputs: Any) -> list[np.ndarray[Any, Any]]:
    """What torch answers, sample by sample where the batch is fixed at one; nested outputs laid out flat."""
    with torch.no_grad():
        found = run(*inputs)
    leaves = torch.utils._pytree.tree_leaves(found)
    return [leaf.numpy() for leaf in leaves]


def compare(model: Any, *example: Any, folder: Path, dynamic: bool = True, samples: int = 5,
            tolerance: float = 1e-5) -> SourceGraph:
    """Export a float model, read it back, and hold its answers against torch's on random inputs."""
    program = exported(model, example, dynamic=dynamic)
    graph, _ = both(program, folder)
    count = samples if dynamic else example[0].shape[0]
    inputs = [torch.randn(count, *x.shape[1:]) for x in example]
    wanted = torch_answers(model, *inputs)
    for ours, theirs in zip(answers(graph, *inputs), wanted, strict=True):
        np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, rtol=tolerance, atol=tolerance)
    return graph
