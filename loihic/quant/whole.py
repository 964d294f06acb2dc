"""Whole weights to synapses, exactly: what a file says is stored, in one synapse or in two."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from loihic.ir.linear import ConvMap, DenseMap, LinearMap
from loihic.ir.node import Array
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import SignMode, Synapse
from loihic.quant.groups import Rows, storable, values_of
from loihic.quant.synapses import FULL

BYTE = 8
LARGEST = (1 << 15) - 1  # of a weight that two synapses hold


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """Mantissas (flat), their signs, and the exponent of their sum."""

    mantissas: Array
    mode: SignMode
    exponent: int = 0


def sum_bounds(maps: Iterable[tuple[LinearMap, int, int]]) -> tuple[int, int]:
    """Least and greatest of the sums of a population.

    Args:
        maps: whole weights, and the least and the greatest level of what arrives, zero among them.
    """
    low = high = 0.0
    for linear, least, most in maps:
        below, above = linear.row_bounds(float(least), float(most))
        low, high = low + float(below.min(initial=0.0)), high + float(above.max(initial=0.0))
    return round(low), round(high)


def whole_synapses(linear: LinearMap, *, group: str, origins: tuple[str, ...], message_bits: int,
                   factor: int = 1) -> list[Synapse]:
    """The synapses that deliver exactly `factor` times A x.

    Mixed 8-bit mantissas are even, so that odd weights are stored doubled: their sum is shifted right again, which
    leaves nothing over, or, behind a convolution, whose sum Lava does not shift, all of the neuron's sum is doubled
    (`factor` 2). What one synapse does not hold becomes two: the positive weights and the negative ones, or, beyond
    255, high and low ones, w = 256 high + low, low unsigned.

    Args:
        linear: whole weights.
        group: of the synapses.
        origins: of the synapses.
        message_bits: of what arrives.
        factor: by which the sums are multiplied.

    Raises:
        ValueError: a weight of more than 16 bits.
    """
    stored = storable(linear)
    numbers = np.rint(values_of(stored)).astype(np.int64) * factor
    shifts = not isinstance(stored, ConvMap)
    common: dict[str, Any] = {"origins": origins, "group": group, "message_bits": message_bits}
    return [_synapse(stored, part, common) for part in _parts(numbers, shifts=shifts)]


def doubling(maps: Iterable[LinearMap]) -> int:
    """The factor that lets one synapse hold each map's whole weights: 2 where a kernel needs it, else 1."""
    factor = 1
    for linear in maps:
        stored = storable(linear)
        numbers = np.rint(values_of(stored)).astype(np.int64)
        least, most = int(numbers.min(initial=0)), int(numbers.max(initial=0))
        if max(-least, most) > LARGEST // 2:
            return 1
        fits = least >= -128 and most <= 127
        if isinstance(stored, ConvMap) and fits and len(_parts(numbers, shifts=False)) > 1:
            factor = 2
    return factor


def _parts(numbers: Array, *, shifts: bool) -> tuple[_Part, ...]:
    least, most = int(numbers.min(initial=0)), int(numbers.max(initial=0))
    if least >= 0 and most <= 255:
        return (_Part(mantissas=numbers, mode=SignMode.EXCITATORY),)
    if most <= 0 and least >= -255:
        return (_Part(mantissas=numbers, mode=SignMode.INHIBITORY),)
    if least >= -256 and most <= 254 and not np.any(numbers & 1):
        return (_Part(mantissas=numbers, mode=SignMode.MIXED),)
    if shifts and least >= -128 and most <= 127:
        return (_Part(mantissas=2 * numbers, mode=SignMode.MIXED, exponent=-1),)
    if least >= -255 and most <= 255:
        return (_Part(mantissas=np.maximum(numbers, 0), mode=SignMode.EXCITATORY),
                _Part(mantissas=np.minimum(numbers, 0), mode=SignMode.INHIBITORY))
    if max(-least - 1, most) > LARGEST:
        raise ValueError(f"whole weights of {least}..{most}; two synapses hold 16 bits")
    high, low = numbers >> BYTE, numbers & 255
    parts = (_Part(mantissas=2 * high, mode=SignMode.MIXED, exponent=BYTE - 1),
             _Part(mantissas=low, mode=SignMode.EXCITATORY))
    return tuple(part for part in parts if np.any(part.mantissas))


def _synapse(linear: LinearMap, part: _Part, common: dict[str, Any]) -> Synapse:
    common = common | {"in_shape": linear.in_shape, "out_shape": linear.out_shape, "exponent": part.exponent,
                       "sign_mode": part.mode}
    if isinstance(linear, ConvMap):
        return ConvSynapse(
            **common, kernel=part.mantissas.reshape(linear.kernel.shape), stride=linear.stride,
            padding=(linear.pads[0][0], linear.pads[1][0]), dilation=linear.dilation, groups=linear.groups)
    kept = part.mantissas != 0
    if isinstance(linear, DenseMap) and np.mean(kept) > FULL:
        return DenseSynapse(**common, weights=part.mantissas.reshape(linear.matrix.shape))
    rows = Rows(linear=linear)
    columns = rows.by_column(np.arange(rows.width))
    ends = np.cumsum(rows.sum(kept.astype(np.float64)))
    return SparseSynapse(**common, data=part.mantissas[kept], indices=columns[kept].astype(np.int64),
                         indptr=np.concatenate([[0], ends]).astype(np.int64))
