"""Layout: the order in which a population's neurons are laid out before it is cut into contiguous slices.

A population (C, H, W) is a line of neurons: groups of channels one after the other, within a group tile after tile,
within a tile pixel after pixel, within a pixel channel after channel. A slice of that line is what a core holds. Cut
anywhere, it is cheap to describe; cut between tiles, it is a box of the feature map, and its halo is small.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import prod

import numpy as np

from loihic.ir.node import Array, Shape

Rows = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """Neurons [c0, c1) x [y0, y1) x [x0, x1) of a (C, H, W) population."""

    channels: Rows
    rows: Rows
    columns: Rows

    @property
    def size(self) -> int:
        """Neurons in it."""
        return prod(high - low for low, high in (self.channels, self.rows, self.columns))


@cache
def as_map(shape: Shape) -> tuple[int, int, int]:
    """Any shape as (C, H, W): vectors are channels of one pixel, (C, L) is a map of one row."""
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    if len(shape) == 2:
        return shape[0], 1, shape[1]
    return prod(shape), 1, 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """An order of the neurons of one population.

    Attributes:
        shape: of the population.
        channels: that lie together in a group; the last group may have fewer.
        tile: rows and columns of a tile of pixels; those at the far edges may be smaller.
    """

    shape: Shape
    channels: int
    tile: tuple[int, int]

    @classmethod
    def plain(cls, shape: Shape) -> Layout:
        """All channels together, strips across the shorter side of the map."""
        channels, height, width = as_map(shape)
        return cls(shape=shape, channels=max(channels, 1), tile=(max(height, 1), 1) if width >= height else (1, max(
            width, 1)))

    @property
    def size(self) -> int:
        """Neurons in all."""
        return prod(self.shape)

    @property
    def pixels(self) -> int:
        """Pixels of the map."""
        _, height, width = as_map(self.shape)
        return height * width

    def groups(self) -> Iterator[tuple[int, int, int]]:
        """Groups of channels: first channel, end, and the position of their first neuron."""
        channels = as_map(self.shape)[0]
        for first in range(0, channels, self.channels):
            yield first, min(first + self.channels, channels), first * self.pixels

    def group_of(self, position: int) -> tuple[int, int, int]:
        """The group of channels that a position lies in, as `groups` gives it."""
        first = position // (self.channels * self.pixels) * self.channels
        return first, min(first + self.channels, as_map(self.shape)[0]), first * self.pixels

    def positions(self, flat: Array) -> Array:
        """Positions of neurons that are numbered in C order of `shape`."""
        _, height, width = as_map(self.shape)
        channel, pixel = np.divmod(np.asarray(flat, dtype=np.int64), height * width)
        y, x = np.divmod(pixel, width)
        first = channel // self.channels * self.channels
        together = np.minimum(self.channels, as_map(self.shape)[0] - first)
        return np.asarray(first * self.pixels + self._pixel_positions(y, x) * together + channel - first)

    def flat(self, positions: Array) -> Array:
        """The inverse of `positions`."""
        channels, height, width = as_map(self.shape)
        positions = np.asarray(positions, dtype=np.int64)
        first = positions // (self.channels * self.pixels) * self.channels
        together = np.minimum(self.channels, channels - first)
        pixel, channel = np.divmod(positions - first * self.pixels, together)
        y, x = self._pixel_at(pixel)
        return np.asarray((channel + first) * (height * width) + y * width + x)

    def _pixel_positions(self, y: Array, x: Array) -> Array:
        _, height, width = as_map(self.shape)
        rows, columns = self.tile
        top, left = y // rows * rows, x // columns * columns
        tall, wide = np.minimum(rows, height - top), np.minimum(columns, width - left)
        return np.asarray(top * width + left * tall + (y - top) * wide + x - left)

    def _pixel_at(self, pixel: Array) -> tuple[Array, Array]:
        _, height, width = as_map(self.shape)
        rows, columns = self.tile
        top = pixel // (rows * width) * rows
        tall = np.minimum(rows, height - top)
        left = (pixel - top * width) // (columns * tall) * columns
        wide = np.minimum(columns, width - left)
        y, x = np.divmod(pixel - top * width - left * tall, wide)
        return top + y, left + x

    def boxes(self, start: int, stop: int) -> list[Box]:
        """The disjoint boxes that the positions [start, stop) make up, in order of position."""
        found: list[Box] = []
        while start < stop:
            first, end, base = self.group_of(start)
            together = end - first
            here = min(stop, base + together * self.pixels)
            found += self._group_boxes(first, together, start - base, here - base)
            start = here
        return found

    def _group_boxes(self, first: int, together: int, start: int, stop: int) -> Iterator[Box]:
        """Boxes of a range within one group of channels; pixels that are cut come alone."""
        low, head = divmod(start, together)
        high, tail = divmod(stop, together)
        if low == high:
            yield from self._pixel_boxes(low, low + 1, (first + head, first + tail))
            return
        if head:
            yield from self._pixel_boxes(low, low + 1, (first + head, first + together))
            low += 1
        yield from self._pixel_boxes(low, high, (first, first + together))
        if tail:
            yield from self._pixel_boxes(high, high + 1, (first, first + tail))

    def _pixel_boxes(self, start: int, stop: int, channels: Rows) -> Iterator[Box]:
        """Boxes of a range of pixels: what is cut of the first tile row, whole tile rows, what is cut of the last."""
        _, height, width = as_map(self.shape)
        rows = self.tile[0]
        while start < stop:
            top = start // (rows * width) * rows
            if start == top * width:
                bottom = height if stop == height * width else stop // (rows * width) * rows
                if bottom > top:
                    yield Box(channels=channels, rows=(top, bottom), columns=(0, width))
                    start = bottom * width
                    continue
            tall = min(rows, height - top)
            here = min(stop, (top + tall) * width)
            yield from self._tile_boxes(top, tall, start - top * width, here - top * width, channels)
            start = here

    def _tile_boxes(self, top: int, tall: int, start: int, stop: int, channels: Rows) -> Iterator[Box]:
        """The same within one row of tiles, `tall` pixels high."""
        width, columns = as_map(self.shape)[2], self.tile[1]
        while start < stop:
            left = start // (columns * tall) * columns
            if start == left * tall:
                right = width if stop == width * tall else stop // (columns * tall) * columns
                if right > left:
                    yield Box(channels=channels, rows=(top, top + tall), columns=(left, right))
                    start = right * tall
                    continue
            wide = min(columns, width - left)
            here = min(stop, (left + wide) * tall)
            yield from _row_boxes(top, left, wide, start - left * tall, here - left * tall, channels)
            start = here


def _row_boxes(top: int, left: int, wide: int, start: int, stop: int, channels: Rows) -> Iterator[Box]:
    """The same within one tile: what is cut of its first row, whole rows, what is cut of its last."""
    while start < stop:
        y, x = divmod(start, wide)
        if x == 0 and stop - start >= wide:
            end = stop // wide
            yield Box(channels=channels, rows=(top + y, top + end), columns=(left, left + wide))
            start = end * wide
        else:
            here = min(stop, (y + 1) * wide)
            yield Box(channels=channels, rows=(top + y, top + y + 1), columns=(left + x, left + x + here - start))
            start = here
