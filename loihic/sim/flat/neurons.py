"""Neurons of each kind: a tile is updated in one pass, what it sends is found in a second.

The arithmetic is that of `Compartment`, `Activation` and `SigmaDeltaNeurons`, in int32 as far as it is the same there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from loihic.ir.node import Array
from loihic.sim.flat import columns as c
from loihic.sim.flat.jit import Word, inner
from loihic.sim.flat.masks import LANES, above, above_each, lowest
from loihic.sim.flat.tiles import TILE, TILE_BITS, wrapped_24

LIMIT, WHOLE = np.int32(1 << 23), np.int32(1 << 24)
VOLTAGE_MAX = np.int32((1 << 23) - 1)
ENOUGH = np.int32(1 << 30)  # a current beyond this makes v saturate whatever is added to it
SIX = np.int32(6)
GROUP = 64  # neurons, a bit each


@inner
def _decayed(x: Word, kept: Word) -> Word:
    """x * kept / 4096, toward zero: the magnitude in two parts, since its product with 4096 needs more than 32 bits."""
    magnitude = abs(x)
    high, low = magnitude >> np.int32(12), magnitude & np.int32(4095)
    product = np.int32(np.int32(high * kept) + (np.int32(low * kept) >> np.int32(12)))
    return np.int32(-product) if x < 0 else product


@inner
def _current(u: Word, a: Word, kept: Word, bias: Word) -> Word:
    y = np.int32(_decayed(u, kept) + (a << SIX) + bias)  # numba computes in 64 bits; the cast is the wrap at 32
    return np.int32(y - WHOLE) if y > LIMIT else (np.int32(y + WHOLE) if y <= -LIMIT else y)


@inner
def _voltage(v: Word, kept: Word, current: Word, bias: Word) -> Word:
    y = np.int32(_decayed(v, kept) + current + bias)
    return min(max(y, -VOLTAGE_MAX), VOLTAGE_MAX)


def _alike(stock: bool) -> Callable[..., tuple[Word, Word]]:
    """Neurons that are all alike; Lava's LIF (`stock`) wraps the sum of v at 32 bits before it saturates."""

    @inner
    def update(u: Array, v: Array, a: Array, kept_u: Word, kept_v: Word, bias_u: Word, bias_v: Word,
               theta: Word) -> tuple[Word, Word]:
        moved, fires = np.int32(0), np.int32(0)
        for i in range(u.shape[0]):
            new_u = _current(u[i], a[i], kept_u, bias_u)
            new_v = _voltage(v[i], kept_v, new_u if stock else min(max(new_u, -ENOUGH), ENOUGH), bias_v)
            moved = np.int32(moved | (new_u ^ u[i]) | (new_v ^ v[i]) | a[i])
            fires = np.int32(fires | np.int32(new_v > theta))
            u[i], v[i], a[i] = new_u, new_v, np.int32(0)
        return moved, fires

    return update


_stock, _own = _alike(True), _alike(False)


@inner
def _each_current(u: Array, a: Array, kept_u: Array, bias_u: Array) -> Word:
    moved = np.int32(0)
    for i in range(u.shape[0]):
        new_u = _current(u[i], a[i], kept_u[i], bias_u[i])
        moved = np.int32(moved | (new_u ^ u[i]) | a[i])
        u[i], a[i] = new_u, np.int32(0)
    return moved


@inner
def _each_voltage(u: Array, v: Array, kept_v: Array, bias_v: Array, stock: Word) -> Word:
    moved = np.int32(0)
    for i in range(u.shape[0]):
        current = u[i] if stock else min(max(u[i], -ENOUGH), ENOUGH)
        new_v = _voltage(v[i], kept_v[i], current, bias_v[i])
        moved = np.int32(moved | (new_v ^ v[i]))
        v[i] = new_v
    return moved


@inner
def _written(bits: Word, first: Word, indices: Array, at: Word, end: Word) -> Word:
    """Write down the elements whose bits are set, counted from `first`; returns where the events end."""
    while bits:
        indices[at + end] = first + lowest(bits)
        end += 1
        bits &= bits - np.uint64(1)
    return end


@inner
def _exceeds(v: Array, i: Word, theta: Word) -> Word:
    return v[i] > theta


@inner
def _exceeds_each(v: Array, i: Word, theta: Array) -> Word:
    return v[i] > theta[i]


def _finder(bits_of: Callable[..., Word], exceeds: Callable[..., Word]) -> Callable[..., Word]:
    """Writes down who spikes, 64 at once: asking one after the other costs as much as the update, and guesses wrong."""

    @inner
    def find(v: Array, theta: Any, indices: Array, at: Word, end: Word, start: Word) -> Word:
        whole = v.shape[0] & ~(GROUP - 1)
        for first in range(0, whole, GROUP):
            bits = bits_of(v, first, theta)
            for part in range(LANES, GROUP, LANES):
                bits |= bits_of(v, first + part, theta) << np.uint64(part)
            end = _written(bits, start + first, indices, at, end)
        for i in range(whole, v.shape[0]):
            if exceeds(v, i, theta):
                indices[at + end] = start + i
                end += 1
        return end

    return find


_firing, _firing_each = _finder(above, _exceeds), _finder(above_each, _exceeds_each)


@inner
def update_compartment(column: Array, table: Array, state: Array, flags: Array, totals: Array, indices: Array,
                       values: Array, at: Word, end: Word) -> Word:
    """Step the tiles that are awake; returns where the events end."""
    size, live, base, place = column[c.SIZE], column[c.LIVE], column[c.STATE], column[c.PARAMS]
    emit, reset, each, stock = column[c.EMIT], column[c.RESET], column[c.STRIDE], column[c.STOCK]
    kept_u, kept_v = np.int32(column[c.DECAY_U]), np.int32(column[c.DECAY_V])
    bias_u, bias_v, theta = np.int32(column[c.BIAS_U]), np.int32(column[c.BIAS_V]), np.int32(column[c.THETA])
    out_shift = np.int32(column[c.SHIFT])
    for tile in range((size + TILE - 1) >> TILE_BITS):
        if not flags[live + tile]:
            continue
        start, stop = tile << TILE_BITS, min((tile + 1) << TILE_BITS, size)
        u, v = state[base + start : base + stop], state[base + size + start : base + size + stop]
        a = totals[start:stop]
        if each:
            own = place + start, place + stop
            moved = _each_current(u, a, table[own[0] : own[1]], table[own[0] + 2 * size : own[1] + 2 * size])
            moved |= _each_voltage(u, v, table[own[0] + size : own[1] + size],
                                   table[own[0] + 3 * size : own[1] + 3 * size], stock)
            fires = np.int32(1)
        elif stock:
            moved, fires = _stock(u, v, a, kept_u, kept_v, bias_u, bias_v, theta)
        else:
            moved, fires = _own(u, v, a, kept_u, kept_v, bias_u, bias_v, theta)
        begun = end
        if emit == c.EMIT_STATE:
            for i in range(v.shape[0]):
                value = v[i] >> out_shift
                if value != 0:
                    indices[at + end] = start + i
                    values[at + end] = value
                    end += 1
        elif fires:
            if each:
                thetas = table[place + 4 * size + start : place + 4 * size + stop]
                end = _firing_each(v, thetas, indices, at, end, start)
            else:
                end = _firing(v, theta, indices, at, end, start)
            for event in range(at + begun, at + end):
                i = indices[event] - start
                if each:
                    theta = thetas[i]
                value = np.int32(1)
                if emit == c.EMIT_MULTI and theta > 0:
                    value = (v[i] - np.int32(1)) // theta
                values[event] = value
                if reset == c.RESET_ZERO:
                    v[i] = 0
                elif reset == c.RESET_SUBTRACT:
                    v[i] -= value * theta
        flags[live + tile] = np.uint8(moved != 0 or end > begun)
    return end


@inner
def _level(v: Word, column: Array, table: Array, params: Array, place: Word, stride: Word, i: Word) -> Word:
    """The level of a sum; parameters lie (3, size or 1): multiplier, addend, shift; or the thresholds in rows."""
    steps = column[c.STEPS]
    if steps >= 0:
        row = place + table[column[c.OWN_ROW] + i] * steps if stride else place
        low, high = np.int64(0), steps
        while low < high:
            middle = (low + high) >> 1
            if params[row + middle] <= v:
                low = middle + 1
            else:
                high = middle
        return column[c.LOW] + column[c.RISE] * low
    length = column[c.SIZE] if stride else 1
    own = place + i * stride
    product, shift = np.int64(v) * params[own] + params[own + length], params[own + 2 * length]
    if column[c.TIES_EVEN] and shift > 0:
        half = np.int64(1) << (shift - 1)
        level = (product + half) >> shift
        if product - ((level << shift) - half) == 0 and level & 1:
            level -= 1
    else:
        level = product >> shift
    return min(max(level, column[c.LOW]), column[c.HIGH])


@inner
def update_activation(column: Array, table: Array, params: Array, state: Array, flags: Array, totals: Array,
                      indices: Array, values: Array, at: Word, end: Word) -> Word:
    """Step the tiles that are awake; returns where the events end."""
    size, live, base = column[c.SIZE], column[c.LIVE], column[c.STATE]
    place, stride = column[c.PARAMS], column[c.STRIDE]
    sigma, delta, least = column[c.SIGMA], column[c.DELTA], column[c.LEAST]
    for tile in range((size + TILE - 1) >> TILE_BITS):
        if not flags[live + tile]:
            continue
        moved, begun = np.int32(0), end
        for i in range(tile << TILE_BITS, min((tile + 1) << TILE_BITS, size)):
            a, old = totals[i], state[base + i]
            v = wrapped_24(old + a if sigma else a)
            totals[i] = 0
            state[base + i] = v
            moved |= a | (v ^ old)
            value = _level(v, column, table, params, place, stride, i)
            if delta:
                value -= state[base + size + i]
                if abs(value) < least:
                    value = 0
                state[base + size + i] += np.int32(value)
            if value != 0:
                indices[at + end] = i
                values[at + end] = value
                end += 1
        flags[live + tile] = np.uint8(moved != 0 or end > begun)
    return end


@inner
def update_sigma_delta(column: Array, params: Array, state: Array, flags: Array, totals: Array, indices: Array,
                       values: Array, at: Word, end: Word) -> Word:
    """Step the tiles that are awake; the states are sigma, act and residue. Returns where the events end."""
    size, live, base, role = column[c.SIZE], column[c.LIVE], column[c.STATE], column[c.ROLE]
    least = column[c.LEAST]
    for tile in range((size + TILE - 1) >> TILE_BITS):
        if not flags[live + tile]:
            continue
        moved, begun = np.int32(0), end
        for i in range(tile << TILE_BITS, min((tile + 1) << TILE_BITS, size)):
            a, sigma = totals[i], state[base + i]
            totals[i] = 0
            moved |= a
            if role == c.ROLE_DELTA:
                act = np.int32(np.int64(a) << column[c.INPUT_SHIFT])
            else:
                sigma = np.int32(sigma + a)
                state[base + i] = sigma
                bias = params[column[c.PARAMS] + i * column[c.STRIDE]]
                act = max(np.int32(sigma + bias), np.int32(0))
            if role == c.ROLE_SIGMA:
                value = np.int64(sigma)
            else:
                old, residue = state[base + size + i], state[base + 2 * size + i]
                change = np.int32(act - old + residue)
                told = change if abs(np.int64(change)) >= least else np.int32(0)
                state[base + size + i] = act
                state[base + 2 * size + i] = np.int32(change - told)
                moved |= (act ^ old) | ((change - told) ^ residue)
                value = np.int64(told) >> column[c.SHIFT]
            if value != 0:
                indices[at + end] = i
                values[at + end] = value
                end += 1
        flags[live + tile] = np.uint8(moved != 0 or end > begun)
    return end
