"""The fast engine: compiled kernels over flat tables, samples spread over threads."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Lock

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.ops.population import Population
from loihic.ops.source import Sink, Source
from loihic.sim.engine import Checkpoint, Stretch, Wanted
from loihic.sim.flat import columns as c
from loihic.sim.flat.arena import UnsuitableError
from loihic.sim.flat.jit import is_compiled
from loihic.sim.flat.lane import Lane, rows_of
from loihic.sim.flat.products import products
from loihic.sim.flat.snapshot import read_states, write_states
from loihic.sim.flat.tables import tables

logger = logging.getLogger(__name__)


class FlatEngine:
    """An `Engine` in compiled kernels.

    Args:
        graph: with latencies assigned.
        batch: number of samples.
        record: (node, state) pairs to keep.
        count: whether to count messages.
        at: where to go on.
        threads: over which samples are spread; all cores by default.

    Raises:
        UnsuitableError: the graph holds larger numbers than the kernels have bits for.
    """

    def __init__(self, graph: HardwareGraph, batch: int, *, record: Wanted = (), count: bool = False,
                 at: Checkpoint | None = None, threads: int | None = None) -> None:
        self.graph, self.batch, self.step, self.record = graph, batch, 0, tuple(record)
        if not is_compiled():
            logger.info("compiling the simulator's kernels (once, about ten seconds)")
        laid_out = tables(graph)
        self.tables = replace(laid_out, cells=laid_out.cells.copy())  # what is recorded is written there
        self.threads = max(1, min(threads or os.cpu_count() or 1, batch))
        self.states = np.zeros((batch, self.tables.length), dtype=np.int32)
        self.live = np.ones((batch, self.tables.tiles), dtype=np.uint8)
        initial = {name: node.initial(1) for name, node in graph.nodes.items() if isinstance(node, Population)}
        write_states(self.tables, self.states, initial, 0)
        if at is not None:
            self.step = at.step
            write_states(self.tables, self.states, at.states, at.step)
        self.sent = {name: np.zeros(int(self.tables.sizes[cell]), dtype=np.int64)
                     for name, cell in self.tables.cell_of.items()
                     if isinstance(graph.nodes[name], Population | Source)} if count else {}
        self.products = products(graph, self.tables)
        self._records = self._recorded_columns()
        self._lanes: SimpleQueue[Lane] = SimpleQueue()
        self._lock = Lock()
        self._broken = False

    def advance(self, inputs: Mapping[str, Array], steps: int, progress: Callable[[int], None] | None = None
                ) -> Stretch:
        if self._broken:
            raise RuntimeError("a stretch was broken off; begin again, or at a checkpoint")
        self._broken = True
        outputs = {name: np.zeros((self.batch, steps, *node.shape), dtype=np.int64)
                   for name, node in self.graph.nodes.items() if isinstance(node, Sink)}
        recorded = {key: np.zeros((self.batch, steps, *self.graph.shapes[key[0]]), dtype=np.int64)
                    for key in self.record}
        done = 0

        def report(rows: int) -> None:
            nonlocal done
            with self._lock:
                done += rows
                if progress is not None:
                    progress(done // self.batch)

        def run(samples: slice) -> None:
            lane = self._lane()
            try:
                for first, count in self._blocks(steps, samples.stop - samples.start):
                    self._take(lane, samples, inputs, first, count, outputs, recorded)
                    report(count * (samples.stop - samples.start))
            finally:
                self._lanes.put(lane)

        portions = list(self._portions(steps))
        if self.threads == 1 or len(portions) == 1:
            for portion in portions:
                run(portion)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                for _ in pool.map(run, portions):
                    pass
        self.step += steps
        self._broken = False
        return Stretch(outputs=outputs, recorded=recorded)

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(step=self.step, states=read_states(self.tables, self.states, self.graph, self.step))

    def _lane(self) -> Lane:
        try:
            return self._lanes.get_nowait()
        except Empty:
            return Lane(self.tables, self.products, self._records[:2], rows_of(self.tables))

    def _portions(self, steps: int) -> Iterator[slice]:
        """Samples that are taken together: several where they are short, and enough portions for all threads."""
        each = max(1, min(rows_of(self.tables) // max(steps, 1), -(-self.batch // self.threads)))
        return (slice(first, min(first + each, self.batch)) for first in range(0, self.batch, each))

    def _blocks(self, steps: int, samples: int) -> Iterator[tuple[int, int]]:
        """First steps and lengths of the calls in which a stretch is taken."""
        each = max(1, rows_of(self.tables) // samples)
        return ((first, min(each, steps - first)) for first in range(0, steps, each))

    def _take(self, lane: Lane, samples: slice, inputs: Mapping[str, Array], first: int, count: int,
              outputs: Mapping[str, Array], recorded: Mapping[tuple[str, str], Array]) -> None:
        """One call of the kernels, and what it sent."""
        messages = self._messages(inputs, samples, first, count)
        try:
            lane.take(self.states[samples], self.live[samples], messages, count, self.step + first)
        except UnsuitableError as error:
            fail("LHC111", f"{error}, which leaves the range that the program was compiled for", error=InputError,
                 help="whole numbers from -2147483648 to 2147483647 are the most that an input can be compiled for")
        heard = [(cell, outputs[name]) for name, cell in self.tables.senders.items()]
        heard += [(self.tables.cell_of[name], recorded[name, "out"]) for name, state in self.record if state == "out"]
        number = samples.stop - samples.start
        for cell, out in heard:
            flat = out.reshape(self.batch, out.shape[1], -1)
            for sample in range(number):
                lane.spread(cell, sample, count, flat[samples.start + sample, first : first + count])
        for key, at in self._records[2].items():
            cell = self.tables.cell_of[key[0]]
            places = self.tables.places[cell]
            flat = recorded[key].reshape(self.batch, recorded[key].shape[1], -1)
            rows = lane.recorded[: number * count, at : at + places.size].reshape(number, count, -1)
            flat[samples, first : first + count][:, :, places] = rows
        if self.sent:
            with self._lock:
                lane.count(number * count, {self.tables.cell_of[name]: out for name, out in self.sent.items()})

    def _messages(self, inputs: Mapping[str, Array], samples: slice, first: int, count: int) -> dict[int, Array]:
        """What the Sources send in a block, (rows, elements) each."""
        found = {}
        for name, values in inputs.items():
            cell, block = self.tables.cell_of[name], values[samples, first : first + count]
            size = int(self.tables.sizes[cell])
            if block.shape[1] < count:  # the end of the input
                padded = np.zeros((len(block), count, size), dtype=values.dtype)
                padded[:, : block.shape[1]] = block.reshape(*block.shape[:2], size)
                block = padded
            rows = np.ascontiguousarray(block).reshape(-1, size)
            found[cell] = rows.view(np.uint8) if rows.dtype == np.bool_ else rows
        return found

    def _recorded_columns(self) -> tuple[Array, int, dict[tuple[str, str], int]]:
        """Rows of records, entered into the cells; elements in a row; and where each begins."""
        rows: list[tuple[int, int]] = []
        begins: dict[tuple[str, str], int] = {}
        at = 0
        wanted = [key for key in dict.fromkeys(self.record) if key[1] != "out"]
        for name, cell in self.tables.cell_of.items():
            self.tables.cells[cell, c.FIRST_RECORD] = len(rows)
            for key in wanted:
                if key[0] == name:
                    rows.append((self.tables.states[cell].index(key[1]), at))
                    begins[key] = at
                    at += int(self.tables.sizes[cell])
            self.tables.cells[cell, c.LAST_RECORD] = len(rows)
        return np.array(rows, dtype=np.int64).reshape(-1, c.RECORD_WIDTH), at, begins
