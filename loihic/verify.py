"""verify: the simulator against Lava, the float reference or the golden output; the first divergence is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.node import Array
from loihic.ops.population import Population
from loihic.program import Program

AGAINST = ("lava", "float", "golden")


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """The first place where two runs differ."""

    node: str
    state: str
    sample: int
    step: int
    index: tuple[int, ...]
    ours: float
    theirs: float

    def __str__(self) -> str:
        where = f"{self.node}[{','.join(map(str, self.index))}].{self.state}"
        return f"sample {self.sample}, step {self.step}: {where} is {self.ours:g} in sim, {self.theirs:g} there"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome.

    Attributes:
        agrees: whether nothing differs.
        against: what was compared with.
        compared: number of values compared.
        first: the first divergence, if any.
        figures: counts for people and scripts, by name.
    """

    agrees: bool
    against: str
    compared: int
    first: Divergence | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        """The verdict for people."""
        word = "agrees with" if self.agrees else "differs from"
        found = [f"sim {word} {self.against}: {self.compared} values compared"]
        if self.first is not None:
            found.append(f"first divergence: {self.first}")
        return found + [f"{name}: {value:g}" for name, value in self.figures.items()]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        first = None if self.first is None else {"text": str(self.first), "node": self.first.node,
                                                 "state": self.first.state, "sample": self.first.sample,
                                                 "step": self.first.step, "index": list(self.first.index)}
        return {"agrees": self.agrees, "against": self.against, "compared": self.compared, "first": first,
                "figures": dict(self.figures)}


def verify(program: Program, x: Array | Mapping[str, Array] | None = None, *, against: str = "lava",
           timeout: float | None = None) -> Verdict:
    """Compare the simulator's run on `x` (the golden input by default).

    Args:
        program: the program.
        x: inputs as for `Program.run`.
        timeout: seconds, for Lava.
        against: ``lava``: u, v and output of every population at every step, and the outputs, bit for bit.
            ``float``: outputs against the float reference; spikes must be equal, graded outputs within one unit in 1e6.
            ``golden``: outputs on the golden input against those stored when the program was compiled.

    Raises:
        InputError: unknown `against`, or an input together with ``golden``.
        BackendError: Lava is missing or failed.
    """
    if against not in AGAINST:
        fail("LHC702", f"cannot verify against {against!r}", help=f"one of {', '.join(AGAINST)}", error=InputError)
    if against == "golden":
        if x is not None:
            fail("LHC702", "the golden output belongs to the golden input", help="leave INPUT out", error=InputError)
        ours = program.run().outputs
        theirs = {(name, "out"): values[None] for name, values in program.golden_output.items()}
        return _exact({(name, "out"): values for name, values in ours.items()}, theirs, against)
    if against == "float":
        return _against_float(program, x)
    states = [(name, state) for name, node in program.graph.nodes.items() if isinstance(node, Population)
              for state in (*node.states, "out")]
    # The kernels, where numba is there, however little there is to run: they are what is relied on where there is much.
    sim = program.run(x, record=states, raw=True, engine="flat" if find_spec("numba") else "numpy")
    lava = program.run(x, record=states, raw=True, backend="lava", timeout=timeout)
    return _exact(_all(sim.recorded, sim.outputs), _all(lava.recorded, lava.outputs), against)


def _all(recorded: Mapping[tuple[str, str], Array], outputs: Mapping[str, Array]) -> dict[tuple[str, str], Array]:
    return {**recorded, **{(name, "out"): values for name, values in outputs.items()}}


def _exact(ours: Mapping[tuple[str, str], Array], theirs: Mapping[tuple[str, str], Array], against: str) -> Verdict:
    compared = sum(values.size for values in ours.values())
    first = _first(ours, theirs)
    return Verdict(agrees=first is None, against=against, compared=compared, first=first)


def _first(ours: Mapping[tuple[str, str], Array], theirs: Mapping[tuple[str, str], Array]) -> Divergence | None:
    """The earliest step at which anything differs; of those, the first in graph order."""
    found: Divergence | None = None
    for (node, state), mine in ours.items():
        other = theirs[node, state]
        places = np.argwhere(mine != other)
        if not len(places):
            continue
        place = places[np.lexsort((places[:, 0], places[:, 1]))[0]]
        where = tuple(int(i) for i in place)
        if found is None or (where[1], where[0]) < (found.step, found.sample):
            found = Divergence(node=node, state=state, sample=where[0], step=where[1], index=where[2:],
                               ours=float(mine[where]), theirs=float(other[where]))
    return found


def chosen(values: Array, *, each_step: bool) -> Array:
    """The element of a vector output (N, T, n) with the greatest sum over the steps, or in each step."""
    return np.asarray(np.argmax(values if each_step else values.sum(axis=1), axis=-1))


def _against_float(program: Program, x: Array | Mapping[str, Array] | None) -> Verdict:
    """Outputs in real units against the float reference, with the figures that matter for spike trains."""
    ours = program.dequantise(program.run(x).outputs)
    theirs = program.run_float(x)
    rounded = {name: np.where(np.isclose(values, theirs[name], rtol=1e-6, atol=1e-9), theirs[name], values)
               for name, values in ours.items()}
    first = _first({(n, "out"): v for n, v in rounded.items()}, {(n, "out"): v for n, v in theirs.items()})
    mismatched = sum(int(np.sum(rounded[name] != values)) for name, values in theirs.items())
    spikes = sum(float(np.sum(np.abs(values))) for values in theirs.values())
    each = program.answers_each_step
    decisions = [np.mean(chosen(ours[name], each_step=each) == chosen(values, each_step=each))
                 for name, values in theirs.items() if values.ndim == 3 and values.shape[2] > 1]
    figures = {"mismatched entries": float(mismatched)}
    if not each:
        figures["mismatched per float spike"] = mismatched / max(spikes, 1.0)
    if decisions:
        figures["agreement of decisions"] = float(np.mean(decisions))
    compared = sum(values.size for values in theirs.values())
    return Verdict(agrees=first is None, against="float", compared=compared, first=first, figures=figures)
