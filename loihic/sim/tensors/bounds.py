"""The largest numbers that points send and that synapses deliver, known without a look at what is on the device."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from loihic.ir.graph import HardwareGraph
from loihic.ir.node import HardwareNode
from loihic.ops.activation import Activation
from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.delay_line import DelayLine
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.population import Population
from loihic.ops.sigma_delta import SdnRole, SigmaDeltaNeurons
from loihic.ops.source import Source
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import Synapse
from loihic.ops.traits import Emit
from loihic.quant.fixed import STATE_LIMIT
from loihic.sim.tensors.exact import WORD


@singledispatch
def greatest_message(node: HardwareNode, told: int = 0) -> int:
    """The largest magnitude of what a population or Source sends, whatever it hears.

    Args:
        node: the population, or the Source that keeps to its range.
        told: the largest of what an Activation has told already, where it starts from a checkpoint.
    """
    raise TypeError(f"{node.op} sends no messages")


@greatest_message.register
def _source(node: Source, told: int = 0) -> int:
    return max(abs(end) for end in node.message_range)


@greatest_message.register
def _compartment(node: Compartment, told: int = 0) -> int:
    if node.emit is Emit.SPIKE:
        return 1
    return max(STATE_LIMIT >> node.out_shift, 1) if node.emit is Emit.STATE else STATE_LIMIT


@greatest_message.register
def _activation(node: Activation, told: int = 0) -> int:
    high = node.high if node.thresholds is None else node.low + node.rise * node.thresholds.shape[-1]
    level = max(abs(node.low), abs(high), told)
    return 2 * level if node.delta else level


@greatest_message.register
def _sigma_delta(node: SigmaDeltaNeurons, told: int = 0) -> int:
    return WORD if node.role is SdnRole.SIGMA else max(WORD >> node.state_exp, 1)


def heaviest_row(node: Synapse) -> int:
    """The largest sum of absolute weights that one output has."""
    if isinstance(node, DenseSynapse):
        sums = np.abs(node.weights.astype(np.int64)).sum(axis=1)
    elif isinstance(node, SparseSynapse):
        sums = np.asarray(abs(node.matrix()).sum(axis=1))
    elif isinstance(node, ConvSynapse):
        sums = np.abs(node.kernel.astype(np.int64)).sum(axis=(1, 2, 3))
    else:
        raise TypeError(f"no product for {node.op}")
    return int(sums.max(initial=0))


def _is_positive(node: HardwareNode) -> bool:
    """Whether a node sends no negative numbers by itself; a line sends what it hears."""
    if isinstance(node, Source):
        return node.message_range[0] >= 0
    return isinstance(node, DelayLine) or (isinstance(node, Compartment) and node.emit is not Emit.STATE)


class Bounds:
    """Bounds of everything in a graph; they only ever grow, by inputs and by checkpoints that reach further.

    Attributes:
        sent: per Source, population and DelayLine, the largest magnitude of what it sends.
        signed: those of them that may send negative numbers.
        least: per population, a bound of its sums that comes from a checkpoint.
    """

    def __init__(self, graph: HardwareGraph) -> None:
        self.graph = graph
        self.sent: dict[str, int] = {name: greatest_message(node) for name, node in graph.nodes.items()
                                     if isinstance(node, Population | Source)}
        self.sent |= {name: 0 for name, node in graph.nodes.items() if isinstance(node, DelayLine)}
        self.signed = {name for name, node in graph.nodes.items() if name in self.sent and not _is_positive(node)}
        self.least: dict[str, int] = {}
        self._rows = {name: heaviest_row(node) for name, node in graph.nodes.items() if isinstance(node, Synapse)}
        self.settle()

    def raise_to(self, name: str, bound: int, signed: bool = False) -> bool:
        """Take note that `name` may send `bound`, negative too if `signed`; returns whether that is news."""
        grows = bound > self.sent[name] or (signed and name not in self.signed)
        self.sent[name] = max(bound, self.sent[name])
        if signed:
            self.signed.add(name)
        return grows

    def settle(self) -> None:
        """What lines send follows from what they hear."""
        lines = [name for name, node in self.graph.nodes.items() if isinstance(node, DelayLine)]
        grows = True
        while grows:
            grows = False
            for name in lines:
                before = self.graph.incoming[name][0].src
                grows |= self.raise_to(name, self.sent[before], before in self.signed)

    def is_binary(self, synapse: str) -> bool:
        """Whether a synapse is sent nothing but zeros and ones."""
        before = self.graph.incoming[synapse][0].src
        return self.sent[before] <= 1 and before not in self.signed

    def heard(self, synapse: str) -> int:
        """The largest magnitude that a synapse multiplies: a spike is 1 whatever it carries."""
        node = self.graph.nodes[synapse]
        source = self.sent[self.graph.incoming[synapse][0].src]
        return min(source, 1) if isinstance(node, Synapse) and node.message_bits == 0 else source

    def product(self, synapse: str) -> int:
        """Of the sums of a synapse, before any wrap; partial sums and sums of absolute products too."""
        return self._rows[synapse] * self.heard(synapse)

    def delivered(self, synapse: str) -> int:
        """Of what a synapse delivers, after wraps and exponent."""
        node = self.graph.nodes[synapse]
        assert isinstance(node, Synapse)
        kept = min(self.product(synapse), STATE_LIMIT if isinstance(node, ConvSynapse) else WORD)
        return kept << node.exponent if node.exponent > 0 else (kept >> -node.exponent) + 1

    def total(self, population: str) -> int:
        """Of the sum that a population hears."""
        heard = [edge.src for edge in self.graph.incoming[population]]
        return max(sum(self.delivered(name) if isinstance(self.graph.nodes[name], Synapse) else self.sent[name]
                       for name in heard), self.least.get(population, 0))
