"""From a lava-dl network file (.net, HDF5) to its layers as plain arrays, without lava-dl and without trust."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from math import prod
from pathlib import Path

import h5py
import numpy as np

from loihic.errors import Diagnostic, InputError, Severity, fail
from loihic.frontends.netx_schema import LAYERS, MOST_WEIGHTS, NEURONS, REDUNDANT, TRAINING, Field, Values, text
from loihic.frontends.nir_hdf5 import HDF5_ERRORS, ReadLimits, SafeFile
from loihic.frontends.nir_schema import MalformedError, Problem
from loihic.frontends.raw import listed

LIMITS = ReadLimits(array_bytes=1 << 28, total_bytes=1 << 30, objects=20_000)
MOST_LAYERS = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class NetLayer:
    """One layer as the file gives it, checked for form but not yet for meaning.

    Attributes:
        index: its number in the file, from 0.
        kind: ``input``, ``conv``, ``dense``, ...
        values: numbers as arrays and text as str, by the dataset's name; of complex weights only ``weight/real``; what
            could not be read is the MalformedError that says why.
        neuron: likewise, of the layer's neurons; None if it has none.
        origin: where it is, for diagnostics.
        fault: why the layer or its neurons cannot be read, if so.
    """

    index: int
    kind: str
    values: Values
    neuron: Values | None
    origin: str
    fault: Problem | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NetFile:
    """All layers, in order.

    Attributes:
        layers: without gaps from 0 on.
        name: the file's.
        digest: SHA-256 of its bytes.
        sample_steps: steps per sample in training, if the file says so.
        found: warnings about what was ignored.
    """

    layers: tuple[NetLayer, ...]
    name: str
    digest: str
    sample_steps: int | None
    found: tuple[Diagnostic, ...]


def read_net_file(path: Path, limits: ReadLimits = LIMITS) -> NetFile:
    """Read an HDF5 file as the blocks of lava-dl export it.

    Args:
        path: the file.
        limits: bounds on what the file may ask for.

    Raises:
        InputError: LHC101 if it is not a network of lava-dl at all.
        CompileError: LHC103 if its layers are not numbered as they should be.
    """
    with closing(SafeFile(path, limits)) as file:
        return _Reader(file, path).read()


class _Reader:
    """One pass over one file; warnings gather in `found`."""

    def __init__(self, file: SafeFile, path: Path) -> None:
        self.file = file
        self.path = path
        self.found: list[Diagnostic] = []

    def read(self) -> NetFile:
        try:
            layers = self._layers()
        except MalformedError as error:
            problem = error.problem
            fail(problem.code, problem.message, node=f"{self.path.name} /layer", param=problem.param, help=problem.help)
        return NetFile(layers=layers, name=self.path.name, digest=self.file.digest, sample_steps=self._sample_steps(),
                       found=tuple(self.found))

    def _layers(self) -> tuple[NetLayer, ...]:
        top = self.file.child(self.file.root, "layer")
        if not isinstance(top, h5py.Group):
            nir = self.file.child(self.file.root, "node") is not None
            fail("LHC101", f"{self.path} is HDF5 but not a network of lava-dl: it has no group 'layer'",
                 error=InputError, help="it looks like a NIR graph (.nir)" if nir else
                 "write each block with block.export_hdf5(file.create_group(f'layer/{i}'))")
        names = self.file.names(top)
        if not 1 <= len(names) <= MOST_LAYERS:
            raise MalformedError(f"a network has 1 to {MOST_LAYERS} layers", param=f"the file has {len(names)}")
        wanted = [str(i) for i in range(len(names))]
        missing = sorted(set(wanted) - set(names), key=int)
        if missing:
            odd = sorted(set(names) - set(wanted))
            raise MalformedError(
                f"layers must be numbered from 0 without gaps: {listed(missing)} missing",
                param=f"there are also {listed([repr(name[:40]) for name in odd])}")
        return tuple(self._layer(top, index) for index in range(len(names)))

    def _layer(self, top: h5py.Group, index: int) -> NetLayer:
        origin = f"layer {index}, from {self.path.name} /layer/{index}"
        try:
            group = self.file.child(top, str(index))
            kind = text(self._value(group, "type")) if isinstance(group, h5py.Group) else None
            if kind is None:
                raise MalformedError("the layer has no 'type'")
        except MalformedError as error:
            return NetLayer(index=index, kind="", values={}, neuron=None, origin=origin, fault=error.problem)
        kind = kind[:40]
        origin = f"layer {index} ({kind}), from {self.path.name} /layer/{index}"
        values: Values = {}
        neuron: Values | None = None
        fault: Problem | None = None
        try:
            values = self._values(group, LAYERS.get(kind, ()), REDUNDANT, origin)
            inner = self.file.child(group, "neuron")
            neuron = None if inner is None else self._neuron(inner, origin)
        except MalformedError as error:
            fault = error.problem
        return NetLayer(index=index, kind=kind, values=values, neuron=neuron, origin=origin, fault=fault)

    def _neuron(self, group: object, origin: str) -> Values:
        kind = text(self._value(group, "type")) if isinstance(group, h5py.Group) else None
        if kind is None:
            raise MalformedError("'neuron' is not a group with a 'type'")
        return {"type": kind[:40], **self._values(group, NEURONS.get(kind, ()), TRAINING, f"{origin}/neuron")}

    def _values(self, group: h5py.Group, fields: tuple[Field, ...], silent: frozenset[str],
                origin: str) -> dict[str, object]:
        """The datasets that are of use; others are not even read, and those that nobody knows are warned of."""
        values: dict[str, object] = {}
        known = {field.name for field in fields}
        for name in self.file.names(group):
            if name in known:
                try:
                    values.update(self._entry(group, name))
                except MalformedError as error:
                    values[name] = error
            elif name not in silent and known:
                self.found.append(Diagnostic(code="LHC108", message=f"{name[:80]!r} is not read", node=origin,
                                             severity=Severity.WARNING, help="it was ignored"))
        return values

    def _entry(self, group: h5py.Group, name: str) -> dict[str, object]:
        """One dataset, or the group that complex weights are."""
        found = self.file.child(group, name)
        if isinstance(found, h5py.Group) and name == "weight" and set(self.file.names(found)) == {"real", "imag"}:
            return {"weight/real": True}
        return {name: self._read(found, name)}

    def _value(self, group: h5py.Group, name: str) -> object:
        """A dataset's value; None if it is not there, or empty."""
        return self._read(self.file.child(group, name), name)

    def _read(self, found: object, name: str) -> object:
        if found is None:
            return None
        if not isinstance(found, h5py.Dataset):
            raise MalformedError(f"{name!r} is a group, not a value")
        try:
            size = prod(int(n) for n in found.shape or ())
        except HDF5_ERRORS as error:
            raise MalformedError("the data is damaged") from error
        if size > MOST_WEIGHTS:
            raise MalformedError(f"there are more than {MOST_WEIGHTS} values", param=f"the shape is {found.shape}")
        return self.file.value(found)

    def _sample_steps(self) -> int | None:
        """The length of a sample in training, from /simulation; nobody needs it, so that no fault in it matters."""
        try:
            group = self.file.child(self.file.root, "simulation")
            value = self._value(group, "tSample") if isinstance(group, h5py.Group) else None
            steps = int(value.reshape(-1)[0]) if isinstance(value, np.ndarray) else 0
        except (MalformedError, ValueError, IndexError, OverflowError, TypeError):
            return None
        return steps if 0 < steps < 1 << 31 else None


def is_complex(values: Mapping[str, object]) -> bool:
    """Whether a layer's weights are complex."""
    return "weight/real" in values
