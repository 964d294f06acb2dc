"""From a TorchGraph to the source graph: every call in turn, by the table of operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

# Imported for what they enter into the table.
import loihic.frontends.torch_constants
import loihic.frontends.torch_elementwise
import loihic.frontends.torch_joins
import loihic.frontends.torch_linear
import loihic.frontends.torch_moves
import loihic.frontends.torch_pools
import loihic.frontends.torch_quantise
import loihic.frontends.torch_tails  # noqa: F401
from loihic.errors import CompileError, Diagnostic, Severity
from loihic.frontends.network import NetworkBuilder, Value
from loihic.frontends.raw import listed
from loihic.frontends.torch_advice import advice
from loihic.frontends.torch_aliases import Aliases
from loihic.frontends.torch_graph import Call, Ref, TorchGraph, Unknown
from loihic.frontends.torch_site import Budget, Site
from loihic.frontends.torch_table import Entry, entry_of, operator_names
from loihic.frontends.torch_values import Constant, Grid, Signal, UnsupportedError
from loihic.ir.graph import SourceGraph
from loihic.ir.node import ShapeError

_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError, MemoryError)
_INTEGERS = ("int", "uint", "bool")


class _Missing:
    """The value of a call that could not be built; what depends on it is passed over."""


def build_network(graph: TorchGraph) -> tuple[SourceGraph, tuple[Diagnostic, ...]]:
    """The source graph, and notes on what was left to the host.

    Raises:
        CompileError: LHC102, LHC103, LHC104, LHC202, LHC203 or LHC401: every call that cannot be built, all at once.
    """
    return _Walk(graph).run()


class _Walk:
    """One walk over one graph; problems gather in `found`."""

    def __init__(self, graph: TorchGraph) -> None:
        self.graph = graph
        self.builder = NetworkBuilder()
        self.budget = Budget()
        self.found: list[Diagnostic] = []
        self.notes: list[Diagnostic] = []
        self.values: dict[str, Any] = {}
        self.aliases = Aliases(graph)
        self.unknown: dict[str, list[str]] = {}
        self.samples: int | None = None

    def run(self) -> tuple[SourceGraph, tuple[Diagnostic, ...]]:
        self._check_interface()
        if not self.found:
            self._enter_inputs()
        for place, call in enumerate(self.graph.calls):
            self._call(place, call)
        self.found[:0] = [self._unread(target, labels) for target, labels in self.unknown.items()]
        for label, name in self.graph.outputs:
            self._output(label, self.values.get(name, _Missing()))
        if self.found:
            raise CompileError(self.found)
        return self.builder.graph(), tuple(self.notes)

    def _check_interface(self) -> None:
        graph = self.graph
        if not graph.inputs or not graph.outputs:
            self.found.append(Diagnostic(
                code="LHC203", message="the program has no input or no output that is a tensor", node=graph.name,
                help="export a model that takes and gives tensors"))
        if graph.mutated:
            self.found.append(Diagnostic(
                code="LHC401", message="the program keeps a state from call to call", node=", ".join(graph.mutated),
                help="call model.eval() before the export; networks with a state are read from NIR"))
        sizes: dict[int | None, str] = {}
        for name in graph.inputs:
            meta = graph.metas.get(name)
            if meta is None or not meta.shape:
                self.found.append(Diagnostic(
                    code="LHC202", message="the input has no batch dimension", node=name,
                    help="export with example inputs of shape (1, ...)"))
                continue
            sizes.setdefault(meta.shape[0], name)
            if None in meta.shape[1:]:
                self.found.append(Diagnostic(
                    code="LHC202", message="a size of the input is known only at run time", node=name,
                    param=f"shape ({', '.join('?' if size is None else str(size) for size in meta.shape)})",
                    help="only the batch, the first dimension, may be dynamic; export the other sizes as numbers"))
        if len(sizes) > 1:
            self.found.append(Diagnostic(
                code="LHC202", message="inputs have batches of different sizes", node=", ".join(sizes.values()),
                param=", ".join("?" if size is None else str(size) for size in sizes),
                help="the first dimension of every input is the batch; use one example size for all"))
        self.samples = next(iter(sizes), None)

    def _enter_inputs(self) -> None:
        for name in self.graph.inputs:
            meta = self.graph.metas[name]
            value = self.builder.input(name, tuple(int(size or 0) for size in meta.shape[1:]))
            whole = Grid(scale=np.ones(()), zero=np.zeros(())) if meta.dtype.startswith(_INTEGERS) else None
            self.values[name] = Signal(value=value, grid=whole)

    def _call(self, place: int, call: Call) -> None:
        results: Any = _Missing()
        entry = entry_of(call)
        metas = [self.graph.metas.get(name) if name else None for name in call.outputs]
        if entry is None and not any(metas):
            results = Unknown()  # arithmetic of sizes, and assertions
        elif entry is None:
            self.unknown.setdefault(call.target, []).append(call.label)
        else:
            try:
                arguments = self._arguments(call, entry)
                if arguments is not None:
                    where = Site(builder=self.builder, label=self._label(call, arguments), samples=self.samples,
                                 metas=metas, budget=self.budget)
                    self.aliases.check(place, call)
                    results = (_left_to_host(call, entry, arguments)
                               or self._checked(where, entry.run(where, **arguments)))
            except UnsupportedError as error:
                self._report("LHC401", call, str(error), error.help or advice(call.target)
                             or "replace it in the model")
            except ShapeError as error:
                self._report("LHC202", call, "shapes do not fit", "compare with the layer before it", str(error))
            except _MALFORMED as error:
                self._report("LHC103", call, "the call is malformed", "export the program again",
                             f"{type(error).__name__}: {error}"[:200])
        self._keep(call, results)

    def _arguments(self, call: Call, entry: Entry) -> dict[str, Any] | None:
        """The arguments with values for names; None where one of them could not be built."""
        arguments = {key: self._value(argument) for key, argument in call.arguments.items()}
        if any(isinstance(value, _Missing) for argument in arguments.values() for value in _flat(argument)):
            return None
        try:
            entry.signature.bind(None, **arguments)
        except TypeError:
            raise UnsupportedError(f"{call.target} is used in a form that is not known") from None
        for value in (value for argument in arguments.values() for value in _flat(argument)):
            if isinstance(value, Unknown) and not entry.sizes:
                raise UnsupportedError(f"it takes {value.kind}", "export with fixed sizes")
            if isinstance(value, Signal) and value.grid is not None and not entry.integers:
                raise UnsupportedError("it computes with integers", "dequantise before it, or give real numbers")
        return arguments

    def _value(self, argument: Any) -> Any:
        if isinstance(argument, list):
            return [self._value(part) for part in argument]
        if not isinstance(argument, Ref):
            return argument
        name = argument.name
        if name not in self.values and name in self.graph.constants:
            array = self.graph.constants[name]
            if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
                self.found.append(Diagnostic(
                    code="LHC104", message="a parameter is not a finite number", node=name,
                    help="check it in the trained model before the export"))
                self.values[name] = _Missing()
            else:
                self.values[name] = Constant(array=array)
        return self.values.get(name, _Missing())

    def _label(self, call: Call, arguments: dict[str, Any]) -> str:
        """The module's path; for a quantiser, the node that it stands behind."""
        first = next(iter(arguments.values()), None)
        if "quantize" in call.operator and isinstance(first, Signal):
            return f"{first.value.node.split('#')[0]}.quantiser"
        return call.label

    def _checked(self, site: Site, results: Any) -> Any:
        """Results as Signals whose shapes are those that torch says."""
        if isinstance(results, list):
            return [None if meta is None else self._checked(replace(site, metas=(meta,)), result)
                    for meta, result in zip(site.metas, results, strict=False)]
        if isinstance(results, Value):
            results = Signal(value=results)
        if isinstance(results, Signal) and not results.host:
            batched, shape = site.split(site.meta())
            if results.shape != shape:
                raise ShapeError(f"the result has the shape {results.shape}, but the program says {shape}")
            self.budget.spend(int(np.prod(shape, dtype=float)))
            return replace(results, batched=batched)
        if isinstance(results, Constant):
            self.budget.keep(results.array.size)
            if site.meta().dtype.startswith(_INTEGERS) and results.unit is None:
                return Constant(array=results.array.astype(np.int64))
        return results

    def _keep(self, call: Call, results: Any) -> None:
        parts: Sequence[Any] = results if isinstance(results, list) else [results] * len(call.outputs)
        for name, part in zip(call.outputs, parts, strict=False):
            if name is not None:
                self.values[name] = part
        target = self.aliases.overwritten(call)
        if target is not None:
            self.values[target] = parts[0] if parts else _Missing()

    def _output(self, label: str, value: Any) -> None:
        if isinstance(value, _Missing):
            if not self.found:
                self.found.append(Diagnostic(code="LHC103", message="an output is not computed", node=label,
                                             help="export the program again"))
        elif not isinstance(value, Signal):
            self.found.append(Diagnostic(code="LHC401", message="an output does not depend on the input", node=label,
                                         help="return only what the network computes"))
        elif value.grid is not None:
            self.builder.output(label, value.value, scale=value.grid.scale, offset=value.grid.zero)
        else:
            self.builder.output(label, value.value)
            if value.host:
                names = " and ".join(value.host)
                self.notes.append(Diagnostic(
                    code="LHC109", message=f"{names} at the end {'is' if len(value.host) == 1 else 'are'} left to the "
                    "host", node=label, severity=Severity.NOTE,
                    help="the output is what goes into it; the greatest element stays the greatest"))

    def _unread(self, target: str, labels: list[str]) -> Diagnostic:
        """An operator that is not in the table, with all its nodes."""
        known = advice(target)
        return Diagnostic(
            code="LHC401" if known else "LHC102", message=f"operator {target} is not read", node=listed(labels),
            help=known or f"read are {', '.join(operator_names())}")

    def _report(self, code: str, call: Call, message: str, help: str, param: str = "") -> None:
        self.found.append(Diagnostic(code=code, message=message, node=f"{call.label} ({call.target})", param=param,
                                     help=help))


def _left_to_host(call: Call, entry: Entry, arguments: dict[str, Any]) -> Signal | None:
    """What stands for the results of a call behind one that is left to the host; None for all other calls."""
    for value in (value for argument in arguments.values() for value in _flat(argument)):
        if isinstance(value, Signal) and value.host:
            if not entry.tail:
                raise UnsupportedError(f"it comes after {value.host[0]}, which is left to the host",
                                       f"end the model with {value.host[0]}")
            return replace(value, host=tuple(dict.fromkeys((*value.host, call.operator.split(".")[-1]))))
    return None


def _flat(argument: Any) -> list[Any]:
    return [value for part in argument for value in _flat(part)] if isinstance(argument, list) else [argument]

