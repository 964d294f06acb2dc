"""How fast the simulator is: against Lava in the same run, and against what moving the states would take.

Usage: python speed.py [--lava-steps N] [--json FILE] [dense conv pilotnet cnn_sinabs braille]

Lava's time is that of its `run()` alone, without the start of its processes. The simulator's is that of a whole call
from Python, inputs and outputs included. Every output is compared with Lava's. Where the data of other projects is not
found (LOIHIC_SHARED_DATA, else ../shared/data) their networks are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from networks import Case, cases

from loihic.ops.population import Population
from loihic.sim.flat.engine import FlatEngine
from loihic.targets.lava.backend import run_on_lava
from loihic.targets.lava.runner import lava_version

BATCH, BATCH_STEPS = 256, 100
REPEATS = 9


def main() -> None:
    """Prints a table, and writes it as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--lava-steps", type=int, help="steps that Lava is given")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    bandwidth = memory_bandwidth()
    print(f"{os.cpu_count()} cores; one copies {bandwidth / 1e9:.1f} GB/s of memory that no cache holds")
    rows = [measured(case, arguments.lava_steps or case.lava_steps, bandwidth) for case in cases(arguments.names)]
    print_table(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2))


def measured(case: Case, lava_steps: int, bandwidth: float) -> dict[str, Any]:
    """Microseconds per step and sample of a case, and their ratios."""
    graph, name = case.program.graph, next(iter(case.program.inputs))
    x = case.spikes(1, max(case.steps, lava_steps))
    row: dict[str, Any] = {"network": case.name, "lava": None}
    if lava_version() is not None:
        outputs, row["lava"] = on_lava(case, x[:, :lava_steps], lava_steps)
        ours = FlatEngine(graph, 1, threads=1).advance({name: x[:, :lava_steps]}, lava_steps).outputs
        for key, values in outputs.items():
            np.testing.assert_array_equal(ours[key], values)
    row["one"] = best(case, x[:, : case.steps], 1)
    many = case.spikes(BATCH, BATCH_STEPS) if case.name != "PilotNet LIF" else case.spikes(4, case.steps)
    row["batch"], row["samples"] = best(case, many, os.cpu_count() or 1), len(many)
    counted = FlatEngine(graph, 1, threads=1, count=True)
    counted.advance({name: x[:, : case.steps]}, case.steps)
    row["neurons"] = sum(int(np.prod(node.shape)) for _, node in graph.of(Population))
    row["synaptic_operations"] = operations(case, counted.sent) / case.steps
    row["activity"] = {key: round(float(values.mean()) / case.steps, 3) for key, values in counted.sent.items()}
    # u and v, four bytes each, are read and written once.
    row["traffic"] = row["neurons"] * 2 * 4 * 2 / bandwidth * 1e6
    return row


def on_lava(case: Case, x: np.ndarray, steps: int) -> tuple[dict[str, np.ndarray], float]:
    """Lava's outputs, and microseconds per step of its `run()`."""
    lines: list[str] = []
    outputs, _ = run_on_lava(case.program.graph, {next(iter(case.program.inputs)): x.astype(np.int64)}, steps,
                             on_progress=lines.append)
    return outputs, float(lines[-1].split(": ")[1].removesuffix(" s")) / steps * 1e6


def best(case: Case, x: np.ndarray, threads: int) -> float:
    """Microseconds per step and sample, the least of some runs: the machine's other work only ever adds to it."""
    samples, steps = x.shape[:2]
    inputs = {next(iter(case.program.inputs)): x}
    engine = FlatEngine(case.program.graph, samples, threads=threads)
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        engine.advance(inputs, steps)
        times.append(time.perf_counter() - begun)
    return min(times) / steps / samples * 1e6


def operations(case: Case, sent: dict[str, np.ndarray]) -> float:
    """Synaptic operations: for every message the synapses that it reaches, those of weight zero not counted."""
    from loihic.ops.delay_line import DelayLine
    from loihic.ops.synapse import Synapse
    from loihic.quant.sums import linear_of

    graph, total = case.program.graph, 0.0
    for name, node in graph.of(Synapse):
        point = graph.incoming[name][0].src
        while isinstance(graph.nodes[point], DelayLine):
            point = graph.incoming[point][0].src
        fan_out = np.asarray((abs(linear_of(node).to_csr()) > 0).sum(axis=0)).reshape(-1)
        total += float(fan_out @ sent[point])
    return total


def memory_bandwidth() -> float:
    """Bytes per second that one core reads and writes in copying more than any cache holds."""
    source = np.ones(1 << 27, dtype=np.uint8)
    target = np.empty_like(source)
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - begun)
    return 2 * source.size / min(times)


def print_table(rows: list[dict[str, Any]]) -> None:
    """One line a network, as the docs have it."""
    print("\n| network | neurons | Lava us/step | one sample us/step | ratio | batch us/step/sample | ratio "
          "| synaptic operations a step | ns each | states' traffic us/step |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        ratios = [f"{row['lava'] / row[key]:.0f}" if row["lava"] else "" for key in ("one", "batch")]
        print(f"| {row['network']} | {row['neurons']} | {row['lava'] or 0:.0f} | {row['one']:.1f} | {ratios[0]} "
              f"| {row['batch']:.1f} ({row['samples']}) | {ratios[1]} | {row['synaptic_operations']:.0f} "
              f"| {row['one'] * 1e3 / max(row['synaptic_operations'], 1):.2f} | {row['traffic']:.1f} |")
    print()
    for row in rows:
        print(f"messages per step and element, {row['network']}: {row['activity']}")


if __name__ == "__main__":
    main()
