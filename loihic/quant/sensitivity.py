"""Sensitivity: how far the outputs of the float network move when weights are rounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from scipy.signal import lfilter

from loihic.ir.graph import Graph
from loihic.ir.linear import ConvMap, LinearMap
from loihic.ir.node import Array
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.ops.traits import Emit
from loihic.quant.groups import Rows
from loihic.sim.reference import run_reference

TAU = 10.0  # steps: spike trains are compared as this exponential filter sees them
STEPS = 512  # of each sample, at most


class OutputError:
    """Compares the outputs of a changed network with those of the network as it was trained.

    Args:
        graph: fused.
        inputs: real values per Input, (N, T, *shape).
        runs: how often it will be asked; with `work` this decides how many samples are used.
        work: multiplications in all.

    Attributes:
        available: samples that there are.
        samples: those that are used, spread over the data.
    """

    def __init__(self, graph: Graph[Any], inputs: Mapping[str, Array], runs: int, work: float) -> None:
        self.graph = graph
        samples, steps = next(iter(inputs.values())).shape[:2] if inputs else (0, 0)
        steps = min(steps, STEPS)
        cost = sum(operations(node.linear) for _, node in graph.of(Map)) + 1
        self.available = samples
        self.samples = int(min(samples, work / (cost * max(steps, 1) * (runs + 1))))
        # Neighbours may be of one class.
        chosen = np.linspace(0, max(samples - 1, 0), max(self.samples, 1)).astype(int)
        self.inputs = {name: values[chosen, :steps] for name, values in inputs.items()}
        self.wanted = self._outputs({}) if self.is_affordable else {}

    @property
    def is_affordable(self) -> bool:
        """Whether at least one sample can be run as often as needed."""
        return self.samples > 0

    def of(self, maps: Mapping[str, LinearMap]) -> float:
        """The outputs' relative root mean square error with these maps in place of the network's own."""
        made = self._outputs(maps)
        off = sum(float(np.sum((made[name] - values) ** 2)) for name, values in self.wanted.items())
        power = sum(float(np.sum(values**2)) for values in self.wanted.values())
        return float(np.sqrt(off / power)) if power else float(np.sqrt(off))

    def _outputs(self, maps: Mapping[str, LinearMap]) -> dict[str, Array]:
        nodes = {name: replace(node, linear=maps[name]) if name in maps else node
                 for name, node in self.graph.nodes.items()}
        outputs = run_reference(self.graph.with_(nodes=nodes), self.inputs)
        return {name: filtered(values) if self._spikes(name) else values for name, values in outputs.items()}

    def _spikes(self, output: str) -> bool:
        source = self.graph.nodes[self.graph.incoming[output][0].src]
        return isinstance(source, Neuron) and source.emit is not Emit.STATE


def filtered(trains: Array) -> Array:
    """Spike trains (N, T, *shape) through an exponential filter of `TAU` steps, as van Rossum's distance has it.

    M. C. W. van Rossum, A novel spike distance, Neural Computation 13, 2001.
    """
    return np.asarray(lfilter([1.0], [1.0, -np.exp(-1.0 / TAU)], trains, axis=1))


def operations(linear: LinearMap) -> float:
    """Multiplications of one application to one sample."""
    if isinstance(linear, ConvMap):
        return float(prod(linear.kernel.shape[1:]) * prod(linear.out_shape))
    return float(Rows(linear=linear).values.size) if not linear.is_identity else float(prod(linear.in_shape))


