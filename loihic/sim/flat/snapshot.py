"""States between the kernels' rows and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.sim.engine import ARRIVING, LINE
from loihic.sim.flat import columns as c
from loihic.sim.flat.arena import fitting
from loihic.sim.flat.tables import Tables


def write_states(tables: Tables, rows: Array, states: Mapping[str, Mapping[str, Array]], step: int) -> None:
    """Put the states of a checkpoint taken at `step` into rows, (N, length) int32.

    Raises:
        UnsuitableError: a state has more than 32 bits.
    """
    for name, own in states.items():
        cell = tables.cell_of[name]
        column, places = tables.cells[cell], tables.places[cell]
        size, base = int(column[c.SIZE]), int(column[c.STATE])
        for key, values in own.items():
            if key == LINE:
                _write_line(rows, values, column, places, step)
                continue
            at = int(column[c.PENDING]) if key == ARRIVING else base + tables.states[cell].index(key) * size
            flat = values.reshape(len(values), -1)[:, places]
            rows[:, at : at + size] = flat.astype(np.int32) if key == ARRIVING else fitting(flat)


def read_states(tables: Tables, rows: Array, graph: HardwareGraph, step: int) -> dict[str, dict[str, Array]]:
    """The states of a checkpoint taken at `step`."""
    found: dict[str, dict[str, Array]] = {}
    for name, cell in tables.cell_of.items():
        column, places = tables.cells[cell], tables.places[cell]
        size, base, shape = int(column[c.SIZE]), int(column[c.STATE]), graph.shapes[name]
        if column[c.KIND] == c.LINE:
            found[name] = {LINE: _read_line(rows, column, places, step).reshape(-1, len(rows), *shape)}
        elif column[c.KIND] != c.SOURCE:
            keys = {key: base + index * size for index, key in enumerate(tables.states[cell])}
            keys[ARRIVING] = int(column[c.PENDING])
            found[name] = {}
            for key, at in keys.items():
                values = np.empty((len(rows), size), dtype=np.int64)
                values[:, places] = rows[:, at : at + size]
                found[name][key] = values.reshape(len(rows), *shape)
    return found


def _write_line(rows: Array, line: Array, column: Array, places: Array, step: int) -> None:
    """The ring from a line, oldest first: what was sent in step t lies at t modulo its length."""
    size, length, base = int(column[c.SIZE]), int(column[c.STEPS]), int(column[c.STATE])
    for age in range(length):
        slot = (step - length + age) % length
        values = fitting(line[age].reshape(len(rows), -1)[:, places])
        rows[:, base + slot * size : base + (slot + 1) * size] = values
        rows[:, base + length * size + slot] = np.count_nonzero(values, axis=1)


def _read_line(rows: Array, column: Array, places: Array, step: int) -> Array:
    size, length, base = int(column[c.SIZE]), int(column[c.STEPS]), int(column[c.STATE])
    line = np.empty((length, len(rows), size), dtype=np.int64)
    for age in range(length):
        slot = (step - length + age) % length
        line[age][:, places] = rows[:, base + slot * size : base + (slot + 1) * size]
    return line
