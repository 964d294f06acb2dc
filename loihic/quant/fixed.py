"""Fixed-point arithmetic of Loihi's neurons and synapses, as Lava's `fixed_pt` models compute it."""

from __future__ import annotations

import numpy as np

from loihic.ir.node import Array

STATE_LIMIT = 1 << 23  # u and v have 24 bits: lava.proc.lif.models.AbstractPyLifModelFixed.max_uv_val
DECAY_UNITY = 1 << 12  # decays are parts of 4096
ACTIVATION_SHIFT = 6  # what arrives, and the threshold, are shifted left by 6
THRESHOLD_MAX = (1 << 17) - 1
DECAY_MAX = DECAY_UNITY - 1
BIAS_MANTISSA_MAX = (1 << 12) - 1  # 13 bits with sign
BIAS_EXPONENT_MAX = 7  # 3 bits
EXPONENT_MIN, EXPONENT_MAX = -8, 7


def rsz(x: Array, shift: int) -> Array:
    """Shift right toward zero: sign(x) * (abs(x) >> shift)."""
    return np.asarray(np.sign(x) * (np.abs(x) >> shift))


def wrap_current(u: Array) -> Array:
    """The single wrap that Lava's LIF applies to u: over 2**23 down, to -2**23 or below up, by 2**24."""
    return np.where(u > STATE_LIMIT, u - 2 * STATE_LIMIT, np.where(u <= -STATE_LIMIT, u + 2 * STATE_LIMIT, u))


def wrap_bits(x: Array, bits: int) -> Array:
    """Two's complement of `bits` bits, as numpy's and Lava's integer types wrap."""
    half = 1 << (bits - 1)
    return np.asarray(((x + half) & ((1 << bits) - 1)) - half)


def clip_voltage(v: Array) -> Array:
    """v saturates at +-(2**23 - 1)."""
    return np.clip(v, -STATE_LIMIT + 1, STATE_LIMIT - 1)


def shift_accumulated(a: Array, exponent: int) -> Array:
    """The weight exponent acts on the accumulated sum: left, or right with floor."""
    return a << exponent if exponent > 0 else a >> -exponent


def encode_bias(value: Array) -> tuple[Array, Array]:
    """Mantissa (13 bits) and exponent (3 bits) of the nearest representable biases; too large ones are clipped."""
    rounded = np.rint(np.asarray(value, dtype=np.float64))
    exponent = np.zeros(rounded.shape, dtype=np.int64)
    for step in range(1, BIAS_EXPONENT_MAX + 1):
        exponent = np.where(np.abs(np.rint(value / 2.0 ** (step - 1))) > BIAS_MANTISSA_MAX, step, exponent)
    mantissa = np.clip(np.rint(value / 2.0**exponent), -BIAS_MANTISSA_MAX - 1, BIAS_MANTISSA_MAX)
    return mantissa.astype(np.int64), exponent


def decode_bias(mantissa: Array, exponent: Array) -> Array:
    """mantissa << exponent."""
    return mantissa.astype(np.int64) << exponent.astype(np.int64)
