"""The plan of a program in terms of Lava Processes: which neurons of which Process lie on which core."""

from __future__ import annotations

import json
from collections.abc import Mapping

from loihic.ir.node import Shape
from loihic.partition.layout import Box
from loihic.partition.plan import Plan

FORMAT = "loihic-placement"
FILE = "placement.json"


def placement_text(plan: Plan, processes: Mapping[str, str]) -> str:
    """The plan as JSON: per core its chip, its number and its slices, in order of compartment.

    A slice is a set of boxes, each with half-open ranges in the order of the Process's shape: (y, x, channel) for
    feature maps, as Lava has them, (channel, x) for maps of one row. Its neurons are numbered by the population's
    layout: groups of channels, in a group tiles, in a tile pixels, in a pixel channels.

    Args:
        plan: of the program.
        processes: Lava's names of the populations.
    """
    lines = []
    for core, fragments in enumerate(plan.partition.cores):
        slices = []
        for one in fragments:
            layout = plan.partition.layouts[one.population]
            slices.append({"process": processes[one.population], "neurons": one.size,
                           "boxes": [_ranges(box, layout.shape) for box in layout.boxes(one.start, one.stop)]})
        lines.append(json.dumps({
            "chip": plan.placement.chip(core), "core": plan.placement.core(core), "slices": slices}))
    head = json.dumps({"format": FORMAT, "system": plan.system.name, "target": plan.system.limits.target,
                       "chips": plan.chips, "cores_per_chip": plan.placement.mesh.cores, "layouts": {
                           processes[name]: {"channels": layout.channels, "tile": layout.tile}
                           for name, layout in plan.partition.layouts.items()}})
    return f'{head[:-1]}, "cores": [\n' + ",\n".join(lines) + "\n]}\n"  # a line a core, for people to read


def _ranges(box: Box, shape: Shape) -> list[list[int]]:
    """A box in Lava's order of dimensions."""
    kept = {3: (box.rows, box.columns, box.channels), 2: (box.channels, box.columns)}.get(len(shape), (box.channels,))
    return [list(span) for span in kept]
