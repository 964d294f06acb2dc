"""The members of a .pt2 archive, read without torch and without trust.

torch.export.load is no reader for files of strangers. It unpickles sample inputs, tensor subclasses and custom objects,
loads compiled libraries, evaluates symbolic shapes as Python and looks operators up by any path of attributes. Here,
JSON is parsed and raw tensors are copied; nothing else is touched.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import zipfile
import zlib
from math import prod
from pathlib import PurePosixPath
from typing import Any, NoReturn

import numpy as np

from loihic.errors import InputError, fail
from loihic.frontends.stored import open_without_waiting
from loihic.frontends.torch_graph import LARGEST
from loihic.ir.node import Array

FILE_BYTES = 1 << 31
MEMBERS = 100_000
JSON_BYTES = 1 << 28
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError,
               KeyError, MemoryError)
_FORMAT, _VERSION, _BYTES = "archive_format", "archive_version", "byteorder"
_SAVE = "save it with torch.export.save(torch.export.export(model.eval(), (example,)), 'model.pt2')"

_TYPES: dict[int, str] = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64", 12: "bool",
    13: "bfloat16", 28: "uint16", 34: "uint32", 35: "uint64"}


class MalformedError(ValueError):
    """Something in the archive that torch would not have written so; the message says what."""


def type_name(code: object) -> str:
    """torch's name of a tensor's element type, from its number in the file; other<N> for types no reader here takes."""
    return _TYPES.get(code, f"other{code}") if isinstance(code, int) else "other"


class Archive:
    """A .pt2 file held in memory.

    Attributes:
        digest: SHA-256 of the file's bytes.
        name: of the file, without its ending.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Load the file and look at every member's header; no member is unpacked yet.

        Raises:
            InputError: LHC101, if it is not an archive that torch.export.save wrote, or asks for too much.
        """
        self._path = os.fspath(path)
        self.name = PurePosixPath(self._path).stem
        image = self._load()
        self.digest = hashlib.sha256(image).hexdigest()
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(image))
            members = self._zip.infolist()
        except _ZIP_ERRORS as error:
            self._refuse("it is not a zip archive" if not image.startswith(b"PK") else "it is truncated or damaged",
                         str(error), _not_a_zip(image))
        first = members[0].filename if members else ""
        root = first[: first.index("/") + 1] if "/" in first else ""
        self._members = {member.filename[len(root) :]: member for member in members if member.filename.startswith(root)}
        if _FORMAT not in self._members:
            self._refuse("it is a zip archive, but not one of torch.export", "", _other_archive(self._members))
        self._check(members, len(image))
        self._check_format()

    def _load(self) -> bytes:
        try:
            with open(self._path, "rb", opener=open_without_waiting) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    self._refuse("it is not a regular file", "", "check the path")
                if status.st_size > FILE_BYTES:
                    self._refuse("it is too large", f"{status.st_size} bytes of at most {FILE_BYTES}", "")
                return file.read(FILE_BYTES)
        except (OSError, ValueError) as error:
            self._refuse("it cannot be opened", getattr(error, "strerror", None) or str(error), "check the path")

    def _check(self, members: list[zipfile.ZipInfo], size: int) -> None:
        if len(members) > MEMBERS:
            self._refuse("it has too many members", f"{len(members)} of at most {MEMBERS}", "")
        seen: set[str] = set()
        packed = 0
        for member in members:
            name = member.filename
            if name in seen or name.startswith("/") or "\\" in name or ".." in name.split("/"):
                self._refuse("a member's name is repeated or leads outside", repr(name[:200]), "")
            seen.add(name)
            packed += member.compress_size
            if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
                self._refuse("a member is compressed, which torch does not do", repr(name[:200]), _SAVE)
        if packed > size:
            self._refuse("its members overlap", f"{packed} bytes in a file of {size}", "")

    def _check_format(self) -> None:
        try:
            kind, version = self._read(_FORMAT, 64), self._read(_VERSION, 64)
            order = self._read(_BYTES, 64) if _BYTES in self._members else b"little"
        except MalformedError as error:
            self._refuse("it is truncated or damaged", str(error), _SAVE)
        if kind != b"pt2" or version != b"0":
            self._refuse("its archive version is not known", f"{kind!r}, version {version!r}", _SAVE)
        if order != b"little":
            self._refuse("its numbers are big-endian", "", "save it on a little-endian machine")

    def _read(self, name: str, limit: int) -> bytes:
        member = self._members.get(name)
        if member is None:
            raise MalformedError(f"the archive lacks {name!r}")
        if member.file_size > limit:
            raise MalformedError(f"{name!r} has {member.file_size} bytes, more than the {limit} that it may have")
        try:
            return self._zip.read(member)
        except _ZIP_ERRORS as error:
            raise MalformedError(f"{name!r} is damaged: {error}") from error

    def models(self) -> tuple[str, ...]:
        """The names of the programs in the archive."""
        return tuple(name[len("models/") : -len(".json")] for name in self._members
                     if name.startswith("models/") and name.endswith(".json"))

    def holds(self, name: str) -> bool:
        """Whether there is a member of that name."""
        return name in self._members

    def json(self, name: str) -> Any:
        """A member parsed as JSON.

        Raises:
            MalformedError: it is missing, too large or not JSON.
        """
        try:
            return json.loads(self._read(name, JSON_BYTES))
        except (ValueError, RecursionError) as error:
            shown = str(error) if isinstance(error, MalformedError) else f"{name!r} is not JSON"
            raise MalformedError(shown) from error

    def tensor(self, name: str, dtype: str, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Array:
        """A raw tensor, copied; bfloat16 becomes float32.

        Raises:
            MalformedError: it is missing, of a type that is not read, or reaches beyond the member's bytes.
        """
        if dtype.startswith("other"):
            raise MalformedError(f"{name!r} holds numbers of a type that is not read")
        flat = np.frombuffer(self._whole(name, dtype), dtype=np.uint16 if dtype == "bfloat16" else np.dtype(dtype))
        if min((*shape, *strides, offset), default=0) < 0 or len(shape) != len(strides) or prod(shape) > LARGEST:
            raise MalformedError(f"{name!r} has the shape {shape} with steps {strides}")
        last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
        if 0 not in shape and last >= flat.size:
            raise MalformedError(f"{name!r} reaches beyond its {flat.size} elements")
        steps = [step * flat.itemsize for step in strides]
        value: Array = np.lib.stride_tricks.as_strided(flat[offset:], shape, steps).copy()
        return (value.astype(np.uint32) << 16).view(np.float32) if dtype == "bfloat16" else value

    def _whole(self, name: str, dtype: str) -> bytes:
        data = self._read(name, FILE_BYTES)
        width = 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
        if len(data) % width:
            raise MalformedError(f"{name!r} has {len(data)} bytes, no multiple of {width}")
        return data

    def _refuse(self, why: str, param: str, help: str) -> NoReturn:
        fail("LHC101", f"{self._path} cannot be read: {why}", param=param, error=InputError,
             help=help or "export it again")


def _not_a_zip(image: bytes) -> str:
    if image.startswith(b"\x80"):
        return f"it is a pickle, which is never opened here, since it can run any code; {_SAVE}"
    return _SAVE


def _other_archive(members: dict[str, Any]) -> str:
    if "constants.pkl" in members or any(name.startswith("code/") for name in members):
        return f"it is TorchScript; from the model itself, {_SAVE}"
    if "data.pkl" in members:
        return f"it was written by torch.save: weights without a graph, or a pickled model; {_SAVE}"
    if "serialized_exported_program.json" in members:
        return "it was saved by torch 2.7 or older; load it with torch.export.load and save it with torch 2.9 or newer"
    return _SAVE
