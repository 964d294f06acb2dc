"""A plan as rows: one for each core in use, or one for each population."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from loihic.ir.node import Array, Shape
from loihic.partition.figures import Figures
from loihic.partition.layout import Box
from loihic.partition.plan import Plan
from loihic.partition.resources import LABELS, MEMORIES, READS, SYNOPS, UPDATES
from loihic.partition.shares import shares
from loihic.report.plan_words import bar, count, duration, percent, slice_words, span

CORE_COLUMNS = ("chip", "core", "slices", *LABELS, "fullest", "", "synops", "time")
NARROW_COLUMNS = ("chip", "core", "slices", "Neurons", "Total", "fullest", "synops", "time")
POPULATION_COLUMNS = ("population", "shape", "cores", *LABELS, "synops", "busiest core", "time")
NARROW_POPULATION_COLUMNS = ("population", "cores", "Neurons", "Total", "synops", "busiest core", "time")
SLICE_COLUMNS = ("compartments", "population", "neurons", "", "from")
SLICE_RIGHT = frozenset({"neurons"})
RIGHT = frozenset({"chip", "core", "cores", *LABELS, "synops", "time"})
ORDERS = ("core", "load", "synops", "fill")
BAR_WIDTH = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceRow:
    """What a core holds of one population.

    Attributes:
        population: its name.
        start, stop: positions in the population's layout.
        compartment: of the first neuron.
        words: which neurons these are, as a person reads it.
        boxes: which neurons these are, as (C, H, W).
    """

    population: str
    start: int
    stop: int
    compartment: int
    words: str
    boxes: tuple[Box, ...]

    @property
    def size(self) -> int:
        """Neurons in it."""
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True, slots=True)
class CoreRow:
    """One core in use.

    Attributes:
        logical: its number in the partition.
        chip, core: its place.
        router: column and row of its router, counted over all chips.
        slices: what lies on it, in order of compartments.
        words: of each of `LABELS`.
        fill: share of the fullest memory that is in use.
        fullest: that memory, one of `LABELS`.
        updates, synops, reads: per step.
        seconds: that it computes in a step, by the model.
    """

    logical: int
    chip: int
    core: int
    router: tuple[int, int]
    slices: tuple[SliceRow, ...]
    words: dict[str, int]
    fill: float
    fullest: str
    updates: float
    synops: float
    reads: float
    seconds: float

    @property
    def neurons(self) -> int:
        """Compartments in use."""
        return sum(one.size for one in self.slices)

    @property
    def main(self) -> str:
        """The population with most neurons on it."""
        sizes: dict[str, int] = {}
        for one in self.slices:
            sizes[one.population] = sizes.get(one.population, 0) + one.size
        return max(sizes, key=lambda name: sizes[name], default="")

    @property
    def text(self) -> str:
        """Its slices in words."""
        return "; ".join(f"{one.population} {one.words}" for one in self.slices)

    def cells(self, columns: Sequence[str] = CORE_COLUMNS, *, ascii_only: bool = False) -> list[str]:
        """For `CORE_COLUMNS`, or those of them that are asked for."""
        cells = {"chip": str(self.chip), "core": str(self.core), "slices": self.text,
                 **{label: str(words) for label, words in self.words.items()},
                 "fullest": f"{self.fullest:<8} {percent(self.fill):>5}",
                 "": bar(self.fill, BAR_WIDTH, ascii_only=ascii_only), "synops": count(self.synops),
                 "time": duration(self.seconds)}
        return [cells[column] for column in columns]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "neurons": self.neurons, "main": self.main}


@dataclass(frozen=True, kw_only=True, slots=True)
class PopulationRow:
    """One population.

    Attributes:
        name, shape: as in the graph.
        cores: (chip, core) of those that it lies on, in order.
        words: of each of `LABELS`, summed over its cores; what others take of the same cores is not in them.
        updates, synops, reads: per step.
        busiest: (chip, core) of its core that computes longest, with all that lies there.
        seconds: that this core computes in a step.
        fill: share of the fullest memory of its fullest core.
    """

    name: str
    shape: Shape
    cores: tuple[tuple[int, int], ...]
    words: dict[str, int]
    updates: float
    synops: float
    reads: float
    busiest: tuple[int, int]
    seconds: float
    fill: float

    def cells(self, columns: Sequence[str] = POPULATION_COLUMNS) -> list[str]:
        """For `POPULATION_COLUMNS`, or those of them that are asked for."""
        chip, core = self.busiest
        cells = {"population": self.name, "shape": " x ".join(map(str, self.shape)), "cores": str(len(self.cores)),
                 **{label: str(words) for label, words in self.words.items()}, "synops": count(self.synops),
                 "busiest core": f"chip{chip}.core{core}", "time": duration(self.seconds)}
        return [cells[column] for column in columns]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def core_rows(plan: Plan) -> list[CoreRow]:
    """Every core in use, by chip and core."""
    return [core_row(plan, logical) for logical in np.argsort(plan.placement.sites).tolist()]


def core_row(plan: Plan, logical: int) -> CoreRow:
    """One core, by its number in the partition."""
    figures, placement = plan.figures, plan.placement
    column, row = placement.mesh.routers(placement.sites[logical : logical + 1])
    fills, work = _fills(figures)[logical], figures.work[logical]
    fullest = int(np.argmax(fills))
    return CoreRow(
        logical=logical, chip=placement.chip(logical), core=placement.core(logical),
        router=(int(column[0]), int(row[0])), slices=tuple(_slices(plan, logical)),
        words=_words(figures.memory[logical]), fill=float(fills[fullest]), fullest=LABELS[fullest],
        updates=float(work[UPDATES]), synops=float(work[SYNOPS]), reads=float(work[READS]),
        seconds=float(figures.seconds[logical]))


def slice_rows(row: CoreRow, sources: Mapping[str, str]) -> list[tuple[str, ...]]:
    """For `SLICE_COLUMNS`: what lies on a core, with the user's names of each population."""
    return [(span(one.compartment, one.compartment + one.size), one.population, str(one.size), one.words,
             "" if sources.get(one.population) == one.population else sources.get(one.population, ""))
            for one in row.slices]


def population_rows(plan: Plan) -> list[PopulationRow]:
    """Every population, in the order of the graph."""
    figures, placement = plan.figures, plan.placement
    fills = _fills(figures).max(axis=1, initial=0.0)
    found = []
    for name, use in shares(plan).items():
        cores = np.unique(plan.partition.slices[name].core)
        if not cores.size:  # a population without neurons lies nowhere
            continue
        cores = cores[np.argsort(placement.sites[cores])]
        busiest = int(cores[np.argmax(figures.seconds[cores])])
        work = use[len(MEMORIES) :]
        found.append(PopulationRow(
            name=name, shape=tuple(plan.partition.layouts[name].shape),
            cores=tuple((placement.chip(int(core)), placement.core(int(core))) for core in cores),
            words=_words(use[: len(MEMORIES)]), updates=float(work[UPDATES]), synops=float(work[SYNOPS]),
            reads=float(work[READS]),
            busiest=(placement.chip(busiest), placement.core(busiest)), seconds=float(figures.seconds[busiest]),
            fill=float(fills[cores].max())))
    return found


def ordered(rows: Iterable[CoreRow] | Iterable[PopulationRow], order: str) -> list[Any]:
    """Rows in one of `ORDERS`: "core" leaves them as they are, the others put the greatest first."""
    keys = {"load": "seconds", "synops": "synops", "fill": "fill"}
    if order not in keys:
        return list(rows)
    return sorted(rows, key=lambda row: float(getattr(row, keys[order])), reverse=True)


def _fills(figures: Figures) -> Array:
    """(cores, MEMORIES) share of each memory that is in use."""
    return np.asarray(figures.memory / figures.capacities)


def _words(memory: Array) -> dict[str, int]:
    """Words by label; parts of words are whole ones."""
    return {label: int(np.ceil(words - 1e-9)) for label, words in zip(LABELS, memory, strict=True)}


def _slices(plan: Plan, logical: int) -> Iterable[SliceRow]:
    """What lies on a core, in order of compartments."""
    compartment = 0
    for fragment in plan.partition.cores[logical]:
        layout = plan.partition.layouts[fragment.population]
        yield SliceRow(population=fragment.population, start=fragment.start, stop=fragment.stop,
                       compartment=compartment, words=slice_words(layout, fragment.start, fragment.stop),
                       boxes=tuple(layout.boxes(fragment.start, fragment.stop)))
        compartment += fragment.size
