"""Shares: what each population takes of the cores that it lies on, which it may share with others."""

from __future__ import annotations

import numpy as np

from loihic.ir.node import Array
from loihic.partition.figures import uses
from loihic.partition.plan import Plan
from loihic.partition.population import COLUMNS


def shares(plan: Plan) -> dict[str, Array]:
    """Per population, (COLUMNS,): words of each of `MEMORIES`, then events per step of each kind of `WORK`.

    The sum over all populations is the sum over all cores of `Plan.figures`.
    """
    found = {name: np.zeros(COLUMNS) for name in plan.partition.layouts}
    for name, _, taken in uses(plan.network, plan.partition):
        found[name] += taken
    return found
