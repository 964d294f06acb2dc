"""Input ranges and the golden input: what a program is compiled for, and the input it carries along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.graph import Graph
from loihic.ir.node import Array, Shape
from loihic.ops.ports import Input
from loihic.ops.source import Source
from loihic.options import Options
from loihic.quant.histogram import Histogram

DENSITIES = (0.05, 0.3, 0.0, 0.1)  # of spikes, over the four quarters of the golden input


@dataclass(frozen=True, kw_only=True)
class InputRanges:
    """Per Input node: integer range, real range, scale, message bits, and a sample to observe ranges on."""

    integers: Mapping[str, tuple[int, int]]
    scale: Mapping[str, Array]
    bits: Mapping[str, int]
    exact: Mapping[str, bool]
    sample: Mapping[str, Array]
    clipped: frozenset[str] = frozenset()

    @property
    def real(self) -> dict[str, tuple[float, float]]:
        """Least and greatest real value per input."""
        return {name: (float(np.min(low * self.scale[name])), float(np.max(high * self.scale[name])))
                for name, (low, high) in self.integers.items()}

    def source(self, name: str, node: Input) -> Source:
        """The integer port of an Input node."""
        low, high = self.integers[name]
        return Source(origins=node.origins, shape=node.shape, low=low, high=high, scale=self.scale[name],
                      exact=self.exact[name], clips=name in self.clipped, preparation=node.preparation)


def input_ranges(graph: Graph[Any], options: Options) -> InputRanges:
    """The ranges to compile for: declared, else calibrated, else binary spikes."""
    integers: dict[str, tuple[int, int]] = {}
    scale: dict[str, Array] = {}
    bits: dict[str, int] = {}
    exact: dict[str, bool] = {}
    sample: dict[str, Array] = {}
    clipped: set[str] = set()
    for index, (name, node) in enumerate(graph.of(Input)):
        data = options.calibration.get(name)
        if node.preparation is not None:
            steps = node.preparation.steps
            integers[name], scale[name] = (steps.low, steps.high), steps.scale
            bits[name], exact[name] = int(max(-steps.low, steps.high)).bit_length() + 1, False
            levels = node.preparation.levels(data) if data is not None else golden_input(
                node.shape, integers[name], options.golden_steps, options.seed + index)[None]
            sample[name] = levels * scale[name]
            continue
        low, high = options.input_range or (0.0, 1.0)
        if data is not None and options.input_range is None:
            low, high = min(0.0, float(np.min(data, initial=0.0))), max(1.0, float(np.max(data, initial=0.0)))
        real = options.input_bits > 0 or (data is not None and not np.array_equal(data, np.rint(data)))
        if real:
            width = options.input_bits or 8
            top = (1 << (width - 1)) - 1 if low < 0 else (1 << width) - 1
            if data is not None and options.input_range is None and options.clip != "max":
                size = _histogram(data).clip(options.clip, top)
                if size < max(-low, high):
                    low, high = max(low, -size), min(high, size)
                    clipped.add(name)
            scale[name] = np.asarray(max(-low, high) / top)
        else:
            scale[name] = np.ones(())
        exact[name] = not real
        integers[name] = (int(np.floor(low / scale[name] + 1e-9)), int(np.ceil(high / scale[name] - 1e-9)))
        reach = max(-integers[name][0], integers[name][1])
        bits[name] = 0 if integers[name] == (0, 1) else int(reach).bit_length() + 1
        ported = node.shape
        sample[name] = (
            np.asarray(data, dtype=np.float64) if data is not None
            else golden_input(ported, integers[name], options.golden_steps, options.seed + index)[None] * scale[name])
    return InputRanges(integers=integers, scale=scale, bits=bits, exact=exact, sample=sample,
                       clipped=frozenset(clipped))


def _histogram(values: Array) -> Histogram:
    histogram = Histogram()
    histogram.add(values)
    return histogram


def golden_input(shape: Shape, integers: tuple[int, int], steps: int, seed: int) -> Array:
    """A seeded input (steps, *shape): sparse, dense, silent and middling quarters over the whole range."""
    rng = np.random.default_rng(seed)
    low, high = integers
    out = np.zeros((steps, *shape), dtype=np.int64)
    for quarter, density in enumerate(DENSITIES):
        part = out[steps * quarter // len(DENSITIES) : steps * (quarter + 1) // len(DENSITIES)]
        values = rng.integers(low, high, size=part.shape, endpoint=True)
        if low == 0:
            values = np.maximum(values, 1)
        part[...] = np.where(rng.random(part.shape) < density, values, 0)
    return out


def fit_inputs(raw: Array | Mapping[str, Array], ports: Mapping[str, Shape], *, part: bool = False
               ) -> dict[str, Array]:
    """Arrays per input node, each (N, T, *shape), from what a user hands over.

    Args:
        raw: (T, *shape) or (N, T, *shape), or such arrays by input name.
        ports: shape of one step of each input.
        part: whether the arrays are part of a longer input, and may have no steps.

    Raises:
        InputError: LHC110, with names, shapes and what was expected.
    """
    fitted = fit_shapes(raw, ports, part=part)
    for name, array in fitted.items():
        if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            fail("LHC110", f"input {name} holds NaN or infinity", node=name, error=InputError)
    return fitted


def fit_shapes(raw: Array | Mapping[str, Array], ports: Mapping[str, Shape], *, part: bool = False
               ) -> dict[str, Array]:
    """As `fit_inputs`, but no value is looked at: the arrays may be mapped files of any size.

    Raises:
        InputError: LHC110.
    """
    if not isinstance(raw, Mapping):
        if len(ports) != 1:
            fail("LHC110", f"the program has {len(ports)} inputs, but one array was given", error=InputError,
                 help=f"give an .npz with the arrays {', '.join(ports)}")
        raw = {next(iter(ports)): raw}
    unknown, missing = sorted(set(raw) - set(ports)), sorted(set(ports) - set(raw))
    if missing and len(ports) == 1 and len(raw) == 1:
        raw, unknown, missing = {next(iter(ports)): next(iter(raw.values()))}, [], []
    if unknown or missing:
        fail("LHC110", "the arrays are not named as the program's inputs", error=InputError,
             param=f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}",
             help=f"inputs are {', '.join(f'{n} {s}' for n, s in ports.items())}")
    fitted = {name: _fit_one(name, np.asarray(raw[name]), shape, part) for name, shape in ports.items()}
    sizes = {name: array.shape[:2] for name, array in fitted.items()}
    if len(set(sizes.values())) > 1:
        fail("LHC110", "the inputs differ in samples or steps", error=InputError, param=str(sizes))
    return fitted


def _fit_one(name: str, array: Array, shape: Shape, part: bool) -> Array:
    if array.dtype.kind not in "buif":
        fail("LHC110", f"input {name} is of type {array.dtype}, not numbers", node=name, error=InputError)
    if array.ndim == len(shape) + 1:
        array = array[None]
    if array.ndim != len(shape) + 2 or array.shape[2:] != shape:
        fail("LHC110", f"input {name} has shape {array.shape}", node=name, error=InputError,
             help=f"it must be (T, {', '.join(map(str, shape))}) or (N, T, {', '.join(map(str, shape))})")
    if 0 in array.shape[: 1 if part else 2]:
        fail("LHC110", f"input {name} is empty", node=name, param=f"shape {array.shape}", error=InputError)
    return array
