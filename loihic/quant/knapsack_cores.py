"""A budget of cores: populations share nothing but the total, so that each is solved for itself.

For every number of cores that a population might get, the cheapest choice among its groups is a knapsack of words; how
many cores each population does get is one more. Beside a budget of cores, the others can be given a price.
"""

from __future__ import annotations

import numpy as np

from loihic.ir.node import Array
from loihic.quant.knapsack_model import Cores, Picks, Problem
from loihic.quant.mckp import EFFORT, least_cost

LARGEST = 40_000  # groups times numbers of cores: beyond, all those knapsacks take too long
RAISES = 24  # prices tried, each four times the last, until all limits are kept
HALVINGS = 7


def least_cost_by_cores(costs: tuple[Array, ...], cores: Cores, *, effort: int = EFFORT) -> Picks | None:
    """The cheapest choice within a number of cores; None if there is none, or if it would take too long.

    Args:
        costs: per group, of each option; not negative.
        cores: what the options take, and the limit.
        effort: partial choices that each knapsack may look at.
    """
    least, most = cores.least(), cores.most()
    spare = cores.limit - int(least.sum())
    if spare < 0:
        return None
    members: list[list[int]] = [[] for _ in least]
    for group, home in enumerate(cores.home):
        members[int(home)].append(group)
    most = np.minimum(most, least + spare)
    # A population that competes with no other one gets all there are.
    first = most if np.count_nonzero(most > least) == 1 else least
    if sum(len(inside) * (int(b) - int(a) + 1) for inside, a, b in zip(members, first, most, strict=True)) > LARGEST:
        return None
    numbers = [np.arange(a, b + 1) for a, b in zip(first, most, strict=True)]
    found = [[_within(costs, cores, inside, home, int(number), effort) for number in numbers[home]]
             for home, inside in enumerate(members)]
    shared = least_cost([np.array([one.cost for one in each]) for each in found], numbers, cores.limit, effort=effort)
    relaxed = shared
    if any(one.bound < one.cost for each in found for one in each):
        bounds = [np.array([one.bound for one in each]) for each in found]
        relaxed = least_cost(bounds, numbers, cores.limit, effort=effort)
    assert shared is not None  # the least numbers of cores were seen to fit
    assert relaxed is not None
    options = [0] * len(costs)
    for inside, each, pick in zip(members, found, shared.options, strict=True):
        for group, option in zip(inside, each[pick].options, strict=True):
            options[group] = option
    return Picks(options=tuple(options), cost=shared.cost, bound=relaxed.bound, solver=shared.solver)


def least_cost_by_price(problem: Problem, *, effort: int = EFFORT) -> Picks | None:
    """A cheap choice within cores and rows, with a bound; None if none was found.

    What an option takes of the rows' limits is added to its cost, at a price (a Lagrange multiplier, the same for all
    rows). The choices for two prices, one too low and one high enough, close in on the best that a price can find.

    Args:
        problem: with cores and rows.
        effort: partial choices that each knapsack may look at.
    """
    assert problem.cores is not None
    shares = [sum(row.values[group] / (row.aim or 1.0) for row in problem.rows) for group in range(len(problem.costs))]
    best: Picks | None = None
    low, high = 0.0, np.inf
    price, bound = 0.0, 0.0
    for _ in range(RAISES + HALVINGS):
        priced = tuple(cost + price * share for cost, share in zip(problem.costs, shares, strict=True))
        picks = least_cost_by_cores(priced, problem.cores, effort=effort)
        if picks is None:
            return None
        bound = max(bound, picks.bound - price * sum(1.0 for row in problem.rows if row.aim > 0))
        cost = problem.cost(picks.options)
        if problem.allows(picks.options):
            high = price
            best = picks if best is None or cost < problem.cost(best.options) else best
        else:
            low = price
        if best is None:
            price = 4.0 * price or cost or 1.0
        elif high <= 2.0 ** 0.01 * low:
            break
        else:
            price = float(np.sqrt(low * high)) if low > 0 else high / 4.0
    if best is None:
        return None
    cost = problem.cost(best.options)
    return Picks(options=best.options, cost=cost, bound=min(bound, cost), solver=best.solver)


def _within(costs: tuple[Array, ...], cores: Cores, inside: list[int], home: int, number: int, effort: int) -> Picks:
    """The cheapest choice among the groups of one population within a number of cores."""
    words = [cores.words[group] for group in inside]
    picks = least_cost([costs[group] for group in inside], words, cores.room(home, number), effort=effort)
    assert picks is not None  # numbers start where the options of fewest words fit
    return picks
