"""What each loss does to the answers: the output error with it, without it, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

import numpy as np

from loihic.ir.graph import SourceGraph
from loihic.ir.linear import ConvMap, DenseMap, LinearMap, as_matrix
from loihic.ir.node import Array
from loihic.ledger import Ledger, Loss
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.ops.traits import Emit
from loihic.program import Program
from loihic.report.spike_metrics import DEFAULT_TAU, SignalError, train_distance
from loihic.sim.emulate import Emulator, LossKind, Place
from loihic.sim.reference import run_reference

Outputs = Mapping[str, Array]
LEDGER_KINDS = {"weights": LossKind.WEIGHTS, "decay": LossKind.DECAY, "threshold": LossKind.THRESHOLD,
                "bias": LossKind.BIAS, "range": LossKind.SATURATION}
STEP_COST = 5000  # multiply-adds that take as long as a node's step costs in Python alone


@dataclass(frozen=True, kw_only=True)
class KindEffect:
    """What one kind of loss does to the output error.

    Attributes:
        kind: of loss.
        places: how many maps or populations have it.
        undone: the output error of the program without it.
        alone: the output error of the float network with it and nothing else.
        change: what undoing it adds to the output error; below zero where it helps.
    """

    kind: LossKind
    places: int
    undone: float
    alone: float
    change: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def output_error(graph: SourceGraph, ours: Outputs, theirs: Outputs, tau: float = DEFAULT_TAU) -> float:
    """How far the outputs (N, T, *shape) are from those of the float network, averaged over the Output nodes.

    Spikes by their van Rossum distance, graded outputs by their relative root mean square error: 0 where nothing
    differs, about 1 where the answer is worth no more than silence.
    """
    errors = []
    for name, values in theirs.items():
        if sends_spikes(graph, name):
            errors.append(train_distance(ours[name], values, tau))
        else:
            signal = SignalError()
            signal.add(ours[name], values)
            errors.append(signal.relative)
    return float(np.mean(errors)) if errors else 0.0


def sends_spikes(graph: SourceGraph, output: str) -> bool:
    """Whether an Output node of a fused graph shows spikes (or counts of them) rather than voltages."""
    node = graph.nodes[graph.incoming[output][0].src]
    return isinstance(node, Neuron) and node.emit is not Emit.STATE


def kind_effects(emulator: Emulator, inputs: Mapping[str, Array], tau: float = DEFAULT_TAU,
                 progress: Callable[[], None] = lambda: None) -> tuple[float, tuple[KindEffect, ...]]:
    """The output error with every loss, and what each kind of loss that the program has does to it.

    Args:
        emulator: of the program.
        inputs: real, (N, T, *shape) per Input.
        tau: of the van Rossum distance, in steps.
        progress: called before each run.
    """
    theirs = run_reference(emulator.source, inputs)

    def error(undo: frozenset[Place]) -> float:
        progress()
        return output_error(emulator.source, run_reference(emulator.graph(undo), inputs), theirs, tau)

    everything = error(frozenset())
    effects = []
    for kind in LossKind:
        places = emulator.everywhere([kind])
        if places:
            undone = error(places)
            effects.append(KindEffect(kind=kind, places=len(places), undone=undone, change=undone - everything,
                                      alone=error(emulator.places - places)))
    return everything, tuple(effects)


def measured_effects(program: Program, x: Array | Mapping[str, Array] | None = None, *,
                     budget: float = 2e8) -> Ledger:
    """The ledger with the effect of each entry measured: by how much the output error shrinks when it alone is undone.

    Entries whose loss is no parameter of the fused graph (the time step, rounded inputs) have no effect to measure.

    Args:
        program: the program.
        x: inputs as for `Program.run`; the golden input by default.
        budget: multiply-adds to spend; the entries with the greatest errors come first, the rest stays unmeasured.

    Raises:
        InputError: the input does not fit.
    """
    inputs = program.real_inputs(x)
    emulator = Emulator(program)
    samples, steps = next(iter(inputs.values())).shape[:2]
    cost = steps * (samples * work(program.source) + STEP_COST * len(program.source.nodes))
    places = {loss: found for loss in program.ledger if (found := _places(emulator, loss))}
    chosen = sorted(places, key=lambda loss: -(loss.error or 0.0))[: max(int(budget / cost) - 2, 0)]
    if not chosen:
        return program.ledger
    theirs = run_reference(program.source, inputs)

    def error(undo: frozenset[Place]) -> float:
        return output_error(program.source, run_reference(emulator.graph(undo), inputs), theirs)

    everything = error(frozenset())
    without = {undo: error(undo) for undo in dict.fromkeys(places[loss] for loss in chosen)}
    measured = set(chosen)
    return Ledger([replace(loss, effect=everything - without[places[loss]]) if loss in measured else loss
                   for loss in program.ledger])


def work(graph: SourceGraph) -> int:
    """Multiply-adds of one sample's step in the maps of a fused graph."""
    return sum(_work(node.linear) for _, node in graph.of(Map) if isinstance(node, Map))


def _work(linear: LinearMap) -> int:
    if isinstance(linear, ConvMap):
        return int(linear.kernel[0].size) * prod(linear.out_shape)
    matrix = as_matrix(linear)
    return int(matrix.matrix.size) if isinstance(matrix, DenseMap) else int(matrix.to_csr().nnz)


def _places(emulator: Emulator, loss: Loss) -> frozenset[Place]:
    """What undoing an entry of the ledger means; nothing where the emulation does not know."""
    if loss.kind == "delay" and loss.param == "loop":
        return emulator.everywhere([LossKind.DELAY])
    kind = LEDGER_KINDS.get(loss.kind)
    return emulator.places & {(loss.node, kind)} if kind is not None else frozenset()
