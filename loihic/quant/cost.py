"""Cost: the words and the energy that a synapse group takes in each format."""

from __future__ import annotations

from math import prod

import numpy as np

from loihic.ir.linear import ConvMap, LinearMap
from loihic.partition.words import HEADER_BITS, INDEX_BITS, WORD_BITS, map_words, stored_width
from loihic.quant.formats import CHAINED, PRUNED, SINGLE, SPLIT, Format
from loihic.quant.groups import Rows
from loihic.targets.limits import Limits


def candidates(linear: LinearMap, *, stock_only: bool) -> tuple[Format, ...]:
    """The formats that a map may be stored in: a convolution is never split, and chained by a Process of loihic's."""
    if isinstance(linear, ConvMap):
        return SINGLE if stock_only else (*SINGLE, *CHAINED)
    return (*SINGLE, *SPLIT, *CHAINED, *PRUNED)


def format_words(linear: LinearMap, form: Format) -> int:
    """The most words that a map, in storable form, takes in a format; `Rounded.words` knows what it did take.

    Which weights are pruned, and how those of an axon divide over the halves of a split group, depends on their sizes.
    Here every axon's last word is taken to be a new one.
    """
    if not form.split and not form.pruned:
        return map_words(linear, form.bits, conv=isinstance(linear, ConvMap))
    rows = Rows(linear=linear)
    weights = rows.values.size - int(rows.values.size * form.pruned / 100)
    axons = min(rows.width, weights) * (2 if form.split else 1)
    each = stored_width(form.bits) + INDEX_BITS
    return (weights * each + axons * (HEADER_BITS + WORD_BITS - 1)) // WORD_BITS


def format_energy(linear: LinearMap, form: Format, events: float, limits: Limits) -> float:
    """Energy per step in J for `events` inputs per step: each goes to every weight behind it, twice where chained."""
    weights = np.count_nonzero(linear.kernel[0]) * prod(linear.out_shape) if isinstance(linear, ConvMap) else (
        Rows(linear=linear).values.size)
    operations = events * weights / max(prod(linear.in_shape), 1)
    return float(operations * (2 if form.is_chained else 1) * limits.synop_energy)
