"""`loihic run`: from what was typed to what is printed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loihic.commands.arrays import map_inputs, read_inputs
from loihic.commands.checkpoints import Interval
from loihic.commands.destination import Destination, destination, write_at_once
from loihic.commands.long_run import LongRun
from loihic.commands.output import Meter, print_table, say
from loihic.errors import InputError, fail

if TYPE_CHECKING:
    from loihic.program import Program, Result

SHOWN_SAMPLES = 10
ENGINES = {"sim": "auto", "torch": "torch"}  # backends that can be stopped between two steps
NOTEWORTHY = 1.0  # seconds of a run of which the speed is told


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """The options of `loihic run`; see its help."""

    backend: str
    threads: int | None
    device: str
    record: tuple[tuple[str, str], ...]
    raw: bool
    dequantise: bool
    checkpoint: str | None
    every: str
    resume: str | None
    timeout: float | None
    samples: int | None

    def check(self, input_file: str | None) -> None:
        """Check that the options go together.

        Raises:
            InputError: LHC702.
        """
        Interval.parse(self.every)
        if self.checkpoint is None:
            return
        if input_file is None:
            fail("LHC702", "the golden input needs no checkpoint", help="give an INPUT", error=InputError)
        if self.backend not in ENGINES:
            fail("LHC702", f"{self.backend} writes no checkpoints", error=InputError,
                 help=f"--backend {' or '.join(ENGINES)}")

    def run_piped(self, program: Program, output: str | None, *, as_json: bool) -> None:
        """Run between stdin and stdout.

        Raises:
            InputError: LHC702 for options that make no sense there, and as `loihic.commands.piped.run_piped`.
        """
        from loihic.commands.piped import run_piped
        from loihic.sim.stream import Stream

        wrong = {"-o": output not in (None, "-"), "--json": as_json, "--record": bool(self.record),
                 "--checkpoint": self.checkpoint is not None, "--samples": self.samples is not None,
                 f"--backend {self.backend}": self.backend not in ENGINES}
        if any(wrong.values()):
            fail("LHC702", f"{next(name for name, given in wrong.items() if given)} cannot be combined with stdin",
                 help="answers go to stdout", error=InputError)
        if len(program.outputs) != 1:
            fail("LHC702", f"the program has {len(program.outputs)} outputs, and stdout takes one", error=InputError,
                 help="use loihic.sim.stream from Python")
        run = Stream(program, raw=self.raw, engine=ENGINES[self.backend], threads=self.threads, device=self.device)
        run_piped(program, run, sys.stdin.buffer, sys.stdout.buffer, dequantise=self.dequantise)

    def run(self, program: Program, program_file: str, input_file: str | None, output: str | None) -> RunReport:
        """Run, write, and tell what happened.

        Raises:
            InputError, BackendError: as `Program.run`, and for files that cannot be written or resumed.
        """
        record, target = program.known_records(self.record), None
        if output is not None or input_file is not None:
            files = [file for file in (program_file, input_file, self.checkpoint, self.resume) if file is not None]
            target = destination(program, output, record, files, Path(program_file).stem,
                                 dequantise=self.dequantise, files=self.checkpoint is not None)
        if target is not None and input_file is not None and self.backend in ENGINES:
            result, speed, seconds = self._long_run(program, input_file, target, [program_file, input_file])
        else:
            result, speed, seconds = self._whole_run(program, input_file, target), None, 0.0
        matches = _matches_golden(program, result, self.raw) if input_file is None else None
        shown = target is None or not (self.dequantise and target.resumable)
        return RunReport(program=program, result=result, target=target, backend=self.backend, matches=matches,
                         raw=self.raw, speed=speed, seconds=seconds, whole=shown)

    def _long_run(self, program: Program, input_file: str, target: Destination, inputs: list[str]
                  ) -> tuple[Result, float, float]:
        from loihic.commands.choices import output_path

        checkpoint = None
        if self.checkpoint is not None:
            if not target.resumable:
                fail("LHC702", f"a run that writes {target.path.name} cannot be resumed", error=InputError,
                     param="an .npz is written at the end", help="-o OUT.npy, or -o DIR/ for several arrays")
            checkpoint = output_path(self.checkpoint, "", *inputs)
            if checkpoint.resolve() in {path.resolve() for path in target.paths()}:
                fail("LHC702", f"{checkpoint} is an output", help="give the checkpoint another name", error=InputError)
        run = LongRun(
            program=program, inputs=map_inputs(program, input_file, self.samples), target=target, raw=self.raw,
            engine=ENGINES[self.backend], threads=self.threads, device=self.device, checkpoint=checkpoint,
            every=Interval.parse(self.every), resume=None if self.resume is None else Path(self.resume))
        try:
            return run.run(f"running on {self.backend}")
        except KeyboardInterrupt:
            if checkpoint is not None and checkpoint.exists():
                say(f"the run goes on with --resume {checkpoint}", stderr=True)
            raise

    def _whole_run(self, program: Program, input_file: str | None, target: Destination | None) -> Result:
        x = read_inputs(program, input_file, self.samples)
        steps = program.latency + (next(iter(x.values())).shape[1] if x else _golden_steps(program))
        known = self.backend in ENGINES
        with Meter(f"running on {self.backend}", steps if known else None, rate=known) as meter:
            result = program.run(x, backend=self.backend, raw=self.raw, record=self.record, timeout=self.timeout,
                                 progress=meter.steps, threads=self.threads, device=self.device)
        if target is not None:
            write_at_once(target, result)
        return result


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """What a run gave.

    Attributes:
        program: what ran.
        result: its outputs; in real units, if not `whole`.
        target: where they were written.
        backend: on what it ran.
        matches: whether the golden input was answered as when the program was compiled; None for other inputs.
        raw: whether the latency is in the outputs.
        speed: steps per second, if that was measured.
        seconds: that the run took.
        whole: whether the result holds whole numbers, and not real ones.
    """

    program: Program
    result: Result
    target: Destination | None
    backend: str
    matches: bool | None
    raw: bool
    speed: float | None
    seconds: float
    whole: bool

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "ok": self.matches is not False, "file": None if self.target is None else str(self.target.path),
            "backend": self.backend, "matches_golden": self.matches, "latency": dict(self.result.latency),
            "steps_per_second": self.speed,
            "outputs": {name: self._output(name, values) for name, values in self.result.outputs.items()},
            "recorded": {f"{node}.{state}": list(values.shape)
                         for (node, state), values in self.result.recorded.items()}}

    def _output(self, name: str, values: Any) -> dict[str, Any]:
        from loihic.report.tables import decision, is_graded

        sink = self.program.outputs[name]
        decides = self.whole and not is_graded(self.program, name)
        return {"shape": list(values.shape), "scale": sink.scale.tolist(), "offset": sink.offset.tolist(),
                "sums": values.sum(axis=1).tolist() if self.whole else None,
                "decisions": [decision(sample) if decides else None for sample in values]}

    def show(self) -> None:
        """For people."""
        from loihic.report.tables import OUTPUT_COLUMNS, output_rows

        samples, steps = next(iter(self.result.outputs.values())).shape[:2]
        kind = "the golden input" if self.matches is not None else f"{samples} sample{'s' * (samples != 1)}"
        say(f"{self.backend}: {kind}, {steps} steps, latency {self.program.latency} steps")
        if self.speed is not None and self.seconds >= NOTEWORTHY:
            say(f"{self.seconds:,.0f} s, {self.speed:,.0f} steps/s")
        if self.whole:
            print_table(OUTPUT_COLUMNS, output_rows(self.program, self.result, SHOWN_SAMPLES),
                        right=["sample", "decision"])
            if samples > SHOWN_SAMPLES:
                say(f"... and {samples - SHOWN_SAMPLES} samples more")
        if self.matches:
            say("equal to the golden output, bit for bit")
        if self.target is not None:
            say(f"written to {self.target.path}")
        elif self.matches is not None:
            say("nothing written; -o OUT.npz keeps the outputs")


def _golden_steps(program: Program) -> int:
    return max((len(values) for values in program.golden.values()), default=0)


def _matches_golden(program: Program, result: Result, raw: bool) -> bool:
    steps = _golden_steps(program)
    for name, expected in program.golden_output.items():
        start = result.latency[name] if raw else 0
        if not np.array_equal(result.outputs[name][0, start : start + steps], expected):
            return False
    return True
