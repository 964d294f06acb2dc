"""ConvSynapse: a kernel shared over a feature map (lava.proc.conv.process.Conv)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loihic.ir.linear import convolve
from loihic.ir.node import Array
from loihic.ir.registry import register_op
from loihic.ops.synapse import Synapse
from loihic.quant.fixed import wrap_bits


@register_op("ConvSynapse", "convolution kernel, shared weights; an exponent only where it is chained")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ConvSynapse(Synapse):
    """`kernel` (C_out, C_in / groups, KH, KW); shapes are (C, H, W); the sums wrap at 24 bits.

    Lava's Conv ignores exponent and bit width and neither clips nor truncates, so the scale of a convolution lives in
    its integers, which are kept even and in -256..254 for the sake of the chip. Only a convolution chained to another
    one needs an exponent, and with it loihic's own Conv Process.
    """

    kernel: Array
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def accumulate(self, message: Array) -> Array:
        maps = message.reshape(-1, *self.in_shape)
        if int(self.magnitude.max(initial=0)) * int(np.abs(maps).max(initial=0)) < 1 << 53:
            sums = self._sums(maps)
        else:  # what float64 cannot tell apart, in two halves
            sums = self._sums(maps & 0xFFFF) + (self._sums(maps >> 16) << 16)
        return wrap_bits(sums, 24)

    def _sums(self, maps: Array) -> Array:
        pads = ((self.padding[0],) * 2, (self.padding[1],) * 2)
        sums = convolve(maps, self.kernel, self.stride, pads, self.dilation, self.groups)
        return np.rint(sums).astype(np.int64)

    @property
    def magnitude(self) -> Array:
        """Sum of absolute weights per output channel."""
        return np.asarray(np.abs(self.kernel, dtype=np.int64).sum(axis=(1, 2, 3)))
