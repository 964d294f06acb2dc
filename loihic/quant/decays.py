"""Decays: the two of a neuron rounded together, so that what an input does to the voltage errs least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loihic.ir.node import Array
from loihic.ops.neuron import Neuron
from loihic.quant.fixed import DECAY_UNITY

LONGEST = 4096  # steps of a response that are compared
FADED = 30.0  # time constants after which nothing is left of it
STEADY = 4.0  # weight of the climb's relative error beside that of the response: inputs have a mean


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundedDecays:
    """Decays in parts of 4096, per neuron.

    Attributes:
        u, v: by how many parts of 4096 current and voltage shrink in a step: 1..4096 and 0..4096.
        gain: what the weights and the current's bias are multiplied by, so that the response keeps its size.
        leak: what the voltage's bias is multiplied by, so that its steady state stays.
    """

    u: Array
    v: Array
    gain: Array
    leak: Array

    @property
    def factor_u(self) -> Array:
        """The factor by which a current shrinks."""
        return np.asarray(1.0 - self.u / DECAY_UNITY)

    @property
    def factor_v(self) -> Array:
        """The factor by which a voltage shrinks."""
        return np.asarray(1.0 - self.v / DECAY_UNITY)


def round_decays(node: Neuron, rate: float = 0.0) -> RoundedDecays:
    """Of the pairs next to the wanted one that with which v, rescaled, answers a steady input and an impulse best.

    The answer to an impulse is the convolution of the two exponentials. Under a steady input v climbs as
    (1 + b + b^2 + ...) / (1 - a) after each spike, since a spike clears v but not the current: so long as it is likely
    to last at `rate` spikes per neuron and step, it counts. The rescaling fits the climb, and goes into the weights.
    """
    pairs = np.stack([node.decay_u.ravel(), node.decay_v.ravel()], axis=1)
    unique, which = np.unique(pairs, axis=0, return_inverse=True)
    found = np.array([_nearest(float(a), float(b), min(rate, 1.0)) for a, b in unique]).reshape(-1, 3)
    u, v, gain = (found[which.reshape(-1), column].reshape(node.shape) for column in range(3))
    wanted, got = 1.0 - node.decay_v, v / DECAY_UNITY
    with np.errstate(divide="ignore", invalid="ignore"):
        leak = np.where((wanted > 0) & (got > 0), got / wanted, 1.0)
    return RoundedDecays(u=u.astype(np.int64), v=v.astype(np.int64), gain=gain, leak=leak)


def _nearest(decay_u: float, decay_v: float, rate: float) -> tuple[float, float, float]:
    """Parts of 4096 for u and v, and the gain."""
    choices_u, choices_v = _beside(decay_u, 1), _beside(decay_v, 0)
    if len(choices_u) == len(choices_v) == 1:
        exact = np.isclose([choices_u[0], choices_v[0]], [(1 - decay_u) * DECAY_UNITY, (1 - decay_v) * DECAY_UNITY],
                           rtol=0, atol=1e-9)
        if exact.all():
            return float(choices_u[0]), float(choices_v[0]), 1.0
    slowest = max(min(1 - decay_u, 1 - decay_v), FADED / LONGEST)
    length = int(min(LONGEST, np.ceil(FADED / slowest)))
    left = (1.0 - rate) ** np.arange(length)
    wanted, wanted_climb = _response(decay_u, decay_v, length), _climb(decay_u, decay_v, length)
    best = (np.inf, 0.0, 0.0, 1.0)
    for parts_u in choices_u:
        for parts_v in choices_v:
            pair = 1 - parts_u / DECAY_UNITY, 1 - parts_v / DECAY_UNITY
            made, climb = _response(*pair, length), _climb(*pair, length)
            gain = float((left * wanted_climb) @ climb / ((left * climb) @ climb))
            error = _off(wanted, gain * made, left) + STEADY * _off(wanted_climb, gain * climb, left)
            best = min(best, (error, parts_u, parts_v, gain))
    return best[1], best[2], best[3]


def _off(wanted: Array, made: Array, weights: Array) -> float:
    """Squared difference relative to `wanted`."""
    return float(weights @ (wanted - made) ** 2 / (weights @ wanted**2))


def _beside(decay: float, least: int) -> list[int]:
    """The whole parts next to the wanted ones; one if it is whole already."""
    parts = (1.0 - decay) * DECAY_UNITY
    if abs(parts - np.rint(parts)) < 1e-9:
        return [int(np.clip(np.rint(parts), least, DECAY_UNITY))]
    return sorted({int(np.clip(p, least, DECAY_UNITY)) for p in (np.floor(parts), np.ceil(parts))})


def _response(decay_u: float, decay_v: float, length: int) -> Array:
    """What an impulse leaves in the voltage: h[k] = sum of decay_u^i decay_v^(k - i)."""
    k = np.arange(length)
    if abs(decay_u - decay_v) > 1e-6:
        powers = decay_u ** (k + 1) - decay_v ** (k + 1)
        return np.asarray(powers / (decay_u - decay_v))
    return np.asarray((k + 1) * ((decay_u + decay_v) / 2) ** k)


def _climb(decay_u: float, decay_v: float, length: int) -> Array:
    """The voltage under a steady input of 1 that has filled the current, from rest."""
    return np.asarray(np.cumsum(decay_v ** np.arange(length)) / (1.0 - decay_u))
