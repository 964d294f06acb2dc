"""Moments: how errors of weights reach the voltage, E[w x x'], with x what each input has left behind in it.

A neuron's voltage is linear in its weights between resets: v = sum_j W_j x_j, where x_j is input j filtered by the
current's and the voltage's decay, the latter cleared by the neuron's own spikes. An error D of a row therefore moves v
by D x, and costs D E[x x'] D' (the quadratic form of Optimal Brain Surgeon, Hassibi and Stork 1993, and of layer-wise
rounding, Frantar and others 2022, arXiv:2210.17323). The mean is weighted by how near v is to the threshold, because
far below it an error changes no spike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loihic.ir.graph import Graph
from loihic.ir.linear import ConvMap
from loihic.ir.node import Array
from loihic.ops.mapping import Map
from loihic.ops.neuron import Neuron
from loihic.ops.traits import Emit, Reset
from loihic.quant.groups import storable

NEAR = 0.3  # of the threshold: the distance at which a voltage counts for 1/e
LEAST = 1e-4  # and what it counts for at any distance
WORK = 1e10  # multiplications spent on one population's second moments
WIDEST = 1600  # inputs, above which only the diagonal is kept
POINTS = 256  # moments per row need at least so many sampled points; with fewer all rows share them
SHARING = 8  # rows that shared moments are sampled at
POSITIONS = 6  # of a feature map, per chunk of samples


@dataclass(frozen=True, kw_only=True)
class Moments:
    """The second moments of one map's inputs as they act on the voltage behind it.

    Attributes:
        diagonal: (columns,) or (rows, columns).
        full: (columns, columns) or (rows, columns, columns), over the columns of all maps in `maps` in that order; None
            where they are too many.
        bias: what a constant current does together with each column of `full`, and with itself at the end; so shaped.
        nearness: how much the errors of each row count, (rows,) or (): the mean nearness to the threshold.
        maps: which maps `full` runs over: all matrices into the population, or a single convolution.
    """

    diagonal: Array
    full: Array | None
    bias: Array | None
    nearness: Array
    maps: tuple[str, ...]


class MomentCollector:
    """Collects moments while the float reference runs."""

    def __init__(self, graph: Graph[Any], points: int, seed: int) -> None:
        self.probes: dict[str, list[_Probe]] = {}
        self.by_map: dict[str, _Probe] = {}
        self.rng = np.random.default_rng(seed)
        for name, node in graph.nodes.items():
            if not isinstance(node, Neuron):
                continue
            maps = {edge.src: graph.nodes[edge.src] for edge in graph.incoming[name]}
            linears = {key: storable(value.linear) for key, value in maps.items() if isinstance(value, Map)}
            matrices = {key: linear for key, linear in linears.items() if not isinstance(linear, ConvMap)}
            found: list[_Probe] = [_ConvProbe({key: linear}, node, points, self.rng)
                                   for key, linear in linears.items() if isinstance(linear, ConvMap)]
            if matrices:
                found.append(_Probe(matrices, node, points, self.rng))
            self.probes[name] = found
            self.by_map |= {key: probe for probe in found for key in probe.maps}

    def begin(self, samples: int) -> None:
        """A new chunk of samples starts from rest."""
        for probes in self.probes.values():
            for probe in probes:
                probe.begin(samples)

    def hear(self, name: str, x: Array) -> None:
        """What arrives at a map in this step, (N, *in_shape)."""
        if name in self.by_map:
            self.by_map[name].hear(name, x)

    def observe(self, name: str, node: Neuron, v: Array, sent: Array) -> None:
        """A population has computed: v after reset and what it sent, (N, *shape)."""
        for probe in self.probes[name]:
            probe.step(node, v, sent)

    def moments(self) -> dict[str, Moments]:
        """What was collected, by map."""
        return {name: probe.moments(name) for name, probe in self.by_map.items()}


class _Probe:
    """The filtered inputs of the matrices into one population, for its rows or a sample of them."""

    def __init__(self, linears: dict[str, Any], node: Neuron, points: int, rng: np.random.Generator) -> None:
        self.maps, self.rng = tuple(linears), rng
        self.linears = linears
        self.widths = [self._width(linear) for linear in linears.values()]
        self.columns, self.count = sum(self.widths) + 1, self._rows(node)  # the last one is a constant current
        cost = float(self.columns) ** (2 if self.columns <= WIDEST else 1)
        self.full = self.columns <= WIDEST
        self.each = self.count * min(points, POINTS) * cost <= WORK
        self.rows = np.arange(self.count) if self.each else np.sort(
            rng.choice(self.count, min(SHARING, self.count), replace=False))
        self.share = min(1.0, WORK / (len(self.rows) * points * cost))
        size = (len(self.rows) if self.each else 1, self.columns)
        self.total = np.zeros((*size, self.columns) if self.full else size)
        self.weight = np.zeros(size[0])
        self.points = 0
        self.decay_u, self.decay_v = (self._of_rows(value)[:, None, None].astype(np.float32)
                                      for value in (node.decay_u, node.decay_v))
        self.alike = bool(np.all(self.decay_u == self.decay_u.flat[0])) if self.decay_u.size else True

    def _width(self, linear: Any) -> int:
        return int(np.prod(linear.in_shape, dtype=np.int64))

    def _rows(self, node: Neuron) -> int:
        return int(np.prod(node.shape, dtype=np.int64))

    def _of_rows(self, values: Array) -> Array:
        """A per-neuron array for the sampled rows."""
        return np.asarray(values.reshape(-1)[self.rows])

    def begin(self, samples: int) -> None:
        self.x = np.ones((1, self._points(samples), self.columns), dtype=np.float32)
        currents = 1 if self.alike else len(self.rows)
        self.u = np.zeros((currents, *self.x.shape[1:]), dtype=np.float32)
        self.v = np.zeros((len(self.rows), *self.x.shape[1:]), dtype=np.float32)

    def _points(self, samples: int) -> int:
        return samples

    def hear(self, name: str, x: Array) -> None:
        place = self.maps.index(name)
        start = sum(self.widths[:place])
        self.x[0, :, start : start + self.widths[place]] = x.reshape(len(x), -1)

    def _at_rows(self, values: Array) -> Array:
        """(N, *shape) at the sampled rows: (rows, points)."""
        return np.asarray(values.reshape(len(values), -1)[:, self.rows].T)

    def step(self, node: Neuron, v: Array, sent: Array) -> None:
        """Take this step's inputs into the filters, and the step into the moments if it is sampled."""
        self.u = self.u * (self.decay_u[:1] if self.alike else self.decay_u) + self.x
        self.v = self.v * self.decay_v + self.u
        fired = self._at_rows(sent) > 0
        if self.share >= 1 or self.rng.random() < self.share:
            self._add(self._nearness(node, self._at_rows(v), fired))
        if node.emit is not Emit.STATE and node.reset is Reset.ZERO:
            self.v[fired] = 0.0

    def _nearness(self, node: Neuron, v: Array, fired: Array) -> Array:
        """How much an error counts at each row and point."""
        if node.emit is Emit.STATE:
            return np.ones(v.shape)
        threshold = np.maximum(self._of_rows(node.threshold), 0.0)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            near = np.where(threshold > 0, np.exp(-np.abs(v - threshold) / (NEAR * threshold)), 1.0)
        return np.where(fired, 1.0, near + LEAST)

    def _add(self, near: Array) -> None:
        weighted = self.v * near[:, :, None].astype(np.float32)
        if not self.each:
            weighted, plain = weighted.reshape(1, -1, self.columns), self.v.reshape(1, -1, self.columns)
            near = near.reshape(1, -1)
        else:
            plain = self.v
        self.weight += near.sum(axis=1)
        self.points += near.shape[1]
        self.total += np.matmul(weighted.transpose(0, 2, 1), plain) if self.full else (weighted * plain).sum(axis=1)

    def moments(self, name: str) -> Moments:
        mean = self.total / np.maximum(self.weight, 1e-300).reshape(-1, *[1] * (self.total.ndim - 1))
        diagonal = np.diagonal(mean, axis1=1, axis2=2) if self.full else mean
        if not self.each:
            mean, diagonal = mean[0], diagonal[0]
        full, bias = (mean[..., :-1, :-1], mean[..., -1, :]) if self.full else (None, None)
        start = sum(self.widths[: self.maps.index(name)])
        end = start + self.widths[self.maps.index(name)]
        nearness = self.weight / max(self.points, 1)
        return Moments(diagonal=np.asarray(diagonal[..., start:end]), full=full, bias=bias,
                       nearness=nearness if self.each else np.ones(()), maps=self.maps)


class _ConvProbe(_Probe):
    """The same for a convolution: rows are output channels, sampled at a few positions of the feature map."""

    def __init__(self, linears: dict[str, Any], node: Neuron, points: int, rng: np.random.Generator) -> None:
        (self.conv,) = linears.values()
        height, width = node.shape[1:]
        self.flat = np.sort(rng.choice(height * width, min(POSITIONS, height * width), replace=False))
        super().__init__(linears, node, points * len(self.flat), rng)
        self.group = self.rows // (self.conv.out_shape[0] // self.conv.groups)
        self.patch = _patch_index(self.conv, self.flat // width, self.flat % width)

    def _width(self, linear: Any) -> int:
        return int(np.prod(linear.kernel.shape[1:]))

    def _rows(self, node: Neuron) -> int:
        return node.shape[0]

    def _of_rows(self, values: Array) -> Array:
        return np.asarray(values.reshape(values.shape[0], -1)[self.rows, self.flat[0]])

    def _points(self, samples: int) -> int:
        return samples * len(self.flat)

    def begin(self, samples: int) -> None:
        super().begin(samples)
        if self.conv.groups > 1:
            self.u = np.zeros((len(self.rows), *self.u.shape[1:]), dtype=np.float32)

    def hear(self, name: str, x: Array) -> None:
        (top, bottom), (left, right) = self.conv.pads
        padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right))).reshape(len(x), -1)
        patches = padded[:, self.patch]  # (N, groups, positions, columns)
        groups = patches.transpose(1, 0, 2, 3).reshape(self.conv.groups, -1, self.columns - 1)
        if self.conv.groups > 1:
            groups = groups[self.group]
        constant = np.ones((*groups.shape[:2], 1))
        self.x = np.concatenate([groups, constant], axis=2, dtype=np.float32, casting="same_kind")

    def _at_rows(self, values: Array) -> Array:
        picked = values.reshape(*values.shape[:2], -1)[:, self.rows][:, :, self.flat]
        return np.asarray(picked.transpose(1, 0, 2).reshape(len(self.rows), -1))


def _patch_index(conv: ConvMap, rows: Array, cols: Array) -> Array:
    """Flat indices into the padded input of the windows at output (rows, cols): (groups, positions, columns)."""
    _, height, width = conv.in_shape
    group_in, kh, kw = conv.kernel.shape[1:]
    padded = (height + sum(conv.pads[0]), width + sum(conv.pads[1]))
    g, p, i, ky, kx = np.ogrid[: conv.groups, : len(rows), :group_in, :kh, :kw]
    y = rows[p] * conv.stride[0] + ky * conv.dilation[0]
    x = cols[p] * conv.stride[1] + kx * conv.dilation[1]
    index = ((g * group_in + i) * padded[0] + y) * padded[1] + x
    return np.asarray(index.reshape(conv.groups, len(rows), -1))
