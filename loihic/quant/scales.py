"""Scales: how many integer units make one real unit, chosen so that states fit and weights err least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loihic.ir.node import Array
from loihic.ops.neuron import Neuron
from loihic.ops.traits import Emit
from loihic.quant.fixed import (
    ACTIVATION_SHIFT,
    BIAS_EXPONENT_MAX,
    BIAS_MANTISSA_MAX,
    STATE_LIMIT,
    THRESHOLD_MAX,
)
from loihic.quant.ranges import StateRange
from loihic.quant.weights import CONV_GRID, choose_exponent, grid, sign_mode_of

CANDIDATES = 48  # scales tried over one octave
STATE_UNIT = 1 << ACTIVATION_SHIFT
ROOM = (STATE_LIMIT - 1) / STATE_UNIT * 0.995  # units of the accumulated sum; the rest is for what rounding adds


@dataclass(frozen=True, kw_only=True, slots=True)
class Incoming:
    """A synapse group as the choice of a scale sees it.

    Attributes:
        weights: real weights per unit of message, flat.
        peaks: the largest magnitude per neuron, broadcastable to the population (per channel for a convolution).
        conv: whether it shares a kernel.
    """

    weights: Array
    peaks: Array
    conv: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleChoice:
    """The chosen scale, and the limits it had to keep: name of the limit to greatest scale."""

    scale: float
    limits: dict[str, float]

    @property
    def binding(self) -> str:
        """The limit that mattered."""
        return min(self.limits, key=lambda key: self.limits[key])


def choose_scale(node: Neuron, limits: StateRange, groups: Sequence[Incoming], bits: int) -> ScaleChoice:
    """The scale S: a weight w becomes S w in units of the accumulated sum, a state x becomes 64 S x.

    `limits` are the states' greatest real values to provide for. Within the octave below the greatest feasible scale,
    the one is taken with which weights and threshold round best.
    """
    caps: dict[str, float] = {}

    def cap(name: str, room: float, reach: float) -> None:
        if reach > 0 and np.isfinite(room / reach):
            caps[name] = min(caps.get(name, np.inf), room / reach)  # of several synapse groups the narrowest counts

    cap("u", ROOM, limits.reach("u"))
    spiking = node.emit is Emit.SPIKE
    cap("v", ROOM, float(np.max(-limits.v[0], initial=0.0)) if spiking else limits.reach("v"))
    threshold = float(np.max(node.threshold, initial=0.0)) if node.emit is not Emit.STATE else 0.0
    cap("vth", float(THRESHOLD_MAX), threshold)
    largest_bias = max(float(np.max(np.abs(bias), initial=0.0)) for bias in (node.bias_u, node.bias_v))
    cap("bias", float(BIAS_MANTISSA_MAX << BIAS_EXPONENT_MAX) / STATE_UNIT, largest_bias)
    for group in groups:
        most, least = float(group.weights.max(initial=0.0)), float(group.weights.min(initial=0.0))
        if group.conv:
            cap("conv weights", CONV_GRID[bits].high / max(most, -least) if max(most, -least) else np.inf, 1.0)
        else:
            cap("weights", 2.0**7 * 254, max(most, -least))
    if not caps:
        caps["nothing"] = float(THRESHOLD_MAX)
    greatest = min(caps.values())
    scale = min(_candidates(node, greatest), key=lambda s: (_error(node, groups, bits, s), -s))
    return ScaleChoice(scale=scale, limits=caps)


def _candidates(node: Neuron, greatest: float) -> list[float]:
    """Scales in the octave below `greatest`; those that make a uniform threshold whole where there is one."""
    scales = [greatest * 2.0 ** (-i / CANDIDATES) for i in range(CANDIDATES)]
    threshold = node.threshold
    if node.emit is not Emit.STATE and threshold.size and np.all(threshold == threshold.flat[0]) and threshold.flat[0]:
        unit = float(threshold.flat[0])
        wholes = sorted({np.floor(s * unit) for s in scales} - {0.0}, reverse=True)
        scales = [whole / unit for whole in wholes] or scales
    return scales


def _error(node: Neuron, groups: Sequence[Incoming], bits: int, scale: float) -> float:
    """Squared rounding error of weights and thresholds, relative to their own squares."""
    error = 0.0
    for group in groups:
        wanted = group.weights * scale
        power = float(np.sum(wanted**2))
        if not power:
            continue
        where = CONV_GRID[bits] if group.conv else grid(sign_mode_of(wanted), bits)
        exponent = 0 if group.conv else choose_exponent(wanted, where)
        if exponent is None:
            return float("inf")
        actual = where.round(wanted / 2.0**exponent) * 2.0**exponent
        error += float(np.sum((actual - wanted) ** 2)) / power
    if node.emit is not Emit.STATE:
        wanted = node.threshold * scale
        power = float(np.mean(wanted**2)) if wanted.size else 0.0
        if power:
            error += float(np.mean((np.rint(wanted) - wanted) ** 2)) / power
    return error


def spread_scales(node: Neuron, base: float, limits: StateRange, groups: Sequence[Incoming], bits: int) -> Array:
    """A scale per neuron, at least `base`, so that each neuron's largest weight fills its group's mantissas.

    A spiking neuron is linear up to its threshold, so each may have its own scale without changing a spike; this needs
    thresholds per neuron. The exponents are those that `base` gives the groups.
    """
    factor = np.full(node.shape, np.inf)
    for group in groups:
        wanted = group.weights * base
        if not np.any(wanted):
            continue
        where = CONV_GRID[bits] if group.conv else grid(sign_mode_of(wanted), bits)
        exponent = 0 if group.conv else choose_exponent(wanted, where)
        top = float(max(where.high, -where.low) - where.step) * 2.0 ** (exponent or 0)
        with np.errstate(divide="ignore"):
            factor = np.minimum(factor, np.where(group.peaks > 0, top / (group.peaks * base), np.inf))
    caps = [
        (ROOM, limits.each("u")), (ROOM, -limits.v[0]), (float(THRESHOLD_MAX), node.threshold),
        (float(BIAS_MANTISSA_MAX << BIAS_EXPONENT_MAX) / STATE_UNIT,
         np.maximum(np.abs(node.bias_u), np.abs(node.bias_v)))]
    for room, reach in caps:
        with np.errstate(divide="ignore"):
            factor = np.minimum(factor, np.where(reach > 0, room / (reach * base), np.inf))
    factor = np.where(np.isfinite(factor), np.maximum(factor, 1.0), 1.0)
    if any(group.conv for group in groups):
        factor = np.broadcast_to(factor.min(axis=(1, 2), keepdims=True), node.shape)
    return base * factor
