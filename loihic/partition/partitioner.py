"""The partitioner: which slices share a core, for the fewest cores, the shortest step, the least energy, or a balance.

The time of a core is just another memory that its slices fill: for a step of at most T seconds, a core holds T over
the duration of each event. So the fewest cores for a given T is one question, asked with many T.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, inf

import numpy as np

from loihic.ir.node import Array
from loihic.partition.bound import least_cores, patterned_cores
from loihic.partition.figures import figures
from loihic.partition.greedy import SLIVER, Cores, DoesNotFitError, first_fit
from loihic.partition.layouts import choose_layout
from loihic.partition.model import Partition
from loihic.partition.overlap import slice_overlaps
from loihic.partition.population import Network, Population
from loihic.partition.resources import MEMORIES, NEURONS, SYNAPSES, capacities, durations
from loihic.partition.traffic import traffic

OBJECTIVES = ("balanced", "cores", "latency", "energy")
HALF = 0.5  # of the neurons of a core, left free by a heavy slice, are worth a layout of their own
RECUTS = 8  # with room for what overlapping tiles were seen to take
SPARE = 1.1  # times that, since other cuts overlap otherwise
HALVINGS = 12  # of the interval that the shortest step is searched in
CLOSE = 1.002  # an interval this narrow is not halved again
EVEN = 1.1  # prices that differ by less than this are alike: the fewest cores count
TRADES = 8  # step times tried between the shortest step and the fewest cores
FEW = 500  # cores up to which a search takes all of its tries
FEWEST_TRIES = 2
CHIP_COUNTS = 6  # numbers of chips tried for the least energy


class TooManyCoresError(Exception):
    """The network does not fit the cores that there are.

    Attributes:
        needed: cores that it takes, as far as was found.
        allowed: cores that there are.
    """

    def __init__(self, needed: int, allowed: float) -> None:
        super().__init__(f"{needed} cores, {allowed} allowed")
        self.needed, self.allowed = needed, allowed


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A partition and what is known of it.

    Attributes:
        partition: the slices.
        seconds: that the busiest core computes in a step, by the model.
        bound: a number of cores below which no partition is possible.
    """

    partition: Partition
    seconds: float
    bound: int

    @property
    def cores(self) -> int:
        """Cores in use."""
        return len(self.partition.cores)


class Partitioner:
    """Cuts one network.

    Args:
        network: with rates.
        effort: how long to look for a better lower bound.
    """

    def __init__(self, network: Network, effort: float = 1.0) -> None:
        self.network, self.effort = network, effort
        self.capacities = capacities(network.limits)
        self.durations = durations(network.limits)
        self.barrier = float(network.limits.rates.barrier.value)

    @cached_property
    def bound(self) -> int:
        """A number of cores below which no partition is possible; better once `fewest` is known."""
        return least_cores(self.network, self.capacities)

    @cached_property
    def fewest(self) -> Cut:
        """The fewest cores, whatever the time.

        Raises:
            DoesNotFitError: one neuron does not fit a core.
        """
        found = self.within(inf, inf)
        assert found is not None  # nothing limits it
        self.bound = patterned_cores(self.network, self.capacities, self.bound, found.cores, self.effort)
        return replace(found, bound=self.bound)

    def cut(self, objective: str, most: float) -> Cut:
        """The best partition found, on up to `most` cores.

        Raises:
            DoesNotFitError: one neuron does not fit a core.
            TooManyCoresError: the network does not fit the cores.
        """
        if self.fewest.cores > most:
            raise TooManyCoresError(self.fewest.cores, most)
        if objective == "cores":
            return self.fewest
        if objective == "energy":
            return self.thriftiest(most)
        quickest = self.quickest(most)
        if objective == "latency":
            return quickest
        tried = list(self.between(quickest, most))
        price = [cut.cores * max(cut.seconds, self.barrier) for cut in tried]
        # Work that divides well costs about the same on few cores as on many.
        return min((cut for cut, each in zip(tried, price, strict=True) if each <= EVEN * min(price)),
                   key=lambda cut: cut.cores)

    def within(self, seconds: float, most: float) -> Cut | None:
        """The fewest cores found that compute a step in so many seconds; None if they are more than `most`.

        What axons to overlapping tiles take is known once all is cut. Where a core then holds too much, its
        populations are cut again with room for that.

        Raises:
            DoesNotFitError: one neuron does not fit a core, and time is not the reason.
        """
        caps = np.concatenate([self.capacities, seconds / self.durations])
        network = self.network
        try:
            for _ in range(RECUTS):
                partition = self._packed(network, caps, most)
                if partition is None:
                    return None
                found = figures(network, partition)
                if not found.exceeded.any():
                    return Cut(partition=partition, seconds=float(found.seconds.max(initial=0.0)), bound=self.bound)
                network = replace(network, overlaps=_more_room(network, partition, found.exceeded.any(axis=1)))
        except DoesNotFitError:
            if seconds < inf:
                return None
            raise
        if seconds < inf:
            return None
        name = max(network.overlaps, key=lambda key: network.overlaps[key])
        raise DoesNotFitError(name, found.memory[np.argmax(found.exceeded.any(axis=1))])

    def _packed(self, network: Network, caps: Array, most: float) -> Partition | None:
        """The best of several orders of packing; None if all take more than `most` cores."""
        chosen = [choose_layout(network, name, caps) for name in network.into]
        unhurried = bool(np.all(caps[len(MEMORIES) :] == inf))
        best: Cores | None = None
        for order, sliver in _orders(chosen) if unhurried else [(chosen, SLIVER)]:
            best = first_fit(order, caps, most if best is None else len(best.fragments) - 1, sliver) or best
            if best is not None and len(best.fragments) <= self.bound:
                break
        if unhurried and (best is None or len(best.fragments) > self.bound):
            lean = self._lean(network, chosen, caps, most if best is None else len(best.fragments) - 1)
            if lean is not None:
                best, chosen = lean
        return None if best is None else Partition(
            layouts={one.name: one.layout for one in chosen}, cores=tuple(tuple(each) for each in best.fragments))

    def _lean(self, network: Network, chosen: Sequence[Population], caps: Array,
              most: float) -> tuple[Cores, list[Population]] | None:
        """Heavy populations, then the lightest first, laid out for what cores with heavy slices have left."""
        cores, made = Cores(caps), {}
        heavy = {one.name for one in chosen if one.longest(0, caps) * one.state_words < HALF * caps[NEURONS]}
        order = sorted(chosen, key=lambda one: (one.name not in heavy, words_per_neuron(one)))
        for population in order:
            open_ones = cores.rooms[cores.rooms[:, NEURONS] >= HALF * caps[NEURONS]]
            if len(open_ones) > 1 and population.name not in heavy:
                with suppress(DoesNotFitError):
                    population = choose_layout(network, population.name, np.median(open_ones, axis=0))
            made[population.name] = population
            if first_fit([population], caps, most, 0.0, cores) is None:
                return None
        return cores, [made[one.name] for one in chosen]

    def quickest(self, most: float) -> Cut:
        """The shortest step on up to `most` cores: the interval that it must lie in is halved again and again."""
        best = self.fewest
        low = max(self.barrier, best.seconds / max(most, 1))
        high = best.seconds
        for _ in range(self._tries(HALVINGS)):
            if high <= low * CLOSE:
                break
            middle = float(np.sqrt(low * high))
            found = self.within(middle, most)
            if found is None:
                low = middle
            else:
                best, high = found, min(found.seconds, middle)
        return best

    def between(self, quickest: Cut, most: float) -> Iterator[Cut]:
        """Partitions from the fewest cores to the shortest step."""
        yield self.fewest
        least, trades = max(quickest.seconds, self.barrier), self._tries(TRADES)
        if self.fewest.seconds <= least:
            return
        for step in range(1, trades):
            found = self.within(self.fewest.seconds * (least / self.fewest.seconds) ** (step / trades), most)
            if found is not None:
                yield found
        yield quickest

    def _tries(self, usual: int) -> int:
        """How often a network is cut again in search of something better: seldom where a cut takes long."""
        return max(FEWEST_TRIES, min(usual, usual * FEW // max(self.fewest.cores, 1)))

    def thriftiest(self, most: float) -> Cut:
        """The least energy per step: chips draw power as long as the step takes, messages take energy at each hop."""
        per_chip = self.network.limits.cores
        first = ceil(self.fewest.cores / per_chip)
        last = max(first, int(min(most, TRADES * self.fewest.cores)) // per_chip)
        counts = sorted({round(n) for n in np.geomspace(first, last, CHIP_COUNTS)})
        allowed = [min(chips * per_chip, most) for chips in counts]
        return min((cut for cores in allowed for cut in self.between(self.quickest(cores), cores)), key=self.energy)

    def energy(self, cut: Cut) -> float:
        """J per step, as far as it depends on the partition."""
        limits = self.network.limits
        chips = ceil(cut.cores / limits.cores)
        deliveries = traffic(self.network.graph, cut.partition, self.network.rates).deliveries
        mean_hops = (limits.mesh_columns + limits.mesh_rows) / 3  # between two places of the mesh chosen at random
        return (chips * limits.static_power * max(cut.seconds, self.barrier)
                + deliveries * mean_hops * limits.hop_energy)


def _more_room(network: Network, partition: Partition, full: Array) -> dict[str, float]:
    """Overlaps, in words per pixel, that leave room for what slices on cores that are too `full` came to take."""
    seen: dict[str, float] = {}
    for name, core, words, pixels in slice_overlaps(network.connections, partition):
        if full[core] and words:
            seen[name] = max(seen.get(name, 0.0), words / pixels)
    return {**network.overlaps, **{name: SPARE * max(words, network.overlaps.get(name, 0.0))
                                   for name, words in seen.items()}}


def words_per_neuron(population: Population) -> float:
    """Words of synaptic memory per neuron, in a slice of an eighth of the population."""
    size = np.array([max(1, population.size // 8)])
    return float(population.least(size)[0, SYNAPSES]) / float(size[0])


def _orders(populations: Sequence[Population]) -> Iterator[tuple[list[Population], float]]:
    """Orders to pack in, and slivers to avoid: as they come; those with the most synaptic memory per neuron first."""
    heaviest_first = sorted(populations, key=words_per_neuron, reverse=True)
    yield list(populations), SLIVER
    yield heaviest_first, SLIVER
    yield heaviest_first, 0.0
    yield list(reversed(populations)), SLIVER
