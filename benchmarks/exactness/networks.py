"""How close the compiled networks come to the float ones.

Usage: python networks.py [FOLDER with .nir files]

Prints, for the networks of the NIR paper, mismatched output and hidden entries per float spike, agreement of decisions
and correlation of output spike counts, over seeded random and structured inputs. All seeds are fixed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

import loihic
from loihic.sim.reference import run_reference

HERE = Path(__file__).resolve()


def braille(folder: Path) -> None:
    """50 seeded inputs of 256 steps at two densities."""
    program = loihic.compile(folder / "braille_noDelay_bias_zero.nir", dt=1e-4)
    for density in (0.01, 0.03):
        x = (np.random.default_rng(0).random((50, 256, 12)) < density).astype(float)
        ours = program.run(x, record=[("lif1.lif", "out")])
        hidden: list[np.ndarray] = []

        def observe(name: str, _: object, sent: np.ndarray, hidden: list[np.ndarray] = hidden) -> None:
            if name == "lif1.lif":
                hidden.append(sent)

        theirs = run_reference(program.source, {"input": x}, observe=observe)["output"]
        first = program.graph.nodes["lif1.lif"].start
        inner, wanted = ours.recorded["lif1.lif", "out"][:, first : first + 256], np.stack(hidden, axis=1)
        out = ours.outputs["output"]
        same = np.mean(out.sum(1).argmax(1) == theirs.sum(1).argmax(1))
        print(f"braille  density {density:.0%}: hidden {np.sum(inner != wanted) / wanted.sum():.2f}, output "
              f"{np.sum(out != theirs) / theirs.sum():.2f} mismatches per float spike; decisions agree {same:.0%}")


def moving_rings(samples: int, steps: int, seed: int) -> np.ndarray:
    """Events of rings that move in circles, on and off channel, as a camera of 34 x 34 pixels would see them."""
    rng = np.random.default_rng(seed)
    x = np.zeros((samples, steps, 2, 34, 34))
    rows, cols = np.mgrid[:34, :34]
    for sample in x:
        cx, cy, radius = rng.uniform(10, 24), rng.uniform(10, 24), rng.uniform(4, 10)
        past = None
        for t in range(steps):
            phase = 2 * np.pi * t / 50
            ring = np.abs(np.hypot(rows - cy - 3 * np.sin(phase), cols - cx - 3 * np.cos(phase)) - radius) < 1.5
            if past is not None:
                seen = rng.random((34, 34)) < 0.7
                sample[t, 0], sample[t, 1] = ring & ~past & seen, past & ~ring & seen
            past = ring
    return x


def cnn(folder: Path) -> None:
    """Random and structured inputs; correlation of output spike counts over samples and classes."""
    program = loihic.compile(folder / "cnn_sinabs.nir")
    cases = {f"random {d:.0%}": (np.random.default_rng(0).random((8, 200, 2, 34, 34)) < d).astype(float)
             for d in (0.02, 0.1, 0.3)}
    cases["moving rings"] = moving_rings(8, 300, 0)
    for name, x in cases.items():
        ours = program.run(x).outputs["output"].sum(1)
        theirs = program.run_float(x)["output"].sum(1)
        alike = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]
        print(f"cnn_sinabs  {name}: correlation of output counts {alike:.4f}, "
              f"spikes {ours.sum():.0f} against {theirs.sum():.0f}")


def main() -> None:
    """Run everything that is there."""
    default = Path(os.environ.get("LOIHIC_SHARED_DATA", HERE.parents[3] / "shared" / "data")) / "nir"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    braille(folder)
    cnn(folder)


if __name__ == "__main__":
    main()
