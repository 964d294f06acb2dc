"""A run over an input of any length: samples in blocks, steps in chunks, in a bounded amount of memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from loihic.commands.checkpoints import Checkpoints, Interval, Stop, resume
from loihic.commands.destination import Destination
from loihic.commands.input_trace import InputTrace
from loihic.commands.output import Meter
from loihic.ir.node import Array
from loihic.sim.state import expected
from loihic.sim.stream import Stream

if TYPE_CHECKING:
    from loihic.program import Program, Result
    from loihic.sim.state import RunState

CHUNK_BYTES = 64 << 20  # of the arrays of a chunk: inputs, outputs and records
STATE_BYTES = 256 << 20  # of the states of a block
COPIES = 3  # of a chunk's arrays while it is worked on
FEW_STEPS = 16  # a chunk of a large network has at least these, or fewer samples
FIRST_STEPS = 64  # of a run, to see how fast it goes
PATIENCE = 0.5  # seconds that a chunk takes, so that progress is seen and Ctrl-C is heard
WORD = 8  # bytes of an int64


@dataclass(frozen=True, kw_only=True)
class LongRun:
    """What to run and how.

    Attributes:
        program: what runs.
        inputs: real values (N, T, *shape) per input; mapped files are read chunk by chunk.
        target: where results go.
        raw: leave the latency in the outputs.
        engine, threads, device: as for `Stream`.
        checkpoint: where states are written; None for nowhere.
        every: how often.
        resume: the state to go on from.
    """

    program: Program
    inputs: Mapping[str, Array]
    target: Destination
    raw: bool = False
    engine: str = "auto"
    threads: int | None = None
    device: str = "cpu"
    checkpoint: Path | None = None
    every: Interval
    resume: Path | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Samples and steps of the input."""
        samples, steps = next(iter(self.inputs.values())).shape[:2]
        return int(samples), int(steps)

    def run(self, label: str) -> tuple[Result, float, float]:
        """Run to the end; returns the results, the steps taken per second, and the seconds.

        Raises:
            KeyboardInterrupt: by Ctrl-C or SIGTERM, after a checkpoint was written if there is one to write.
            InputError: the input, the checkpoint or the outputs are at fault.
            BackendError: the engine is missing.
        """
        (samples, steps), latency = self.size, self.program.latency
        trace = InputTrace(self.inputs)
        left, state = (None, None) if self.resume is None else resume(self.resume, self.program, trace, raw=self.raw)
        blocks = list(self._blocks(0 if left is None else left.done, state))
        checkpoints = Checkpoints(self.checkpoint, self.every, self.target, trace)
        if left is None:
            checkpoints.discard()
        self.target.open(samples, steps + latency * self.raw, steps + latency, traced=self.checkpoint is not None,
                         left=left)
        begun, first = time.monotonic(), 0 if state is None else state.step
        total = len(blocks) * (steps + latency)
        try:
            with Meter(label, total, rate=True) as meter, Stop(gently=self.checkpoint is not None) as stop:
                meter.steps(first)
                for index, (start, count) in enumerate(blocks):
                    meter.base = index * (steps + latency)
                    self._block(start, count, state, checkpoints, meter, stop)
                    state = None
            result = self.target.finish()
        except BaseException:
            self.target.abandon(keep=checkpoints.written or self.resume is not None)
            raise
        seconds = max(time.monotonic() - begun, 1e-9)
        return result, (total - first) / seconds, seconds

    def _block(self, start: int, count: int, state: RunState | None, checkpoints: Checkpoints, meter: Meter,
               stop: Stop) -> None:
        """Run the samples from `start` to `start + count`."""
        (samples, steps), most, pace = self.size, self._most_steps(count), FIRST_STEPS
        run = Stream(self.program, record=self.target.record, raw=self.raw, engine=self.engine, threads=self.threads,
                     device=self.device, steps=steps + self.program.latency, at=state, first_sample=start)
        while (at := run.step) < steps:
            length = checkpoints.steps_left(at, min(most, pace, steps - at))
            begun = time.monotonic()
            chunk = {name: values[start : start + count, at : at + length] for name, values in self.inputs.items()}
            piece = run.feed(chunk)
            meter.steps(run.step)
            self.target.put(start, piece)
            checkpoints.took(run, start, at)
            pace = max(1, min(4 * pace, int(PATIENCE * length / max(time.monotonic() - begun, 1e-6))))
            is_last = run.step == steps and start + count == samples
            if stop.asked or is_last or checkpoints.is_due(run.step):
                checkpoints.save(run, start)
            if stop.asked:
                raise KeyboardInterrupt
        for piece in run.finish(min(most, pace)):
            self.target.put(start, piece)
        meter.steps(steps + self.program.latency)

    def _blocks(self, done: int, state: RunState | None) -> Iterator[tuple[int, int]]:
        """First samples and sizes of the blocks that are left; the first is the one that `state` is of."""
        samples, _ = self.size
        if state is not None:
            yield done, state.batch
            done += state.batch
        graph = self.program.graph
        held = WORD * sum(prod(shape) for shape in (*expected(graph, 1, 0).values(), *graph.shapes.values()))
        block = max(1, min(STATE_BYTES // held, CHUNK_BYTES // (FEW_STEPS * self._step_bytes())))
        for start in range(done, samples, block):
            yield start, min(block, samples - start)

    def _step_bytes(self) -> int:
        """Bytes that a step of a sample takes in a chunk."""
        shapes = self.program.graph.shapes
        names = (*self.program.inputs, *self.program.outputs, *(node for node, _ in self.target.record))
        return COPIES * WORD * sum(prod(shapes[name]) for name in names)

    def _most_steps(self, count: int) -> int:
        return max(1, CHUNK_BYTES // (count * self._step_bytes()))
