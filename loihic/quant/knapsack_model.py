"""The arithmetic form of choosing one option per group: costs, rows of weights with a limit, and cores.

The solvers (`mckp`, `knapsack_cores`, `knapsack_highs`, `knapsack_cpsat`) read this form and know nothing of words,
errors and energies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import fsum

import numpy as np

from loihic.ir.node import Array

SLACK = 1e-9  # relative: by which a sum of real numbers may exceed its limit, so that rounding does not decide


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A weight of every option, per group, and what their sum may be.

    Attributes:
        name: of the resource.
        values: per group, of each option; not negative.
        limit: of the sum.
        whole: the values are integers, and the limit is exact.
    """

    name: str
    values: tuple[Array, ...]
    limit: float
    whole: bool

    @property
    def aim(self) -> float:
        """The limit that solvers keep: real sums that meet the limit exactly must not fail by their rounding."""
        return self.limit if self.whole else self.limit * (1.0 + SLACK / 2)

    @property
    def allowed(self) -> float:
        """The limit that solutions are checked against; solvers round as well."""
        return self.limit if self.whole else self.limit * (1.0 + SLACK)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cores:
    """How many cores the words of the options take, by population, and how many there may be.

    Attributes:
        words: per group, of each option; integers.
        home: the population of each group.
        constant: cores of each population, whatever the words are.
        others: words of each population in the pool, beside those of its groups.
        share: words of groups that a core holds.
        pool: words of the pool that a core holds, beside those that every core needs.
        limit: of the sum over the populations.
    """

    words: tuple[Array, ...]
    home: Array
    constant: Array
    others: Array
    share: int
    pool: int
    limit: int

    def counts(self, picks: Sequence[int]) -> Array:
        """Cores of each population when these options are taken."""
        taken = np.array([words[pick] for words, pick in zip(self.words, picks, strict=True)], dtype=np.int64)
        total = np.zeros(len(self.constant), dtype=np.int64)
        np.add.at(total, self.home, taken)
        counts = np.maximum(self.constant, np.maximum(-(-total // self.share), -(-(total + self.others) // self.pool)))
        return np.asarray(counts)

    def least(self) -> Array:
        """Cores of each population with the options of fewest words."""
        return self.counts([int(words.argmin()) for words in self.words])

    def most(self) -> Array:
        """Cores of each population with the options of most words."""
        return self.counts([int(words.argmax()) for words in self.words])

    def room(self, population: int, cores: int) -> int:
        """Words of groups that fit so many cores of a population."""
        return min(self.share * cores, self.pool * cores - int(self.others[population]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Take one option of every group so that the sum of the costs is least, within the rows and the cores.

    Attributes:
        costs: per group, of each option; not negative.
        whole: the costs are integers.
        rows: the limits of sums.
        cores: the limit of cores, if there is one.
    """

    costs: tuple[Array, ...]
    whole: bool = False
    rows: tuple[Row, ...] = ()
    cores: Cores | None = None

    def binding(self) -> Problem:
        """The same without the limits that no choice can exceed."""
        rows = tuple(row for row in self.rows if sum(float(v.max()) for v in row.values) > row.allowed)
        cores = self.cores if self.cores is not None and int(self.cores.most().sum()) > self.cores.limit else None
        return replace(self, rows=rows, cores=cores)

    def cost(self, picks: Sequence[int]) -> float:
        """The sum of the costs of these options."""
        return total(self.costs, picks)

    def allows(self, picks: Sequence[int]) -> bool:
        """Whether these options keep every limit."""
        return all(total(row.values, picks) <= row.allowed for row in self.rows) and (
            self.cores is None or int(self.cores.counts(picks).sum()) <= self.cores.limit)


@dataclass(frozen=True, kw_only=True, slots=True)
class Picks:
    """A solution.

    Attributes:
        options: the option taken in each group.
        cost: their sum.
        bound: no solution costs less, up to the solver's tolerance; equal to `cost` if the solution is optimal.
        solver: that found it.
    """

    options: tuple[int, ...]
    cost: float
    bound: float
    solver: str


def total(values: Sequence[Array], picks: Sequence[int]) -> float:
    """The sum of the values of these options, correctly rounded."""
    return fsum(float(value[pick]) for value, pick in zip(values, picks, strict=True))


class OutOfTimeError(Exception):
    """A solver found no solution in time, and did not show that there is none."""
