"""show and where: looking into a model or a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loihic.commands.choices import compile_options, is_artefact, options
from loihic.commands.output import json_option, print_diagnostics, print_json, print_table, say
from loihic.errors import CompileError, InputError, fail

if TYPE_CHECKING:
    from loihic.options import Options
    from loihic.partition.whereabouts import Address
    from loihic.passes.manager import AnyGraph
    from loihic.program import Program
    from loihic.report.plan_tables import CoreRow
    from loihic.where import Location


@click.command(short_help="Print a graph at any stage.")
@click.argument("file", metavar="MODEL|OUT.loihic")
@click.option("--after", metavar="PASS", default=None,
              help="The graph as that pass leaves it (`loihic passes` lists them).")
@compile_options
@json_option
def show(file: str, after: str | None, as_json: bool, **typed: Any) -> None:
    """Print a graph as text: of a model, of a model after a pass, or of a compiled program.

    The options of a compilation matter for a model with --after only.
    """
    from loihic import api

    if is_artefact(file):
        _show_program(api.load(file), file, after, as_json)
        return
    chosen = options(**typed)
    graph, provenance, warnings = api.read_model(file, chosen)
    print_diagnostics(warnings)
    if after is not None:
        graph = _after(graph, provenance, after, chosen)
    if as_json:
        print_json({"ok": True, "file": file, "after": after, "provenance": provenance, **_graph_json(graph)})
    else:
        _show_graph(graph)


@click.command(short_help="From a node to its Process and its core, and back.")
@click.argument("program_file", metavar="OUT.loihic")
@click.argument("query", metavar="NODE[INDEX]|chip0.core17[203]")
@click.option("--lava", is_flag=True, help="INDEX is in Lava's order: (H, W, C) for feature maps.")
@json_option
def where(program_file: str, query: str, lava: bool, as_json: bool) -> None:
    """Say where a node of the network went, or where a Lava Process came from, as in `where m.loihic conv2[5,3,1]`.

    NODE is a node of the model, a hardware node or a Lava Process; INDEX is one number a dimension, or a flat one. A
    core, as in chip0.core17, lists what is on it; a compartment, as in chip0.core17[203], names its neuron.
    """
    from loihic import api
    from loihic.where import core_address, locate

    program = api.load(program_file)
    places = locate(program, query, lava=lava)
    address = core_address(program, query)
    row = None if address is None or address.compartment is not None else _core_row(program, address)
    if as_json:
        print_json({"ok": True, "query": query, "core": None if row is None else row.to_json(),
                    "locations": [place.to_json() for place in places]})
        return
    if row is not None:
        _print_core(row, places)
        return
    for number, place in enumerate(places):
        if number:
            say()
        _print_place(place)


def _print_place(place: Location) -> None:
    element = "" if place.index is None else f"[{','.join(map(str, place.index))}], flat index {place.flat}"
    say(f"model       {', '.join(place.sources) or 'none: added by loihic'}")
    say(f"hardware    {place.node}{element}  ({place.op}, shape {place.shape})")
    if place.process:
        there = "" if place.lava_index is None else (
            f"[{','.join(map(str, place.lava_index))}], flat index {place.lava_flat}")
        say(f"Lava        {place.process}{there}  (shape {place.lava_shape})")
    else:
        say("Lava        no Process: the outputs are read from the one before")
    if place.cores or place.host:
        say(f"placed      {_site(place)}")
    for label, names in (("fed by", place.inputs), ("feeds", place.outputs)):
        if names:
            say(f"{label:<11} {', '.join(names)}")


def _site(place: Location) -> str:
    """Where it is on the chips, in words."""
    from loihic.report.plan_words import core_list

    if place.address is not None:
        return f"{place.address}" + ("" if place.op in ("Compartment", "Activation") else ", the neuron that it feeds")
    return "; ".join([*([core_list(place.cores)] if place.cores else []), *(["at the host"] if place.host else [])])


def _core_row(program: Program, address: Address) -> CoreRow:
    """What the tables say of one core."""
    from loihic.partition.whereabouts import core_at, require_plan
    from loihic.report.plan_tables import core_row

    plan = require_plan(program.plan)
    return core_row(plan, core_at(plan, address))


def _print_core(row: CoreRow, places: list[Location]) -> None:
    from loihic.report.plan_tables import SLICE_COLUMNS, SLICE_RIGHT, slice_rows
    from loihic.report.plan_words import count, duration, percent, plural

    say(f"chip{row.chip}.core{row.core}: {plural(row.neurons, 'neuron')}, {row.fullest} {percent(row.fill)} full, "
        f"{count(row.synops)} synaptic operations per step, {duration(row.seconds)}")
    say()
    sources = {place.node: ", ".join(place.sources) for place in places}
    print_table(SLICE_COLUMNS, slice_rows(row, sources), right=SLICE_RIGHT)
    say()
    print_table(row.words, [[str(words) for words in row.words.values()]], right=row.words)


def _after(graph: AnyGraph, provenance: dict[str, Any], name: str, chosen: Options) -> AnyGraph:
    """The graph that the pass `name` leaves behind; what fails later does not matter."""
    from loihic import api
    from loihic.ir.graph import Fact
    from loihic.passes.manager import CompileContext, run_passes
    from loihic.passes.pipeline import float_pipeline, integer_pipeline

    whole = Fact.WHOLE in graph.facts
    known = [item.name for item in (*float_pipeline(chosen, 1.0), *integer_pipeline(chosen, whole=whole))]
    if name not in known:
        fail("LHC701", f"no pass of the pipeline is called {name}", help=f"in order: {', '.join(known)}",
             error=InputError)
    context = CompileContext(options=chosen)
    try:
        fused = api.lower_float(graph, context, provenance)
        if name not in context.stages:
            run_passes(fused, integer_pipeline(context.options, whole=whole), context)
    except CompileError:
        if name not in context.stages:
            raise
    return context.stages[name]


def _show_program(program: Program, file: str, after: str | None, as_json: bool) -> None:
    from loihic.report.ranges import RANGE_COLUMNS, range_rows
    from loihic.report.tables import LEDGER_COLUMNS, ledger_rows, port_rows, program_json

    float_stage = "stock-only" if program.options.get("stock_only") else "fuse"
    graphs: dict[str | None, AnyGraph] = {None: program.graph, "retime": program.graph, float_stage: program.source}
    if after not in graphs:
        fail("LHC701", f"a compiled program does not hold the graph after {after}", error=InputError,
             help=f"it holds those after {float_stage} and after retime; show the model for the others")
    graph = graphs[after]
    if as_json:
        ledger = program.ledger
        print_json({"ok": True, "file": file, "after": after, **program_json(program), **_graph_json(graph),
                    "ledger": {"summary": ledger.summary(), "entries": len(ledger), "losses": ledger.to_json()}})
        return
    facts = [*program.provenance.items(), *port_rows(program), ("latency", f"{program.latency} steps"),
             *((name.replace("_", " "), value) for name, value in program.options.items() if name != "dt")]
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        say(f"{name:<{width}}  {value}")
    say()
    _show_graph(graph)
    if program.proofs:
        say()
        say("ranges, in integers")
        print_table(RANGE_COLUMNS, range_rows(program), right=["low", "high", "limit"])
    if len(program.ledger):
        say()
        say("ledger")
        print_table(LEDGER_COLUMNS, ledger_rows(program.ledger), right=["error", "effect"])


def _show_graph(graph: AnyGraph) -> None:
    from loihic.ir.text import graph_text

    say(graph_text(graph).rstrip("\n"))


def _graph_json(graph: AnyGraph) -> dict[str, Any]:
    from loihic.ir.text import flow_order, node_text

    return {
        "dt": graph.dt, "facts": sorted(fact.value for fact in graph.facts),
        "graph": {name: {
            "op": graph.nodes[name].op, "text": node_text(graph.nodes[name]),
            "shape": list(graph.shapes[name]) if name in graph.shapes else None,
            "origins": list(graph.nodes[name].origins),
            "inputs": [{"node": edge.src, "delay": edge.delay} for edge in graph.incoming[name]]}
            for name in flow_order(graph)}}
