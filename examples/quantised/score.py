"""How good a run is: `python score.py OUT.npz WANTED.npy`. Whole numbers are labels, others what should come out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def determination(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """The coefficient of determination, R2: 1 if all is as wanted, 0 if it is no better than the mean."""
    return float(1 - np.mean((found - wanted) ** 2) / np.var(wanted))


def main() -> None:
    """Prints how many labels are right, or R2."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outputs", type=Path, help="what `loihic run` wrote: one array (1, T, outputs)")
    parser.add_argument("wanted", type=Path, help="labels or values (n,), of which the first T are used")
    arguments = parser.parse_args()
    with np.load(arguments.outputs) as arrays:
        found = arrays["output"][0]
    wanted = np.load(arguments.wanted)[: len(found)]
    if wanted.dtype.kind == "f":
        print(f"R2 {determination(found[:, 0], wanted):.4f} over {len(wanted)} steps")
        return
    right = int((found.argmax(axis=1) == wanted).sum())
    print(f"{right} of {len(wanted)} right ({right / len(wanted):.1%})")


if __name__ == "__main__":
    main()
