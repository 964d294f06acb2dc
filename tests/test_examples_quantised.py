"""The quantised examples: what they compile to, against what PyTorch answered when they were made."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import loihic
from loihic.ops.activation import Coding
from loihic.partition.activity import message_rates
from loihic.program import Program
from loihic.quant.proofs import Verdict
from loihic.targets.lava.runner import lava_version

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "quantised"
MODELS = ("digits_cnn.pt2", "digits_cnn.onnx", "friedman_mlp.onnx")


def compiled(model: str, **choices: Any) -> Program:
    if model.endswith(".onnx"):
        pytest.importorskip("onnx")
    return loihic.compile(EXAMPLES / model, placement="linear", **choices)


def loaded(model: str, kind: str, array: str = "input") -> np.ndarray[Any, Any]:
    with np.load(EXAMPLES / f"{model.split('.')[0]}_{kind}.npz") as arrays:
        return arrays[array]


def levels(program: Program, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The answers as whole numbers, a row a step."""
    (found,) = program.run(x).outputs.values()
    return found[0]


@pytest.mark.parametrize("model", MODELS)
def test_answers_are_torchs(model: str) -> None:
    program = compiled(model)
    wanted = loaded(model, "torch", "output")
    (found,) = program.dequantise(program.run(loaded(model, "test")).outputs).values()
    (sink,) = program.outputs.values()
    assert np.abs(found[0] - wanted).max() < 1e-3 * sink.scale
    assert not [loss for loss in program.ledger if loss.is_loss]
    assert all(proof.verdict is Verdict.PROVEN for proof in program.proofs)


def test_both_files_of_the_digits_are_one_network() -> None:
    images, labels = loaded("digits_cnn", "test"), np.load(EXAMPLES / "digits_cnn_labels.npy")
    first, second = (levels(compiled(model), images) for model in MODELS[:2])
    assert np.array_equal(first, second)
    assert (first.argmax(1) == labels).sum() == 356


def test_changes_are_fewer_messages_than_levels() -> None:
    sensors, targets = loaded("friedman_mlp", "test"), np.load(EXAMPLES / "friedman_mlp_targets.npy")
    graded = compiled("friedman_mlp.onnx")
    deltas = [compiled("friedman_mlp.onnx", activation=Coding.SIGMA_DELTA, delta_threshold=least) for least in (0, 3)]
    wanted, exact, coarse = (levels(program, sensors) for program in (graded, *deltas))
    assert np.array_equal(wanted, exact)
    (sink,) = graded.outputs.values()
    error = np.mean((sink.real(coarse)[:, 0] - targets) ** 2) / np.var(targets)
    assert 0.96 < 1 - error < 0.98
    messages = [sum(float(rate.sum()) for rate in message_rates(program.graph, program.encode(sensors), 1000).values())
                for program in (graded, *deltas)]
    assert messages[1] < 0.4 * messages[0]
    assert messages[2] < 0.4 * messages[1]


@pytest.mark.skipif(lava_version() is None, reason="Lava is not installed")
@pytest.mark.parametrize(("model", "choices"), [
    ("digits_cnn.pt2", {}), ("friedman_mlp.onnx", {"activation": Coding.SIGMA_DELTA, "delta_threshold": 2})])
def test_lava_agrees(model: str, choices: dict[str, Any]) -> None:
    verdict = compiled(model, **choices).verify(loaded(model, "few"))
    assert verdict.agrees, verdict.lines


def test_the_table_of_messages(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    runpy.run_path(str(EXAMPLES / "messages.py"), run_name="__main__")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[3:]]
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert len(rows) == 6
    for coding, threshold, messages, *_, r2, rms, _greatest in rows:
        shown = "" if coding == Coding.GRADED.value else threshold
        assert f"| {coding} | {shown} | {messages} | {r2} | {rms} |" in readme


@pytest.mark.parametrize("model", MODELS)
def test_files_say_nothing_of_where_they_were_made(model: str) -> None:
    image = (EXAMPLES / model).read_bytes()
    assert len(image) < 100_000
    assert b".py" not in image
