"""Every operator in the registry: shape, rewriting, file round trip, integers near floats, Lava's bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loihic.api import compile_source
from loihic.artifact import dumps, load
from loihic.frontends.build import build_source
from loihic.ir.registry import source_ops
from loihic.ops.ports import Input
from loihic.ops.traits import NirNode
from loihic.options import Options
from loihic.passes.manager import CompileContext
from loihic.program import Program
from loihic.report.specimens import SPECIMENS, specimen
from loihic.sim.reference import run_reference
from loihic.targets.lava.runner import lava_version

OPERATORS = [op for op, cls in source_ops().items() if issubclass(cls, NirNode)]


def compiled(op: str) -> tuple[Program, CompileContext]:
    context = CompileContext(options=Options(golden_steps=40))
    return compile_source(build_source(specimen(op)), {"model": op}, context), context


def test_every_operator_has_a_specimen() -> None:
    assert set(OPERATORS) == set(SPECIMENS)


@pytest.mark.parametrize("op", OPERATORS)
def test_rewriting_is_exact(op: str) -> None:
    """Each float stage gives the same spikes on the golden input."""
    program, context = compiled(op)
    x = {name: values[None].astype(float) for name, values in program.golden.items()}
    loops_broken, fused = context.stages["break-loops"], context.stages["fuse"]
    assert [name for name, _ in loops_broken.of(Input)] == list(x)
    np.testing.assert_array_equal(run_reference(loops_broken, x)["output"], run_reference(fused, x)["output"])


@pytest.mark.parametrize("op", OPERATORS)
def test_integers_follow_floats(op: str) -> None:
    """Eight bits are plenty for networks as small as these: spike counts differ by one in ten at most."""
    program, _ = compiled(op)
    x = {name: np.random.default_rng(1).random((4, 200, *port.shape)) < 0.3 for name, port in program.inputs.items()}
    ours, wanted = program.run(x).outputs["output"].sum(1), program.run_float(x)["output"].sum(1)
    assert np.abs(ours - wanted).sum() <= 0.1 * wanted.sum() + 2


@pytest.mark.parametrize("op", OPERATORS)
def test_round_trip(op: str, tmp_path: Path) -> None:
    program, _ = compiled(op)
    assert dumps(load(program.save(tmp_path / "net.loihic"))) == dumps(program)


@pytest.mark.skipif(lava_version() is None, reason="Lava is not installed")
@pytest.mark.parametrize("op", OPERATORS)
def test_lava_has_the_same_bits(op: str) -> None:
    verdict = compiled(op)[0].verify()
    assert verdict.agrees, verdict.lines
