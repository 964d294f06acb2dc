"""Whether proven ranges hold, and how tight they are.

Usage: python ranges.py [--graphs N]

Half of the graphs are random integer graphs (every field at random, extremes, chained synapses, graded loops), half are
random networks as the compiler lowers them. For every population, inputs are searched for that drive the current and
the voltage of the neuron nearest to its limit as far as can be: held inputs by the sign of the weights on the way, and
mutations of the best. Prints the verdicts (observed and may overflow are after that search), the number of states that
left their bounds, and bound / greatest value found over proven states. Exits with 1 if any state left its bounds. All
seeds are fixed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "quant")]

from adversary import attacked, outside  # noqa: E402
from integer_graphs import IntegerGraphs  # noqa: E402
from strategies import RandomNet, networks  # noqa: E402

import loihic  # noqa: E402
from loihic.ir.graph import HardwareGraph  # noqa: E402
from loihic.quant.proofs import Verdict, integer_ranges  # noqa: E402

STEPS = 80
QUARTILES = (0.25, 0.5, 0.75)


@dataclass
class Tally:
    """Counts over many graphs of one kind."""

    kind: str
    graphs: int = 0
    violations: int = 0
    seconds: float = 0.0
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    ratios: dict[str, list[float]] = field(default_factory=lambda: {"u": [], "v": []})

    def add(self, graph: HardwareGraph, seed: int) -> None:
        """Attack a graph and compare what was reached with the bounds."""
        started = time.perf_counter()
        bounds = integer_ranges(graph)
        self.seconds += time.perf_counter() - started
        seen = attacked(graph, bounds, seed, steps=STEPS, rounds=1)
        self.graphs += 1
        for node, state in outside(graph, seen):
            self.violations += 1
            print(f"VIOLATION  {self.kind} seed {seed}: {node} {state}")
        for proof in integer_ranges(graph, seen):
            self.verdicts[proof.state, proof.verdict.value] += 1
            share = proof.tightness
            if share and proof.state in self.ratios and proof.verdict is Verdict.PROVEN:
                self.ratios[proof.state].append(1 / share)

    def report(self) -> None:
        """Print a block."""
        print(f"{self.kind}: {self.graphs} graphs, {1e3 * self.seconds / max(self.graphs, 1):.1f} ms a graph to bound")
        for state in ("sum", "u", "v"):
            counts = ", ".join(f"{self.verdicts[state, verdict.value]} {verdict.value}" for verdict in Verdict)
            print(f"  {state:<4} {counts}")
        print(f"  violations: {self.violations}")
        for state, ratios in self.ratios.items():
            if ratios:
                low, middle, high = np.quantile(ratios, QUARTILES)
                print(f"  bound / reached, {state}: median {middle:.3f}, quartiles {low:.3f} and {high:.3f}")


def compiled(tally: Tally, graphs: int) -> None:
    """Random networks through the compiler."""

    @settings(max_examples=graphs, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(networks())
    def attack(net: RandomNet) -> None:
        tally.add(loihic.compile(net.graph, dt=net.dt).graph, net.seed)

    attack()


def main() -> int:
    """Attack, and print what was found."""
    parser = argparse.ArgumentParser(description="attack proven ranges")
    parser.add_argument("--graphs", type=int, default=1000, help="how many, half of them random integer graphs")
    count = parser.parse_args().graphs
    random, lowered = Tally("random integer graphs"), Tally("compiled networks")
    for seed in range(count - count // 2):
        random.add(IntegerGraphs(seed).graph(), seed)
    if count // 2:
        compiled(lowered, count // 2)
    for tally in (random, lowered):
        tally.report()
    return int(random.violations + lowered.violations > 0)


if __name__ == "__main__":
    sys.exit(main())
