"""Misfits: what a chip cannot hold, with the numbers, and the nearest thing that it could."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil

import numpy as np

from loihic.errors import Diagnostic
from loihic.ir.node import Array
from loihic.ops.population import Population
from loihic.ops.source import Source
from loihic.partition.greedy import DoesNotFitError
from loihic.partition.layouts import choose_layout
from loihic.partition.partitioner import Partitioner, TooManyCoresError
from loihic.partition.population import Network
from loihic.partition.resources import LABELS, MEMORIES, SYNAPSES, capacities
from loihic.targets.systems import System, nearest

NARROWER = (6, 5, 4, 3, 2, 1)  # bits that are tried as a remedy; 7 are stored as 8
WORDS = {
    "neurons": "neuron state", "synapses": "synaptic memory", "axon_in": "axons in", "axon_map": "the axon map",
    "axon_mem": "axon memory", "groups": "neuron groups", "pool": "all memories together"}


def misfits(network: Network, last: DoesNotFitError | None = None) -> list[Diagnostic]:
    """Everything about a network that no partition can make fit; `last` is what stopped the partitioner, if any."""
    caps = np.concatenate([capacities(network.limits), np.full(3, np.inf)])
    found = list(forbidden(network))
    named = set()
    for name in network.into:
        try:
            choose_layout(network, name, caps)
        except DoesNotFitError as error:
            found.append(_too_large(network, error, caps))
            named.add(name)
    if last is not None and last.population not in named:
        found.append(_too_large(network, last, caps))
    return found


def forbidden(network: Network) -> Iterator[Diagnostic]:
    """What the chip cannot do, however large it is."""
    yield from _delays(network)
    yield from _payloads(network)


def too_many_cores(network: Network, system: System, error: TooManyCoresError) -> Diagnostic:
    """A network beyond the system, or beyond the cores that a budget leaves."""
    per_chip = network.limits.cores
    chips = ceil(error.needed / per_chip)
    if error.allowed < system.cores:
        asked = f"needs {error.needed} cores; {error.allowed:g} are allowed"
        remedies = [f"--cores {error.needed}"]
    else:
        asked = (f"needs {error.needed} cores, {chips} chips of {per_chip}; "
                 f"{system.name} has {system.chips} chip{'s' if system.chips > 1 else ''}")
        remedies = [] if system.numbers else [f"--chips {chips}"]
        remedies += [f"--system {larger.name} has {larger.chips} chips"
                     for larger in nearest(network.limits.chip, chips)[:1]]
    for bits in NARROWER:
        fewer = Partitioner(replace(network, most_bits=bits)).fewest.cores
        if fewer < error.needed and (fewer <= error.allowed or bits == 4):
            remedies.append(f"--weight-bits {bits} would need {fewer} cores, {ceil(fewer / per_chip)} chips")
        if fewer <= error.allowed:
            break
    return Diagnostic(code="LHC407", message="the network does not fit the system", param=asked,
                      help="; ".join(remedies))


def _too_large(network: Network, error: DoesNotFitError, caps: Array) -> Diagnostic:
    """A population of which not even the smallest slice fits a core."""
    over = [(MEMORIES[place], error.need[place], caps[place]) for place in range(len(MEMORIES))
            if error.need[place] > caps[place]]
    fan_in = max((int(np.prod(c.synapse.in_shape)) for c in network.into[error.population]), default=0)
    remedies = []
    if error.need[SYNAPSES] > 0:
        for bits in NARROWER:
            try:
                choose_layout(replace(network, most_bits=bits), error.population, caps)
            except DoesNotFitError:
                continue
            groups = ",".join(f"{c.synapse.group or c.name}={bits}" for c in network.into[error.population])
            remedies.append(f"--weight-bits {groups} fits")
            break
    if not remedies:
        remedies.append("fewer inputs or channels per neuron; two populations in place of one")
    return Diagnostic(
        code="LHC406", message="one neuron needs more than a whole core", node=_described(network, error.population),
        param="; ".join(f"{WORDS[name]} ({LABELS[MEMORIES.index(name)]}): {need:g} words of {cap:g}"
                        for name, need, cap in over) + f"; {fan_in} inputs", help="; ".join(remedies))


def _delays(network: Network) -> Iterator[Diagnostic]:
    longest = network.limits.longest_delay
    for one in network.connections:
        if one.delay > longest:
            yield Diagnostic(
                code="LHC408", message="a delay is longer than a synapse can wait", node=one.name,
                param=f"{one.delay} steps; the limit is {longest}",
                help="a larger --dt makes it fewer steps; or a relay population half way")


def _payloads(network: Network) -> Iterator[Diagnostic]:
    """Messages with a payload, on a chip whose spikes carry none."""
    for name, node in network.graph.nodes.items():
        graded = (isinstance(node, Population) and node.has_payload) or (
            isinstance(node, Source) and node.message_range != (0, 1))
        heard = any(one.source == name for one in network.connections)
        if graded and heard and not network.limits.graded:
            yield Diagnostic(
                code="LHC409", message="messages carry values, and the chip's spikes carry none",
                node=_described(network, name), param=f"{network.limits.target} has binary spikes only",
                help="--target loihi2; or inputs of 0 and 1, and --spikes binary")


def _described(network: Network, name: str) -> str:
    node = network.graph.nodes[name]
    origins = ", ".join(origin for origin in node.origins if origin != name)
    return f"{name} ({node.op})" + (f", from {origins}" if origins else "")
