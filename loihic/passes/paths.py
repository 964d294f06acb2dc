"""Paths: what adds up at a node, as linear maps from the points that send it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from loihic.ir.linear import DenseMap, IdentityMap, LinearMap, SparseMap, add, compose, diagonal, selection
from loihic.ir.node import Array, Shape, SourceNode, merged_origins
from loihic.ops.matrix import Matrix
from loihic.passes.staircases import Stage

Way = tuple[str, int, int]  # source, delay in steps, and a number for ways whose weights have no unit in common


@dataclass(frozen=True)
class Path:
    """One linear way from a point (an Input, neuron or delay line) to where it is used.

    Attributes:
        linear: the real weights.
        origins: the nodes that it leads through.
        unit: of which the weights are whole multiples, of the output's shape; None if of none.
    """

    linear: LinearMap
    origins: tuple[str, ...] = ()
    unit: Array | None = None


@dataclass
class Arriving:
    """What adds up at a node: paths from points, and a constant; and the functions of the sum."""

    paths: dict[Way, Path] = field(default_factory=dict)
    constant: Array | float = 0.0
    stages: tuple[Stage, ...] = ()

    def put(self, source: str, delay: int, path: Path) -> None:
        """Add a path; parallel paths of the same delay become one, unless both have units and these do not agree."""
        number = 0
        while (old := self.paths.get((source, delay, number))) is not None:
            unit = _common_unit(old.unit, path.unit)
            if unit is not None or old.unit is None or path.unit is None:
                path = Path(add(old.linear, path.linear), merged_origins(old.origins, path.origins), unit)
                break
            number += 1
        self.paths[source, delay, number] = path

    def selected(self, index: Array) -> Arriving:
        """The elements at flat indices, of the shape of `index`."""
        found = Arriving()
        for (source, delay, _), path in self.paths.items():
            move = selection(path.linear.out_shape, index)
            unit = None if path.unit is None else path.unit.reshape(-1)[index]
            found.put(source, delay, Path(compose(move, path.linear), path.origins, unit))
        if np.any(self.constant):
            shape = next(iter(self.paths.values())).linear.out_shape
            found.constant = np.broadcast_to(self.constant, shape).reshape(-1)[index]
        return found

    def minus(self, other: Arriving) -> Arriving:
        """The difference of two sums."""
        found = Arriving(paths=dict(self.paths), constant=self.constant - other.constant)
        for (source, delay, _), path in other.paths.items():
            found.put(source, delay, replace(path, linear=path.linear.scaled(np.asarray(-1.0))))
        return found

    def plus(self, point: str, shape: Shape) -> Arriving:
        """This sum and what a point of the same shape sends."""
        found = Arriving(paths=dict(self.paths), constant=self.constant)
        found.put(point, 0, Path(IdentityMap(in_shape=shape, out_shape=shape), unit=np.ones(shape)))
        return found


def composed_unit(outer: LinearMap, unit: Array | None, inner: Array | None) -> Array | None:
    """The unit of outer A, whose weights are multiples of `unit`, behind a path whose own unit is `inner`."""
    if inner is None:
        return None
    if outer.is_identity:
        return inner.reshape(outer.out_shape)
    if outer.in_shape == outer.out_shape and (factors := diagonal(outer)) is not None:
        return np.asarray(np.abs(factors) * inner)
    if unit is not None and inner.size and np.all(inner == inner.flat[0]):
        return np.asarray(np.broadcast_to(unit, outer.out_shape) * inner.flat[0])
    if (moved := moves(outer)) is not None:
        return np.where(moved >= 0, inner.reshape(-1)[moved], inner.max(initial=0.0))
    return None


def moves(linear: LinearMap) -> Array | None:
    """The flat index that each output of a map is a copy of, (*out_shape), -1 for none; None if it does more."""
    if linear.is_identity:
        return np.arange(int(np.prod(linear.out_shape))).reshape(linear.out_shape)
    if isinstance(linear, DenseMap):
        if np.count_nonzero(linear.matrix[:1]) > 1:  # most matrices: not worth making them sparse
            return None
        matrix = linear.to_csr()
    elif isinstance(linear, SparseMap):
        matrix = linear.matrix
    else:
        return None
    counts = np.diff(matrix.indptr)
    if np.any(counts > 1) or not np.all(matrix.data == 1.0):
        return None
    index = np.full(len(counts), -1, dtype=np.int64)
    index[counts == 1] = matrix.indices
    return np.asarray(index.reshape(linear.out_shape))


def moved_by(node: SourceNode) -> Array | None:
    """The flat indices of what a node passes on, as `moves` gives them, if it does no more than that; else None."""
    return moves(node.linear) if isinstance(node, Matrix) and node.bias is None else None


def _common_unit(first: Array | None, second: Array | None) -> Array | None:
    """A unit of which both are whole multiples; None where there is none at once."""
    if first is None or second is None:
        return None
    least = np.minimum(first, second)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.maximum(first, second) / least
    return least if np.all(np.abs(parts - np.rint(parts)) < 1e-9) else None
