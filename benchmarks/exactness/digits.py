"""Accuracy of the example networks: float against compiled, on their whole test split.

Usage: python digits.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import loihic

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "digits"


def main() -> None:
    """Print one line per network."""
    for name in ("digits_mlp", "digits_recurrent"):
        program = loihic.compile(EXAMPLES / f"{name}.nir")
        spikes = np.load(EXAMPLES / f"{name}_test.npz")["input"]
        labels = np.load(EXAMPLES / f"{name}_labels.npy")
        ours = program.run(spikes).outputs["output"].sum(1).argmax(1)
        theirs = program.run_float(spikes)["output"].sum(1).argmax(1)
        print(f"{name}: float {np.mean(theirs == labels):.1%}, compiled {np.mean(ours == labels):.1%} of {len(labels)}")


if __name__ == "__main__":
    main()
