"""From a user's arrays to the integers that a program is sent, all at once or in parts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.node import Array
from loihic.ops.source import Source


class InputEncoder:
    """Encodes an input part by part; the parts of an input give the integers of the whole.

    Args:
        sources: the input ports by name.
        told: where an earlier encoder left off (its `told`).
        step: the first step; messages count from it.
        first_sample: number of the first sample in the user's input, from which messages count.

    Attributes:
        told: per delta-coded port, the sum of everything sent so far, (N, *shape); nothing before the first part.
        step: number of steps encoded, counted from `step`.
    """

    def __init__(self, sources: Mapping[str, Source], *, told: Mapping[str, Array] | None = None, step: int = 0,
                 first_sample: int = 0) -> None:
        self.sources, self.told, self.step, self.first_sample = sources, dict(told or {}), step, first_sample

    def encode(self, fitted: Mapping[str, Array]) -> dict[str, Array]:
        """What is sent for the next steps.

        Args:
            fitted: real values (N, t, *shape) per port, as `loihic.golden.fit_inputs` gives them.

        Returns:
            Per port, integers (N, t, *shape).

        Raises:
            InputError: LHC111, if values are not whole where they must be, or leave the compiled range; the encoder is
                then as it was.
        """
        first = (self.first_sample, self.step)
        levels = {name: checked_levels(name, self.sources[name], values, first) for name, values in fitted.items()}
        for name, own in levels.items():
            source = self.sources[name]
            if source.delta:
                told = self.told[name] if name in self.told else np.zeros((len(own), *source.shape), dtype=np.int64)
                levels[name], self.told[name] = source.changes(own, told)
        self.step += next((values.shape[1] for values in levels.values()), 0)
        return levels


def checked_levels(name: str, source: Source, values: Array, first: tuple[int, int] = (0, 0)) -> Array:
    """The levels of real values (N, t, *shape) of the port `name`; messages count samples and steps from `first`.

    Raises:
        InputError: LHC111.
    """
    levels = source.levels(values)
    if source.exact and not np.array_equal(levels * source.scale, values):
        fail("LHC111", f"input {name} holds values that are not whole", node=name, error=InputError,
             param="the program was compiled for integer inputs (spikes or counts); "
                   f"first {_place(levels * source.scale != values, first)}",
             help="compile with --input-range LO HI --input-bits 8, or with --calibration")
    low, high = int(levels.min(initial=0)), int(levels.max(initial=0))
    if low < source.low or high > source.high:
        least, most = (float(np.max(end * source.scale)) for end in (low, high))
        fail("LHC111", f"input {name} leaves the range that the program was compiled for", node=name,
             param=f"values {least:g}..{most:g}, compiled for {source.real_range[0]:g}..{source.real_range[1]:g}; "
                   f"first {_place((levels < source.low) | (levels > source.high), first)}",
             help=f"compile with --input-range {least:g} {most:g}", error=InputError)
    return levels


def _place(wrong: Array, first: tuple[int, int]) -> str:
    """The earliest step at which anything is wrong, and the first sample of which it is."""
    steps = np.any(wrong.reshape(*wrong.shape[:2], -1), axis=2)
    step = int(np.argmax(steps.any(axis=0)))
    return f"in step {first[1] + step} of sample {first[0] + int(np.argmax(steps[:, step]))}"
