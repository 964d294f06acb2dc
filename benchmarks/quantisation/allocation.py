"""Error against synapse words: the same width everywhere, and bits allocated by measured sensitivity.

Usage: python allocation.py [FOLDER with cnn_sinabs.nir] [--only NAME]

For each network and each uniform width from 8 down to 2 bits: output error (relative root mean square of the integer
program's outputs against the float network's, spike trains filtered over 10 steps) and, for the digits, accuracy, on
inputs that the calibration has not seen; the same with `--weight-bits auto` at the same number of words, and at three
quarters of it. Both are calibrated on the same data.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nir
import numpy as np

import loihic
from loihic.ops.synapse import Synapse
from loihic.partition.words import synapse_words
from loihic.program import Program
from loihic.quant.budget import Budget
from loihic.quant.sensitivity import filtered

HERE = Path(__file__).resolve()
DIGITS = HERE.parents[2] / "examples" / "digits"
sys.path += [str(HERE.parents[1] / "exactness"), str(DIGITS)]
WIDTHS = (8, 6, 5, 4, 3, 2)


@dataclass(frozen=True)
class Case:
    """A network, what it is calibrated on and what it is tested on."""

    model: Path | nir.NIRGraph
    calibration: np.ndarray
    x: np.ndarray
    labels: np.ndarray | None = None
    dt: float | None = None
    bits: str = "8"


def digits(name: str) -> Case:
    """Calibrated on part of the training split, tested on the whole test split."""
    import data  # the example's own

    return Case(DIGITS / f"{name}.nir", data.ENCODINGS[name](data.load().train_images[:100]).astype(float),
                np.load(DIGITS / f"{name}_test.npz")["input"], np.load(DIGITS / f"{name}_labels.npy"))


def cnn(folder: Path) -> Case:
    """Moving rings and random spikes; other seeds for the test than for the calibration."""
    from networks import moving_rings

    def inputs(seed: int, samples: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        density = rng.choice([0.02, 0.1, 0.3], (samples, 1, 1, 1, 1))
        noise = rng.random((samples, 100, 2, 34, 34)) < density
        return np.concatenate([moving_rings(samples, 100, seed), noise.astype(float)])

    return Case(folder / "cnn_sinabs.nir", inputs(100, 4), inputs(0, 8))


def words(program: Program) -> int:
    """64-bit words of synaptic memory."""
    return sum(synapse_words(node) for node in program.graph.nodes.values() if isinstance(node, Synapse))


class Judge:
    """Knows what the float network answers."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.wanted = loihic.compile(case.model, dt=case.dt).run_float(case.x)["output"]

    def of(self, program: Program) -> tuple[float, str]:
        """Error, and accuracy where there are labels."""
        spikes = program.run(self.case.x).outputs["output"]
        off = filtered(spikes.astype(float)) - filtered(self.wanted)
        error = float(np.sqrt(np.sum(off**2) / np.sum(filtered(self.wanted) ** 2)))
        if self.case.labels is None:
            return error, ""
        return error, f" {np.mean(spikes.sum(1).argmax(1) == self.case.labels):.1%}"


def rows(case: Case) -> Iterator[str]:
    """One line per width."""
    judge = Judge(case)
    for bits in WIDTHS:
        uniform = loihic.compile(case.model, calibration={"input": case.calibration}, weight_bits=bits)
        size = words(uniform)
        cells = [f"{size}", "{:.3f}{}".format(*judge.of(uniform))]
        for share in (1.0, 0.75):
            try:
                chosen = loihic.compile(case.model, calibration={"input": case.calibration}, weight_bits="auto",
                                        budget=Budget(words=int(size * share)))
                cells.append("{:.3f}{} ({} words)".format(*judge.of(chosen), words(chosen)))
            except loihic.CompileError:
                cells.append("less than 1 bit everywhere")
        yield f"| {bits} | {' | '.join(cells)} |"


def main() -> None:
    """Print a table per network."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(os.environ.get("LOIHIC_SHARED_DATA", HERE.parents[3] / "shared" / "data")) / "nir"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    parser.add_argument("--only", choices=["digits_mlp", "digits_recurrent", "cnn_sinabs"])
    given = parser.parse_args()
    for name in [given.only] if given.only else ["digits_mlp", "digits_recurrent", "cnn_sinabs"]:
        print(f"\n{name}\n\n| bits | words | uniform | allocated, the same words | allocated, three quarters |")
        print("|---|---|---|---|---|")
        for row in rows(cnn(given.folder) if name == "cnn_sinabs" else digits(name)):
            print(row, flush=True)


if __name__ == "__main__":
    main()
