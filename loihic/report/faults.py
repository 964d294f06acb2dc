"""Neurons that do not do their work: dead, silent, always firing, clipped or wrapped; and what to type about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import numpy as np

from loihic.ir.node import Array
from loihic.ops.population import Population
from loihic.ops.synapse import Synapse
from loihic.program import Program
from loihic.report.population import PopulationMeter

FIRST = 8  # indices that are listed
FULL_BITS = 8


class Fault(str, Enum):
    """What is wrong with a neuron.

    Dead: spikes in floats, never in the integers. Stuck: spikes at every step in the integers, not in floats. Clipped
    and wrapped: v or u left 24 bits. Silent and busy neurons never or always spike in floats too, so that compiling is
    not at fault.
    """

    DEAD = "dead"
    STUCK = "stuck"
    CLIPPED = "clipped"
    WRAPPED = "wrapped"
    SILENT = "silent"
    BUSY = "busy"


EXPLAINED = {
    Fault.DEAD: "spike in floats, never in the integers", Fault.STUCK: "spike at every step, not so in floats",
    Fault.CLIPPED: "v was clipped at 24 bits; see what saturation costs", Fault.WRAPPED: "u wrapped at 24 bits",
    Fault.SILENT: "never spike, in floats neither", Fault.BUSY: "spike at every step, in floats too"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Neurons of one population with the same fault.

    Attributes:
        node: the population.
        fault: what is wrong.
        count, of: how many neurons have it, of how many.
        first: indices of the first of them.
        remedy: options of `loihic compile` that may help; empty where compiling is not at fault.
    """

    node: str
    fault: Fault
    count: int
    of: int
    first: tuple[tuple[int, ...], ...]
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def faults(program: Program, meters: list[PopulationMeter]) -> tuple[Finding, ...]:
    """The faults of every population, the worst kinds first."""
    found = []
    for meter in meters:
        for fault, which in _masks(meter).items():
            if which.any():
                remedy = _remedy(program, meter, fault)
                found.append(Finding(
                    node=meter.name, fault=fault, count=int(which.sum()), of=which.size, remedy=remedy,
                    first=tuple(tuple(int(i) for i in place) for place in np.argwhere(which)[:FIRST])))
    order = list(Fault)
    return tuple(sorted(found, key=lambda finding: order.index(finding.fault)))


def _masks(meter: PopulationMeter) -> dict[Fault, Array]:
    limits = {Fault.CLIPPED: meter.clipped > 0, Fault.WRAPPED: meter.wrapped > 0}
    if meter.graded:
        return limits
    ours, theirs = meter.integer_counts > 0, meter.float_counts > 0
    always, always_in_floats = (meter.always[which] == meter.samples for which in ("integers", "floats"))
    return {Fault.DEAD: theirs & ~ours, Fault.STUCK: always & ~always_in_floats, **limits,
            Fault.SILENT: ~theirs & ~ours, Fault.BUSY: always & always_in_floats}


def _remedy(program: Program, meter: PopulationMeter, fault: Fault) -> str:
    """What of precision or room the program has not been given yet."""
    if fault in (Fault.SILENT, Fault.BUSY):
        return ""
    calibrate = "--calibration X.npz, with inputs like these"
    if fault in (Fault.CLIPPED, Fault.WRAPPED):
        return "--calibration X.npz, with more samples like these" if program.options.get("calibration") else calibrate
    maps = [edge.src for edge in program.source.incoming[meter.name]]
    groups = {name: _bits(program, name) for name in maps}
    narrow = [name for name, bits in groups.items() if bits < FULL_BITS]
    if narrow:
        return " ".join(f"--weight-bits {name}={FULL_BITS}" for name in narrow)
    if _one_scale(meter.node) and not program.options.get("stock_only"):
        return "--neuron-scales"
    if not program.options.get("calibration"):
        return calibrate
    return " ".join(f"--weight-bits {name}={2 * FULL_BITS}" for name in maps)


def _bits(program: Program, group: str) -> int:
    """The bits of the weights of a Map, in all of its synapses."""
    return sum(node.num_weight_bits for name, node in program.graph.of(Synapse)
               if isinstance(node, Synapse) and (node.group or name) == group)


def _one_scale(node: Population) -> bool:
    return node.unit.size == 1 and int(np.prod(node.shape)) > 1
