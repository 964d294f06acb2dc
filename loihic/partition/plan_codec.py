"""Plans to plain JSON and tensors, and back. The limits of the chip travel along, each with its source."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from loihic.ir.codec import Decoder, Encoder
from loihic.ir.graph import HardwareGraph
from loihic.partition.activity import senders
from loihic.partition.connections import populations
from loihic.partition.layout import Layout, as_map
from loihic.partition.model import Fragment, Partition, Placement
from loihic.partition.plan import Plan
from loihic.targets.limits import limits_of
from loihic.targets.numbers import CONFIDENCES, Number
from loihic.targets.systems import System, most_chips

Json = dict[str, Any]


def encode_plan(plan: Plan, encoder: Encoder) -> Json:
    """A plan as JSON; its arrays go to the encoder's tensors."""
    names = list(plan.partition.layouts)
    number = {name: place for place, name in enumerate(names)}
    rows = [(number[one.population], one.start, one.stop, core)
            for core, fragments in enumerate(plan.partition.cores) for one in fragments]
    limits = plan.system.limits
    return {
        "system": {"name": plan.system.name, "chips": plan.system.chips, "chip_columns": plan.system.chip_columns,
                   "target": limits.target, "chip": limits.chip,
                   "numbers": {name: [one.value, one.unit, one.source, one.confidence, one.low, one.high]
                               for name, one in limits.numbers.items()}},
        "objective": plan.objective, "activity": plan.activity, "bound": plan.bound, "cores": plan.cores,
        "method": plan.placement.method,
        "layouts": [[name, layout.channels, *layout.tile] for name, layout in plan.partition.layouts.items()],
        "fragments": encoder.value(np.array(rows, dtype=np.int64).reshape(-1, 4), "plan/fragments"),
        "sites": encoder.value(np.asarray(plan.placement.sites), "plan/sites"),
        "rates": {name: encoder.value(np.asarray(rates, dtype=np.float32), f"plan/rates/{name}")
                  for name, rates in plan.rates.items()},
    }


def decode_plan(data: Json, decoder: Decoder, graph: HardwareGraph) -> Plan:
    """The inverse of `encode_plan`; raises KeyError, TypeError or ValueError for anything malformed."""
    system = _system(data["system"])
    mesh = system.mesh()
    layouts = {}
    for name, channels, rows, columns in data["layouts"]:
        layout = Layout(shape=graph.shapes[name], channels=int(channels), tile=(int(rows), int(columns)))
        if min(layout.channels, *layout.tile) < 1 or layout.channels > max(as_map(layout.shape)[0], 1):
            raise ValueError(f"{name}: malformed layout")
        layouts[name] = layout
    if list(layouts) != list(populations(graph)):
        raise ValueError("the plan is not for these populations")
    names, sites, count = list(layouts), decoder.value(data["sites"]), int(data["cores"])
    if not 0 <= count <= mesh.sites or sites.shape != (count,):
        raise ValueError("cores and sites do not agree")
    cores: list[list[Fragment]] = [[] for _ in range(count)]
    for population, start, stop, core in decoder.value(data["fragments"]).tolist():
        if min(population, core) < 0:
            raise ValueError("a fragment of nothing")
        cores[core].append(Fragment(population=names[population], start=start, stop=stop))
    partition = Partition(layouts=layouts, cores=tuple(tuple(fragments) for fragments in cores))
    partition.check()
    placement = Placement(mesh=mesh, sites=sites, method=str(data["method"]))
    placement.check()
    rates = {name: np.asarray(decoder.value(data["rates"][name]), dtype=np.float64) for name in senders(graph)}
    for name, values in rates.items():
        if values.shape != (prod(graph.shapes[name]),) or not np.all((values >= 0) & np.isfinite(values)):
            raise ValueError(f"{name}: malformed rates")
    return Plan(graph=graph, system=system, objective=str(data["objective"]), partition=partition,
                placement=placement, rates=rates, activity=str(data["activity"]), bound=int(data["bound"]))


def _system(data: Json) -> System:
    numbers = {}
    for name, (value, unit, source, confidence, low, high) in data["numbers"].items():
        if confidence not in CONFIDENCES or not all(
                isinstance(n, int | float) and 0 <= n < float("inf") for n in (value, low, high) if n is not None):
            raise ValueError(f"{name} is no number")
        numbers[str(name)] = Number(value=value, unit=str(unit), source=str(source), confidence=confidence, low=low,
                                    high=high)
    limits = limits_of(numbers, target=str(data["target"]), chip=str(data["chip"]), path=Path(str(data["name"])))
    chips, columns = int(data["chips"]), int(data["chip_columns"])
    if not 1 <= columns <= chips <= most_chips(limits):
        raise ValueError("malformed system")
    return System(name=str(data["name"]), chips=chips, chip_columns=columns, limits=limits)
