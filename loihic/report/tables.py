"""A program as rows for people and as plain data for scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array
from loihic.ir.text import flow_order
from loihic.ledger import Ledger
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.population import Population
from loihic.ops.source import Sink, Source
from loihic.ops.synapse import Synapse
from loihic.partition.plan import Plan
from loihic.program import Program, Result
from loihic.report.plan_words import plural
from loihic.targets.lava.emit import emit, process_names

NODE_COLUMNS = ("node", "op", "shape", "process", "weights", "step", "from")
LEDGER_COLUMNS = ("node", "kind", "parameter", "wanted", "actual", "error", "effect", "why")
SUMMARY_COLUMNS = ("kind", "entries", "largest error", "largest effect")
FEW = 20  # elements of an output whose counts are shown one by one
SPELLINGS = {"spike": "binary"}  # values that the command line calls otherwise
OUTPUT_COLUMNS = ("output", "sample", "shape", "values", "decision")


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeRow:
    """One hardware node.

    Attributes:
        name, op, origins: as in the graph.
        shape: of what it sends.
        process: name of its Lava Process; empty for an output, which is a tap.
        kind: class of that Process; ``loihic.*`` are our own, which need microcode on a chip.
        stock: whether Lava ships the Process.
        weight_bits, exponent: of a synapse's weights; the exponent is None where the Process has none.
        step: the step at which it sends its answer to input step 0.
    """

    name: str
    op: str
    origins: tuple[str, ...]
    shape: tuple[int, ...]
    process: str
    kind: str
    stock: bool
    weight_bits: int | None
    exponent: int | None
    step: int

    def cells(self) -> tuple[str, ...]:
        """For `NODE_COLUMNS`."""
        weights = "" if self.weight_bits is None else f"{self.weight_bits} bit"
        if self.exponent is not None:
            weights += f" << {self.exponent}" if self.exponent >= 0 else f" >> {-self.exponent}"
        process = self.kind.rpartition(".")[2] + ("" if self.stock else " (own)")
        origins = "" if self.origins == (self.name,) else ", ".join(self.origins)
        return self.name, self.op, str(self.shape), process, weights, str(self.step), origins


def node_rows(program: Program) -> list[NodeRow]:
    """Every hardware node, in the order data flows."""
    graph = program.graph
    kinds = {process.name: process.kind for process in emit(graph).processes}
    names = process_names(graph)
    rows = []
    for name in flow_order(graph):
        node = graph.nodes[name]
        kind = kinds[names[name]] if name in names else "output"
        synapse = node if isinstance(node, Synapse) else None
        rows.append(NodeRow(
            name=name, op=node.op, origins=node.origins, shape=tuple(graph.shapes[name]), process=names.get(name, ""),
            kind=kind, stock=not kind.startswith("loihic."),
            weight_bits=synapse.num_weight_bits if synapse is not None else None,
            exponent=_exponent(synapse),
            step=answering_step(graph, name)))
    return rows


def _exponent(synapse: Synapse | None) -> int | None:
    """A synapse's exponent; None where the Process has none."""
    if synapse is None or (isinstance(synapse, ConvSynapse) and not synapse.exponent):
        return None
    return synapse.exponent


def answering_step(graph: HardwareGraph, name: str) -> int:
    """The step at which `name` sends what answers input step 0; connections send it where it is received."""
    for _ in graph.nodes:
        node = graph.nodes[name]
        if isinstance(node, Source):
            return 0
        if isinstance(node, Population):
            return node.start
        if isinstance(node, Sink):
            return node.latency
        if not graph.outgoing[name]:
            break
        name = graph.outgoing[name][0].dst
    return 0


def option_rows(options: Mapping[str, Any], defaults: Mapping[str, Any], *, spiking: bool = True) -> list[
        tuple[str, str]]:
    """(option, value) with the defaults marked; what says nothing at its default is left out.

    Of the choices that matter to `spiking` networks alone the defaults say nothing to others.
    """
    always = {"reset", "scheme", "spikes", "weight_bits"} if spiking else set()
    rows = []
    for key, value in options.items():
        if key == "dt" or (key not in always and value == defaults.get(key)):
            continue
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else SPELLINGS.get(str(value), str(value))
        rows.append((key.replace("_", " "), shown + (" (default)" if value == defaults.get(key) else "")))
    return rows


def port_rows(program: Program) -> list[tuple[str, str]]:
    """("input NAME", shape and range) and ("output NAME", shape, scale and latency)."""
    rows = []
    for name, source in program.inputs.items():
        low, high = source.real_range
        kind = "whole numbers" if source.exact else f"rounded to multiples of {_span(source.scale)}"
        rows.append((f"input {name}", f"{source.shape}, {low:g} to {high:g}, {kind}"))
    for name, sink in program.outputs.items():
        graded = f"graded, in units of {_span(sink.scale)}" if is_graded(program, name) else "spikes"
        rows.append((f"output {name}", f"{sink.shape}, {graded}, latency {sink.latency} steps"))
    return rows


def _span(values: Array) -> str:
    """One number, or the least and the greatest."""
    low, high = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def ledger_rows(ledger: Ledger) -> list[tuple[str, ...]]:
    """For `LEDGER_COLUMNS`."""
    return [(loss.node, loss.kind, loss.param, loss.wanted, loss.actual,
             "" if loss.error is None else f"{loss.error:.3g}", _effect(loss.effect), loss.why) for loss in ledger]


def summary_rows(ledger: Ledger) -> list[tuple[str, ...]]:
    """For `SUMMARY_COLUMNS`."""
    return [(kind, str(found["entries"]), f"{found['largest_error']:.3g}" if found["largest_error"] else "none",
             _effect(found.get("largest_effect"))) for kind, found in ledger.summary().items()]


def _effect(value: float | None) -> str:
    """A measured effect; empty where none was measured."""
    if value is None:
        return ""
    return f"{value:.3g}" if value else "none"


def output_rows(program: Program, result: Result, limit: int = 10) -> list[tuple[str, ...]]:
    """For `OUTPUT_COLUMNS`: what each output sent in each of the first `limit` samples."""
    rows: list[tuple[str, ...]] = []
    for name, values in result.outputs.items():
        shape = str(program.outputs[name].shape)
        for sample in range(min(limit, len(values))):
            if is_graded(program, name):
                text, decided = range_text(values[sample]), step_decisions(program, name, values[sample])
            else:
                chosen = decision(values[sample])
                text, decided = spikes_text(values[sample]), "" if chosen is None else str(chosen)
            rows.append((name, str(sample), shape, text, decided))
    return rows


def step_decisions(program: Program, output: str, values: Array) -> str:
    """The greatest element of a vector output (T, n) in each of the first steps, if each is a question of its own."""
    if not program.answers_each_step or values.ndim != 2 or values.shape[1] < 2:
        return ""
    chosen = program.outputs[output].real(values[:FEW]).argmax(axis=1)
    return " ".join(map(str, chosen)) + (" ..." if len(values) > FEW else "")


def is_graded(program: Program, output: str) -> bool:
    """Whether an output sends voltages or messages rather than spikes."""
    graph, name = program.graph, output
    for _ in graph.nodes:
        feeds = graph.incoming[name]
        if not feeds:
            break
        name = feeds[0].src
        node = graph.nodes[name]
        if isinstance(node, Population):
            return node.is_graded
    return True


def spikes_text(values: Array) -> str:
    """The spikes of one sample (T, *shape): in all, and per element where there are few."""
    counts = values.sum(axis=0).reshape(-1)
    total = f"{int(counts.sum())} spikes"
    return f"{total}: {' '.join(map(str, counts))}" if 1 < counts.size <= FEW else total


def range_text(values: Array) -> str:
    """The least and greatest of one sample of a graded output, as integers."""
    return f"{values.min()} to {values.max()}" if values.size else "nothing"


def decision(values: Array) -> int | None:
    """The element of spikes (T, n) with the greatest count; None if there is no choice or nothing was sent."""
    if values.ndim != 2 or values.shape[1] < 2 or not np.any(values):
        return None
    return int(np.argmax(values.sum(axis=0)))


def program_json(program: Program) -> dict[str, Any]:
    """What `--json` says of a program."""
    rows = node_rows(program)
    return {
        "provenance": dict(program.provenance),
        "options": dict(program.options),
        "latency": program.latency,
        "inputs": {name: {"shape": list(node.shape), "low": node.real_range[0], "high": node.real_range[1],
                          "scale": node.scale.tolist(), "exact": node.exact} for name, node in program.inputs.items()},
        "outputs": {name: {"shape": list(node.shape), "scale": node.scale.tolist(), "offset": node.offset.tolist(),
                           "latency": node.latency}
                    for name, node in program.outputs.items()},
        "nodes": [asdict(row) for row in rows],
        "bits": {row.name: row.weight_bits for row in rows if row.weight_bits is not None},
        "proofs": [proof.to_json() for proof in program.proofs],
        "ledger": {"entries": len(program.ledger), "losses": sum(loss.is_loss for loss in program.ledger),
                   "summary": program.ledger.summary()},
        "plan": None if program.plan is None else {
            "system": program.plan.system.name, "chips": program.plan.chips, "cores": program.plan.cores,
            "least_cores": program.plan.bound, "objective": program.plan.objective,
            "placement": program.plan.placement.method},
    }


def plan_line(plan: Plan) -> str:
    """How much of the chips a program takes, in a line."""
    least = "the least possible" if plan.cores == plan.bound else f"at least {plan.bound} would be needed"
    return (f"{plural(plan.cores, 'core')} of {plan.system.cores} on {plural(plan.chips, 'chip')} "
            f"({plan.system.name}); {least}")
