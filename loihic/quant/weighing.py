"""Weigher: the synapse groups of a population, what errors of their weights count, and how they are rounded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from loihic.errors import Diagnostic
from loihic.ir.linear import ConvMap, columns_scaled
from loihic.ir.node import Array, Shape
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.quant.adapt import adapt
from loihic.quant.decays import RoundedDecays
from loihic.quant.fit import Demand, Fitted, Group
from loihic.quant.formats import BYTES, Format
from loihic.quant.grids import grid_steps
from loihic.quant.groups import Rows, column_units, pruned
from loihic.quant.moments import Moments
from loihic.quant.neurons import is_plain
from loihic.quant.ranges import Intervals
from loihic.quant.scales import demand_of
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

    def group(self, key: str) -> Group:
        """The weights of a map as the population behind it sees them, stored as its `bits` say."""
        whole = self.unstored(key)
        return self.stored(key, whole, self._format(key))

    def stored(self, key: str, whole: Group, form: Format) -> Group:
        """The group of a map, or of some of its rows, in a format; a kernel is held whole, at one exponent."""
        held = replace(form, split=False, pruned=0) if self.is_kernel(key) else form
        group = replace(whole, format=held, fixed_exponent=self._is_fixed(key, held))
        return without_least(group) if held.pruned else group

    def is_kernel(self, key: str) -> bool:
        """Whether a map is stored as a shared kernel."""
        return isinstance(self.linears[key], ConvMap)

    def unstored(self, key: str) -> Group:
        """What of a map's group does not depend on its format."""
        name, _ = self.target(key)
        decays, layout = self.decays[name], self.layouts[name]
        unit = self.unit(key)
        rows = Rows(linear=columns_scaled(self.linears[key].scaled(decays.gain), unit))
        units = column_units(rows, unit)
        moments = self.statistics.moments.get(key) if self.adaptive else None
        importance: Array | float
        if moments is None:
            usual = self._usual_importance(name, key)
            importance = rows.by_column(usual / units**2) if units.size > 1 else usual / float(units) ** 2
        else:
            importance = rows.by_column(moments.diagonal / units**2)
        index = layout.index.reshape(rows.count, -1)[:, 0]
        return Group(rows=rows, format=BYTES, scale_of=index, importance=importance, grid=grid_steps(rows))

    def demand(self, name: str, node: Neuron, keys: Iterable[str], fixed: Array | None = None) -> Demand:
        """What else bears on the scales of a population, of which the maps `keys` are known."""
        return demand_of(node, self.decays[name], self.room(name, node), self.layouts[name],
                         self._nearness(node, keys), fixed)

    def _is_fixed(self, key: str, form: Format) -> bool:
        """Whether a map's exponent must be 0, as Lava's Conv has it: unless it is chained, or large messages come."""
        if not self.is_kernel(key) or form.is_chained:
            return False
        return self.options.stock_only or not self.is_graded(self.source(key))

    def _nearness(self, node: Neuron, keys: Iterable[str]) -> Array:
        """How much the errors of each neuron count, in the population's shape."""
        found = [self.statistics.moments[key].nearness for key in keys if key in self.statistics.moments]
        if not found or not found[0].size or not self.adaptive:
            return np.ones(node.shape)
        return _by_row(found[0], node.shape)

    def _format(self, key: str) -> Format:
        node = self.graph.nodes[key]
        assert isinstance(node, Map)
        form = Format.parse(node.bits) if node.bits else BYTES
        if self.is_kernel(key) and form.is_chained and self.options.stock_only:
            self.report(Diagnostic(
                code="LHC402", message="a convolution of more than 8 bits needs loihic's own Conv", node=key,
                param=f"{form} bits", help=f"--weight-bits {key}=8, or leave --stock-only out"))
        return form

    def _usual_importance(self, name: str, key: str) -> float:
        """What a squared error of one weight counts if its input is like any other: variance and mean of its trace."""
        decays = self.decays[name]
        a, b = (min(float(np.mean(factor)), 0.98) for factor in (decays.factor_u, decays.factor_v))
        low, high = self.intervals.leaving(self.source(key))
        size = max(float(np.max(-np.asarray(low), initial=0.0)), float(np.max(high, initial=0.0)))
        energy = (1 + a * b) / ((1 - a * b) * (1 - a**2) * (1 - b**2))
        return size**2 * (USUAL_RATE * energy + (USUAL_RATE / ((1 - a) * (1 - b))) ** 2)

    def round(self, name: str, groups: Mapping[str, Group], fitted: Fitted) -> tuple[dict[str, Rounded], Array]:
        """The groups of a population rounded at the scales found.

        Returns:
            Them by map, and what is to be added to the currents' biases, (*shape), real units.
        """
        rounded = {}
        for (key, group), lattice in zip(groups.items(), fitted.lattices, strict=True):
            wanted = group.rows.values * group.rows.spread(fitted.scales[group.scale_of])
            steps = lattice.steps(wanted)
            dropped = None if group.dropped is None else group.dropped.scaled(
                fitted.scales[group.scale_of].reshape(group.dropped.out_shape))
            rounded[key] = Rounded(rows=group.rows, wanted=wanted, numbers=lattice.round(wanted, steps), steps=steps,
                                   lattice=lattice, dropped=dropped)
        index = self.layouts[name].index
        correction = np.zeros(index.shape)
        together = {moments.maps: moments for moments in map(self.statistics.moments.get, groups)
                    if moments is not None and self.adaptive and set(moments.maps) <= set(groups)}
        for moments in together.values():
            if moments.full is not None:
                pieces, rows = self._adapted(name, {key: rounded[key] for key in moments.maps}, moments)
                rounded |= pieces
                scales = fitted.scales[groups[moments.maps[0]].scale_of]
                correction = correction + _by_row(rows / scales, index.shape)
        return rounded, correction

    def _adapted(self, name: str, parts: Mapping[str, Rounded], moments: Moments) -> tuple[dict[str, Rounded], Array]:
        """The rows of several groups rounded so that their errors cancel, and the bias that makes up for the rest."""
        units = np.concatenate([np.broadcast_to(column_units(part.rows, self.unit(key)), (part.rows.width,))
                                for key, part in parts.items()])
        full, bias = moments.full / np.outer(units, units), np.zeros(units.size)
        if self._corrects(name) and moments.bias is not None:
            # The bias that undoes an error of each column; what is left of the errors then counts less.
            bias = moments.bias[..., :-1] / units / moments.bias[..., -1:]
            full = full - moments.bias[..., -1, None, None] * bias[..., :, None] * bias[..., None, :]

        def beside(values: Iterable[Array | float]) -> Array:
            return np.concatenate([part.rows.dense(np.broadcast_to(value, part.wanted.shape).astype(float))
                                   for part, value in zip(parts.values(), values, strict=True)], axis=1)

        bounds = [part.lattice.limits(part.steps) for part in parts.values()]
        wanted = np.concatenate([part.wanted_rows() for part in parts.values()], axis=1)
        made = adapt(wanted, beside(part.numbers for part in parts.values()),
                     beside(part.steps for part in parts.values()), beside(low for low, _ in bounds),
                     beside(high for _, high in bounds), full)
        ends = np.cumsum([part.rows.width for part in parts.values()])[:-1]
        pieces = {key: replace(part, numbers=part.rows.flat(piece))
                  for (key, part), piece in zip(parts.items(), np.split(made, ends, axis=1), strict=True)}
        return pieces, -np.sum((made - wanted) * bias, axis=1)

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


def _by_row(values: Array, shape: Shape) -> Array:
    """A number per neuron, or per channel, in the population's shape."""
    whole = values.size == np.prod(shape)
    return np.broadcast_to(values.reshape(shape if whole else (-1, *[1] * (len(shape) - 1))), shape)


def without_least(group: Group) -> Group:
    """A group without the weights whose loss counts least."""
    scores = group.rows.values**2 * group.importance
    kept, dropped = pruned(group.rows.linear, scores, group.format.pruned / 100)
    rows, gone = Rows(linear=kept), Rows(linear=dropped)
    columns = group.rows.dense(np.broadcast_to(group.importance, group.rows.values.shape))
    return replace(group, rows=rows, dropped=dropped, importance=rows.flat(columns),
                   lost=gone.sum(gone.values**2 * gone.flat(columns)))
