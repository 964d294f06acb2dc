"""Fit: the scales and exponents of one population, chosen together so that its voltage errs least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse

from loihic.ir.linear import ConvMap, DenseMap, LinearMap, SparseMap
from loihic.ir.node import Array
from loihic.ops.synapse import SignMode
from loihic.quant.fixed import EXPONENT_MAX
from loihic.quant.formats import SHIFTS, WIDEST, Format, Lattice, exponents
from loihic.quant.groups import Rows

OCTAVES = 2.0  # below the greatest scale in which one is looked for
CLIPPED = 0.5  # octaves above it, at which the largest weights are clipped
MANY, ROUGHLY, HASTILY, FEW = 256, 32, 12, 8  # scales that are tried: at the end, on the way, if quick, at least
WORK = 2e7  # weights times scales that are tried at the end
SAMPLED = 1 << 13  # weights that the exponents are chosen on
ROUNDS = 16  # moves of the exponents
EXACT = 1e-20  # relative squared error below which weights are taken to be kept
DEVOTION = 1e-6  # what an error counts where the weights are kept exactly: nothing else comes near


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """A synapse group of a population.

    Attributes:
        rows: its weights: real voltage per unit of message.
        format: how they are to be stored.
        scale_of: the scale that each row has, (rows,).
        importance: what a squared error of each weight counts, flat, or one number for all.
        grid: the step on whose multiples each row lies, if it does.
        lost: mean squared error that pruning has caused already, per row, in real units.
        dropped: the weights that were pruned.
        fixed_exponent: whether the exponent must be 0, as Lava's Conv has it.
    """

    rows: Rows
    format: Format
    scale_of: Array
    importance: Array | float = 1.0
    grid: Array | None = None
    lost: Array | float = 0.0
    dropped: LinearMap | None = None
    fixed_exponent: bool = False

    @property
    def mode(self) -> SignMode:
        """The signs that occur; a convolution has mixed ones always, and so have 16 bits: of one sign they exceed."""
        least, most = float(self.rows.values.min(initial=0.0)), float(self.rows.values.max(initial=0.0))
        if self.rows.is_conv or self.format.bits == WIDEST or least < 0 < most:
            return SignMode.MIXED
        return SignMode.EXCITATORY if least >= 0 else SignMode.INHIBITORY

    def lattice(self, exponent: int, shift: int) -> Lattice:
        """The numbers at an exponent."""
        return Lattice(format=self.format, mode=self.mode, exponent=exponent, shift=shift)

    def sampled(self, size: int, rng: np.random.Generator) -> Group:
        """The group with some of its rows, if it has more than `size` weights."""
        if self.rows.values.size <= size:
            return self
        count = max(1, int(self.rows.count * size / self.rows.values.size))
        chosen = np.sort(rng.choice(self.rows.count, count, replace=False))
        linear = self.rows.linear
        mask = np.zeros(self.rows.count)
        mask[chosen] = 1.0
        kept = self.rows.spread(mask) > 0
        if isinstance(linear, ConvMap):
            linear = DenseMap(in_shape=(self.rows.width,), out_shape=(count,),
                              matrix=linear.kernel[chosen].reshape(count, -1))
        elif isinstance(linear, DenseMap):
            linear = DenseMap(in_shape=linear.in_shape, out_shape=(count,), matrix=linear.matrix[chosen])
        elif isinstance(linear, SparseMap):
            linear = SparseMap(in_shape=linear.in_shape, out_shape=(count,),
                               matrix=sparse.csr_matrix(linear.matrix[chosen]))
        importance = self.importance if np.ndim(self.importance) == 0 else np.asarray(self.importance)[kept]
        return replace(self, rows=Rows(linear=linear), scale_of=self.scale_of[chosen], importance=importance,
                       grid=None if self.grid is None else self.grid[chosen],
                       lost=self.lost if np.ndim(self.lost) == 0 else np.asarray(self.lost)[chosen])


@dataclass(frozen=True, kw_only=True, eq=False)
class Demand:
    """What else bears on a population's scales, one entry per scale.

    Attributes:
        caps: greatest scales that the states, the threshold and the biases allow.
        threshold: real thresholds, 0 where there is none or where neurons that share a scale differ in it.
        noise: what one unit of the accumulated sum, rounded away at each step, does to the voltage, in such units.
        size: the voltage that errors are measured by.
        weight: how much the errors of each count.
        fixed: the scales, if they are not free.
    """

    caps: Array
    threshold: Array
    noise: Array
    size: Array
    weight: Array
    fixed: Array | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """The choice.

    Attributes:
        scales: units of the accumulated sum per real unit, one per entry of the demand.
        lattices: per group.
        errors: mean squared error of the voltage relative to its size, as far as it counts, per scale.
    """

    scales: Array
    lattices: tuple[Lattice, ...]
    errors: Array = field(default_factory=lambda: np.zeros(0))

    @property
    def error(self) -> float:
        """The mean of the errors."""
        return float(np.mean(self.errors)) if self.errors.size else 0.0


def fit(groups: Sequence[Group], demand: Demand, *, quick: bool = False, seed: int = 0) -> Fitted | None:
    """Scales and exponents at which the rounded weights err least; None if no exponent holds the weights.

    Exponents move one at a time or together while that helps; for each choice the best scale is found by trying, fewer
    of them where it is to be `quick`.
    """
    rng, tries = np.random.default_rng(seed), HASTILY if quick else ROUGHLY
    few = [group.sampled(SAMPLED, rng) for group in groups]
    places = _start(groups, demand)
    if places is None:
        return None
    best = _tried(few, demand, places, tries)
    for _ in range(ROUNDS):
        moves = [_tried(few, demand, places_, tries) for places_ in _moves(places, groups)]
        better = min((m for m in moves if m is not None), key=lambda m: m.error, default=None)
        if better is None or best is None or better.error >= best.error * (1 - 1e-6):
            break
        best = better
        places = tuple((lattice.exponent, lattice.shift) for lattice in better.lattices)
    return _tried(groups, demand, places, ROUGHLY if quick else MANY)


Places = tuple[tuple[int, int], ...]  # exponent and shift of each group


def _start(groups: Sequence[Group], demand: Demand) -> Places | None:
    """For each group the least exponent that holds the largest weight at the greatest scales."""
    scales = demand.caps if demand.fixed is None else demand.fixed
    places = []
    for group in groups:
        largest = float((group.rows.peaks * scales[group.scale_of]).max(initial=0.0))
        shift = 2 if group.format.split else 0
        options = [0] if group.fixed_exponent else [
            e for e in exponents(group.format) if group.lattice(e, shift).is_possible]
        held = [e for e in options if group.lattice(e, shift).top >= largest]
        if not held and demand.fixed is not None:
            return None
        places.append((held[0] if held else options[-1], shift))
    return tuple(places)


def _moves(places: Places, groups: Sequence[Group]) -> list[Places]:
    """The neighbours of a choice: every exponent up or down, one of them, or the shift of a split group."""
    found: list[Places] = []

    def add(moved: Sequence[tuple[int, int]]) -> None:
        fits = all(g.lattice(e, s).is_possible and (s in SHIFTS or not g.format.split)
                   for g, (e, s) in zip(groups, moved, strict=True))
        if fits and tuple(moved) != places:
            found.append(tuple(moved))

    free = [not group.fixed_exponent for group in groups]
    for by in (-1, 1):
        add([(e + by * f, s) for (e, s), f in zip(places, free, strict=True)])
        for i, (e, s) in enumerate(places):
            if free[i] and len(places) > 1:
                add([*places[:i], (e + by, s), *places[i + 1 :]])
            if groups[i].format.split:
                add([*places[:i], (e, s + by), *places[i + 1 :]])
                add([*places[:i], (e - by, s + by), *places[i + 1 :]])
    return found


def _tried(groups: Sequence[Group], demand: Demand, places: Places, most: int) -> Fitted | None:
    """The best scales for given exponents."""
    lattices = tuple(group.lattice(*place) for group, place in zip(groups, places, strict=True))
    limits = np.full(demand.caps.shape, np.inf)
    for group, lattice in zip(groups, lattices, strict=True):
        peaks = group.rows.peaks
        with np.errstate(divide="ignore"):
            np.minimum.at(limits, group.scale_of, np.where(peaks > 0, lattice.top / peaks, np.inf))
    best, errors = np.zeros(demand.caps.shape), np.full(demand.caps.shape, np.inf)
    for scales in _candidates(groups, lattices, demand, limits, most):
        found = _errors(groups, lattices, demand, scales)
        better = found < errors
        best, errors = np.where(better, scales, best), np.where(better, found, errors)
    return Fitted(scales=best, lattices=lattices, errors=errors)


def _candidates(groups: Sequence[Group], lattices: Sequence[Lattice], demand: Demand, limits: Array,
                most: int) -> list[Array]:
    """Scales to try, each an array over all of them."""
    if demand.fixed is not None:
        return [demand.fixed]
    size = sum(group.rows.values.size for group in groups)
    count = int(np.clip(WORK / max(size, 1), FEW, most))
    # Clipping is a gamble unless it is known which weights matter.
    above = CLIPPED if any(np.ndim(group.importance) for group in groups) else 0.0
    steps = 2.0 ** np.linspace(above, -OCTAVES, count)
    start = np.where(np.isfinite(limits), limits, demand.caps)
    found = [_snapped(np.minimum(demand.caps, start * step), demand.threshold) for step in steps]
    for group, lattice in zip(groups, lattices, strict=True):
        if group.grid is None:
            continue
        # Weights on a grid are kept exactly where a whole power of two of the lattice's unit is one of its steps.
        unit = np.full(demand.caps.shape, np.inf)
        np.minimum.at(unit, group.scale_of, group.grid)
        for power in range(-2, EXPONENT_MAX + 3):
            scales = np.where(np.isfinite(unit), lattice.unit * 2.0**power / unit, demand.caps)
            found.append(np.minimum(demand.caps, scales))
    return found


def _snapped(scales: Array, threshold: Array) -> Array:
    """The nearest smaller scales that make thresholds whole, where they are above one unit."""
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = np.floor(scales * threshold) / threshold
    return np.where((threshold > 0) & (whole > 0), whole, scales)


def _errors(groups: Sequence[Group], lattices: Sequence[Lattice], demand: Demand, scales: Array) -> Array:
    """Mean squared error of the voltage relative to its size, per scale."""
    weights, power = np.zeros(scales.shape), np.zeros(scales.shape)
    floors = 0.0  # synapse groups whose sums are rounded down
    for group, lattice in zip(groups, lattices, strict=True):
        by_row = scales[group.scale_of]
        values = group.rows.values * group.rows.spread(by_row)
        off: Array = lattice.round(values, lattice.steps(values)) - values
        off *= off
        off *= group.importance
        rows = np.maximum(np.bincount(group.scale_of, minlength=scales.size), 1)
        weights += np.bincount(group.scale_of, group.rows.sum(off) / by_row**2 + group.lost, scales.size) / rows
        power = np.maximum(power, np.bincount(group.scale_of, group.rows.sum(group.rows.values**2), scales.size) / rows)
        floors += 0.0 if lattice.is_exact else 1.0
    kept = weights <= EXACT * power
    threshold = (np.rint(scales * demand.threshold) / scales - demand.threshold) ** 2
    arithmetic = (demand.noise / scales) ** 2 * ((1.0 / 64) ** 2 + floors)
    total = (weights + threshold + arithmetic) / demand.size**2 * demand.weight
    return np.asarray(np.where(kept & (power > 0), total * DEVOTION, total))
