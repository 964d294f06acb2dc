"""A plan as a whole: how many cores, how far from the least, how long a step takes, how far its messages go."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from loihic.ir.node import Array
from loihic.partition.model import HOST
from loihic.partition.placement import place
from loihic.partition.plan import Plan
from loihic.partition.resources import LABELS
from loihic.partition.routing import Loads, link_loads, weighted_hops
from loihic.partition.step import BARRIER, StepTime, placed_loads, step_time
from loihic.partition.whereabouts import address_of
from loihic.report.plan_tables import CoreRow, PopulationRow
from loihic.report.plan_words import bar, count, duration, interval, percent, plural

TERM_COLUMNS = ("part", "time", "between", "events", "where", "")
TERM_RIGHT = frozenset({"time", "events"})
ROUTE_COLUMNS = ("placement", "weighted hops", "", "busiest link", " ")
ROUTE_RIGHT = frozenset({"weighted hops", "busiest link"})
BAR_WIDTH = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Routes:
    """What the messages of one step cost under a placement.

    Attributes:
        method: of placement.
        weighted_hops: of all messages of a step, with what the borders of chips count.
        busiest_link: messages per step.
    """

    method: str
    weighted_hops: float
    busiest_link: float


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What is said of a plan before its cores are listed.

    Attributes:
        plan: the plan itself.
        step: its time.
        loads: of links and routers, under its placement.
        routes: under its placement.
        against: under another placement of the same cores, if one was asked for.
    """

    plan: Plan
    step: StepTime
    loads: Loads
    routes: Routes
    against: Routes | None = None


def summarise(plan: Plan, against: str | None = None) -> Summary:
    """Work out what a plan costs.

    Args:
        plan: with rates.
        against: the method of another placement to compare with.
    """
    loads = placed_loads(plan)
    mesh = plan.placement.mesh
    other = None if against is None else _routes(plan, against, place(plan.traffic, mesh, method=against).sites)
    own = Routes(method=plan.placement.method, busiest_link=loads.busiest,
                 weighted_hops=weighted_hops(plan.traffic, mesh, plan.placement.sites))
    return Summary(plan=plan, step=step_time(plan, loads), loads=loads, routes=own, against=other)


def _routes(plan: Plan, method: str, sites: Array) -> Routes:
    traffic, mesh = plan.traffic, plan.placement.mesh
    return Routes(method=method, weighted_hops=weighted_hops(traffic, mesh, sites),
                  busiest_link=link_loads(traffic, mesh, sites).busiest)


def heading(found: Summary) -> list[tuple[str, str]]:
    """(what, in words) for every fact that is not in a table."""
    plan, step = found.plan, found.step
    system, traffic = plan.system, plan.traffic
    gap = plan.cores - plan.bound
    least = "the least possible" if gap == 0 else f"any partition needs at least {plan.bound}"
    if gap and plan.objective == "cores":
        least += f", a gap of {gap} ({percent(gap / plan.cores)})"
    name = f"{system.name}: " if system.name == system.limits.target else f"{system.name} ({system.limits.target}): "
    return [
        ("system", f"{name}{plural(system.chips, 'chip')} of {plural(system.limits.cores, 'core')}"),
        ("cores", f"{plan.cores} of {system.cores} ({percent(plan.cores / system.cores)}), on "
                  f"{plural(plan.chips, 'chip')}; {least}"),
        ("objective", f"{plan.objective}; placement {plan.placement.method}"),
        ("activity", f"{plan.activity}: {count(float(traffic.weight.sum()))} messages per step, "
                     f"{count(traffic.deliveries)} deliveries"),
        ("step time", f"{duration(step.seconds.value)} ({interval(step.seconds)}), "
                      f"limited by the {_limit(plan, step)}"),
        ("routes", f"{count(found.routes.weighted_hops)} weighted hops per step; "
                   f"{count(found.routes.busiest_link)} messages per step on the busiest link"),
    ]


def _limit(plan: Plan, step: StepTime) -> str:
    core = step.terms[step.limit].core
    return step.limit if core is None else f"{step.limit} of {address_of(plan, core)}"


def term_rows(found: Summary, *, ascii_only: bool = False) -> list[tuple[str, ...]]:
    """For `TERM_COLUMNS`: everything that a step waits for."""
    longest = found.step.seconds.value
    rows: list[tuple[str, ...]] = []
    for name, term in found.step.terms.items():
        share = term.seconds.value / longest if longest else 0.0
        rows.append((name, duration(term.seconds.value), interval(term.seconds),
                     "" if name == BARRIER else count(term.events),
                     "" if term.core is None else str(address_of(found.plan, term.core)),
                     bar(share, BAR_WIDTH, ascii_only=ascii_only)))
    return rows


def route_rows(found: Summary) -> list[tuple[str, ...]]:
    """For `ROUTE_COLUMNS`: this placement, and the other one that was asked for."""
    rows: list[tuple[str, ...]] = [(f"{found.routes.method} (of the program)", count(found.routes.weighted_hops), "",
                                    count(found.routes.busiest_link), "")]
    if found.against is not None:
        other = found.against
        rows.append((other.method, count(other.weighted_hops),
                     _change(other.weighted_hops, found.routes.weighted_hops), count(other.busiest_link),
                     _change(other.busiest_link, found.routes.busiest_link)))
    return rows


def _change(value: float, against: float) -> str:
    """How much more or less than another number, relative to it."""
    if value == against:
        return "equal"
    return f"{100 * (value / against - 1):+.3g} %" if against else ""


def summary_json(found: Summary, cores: list[CoreRow], populations: list[PopulationRow]) -> dict[str, Any]:
    """All of a plan as plain data; memories by the names of Intel's columns, times in seconds."""
    plan = found.plan
    system, mesh, traffic = plan.system, plan.placement.mesh, plan.traffic
    from_host = float(traffic.weight[traffic.source == HOST].sum())
    to_host = float(np.repeat(traffic.weight, np.diff(traffic.first))[traffic.targets == HOST].sum())
    return {
        "system": {"name": system.name, "target": system.limits.target, "chip": system.limits.chip,
                   "chips": system.chips, "chip_columns": system.chip_columns, "cores": system.cores,
                   "mesh": asdict(mesh)},
        "cores_used": plan.cores, "chips_used": plan.chips, "bound": plan.bound, "gap": plan.cores - plan.bound,
        "objective": plan.objective, "placement": plan.placement.method, "activity": plan.activity,
        "step": found.step.to_json(plan),
        "traffic": {"messages": float(traffic.weight.sum()), "deliveries": traffic.deliveries,
                    "hyperedges": int(traffic.source.size), "from_host": from_host, "to_host": to_host,
                    "weighted_hops": found.routes.weighted_hops, "busiest_link": found.routes.busiest_link,
                    "busiest_router": float(found.loads.routers.max(initial=0.0))},
        "against": None if found.against is None else asdict(found.against),
        "layouts": {name: {"shape": list(layout.shape), "channels": layout.channels, "tile": list(layout.tile)}
                    for name, layout in plan.partition.layouts.items()},
        "sites": [int(site) for site in plan.placement.sites],
        "cores": [row.to_json() for row in cores],
        "populations": [row.to_json() for row in populations],
        "capacities": {label: int(words) for label, words in zip(LABELS, plan.figures.capacities, strict=True)},
        "limits": {name: {"value": number.value, "low": number.low, "high": number.high, "unit": number.unit,
                          "confidence": number.confidence, "source": number.source}
                   for name, number in system.limits.numbers.items()},
    }
