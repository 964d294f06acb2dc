"""A lane: the working memory of one thread, and the way of some samples through a stretch of steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from loihic.ir.node import Array
from loihic.sim.flat import columns as c
from loihic.sim.flat.arena import UnsuitableError
from loihic.sim.flat.kernels import advance, close, count, listen, spread
from loihic.sim.flat.products import Product
from loihic.sim.flat.tables import Tables

ROWS = 1024  # steps times samples that a lane takes at once: enough that calls from Python do not matter
LARGEST = 1 << 22  # events that a lane has room for; fewer rows are taken where they could be more


def rows_of(tables: Tables) -> int:
    """How many rows a lane takes at once."""
    return int(max(1, min(ROWS, LARGEST // max(int(tables.sizes.sum()), 1))))


class Lane:
    """Working memory for `rows` rows.

    Args:
        tables: the program.
        products: the synapses whose sums can be found by a product.
        records: rows of `columns`, and how many elements are recorded in a row.
        rows: steps times samples of the longest call.
    """

    def __init__(self, tables: Tables, products: list[Product], records: tuple[Array, int], rows: int) -> None:
        self.tables, self.rows = tables, rows
        self.records, recorded = records
        self.starts = np.concatenate([[0], np.cumsum(tables.sizes * rows)])
        # Not zeroed: memory that no event reaches is never touched.
        self.indices = np.empty(int(self.starts[-1]), dtype=np.int32)
        self.values = np.empty_like(self.indices)
        self.pointers = np.zeros((len(tables.cells), rows + 1), dtype=np.int64)
        widest = int(tables.sizes.max(initial=0))
        self.totals, self.sums = np.zeros(widest, dtype=np.int32), np.zeros(widest, dtype=np.int32)
        self.recorded = np.zeros((rows, recorded), dtype=np.int32)
        self.elements = {int(cell): np.argsort(tables.places[cell])
                         for cell in np.flatnonzero(tables.cells[:, c.KIND] == c.SOURCE)}
        self.products, self.chosen = products, list[Product]()
        self.begins: dict[int, int] = {}
        self.identity = np.arange(widest)
        self.dense = np.zeros(1, dtype=np.int32)
        self.dense_at = np.full(max(len(tables.synapses), 1), -1, dtype=np.int64)

    def take(self, states: Array, live: Array, messages: Mapping[int, Array], steps: int, begun: int) -> None:
        """Advance samples whose `states` and `live` flags these are by `steps` steps.

        Args:
            states: of the samples, changed in place.
            live: their flags, changed likewise.
            messages: whole numbers per cell of a Source, (rows, size) in the user's order; zeros follow.
            steps: number of steps; rows are steps of samples.
            begun: number of steps done before.

        Raises:
            UnsuitableError: a message has more than 32 bits.
        """
        t, samples, rows = self.tables, len(states), len(states) * steps
        self.pointers[:, 0] = 0
        self.dense_at[:] = -1
        for cell in np.flatnonzero(t.cells[:, c.KIND] == c.SOURCE):
            self._listen(int(cell), messages.get(int(cell)), rows)
        done = 0
        for product in self.chosen:
            if product.group > done:
                self._advance(done, product.group, states, live, samples, steps, begun)
                done = product.group
            self._multiply(product, rows)
        self._advance(done, len(t.groups) - 1, states, live, samples, steps, begun)
        close(t.cells, t.synapses, t.weights, t.table, states, live, self.indices, self.values, self.pointers,
              self.starts, self.totals, self.sums, self.dense, self.dense_at, samples, steps, begun)
        # The next stretch will be as busy as this one.
        self.chosen = [one for one in self.products if self.pointers[one.sender, rows] > rows * one.breakeven]

    def _listen(self, cell: int, messages: Array | None, rows: int) -> None:
        if messages is None:
            self.pointers[cell, : rows + 1] = 0
        elif not listen(messages, self.elements[cell], self.indices, self.values, self.pointers[cell, : rows + 1],
                        self.starts[cell]):
            raise UnsuitableError(f"input {list(self.tables.cell_of)[cell]} holds a number of more than 32 bits")

    def _advance(self, first: int, last: int, states: Array, live: Array, samples: int, steps: int, begun: int) -> None:
        t = self.tables
        advance(t.cells, t.synapses, self.records, t.groups, first, last, t.weights, t.table, t.params, states, live,
                self.indices, self.values, self.pointers, self.starts, self.totals, self.sums, self.dense,
                self.dense_at, self.recorded, samples, steps, begun)

    def _multiply(self, product: Product, rows: int) -> None:
        """Find all sums of a synapse, for the rows that its sender has done."""
        cell, number = product.sender, product.number
        begin, size = int(self.starts[cell]), int(self.tables.sizes[cell])
        events = self.values[begin : begin + int(self.pointers[cell, rows])]
        spikes = bool(self.tables.synapses[number, c.SPIKES])
        largest = 1 if spikes or not events.size else max(-int(events.min()), int(events.max()))
        dtype = product.exact_type(largest)
        if dtype is None:
            return
        messages = np.zeros((rows, size), dtype=dtype)
        spread(self.indices, self.values, self.pointers[cell, : rows + 1], begin, self.identity, messages)
        if spikes:
            messages[messages != 0] = 1
        sums = product.sums(messages)
        length = self.rows * int(self.tables.synapses[number, c.OUTPUTS])
        if number not in self.begins:
            self.begins[number] = len(self.dense)
            self.dense = np.concatenate([self.dense, np.empty(length, dtype=np.int32)])
        at = self.dense_at[number] = self.begins[number]
        self.dense[at : at + sums.size] = sums.reshape(-1)

    def spread(self, cell: int, sample: int, steps: int, out: Array) -> None:
        """Write what a cell sent in the steps of the `sample`-th of the samples into zeros, (steps, size) int64."""
        first = sample * steps
        spread(self.indices, self.values, self.pointers[cell, first : first + steps + 1], self.starts[cell],
               self.tables.places[cell], out)

    def count(self, rows: int, sent: Mapping[int, Array]) -> None:
        """Add the number of messages of each element in the last call's rows, per cell."""
        for cell, out in sent.items():
            count(self.indices, self.pointers[cell, : rows + 1], self.starts[cell], self.tables.places[cell], out)
