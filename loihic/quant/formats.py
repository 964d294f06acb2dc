"""Formats: how the weights of one synapse group may be stored, and the lattice of numbers that each can hold."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.node import Array
from loihic.ops.synapse import SignMode
from loihic.quant.fixed import EXPONENT_MAX, EXPONENT_MIN
from loihic.quant.weights import WeightGrid, grid

WIDEST = 16
BYTE = 8  # bits of one stored weight
SHIFTS = (1, 2, 3, 4)  # by which the coarse half of a split group may lie above the fine one
_SPELLING = re.compile(r"^([0-9]{1,2})(f?)(?:p([0-9]{1,2}))?$")


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Format:
    """How a group is stored.

    Up to 8 bits a weight is one synapse. A `split` group is two synapses with the same bits and different exponents, of
    which each connection uses one: large weights take the coarse one. Above 8 bits each connection is two chained
    synapses, one with 8 bits and one with the rest, whose exponents differ by 8. In a matrix the weights that matter
    least may be given no bits at all: a synapse that is not there takes no memory either.

    Attributes:
        bits: of a weight, 1 to 16.
        split: whether there are two exponents; up to 8 bits only.
        pruned: per cent of the weights that are left out.
    """

    bits: int
    split: bool = False
    pruned: int = 0

    def __str__(self) -> str:
        return f"{self.bits}{'f' if self.split else ''}{f'p{self.pruned}' if self.pruned else ''}"

    @property
    def is_chained(self) -> bool:
        """Whether each connection takes two synapses."""
        return self.bits > BYTE

    @classmethod
    def parse(cls, text: str) -> Format:
        """A format as users write it: ``8``, ``8f`` (split), ``12``, ``6p40`` (40 % of the weights left out).

        Raises:
            InputError: LHC702.
        """
        match = _SPELLING.match(text.strip())
        bits = int(match[1]) if match else 0
        split = bool(match and match[2])
        if not 1 <= bits <= (BYTE if split else WIDEST):
            fail("LHC702", f"{text!r} is not a width of weights", error=InputError,
                 help="1 to 8 bits; 1f to 8f give each weight one of two exponents; 9 to 16 take two synapses; "
                      "p40 behind it leaves out 40 % of the weights")
        return cls(bits=bits, split=split, pruned=int(match[3] or 0) if match else 0)


BYTES = Format(bits=BYTE)
SINGLE = tuple(Format(bits=bits) for bits in (1, 2, 3, 4, 5, 6, 8))  # 7 is stored as 8
SPLIT = tuple(Format(bits=bits, split=True) for bits in (2, 3, 4, 5, 6, 8))
CHAINED = tuple(Format(bits=bits) for bits in (10, 12, 14, 16))
PRUNED = tuple(Format(bits=bits, split=split, pruned=share) for share in (15, 30, 45, 60, 75)
               for bits, split in ((3, False), (4, False), (5, False), (6, False), (8, False), (4, True), (6, True)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One synapse of a group.

    Attributes:
        mantissas: flat, zero where a split group stores the weight elsewhere.
        exponent, bits: of this synapse.
        used: which weights are stored here; None for all.
    """

    mantissas: Array
    exponent: int
    bits: int
    used: Array | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Lattice:
    """The numbers that a group can hold, in units of the accumulated sum.

    Attributes:
        format: how it is stored.
        mode: the signs of its weights.
        exponent: of the synapse; of the fine one where there are two.
        shift: by how much the coarse exponent of a split group lies above the fine one.
    """

    format: Format
    mode: SignMode
    exponent: int
    shift: int = 0

    @property
    def _grid(self) -> WeightGrid:
        """The grid of one synapse; of the low one of a chain."""
        return grid(self.mode, self.format.bits - BYTE if self.format.is_chained else self.format.bits)

    @property
    def unit(self) -> float:
        """The least distance of two numbers."""
        return float(self._grid.step * 2.0**self.exponent)

    @property
    def is_exact(self) -> bool:
        """Whether the chip's shift of the sum loses nothing: then every number is whole."""
        return self.unit >= 1

    @property
    def top(self) -> float:
        """The greatest magnitude that is held on either side."""
        single = self._grid
        if self.format.is_chained:
            return float((max(grid(self.mode, BYTE).high, -grid(self.mode, BYTE).low - 2) << BYTE) * 2.0**self.exponent)
        # One mixed bit holds -256 and 0 only; everywhere else the odd lowest number is left out.
        reach = max(single.high, -single.low - single.step) or single.step
        return float(reach * 2.0 ** (self.exponent + self.shift))

    @property
    def is_possible(self) -> bool:
        """Whether the chip has the exponents."""
        above = BYTE if self.format.is_chained else self.shift
        if self.format.is_chained and not self.is_exact:
            return False
        return self.exponent >= EXPONENT_MIN and self.exponent + above <= EXPONENT_MAX

    def steps(self, values: Array) -> Array | float:
        """The distance of neighbouring numbers at each value."""
        if not self.format.split:
            return self.unit
        single = self._grid
        half = 0.5 * self.unit
        fits = (values < single.high * 2.0**self.exponent + half) & (values > single.low * 2.0**self.exponent - half)
        return np.where(fits, self.unit, self.unit * 2.0**self.shift)

    def limits(self, steps: Array | float) -> tuple[Array | float, Array | float]:
        """Least and greatest number with such steps."""
        single = self._grid
        if self.format.is_chained:
            high = grid(self.mode, BYTE)
            low_end = (high.low * (1 << BYTE) + single.low) * 2.0**self.exponent
            return low_end, (high.high * (1 << BYTE) + single.high) * 2.0**self.exponent
        return single.low // single.step * steps, single.high // single.step * steps

    def round(self, values: Array, steps: Array | float) -> Array:
        """The nearest numbers, clipped."""
        low, high = self.limits(steps)
        rounded: Array = np.rint(values / steps)
        rounded *= steps
        return np.clip(rounded, low, high, out=rounded)

    def parts(self, numbers: Array, steps: Array | float) -> tuple[Part, ...]:
        """The synapses that hold `numbers` (flat, of this lattice); a part without weights is left out."""
        bits, exponent = self.format.bits, self.exponent
        whole = np.rint(numbers / 2.0**exponent).astype(np.int64)
        if self.format.is_chained:
            return self._chain(whole)
        if not self.format.split:
            return (Part(mantissas=whole, exponent=exponent, bits=bits),)
        fine = np.asarray(steps) == self.unit
        coarse = np.where(fine, 0, whole >> self.shift)
        halves = (Part(mantissas=np.where(fine, whole, 0), exponent=exponent, bits=bits, used=fine),
                  Part(mantissas=coarse, exponent=exponent + self.shift, bits=bits, used=~fine))
        kept = tuple(half for half in halves if np.any(half.mantissas))
        return kept or halves[:1]

    def _chain(self, whole: Array) -> tuple[Part, ...]:
        """The high and the low synapse: whole = high << 8 + low, each on its own grid."""
        sign = -1 if self.mode is SignMode.INHIBITORY else 1
        step = grid(self.mode, BYTE).step  # of the high mantissa: 2 where signs are mixed, which the low one spans
        offset = 1 << BYTE if self.mode is SignMode.MIXED else 0
        high = (sign * whole + offset) // (step << BYTE) * step
        low = sign * whole - (high << BYTE)
        chain = (Part(mantissas=sign * high, exponent=self.exponent + BYTE, bits=BYTE),
                 Part(mantissas=sign * low, exponent=self.exponent, bits=self.format.bits - BYTE))
        kept = tuple(part for part in chain if np.any(part.mantissas))
        return kept or chain[:1]


def exponents(form: Format) -> range:
    """Every exponent that the chip has for a format; of the low or fine synapse where there are two."""
    return range(EXPONENT_MIN, EXPONENT_MAX + 1 - (BYTE if form.is_chained else 0))
