"""run, verify and export: what is done with a compiled program."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loihic.commands.arrays import read_inputs, results, write_npz
from loihic.commands.choices import output_path
from loihic.commands.output import Meter, json_option, print_json, print_table, say
from loihic.errors import BackendError, InputError, fail

if TYPE_CHECKING:
    from loihic.program import Program, Result

SHOWN_SAMPLES = 10
_timeout = click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", default=None,
                        help="Time limit for Lava.  [default: generous, by the program's size]")
_samples = click.option("--samples", type=click.IntRange(min=1), metavar="N", default=None,
                        help="Only the first N samples of INPUT.")


@click.command(short_help="Run a program on an input.")
@click.argument("program_file", metavar="OUT.loihic")
@click.argument("input_file", metavar="[INPUT]", required=False)
@click.option("-o", "--output", metavar="OUT.npz", default=None,
              help="Where to write the outputs.  [default: the program's name with .out.npz, in the current folder; "
                   "nothing is written for the golden input]")
@click.option("--backend", type=click.Choice(["sim", "lava", "loihi2"]), default="sim", show_default=True,
              help="The bit-accurate simulator, Lava's simulator, or a chip.")
@click.option("--record", metavar="NODE.STATE", multiple=True,
              help="Keep a state (u, v or out) of a population at every step; may be given several times.")
@click.option("--raw", is_flag=True, help="Leave the latency in the outputs.")
@click.option("--dequantize", "--dequantise", "dequantise", is_flag=True,
              help="Write outputs in the trained network's units.")
@_timeout
@_samples
@json_option
def run(program_file: str, input_file: str | None, output: str | None, backend: str, record: tuple[str, ...],
        raw: bool, dequantise: bool, timeout: float | None, samples: int | None, as_json: bool) -> None:
    """Run a compiled program on INPUT, or on the golden input that it carries along.

    INPUT is .npy, (T, *shape) or (N, T, *shape), or .npz with one array per input node; samples are independent
    runs. The .npz written holds (N, T, *shape) per output; index t answers input step t.
    """
    from loihic import api

    stem = Path(program_file).stem
    target = None
    if output is not None or input_file is not None:
        target = output_path(output, f"{stem}.out.npz", program_file, input_file)
    program = api.load(program_file)
    wanted = [_state(item) for item in record]
    x = read_inputs(program, input_file, samples)
    steps = program.latency + (next(iter((x or {}).values())).shape[1] if x else _golden_steps(program))
    with Meter(f"running on {backend}", steps if backend == "sim" else None) as meter:
        result = program.run(x, backend=backend, raw=raw, record=wanted, timeout=timeout, progress=meter.steps)
    if target is not None:
        write_npz(target, results(program, result, dequantise=dequantise))
    matches = _matches_golden(program, result, raw) if x is None else None
    if as_json:
        print_json(_run_json(program, result, target, backend, matches))
    else:
        _print_run(program, result, target, backend, matches)
    if matches is False:
        fail("LHC604", f"{backend} does not answer the golden input as it did when the program was compiled",
             help="`loihic verify --against golden` shows the first difference", error=BackendError)


@click.command(short_help="Compare the simulator with Lava or the float network.")
@click.argument("program_file", metavar="OUT.loihic")
@click.argument("input_file", metavar="[INPUT]", required=False)
@click.option("--against", type=click.Choice(["lava", "float", "golden"]), default="lava", show_default=True,
              help="Lava, bit for bit; the trained network in floating point; or the stored golden output.")
@_timeout
@_samples
@json_option
@click.pass_context
def verify(ctx: click.Context, program_file: str, input_file: str | None, against: str, timeout: float | None,
           samples: int | None, as_json: bool) -> None:
    """Compare the simulator with another run of the same program; INPUT is the golden input by default.

    Exits with 0 if they agree, with 1 and the first divergence if not.
    """
    from loihic import api

    program = api.load(program_file)
    x = read_inputs(program, input_file, samples)
    with Meter(f"comparing with {against}"):
        verdict = program.verify(x, against=against, timeout=timeout)
    if as_json:
        print_json({"ok": verdict.agrees, "file": program_file, **verdict.to_json()})
    else:
        for line in verdict.lines:
            say(line)
    ctx.exit(0 if verdict.agrees else 1)


@click.command(short_help="Write a program as a script that needs only lava-nc.")
@click.argument("program_file", metavar="OUT.loihic")
@click.argument("input_file", metavar="[INPUT]", required=False)
@click.option("--lava", "folder", metavar="DIR", required=True, help="The folder to write, new or empty.")
@_samples
@json_option
def export(program_file: str, input_file: str | None, folder: str, samples: int | None, as_json: bool) -> None:
    """Write a program as a Python script and its data that need only lava-nc.

    INPUT becomes part of it; the golden input by default.
    """
    from loihic import api
    from loihic.targets.lava.emit import export_program

    program = api.load(program_file)
    x = read_inputs(program, input_file, samples)
    encoded = {name: values[None] for name, values in program.golden.items()} if x is None else program.encode(x)
    export_program(program, Path(folder), encoded)
    files = sorted(path.name for path in Path(folder).iterdir())
    if as_json:
        print_json({"ok": True, "folder": folder, "files": files})
        return
    say(f"{program_file} -> {folder}: {', '.join(files)}")
    say(f"next: {shlex.join(['python', str(Path(folder) / 'run.py'), folder])}")


def _state(item: str) -> tuple[str, str]:
    """NODE and STATE; a node's name may hold dots, a state's does not."""
    node, dot, state = item.rpartition(".")
    if not dot:
        fail("LHC701", f"--record {item} names no state", help="as in --record lif1.v", error=InputError)
    return node, state


def _golden_steps(program: Program) -> int:
    return max((len(values) for values in program.golden.values()), default=0)


def _matches_golden(program: Program, result: Result, raw: bool) -> bool:
    import numpy as np

    steps = _golden_steps(program)
    for name, expected in program.golden_output.items():
        start = result.latency[name] if raw else 0
        if not np.array_equal(result.outputs[name][0, start : start + steps], expected):
            return False
    return True


def _run_json(program: Program, result: Result, target: Path | None, backend: str,
              matches: bool | None) -> dict[str, Any]:
    from loihic.report.tables import decision, is_graded

    return {
        "ok": matches is not False, "file": None if target is None else str(target), "backend": backend,
        "matches_golden": matches, "latency": dict(result.latency),
        "outputs": {
            name: {"shape": list(values.shape), "scale": program.outputs[name].scale.tolist(),
                   "offset": program.outputs[name].offset.tolist(),
                   "sums": values.sum(axis=1).tolist(),
                   "decisions": [None if is_graded(program, name) else decision(sample) for sample in values]}
            for name, values in result.outputs.items()},
        "recorded": {f"{node}.{state}": list(values.shape) for (node, state), values in result.recorded.items()}}


def _print_run(program: Program, result: Result, target: Path | None, backend: str, matches: bool | None) -> None:
    from loihic.report.tables import OUTPUT_COLUMNS, output_rows

    samples, steps = next(iter(result.outputs.values())).shape[:2]
    kind = "the golden input" if matches is not None else f"{samples} sample{'s' * (samples != 1)}"
    say(f"{backend}: {kind}, {steps} steps, latency {program.latency} steps")
    print_table(OUTPUT_COLUMNS, output_rows(program, result, SHOWN_SAMPLES), right=["sample", "decision"])
    if samples > SHOWN_SAMPLES:
        say(f"... and {samples - SHOWN_SAMPLES} samples more")
    if matches:
        say("equal to the golden output, bit for bit")
    if target is not None:
        say(f"written to {target}")
    elif matches is not None:
        say("nothing written; -o OUT.npz keeps the outputs")
