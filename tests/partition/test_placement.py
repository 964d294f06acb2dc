import importlib.util
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from loihic.errors import BackendError
from loihic.partition.anneal import Annealer, anneal_window
from loihic.partition.curves import chip_order, hilbert_curve, hilbert_sites
from loihic.partition.model import HOST, Mesh, Traffic
from loihic.partition.placement import METHODS, place
from loihic.partition.refine import annealed
from loihic.partition.routing import extent, link_loads, merged, weighted_hops
from loihic.partition.start import starts
from loihic.partition.window import Frame, open_window, sampled, sites_in

CUT = pytest.param("cut", marks=pytest.mark.skipif(importlib.util.find_spec("mtkahypar") is None,
                                                   reason="needs mtkahypar"))
FEW = settings(max_examples=12, deadline=None)
MANY = settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])


@st.composite
def meshes(draw):
    columns, rows, per_router = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    most = columns * rows * per_router
    return Mesh(cores=draw(st.integers(max(1, most - 3), most)), chips=draw(st.integers(1, 5)), columns=columns,
                rows=rows, per_router=per_router, chip_columns=draw(st.integers(1, 3)),
                crossing=draw(st.sampled_from([0.0, 1.5, 7.0])))


@st.composite
def networks(draw):
    """A mesh, and traffic that fits on it."""
    mesh = draw(meshes())
    cores = draw(st.integers(1, min(30, mesh.sites)))
    ends = st.integers(HOST, cores - 1)
    edges = draw(st.lists(st.tuples(ends, st.sets(ends, min_size=1, max_size=6),
                                    st.sampled_from([0.0, 0.25, 1.0, 3.0])), max_size=25))
    return mesh, traffic_of(cores, edges)


def traffic_of(cores, edges):
    return Traffic(cores=cores, source=np.array([source for source, _, _ in edges], dtype=np.int64),
                   weight=np.array([weight for _, _, weight in edges], dtype=np.float64),
                   first=np.cumsum([0] + [len(targets) for _, targets, _ in edges]),
                   targets=np.array([target for _, targets, _ in edges for target in sorted(targets)], dtype=np.int64))


def random_network(cores, edges, seed=0):
    rng = np.random.default_rng(seed)
    rows = [(int(rng.integers(-1, cores)), set(rng.integers(-1, cores, 4).tolist()), float(rng.random()))
            for _ in range(edges)]
    return traffic_of(cores, rows)


def router(mesh, site):
    """Column and row, worked out from the words of `Mesh` and not by its code."""
    site = max(site, 0) if site != HOST else 0
    chip, core = site // mesh.cores, site % mesh.cores
    at = core // mesh.per_router
    return (chip % mesh.chip_columns * mesh.columns + at % mesh.columns,
            chip // mesh.chip_columns * mesh.rows + at // mesh.columns)


def walked(mesh, start, end):
    """The directed links of the way from one router to another: along the row, then along the column."""
    (x, y), links = start, []
    while (x, y) != end:
        there = (x + (1 if end[0] > x else -1), y) if x != end[0] else (x, y + (1 if end[1] > y else -1))
        links.append(((x, y), there))
        x, y = there
    return links


def oracle(traffic, mesh, sites):
    """Weighted hops, and messages per directed link: every tree is the set of links of the ways to its targets."""
    total, loads = 0.0, {}
    where = [router(mesh, int(site)) for site in sites] + [router(mesh, HOST)]
    for index, weight in enumerate(traffic.weight):
        start = where[traffic.source[index]]
        tree = {link for target in traffic.targets[traffic.first[index]:traffic.first[index + 1]]
                for link in walked(mesh, start, where[target])}
        for (x, y), (there_x, there_y) in tree:
            border = x // mesh.columns != there_x // mesh.columns or y // mesh.rows != there_y // mesh.rows
            total += weight * (1 + mesh.crossing * border)
            loads[(x, y), (there_x, there_y)] = loads.get(((x, y), (there_x, there_y)), 0.0) + weight
    return total, loads


@MANY
@given(networks(), st.randoms(use_true_random=False))
def test_hops_and_loads_are_those_of_the_trees(network, random):
    mesh, traffic = network
    sites = np.array(random.sample(range(mesh.sites), traffic.cores))
    total, links = oracle(traffic, mesh, sites)
    assert weighted_hops(traffic, mesh, sites) == pytest.approx(total)
    loads = link_loads(traffic, mesh, sites)
    assert loads.busiest == pytest.approx(max(links.values(), default=0.0))
    for ((x, y), (there_x, there_y)), load in links.items():
        if y == there_y:
            assert loads.horizontal[int(there_x < x), y, min(x, there_x)] == pytest.approx(load)
        else:
            assert loads.vertical[int(there_y < y), min(y, there_y), x] == pytest.approx(load)
    assert loads.horizontal.sum() + loads.vertical.sum() == pytest.approx(sum(links.values()))


@MANY
@given(networks(), st.randoms(use_true_random=False))
def test_merged_traffic_costs_the_same(network, random):
    mesh, traffic = network
    sites = np.array(random.sample(range(mesh.sites), traffic.cores))
    lighter = merged(traffic)
    assert lighter.source.size <= traffic.source.size
    assert weighted_hops(lighter, mesh, sites) == pytest.approx(weighted_hops(traffic, mesh, sites))
    assert link_loads(lighter, mesh, sites).busiest == pytest.approx(link_loads(traffic, mesh, sites).busiest)


@pytest.mark.parametrize("method", ["linear", "hilbert", "anneal", CUT, "auto"])
@FEW
@given(networks(), st.integers(0, 2))
def test_every_core_has_a_site_of_its_own(method, network, seed):
    mesh, traffic = network
    found = place(traffic, mesh, method, seed)
    found.check()
    assert found.sites.size == traffic.cores
    assert found.method == method or method == "auto"
    np.testing.assert_array_equal(found.sites, place(traffic, mesh, method, seed).sites)
    assert np.unique(found.sites // mesh.cores).size == -(-traffic.cores // mesh.cores)  # no chip more than needed


@FEW
@given(networks())
def test_annealing_is_never_worse_than_what_it_starts_from(network):
    mesh, traffic = network
    least = weighted_hops(traffic, mesh, starts(merged(traffic), mesh)[0]) if merged(traffic).targets.size else 0.0
    assert weighted_hops(traffic, mesh, annealed(traffic, mesh, 0)) <= least * (1 + 1e-9)
    others = [place(traffic, mesh, method) for method in ("linear", "hilbert", "auto")]
    hops = [weighted_hops(traffic, mesh, one.sites) for one in others]
    assert hops[2] <= min(hops[:2]) * (1 + 1e-9)


@MANY
@given(networks(), st.randoms(use_true_random=False), st.data())
def test_a_window_knows_exactly_what_its_swaps_change(network, random, data):
    mesh, traffic = network
    traffic = merged(traffic)
    sites = np.array(random.sample(range(mesh.sites), traffic.cores))
    width, height = extent(mesh)
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    frame = Frame(left=left, top=top, columns=data.draw(st.integers(1, min(width - left, 6))),
                  rows=data.draw(st.integers(1, min(height - top, 6))))
    inside = sites_in(mesh, frame, np.arange(mesh.chips))
    core_at = np.full(mesh.sites, HOST)
    core_at[sites] = np.arange(traffic.cores)
    window = open_window(traffic, mesh, sites, frame, inside, core_at[inside])
    annealer, rng = Annealer(window), np.random.default_rng(0)
    before, hops = annealer.total, weighted_hops(traffic, mesh, sites)
    moved = window.cores != HOST
    if annealer.busy.size:
        for _ in range(20):
            annealer.sweep(rng, 5.0, 8)
        sites[window.cores[moved]] = window.sites[window.slot[moved]]
        assert weighted_hops(traffic, mesh, sites) - hops == pytest.approx(annealer.total - before, abs=1e-6)
    window = open_window(traffic, mesh, sites, frame, inside, window.cores[window.unit])
    hops = weighted_hops(traffic, mesh, sites)
    anneal_window(window, rng, 2e4, hot=1.0)
    moved = window.cores != HOST
    sites[window.cores[moved]] = window.sites[window.slot[moved]]
    assert weighted_hops(traffic, mesh, sites) <= hops + 1e-6


@given(st.integers(1, 12), st.integers(1, 12))
def test_a_curve_passes_every_cell_once_in_small_steps(columns, rows):
    curve = hilbert_curve(columns, rows)
    assert {tuple(cell) for cell in curve} == {(x, y) for x in range(columns) for y in range(rows)}
    steps = np.abs(np.diff(curve, axis=0))
    assert steps.max(initial=0) <= 1
    assert np.count_nonzero(steps.sum(axis=1) > 1) <= 1


@given(meshes())
def test_the_curve_passes_every_site_chip_by_chip(mesh):
    sites = hilbert_sites(mesh, mesh.sites)
    assert sorted(sites) == list(range(mesh.sites))
    assert sorted(chip_order(mesh)) == list(range(mesh.chips))
    assert np.count_nonzero(np.diff(sites // mesh.cores)) == mesh.chips - 1


def test_more_cores_than_sites_are_refused():
    with pytest.raises(ValueError, match="5 cores on 4 sites"):
        place(traffic_of(5, []), Mesh(cores=4))
    with pytest.raises(ValueError, match="no method of placement 'best'"):
        place(traffic_of(5, []), Mesh(cores=5), "best")


@pytest.mark.parametrize("cores", [0, 1, 4, 9])
@pytest.mark.parametrize("method", ["linear", "hilbert", "anneal", CUT, "auto"])
def test_networks_that_send_nothing_are_placed(cores, method):
    for edges in ([], [(0, {0}, 1.0)] if cores else [], [(HOST, {HOST}, 0.0)]):
        found = place(traffic_of(cores, edges), Mesh(cores=5, chips=2), method)
        found.check()
        assert found.sites.size == cores


def test_cores_of_one_router_stay_there():
    found = place(random_network(4, 20), Mesh(cores=120))
    assert found.method == "linear"
    assert list(found.sites) == [0, 1, 2, 3]


def test_a_scrambled_chain_is_straightened():
    order = np.random.default_rng(0).permutation(40)
    chain = traffic_of(40, [(int(a), {int(b)}, 1.0) for a, b in pairwise(order)])
    mesh = Mesh(cores=60, columns=5, rows=3)
    found = place(chain, mesh)
    assert found.method == "anneal"
    assert weighted_hops(chain, mesh, found.sites) == 9  # ten routers hold it, and each next one is a neighbour


def test_a_sample_of_hyperedges_is_as_heavy_as_all():
    traffic = random_network(50, 2000)
    drawn = sampled(traffic, 500, np.random.default_rng(0))
    assert drawn.targets.size <= 600
    assert sampled(traffic, 10**6, np.random.default_rng(0)) is traffic
    assert drawn.deliveries == pytest.approx(traffic.deliveries, rel=0.02)


def test_large_windows_work_with_samples_and_gain(monkeypatch):
    monkeypatch.setattr("loihic.partition.refine.PINS", 300)
    traffic, mesh = random_network(60, 400), Mesh(cores=20, chips=4, columns=5, rows=1, chip_columns=2, crossing=2.0)
    best = starts(merged(traffic), mesh)[0]
    assert weighted_hops(traffic, mesh, annealed(traffic, mesh, 0)) <= weighted_hops(traffic, mesh, best)


def test_cutting_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(BackendError, match="mtkahypar") as caught:
        place(traffic_of(9, [(0, {5}, 1.0)]), Mesh(cores=120), "cut")
    assert caught.value.diagnostics[0].code == "LHC601"
    assert 'pip install "loihic[partition]"' in caught.value.diagnostics[0].help


def test_the_methods_are_those_of_the_table():
    assert set(METHODS) == {"linear", "hilbert", "anneal", "cut"}
