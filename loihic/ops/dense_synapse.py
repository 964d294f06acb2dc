"""DenseSynapse: a full matrix of weights (lava.proc.dense.process.Dense)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loihic.ir.node import Array
from loihic.ir.registry import register_op
from loihic.ops.synapse import Synapse, exact_product


@register_op("DenseSynapse", "full matrix of weights, one exponent")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DenseSynapse(Synapse):
    """`weights` are mantissas (n_out, n_in) as Lava stores them."""

    weights: Array

    def accumulate(self, message: Array) -> Array:
        flat = message.reshape(message.shape[0], -1)
        return exact_product(self.weights, flat).reshape(message.shape[0], *self.out_shape)

    @property
    def magnitude(self) -> Array:
        """Sum of absolute weights per output."""
        return np.asarray(np.abs(self.weights, dtype=np.int64).sum(axis=1))
