"""Reading an HDF5 file from a stranger: nothing outside it, nothing twice, nothing larger than it can honestly hold."""

from __future__ import annotations

import hashlib
import os
import zlib
from dataclasses import dataclass
from math import prod
from typing import Any

import h5py
import numpy as np

from loihic.errors import InputError, fail
from loihic.frontends.hdf5_heap import heap_fault
from loihic.frontends.nir_schema import MalformedError
from loihic.frontends.raw import Array
from loihic.frontends.stored import short, stored_bytes

# What h5py raises on damaged content; which one depends on the byte that is wrong.
HDF5_ERRORS = (
    OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, MemoryError, ArithmeticError,
    SystemError,
)
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FLETCHER32, _DEFLATE = h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_DEFLATE
_FILTERS = frozenset({_DEFLATE, _FLETCHER32, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_SZIP, h5py.h5z.FILTER_LZF,
                      h5py.h5z.FILTER_NBIT, h5py.h5z.FILTER_SCALEOFFSET})
_DEFLATE_RATIO = 1100
"""Deflate cannot do better than 1032:1 (zlib.net, "Technical Details"); some room for the last chunk."""
_PADDED_RATIO = 8
"""Unfiltered numbers of odd widths grow when they are read into numpy's; not by more than this."""
_TEXT = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
"""How a dataset of variable-length strings holds each: where it lies in the file's heap."""
_SMALL = 1 << 20
"""Bytes that need no justification: fill values, short strings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadLimits:
    """Bounds on what a file may ask for.

    Attributes:
        file_bytes: of the file itself, which is held in memory while it is read.
        array_bytes: of one parameter.
        total_bytes: of everything read from the file.
        objects: nodes, parameters and metadata entries, altogether.
        edges: of one graph.
        depth: of graphs within graphs, and of metadata.
    """

    file_bytes: int = 1 << 30
    array_bytes: int = 1 << 30
    total_bytes: int = 1 << 31
    objects: int = 200_000
    edges: int = 1_000_000
    depth: int = 16


class SafeFile:
    """An HDF5 file held in memory, read within limits.

    Attributes:
        digest: SHA-256 of the file's bytes.
        limits: what it may ask for.
    """

    def __init__(self, path: str | os.PathLike[str], limits: ReadLimits) -> None:
        """Load the file.

        Raises:
            InputError: LHC101 if it is missing, empty, too large, truncated or not HDF5.
        """
        image = stored_bytes(path, limits.file_bytes)
        self.digest = hashlib.sha256(image).hexdigest()
        self.limits = limits
        self._image = image
        self._read_bytes = 0
        self._objects = 0
        self._visited: set[Any] = set()
        try:
            # From memory, so that what is hashed is what is read, and no lock is taken on the user's file.
            self._file = h5py.File(h5py.h5f.open_file_image(image))
            fault = heap_fault(image)
        except HDF5_ERRORS as error:
            fault = short(error)
        if fault:
            what = "truncated or damaged" if image.startswith(_SIGNATURE) else "not an HDF5 file"
            fail("LHC101", f"{os.fspath(path)} is {what}", param=fault, error=InputError,
                 help="export or download it again")

    def close(self) -> None:
        """Free the file's memory; what was read stays."""
        self._file.close()

    @property
    def root(self) -> Any:
        """The file's root group."""
        return self._file

    def names(self, group: Any) -> list[str]:
        """The names in a group, in HDF5's order.

        Raises:
            MalformedError: too many objects, or a name that is not text.
        """
        try:
            self._objects += len(group)
            if self._objects > self.limits.objects:
                raise MalformedError(f"the file holds more than {self.limits.objects} objects")
            names = list(group)
            for name in names:
                name.encode("utf-8")  # h5py hands over undecodable bytes as surrogates, which no report could print
        except UnicodeEncodeError as error:
            raise MalformedError("a name is not valid UTF-8") from error
        except MalformedError:
            raise
        except HDF5_ERRORS as error:
            raise MalformedError("the group is damaged", param=short(error)) from error
        return names

    def child(self, group: Any, name: str) -> Any:
        """A group or dataset in a group, or None if there is no such name.

        Raises:
            MalformedError: the name is a link to elsewhere, or leads to a group already visited, or is damaged.
        """
        try:
            # the link is looked at before it is followed: following is what could leave the file
            kind = group.get(name, getclass=False, getlink=True)
            if kind is None:
                return None
            if not isinstance(kind, h5py.HardLink):
                raise MalformedError(f"{name!r} is a link, which no exporter writes", param=_target(kind))
            found = group[name]
            if isinstance(found, h5py.Dataset):
                return found
            if not isinstance(found, h5py.Group):
                raise MalformedError(f"{name!r} is neither a group nor a dataset")
            address = h5py.h5o.get_info(found.id).addr
        except MalformedError:
            raise
        except HDF5_ERRORS as error:
            raise MalformedError(f"{name!r} is damaged", param=short(error)) from error
        if address in self._visited:
            raise MalformedError(f"{name!r} is a group that the file holds under another name too")
        self._visited.add(address)
        return found

    def value(self, dataset: Any) -> Array | str | None:
        """Read one dataset: numbers as an array, text as str or an array of str, an empty dataspace as None.

        Raises:
            MalformedError: it is larger than the file can hold or than the limits, stored elsewhere, compressed in a
                way of its own, of another type than numbers and text, or damaged.
        """
        try:
            return self._value(dataset)
        except MalformedError:
            raise
        except HDF5_ERRORS as error:
            raise MalformedError("the data is damaged", param=short(error)) from error

    def _value(self, dataset: Any) -> Array | str | None:
        if dataset.shape is None:
            return None
        dtype = dataset.dtype
        text = h5py.check_string_dtype(dtype)
        if text is None and dtype.kind not in "iufb":
            raise MalformedError("the data is neither numbers nor text", param=f"its type is {dtype}")
        bytes_asked = prod(int(n) for n in dataset.shape) * dtype.itemsize
        self._check_storage(dataset, bytes_asked)
        self._spend(bytes_asked)
        if text is None:
            return np.asarray(dataset[()])
        if text.length is None:
            self._check_text(dataset)
        parts = [_decode(part) for part in np.ravel(dataset[()])]
        return parts[0] if dataset.shape == () else np.array(parts, dtype=object).reshape(dataset.shape)

    def _check_text(self, dataset: Any) -> None:
        """Add up what the strings say they are long: HDF5 allocates that before it looks whether they are."""
        count = prod(int(n) for n in dataset.shape)
        offset = dataset.id.get_offset()
        if dataset.chunks or (offset is None and count):
            raise MalformedError("text is stored in chunks or compactly, which no exporter does")
        if count:
            lengths = np.frombuffer(self._image, dtype=_TEXT, count=count, offset=offset)["length"].astype(np.int64)
            if int(lengths.max()) > len(self._image):
                raise MalformedError("a string is longer than the file", param=f"{int(lengths.max())} bytes")
            self._spend(int(lengths.sum()))

    def _spend(self, amount: int) -> None:
        self._read_bytes += amount
        if self._read_bytes > self.limits.total_bytes:
            raise MalformedError(f"the file unpacks to more than {self.limits.total_bytes} bytes")

    def _check_storage(self, dataset: Any, asked: int) -> None:
        """Refuse before anything is allocated."""
        properties = dataset.id.get_create_plist()
        if dataset.is_virtual or properties.get_external_count():
            raise MalformedError("the data is stored in another file, which no exporter does")
        filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
        if not _FILTERS.issuperset(filters) or len(set(filters)) != len(filters):
            raise MalformedError("the data is compressed in a way that no exporter uses", param=f"filters {filters}")
        stored = int(dataset.id.get_storage_size())
        chunk = prod(int(n) for n in dataset.chunks) * dataset.dtype.itemsize if dataset.chunks else 0
        ratio = _DEFLATE_RATIO if filters else _PADDED_RATIO
        if stored > len(self._image) or asked > ratio * stored + _SMALL or max(asked, chunk) > self.limits.array_bytes:
            raise MalformedError(
                "the data is larger than the file can hold",
                param=f"{dataset.dtype} of shape {dataset.shape} from {stored} bytes stored",
            )
        if _DEFLATE in filters and stored > _SMALL // 16:
            _check_deflate(dataset, filters, chunk)


def _check_deflate(dataset: Any, filters: list[int], chunk: int) -> None:
    """Unpack each chunk with a bound: HDF5 itself goes on to the stream's end, however far beyond the chunk."""
    after = filters[filters.index(_DEFLATE) + 1 :]
    if after not in ([], [_FLETCHER32]):
        raise MalformedError("the data is compressed twice", param=f"filters {filters}")
    bit = 1 << filters.index(_DEFLATE)
    chunks: list[tuple[tuple[int, ...], int]] = []
    dataset.id.chunk_iter(lambda info: chunks.append((info.chunk_offset, info.filter_mask)))
    room = 2 * chunk + 64  # nbit, scale-offset and Fletcher32 may add a header before deflate
    for offset, mask in chunks:
        if mask & bit:
            continue
        _, packed = dataset.id.read_direct_chunk(offset)
        try:
            unpacked = zlib.decompressobj().decompress(packed, room)
        except zlib.error as error:
            raise MalformedError("the compressed data is damaged", param=str(error)) from error
        if len(unpacked) >= room:
            raise MalformedError("a compressed chunk unpacks to more than it may", param=f"chunk at {offset}")


def _decode(part: object) -> str:
    return part.decode("utf-8", errors="replace") if isinstance(part, bytes) else str(part)


def _target(link: object) -> str:
    return f"to {getattr(link, 'filename', '')}{getattr(link, 'path', '')}"[:200]
