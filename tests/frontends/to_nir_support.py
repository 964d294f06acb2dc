"""Networks written as NIR and read back, for the tests that compare the two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from netx_nets import write_net

from loihic.errors import Diagnostic
from loihic.frontends.formats import read_model
from loihic.frontends.to_nir import to_nir, write_nir
from loihic.ir.graph import SourceGraph
from loihic.ir.node import Array
from loihic.options import Options
from loihic.passes.discretise import Discretise, choose_dt
from loihic.passes.loops import BreakLoops
from loihic.passes.manager import CompileContext, run_passes
from loihic.passes.shapes import InferShapes
from loihic.sim.reference import run_reference


def shaped(graph: SourceGraph) -> SourceGraph:
    return run_passes(graph, [InferShapes()], CompileContext(options=Options()))


def stepwise(graph: SourceGraph) -> SourceGraph:
    """In discrete time, loops broken, nothing fused."""
    dt, _ = choose_dt(graph, None)
    return run_passes(graph, [InferShapes(), Discretise(dt=dt), BreakLoops()], CompileContext(options=Options()))


def through_file(graph: SourceGraph, tmp: Path) -> tuple[SourceGraph, list[Diagnostic]]:
    """Written as NIR and read back."""
    remarks: list[Diagnostic] = []
    made = to_nir(shaped(graph), remarks.append)
    made.check_types()
    path = write_nir(tmp / "made.nir", made)
    return read_model(path)[0], remarks


def answers(graph: SourceGraph, x: Array) -> Array:
    """(T, n) of a graph with one input and one output."""
    (name,) = [name for name, node in graph.nodes.items() if node.op == "Input"]
    (values,) = run_reference(stepwise(graph), {name: x[None]}).values()
    return values[0].reshape(len(x), -1)


def spikes(graph: SourceGraph, steps: int = 20) -> Array:
    shape = next(node.shape for node in graph.nodes.values() if node.op == "Input")  # type: ignore[attr-defined]
    return (np.random.default_rng(3).random((steps, *shape)) < 0.5).astype(np.float64)


def net(tmp: Path, *layers: dict[str, Any]) -> SourceGraph:
    return read_model(write_net(tmp / "net.net", layers))[0]
