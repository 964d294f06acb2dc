"""A check of HDF5's global heaps, where variable-length text lives, before HDF5 walks through them.

HDF5 (2.0.0 and older) steps from object to object in a heap by the size that the object declares. A free object of
size zero makes it step on the spot for ever, inside C, where no time limit of Python's reaches. So damaged heaps are
found here. The format is in "HDF5 File Format Specification Version 3.0", section III.E, Global Heap.
"""

from __future__ import annotations

import struct

_COLLECTION = b"GCOL\x01"
_HEADER = struct.Struct("<4sB3xQ")  # signature, version, size of the whole collection
_OBJECT = struct.Struct("<HH4xQ")  # index, references, size of the data without padding


def heap_fault(image: bytes) -> str:
    """What is wrong with the first damaged global heap in the bytes of an HDF5 file; empty if there is none.

    Files with lengths and offsets of other than 8 bytes, which h5py does not write, are faults too.
    """
    start = image.find(b"\x89HDF\r\n\x1a\n")
    if start < 0 or _widths(image, start) != b"\x08\x08":
        return "offsets or lengths in the file are not of 8 bytes"
    steps = len(image) // _OBJECT.size  # heaps do not overlap, so that there cannot be more objects
    at = image.find(_COLLECTION)
    while at >= 0:
        steps = _walk(image, at, steps)
        if steps < 0:
            return f"the text heap at byte {at} is malformed"
        at = image.find(_COLLECTION, at + 1)
    return ""


def _widths(image: bytes, start: int) -> bytes:
    """Of offsets and of lengths, from the superblock: versions 0 and 1 keep them at byte 13, later ones at byte 9."""
    head = image[start : start + 16]
    return head[13:15] if head[8:9] in (b"\x00", b"\x01") else head[9:11]


def _walk(image: bytes, at: int, steps: int) -> int:
    """Steps left after one heap, negative if it is malformed."""
    if at + _HEADER.size > len(image):
        return -1
    end = at + int(_HEADER.unpack_from(image, at)[2])
    if end > len(image):
        return -1
    position = at + _HEADER.size
    while position + _OBJECT.size <= end:
        index, _, size = _OBJECT.unpack_from(image, position)
        # the free object, of index 0, counts its own header and is not padded
        length = size if index == 0 else _OBJECT.size + -(-size // 8) * 8
        position += length
        steps -= 1
        if length < _OBJECT.size or position > end or steps < 0:
            return -1
    return steps
