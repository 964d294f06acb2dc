"""Readers of PyTorch graphs: a .pt2 file, an ExportedProgram, or a module that is exported here."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from loihic.errors import Diagnostic, InputError, fail
from loihic.frontends.torch_archive import Archive, MalformedError
from loihic.frontends.torch_graph import TorchGraph
from loihic.frontends.torch_program import program_graph, torch_module
from loihic.frontends.torch_schema import read_program
from loihic.frontends.torch_walk import build_network
from loihic.ir.graph import SourceGraph

Reading = tuple[SourceGraph, dict[str, Any], tuple[Diagnostic, ...]]
"""A source graph; its provenance (no digest for what came from memory); and notes: what is left to the host."""

_SPIKING = frozenset({"snntorch", "norse", "spikingjelly", "sinabs", "rockpool", "lava", "bindsnet", "slayerSNN"})
_OPSET = 18
"""What torch.onnx writes of itself; older versions it makes by a conversion that fails for some operators."""
_EXPORT_ERRORS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError,
                  ImportError)


def read_pt2(path: str | os.PathLike[str]) -> Reading:
    """Read a file that torch.export.save wrote, without torch: JSON and raw numbers, and no pickles.

    Raises:
        InputError: LHC101 if it is no such file, LHC103 if its content is malformed.
        CompileError: LHC102 or LHC401 for operators that have no counterpart, LHC104 or LHC202 for other faults of the
            network; all of them at once.
    """
    archive = Archive(path)
    try:
        graph = read_program(archive)
    except MalformedError as error:
        fail("LHC103", f"{os.fspath(path)} is not what torch.export.save writes", param=str(error)[:300],
             error=InputError, help="export it again")
    return _reading(graph)


def from_exported(program: Any, name: str = "program") -> Reading:
    """The source graph of a `torch.export.ExportedProgram`.

    Args:
        program: exported from a model in evaluation mode, from example inputs with a batch in front.
        name: to call it by.

    Raises:
        InputError: LHC110, if it is something else.
        CompileError: as for `read_pt2`.
    """
    torch = torch_module()
    if not isinstance(program, torch.export.ExportedProgram):
        fail("LHC110", f"an ExportedProgram is wanted, not {type(program).__name__}", error=InputError,
             help="torch.export.export(model.eval(), (example,)) makes one")
    return _reading(program_graph(program, name))


def from_module(module: Any, example_inputs: tuple[Any, ...], name: str = "") -> Reading:
    """The source graph of a `torch.nn.Module`, exported in evaluation mode.

    Modules of Brevitas go through its own export to ONNX (QCDQ).

    Args:
        module: without spiking neurons; these come as NIR.
        example_inputs: arguments of one call, with a batch in front.
        name: to call it by; that of the class by default.

    Raises:
        InputError: LHC110, if it is no module.
        CompileError: LHC401 for spiking neurons or a module that torch.export cannot export; else as for `read_pt2`.
    """
    torch = torch_module()
    if not isinstance(module, torch.nn.Module):
        fail("LHC110", f"a torch.nn.Module is wanted, not {type(module).__name__}", error=InputError)
    inputs = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
    packages = {path: type(part).__module__.split(".")[0] for path, part in module.named_modules()}
    spiking = [path or "the model" for path, package in packages.items() if package in _SPIKING]
    if spiking:
        fail("LHC401", "spiking neurons are not read from PyTorch graphs", node=", ".join(spiking[:20]),
             help="export the network as NIR (export_to_nir of snntorch, norse, spikingjelly or sinabs, all by way of "
             "nirtorch), and compile the .nir file")
    label = name or type(module).__name__
    if "brevitas" in packages.values():
        return _from_brevitas(module, inputs, label)
    try:
        with _evaluation(module), torch.no_grad():
            program = torch.export.export(module, inputs)
    except _EXPORT_ERRORS as error:
        fail("LHC401", "torch.export cannot export the model", node=label, param=_first_line(error),
             help="call torch.export.export(model.eval(), example_inputs) yourself: its message says which line of "
             "the model is at fault")
    return from_exported(program, label)


def _reading(graph: TorchGraph) -> Reading:
    source, notes = build_network(graph)
    return source, {"model": graph.name, "sha256": graph.digest, "format": "PyTorch",
                    "torch": {"producer": graph.producer}}, notes


@contextmanager
def _evaluation(module: Any) -> Iterator[None]:
    """Every part in evaluation mode, afterwards as it was. Exported modules refuse eval(), and have no need of it."""
    modes = {part: part.training for part in module.modules()}
    for part in modes:
        part.training = False
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _from_brevitas(module: Any, inputs: tuple[Any, ...], label: str) -> Reading:
    """Through a QCDQ file, since the quantisers of Brevitas are no operators that torch.export knows."""
    read_onnx = import_module("loihic.frontends.onnx_reader").read_onnx
    with tempfile.TemporaryDirectory(prefix="loihic-") as folder:
        path = Path(folder) / f"{label}.onnx"
        try:
            with _evaluation(module), redirect_stdout(io.StringIO()):  # torch.onnx prints what it does
                import_module("brevitas.export").export_onnx_qcdq(
                    module, args=inputs, export_path=str(path), opset_version=_OPSET)
        except _EXPORT_ERRORS as error:
            fail("LHC401", "Brevitas cannot export the model as QCDQ", node=label, param=_first_line(error),
                 help="call brevitas.export.export_onnx_qcdq yourself, and compile the .onnx file")
        reading: Reading = read_onnx(path)
    return reading


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300] or type(error).__name__
