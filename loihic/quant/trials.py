"""Trials: what a map would lose in another format, all else as it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from loihic.ir.linear import LinearMap, columns_scaled
from loihic.quant.fit import Group, fit
from loihic.quant.formats import Format
from loihic.quant.groups import with_values
from loihic.quant.populations import Populations


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """A map in a format.

    Attributes:
        error: mean squared error of the voltage behind it, relative to the threshold.
        linear: the map as rounded, in real units.
        words: of synaptic memory.
    """

    error: float
    linear: LinearMap
    words: int


def trial(settled: Populations, key: str, form: Format, whole: Group) -> Trial:
    """A map in a format; `whole` is its `unstored` group, which serves every format."""
    name, node = settled.target(key)
    group = settled.stored(key, whole, form)
    fitted = fit([group], settled.demand(name, node, [key]), quick=True)
    if fitted is None:
        return Trial(error=float("inf"), linear=group.rows.linear, words=0)
    made = settled.round(name, {key: group}, fitted)[0][key]
    rows = 1.0 / (settled.decays[name].gain * fitted.scales[settled.layouts[name].index])
    rounded = with_values(made.rows.linear, made.numbers).scaled(rows)
    return Trial(error=fitted.error, linear=columns_scaled(rounded, 1.0 / settled.unit(key)), words=made.words)


def estimates(settled: Populations, key: str, forms: Iterable[Format], size: int) -> dict[Format, float]:
    """The errors of `trial` for several formats, from about `size` of the map's weights."""
    name, node = settled.target(key)
    some = settled.unstored(key).sampled(size, np.random.default_rng(0))
    demand = settled.demand(name, node, [key])
    fits = {form: fit([settled.stored(key, some, form)], demand, quick=True) for form in forms}
    return {form: float("inf") if fitted is None else fitted.error for form, fitted in fits.items()}
