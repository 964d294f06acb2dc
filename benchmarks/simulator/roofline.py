"""Where the time goes, and how far that is from what the machine could do; one core.

Usage: python roofline.py [dense conv ...]

For each network of networks.py the events of its first block of steps are delivered again and again, by the kernels
that deliver them and nothing else; what is left of a whole step is the neurons' update, the search for spikes, and
Python. Two bounds are measured beside it: additions of weights to sums that lie in the first-level cache, which is what
an event through a dense synapse is at best, and copying states through memory. The products that the engine chooses by
are measured too: see PER_PIECE and the others in loihic/sim/flat/products.py.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from networks import Case, cases
from speed import best, memory_bandwidth, operations

from loihic.sim.flat import columns as c
from loihic.sim.flat.deliver import gather
from loihic.sim.flat.engine import FlatEngine

REPEATS, TURNS = 7, 50


@numba.njit(nogil=True)
def deliver(turns: int, rows: int, cells: Any, synapses: Any, weights: Any, table: Any, indices: Any, values: Any,
            pointers: Any, starts: Any, totals: Any, sums: Any, dense: Any, dense_at: Any, flags: Any) -> None:
    """What all populations hear in `rows` rows, `turns` times."""
    for _ in range(turns):
        for row in range(rows):
            for cell in range(cells.shape[0]):
                if cells[cell, c.KIND] != c.SOURCE and cells[cell, c.KIND] != c.LINE:
                    gather(cells[cell], synapses, weights, table, indices, values, pointers, starts, row, totals, sums,
                           dense, dense_at, flags)


@numba.njit(nogil=True)
def additions(turns: int, sums: Any, weights: Any) -> None:
    """Rows of 256 weights to 256 sums."""
    for turn in range(turns):
        row = weights[turn & 15]
        for i in range(row.shape[0]):
            sums[i] += np.int32(row[i])


def least(run: Callable[[], object], turns: int) -> float:
    """Seconds a turn, the least of some runs, the first not counted."""
    run()
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return min(times) / turns


def delivery(case: Case) -> tuple[float, float]:
    """Microseconds a step of delivering alone, and events a step."""
    engine = FlatEngine(case.program.graph, 1, threads=1)
    rows = min(case.steps, 200)
    engine.advance({next(iter(case.program.inputs)): case.spikes(1, rows)}, rows)
    lane, t = engine._lane(), engine.tables
    rows = min(rows, lane.rows)
    flags = np.zeros(t.tiles, dtype=np.uint8)
    nothing = np.full_like(lane.dense_at, -1)
    spent = least(
        lambda: deliver(TURNS, rows, t.cells, t.synapses, t.weights, t.table, lane.indices, lane.values, lane.pointers,
                        lane.starts, lane.totals, lane.sums, lane.dense, nothing, flags), TURNS)
    return spent / rows * 1e6, float(lane.pointers[:, rows].sum()) / rows


def product() -> float:
    """Nanoseconds a multiplication and addition of float32 in BLAS, on as many threads as it likes."""
    left, right = np.ones((256, 1024), dtype=np.float32), np.ones((1024, 256), dtype=np.float32)
    return least(lambda: left @ right, 1) / (256 * 1024 * 256) * 1e9


def main() -> None:
    """Prints the bounds and a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    sums, weights = np.zeros(256, dtype=np.int32), np.ones((16, 256), dtype=np.int16)
    bound = least(lambda: additions(100_000, sums, weights), 100_000) / 256 * 1e9
    print(f"one addition of a weight in the first-level cache: {bound:.3f} ns; one float32 product and addition in "
          f"BLAS: {product():.3f} ns; memory: {memory_bandwidth() / 1e9:.0f} GB/s read and written")
    print("\n| network | us/step | delivering us | its additions alone, at the bound, us | events | ns an event "
          "| rest us | neurons | rest ns a neuron |")
    print("|---|---|---|---|---|---|---|---|---|")
    for case in cases(parser.parse_args().names):
        x = case.spikes(1, case.steps)
        counted = FlatEngine(case.program.graph, 1, threads=1, count=True)
        counted.advance({next(iter(case.program.inputs)): x}, case.steps)
        adds = operations(case, counted.sent) / case.steps
        neurons = int(counted.tables.sizes.sum())
        whole, (spent, events) = best(case, x, 1), delivery(case)
        print(f"| {case.name} | {whole:.2f} | {spent:.2f} | {adds * bound / 1e3:.2f} | {events:.0f} "
              f"| {spent / max(events, 1) * 1e3:.1f} | {whole - spent:.2f} | {neurons} "
              f"| {(whole - spent) / neurons * 1e3:.2f} |")


if __name__ == "__main__":
    main()
