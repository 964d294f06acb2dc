"""What integer states reach in a run: minima and maxima only, of the values before they wrap or saturate."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.ops.activation import Activation
from loihic.ops.compartment import Compartment
from loihic.ops.sigma_delta import SigmaDeltaNeurons
from loihic.ops.synapse import Synapse
from loihic.quant.fixed import ACTIVATION_SHIFT, wrap_bits, wrap_current
from loihic.quant.reach import Span
from loihic.quant.sums import exact_sums, linear_of
from loihic.sim.simulator import simulate


def observe_ranges(graph: HardwareGraph, inputs: Mapping[str, Array], steps: int, *,
                   progress: Callable[[int], None] | None = None) -> dict[tuple[str, str], Span]:
    """Run a timed graph and note the least and greatest values of its states, per element over samples and steps.

    Args:
        graph: a finished hardware graph.
        inputs: per Source, integers (N, T, *shape).
        steps: number of hardware steps.
        progress: called with the number of steps done.

    Returns:
        Per (node, state), as in `loihic.quant.proofs.StateProof`, the least and greatest values, each of the node's
        (output) shape. Values are those before they wrap or saturate, so that a state that left its range shows it.
    """
    found: dict[tuple[str, str], Span] = {}
    maps = {name: linear_of(node) for name, node in graph.nodes.items() if isinstance(node, Synapse)}

    def note(name: str, state: str, values: Array) -> None:
        low, high = values.min(axis=0), values.max(axis=0)
        old = found.get((name, state))
        found[name, state] = (low, high) if old is None else (np.minimum(old[0], low), np.maximum(old[1], high))

    def observe(name: str, state: Mapping[str, Array], arriving: Array, k: int) -> None:
        node = graph.nodes[name]
        if isinstance(node, Compartment) and not node.rests(k):
            u = node.current(state, arriving)
            note(name, "sum", arriving << ACTIVATION_SHIFT)
            note(name, "u", u)
            note(name, "v", node.voltage(state, wrap_current(wrap_bits(u, 32))))
        elif isinstance(node, Activation) and not node.rests(k):
            note(name, "v", node.total(state, arriving))
        elif isinstance(node, SigmaDeltaNeurons):
            note(name, "sigma", node.total(state, arriving))
        elif isinstance(node, Synapse):
            linear = maps[name]
            if linear is not None:
                note(name, "sum", exact_sums(linear, node, arriving))

    simulate(graph, inputs, steps, progress=progress, observe=observe)
    return found
