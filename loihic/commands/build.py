"""check and compile."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loihic.commands.choices import ARTEFACT, compile_options, options, output_path
from loihic.commands.output import (
    Meter,
    diagnostics_json,
    json_option,
    print_diagnostics,
    print_json,
    print_table,
    say,
)

if TYPE_CHECKING:
    from loihic.errors import Diagnostic
    from loihic.program import Program


@click.command(short_help="List every problem of a model at once.")
@click.argument("model")
@compile_options
@json_option
@click.pass_context
def check(ctx: click.Context, /, model: str, as_json: bool, **typed: Any) -> None:
    """List every problem of MODEL at once, without writing anything.

    Exits with 0 if it compiles, else with the status that `compile` would have.
    """
    from loihic import api
    from loihic.errors import LoihicError, Severity

    with Meter("checking"):
        found = api.check(model, options=options(**typed))
    errors = [item for item in found if item.severity is Severity.ERROR]
    status = LoihicError(errors).exit_code if errors else 0
    if as_json:
        print_json({"ok": not errors, "exit_code": status, "model": model, "diagnostics": diagnostics_json(found)})
    else:
        print_diagnostics(found, stderr=bool(errors))
        say(f"{model}: {len(errors)} errors" if errors else f"{model}: compiles")
    ctx.exit(status)


@click.command("compile", short_help="Compile a model to an exact integer program.")
@click.argument("model")
@click.option("-o", "--output", metavar="OUT.loihic", default=None,
              help="Where to write the program.  [default: MODEL's name with .loihic, in the current folder]")
@click.option("--dump-bits", metavar="FILE.toml", default=None,
              help="Write the bits of every synapse group and the scales of every population; --weight-bits FILE.toml "
                   "takes them.")
@compile_options
@json_option
def compile_(model: str, output: str | None, dump_bits: str | None, as_json: bool, **typed: Any) -> None:
    """Compile MODEL (.nir, .onnx, .pt2, .net) to an exact integer program and write it to one file."""
    from loihic import api
    from loihic.report.tables import program_json

    target = output_path(output, Path(model).stem + ARTEFACT, model, typed["calibration"])
    bits = None if dump_bits is None else output_path(dump_bits, "", model, typed["calibration"])
    found: list[Diagnostic] = []
    with Meter("compiling") as meter:
        program = api.compile(model, options=options(**typed), progress=meter.stage, report=found.append)
        meter.stage("writing")
        program.save(target)
        if bits is not None:
            program.save_bits(bits)
    if as_json:
        print_json({"ok": True, "file": str(target), **program_json(program), "diagnostics": diagnostics_json(found)})
    else:
        print_diagnostics(found)
        _report(program, model, target)


def _report(program: Program, model: str, target: Path) -> None:
    from loihic.options import Options
    from loihic.report.ranges import range_line
    from loihic.report.tables import (
        NODE_COLUMNS,
        SUMMARY_COLUMNS,
        node_rows,
        option_rows,
        plan_line,
        port_rows,
        summary_rows,
    )

    given = program.provenance
    say(f"{model} -> {target}")
    assumed = "; --dt gives another" if str(given["dt_source"]).startswith("assumed") else ""
    settings = [("dt", f"{given['dt']:g} ({given['dt_source']}{assumed})"),
                *option_rows(program.options, Options().described(), spiking=not program.answers_each_step),
                *port_rows(program)]
    width = max(len(name) for name, _ in settings)
    for name, value in settings:
        say(f"  {name:<{width}}  {value}")
    say()
    print_table(NODE_COLUMNS, [row.cells() for row in node_rows(program)], right=["step"])
    say()
    losses = sum(loss.is_loss for loss in program.ledger)
    if len(program.ledger):
        say(f"ledger: {len(program.ledger)} entries, {losses} of them losses")
        print_table(SUMMARY_COLUMNS, summary_rows(program.ledger), right=["entries", "largest error", "largest effect"])
        say()
    if program.proofs:
        say(range_line(program))
    say(f"latency: {program.latency} steps (removed from the outputs)")
    if program.plan is not None:
        say(f"fits: {plan_line(program.plan)}")
    name = shlex.quote(str(target))
    say(f"next: loihic run {name}        runs it on the input that it carries along")
    say(f"      loihic verify {name}     compares the simulator with Lava, bit for bit")
    say(f"      loihic map {name}        shows what lies on which core, and how full it is")
    say(f"      loihic show {name}       prints the graph and the whole ledger")
