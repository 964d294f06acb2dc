"""The plan of a program in terms of Lava Processes: which neurons of which Process lie on which core."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from loihic.ir.node import Shape
from loihic.partition.layout import Box
from loihic.partition.plan import Plan

FORMAT = "loihic-placement"
FILE = "placement.json"


def placement_text(plan: Plan, processes: Mapping[str, str]) -> str:
    """The plan as JSON: per core its chip, its number and its slices, in order of compartment.

    A slice is a list of boxes, each with half-open ranges in the order of the Process's shape: (y, x, channel) for
    feature maps, as Lava has them. Within a box the compartments count pixel by pixel, channels fastest.

    Args:
        plan: of the program.
        processes: Lava's names of the populations.
    """
    cores = [
        {"chip": plan.placement.chip(core), "core": plan.placement.core(core),
         "slices": [{"process": processes[one.population],
                     "boxes": [_ranges(box, layout.shape) for box in layout.boxes(one.start, one.stop)]}
                    for one in fragments for layout in (plan.partition.layouts[one.population],)]}
        for core, fragments in enumerate(plan.partition.cores)]
    described: dict[str, Any] = {
        "format": FORMAT, "system": plan.system.name, "target": plan.system.limits.target, "chips": plan.chips,
        "cores_per_chip": plan.placement.mesh.cores, "cores": cores}
    return json.dumps(described, indent=1) + "\n"


def _ranges(box: Box, shape: Shape) -> list[list[int]]:
    """A box in Lava's order of dimensions."""
    kept = {3: (box.rows, box.columns, box.channels), 2: (box.channels, box.columns)}.get(len(shape), (box.channels,))
    return [list(span) for span in kept]
