"""Any budgets: an integer program for CP-SAT of OR-tools, where that is installed.

CP-SAT knows integers only. Costs and the weights of real rows are counted in parts so small that what rounding may
change stays below a relative 1e-9; for the costs that takes a second solution, with parts of what the first one left to
gain, since costs may span ten decades.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

import numpy as np

from loihic.errors import fail
from loihic.quant.knapsack_model import OutOfTimeError, Picks, Problem

TOLERANCE = 1e-9  # relative, of the cost
PART_BITS = 44  # parts that the greatest cost, or the limit of a row, is divided into
SUM_BITS = 61  # sums stay within the 64-bit integers of CP-SAT
ROUNDS = 12


def least_cost_by_cpsat(problem: Problem, time_limit: float) -> Picks | None:
    """The cheapest choice within every limit, up to `TOLERANCE`; None if there is none.

    One worker and a fixed seed: the same answer every time, unless the time is used up.

    Args:
        problem: any, with one group at least.
        time_limit: seconds; the best solution found by then is returned, with its bound.

    Raises:
        OutOfTimeError: no solution was found by then.
        CompileError: LHC601 where OR-tools is not installed.
    """
    deadline = monotonic() + time_limit
    model = _Model(problem)
    best: Picks | None = None
    gain = model.top or 1.0  # what the solution to come may cost beyond the cheapest options
    for _ in range(ROUNDS):
        status, bound = model.solve(gain, best, deadline - monotonic())
        if status == "INFEASIBLE" and best is None and not model.ruled_out:
            return None
        if status not in ("OPTIMAL", "FEASIBLE"):
            break
        picks = model.picks()
        if not problem.allows(picks):
            model.ruled_out.append(picks)
            continue
        cost = problem.cost(picks)
        if best is None or cost <= best.cost:
            best = Picks(options=tuple(picks), cost=cost, bound=min(bound, cost), solver="cp-sat")
        left = model.excess(best.options)
        if status != "OPTIMAL" or best.bound >= best.cost * (1.0 - TOLERANCE) or left >= gain / 2:
            break
        gain = left
    if best is None:
        raise OutOfTimeError
    optimal = best.bound >= best.cost * (1.0 - TOLERANCE)
    return Picks(options=best.options, cost=best.cost, bound=best.cost if optimal else best.bound, solver="cp-sat")


class _Model:
    """A Boolean per option, an integer per population; built anew for every round."""

    def __init__(self, problem: Problem) -> None:
        try:
            from ortools.sat.python import cp_model
        except ImportError:
            fail("LHC601", "the solver cp-sat needs OR-tools",
                 help="pip install 'loihic[solve]', or choose another solver")
        self.cp: Any = cp_model
        self.problem = problem
        self.sizes = [cost.size for cost in problem.costs]
        self.starts = [0, *(int(end) for end in np.cumsum(self.sizes))]
        self.floor = sum(float(cost.min()) for cost in problem.costs)
        self.top = sum(float(cost.max() - cost.min()) for cost in problem.costs)
        self.cost = np.concatenate([cost - cost.min() for cost in problem.costs]).astype(float)
        self.parts = 2.0 ** min(PART_BITS, SUM_BITS - len(self.sizes).bit_length())
        self.ruled_out: list[list[int]] = []
        self.solver: Any = None
        self.options: list[Any] = []

    def solve(self, gain: float, start: Picks | None, seconds: float) -> tuple[str, float]:
        """Solve with costs in parts of `gain`, without options that cost more: the status, and a bound of the cost."""
        model = self.cp.CpModel()
        self.options = [model.new_bool_var("") for _ in range(self.cost.size)]
        for a, b in zip(self.starts[:-1], self.starts[1:], strict=True):
            model.add_exactly_one(self.options[a:b])
        for option in np.flatnonzero(self.cost > gain):
            model.add(self.options[option] == 0)
        for picks in self.ruled_out:
            model.add_bool_or([~self.options[a + pick] for a, pick in zip(self.starts[:-1], picks, strict=True)])
        self._add_rows(model)
        self._add_cores(model)
        model.minimize(self._sum(np.rint(np.where(self.cost <= gain, self.cost, 0.0) / gain * self.parts)))
        if start is not None:
            for a, pick in zip(self.starts[:-1], start.options, strict=True):
                model.add_hint(self.options[a + pick], True)
        self.solver = self.cp.CpSolver()
        self.solver.parameters.num_workers = 1
        self.solver.parameters.random_seed = 0
        self.solver.parameters.max_time_in_seconds = max(seconds, 0.01)
        status = str(self.solver.status_name(self.solver.solve(model)))
        rounding = 0.5 * len(self.sizes)
        bound = (self.solver.best_objective_bound - rounding) / self.parts * gain
        return status, self.floor + max(bound, 0.0)

    def excess(self, picks: Sequence[int]) -> float:
        """What these options cost beyond the cheapest; at least what any one of them does, however it is rounded."""
        return float(sum(self.cost[a + pick] for a, pick in zip(self.starts[:-1], picks, strict=True)))

    def picks(self) -> list[int]:
        """The option taken in each group."""
        return [next(place for place, option in enumerate(self.options[a:b]) if self.solver.boolean_value(option))
                for a, b in zip(self.starts[:-1], self.starts[1:], strict=True)]

    def _sum(self, values: Any) -> Any:
        """The sum of whole numbers, of the options taken."""
        return self.cp.LinearExpr.weighted_sum(self.options, [int(value) for value in values])

    def _add_rows(self, model: Any) -> None:
        for row in self.problem.rows:
            values, limit = np.concatenate(row.values).astype(float), row.aim
            for option in np.flatnonzero(values > limit):
                model.add(self.options[option] == 0)
            values = np.where(values > limit, 0.0, values)
            if not row.whole and limit > 0:
                # Rounded down, so that no choice within the limit is lost; what that lets in stays within the slack.
                values, limit = np.floor(values / limit * self.parts), self.parts
            model.add(self._sum(values) <= int(limit))

    def _add_cores(self, model: Any) -> None:
        cores = self.problem.cores
        if cores is None:
            return
        members: list[list[int]] = [[] for _ in cores.constant]
        for group, home in enumerate(cores.home):
            members[int(home)] += range(self.starts[group], self.starts[group + 1])
        words = np.concatenate(cores.words)
        numbers = []
        for home, (least, most) in enumerate(zip(cores.least(), cores.most(), strict=True)):
            numbers.append(model.new_int_var(int(least), int(most), ""))
            taken = self.cp.LinearExpr.weighted_sum(
                [self.options[option] for option in members[home]], [int(words[option]) for option in members[home]])
            model.add(taken <= cores.share * numbers[-1])
            model.add(taken + int(cores.others[home]) <= cores.pool * numbers[-1])
        model.add(sum(numbers) <= cores.limit)
