"""Which solver a knapsack problem goes to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from time import monotonic

from loihic.quant.knapsack_cores import least_cost_by_cores, least_cost_by_price
from loihic.quant.knapsack_cpsat import least_cost_by_cpsat
from loihic.quant.knapsack_highs import least_cost_by_highs
from loihic.quant.knapsack_model import Picks, Problem
from loihic.quant.mckp import least_cost

EFFORT_PER_SECOND = 5_000_000  # partial choices that the exact search looks at, on a slow machine


def minimise(problem: Problem, solver: str, time_limit: float) -> Picks | None:
    """The cheapest choice within every limit; None if there is none.

    The exact search serves where one limit binds: it is tried with each of them alone, and what it finds is the answer
    if it happens to keep the others. HiGHS gets the rest; where cores are among the limits, with a start, since its
    relaxation knows little of whole cores.

    Args:
        problem: to solve.
        solver: "auto" or "lagrange" for that, "highs" or "cp-sat" for that one always.
        time_limit: seconds.

    Raises:
        OutOfTimeError: no solution was found by then.
        CompileError: LHC601 where OR-tools is missing.
    """
    deadline = monotonic() + time_limit
    open_problem = problem.binding()
    if not problem.costs:
        return Picks(options=(), cost=0.0, bound=0.0, solver="lagrange")
    if solver == "cp-sat":
        return least_cost_by_cpsat(open_problem, time_limit)
    if solver != "highs":
        for picks in _relaxed(open_problem, int(time_limit * EFFORT_PER_SECOND)):
            if open_problem.allows(picks.options):
                cost = problem.cost(picks.options)  # without the rounding of the search's own sums
                return replace(picks, cost=cost, bound=cost if picks.bound >= picks.cost else min(picks.bound, cost))
    start = None
    if solver != "highs" and open_problem.cores is not None and open_problem.rows:
        start = least_cost_by_price(open_problem, effort=int(time_limit * EFFORT_PER_SECOND))
    return least_cost_by_highs(open_problem, max(deadline - monotonic(), time_limit / 4), start)


def _relaxed(problem: Problem, effort: int) -> Iterator[Picks]:
    """The solutions with only one of the limits; with none, if there is none."""
    if not problem.rows and problem.cores is None:
        cheapest = tuple(int(cost.argmin()) for cost in problem.costs)
        cost = problem.cost(cheapest)
        yield Picks(options=cheapest, cost=cost, bound=cost, solver="lagrange")
    for row in problem.rows:
        picks = least_cost(problem.costs, row.values, row.aim, whole=problem.whole, effort=effort)
        if picks is not None:
            yield picks
    if problem.cores is not None:
        picks = least_cost_by_cores(problem.costs, problem.cores, effort=effort)
        if picks is not None:
            yield picks
