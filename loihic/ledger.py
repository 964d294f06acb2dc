"""The loss ledger: every place where the program differs from what was trained, by how much and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """One difference.

    Attributes:
        node: the node's name.
        kind: weights, decay, threshold, bias, range, input, delay, dt or shape.
        param: which parameter.
        wanted: what the trained network has, for people.
        actual: what the program has, for people.
        error: the relative error where there is one: root mean square for arrays.
        why: the reason, in a few words.
        effect: measured: by how much the output error shrinks when this loss alone is undone.
    """

    node: str
    kind: str
    param: str
    wanted: str
    actual: str
    error: float | None = None
    why: str = ""
    effect: float | None = None

    @property
    def is_loss(self) -> bool:
        """False for what is recorded for the reader's sake but changes no value (an assumption, a proof)."""
        return self.error is not None and self.error > 0

    @property
    def is_unproven(self) -> bool:
        """Whether it says that a state is not proven to stay in its range: no error yet, but an input may make one."""
        return self.kind == "range"


@dataclass
class Ledger:
    """Losses in the order in which passes found them."""

    losses: list[Loss] = field(default_factory=list)

    def add(self, loss: Loss) -> None:
        """Write a loss down."""
        self.losses.append(loss)

    def __iter__(self) -> Iterator[Loss]:
        return iter(self.losses)

    def __len__(self) -> int:
        return len(self.losses)

    def summary(self) -> dict[str, dict[str, float | int]]:
        """Per kind: the number of entries, the greatest relative error and, where measured, the greatest effect."""
        found: dict[str, dict[str, float | int]] = {}
        for loss in self.losses:
            entry = found.setdefault(loss.kind, {"entries": 0, "largest_error": 0.0})
            entry["entries"] += 1
            entry["largest_error"] = max(entry["largest_error"], loss.error or 0.0)
            if loss.effect is not None:
                entry["largest_effect"] = max(entry.get("largest_effect", loss.effect), loss.effect)
        return found

    def to_json(self) -> list[dict[str, Any]]:
        """Plain data."""
        return [asdict(loss) for loss in self.losses]

    @classmethod
    def from_json(cls, data: list[dict[str, Any]]) -> Ledger:
        """The inverse of `to_json`."""
        return cls([Loss(**entry) for entry in data])
