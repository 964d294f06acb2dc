"""What to tell a user whose budget cannot be met: the least that is possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from loihic.errors import Diagnostic
from loihic.quant.knapsack_model import OutOfTimeError, Problem, Row
from loihic.quant.knapsack_route import minimise

CODE = "LHC405"


def each_alone(names: Sequence[str], problem: Problem) -> Iterator[Diagnostic]:
    """A finding for every limit that even the smallest options exceed.

    Args:
        names: of the groups.
        problem: with every limit that was asked for.
    """
    for row in problem.rows:
        least = [float(values.min()) for values in row.values]
        if sum(least) > row.allowed:
            largest = int(np.argmax(least))
            yield Diagnostic(
                code=CODE, message=f"the budget of {row.name} cannot be met", node=names[largest],
                param=f"{row.name} = {shown(row, row.limit)}; the least possible is {shown(row, sum(least))}",
                help=f"allow at least {shown(row, sum(least))}, or less for {names[largest]}, which takes "
                     f"{shown(row, least[largest])} of it with its smallest option")
    if problem.cores is not None:
        number = int(problem.cores.least().sum())
        if number > problem.cores.limit:
            yield Diagnostic(
                code=CODE, message="the budget of cores cannot be met",
                param=f"cores = {problem.cores.limit}; the least possible is {number}",
                help=f"allow at least {number} cores: fewer do not hold the neurons and the smallest options")


def together(problem: Problem, solver: str, time_limit: float) -> Diagnostic:
    """The finding for limits that can be met one by one, but not at once: what the first would have to be."""
    row, rest = problem.rows[0], problem.rows[1:]
    try:
        least = minimise(replace(problem, costs=row.values, whole=row.whole, rows=rest), solver, time_limit)
    except OutOfTimeError:
        least = None
    return conflict(problem, row, least.bound if least is not None else None)


def conflict(problem: Problem, row: Row, least: float | None) -> Diagnostic:
    """The finding that one limit keeps the others from being met.

    Args:
        problem: with every limit that was asked for.
        row: that limit.
        least: what it would have to be at least, beside the others, if that is known.
    """
    asked = [f"{each.name} = {shown(each, each.limit)}" for each in problem.rows]
    if problem.cores is not None:
        asked.append(f"cores = {problem.cores.limit}")
    needed = f"; with the others, {row.name} must be at least {shown(row, least)}" if least is not None else ""
    return Diagnostic(code=CODE, message="the budgets cannot be met together", param=", ".join(asked) + needed,
                      help=f"allow more {row.name}, or more of one of the others")


def shown(row: Row, value: float) -> str:
    """A value as users read it."""
    return f"{round(value)}" if row.whole else f"{value:.6g}"
