"""From an .onnx file to its model and the arrays in it, without trust in the file."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loihic.errors import InputError, fail
from loihic.frontends.onnx_operands import NodeError
from loihic.frontends.stored import open_without_waiting, short, stored_bytes
from loihic.ir.node import Array

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

OLDEST_OPSET, NEWEST_OPSET = 7, 25
"""Opset 7 brought the broadcasting of today; what came after 25 has not been looked at."""
EVALUATION_ERRORS = (
    ValueError, TypeError, LookupError, AttributeError, RuntimeError, ArithmeticError, AssertionError, MemoryError,
    OSError, ImportError,
)
"""What onnx and numpy raise on content that makes no sense; which one depends on what is wrong."""
_BITS = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6}


@dataclass(frozen=True, kw_only=True, slots=True)
class OnnxLimits:
    """Bounds on what a file may ask for.

    Attributes:
        file_bytes: of the model file, which is held in memory while it is read.
        constant_bytes: of all constants that are read from it or computed from them.
        tensor_elements: of one tensor of the network, a batch of one; also of the windows of a pooling.
        total_elements: of everything that the network is built of, altogether.
        nodes: of the graph.
    """

    file_bytes: int = 1 << 30
    constant_bytes: int = 1 << 31
    tensor_elements: int = 1 << 24
    total_elements: int = 1 << 27
    nodes: int = 100_000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OnnxModel:
    """A parsed file.

    Attributes:
        proto: the message.
        name: the file's stem.
        opset: version of the standard operators.
        opsets: versions of all domains; the standard one is "".
        store: reads the arrays.
    """

    proto: ModelProto
    name: str
    opset: int
    opsets: Mapping[str, int]
    store: TensorStore


def onnx_module(name: str = "onnx") -> Any:
    """The package onnx, or a module of it.

    Raises:
        InputError: LHC601, it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        fail("LHC601", "reading .onnx files needs the package onnx", param=str(error), error=InputError,
             help="pip install 'loihic[onnx]'")


def load_model(path: Path, limits: OnnxLimits) -> OnnxModel:
    """Parse a file.

    Raises:
        InputError: LHC101 if it is missing, too large, truncated, not ONNX, or of an opset that is not read; LHC601
            if the package onnx is missing.
    """
    onnx = onnx_module()
    image = stored_bytes(path, limits.file_bytes)
    decode_error = onnx_module("google.protobuf.message").DecodeError
    again = "export or download it again"
    try:
        proto = onnx.ModelProto.FromString(image)
        opsets = {"" if o.domain == "ai.onnx" else str(o.domain): int(o.version) for o in proto.opset_import}
    except (decode_error, *EVALUATION_ERRORS) as error:
        fail("LHC101", f"{path} is truncated, damaged or not an ONNX file", param=short(error), help=again,
             error=InputError)
    if not proto.HasField("graph") or not (proto.graph.node or proto.graph.output):
        fail("LHC101", f"{path} holds no ONNX graph", help=again, error=InputError)
    if len(proto.graph.node) > limits.nodes:
        fail("LHC101", f"{path} is too large", param=f"{len(proto.graph.node)} nodes; the limit is {limits.nodes}",
             error=InputError)
    opset = opsets.get("", 0)
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        fail("LHC101", f"{path} is of an ONNX opset that loihic does not read", error=InputError,
             param=f"opset {opset or 'not given'}; read are {OLDEST_OPSET} to {NEWEST_OPSET}",
             help="export it with another opset_version, or change it with onnx.version_converter.convert_version")
    return OnnxModel(proto=proto, name=path.stem, opset=opset, opsets=opsets,
                     store=TensorStore(path.parent, limits, image))


def external_files(path: Path, image: bytes) -> list[Path]:
    """The files beside a model that its tensors name, wherever in it these are; none if it is no ONNX file.

    Args:
        path: of the model.
        image: its content.
    """
    onnx = onnx_module()
    decode_error = onnx_module("google.protobuf.message").DecodeError
    try:
        names = set(_locations(onnx.ModelProto.FromString(image)))
    except (decode_error, *EVALUATION_ERRORS):
        return []
    folder = path.parent.resolve()
    return sorted(file for file in ((folder / name).resolve() for name in names if "\0" not in name)
                  if file.is_relative_to(folder))


def _locations(message: Any) -> Iterator[str]:
    """Where the tensors of a message, and of all messages in it, have their data, if not in it."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield from (str(entry.value) for entry in message.external_data if entry.key == "location")
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _locations(part)


class TensorStore:
    """Reads constants, from the model and from files beside it, within limits.

    `image` is the model file's content.
    """

    def __init__(self, folder: Path, limits: OnnxLimits, image: bytes) -> None:
        self._folder = folder
        self._limits = limits
        self._bytes = 0
        self._digest = hashlib.sha256(image)

    @property
    def digest(self) -> str:
        """SHA-256 of the model file, and of the external data that were read, in order."""
        return self._digest.hexdigest()

    def spend(self, count: int, what: str) -> None:
        """Account for `count` bytes of constants.

        Raises:
            NodeError: LHC103, together they are more than the limit.
        """
        self._bytes += count
        if self._bytes > self._limits.constant_bytes:
            raise NodeError("LHC103", "the constants of the file are too large",
                            param=f"more than {self._limits.constant_bytes} bytes with {what}")

    def array(self, tensor: TensorProto) -> Array:
        """The values of a tensor, read-only or fresh.

        Raises:
            NodeError: LHC101 for external data that is missing, too short or outside the model's folder; LHC103 for
                a tensor that is malformed.
        """
        onnx = onnx_module()
        shown = f"tensor {tensor.name!r}"
        dims = tuple(int(n) for n in tensor.dims)
        try:
            kind = onnx.TensorProto.DataType.Name(tensor.data_type)
            if min(dims, default=0) < 0:
                raise ValueError(f"dimensions {dims}")
            bits = _BITS.get(kind, 8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
            size = (prod(dims) * bits + 7) // 8
            self.spend(size, shown)
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                raw = self._external(tensor, size, shown)
                self._digest.update(raw)
                tensor = onnx.TensorProto(data_type=tensor.data_type, dims=dims, raw_data=raw)
            if tensor.HasField("raw_data") and len(tensor.raw_data) != size:
                raise ValueError(f"{len(tensor.raw_data)} bytes for {size}")
            found: Array = onnx.numpy_helper.to_array(tensor)
            if found.shape != dims:
                raise ValueError(f"shape {found.shape} for {dims}")
        except EVALUATION_ERRORS as error:
            raise NodeError("LHC103", f"{shown} is malformed", param=short(error),
                            help="export or download the file again") from error
        return found

    def _external(self, tensor: TensorProto, size: int, shown: str) -> bytes:
        entries = {str(entry.key): str(entry.value) for entry in tensor.external_data}
        location, offset = entries.get("location", ""), int(entries.get("offset", "0"))
        beside = "keep the model and its data files together, and do not rename them"
        folder, path = self._folder.resolve(), (self._folder / location).resolve()
        if not location or Path(location).is_absolute() or not path.is_relative_to(folder) or path == folder:
            raise NodeError("LHC101", f"the data of {shown} lie outside the model's folder",
                            param=f"location {location[:200]!r}", help="external data are read from beside the model")
        length = int(entries.get("length", size))
        if offset < 0 or length != size:
            raise NodeError("LHC103", f"the data of {shown} do not fit its shape",
                            param=f"offset {offset}, length {length} for {size} bytes")
        try:
            with open(path, "rb", opener=open_without_waiting) as stream:
                status = os.fstat(stream.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise NodeError("LHC101", f"the data of {shown} are no regular file", param=location[:200])
                if status.st_size < offset + size:
                    raise NodeError("LHC101", f"the data file of {shown} is truncated", help=beside,
                                    param=f"{location[:200]} has {status.st_size} bytes, {offset + size} are needed")
                stream.seek(offset)
                return stream.read(size)
        except OSError as error:
            raise NodeError("LHC101", f"the data of {shown} cannot be read", help=beside,
                            param=f"{location[:200]}: {error.strerror or 'no such file'}") from error


def type_name(element: int) -> str:
    """The name that numpy has for one of ONNX's types.

    Raises:
        NodeError: LHC103, it is none.
    """
    try:
        return np.dtype(onnx_module("onnx.helper").tensor_dtype_to_np_dtype(element)).name
    except (LookupError, TypeError, ValueError) as error:
        raise NodeError("LHC103", "the node names an unknown type", param=f"type {element}") from error
