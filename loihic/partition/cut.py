"""Cutting: the hypergraph of the traffic is halved again and again, down to the routers along a curve."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from loihic.errors import BackendError, fail
from loihic.ir.node import Array
from loihic.partition.curves import hilbert_sites
from loihic.partition.model import HOST, Mesh, Traffic
from loihic.partition.routing import merged
from loihic.partition.window import Incidence, selected

if TYPE_CHECKING:
    import mtkahypar

HEAVIEST = 1_000_000  # of the whole numbers that weights are scaled to


def cut_sites(traffic: Traffic, mesh: Mesh, seed: int) -> Array:
    """(cores,) sites along the curve, where each half of every stretch of it sends little to the other half.

    Args:
        traffic: of the network.
        mesh: that it lies on.
        seed: of mtkahypar.

    Raises:
        BackendError: LHC601, mtkahypar is not installed.
    """
    if importlib.util.find_spec("mtkahypar") is None:
        fail("LHC601", "placement by cutting needs mtkahypar, which is not installed",
             help='pip install "loihic[partition]"', error=BackendError)
    import mtkahypar

    mtkahypar.set_seed(seed)
    traffic = merged(traffic)
    incidence = Incidence.of(traffic)
    order, rank = np.arange(traffic.cores), np.zeros(traffic.cores + 1, dtype=np.int64)
    stretches = [(0, traffic.cores)]
    while stretches:
        # All stretches of one length are halved before any shorter one, so each knows about where all others lie.
        halves = []
        for start, stop in stretches:
            middle = start + _half(stop - start, mesh)
            if middle == start or middle >= stop:
                continue
            order[start:stop] = _halved(traffic, incidence, order[start:stop], rank, middle - start)
            rank[order[middle:stop]] = middle
            halves += [(start, middle), (middle, stop)]
        stretches = halves
    sites = np.empty(traffic.cores, dtype=np.int64)
    sites[order] = hilbert_sites(mesh, traffic.cores)
    return sites


def _half(cores: int, mesh: Mesh) -> int:
    """Cores of the first half: those of whole chips if there are several, else of whole routers; none of one router."""
    unit = mesh.cores if cores > mesh.cores else mesh.per_router
    return -(-cores // unit) // 2 * unit


def _halved(traffic: Traffic, incidence: Incidence, members: Array, rank: Array, size: int) -> Array:
    """The members of a stretch in an order whose first `size` are the first half.

    What lies before and behind the stretch are two more nodes, held fast in the first and in the second half.

    Args:
        traffic: of the network.
        incidence: of the same.
        members: logical cores of the stretch.
        rank: (cores + 1,) where the stretch of each core begins; of the host, which is last, at the beginning of all.
        size: of the first half.
    """
    part = selected(traffic, incidence.around(members))
    before, behind = members.size, members.size + 1
    node = np.where(rank < rank[members[0]], before, behind)
    node[HOST] = before
    node[members] = np.arange(members.size)
    edges, weights = [], []
    for index, (source, weight) in enumerate(zip(part.source, part.weight, strict=True)):
        pins = np.unique(node[np.append(part.targets[part.first[index]:part.first[index + 1]], source)])
        if pins.size > 1 and not (pins[-1] == behind and pins[-2] == before):  # such a one is cut anyhow
            edges.append(pins.tolist())
            weights.append(weight)
    if not edges:
        return members
    scaled = np.maximum(1, np.asarray(weights) * (HEAVIEST / max(weights))).astype(np.int64).tolist()
    start, context = _mtkahypar()
    # The two nodes weigh as little as any may: all weights are whole numbers, and those of cores are a thousand.
    context.set_individual_target_block_weights([size * 1000 + 1, (members.size - size) * 1000 + 1])
    nodes = [1000] * members.size + [1, 1]
    graph = start.create_hypergraph(context, len(nodes), len(edges), edges, nodes, scaled)
    graph.add_fixed_vertices([-1] * members.size + [0, 1], 2)
    block = np.asarray(graph.partition(context).get_partition())[:members.size]
    return np.asarray(members[np.argsort(block, kind="stable")])


@cache
def _mtkahypar() -> tuple[mtkahypar.Initializer, mtkahypar.Context]:
    """The library, which may be started once only, and what it is to do."""
    import mtkahypar

    start = mtkahypar.initialize(1, False)
    context = start.context_from_preset(mtkahypar.PresetType.DETERMINISTIC_QUALITY)
    context.set_partitioning_parameters(2, 0.0, mtkahypar.Objective.CUT)
    context.logging = False
    return start, context
