"""The input that a run has taken, known again when the run is taken up."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from loihic.commands.row_digest import READ_BYTES, RowDigest
from loihic.ir.node import Array


class InputTrace:
    """A digest of every value that a run has taken.

    Args:
        inputs: (N, T, *shape) by name; mapped files are read bit by bit.
    """

    def __init__(self, inputs: Mapping[str, Array]) -> None:
        self.inputs = inputs
        self.digests = {name: RowDigest() for name in inputs}

    def take(self, first: int, begin: int, end: int, count: int) -> None:
        """Take the steps from `begin` to `end` of the block of `count` samples that begins with the sample `first`."""
        for name, values in self.inputs.items():
            most = max(1, READ_BYTES // max(1, values[:1, :1].nbytes))
            for index in range(count):
                for at in range(begin, end, most):
                    own = np.ascontiguousarray(values[first + index, at : min(end, at + most)])
                    self.digests[name].take(first, index, own.tobytes())

    def take_again(self, done: int, batch: int, steps: int) -> None:
        """Take what an interrupted run had taken: all of `done` samples, and `steps` of the `batch` after them."""
        for sample in range(done):
            self.take(sample, 0, next(iter(self.inputs.values())).shape[1], 1)
        self.take(done, 0, steps, batch)

    def hexdigest(self) -> str:
        """Of all inputs, with their names and types."""
        digest = hashlib.sha256()
        for name, values in sorted(self.inputs.items()):
            digest.update(f"{name}|{values.dtype.str}|{self.digests[name].hexdigest()}|".encode())
        return digest.hexdigest()
