"""How many values compiling a quantised network changes: programs against ONNX's reference evaluator, file by file.

Run as `python benchmarks/importing/exactness.py`; it needs the extras `onnx` and `test`, and the networks of other
projects in $LOIHIC_SHARED_DATA, or ../shared/data.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "frontends"))

from onnx_support import onnx, reference_outputs  # noqa: E402

import loihic  # noqa: E402
from loihic.ir.node import Array  # noqa: E402
from loihic.ops.activation import Coding  # noqa: E402

SHARED = Path(os.environ.get("LOIHIC_SHARED_DATA", ROOT.parent / "shared" / "data"))
RANDOM = 1000
CALIBRATED = 20  # images for the network that is not quantised


def images(shape: tuple[int, ...]) -> Array:
    """The hundred MNIST images in [0, 1], averaged over 2x2 pixels for a network that takes 14x14."""
    pixels = np.load(SHARED / "mnist" / "mnist100.npz")["images"].reshape(100, 28, 28) / 255.0
    if shape[-1] == 14:
        pixels = pixels.reshape(100, 14, 2, 14, 2).mean(axis=(2, 4))
    return pixels.reshape(100, *shape).astype(np.float32)


def main() -> None:
    """Print the table."""
    print("| file | outputs | other values, graded | sigma-delta | other decisions | messages, sigma-delta : graded |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for path in sorted((SHARED / "onnx").glob("*.onnx")):
        row(path)


def row(path: Path) -> None:
    """One file: a thousand random inputs and the hundred images."""
    model = onnx.load(path)
    constants = {item.name for item in model.graph.initializer}
    (given,) = (item.name for item in model.graph.input if item.name not in constants)
    shape = tuple(dim.dim_value for dim in model.graph.input[
        [item.name for item in model.graph.input].index(given)].type.tensor_type.shape.dim)[1:]
    rng = np.random.default_rng(0)
    is_float = "float" in path.name
    digits = images(shape) * (255.0 if is_float else 1.0)
    x = digits if is_float else np.concatenate([rng.normal(size=(RANDOM, *shape)).astype(np.float32), digits])
    (expected,) = reference_outputs(model, {given: x}).values()
    found, messages = {}, {}
    for coding in Coding:
        program = loihic.compile(path, activation=coding, golden_steps=8, calibration={
            given: digits[None, :CALIBRATED]} if is_float else {})
        (found[coding],) = (values[0] for values in program.dequantise(program.run(x[None]).outputs).values())
        messages[coding] = sent(program, x[None, -100:])
    spread = np.abs(expected).max()
    other = {coding: int(np.count_nonzero(np.abs(ours - expected) > 1e-5 * spread)) for coding, ours in found.items()}
    decisions = int(np.count_nonzero(found[Coding.GRADED].argmax(axis=1) != expected.argmax(axis=1)))
    ratio = messages[Coding.SIGMA_DELTA] / messages[Coding.GRADED]
    shown = {coding: "calibrated" if is_float else str(count) for coding, count in other.items()}
    print(f"| {path.name} | {expected.size} | {shown[Coding.GRADED]} | {shown[Coding.SIGMA_DELTA]} | "
          f"{decisions} of {len(expected)} | {ratio:.2f} |", flush=True)


def sent(program: loihic.Program, x: Array) -> int:
    """Messages other than zero that populations and inputs send, on images that have nothing to do with each other."""
    from loihic.partition.activity import message_rates

    rates = message_rates(program.graph, program.encode(x), x.shape[1] + program.latency)
    return round(sum(float(one.sum()) for one in rates.values()) * (x.shape[1] + program.latency))


if __name__ == "__main__":
    main()
