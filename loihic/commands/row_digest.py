"""What an interrupted run has left in its outputs, and a digest by which it is known again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

READ_BYTES = 1 << 20  # at a time


class RowDigest:
    """A digest of what has been written to an array: the SHA-256 of the SHA-256 of each sample's steps.

    It does not depend on how samples are cut into blocks and steps into parts.
    """

    def __init__(self) -> None:
        self._before = hashlib.sha256()  # of the samples before the block under way
        self._first = 0
        self._block: list[hashlib._Hash] = []

    def take(self, first: int, index: int, data: bytes) -> None:
        """Take the next steps of sample `index` of the block that begins with the sample `first`."""
        if first != self._first:
            self._before, self._first, self._block = self._folded(), first, []
        while len(self._block) <= index:
            self._block.append(hashlib.sha256())
        self._block[index].update(data)

    def hexdigest(self) -> str:
        """The digest of what was taken."""
        return self._folded().hexdigest()

    def _folded(self) -> hashlib._Hash:
        folded = self._before.copy()
        for digest in self._block:
            folded.update(digest.digest())
        return folded


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What a run had written of an array (N, T, *shape) when its last checkpoint was.

    Attributes:
        done: number of samples before the block under way, which are complete.
        batch: number of samples of that block.
        steps: number of their steps that are written.
        digest: as of `RowDigest`.
    """

    done: int
    batch: int
    steps: int
    digest: str

    def read(self, file: IO[bytes], begin: int, length: int, row: int) -> RowDigest:
        """The digest of these rows as a file has them; it can take what is written next.

        Args:
            file: holds the array from `begin` on.
            begin: in bytes.
            length: number of steps T of the array.
            row: bytes of a step.
        """
        found = RowDigest()
        for sample in range(self.done + self.batch):
            first, steps = (sample, length) if sample < self.done else (self.done, self.steps)
            found.take(first, sample - first, b"")  # a sample of no steps is one, too
            file.seek(begin + sample * length * row)
            for at in range(0, steps * row, READ_BYTES):
                found.take(first, sample - first, file.read(min(READ_BYTES, steps * row - at)))
        return found


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a checkpoint says of the outputs that an interrupted run has left.

    Attributes:
        done: number of samples that are complete.
        batch: number of samples under way.
        answered: number of their steps that are in the outputs.
        recorded: number of their steps of which states are recorded.
        digests: of each array, by the name of the output or ``NODE.STATE``.
    """

    done: int
    batch: int
    answered: int
    recorded: int
    digests: Mapping[str, str]

    def rows(self, name: str, *, recorded: bool) -> Rows:
        """Of the array of that name."""
        return Rows(done=self.done, batch=self.batch, steps=self.recorded if recorded else self.answered,
                    digest=self.digests[name])
