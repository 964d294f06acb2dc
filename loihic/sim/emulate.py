"""The program emulated in floats, each kind of loss undoable, everywhere or at one node.

What the compiler changed is put back into the fused float graph in real units: rounded weights, decays, thresholds and
biases, late loops, states that saturate, and the arithmetic of whole numbers itself. With every loss kept the emulation
takes the same steps as the integers; with every loss undone it is the float graph. What a loss does to the answers is
the difference that undoing it makes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import fields, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from loihic.ir.graph import SourceGraph
from loihic.ir.linear import ConvMap, DenseMap, LinearMap
from loihic.ir.node import Array, SourceNode
from loihic.ops.compartment import Compartment
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.ops.traits import Emit
from loihic.quant.fixed import ACTIVATION_SHIFT, DECAY_MAX, DECAY_UNITY, decode_bias
from loihic.sim.dequantise import Dequantiser, combined
from loihic.sim.emulated_nodes import EmulatedNeuron, FlooredMap

if TYPE_CHECKING:
    from loihic.program import Program

EQUAL = 1e-12  # relative; nearer than this a parameter was represented exactly


class LossKind(str, Enum):
    """What a compiled network can lose.

    Weights, decays and thresholds are rounded, biases together with the initial voltage. Saturation: v is clipped and
    u wraps at 24 bits. Delay: loops that answer later than trained. Arithmetic: states in whole units, and the shifts
    that truncate them.
    """

    WEIGHTS = "weights"
    DECAY = "decay"
    THRESHOLD = "threshold"
    BIAS = "bias"
    SATURATION = "saturation"
    DELAY = "delay"
    ARITHMETIC = "arithmetic"


Place = tuple[str, LossKind]  # a Map (weights, delay) or a Neuron (the others) of `program.source`, and what it loses
_FIELDS = {LossKind.DECAY: ("decay_u", "decay_v"), LossKind.THRESHOLD: ("threshold",),
           LossKind.BIAS: ("bias_u", "bias_v", "v_init")}


def emulated(program: Program, undo: Collection[Place] = ()) -> SourceGraph:
    """The program as a graph for `run_reference`, without the losses in `undo`; see `Emulator`, which keeps its work.

    Example: ``emulated(program, [("fc1", LossKind.WEIGHTS)])`` has every loss but the rounding of fc1's weights.
    """
    return Emulator(program).graph(undo)


class Emulator:
    """Emulations of one program; the rounded parameters are put into real units once.

    Attributes:
        source: the fused float graph.
    """

    def __init__(self, program: Program) -> None:
        self.source = program.source
        self._hardware = program.graph
        self._real = Dequantiser(program.graph, program.source)

    @cached_property
    def places(self) -> frozenset[Place]:
        """Everything that can be undone: parameters that differ, and states and sums of every population."""
        found = {(name, kind) for name, node in self._neurons.items() for kind, labels in _FIELDS.items()
                 if any(_differ(getattr(self.source.nodes[name], label), getattr(node, label)) for label in labels)}
        found |= {(name, kind) for name in self._neurons for kind in (LossKind.SATURATION, LossKind.ARITHMETIC)}
        for name, node in self.source.of(Map):
            assert isinstance(node, Map)
            if _maps_differ(node.linear, self._maps[name]):
                found.add((name, LossKind.WEIGHTS))
            if self._late[name] != self.source.incoming[name][0].delay:
                found.add((name, LossKind.DELAY))
        return frozenset(found)

    def everywhere(self, kinds: Iterable[LossKind]) -> frozenset[Place]:
        """Every place of some kinds."""
        wanted = set(kinds)
        return frozenset(place for place in self.places if place[1] in wanted)

    def at(self, population: str, kind: LossKind) -> frozenset[Place]:
        """What one population loses by one kind: in its own states and parameters, or in the maps that feed it."""
        near = {population, *(edge.src for edge in self.source.incoming[population])}
        return frozenset(place for place in self.places if place[0] in near and place[1] is kind)

    def graph(self, undo: Collection[Place] = ()) -> SourceGraph:
        """The float graph with every loss that is not in `undo`."""
        kept = self.places - frozenset(undo)
        nodes: dict[str, SourceNode] = dict(self.source.nodes)
        for name in self._neurons:
            nodes[name] = self._neuron(name, kept)
        for name in self._maps:
            nodes[name] = self._map(name, kept)
        edges = [replace(edge, delay=self._late[edge.dst]) if (edge.dst, LossKind.DELAY) in kept else edge
                 for edge in self.source.edges]
        return self.source.with_(nodes=nodes, edges=edges)

    def _neuron(self, name: str, kept: Collection[Place]) -> SourceNode:
        node, rounded = self.source.nodes[name], self._neurons[name]
        changed = {label: getattr(rounded, label) for kind, labels in _FIELDS.items() if (name, kind) in kept
                   for label in labels}
        saturates, rounds = ((name, kind) in kept for kind in (LossKind.SATURATION, LossKind.ARITHMETIC))
        if saturates or rounds:
            kept_fields: dict[str, Any] = {item.name: getattr(node, item.name) for item in fields(node)} | changed
            population = self._hardware.nodes[name]
            assert isinstance(population, Compartment)
            return EmulatedNeuron(**kept_fields, unit=population.unit, out_shift=population.out_shift,
                                  saturates=saturates, rounds=rounds)
        return replace(node, **changed) if changed else node

    def _map(self, name: str, kept: Collection[Place]) -> SourceNode:
        node = self.source.nodes[name]
        assert isinstance(node, Map)
        rounded = (name, LossKind.WEIGHTS) in kept
        target = self.source.outgoing[name][0].dst
        if (target, LossKind.ARITHMETIC) in kept and self._floors[name]:
            parts = self._real.parts(name) if rounded else (node.linear,)
            return replace(node, linear=FlooredMap(
                in_shape=node.linear.in_shape, out_shape=node.linear.out_shape, parts=parts,
                step=self._real.sum_unit(name)))
        return replace(node, linear=self._maps[name]) if rounded else node

    @cached_property
    def _maps(self) -> dict[str, LinearMap]:
        return {name: combined(self._real.parts(name)) for name, _ in self.source.of(Map)}

    @cached_property
    def _floors(self) -> dict[str, bool]:
        return {name: self._real.floors(name) for name in self._maps}

    @cached_property
    def _late(self) -> dict[str, int]:
        return {name: self._real.delay(name) - self.source.outgoing[name][0].delay for name, _ in self.source.of(Map)}

    @cached_property
    def _neurons(self) -> dict[str, Neuron]:
        """Every neuron with all of its rounded parameters."""
        found = {}
        for name, node in self.source.of(Neuron):
            population = self._hardware.nodes[name]
            assert isinstance(population, Compartment)
            assert isinstance(node, Neuron)
            found[name] = _dequantised(node, population)
        return found


def _dequantised(node: Neuron, population: Compartment) -> Neuron:
    unit, shape = population.unit, node.shape
    bias_u = decode_bias(population.ibias_mant, population.ibias_exp)
    bias_v = decode_bias(population.vbias_mant, population.vbias_exp)
    # A stock neuron with a bias counts up to its start from below: see `Retime`.
    v_init = population.v_init + (population.start * bias_v if population.stock else 0)
    # Whole units first, then the unit: the threshold must be the same float as a voltage that equals it.
    real = {
        "decay_u": (DECAY_MAX - population.du) / DECAY_UNITY, "decay_v": (DECAY_UNITY - population.dv) / DECAY_UNITY,
        "bias_u": bias_u * unit, "bias_v": bias_v * unit, "v_init": v_init * unit}
    if node.emit is not Emit.STATE:
        real["threshold"] = (population.vth << ACTIVATION_SHIFT) * unit
    full: dict[str, Any] = {label: np.broadcast_to(value, shape) for label, value in real.items()}
    return replace(node, **full)


def _differ(first: Array, second: Array) -> bool:
    return bool(np.any(np.abs(first - second) > EQUAL * np.maximum(np.abs(first), np.abs(second))))


def _maps_differ(first: LinearMap, second: LinearMap) -> bool:
    if isinstance(first, DenseMap) and isinstance(second, DenseMap):
        return _differ(first.matrix, second.matrix)
    if isinstance(first, ConvMap) and isinstance(second, ConvMap) and first.kernel.shape == second.kernel.shape:
        return _differ(first.kernel, second.kernel)
    left, right = first.to_csr(), second.to_csr()
    scale = max(abs(left).max(), abs(right).max()) if left.shape[0] and left.shape[1] else 0.0
    return bool((abs(left - right) > EQUAL * scale).nnz) if scale else False
