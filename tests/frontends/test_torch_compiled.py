"""Programs compiled from PyTorch: quantised ones against torch's own answers, float ones within what rounding costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchao")

from torch_quantised import quantised  # noqa: E402
from torch_support import Cnn, Mlp, seeded  # noqa: E402

import loihic  # noqa: E402
from loihic.ops.activation import Coding  # noqa: E402

SHAPES: dict[str, tuple[Any, tuple[int, ...]]] = {"cnn": (Cnn, (3, 8, 8)), "mlp": (Mlp, (12,))}


def answers(program: loihic.Program, x: Any) -> np.ndarray[Any, Any]:
    """Of samples (N, *shape), one a step."""
    (found,) = program.dequantise(program.run(x.numpy()).outputs).values()
    return found[0]


@pytest.mark.parametrize("coding", Coding)
@pytest.mark.parametrize("style", ["xnnpack", "xnnpack-channel"])
@pytest.mark.parametrize("name", SHAPES)
def test_answers_are_torchs(name: str, style: str, coding: Coding) -> None:
    """But for a level where torch's float32 sums lie next to a tie."""
    make, shape = SHAPES[name]
    exported = quantised(seeded(make, 1), (torch.randn(2, *shape),), style)
    program = loihic.compile(exported, activation=coding)
    assert not [loss for loss in program.ledger if loss.is_loss]
    x = torch.randn(200, *shape)
    with torch.no_grad():
        theirs = exported.module()(x).numpy()
    ours = answers(program, x)
    scale = max(float(np.max(sink.scale)) for sink in program.outputs.values())
    error = np.abs(ours.reshape(theirs.shape) - theirs)
    assert np.all(error < 1.5 * scale)
    assert np.count_nonzero(error > 0.01 * scale) <= error.size // 200


def test_float_modules_are_calibrated() -> None:
    model, x = seeded(Cnn, 3), torch.randn(100, 3, 8, 8)
    program = loihic.compile(model, example_inputs=(x[:2],), calibration={"x": x[None, :50].numpy()})
    with torch.no_grad():
        theirs = model(x).numpy()
    ours = answers(program, x)
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 0.03 * np.sqrt(np.mean(theirs**2))
    assert any(loss.is_loss for loss in program.ledger)


def test_lava_agrees() -> None:
    pytest.importorskip("lava")
    exported = quantised(seeded(Mlp, 1), (torch.randn(2, 12),), "xnnpack")
    for coding in Coding:
        program = loihic.compile(exported, activation=coding, golden_steps=8)
        assert program.verify().agrees
