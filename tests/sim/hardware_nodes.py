"""Random hardware nodes: every kind of population, synapse and line, plain parameters and those at their ends."""

from __future__ import annotations

from enum import Enum
from math import prod
from typing import Any

import numpy as np

from loihic.ops.activation import Activation
from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.delay_line import DelayLine
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.population import Population
from loihic.ops.sigma_delta import SdnRole, SigmaDeltaNeurons
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import Synapse
from loihic.ops.traits import Emit, Reset

Shape = tuple[int, ...]
POPULATIONS = ("stock", "compartment", "activation", "staircase", "sigma-delta")
VTH_MAX = (1 << 17) - 1
V_MAX = (1 << 23) - 1


class Mood(str, Enum):
    """What a net's numbers are like."""

    PLAIN = "plain"  # something happens in most steps, little wraps
    EXTREME = "extreme"  # every field at one of its ends
    LOUD = "loud"  # low thresholds, large weights: nearly all spike, u wraps, v saturates
    SILENT = "silent"  # thresholds that nothing reaches
    EMPTY = "empty"  # weights of zero


class Nodes:
    """Draws nodes whose numbers come from `rng`.

    Args:
        rng: where the numbers come from.
        mood: what they are like.
        wide: whether some may need more than 32 bits, which the chip has nowhere, but a file may hold.
    """

    def __init__(self, rng: np.random.Generator, mood: Mood, wide: bool) -> None:
        self.rng, self.mood, self.wide = rng, mood, wide

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def one(self, *values: Any) -> Any:
        return values[self.rng.integers(len(values))]

    def size(self, shape: Shape) -> Shape:
        """Of a parameter: a number, one a neuron, or one a channel."""
        choices: list[Shape] = [(), shape, shape]
        if len(shape) == 3:
            choices.append((shape[0], 1, 1))
        return choices[self.rng.integers(len(choices))]

    def pick(self, size: Shape, low: int, high: int, *, often: int | None = None) -> np.ndarray:
        """A parameter within its range, or at its ends."""
        if often is not None and self.chance(0.5):
            return np.full(size, often, dtype=np.int64)
        if self.mood is Mood.EXTREME:
            return np.asarray(self.rng.choice([low, low, high, high, (low + high) // 2], size))
        return np.asarray(self.rng.integers(low, high + 1, size))

    def population(self, kind: str, shape: Shape) -> Population:
        """A population of one of the kinds of `POPULATIONS`."""
        if kind in ("stock", "compartment"):
            return self._compartment(shape, stock=kind == "stock")
        return self._sigma_delta(shape) if kind == "sigma-delta" else self._activation(shape, kind == "staircase")

    def _threshold(self, size: Shape) -> np.ndarray:
        if self.mood is Mood.SILENT:
            return np.full(size, VTH_MAX)
        if self.mood is Mood.LOUD:
            return self.pick(size, 0, 3)
        return self.pick(size, 0, VTH_MAX if self.mood is Mood.EXTREME else 200)

    def _compartment(self, shape: Shape, *, stock: bool) -> Compartment:
        if stock:  # uniform, as Lava's own LIF has it, but for the bias
            return Compartment(
                shape=shape, du=self.pick((), 0, 4095, often=4095), dv=self.pick((), 0, 4096, often=0),
                vth=self._threshold(()), vbias_mant=self.pick(self.size(shape), -4096, 4095, often=0),
                vbias_exp=self.pick((), 0, 7, often=0), v_init=self.pick(self.size(shape), -V_MAX, V_MAX, often=0),
                start=int(self.rng.integers(0, 4)))
        size = self.size
        return Compartment(
            shape=shape, du=self.pick(size(shape), 0, 4095, often=4095), dv=self.pick(size(shape), 0, 4096),
            vth=self._threshold(size(shape)), ibias_mant=self.pick(size(shape), -4096, 4095, often=0),
            ibias_exp=self.pick(size(shape), 0, 7, often=0), vbias_mant=self.pick(size(shape), -4096, 4095, often=0),
            vbias_exp=self.pick(size(shape), 0, 7, often=0), v_init=self.pick(size(shape), -V_MAX, V_MAX, often=0),
            start=int(self.rng.integers(0, 5)), reset=self.one(*Reset), emit=self.one(*Emit),
            out_shift=int(self.one(0, 3, 6, 15, 23)), stock=False)

    def _activation(self, shape: Shape, staircase: bool) -> Activation:
        common: dict[str, Any] = {
            "shape": shape, "start": int(self.rng.integers(0, 5)), "sigma": self.chance(0.5), "delta": self.chance(0.5),
            "vth": int(self.one(0, 1, 2, 5))}
        if staircase:
            steps, rise = int(self.one(0, 1, 3, 15)), int(self.one(1, 1, 2, 7))
            rows: Shape = self.one((), shape[:1], shape) if steps else ()
            reach = {Mood.SILENT: 0, Mood.LOUD: 200, Mood.EXTREME: V_MAX}.get(self.mood, 4000)
            steps_at = np.sort(self.pick((*rows, steps), -reach, reach), axis=-1)
            low = int(self.one(0, 0, -rise, -8, 3))
            return Activation(**common, low=low, high=low + rise * steps, rise=rise,
                              thresholds=steps_at + (V_MAX + 1 if self.mood is Mood.SILENT else 0))
        low, high = self.one((0, 255), (-128, 127), (0, 15), (-1, 1), (3, 9), (-9, -3), (0, V_MAX), (-V_MAX, V_MAX))
        if self.wide and self.chance(0.2):
            low, high = -(1 << 31), (1 << 31) - 1
        reach = (1 << 38) - 1 if self.wide and self.chance(0.3) else (1 << 15) - 1
        size = self.size
        return Activation(
            **common, low=low, high=high, multiplier=self.pick(size(shape), 1 if self.chance(0.7) else -reach, reach),
            addend=self.pick(size(shape), -(1 << 29), 1 << 29, often=0), ties_even=self.chance(0.5),
            shift=self.pick(size(shape), 0, 62 if self.mood is Mood.EXTREME else 18, often=int(self.one(1, 8, 12))))

    def _sigma_delta(self, shape: Shape) -> SigmaDeltaNeurons:
        most = 31 if self.mood is Mood.EXTREME else 7
        least = {Mood.LOUD: 0, Mood.PLAIN: 20}.get(self.mood, 1 << 20)
        return SigmaDeltaNeurons(
            shape=shape, role=self.one(*SdnRole), bias=self.pick(self.size(shape), -200, 200, often=0),
            threshold=int(self.pick((), 0, least)),
            spike_exp=int(self.pick((), 0, most)), state_exp=int(self.pick((), 0, most)))

    def line(self, shape: Shape, longest: int = 4) -> DelayLine:
        """A delay line, of one length or of one per element."""
        return DelayLine(shape=shape, steps=np.asarray(self.rng.integers(1, longest + 1, self.size(shape))))

    def weights(self, *shape: int) -> np.ndarray:
        """Mantissas: mixed ones are even, those of one sign need not be."""
        if self.mood is Mood.EMPTY:
            return np.zeros(shape, dtype=np.int64)
        if self.mood is Mood.EXTREME:
            return np.asarray(self.rng.choice([-256, 0, 254], shape), dtype=np.int64)
        low, high = self.one((-254, 254), (-254, 254), (-20, 20), (0, 255), (-255, 0), (254, 254))
        if self.mood is Mood.LOUD:
            low, high = abs(high) // 2, max(abs(low), abs(high))
        values = self.rng.integers(low, high + 1, shape)
        return values // 2 * 2 if low < 0 < high else values

    def matrix(self, into: Shape, out: Shape, *, sparse: bool, exponent: int, bits: int) -> Synapse:
        """A full matrix, or a sparse one that may hold zeros, columns out of order and a place twice."""
        common: dict[str, Any] = {"in_shape": into, "out_shape": out, "exponent": exponent, "message_bits": bits}
        weights = self.weights(prod(out), prod(into))
        if not sparse:
            return DenseSynapse(**common, weights=weights.astype(self.one(np.int64, np.int64, np.int32, np.int16)))
        rows, columns = np.nonzero(self.rng.random(weights.shape) < self.one(0.0, 0.2, 0.4, 1.0))
        if len(rows) and self.chance(0.2):
            again = self.rng.integers(0, len(rows), 2)
            rows, columns = np.concatenate([rows, rows[again]]), np.concatenate([columns, columns[again]])
            order = np.lexsort((self.rng.random(len(rows)), rows))
            rows, columns = rows[order], columns[order]
        ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=prod(out)))])
        return SparseSynapse(**common, data=weights[rows, columns], indices=columns, indptr=ends)

    def convolution(self, into: Shape, *, exponent: int, bits: int) -> ConvSynapse:
        """A convolution of a map (C, H, W), grouped, strided, dilated and padded as it comes."""
        rng, (channels, height, width) = self.rng, into
        groups = int(self.one(*(g for g in (1, 2, 3, channels) if channels % g == 0)))
        padding, dilation, stride = (rng.integers(0, 3, 2), rng.integers(1, 3, 2), rng.integers(1, 4, 2))
        room = np.array([height, width]) + 2 * padding
        kernel = np.minimum(rng.integers(1, 6, 2), (room - 1) // dilation + 1)
        places = (room - dilation * (kernel - 1) - 1) // stride + 1
        out = groups * int(rng.integers(1, 4))
        return ConvSynapse(
            in_shape=into, out_shape=(out, int(places[0]), int(places[1])), exponent=exponent, message_bits=bits,
            kernel=self.weights(out, channels // groups, int(kernel[0]), int(kernel[1])), groups=groups,
            stride=_pair(stride), padding=_pair(padding), dilation=_pair(dilation))


def _pair(values: np.ndarray) -> tuple[int, int]:
    return int(values[0]), int(values[1])
