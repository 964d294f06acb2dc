"""What operators have in common: reading NIR parameters, linear nodes, and neurons in continuous time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, ClassVar, TypeVar

import numpy as np

from loihic.ir.linear import LinearMap
from loihic.ir.node import Array, Shape, ShapeError, SourceNode

S = TypeVar("S", bound="NirNode")


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A parameter whose value has no meaning; becomes a diagnostic with the node's name."""

    code: str
    message: str
    param: str
    help: str = ""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NirNode(SourceNode):
    """A node of NIR's vocabulary; its fields have NIR's names."""

    @classmethod
    def from_params(cls: type[S], params: Mapping[str, Any], origins: tuple[str, ...]) -> S:
        """Build the node from NIR parameters; missing optional ones take the class's defaults."""
        known = {item.name for item in fields(cls)}
        return cls(origins=origins, **{
            key: np.asarray(value, dtype=np.float64) for key, value in params.items() if key in known})

    def problems(self) -> Iterator[Problem]:
        """Parameters out of their range."""
        return iter(())


class Reset(str, Enum):
    """What happens to the voltage of a neuron that spikes; NIR files do not say."""

    ZERO = "zero"
    SUBTRACT = "subtract"
    NONE = "none"


class Emit(str, Enum):
    """What a neuron sends: one spike, as many as the threshold fits, or its voltage."""

    SPIKE = "spike"
    MULTI = "multi"
    STATE = "graded"


class Scheme(str, Enum):
    """How a decay is discretised: 1 - dt/tau (Euler, as most frameworks train) or exp(-dt/tau)."""

    EULER = "euler"
    EXPONENTIAL = "exponential"


@dataclass(frozen=True, kw_only=True, slots=True)
class Discretisation:
    """The choices that NIR leaves open."""

    dt: float = 1e-4
    scheme: Scheme = Scheme.EULER
    reset: Reset = Reset.ZERO
    spikes: Emit = Emit.SPIKE

    def decay(self, tau: Array) -> Array:
        """Factor by which a state of time constant `tau` shrinks in one step."""
        ratio = self.dt / np.asarray(tau)
        return 1.0 - ratio if self.scheme is Scheme.EULER else np.exp(-ratio)


class LinearNode:
    """A node that computes A x + b and keeps no state.

    No dataclass, so that it can stand beside another base: up to Python 3.10 each with slots has all of the fields.
    """

    __slots__ = ()

    @abstractmethod
    def linear_map(self, inputs: Shape) -> LinearMap:
        """A, for an input of shape `inputs`; raises ShapeError if it does not fit."""

    def constant(self) -> Array | None:
        """b, broadcastable to the output, or None."""
        return None

    def output_shape(self, inputs: Shape) -> Shape:
        """Shape of the output for an input of shape `inputs`; raises ShapeError if they do not fit."""
        return self.linear_map(inputs).out_shape


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NirLinear(LinearNode, NirNode):
    """A linear node of NIR's vocabulary."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ContinuousNeuron(NirNode):
    """A neuron as NIR writes it: a differential equation, and a jump."""

    stateful: ClassVar[bool] = True
    taus: ClassVar[tuple[str, ...]] = ()
    spiking: ClassVar[bool] = False

    @abstractmethod
    def discretise(self, shape: Shape, how: Discretisation) -> SourceNode:
        """The neuron in discrete time (see `loihic.ops.neuron`), for `shape` neurons."""

    def output_shape(self, inputs: Shape) -> Shape:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                fit_parameter(value, inputs, item.name)
        return inputs

    def problems(self) -> Iterator[Problem]:
        for name in self.taus:
            least = float(np.min(getattr(self, name), initial=np.inf))
            if least <= 0:
                yield Problem(code="LHC105", message="a time constant must be positive",
                              param=f"{name}: smallest is {least:g}")
        if self.spiking:
            threshold = np.asarray(getattr(self, "v_threshold"))  # noqa: B009 - a field of the spiking subclasses
            reset = np.asarray(getattr(self, "v_reset"))  # noqa: B009
            gap = float(np.min(threshold - reset, initial=np.inf)) if _broadcastable(threshold, reset) else 0.0
            if gap < 0:
                yield Problem(
                    code="LHC105", message="the threshold lies below the reset potential, so that it fires for ever",
                    param=f"v_threshold - v_reset: smallest is {gap:g}",
                    help="export a threshold of at least v_reset")


def _broadcastable(first: Array, second: Array) -> bool:
    try:
        np.broadcast_shapes(first.shape, second.shape)
    except ValueError:
        return False
    return True


def fit_parameter(value: Array, shape: Shape, name: str) -> Array:
    """A per-neuron parameter broadcast to `shape`; raises ShapeError if it does not fit."""
    if value.size == 1:
        return np.full(shape, value.reshape(-1)[0])
    try:
        full = np.broadcast_to(value, shape)
    except ValueError:
        raise ShapeError(f"{name} has shape {value.shape}, the input {shape}") from None
    return full


def whole(value: Any) -> int:
    """An integer parameter from whatever NIR stored (scalar, 0-d or 1-element array)."""
    return int(np.asarray(value).reshape(-1)[0])


def pair(value: Any) -> tuple[int, int]:
    """(vertical, horizontal) from one number or two."""
    values = [int(v) for v in np.asarray(value).reshape(-1)]
    return (values[0], values[0]) if len(values) == 1 else (values[0], values[1])
