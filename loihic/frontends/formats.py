"""Formats: which reader takes a model, by the file's name or the object's class; readers are imported where used."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import loihic
from loihic.errors import Diagnostic, InputError, fail
from loihic.frontends.stored import stored_digest
from loihic.ir.graph import Fact, SourceGraph
from loihic.options import Options

Reading = tuple[SourceGraph, dict[str, Any], tuple[Diagnostic, ...]]
HDF5 = b"\x89HDF\r\n\x1a\n"
PYTORCH = "torch.nn.modules.module"


def read_model(model: Any, options: Options | None = None, example_inputs: tuple[Any, ...] | None = None) -> Reading:
    """The source graph of a model, its provenance, and warnings about the file.

    Args:
        model: path of a .nir, .onnx, .pt2 or .net file; a nir.NIRGraph; a torch.export.ExportedProgram; or a
            torch.nn.Module together with example inputs.
        options: of the compilation; some say how a file is to be read.
        example_inputs: positional arguments of a torch.nn.Module, batch included.

    Raises:
        CompileError: the file or graph is at fault.
        InputError: there is no such file, or nothing reads it.
    """
    if isinstance(model, str | os.PathLike):
        path = Path(model)
        return _reader(path)(path, options or Options())
    kinds = [(cls.__module__, cls.__name__) for cls in type(model).__mro__]
    if any(name == "ExportedProgram" and module.startswith("torch.export") for module, name in kinds):
        from loihic.frontends.torch_file import from_exported

        return _whole(from_exported(model))
    if (PYTORCH, "Module") in kinds:
        from loihic.frontends.torch_file import from_module

        if example_inputs is None:
            fail("LHC702", "a torch.nn.Module says nothing of its inputs", error=InputError,
                 help="compile(module, example_inputs=(x,)) with a typical batch x")
        return _whole(from_module(model, example_inputs))
    from loihic.frontends.nir_graph import from_nir_graph

    return _built(from_nir_graph(model))


def model_digest(path: Path, content: bytes) -> str:
    """SHA-256 of a model's file, of which this is the content, and of the files beside it that it names."""
    digest = hashlib.sha256(content)
    if path.suffix.lower() == ".onnx":
        from loihic.frontends.onnx_file import external_files

        for file in external_files(path, content):
            digest.update(f"|{file.name}|{stored_digest(file)}|".encode())
    return digest.hexdigest()


def _reader(path: Path) -> Callable[[Path, Options], Reading]:
    """The reader of a file, by its name; under another name it may still be a NIR file."""
    known = READERS.get(path.suffix.lower())
    if known is None and path.is_file() and not _is_hdf5(path):
        fail("LHC101", f"{path} is of no format that loihic reads", error=InputError,
             help=f"known are {', '.join(READERS)}")
    return known or _nir


def _is_hdf5(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(HDF5)) == HDF5
    except OSError:
        return True  # the reader says what is wrong


def _nir(path: Path, options: Options) -> Reading:
    from loihic.frontends.nir_file import read_nir_file

    return _built(read_nir_file(path))


def _built(raw: Any) -> Reading:
    from loihic.frontends.build import build_source
    from loihic.frontends.flatten import flatten_subgraphs

    provenance = {"model": raw.name, "sha256": raw.digest, "nir": raw.version, "loihic": loihic.__version__}
    flat = flatten_subgraphs(raw)
    return build_source(flat), provenance, tuple(dict.fromkeys((*raw.diagnostics, *flat.diagnostics)))


def _onnx(path: Path, options: Options) -> Reading:
    from loihic.frontends.onnx_reader import read_onnx

    return _whole(read_onnx(path))


def _torch(path: Path, options: Options) -> Reading:
    from loihic.frontends.torch_file import read_pt2

    return _whole(read_pt2(path))


def _netx(path: Path, options: Options) -> Reading:
    from loihic.frontends.netx import read_netx

    return _whole(read_netx(path, encoder=options.encoder))


def _whole(reading: Reading) -> Reading:
    """A network whose integers, or the places for them, the file says itself."""
    graph, provenance, warnings = reading
    return replace(graph, facts=graph.facts | {Fact.WHOLE}), {"loihic": loihic.__version__, **provenance}, warnings


READERS: dict[str, Callable[[Path, Options], Reading]] = {
    ".nir": _nir, ".onnx": _onnx, ".pt2": _torch, ".pt": _torch, ".pth": _torch, ".net": _netx}
