"""How far integer states can reach: closed forms for the recurrences of Loihi's neurons, per neuron.

Bounds are whole numbers kept as float64, exact below 2**53. A decaying state x' = rsz(x (4096 - d), 12) + a is monotone
in x and in a, so that the greatest value is reached by the greatest input held for ever, and bounds are exact for
inputs that are free.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loihic.ir.node import Array
from loihic.ops.compartment import Compartment
from loihic.ops.traits import Emit, Reset
from loihic.quant.fixed import ACTIVATION_SHIFT, DECAY_UNITY, STATE_LIMIT, decode_bias

Span = tuple[Array, Array]  # least and greatest value, elementwise
INT32_MAX = float((1 << 31) - 1)
STATE_MAX = float(STATE_LIMIT - 1)  # the greatest magnitude that u and v keep on either side
TURN = 2.0 * STATE_LIMIT  # by which a current that leaves 24 bits is moved, once


@dataclass(frozen=True, kw_only=True, slots=True)
class NeuronReach:
    """Least and greatest values of a population, per neuron.

    Attributes:
        total: the delivered sum, shifted left by 6.
        u: the current before any wrap.
        v: the voltage before saturation and reset.
        sent: the messages; zero is among them, since nothing is sent before the start.
    """

    total: Span
    u: Span
    v: Span
    sent: Span


def neuron_reach(node: Compartment, low: Array, high: Array) -> NeuronReach:
    """Bounds that hold at every step if what is delivered always lies within `low` and `high` (of the node's shape).

    Thresholds are taken not to be negative: their field has no sign.
    """
    unit = float(1 << ACTIVATION_SHIFT)
    total = low * unit, high * unit
    raw, kept = _current(node, total)
    voltage = _voltage(node, kept)
    full = [tuple(np.broadcast_to(side, node.shape) for side in span)
            for span in (raw, voltage, sent_within(node, *voltage))]
    u, v, sent = ((side[0], side[1]) for side in full)
    return NeuronReach(total=total, u=u, v=v, sent=sent)


def greatest(start: Array, drive: Array, decay: Array) -> Array:
    """The greatest value after the first step of x' = rsz(x (4096 - decay), 12) + a for every a <= drive.

    From `start` the state under constant drive rises to the least fixed point above it, or falls from the first step
    on.
    """
    return np.maximum(stepped(start, drive, decay), fixed_point(drive, decay))


def least(start: Array, drive: Array, decay: Array) -> Array:
    """The mirror image of `greatest`: rsz is odd."""
    return -greatest(-start, -drive, decay)


def stepped(x: Array, drive: Array, decay: Array) -> Array:
    """One step of the recurrence: what is left of x, plus the drive."""
    left: Array = np.sign(x) * np.floor(np.abs(x) * (DECAY_UNITY - decay) / DECAY_UNITY)
    return left + drive


def fixed_point(drive: Array, decay: Array) -> Array:
    """The least x with x = rsz(x (4096 - decay), 12) + drive; infinite where nothing decays.

    For positive drive the fixed points are the whole numbers with drive - 1 < x decay / 4096 <= drive.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        above = np.floor(DECAY_UNITY * (drive - 1) / decay) + 1
        below = np.ceil(DECAY_UNITY * drive / decay)
    return np.where(decay == 0, np.where(drive > 0, np.inf, -np.inf), np.where(drive > 0, above, below))


def _current(node: Compartment, total: Span) -> tuple[Span, Span]:
    """u before any wrap, and as it is kept: wrapped to 32 bits, then moved once by 2**24 where it left 24."""
    decay = np.asarray(node.du, dtype=np.float64) + 1
    bias = decode_bias(node.ibias_mant, node.ibias_exp)
    drive_low, drive_high = total[0] + bias, total[1] + bias
    nothing = np.zeros(())
    low, high = least(nothing, drive_low, decay), greatest(nothing, drive_high, decay)
    wraps = (high > STATE_LIMIT) | (low <= -STATE_LIMIT)
    if not np.any(wraps):
        return (low, high), (low, high)
    # A single turn does not bring everything back: a drive of more than 2**24 leaves a current beyond 24 bits.
    top = np.maximum(float(STATE_LIMIT), fixed_point(drive_high - TURN, decay))
    bottom = -np.maximum(STATE_MAX, fixed_point(-drive_low - TURN, decay))
    wide = (stepped(top, drive_high, decay) > INT32_MAX) | (stepped(bottom, drive_low, decay) < -INT32_MAX - 1)
    top, bottom = np.where(wide, INT32_MAX - TURN, top), np.where(wide, -INT32_MAX - 1 + TURN, bottom)
    raw = (np.where(wraps, stepped(bottom, drive_low, decay), low),
           np.where(wraps, stepped(top, drive_high, decay), high))
    return raw, (np.where(wraps, bottom, low), np.where(wraps, top, high))


def _voltage(node: Compartment, current: Span) -> Span:
    """v before saturation and reset, for currents within bounds.

    It cannot leave 32 bits, where Lava's LIF would wrap it: a current beyond 24 bits is 2**24 short of them.
    """
    decay = np.asarray(node.dv, dtype=np.float64)
    bias = decode_bias(node.vbias_mant, node.vbias_exp)
    drive_low, drive_high = current[0] + bias, current[1] + bias
    begin = np.asarray(node.v_init, dtype=np.float64)
    bottom, top = np.minimum(begin, STATE_MAX), np.maximum(begin, -STATE_MAX)
    resets = node.emit is not Emit.STATE and node.reset is not Reset.NONE
    if resets:  # a reset starts again at zero, or above it but lower than the voltage was
        bottom, top = np.minimum(bottom, 0.0), np.maximum(top, 0.0)
    low, high = least(bottom, drive_low, decay), greatest(top, drive_high, decay)
    if resets:
        high = np.minimum(high, stepped(_left(node, top, drive_high, decay), drive_high, decay))
    # What saturates starts the next step from the limit.
    lowest = stepped(np.minimum(begin, -STATE_MAX), drive_low, decay)
    highest = stepped(np.maximum(begin, STATE_MAX), drive_high, decay)
    return np.maximum(low, lowest), np.minimum(high, highest)


def _left(node: Compartment, top: Array, drive: Array, decay: Array) -> Array:
    """The greatest voltage that a step with a reset can leave behind, at least `top`."""
    theta = np.asarray(node.vth << ACTIVATION_SHIFT, dtype=np.float64)
    left = np.maximum(top, theta)
    if node.reset is Reset.ZERO:
        return left
    if node.emit is Emit.MULTI:  # as often as the threshold fits; never, where it is zero
        return np.where(theta > 0, left, np.maximum(left, fixed_point(drive, decay)))
    return np.maximum(left, fixed_point(drive - theta, decay))  # one threshold a step is taken off what drives


def sent_within(node: Compartment, v_low: Array, v_high: Array) -> Span:
    """What is sent for voltages within bounds, which saturate before; nothing at all, before the start."""
    low, high = np.clip(v_low, -STATE_MAX, STATE_MAX), np.clip(v_high, -STATE_MAX, STATE_MAX)
    if node.emit is Emit.STATE:
        scale = float(1 << node.out_shift)
        return np.minimum(np.floor(low / scale), 0.0), np.maximum(np.floor(high / scale), 0.0)
    theta = np.asarray(node.vth << ACTIVATION_SHIFT, dtype=np.float64)
    if node.emit is Emit.SPIKE:
        return np.zeros(high.shape), np.where(high > theta, 1.0, 0.0)
    count = np.floor(np.maximum(high - 1, 0.0) / np.maximum(theta, 1.0))
    return np.zeros(high.shape), np.where(theta > 0, count, np.where(high > 0, 1.0, 0.0))
