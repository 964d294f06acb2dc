"""The plan of a program: which core of which chip holds what. The integers are the same with any plan, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from loihic.errors import CompileError
from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.partition.figures import Figures, figures
from loihic.partition.greedy import DoesNotFitError
from loihic.partition.misfits import forbidden, misfits, too_many_cores
from loihic.partition.model import Partition, Placement, Traffic
from loihic.partition.partitioner import Partitioner, TooManyCoresError
from loihic.partition.placement import place
from loihic.partition.population import Network
from loihic.partition.traffic import traffic
from loihic.targets.systems import System, counted

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A partition and its placement, with all that they were chosen by.

    Attributes:
        graph: the timed hardware graph that is placed.
        system: the chips.
        objective: what the partition was to save.
        partition: the slices of populations, by logical core.
        placement: the place of each logical core.
        rates: messages per step of each element of every population and Source, flat.
        activity: where the rates come from, in words.
        bound: a number of cores below which no partition is possible.
    """

    graph: HardwareGraph
    system: System
    objective: str
    partition: Partition
    placement: Placement
    rates: Mapping[str, Array]
    activity: str
    bound: int

    @cached_property
    def network(self) -> Network:
        """The populations with their needs."""
        return Network(graph=self.graph, limits=self.system.limits, rates=self.rates)

    @cached_property
    def figures(self) -> Figures:
        """What each logical core holds and does."""
        return figures(self.network, self.partition)

    @cached_property
    def traffic(self) -> Traffic:
        """The messages between logical cores."""
        return traffic(self.graph, self.partition, self.rates)

    @property
    def cores(self) -> int:
        """Cores in use."""
        return len(self.partition.cores)

    @property
    def chips(self) -> int:
        """Chips in use."""
        return int(np.unique(self.placement.sites // self.placement.mesh.cores).size)


def plan(graph: HardwareGraph, system: System, rates: Mapping[str, Array], *, activity: str = "given",
         objective: str = "balanced", method: str = "auto", most_cores: int | None = None, fixed_chips: bool = True,
         seed: int = 0, progress: Progress | None = None) -> Plan:
    """Partition and place a program.

    Args:
        graph: the timed hardware graph.
        system: the chips that may be used.
        rates: messages per step of each element of every population and Source, flat.
        activity: where the rates come from, in words.
        objective: "balanced", "cores", "latency" or "energy".
        method: of placement.
        most_cores: that may be used, if fewer than the system has.
        fixed_chips: whether the system's chips are all that there are; if not, as many are taken as the network needs.
        seed: of the placement.
        progress: called with what is being done.

    Raises:
        CompileError: everything that does not fit, at once: LHC406 to LHC409.
    """
    tell = progress or (lambda _: None)
    network = Network(graph=graph, limits=system.limits, rates=rates)
    partitioner = Partitioner(network)
    tell("partition")
    if any(forbidden(network)):
        raise CompileError(misfits(network))
    try:
        if not fixed_chips:
            system = counted(system.limits, max(1, ceil(partitioner.fewest.cores / system.limits.cores)))
        most = min(system.cores, system.cores if most_cores is None else most_cores)
        cut = partitioner.cut(objective, most)
    except DoesNotFitError as error:
        raise CompileError(misfits(network, error)) from None
    except TooManyCoresError as error:
        raise CompileError([too_many_cores(network, system, error)]) from None
    tell("place")
    placement = place(traffic(graph, cut.partition, rates), system.mesh(), method=method, seed=seed)
    return Plan(graph=graph, system=system, objective=objective, partition=cut.partition, placement=placement,
                rates=rates, activity=activity, bound=cut.bound)
