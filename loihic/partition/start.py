"""Starts: orders of cores along a curve, that annealing begins with."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from loihic.ir.node import Array
from loihic.partition.curves import hilbert_sites
from loihic.partition.model import HOST, Mesh, Traffic
from loihic.partition.routing import cost

DENSE = 400  # cores, up to which it is quicker to find all eigenvectors
TOLERANCE, ITERATIONS = 1e-3, 3000  # of the search for one


def pairwise(traffic: Traffic) -> sparse.csr_matrix:
    """(cores, cores) messages per step between any two cores, either way; a hyperedge counts for each target a part."""
    size = np.diff(traffic.first)
    source, weight = np.repeat(traffic.source, size), np.repeat(traffic.weight / np.maximum(size, 1), size)
    live = (source != HOST) & (traffic.targets != HOST) & (source != traffic.targets)
    one = sparse.coo_matrix((weight[live], (source[live], traffic.targets[live])), shape=(traffic.cores,) * 2).tocsr()
    return (one + one.T).tocsr()


def spectral_order(graph: sparse.csr_matrix) -> Array:
    """(cores,) the cores in an order in which those that send to each other are close.

    Each part of the network that is connected is sorted by the second eigenvector of its normalised Laplacian.

    Args:
        graph: `pairwise` traffic.
    """
    count, part = connected_components(graph, directed=False)
    value = np.zeros(graph.shape[0])
    for members in np.split(np.argsort(part, kind="stable"), np.cumsum(np.bincount(part, minlength=count))[:-1]):
        if members.size > 2:
            value[members] = _second_vector(graph[members][:, members])
    return np.asarray(np.lexsort((value, part)))


def _second_vector(graph: sparse.csr_matrix) -> Array:
    """(cores,) the second eigenvector of a connected graph's normalised Laplacian."""
    root = 1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel())
    near = sparse.diags(root) @ graph @ sparse.diags(root)
    if graph.shape[0] <= DENSE:
        return np.asarray(np.linalg.eigh(near.toarray())[1][:, -2] * root)
    start = np.random.default_rng(0).standard_normal(graph.shape[0])
    try:
        _, vectors = eigsh(near, k=2, which="LA", v0=start, tol=TOLERANCE, maxiter=ITERATIONS)
    except ArpackNoConvergence:  # no order is then as good as any, and there are others to begin with
        return np.zeros(graph.shape[0])
    return np.asarray(vectors[:, 0] * root)


def starts(traffic: Traffic, mesh: Mesh) -> list[Array]:
    """Placements to begin with, best first.

    Args:
        traffic: of the network, `merged`.
        mesh: that it lies on.
    """
    curve = hilbert_sites(mesh, traffic.cores)
    found = [np.arange(traffic.cores), curve]
    graph = pairwise(traffic)
    order = spectral_order(graph)
    for one in (order, order[::-1], reverse_cuthill_mckee(graph, symmetric_mode=True)[::-1]):
        sites = np.empty_like(curve)
        sites[one] = curve
        found.append(sites)
    return sorted(found, key=lambda sites: cost(traffic, mesh, sites))
