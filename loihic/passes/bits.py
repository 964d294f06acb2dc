"""AllocateBits: every synapse group gets the format in which it will be stored, given or chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from loihic.errors import InputError, fail
from loihic.ir.graph import Fact
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.passes.manager import AnyGraph, CompileContext, Pass, register_pass
from loihic.quant.budget import Budget


@register_pass
@dataclass(frozen=True, kw_only=True)
class AllocateBits(Pass):
    """Formats by the rules of --weight-bits; where those say auto, the ones that err least within the budget."""

    name: ClassVar[str] = "allocate-bits"
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.FUSED})

    def run(self, graph: AnyGraph, context: CompileContext) -> AnyGraph:
        widths = context.options.widths
        names = {name: (name, *node.origins) for name, node in graph.of(Map)}
        populations = [name for name, _ in graph.of(Neuron)]
        unknown = widths.unmatched(names.values()) + [name for name in widths.scales if name not in populations]
        if unknown:
            fail("LHC701", f"no synapse group or population is called {', '.join(unknown)}", error=InputError,
                 help=f"groups: {', '.join(names)}; populations: {', '.join(populations)}")
        given = {name: widths.of(known) for name, known in names.items()}
        chosen = {name: form for name, form in given.items() if form is not None}
        free = [name for name in given if name not in chosen]
        if free:
            from loihic.passes.allocator import Allocator  # the solvers are slow to import

            chosen |= Allocator(graph, context, free, chosen).formats()
        elif context.options.budget != Budget():
            fail("LHC702", "a budget was given, but no weights whose bits are free", error=InputError,
                 help="--weight-bits auto, or NODE=auto")
        return graph.with_(nodes={name: replace(node, bits=str(chosen[name])) if isinstance(node, Map) else node
                                  for name, node in graph.nodes.items()})
