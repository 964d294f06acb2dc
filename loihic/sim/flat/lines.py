"""Delay lines: a ring of the last messages, and how many of each step are other than zero."""

from __future__ import annotations

from loihic.ir.node import Array
from loihic.sim.flat import columns as c
from loihic.sim.flat.jit import Word, inner


@inner
def push(column: Array, state: Array, k: Word, indices: Array, values: Array) -> None:
    """Put the events of step `k` into the line: the ring lies (steps, size), the counts behind it."""
    size, steps = column[c.SIZE], column[c.STEPS]
    slot = k % steps
    ring, count = column[c.STATE] + slot * size, column[c.STATE] + steps * size + slot
    if state[count] != 0:
        for i in range(size):
            state[ring + i] = 0
    for event in range(indices.shape[0]):
        state[ring + indices[event]] = values[event]
    state[count] = indices.shape[0]


@inner
def emit(column: Array, table: Array, state: Array, k: Word, indices: Array, values: Array, at: Word,
         end: Word) -> Word:
    """Write what comes out in step `k` as events from `at` + `end` on; returns where they end."""
    size, steps, place = column[c.SIZE], column[c.STEPS], column[c.PARAMS]
    base, counts = column[c.STATE], column[c.STATE] + steps * size
    if column[c.STRIDE] == 0:
        slot = (k - table[place]) % steps
        if state[counts + slot] == 0:
            return end
        for i in range(size):
            value = state[base + slot * size + i]
            if value != 0:
                indices[at + end] = i
                values[at + end] = value
                end += 1
        return end
    for i in range(size):
        value = state[base + ((k - table[place + i]) % steps) * size + i]
        if value != 0:
            indices[at + end] = i
            values[at + end] = value
            end += 1
    return end
