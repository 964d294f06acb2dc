"""The least number of cores that any partition needs: a linear program over all that a core may hold.

Every core of a partition holds at most one slice of each population (two would take as much as one of their size, or
more). So a partition is a number of patterns, each a set of slices that fits a core, and the linear program over all
patterns, which lets a pattern be used by halves, bounds it from below. Patterns are made where they are missing, by the
integer program that asks for the most valuable one at the present prices of neurons (column generation, Gilmore and
Gomory 1961); its answer bounds the linear program at any time (Farley 1990).
"""

from __future__ import annotations

from math import ceil

import numpy as np
from scipy import sparse

from loihic.ir.node import Array
from loihic.partition.pieces import Pieces, pieces
from loihic.partition.population import Network
from loihic.partition.resources import MEMORIES

ROUNDING = 1e-6  # of the programs' answers, which are floats
COARSE, FINE = 256, 24  # pieces per population, in the first bound and where patterns are made
PATTERNS = 60  # that are made at most, for each unit of effort
BINARIES = 6000  # in all integer programs together, likewise: few patterns for large networks
POPULATIONS = 30  # more of them make the integer programs too slow, likewise
NODES = 100  # of the search tree of one integer program: what bounds it by then will do
GAP = 0.002  # within which a pattern need be the best


def least_cores(network: Network, caps: Array) -> int:
    """A bound from the sums of all memories alone: quick, and weak where slices fill more than half a core.

    Args:
        network: rates are not used.
        caps: of a core, in the order of `MEMORIES`.
    """
    wanted = np.array(list(network.sizes().values()), dtype=np.float64)
    found = [pieces(network, name, caps, COARSE) for name in network.into]
    if not wanted.any():
        return 0
    from scipy.optimize import linprog  # slow to import, and of no use to a program that only runs

    # The largest slice of each piece is the cheapest per neuron.
    sizes = np.concatenate([one.high for one in found])
    use = np.concatenate([one.fixed + (one.high - one.low)[:, None] * one.slope for one in found])
    owners = np.repeat(np.arange(len(found)), [one.high.size for one in found])
    columns = np.arange(sizes.size)
    covered = sparse.csr_matrix((sizes, (owners, columns)), shape=(len(found), sizes.size + 1))
    totals = sparse.hstack([sparse.csr_matrix(use.T / caps[:, None]), -np.ones((len(MEMORIES), 1))])
    solved = linprog(np.append(np.zeros(sizes.size), 1.0), A_ub=totals, b_ub=np.zeros(len(MEMORIES)), A_eq=covered,
                     b_eq=wanted, method="highs")
    return max(1, ceil(solved.fun - ROUNDING)) if solved.success else 1


def patterned_cores(network: Network, caps: Array, bound: int, target: int, effort: float = 1.0) -> int:
    """A better bound than `bound`, by patterns; `target` or more is not looked for.

    Args:
        network: rates are not used.
        caps: of a core, in the order of `MEMORIES`.
        bound: that is known.
        target: cores that a partition was found for.
        effort: how much longer than usual to look; 1 is a second or two.
    """
    names = [name for name, size in network.sizes().items() if size]
    wanted = np.array([network.sizes()[name] for name in names], dtype=np.float64)
    found = [pieces(network, name, caps, FINE) for name in names]
    if len(names) > effort * POPULATIONS or any(one.high.size == 0 for one in found):
        return bound
    from scipy.optimize import linprog

    pricing = _Pricing(found, caps)
    patterns = [np.diag([float(one.high.max()) for one in found])]
    for _ in range(int(effort * min(PATTERNS, BINARIES // max(pricing.owners.size, 1)))):
        if bound >= target:
            break
        matrix = np.concatenate(patterns)
        solved = linprog(np.ones(len(matrix)), A_ub=-matrix.T, b_ub=-wanted, method="highs")
        prices = -solved.ineqlin.marginals
        pattern, value = pricing.best(prices)
        bound = max(bound, ceil(float(prices @ wanted) / max(value, 1.0) - ROUNDING))
        if float(pattern @ prices) <= 1 + GAP:
            break
        patterns.append(pattern[None])
    return bound


class _Pricing:
    """The most valuable pattern: of each population at most one piece, and all memories hold."""

    def __init__(self, found: list[Pieces], caps: Array) -> None:
        from scipy.optimize import Bounds, LinearConstraint

        self.owners = np.repeat(np.arange(len(found)), [one.high.size for one in found])
        low, high = np.concatenate([one.low for one in found]), np.concatenate([one.high for one in found])
        slope = np.concatenate([np.repeat(one.slope[None], one.high.size, axis=0) for one in found])
        fixed = np.concatenate([one.fixed for one in found]) - slope * low[:, None]
        count = high.size
        one_each = sparse.csr_matrix((np.ones(count), (self.owners, np.arange(count))), shape=(len(found), count))
        empty = sparse.csr_matrix(one_each.shape)
        eye = sparse.eye(count)
        self.constraints = [
            LinearConstraint(sparse.hstack([one_each, empty]), ub=1),
            LinearConstraint(sparse.hstack([sparse.diags(low), -eye]), ub=0),
            LinearConstraint(sparse.hstack([-sparse.diags(high), eye]), ub=0),
            LinearConstraint(np.concatenate([fixed.T, slope.T], axis=1) / caps[:, None], ub=1)]
        self.bounds = Bounds(0, np.concatenate([np.ones(count), high]))
        self.whole = np.concatenate([np.ones(count), np.zeros(count)])

    def best(self, prices: Array) -> tuple[Array, float]:
        """Neurons of each population in the best pattern found, and what no pattern is worth more than."""
        from scipy.optimize import milp

        solved = milp(np.concatenate([np.zeros(self.owners.size), -prices[self.owners]]), integrality=self.whole,
                      bounds=self.bounds, constraints=self.constraints,
                      options={"mip_rel_gap": GAP, "node_limit": NODES})
        if solved.x is None:
            return np.zeros(prices.size), np.inf
        neurons = solved.x[self.owners.size :]
        return np.bincount(self.owners, weights=neurons, minlength=prices.size), -float(solved.mip_dual_bound)
