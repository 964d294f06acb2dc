"""Every operator of the PyTorch reader against torch, in the training form of an export and in core ATen."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch_support import answers, both, exported, seeded, torch_answers  # noqa: E402

from loihic.errors import CompileError  # noqa: E402
from loihic.frontends.torch_file import from_exported  # noqa: E402

nn, f = torch.nn, torch.nn.functional
IMAGE, LINE, ROW = (3, 6, 8), (4, 9), (10,)


class Of(nn.Module):  # type: ignore[misc,name-defined]
    """A function as a model, with a constant at hand."""

    def __init__(self, function: Callable[..., Any], constant: Any = None) -> None:
        super().__init__()
        self.function = function
        self.constant = None if constant is None else nn.Parameter(constant)

    def forward(self, x: Any, row: Any = None) -> Any:
        given = [part for part in (x, row, self.constant) if part is not None]
        return self.function(*given)


def check(model: Any, shapes: tuple[tuple[int, ...], ...], folder: Path, *, batch: int = 3,
          dynamic: bool = True, core: bool = True) -> None:
    example = tuple(torch.randn(batch, *shape) for shape in shapes)
    first = exported(model, example, dynamic=dynamic)
    inputs = [torch.randn(5 if dynamic else batch, *shape) for shape in shapes]
    wanted = torch_answers(model, *inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for program in (first, first.run_decompositions()) if core else (first,):
            graph, notes = both(program, folder)
            assert not notes
            for ours, theirs in zip(answers(graph, *inputs), wanted, strict=True):
                np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, rtol=2e-5, atol=2e-5)


MODULES = {
    "conv-stride": (lambda: nn.Conv2d(3, 4, 3, stride=(2, 1), padding=(1, 0)), IMAGE),
    "conv-dilation": (lambda: nn.Conv2d(3, 6, (3, 2), dilation=(1, 2), groups=3, bias=False), IMAGE),
    "conv-same": (lambda: nn.Conv2d(3, 4, (4, 3), padding="same"), IMAGE),
    "conv-valid": (lambda: nn.Conv2d(3, 4, 3, padding="valid"), IMAGE),
    "conv-reflect": (lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), IMAGE),
    "conv1d": (lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1), LINE),
    "conv1d-same": (lambda: nn.Conv1d(4, 4, 4, padding="same", groups=2), LINE),
    "linear": (lambda: nn.Linear(10, 3), ROW),
    "linear-rows": (lambda: nn.Linear(9, 3, bias=False), LINE),
    "norm-1d": (lambda: nn.Sequential(nn.Linear(10, 4), nn.BatchNorm1d(4)), ROW),
    "norm-line": (lambda: nn.BatchNorm1d(4), LINE),
    "norm-2d": (lambda: nn.BatchNorm2d(3), IMAGE),
    "relu": (lambda: nn.ReLU(), ROW),
    "relu-inplace": (lambda: nn.Sequential(nn.Linear(10, 4), nn.ReLU(inplace=True), nn.Hardtanh(inplace=True)), ROW),
    "relu6": (lambda: nn.ReLU6(), ROW),
    "hardtanh": (lambda: nn.Hardtanh(-0.5, 0.25), ROW),
    "leaky": (lambda: nn.LeakyReLU(0.2), IMAGE),
    "prelu": (lambda: nn.PReLU(), IMAGE),
    "prelu-channels": (lambda: nn.PReLU(3, init=0.3), IMAGE),
    "sigmoid": (lambda: nn.Sigmoid(), ROW),
    "tanh": (lambda: nn.Tanh(), ROW),
    "hardsigmoid": (lambda: nn.Sequential(nn.Linear(10, 5), nn.Hardsigmoid()), ROW),
    "average": (lambda: nn.AvgPool2d(2), IMAGE),
    "average-padded": (lambda: nn.AvgPool2d(3, 2, 1), IMAGE),
    "average-inside": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), IMAGE),
    "average-line": (lambda: nn.AvgPool1d(3, 2), LINE),
    "average-adaptive": (lambda: nn.AdaptiveAvgPool2d((3, 4)), IMAGE),
    "average-uneven": (lambda: nn.AdaptiveAvgPool2d((4, 3)), IMAGE),
    "average-adaptive-line": (lambda: nn.AdaptiveAvgPool1d(4), LINE),
    "maximum": (lambda: nn.MaxPool2d(2), IMAGE),
    "maximum-padded": (lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True), IMAGE),
    "maximum-dilated": (lambda: nn.MaxPool2d((2, 3), stride=1, dilation=2), IMAGE),
    "maximum-line": (lambda: nn.MaxPool1d(3, 2), LINE),
    "maximum-adaptive": (lambda: nn.AdaptiveMaxPool2d((3, 2)), IMAGE),
    "maximum-uneven": (lambda: nn.AdaptiveMaxPool2d((4, 3)), IMAGE),
    "dropout": (lambda: nn.Sequential(nn.Dropout(0.5), nn.Dropout2d(0.5), nn.Identity()), IMAGE),
    "upsample": (lambda: nn.Upsample(scale_factor=2), IMAGE),
    "pad": (lambda: nn.ZeroPad2d((1, 2, 0, 3)), IMAGE),
    "pad-negative": (lambda: nn.ConstantPad2d((-1, 2, 1, -2), 0.5), IMAGE),
    "flatten": (lambda: nn.Sequential(nn.Flatten(), nn.Unflatten(1, (9, 16))), IMAGE),
}

# core ATen has comparisons and remainders for them, or joins the batch with rows
NOT_IN_CORE = ("prelu", "prelu-channels", "linear-rows", "flip-roll", "matmul")


@pytest.mark.parametrize("name", MODULES)
def test_module_is_torchs(name: str, tmp_path: Path) -> None:
    make, shape = MODULES[name]
    check(seeded(make), (shape,), tmp_path, core=name not in NOT_IN_CORE)


ONE_INPUT: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "clamp": (lambda x: x.clamp(-0.5, 1.0), ROW),
    "clamp-below": (lambda x: torch.clamp(x, min=-0.2), ROW),
    "clamp-relu": (lambda x: torch.clamp_min(x, 0.0), ROW),
    "clamp-above": (lambda x: torch.clamp(x, max=0.3), ROW),
    "arithmetic": (lambda x: (2.0 - x * 3.0) / 4.0 + 1.0 - x, ROW),
    "alpha": (lambda x: torch.sub(torch.add(x, x * 0.5, alpha=3), x, alpha=2), ROW),
    "constant-left": (lambda x: 1.0 - (-x), ROW),
    "twice": (lambda x: x + x, ROW),
    "broadcast": (lambda x: x + x.mean((2, 3), keepdim=True), IMAGE),
    "mean-space": (lambda x: x.mean((2, 3)), IMAGE),
    "mean-last": (lambda x: x.mean(-1), LINE),
    "mean-channels": (lambda x: x.mean(1, keepdim=True), IMAGE),
    "sum": (lambda x: x.sum((1, 3)), IMAGE),
    "maximum-along": (lambda x: x.amax((1, 2)), IMAGE),
    "maximum-dim": (lambda x: x.max(1, keepdim=True).values, IMAGE),
    "view": (lambda x: x.view(x.shape[0], -1, 4).reshape(x.shape[0], 36, 4), IMAGE),
    "permute": (lambda x: x.permute(0, 2, 3, 1), IMAGE),
    "transpose": (lambda x: x.transpose(1, 2).swapaxes(-1, 1), IMAGE),
    "movedim": (lambda x: x.movedim(1, 3), IMAGE),
    "squeeze": (lambda x: x.unsqueeze(2).squeeze(2).unsqueeze(-1), LINE),
    "slices": (lambda x: x[:, 1:, ::2, -3:], IMAGE),
    "select": (lambda x: x[:, -1] + x[:, 0], IMAGE),
    "narrow": (lambda x: x.narrow(2, 1, 3), IMAGE),
    "indices": (lambda x: x[:, [2, 0, 0]], IMAGE),
    "index-select": (lambda x: torch.index_select(x, 1, torch.tensor([2, 1])), IMAGE),
    "chunk": (lambda x: torch.cat(x.chunk(3, -1)[::-1], -1), IMAGE),
    "split": (lambda x: x.split(2, 2)[1] - x.split([2, 1, 2, 1], 2)[2], IMAGE),
    "unbind": (lambda x: x.unbind(1)[1], IMAGE),
    "stack": (lambda x: torch.stack([x[:, 0], x[:, 2]], -1), IMAGE),
    "expand": (lambda x: x[:, :1].expand(-1, 5, -1, -1), IMAGE),
    "repeat": (lambda x: x.repeat(1, 2, 1, 3), IMAGE),
    "flip-roll": (lambda x: torch.flip(x, (1, 3)) - torch.roll(x, (1, -2), (2, 3)), IMAGE),
    "casts": (lambda x: x.to(torch.float64).float().contiguous().detach().clone(), ROW),
    "view-after-change": (lambda x: (x * 1.0).relu_().view(-1, 5, 2), ROW),
    "pixel-shuffle": (lambda x: x.reshape(-1, 3, 2, 3, 2, 4).permute(0, 1, 2, 4, 3, 5).flatten(1, 3), IMAGE),
}


@pytest.mark.parametrize("name", ONE_INPUT)
def test_function_is_torchs(name: str, tmp_path: Path) -> None:
    function, shape = ONE_INPUT[name]
    check(Of(function), (shape,), tmp_path, core=name not in NOT_IN_CORE)


WITH_CONSTANT: dict[str, tuple[Callable[..., Any], tuple[int, ...], tuple[int, ...]]] = {
    "matmul": (lambda x, w: x @ w, LINE, (9, 5)),
    "addmm": (lambda x, w: torch.addmm(w[0], x, w, beta=2.0, alpha=-0.5), ROW, (10, 5)),
    "transposed": (lambda x, w: x @ w.t().contiguous(), ROW, (6, 10)),
    "reshaped": (lambda x, w: f.linear(x, w.permute(1, 0, 2).reshape(3, 10)), ROW, (2, 3, 5)),
    "add-channels": (lambda x, w: x + w[:, None, None], IMAGE, (3,)),
    "times-row": (lambda x, w: w * x, IMAGE, (8,)),
    "wider": (lambda x, w: x[:, :1] * w - w, IMAGE, (1, 5, 6, 8)),
    "minus": (lambda x, w: w - x, ROW, (1, 10)),
    "divided": (lambda x, w: x / (w * w + 1.0), ROW, (10,)),
    "of-constants": (lambda x, w: f.linear(x, w * 2.0 - w / 3.0, -w.t()[0]), ROW, (10, 10)),
}


@pytest.mark.parametrize("name", WITH_CONSTANT)
def test_function_with_a_constant_is_torchs(name: str, tmp_path: Path) -> None:
    function, shape, size = WITH_CONSTANT[name]
    check(Of(function, torch.randn(size)), (shape,), tmp_path, core=name not in NOT_IN_CORE)


@pytest.mark.parametrize("dynamic", [True, False])
def test_several_inputs_and_outputs(dynamic: bool, tmp_path: Path) -> None:
    def network(image: Any, row: Any) -> Any:
        both = torch.cat([image.flatten(1), row], 1)
        return {"sum": both.sum(1, keepdim=True), "parts": (image[:, 0], row)}

    check(Of(network), (IMAGE, ROW), tmp_path, dynamic=dynamic)


SINGLE: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "flat": (lambda x: x.view(-1), IMAGE),
    "squeezed": (lambda x: x.mean((1, 2, 3), keepdim=True).squeeze(), IMAGE),
    "first": (lambda x: x[0, 1:], IMAGE),
    "there-and-back": (lambda x: (x.view(12, 12).t() + 1.0).reshape(1, 9, 16), IMAGE),
    "to-front": (lambda x: x.permute(1, 0, 2, 3).squeeze(1), IMAGE),
}


@pytest.mark.parametrize("name", SINGLE)
def test_batch_of_one_may_be_dropped(name: str, tmp_path: Path) -> None:
    function, shape = SINGLE[name]
    check(Of(function), (shape,), tmp_path, batch=1, dynamic=False)


MIXED: dict[str, tuple[Callable[..., Any], tuple[int, ...], int]] = {
    "flipped": (lambda x: torch.flip(x, (0,)), ROW, 3),
    "rolled": (lambda x: torch.roll(x, 1), ROW, 3),
    "transposed": (lambda x: x.t(), (3,), 3),
    "normalised": (lambda x: x - x.mean(0), ROW, 3),
    "joined": (lambda x: torch.cat([x[:2], x[2:]], 0), ROW, 3),
    "moved": (lambda x: x.reshape(3, 2, 6).permute(1, 0, 2).reshape(3, 12), (12,), 3),
    "first": (lambda x: x[0], (3,), 3),
    "per-sample": (lambda x: x * torch.tensor([[1.0], [2.0], [3.0]]), ROW, 3),
    "repeated": (lambda x: x.repeat(2, 1), ROW, 3),
}


@pytest.mark.parametrize("name", MIXED)
def test_mixed_samples_are_refused(name: str) -> None:
    function, shape, batch = MIXED[name]
    program = exported(Of(function), (torch.randn(batch, *shape),))
    with pytest.raises(CompileError) as caught:
        from_exported(program)
    assert {found.code for found in caught.value.diagnostics} == {"LHC401"}


def test_view_of_what_changes_in_place_is_refused() -> None:
    def network(x: Any) -> Any:
        y = x * 2.0
        half = y[:, :5]
        y.relu_()
        return half + 1.0

    with pytest.raises(CompileError, match="in place, and a view"):
        from_exported(exported(Of(network), (torch.randn(2, 10),)))


def test_writing_to_a_buffer_is_refused() -> None:
    class Net(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.count = nn.Buffer(torch.zeros(1))

        def forward(self, x: Any) -> Any:
            self.count.add_(1.0)
            return x + self.count

    with pytest.raises(CompileError, match="a state that is kept from call to call"):
        from_exported(exported(Net(), (torch.randn(2, 10),)))


def test_old_name_after_a_change_in_place(tmp_path: Path) -> None:
    def network(x: Any) -> Any:
        y = x * 2.0
        y.relu_()
        y.add_(1.0)
        return y * 3.0

    check(Of(network), (ROW,), tmp_path)
