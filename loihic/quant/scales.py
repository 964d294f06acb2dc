"""Scales: how many integer units may make one real unit, by what the chip's fields and 24-bit states hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.node import Array
from loihic.ops.compartment import Compartment
from loihic.ops.neuron import Neuron
from loihic.ops.traits import Emit
from loihic.quant.decays import RoundedDecays
from loihic.quant.fit import Demand
from loihic.quant.fixed import (
    ACTIVATION_SHIFT,
    BIAS_EXPONENT_MAX,
    BIAS_MANTISSA_MAX,
    STATE_LIMIT,
    THRESHOLD_MAX,
)
from loihic.quant.ranges import StateRange

STATE_UNIT = 1 << ACTIVATION_SHIFT
ROOM = (STATE_LIMIT - 1) / STATE_UNIT * 0.995  # units of the accumulated sum; the rest is for what rounding adds
BIAS_ROOM = float(BIAS_MANTISSA_MAX << BIAS_EXPONENT_MAX) / STATE_UNIT
MARGIN = 1.25  # by which calibrated voltages may be exceeded before they saturate
WRAP_MARGIN = 2.0  # and calibrated currents before they wrap, which destroys them
FEW = 8  # samples, below which both margins are doubled
VOLTAGE_MARGIN = 4.0  # a voltage saturates rather than wraps: room beyond what an uncalibrated run reached
LEAST_WEIGHT = 1e-6  # of a neuron that never came near its threshold
LONGEST = 50.0  # steps over which rounding errors are taken to add up; a spike clears them


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """Which neurons share a scale.

    Attributes:
        index: the scale of each neuron, in the population's shape.
        count: number of scales.
    """

    index: Array
    count: int

    @classmethod
    def shared(cls, node: Neuron) -> Layout:
        """One scale for the population."""
        return cls(index=np.zeros(node.shape, dtype=np.int64), count=1)

    @classmethod
    def by_channel(cls, node: Neuron) -> Layout:
        """One per channel: what a shared kernel leaves free."""
        channels = np.arange(node.shape[0]).reshape(-1, *[1] * (len(node.shape) - 1))
        return cls(index=np.broadcast_to(channels, node.shape), count=node.shape[0])

    @classmethod
    def by_neuron(cls, node: Neuron) -> Layout:
        """One per neuron."""
        size = int(np.prod(node.shape, dtype=np.int64))
        return cls(index=np.arange(size).reshape(node.shape), count=size)

    def least(self, values: Array) -> Array:
        """The least of each scale's neurons' values."""
        found = np.full(self.count, np.inf)
        np.minimum.at(found, self.index.reshape(-1), np.broadcast_to(values, self.index.shape).reshape(-1))
        return found


def room_wanted(node: Neuron, bound: StateRange, seen: StateRange, climb: Array, *, samples: int) -> StateRange:
    """The ranges to provide for: proven ones, or ones calibrated on `samples` with a margin; v may be left to saturate.

    A spiking neuron's voltage may saturate below what it was seen to climb from: it would not have come back to spike.
    """
    u, margin = bound.u, VOLTAGE_MARGIN
    if samples:
        doubt = 2.0 if samples < FEW else 1.0
        wide, margin = doubt * WRAP_MARGIN, doubt * MARGIN
        u = (np.maximum(bound.u[0], wide * seen.u[0]), np.minimum(bound.u[1], wide * seen.u[1]))
    depth = seen.each("v") if node.emit is Emit.STATE else np.minimum(seen.each("v"), climb)
    floor = np.maximum(np.maximum(node.threshold, 0.0), depth)
    return StateRange(u=u, v=(np.maximum(bound.v[0], -margin * floor), np.minimum(bound.v[1], margin * floor)))


def demand_of(node: Neuron, decays: RoundedDecays, wanted: StateRange, layout: Layout, nearness: Array,
              fixed: Array | None = None) -> Demand:
    """What the chip's fields, the threshold and rounding say about the scales of a population.

    A state x becomes 64 S x, a weight w becomes S w in units of the accumulated sum.
    """
    spiking = node.emit is not Emit.STATE
    threshold = np.maximum(node.threshold, 0.0) if spiking else np.zeros(node.shape)
    biases = np.maximum(np.abs(node.bias_u * decays.gain), np.abs(node.bias_v * decays.leak))
    binary = node.emit is Emit.SPIKE  # above the threshold a voltage is reset before it matters
    reach = -wanted.v[0] if binary else wanted.each("v")
    caps = np.full(layout.count, np.inf)
    for room, of in ((ROOM, wanted.each("u")), (ROOM, reach), (float(THRESHOLD_MAX), threshold), (BIAS_ROOM, biases)):
        with np.errstate(divide="ignore", invalid="ignore"):
            caps = np.minimum(caps, layout.least(np.where((of > 0) & np.isfinite(of), room / of, np.inf)))
    lowest, highest = layout.least(threshold), -layout.least(-threshold)
    slow_u, slow_v = (np.minimum(1.0 / np.maximum(1.0 - factor, 1e-12), LONGEST)
                      for factor in (decays.factor_u, decays.factor_v))
    size = np.where(threshold > 0, threshold, wanted.each("v"))
    finite = np.where(np.isfinite(size) & (size > 0), size, 1.0)
    return Demand(caps=np.where(np.isfinite(caps), caps, float(THRESHOLD_MAX)),
                  threshold=np.where(lowest == highest, lowest, 0.0), noise=-layout.least(-slow_u * slow_v),
                  size=layout.least(finite), fixed=fixed, weight=np.maximum(-layout.least(-nearness), LEAST_WEIGHT))


def scales_of(node: Compartment) -> Array:
    """The scales that a population was given: one number, or one per channel or neuron."""
    scales = 1.0 / (STATE_UNIT * node.unit)
    if scales.ndim < 2:
        return np.asarray(scales)
    channels = scales.reshape(len(scales), -1)
    return np.asarray(channels[:, 0] if np.all(channels == channels[:, :1]) else channels.reshape(-1))


def given_scales(name: str, given: Array, layout: Layout) -> Array:
    """Scales that the user gave, one per entry of the layout.

    Raises:
        InputError: LHC702.
    """
    if given.size not in (1, layout.count):
        fail("LHC702", f"the scale of {name} has {given.size} numbers", node=name, error=InputError,
             help=f"give one number, or {layout.count}")
    return np.broadcast_to(given.reshape(-1), (layout.count,)).astype(float)
