"""Units: the real value of 1 in a neuron's sum, chosen so that every weight is a whole number of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loihic.ir.linear import ConvMap, LinearMap
from loihic.ir.node import Array, Shape
from loihic.quant.fixed import STATE_LIMIT
from loihic.quant.groups import Rows, storable, values_of, with_values

NOTHING = 1e-11  # an error that is the floats' own
SAMPLED = 256  # weights that are looked at to choose a common unit
CHUNK = 1 << 12
LARGEST = (1 << 15) - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Entering:
    """One linear map into a population.

    Attributes:
        linear: real weights per level of a message: A times the message's scale.
        unit: where the weights are whole multiples of a unit, that unit, broadcastable to the output; else None.
        bits: to which other weights are rounded.
        low, high: least and greatest level that arrives, zero among them.
    """

    linear: LinearMap
    unit: Array | None
    bits: int
    low: int = 0
    high: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Settled:
    """Whole weights of every way into a population.

    Attributes:
        unit: the real value of 1 in the sum: a number, or an array that broadcasts to the population's shape.
        whole: per way, the whole weights.
        errors: per way, the root mean square of what rounding changed, relative to the weights'.
    """

    unit: Array
    whole: tuple[LinearMap, ...]
    errors: tuple[float, ...]


def settle(ways: Sequence[Entering], shape: Shape) -> Settled:
    """Choose a population's units and round its weights to them.

    Where every way has the same unit nothing is lost. Ways whose units differ (the branches of a residual sum) share
    the finest, cut into as many parts as make the others fit best. Real weights take the unit of their greatest.
    """
    stored = [storable(way.linear) for way in ways]
    wanted = [_own_unit(way, linear, shape) for way, linear in zip(ways, stored, strict=True)]
    unit = _common(ways, stored, wanted, shape)
    whole, errors = [], []
    for linear in stored:
        rounded, error = _rounded(linear, unit, shape)
        whole.append(rounded)
        errors.append(error)
    return Settled(unit=_squeezed(unit), whole=tuple(whole), errors=tuple(errors))


def _own_unit(way: Entering, linear: LinearMap, shape: Shape) -> Array:
    """The unit of a way, of the population's shape; rows without weights have unit 0."""
    rows = Rows(linear=linear)
    peaks = _spread(rows.peaks, linear, shape)
    if way.unit is not None:
        return np.where(peaks > 0, np.broadcast_to(way.unit, linear.out_shape).reshape(shape), 0.0)
    return peaks / max((1 << (way.bits - 1)) - 1, 1)


def _common(ways: Sequence[Entering], stored: Sequence[LinearMap], units: Sequence[Array], shape: Shape) -> Array:
    """The unit of each neuron; neurons under a shared kernel have the same."""
    if all(np.array_equal(units[0], other) for other in units):
        return _completed(units[0], ways, stored, shape)
    fixed = [unit for unit, way in zip(units, ways, strict=True) if way.unit is not None] or list(units)
    stacked = np.stack(fixed)
    finest = np.where(stacked > 0, stacked, np.inf).min(axis=0)
    finest = np.where(np.isfinite(finest), finest, 0.0)
    for linear in stored:  # a kernel's rows cannot differ
        if isinstance(linear, ConvMap):
            axes = tuple(range(1, len(shape)))
            finest = np.broadcast_to(finest.max(axis=axes, keepdims=True), shape)
    finest = _completed(finest, ways, stored, shape)
    return finest / _parts(ways, stored, units, finest, shape)


def _parts(ways: Sequence[Entering], stored: Sequence[LinearMap], units: Sequence[Array], finest: Array,
           shape: Shape) -> int:
    """Into how many parts the finest unit is cut: the fewest that lose nothing, else those that lose least.

    As many as leave weights 16 bits and sums 24. Of s a + t b with whole levels a and b only the ratio of s and t
    matters, which fractions of 14 bits meet to some parts in 10^9: that puts all sums of 8-bit levels in their order.
    """
    if all(np.all((unit == finest) | (unit == 0)) for unit in units):
        return 1
    per_weight = [np.abs(values_of(linear)) / _per_weight(linear, finest, shape) for linear in stored]
    peak = max(float(values.max(initial=0.0)) for values in per_weight)
    sums = sum(_spread(Rows(linear=linear).sum(values), linear, shape) * max(-way.low, way.high)
               for way, linear, values in zip(ways, stored, per_weight, strict=True))
    room = min(LARGEST / max(peak, 1e-9), (STATE_LIMIT - 1) / max(float(np.max(sums, initial=0.0)), 1e-9))
    most = int(np.clip(room, 1, LARGEST))
    values = np.unique(np.concatenate([np.unique(np.round(one, 9)) for one in per_weight]))
    values = values[values > 0]
    if values.size > SAMPLED:
        values = values[np.linspace(0, values.size - 1, SAMPLED).astype(int)]
    best, least = 1, np.inf
    for start in range(1, most + 1, CHUNK):
        parts = np.arange(start, min(start + CHUNK, most + 1))
        cut = parts[:, None] * values
        errors = np.abs(np.rint(cut) / cut - 1.0).max(axis=1, initial=0.0)
        fine = np.flatnonzero(errors < NOTHING)
        if fine.size:
            return int(parts[fine[0]])
        if errors.min() < least:
            best, least = int(parts[errors.argmin()]), float(errors.min())
    return best


def _rounded(linear: LinearMap, unit: Array, shape: Shape) -> tuple[LinearMap, float]:
    values = values_of(linear) / _per_weight(linear, unit, shape)
    whole = np.rint(values)
    power = float(np.sqrt(np.mean(values**2))) if values.size else 0.0
    off = float(np.sqrt(np.mean((whole - values) ** 2))) if values.size else 0.0
    error = off / power if power else off
    return with_values(linear, whole), 0.0 if error < 1e-9 else error


def _per_weight(linear: LinearMap, unit: Array, shape: Shape) -> Array:
    """The unit at each weight, flat."""
    full = np.broadcast_to(unit, shape).reshape(linear.out_shape)
    rows = Rows(linear=linear)
    return rows.spread(full.reshape(rows.count, -1)[:, 0] if rows.is_conv else full.reshape(-1))


def _spread(rows: Array, linear: LinearMap, shape: Shape) -> Array:
    """A number per row of a map given to every neuron, of the population's shape."""
    if isinstance(linear, ConvMap):
        rows = np.broadcast_to(rows[:, None, None], linear.out_shape)
    return np.asarray(rows).reshape(shape)


def _completed(units: Array, ways: Sequence[Entering], stored: Sequence[LinearMap], shape: Shape) -> Array:
    """The units, neurons without weights included: what the file says of theirs, else the least of the others'."""
    for way, linear in zip(ways, stored, strict=True):
        if way.unit is not None:
            units = np.where(units > 0, units, np.broadcast_to(way.unit, linear.out_shape).reshape(shape))
    found = units[units > 0]
    return np.where(units > 0, units, float(found.min()) if found.size else 1.0)


def _squeezed(values: Array) -> Array:
    """The array with axes of equal values cut to one; a number where all are equal."""
    for axis in range(values.ndim):
        first = values.take([0], axis=axis)
        if values.shape[axis] > 1 and np.array_equal(np.broadcast_to(first, values.shape), values):
            values = first
    return values.reshape(()) if values.size == 1 else values
