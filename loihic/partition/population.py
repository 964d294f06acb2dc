"""Population: what a slice of one takes of a core in all, and the longest slice that a core has room for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.ops.conv_synapse import ConvSynapse
from loihic.partition.connections import Connection, connections, populations, read_by_host
from loihic.partition.layout import Layout, as_map
from loihic.partition.needs import ConvNeed, Need, group_bits, is_one_to_one, need_of
from loihic.partition.resources import (
    AXON_IN,
    AXON_MAP,
    AXON_MEM,
    GROUPS,
    MEMORIES,
    NEURONS,
    POOL,
    READS,
    SYNAPSES,
    SYNOPS,
    UPDATES,
    WORK,
)
from loihic.partition.words import WIDEST
from loihic.targets.limits import Limits

COARSE = 4  # sizes that a search for the longest slice tries together
FINE = 3  # on either side of where it then expects the end
COLUMNS = len(MEMORIES) + len(WORK)


@dataclass(frozen=True, kw_only=True)
class Population:
    """One population in one layout.

    Attributes:
        name: of the compartments' node.
        layout: the order in which it is cut.
        needs: of its synapse groups.
        state_words: per neuron.
        axons_out: synapse groups and readers that each neuron sends to on an axon of its own.
        convolved: convolutions that hear it, whose axons are shared by the channels of a pixel.
        overlap: words of axon memory per pixel for targets on several cores, as far as they are known.
    """

    name: str
    layout: Layout
    needs: tuple[Need, ...]
    state_words: int
    axons_out: int
    convolved: int
    overlap: float = 0.0

    @property
    def size(self) -> int:
        """Neurons in all."""
        return self.layout.size

    @property
    def is_map(self) -> bool:
        """Whether slices must be of whole pixels, within one group of channels, since a kernel is shared."""
        return any(isinstance(need, ConvNeed) for need in self.needs)

    def grain(self, start: int) -> tuple[int, int]:
        """Neurons that cannot be parted at a position, and where the slice must end at the latest."""
        if not self.is_map:
            return 1, self.size
        first, end, base = self.layout.group_of(start)
        return end - first, base + (end - first) * self.layout.pixels

    def use(self, start: int, stops: Array, timed: bool = True) -> Array:
        """What the slices [start, stop) take, for each of `stops`: (len(stops), MEMORIES then WORK per step).

        Work other than updates is left at 0 unless `timed`.
        """
        sizes = stops - start
        found = np.zeros((stops.size, COLUMNS))
        found[:, NEURONS] = sizes * self.state_words
        found[:, GROUPS] = 1
        first, end, _ = self.layout.group_of(start)
        pixels = (stops - 1) // (end - first) - start // (end - first) + 1
        found[:, AXON_MAP] = sizes * self.axons_out + self.convolved * pixels * runs_per_pixel(end - first)
        found[:, AXON_MEM] = np.ceil(pixels * self.overlap)
        found[:, len(MEMORIES) + UPDATES] = sizes
        for need in self.needs:
            words, axons = need.memory(start, stops)
            found[:, SYNAPSES] += words
            found[:, AXON_IN] += axons
            if timed:
                operations, reads = need.work(start, stops)
                found[:, len(MEMORIES) + SYNOPS] += operations
                found[:, len(MEMORIES) + READS] += reads
        found[:, POOL] = found[:, :POOL].sum(axis=1)
        return found

    def longest(self, start: int, room: Array) -> int:
        """The end of the longest slice from `start` that fits into `room`; `start` itself if none does.

        Args:
            start: position of the first neuron.
            room: what is left of a core, in the order of `use`; inf where nothing limits.
        """
        grain, end = self.grain(start)
        high = int(min(end - start, room[NEURONS] // self.state_words, room[len(MEMORIES) + UPDATES]) // grain)
        low = 0
        timed = bool(np.isfinite(room[len(MEMORIES) :]).any())
        while low < high:
            # What a slice takes grows nearly in proportion, so that two sizes tell about where the longest ends.
            tried = np.unique(np.linspace(low + 1, high, COARSE).astype(np.int64))
            use = self.use(start, start + tried * grain, timed)
            fits = np.all(use <= room, axis=1)
            if fits.all():
                return start + high * grain
            best = int(np.argmin(fits))
            high = int(tried[best]) - 1
            if best == 0:
                continue
            low = int(tried[best - 1])
            slope = np.maximum(use[best] - use[best - 1], 1e-12) / (tried[best] - low)
            guess = low + int(min(np.min((room - use[best - 1]) / slope), high - low))
            near = np.arange(max(low + 1, guess - FINE), min(high, guess + FINE) + 1)
            if near.size:
                fits = np.all(self.use(start, start + near * grain, timed) <= room, axis=1)
                last = int(np.argmin(fits)) if not fits.all() else near.size
                high = int(near[last]) - 1 if last < near.size else high
                low = int(near[last - 1]) if last else low
        return start + low * grain

    def least(self, sizes: Array) -> Array:
        """A lower bound of what slices of so many neurons take of each of `MEMORIES`: (len(sizes), MEMORIES)."""
        found = np.zeros((sizes.size, len(MEMORIES)))
        found[:, NEURONS] = sizes * self.state_words
        found[:, GROUPS] = np.minimum(1, sizes)
        channels = as_map(self.layout.shape)[0]
        found[:, AXON_MAP] = sizes * (self.axons_out + self.convolved / max(channels, 1))
        for need in self.needs:
            words, axons = need.least(sizes)
            found[:, SYNAPSES] += words
            found[:, AXON_IN] += axons
        found[:, POOL] = found[:, :POOL].sum(axis=1)
        return found


def runs_per_pixel(channels: int) -> int:
    """Entries in the axon map that a pixel takes for a convolution behind: one for each run of its channels.

    Runs are as long as the powers of two that a quarter of the channels, rounded up, is made of: that reproduces
    AxonMap of all five feature maps in the table of PilotNet (netx/pilotnet_snn), and is not documented.
    """
    return (-(-channels // 4)).bit_count()


@dataclass(frozen=True, slots=True)
class Stored:
    """How the weights of a synapse group are stored: bits of each, and whether all are one weight for pairs."""

    bits: int
    one_to_one: bool


@dataclass(frozen=True, kw_only=True)
class Network:
    """The populations of a program and how they are connected, before layouts are chosen.

    Attributes:
        graph: the timed hardware graph.
        limits: of the chip.
        rates: messages per step per element of every population and Source, flat.
        overlaps: `Population.overlap` where a first cut has shown it.
        most_bits: per weight; what the weights would take if they had no more.
    """

    graph: HardwareGraph
    limits: Limits
    rates: Mapping[str, Array]
    overlaps: Mapping[str, float] = field(default_factory=dict)
    most_bits: int = WIDEST

    @cached_property
    def connections(self) -> tuple[Connection, ...]:
        """Every synapse group."""
        return connections(self.graph)

    @cached_property
    def into(self) -> dict[str, list[Connection]]:
        """Synapse groups by the population that they feed."""
        found: dict[str, list[Connection]] = {name: [] for name in populations(self.graph)}
        for connection in self.connections:
            found[connection.target].append(connection)
        return found

    @cached_property
    def readers(self) -> Counter[str]:
        """How many Sinks read each population."""
        return Counter(read_by_host(self.graph))

    @cached_property
    def _stored(self) -> dict[str, Stored]:
        return {c.name: Stored(min(group_bits(c.synapse), self.most_bits), is_one_to_one(c.synapse))
                for c in self.connections}

    @cached_property
    def _made(self) -> dict[tuple[str, Layout], Population]:
        return {}

    def population(self, name: str, layout: Layout) -> Population:
        """A population in a layout; made once, since sums over its rates take time."""
        if (name, layout) not in self._made:
            self._made[name, layout] = self._population(name, layout)
        return self._made[name, layout]

    def _population(self, name: str, layout: Layout) -> Population:
        shape = self.graph.shapes[name]
        behind = [c.synapse for c in self.connections if c.source == name]
        convolved = sum(isinstance(node, ConvSynapse) and as_map(node.in_shape) == as_map(shape) for node in behind)
        needs = tuple(need_of(c.synapse, layout, self.rates[c.source], self._stored[c.name].bits,
                              self.limits.delay_bits if c.delay else 0, self._stored[c.name].one_to_one)
                      for c in self.into[name])
        return Population(name=name, layout=layout, needs=needs, state_words=self.limits.state_words,
                          axons_out=len(behind) - convolved + self.readers[name], convolved=convolved,
                          overlap=self.overlaps.get(name, 0.0))

    def sizes(self) -> dict[str, int]:
        """Neurons by population."""
        return {name: prod(self.graph.shapes[name]) for name in self.into}
