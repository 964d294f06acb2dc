"""Step: how long a step of a placed program takes by the model, and what everything else waits for.

The parts of a chip work side by side, and a barrier ends the step (Timcheck, Pierro and Shrestha, arXiv:2601.10035):
the longest of the busiest core's updates, operations and reads, the busiest link and the barrier is the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from loihic.partition.plan import Plan
from loihic.partition.resources import WORK
from loihic.partition.routing import Loads, link_loads
from loihic.targets.numbers import Number

LINK, BARRIER = "busiest link", "barrier"
TERMS = (*WORK, LINK, BARRIER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seconds:
    """A time of the model, between whose `low` and `high` the truth may lie."""

    low: float
    value: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    """What one part of the chips takes in a step.

    Attributes:
        seconds: that it takes.
        events: per step of the busiest core, or messages per step of the busiest link; 1 for the barrier.
        core: the busiest logical core; None for the link and the barrier.
    """

    seconds: Seconds
    events: float
    core: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StepTime:
    """The time of a step.

    Attributes:
        terms: by their names, `TERMS`.
        limit: the term that takes longest.
        seconds: of the step; each end of the interval is the longest of the terms' ends.
    """

    terms: Mapping[str, Term]
    limit: str
    seconds: Seconds

    def to_json(self, plan: Plan) -> dict[str, Any]:
        """Plain data; cores by the chip and number that `plan` gives them."""
        return {"seconds": _plain(self.seconds), "limit": self.limit,
                "terms": {name: {"seconds": _plain(term.seconds), "events": term.events,
                                 "chip": None if term.core is None else plan.placement.chip(term.core),
                                 "core": None if term.core is None else plan.placement.core(term.core)}
                          for name, term in self.terms.items()}}


def step_time(plan: Plan, loads: Loads | None = None) -> StepTime:
    """The time of a step of a placed program.

    Args:
        plan: with rates.
        loads: of its links, where they are known already.
    """
    limits = plan.system.limits
    rates, work = limits.rates, plan.figures.work
    terms = {}
    for name, events, rate in zip(WORK, work.T, (rates.neuron_update, rates.synop, rates.memory_read), strict=True):
        core = int(np.argmax(events)) if events.size else None
        terms[name] = _timed(rate, 0.0 if core is None else float(events[core]), core)
    busiest = (loads or placed_loads(plan)).busiest
    bandwidth = limits.source("link_bandwidth")
    slowest, quickest = bandwidth.interval
    bits = busiest * limits.message_bits
    terms[LINK] = Term(events=busiest, seconds=Seconds(
        low=_over(bits, quickest), value=_over(bits, float(bandwidth.value)), high=_over(bits, slowest)))
    terms[BARRIER] = _timed(rates.barrier, 1.0, None)
    times = [term.seconds for term in terms.values()]
    return StepTime(
        terms=terms, limit=max(terms, key=lambda name: terms[name].seconds.value),
        seconds=Seconds(low=max(time.low for time in times), value=max(time.value for time in times),
                        high=max(time.high for time in times)))


def placed_loads(plan: Plan) -> Loads:
    """Messages per step of every link and router under a plan."""
    return link_loads(plan.traffic, plan.placement.mesh, plan.placement.sites)


def _timed(rate: Number, events: float, core: int | None) -> Term:
    """Events one after the other, each of which takes what `rate` says."""
    low, high = rate.interval
    return Term(events=events, core=core,
                seconds=Seconds(low=events * low, value=events * float(rate.value), high=events * high))


def _over(bits: float, bandwidth: float) -> float:
    """Seconds for bits; a bandwidth may be as low as nothing."""
    if not bits:
        return 0.0
    return bits / bandwidth if bandwidth else inf


def _plain(seconds: Seconds) -> dict[str, float]:
    return {"low": seconds.low, "value": seconds.value, "high": seconds.high}
