"""RunState: all that a run needs to be taken up again, and what it must look like to fit a program."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from loihic.errors import InputError, fail
from loihic.ir.codec import Encoder
from loihic.ir.graph import HardwareGraph
from loihic.ir.node import Array, Shape
from loihic.ops.delay_line import DelayLine
from loihic.ops.population import Population
from loihic.ops.source import Sink, Source
from loihic.sim.align import waiting
from loihic.sim.engine import ARRIVING, LINE, Checkpoint

MOST_STEPS = 1 << 62
Note = Mapping[str, int | str]


@dataclass(frozen=True, kw_only=True)
class RunState:
    """A run after some input steps; any engine can go on from it.

    Attributes:
        program: `graph_digest` of what runs.
        batch: number of samples N.
        checkpoint: states of the engine; its `step` is the number of input steps taken.
        told: per delta-coded Source, the sum of everything sent, (N, *shape).
        held: per Sink, answers that wait for slower Sinks, (N, steps, *shape).
        note: what the caller wants to find again.
    """

    program: str
    batch: int
    checkpoint: Checkpoint
    told: Mapping[str, Array] = field(default_factory=dict)
    held: Mapping[str, Array] = field(default_factory=dict)
    note: Note = field(default_factory=dict)

    @property
    def step(self) -> int:
        """Number of input steps taken."""
        return self.checkpoint.step

    def check(self, graph: HardwareGraph) -> None:
        """Check that this is a state of `graph`.

        Raises:
            InputError: LHC116, if it is one of another program, or has arrays that such a state cannot have.
        """
        check_program(self.program, graph)
        wanted, found = expected(graph, self.batch, self.step), self.tensors()
        wrong = [key for key in wanted.keys() | found.keys()
                 if key not in wanted or key not in found or found[key].shape != wanted[key]
                 or found[key].dtype != np.int64]
        if wrong:
            fail("LHC116", "the state does not fit the program", param=f"at {min(wrong)}", error=InputError,
                 help="take states as they come from Stream.state() or load_state()")

    def tensors(self) -> dict[str, Array]:
        """All arrays, under ``state/NAME/NODE``, ``told/SOURCE`` and ``held/SINK``."""
        found = {f"state/{key}/{node}": values for node, states in self.checkpoint.states.items()
                 for key, values in states.items()}
        found |= {f"told/{name}": values for name, values in self.told.items()}
        return found | {f"held/{name}": values for name, values in self.held.items()}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Array], *, program: str, batch: int, step: int, note: Note) -> RunState:
        """The state that has these `tensors`, whose names and shapes are as `expected`."""
        states: dict[str, dict[str, Array]] = {}
        others: dict[str, dict[str, Array]] = {"told": {}, "held": {}}
        for key, values in tensors.items():
            kind, name = key.split("/", 1)
            if kind == "state":
                state, node = name.split("/", 1)
                states.setdefault(node, {})[state] = values
            else:
                others[kind][name] = values
        return cls(program=program, batch=batch, checkpoint=Checkpoint(step=step, states=states), note=note, **others)


def expected(graph: HardwareGraph, batch: int, step: int) -> dict[str, Shape]:
    """Names and shapes of the arrays of a state of `graph` for `batch` samples after `step` steps; all are int64."""
    found: dict[str, Shape] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, Population):
            found |= {f"state/{key}/{name}": (batch, *node.shape) for key in (*node.initial(0), ARRIVING)}
        elif isinstance(node, DelayLine):
            found[f"state/{LINE}/{name}"] = (int(node.steps.max(initial=1)), batch, *node.shape)
        elif isinstance(node, Source) and node.delta:
            found[f"told/{name}"] = (batch, *node.shape)
    sinks = {name: node for name, node in graph.nodes.items() if isinstance(node, Sink)}
    return found | {f"held/{name}": (batch, steps, *graph.shapes[name])
                    for name, steps in waiting(sinks, step).items()}


def graph_digest(graph: HardwareGraph) -> str:
    """SHA-256 of everything that decides what a program computes."""
    encoder = Encoder()
    digest = hashlib.sha256(json.dumps(encoder.graph(graph, "")).encode())
    for name, array in sorted(encoder.tensors.items()):
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def check_program(digest: str, graph: HardwareGraph) -> None:
    """Check that `digest` is that of `graph`.

    Raises:
        InputError: LHC116.
    """
    own = graph_digest(graph)
    if digest != own:
        fail("LHC116", "the state is one of another program", error=InputError,
             param=f"its program has the digest {digest[:12]}, this one {own[:12]}",
             help="resume with the .loihic file that the run began with, or begin anew")
