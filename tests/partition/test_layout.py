"""Layouts number every neuron once, boxes cover a range exactly, and partitions and placements find their mistakes."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partitions import layouts

from loihic.partition.layout import Layout, Rows, as_map
from loihic.partition.model import Fragment, Mesh, Partition, Placement

SIZES = st.one_of(st.just(1), st.integers(1, 6))
SHAPES = st.one_of(st.lists(SIZES, max_size=4).map(tuple), st.tuples(SIZES, st.integers(2, 6), st.integers(2, 6)))
LAYOUTS = SHAPES.flatmap(layouts)


class Place(NamedTuple):
    """A neuron in the order of its layout: what comes first is compared first."""

    group: int
    tile_row: int
    tile_column: int
    y: int
    x: int
    channel: int

    def flat(self, shape: tuple[int, ...]) -> int:
        """Its number in C order."""
        _, height, width = as_map(shape)
        return (self.channel * height + self.y) * width + self.x


def ordered(layout: Layout) -> list[Place]:
    """Every neuron in the order that a layout is said to have, by sorting."""
    channels, height, width = as_map(layout.shape)
    rows, columns = layout.tile
    return sorted(Place(c // layout.channels, y // rows, x // columns, y, x, c)
                  for c in range(channels) for y in range(height) for x in range(width))


@st.composite
def ranges(draw: st.DrawFn) -> tuple[Layout, int, int]:
    """A layout and positions [start, stop) of it, empty ones too."""
    layout = draw(LAYOUTS)
    start, stop = sorted(draw(st.tuples(st.integers(0, layout.size), st.integers(0, layout.size))))
    return layout, start, stop


@given(LAYOUTS)
def test_the_order_is_groups_tiles_pixels_channels(layout: Layout) -> None:
    wanted = [place.flat(layout.shape) for place in ordered(layout)]
    assert layout.flat(np.arange(layout.size)).tolist() == wanted


@given(LAYOUTS)
def test_positions_is_the_inverse_of_flat(layout: Layout) -> None:
    numbers = np.arange(layout.size)
    positions = layout.positions(numbers)
    np.testing.assert_array_equal(np.sort(positions), numbers)
    np.testing.assert_array_equal(layout.flat(positions), numbers)
    np.testing.assert_array_equal(layout.positions(layout.flat(numbers)), numbers)
    assert [int(layout.positions(np.asarray(number))) for number in numbers] == positions.tolist()


@given(SHAPES)
def test_a_plain_layout_has_all_channels_together(shape: tuple[int, ...]) -> None:
    layout = Layout.plain(shape)
    channels, height, width = as_map(shape)
    assert layout.size == prod(shape)
    assert layout.channels == channels
    assert sorted(layout.tile) == [1, min(height, width)]
    assert layout.tile[0] == height or layout.tile[1] == width


def check_boxes(layout: Layout, places: list[Place], start: int, stop: int) -> None:
    """The boxes of a range are its neurons, in order, none twice."""
    done = start
    for box in layout.boxes(start, stop):
        inside = {(c, y, x) for c in range(*box.channels) for y in range(*box.rows) for x in range(*box.columns)}
        assert len(inside) == box.size > 0
        assert {(place.channel, place.y, place.x) for place in places[done : done + box.size]} == inside
        done += box.size
    assert done == stop


@given(ranges())
def test_boxes_cover_the_range_exactly_and_in_order(case: tuple[Layout, int, int]) -> None:
    layout, start, stop = case
    check_boxes(layout, ordered(layout), start, stop)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("tile", [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 4)])
def test_boxes_of_every_range_of_a_small_map(channels: int, tile: tuple[int, int]) -> None:
    layout = Layout(shape=(2, 3, 4), channels=channels, tile=tile)
    places = ordered(layout)
    for start in range(layout.size + 1):
        for stop in range(start, layout.size + 1):
            check_boxes(layout, places, start, stop)


@pytest.mark.parametrize(("start", "stop", "wanted"), [
    (0, 4, [((0, 2), (0, 2))]), (4, 10, [((0, 2), (2, 5))]), (0, 15, [((0, 3), (0, 5))]), (10, 15, [((2, 3), (0, 5))]),
    (0, 3, [((0, 1), (0, 2)), ((1, 2), (0, 1))]), (5, 12, [((0, 1), (3, 4)), ((1, 2), (2, 4)), ((0, 2), (4, 5)),
                                                           ((2, 3), (0, 2))])])
def test_whole_tiles_are_one_box_up_to_the_edge_of_the_map(start: int, stop: int,
                                                            wanted: list[tuple[Rows, Rows]]) -> None:
    """A map of three rows and five columns in tiles of two by two: those at the far edges are smaller."""
    layout = Layout(shape=(1, 3, 5), channels=1, tile=(2, 2))
    assert [(box.rows, box.columns) for box in layout.boxes(start, stop)] == wanted


@settings(max_examples=300)
@given(ranges())
def test_boxes_are_few(case: tuple[Layout, int, int]) -> None:
    """At either end a cut pixel, two boxes of a cut tile, whole tiles, whole tile rows; a group between is one box."""
    layout, start, stop = case
    if start == stop:
        assert layout.boxes(start, stop) == []
        return
    first, last = (ordered(layout)[position].group for position in (start, stop - 1))
    assert len(layout.boxes(start, stop)) <= 10 + max(last - first - 1, 0)


@settings(max_examples=300)
@given(LAYOUTS)
def test_all_neurons_are_a_box_per_group(layout: Layout) -> None:
    channels, height, width = as_map(layout.shape)
    found = [(box.channels, box.rows, box.columns) for box in layout.boxes(0, layout.size)]
    wanted = [(first, end) for first, end, _ in layout.groups()]
    assert found == [(group, (0, height), (0, width)) for group in wanted]
    assert [first for first, _ in wanted] == list(range(0, channels, layout.channels))


@given(LAYOUTS)
def test_the_group_of_a_position_is_the_one_whose_neurons_it_is_among(layout: Layout) -> None:
    groups = list(layout.groups())
    for position, place in enumerate(ordered(layout)):
        assert layout.group_of(position) == groups[place.group]
        first, end, base = groups[place.group]
        assert first <= place.channel < end
        assert base <= position < base + (end - first) * layout.pixels


@st.composite
def dealt(draw: st.DrawFn) -> Partition:
    """One to three populations, cut anywhere, their fragments dealt to cores in any order; a core may be empty."""
    populations = {f"n{i}": draw(LAYOUTS) for i in range(draw(st.integers(1, 3)))}
    cores: list[list[Fragment]] = [[] for _ in range(draw(st.integers(1, 4)))]
    for name, layout in populations.items():
        ends = sorted({*draw(st.sets(st.integers(1, max(layout.size - 1, 1)), max_size=4)), layout.size})
        for start, stop in pairwise([0, *ends]):
            draw(st.sampled_from(cores)).append(Fragment(population=name, start=start, stop=stop))
    return Partition(layouts=populations, cores=tuple(tuple(draw(st.permutations(core))) for core in cores))


@given(dealt())
def test_locate_is_the_inverse_of_neuron(partition: Partition) -> None:
    partition.check()
    seen = set()
    for core, fragments in enumerate(partition.cores):
        held = sum(fragment.size for fragment in fragments)
        for compartment in range(held):
            name, number = partition.neuron(core, compartment)
            assert partition.locate(name, number) == (core, compartment)
            seen.add((name, number))
        for outside in (held, -1):
            with pytest.raises(IndexError):
                partition.neuron(core, outside)
    assert seen == {(name, number) for name, layout in partition.layouts.items() for number in range(layout.size)}


@given(dealt())
def test_compartments_follow_fragments_in_the_order_of_the_layouts(partition: Partition) -> None:
    for core, fragments in enumerate(partition.cores):
        wanted = [(fragment.population, place.flat(partition.layouts[fragment.population].shape))
                  for fragment in fragments
                  for place in ordered(partition.layouts[fragment.population])[fragment.start : fragment.stop]]
        assert [partition.neuron(core, compartment) for compartment in range(len(wanted))] == wanted


@given(dealt(), st.data())
def test_check_finds_a_fragment_that_was_changed(partition: Partition, data: st.DataObject) -> None:
    """Left out, doubled, an end moved: whatever is changed, a neuron is on no core or on two, or there is no such."""
    core = data.draw(st.sampled_from([i for i, fragments in enumerate(partition.cores) if fragments]))
    place = data.draw(st.integers(0, len(partition.cores[core]) - 1))
    old = partition.cores[core][place]
    by = data.draw(st.sampled_from([-1, 1]))
    new = data.draw(st.sampled_from([
        (), (old, old), (Fragment(population=old.population, start=old.start + by, stop=old.stop),),
        (Fragment(population=old.population, start=old.start, stop=old.stop + by),)]))
    fragments = (*partition.cores[core][:place], *new, *partition.cores[core][place + 1 :])
    cores = (*partition.cores[:core], fragments, *partition.cores[core + 1 :])
    with pytest.raises(ValueError, match=f"{old.population}: not every neuron is on exactly one core"):
        Partition(layouts=partition.layouts, cores=cores).check()


def fragments(*ranges: tuple[int, int]) -> Partition:
    """Slices of a population of six, a core each."""
    return Partition(layouts={"n": Layout.plain((6,))},
                     cores=tuple((Fragment(population="n", start=start, stop=stop),) for start, stop in ranges))


@pytest.mark.parametrize("cuts", [
    [], [(0, 5)], [(1, 6)], [(0, 7)], [(-1, 6)], [(0, 2), (3, 6)], [(0, 4), (3, 6)], [(0, 6), (0, 6)], [(0, 6), (6, 6)],
    [(0, 3), (3, 3), (3, 6)], [(0, 6), (6, 7)], [(0, 4), (4, 2), (2, 6)], [(0, 6), (2, 3)]])
def test_check_finds_overlaps_gaps_and_overruns(cuts: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="n: not every neuron"):
        fragments(*cuts).check()


def test_check_accepts_slices_in_any_order() -> None:
    fragments((4, 6), (0, 1), (1, 4)).check()


def test_a_population_that_has_no_layout_is_refused() -> None:
    with pytest.raises(KeyError, match="other"):
        Partition(layouts={"n": Layout.plain((1,))}, cores=((Fragment(population="other", start=0, stop=1),),)).check()


@given(st.integers(1, 5), st.integers(1, 3), st.data())
def test_placements_are_different_sites_of_the_mesh(cores: int, chips: int, data: st.DataObject) -> None:
    mesh = Mesh(cores=cores, chips=chips)
    sites = data.draw(st.lists(st.integers(-2, mesh.sites + 1), min_size=1, max_size=mesh.sites + 1))
    placement = Placement(mesh=mesh, sites=np.array(sites))
    if len(set(sites)) == len(sites) and all(0 <= site < mesh.sites for site in sites):
        placement.check()
        for core, site in enumerate(sites):
            assert placement.chip(core) * mesh.cores + placement.core(core) == site
            assert placement.core(core) < mesh.cores
    else:
        with pytest.raises(ValueError, match="share a site"):
            placement.check()


def test_routers_fill_a_chip_row_by_row_and_chips_lie_in_rows() -> None:
    mesh = Mesh(cores=120, chips=4, chip_columns=2)
    sites = np.array([0, 3, 4, 31, 32, 119, 120, 240, 363])
    columns, rows = mesh.routers(sites)
    assert list(zip(columns.tolist(), rows.tolist(), strict=True)) == [
        (0, 0), (0, 0), (1, 0), (7, 0), (0, 1), (5, 3), (8, 0), (0, 4), (8, 4)]
    assert [int(way[0]) for way in mesh.routers(np.array([-1]))] == [0, 0]
