"""The pass that proves ranges: what it leaves in context, ledger and artefact, and what --strict refuses."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest
from small_graphs import finished, neurons

import loihic
from loihic.errors import CompileError
from loihic.ir.graph import Edge
from loihic.ledger import Ledger
from loihic.ops.source import Sink
from loihic.options import Options
from loihic.passes.manager import CompileContext, run_passes
from loihic.passes.prove import Prove
from loihic.quant.proofs import Verdict
from loihic.sim.simulator import simulate


def inhibited(weight: float = -1.0) -> nir.NIRGraph:
    """An integrator without leak behind one weight: below nothing bounds it, if the weight is negative."""
    one = np.ones(1)
    nodes = {"in": nir.Input({"input": np.array([1])}), "w": nir.Linear(weight * np.eye(1)),
             "if": nir.IF(r=one, v_threshold=one, v_reset=0 * one), "out": nir.Output({"output": np.array([1])})}
    return nir.NIRGraph(nodes=nodes, edges=[("in", "w"), ("w", "if"), ("if", "out")], type_check=False)


def test_what_is_not_proven_is_in_the_ledger_and_refused_under_strict() -> None:
    program = loihic.compile(inhibited(), dt=1.0)
    open_ = [(proof.node, proof.state) for proof in program.proofs if proof.verdict is not Verdict.PROVEN]
    assert open_ == [("if", "v")]
    entries = [loss for loss in program.ledger if loss.kind == "range"]
    assert [(loss.node, loss.param) for loss in entries] == open_
    assert entries[0].is_unproven
    assert not entries[0].is_loss
    assert "golden" in entries[0].why
    with pytest.raises(CompileError) as caught:
        loihic.compile(inhibited(), dt=1.0, strict=True)
    assert [(d.code, d.node) for d in caught.value.diagnostics] == [("LHC501", "if")]


def test_strict_accepts_what_is_proven() -> None:
    program = loihic.compile(inhibited(1.0), dt=1.0, strict=True)
    assert {proof.verdict for proof in program.proofs} == {Verdict.PROVEN}


def test_the_run_is_on_the_calibration_data() -> None:
    data = {"in": np.tile([[[1.0]], [[0.0]]], (1, 3, 1))}
    program = loihic.compile(inhibited(), dt=1.0, calibration=data)
    proof = next(proof for proof in program.proofs if proof.state == "v")
    _, states = simulate(program.graph, {"in": data["in"].astype(int)}, 4, record=[("if", "v")])
    assert proof.observed == (states["if", "v"].min(), 0.0)
    assert "calibration" in next(loss.why for loss in program.ledger if loss.kind == "range")


def test_proofs_are_kept_in_the_artefact(tmp_path: Any) -> None:
    program = loihic.compile(inhibited(), dt=1.0)
    assert loihic.load(program.save(tmp_path / "p.loihic")).proofs == program.proofs


def test_a_graph_without_inputs() -> None:
    """A population driven by its own bias alone."""
    node = neurons(vbias_mant=5, dv=0, vth=1)
    graph = finished({"n": node, "out": Sink(shape=(1,))}, [Edge(src="n", dst="out")])
    context = CompileContext(options=Options(), ledger=Ledger())
    assert run_passes(graph, [Prove()], context).nodes == graph.nodes
    v = next(proof for proof in context.proofs if proof.state == "v")
    assert v.verdict is Verdict.PROVEN
    assert v.observed == (0.0, 65)  # the first multiple of five above 64; then it starts again at zero
