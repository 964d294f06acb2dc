"""The allocator: formats that err least within a budget, for the groups whose bits are free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod

import numpy as np

from loihic.errors import Diagnostic, Severity
from loihic.golden import input_ranges
from loihic.ir.linear import LinearMap
from loihic.ledger import Ledger
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.ops.synapse import Synapse
from loihic.partition.words import synapse_words
from loihic.passes.manager import AnyGraph, CompileContext
from loihic.passes.quantise import lowered
from loihic.quant.budget import Budget
from loihic.quant.cost import candidates, format_energy, format_words
from loihic.quant.formats import BYTES, CHAINED, SINGLE, SPLIT, Format
from loihic.quant.groups import Rows
from loihic.quant.knapsack import Choice, Group, Option, Population, solve
from loihic.quant.populations import Populations
from loihic.quant.sensitivity import OutputError
from loihic.quant.trials import Trial, estimates, trial

WORK = 1.5e10  # multiplications spent on measuring what rounding does to the outputs
MEASURED = 8  # samples with which every format is measured; with fewer one format a group, the others by proportion
REFERENCES = (Format(bits=8), Format(bits=5), Format(bits=3))  # that one: the first that shows anything
LEAST = 1e-4  # an output error that shows
LARGE = 2_000_000  # weights, above which formats are judged by some of them
SAMPLED = 4096  # these, in each group
COARSE = frozenset((*SINGLE, *CHAINED, *(Format.parse(text) for text in (
    "4f", "6f", "8f", "3p30", "4p30", "6p30", "8p30", "4p60", "6p60", "6fp30"))))  # and the formats tried there
NEAR = 1.05  # of the budget: a choice that was tried with so many words may yet keep it
RUNGS = 14  # formats of a group that are considered, at most
REFINEMENTS = 32  # exchanges of bits between groups that are measured
TIGHTENINGS = 5  # tries to keep the words, or to bring a measured error below --max-error

Formats = Mapping[str, Format]


class Allocator:
    """Chooses the formats of some groups of one graph.

    What a group's rounding alone does to the outputs is measured on the calibration data, or estimated from how far it
    moves the voltage behind it. The choice is a multiple-choice knapsack, then refined by measuring exchanges.

    Args:
        graph: fused.
        context: with options and statistics; gets a note of what was chosen.
        free: the groups to choose for.
        given: the formats of the others.
    """

    def __init__(self, graph: AnyGraph, context: CompileContext, free: list[str], given: Formats) -> None:
        self.graph, self.context, self.free, self.given = graph, context, free, given
        self.limits = context.options.machine.limits
        self.events = {} if context.statistics is None else context.statistics.events
        self.settled = self._populations_in({name: given.get(name, BYTES) for name, _ in graph.of(Map)}, draft=True)
        self.linears = self.settled.linears
        self.is_large = sum(Rows(linear=linear).values.size for linear in self.linears.values()) > LARGE
        self.trials = {name: self._tried(name) for name in free}
        self.ladders = {name: _ladder(found) for name, found in self.trials.items()}
        self.is_bounded = False  # whether groups are taken to need the most words that they can
        self.known: dict[tuple[tuple[str, Format], ...], float] = {}  # output errors measured
        self.outputs = self._outputs(sum(map(len, self.ladders.values())))
        self.errors = self._errors()

    def formats(self) -> dict[str, Format]:
        """The choice, for the free groups.

        Raises:
            CompileError: LHC405, the budget cannot be met.
        """
        budget = self.context.options.budget
        if budget == Budget():
            budget = Budget(words=sum(format_words(linear, self.given.get(name, BYTES))
                                      for name, linear in self.linears.items()))
        allowed = budget
        for attempt in range(TIGHTENINGS):
            # The joint choice of scales makes other weights zero or coarse than each group's trial.
            self.is_bounded = attempt == TIGHTENINGS - 1
            picked, choice = self._chosen(budget if self.is_bounded else allowed)
            words = self._built(picked)
            if budget.words is None or allowed.words is None or words <= budget.words:
                break
            allowed = replace(allowed, words=allowed.words * budget.words // words - 2**attempt)
        self._report(picked, choice, words)
        return picked

    # ------------------------------------------------------------------------------------------- what rounding does
    def _tried(self, name: str) -> dict[Format, Trial]:
        """A group in every format that it may have; of a large network some weights and formats only."""
        self.context.advance(self.free.index(name), len(self.free))
        linear = self.linears[name]
        forms = candidates(linear, stock_only=self.context.options.stock_only)
        if not self.is_large:
            whole = self.settled.unstored(name)
            return {form: trial(self.settled, name, form, whole) for form in forms}
        errors = estimates(self.settled, name, [form for form in forms if form in COARSE], SAMPLED)
        return {form: Trial(error=error, linear=linear, words=format_words(linear, form))
                for form, error in errors.items()}

    def _rounded(self, name: str, form: Format) -> LinearMap:
        """A map as a format rounds it; not kept where that would take much memory."""
        if not self.is_large:
            return self.trials[name][form].linear
        return trial(self.settled, name, form, self.settled.unstored(name)).linear

    def _populations_in(self, formats: Formats, *, draft: bool = False) -> Populations:
        """The populations settled with these formats; what is to be said of them is said when they are built."""
        marked = {name: replace(node, bits=str(formats[name])) if isinstance(node, Map) else node
                  for name, node in self.graph.nodes.items()}
        return Populations(self.graph.with_(nodes=marked), self.context.options, self.context.statistics,
                           self._scratch().report, draft=draft)

    def _scratch(self) -> CompileContext:
        """A context whose ledger and diagnostics nobody reads."""
        return CompileContext(options=self.context.options, ledger=Ledger(), statistics=self.context.statistics)

    def _outputs(self, rungs: int) -> OutputError:
        """The measure of output errors, on as many samples as the work allows."""
        sample = input_ranges(self.graph, self.context.options).sample
        thorough = OutputError(self.graph, sample, rungs + REFINEMENTS, WORK)
        self.is_thorough = not self.is_large and thorough.samples >= min(MEASURED, thorough.available)
        if self.is_thorough:
            return thorough
        return OutputError(self.graph, sample, len(self.free) * len(REFERENCES) + REFINEMENTS, WORK)

    def _errors(self) -> dict[str, dict[Format, float]]:
        """The squared output error of each group in each format of its ladder, alone."""
        if self.is_thorough:
            return {name: {form: self._measured({name: form}) ** 2 + LEAST**2 * self.trials[name][form].error
                           for form in ladder} for name, ladder in self.ladders.items()}
        return {name: {form: self._gain(name) * self.trials[name][form].error for form in ladder}
                for name, ladder in self.ladders.items()}

    def _gain(self, name: str) -> float:
        """The squared output error per unit of squared error in the voltage; 1 where measuring takes too long."""
        if not self.outputs.is_affordable:
            return 1.0
        for form in REFERENCES:
            error = self._measured({name: form})
            if error > LEAST:
                break
        voltage = self.trials[name][form].error
        return error**2 / voltage if voltage > 0 else 0.0

    def _measured(self, picked: Formats) -> float:
        """The output error with these formats, all other groups as they were trained."""
        key = tuple(sorted(picked.items()))
        if key not in self.known:
            self.known[key] = self.outputs.of({name: self._rounded(name, form) for name, form in picked.items()})
        return self.known[key]

    # ------------------------------------------------------------------------------------------- the choice
    def _chosen(self, budget: Budget) -> tuple[dict[str, Format], Choice]:
        """The best formats found within the budget, by the words that each group was tried with."""
        choice = self._solved(budget)
        picked = self._picked(choice)
        if self.outputs.is_affordable:
            if budget.max_error is not None:
                return self._tightened(budget, choice)
            if self.is_large:
                return picked, choice
            picked = self._refined(min([picked, *self._uniform(budget)], key=self._measured), budget)
        return picked, choice

    def _solved(self, budget: Budget) -> Choice:
        """The knapsack's answer; errors there are squares, which add up."""
        squared = None if budget.max_error is None else budget.max_error**2
        groups = [Group(name=name, options=tuple(self._options(name)), population=self.graph.outgoing[name][0].dst)
                  for name in self.linears]
        return solve(groups, self._populations(), replace(budget, max_error=squared), limits=self.limits)

    def _options(self, name: str) -> Iterator[Option]:
        """A group's options; one where its format is given."""
        if name not in self.ladders:
            yield Option(error=0.0, words=self._words(name, self.given[name]),
                         energy=self._energy(name, self.given[name]))
            return
        for form in self.ladders[name]:
            yield Option(error=self.errors[name][form], words=self._words(name, form), energy=self._energy(name, form))

    def _words(self, name: str, form: Format) -> int:
        """What a group took when it was tried, or the most that it can take."""
        if name in self.trials and not self.is_bounded:
            return self.trials[name][form].words
        return format_words(self.linears[name], form)

    def _energy(self, name: str, form: Format) -> float:
        return format_energy(self.linears[name], form, self.events.get(name, 0.0), self.limits)

    def _populations(self) -> list[Population]:
        """The neurons behind the groups, for the count of cores."""
        found = []
        for name, node in self.graph.of(Neuron):
            axons = sum(prod(self.linears[edge.src].in_shape) for edge in self.graph.incoming[name])
            found.append(Population(name=name, neurons=prod(node.shape), axons_in=axons, axon_map=prod(node.shape)))
        return found

    def _picked(self, choice: Choice) -> dict[str, Format]:
        return {name: self.ladders[name][choice.picked[name]] for name in self.free}

    def _keeps(self, picked: Formats, budget: Budget) -> bool:
        """Whether a choice keeps words and energy; what it takes in cores is the knapsack's to say."""
        if budget.cores is not None:
            return False
        formats = {**self.given, **picked}
        words = sum(self._words(name, form) for name, form in formats.items())
        energy = sum(self._energy(name, form) for name, form in formats.items())
        return (words <= (np.inf if budget.words is None else budget.words)
                and energy <= (np.inf if budget.energy is None else budget.energy))

    def _uniform(self, budget: Budget) -> list[dict[str, Format]]:
        """Of each kind of format the widest for all groups alike that keeps the budget: none must be better."""
        found = []
        for kind in (SINGLE, SPLIT, CHAINED):
            alike = ({name: form if form in self.trials[name] else Format(bits=form.bits) for name in self.free}
                     for form in reversed(kind))
            found += [picked for picked in alike if self._is_tried(picked) and self._fits(picked, budget)][:1]
        return found

    def _fits(self, picked: Formats, budget: Budget) -> bool:
        """Whether a choice keeps the budget, by its trials, or where these come near, once it is built."""
        if self._keeps(picked, budget):
            return True
        near = None if budget.words is None else replace(budget, words=int(budget.words * NEAR))
        return near is not None and self._keeps(picked, near) and self._built(picked) <= (budget.words or 0)

    def _is_tried(self, picked: Formats) -> bool:
        return all(form in self.trials[name] for name, form in picked.items())

    def _refined(self, picked: dict[str, Format], budget: Budget) -> dict[str, Format]:
        """A choice that no exchange of bits between two groups was measured to improve, as far as trying goes.

        The knapsack adds up what each group does alone, which holds for small errors only.
        """
        best, tries, improved = self._measured(picked), REFINEMENTS, True
        while improved:
            improved = False
            for moved in self._exchanges(picked, budget)[:tries]:
                tries -= 1
                if self._measured(moved) < best:
                    picked, best, improved = moved, self._measured(moved), True
                    break
        return picked

    def _exchanges(self, picked: Formats, budget: Budget) -> list[dict[str, Format]]:
        """One group a rung up, alone or with another one down; the best predicted first."""
        def beside(name: str, by: int) -> list[Format]:
            ladder = self.ladders[name]
            if picked[name] not in ladder:  # a format of all groups alike that another one outdoes
                place = sum(self._words(name, form) <= self._words(name, picked[name]) for form in ladder) - 1
            else:
                place = ladder.index(picked[name])
            return [ladder[place + by]] if 0 <= place + by < len(ladder) else []

        found = []
        for raised in self.free:
            for wider in beside(raised, 1):
                found.append({**picked, raised: wider})
                found += [{**picked, raised: wider, other: less} for other in self.free if other != raised
                          for by in (-1, -2) for less in beside(other, by)]
        kept = [moved for moved in found if self._keeps(moved, budget)]
        return sorted(kept, key=lambda moved: sum(
            self.errors[name].get(form, self._measured({name: form}) ** 2) for name, form in moved.items()))

    def _tightened(self, budget: Budget, choice: Choice) -> tuple[dict[str, Format], Choice]:
        """Choices until the measured error is below the limit, which the predicted one need not be."""
        assert budget.max_error is not None
        limit, picked = budget.max_error, self._picked(choice)
        for _ in range(TIGHTENINGS):
            measured = self._measured(picked)
            if measured <= budget.max_error:
                break
            limit *= min(budget.max_error / measured, 0.95)
            choice = self._solved(replace(budget, max_error=limit))
            picked = self._picked(choice)
        return picked, choice

    # ------------------------------------------------------------------------------------------- what came of it
    def _built(self, picked: Formats) -> int:
        """The words that a program with these formats takes: it depends on which weights become zero, or coarse.

        In a large network the most that they can be.
        """
        if self.is_large:
            return sum(self._words(name, form) for name, form in {**self.given, **picked}.items())
        built = lowered(self._populations_in({**self.given, **picked}), self._scratch())
        return sum(synapse_words(node) for node in built.nodes.values() if isinstance(node, Synapse))

    def _report(self, picked: Formats, choice: Choice, words: int) -> None:
        """Say what was chosen and what it costs."""
        sizes = {name: Rows(linear=linear).values.size for name, linear in self.linears.items()}
        formats = {**self.given, **picked}
        bits = sum(form.bits * (1 - form.pruned / 100) * sizes[name] for name, form in formats.items())
        error = f", measured output error {self._measured(picked):.3g}" if self.outputs.is_affordable else ""
        proven = "" if choice.optimal else ", not proven optimal"
        self.context.report(Diagnostic(
            code="LHC502", severity=Severity.NOTE, param=f"solved by {choice.solver}{proven}",
            message=f"bits were allocated: {words} synapse words, "
                    f"{bits / max(sum(sizes.values()), 1):.2f} bits a weight on average{error}",
            help="--dump-bits FILE.toml writes the choice down; --budget words=N asks for another"))


def _ladder(trials: Mapping[Format, Trial]) -> list[Format]:
    """The formats that err less than every one with fewer words, in the order of words; thinned out if many."""
    ladder: list[Format] = []
    least = np.inf
    for form, tried in sorted(trials.items(), key=lambda item: (item[1].words, item[1].error)):
        if tried.error < least:
            ladder.append(form)
            least = tried.error
    if len(ladder) <= RUNGS:
        return ladder
    return [ladder[i] for i in np.unique(np.linspace(0, len(ladder) - 1, RUNGS).astype(int))]
