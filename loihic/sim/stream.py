"""Long runs: input in parts of any length, outputs as they come, and a state to stop at and go on from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from loihic.encoding import InputEncoder
from loihic.errors import InputError, fail
from loihic.golden import fit_inputs
from loihic.ir.node import Array
from loihic.sim.align import Aligner
from loihic.sim.engine import Engine, Stretch
from loihic.sim.run import begin
from loihic.sim.state import Note, RunState, expected, graph_digest

if TYPE_CHECKING:
    from loihic.program import Program

Chunk = Array | Mapping[str, Array]
Progress = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What a part of the input gave.

    Attributes:
        first: the input step that index 0 of the outputs answers; under `raw`, its hardware step.
        outputs: per output, (N, t, *shape), int64, of all outputs for the same steps. The first pieces are shorter than
            their input, by the program's latency in all.
        first_recorded: the hardware step of index 0 of what was recorded.
        recorded: per (node, state), (N, steps, *shape), never aligned.
    """

    first: int
    outputs: dict[str, Array]
    first_recorded: int = 0
    recorded: dict[tuple[str, str], Array] = field(default_factory=dict)


class Stream:
    """A run that takes its input in parts.

    Together the pieces are what `Program.run` gives for the whole input, bit for bit, however it is cut.

    Args:
        program: what to run.
        record: (node, state) pairs to keep.
        raw: leave the latency in the outputs.
        engine: as for `loihic.sim.run.begin`.
        threads: over which samples are spread; all cores by default.
        device: of torch: ``cpu``, ``cuda``, ``cuda:1``.
        steps: about how many steps will be taken, if that is known; helps to choose an engine.
        at: where to go on; the beginning without.
        first_sample: number of the first sample in the user's input, from which messages count.

    Attributes:
        batch: number of samples; None until the first part, which decides it.

    Raises:
        InputError: LHC701 for unknown names, LHC116 for a state of another program.
        BackendError: LHC601.
    """

    def __init__(self, program: Program, *, record: Iterable[tuple[str, str]] = (), raw: bool = False,
                 engine: str = "auto", threads: int | None = None, device: str = "cpu", steps: int = 0,
                 at: RunState | None = None, first_sample: int = 0) -> None:
        self.program, self.raw, self.batch = program, raw, None if at is None else at.batch
        self._record = program.known_records(record)
        self._engine_choice, self._threads, self._device, self._length = engine, threads, device, steps
        self._engine: Engine | None = None
        self._digest, self._at, self._over = "", at, False
        begun, told, held = 0, None, None
        if at is not None:
            at.check(program.graph)
            begun, told, held, self._digest = at.step, at.told, at.held, at.program
        self._encoder = InputEncoder(program.inputs, told=told, step=begun, first_sample=first_sample)
        self._aligner = Aligner(program.outputs, step=begun, held=held)

    @property
    def step(self) -> int:
        """Number of input steps taken."""
        return self._encoder.step

    def feed(self, chunk: Chunk, progress: Progress | None = None) -> Piece:
        """Take the next steps of the input.

        Args:
            chunk: real values (t, *shape) or (N, t, *shape), or such arrays by input name; t may be 0.
            progress: called with the number of steps of this part that are done.

        Raises:
            InputError: LHC110 or LHC111, with the run where it was before; LHC116 after `finish`.
            BackendError: LHC601, with the run where it was before.
        """
        if self._over:
            fail("LHC116", "the run is over: its last outputs have been taken", error=InputError,
                 help="take state() before finish(), and go on from there")
        fitted = fit_inputs(chunk, self.program.input_shapes, part=True)
        batch, steps = next((values.shape[:2] for values in fitted.values()), (1, 0))
        if self.batch not in (None, batch):
            fail("LHC110", f"a part of the input has {batch} samples", error=InputError,
                 param=f"the run has {self.batch}", help="every part holds the next steps of all samples")
        engine = self._started(batch)
        encoded = self._encoder.encode(fitted)
        self.batch, self._engine = batch, engine
        return self._advance(encoded, steps, progress)

    def finish(self, most: int | None = None) -> Iterator[Piece]:
        """End the input and yield the answers that are still under way, at most `most` steps at a time."""
        if self._over:
            return
        self._over = True
        left = self.program.latency if self._engine is not None or self._at is not None else 0
        while left > 0:
            steps = min(left, most or left)
            yield self._advance({}, steps, None)
            left -= steps

    def state(self, note: Note | None = None) -> RunState:
        """The run as it stands, to go on from later; the run itself may go on too.

        Args:
            note: what the caller wants to find again.

        Raises:
            InputError: LHC116 before the first part, and after `finish`.
        """
        if self._over or self.batch is None:
            fail("LHC116", f"the run has {'ended' if self._over else 'not begun'}", error=InputError,
                 help="a state can be taken after feed() and before finish()")
        self._digest = self._digest or graph_digest(self.program.graph)
        shapes = expected(self.program.graph, self.batch, self.step)
        told, held = ({key.split("/", 1)[1]: own.get(key.split("/", 1)[1], np.zeros(shape, dtype=np.int64))
                       for key, shape in shapes.items() if key.startswith(kind)}
                      for kind, own in (("told/", self._encoder.told), ("held/", self._aligner.held)))
        self._engine = self._started(self.batch)
        checkpoint = self._engine.checkpoint()
        return RunState(program=self._digest, batch=self.batch, told=told, held=held, note=dict(note or {}),
                        checkpoint=replace(checkpoint, step=self.step))

    def _started(self, batch: int) -> Engine:
        """The engine, or a new one, which is for those who use it to keep: a part that is refused decides nothing."""
        if self._engine is not None:
            return self._engine
        return begin(
            self.program.graph, batch, engine=self._engine_choice, steps=self._length, record=self._record,
            at=None if self._at is None else self._at.checkpoint, threads=self._threads, device=self._device)

    def _advance(self, encoded: Mapping[str, Array], steps: int, progress: Progress | None) -> Piece:
        taken, answered = self._aligner.step, self._aligner.answered
        self._engine = self._started(self.batch or 1)
        stretch: Stretch = self._engine.advance(encoded, steps, progress)
        aligned = self._aligner.push(stretch.outputs)
        return Piece(first=taken if self.raw else answered, outputs=stretch.outputs if self.raw else aligned,
                     first_recorded=taken, recorded=stretch.recorded)


def stream(program: Program, chunks: Iterable[Chunk], *, record: Iterable[tuple[str, str]] = (), raw: bool = False,
           engine: str = "auto", threads: int | None = None, device: str = "cpu", at: RunState | None = None
           ) -> Iterator[Piece]:
    """Run a program on an input that comes in parts; a piece for each, and the last answers after them.

    Args:
        program: what to run.
        chunks: real values (t, *shape) or (N, t, *shape), or such arrays by input name; every part holds the next t
            steps, any number, of all samples.
        record: (node, state) pairs to keep.
        raw: leave the latency in the outputs.
        engine: as for `loihic.sim.run.begin`.
        threads: over which samples are spread; all cores by default.
        device: of torch: ``cpu``, ``cuda``, ``cuda:1``.
        at: where to go on; the beginning without.

    Raises:
        InputError: a part does not fit the program or the parts before it.
        BackendError: the engine is missing.
    """
    run = Stream(program, record=record, raw=raw, engine=engine, threads=threads, device=device, at=at)
    for chunk in chunks:
        yield run.feed(chunk)
    yield from run.finish()
