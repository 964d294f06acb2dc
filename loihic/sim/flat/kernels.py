"""The compiled kernels: cells stepped over flat arrays, event by event and tile by tile.

A cell is what sends: a Source, a population or a DelayLine. What it sends in a row (a step of a sample) is a list of
events: elements and their values other than zero. A population first gathers what the row before delivers through its
synapses, then updates its neurons, tile by tile. A tile is left out while it rests: it hears and sends nothing, and its
last update changed no state, so that the next would not either. The work is therefore in proportion to events, not to
neurons times steps.

Sums are int32 and wrap, as those of the hardware operators do.
"""

from __future__ import annotations

import numpy as np

from loihic.ir.node import Array
from loihic.sim.flat import columns as c
from loihic.sim.flat.deliver import gather, hear
from loihic.sim.flat.jit import inner, kernel
from loihic.sim.flat.lines import emit, push
from loihic.sim.flat.neurons import update_activation, update_compartment, update_sigma_delta


@inner
def _events(cell: int, row: int, pointers: Array, starts: Array) -> tuple[int, int]:
    """Where the events of a row begin and end."""
    return starts[cell] + pointers[cell, row], starts[cell] + pointers[cell, row + 1]


@kernel
def advance(cells: Array, synapses: Array, records: Array, groups: Array, first: int, last: int, weights: Array,
            table: Array, params: Array, states: Array, live: Array, indices: Array, values: Array,
            pointers: Array, starts: Array, totals: Array, sums: Array, dense: Array, dense_at: Array,
            recorded: Array, samples: int, steps: int, begun: int) -> None:
    """Take `steps` steps of `samples` samples, group by group; a group's cells are stepped together.

    The tables `cells`, `synapses`, `records`, `groups`, `weights`, `table` and `params` are those of `Tables`; of the
    others:

    - first, last: the range of groups.
    - states: (samples, ...) int32, changed in place; live: likewise, a flag per tile.
    - indices, values: the events; those of a cell lie from starts[cell] on, those of a row from pointers[cell, row] on.
    - totals, sums: scratch, zero before and after.
    - dense: sums that were computed for all rows; dense_at: where each synapse's begin, or -1.
    - recorded: (samples * steps, ...) int32, filled.
    - begun: number of steps done before.
    """
    for group in range(first, last):
        for sample in range(samples):
            state, flags = states[sample], live[sample]
            for step in range(steps):
                row = sample * steps + step
                for cell in range(groups[group], groups[group + 1]):
                    column = cells[cell]
                    kind, size, at, end = column[c.KIND], column[c.SIZE], starts[cell], pointers[cell, row]
                    if kind == c.SOURCE:
                        continue  # see `listen`
                    if kind == c.LINE:
                        if step > 0:
                            sender = synapses[column[c.FIRST_SYNAPSE], c.SENDER]
                            begin, stop = _events(sender, row - 1, pointers, starts)
                            push(column, state, begun + step - 1, indices[begin:stop], values[begin:stop])
                        end = emit(column, table, state, begun + step, indices, values, at, end)
                    elif begun + step >= column[c.START]:
                        if step > 0:
                            gather(column, synapses, weights, table, indices, values, pointers, starts, row - 1, totals,
                                   sums, dense, dense_at, flags)
                        else:
                            for i in range(size):
                                totals[i] = state[column[c.PENDING] + i]
                        hear(column, synapses, table, indices, values, pointers, starts, row, totals, flags)
                        if kind == c.ACTIVATION:
                            end = update_activation(column, table, params, state, flags, totals, indices, values, at,
                                                    end)
                        elif kind == c.SIGMA_DELTA:
                            end = update_sigma_delta(column, params, state, flags, totals, indices, values, at, end)
                        else:
                            end = update_compartment(column, table, state, flags, totals, indices, values, at, end)
                    pointers[cell, row + 1] = end
                    for record in range(column[c.FIRST_RECORD], column[c.LAST_RECORD]):
                        origin = column[c.STATE] + records[record, c.RECORD_STATE] * size
                        place = records[record, c.RECORD_AT]
                        for i in range(size):
                            recorded[row, place + i] = state[origin + i]


@kernel
def close(cells: Array, synapses: Array, weights: Array, table: Array, states: Array, live: Array, indices: Array,
          values: Array, pointers: Array, starts: Array, totals: Array, sums: Array, dense: Array, dense_at: Array,
          samples: int, steps: int, begun: int) -> None:
    """Keep what the last row of each sample sent for the stretch that follows: as sums under way, and in the lines."""
    for sample in range(samples):
        state, flags, row = states[sample], live[sample], (sample + 1) * steps - 1
        for cell in range(cells.shape[0]):
            column = cells[cell]
            if column[c.KIND] == c.LINE:
                sender = synapses[column[c.FIRST_SYNAPSE], c.SENDER]
                begin, stop = _events(sender, row, pointers, starts)
                push(column, state, begun + steps - 1, indices[begin:stop], values[begin:stop])
            elif column[c.KIND] != c.SOURCE:
                gather(column, synapses, weights, table, indices, values, pointers, starts, row, totals, sums, dense,
                       dense_at, flags)
                for i in range(column[c.SIZE]):
                    state[column[c.PENDING] + i] = totals[i]
                    totals[i] = 0


@kernel
def listen(messages: Array, elements: Array, indices: Array, values: Array, ends: Array, begin: int) -> bool:
    """Write rows of messages, (rows, size), as events; whether all of them fit 32 bits.

    `elements` says which element lies at a place. Silence is passed over by sixteens.
    """
    fit, end, size = True, begin + ends[0], messages.shape[1]
    for row in range(messages.shape[0]):
        for first in range(0, size, 16):
            part = messages[row, first : min(first + 16, size)]
            heard = False
            for i in range(part.shape[0]):
                heard |= part[i] != 0
            if heard:
                for i in range(part.shape[0]):
                    if part[i] != 0:
                        indices[end] = elements[first + i]
                        values[end] = np.int32(part[i])
                        fit &= values[end] == part[i]
                        end += 1
        ends[row + 1] = end - begin
    return fit


@kernel
def spread(indices: Array, values: Array, ends: Array, begin: int, places: Array, out: Array) -> None:
    """Write the events of consecutive rows into rows of zeros; `places` says where an element lies in a row."""
    for row in range(out.shape[0]):
        for event in range(begin + ends[row], begin + ends[row + 1]):
            out[row, places[indices[event]]] = values[event]


@kernel
def count(indices: Array, ends: Array, begin: int, places: Array, out: Array) -> None:
    """Add the number of events of each element in consecutive rows."""
    for event in range(begin + ends[0], begin + ends[ends.shape[0] - 1]):
        out[places[indices[event]]] += 1
