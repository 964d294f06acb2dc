"""Graphs to plain JSON and named tensors, and back; nothing but registered operators is ever constructed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import Any

import numpy as np
from scipy import sparse

from loihic.ir import linear
from loihic.ir.graph import Edge, Fact, Graph
from loihic.ir.node import Array, Node
from loihic.ir.registry import op_class
from loihic.ir.typed import check_fields

Json = Any
LINEAR_MAPS = {cls.__name__: cls for cls in (linear.IdentityMap, linear.DenseMap, linear.SparseMap, linear.ConvMap)}
INTEGER_TYPES = (np.int8, np.int16, np.int32, np.int64)


class Encoder:
    """Collects tensors while nodes become JSON."""

    def __init__(self) -> None:
        self.tensors: dict[str, Array] = {}

    def graph(self, graph: Graph[Any], prefix: str) -> Json:
        """A graph as JSON; its arrays go to `tensors` under `prefix`."""
        return {
            "nodes": {name: self.node(node, f"{prefix}/{name}") for name, node in graph.nodes.items()},
            "edges": [[edge.src, edge.dst, edge.delay] for edge in graph.edges],
            "shapes": {name: list(shape) for name, shape in graph.shapes.items()},
            "facts": sorted(fact.value for fact in graph.facts),
            "dt": graph.dt,
        }

    def node(self, node: Node, key: str) -> Json:
        """A node as JSON."""
        return {"op": node.op} | {f.name: self.value(getattr(node, f.name), f"{key}/{f.name}") for f in fields(node)}

    def value(self, value: Any, key: str) -> Json:
        """Any field of a node."""
        if isinstance(value, np.ndarray):
            return self._tensor(value, key)
        if isinstance(value, Enum):
            return {"$enum": type(value).__name__, "value": value.value}
        if isinstance(value, Node):
            return {"$node": self.node(value, key)}
        if isinstance(value, linear.LinearMap):
            parts = {f.name: self.value(getattr(value, f.name), f"{key}/{f.name}") for f in fields(value)}
            return {"$linear": type(value).__name__} | parts
        if sparse.issparse(value):
            names = ("data", "indices", "indptr")
            return {"$csr": [self._tensor(getattr(value, n), f"{key}/{n}") for n in names], "shape": list(value.shape)}
        if isinstance(value, tuple):
            return [self.value(item, f"{key}/{i}") for i, item in enumerate(value)]
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise TypeError(f"{key}: cannot store a {type(value).__name__}")

    def _tensor(self, array: Array, key: str) -> Json:
        if array.dtype.kind in "iu":
            low, high = int(array.min(initial=0)), int(array.max(initial=0))
            dtype = next(t for t in INTEGER_TYPES if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
            array = array.astype(dtype)
        self.tensors[key] = np.ascontiguousarray(array)
        # ascontiguousarray makes a scalar one-dimensional: the shape is kept beside.
        return {"$tensor": key, "shape": list(array.shape)}


class Decoder:
    """Builds graphs from JSON and tensors; raises KeyError, TypeError or ValueError for anything malformed."""

    def __init__(self, tensors: Mapping[str, Array], enums: Mapping[str, type[Enum]]) -> None:
        self.tensors = tensors
        self.enums = enums

    def graph(self, data: Json) -> Graph[Any]:
        """The inverse of `Encoder.graph`."""
        return Graph(
            nodes={str(name): self.node(node) for name, node in data["nodes"].items()},
            edges=tuple(Edge(src=str(src), dst=str(dst), delay=int(delay)) for src, dst, delay in data["edges"]),
            shapes={str(name): tuple(int(n) for n in shape) for name, shape in data["shapes"].items()},
            facts=frozenset(Fact(fact) for fact in data["facts"]),
            dt=None if data["dt"] is None else float(data["dt"]))

    def node(self, data: Json) -> Node:
        """The inverse of `Encoder.node`."""
        cls = op_class(data["op"])
        if cls is None:
            raise ValueError(f"unknown operator {data['op']!r}")
        node: Node = self._built(cls, data, "op")
        return node

    def value(self, value: Json) -> Any:
        """The inverse of `Encoder.value`."""
        if isinstance(value, list):
            return tuple(self.value(item) for item in value)
        if not isinstance(value, dict):
            return value
        if "$tensor" in value:
            array = self.tensors[value["$tensor"]].reshape(tuple(value["shape"]))
            return array.astype(np.int64) if array.dtype.kind in "iu" else array
        if "$node" in value:
            return self.node(value["$node"])
        if "$enum" in value:
            return self.enums[value["$enum"]](value["value"])
        if "$csr" in value:
            parts = tuple(self.value(part) for part in value["$csr"])
            matrix = sparse.csr_matrix(parts, shape=tuple(value["shape"]))
            matrix.check_format(full_check=True)
            return matrix
        return self._built(LINEAR_MAPS[value["$linear"]], value, "$linear")

    def _built(self, cls: type, data: Json, kind: str) -> Any:
        """An instance of a dataclass from its fields; `kind` is the key that named it."""
        values = {key: self.value(item) for key, item in data.items() if key != kind}
        check_fields(cls, values)
        return cls(**values)
