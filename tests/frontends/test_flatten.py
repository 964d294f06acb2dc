"""Inlining of subgraphs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loihic.errors import CompileError
from loihic.frontends.flatten import flatten_subgraphs
from loihic.frontends.raw import RawGraph, RawNode

Nodes = dict[str, "str | RawGraph"]


def graph(nodes: Nodes, *edges: str) -> RawGraph:
    """Nodes by name and type (or graph); edges written "a>b"."""
    raw = {
        name: RawNode(
            type="NIRGraph" if isinstance(kind, RawGraph) else kind,
            params={"graph": kind} if isinstance(kind, RawGraph) else {}, metadata={}, origin=f"/nodes/{name}",
        )
        for name, kind in nodes.items()
    }
    pairs = tuple((edge.split(">")[0], edge.split(">")[1]) for edge in edges)
    return RawGraph(nodes=raw, edges=pairs, metadata={"dt": 1}, name="g", digest="d", version="1")


def block(*extra: str, **nodes: str) -> RawGraph:
    """Input in, Output out, and LIF n between them."""
    return graph({"in": "Input", "n": "LIF", "out": "Output", **nodes}, "in>n", "n>out", *extra)


def edges(raw: RawGraph) -> list[str]:
    return [f"{source}>{target}" for source, target in raw.edges]


def problems(raw: RawGraph) -> list[str]:
    with pytest.raises(CompileError) as caught:
        flatten_subgraphs(raw)
    return [d.code for d in caught.value.diagnostics]


def test_flat_graphs_stay() -> None:
    raw = block()
    assert flatten_subgraphs(raw) is raw


def test_one_level() -> None:
    raw = flatten_subgraphs(graph({"i": "Input", "b": block(), "o": "Output"}, "i>b", "b>o"))
    assert {name: node.type for name, node in raw.nodes.items()} == {"i": "Input", "b.n": "LIF", "o": "Output"}
    assert set(edges(raw)) == {"i>b.n", "b.n>o"}
    assert (raw.metadata, raw.digest, raw.version) == ({"dt": 1}, "d", "1")


def test_two_levels_and_one_after_another() -> None:
    outer = graph({"x": "Input", "b": block(), "c": block(), "y": "Output"}, "x>b", "b>c", "c>y")
    raw = flatten_subgraphs(graph({"i": "Input", "a": outer, "o": "Output"}, "i>a", "a>o"))
    assert list(raw.nodes) == ["i", "a.b.n", "a.c.n", "o"]
    assert set(edges(raw)) == {"i>a.b.n", "a.b.n>a.c.n", "a.c.n>o"}


def test_loops_across_the_border() -> None:
    nodes: Nodes = {"i": "Input", "b": block(), "w": "Affine", "o": "Output"}
    raw = flatten_subgraphs(graph(nodes, "i>b", "b>w", "w>b", "b>o"))
    assert set(edges(raw)) == {"i>b.n", "b.n>w", "w>b.n", "b.n>o"}
    raw = flatten_subgraphs(graph({"i": "Input", "b": block(), "o": "Output"}, "i>b", "b>b", "b>o"))
    assert set(edges(raw)) == {"i>b.n", "b.n>b.n", "b.n>o"}
    raw = flatten_subgraphs(graph({"i": "Input", "b": block("out>in"), "o": "Output"}, "i>b", "b>o"))
    assert set(edges(raw)) == {"i>b.n", "b.n>b.n", "b.n>o"}


def test_several_edges_into_one_input_and_out_of_one_output() -> None:
    raw = flatten_subgraphs(graph(
        {"i": "Input", "j": "Input", "b": block("in>m", "m>out", m="LI"), "o": "Output", "p": "Output"},
        "i>b", "j>b", "b>o", "b>p",
    ))
    assert set(edges(raw)) == {f"{a}>b.{c}" for a in "ij" for c in "nm"} | {f"b.{c}>{a}" for a in "op" for c in "nm"}


def test_bare_wire_through_a_subgraph() -> None:
    wire = graph({"in": "Input", "out": "Output"}, "in>out")
    raw = flatten_subgraphs(graph({"i": "Input", "a": wire, "b": wire, "o": "Output"}, "i>a", "a>b", "b>o"))
    assert edges(raw) == ["i>o"]


def test_long_chain_of_wires() -> None:
    wire = graph({"in": "Input", "out": "Output"}, "in>out")
    names = [f"w{i}" for i in range(3000)]
    chain = ["i", *names, "o"]
    links = [f"{chain[k]}>{chain[k + 1]}" for k in range(len(chain) - 1)]
    raw = flatten_subgraphs(graph({"i": "Input", **dict.fromkeys(names, wire), "o": "Output"}, *links))
    assert edges(raw) == ["i>o"]


def test_parallel_wires_would_be_lost() -> None:
    wire = graph({"in": "Input", "out": "Output"}, "in>out")
    assert problems(graph({"i": "Input", "w": wire, "o": "Output"}, "i>w", "w>o", "i>o")) == ["LHC207"]
    twice: Nodes = {"i": "Input", "w": wire, "v": wire, "o": "Output"}
    assert problems(graph(twice, "i>w", "w>o", "i>v", "v>o")) == ["LHC207"]


def test_loop_of_wires() -> None:
    wire = graph({"in": "Input", "out": "Output"}, "in>out")
    assert problems(graph({"i": "Input", "w": wire, "o": "Output"}, "i>w", "w>w", "w>o")) == ["LHC205"]


def test_ports_that_are_not_certain() -> None:
    two = block("other>n", other="Input")
    none = graph({"n": "LIF"})
    nodes: Nodes = {"i": "Input", "two": two, "none": none, "o": "Output"}
    found = problems(graph(nodes, "i>two", "i>none", "none>o", "two>o"))
    assert found == ["LHC207", "LHC207", "LHC207"]
    found = problems(graph({"i": "Input", "j": "Input", "two": two, "o": "Output"}, "i>two", "j>two", "two>o"))
    assert found == ["LHC207"]


def test_names_that_collide() -> None:
    raw = flatten_subgraphs(graph(
        {"i": "Input", "b": block(), "b.n": "IF", "b.n_1": "LI", "o": "Output"}, "i>b", "b>b.n", "b.n>b.n_1", "b.n_1>o",
    ))
    assert {name: node.type for name, node in raw.nodes.items()} == {
        "i": "Input", "b.n_2": "LIF", "b.n": "IF", "b.n_1": "LI", "o": "Output",
    }
    assert set(edges(raw)) == {"i>b.n_2", "b.n_2>b.n", "b.n>b.n_1", "b.n_1>o"}


def test_origins_stay() -> None:
    inner = block()
    inner = replace(inner, nodes={k: replace(v, origin=f"/nodes/b/nodes/{k}") for k, v in inner.nodes.items()})
    raw = flatten_subgraphs(graph({"i": "Input", "b": inner, "o": "Output"}, "i>b", "b>o"))
    assert raw.nodes["b.n"].origin == "/nodes/b/nodes/n"


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.data())
def test_inlining_undoes_wrapping(depths: list[int], data: st.DataObject) -> None:
    """LIFs wrapped in any number of one-node subgraphs connect as the bare LIFs do."""
    names = [f"n{i}" for i in range(len(depths))]
    ends = st.sampled_from(names)
    links = data.draw(st.lists(st.tuples(ends, ends).map(">".join), unique=True))

    def wrapped(depth: int) -> str | RawGraph:
        kind: str | RawGraph = "LIF"
        for _ in range(depth):
            kind = graph({"in": "Input", "x": kind, "out": "Output"}, "in>x", "x>out")
        return kind

    raw = flatten_subgraphs(graph({n: wrapped(d) for n, d in zip(names, depths, strict=True)}, *links))
    full = {n: n + ".x" * d for n, d in zip(names, depths, strict=True)}
    assert set(raw.nodes) == set(full.values())
    assert set(edges(raw)) == {">".join(full[end] for end in link.split(">")) for link in links}
