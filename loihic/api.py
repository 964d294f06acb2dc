"""The Python interface: compile, check, load."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np

from loihic.errors import CompileError, Diagnostic, InputError, Severity, fail
from loihic.frontends.formats import read_model
from loihic.golden import fit_inputs, golden_input, input_ranges
from loihic.ir.graph import Fact, SourceGraph
from loihic.ir.node import Array
from loihic.ledger import Loss
from loihic.ops.ports import Input
from loihic.ops.source import Source
from loihic.options import Options
from loihic.partition.activity import message_rates, uniform_rates
from loihic.partition.plan import Plan, plan
from loihic.passes.bits import AllocateBits
from loihic.passes.discretise import choose_dt
from loihic.passes.manager import AnyGraph, CompileContext, Pass, run_passes
from loihic.passes.pipeline import float_pipeline, integer_pipeline
from loihic.program import Program

Progress = Callable[[str], None]
EFFECT_SAMPLES = 8  # of the calibration data, to measure what each loss does, and how busy each core is
UNSEEN_RATE = 0.1  # messages per step and element where nothing was run: of a typical spiking network


def compile(model: Any, *, example_inputs: tuple[Any, ...] | None = None, options: Options | None = None,
            progress: Progress | None = None, report: Callable[[Diagnostic], None] | None = None,
            **choices: Any) -> Program:
    """Compile a model to an exact integer program.

    Args:
        model: path of a .nir, .onnx, .pt2 or .net file; a nir.NIRGraph, a torch.export.ExportedProgram, or a
            torch.nn.Module.
        example_inputs: of a torch.nn.Module: its positional arguments, batch included.
        options: all options at once; single ones may be given by name instead, as in ``compile(m, dt=1e-4)``.
        progress: called with the name of each pass.
        report: called with every warning and note, once the model has compiled.
        choices: fields of `Options`.

    Raises:
        CompileError: the model cannot be compiled; every problem of the phase is listed.
        InputError: an option or the calibration data is at fault.
    """
    options = replace(options or Options(), **choices)
    graph, provenance, warnings = read_model(model, options, example_inputs)
    context = CompileContext(options=options, diagnostics=list(warnings))
    program = compile_source(graph, provenance, context, progress)
    if report is not None:
        for diagnostic in context.diagnostics:
            report(diagnostic)
    return program


def compile_source(graph: SourceGraph, provenance: dict[str, Any], context: CompileContext,
                   progress: Progress | None = None) -> Program:
    """Compile a source graph, wherever it came from; losses and diagnostics are left in `context`.

    Raises:
        CompileError: the model cannot be compiled.
        InputError: the calibration data does not fit it.
    """
    fused = lower_float(graph, context, provenance, progress)
    whole = Fact.WHOLE in fused.facts
    hardware = run_passes(fused, integer_pipeline(context.options, whole=whole), context, progress)
    if context.options.strict:
        _refuse_losses(context)
    return _finish(hardware, context.stages.get(AllocateBits.name, fused), context, provenance, progress)


def check(model: Any, *, example_inputs: tuple[Any, ...] | None = None, options: Options | None = None,
          **choices: Any) -> list[Diagnostic]:
    """Every problem of a model at once; an empty list, or notes only, if it compiles."""
    options = replace(options or Options(), **choices)
    try:
        graph, provenance, warnings = read_model(model, options, example_inputs)
        context = CompileContext(options=options, diagnostics=list(warnings))
        fused = lower_float(graph, context, provenance)
        hardware = run_passes(fused, integer_pipeline(context.options, whole=Fact.WHOLE in fused.facts), context)
        _plan(hardware, uniform_rates(hardware, UNSEEN_RATE), "assumed", context.options, None)
        if options.strict:
            _refuse_losses(context)
    except CompileError as error:
        return list(error.diagnostics)
    return [d for d in context.diagnostics if d.severity is not Severity.ERROR]


def load(path: str | os.PathLike[str]) -> Program:
    """Read a program from a .loihic file.

    Raises:
        InputError: LHC101, LHC106 or LHC107.
    """
    from loihic.artifact import load as load_artifact

    return load_artifact(Path(path))


def lower_float(graph: SourceGraph, context: CompileContext, provenance: dict[str, Any],
                progress: Progress | None = None) -> AnyGraph:
    """Everything before the integers; fills in dt and fits the calibration data on the way."""
    dt, why = choose_dt(graph, context.options.dt)
    provenance |= {"dt": dt, "dt_source": why}
    if why.startswith("assumed"):
        context.report(Diagnostic(
            code="LHC303", severity=Severity.NOTE, message=f"dt = {dt:g}, {why}",
            help="--dt gives the time step that the network was trained with"))
        context.ledger.add(Loss(node="", kind="dt", param="dt", wanted="not in the file", actual=f"{dt:g}", why=why))
    passes: list[Pass] = float_pipeline(context.options, dt)
    shaped = run_passes(graph, passes[:1], context, progress)
    if context.options.calibration:
        ports = {name: shaped.shapes[name] for name, _ in shaped.of(Input)}
        context.options = replace(context.options, calibration=fit_inputs(context.options.calibration, ports))
    return run_passes(replace(shaped, dt=dt), passes[1:], context, progress)


def _refuse_losses(context: CompileContext) -> None:
    losses = [loss for loss in context.ledger if loss.is_loss or loss.is_unproven]
    if losses:
        raise CompileError([
            Diagnostic(code="LHC501", message="a state is not proven to stay in its range" if loss.is_unproven else
                       f"{loss.kind} differ from the trained network", node=loss.node,
                       param=f"{loss.param}: wanted {loss.wanted}, actual {loss.actual}", help=loss.why)
            for loss in losses])


def _plan(hardware: AnyGraph, rates: Mapping[str, Array], activity: str, options: Options,
          progress: Progress | None) -> Plan:
    """Partition and placement as the options want them."""
    fixed = options.system is not None or options.chips is not None
    return plan(hardware, options.machine, rates, activity=activity, objective=options.objective,
                method=options.placement, most_cores=options.cores, fixed_chips=fixed, seed=options.seed,
                progress=progress)


def _finish(hardware: AnyGraph, fused: AnyGraph, context: CompileContext, provenance: dict[str, Any],
            progress: Progress | None) -> Program:
    """Assemble the program, let the simulator answer the golden input, and give everything its place."""
    from loihic.report.effects import measured_effects

    options = context.options
    ranges = input_ranges(fused, options)
    ports = dict(hardware.of(Source))
    golden = {
        name: ports[name].sent(golden_input(
            node.shape, ranges.integers[name], options.golden_steps, options.seed + index)[None])[0]
        for index, (name, node) in enumerate(fused.of(Input))}
    described = options.described()
    program = Program(graph=hardware, source=fused, ledger=context.ledger, options=described, provenance=provenance,
                      proofs=context.proofs, golden=golden)
    answer = {name: values[0] for name, values in program.run().outputs.items()}
    few = _few(program, options)
    shown = program.encode(few) if few else {name: values[None] for name, values in program.golden.items()}
    rates = message_rates(hardware, shown, next(iter(shown.values())).shape[1])
    made = _plan(hardware, rates, "calibration data" if few else "golden input", options, progress)
    return replace(program, golden_output=answer, ledger=measured_effects(program, few or None), plan=made)


def _few(program: Program, options: Options) -> dict[str, Array]:
    """A few calibration samples; none without data, or where it leaves a narrower --input-range."""
    few = {name: values[:EFFECT_SAMPLES] for name, values in options.calibration.items()}
    try:
        if few:
            program.encode(few)
    except InputError:
        return {}
    return few


def load_inputs(path: str | os.PathLike[str], *, mapped: bool = False) -> Array | dict[str, Array]:
    """Arrays from a .npy or .npz file, never unpickling.

    Args:
        path: of the file.
        mapped: whether an .npy is left on disk and read where it is used; it may then be of any size.

    Raises:
        InputError: LHC101.
    """
    file = Path(path)
    try:
        with np.errstate(over="ignore"):  # of the size of an array that no file holds
            loaded = np.load(file, mmap_mode="r" if mapped and file.is_file() else None, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, KeyError, MemoryError, NotImplementedError, RuntimeError, BadZipFile,
            zlib.error, TypeError, OverflowError, SyntaxError, TokenError) as error:
        fail("LHC101", f"cannot read {file.name or file}", param=f"{type(error).__name__}: {error}".splitlines()[0],
             help="an input is a .npy or .npz file of numbers", error=InputError)


__all__ = ["Options", "Program", "check", "compile", "load", "load_inputs", "read_model"]
