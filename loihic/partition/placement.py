"""Placement: a site of the mesh for every logical core."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from loihic.ir.node import Array
from loihic.partition.curves import hilbert_sites
from loihic.partition.cut import cut_sites
from loihic.partition.model import Mesh, Placement, Traffic
from loihic.partition.refine import annealed
from loihic.partition.routing import cost, merged

Method = Callable[[Traffic, Mesh, int], Array]


def place(traffic: Traffic, mesh: Mesh, method: str = "auto", seed: int = 0) -> Placement:
    """Give every core a site.

    Args:
        traffic: between the cores.
        mesh: that they lie on.
        method: a key of METHODS, or "auto" for the best that was found with what the size of the network allows.
        seed: of what is left to chance; the same input and seed give the same sites.

    Returns:
        The placement; its `method` is the one whose sites were taken.

    Raises:
        ValueError: there are more cores than sites, or no such method.
        BackendError: LHC601, a package that the method needs is not installed.
    """
    if traffic.cores > mesh.sites:
        raise ValueError(f"{traffic.cores} cores on {mesh.sites} sites")
    if method == "auto":
        return _best(traffic, mesh, seed)
    if method not in METHODS:
        raise ValueError(f"no method of placement {method!r}; there are {', '.join(METHODS)} and auto")
    return Placement(mesh=mesh, sites=METHODS[method](traffic, mesh, seed), method=method)


def _best(traffic: Traffic, mesh: Mesh, seed: int) -> Placement:
    """The best placement of those methods that need nothing installed."""
    linear = place(traffic, mesh, "linear")
    if traffic.cores <= min(mesh.per_router, mesh.cores):
        return linear  # all are at the host's router: no message travels at all
    lighter = merged(traffic)
    if not lighter.targets.size:
        return linear
    found = (linear, place(lighter, mesh, "hilbert"), place(lighter, mesh, "anneal", seed))
    return min(found, key=lambda one: cost(lighter, mesh, one.sites))


def _linear(traffic: Traffic, mesh: Mesh, seed: int) -> Array:
    """Sites in the order of the cores."""
    return np.arange(traffic.cores)


def _hilbert(traffic: Traffic, mesh: Mesh, seed: int) -> Array:
    """Sites along the curve in the order of the cores."""
    return hilbert_sites(mesh, traffic.cores)


METHODS: Mapping[str, Method] = {
    "linear": _linear,  # as they are numbered
    "hilbert": _hilbert,  # as they are numbered, along a curve
    "cut": cut_sites,  # halved again and again where least is sent; with mtkahypar
    "anneal": annealed,  # by their traffic along the curve, then they change places while that helps
}
