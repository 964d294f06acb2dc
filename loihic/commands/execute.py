"""run, verify and export: what is done with a compiled program."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from loihic.commands.arrays import read_inputs
from loihic.commands.output import Meter, json_option, print_json, say
from loihic.errors import BackendError, InputError, fail

STDIN = "-"
_timeout = click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", default=None,
                        help="Time limit for Lava.  [default: generous, by the program's size]")
_samples = click.option("--samples", type=click.IntRange(min=1), metavar="N", default=None,
                        help="Only the first N samples of INPUT.")


@click.command(short_help="Run a program on an input.")
@click.argument("program_file", metavar="OUT.loihic")
@click.argument("input_file", metavar="[INPUT]", required=False)
@click.option("-o", "--output", metavar="OUT.npz|OUT.npy|DIR/", default=None,
              help="Where to write the outputs: one file, one array that is written as the run goes on, or a folder of "
                   "such arrays.  [default: the program's name with .out.npz (.out.npy or .out/ with --checkpoint), in "
                   "the current folder; nothing is written for the golden input]")
@click.option("--backend", type=click.Choice(["sim", "torch", "lava", "loihi2"]), default="sim", show_default=True,
              help="The bit-accurate simulator, the same in PyTorch, Lava's simulator, or a chip.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", default=None,
              help="Cores over which sim spreads the samples.  [default: all]")
@click.option("--device", metavar="NAME", default="cpu", show_default=True,
              help="Where torch computes: cpu, cuda, cuda:1.")
@click.option("--record", metavar="NODE.STATE", multiple=True,
              help="Keep a state (u, v or out) of a population at every step; may be given several times.")
@click.option("--raw", is_flag=True, help="Leave the latency in the outputs.")
@click.option("--dequantize", "--dequantise", "dequantise", is_flag=True,
              help="Write outputs in the trained network's units.")
@click.option("--checkpoint", metavar="FILE", default=None,
              help="Write the state of the run now and then, at its end, and at Ctrl-C or SIGTERM.")
@click.option("--checkpoint-every", metavar="STEPS|TIME", default="60s", show_default=True,
              help="How often: a number of steps, or a time as 30s, 10m, 1h.")
@click.option("--resume", metavar="FILE", default=None,
              help="Go on from a checkpoint, with the same INPUT and output; further ones go to the same FILE.")
@_timeout
@_samples
@json_option
def run(program_file: str, input_file: str | None, output: str | None, backend: str, threads: int | None, device: str,
        record: tuple[str, ...], raw: bool, dequantise: bool, checkpoint: str | None, checkpoint_every: str,
        resume: str | None, timeout: float | None, samples: int | None, as_json: bool) -> None:
    """Run a compiled program on INPUT, or on the golden input that it carries along.

    INPUT is .npy, (T, *shape) or (N, T, *shape), or .npz with one array per input node; samples are independent
    runs. A .npy of any size is read as the run goes on. What is written holds (N, T, *shape) per output; index t
    answers input step t. With - for INPUT, .npy arrays of successive steps are read from stdin, and each is answered
    by one on stdout.
    """
    from loihic import api
    from loihic.commands.run_request import RunRequest

    request = RunRequest(
        backend=backend, threads=threads, device=device, record=tuple(_state(item) for item in record), raw=raw,
        dequantise=dequantise, checkpoint=resume if checkpoint is None else checkpoint, every=checkpoint_every,
        resume=resume, timeout=timeout, samples=samples)
    request.check(input_file)
    if input_file == STDIN:
        request.run_piped(api.load(program_file), output, as_json=as_json)
        return
    done = request.run(api.load(program_file), program_file, input_file, output)
    if as_json:
        print_json(done.to_json())
    else:
        done.show()
    if done.matches is False:
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
