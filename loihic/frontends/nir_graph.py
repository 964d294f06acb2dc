"""From a nir.NIRGraph in memory to the raw graph; nir itself is not imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from loihic.errors import Diagnostic, InputError, Severity, fail
from loihic.frontends.nir_schema import SCHEMAS, MalformedError, Problem, as_array, check_params, frozen, unknown_type
from loihic.frontends.raw import SUBGRAPH, RawGraph, RawNode, check_edges, content_digest

_DEPTH = 16
_OBJECTS = 200_000
_TYPES_OF_PORTS = frozenset({"input_type", "output_type", "metadata"})


def from_nir_graph(graph: Any, *, extra_types: Iterable[str] = (), name: str = "graph") -> RawGraph:
    """Take over a graph built with nir, or anything with its `nodes`, `edges` and `metadata`.

    Arrays are copied, so that later changes of the object do not reach the result.

    Args:
        graph: a nir.NIRGraph; made with type_check=False it may lack inferred shapes.
        extra_types: names of node types (classes) beyond NIR's; their dataclass fields are taken as they are.
        name: of the result.

    Raises:
        InputError: every problem found, with the codes of `read_nir_file`.
    """
    if not isinstance(getattr(graph, "nodes", None), Mapping) or not hasattr(graph, "edges"):
        fail("LHC103", f"expected a nir.NIRGraph, not {type(graph).__name__}", error=InputError,
             help="wrap a single node with nir.NIRGraph.from_list")
    walk = _Walk(frozenset(extra_types), _version(graph))
    raw = None
    try:
        raw = walk.graph(graph, "", name, 1)
    except MalformedError as error:
        walk.report(error.problem, "/")
    errors = [d for d in walk.found if d.severity is Severity.ERROR]
    if errors or raw is None:
        raise InputError(errors)
    return dataclasses.replace(raw, digest=content_digest(raw), diagnostics=tuple(walk.found))


class _Walk:
    """One pass over one object; problems gather in `found`."""

    def __init__(self, extra_types: frozenset[str], version: str) -> None:
        self.extra_types = extra_types
        self.version = version
        self.found: list[Diagnostic] = []
        self._objects = 0

    def graph(self, graph: Any, origin: str, name: str, depth: int) -> RawGraph:
        if depth > _DEPTH:
            raise MalformedError(f"graphs are nested more than {_DEPTH} deep")
        self._objects += len(graph.nodes)
        if self._objects > _OBJECTS:
            raise MalformedError(f"the graph holds more than {_OBJECTS} nodes")
        nodes: dict[str, RawNode] = {}
        for key, node in graph.nodes.items():
            try:
                nodes[_name(key)] = self._node(node, key, f"{origin}/nodes/{key}", depth)
            except MalformedError as error:
                self.report(error.problem, f"{origin}/nodes/{key}")
        edges, found = check_edges(self._edges(graph, origin), (str(key) for key in graph.nodes), origin)
        self.found.extend(found)
        return RawGraph(
            nodes=nodes, edges=edges, metadata=self._metadata(graph, origin), name=name, digest="",
            version=self.version,
        )

    def _node(self, node: Any, key: str, origin: str, depth: int) -> RawNode:
        type_name = type(node).__name__
        params: dict[str, object] = {}
        unknown = unknown_type(type_name, self.extra_types)
        if unknown is not None:
            self.report(unknown, origin)
        elif type_name == SUBGRAPH:
            params["graph"] = self.graph(node, origin, key, depth + 1)
        elif type_name in SCHEMAS:
            params = self._known_params(node, type_name, origin)
        elif dataclasses.is_dataclass(node):
            names = [field.name for field in dataclasses.fields(node) if field.name not in _TYPES_OF_PORTS]
            params = self._tree({name: getattr(node, name, None) for name in names}, origin, 1)
        return RawNode(type=type_name, params=params, metadata=self._metadata(node, origin), origin=origin)

    def _known_params(self, node: Any, type_name: str, origin: str) -> dict[str, object]:
        values: dict[str, object] = {}
        unreadable: set[str] = set()
        for spec in SCHEMAS[type_name]:
            try:
                value = _attribute(node, type_name, spec.name)
                values[spec.name] = value if value is None or isinstance(value, str) else as_array(value)
            except MalformedError as error:
                unreadable.add(spec.name)
                self.report(error.problem, f"{origin} ({type_name})", spec.name)
        params, problems = check_params(type_name, values, frozenset(unreadable))
        for problem in problems:
            self.report(problem, f"{origin} ({type_name})")
        return params

    def _edges(self, graph: Any, origin: str) -> list[tuple[str, str]]:
        pairs: list[tuple[str, str]] = []
        try:
            for edge in graph.edges:
                source, target = edge
                pairs.append((_name(source), _name(target)))
        except (TypeError, ValueError) as error:
            self.report(Problem("LHC103", f"edges must be pairs of names: {error}"), origin or "/")
        return pairs

    def _metadata(self, holder: Any, origin: str) -> dict[str, object]:
        metadata = getattr(holder, "metadata", None)
        return self._tree(metadata, origin, 1) if isinstance(metadata, Mapping) else {}

    def _tree(self, values: Mapping[Any, object], origin: str, depth: int) -> dict[str, object]:
        """Numbers, text, arrays and dicts of these; anything else is ignored with a warning."""
        tree: dict[str, object] = {}
        for key, value in values.items():
            try:
                if isinstance(value, Mapping) and depth < _DEPTH:
                    tree[_name(key)] = self._tree(value, origin, depth + 1)
                else:
                    tree[_name(key)] = _plain(value)
            except MalformedError as error:
                self.found.append(Diagnostic(
                    code="LHC108", message=f"{str(key)!r} cannot be read: {error}", node=origin or "/",
                    severity=Severity.WARNING, help="it was ignored",
                ))
        return tree

    def report(self, problem: Problem, node: str, param: str = "") -> None:
        self.found.append(Diagnostic(
            code=problem.code, message=f"{param}: {problem.message}" if param else problem.message, node=node,
            param=problem.param, help=problem.help,
        ))


def _attribute(node: Any, type_name: str, name: str) -> Any:
    """The parameter as nir's own to_dict would write it: shapes live in the dicts of the node's ports."""
    if name == "shape":
        return _port(node, "input" if type_name == "Input" else "output")
    return _port(node, "input") if name == "input_type" else getattr(node, name, None)


def _port(node: Any, side: str) -> Any:
    shapes = getattr(node, f"{side}_type", None)
    return shapes.get(side) if isinstance(shapes, Mapping) else shapes


def _plain(value: object) -> object:
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (list, tuple)) and value and all(isinstance(part, str) for part in value):
        return tuple(str(part) for part in value)
    array = as_array(value)
    return array.item() if array.ndim == 0 else frozen(array)


def _name(key: object) -> str:
    if not isinstance(key, str):
        raise MalformedError(f"names must be text, not {type(key).__name__}")
    try:
        key.encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedError("a name is not valid Unicode") from error
    return key


def _version(graph: object) -> str:
    """The version of the installed nir if the graph is of its making, else empty."""
    if type(graph).__module__.split(".")[0] != "nir":
        return ""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("nir")
    except PackageNotFoundError:
        return ""
