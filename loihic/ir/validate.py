"""What must hold for graphs that came out of a file: sizes and wiring, before anything is allocated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from loihic.ir.graph import HardwareGraph, SourceGraph
from loihic.ir.linear import ConvMap, DenseMap, LinearMap, SparseMap
from loihic.ir.node import Array, HardwareNode, Node, Shape

if TYPE_CHECKING:
    from loihic.ops.activation import Activation
    from loihic.ops.sigma_delta import SigmaDeltaNeurons
    from loihic.ops.source import Source

LARGEST_POPULATION = 1 << 27  # elements: more than a rack of chips has neurons
LONGEST_DELAY = 1 << 16  # steps
LARGEST_LEVEL = 1 << 31
REAL = frozenset({"unit", "level_scale", "scale", "offset"})  # arrays of integer nodes that are in real units


def validate_hardware(graph: HardwareGraph) -> None:
    """Check each node's arrays against its shapes, and that it is wired as its kind must be.

    Raises:
        ValueError: with the node's name.
    """
    from loihic.ops.activation import Activation
    from loihic.ops.compartment import Compartment
    from loihic.ops.delay_line import DelayLine
    from loihic.ops.population import Population
    from loihic.ops.sigma_delta import SigmaDeltaNeurons
    from loihic.ops.source import Sink, Source
    from loihic.ops.synapse import Synapse
    from loihic.quant.fixed import EXPONENT_MAX, EXPONENT_MIN

    for name, node in graph.nodes.items():
        feeds = [graph.shapes[edge.src] for edge in graph.incoming[name]]
        heard = [graph.nodes[edge.src] for edge in graph.incoming[name]]
        _sized(name, graph.shapes[name])
        _numbers(name, node)
        if isinstance(node, Synapse):
            _require(len(feeds) == 1 and len(graph.outgoing[name]) == 1, name, "a synapse joins two points")
            _sized(name, node.in_shape)
            _sized(name, node.out_shape)
            _require(prod(feeds[0]) == prod(node.in_shape), name, "what arrives has another size")
            _require(node.exponent in range(EXPONENT_MIN, EXPONENT_MAX + 1), name, "exponent out of range")
            _weights(name, node)
        elif isinstance(node, Population):
            _sized(name, node.shape)
            _require(all(prod(f) == prod(node.shape) for f in feeds), name, "what arrives has another size")
            _require(all(isinstance(one, Synapse | Source) for one in heard), name, "a population hears synapses")
            _require(0 <= node.start <= LONGEST_DELAY, name, "start out of range")
            _fit(node.shape, (node.unit,))
            if isinstance(node, Compartment):
                _fit(node.shape, (node.du, node.dv, node.vth, node.v_init, node.ibias_mant, node.vbias_mant))
            elif isinstance(node, Activation):
                _activation(name, node)
            elif isinstance(node, SigmaDeltaNeurons):
                _sigma_delta(name, node)
        elif isinstance(node, DelayLine):
            _sized(name, node.shape)
            _require(len(feeds) == 1 and prod(feeds[0]) == prod(node.shape), name, "a delay line has one input")
            shortest, longest = int(node.steps.min(initial=1)), int(node.steps.max(initial=1))
            _require(shortest >= 1 and longest <= LONGEST_DELAY, name, "delays out of range")
            _fit(node.shape, (node.steps,))
        elif isinstance(node, Sink):
            _require(len(feeds) == 1 and prod(feeds[0]) == prod(node.shape), name, "an output has one input")
            _fit(node.shape, (node.scale, node.offset))
            _require(node.latency in range(LONGEST_DELAY + 1), name, "latency out of range")
        if isinstance(node, Sink | DelayLine):
            _require(isinstance(heard[0], Population | Source | DelayLine), name, "it hears no point")
        elif isinstance(node, Source):
            _require(not feeds, name, "an input port hears nothing")
            _source(name, node)


def validate_source(graph: SourceGraph) -> None:
    """Check the fused float graph: the shapes of maps and points, and those between them.

    Raises:
        ValueError: with the node's name.
    """
    from loihic.ops.mapping import Map

    for name, node in graph.nodes.items():
        shape = graph.shapes[name]
        _sized(name, shape)
        feeds = [graph.shapes[edge.src] for edge in graph.incoming[name]]
        if isinstance(node, Map):
            _require(feeds == [node.linear.in_shape] and node.linear.out_shape == shape, name, "a map joins two points")
            _linear(name, node.linear)
            continue
        _require(getattr(node, "shape", shape) == shape, name, "it has another shape than its place")
        _require(all(prod(feed) == prod(shape) for feed in feeds), name, "what arrives has another size")
        for item in fields(node):
            value = getattr(node, item.name)
            if isinstance(value, np.ndarray) and item.name == "thresholds":
                _thresholds(name, value, shape)
            elif isinstance(value, np.ndarray):
                _fit(shape, (value,))


def _activation(name: str, node: Activation) -> None:
    _require(-LARGEST_LEVEL <= node.low <= node.high <= LARGEST_LEVEL, name, "levels out of range")
    _require(0 <= node.vth <= LARGEST_LEVEL and 1 <= node.rise <= LARGEST_LEVEL, name, "threshold or rise out of range")
    _require(bool(np.all((node.shift >= 0) & (node.shift < 63))), name, "shift out of range")
    _fit(node.shape, (node.multiplier, node.addend, node.shift, node.level_scale))
    if node.thresholds is not None:
        _thresholds(name, node.thresholds, node.shape)
        _require(node.low + node.rise * node.thresholds.shape[-1] <= node.high, name, "more steps than levels")


def _sigma_delta(name: str, node: SigmaDeltaNeurons) -> None:
    _require(0 <= node.spike_exp < 32 and 0 <= node.state_exp < 32, name, "exponents out of range")
    _require(0 <= node.threshold < 1 << 31, name, "threshold out of range")
    _fit(node.shape, (node.bias,))


def _source(name: str, node: Source) -> None:
    _sized(name, node.shape)
    _fit(node.shape, (node.scale,))
    _require(bool(np.all(node.scale > 0)) and -LARGEST_LEVEL <= node.low <= node.high <= LARGEST_LEVEL
             and 0 <= node.vth <= LARGEST_LEVEL, name, "malformed input port")
    if (made := node.preparation) is not None:
        own = [getattr(made.steps, item.name) for item in fields(made.steps) if item.name != "thresholds"]
        _fit(node.shape, (made.gain, made.shift, *(value for value in own if isinstance(value, np.ndarray))))
        steps = getattr(made.steps, "thresholds", None)
        if steps is not None:
            _thresholds(name, steps, node.shape)


def _thresholds(name: str, steps: Array, shape: Shape) -> None:
    _require(steps.ndim >= 1 and steps.shape[:-1] in ((), shape[:1], shape), name, "thresholds do not fit")
    _require(bool(np.all(steps[..., 1:] >= steps[..., :-1])), name, "thresholds do not rise")


def _numbers(name: str, node: Node) -> None:
    """Integer nodes hold whole numbers, and finite real ones where they say what those are worth."""
    for item in fields(node):
        value = getattr(node, item.name)
        if isinstance(value, np.ndarray):
            _require(bool(np.all(np.isfinite(value))) if item.name in REAL else value.dtype.kind in "iu", name,
                     f"{item.name} holds other numbers than it may")


def _linear(name: str, linear: LinearMap) -> None:
    """The weights of a map against its shapes."""
    _sized(name, linear.in_shape)
    _sized(name, linear.out_shape)
    size = prod(linear.out_shape), prod(linear.in_shape)
    if isinstance(linear, DenseMap | SparseMap):
        _require(linear.matrix.shape == size, name, "weights do not fit")
    elif isinstance(linear, ConvMap):
        _require(linear.kernel.ndim == 4 and len(linear.in_shape) == len(linear.out_shape) == 3, name, "no convolution")
        _require(min(*linear.stride, *linear.dilation, linear.groups) >= 1 and max(linear.stride) <= LONGEST_DELAY
                 and all(0 <= side <= LONGEST_DELAY for pair in linear.pads for side in pair), name, "malformed kernel")
        (out, inner, *sizes), groups = linear.kernel.shape, linear.groups
        places = tuple((n + sum(pads) - spread * (k - 1) - 1) // step + 1 for n, pads, spread, k, step in zip(
            linear.in_shape[1:], linear.pads, linear.dilation, sizes, linear.stride, strict=True))
        _require(inner * groups == linear.in_shape[0] and out % groups == 0 and linear.out_shape == (out, *places),
                 name, "the kernel does not fit its shapes")
    else:
        _require(size[0] == size[1], name, "an identity has two sizes")


def _fit(shape: Shape, values: Iterable[Array]) -> None:
    for value in values:
        np.broadcast_to(value, shape)


def _require(holds: bool, name: str, what: str) -> None:
    if not holds:
        raise ValueError(f"{name}: {what}")


def _sized(name: str, shape: Shape) -> None:
    _require(all(isinstance(n, int) and n >= 0 for n in shape) and prod(shape) <= LARGEST_POPULATION, name,
             f"shape {shape} is out of range")


def _weights(name: str, node: HardwareNode) -> None:
    from loihic.ops.conv import conv_map
    from loihic.ops.conv_synapse import ConvSynapse
    from loihic.ops.dense_synapse import DenseSynapse
    from loihic.ops.sparse_synapse import SparseSynapse

    if isinstance(node, DenseSynapse):
        _require(node.weights.shape == (prod(node.out_shape), prod(node.in_shape)), name, "weights do not fit")
    elif isinstance(node, SparseSynapse):
        node.matrix().check_format(full_check=True)
    elif isinstance(node, ConvSynapse):
        made = conv_map(node.in_shape, node.kernel, node.stride, node.padding, node.dilation, node.groups)
        _require(made.out_shape == node.out_shape, name, "the kernel does not fit its shapes")
