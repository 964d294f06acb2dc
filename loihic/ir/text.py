"""The text form of a graph at any stage: one line a node, arrays summarised, the same text for the same graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np
from scipy import sparse

from loihic.ir.graph import Graph
from loihic.ir.node import Array, Node

SPELLED_OUT = 4  # elements of an array that are shown one by one
HIDDEN = frozenset({"origins", "shape", "in_shape", "out_shape"})  # shown beside the parameters, or by the sources


def graph_text(graph: Graph[Any]) -> str:
    """A header line, then ``%name : shape = Op(parameters) <- sources`` for each node, in the order data flows.

    ``source@n`` arrives n steps late by meaning; ``; from a, b`` names the user's nodes where the name does not say it.
    """
    head = f"graph: {len(graph.nodes)} nodes, {len(graph.edges)} edges"
    if graph.dt is not None:
        head += f", dt = {graph.dt:g}"
    if graph.facts:
        head += f", {' '.join(sorted(fact.value for fact in graph.facts))}"
    return "\n".join([head, *(_line(graph, name) for name in flow_order(graph))]) + "\n"


def flow_order(graph: Graph[Any]) -> tuple[str, ...]:
    """Names from inputs to outputs. Unlike `Graph.order` it takes any loop, entering it where data first arrives."""
    waiting = {name: {edge.src for edge in edges if edge.delay == 0 and edge.src != name}
               for name, edges in graph.incoming.items()}
    done: dict[str, None] = {}
    ready = [name for name, sources in waiting.items() if not sources]
    while len(done) < len(waiting):
        if not ready:
            left = [name for name in waiting if name not in done]
            reached = (name for name in left if any(edge.src in done for edge in graph.incoming[name]))
            ready.append(next(reached, left[0]))
        name = ready.pop(0)
        done[name] = None
        for edge in graph.outgoing[name]:
            sources = waiting[edge.dst]
            if edge.src in sources:
                sources.discard(edge.src)
                if not sources and edge.dst not in done and edge.dst not in ready:
                    ready.append(edge.dst)
    return tuple(done)


def node_text(node: Node) -> str:
    """``Op(parameter=value, ...)``, parameters at their default left out."""
    return f"{node.op}({', '.join(_parameters(node))})"


def _line(graph: Graph[Any], name: str) -> str:
    node = graph.nodes[name]
    known = graph.shapes.get(name, getattr(node, "shape", None))
    shape = "" if known is None else f" : {known}"
    sources = ", ".join(e.src + (f"@{e.delay}" if e.delay else "") for e in graph.incoming[name])
    origins = f"  ; from {', '.join(node.origins)}" if node.origins not in ((), (name,)) else ""
    return f"%{name}{shape} = {node_text(node)}{f' <- {sources}' if sources else ''}{origins}"


def _parameters(value: Any) -> Iterator[str]:
    for item in fields(value):
        if item.name not in HIDDEN:
            now = getattr(value, item.name)
            if not _is_default(item, now):
                yield f"{item.name}={value_text(now)}"


def _is_default(item: Field[Any], value: Any) -> bool:
    if item.default is not MISSING:
        return type(value) is type(item.default) and bool(value == item.default)
    if item.default_factory is not MISSING and isinstance(value, np.ndarray):
        return value.size > 0 and bool(np.all(value == item.default_factory()))
    return False


def value_text(value: Any) -> str:
    """A parameter in short: arrays by their number if they hold only one, else by range and shape."""
    if isinstance(value, np.ndarray):
        return _array_text(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return f"({', '.join(value_text(item) for item in value)}{',' * (len(value) == 1)})"
    if isinstance(value, bool | int | np.integer):
        return str(value)
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    if sparse.issparse(value):
        return f"{_range_text(np.asarray(value.data))} {value.shape}, {value.nnz} stored"
    if is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}({', '.join(_parameters(value))})"
    return str(value)


def _array_text(array: Array) -> str:
    if array.size and bool(np.all(array == array.flat[0])):
        return value_text(array.flat[0])
    if array.ndim == 1 and array.size <= SPELLED_OUT:
        return f"[{', '.join(value_text(item) for item in array)}]"
    return f"{_range_text(array)} {array.shape}"


def _range_text(array: Array) -> str:
    return f"{value_text(array.min())}..{value_text(array.max())}" if array.size else "nothing"
