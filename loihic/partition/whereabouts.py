"""Whereabouts: from a node or an element of the hardware graph to its place on the chips, and back."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.graph import HardwareGraph
from loihic.ops.population import Population
from loihic.ops.source import Sink, Source
from loihic.ops.synapse import Synapse
from loihic.partition.plan import Plan

ADDRESS = re.compile(r"chip(?P<chip>\d{1,9})\.core(?P<core>\d{1,9})\s*(?:\[(?P<compartment>[^\[\]]*)\])?", re.ASCII)
NUMBER = re.compile(r"\s*(\d{1,9})\s*", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """A core, or a compartment of it, written as ``chip0.core17`` and ``chip0.core17[203]``."""

    chip: int
    core: int
    compartment: int | None = None

    def __str__(self) -> str:
        return f"chip{self.chip}.core{self.core}" + ("" if self.compartment is None else f"[{self.compartment}]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Whereabouts:
    """Where a node lies.

    Attributes:
        cores: the logical cores with its neurons or weights, in order of their sites.
        host: whether it is outside the chips.
    """

    cores: tuple[int, ...] = ()
    host: bool = False


def parse_address(query: str) -> Address | None:
    """The address that a query is; None for any other text.

    Raises:
        InputError: LHC702 for brackets that hold no number.
    """
    match = ADDRESS.fullmatch(query.strip())
    if match is None:
        return None
    text = match["compartment"]
    number = None if text is None else NUMBER.fullmatch(text)
    if text is not None and number is None:
        fail("LHC702", f"[{text}] is not the number of a compartment", help="as in chip0.core17[203]", error=InputError)
    return Address(chip=int(match["chip"]), core=int(match["core"]), compartment=None if number is None else
                   int(number[1]))


def require_plan(plan: Plan | None) -> Plan:
    """The plan, if a program has one.

    Raises:
        InputError: LHC107.
    """
    if plan is None:
        fail("LHC107", "the program does not say which core holds what", error=InputError,
             help="compile the model again: loihic compile MODEL")
    return plan


def address_of(plan: Plan, core: int, compartment: int | None = None) -> Address:
    """The address of a logical core."""
    return Address(chip=plan.placement.chip(core), core=plan.placement.core(core), compartment=compartment)


def core_at(plan: Plan, address: Address) -> int:
    """The logical core at an address.

    Raises:
        InputError: LHC701 for a core that the system does not have, or that holds nothing.
    """
    mesh = plan.placement.mesh
    there = Address(chip=address.chip, core=address.core)
    if address.chip >= mesh.chips or address.core >= mesh.cores:
        fail("LHC701", f"there is no {there}", error=InputError,
             param=f"{plan.system.name} has chip0 to chip{mesh.chips - 1}, each with core0 to core{mesh.cores - 1}",
             help="`loihic map OUT.loihic` lists the cores in use")
    found = np.flatnonzero(plan.placement.sites == address.chip * mesh.cores + address.core)
    if not found.size:
        fail("LHC701", f"nothing lies on {there}", error=InputError,
             param=f"cores in use: {plan.cores} of {mesh.sites}", help="`loihic map OUT.loihic` lists them")
    return int(found[0])


def neuron_at(plan: Plan, address: Address) -> tuple[str, int]:
    """Population and C-order number of the neuron in the compartment of an address.

    Raises:
        InputError: LHC701 as `core_at`, LHC702 for a compartment that the core does not have.
    """
    core = core_at(plan, address)
    compartment = address.compartment or 0
    try:
        return plan.partition.neuron(core, compartment)
    except IndexError:
        held = sum(fragment.size for fragment in plan.partition.cores[core])
        fail("LHC702", f"there is no {address}", error=InputError,
             param=f"{address_of(plan, core)} has compartments 0 to {held - 1}")


def whereabouts(plan: Plan, node: str) -> Whereabouts:
    """Where a node lies: weights with the neurons that they feed, inputs and outputs at the host."""
    if isinstance(plan.graph.nodes[node], Source):
        return Whereabouts(host=True)
    ends = _ends(plan.graph, node)
    cores = {int(core) for name in ends if name in plan.partition.slices for core in plan.partition.slices[name].core}
    return Whereabouts(cores=tuple(sorted(cores, key=lambda core: int(plan.placement.sites[core]))),
                       host=any(isinstance(plan.graph.nodes[name], Sink) for name in ends))


def element_at(plan: Plan, node: str, flat: int) -> tuple[int, int] | None:
    """Logical core and compartment of an element, for weights those of the neuron that they feed; None elsewhere.

    Args:
        plan: to look in.
        node: a population; or a synapse group, of which an element is what it adds to one neuron.
        flat: the element's number in C order.
    """
    if isinstance(plan.graph.nodes[node], Population):
        return plan.partition.locate(node, flat)
    if isinstance(plan.graph.nodes[node], Synapse):
        (target,) = _ends(plan.graph, node)
        return plan.partition.locate(target, flat)
    return None


def _ends(graph: HardwareGraph, node: str) -> list[str]:
    """The populations and outputs where what a node holds is kept: itself, or those behind it."""
    found: list[str] = []
    ahead = [node]
    while ahead:
        name = ahead.pop()
        if isinstance(graph.nodes[name], Population | Sink):
            found.append(name)
        else:
            ahead += [edge.dst for edge in graph.outgoing[name]]
    return found
