"""A hardware graph as tables of numbers, which is all that the kernels see."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array, HardwareNode
from loihic.ops.activation import Activation
from loihic.ops.compartment import Compartment
from loihic.ops.delay_line import DelayLine
from loihic.ops.population import Population
from loihic.ops.source import Sink, Source
from loihic.ops.synapse import Synapse
from loihic.ops.traits import Emit
from loihic.quant.fixed import STATE_LIMIT
from loihic.sim.engine import LINE
from loihic.sim.flat import columns as c
from loihic.sim.flat.arena import Arena, UnsuitableError, fitting
from loihic.sim.flat.cells import describe
from loihic.sim.flat.tiles import tiles_of
from loihic.sim.flat.weights import Ends, weigh
from loihic.sim.order import channels_last, groups, layouts


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What the kernels run.

    Attributes:
        cells, synapses: rows of `columns`.
        groups: where each group of cells begins, and where the last one ends.
        weights, table, params: arenas that the columns point into; int16 or int32, int32, int64.
        cell_of, synapse_of: numbers by name.
        senders: the cell that each Sink hears.
        places: per cell, where each of its elements lies in the flat array of the node.
        states: per cell, the names of its states, as they follow each other.
        length: of a sample's row of states.
        tiles: number of flags.
    """

    cells: Array
    synapses: Array
    groups: Array
    weights: Array
    table: Array
    params: Array
    cell_of: dict[str, int]
    synapse_of: dict[str, int]
    senders: dict[str, int]
    places: list[Array]
    states: list[tuple[str, ...]]
    length: int
    tiles: int

    @property
    def sizes(self) -> Array:
        """Number of elements per cell."""
        return np.asarray(self.cells[:, c.SIZE])


def tables(graph: HardwareGraph) -> Tables:
    """A timed hardware graph laid out; once for all engines that run it.

    Raises:
        UnsuitableError: it holds larger numbers than the kernels have bits for, or a population of no neurons.
    """
    kept: Tables | None = graph.__dict__.get("_tables")
    if kept is None:
        kept = graph.__dict__["_tables"] = _laid_out(graph)
    return kept


def _laid_out(graph: HardwareGraph) -> Tables:
    senders = [name for name, node in graph.nodes.items() if isinstance(node, Population | Source | DelayLine)]
    order = groups(graph, {name: number for number, name in enumerate(senders)})
    names = [name for group in order for name in group]
    cell_of = {name: cell for cell, name in enumerate(names)}
    maps = layouts(graph, cell_of)
    places = [channels_last(maps[name]) if name in maps else np.arange(prod(graph.shapes[name])) for name in names]
    weights, table, params = Arena(), Arena(), Arena()
    cells: list[dict[int, int]] = []
    rows: list[dict[int, int]] = []
    synapse_of: dict[str, int] = {}
    length, tiles = 0, 0
    states = []
    for cell, name in enumerate(names):
        node, size = graph.nodes[name], places[cell].size
        if not size:
            raise UnsuitableError(f"{name} has no elements")
        columns = {c.SIZE: size, c.LIVE: tiles, c.STATE: length, c.FIRST_SYNAPSE: len(rows)}
        names_of = tuple(key for key in getattr(node, "initial", _nothing)(0) if key != LINE)
        if isinstance(node, Source):
            fitting(node.message_range)
            columns |= {c.KIND: c.SOURCE}
        else:
            columns |= describe(node, places[cell], table, params)
            tiles += tiles_of(size)
            ring = columns.get(c.STEPS, 0) * (size + 1) if isinstance(node, DelayLine) else 0
            length += ring + len(names_of) * size
            columns[c.PENDING] = length
            length += size
        for edge in graph.incoming[name]:
            synapse = graph.nodes[edge.src]
            sender = edge.src
            row = {}
            if isinstance(synapse, Synapse):
                sender = graph.incoming[edge.src][0].src
                ends = Ends(sender=places[cell_of[sender]], hearer=places[cell], sender_map=maps.get(sender),
                            hearer_map=maps.get(name), largest=_largest(synapse, graph.nodes[sender]))
                row = weigh(synapse, ends, weights, table) | {
                    c.OUTPUTS: size, c.EXPONENT: synapse.exponent, c.SPIKES: int(_spikes(synapse, graph.nodes[sender]))}
                row[c.DIRECT] = int(synapse.exponent == 0 and not row.get(c.WRAPS, 0))
                synapse_of[edge.src] = len(rows)
            elif not isinstance(node, DelayLine):
                elements = np.argsort(places[cell])[places[cell_of[sender]]]
                row = {c.LAYOUT: c.NOW, c.TABLE: table.add(elements)}
            rows.append(row | {c.SENDER: cell_of[sender]})
        columns[c.LAST_SYNAPSE] = len(rows)
        states.append(names_of)
        cells.append(columns)
    joined = fitting(weights.joined(np.int64))
    wide = joined.size and max(-int(joined.min()), int(joined.max()) + 1) > 1 << 15
    return Tables(
        cells=_filled(cells, c.CELL_WIDTH), synapses=_filled(rows, c.SYNAPSE_WIDTH),
        groups=np.cumsum([0, *(len(group) for group in order)]),
        weights=joined.astype(np.int32 if wide else np.int16), table=fitting(table.joined(np.int64)).astype(np.int32),
        params=params.joined(np.int64), cell_of=cell_of, synapse_of=synapse_of, places=places, states=states,
        senders={name: cell_of[graph.incoming[name][0].src] for name, node in graph.nodes.items()
                 if isinstance(node, Sink)},
        length=length, tiles=tiles)


def _filled(rows: list[dict[int, int]], width: int) -> Array:
    """Rows of columns as a table; columns that a row does not name are zero."""
    table = np.zeros((len(rows), width), dtype=np.int64)
    for number, row in enumerate(rows):
        for column, value in row.items():
            table[number, column] = value
    return table


def _nothing(batch: int) -> dict[str, Array]:
    return {}


def _spikes(synapse: Synapse, sender: HardwareNode) -> bool:
    """Whether every message that counts is 1, or counts as 1."""
    return synapse.message_bits == 0 or (isinstance(sender, Compartment) and sender.emit is Emit.SPIKE)


def _largest(synapse: Synapse, sender: HardwareNode) -> int | None:
    """The greatest magnitude of a message, where that is certain whatever runs."""
    if _spikes(synapse, sender):
        return 1
    if isinstance(sender, Compartment) and sender.emit is Emit.STATE:
        return STATE_LIMIT >> sender.out_shift
    if isinstance(sender, Activation):
        return max(-sender.message_range[0], sender.message_range[1])
    return None
