"""SparseSynapse: a sparse matrix of weights (lava.proc.sparse.process.Sparse)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from scipy import sparse

from loihic.ir.node import Array
from loihic.ir.registry import register_op
from loihic.ops.synapse import Synapse


@register_op("SparseSynapse", "sparse matrix of weights, one exponent")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SparseSynapse(Synapse):
    """Weights in CSR form: row r (an output) has `data[indptr[r]:indptr[r+1]]` at columns `indices[...]`."""

    data: Array
    indices: Array
    indptr: Array

    def matrix(self) -> sparse.csr_matrix:
        """The weights as scipy has them, int64."""
        size = (prod(self.out_shape), prod(self.in_shape))
        return sparse.csr_matrix((self.data.astype(np.int64), self.indices, self.indptr), shape=size)

    def accumulate(self, message: Array) -> Array:
        flat = message.reshape(message.shape[0], -1).astype(np.int64)
        return np.asarray((self.matrix() @ flat.T).T).reshape(message.shape[0], *self.out_shape)

    @property
    def magnitude(self) -> Array:
        """Sum of absolute weights per output."""
        return np.asarray(abs(self.matrix()).sum(axis=1)).reshape(-1)
