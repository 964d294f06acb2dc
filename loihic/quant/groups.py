"""Synapse groups: the weights of one fused map, row by row, as quantisation sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np
from scipy import sparse

from loihic.ir.linear import ConvMap, DenseMap, LinearMap, SparseMap, as_matrix
from loihic.ir.node import Array

INT8_MAX = 127  # Lava's Conv keeps its sizes in int8 and goes wrong beyond without a word


def storable(linear: LinearMap) -> LinearMap:
    """The map in a form that a synapse has: a convolution that Lava can express, or a matrix."""
    return linear if fits_conv(linear) else as_matrix(linear)


def fits_conv(linear: LinearMap) -> bool:
    """Whether Lava's Conv can express a convolution: the same padding on both sides, and sizes that fit its int8."""
    if not isinstance(linear, ConvMap):
        return False
    sizes = (*linear.kernel.shape[2:], *linear.stride, *linear.dilation, linear.groups)
    return all(low == high for low, high in linear.pads) and max(*sizes, *linear.pads[0], *linear.pads[1]) <= INT8_MAX


def values_of(linear: LinearMap) -> Array:
    """The weights, flat; those of a sparse matrix as far as they are stored."""
    if isinstance(linear, ConvMap):
        return linear.kernel.reshape(-1)
    matrix = as_matrix(linear)
    return np.asarray(matrix.matrix.reshape(-1) if isinstance(matrix, DenseMap) else matrix.to_csr().data)


def with_values(linear: LinearMap, values: Array) -> LinearMap:
    """The map with other weights, flat as `values_of` gives them."""
    if isinstance(linear, ConvMap):
        return replace(linear, kernel=values.reshape(linear.kernel.shape))
    if isinstance(linear, DenseMap):
        return replace(linear, matrix=values.reshape(linear.matrix.shape))
    assert isinstance(linear, SparseMap)
    parts = (values, linear.matrix.indices, linear.matrix.indptr)
    return replace(linear, matrix=sparse.csr_matrix(parts, shape=linear.matrix.shape))


def pruned(linear: LinearMap, scores: Array, share: float) -> tuple[LinearMap, LinearMap]:
    """A matrix without the `share` of its weights with the least scores, and a matrix of those."""
    values = values_of(linear)
    least = np.zeros(values.size, dtype=bool)
    least[np.argpartition(scores, count)[:count] if (count := int(values.size * share)) else []] = True
    rows = Rows(linear=linear)
    columns, counts = rows.by_column(np.arange(rows.width)), rows.sum

    def only(kept: Array) -> SparseMap:
        ends = np.concatenate([[0], np.cumsum(counts(kept.astype(float)))]).astype(np.int64)
        shape = (rows.count, rows.width)
        return SparseMap(in_shape=linear.in_shape, out_shape=linear.out_shape,
                         matrix=sparse.csr_matrix((values[kept], columns[kept], ends), shape=shape))

    return only(~least), only(least)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """The weights of a map by row: a neuron's for a matrix, an output channel's for a convolution.

    Attributes:
        linear: the map, in storable form.
    """

    linear: LinearMap

    @property
    def is_conv(self) -> bool:
        """Whether the rows are output channels."""
        return isinstance(self.linear, ConvMap)

    @cached_property
    def values(self) -> Array:
        """The weights, flat."""
        return values_of(self.linear)

    @cached_property
    def count(self) -> int:
        """Number of rows."""
        return self.linear.out_shape[0] if self.is_conv else prod(self.linear.out_shape)

    @cached_property
    def starts(self) -> Array | None:
        """Where each row begins in `values`, and the end; None if all rows are equally long."""
        return self.linear.matrix.indptr if isinstance(self.linear, SparseMap) else None

    @cached_property
    def columns(self) -> Array | None:
        """The column of each weight of a sparse matrix."""
        return self.linear.matrix.indices if isinstance(self.linear, SparseMap) else None

    @cached_property
    def width(self) -> int:
        """Number of columns: inputs of a matrix, weights of a channel's kernel."""
        return prod(self.linear.kernel.shape[1:]) if isinstance(self.linear, ConvMap) else prod(self.linear.in_shape)

    def sum(self, flat: Array) -> Array:
        """The sum of each row."""
        if self.starts is None:
            return np.asarray(flat.reshape(self.count, -1).sum(axis=1))
        return np.diff(np.concatenate([[0.0], np.cumsum(flat)])[self.starts])

    def peak(self, flat: Array) -> Array:
        """The greatest magnitude of each row; 0 for an empty one."""
        if self.starts is None:
            return np.asarray(np.abs(flat.reshape(self.count, -1)).max(axis=1, initial=0.0))
        peaks = np.zeros(self.count)
        np.maximum.at(peaks, np.repeat(np.arange(self.count), np.diff(self.starts)), np.abs(flat))
        return peaks

    @cached_property
    def peaks(self) -> Array:
        """The greatest magnitude in each row."""
        return self.peak(self.values)

    def spread(self, rows: Array) -> Array:
        """A number per row given to each of its weights, flat."""
        if self.starts is None:
            return np.repeat(rows, self.values.size // max(self.count, 1))
        return np.repeat(rows, np.diff(self.starts))

    def by_column(self, columns: Array) -> Array:
        """A number per column, or per row and column, given to each weight, flat."""
        if self.columns is not None and self.starts is not None:
            if columns.ndim == 1:
                return np.asarray(columns[self.columns])
            return np.asarray(columns[np.repeat(np.arange(self.count), np.diff(self.starts)), self.columns])
        return np.broadcast_to(columns, (self.count, self.width)).reshape(-1)

    def dense(self, flat: Array) -> Array:
        """(rows, columns), zeros where a sparse matrix stores nothing."""
        if self.columns is None:
            return flat.reshape(self.count, -1)
        shape = (self.count, self.width)
        return np.asarray(sparse.csr_matrix((flat, self.columns, self.starts), shape=shape).toarray())

    def flat(self, dense: Array) -> Array:
        """The inverse of `dense`, for the stored weights."""
        if self.columns is None or self.starts is None:
            return dense.reshape(-1)
        return np.asarray(dense[np.repeat(np.arange(self.count), np.diff(self.starts)), self.columns])


def column_units(rows: Rows, unit: Array) -> Array:
    """The worth of 1 in each column's messages: one number, or (columns,)."""
    if unit.size == 1:
        return unit.reshape(())
    if isinstance(rows.linear, ConvMap):
        return np.repeat(unit[:, 0, 0], rows.width // len(unit))
    return unit.reshape(-1)
