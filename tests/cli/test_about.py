"""explain, passes, ops, the page of operators, the text form."""

from __future__ import annotations

import json

import numpy as np
import pytest

from loihic.codes import CODES
from loihic.ir.graph import Edge, Graph
from loihic.ir.text import flow_order, graph_text, value_text
from loihic.ops.affine import Affine
from loihic.ops.ports import Input
from loihic.report import capabilities
from loihic.report.specimens import SPECIMENS


@pytest.mark.parametrize("code", list(CODES))
def test_every_code_is_explained(call, code):
    result = call("explain", code)
    assert result.exit_code == 0
    assert CODES[code].title in result.stdout


def test_explain_takes_codes_as_people_write_them(call):
    assert call("explain", "lhc301").stdout == call("explain", "301").stdout == call("explain", "LHC301").stdout
    assert all(code in call("explain").stdout for code in CODES)
    result = call("explain", "LHC999")
    assert result.exit_code == 2
    assert "LHC900" in result.stderr


def test_passes(call):
    found = json.loads(call("passes", "--json").stdout)["passes"]
    assert next(item["name"] for item in found if item["in_pipeline"]) == "infer-shapes"
    assert all(item["text"] for item in found)
    assert "quantise{" in call("passes").stdout


def test_ops(call):
    shown = call("ops").stdout
    assert all(name in shown for name in ("CubaLIF", "Compartment", "Map"))
    found = json.loads(call("ops", "--json").stdout)["operators"]
    assert {item["op"] for item in found["NIR"]} >= {"Conv2d", "Delay", "Threshold"}


def test_every_nir_operator_has_a_specimen_that_compiles():
    for op in capabilities.operator_groups()["NIR"]:
        assert op in SPECIMENS
        assert "does not compile" not in capabilities.runs_as(op)


def test_the_page_is_checked(folder, capsys):
    path = folder / "operators.md"
    assert capabilities.main(["--check", str(path)]) == 1
    assert capabilities.main([str(path)]) == 0
    assert capabilities.main(["--check", str(path)]) == 0
    assert capabilities.main([str(folder / "no" / "page.md")]) == 1
    assert "LHC112" in capsys.readouterr().err


def test_text_of_a_loop():
    weight = np.array([[1.0, 2.0], [3.0, 4.0]])
    graph = Graph(
        nodes={"b": Affine(weight=weight, bias=np.zeros(2), origins=("b", "c")), "in": Input(shape=(2,)),
               "a": Affine(weight=weight * 0, bias=np.arange(2.0))},
        edges=(Edge(src="a", dst="b"), Edge(src="b", dst="a"), Edge(src="in", dst="b", delay=3)))
    assert flow_order(graph) == ("in", "b", "a")
    assert graph_text(graph) == (
        "graph: 3 nodes, 3 edges\n"
        "%in : (2,) = Input()\n"
        "%b = Affine(weight=1..4 (2, 2), bias=0) <- a, in@3  ; from b, c\n"
        "%a = Affine(weight=0, bias=[0, 1]) <- b\n")


def test_values_in_short():
    assert value_text(np.zeros((0, 3))) == "nothing (0, 3)"
    assert value_text((1, (2.5,))) == "(1, (2.5,))"
    assert value_text(np.full((2, 2), True)) == "True"
