"""import: reading a network of another format, and writing it as NIR."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loihic.commands.choices import is_artefact, output_path
from loihic.commands.output import diagnostics_json, json_option, print_diagnostics, print_json, print_table, say
from loihic.errors import InputError, fail

if TYPE_CHECKING:
    from loihic.passes.manager import AnyGraph

NIR = ".nir"


@click.command("import", short_help="Read a network of another format, and write it as NIR.")
@click.argument("model")
@click.option("--nir", "target", metavar="OUT.nir", default=None,
              help="Where to write the network.  [default: nowhere; what was read is printed]")
@click.option("--encoder/--no-encoder", default=True, show_default=True,
              help="Whether neurons in the input layer of a .net file are part of the network; without them the input "
                   "is their spikes.")
@json_option
def import_(model: str, target: str | None, encoder: bool, as_json: bool) -> None:
    """Read MODEL (.net, .onnx, .pt2 or .nir), and write it as NIR where NIR has words for it.

    Nodes that have no form in NIR are listed all at once, and nothing is written.
    """
    from loihic import api
    from loihic.frontends.to_nir import to_nir, write_nir
    from loihic.options import Options
    from loihic.passes.manager import CompileContext, run_passes
    from loihic.passes.shapes import InferShapes

    path = None if target is None else _nir_path(target, model)
    if is_artefact(model):
        fail("LHC101", f"{model} is a compiled program, not a model", error=InputError,
             help="import the model that it was compiled from; loihic show prints a program")
    options = Options(encoder=encoder)
    graph, provenance, warnings = api.read_model(model, options)
    context = CompileContext(options=options, diagnostics=list(warnings))
    shaped = run_passes(graph, [InferShapes()], context)
    if path is not None:
        write_nir(path, to_nir(shaped, context.report))
    if as_json:
        print_json({"ok": True, "model": model, "file": target, "provenance": provenance, "dt": graph.dt,
                    **_network(shaped), "diagnostics": diagnostics_json(context.diagnostics)})
        return
    print_diagnostics(context.diagnostics)
    _summarise(shaped, provenance, model if target is None else f"{model} -> {target}")
    if path is not None:
        say()
        say(f"next: loihic compile {path}")


def _nir_path(target: str, model: str) -> Path:
    if not target.endswith(NIR):
        fail("LHC702", f"{target} is no name for a NIR file", help=f"give a name that ends in {NIR}", error=InputError)
    return output_path(target, "", model)


def _network(graph: AnyGraph) -> dict[str, Any]:
    """Ports, and all nodes in the order data flows."""
    from loihic.ir.text import flow_order
    from loihic.ops.ports import Input, Output

    ports = {key: {name: list(graph.shapes[name]) for name, _ in graph.of(kind)}
             for key, kind in (("inputs", Input), ("outputs", Output))}
    nodes = [{"name": name, "op": graph.nodes[name].op, "shape": list(graph.shapes[name]),
              "origins": list(graph.nodes[name].origins)} for name in flow_order(graph)]
    return {**ports, "nodes": nodes}


def _summarise(graph: AnyGraph, provenance: dict[str, Any], head: str) -> None:
    found = _network(graph)
    facts = [(key, value) for key, value in provenance.items() if value != ""]
    facts += [("dt", f"{graph.dt:g}")] if graph.dt is not None else []
    facts += [(key, ", ".join(f"{name} {tuple(shape)}" for name, shape in found[key].items()))
              for key in ("inputs", "outputs")]
    width = max(len(key) for key, _ in facts)
    say(head)
    for key, value in facts:
        say(f"  {key:<{width}}  {value}")
    say()
    print_table(("node", "operator", "shape", "from"),
                [(node["name"], node["op"], tuple(node["shape"]),
                  "" if node["origins"] == [node["name"]] else ", ".join(node["origins"])) for node in found["nodes"]])
