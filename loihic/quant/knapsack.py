"""Which way to store each synapse group: the least error within budgets of memory, cores and energy.

A multiple-choice knapsack: of every group one option is taken. With a budget of words or energy alone, or a greatest
error, `mckp` finds the best choice in well under a second for thousands of groups; so does `knapsack_cores` for a
budget of cores alone. Several budgets at once are an integer program, for HiGHS (with scipy) or CP-SAT (OR-tools).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, isnan
from typing import Literal, get_args

import numpy as np

from loihic.errors import CompileError, fail
from loihic.ir.node import Array
from loihic.quant.budget import Budget
from loihic.quant.knapsack_fault import conflict, each_alone, together
from loihic.quant.knapsack_model import Cores, OutOfTimeError, Picks, Problem, Row, total
from loihic.quant.knapsack_route import minimise
from loihic.targets.limits import Limits

Solver = Literal["auto", "lagrange", "highs", "cp-sat"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """A way to store one group.

    Attributes:
        error: that it adds to the total; any unit, not negative.
        words: of synaptic memory.
        energy: J per step, or any other cost that adds up.
    """

    error: float
    words: int
    energy: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A synapse group and the ways to store it.

    Attributes:
        name: unlike any other group's.
        options: one at least.
        population: that the group delivers to; groups into the same population share its cores. A group without one
            has cores of its own, with no neurons on them.
    """

    name: str
    options: tuple[Option, ...]
    population: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Population:
    """What a population takes of its cores beside synapses.

    Attributes:
        name: as groups refer to it.
        neurons: words of neuron state.
        axons_in: words of incoming axons.
        axon_map: words of the axon map.
    """

    name: str
    neurons: int
    axons_in: int = 0
    axon_map: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The options taken, and what they add up to.

    Attributes:
        picked: by name of the group, the index of the option.
        error, words, cores, energy: the totals; cores by `core_count`.
        optimal: whether nothing better exists, up to the solver's relative tolerance: 1e-9, and 1e-6 for HiGHS.
        solver: that found it: lagrange (`mckp`, `knapsack_cores`), highs or cp-sat.
        bound: no choice has a smaller error, or with `max_error` fewer words; equal to that of this one if optimal.
    """

    picked: Mapping[str, int]
    error: float
    words: int
    cores: int
    energy: float
    optimal: bool
    solver: str
    bound: float


def core_count(population: Population, words: int, limits: Limits) -> int:
    """Cores that a population takes at least, whatever its placement, if all it takes could be divided evenly.

    The greatest of synapse words, neuron words, axons in and axon map over the core's limit of each, and of all four
    together over the pool, in which one word of every core is its neuron group. Axon memory is not known before
    placement. Splitting a population costs more than this: every part needs the axons, and a convolution its kernel.
    """
    group = Group(name="", options=(), population="p")
    cores = _cores([group], (np.array([words]),), [replace(population, name="p")], limits, None)
    return int(cores.counts([0]).sum())


def solve(groups: Sequence[Group], populations: Sequence[Population], budget: Budget, *, limits: Limits,
          solver: Solver = "auto", time_limit: float = 10.0) -> Choice:
    """One option per group: the least error within the budget, or the fewest words within the greatest error.

    The same answer every time, unless `time_limit` ends HiGHS or CP-SAT early. Real budgets are kept to a relative
    1e-9. Options of the same error in one group: the one of fewest words is taken.

    Args:
        groups: with distinct names.
        populations: every one that a group names; others count as cores all the same.
        budget: any combination; without any, each group's least error. Cores are counted by `core_count`.
        limits: of the chip.
        solver: "auto" and "lagrange" search exactly where one budget binds, and take HiGHS otherwise; "highs" and
            "cp-sat" (with the extra `solve`) always take that.
        time_limit: seconds, for HiGHS and CP-SAT; the exact search has a corresponding limit of partial choices.

    Raises:
        CompileError: LHC405 where no choice meets the budget, LHC601 where OR-tools is missing.
        ValueError: names, numbers or options that make no sense.
    """
    _check(groups, populations, budget, solver)
    kept = [_undominated(group, budget.energy is not None) for group in groups]
    errors, words, energies = (
        tuple(np.array([getattr(group.options[place], resource) for place in places], dtype=dtype)
              for group, places in zip(groups, kept, strict=True))
        for resource, dtype in (("error", np.float64), ("words", np.int64), ("energy", np.float64)))
    cores = _cores(groups, words, populations, limits, budget.cores)
    rows = [Row(name=name, values=values, limit=limit, whole=name == "words") for name, values, limit in (
        ("words", words, budget.words), ("energy", energies, budget.energy), ("error", errors, budget.max_error))
        if limit is not None]
    problem = Problem(costs=errors, rows=tuple(rows), cores=cores if budget.cores is not None else None)
    hopeless = tuple(each_alone([group.name for group in groups], problem))
    if hopeless:
        raise CompileError(hopeless)
    try:
        picks = (_least_error(problem, solver, time_limit) if budget.max_error is None
                 else _fewest_words(problem, words, solver, time_limit))
    except OutOfTimeError:
        fail("LHC405", f"no choice within the budgets was found in {time_limit:g} s",
             help="give a larger budget, or more time")
    return Choice(
        picked={group.name: places[pick] for group, places, pick in zip(groups, kept, picks.options, strict=True)},
        error=total(errors, picks.options), words=int(total(words, picks.options)),
        cores=int(cores.counts(picks.options).sum()), energy=total(energies, picks.options),
        optimal=picks.bound >= picks.cost, solver=picks.solver, bound=picks.bound)


def _least_error(problem: Problem, solver: Solver, time_limit: float) -> Picks:
    picks = minimise(problem, solver, time_limit)
    if picks is None:
        raise CompileError([together(problem, solver, time_limit)])
    return picks


def _fewest_words(problem: Problem, words: tuple[Array, ...], solver: Solver, time_limit: float) -> Picks:
    """The fewest words within the greatest error, and the least error with so many words.

    The budget of words is compared with what is needed rather than searched within, so that the need can be told.
    """
    budgets = {row.name: row for row in problem.rows}
    others = tuple(row for row in problem.rows if row.name != "words")
    first = minimise(replace(problem, costs=words, whole=True, rows=others), solver, time_limit)
    if first is None:
        raise CompileError([together(replace(problem, rows=others), solver, time_limit)])
    if "words" in budgets and first.cost > budgets["words"].limit:
        raise CompileError([conflict(problem, budgets["words"], first.bound)])
    enough = Row(name="words", values=words, limit=first.cost, whole=True)
    rows = (enough, *(row for row in others if row.name != "error"))
    second = minimise(replace(problem, rows=rows), solver, time_limit)
    if second is None or second.cost > problem.cost(first.options):
        return first  # a search that ended early
    fewer = total(words, second.options)
    proven = first.bound >= first.cost and second.bound >= second.cost
    return replace(second, cost=fewer, bound=fewer if proven else min(first.bound, fewer))


def _cores(groups: Sequence[Group], words: tuple[Array, ...], populations: Sequence[Population], limits: Limits,
           limit: int | None) -> Cores:
    """The cores of the populations, and of every group that has none."""
    alone = [Population(name="", neurons=0) for group in groups if not group.population]
    homes = {population.name: home for home, population in enumerate(populations)}
    unused = iter(range(len(populations), len(populations) + len(alone)))
    everyone = [*populations, *alone]
    constant = [max(-(-each.neurons // limits.neuron_words), -(-each.axons_in // limits.axon_in),
                    -(-each.axon_map // limits.axon_map)) for each in everyone]
    return Cores(
        words=words, share=limits.synapse_words, pool=limits.pool_words - 1, limit=limit or 0,
        home=np.array([homes[group.population] if group.population else next(unused) for group in groups],
                      dtype=np.int64),
        constant=np.array(constant, dtype=np.int64),
        others=np.array([each.neurons + each.axons_in + each.axon_map for each in everyone], dtype=np.int64))


def _undominated(group: Group, with_energy: bool) -> list[int]:
    """The options that no other one equals or beats in everything that counts, fewest words first."""
    def rank(place: int) -> tuple[float, float, float, int]:
        option = group.options[place]
        return option.words, option.error, option.energy if with_energy else 0.0, place

    kept: list[int] = []
    for place in sorted(range(len(group.options)), key=rank):
        _, error, energy, _ = rank(place)
        if all(error < rank(other)[1] or energy < rank(other)[2] for other in kept):
            kept.append(place)
    return kept


def _check(groups: Sequence[Group], populations: Sequence[Population], budget: Budget, solver: str) -> None:
    if solver not in get_args(Solver):
        raise ValueError(f"no solver is called {solver!r}; there are {', '.join(get_args(Solver))}")
    names = [group.name for group in groups]
    homes = [population.name for population in populations]
    if len(set(names)) < len(names) or len(set(homes)) < len(homes) or "" in homes:
        raise ValueError("groups and populations need names of their own")
    for group in groups:
        if not group.options:
            raise ValueError(f"{group.name} has no option")
        if group.population and group.population not in homes:
            raise ValueError(f"{group.name} delivers to {group.population!r}, which is not among the populations")
        for option in group.options:
            if not all(isfinite(x) and x >= 0 for x in (option.error, option.words, option.energy)):
                raise ValueError(f"{group.name}: errors, words and energies are finite and not negative")
    if any(x is not None and isnan(x) for x in (budget.words, budget.cores, budget.energy, budget.max_error)):
        raise ValueError("a budget is a number or None")
