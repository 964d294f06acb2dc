"""Checkpoints of a run on the command line: when they are written, what they must fit, and how a run is stopped."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.node import Array
from loihic.sim.state_file import load_state, save_state

if TYPE_CHECKING:
    from loihic.program import Program
    from loihic.sim.state import RunState
    from loihic.sim.stream import Stream

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
        sync: called before a state is written, so that the outputs it speaks of are there.
    """

    def __init__(self, path: Path | None, every: Interval, sync: Callable[[], None]) -> None:
        self.path, self.every, self.sync = path, every, sync
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

    def save(self, run: Stream, inputs: Mapping[str, Array], done: int) -> None:
        """Write the state of a run over `inputs` (N, T, *shape), whose first `done` samples are finished.

        Raises:
            InputError: LHC112; the checkpoint before is then untouched.
        """
        if self.path is None:
            return
        self.sync()
        state = run.state()
        samples, steps = next(iter(inputs.values())).shape[:2]
        note: dict[str, int | str] = {
            "samples": samples, "steps": steps, "done": done, "input": trace(inputs, done, state)}
        save_state(replace(state, note=note), self.path)
        self.written, self.saved_at = True, time.monotonic()


def resume(path: Path, program: Program, inputs: Mapping[str, Array]) -> tuple[int, RunState]:
    """Number of finished samples, and the state in which the next ones are.

    Raises:
        InputError: as `load_state`; LHC116 if the run was one over another input.
    """
    state = load_state(path, program)
    samples, steps = next(iter(inputs.values())).shape[:2]
    found = tuple(state.note.get(key) for key in ("samples", "steps"))
    done = state.note.get("done")
    if found != (samples, steps):
        fail("LHC116", f"{path.name} belongs to another input", error=InputError,
             param=f"that has {found[0]} samples and {found[1]} steps, this one {samples} and {steps}",
             help="give the whole input of the interrupted run, and the same --samples")
    if not isinstance(done, int) or not 0 <= done <= samples - state.batch or not 0 < state.step <= steps:
        fail("LHC106", f"{path.name} is damaged", error=InputError, help="begin the run anew",
             param=f"{state.batch} samples from {done} on in step {state.step}, of {samples} and {steps}")
    if state.note.get("input") != trace(inputs, done, state):
        fail("LHC116", f"{path.name} belongs to another input", error=InputError,
             param=f"of the same shape, but with other values in its first step or in step {state.step - 1}",
             help="give the input of the interrupted run, or begin anew")
    return done, state


def trace(inputs: Mapping[str, Array], done: int, state: RunState) -> str:
    """A digest by which another input is recognised: of the first and the last step that a run has taken."""
    digest = hashlib.sha256()
    for name, values in sorted(inputs.items()):
        for step in (0, state.step - 1):
            own = np.ascontiguousarray(values[done : done + state.batch, step])
            digest.update(f"{name}|{own.dtype.str}|{own.shape}|".encode())
            digest.update(own.tobytes())
    return digest.hexdigest()


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
