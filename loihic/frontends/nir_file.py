"""From a .nir file to the raw graph, without nir and without trust in the file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from loihic.errors import Diagnostic, InputError, Severity, fail
from loihic.frontends.nir_hdf5 import ReadLimits, SafeFile
from loihic.frontends.nir_schema import SCHEMAS, MalformedError, Problem, check_params, frozen, unknown_type
from loihic.frontends.raw import SUBGRAPH, RawGraph, RawNode, check_edges

_STRUCTURE = frozenset({"type", "metadata"})
_LONGEST_NAME = 4096


def read_nir_file(
    path: str | os.PathLike[str], *, extra_types: Iterable[str] = (), limits: ReadLimits | None = None
) -> RawGraph:
    """Read an HDF5 file as nir.write makes it, of any version from 0.1 to 1.0.

    Shapes are not inferred and not compared, so that graphs open which nir opens only with type_check=False.

    Args:
        path: the file.
        extra_types: names of node types beyond NIR's; their parameters are taken as they are.
        limits: bounds on what the file may ask for.

    Raises:
        InputError: LHC101 if the file is not one of NIR's at all, else every problem found in it: LHC102 unknown
            node types, LHC103 missing or malformed parameters, LHC104 values that are not finite, LHC201 edges
            that name no node.
    """
    with closing(SafeFile(path, limits or ReadLimits())) as file:
        return _Reader(file, frozenset(extra_types)).read(Path(path))


class _Reader:
    """One pass over one file; problems gather in `found`."""

    def __init__(self, file: SafeFile, extra_types: frozenset[str]) -> None:
        self.file = file
        self.extra_types = extra_types
        self.found: list[Diagnostic] = []
        self.version = ""

    def read(self, path: Path) -> RawGraph:
        graph = None
        try:
            version = self._entry(self.file.root, "version")
            self.version = version if isinstance(version, str) else ""
            top = self.file.child(self.file.root, "node")
            if not isinstance(top, h5py.Group):
                fail("LHC101", f"{path} is HDF5 but not a NIR graph: it has no group 'node'", error=InputError,
                     help=self._guess())
            if self._entry(top, "type") != SUBGRAPH:
                raise MalformedError("the file does not hold a graph", param=f"type = {self._entry(top, 'type')!r}",
                                help="wrap a single node with nir.NIRGraph.from_list before nir.write")
            graph = self._graph(top, "", path.stem, 1)
        except MalformedError as error:
            self._report(error.problem, "/")
        errors = [d for d in self.found if d.severity is Severity.ERROR]
        if errors or graph is None:
            raise InputError(errors)
        return graph

    def _guess(self) -> str:
        names = self.file.names(self.file.root)
        if "layer" in names:
            return "it looks like a network of Lava-DL (.net), not of NIR"
        if "nodes" in names:
            return "it looks like data recorded with nir.write_data; the network itself is another file"
        return "write the graph with nir.write"

    def _graph(self, group: Any, origin: str, name: str, depth: int) -> RawGraph:
        if depth > self.file.limits.depth:
            raise MalformedError(f"graphs are nested more than {self.file.limits.depth} deep")
        nodes: dict[str, RawNode] = {}
        names: list[str] = []
        inner = self.file.child(group, "nodes")
        if isinstance(inner, h5py.Group):
            names = self.file.names(inner)
        else:
            self._report(Problem("LHC103", "the graph lacks its group 'nodes'"), origin or "/")
        for key in names:
            try:
                node = self._node(inner, key, f"{origin}/nodes/{key}", depth)
            except MalformedError as error:
                self._report(error.problem, f"{origin}/nodes/{key}")
            else:
                nodes[key] = node
        edges, found = check_edges(self._edges(group, origin), names, origin)
        self.found.extend(found)
        return RawGraph(
            nodes=nodes, edges=edges, metadata=self._metadata(group, origin), name=name, digest=self.file.digest,
            version=self.version, diagnostics=() if depth > 1 else tuple(self.found),
        )

    def _node(self, parent: Any, key: str, origin: str, depth: int) -> RawNode:
        group = self.file.child(parent, key)
        type_name = self._entry(group, "type") if isinstance(group, h5py.Group) else None
        if not isinstance(type_name, str):
            raise MalformedError("the node has no 'type'", help="a '/' in a node's name cuts it; rename the node")
        params: dict[str, object] = {}
        unknown = unknown_type(type_name, self.extra_types)
        if unknown is not None:
            self._report(unknown, origin)
        elif type_name == SUBGRAPH:
            params["graph"] = self._graph(group, origin, key, depth + 1)
        elif type_name in SCHEMAS:
            params = self._known_params(group, type_name, origin)
        else:
            params = self._tree(group, origin, 1, skip=_STRUCTURE)
        return RawNode(type=type_name, params=params, metadata=self._metadata(group, origin), origin=origin)

    def _known_params(self, group: Any, type_name: str, origin: str) -> dict[str, object]:
        values: dict[str, object] = {}
        unreadable: set[str] = set()
        names = self.file.names(group)
        expected = {spec.name for spec in SCHEMAS[type_name]}
        for name in names:
            if name in expected:
                try:
                    values[name] = self._entry(group, name)
                except MalformedError as error:
                    unreadable.add(name)
                    self._report(error.problem, f"{origin} ({type_name})", name)
            elif name not in _STRUCTURE:
                self._ignore(f"{type_name} has no parameter {name!r}", origin)
        params, problems = check_params(type_name, values, frozenset(unreadable))
        for problem in problems:
            self._report(problem, f"{origin} ({type_name})")
        return params

    def _edges(self, group: Any, origin: str) -> list[tuple[str, str]]:
        try:
            edges = self._entry(group, "edges")
            if not isinstance(edges, np.ndarray):
                raise MalformedError("the graph lacks its dataset 'edges'")
            if edges.size == 0:  # nir writes an empty list as numbers of shape (0,)
                return []
            if edges.dtype.kind != "O" or edges.ndim != 2 or edges.shape[1] != 2:
                raise MalformedError("edges must be pairs of names", param=f"edges have the shape {edges.shape}")
            if len(edges) > self.file.limits.edges:
                raise MalformedError(f"the graph has more than {self.file.limits.edges} edges")
            if max(len(end) for end in edges.flat) > _LONGEST_NAME:
                raise MalformedError(f"an edge names a node by more than {_LONGEST_NAME} letters")
        except MalformedError as error:
            self._report(error.problem, origin or "/", "edges")
            return []
        return [(source, target) for source, target in edges]

    def _metadata(self, group: Any, origin: str) -> dict[str, object]:
        try:
            metadata = self.file.child(group, "metadata")
            if metadata is None:
                return {}
            if isinstance(metadata, h5py.Group):
                return self._tree(metadata, f"{origin}/metadata", 1)
            raise MalformedError("metadata is not a group")
        except MalformedError as error:
            self._ignore(f"metadata cannot be read: {error}", origin)
            return {}

    def _tree(self, group: Any, origin: str, depth: int, skip: frozenset[str] = frozenset()) -> dict[str, object]:
        """Groups as dicts, datasets as arrays, str or tuples of str; what cannot be read is ignored with a warning."""
        tree: dict[str, object] = {}
        for name in self.file.names(group):
            if name in skip:
                continue
            try:
                found = self.file.child(group, name)
                if isinstance(found, h5py.Dataset):
                    value = self.file.value(found)
                    tree[name] = _plain(value)
                elif depth < self.file.limits.depth:
                    tree[name] = self._tree(found, f"{origin}/{name}", depth + 1)
                else:
                    raise MalformedError(f"groups are nested more than {depth} deep")
            except MalformedError as error:
                self._ignore(f"{name!r} cannot be read: {error}", origin)
        return tree

    def _entry(self, group: Any, name: str) -> object:
        """A dataset's value; None if it is not there.

        Raises:
            MalformedError: it cannot be read, or is a group.
        """
        found = self.file.child(group, name)
        if found is None:
            return None
        if not isinstance(found, h5py.Dataset):
            raise MalformedError(f"{name!r} is a group, not a value")
        return self.file.value(found)

    def _report(self, problem: Problem, node: str, param: str = "") -> None:
        self.found.append(Diagnostic(
            code=problem.code, message=f"{param}: {problem.message}" if param else problem.message, node=node,
            param=problem.param, help=problem.help,
        ))

    def _ignore(self, message: str, node: str) -> None:
        self.found.append(Diagnostic(
            code="LHC108", message=message, node=node or "/", severity=Severity.WARNING, help="it was ignored",
        ))


def _plain(value: object) -> object:
    """Metadata as RawNode holds it: scalars as Python's own, text lists as tuples, arrays read-only."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind == "O":
        return tuple(str(part) for part in value.ravel())
    return value.item() if value.ndim == 0 else frozen(value)
