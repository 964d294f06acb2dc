"""The choice of one option per group: against every combination, with every solver and every mix of budgets."""

from __future__ import annotations

import importlib.util
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loihic.errors import CompileError, ExitCode
from loihic.quant.budget import Budget
from loihic.quant.knapsack import Choice, Group, Option, Population, core_count, solve
from loihic.quant.knapsack_cores import least_cost_by_cores
from loihic.quant.knapsack_model import Cores
from loihic.quant.mckp import least_cost
from loihic.targets.limits import chip_limits

LIMITS = chip_limits()
HAS_ORTOOLS = importlib.util.find_spec("ortools") is not None
needs_ortools = pytest.mark.skipif(not HAS_ORTOOLS, reason="OR-tools is not installed")
SOLVERS = ["auto", "highs", pytest.param("cp-sat", marks=needs_ortools)]
CLOSE = {"auto": 1e-6, "lagrange": 1e-9, "highs": 1e-6, "cp-sat": 1e-9}

ERRORS = st.one_of(
    st.integers(0, 4).map(float),
    st.floats(0.0, 10.0, allow_subnormal=False),
    st.floats(-9.0, 1.0).map(lambda x: 10.0**x))
OPTIONS = st.builds(
    lambda error, words, energy: Option(error=error, words=words, energy=energy),
    error=ERRORS, words=st.integers(0, 6) | st.integers(0, 40_000), energy=st.integers(0, 5).map(float) | ERRORS)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Group], list[Population]]:
    """A few groups, some of which share a population."""
    populations = [
        Population(name=f"p{i}", neurons=draw(st.integers(0, 9000)), axons_in=draw(st.integers(0, 18000)),
                   axon_map=draw(st.integers(0, 9000))) for i in range(draw(st.integers(0, 2)))]
    homes = ["", *(population.name for population in populations)]
    groups = [Group(name=f"g{i}", options=tuple(draw(st.lists(OPTIONS, min_size=1, max_size=4))),
                    population=draw(st.sampled_from(homes))) for i in range(draw(st.integers(1, 4)))]
    return groups, populations


def totals(groups: list[Group], populations: list[Population], picks: tuple[int, ...]) -> dict[str, float]:
    """Error, words, energy and cores of a combination, straight from their definitions."""
    taken = [group.options[pick] for group, pick in zip(groups, picks, strict=True)]
    cores = sum(-(-option.words // 16000) for group, option in zip(groups, taken, strict=True) if not group.population)
    for population in populations:
        words = sum(o.words for g, o in zip(groups, taken, strict=True) if g.population == population.name)
        pool = words + population.neurons + population.axons_in + population.axon_map
        cores += max(-(-words // 16000), -(-population.neurons // 4095), -(-population.axons_in // 16000),
                     -(-population.axon_map // 16000), -(-pool // 19999))
    return {"error": sum(o.error for o in taken), "words": sum(o.words for o in taken),
            "energy": sum(o.energy for o in taken), "cores": cores}


def combinations(groups: list[Group]) -> list[tuple[int, ...]]:
    return list(product(*(range(len(group.options)) for group in groups)))


def within(found: dict[str, float], budget: Budget, slack: float = 0.0) -> bool:
    wide = 1.0 + slack
    return ((budget.words is None or found["words"] <= budget.words)
            and (budget.cores is None or found["cores"] <= budget.cores)
            and (budget.energy is None or found["energy"] <= budget.energy * wide)
            and (budget.max_error is None or found["error"] <= budget.max_error * wide))


def check(groups: list[Group], populations: list[Population], budget: Budget, solver: Any) -> None:
    """The solver's choice is as good as the best combination, or there is none."""
    everything = [totals(groups, populations, picks) for picks in combinations(groups)]
    exact = [found for found in everything if within(found, budget)]
    loose = [found for found in everything if within(found, budget, 2e-9)]
    if not loose:
        with pytest.raises(CompileError) as caught:
            solve(groups, populations, budget, limits=LIMITS, solver=solver)
        assert {finding.code for finding in caught.value.diagnostics} == {"LHC405"}
        assert caught.value.exit_code == ExitCode.DOES_NOT_FIT
        return
    if not exact:
        return  # on the edge, where rounding decides
    choice = solve(groups, populations, budget, limits=LIMITS, solver=solver)
    found = totals(groups, populations, tuple(choice.picked[group.name] for group in groups))
    assert within(found, budget, 2e-9)
    assert (choice.words, choice.cores) == (found["words"], found["cores"])
    assert choice.error == pytest.approx(found["error"], rel=1e-12)
    assert choice.energy == pytest.approx(found["energy"], rel=1e-12)
    assert choice.optimal
    close = CLOSE[solver]
    if budget.max_error is None:
        best = min(found["error"] for found in exact)
        assert choice.error <= best * (1 + close)
        assert choice.bound == choice.error
    else:
        fewest = min(found["words"] for found in exact)
        assert choice.words <= fewest * (1 + close)
        if choice.words == fewest:
            assert choice.error <= min(f["error"] for f in exact if f["words"] == fewest) * (1 + close)
        assert choice.bound == choice.words


@st.composite
def budgets(draw: st.DrawFn, groups: list[Group], populations: list[Population], kinds: list[str]) -> Budget:
    """Budgets that some combination just meets, or that are anything."""
    everything = [totals(groups, populations, picks) for picks in combinations(groups)]
    found = {kind: draw(st.sampled_from(everything))[kind] for kind in kinds}
    if draw(st.booleans()):
        found = {kind: draw(st.sampled_from(everything))[kind] for kind in kinds}
        found = {kind: value - 1 if kind in ("words", "cores") else value * 0.9 for kind, value in found.items()}
    return Budget(**{("max_error" if kind == "error" else kind): value for kind, value in found.items()})


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kinds", [
    ["words"], ["energy"], ["cores"], ["error"], ["words", "energy"], ["words", "cores"], ["error", "words"],
    ["error", "energy"], ["error", "cores"], ["words", "energy", "cores"], ["error", "words", "energy", "cores"]],
    ids="+".join)
@given(data=st.data(), case=cases())
def test_as_good_as_the_best_combination(
        solver: str, kinds: list[str], data: st.DataObject, case: tuple[list[Group], list[Population]]) -> None:
    groups, populations = case
    check(groups, populations, data.draw(budgets(groups, populations, kinds)), solver)


@given(case=cases())
def test_without_a_budget_every_group_errs_least(case: tuple[list[Group], list[Population]]) -> None:
    groups, populations = case
    choice = solve(groups, populations, Budget(), limits=LIMITS)
    for group in groups:
        taken = group.options[choice.picked[group.name]]
        assert taken.error == min(option.error for option in group.options)
        assert taken.words == min(option.words for option in group.options if option.error == taken.error)
    assert choice.optimal


# ------------------------------------------------------------------------------------------------- ties, zeros, edges

def group(name: str, *options: tuple[float, int], population: str = "") -> Group:
    return Group(name=name, population=population,
                 options=tuple(Option(error=error, words=words) for error, words in options))


@pytest.mark.parametrize("solver", SOLVERS)
def test_ties_are_decided_alike_every_time(solver: Any) -> None:
    groups = [group(f"g{i}", (1.0, 10), (0.5, 20), (0.5, 20), (0.5, 30)) for i in range(20)]
    first, second = (solve(groups, [], Budget(words=305), limits=LIMITS, solver=solver) for _ in range(2))
    assert first == second
    assert first.error == 20 - 0.5 * 10
    assert set(first.picked.values()) == {0, 1}
    assert first.words == 300


@pytest.mark.parametrize("solver", SOLVERS)
def test_errors_of_zero(solver: Any) -> None:
    groups = [group("a", (0.0, 5), (0.0, 3)), group("b", (0.0, 4), (1.0, 2))]
    choice = solve(groups, [], Budget(words=7), limits=LIMITS, solver=solver)
    assert (choice.error, choice.words, choice.bound, choice.optimal) == (0.0, 7, 0.0, True)
    choice = solve(groups, [], Budget(max_error=0.0), limits=LIMITS, solver=solver)
    assert (choice.picked, choice.words) == ({"a": 1, "b": 0}, 7)


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_option(solver: Any) -> None:
    groups = [group("a", (2.0, 5))]
    assert solve(groups, [], Budget(words=5), limits=LIMITS, solver=solver).picked == {"a": 0}
    with pytest.raises(CompileError):
        solve(groups, [], Budget(words=4), limits=LIMITS, solver=solver)


@pytest.mark.parametrize("solver", SOLVERS)
def test_errors_that_span_ten_decades(solver: Any) -> None:
    """What is won at the small end is not lost beside what the coarse options err."""
    rng = np.random.default_rng(0)
    groups = [group(f"g{i}", *((4.0**-b * s, n * b) for b in range(1, 17)))
              for i, (s, n) in enumerate(zip(rng.uniform(1, 9, 6), rng.integers(5, 60, 6).tolist(), strict=True))]
    words = sum(g.options[13].words for g in groups)
    exact = solve(groups, [], Budget(words=words), limits=LIMITS)
    choice = solve(groups, [], Budget(words=words), limits=LIMITS, solver=solver)
    assert exact.optimal
    assert choice.error == pytest.approx(exact.error, rel=2e-6)
    assert choice.error < 1e-6


def test_no_groups() -> None:
    choice = solve([], [Population(name="p", neurons=5000)], Budget(words=0, cores=2), limits=LIMITS)
    assert (choice.picked, choice.error, choice.words, choice.cores, choice.optimal) == ({}, 0.0, 0, 2, True)
    with pytest.raises(CompileError, match="least possible is 2"):
        solve([], [Population(name="p", neurons=5000)], Budget(cores=1), limits=LIMITS)


def test_shared_cores() -> None:
    """Two groups of 9000 words fit one core apart, and two together; the pool holds what the words leave."""
    shared = Population(name="p", neurons=100)
    groups = [group(name, (0.0, 9000), (1.0, 7000), population="p") for name in "ab"]
    apart = [group(name, (0.0, 9000), (1.0, 7000)) for name in "ab"]
    assert solve(apart, [], Budget(cores=2), limits=LIMITS).error == 0.0
    assert solve(groups, [shared], Budget(cores=2), limits=LIMITS).error == 0.0
    one = solve(groups, [shared], Budget(cores=1), limits=LIMITS)
    assert (one.error, one.words, one.cores) == (1.0, 16000, 1)
    crowded = Population(name="p", neurons=4000, axons_in=1000)
    assert solve(groups, [crowded], Budget(cores=1), limits=LIMITS).words == 14000


def test_core_count() -> None:
    assert core_count(Population(name="p", neurons=1), 0, LIMITS) == 1
    assert core_count(Population(name="p", neurons=4095), 16000 - 96, LIMITS) == 1 + (4095 + 15904 > 19999)
    assert core_count(Population(name="p", neurons=4096), 0, LIMITS) == 2
    assert core_count(Population(name="p", neurons=0), 16001, LIMITS) == 2
    assert core_count(Population(name="p", neurons=10, axons_in=32001), 0, LIMITS) == 3
    assert core_count(Population(name="p", neurons=0, axon_map=16001), 0, LIMITS) == 2
    assert core_count(Population(name="p", neurons=0), 0, LIMITS) == 0


# ------------------------------------------------------------------------------------------------------------- no way

def finding(groups: list[Group], budget: Budget, populations: tuple[Population, ...] = ()) -> str:
    with pytest.raises(CompileError) as caught:
        solve(groups, list(populations), budget, limits=LIMITS)
    return str(caught.value)


def test_what_would_be_needed_is_said() -> None:
    groups = [group("small", (0.5, 3), (0.1, 5)), group("large", (0.5, 300), (0.1, 500))]
    text = finding(groups, Budget(words=302))
    assert "the least possible is 303" in text
    assert "large" in text
    assert "at least 303" in text
    assert "least possible is 0.2" in finding(groups, Budget(max_error=0.1))
    both = finding([group("a", (0.1, 40_000))], Budget(words=1, cores=1))
    assert "least possible is 40000" in both
    assert "least possible is 3" in both


def test_budgets_that_exclude_each_other() -> None:
    options = (Option(error=0.0, words=10, energy=1.0), Option(error=0.0, words=1, energy=9.0))
    groups = [Group(name="a", options=options)]
    text = finding(groups, Budget(words=5, energy=5.0))
    assert "together" in text
    assert "words must be at least 10" in text
    text = finding([group("a", (0.5, 10), (0.1, 20))], Budget(words=15, max_error=0.2))
    assert "words must be at least 20" in text


def test_an_error_that_the_cores_do_not_allow() -> None:
    options = (Option(error=0.5, words=10_000), Option(error=0.0, words=20_000))
    text = finding([Group(name="a", options=options)], Budget(cores=1, words=30_000, max_error=0.1))
    assert "together" in text
    assert "error must be at least 0.5" in text


@pytest.mark.parametrize(("groups", "populations", "budget", "solver", "part"), [
    ([group("a")], [], Budget(), "auto", "no option"),
    ([group("a", (0, 1)), group("a", (0, 1))], [], Budget(), "auto", "names of their own"),
    ([group("a", (0, 1), population="p")], [], Budget(), "auto", "'p'"),
    ([group("a", (float("nan"), 1))], [], Budget(), "auto", "finite"),
    ([group("a", (-1.0, 1))], [], Budget(), "auto", "not negative"),
    ([group("a", (0, 1))], [], Budget(energy=float("nan")), "auto", "budget"),
    ([group("a", (0, 1))], [], Budget(), "simplex", "simplex"),
])
def test_what_makes_no_sense_is_refused(groups: Any, populations: Any, budget: Any, solver: Any, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        solve(groups, populations, budget, limits=LIMITS, solver=solver)


def test_without_ortools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ortools.sat.python", None)
    with pytest.raises(CompileError, match="LHC601"):
        solve([group("a", (0.0, 1))], [], Budget(words=1), limits=LIMITS, solver="cp-sat")


@pytest.mark.parametrize("solver", ["highs", pytest.param("cp-sat", marks=needs_ortools)])
def test_no_time(solver: Any) -> None:
    """Out of time there is an answer with an honest bound, or a finding that says so."""
    groups, populations, budget = large(300, 0.3, several=True)
    try:
        choice = solve(groups, populations, budget, limits=LIMITS, solver=solver, time_limit=0.02)
    except CompileError as error:
        assert error.diagnostics[0].code == "LHC405"  # noqa: PT017 - either way is right
    else:
        assert choice.words <= (budget.words or 0)
        assert choice.bound <= choice.error


# --------------------------------------------------------------------------------------------- many groups, hard ones

def large(count: int, share: float, *, several: bool = False) -> tuple[list[Group], list[Population], Budget]:
    """Groups of 16 widths each, with errors, words and energies of the usual laws, two of them to a population."""
    rng = np.random.default_rng(count)
    groups = []
    for i in range(count):
        size, scale = 10 ** rng.uniform(1, 4.5), 10 ** rng.uniform(-6, 1)
        drain = rng.uniform(0.5, 2) * size
        groups.append(Group(name=f"g{i}", population=f"p{i // 2}", options=tuple(
            Option(error=float(scale * 4.0**-b * rng.uniform(0.5, 1.5)), words=int(np.ceil(size * (b + 12) / 64)),
                   energy=float(drain * b**1.2)) for b in range(1, 17))))
    populations = [Population(name=f"p{i}", neurons=int(rng.integers(100, 4000))) for i in range((count + 1) // 2)]
    least, most = (sum(f(o.words for o in g.options) for g in groups) for f in (min, max))
    low, high = (sum(f(o.energy for o in g.options) for g in groups) for f in (min, max))
    words = int(least + share * (most - least))
    return groups, populations, Budget(words=words, energy=low + share * (high - low) if several else None)


@pytest.mark.parametrize("count", [100, 2000])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.7])
def test_many_groups_are_solved_to_the_end(count: int, share: float) -> None:
    groups, populations, budget = large(count, share)
    choice = solve(groups, populations, budget, limits=LIMITS)
    assert choice.optimal
    assert choice.solver == "lagrange"
    assert choice.words <= (budget.words or 0)
    back = solve(groups, populations, Budget(max_error=choice.error), limits=LIMITS)
    assert back.optimal
    assert back.words <= choice.words
    assert back.error <= choice.error * (1 + 1e-9)


def test_several_budgets_of_many_groups() -> None:
    groups, populations, budget = large(100, 0.3, several=True)
    choice = solve(groups, populations, budget, limits=LIMITS)
    only_words = solve(groups, populations, Budget(words=budget.words), limits=LIMITS)
    only_energy = solve(groups, populations, Budget(energy=budget.energy), limits=LIMITS)
    assert choice.words <= (budget.words or 0)
    assert choice.energy <= (budget.energy or 0) * (1 + 1e-9)
    assert choice.error >= max(only_words.error, only_energy.error) * (1 - 1e-9)
    assert choice.bound <= choice.error


@pytest.mark.parametrize("solver", ["highs", pytest.param("cp-sat", marks=needs_ortools)])
def test_cores_of_many_groups(solver: Any) -> None:
    """Cores alone are solved exactly, population by population; the integer programs agree."""
    rng = np.random.default_rng(1)
    groups = [group(f"g{i}", *((float(4.0**-b), int(size * (b + 12))) for b in range(1, 9)), population=f"p{i // 2}")
              for i, size in enumerate(rng.integers(100, 3000, 16).tolist())]
    populations = [Population(name=f"p{i}", neurons=2000) for i in range(8)]
    least = sum(core_count(p, sum(g.options[0].words for g in groups if g.population == p.name), LIMITS)
                for p in populations)
    exact = solve(groups, populations, Budget(cores=least + 3), limits=LIMITS)
    assert (exact.solver, exact.optimal, exact.cores) == ("lagrange", True, least + 3)
    other: Choice = solve(groups, populations, Budget(cores=least + 3), limits=LIMITS, solver=solver)
    assert other.error == pytest.approx(exact.error, rel=2e-6)


def test_cores_among_other_budgets_of_many_groups() -> None:
    groups, populations, _ = large(300, 0.4)
    groups = [Group(name=g.name, population=g.population, options=tuple(
        Option(error=o.error, words=8 * o.words) for o in g.options)) for g in groups]
    free = solve(groups, populations, Budget(), limits=LIMITS)
    cores = solve(groups, populations, Budget(cores=free.cores - 40), limits=LIMITS)
    both = solve(groups, populations, Budget(cores=cores.cores, words=int(0.97 * cores.words)), limits=LIMITS)
    assert both.cores <= cores.cores
    assert both.words <= 0.97 * cores.words
    assert cores.error <= both.error <= 2 * cores.error
    assert 0.999 * both.error <= both.bound <= both.error


def test_one_large_population_is_a_knapsack_of_words() -> None:
    groups = large(200, 0.5)[0]
    together = [Group(name=g.name, options=g.options, population="p") for g in groups]
    population = [Population(name="p", neurons=4000)]
    choice = solve(together, population, Budget(cores=14), limits=LIMITS)
    assert (choice.solver, choice.optimal, choice.cores) == ("lagrange", True, 14)
    assert choice.error == solve(together, population, Budget(words=14 * 16000), limits=LIMITS).error


@given(seed=st.integers(0, 2**32 - 1), effort=st.sampled_from([0, 50, 1000]), whole=st.booleans())
def test_a_search_that_ends_early_has_a_true_bound(seed: int, effort: int, whole: bool) -> None:
    """Costs that hardly differ per weight are the hard case: subset sums."""
    rng = np.random.default_rng(seed)
    weights = [np.append(0, rng.integers(1, 1000, size=2)) for _ in range(7)]
    costs = [1000.0 - weight + (0 if whole else rng.uniform(0, 1e-3, size=3)) for weight in weights]
    capacity = int(rng.integers(0, sum(int(weight.max()) for weight in weights)))
    best = min(sum(cost[pick] for cost, pick in zip(costs, picks, strict=True))
               for picks in product(range(3), repeat=7)
               if sum(weight[pick] for weight, pick in zip(weights, picks, strict=True)) <= capacity)
    early = least_cost(costs, weights, capacity, whole=whole, effort=effort)
    fully = least_cost(costs, weights, capacity, whole=whole)
    assert early is not None
    assert fully is not None
    assert early.bound <= best * (1 + 1e-12)
    assert early.cost >= best * (1 - 1e-12)
    assert fully.cost == pytest.approx(best, rel=1e-9)
    assert fully.bound == fully.cost


def test_cores_leave_what_is_too_much_to_others() -> None:
    count = 300
    words = tuple(np.array([1, 160_000]) for _ in range(count))
    home = np.repeat([0, 1], count // 2)
    cores = Cores(words=words, home=home, constant=np.zeros(2, dtype=np.int64), others=np.zeros(2, dtype=np.int64),
                  share=16000, pool=19999, limit=1000)
    assert least_cost_by_cores(tuple(np.array([1.0, 0.0]) for _ in range(count)), cores) is None
