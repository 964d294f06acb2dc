"""From a raw graph to typed source nodes: every parameter out of range is reported at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from loihic.errors import CompileError, Diagnostic
from loihic.frontends.raw import RawGraph
from loihic.ir.graph import Edge, SourceGraph
from loihic.ir.node import ShapeError, SourceNode
from loihic.ir.registry import source_ops
from loihic.ops.ports import Input, Output
from loihic.ops.traits import NirNode


def build_source(raw: RawGraph) -> SourceGraph:
    """The source graph of a raw graph without nested subgraphs.

    Raises:
        CompileError: LHC102, LHC103 or LHC105 for nodes, LHC203 for a graph without input or output.
    """
    known = {name: cls for name, cls in source_ops().items() if issubclass(cls, NirNode)}
    nodes: dict[str, SourceNode] = {}
    found: list[Diagnostic] = []
    for name, item in raw.nodes.items():
        label = f"{name} ({item.type}), from {raw.name} {item.origin}"
        cls = known.get(item.type)
        if cls is None:
            found.append(Diagnostic(code="LHC102", message=f"unknown node type {item.type!r}", node=label,
                                    help=f"known types: {', '.join(known)}"))
            continue
        try:
            node = cls.from_params(item.params, (name,))
            problems = list(node.problems())
        except (KeyError, TypeError, ValueError, IndexError, ShapeError) as error:
            found.append(Diagnostic(code="LHC103", message="a parameter is missing or malformed", node=label,
                                    param=f"{type(error).__name__}: {error}"))
            continue
        nodes[name] = node
        found += [Diagnostic(code=p.code, message=p.message, node=label, param=p.param, help=p.help) for p in problems]
    for kind in (Input, Output):
        if not any(item.type == kind.op for item in raw.nodes.values()):
            found.append(Diagnostic(code="LHC203", message=f"the graph has no {kind.op} node",
                                    help=f"export the network with an {kind.op} node"))
    if found:
        raise CompileError(found)
    return SourceGraph(nodes=nodes, edges=tuple(Edge(src=a, dst=b) for a, b in raw.edges), dt=_metadata_dt(raw))


def _metadata_dt(raw: RawGraph) -> float | None:
    """A time step in the graph's metadata, if there is a sensible one."""
    value: Any = raw.metadata.get("dt")
    if value is None:
        return None
    try:
        dt = float(np.asarray(value).reshape(-1)[0])
    except (TypeError, ValueError, IndexError):
        return None
    return dt if 0 < dt < float("inf") else None
