"""Fragments of populations on cores, and cores on the mesh: what partition and placement decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from loihic.ir.node import Array
from loihic.partition.layout import Layout

HOST = -1  # stands for a core where messages come from outside, or leave


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Fragment:
    """The neurons at positions [start, stop) of a population's layout."""

    population: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Neurons in it."""
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True)
class Partition:
    """Which neurons share a core. Cores are logical: numbers from 0, that a placement gives a place.

    The compartments of a core are numbered from 0, fragment after fragment, in the order of the layouts.

    Attributes:
        layouts: of every population.
        cores: the fragments of each core.
    """

    layouts: Mapping[str, Layout]
    cores: tuple[tuple[Fragment, ...], ...]

    @cached_property
    def slices(self) -> dict[str, Slices]:
        """Every population's slices in order of position."""
        found: dict[str, list[tuple[int, int, int, int]]] = {name: [] for name in self.layouts}
        for core, fragments in enumerate(self.cores):
            first = 0
            for fragment in fragments:
                found[fragment.population].append((fragment.start, fragment.stop, core, first))
                first += fragment.size
        return {name: Slices(*np.array(sorted(rows), dtype=np.int64).reshape(-1, 4).T) for name, rows in found.items()}

    def locate(self, population: str, flat: int) -> tuple[int, int]:
        """Core and compartment of the neuron with C-order number `flat`."""
        position = int(self.layouts[population].positions(np.asarray(flat)))
        slices = self.slices[population]
        place = int(np.searchsorted(slices.start, position, side="right")) - 1
        return int(slices.core[place]), int(slices.compartment[place]) + position - int(slices.start[place])

    def neuron(self, core: int, compartment: int) -> tuple[str, int]:
        """Population and C-order number of the neuron in a compartment; the inverse of `locate`.

        Raises:
            IndexError: the core has fewer compartments.
        """
        left = compartment
        for fragment in self.cores[core]:
            if 0 <= left < fragment.size:
                layout = self.layouts[fragment.population]
                return fragment.population, int(layout.flat(np.asarray(fragment.start + left)))
            left -= fragment.size
        raise IndexError(f"core {core} has no compartment {compartment}")

    def check(self) -> None:
        """Raise ValueError unless every neuron is on exactly one core."""
        for name, layout in self.layouts.items():
            slices = self.slices[name]
            ends = np.concatenate([[0], slices.stop])
            starts = np.concatenate([slices.start, [layout.size]])
            if not np.array_equal(ends, starts) or np.any(slices.stop <= slices.start):
                raise ValueError(f"{name}: not every neuron is on exactly one core")


@dataclass(frozen=True, slots=True)
class Slices:
    """The slices of a population in order: positions [start, stop), core, and compartment of the first neuron."""

    start: Array
    stop: Array
    core: Array
    compartment: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Mesh:
    """Cores at routers, routers in a grid on each chip, chips in a grid.

    Sites are physical cores: chip * cores + core. A chip's cores fill its routers in order, row by row.

    Attributes:
        cores: of a chip that a program may use.
        chips: in all.
        columns, rows: of routers on a chip.
        per_router: cores at one router.
        chip_columns: chips in a row.
        crossing: hops that the way from one chip to the next counts as, beside the hop itself.
    """

    cores: int
    chips: int = 1
    columns: int = 8
    rows: int = 4
    per_router: int = 4
    chip_columns: int = 1
    crossing: float = 0.0

    @property
    def sites(self) -> int:
        """Cores in all."""
        return self.cores * self.chips

    def routers(self, sites: Array) -> tuple[Array, Array]:
        """Global column and row of the router of each site; the host is at the first chip's first router."""
        chip, core = np.divmod(np.where(sites == HOST, 0, sites), self.cores)
        row, column = np.divmod(core // self.per_router, self.columns)
        chip_row, chip_column = np.divmod(chip, self.chip_columns)
        return chip_column * self.columns + column, chip_row * self.rows + row


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where each logical core of a partition lies.

    Attributes:
        mesh: of the system.
        sites: physical core per logical core, all different.
        method: that chose it.
    """

    mesh: Mesh
    sites: Array
    method: str = field(default="linear", compare=False)

    def chip(self, core: int) -> int:
        """The chip of a logical core."""
        return int(self.sites[core]) // self.mesh.cores

    def core(self, core: int) -> int:
        """The number on its chip of a logical core."""
        return int(self.sites[core]) % self.mesh.cores

    def check(self) -> None:
        """Raise ValueError unless all sites are different ones of the mesh."""
        if np.unique(self.sites).size != self.sites.size or np.any((self.sites < 0) | (self.sites >= self.mesh.sites)):
            raise ValueError("two cores share a site, or one lies outside the mesh")


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Messages between cores: one hyperedge for all axons of a core that go to the same cores.

    Attributes:
        cores: how many logical cores there are.
        source: core that sends, per hyperedge, or HOST.
        weight: messages per step, per hyperedge.
        first: where the targets of each hyperedge begin in `targets`, and the end of the last.
        targets: cores that receive, or HOST.
    """

    cores: int
    source: Array
    weight: Array
    first: Array
    targets: Array

    @property
    def deliveries(self) -> float:
        """Messages that arrive per step, each counted at every core that it goes to."""
        return float(self.weight @ np.diff(self.first))
