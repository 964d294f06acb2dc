"""What must hold for an integer graph that came out of a file: sizes and wiring, before anything is allocated."""

from __future__ import annotations

from math import prod

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import HardwareNode, Shape

LARGEST_POPULATION = 1 << 27  # elements: more than a rack of chips has neurons
LONGEST_DELAY = 1 << 16  # steps


def validate_hardware(graph: HardwareGraph) -> None:
    """Check each node's arrays against its shapes, and that it is wired as its kind must be.

    Raises:
        ValueError: with the node's name.
    """
    from loihic.ops.activation import Activation
    from loihic.ops.compartment import Compartment
    from loihic.ops.delay_line import DelayLine
    from loihic.ops.source import Sink, Source
    from loihic.ops.synapse import Synapse
    from loihic.quant.fixed import EXPONENT_MAX, EXPONENT_MIN

    for name, node in graph.nodes.items():
        feeds = [graph.shapes[edge.src] for edge in graph.incoming[name]]
        if isinstance(node, Synapse):
            _require(len(feeds) == 1 and len(graph.outgoing[name]) == 1, name, "a synapse joins two points")
            _sized(name, node.in_shape)
            _sized(name, node.out_shape)
            _require(prod(feeds[0]) == prod(node.in_shape), name, "what arrives has another size")
            _require(node.exponent in range(EXPONENT_MIN, EXPONENT_MAX + 1), name, "exponent out of range")
            _weights(name, node)
        elif isinstance(node, Compartment):
            _sized(name, node.shape)
            _require(all(prod(f) == prod(node.shape) for f in feeds), name, "what arrives has another size")
            for value in (node.du, node.dv, node.vth, node.v_init, node.ibias_mant, node.vbias_mant, node.unit):
                np.broadcast_to(value, node.shape)
        elif isinstance(node, Activation):
            _sized(name, node.shape)
            _require(all(prod(f) == prod(node.shape) for f in feeds), name, "what arrives has another size")
            _require(node.low <= node.high, name, "levels out of range")
            for value in (node.multiplier, node.addend, node.shift, node.unit, node.level_scale):
                np.broadcast_to(value, node.shape)
            _require(bool(np.all((node.shift >= 0) & (node.shift < 64))), name, "shift out of range")
            steps = node.thresholds
            if steps is not None:
                rows = steps.shape[:-1]
                _require(steps.ndim >= 1 and rows in ((), node.shape[:1], node.shape), name, "thresholds do not fit")
        elif isinstance(node, DelayLine):
            _sized(name, node.shape)
            _require(len(feeds) == 1 and prod(feeds[0]) == prod(node.shape), name, "a delay line has one input")
            shortest, longest = int(node.steps.min(initial=1)), int(node.steps.max(initial=1))
            _require(shortest >= 1 and longest <= LONGEST_DELAY, name, "delays out of range")
            np.broadcast_to(node.steps, node.shape)
        elif isinstance(node, Sink):
            _require(len(feeds) == 1 and prod(feeds[0]) == prod(node.shape), name, "an output has one input")
            for value in (node.scale, node.offset):
                np.broadcast_to(value, node.shape)
            _require(node.latency in range(LONGEST_DELAY + 1), name, "latency out of range")
        elif isinstance(node, Source):
            _sized(name, node.shape)
            np.broadcast_to(node.scale, node.shape)
            _require(not feeds and bool(np.all(node.scale > 0)) and node.low <= node.high, name, "malformed input port")


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
