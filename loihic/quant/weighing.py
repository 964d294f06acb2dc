"""Weigher: the synapse groups of a population, what errors of their weights count, and how they are rounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from loihic.errors import Diagnostic
from loihic.ir.linear import LinearMap
from loihic.ir.node import Array
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.quant.adapt import adapt
from loihic.quant.decays import RoundedDecays
from loihic.quant.fit import Fitted, Group
from loihic.quant.formats import BYTES, Format
from loihic.quant.grids import grid_steps
from loihic.quant.groups import Rows, column_units, ordered, per_message, pruned
from loihic.quant.moments import Moments
from loihic.quant.neurons import is_plain
from loihic.quant.ranges import Intervals
from loihic.quant.synapses import Rounded
from loihic.quant.wiring import Wiring

USUAL_RATE = 0.1  # of an input that was never observed


class Weigher(Wiring):
    """Builds groups and rounds them; decays must be known for the population behind.

    Attributes:
        adaptive: whether roundings are chosen so that errors cancel.
        bias_correction: whether biases make up for the mean error.
        corrections: of the currents' biases, real units, by population.
    """

    adaptive: bool = True
    bias_correction: bool = True
    decays: dict[str, RoundedDecays]
    intervals: Intervals
    corrections: dict[str, Array]

    def group(self, name: str, key: str, linear: LinearMap, form: Format | None = None) -> Group:
        """The weights of a map as the population behind it sees them; stored as its `bits` say, or as `form`."""
        decays, layout = self.decays[name], self.layouts[name]
        unit = self.message(self.source(key)).scale
        rows = Rows(linear=ordered(per_message(linear.scaled(decays.gain), unit)))
        units = column_units(rows, unit)
        form = self._format(key, rows) if form is None else as_held(form, rows)
        moments = self.statistics.moments.get(key) if self.adaptive else None
        importance: Array | float
        if moments is None:
            usual = self._usual_importance(name, key)
            importance = rows.by_column(usual / units**2) if units.size > 1 else usual / float(units) ** 2
        else:
            importance = rows.by_column(moments.diagonal / units**2)
        index = layout.index.reshape(rows.count, -1)[:, 0]
        group = Group(rows=rows, format=form, scale_of=index, importance=importance, grid=grid_steps(rows),
                      fixed_exponent=self.is_fixed(key, rows, form))
        return without_least(group) if form.pruned else group

    def is_fixed(self, key: str, rows: Rows, form: Format) -> bool:
        """Whether a map's exponent must be 0, as Lava's Conv has it: unless it is chained, or large messages come."""
        if not rows.is_conv or form.is_chained:
            return False
        return self.options.stock_only or not self.is_graded(self.source(key))

    def nearness(self, node: Neuron, groups: Mapping[str, Group]) -> Array:
        """How much the errors of each neuron count, in the population's shape."""
        found = [self.statistics.moments[key].nearness for key in groups if key in self.statistics.moments]
        if not found or not found[0].size or not self.adaptive:
            return np.ones(node.shape)
        rows = found[0].reshape(-1, *[1] * (len(node.shape) - 1)) if found[0].size != np.prod(node.shape) else (
            found[0].reshape(node.shape))
        return np.broadcast_to(rows, node.shape)

    def _format(self, key: str, rows: Rows) -> Format:
        node = self.graph.nodes[key]
        assert isinstance(node, Map)
        form = Format.parse(node.bits) if node.bits else BYTES
        if rows.is_conv and form.is_chained and self.options.stock_only:
            self.report(Diagnostic(
                code="LHC402", message="a convolution of more than 8 bits needs loihic's own Conv", node=key,
                param=f"{form} bits", help=f"--weight-bits {key}=8, or leave --stock-only out"))
        return as_held(form, rows)

    def _usual_importance(self, name: str, key: str) -> float:
        """What a squared error of one weight counts if its input is like any other: variance and mean of its trace."""
        decays = self.decays[name]
        a, b = (min(float(np.mean(factor)), 0.98) for factor in (decays.factor_u, decays.factor_v))
        low, high = self.intervals.leaving(self.source(key))
        size = max(float(np.max(-np.asarray(low), initial=0.0)), float(np.max(high, initial=0.0)))
        energy = (1 + a * b) / ((1 - a * b) * (1 - a**2) * (1 - b**2))
        return size**2 * (USUAL_RATE * energy + (USUAL_RATE / ((1 - a) * (1 - b))) ** 2)

    def round(self, into: dict[str, Rounded], groups: Mapping[str, Group], fitted: Fitted) -> None:
        """Round the groups of a population at the scales found."""
        for (key, group), lattice in zip(groups.items(), fitted.lattices, strict=True):
            wanted = group.rows.values * group.rows.spread(fitted.scales[group.scale_of])
            steps = lattice.steps(wanted)
            dropped = None if group.dropped is None else group.dropped.scaled(
                fitted.scales[group.scale_of].reshape(group.dropped.out_shape))
            into[key] = Rounded(rows=group.rows, wanted=wanted, numbers=lattice.round(wanted, steps), steps=steps,
                                lattice=lattice, dropped=dropped)
        done: set[tuple[str, ...]] = set()
        for key in groups:
            moments = self.statistics.moments.get(key) if self.adaptive else None
            if moments is not None and moments.full is not None and moments.maps not in done and (
                    set(moments.maps) <= set(groups)):
                done.add(moments.maps)
                self._adapt(into, moments)

    def _adapt(self, into: dict[str, Rounded], moments: Moments) -> None:
        """Round the rows of several groups into one population again, so that their errors cancel."""
        parts = [into[key] for key in moments.maps]
        units = np.concatenate([
            np.broadcast_to(column_units(part.rows, self.message(self.source(key)).scale), (part.rows.width,))
            for key, part in zip(moments.maps, parts, strict=True)])
        assert moments.full is not None
        full, bias = moments.full / np.outer(units, units), None
        target = self.graph.outgoing[moments.maps[0]][0].dst
        if self._corrects(target) and moments.bias is not None:
            # The bias that undoes an error of each column; what is left of the errors then counts less.
            bias = moments.bias[..., :-1] / units / moments.bias[..., -1:]
            full = full - moments.bias[..., -1, None, None] * bias[..., :, None] * bias[..., None, :]
        bounds = [part.lattice.limits(part.steps) for part in parts]

        def beside(values: list[Array | float]) -> Array:
            return np.concatenate([part.rows.dense(np.broadcast_to(value, part.wanted.shape).astype(float))
                                   for part, value in zip(parts, values, strict=True)], axis=1)

        wanted = np.concatenate([part.wanted_rows() for part in parts], axis=1)
        made = adapt(wanted, beside([part.numbers for part in parts]),
                     beside([part.steps for part in parts]), beside([low for low, _ in bounds]),
                     beside([high for _, high in bounds]), full)
        if bias is not None:
            off = made - wanted
            layout = self.layouts[target]
            rows = -np.sum(off * bias, axis=1) / self.scales[target].reshape(len(off), -1)[:, 0]
            self.corrections[target] = np.broadcast_to(
                rows.reshape(-1, *[1] * (layout.index.ndim - 1)) if len(rows) != layout.index.size
                else rows.reshape(layout.index.shape), layout.index.shape)
        start = 0
        for key, part in zip(moments.maps, parts, strict=True):
            piece = made[:, start : start + part.rows.width]
            into[key] = replace(part, numbers=part.rows.flat(piece))
            start += part.rows.width

    def _corrects(self, name: str) -> bool:
        """Whether a population's biases may make up for the mean error of its weights: only where it has some already.

        A bias acts without input too, and would wake a population that rests.
        """
        node = self.graph.nodes[name]
        assert isinstance(node, Neuron)
        return self.bias_correction and bool(np.any(node.bias_u) or np.any(node.bias_v)) and not is_plain(node)

    def biased(self, name: str, node: Neuron) -> Neuron:
        """The population with its corrected biases."""
        correction = self.corrections.get(name)
        return node if correction is None else replace(
            node, bias_u=node.bias_u + correction / self.decays[name].gain)


def as_held(form: Format, rows: Rows) -> Format:
    """A format as far as a map can have it: a shared kernel is stored whole, at one exponent."""
    return replace(form, split=False, pruned=0) if rows.is_conv else form


def without_least(group: Group) -> Group:
    """A group without the weights whose loss counts least."""
    scores = group.rows.values**2 * group.importance
    kept, dropped = pruned(group.rows.linear, scores, group.format.pruned / 100)
    rows, gone = Rows(linear=kept), Rows(linear=dropped)
    columns = group.rows.dense(np.broadcast_to(group.importance, group.rows.values.shape))
    return replace(group, rows=rows, dropped=dropped, importance=rows.flat(columns),
                   lost=gone.sum(gone.values**2 * gone.flat(columns)))
