"""A machine of cores that share nothing but spike messages: what a partitioned program computes.

An oracle, slow and plain. `build` deals the graph out; from then on a core has only what it owns, and hears of the
others only what arrives.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np
from core_parts import Group, Neuron, group_of

from loihic.ir.graph import HardwareGraph
from loihic.ops.compartment import Compartment
from loihic.ops.delay_line import DelayLine
from loihic.ops.source import Sink, Source
from loihic.ops.synapse import Synapse
from loihic.partition.model import HOST, Partition

Recorded = dict[tuple[str, str], np.ndarray]


class Route(NamedTuple):
    """Where a message goes, and the steps that it spends in delay lines."""

    core: int
    axon: int
    delay: int


class Message(NamedTuple):
    """What arrives at an axon: no name, no number of the sender."""

    axon: int
    payload: int


@dataclass
class Core:
    """Neurons, their synapses, and two tables.

    Attributes:
        neurons: by compartment.
        groups: parts of synapse groups by name.
        axons: synapse group and source element that a message to each axon is for.
        routes: by compartment, where its messages go.
    """

    neurons: list[Neuron] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)
    axons: list[tuple[str, int]] = field(default_factory=list)
    routes: dict[int, list[Route]] = field(default_factory=lambda: defaultdict(list))

    def step(self, arrived: list[Message], k: int) -> list[int]:
        """Step `k` with the messages of the step before; the value that each compartment has to send, or 0."""
        by_group: dict[str, list[tuple[int, int]]] = {name: [] for name in self.groups}
        for axon, payload in arrived:
            if not 0 <= axon < len(self.axons):
                raise LookupError(f"no axon {axon} on this core, which has {len(self.axons)}")
            name, element = self.axons[axon]
            by_group[name].append((element, payload))
        total: Counter[int] = Counter()
        for name, messages in by_group.items():
            for compartment, value in self.groups[name].delivered(messages).items():
                total[compartment] += value
        return [neuron.step(total[compartment], k) for compartment, neuron in enumerate(self.neurons)]


@dataclass
class Host:
    """The world outside: sends what Sources say, keeps what Sinks hear.

    Attributes:
        routes: by Source and element, where its messages go.
        axons: Sink and element that a message to each axon of the host is for.
    """

    routes: dict[tuple[str, int], list[Route]] = field(default_factory=lambda: defaultdict(list))
    axons: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class Machine:
    """Cores, host, and messages on their way.

    Attributes:
        cores: by number.
        host: the world outside.
        shapes: of Sinks and populations, to give results the form that the simulator gives them.
        names: population and number in C order of every compartment of every core.
        counts: messages so far by sending and receiving core, HOST for the host.
        arriving: messages on their way, by receiving core and the step in which it hears them.
    """

    cores: list[Core]
    host: Host
    shapes: Mapping[str, tuple[int, ...]]
    names: Mapping[tuple[int, int], tuple[str, int]]
    counts: Counter[tuple[int, int]] = field(default_factory=Counter)
    arriving: dict[tuple[int, int], list[Message]] = field(default_factory=lambda: defaultdict(list))

    @cached_property
    def places(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Core and compartment of every neuron: the inverse of `names`."""
        return {neuron: place for place, neuron in self.names.items()}

    def run(self, inputs: Mapping[str, np.ndarray], steps: int) -> tuple[dict[str, np.ndarray], Recorded]:
        """Run from the start; `inputs` (T, *shape) by Source.

        Returns:
            Per Sink (steps, *shape), and by population and state (u, v, out) likewise.
        """
        outputs = {name: np.zeros((steps, prod(self.shapes[name])), dtype=np.int64) for name, _ in self.host.axons}
        kept: Recorded = {(name, state): np.zeros((steps, prod(self.shapes[name])), dtype=np.int64)
                          for name, _ in self.names.values() for state in ("u", "v", "out")}
        for k in range(steps):
            for name, values in inputs.items():
                for element, value in enumerate(values[k].reshape(-1).tolist() if k < len(values) else []):
                    self._send(HOST, self.host.routes[name, element], value, k)
            for number, core in enumerate(self.cores):
                sent = core.step(self.arriving.pop((number, k), []), k)
                for compartment, value in enumerate(sent):
                    self._send(number, core.routes[compartment], value, k)
                    name, index = self.names[number, compartment]
                    neuron = core.neurons[compartment]
                    for state, held in (("u", neuron.u), ("v", neuron.v), ("out", value)):
                        kept[name, state][k, index] = held
            for axon, payload in self.arriving.pop((HOST, k), []):
                name, element = self.host.axons[axon]
                outputs[name][k, element] = payload
        return ({name: values.reshape(steps, *self.shapes[name]) for name, values in outputs.items()},
                {key: values.reshape(steps, *self.shapes[key[0]]) for key, values in kept.items()})

    def _send(self, sender: int, routes: list[Route], value: int, k: int) -> None:
        """A value other than zero goes out; cores hear it one step later, the host in the same step."""
        if value == 0:
            return
        for route in routes:
            self.counts[sender, route.core] += 1
            when = k + route.delay + (route.core != HOST)
            self.arriving[route.core, when].append(Message(route.axon, value))


def build(graph: HardwareGraph, partition: Partition) -> Machine:
    """Deal a timed hardware graph out to the cores of a partition."""
    names = {(number, compartment): partition.neuron(number, compartment)
             for number, fragments in enumerate(partition.cores)
             for compartment in range(sum(fragment.size for fragment in fragments))}
    _check_complete(graph, names)
    machine = Machine(cores=[Core() for _ in partition.cores], host=Host(), names=names, shapes={
        name: node.shape for name, node in graph.nodes.items() if isinstance(node, Compartment | Sink)})
    for (number, _), (name, index) in names.items():
        node = graph.nodes[name]
        assert isinstance(node, Compartment)
        machine.cores[number].neurons.append(Neuron.of(node, index))
    for name, node in graph.nodes.items():
        if isinstance(node, Compartment):
            for edge in graph.incoming[name]:
                _connect(machine, graph, edge.src, name)
        elif isinstance(node, Sink):
            _listen(machine, graph, name, node)
    return machine


def _check_complete(graph: HardwareGraph, names: Mapping[tuple[int, int], tuple[str, int]]) -> None:
    wanted = Counter((name, index) for name, node in graph.nodes.items() if isinstance(node, Compartment)
                     for index in range(prod(node.shape)))
    if Counter(names.values()) != wanted:
        raise ValueError("not every neuron is on exactly one core")


def _connect(machine: Machine, graph: HardwareGraph, synapse: str, target: str) -> None:
    """Every core with neurons of `target` gets their weights, and an axon per source element that they hear."""
    node = graph.nodes[synapse]
    if not isinstance(node, Synapse):
        raise TypeError(f"{target} hears {synapse}, which is a {type(node).__name__} and no synapse")
    source, delays = _way_back(graph, synapse)
    for number, core in enumerate(machine.cores):
        own = {compartment: index for (c, compartment), (name, index) in machine.names.items()
               if (c, name) == (number, target)}
        if not own:
            continue
        core.groups[synapse] = group_of(node, own)
        for element, delay in enumerate(delays):
            if any(True for _ in core.groups[synapse].reached(element)):
                core.axons.append((synapse, element))
                _routes(machine, source, element).append(Route(number, len(core.axons) - 1, delay))


def _listen(machine: Machine, graph: HardwareGraph, name: str, sink: Sink) -> None:
    source, delays = _way_back(graph, name)
    for element in range(prod(sink.shape)):
        machine.host.axons.append((name, element))
        route = Route(HOST, len(machine.host.axons) - 1, delays[element])
        _routes(machine, source, element).append(route)


def _way_back(graph: HardwareGraph, name: str) -> tuple[str, list[int]]:
    """The Source or population that a synapse or Sink hears, and the steps in delay lines of each of its elements."""
    (edge,) = graph.incoming[name]
    node = graph.nodes[edge.src]
    if not isinstance(node, DelayLine):
        assert isinstance(node, Source | Compartment)
        return edge.src, [0] * prod(node.shape)
    source, before = _way_back(graph, edge.src)
    steps = np.broadcast_to(node.steps, node.shape).reshape(-1).tolist()
    return source, [first + second for first, second in zip(before, steps, strict=True)]


def _routes(machine: Machine, source: str, element: int) -> list[Route]:
    """The output table's entry for an element of a Source or population."""
    if (source, element) not in machine.places:
        return machine.host.routes[source, element]
    number, compartment = machine.places[source, element]
    return machine.cores[number].routes[compartment]
