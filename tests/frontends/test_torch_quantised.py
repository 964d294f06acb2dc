"""Models that PT2E quantised, against what torch itself computes with the quantised program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchao")

from torch_quantised import differences, quantised  # noqa: E402
from torch_support import Cnn, Mlp, answers, archive, both, exported, seeded, torch_answers  # noqa: E402

from loihic.errors import CompileError  # noqa: E402
from loihic.frontends.torch_file import from_exported, read_pt2  # noqa: E402
from loihic.ops.elementwise import Relu  # noqa: E402
from loihic.ops.matrix import Matrix  # noqa: E402
from loihic.ops.ports import Output  # noqa: E402
from loihic.ops.quantiser import Quantiser, Rounding  # noqa: E402

nn, f = torch.nn, torch.nn.functional
SHAPES: dict[str, tuple[Any, tuple[int, ...]]] = {"cnn": (Cnn, (3, 8, 8)), "mlp": (Mlp, (12,))}


@pytest.mark.parametrize("style", ["xnnpack", "xnnpack-channel", "x86"])
@pytest.mark.parametrize("name", SHAPES)
def test_answers_are_torchs(name: str, style: str, tmp_path: Path) -> None:
    make, shape = SHAPES[name]
    program = quantised(seeded(make, 1), (torch.randn(2, *shape),), style)
    graph, notes = both(program, tmp_path)
    different, total = differences(program, graph, *shape)
    assert different <= total // 100
    assert not notes


@pytest.mark.parametrize("style", ["xnnpack-channel-qat", "x86-qat"])
def test_quantised_in_training(style: str, tmp_path: Path) -> None:
    program = quantised(seeded(Mlp, 2), (torch.randn(2, 12),), style)
    different, total = differences(program, both(program, tmp_path)[0], 12)
    assert different <= total // 100


@pytest.mark.slow
@pytest.mark.parametrize("style", ["xnnpack-channel-qat", "x86-qat"])
def test_quantised_in_training_with_batch_norm(style: str, tmp_path: Path) -> None:
    program = quantised(seeded(Cnn, 2), (torch.randn(2, 3, 8, 8),), style)
    different, total = differences(program, both(program, tmp_path)[0], 3, 8, 8)
    assert different <= total // 100


@pytest.mark.parametrize(("style", "low", "single"), [("xnnpack", -127, True), ("xnnpack-channel", -127, False),
                                                      ("x86", -128, False)])
def test_what_the_graph_says(style: str, low: int, single: bool) -> None:
    program = quantised(seeded(Cnn), (torch.randn(1, 3, 8, 8),), style, dynamic=False)
    graph, _, _ = from_exported(program)
    conv = graph.nodes["conv1"]
    assert isinstance(conv, Matrix)
    assert conv.unit is not None
    assert conv.unit.shape == (() if single else (6, 1, 1))
    whole = conv.linear.kernel / conv.unit.reshape(-1, 1, 1, 1)  # type: ignore[attr-defined]
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-9)
    assert whole.min() >= low - 1e-9
    assert whole.max() <= 127 + 1e-9
    first = graph.nodes["x.quantiser"]
    assert isinstance(first, Quantiser)
    assert first.high - first.low == 255
    assert first.low <= 0 <= first.high
    assert first.rounding is Rounding.HALF_EVEN
    assert first.multiplier is None
    assert [edge.src for edge in graph.incoming["conv1"]] == ["x.quantiser"]


def test_weights_that_were_not_folded() -> None:
    model, example = seeded(Cnn), (torch.randn(1, 3, 8, 8),)
    torch.manual_seed(5)
    folded, _, _ = from_exported(quantised(model, example, "xnnpack-channel", dynamic=False))
    torch.manual_seed(5)
    loose, _, _ = from_exported(quantised(model, example, "xnnpack-channel", dynamic=False, fold=False))
    for name in ("conv1", "conv2"):
        ours, theirs = (graph.nodes[name] for graph in (loose, folded))
        assert np.array_equal(ours.linear.kernel, theirs.linear.kernel)  # type: ignore[attr-defined]
        assert np.array_equal(ours.unit, theirs.unit)  # type: ignore[attr-defined]


class Levels(nn.Module):  # type: ignore[misc,name-defined]
    """Operators of quantisation as such, some of them between integers."""

    def __init__(self, ending: str) -> None:
        super().__init__()
        self.ending = ending
        self.scales = nn.Buffer(torch.tensor([0.5, 0.25, 0.125]))
        self.zeros = nn.Buffer(torch.tensor([3, 3, 3]))

    def forward(self, x: Any) -> Any:
        ops = torch.ops.quantized_decomposed
        q = ops.quantize_per_tensor(x, 0.25, 3, -8, 7, torch.int8)
        if self.ending == "integers":
            return q.permute(0, 2, 1)
        if self.ending == "moves":
            return f.max_pool1d(torch.cat([q, q.flip(2)], 2).float(), 2)
        if self.ending == "other":
            return ops.dequantize_per_tensor(q, 0.5, -1, -8, 7, torch.int8)
        if self.ending == "cast":
            return q.to(torch.float32) * 2.0
        if self.ending == "channels":
            c = ops.quantize_per_channel(x, self.scales, self.zeros, 1, -128, 127, torch.int8)
            return ops.dequantize_per_channel(c, self.scales, self.zeros, 1, -128, 127, torch.int8)
        if self.ending == "tensors":
            return ops.dequantize_per_tensor.tensor(
                ops.quantize_per_tensor.tensor(x, self.scales[:1], self.zeros[:1], -8, 7, torch.int8),
                self.scales[:1], self.zeros[:1], -8, 7, torch.int8)
        block = (1, 3, 4)
        q = torch.ops.torchao.quantize_affine(x, block, self.scales[:1], self.zeros[:1], torch.int8, -8, 7)
        return torch.ops.torchao.dequantize_affine(q, block, self.scales[:1], self.zeros[:1], torch.int8, -8, 7)


@pytest.mark.parametrize("ending", ["integers", "moves", "other", "cast", "channels", "tensors", "affine"])
def test_levels_are_torchs_ties_too(ending: str, tmp_path: Path) -> None:
    """Zero points are added after rounding: at a tie, an odd one makes a difference otherwise."""
    model = Levels(ending)
    alone = ending == "affine"  # its blocks name the size of the batch
    graph, _ = both(exported(model, (torch.randn(1 if alone else 2, 3, 4),), dynamic=not alone), tmp_path)
    x = torch.arange(-48, 48).reshape(8, 3, 4) / 8.0
    if alone:
        wanted = np.concatenate([torch_answers(model, row[None])[0] for row in x])
    else:
        (wanted,) = torch_answers(model, x)
    (ours,) = answers(graph, x)
    assert np.array_equal(ours, wanted)


def test_integers_at_the_output_come_with_their_meaning() -> None:
    graph, _, _ = from_exported(exported(Levels("integers"), (torch.randn(2, 3, 4),)))
    node = graph.nodes["output"]
    assert isinstance(node, Output)
    assert (float(node.scale), float(node.offset)) == (0.25, 3.0)


def test_integers_at_the_input() -> None:
    class Net(nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, image: Any) -> Any:
            return torch.relu(image.float() / 255.0 - 0.5)

    graph, _, _ = from_exported(exported(Net(), (torch.zeros(2, 3, dtype=torch.uint8),)))
    assert isinstance(graph.nodes["relu"], Relu)
    x = np.array([[0, 128, 255]])
    np.testing.assert_allclose(answers(graph, x)[0], np.maximum(x / 255 - 0.5, 0), atol=1e-7)


class Grouped(nn.Module):  # type: ignore[misc,name-defined]
    """Weights with a scale per group of inputs, or per output, or for all, as torchao's operators have them."""

    def __init__(self, block: tuple[int, int]) -> None:
        super().__init__()
        self.block = block
        counts = (4 // block[0], 6 // block[1])
        self.weight = nn.Buffer(torch.randint(-8, 8, (4, 6), dtype=torch.int8))
        self.scale = nn.Buffer(torch.rand(counts) + 0.1)
        self.zero = nn.Buffer(torch.randint(-3, 3, counts))

    def forward(self, x: Any) -> Any:
        weight = torch.ops.torchao.dequantize_affine(self.weight, self.block, self.scale, self.zero, torch.int8, -8, 7)
        return f.linear(x, weight)


@pytest.mark.parametrize(("block", "unit"), [((1, 3), None), ((1, 6), (4,)), ((4, 6), ())])
def test_units_of_blocks(block: tuple[int, int], unit: tuple[int, ...] | None, tmp_path: Path) -> None:
    model = Grouped(block)
    graph, _ = both(exported(model, (torch.randn(2, 6),), dynamic=True), tmp_path)
    node = graph.nodes["linear"]
    assert isinstance(node, Matrix)
    assert (None if node.unit is None else node.unit.shape) == unit
    x = torch.randn(5, 6)
    np.testing.assert_allclose(answers(graph, x)[0], torch_answers(model, x)[0], atol=1e-5)


def test_units_follow_the_weights_that_are_moved() -> None:
    class Net(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Buffer(torch.randint(-8, 8, (2, 3, 4), dtype=torch.int8))
            self.scale = nn.Buffer(torch.tensor([0.5, 0.25, 0.125]))
            self.zero = nn.Buffer(torch.zeros(3, dtype=torch.int64))

        def forward(self, x: Any) -> Any:
            weight = torch.ops.quantized_decomposed.dequantize_per_channel(
                self.weight, self.scale, self.zero, 1, -8, 7, torch.int8)
            return x @ (weight.permute(1, 0, 2).reshape(3, 8).t() * -2.0)

    graph, _, _ = from_exported(exported(Net(), (torch.randn(2, 8),)))
    node = graph.nodes["matmul"]
    assert isinstance(node, Matrix)
    assert np.array_equal(node.unit, [1.0, 0.5, 0.25])


def test_integer_arithmetic_is_refused(tmp_path: Path) -> None:
    program = quantised(seeded(Mlp), (torch.randn(2, 12),), "xnnpack", reference=True)
    path = tmp_path / "reference.pt2"
    path.write_bytes(archive(program))
    with pytest.raises(CompileError, match="without use_reference_representation"):
        read_pt2(path)


def test_other_numbers_are_refused() -> None:
    class Net(nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, x: Any) -> Any:
            q = torch.ops.quantized_decomposed.quantize_per_tensor(x, 0.5, 0, -100, 100, torch.float8_e4m3fn)
            return q.float(), x.to(torch.float8_e5m2).float(), x.to(torch.int32)

    with pytest.raises(CompileError) as caught:
        from_exported(exported(Net(), (torch.randn(2, 3),)))
    assert [found.message for found in caught.value.diagnostics] == [
        "it does not quantise to integers", "its numbers are neither real nor integers, or of 8 bits with an exponent",
        "real numbers are cut to integers"]


def test_scales_must_be_positive() -> None:
    model = Levels("channels")
    model.scales[1] = 0.0
    with pytest.raises(CompileError, match="a scale is not positive"):
        from_exported(exported(model, (torch.randn(2, 3, 4),)))
