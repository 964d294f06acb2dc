"""Budget: what a program may cost on the chip, where the compiler chooses its bits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from loihic.errors import InputError, fail

KINDS = {"words": "64-bit words of synaptic memory", "cores": "neurocores", "energy": "J per step in synapses"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """Limits that hold together; None where there is none.

    Attributes:
        words: 64-bit words of synaptic memory.
        cores: neurocores, by the least that the populations' memories take.
        energy: J per step for synaptic operations, everything that a step costs included.
        max_error: the output error that is allowed, while the words are made as few as possible.
    """

    words: int | None = None
    cores: int | None = None
    energy: float | None = None
    max_error: float | None = None

    def __str__(self) -> str:
        given = ((item.name, getattr(self, item.name)) for item in fields(self))
        return ",".join(f"{name}={value:g}" for name, value in given if value is not None)

    @classmethod
    def parse(cls, limits: Iterable[str], max_error: float | None = None) -> Budget:
        """A budget from ``words=5000``, ``cores=64``, ``energy=1e-6``; several may be in one text, with commas.

        Raises:
            InputError: LHC702.
        """
        found: dict[str, float] = {}
        for text in ",".join(limits).split(","):
            if not text.strip():
                continue
            kind, _, number = (part.strip() for part in text.partition("="))
            try:
                value = float(number)
            except ValueError:
                value = 0.0
            if kind not in KINDS or not 0 < value < float("inf"):
                fail("LHC702", f"{text!r} is no budget", error=InputError, help="; ".join(
                    f"{name}=N: {what}" for name, what in KINDS.items()))
            found[kind] = value
        if max_error is not None and not 0 < max_error < float("inf"):
            fail("LHC702", f"--max-error {max_error} has no meaning", error=InputError, help="a positive number")
        words, cores = found.get("words"), found.get("cores")
        return cls(words=None if words is None else int(words), cores=None if cores is None else int(cores),
                   energy=found.get("energy"), max_error=max_error)
