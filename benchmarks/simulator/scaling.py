"""Cost grows with spikes, not with neurons times steps: the same network at ten rates of input, and ten sizes at one.

Usage: python scaling.py [--plot FILE.png]

First 16x16x2-8c-16c-10 (see networks.py) hears input of ever more spikes; then a map of ever more pixels hears the
same number of spikes a step, all in one corner, so that most of its neurons rest.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nir
import numpy as np
from networks import Case, chain, convolutional, cuba, random_spikes
from speed import best, operations

import loihic
from loihic.sim.flat.engine import FlatEngine

DENSITIES = (0.0, 0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15)
SIDES = (16, 32, 64, 96, 128)
SPIKES = 12
STEPS = 500


def main() -> None:
    """Prints both tables, and plots them where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    rates, sizes = by_rate(), by_size()
    print("\n| synaptic operations a step | us/step |\n|---|---|")
    for operations_, spent in rates:
        print(f"| {operations_:.0f} | {spent:.2f} |")
    fit = np.polyfit(*np.array(rates).T, 1)
    rest = np.array(rates)[:, 1] - np.polyval(fit, np.array(rates)[:, 0])
    print(f"\n{fit[1]:.1f} us and {fit[0] * 1e3:.2f} ns a synaptic operation; off by {np.abs(rest).max():.1f} us at "
          "most")
    print("\n| neurons | neurons that rest | us/step |\n|---|---|---|")
    for neurons, resting, spent in sizes:
        print(f"| {neurons} | {resting:.0%} | {spent:.2f} |")
    if arguments.plot:
        plot(arguments.plot, rates, sizes, fit)


def by_rate() -> list[tuple[float, float]]:
    """Synaptic operations and microseconds a step, at each density of input."""
    program, found = convolutional(), []
    for density in DENSITIES:
        x = random_spikes((2, 16, 16), 1, STEPS, density)
        case = Case("", program, random_spikes, 0, STEPS)
        counted = FlatEngine(program.graph, 1, threads=1, count=True)
        counted.advance({"input": x}, STEPS)
        found.append((operations(case, counted.sent) / STEPS, best(case, x, 1)))
    return found


def by_size() -> list[tuple[int, float, float]]:
    """Neurons, the share of them in tiles that rest at the end, and microseconds a step, at each size of the map."""
    found = []
    for side in SIDES:
        kernel = np.random.default_rng(0).normal(0.05, 0.4, (8, 2, 3, 3)).astype(np.float32)
        conv = nir.Conv2d(input_shape=(side, side), weight=kernel, stride=1, padding=1, dilation=1, groups=1,
                          bias=np.zeros(8, dtype=np.float32))
        program = loihic.compile(chain({
            "input": nir.Input({"input": np.array([2, side, side])}), "conv": conv, "lif": cuba((8, side, side)),
            "output": nir.Output({"output": np.array([8, side, side])})}), dt=1e-3, objective="cores")
        x = np.zeros((1, STEPS, 2, side, side), dtype=np.uint8)
        x[:, :, :, :16, :16] = random_spikes((2, 16, 16), 1, STEPS, SPIKES / 512)
        engine = FlatEngine(program.graph, 1, threads=1)
        engine.advance({"input": x}, STEPS)
        resting = float((engine.live == 0).mean())
        found.append((8 * side * side, resting, best(Case("", program, random_spikes, 0, 0), x, 1)))
    return found


def plot(path: Path, rates: list[tuple[float, float]], sizes: list[tuple[int, float, float]], fit: np.ndarray) -> None:
    """Both tables as two panels."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    operations_, spent = np.array(rates).T
    left.plot(operations_, spent, "o", color="#2563eb")
    left.plot(operations_, np.polyval(fit, operations_), "-", color="#93c5fd", zorder=0)
    left.set(xlabel="synaptic operations a step", ylabel="us per step", title="more spikes", ylim=(0, None))
    neurons, _, each = np.array(sizes).T
    right.plot(neurons, each, "o-", color="#2563eb")
    right.set(xlabel="neurons", title="more neurons, the same spikes", ylim=(0, None))
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
