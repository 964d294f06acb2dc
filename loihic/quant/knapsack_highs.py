"""Several budgets at once: an integer program for HiGHS, which comes with scipy.

The linear relaxation, rounded and mended by single swaps, gives a good solution; options that it shows to cost more
are dropped, and the integer program of the others is small. HiGHS works in floating point with absolute tolerances of
1e-6, and costs may span ten decades: all is repeated with the costs scaled to what the last solution left to gain,
until that tolerance no longer matters. Every solution is checked in exact arithmetic, and ruled out if it only seemed
to keep the limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from loihic.ir.node import Array
from loihic.quant.knapsack_model import Cores, OutOfTimeError, Picks, Problem

TOLERANCE = 1e-6  # relative: HiGHS's own, for bounds and whole numbers
RANGE = 1e4  # of the costs and the rows as HiGHS sees them
ROUNDS = 12
SWAPS = 200
SOLVED, INFEASIBLE = 0, 2  # statuses of scipy's milp


def least_cost_by_highs(problem: Problem, time_limit: float, start: Picks | None = None) -> Picks | None:
    """The cheapest choice within every limit, up to `TOLERANCE`; None if there is none.

    Args:
        problem: any, with one group at least.
        time_limit: seconds; the best solution found by then is returned, with its bound.
        start: a solution that is known, and a bound.

    Raises:
        OutOfTimeError: no solution was found by then.
    """
    deadline = monotonic() + time_limit
    model = _Model(problem)
    best = start.options if start is not None else None
    bound = max(model.floor, start.bound if start is not None else 0.0)
    gain = (model.excess(best) if best is not None else 0.0) or float(model.cost.max()) or 1.0
    for _ in range(ROUNDS):
        relaxed = model.relaxed(gain)
        if relaxed.success:
            best = model.cheaper(best, model.mended(model.picks(relaxed.x)))
        if relaxed.success and best is not None:
            left = model.excess(best)
            if 0 < left < gain / 2:
                gain = left
                continue
            model.drop_hopeless(relaxed, left / gain)
        result = model.solved(gain, deadline - monotonic())
        if result.x is None:
            if result.status == INFEASIBLE and not model.ruled_out and best is None:
                return None
            break
        bound = max(bound, model.floor + (result.mip_dual_bound or 0.0) * gain / RANGE)
        found = model.picks(result.x)
        if not problem.allows(found):
            model.ruled_out.append(found)
            continue
        best = model.cheaper(best, found)
        left = model.excess(best if best is not None else found)
        if result.status != SOLVED or left >= gain / 2 or left <= 0:
            break
        gain = left
    if best is None:
        raise OutOfTimeError
    cost = problem.cost(best)
    bound = cost if bound >= cost * (1.0 - TOLERANCE) else bound
    return Picks(options=best, cost=cost, bound=bound, solver="highs")


class _Model:
    """The matrices of the integer program: a binary variable per option, then an integer one per population."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.sizes = [cost.size for cost in problem.costs]
        self.starts = np.cumsum([0, *self.sizes])
        self.group = np.repeat(np.arange(len(self.sizes)), self.sizes)
        self.floor = sum(float(cost.min()) for cost in problem.costs)
        self.cost = np.concatenate([cost - cost.min() for cost in problem.costs]).astype(float)
        self.ruled_out: list[tuple[int, ...]] = []
        self.usable = np.ones(self.cost.size, dtype=bool)
        self.cores = problem.cores
        self.extra = len(problem.cores.constant) if problem.cores is not None else 0
        size, every = len(self.sizes), (self.group, np.arange(self.cost.size))
        self.rows = [self._wide(sparse.csr_matrix((np.ones(self.cost.size), every), (size, self.cost.size)))]
        self.low, self.high = [np.ones(size)], [np.ones(size)]
        self.weights = np.zeros((len(problem.rows), self.cost.size))  # in parts of the limits
        for row, weights in zip(problem.rows, self.weights, strict=True):
            values = np.concatenate(row.values).astype(float)
            self.usable &= values <= row.aim
            if row.aim > 0:  # within a limit of zero nothing is usable but what weighs nothing
                weights[:] = np.where(values <= row.aim, values, 0.0) / row.aim * RANGE
            self._add(self._wide(sparse.csr_matrix(weights)), np.array([RANGE]))
        if self.cores is not None:
            self._add_cores(self.cores)

    def _wide(self, left: sparse.csr_matrix) -> sparse.csr_matrix:
        """Rows over the options, continued over the populations."""
        return sparse.hstack([left, sparse.csr_matrix((left.shape[0], self.extra))], format="csr")

    def _add(self, rows: sparse.csr_matrix, high: Array) -> None:
        self.rows.append(rows)
        self.low.append(np.full(high.size, -np.inf))
        self.high.append(high)

    def _add_cores(self, cores: Cores) -> None:
        """A population's words are at most what its cores hold, alone and in the pool; the cores are limited."""
        words = np.concatenate(cores.words).astype(float)
        places = (cores.home[self.group], np.arange(words.size))
        taken = sparse.csr_matrix((words, places), (self.extra, words.size))
        number = sparse.identity(self.extra, format="csr")
        self._add(sparse.hstack([taken / cores.share, -number], format="csr"), np.zeros(self.extra))
        self._add(sparse.hstack([taken / cores.pool, -number], format="csr"), -cores.others / cores.pool)
        every = sparse.csr_matrix(np.append(np.zeros(words.size), np.ones(self.extra)))
        self._add(every, np.array([float(cores.limit)]))

    def relaxed(self, gain: float) -> Any:
        """scipy's result where options may be taken in part, for costs in parts of `gain`."""
        objective, bounds = self._scaled(gain)
        matrix, _, high = self._limits()
        size = len(self.sizes)
        return linprog(objective, A_eq=matrix[:size], b_eq=high[:size], A_ub=matrix[size:], b_ub=high[size:],
                       bounds=np.stack(bounds, axis=1), method="highs")

    def drop_hopeless(self, relaxed: Any, share: float) -> None:
        """Leave out the options with which even the relaxation costs more than `share` of its gain."""
        least = relaxed.fun + relaxed.lower.marginals[: self.cost.size]
        self.usable &= least <= RANGE * share * (1.0 + TOLERANCE)

    def solved(self, gain: float, seconds: float) -> Any:
        """scipy's result with whole options, for costs in parts of `gain`."""
        objective, bounds = self._scaled(gain)
        return milp(objective, integrality=np.ones(objective.size), bounds=Bounds(*bounds),
                    constraints=LinearConstraint(*self._limits()),
                    options={"time_limit": max(seconds, 0.01), "mip_rel_gap": TOLERANCE / 10})

    def mended(self, picks: Sequence[int]) -> tuple[int, ...]:
        """The options with some exchanged, until the rows are kept, then while it saves; cores are not looked at."""
        taken = self.starts[:-1] + np.array(picks)
        over = self.weights[:, taken].sum(axis=1) - RANGE
        for _ in range(SWAPS):
            heavier = self.weights - self.weights[:, taken[self.group]]
            dearer = self.cost - self.cost[taken[self.group]]
            relief = np.maximum(over, 0.0).sum() - np.maximum(over[:, None] + heavier, 0.0).sum(axis=0)
            if np.any(over > 0):
                useful = self.usable & (relief > 0)
                merit = np.divide(-dearer, relief, out=np.full(dearer.shape, -np.inf), where=useful)
            else:
                useful = self.usable & (relief >= 0) & (dearer < 0)
                merit = np.where(useful, -dearer, -np.inf)
            if not useful.any():
                break
            swap = int(np.argmax(merit))
            over = over + heavier[:, swap]
            taken[self.group[swap]] = swap
        return tuple(int(place) for place in taken - self.starts[:-1])

    def cheaper(self, first: tuple[int, ...] | None, second: tuple[int, ...]) -> tuple[int, ...] | None:
        """The one that costs less, of those that keep the limits."""
        if not self.problem.allows(second):
            return first
        return second if first is None or self.problem.cost(second) <= self.problem.cost(first) else first

    def _scaled(self, gain: float) -> tuple[Array, tuple[Array, Array]]:
        """The objective, and the ranges of the variables: options that cost more than `gain` are left out."""
        least, most = np.zeros(self.cost.size), (self.usable & (self.cost <= gain)).astype(float)
        objective = np.where(most > 0, self.cost, 0.0) / gain * RANGE
        if self.cores is None:
            return objective, (least, most)
        return np.append(objective, np.zeros(self.extra)), (
            np.append(least, self.cores.least()), np.append(most, self.cores.most()))

    def _limits(self) -> tuple[sparse.csr_matrix, Array, Array]:
        """The rows, one option per group first, and their ranges."""
        rows, low, high = list(self.rows), list(self.low), list(self.high)
        for picks in self.ruled_out:
            taken = np.zeros(self.cost.size)
            taken[self.starts[:-1] + np.array(picks)] = 1.0
            rows.append(self._wide(sparse.csr_matrix(taken)))
            low.append(np.array([-np.inf]))
            high.append(np.array([len(picks) - 1.0]))
        return sparse.vstack(rows, format="csr"), np.concatenate(low), np.concatenate(high)

    def excess(self, picks: Sequence[int]) -> float:
        """What these options cost beyond the cheapest; at least what any one of them does, however it is rounded."""
        return float(self.cost[self.starts[:-1] + np.array(picks)].sum())

    def picks(self, x: Array) -> tuple[int, ...]:
        """The option of each group whose variable is largest."""
        return tuple(int(np.argmax(x[a:b])) for a, b in zip(self.starts[:-1], self.starts[1:], strict=True))
