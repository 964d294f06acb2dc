"""The pass manager: contracts checked before anything runs, graphs verified around every pass."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from loihic.errors import CompileError, Diagnostic, LoihicError, Severity
from loihic.ir.graph import Fact, Graph
from loihic.ir.verify import verify_graph
from loihic.ledger import Ledger
from loihic.options import Options
from loihic.passes.reproducer import write_reproducer
from loihic.quant.proofs import StateProof
from loihic.quant.statistics import Statistics

AnyGraph = Graph[Any]


@dataclass
class CompileContext:
    """What passes share: options, the ledger, the proofs, and what they have to say."""

    options: Options
    ledger: Ledger = field(default_factory=Ledger)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)
    stages: dict[str, AnyGraph] = field(default_factory=dict)
    statistics: Statistics | None = None
    tell: Callable[[str], None] | None = None
    running: str = ""
    proofs: tuple[StateProof, ...] = ()

    def advance(self, done: int, total: int) -> None:
        """Tell whoever watches how far the running pass is."""
        if self.tell is not None:
            self.tell(f"{self.running} {done}/{total}")

    def report(self, diagnostic: Diagnostic) -> None:
        """Collect a diagnostic; errors end the compilation after the pass."""
        self.diagnostics.append(diagnostic)

    def raise_errors(self) -> None:
        """Raise everything collected if any of it is an error."""
        errors = [d for d in self.diagnostics if d.severity is Severity.ERROR]
        if errors:
            raise CompileError(errors)


@dataclass(frozen=True, kw_only=True)
class Pass(ABC):
    """A pure function from graph to graph with a contract; its fields are its options."""

    name: ClassVar[str]
    needs: ClassVar[frozenset[Fact]] = frozenset()
    gives: ClassVar[frozenset[Fact]] = frozenset()

    @abstractmethod
    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        """The new graph."""

    def described(self) -> str:
        """The pass with its options, as in ``quantise{weight-bits=8}``."""
        options = ",".join(f"{f.name.replace('_', '-')}={getattr(self, f.name)}" for f in fields(self))
        return f"{self.name}{{{options}}}" if options else self.name


PassClass = TypeVar("PassClass", bound=type[Pass])
PASSES: dict[str, type[Pass]] = {}


def register_pass(cls: PassClass) -> PassClass:
    """Class decorator: makes a pass known under its name."""
    PASSES[cls.name] = cls
    return cls


class PassCrashError(RuntimeError):
    """A pass failed through loihic's own fault; the message names a file with the graph before it and the pipeline."""


def check_pipeline(passes: Sequence[Pass], facts: frozenset[Fact] = frozenset()) -> None:
    """Raise ValueError if a pass needs a fact that nothing before it gives."""
    known = set(facts)
    for item in passes:
        missing = item.needs - known
        if missing:
            raise ValueError(f"{item.name} needs {', '.join(sorted(missing))}, which no earlier pass gives")
        known |= item.gives


def run_passes(graph: AnyGraph, passes: Sequence[Pass], context: CompileContext,
               progress: Callable[[str], None] | None = None) -> AnyGraph:
    """Run `passes` in order. Diagnostics of a pass are raised together when it ends.

    Raises:
        CompileError: the model is at fault.
        ValueError: the pipeline is.
        PassCrashError: loihic is.
    """
    check_pipeline(passes, graph.facts)
    verify_graph(graph)
    for item in passes:
        context.tell, context.running = progress, item.name
        if progress:
            progress(item.name)
        started = time.perf_counter()
        try:
            after = item.run(graph, context).with_(facts=item.gives)
        except LoihicError:
            raise
        except Exception as error:
            file = write_reproducer(graph, item.name, [one.described() for one in passes])
            raise PassCrashError(f"pass {item.name} failed: {type(error).__name__}: {error}; see {file}") from error
        graph = after
        context.times[item.name] = time.perf_counter() - started
        context.raise_errors()
        verify_graph(graph)
        context.stages[item.name] = graph
    return graph
