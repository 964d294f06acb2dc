"""Reads the answers out of a run: `python score.py OUT.npz LABELS.npy`. The most active output is the answer."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

SHOWN = 10


def main() -> None:
    """Prints the accuracy over all samples in the file, and the answers themselves where they are few."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outputs", type=Path, help="what `loihic run` wrote: one array (n, T, 10)")
    parser.add_argument("labels", type=Path, help="labels (m,), of which the first n are used")
    arguments = parser.parse_args()
    with np.load(arguments.outputs) as arrays:
        counts = arrays["output"].sum(axis=1)
    labels = np.load(arguments.labels)[: len(counts)]
    answers = np.argmax(counts, axis=1)  # a tie goes to the lowest digit
    if len(counts) <= SHOWN:
        print("labels ", *labels)
        print("answers", *answers)
    right = int((answers == labels).sum())
    print(f"{right} of {len(labels)} right ({right / len(labels):.1%})")


if __name__ == "__main__":
    main()
