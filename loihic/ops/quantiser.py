"""Quantiser: real numbers to levels of a grid, as QuantizeLinear, QONNX's Quant and PyTorch's fake quantisers do."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from loihic.ir.node import Array, Shape, ShapeError
from loihic.ir.registry import register_op
from loihic.ops.elementwise import Elementwise


class Rounding(str, Enum):
    """How a quantiser rounds; half-even unless the file says otherwise."""

    HALF_EVEN = "half-even"
    HALF_UP = "half-up"
    FLOOR = "floor"
    CEIL = "ceil"
    TO_ZERO = "to-zero"
    FROM_ZERO = "from-zero"
    HALF_FROM_ZERO = "half-from-zero"
    HALF_TO_ZERO = "half-to-zero"

    def __call__(self, x: Array) -> Array:
        """The rounded numbers, still floats."""
        if self is Rounding.HALF_EVEN:
            return np.rint(x)
        if self is Rounding.HALF_UP:
            return np.asarray(np.floor(x + 0.5))
        if self is Rounding.FLOOR:
            return np.asarray(np.floor(x))
        if self is Rounding.CEIL:
            return np.asarray(np.ceil(x))
        if self is Rounding.TO_ZERO:
            return np.asarray(np.trunc(x))
        if self is Rounding.FROM_ZERO:
            return np.asarray(np.copysign(np.ceil(np.abs(x)), x))
        half = np.floor(np.abs(x) + 0.5) if self is Rounding.HALF_FROM_ZERO else np.ceil(np.abs(x) - 0.5)
        return np.asarray(np.copysign(half, x))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stepwise(Elementwise):
    """An elementwise function with few values: whole levels times a scale.

    Attributes:
        scale: the real value of level 1; a number, or an array that broadcasts to the input's shape.
        low, high: least and greatest level.
    """

    scale: Array
    low: int
    high: int

    @abstractmethod
    def level(self, x: Array) -> Array:
        """The level of each element of a batch, whole numbers as float64."""

    def apply(self, x: Array) -> Array:
        return self.level(x) * self.scale

    def output_shape(self, inputs: Shape) -> Shape:
        if np.broadcast_shapes(self.scale.shape, inputs) != inputs:
            raise ShapeError(f"scale has shape {self.scale.shape}, the input {inputs}")
        return inputs


@register_op("Quantiser", "real numbers to whole levels of a grid")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Quantiser(Stepwise):
    """level = clip(round(x / scale + zero) - zero, low, high), with `round` as the file has it.

    Levels are counted from the zero point, so that level 0 is the number 0 and need not be sent: a uint8 of zero point
    128 has levels -128..127.

    Attributes:
        zero_point: only where rounding makes it matter (a zero point shifts half-even ties); already taken off `low`
            and `high`.
        rounding: of x / scale.
        multiplier: where the file's format defines the level of a whole sum `a` as round(a * multiplier + zero),
            that number, rounded to float32 (a number, or per channel); None if the format says x / scale.
    """

    zero_point: Array = field(default_factory=lambda: np.zeros((), dtype=np.int64))
    rounding: Rounding = Rounding.HALF_EVEN
    multiplier: Array | None = None

    def level(self, x: Array) -> Array:
        return self._clipped(x / self.scale.astype(x.dtype))

    def level_of_sum(self, total: Array) -> Array:
        """The level of a whole sum, by the format's own multiplication.

        The multiplier is a float32, the product is not: so does the ONNX reference evaluator, since numpy multiplies
        int32 by float32 in float64.

        Raises:
            ValueError: the format defines no multiplier.
        """
        if self.multiplier is None:
            raise ValueError("this quantiser has no multiplier")
        return self._clipped(total.astype(np.float64) * self.multiplier.astype(np.float32).astype(np.float64))

    def _clipped(self, scaled: Array) -> Array:
        rounded = self.rounding(scaled + self.zero_point.astype(scaled.dtype)) - self.zero_point
        return np.clip(rounded, self.low, self.high).astype(np.float64)


@register_op("Staircase", "levels by thresholds, or by a gain and rounding")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Staircase(Stepwise):
    """level = low + rise * (number of thresholds at or below x).

    What a quantiser, and every rising function before it, amount to for a whole sum. Where levels are too many to list,
    `thresholds` is None and level = clip(round(gain x + offset), low, high).

    Attributes:
        thresholds: (steps,), (channels, steps) or (*shape, steps), rising; those never reached are infinite.
        rise: the height of a step; 2 in a bipolar quantiser with levels -1 and 1.
        gain, offset: numbers, or arrays that broadcast to the shape; per channel (channels, 1, 1).
        rounding: of gain x + offset.
        unit: the real value of 1 in the whole sum that x is, once it is fused; a number, or an array that broadcasts.
        label: what it stands for, in a few words.
    """

    thresholds: Array | None = None
    rise: int = 1
    gain: Array = field(default_factory=lambda: np.ones(()))
    offset: Array = field(default_factory=lambda: np.zeros(()))
    rounding: Rounding = Rounding.HALF_EVEN
    unit: Array = field(default_factory=lambda: np.ones(()))
    label: str = ""

    def level(self, x: Array) -> Array:
        if self.thresholds is None:
            return np.clip(self.rounding(x * self.gain + self.offset), self.low, self.high)
        return self.low + self.rise * counted(x, self.thresholds).astype(np.float64)


def counted(x: Array, thresholds: Array) -> Array:
    """How many thresholds lie at or below each element of a batch (N, *shape).

    Args:
        x: (N, *shape).
        thresholds: (steps,), (channels, steps) or (*shape, steps), rising along the last axis.
    """
    if thresholds.shape[-1] == 0:
        return np.zeros(x.shape, dtype=np.int64)
    if thresholds.ndim == 1:
        return np.searchsorted(thresholds, x, side="right")
    rows = thresholds.reshape(-1, thresholds.shape[-1])
    columns = x.reshape(x.shape[0], len(rows), -1)
    found = np.stack([np.searchsorted(row, columns[:, k], side="right") for k, row in enumerate(rows)], axis=1)
    return found.reshape(x.shape)
