"""Several steps of a population as one kernel, where torch can compile it.

On a GPU a step in single operations is some twenty kernels that do little but read and write memory; compiled, a few
steps together read their sums once and keep the states in registers between them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from loihic.sim.tensors.neurons import Dynamics, States

STEPS_TOGETHER = 8
VARIANTS = 64  # of a kind of population that are compiled in a process; those beyond take single operations

Stepped = tuple[States, Tensor]


def plain(dynamics: Dynamics, states: States, arriving: Tensor, later: Tensor | None, carrier: torch.dtype) -> Stepped:
    """New states, and messages (steps, samples, neurons) as `carrier`.

    Args:
        dynamics: how the population steps.
        states: before the first step, each (samples, neurons) int64.
        arriving: the sum of the first step, (samples, neurons).
        later: those of the steps after it, (STEPS_TOGETHER - 1, samples, neurons), or None for a single step.
        carrier: the type of messages.
    """
    states, message = dynamics.step(states, arriving.to(torch.int64))
    sent = [message.to(carrier)]
    if later is not None:
        for k in range(STEPS_TOGETHER - 1):  # a constant, so that it is unrolled
            states, message = dynamics.step(states, later[k].to(torch.int64))
            sent.append(message.to(carrier))
    return states, torch.stack(sent)


@cache
def _compiled(kind: type[Dynamics], states: int, together: bool) -> Callable[..., Stepped]:
    """`plain`, compiled for one kind of population.

    Each has code of its own: torch keeps all variants of one code together, and stumbles where it compares those of
    populations that have different attributes.
    """
    name = f"step_{kind.__name__}_{states}_{together}"
    own = FunctionType(plain.__code__.replace(co_name=name), plain.__globals__, name)
    compiled: Any = torch.compile(own, dynamic=True)
    return compiled  # type: ignore[no-any-return]


class Fused:
    """`plain`, compiled at the first use; single operations once that has failed (no compiler, an old GPU).

    Attributes:
        compiles: whether it is compiled, or will be.
    """

    def __init__(self, wanted: bool) -> None:
        self.compiles = wanted

    def __call__(self, dynamics: Dynamics, states: States, arriving: Tensor, later: Tensor | None, carrier: torch.dtype
                 ) -> Stepped:
        if self.compiles:
            try:
                with torch._dynamo.config.patch(recompile_limit=VARIANTS):
                    return _compiled(type(dynamics), len(states), later is not None)(
                        dynamics, states, arriving, later, carrier)
            except Exception as error:  # whatever goes wrong in a compiler: the same is computed without it
                self.compiles = False
                why = f"{type(error).__name__}: {error}".splitlines()[0]
                warnings.warn(f"torch cannot compile neurons here, which are stepped without: {why}", stacklevel=2)
        return plain(dynamics, states, arriving, later, carrier)
