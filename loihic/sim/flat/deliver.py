"""What synapses deliver: the events of a row, scattered over the sums of a population."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from loihic.ir.node import Array
from loihic.sim.flat import columns as c
from loihic.sim.flat.jit import Word, inner
from loihic.sim.flat.tiles import TILE, TILE_BITS, wake, wrapped_24


@inner
def _add(target: Array, weights: Array, value: Word) -> None:
    for i in range(target.shape[0]):
        target[i] += np.int32(weights[i])


@inner
def _add_products(target: Array, weights: Array, value: Word) -> None:
    for i in range(target.shape[0]):
        target[i] += np.int32(weights[i]) * value


@inner
def _add_four(target: Array, first: Array, second: Array, third: Array, fourth: Array) -> None:
    for i in range(target.shape[0]):
        target[i] += np.int32(first[i]) + np.int32(second[i]) + np.int32(third[i]) + np.int32(fourth[i])


@inner
def _dense_spikes(synapse: Array, weights: Array, indices: Array, values: Array, target: Array) -> None:
    """Rows of weights, (inputs, outputs), one an event; by fours, which spares three of four passes over the sums."""
    size, base = synapse[c.OUTPUTS], synapse[c.WEIGHTS]
    out, fours = target[:size], indices.shape[0] & ~3
    for event in range(0, fours, 4):
        one, two = base + indices[event] * size, base + indices[event + 1] * size
        three, four = base + indices[event + 2] * size, base + indices[event + 3] * size
        _add_four(out, weights[one : one + size], weights[two : two + size], weights[three : three + size],
                  weights[four : four + size])
    for event in range(fours, indices.shape[0]):
        one = base + indices[event] * size
        _add(out, weights[one : one + size], np.int32(1))


@inner
def _dense_values(synapse: Array, weights: Array, indices: Array, values: Array, target: Array) -> None:
    """Rows of weights times values."""
    size, base = synapse[c.OUTPUTS], synapse[c.WEIGHTS]
    out = target[:size]
    for event in range(indices.shape[0]):
        begin = base + indices[event] * size
        _add_products(out, weights[begin : begin + size], values[event])


@inner
def _sparse(synapse: Array, weights: Array, table: Array, indices: Array, values: Array, target: Array, flags: Array,
            live: Word) -> None:
    """Columns of a sparse matrix: in the table where each begins, then the outputs of its weights."""
    base, columns, spikes = synapse[c.WEIGHTS], synapse[c.TABLE], synapse[c.SPIKES]
    outputs = columns + synapse[c.CHANNELS] + 1
    for event in range(indices.shape[0]):
        place = columns + indices[event]
        value = np.int32(1) if spikes else values[event]
        for i in range(table[place], table[place + 1]):
            output = table[outputs + i]
            target[output] += np.int32(weights[base + i]) * value
            flags[live + (output >> TILE_BITS)] = np.uint8(1)


def _convolution(add: Callable[[Array, Array, Word], None]) -> Callable[..., None]:
    """Convolutions whose events add by `add`: compiled twice, since a choice within the innermost loop costs half."""

    @inner
    def convolution(synapse: Array, weights: Array, table: Array, indices: Array, values: Array, target: Array,
                    flags: Array, live: Word) -> None:
        """Events spread by a kernel: for each of its rows a piece, or a piece for each of its places.

        Elements lie channels last. The table says, for each row of the map and of the kernel, where the row of sums
        begins that they reach, or -1; behind that, for each column of the map, its pieces: the first of the kernel's
        columns, the first sum within a row, and the number of sums. Weights lie (channels, rows, columns, output
        channels of the group).
        """
        channels, width, outs, rows = synapse[c.CHANNELS], synapse[c.WIDTH], synapse[c.OUT_CHANNELS], synapse[c.ROWS]
        downs, acrosses, pieces = synapse[c.TABLE], synapse[c.ACROSS], synapse[c.PIECES]
        each, kernel, kernel_row = synapse[c.EACH], synapse[c.KERNEL], synapse[c.KERNEL_ROW]
        for event in range(indices.shape[0]):
            place, channel = divmod(np.int64(indices[event]), channels)
            y, x = divmod(place, width)
            offset = (channel // each) * outs if each < channels else 0
            own = synapse[c.WEIGHTS] + channel * kernel
            for row in range(rows):
                down = table[downs + y * rows + row]
                if down < 0:
                    continue
                for piece in range(pieces):
                    across = acrosses + 3 * (x * pieces + piece)
                    length = np.int64(table[across + 2])
                    if length == 0:
                        continue
                    begin = down + table[across + 1] + offset
                    first = own + row * kernel_row + table[across]
                    add(target[begin : begin + length], weights[first : first + length], values[event])
                    wake(flags, live, begin, begin + length)

    return convolution


_convolution_spikes, _convolution_values = _convolution(_add), _convolution(_add_products)


@inner
def _finish(synapse: Array, totals: Array, sums: Array, flags: Array, live: Word) -> None:
    """Wrap and shift the sums of a synapse, which lie in tiles that are awake, and add them to the totals."""
    size, exponent = synapse[c.OUTPUTS], synapse[c.EXPONENT]
    for tile in range((size + TILE - 1) >> TILE_BITS):
        if flags[live + tile]:
            start, stop = tile << TILE_BITS, min((tile + 1) << TILE_BITS, size)
            total, part = totals[start:stop], sums[start:stop]
            if synapse[c.WRAPS]:
                for i in range(part.shape[0]):
                    part[i] = wrapped_24(part[i])
            if exponent >= 0:
                shift = np.int32(exponent)
                for i in range(part.shape[0]):
                    total[i] += part[i] << shift
                    part[i] = 0
            else:
                shift = np.int32(-exponent)
                for i in range(part.shape[0]):
                    total[i] += part[i] >> shift
                    part[i] = 0


@inner
def gather(column: Array, synapses: Array, weights: Array, table: Array, indices: Array, values: Array,
           pointers: Array, starts: Array, row: Word, totals: Array, sums: Array, dense: Array, dense_at: Array,
           flags: Array) -> None:
    """Add what was sent in `row` to `totals` of the population of `column`, and wake the tiles that it reaches."""
    live = column[c.LIVE]
    for number in range(column[c.FIRST_SYNAPSE], column[c.LAST_SYNAPSE]):
        synapse = synapses[number]
        if synapse[c.LAYOUT] == c.NOW:
            continue
        size = synapse[c.OUTPUTS]
        if dense_at[number] >= 0:
            begin = dense_at[number] + row * size
            _add(totals[:size], dense[begin : begin + size], np.int32(1))
            wake(flags, live, 0, size)
            continue
        sender = synapse[c.SENDER]
        first, last = starts[sender] + pointers[sender, row], starts[sender] + pointers[sender, row + 1]
        if first == last:
            continue
        target = totals if synapse[c.DIRECT] else sums
        layout, spikes = synapse[c.LAYOUT], synapse[c.SPIKES]
        heard, sent = indices[first:last], values[first:last]
        if layout == c.DENSE:
            wake(flags, live, 0, size)
            if spikes:
                _dense_spikes(synapse, weights, heard, sent, target)
            else:
                _dense_values(synapse, weights, heard, sent, target)
        elif layout == c.SPARSE:
            _sparse(synapse, weights, table, heard, sent, target, flags, live)
        elif spikes:
            _convolution_spikes(synapse, weights, table, heard, sent, target, flags, live)
        else:
            _convolution_values(synapse, weights, table, heard, sent, target, flags, live)
        if not synapse[c.DIRECT]:
            _finish(synapse, totals, sums, flags, live)


@inner
def hear(column: Array, synapses: Array, table: Array, indices: Array, values: Array, pointers: Array, starts: Array,
         row: Word, totals: Array, flags: Array) -> None:
    """Add what Sources send in `row` itself to `totals` of a population that hears them without a synapse."""
    for number in range(column[c.FIRST_SYNAPSE], column[c.LAST_SYNAPSE]):
        synapse = synapses[number]
        if synapse[c.LAYOUT] == c.NOW:
            sender = synapse[c.SENDER]
            for event in range(starts[sender] + pointers[sender, row], starts[sender] + pointers[sender, row + 1]):
                element = table[synapse[c.TABLE] + indices[event]]
                totals[element] += values[event]
                flags[column[c.LIVE] + (element >> TILE_BITS)] = np.uint8(1)
