"""Synapses: the integer nodes of one group, from numbers on its lattice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loihic.ir.linear import ConvMap, DenseMap, LinearMap
from loihic.ir.node import Array
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import Synapse
from loihic.partition.words import synapse_words
from loihic.quant.formats import Lattice, Part
from loihic.quant.groups import Rows, values_of, with_values

FULL = 0.95  # share of weights other than zero above which a matrix is stored whole


@dataclass(frozen=True, kw_only=True, eq=False)
class Rounded:
    """The weights of a group on their lattice.

    Attributes:
        rows: the real weights per unit of message, in storable form.
        wanted: those times the scales: what was to be rounded, flat.
        numbers: what they became, flat.
        steps: the distance of neighbouring numbers at each weight.
        lattice: where the numbers lie.
        dropped: the weights that were pruned, times the scales.
    """

    rows: Rows
    wanted: Array
    numbers: Array
    steps: Array | float
    lattice: Lattice
    dropped: LinearMap | None = None

    @property
    def error(self) -> float:
        """Root mean square error relative to the weights' own root mean square."""
        lost = 0.0 if self.dropped is None else float(np.sum(values_of(self.dropped) ** 2))
        power = float(np.sum(self.wanted**2)) + lost
        return float(np.sqrt((np.sum((self.numbers - self.wanted) ** 2) + lost) / power)) if power else 0.0

    def wanted_rows(self) -> Array:
        """What was to be rounded, (rows, columns), with what was pruned."""
        dense = self.rows.dense(self.wanted)
        return dense if self.dropped is None else dense + Rows(linear=self.dropped).dense(values_of(self.dropped))

    def bounds(self, low: Array | float, high: Array | float) -> tuple[Array, Array]:
        """Least and greatest accumulated sums for messages between `low` and `high`."""
        return with_values(self.rows.linear, self.numbers).row_bounds(low, high)

    def synapses(self, group: str, origins: tuple[str, ...], message_bits: int) -> list[Synapse]:
        """The nodes that hold the weights: one, or two where the group is chained or split."""
        common: dict[str, Any] = {"origins": origins, "group": group, "message_bits": message_bits}
        return [self._synapse(part, common) for part in self.lattice.parts(self.numbers, self.steps)]

    @property
    def words(self) -> int:
        """64-bit words of synaptic memory that these integers take."""
        return sum(synapse_words(synapse) for synapse in self.synapses("", (), 0))

    @property
    def size(self) -> int:
        """Number of weights, those included that were pruned."""
        return self.wanted.size + (0 if self.dropped is None else values_of(self.dropped).size)

    def described(self) -> str:
        """The parts for people: ``8-bit mantissas << 2``."""
        parts = " and ".join(f"{part.bits}-bit mantissas << {part.exponent}"
                             for part in self.lattice.parts(self.numbers, self.steps))
        return parts if self.dropped is None else f"{parts}, {1 - self.wanted.size / self.size:.0%} left out"

    def _synapse(self, part: Part, common: dict[str, Any]) -> Synapse:
        linear: LinearMap = self.rows.linear
        common = common | {"in_shape": linear.in_shape, "out_shape": linear.out_shape, "exponent": part.exponent,
                           "num_weight_bits": part.bits}
        if isinstance(linear, ConvMap):
            return ConvSynapse(
                **common, kernel=part.mantissas.reshape(linear.kernel.shape), stride=linear.stride,
                padding=(linear.pads[0][0], linear.pads[1][0]), dilation=linear.dilation, groups=linear.groups)
        common["sign_mode"] = self.lattice.mode
        kept = part.mantissas != 0
        if isinstance(linear, DenseMap) and part.used is None and np.mean(kept) > FULL:
            return DenseSynapse(**common, weights=part.mantissas.reshape(linear.matrix.shape))
        columns = self.rows.by_column(np.arange(self.rows.width))
        ends = np.cumsum(self.rows.sum(kept.astype(np.float64)))
        return SparseSynapse(**common, data=part.mantissas[kept], indices=columns[kept].astype(np.int64),
                             indptr=np.concatenate([[0], ends]).astype(np.int64))
