"""Tiles: the neurons that are updated, or left to rest, together."""

from __future__ import annotations

import numpy as np

from loihic.ir.node import Array
from loihic.sim.flat.jit import Word, inner

TILE_BITS = 7
TILE = 1 << TILE_BITS  # neurons


def tiles_of(size: int) -> int:
    """Number of tiles of a population."""
    return (size + TILE - 1) >> TILE_BITS


@inner
def wake(flags: Array, live: Word, start: Word, stop: Word) -> None:
    """Let the tiles of the elements from `start` to before `stop` take part in the next update."""
    first, last = live + (start >> TILE_BITS), live + ((stop - 1) >> TILE_BITS)
    flags[first] = np.uint8(1)
    flags[last] = np.uint8(1)
    for tile in range(first + 1, last):
        flags[tile] = np.uint8(1)


@inner
def wrapped_24(x: Word) -> Word:
    """Two's complement of 24 bits."""
    return ((x + np.int32(1 << 23)) & np.int32((1 << 24) - 1)) - np.int32(1 << 23)
