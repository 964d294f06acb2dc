"""The raw graph: what a NIR file or object says, checked for form but not yet for meaning."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from loihic.errors import Diagnostic, Severity

Array = npt.NDArray[Any]

SUBGRAPH = "NIRGraph"
"""The type of a node that holds a graph of its own, under the parameter ``graph``."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RawNode:
    """One node as the file gives it, with the defaults of NIR filled in.

    Attributes:
        type: NIR's own name of the node's class: ``LIF``, ``Affine``, ``Input``, ...
        params: read-only arrays, ints, strings, or None for an absent ``input_shape`` or ``input_type``. Pairs
            (stride, kernel, ...) of 2-d nodes are int64 arrays of shape (2,), those of ``Conv1d`` are ints. A
            ``NIRGraph`` node has one parameter, ``graph``, a `RawGraph`.
        metadata: what the author attached to the node.
        origin: the path in the file, ``/nodes/lif1.lif``; nested: ``/nodes/block/nodes/lif``.
    """

    type: str
    params: Mapping[str, object]
    metadata: Mapping[str, object]
    origin: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RawGraph:
    """A graph of raw nodes.

    Attributes:
        nodes: by name, in the file's order.
        edges: (source, target) names, each pair once, in the file's order; both ends are in `nodes`.
        metadata: of the graph; ``dt`` is there if the exporter said so.
        name: the file's stem, or "graph".
        digest: SHA-256 of the file's bytes, or `content_digest` of an object in memory.
        version: the version of nir that wrote the file; empty if the file does not say.
        diagnostics: warnings met on the way; never errors.
    """

    nodes: Mapping[str, RawNode]
    edges: tuple[tuple[str, str], ...]
    metadata: Mapping[str, object]
    name: str
    digest: str
    version: str
    diagnostics: tuple[Diagnostic, ...] = ()


def check_edges(
    pairs: Iterable[tuple[str, str]], names: Iterable[str], origin: str
) -> tuple[tuple[tuple[str, str], ...], list[Diagnostic]]:
    """Drop repeated edges and find those that name no node.

    NIR's edges are a set: a pair given twice does not add twice.

    Returns:
        The sound edges in order, each once; and what was found: LHC201 errors and LHC206 warnings.
    """
    known = set(names)
    seen: set[tuple[str, str]] = set()
    repeated: set[tuple[str, str]] = set()
    kept: list[tuple[str, str]] = []
    found: list[Diagnostic] = []
    for pair in pairs:
        if pair in seen:
            if pair not in repeated:
                repeated.add(pair)
                found.append(Diagnostic(
                    code="LHC206", message=f"edge {pair[0]!r} -> {pair[1]!r} is given more than once",
                    node=f"in {origin or '/'}", help="it was taken once; scale the weights if a sum was meant",
                    severity=Severity.WARNING,
                ))
            continue
        seen.add(pair)
        missing = [end for end in dict.fromkeys(pair) if end not in known]
        if missing:
            found.append(Diagnostic(
                code="LHC201",
                message=f"edge {pair[0]!r} -> {pair[1]!r} names no node: {', '.join(map(repr, missing))}",
                node=f"in {origin or '/'}", help=f"nodes of this graph: {listed(sorted(known))}",
            ))
        else:
            kept.append(pair)
    return tuple(kept), found


def listed(names: Iterable[str], limit: int = 20) -> str:
    """The names with commas between, cut after `limit` of them."""
    everything = list(names)
    rest = len(everything) - limit
    return ", ".join(everything[:limit]) + (f" and {rest} more" if rest > 0 else "") or "none"


def content_digest(graph: RawGraph) -> str:
    """SHA-256 over nodes, parameters, edges and metadata, whatever their order; not over names of files or versions.

    Two graphs of equal digest are the same network, bit for bit and type for type.
    """
    hasher = hashlib.sha256()
    for part in _graph_parts(graph):
        hasher.update(struct.pack("<Q", len(part)))
        hasher.update(part)
    return hasher.hexdigest()


def _graph_parts(graph: RawGraph) -> Iterable[bytes]:
    for name in sorted(graph.nodes):
        node = graph.nodes[name]
        yield from (b"node", name.encode(), node.type.encode())
        yield from _value_parts(node.params)
        yield from _value_parts(node.metadata)
    for source, target in sorted(graph.edges):
        yield from (b"edge", source.encode(), target.encode())
    yield from _value_parts(graph.metadata)


def _value_parts(value: object) -> Iterable[bytes]:
    if isinstance(value, RawGraph):
        yield from (b"graph", *_graph_parts(value), b"end")
    elif isinstance(value, Mapping):
        yield b"{"
        for key in sorted(value):
            yield str(key).encode()
            yield from _value_parts(value[key])
        yield b"}"
    elif isinstance(value, tuple):
        yield b"("
        for item in value:
            yield from _value_parts(item)
        yield b")"
    elif isinstance(value, np.ndarray):
        yield from (b"array", value.dtype.str.encode(), repr(value.shape).encode(), value.tobytes())
    else:
        yield f"{type(value).__name__} {value!r}".encode()
