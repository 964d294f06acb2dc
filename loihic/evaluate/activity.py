"""Activity: how many messages each neuron sends while it answers the input, and which never or always send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.node import Array
from loihic.ops.population import Population
from loihic.ops.source import Source
from loihic.program import Program
from loihic.sim.run import begin

BACKENDS = ("sim", "torch", "lava")
Sent = dict[str, Array]


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """What one population or input sends.

    A message is any value but zero. Those are counted that answer the input: of the T steps from the population's
    latency on, so that what happens before the input has arrived, and after its end, is left out.

    Attributes:
        node: its name.
        op: its kind, as in the graph.
        size: number of elements.
        messages: per step, of all elements.
        dead: share of the elements that sent nothing in any step of any sample.
        saturated: share of the elements that sent in every step of every sample.
        rates: messages per step of each element, (size,).
    """

    node: str
    op: str
    size: int
    messages: float
    dead: float
    saturated: float
    rates: Array

    @property
    def rate(self) -> float:
        """Messages per step and element."""
        return self.messages / max(self.size, 1)

    def to_json(self) -> dict[str, Any]:
        """Plain data, without the rate of each element."""
        return {"node": self.node, "op": self.op, "size": self.size, "messages_per_step": self.messages,
                "rate": self.rate, "dead": self.dead, "saturated": self.saturated}


def activities(program: Program, sent: Mapping[str, Array], steps: int) -> tuple[Activity, ...]:
    """The activity of every input and population, in the order of the graph.

    Args:
        program: that ran.
        sent: messages of each element of each of them, (size,).
        steps: over which these were counted, of all samples together.
    """
    found = []
    for name, counts in ((name, sent[name]) for name in program.graph.nodes if name in sent):
        rates = counts / max(steps, 1)
        found.append(Activity(node=name, op=program.graph.nodes[name].op, size=len(counts), messages=float(rates.sum()),
                              dead=float(np.mean(counts == 0)), saturated=float(np.mean(counts == steps)), rates=rates))
    return tuple(found)


def counted_run(program: Program, encoded: Mapping[str, Array], *, backend: str = "sim", threads: int | None = None,
                device: str = "cpu", timeout: float | None = None, progress: Callable[[float], None] | None = None,
                runs: int = 1) -> tuple[dict[str, Array], Sent]:
    """Run a program and count its messages.

    Args:
        program: the program.
        encoded: per Source integers (N, T, *shape), as `Program.encode` gives them.
        backend: ``sim``, ``torch`` or ``lava``.
        threads: as for `Program.run`.
        device: likewise.
        timeout: likewise.
        progress: called with the share that is done, 0 to 1; may raise to end the run.
        runs: that there will be of about this size; the choice of an engine is made for all of them.

    Returns:
        Per output its integers, aligned, (N, T, *shape); and the messages of each element of every Source and
        population, (size,), over all samples and their steps; see `Activity`.

    Raises:
        BackendError: the backend is missing or failed.
    """
    if backend == "lava":
        return _on_lava(program, encoded, timeout, progress)
    if backend not in BACKENDS:
        fail("LHC702", f"unknown backend {backend!r}", error=InputError, help=f"one of {', '.join(BACKENDS)}")
    batch, length = next(iter(encoded.values())).shape[:2]
    total = length + program.latency
    windows = _windows(program, length)
    marks = sorted({mark for window in windows.values() for mark in window} | {total})
    engine = begin(program.graph, batch, engine="auto" if backend == "sim" else backend, steps=total * runs,
                   count=True, threads=threads, device=device)
    sent = {name: np.zeros(program.graph.shapes[name], dtype=np.int64).reshape(-1) for name in windows}
    parts: dict[str, list[Array]] = {name: [] for name in program.outputs}
    done = 0
    for mark in marks:
        if mark > done:
            stretch = engine.advance({name: values[:, done:mark] for name, values in encoded.items()}, mark - done,
                                     _offset(progress, done, total))
            for name, values in stretch.outputs.items():
                parts[name].append(values)
            done = mark
        for name, (first, last) in windows.items():
            if mark in (first, last):
                sent[name] = sent[name] + (np.asarray(engine.sent[name]) * ((mark == last) - int(mark == first)))
    outputs = {}
    for name, sink in program.outputs.items():
        outputs[name] = np.concatenate(parts[name], axis=1)[:, sink.latency : sink.latency + length]
    return outputs, sent


def _windows(program: Program, length: int) -> dict[str, tuple[int, int]]:
    """Per Source and population the steps [first, last) in which it sends what answers the input."""
    total = length + program.latency
    firsts = {name: 0 if isinstance(node, Source) else node.start for name, node in program.graph.nodes.items()
              if isinstance(node, Source | Population)}
    return {name: (min(first, total), min(first + length, total)) for name, first in firsts.items()}


def _offset(progress: Callable[[float], None] | None, done: int, total: int) -> Callable[[int], None] | None:
    if progress is None:
        return None
    return lambda steps: progress((done + steps) / total)


def _on_lava(program: Program, encoded: Mapping[str, Array], timeout: float | None,
             progress: Callable[[float], None] | None) -> tuple[dict[str, Array], Sent]:
    """The same on Lava's simulator, by recording what every population sends."""
    from loihic.targets.lava.backend import run_on_lava

    samples, length = next(iter(encoded.values())).shape[:2]
    done: list[str] = []  # a line for each sample
    record = [(name, "out") for name, node in program.graph.nodes.items() if isinstance(node, Population)]
    raw, recorded = run_on_lava(program.graph, encoded, length + program.latency, record=record, timeout=timeout,
                                on_progress=done.append,
                                beat=None if progress is None else lambda: progress(min(len(done) / samples, 1.0)))
    outputs = {name: raw[name][:, sink.latency : sink.latency + length] for name, sink in program.outputs.items()}
    trains = {**encoded, **{name: values for (name, _), values in recorded.items()}}
    sent = {}
    for name, (first, last) in _windows(program, length).items():
        window = trains[name][:, first:last]
        sent[name] = np.count_nonzero(window.reshape(window.shape[0] * window.shape[1], -1), axis=0)
    return outputs, sent
