"""Checkpoints of a run on the command line: when they are written, what they must fit, and how a run is stopped."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from loihic.commands.input_trace import InputTrace
from loihic.commands.row_digest import Left
from loihic.errors import InputError, fail
from loihic.sim.state_file import load_state, save_state

if TYPE_CHECKING:
    from loihic.commands.destination import Destination
    from loihic.program import Program
    from loihic.sim.state import RunState
    from loihic.sim.stream import Stream

ROWS = "rows/"  # before an array's name: what a checkpoint's note has under it is the digest of its rows
STOPS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Between two checkpoints: a number of steps, or of seconds.

    Attributes:
        steps: 0 if seconds count.
        seconds: 0 if steps count.
    """

    steps: int = 0
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Interval:
        """``5000`` for steps, ``30s``, ``10m`` or ``1h`` for time.

        Raises:
            InputError: LHC702.
        """
        units = {"s": 1.0, "m": 60.0, "h": 3600.0}
        number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 0.0)
        try:
            value = float(number) if unit else int(number)
        except ValueError:
            value = 0
        if not 0 < value < 1e12:
            fail("LHC702", f"--checkpoint-every {text} is no interval", error=InputError,
                 help="a number of steps, as 5000, or a time, as 30s, 10m or 1h")
        return cls(seconds=value * unit) if unit else cls(steps=int(value))


class Checkpoints:
    """Writes the states of a run.

    Args:
        path: of the checkpoint; None to write none.
        every: how often.
        target: where the run's outputs go, of which a checkpoint speaks.
        trace: of the run's input.
    """

    def __init__(self, path: Path | None, every: Interval, target: Destination, trace: InputTrace) -> None:
        self.path, self.every, self.target, self.trace = path, every, target, trace
        self.written = False
        self.saved_at = time.monotonic()

    def steps_left(self, step: int, most: int) -> int:
        """Steps until the next checkpoint is due, at most `most`."""
        if self.path is None or not self.every.steps:
            return most
        return min(most, self.every.steps - step % self.every.steps)

    def is_due(self, step: int) -> bool:
        """Whether to write one after `step` steps."""
        if self.path is None:
            return False
        if self.every.steps:
            return step % self.every.steps == 0
        return time.monotonic() - self.saved_at >= self.every.seconds

    def discard(self) -> None:
        """Remove the checkpoint of an earlier run, whose outputs are about to be written over.

        Raises:
            InputError: LHC112.
        """
        if self.path is None:
            return
        try:
            self.path.resolve().unlink(missing_ok=True)  # a link stays, as when it is written
        except OSError as error:
            fail("LHC112", f"cannot write {self.path}", param=error.strerror or str(error), error=InputError,
                 help="check the folder and its permissions")

    def took(self, run: Stream, done: int, begin: int) -> None:
        """Notice that a run, whose first `done` samples are finished, has taken the steps from `begin` on."""
        if self.path is not None:
            self.trace.take(done, begin, run.step, run.batch or 0)

    def save(self, run: Stream, done: int) -> None:
        """Write the state of a run whose first `done` samples are finished.

        Raises:
            InputError: LHC112; the checkpoint before is then untouched.
        """
        if self.path is None:
            return
        self.target.sync()
        state = run.state()
        samples, steps = next(iter(self.trace.inputs.values())).shape[:2]
        note: dict[str, int | str] = {
            "samples": samples, "steps": steps, "done": done, "input": self.trace.hexdigest(),
            **{ROWS + name: digest for name, digest in self.target.digests().items()}}
        save_state(replace(state, note=note), self.path)
        self.written, self.saved_at = True, time.monotonic()


def resume(path: Path, program: Program, trace: InputTrace, *, raw: bool) -> tuple[Left, RunState]:
    """What a run has left in its outputs, and the state in which it was.

    Args:
        path: of its checkpoint.
        program: what runs.
        trace: of an input of which nothing has been taken yet; it takes what the run has taken.
        raw: whether the latency is in the outputs.

    Raises:
        InputError: as `load_state`; LHC116 if the run was one over another input.
    """
    state = load_state(path, program)
    if not {"samples", "steps", "done", "input"} <= state.note.keys():
        fail("LHC116", f"{path.name} is not a checkpoint of `loihic run`", error=InputError,
             param="it is the state of another run of this program, as Stream.state() gives it",
             help="go on with it from Python: Stream(program, at=load_state(FILE, program))")
    samples, steps = next(iter(trace.inputs.values())).shape[:2]
    found = tuple(state.note.get(key) for key in ("samples", "steps"))
    done = state.note.get("done")
    if found != (samples, steps):
        fail("LHC116", f"{path.name} belongs to another input", error=InputError,
             param=f"that has {found[0]} samples and {found[1]} steps, this one {samples} and {steps}",
             help="give the whole input of the interrupted run, and the same --samples")
    if not isinstance(done, int) or not 0 <= done <= samples - state.batch or not 0 < state.step <= steps:
        fail("LHC106", f"{path.name} is damaged", error=InputError, help="begin the run anew",
             param=f"{state.batch} samples from {done} on in step {state.step}, of {samples} and {steps}")
    trace.take_again(done, state.batch, state.step)
    if state.note.get("input") != trace.hexdigest():
        fail("LHC116", f"{path.name} belongs to another input", error=InputError,
             param="of the same shape, but with other values in the steps that the interrupted run has taken",
             help="give the input of the interrupted run, or begin anew")
    left = Left(
        done=done, batch=state.batch, answered=state.step if raw else max(0, state.step - program.latency),
        recorded=state.step, digests={key.removeprefix(ROWS): str(value) for key, value in state.note.items()
                                      if key.startswith(ROWS)})
    return left, state


class Stop(AbstractContextManager["Stop"]):
    """Ctrl-C and SIGTERM while a run is under way.

    Args:
        gently: the first is only remembered, so that the run ends between two steps; otherwise, and with the second, it
            interrupts at once.

    Attributes:
        asked: whether the run should end.
    """

    def __init__(self, *, gently: bool) -> None:
        self.gently, self.asked = gently, False
        self.before: dict[int, object] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._heard) for number in STOPS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for number, old in self.before.items():
            signal.signal(number, old)  # type: ignore[arg-type]

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if not self.gently or self.asked:
            raise KeyboardInterrupt
        self.asked = True
