"""What one core owns: its compartments, and of every synapse group the weights of these compartments only.

Plain integers, neuron by neuron and weight by weight, from the documented semantics; nothing here has arrays of a whole
population, and nothing computes with the classes that it is to be an oracle for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loihic.ops.compartment import Compartment
from loihic.ops.conv_synapse import ConvSynapse
from loihic.ops.dense_synapse import DenseSynapse
from loihic.ops.sparse_synapse import SparseSynapse
from loihic.ops.synapse import Synapse
from loihic.ops.traits import Emit, Reset

LIMIT = 1 << 23


def wrapped(x: int, bits: int) -> int:
    """Two's complement of `bits` bits."""
    x %= 1 << bits
    return x - (1 << bits) if x >= 1 << (bits - 1) else x


def toward_zero(x: int, shift: int) -> int:
    """Shifted right, rounded toward zero."""
    return x >> shift if x >= 0 else -(-x >> shift)


@dataclass
class Neuron:
    """One compartment: parameters and state."""

    du: int
    dv: int
    theta: int
    ibias: int
    vbias: int
    v: int
    start: int
    reset: Reset
    emit: Emit
    out_shift: int
    stock: bool
    u: int = 0

    @classmethod
    def of(cls, node: Compartment, index: int) -> Neuron:
        """Neuron `index` (in C order) of a population."""
        def own(parameter: Any) -> int:
            return int(np.broadcast_to(parameter, node.shape).reshape(-1)[index])

        return cls(du=own(node.du), dv=own(node.dv), theta=own(node.vth) << 6,
                   ibias=own(node.ibias_mant) << own(node.ibias_exp), vbias=own(node.vbias_mant) << own(node.vbias_exp),
                   v=own(node.v_init), start=node.start, reset=node.reset, emit=node.emit, out_shift=node.out_shift,
                   stock=node.stock)

    def step(self, a: int, k: int) -> int:
        """Step `k` with `a` delivered; what is sent, 0 for nothing."""
        if k < self.start and not self.stock:
            return 0
        u = wrapped(toward_zero(self.u * (4096 - (self.du + 1)), 12) + (a << 6) + self.ibias, 32)
        if u > LIMIT:
            u -= 2 * LIMIT
        elif u <= -LIMIT:
            u += 2 * LIMIT
        v = toward_zero(self.v * (4096 - self.dv), 12) + u + self.vbias
        v = min(max(v, -LIMIT + 1), LIMIT - 1)
        sent = self._sent(v)
        if self.emit is not Emit.STATE and sent > 0:
            v = {Reset.ZERO: 0, Reset.SUBTRACT: v - sent * self.theta, Reset.NONE: v}[self.reset]
        self.u, self.v = u, v
        return sent

    def _sent(self, v: int) -> int:
        if self.emit is Emit.STATE:
            return v >> self.out_shift
        if self.emit is Emit.MULTI and self.theta > 0:  # as often as the threshold lies below v
            return max(v - 1, 0) // self.theta
        return int(v > self.theta)


@dataclass
class Group(ABC):
    """The part of a synapse group that lies in one core.

    Attributes:
        exponent: shifts the sum of a step.
        width: bits at which that sum wraps before.
        binary: whether any message counts as one.
    """

    exponent: int
    width: int
    binary: bool

    @abstractmethod
    def reached(self, element: int) -> Iterator[tuple[int, int]]:
        """Compartments that a source element has synapses to, with their weights, zeros included."""

    def delivered(self, messages: Iterable[tuple[int, int]]) -> dict[int, int]:
        """What a step's messages (source element, payload) amount to, by compartment."""
        sums: Counter[int] = Counter()
        for element, payload in messages:
            for compartment, weight in self.reached(element):
                sums[compartment] += weight * (1 if self.binary else payload)
        return {compartment: self._shifted(wrapped(total, self.width)) for compartment, total in sums.items()}

    def _shifted(self, total: int) -> int:
        return total << self.exponent if self.exponent > 0 else total >> -self.exponent


@dataclass
class Rows(Group):
    """Rows of a matrix: by compartment, the weights by source element."""

    rows: Mapping[int, Mapping[int, int]]

    def reached(self, element: int) -> Iterator[tuple[int, int]]:
        for compartment, row in self.rows.items():
            if element in row:
                yield compartment, row[element]


@dataclass
class Kernels(Group):
    """A convolution: the kernels of the channels that the core has neurons of, and where these neurons lie.

    Attributes:
        kernels: by output channel, (C_in / groups, KH, KW).
        first_in: the input channel that each kernel begins with.
        places: channel, row and column of the neurons by compartment.
        in_shape: (C, H, W) of the messages.
        stride, padding, dilation: of the convolution.
    """

    kernels: Mapping[int, np.ndarray]
    first_in: Mapping[int, int]
    places: Mapping[int, tuple[int, int, int]]
    in_shape: tuple[int, ...]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    def reached(self, element: int) -> Iterator[tuple[int, int]]:
        channel, y, x = _place(element, self.in_shape)
        for compartment, (out_channel, out_y, out_x) in self.places.items():
            kernel, i = self.kernels[out_channel], channel - self.first_in[out_channel]
            ky, kx = self._tap(0, y, out_y, kernel.shape[1]), self._tap(1, x, out_x, kernel.shape[2])
            if 0 <= i < len(kernel) and ky is not None and kx is not None:
                yield compartment, int(kernel[i, ky, kx])

    def _tap(self, axis: int, source: int, target: int, size: int) -> int | None:
        """Which of the kernel's `size` rows (or columns) leads from source to target: s = t stride + tap dil - pad."""
        tap, rest = divmod(source + self.padding[axis] - target * self.stride[axis], self.dilation[axis])
        return tap if rest == 0 and 0 <= tap < size else None


def group_of(node: Synapse, own: Mapping[int, int]) -> Group:
    """The part of a synapse group for the neurons `own`: numbers in C order by compartment."""
    common: dict[str, Any] = {"exponent": node.exponent, "width": 24 if isinstance(node, ConvSynapse) else 32,
                              "binary": node.message_bits == 0}
    if isinstance(node, DenseSynapse):
        return Rows(**common, rows={compartment: dict(enumerate(node.weights[neuron].tolist()))
                                    for compartment, neuron in own.items()})
    if isinstance(node, SparseSynapse):
        return Rows(**common, rows={compartment: _sparse_row(node, neuron) for compartment, neuron in own.items()})
    if isinstance(node, ConvSynapse):
        places = {compartment: _place(neuron, node.out_shape) for compartment, neuron in own.items()}
        channels = {channel for channel, *_ in places.values()}
        inputs, outputs = node.kernel.shape[1], len(node.kernel) // node.groups
        return Kernels(**common, kernels={channel: node.kernel[channel].copy() for channel in channels},
                       first_in={channel: channel // outputs * inputs for channel in channels}, places=places,
                       in_shape=node.in_shape, stride=node.stride, padding=node.padding, dilation=node.dilation)
    raise TypeError(f"a core has no {type(node).__name__}")


def _sparse_row(node: SparseSynapse, neuron: int) -> dict[int, int]:
    entries = slice(node.indptr[neuron], node.indptr[neuron + 1])
    return dict(zip(node.indices[entries].tolist(), node.data[entries].tolist(), strict=True))


def _place(number: int, shape: tuple[int, ...]) -> tuple[int, int, int]:
    channel, y, x = np.unravel_index(number, shape)
    return int(channel), int(y), int(x)
