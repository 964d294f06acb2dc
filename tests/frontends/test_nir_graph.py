"""Objects in memory, and that they and the files nir writes of them are the same network."""

from __future__ import annotations

import dataclasses
import io
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from loihic.errors import InputError
from loihic.frontends import from_nir_graph, read_nir_file
from loihic.frontends.raw import content_digest

nir = pytest.importorskip("nir")

FLOATS = {"allow_nan": False, "allow_infinity": False}
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\x00"), min_size=1, max_size=8).filter(
    lambda name: name != "."  # HDF5's own name for the group itself
)


def reals(*shape: int) -> st.SearchStrategy[np.ndarray]:
    return st.sampled_from([np.float32, np.float64]).flatmap(
        lambda dtype: hnp.arrays(dtype, shape, elements=st.floats(width=32, **FLOATS))
    )


@st.composite
def leaves(draw: st.DrawFn) -> object:
    """Any node of NIR with random parameters; shapes of neighbours need not fit."""
    n = draw(st.integers(1, 4))
    a = lambda *shape: draw(reals(*shape))  # noqa: E731
    two = draw(hnp.arrays(np.int64, 2, elements=st.integers(1, 3)))
    kinds = {
        "affine": lambda: nir.Affine(a(n, 2), a(n)),
        "linear": lambda: nir.Linear(a(n, 3)),
        "scale": lambda: nir.Scale(a(n)),
        "threshold": lambda: nir.Threshold(a(n)),
        "delay": lambda: nir.Delay(a(n)),
        "i": lambda: nir.I(a(n)),
        "if": lambda: nir.IF(a(n), a(n)),
        "li": lambda: nir.LI(a(n), a(n), a(n)),
        "lif": lambda: nir.LIF(a(n), a(n), a(n), a(n), a(n)),
        "cubali": lambda: nir.CubaLI(a(n), a(n), a(n), a(n)),
        "cubalif": lambda: nir.CubaLIF(a(n), a(n), a(n), a(n), a(n), w_in=draw(st.floats(-4, 4, width=16))),
        "conv1d": lambda: nir.Conv1d(8, a(n, 1, 3), 1, draw(st.sampled_from(["same", "valid", 1])), 1, 1, a(n)),
        "conv2d": lambda: nir.Conv2d(
            (8, 8), a(n, 1, 3, 3), 1, draw(st.sampled_from(["same", "valid", 1, (0, 1)])), 1, 1, a(n)
        ),
        "sum": lambda: nir.SumPool2d(two, two, 0 * two),
        "avg": lambda: nir.AvgPool2d(two, two, 0 * two),
        "flatten": lambda: nir.Flatten(np.array([2, n]), 0, -1),
        "input": lambda: nir.Input(np.array([n])),
        "output": lambda: nir.Output(np.array([n, 2])),
    }
    node = kinds[draw(st.sampled_from(sorted(kinds)))]()
    if draw(st.booleans()):
        note = st.text(st.characters(codec="utf-8", min_codepoint=32))
        node.metadata = {"dt": draw(st.floats(**FLOATS)), "note": draw(note)}
    return node


@st.composite
def graphs(draw: st.DrawFn, depth: int = 2) -> object:
    inner = st.one_of(leaves(), graphs(depth - 1)) if depth else leaves()
    nodes = draw(st.dictionaries(NAMES, inner, max_size=4))
    ends = st.sampled_from(sorted(nodes)) if nodes else st.nothing()
    edges = draw(st.lists(st.tuples(ends, ends), max_size=6, unique=True)) if nodes else []
    return nir.NIRGraph(nodes, edges, type_check=False)


@settings(max_examples=60)
@given(graphs())
def test_written_and_read_back_is_the_same(graph: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "g.nir"
        nir.write(path, graph)
        raw = read_nir_file(path)
    direct = from_nir_graph(graph)
    assert content_digest(raw) == direct.digest
    assert set(raw.nodes) == set(direct.nodes)
    assert set(raw.edges) == set(direct.edges)
    assert raw.diagnostics == direct.diagnostics == ()
    assert direct.version == nir.version


def test_digest_tells_networks_apart_and_not_orders() -> None:
    def digest(*names: str, value: float = 1, dtype: type = np.float32) -> str:
        return from_nir_graph(nir.NIRGraph(
            {name: nir.Scale(np.full(2, value, dtype)) for name in names},
            [(a, b) for a in names for b in names if {a, b} == {"a", "b"}], type_check=False,
        )).digest

    assert digest("a", "b") == digest("b", "a")
    assert len({digest("a", "b"), digest("a", "b", "c"), digest("a", "b", value=2), digest("a", "b", dtype=float)}) == 4


def test_arrays_are_copies() -> None:
    weight = np.ones((2, 2))
    raw = from_nir_graph(nir.NIRGraph({"w": nir.Linear(weight)}, [], type_check=False))
    weight[:] = 5
    assert raw.nodes["w"].params["weight"].tolist() == [[1, 1], [1, 1]]


def test_shapes_not_yet_inferred() -> None:
    conv = nir.Conv2d(None, np.ones((1, 1, 3, 3)), 1, 0, 1, 1, np.zeros(1))
    raw = from_nir_graph(nir.NIRGraph({"c": conv, "f": nir.Flatten(None, 0, -1)}, [], type_check=False))
    assert raw.nodes["c"].params["input_shape"] is None
    assert raw.nodes["f"].params["input_type"] is None


@dataclasses.dataclass
class Gate:
    weight: np.ndarray
    leak: float
    hook: object = None
    metadata: dict[str, object] = dataclasses.field(default_factory=dict)


def test_extra_types() -> None:
    graph = SimpleNamespace(nodes={"g": Gate(np.ones(2), 0.5, hook=io.StringIO())}, edges=[], metadata={})
    with pytest.raises(InputError, match="LHC102"):
        from_nir_graph(graph)
    raw = from_nir_graph(graph, extra_types=["Gate"], name="mine")
    assert (raw.name, raw.version, raw.nodes["g"].type) == ("mine", "", "Gate")
    assert raw.nodes["g"].params["leak"] == 0.5
    assert [d.code for d in raw.diagnostics] == ["LHC108"]


def test_problems_are_collected() -> None:
    one = np.ones(2)
    lif = nir.LIF(one, one, one, one)
    lif.r = None
    lif.tau = np.array([1, np.inf])
    lif.v_leak = "resting"
    lif.v_threshold = object()
    graph = nir.NIRGraph({"lif": lif, 3: nir.Scale(one)}, [("lif", "gone"), ("lif",)], type_check=False)
    with pytest.raises(InputError) as caught:
        from_nir_graph(graph)
    assert sorted(d.code for d in caught.value.diagnostics) == ["LHC103"] * 5 + ["LHC104", "LHC201"]


def test_not_a_graph() -> None:
    for thing in (None, 3, nir.Scale(np.ones(2)), {"nodes": {}}):
        with pytest.raises(InputError, match=r"expected a nir\.NIRGraph"):
            from_nir_graph(thing)


def test_graph_that_contains_itself() -> None:
    graph = nir.NIRGraph({}, [], type_check=False)
    graph.nodes["self"] = graph
    with pytest.raises(InputError, match="nested more than"):
        from_nir_graph(graph)


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    plain = nir.NIRGraph({"w": nir.Linear(torch.ones(2, 2))}, [], type_check=False)
    assert from_nir_graph(plain).nodes["w"].params["weight"].tolist() == [[1, 1], [1, 1]]
    with pytest.raises(InputError, match="LHC103"):
        from_nir_graph(nir.NIRGraph({"w": nir.Linear(torch.ones(2, 2, requires_grad=True))}, [], type_check=False))
