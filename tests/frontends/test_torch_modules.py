"""Modules as users have them: names, notes, what is refused and how, and random stacks."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch_support import Cnn, answers, both, compare, exported, seeded, torch_answers  # noqa: E402

from loihic.errors import CompileError, ExitCode, InputError, Severity  # noqa: E402
from loihic.frontends import torch_program  # noqa: E402
from loihic.frontends.torch_file import from_exported, from_module  # noqa: E402
from loihic.ir.linear import ConvMap  # noqa: E402
from loihic.ops.matrix import Matrix  # noqa: E402
from loihic.ops.ports import Input, Output  # noqa: E402

nn = torch.nn


def problems(model: Any, *example: Any, dynamic: bool = False) -> list[Any]:
    with pytest.raises(CompileError) as caught:
        from_exported(exported(model, example, dynamic=dynamic))
    return list(caught.value.diagnostics)


def test_module_is_exported_and_left_as_it_was() -> None:
    model = seeded(Cnn).train()
    model.bn.eval()
    graph, about, notes = from_module(model, (torch.randn(1, 3, 8, 8),))
    assert about["model"] == "Cnn"
    assert not notes
    assert model.training
    assert not model.bn.training
    x = torch.randn(1, 3, 8, 8)
    np.testing.assert_allclose(answers(graph, x)[0], torch_answers(model.eval(), x)[0], atol=1e-5)


def test_labels_are_the_users() -> None:
    class Block(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x: Any) -> Any:
            return torch.relu(self.conv(x) + x)

    class Net(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([Block(), Block()])
            self.twice = nn.ReLU()

        def forward(self, image: Any) -> Any:
            for block in self.blocks:
                image = self.twice(block(image))
            return {"features": image, "mean": image.mean((2, 3))}

    graph, _, _ = from_exported(exported(Net(), (torch.randn(1, 2, 4, 4),)))
    assert list(graph.nodes) == [
        "image", "blocks.0.conv", "blocks.0.add", "blocks.0.relu", "twice", "blocks.1.conv", "blocks.1.add_1",
        "blocks.1.relu_2", "twice#2", "mean", "mean#2", "features", "mean#3"]
    assert [node.origins for _, node in graph.of(Output)] == [("features",), ("mean",)]
    assert isinstance(graph.nodes["blocks.0.conv"], Matrix)
    assert isinstance(graph.nodes["blocks.0.conv"].linear, ConvMap)


def test_inputs_have_the_users_names_and_no_batch() -> None:
    class Net(nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, image: Any, unused: Any, *, scale: Any) -> Any:
            return image + scale[:, :, None, None]

    example = (torch.randn(3, 2, 4, 5), torch.randn(3, 7))
    program = torch.export.export(Net(), example, {"scale": torch.randn(3, 2)})
    graph, _, _ = from_exported(program)
    assert {name: node.shape for name, node in graph.of(Input)} == {"image": (2, 4, 5), "unused": (7,), "scale": (2,)}


@pytest.mark.parametrize(("tail", "name"), [
    (lambda y: y.softmax(1), "softmax"), (lambda y: nn.functional.log_softmax(y, -1), "log_softmax"),
    (lambda y: y.argmax(1), "argmax"), (lambda y: torch.log_softmax(y, 1).argmax(1).unsqueeze(-1), "log_softmax"),
    (lambda y: y.topk(2, 1).indices, "topk")])
def test_ends_that_are_left_to_the_host(tail: Any, name: str, tmp_path: Path) -> None:
    class Net(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 4)

        def forward(self, x: Any) -> Any:
            return tail(self.fc(x))

    model = Net()
    graph, notes = both(exported(model, (torch.randn(2, 6),), dynamic=True), tmp_path)
    (note,) = notes
    assert (note.code, note.severity) == ("LHC109", Severity.NOTE)
    assert name in note.message
    x = torch.randn(5, 6)
    np.testing.assert_allclose(answers(graph, x)[0], torch_answers(model.fc, x)[0], atol=1e-6)


def test_softmax_inside_is_refused() -> None:
    class Net(nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, x: Any) -> Any:
            return x.softmax(1) * 2.0

    (found,) = problems(Net(), torch.randn(2, 4))
    assert found.code == "LHC401"
    assert "after softmax" in found.message


def test_unread_operators_are_listed_together() -> None:
    class Net(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(6, 6)
            self.norm = nn.LayerNorm(6)
            self.up = nn.ConvTranspose1d(1, 1, 3)

        def forward(self, x: Any) -> Any:
            y = nn.functional.gelu(self.first(x)) + nn.functional.gelu(x)
            z = self.norm(y) * x
            return self.up(torch.special.bessel_j0(z)[:, None]), x * x

    found = problems(Net(), torch.randn(2, 6))
    assert [(d.code, d.message) for d in found] == [
        ("LHC401", "operator aten.gelu.default is not read"),
        ("LHC401", "operator aten.layer_norm.default is not read"),
        ("LHC102", "operator aten.special_bessel_j0.default is not read"),
        ("LHC401", "operator aten.conv_transpose1d.default is not read"),
        ("LHC401", "two tensors that both depend on the input are multiplied")]
    assert [d.node for d in found] == ["gelu, gelu_1", "norm", "special_bessel_j0", "up", "mul_1 (aten.mul.Tensor)"]
    assert "ReLU" in found[0].help
    assert "conv2d" in found[2].help
    assert CompileError(found).exit_code == ExitCode.UNSUPPORTED


def test_training_mode_is_refused() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5)).train()
    found = problems(model, torch.randn(2, 4))  # the count of batches and the norm; what depends on it is passed over
    assert [d.code for d in found] == ["LHC401", "LHC401"]
    assert all("model.eval()" in d.help for d in found)
    (found,) = problems(model[1].train(), torch.randn(2, 4))
    assert "model.eval()" in found.help


@pytest.mark.filterwarnings("ignore")
def test_state_is_refused() -> None:
    class Net(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.memory = nn.Buffer(torch.zeros(1, 4))

        def forward(self, x: Any) -> Any:
            self.memory.copy_(self.memory + x)
            return self.memory * 1.0

    program = exported(Net(), (torch.randn(1, 4),)).run_decompositions()
    with pytest.raises(CompileError, match="keeps a state") as caught:
        from_exported(program)
    assert caught.value.diagnostics[0].node == "memory"
    assert problems(Net(), torch.randn(1, 4))[0].message == "operator aten.copy_.default is not read"


def test_sizes_that_are_open() -> None:
    program = torch.export.export(
        nn.Conv2d(1, 1, 3), (torch.randn(2, 1, 8, 8),),
        dynamic_shapes=({0: torch.export.Dim("batch"), 2: torch.export.Dim("height", min=4)},))
    with pytest.raises(CompileError) as caught:
        from_exported(program)
    assert caught.value.diagnostics[0].code == "LHC202"
    assert caught.value.diagnostics[0].param == "shape (?, 1, ?, 8)"


def test_batches_of_inputs_must_agree() -> None:
    class Net(nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, x: Any, y: Any) -> Any:
            return x * 2.0, y * 3.0

    assert "different sizes" in problems(Net(), torch.randn(2, 4), torch.randn(3, 4))[0].message
    assert "no batch dimension" in problems(Net(), torch.randn(2, 4), torch.tensor(1.0))[0].message


def test_parameters_must_be_finite() -> None:
    model = nn.Linear(4, 2)
    model.weight.data[0, 1] = float("nan")
    (found,) = problems(model, torch.randn(1, 4))
    assert found.code == "LHC104"


def test_outputs_must_come_from_the_input() -> None:
    class Net(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, x: Any) -> Any:
            return x, self.weight * 2.0

    assert "does not depend on the input" in problems(Net(), torch.randn(1, 3))[0].message


def test_spiking_neurons_go_by_nir() -> None:
    spiking = type("Leaky", (nn.Module,), {"__module__": "snntorch._neurons.leaky", "forward": lambda self, x: x})
    with pytest.raises(CompileError, match="nirtorch") as caught:
        from_module(nn.Sequential(nn.Linear(2, 2), spiking()), (torch.randn(1, 2),))
    assert caught.value.diagnostics[0].node == "1"


def test_models_that_cannot_be_exported() -> None:
    class Net(nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, x: Any) -> Any:
            return x if x.sum() > 0 else -x

    with pytest.raises(CompileError, match="cannot export the model"):
        from_module(Net(), (torch.randn(1, 2),))


def test_other_things_are_refused() -> None:
    with pytest.raises(InputError, match=r"torch\.nn\.Module is wanted, not dict"):
        from_module({}, (torch.randn(1, 2),))
    with pytest.raises(InputError, match="an ExportedProgram is wanted, not Linear"):
        from_exported(nn.Linear(2, 2))


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> ModuleType:
        raise ImportError(name)

    monkeypatch.setattr(torch_program, "import_module", absent)
    with pytest.raises(CompileError, match=r"pip install 'loihic\[torch\]'"):
        from_exported(None)


@st.composite
def stacks(draw: st.DrawFn) -> tuple[list[Any], tuple[int, ...]]:
    """Modules that fit one upon the other, and the shape of the input."""
    channels, height, width = draw(st.integers(1, 3)), draw(st.integers(4, 9)), draw(st.integers(4, 9))
    shape, parts = (channels, height, width), []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "norm", "activation", "average", "maximum", "adaptive"]))
        if kind == "conv":
            size, out = draw(st.integers(1, 3)), draw(st.integers(1, 4))
            stride, padding = draw(st.integers(1, 2)), draw(st.integers(0, 1))
            parts.append(nn.Conv2d(channels, out, size, stride, padding, bias=draw(st.booleans())))
            channels = out
            height, width = ((n + 2 * padding - size) // stride + 1 for n in (height, width))
        elif kind == "norm":
            parts.append(nn.BatchNorm2d(channels))
        elif kind == "activation":
            parts.append(draw(st.sampled_from([nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.3), nn.Sigmoid(), nn.PReLU()])))
        elif kind == "adaptive":
            height, width = draw(st.integers(1, height)), draw(st.integers(1, width))
            parts.append(draw(st.sampled_from([nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d]))((height, width)))
        else:
            pool = nn.AvgPool2d if kind == "average" else nn.MaxPool2d
            parts.append(pool(2, 1, ceil_mode=draw(st.booleans())))
            height, width = height - 1, width - 1
        if min(height, width) < 3:
            break
    if draw(st.booleans()):
        parts += [nn.Flatten(), nn.Linear(channels * height * width, 3)]
    return parts, shape


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stack=stacks(), dynamic=st.booleans(), seed=st.integers(0, 99))
def test_random_stacks_are_torchs(stack: tuple[list[Any], tuple[int, ...]], dynamic: bool, seed: int,
                                  tmp_path: Path) -> None:
    parts, shape = stack
    model = seeded(lambda: nn.Sequential(*parts), seed)
    compare(model, torch.randn(2, *shape), folder=tmp_path, dynamic=dynamic)
