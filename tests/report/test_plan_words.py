"""The words of plans: slices, numbers, lists of cores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loihic.partition.layout import Box, Layout, as_map
from loihic.report import plan_words as words


def cells(boxes: list[Box]) -> list[tuple[int, int, int]]:
    return [(c, y, x) for box in boxes for c in range(*box.channels) for y in range(*box.rows)
            for x in range(*box.columns)]


@given(st.tuples(*[st.integers(1, 6)] * 3), st.data())
def test_merged_boxes_are_the_same_neurons(shape, data):
    channels, rows, columns = (data.draw(st.integers(1, size)) for size in shape)
    layout = Layout(shape=shape, channels=channels, tile=(rows, columns))
    start = data.draw(st.integers(0, layout.size - 1))
    boxes = layout.boxes(start, data.draw(st.integers(start + 1, layout.size)))
    merged = words._merged(boxes)
    assert sorted(cells(merged)) == sorted(cells(boxes))
    assert len(merged) <= len(boxes)


@pytest.mark.parametrize(("shape", "channels", "tile", "slice_", "said"), [
    ((10,), 10, (1, 1), (2, 5), "2-4"),
    ((10,), 4, (1, 1), (2, 9), "2-8"),
    ((10,), 10, (1, 1), (4, 5), "4"),
    ((10,), 10, (1, 1), (0, 10), "all"),
    ((3, 8), 3, (1, 1), (6, 12), "c0-2 x2-3"),
    ((24, 32, 8), 24, (32, 1), (24 * 32 * 4, 24 * 32 * 8), "c0-23 y0-31 x4-7"),
    ((2, 4, 4), 2, (4, 1), (2, 12), "c0-1 y1-3 x0 + y0-1 x1"),
    ((1, 4, 4), 1, (4, 1), (1, 3), "y1-2 x0"),
    ((4, 5, 5), 4, (2, 2), (1, 79), "c1-3 y0 x0 + c0-3 y0 x1 + c0-3 y1 x0-1 + 4 more"),
])
def test_slices(shape, channels, tile, slice_, said):
    assert words.slice_words(Layout(shape=shape, channels=channels, tile=tile), *slice_) == said


@given(st.tuples(*[st.integers(1, 5)] * 3), st.data())
def test_axes_of_one_place_are_not_told(shape, data):
    layout = Layout.plain(shape)
    stop = data.draw(st.integers(1, max(layout.size - 1, 1)))
    said = words.slice_words(layout, 0, stop)
    for letter, size in zip("cyx", as_map(shape), strict=True):
        assert size > 1 or letter not in said


def test_numbers():
    assert [words.count(value) for value in (0, 0.25, 7, 812.4, 999.7, 12345, 2.5e6, 3e9)] == [
        "0", "0.25", "7", "812", "1k", "12.3k", "2.5M", "3G"]
    assert [words.duration(value) for value in (0, 2e-7, 1.25e-6, 0.9999e-6, 0.0123, 2, 1e-12, np.inf)] == [
        "0 s", "200 ns", "1.25 us", "1 us", "12.3 ms", "2 s", "0.001 ns", "unknown"]
    shares = (0, 0.0004, 0.083, 0.996, 1)
    assert [words.percent(share) for share in shares] == ["0 %", "0.04 %", "8 %", "100 %", "100 %"]
    assert [len(words.bar(share, 10)) for share in (0, 1e-9, 0.5, 1, 3)] == [0, 1, 5, 10, 10]
    assert words.bar(0.3, 10, ascii_only=True) == "###"


def test_lists_of_cores():
    assert words.core_list([(0, 3)]) == "chip0.core3"
    assert words.core_list([(0, 3), (0, 4), (0, 6), (2, 1)]) == "4 cores on 2 chips: chip0 cores 3-4, 6; chip2 core 1"
    many = [(chip, core) for chip in range(6) for core in range(0, 12, 2)]
    assert words.core_list(many) == (
        "36 cores on 6 chips: " + "; ".join(f"chip{chip} cores 0, 2, 4, 6 and 2 more" for chip in range(4))
        + "; and 2 chips more")
