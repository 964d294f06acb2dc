"""Proofs that integer states stay in range, for every input that the Sources allow and at every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.ops.activation import Activation
from loihic.ops.compartment import Compartment
from loihic.ops.sigma_delta import SigmaDeltaNeurons
from loihic.ops.synapse import Synapse
from loihic.ops.traits import Emit, Reset
from loihic.quant.fixed import DECAY_UNITY
from loihic.quant.fixpoint import Reach
from loihic.quant.reach import INT32_MAX, STATE_MAX, Span
from loihic.quant.sums import accumulator_limit

Observed = Mapping[tuple[str, str], Span]  # per (node, state) the least and greatest values of a run, elementwise


class Verdict(str, Enum):
    """What is known of a state: it cannot leave its range, a run did not, or neither."""

    PROVEN = "proven"
    OBSERVED = "observed"
    MAY_OVERFLOW = "may overflow"


@dataclass(frozen=True, kw_only=True, slots=True)
class StateProof:
    """One state of one node, in integers.

    Attributes:
        node, state: where: ``u`` before it wraps or ``v`` before it saturates and resets, of a population; ``sum``,
            what a connection accumulates, or what is delivered to a population, shifted left by 6.
        effect: what happens beyond the limit: ``wraps`` destroys the value, ``saturates`` clips it.
        verdict: what is known.
        low, high: no input takes the state out of these. `high` of a proven voltage may exceed the limit where
            saturating there changes nothing, because the neuron fires and starts again at zero.
        limit: the greatest magnitude that is kept as it is.
        observed: the least and greatest value of a run; None if there was none.
        index: the element that comes closest to its limit, or exceeds it most.
    """

    node: str
    state: str
    effect: str
    verdict: Verdict
    low: float
    high: float
    limit: float
    observed: tuple[float, float] | None
    index: tuple[int, ...]

    @property
    def tightness(self) -> float | None:
        """The share of the bound that the run reached; None without a run, or where nothing can be reached."""
        bound = max(-self.low, self.high)
        if self.observed is None or bound <= 0:
            return None
        return max(-self.observed[0], self.observed[1], 0.0) / bound

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"verdict": self.verdict.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StateProof:
        """The inverse of `to_json`; raises KeyError, TypeError or ValueError for anything malformed."""
        seen = data["observed"]
        return cls(
            node=str(data["node"]), state=str(data["state"]), effect=str(data["effect"]),
            verdict=Verdict(data["verdict"]), low=float(data["low"]), high=float(data["high"]),
            limit=float(data["limit"]), observed=None if seen is None else (float(seen[0]), float(seen[1])),
            index=tuple(int(i) for i in data["index"]))


def integer_ranges(graph: HardwareGraph, observed: Observed | None = None) -> tuple[StateProof, ...]:
    """A verdict for every accumulator, current and voltage of an integer graph, in graph order.

    Args:
        graph: a finished hardware graph.
        observed: what `observe_ranges` found; without it nothing is called observed.
    """
    reach = Reach(graph)
    seen = observed or {}
    found: list[StateProof] = []
    for name, node in graph.nodes.items():
        if isinstance(node, Synapse):
            found.append(_proof(name, "sum", "wraps", reach.sums[name], accumulator_limit(node), seen))
        elif isinstance(node, Activation):
            found.append(_proof(name, "v", "wraps", reach.totals[name], STATE_MAX, seen))
        elif isinstance(node, SigmaDeltaNeurons):
            found.append(_proof(name, "sigma", "wraps", reach.totals[name], STATE_MAX, seen))
        elif isinstance(node, Compartment):
            neurons = reach.neurons[name]
            found.append(_proof(name, "sum", "wraps", neurons.total, INT32_MAX, seen))
            found.append(_proof(name, "u", "wraps", neurons.u, STATE_MAX, seen))
            found.append(_proof(name, "v", "saturates", neurons.v, STATE_MAX, seen, *_losing_sides(node)))
    return tuple(found)


def _losing_sides(node: Compartment) -> tuple[Array, Array]:
    """Whether saturation below, and above, changes anything that a population sends or keeps, per neuron.

    Not above where the neuron fires, since any threshold lies below the limit, and starts again at zero; on neither
    side where it says no more than whether it fires, and keeps nothing of its voltage.
    """
    forgets = np.broadcast_to(np.asarray(node.dv == DECAY_UNITY), node.shape)
    if node.emit is not Emit.SPIKE:
        return np.ones(node.shape, dtype=bool), np.ones(node.shape, dtype=bool)
    return ~forgets, ~forgets & (node.reset is not Reset.ZERO)


def _proof(node: str, state: str, effect: str, span: Span, limit: float, seen: Observed,
           below: Array | None = None, above: Array | None = None) -> StateProof:
    """The verdict on one state; `below` and `above` say where leaving the range on that side matters."""
    low, high = span
    everywhere = np.ones(low.shape, dtype=bool)
    below, above = everywhere if below is None else below, everywhere if above is None else above
    excess = np.maximum(np.where(below, -low, -np.inf), np.where(above, high, -np.inf))
    verdict, observed = Verdict.MAY_OVERFLOW, None
    if (node, state) in seen:
        least, most = (np.asarray(side).reshape(low.shape) for side in seen[node, state])
        observed = float(least.min(initial=0)), float(most.max(initial=0))
        if not (np.any(below & (least < -limit)) or np.any(above & (most > limit))):
            verdict = Verdict.OBSERVED
    if not np.any(excess > limit):
        verdict = Verdict.PROVEN
    index = np.unravel_index(int(np.argmax(excess)), excess.shape) if excess.size else ()
    return StateProof(
        node=node, state=state, effect=effect, verdict=verdict, low=float(low.min(initial=0)),
        high=float(high.max(initial=0)), limit=limit, observed=observed, index=tuple(int(i) for i in index))
