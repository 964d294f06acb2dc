"""where: from elements to compartments of cores and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import prod
from pathlib import Path

import nir
import numpy as np
import pytest
import small_chip

import loihic
from loihic.ir.graph import Edge
from loihic.ops.compartment import Compartment
from loihic.ops.delay_line import DelayLine
from loihic.partition.whereabouts import Address, parse_address
from loihic.program import Program
from loihic.where import core_address, locate

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"


def feature_maps() -> nir.NIRGraph:
    """Two convolutions, to 3 x 4 x 5 and 2 x 2 x 3 neurons."""
    rng = np.random.default_rng(0)

    def conv(height: int, width: int, channels: int, before: int) -> nir.Conv2d:
        return nir.Conv2d(input_shape=(height, width), weight=rng.normal(size=(channels, before, 3, 3)), stride=1,
                          padding=0, dilation=1, groups=1, bias=np.zeros(channels))

    def neurons(*shape: int) -> nir.IF:
        return nir.IF(r=np.ones(shape), v_threshold=np.ones(shape))

    nodes = {"input": nir.Input(np.array([1, 6, 7])), "conv": conv(6, 7, 3, 1), "one": neurons(3, 4, 5),
             "conv2": conv(4, 5, 2, 3), "two": neurons(2, 2, 3), "output": nir.Output(np.array([2, 2, 3]))}
    return nir.NIRGraph(nodes, list(pairwise(nodes)))


MODELS: dict[str, Callable[[], object]] = {
    "digits_mlp": lambda: DIGITS / "digits_mlp.nir", "digits_recurrent": lambda: DIGITS / "digits_recurrent.nir",
    "feature maps": feature_maps}


@pytest.fixture(scope="module", params=list(MODELS))
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    target = small_chip.write(tmp_path_factory.mktemp("chip"))
    return loihic.compile(MODELS[request.param](), target=str(target))


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("maps")
    return loihic.compile(feature_maps(), target=str(small_chip.write(folder))).save(folder / "maps.loihic")


def test_every_neuron_is_found_and_finds_back(program):
    seen = set()
    for name, node in program.graph.nodes.items():
        if not isinstance(node, Compartment):
            continue
        for flat in range(prod(node.shape)):
            index = ",".join(map(str, np.unravel_index(flat, node.shape)))
            (place,) = [one for one in locate(program, f"{name}[{index}]") if one.node == name]
            assert (place.chip, place.core) in place.cores
            address = str(place.address)
            assert address == f"chip{place.chip}.core{place.core}[{place.compartment}]"
            assert locate(program, address) == [place]
            seen.add(address)
    plan = program.plan
    held = {str(Address(chip=plan.placement.chip(core), core=plan.placement.core(core), compartment=compartment))
            for core, fragments in enumerate(plan.partition.cores)
            for compartment in range(sum(one.size for one in fragments))}
    assert seen == held


def test_what_is_on_a_core_says_that_it_lies_there(program):
    plan = program.plan
    for core, fragments in enumerate(plan.partition.cores):
        here = (plan.placement.chip(core), plan.placement.core(core))
        places = locate(program, f"chip{here[0]}.core{here[1]}")
        assert [place.node for place in places] == list(dict.fromkeys(one.population for one in fragments))
        assert all(here in place.cores for place in places)


def test_weights_lie_with_the_neurons_that_they_feed(call, maps):
    program = loihic.load(maps)
    (weights,), (neurons,) = locate(program, "conv2"), locate(program, "two")
    assert weights.cores == neurons.cores
    (weight,), (neuron,) = locate(program, "conv2[1,0,2]"), locate(program, "two[1,0,2]")
    assert weight.address == neuron.address
    shown = call("where", maps, "conv2[1,0,2]").stdout
    assert f"placed      {neuron.address}, the neuron that it feeds" in shown
    assert f"placed      {neuron.address}\n" in call("where", maps, "two[1,0,2]").stdout


def test_delay_lines_lie_with_what_is_behind_them(maps):
    program = loihic.load(maps)
    graph = program.graph
    line = DelayLine(shape=tuple(graph.shapes["one"]), steps=np.asarray(2))
    edges = [edge for edge in graph.edges if edge.dst != "conv2"]
    late = replace(graph, nodes={**graph.nodes, "late": line}, shapes={**graph.shapes, "late": graph.shapes["one"]},
                   edges=(*edges, Edge(src="one", dst="late"), Edge(src="late", dst="conv2")))
    delayed = replace(program, graph=late, plan=replace(program.plan, graph=late))
    (place,) = locate(delayed, "late[0,1,1]")
    assert place.cores == locate(program, "two")[0].cores
    assert place.address is None


def test_inputs_and_outputs_are_at_the_host(call, maps):
    for name in ("input", "output", "input[3]"):
        found = json.loads(call("where", maps, name, "--json").stdout)["locations"]
        assert [(one["host"], one["cores"], one["chip"]) for one in found] == [(True, [], None)]
        assert "placed      at the host" in call("where", maps, name).stdout


def test_a_population_names_its_cores(call, maps):
    program = loihic.load(maps)
    cores = locate(program, "one")[0].cores
    assert len(cores) > 60 // small_chip.NEURONS
    chips = {chip for chip, _ in cores}
    assert f"placed      {len(cores)} cores on {len(chips)} chips: chip0 cores " in call("where", maps, "one").stdout


def test_a_core_lists_its_slices(call, maps):
    program = loihic.load(maps)
    chip, core = locate(program, "one")[0].cores[0]
    shown = call("where", maps, f"chip{chip}.core{core}")
    assert shown.exit_code == 0, shown.output
    assert "one" in shown.stdout
    assert "Neurons" in shown.stdout
    found = json.loads(call("where", maps, f"chip{chip}.core{core}", "--json").stdout)
    assert (found["core"]["chip"], found["core"]["core"]) == (chip, core)
    assert found["core"]["slices"][0]["population"] == found["locations"][0]["node"]
    inside = json.loads(call("where", maps, f"chip{chip}.core{core}[0]", "--json").stdout)
    assert inside["core"] is None
    assert inside["locations"][0]["compartment"] == 0


@pytest.mark.parametrize(("query", "code", "said"), [
    ("chip99.core0", "LHC701", "there is no chip99.core0"),
    (f"chip0.core{small_chip.CORES}", "LHC701", f"core0 to core{small_chip.CORES - 1}"),
    ("chip0.core0[7]", "LHC702", "chip0.core0 has compartments 0 to "),
    ("chip0.core0[-1]", "LHC702", "[-1] is not the number of a compartment"),
    ("chip0.core0[0,1]", "LHC702", "as in chip0.core17[203]"),
    ("chip0.core0[]", "LHC702", "as in chip0.core17[203]"),
    ("chip0.core00000000000000000000", "LHC701", "nothing in the program is called"),
    ("chip0", "LHC701", "nothing in the program is called chip0"),
])
def test_places_that_there_are_not(call, maps, query, code, said):
    result = call("where", maps, query)
    assert result.exit_code == 2, result.output
    assert code in result.stderr
    assert said in result.stderr
    assert not result.stdout


def test_a_core_without_neurons(call, maps, folder):
    program = loihic.load(maps)
    chips = program.plan.system.chips
    used = {int(site) for site in program.plan.placement.sites}
    free = next((site for site in range(chips * small_chip.CORES) if site not in used), None)
    if free is None:
        pytest.skip("every core is in use")
    chip, core = divmod(free, small_chip.CORES)
    result = call("where", maps, f"chip{chip}.core{core}")
    assert result.exit_code == 2
    assert f"nothing lies on chip{chip}.core{core}" in result.stderr


def test_a_program_without_a_plan(call, maps, folder):
    replace(loihic.load(maps), plan=None).save(folder / "bare.loihic")
    shown = call("where", "bare.loihic", "one[0,0,0]")
    assert shown.exit_code == 0, shown.output
    assert "placed" not in shown.stdout
    (found,) = json.loads(call("where", "bare.loihic", "one[0,0,0]", "--json").stdout)["locations"]
    assert (found["chip"], found["core"], found["compartment"], found["cores"]) == (None, None, None, [])
    result = call("where", "bare.loihic", "chip0.core0")
    assert result.exit_code == 1
    assert "LHC107" in result.stderr
    assert "compile the model again" in result.stderr


def test_a_node_may_be_called_like_a_core(maps):
    program = loihic.load(maps)
    graph = program.graph
    nodes = {("chip0.core0" if name == "input" else name): node for name, node in graph.nodes.items()}
    edges = tuple(replace(edge, src="chip0.core0") if edge.src == "input" else edge for edge in graph.edges)
    shapes = {("chip0.core0" if name == "input" else name): shape for name, shape in graph.shapes.items()}
    renamed = replace(program, graph=replace(graph, nodes=nodes, edges=edges, shapes=shapes), plan=None)
    assert core_address(renamed, "chip0.core0") is None
    assert core_address(renamed, "chip0.core0[3]") is None
    assert locate(renamed, "chip0.core0[3]")[0].flat == 3
    assert core_address(renamed, "chip0.core1") == Address(chip=0, core=1)


def test_addresses_are_read_as_they_are_written():
    for address in (Address(chip=0, core=17), Address(chip=12, core=3, compartment=203)):
        assert parse_address(str(address)) == address
    assert parse_address(" chip0.core1 [ 5 ]") == Address(chip=0, core=1, compartment=5)
    assert parse_address("chip.core1") is None
