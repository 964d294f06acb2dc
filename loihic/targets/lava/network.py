"""A Lava network as plain data: what to build, without importing Lava.

Emitting to data rather than to live Processes lets the same description be run in a worker, written out as a
standalone script for Intel's machines, and tested where Lava is not installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loihic.ir.node import Array

ArgValue = int | float | str | bool | tuple[int, ...] | Array


@dataclass(frozen=True, kw_only=True, slots=True)
class LavaProcess:
    """One Process to construct.

    Attributes:
        name: leads back to the user's node; also the Process's `name` in Lava.
        kind: dotted path of a class below `lava.proc` (``lava.proc.lif.process.LIF``), or ``loihic.Neuron``,
            ``loihic.Conv`` or ``loihic.DelayLine`` for Processes of our own, or ``input`` for a source fed with the
            input array of that name (shape in ``args["shape"]``).
        args: the constructor's keyword arguments; tuples are shapes, arrays are parameters.
    """

    name: str
    kind: str
    args: Mapping[str, ArgValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class LavaConnection:
    """An out port joined to an in port; `shape` reshapes the out port (C order) where the two shapes differ."""

    src: str
    src_port: str
    dst: str
    dst_port: str
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LavaTap:
    """An out port whose value is collected at every step; the result has Lava's shape of that port."""

    key: str
    process: str
    port: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LavaProbe:
    """A Var (u, v, ...) that is recorded at the end of every step."""

    key: str
    process: str
    var: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LavaNetwork:
    """Everything needed to build and run one network on Lava."""

    processes: tuple[LavaProcess, ...]
    connections: tuple[LavaConnection, ...]
    taps: tuple[LavaTap, ...] = ()
    probes: tuple[LavaProbe, ...] = ()
