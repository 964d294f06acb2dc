"""Trials: what a map would lose in another format, all else as it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from loihic.ir.linear import LinearMap
from loihic.quant.fit import fit
from loihic.quant.formats import BYTES, Format
from loihic.quant.groups import per_message, with_values
from loihic.quant.populations import Populations
from loihic.quant.scales import demand_of
from loihic.quant.synapses import Rounded
from loihic.quant.weighing import as_held, without_least


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


def trial(settled: Populations, key: str, form: Format) -> Trial:
    """What a map would lose in another format, all else as it is."""
    name, node = settled.target(key)
    group = settled.group(name, key, settled.maps(name)[key], form)
    demand = demand_of(node, settled.decays[name], settled.room(name, node), settled.layouts[name],
                       settled.nearness(node, {key: group}))
    fitted = fit([group], demand, quick=True)
    if fitted is None:
        return Trial(error=float("inf"), linear=group.rows.linear, words=0)
    tried: dict[str, Rounded] = {}
    settled.round(tried, {key: group}, fitted)
    made = tried[key]
    rows = 1.0 / (settled.decays[name].gain * fitted.scales[settled.layouts[name].index])
    rounded = with_values(made.rows.linear, made.numbers).scaled(rows)
    unit = settled.message(settled.source(key)).scale
    return Trial(error=fitted.error, linear=per_message(rounded, 1.0 / unit), words=made.words)


def estimates(settled: Populations, key: str, forms: Iterable[Format], size: int) -> dict[Format, float]:
    """The errors of `trial` for several formats, from about `size` of the map's weights."""
    name, node = settled.target(key)
    whole = settled.group(name, key, settled.maps(name)[key], BYTES)
    group = whole.sampled(size, np.random.default_rng(0))
    demand = demand_of(node, settled.decays[name], settled.room(name, node), settled.layouts[name],
                       settled.nearness(node, {key: whole}))
    found = {}
    for form in forms:
        as_stored = replace(group, format=as_held(form, whole.rows),
                            fixed_exponent=settled.is_fixed(key, whole.rows, form))
        fitted = fit([without_least(as_stored) if as_stored.format.pruned else as_stored], demand, quick=True)
        found[form] = float("inf") if fitted is None else fitted.error
    return found
