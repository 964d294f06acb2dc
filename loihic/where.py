"""Where a node of the user's network went, to which Process and which core, and back, down to the single element."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from math import prod
from typing import Any

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Shape
from loihic.partition.plan import Plan
from loihic.partition.whereabouts import (
    Address,
    Whereabouts,
    core_at,
    element_at,
    neuron_at,
    parse_address,
    require_plan,
    whereabouts,
)
from loihic.program import Program
from loihic.targets.lava.emit import lava_order, lava_shape, process_names

QUERY = re.compile(r"^(?P<name>.+?)\s*(?:\[(?P<index>[^\[\]]*)\])?$", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """One place in the program that a name means.

    Attributes:
        sources: the user's nodes.
        node, op, shape: the hardware node and the shape of what it sends, (C, H, W) for feature maps.
        process, lava_shape: its Lava Process and that Process's shape, (H, W, C) for feature maps; no Process: "".
        inputs, outputs: hardware nodes before and behind it.
        index, flat: the element in loihic's order, if one was asked for, and its place in C order.
        lava_index, lava_flat: the same element in Lava's order.
        chip, core, compartment: where the element lies: the neuron's own place, for weights that of the neuron they
            feed. None without an element, without a plan, and for what is not on a core.
        cores: (chip, core) of every core with neurons or weights of the node, in order; none without a plan.
        host: whether the node is at the host, not on a chip.
    """

    sources: tuple[str, ...]
    node: str
    op: str
    shape: Shape
    process: str
    lava_shape: Shape
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    index: tuple[int, ...] | None = None
    flat: int | None = None
    lava_index: tuple[int, ...] | None = None
    lava_flat: int | None = None
    chip: int | None = None
    core: int | None = None
    compartment: int | None = None
    cores: tuple[tuple[int, int], ...] = ()
    host: bool = False

    @property
    def address(self) -> Address | None:
        """The compartment of the element, if it has one."""
        if self.chip is None or self.core is None:
            return None
        return Address(chip=self.chip, core=self.core, compartment=self.compartment)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def locate(program: Program, query: str, *, lava: bool = False) -> list[Location]:
    """Every place that ``NODE``, ``NODE[INDEX]`` or ``chip0.core17[203]`` means.

    Args:
        program: to look in.
        query: NODE is a node of the user's network, a hardware node or a Lava Process. INDEX is one number a
            dimension, or a single flat one. A compartment of a core means the neuron in it, and a core the populations
            on it.
        lava: INDEX is in Lava's order, (H, W, C) for feature maps.

    Raises:
        InputError: LHC701 for an unknown name or an unused core, LHC702 for an index that does not fit, LHC107 for a
            core of a program without a plan.
    """
    graph, plan = program.graph, program.plan
    address = core_address(program, query)
    if address is not None:
        return _on_core(graph, require_plan(plan), address)
    name, index = _split(graph, query)
    nodes = _named(graph, name)
    if not nodes:
        known = list(dict.fromkeys([*graph.nodes, *_origins(graph), *process_names(graph).values()]))
        near = get_close_matches(name, known, n=3)
        fail("LHC701", f"nothing in the program is called {name}", error=InputError,
             help=f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known[:40])}")
    places = [_location(graph, plan, node) for node in nodes]
    if index is None:
        return places
    fitting = [place for place in places if _fits(index, place.lava_shape if lava else place.shape)]
    return [_at(plan, place, index, lava) for place in fitting or places]


def core_address(program: Program, query: str) -> Address | None:
    """The core or compartment that a query means; None for a node's name, even for one that looks like an address.

    Raises:
        InputError: LHC702 for brackets that hold no number.
    """
    name, bracket, _ = query.partition("[")
    taken = _named(program.graph, query) or (bracket and _named(program.graph, name.strip()))
    return None if taken else parse_address(query)


def _on_core(graph: HardwareGraph, plan: Plan, address: Address) -> list[Location]:
    """The neuron in a compartment, or all populations on a core."""
    if address.compartment is None:
        fragments = plan.partition.cores[core_at(plan, address)]
        return [_location(graph, plan, name) for name in dict.fromkeys(one.population for one in fragments)]
    name, flat = neuron_at(plan, address)
    return [_at(plan, _location(graph, plan, name), (flat,), lava=False)]


def _split(graph: HardwareGraph, query: str) -> tuple[str, tuple[int, ...] | None]:
    """Name and index; a name that itself ends in brackets is taken whole."""
    match = QUERY.match(query)
    if _named(graph, query) or match is None or match["index"] is None:
        return query, None
    try:
        return match["name"], tuple(int(part) for part in match["index"].split(","))
    except ValueError:
        fail("LHC702", f"[{match['index']}] is not an index", help="as in conv2[5,3,1]", error=InputError)


def _origins(graph: HardwareGraph) -> list[str]:
    return [origin for node in graph.nodes.values() for origin in node.origins]


def _named(graph: HardwareGraph, name: str) -> list[str]:
    """Hardware nodes by the user's names, by their own, by their Processes'; the first of the three that is known."""
    by_origin = [node for node, value in graph.nodes.items() if name in value.origins]
    if name in graph.nodes:
        return list(dict.fromkeys([name, *by_origin]))
    return by_origin or [node for node, process in process_names(graph).items() if process == name]


def _location(graph: HardwareGraph, plan: Plan | None, name: str) -> Location:
    shape = tuple(graph.shapes[name])
    place = Whereabouts() if plan is None else whereabouts(plan, name)
    return Location(
        sources=graph.nodes[name].origins, node=name, op=graph.nodes[name].op, shape=shape,
        process=process_names(graph).get(name, ""), lava_shape=lava_shape(shape),
        inputs=tuple(edge.src for edge in graph.incoming[name]),
        outputs=tuple(edge.dst for edge in graph.outgoing[name]), host=place.host,
        cores=() if plan is None else tuple((plan.placement.chip(c), plan.placement.core(c)) for c in place.cores))


def _at(plan: Plan | None, place: Location, index: tuple[int, ...], lava: bool) -> Location:
    given = place.lava_shape if lava else place.shape
    if not _fits(index, given):
        fail("LHC702", f"[{','.join(map(str, index))}] is outside {place.node}", node=f"{place.node} ({place.op})",
             param=f"shape {given}{' in Lava' if lava else ''}", error=InputError,
             help="indices count from 0, one number a dimension or a single flat one")
    order = lava_order(place.shape)
    asked = int(np.ravel_multi_index(index, _sizes(index, given)))
    flat = int(order[asked]) if lava else asked
    lava_flat = asked if lava else int(np.flatnonzero(order == asked)[0])
    found = replace(place, index=_unravel(flat, place.shape), flat=flat,
                    lava_index=_unravel(lava_flat, place.lava_shape), lava_flat=lava_flat)
    on_core = None if plan is None else element_at(plan, place.node, flat)
    if plan is None or on_core is None:
        return found
    core, compartment = on_core
    return replace(found, chip=plan.placement.chip(core), core=plan.placement.core(core), compartment=compartment)


def _sizes(index: tuple[int, ...], shape: Shape) -> Shape:
    """What the numbers of an index run over: a single number may count through all elements."""
    return (prod(shape),) if len(index) == 1 else shape


def _fits(index: tuple[int, ...], shape: Shape) -> bool:
    sizes = _sizes(index, shape)
    return len(index) == len(sizes) and all(0 <= i < size for i, size in zip(index, sizes, strict=True))


def _unravel(flat: int, shape: Shape) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(flat, shape))
