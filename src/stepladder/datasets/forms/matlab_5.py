"""MATLAB's files of version 5 (format: MAT-File Level 5, in MATLAB's documentation): arrays, texts and structures.

SciPy reads them too, but one wrong byte of a file that is not packed makes it end the process (1.17.1: a type that is
none is looked up in a table all the same), and it believes sizes before it looks at what is there.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat
from stepladder.datasets.reading import pixels
from stepladder.errors import DataError

MAGIC = b"MATLAB 5.0 MAT"
N_HEADER = 128
DEEPEST = 4  # structures in structures

_MATRIX, _PACKED, _UTF_8 = 14, 15, 16
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {2: "utf-8", 4: "utf-16", _UTF_8: "utf-8", 17: "utf-16", 18: "utf-32"}
_STRUCTURE, _CHARACTERS = 2, 4
_NUMBERS = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_LOGICAL, _COMPLEX = 0x0200, 0x0800

Value = NDArray[Any] | dict[str, Any]


def variables(path: Path) -> dict[str, Value]:
    """The numbers, texts and structures of a file by name; what else there is, cells and sparse ones, is left out.

    Structures are dictionaries. Raises DataError for what is damaged, or too large for the memory.
    """
    where = flat(path, 1000)
    try:
        with path.open("rb") as file:
            order = "<" if file.read(N_HEADER)[126:128] == b"IM" else ">"
            found = (_matrix(body, order, where) for body in _bodies(file, order, where, path.stat().st_size))
            return {name: value for name, value in found if value is not None}
    except DataError:
        raise
    except (OSError, zlib.error, struct.error, ValueError, OverflowError, MemoryError) as error:
        reason = flat(error, 200) or type(error).__name__
        raise DataError(f"{where}: a damaged MATLAB file ({reason}): get it again") from None


def _bodies(file: BinaryIO, order: str, where: str, n_stored: int) -> Iterator[memoryview]:
    """What is in each variable of a file, unpacked: no more than its header promises, and than memory holds."""
    n_left = n_stored - N_HEADER
    while tag := file.read(8):
        kind, n_bytes = struct.unpack(f"{order}II", tag)
        n_left -= 8 + n_bytes
        if n_left < 0:
            raise ValueError("it ends inside a variable")
        if kind == _MATRIX:
            yield memoryview(file.read(n_bytes))
        elif kind == _PACKED:
            yield _unpacked(file.read(n_bytes), order, where)
        else:
            raise ValueError(f"a variable of type {kind}")


def _unpacked(packed: bytes, order: str, where: str) -> memoryview:
    unpack = zlib.decompressobj()
    tag = unpack.decompress(packed, 8)
    kind, n_bytes = struct.unpack(f"{order}II", tag)
    if kind != _MATRIX:
        raise ValueError(f"a variable of type {kind}")
    pixels.require_room(where, n_bytes, n_stored=len(packed))
    body = unpack.decompress(unpack.unconsumed_tail, max(1, n_bytes))
    if len(body) < n_bytes:
        raise ValueError(f"a variable promises {n_bytes:,} bytes, it has {len(body):,}")
    if unpack.decompress(unpack.unconsumed_tail, 1) or not unpack.eof:  # which also compares its checksum
        raise ValueError(f"a variable has more than the {n_bytes:,} bytes that it promises")
    return memoryview(body)


@dataclass
class _Reader:
    """Elements of a variable, one after another."""

    body: memoryview
    order: str
    at: int = 0

    def next(self) -> tuple[int, memoryview]:
        """The type of an element and its bytes."""
        (kind,) = struct.unpack_from(f"{self.order}I", self.body, self.at)
        if kind >> 16:  # a short one, in its own tag
            start, n_bytes, end = self.at + 4, kind >> 16, self.at + 8
            kind &= 0xFFFF
            if n_bytes > 4:
                raise ValueError(f"a short element of {n_bytes:,} bytes")
        else:
            (n_bytes,) = struct.unpack_from(f"{self.order}I", self.body, self.at + 4)
            start = self.at + 8
            end = start + n_bytes + -n_bytes % 8
        if start + n_bytes > len(self.body):
            raise ValueError(f"an element promises {n_bytes:,} bytes, more than there are")
        self.at = end
        return kind, self.body[start : start + n_bytes]

    def numbers(self) -> NDArray[Any]:
        kind, content = self.next()
        if kind not in _TYPES:
            raise ValueError(f"numbers of type {kind}")
        return np.frombuffer(content, f"{self.order}{_TYPES[kind]}")

    def text(self) -> str:
        kind, content = self.next()
        if kind not in (1, 2, _UTF_8):
            raise ValueError(f"a name of type {kind}")
        return bytes(content).decode("utf-8")


def _matrix(body: memoryview, order: str, where: str, depth: int = 0) -> tuple[str, Value | None]:
    """A variable's name and value; None for one of a kind that is left out."""
    if not body:
        return "", None  # an empty field
    reader = _Reader(body, order)
    flags = int(reader.numbers()[0])
    shape = tuple(map(int, reader.numbers()))
    name = reader.text()
    if min(shape, default=0) < 0:
        raise ValueError(f"an array of shape {flat(shape, 60)}")
    kind = flags & 0xFF
    if kind in _NUMBERS and not flags & _COMPLEX:
        return name, _array(reader, shape, "?" if flags & _LOGICAL else _NUMBERS[kind], where)
    if kind == _CHARACTERS and len(shape) == 2:
        return name, _texts(reader, shape)
    if kind == _STRUCTURE and prod(shape) == 1 and depth < DEEPEST:
        return name, _structure(reader, order, where, depth)
    return name, None


def _array(reader: _Reader, shape: tuple[int, ...], dtype: str, where: str) -> NDArray[Any]:
    """Numbers of a type, which may be stored in a smaller one that has room for them."""
    numbers = reader.numbers()
    if len(numbers) != prod(shape):
        raise ValueError(f"an array of shape {flat(shape, 60)} with {len(numbers):,} numbers")
    n_bytes = len(numbers) * np.dtype(dtype).itemsize
    pixels.require_room(where, n_bytes, n_stored=n_bytes)
    return numbers.astype(dtype, copy=False).reshape(shape, order="F")


def _texts(reader: _Reader, shape: tuple[int, ...]) -> NDArray[Any]:
    """The rows of a table of characters, without the blanks at their ends."""
    kind, content = reader.next()
    if kind not in _TEXTS:
        raise ValueError(f"characters of type {kind}")
    ending = "" if _TEXTS[kind] == "utf-8" else "-le" if reader.order == "<" else "-be"
    text = bytes(content).decode(_TEXTS[kind] + ending)
    n_rows, n_columns = shape
    if len(text) != n_rows * n_columns:
        raise ValueError(f"{len(text):,} characters for a table of {n_rows:,} x {n_columns:,}")
    return np.array([text[row::n_rows].strip() for row in range(n_rows)], dtype=str)


def _structure(reader: _Reader, order: str, where: str, depth: int) -> dict[str, Any]:
    (length,) = reader.numbers()[:1].tolist() or [0]
    _, content = reader.next()
    if length < 1 or len(content) % length:
        raise ValueError(f"names of fields of {length:,} characters each in {len(content):,}")
    names = [
        bytes(content[start : start + length]).split(b"\0")[0].decode("utf-8")
        for start in range(0, len(content), length)
    ]
    found = {}
    for name in names:
        kind, body = reader.next()
        if kind != _MATRIX:
            raise ValueError(f"a field of type {kind}")
        _, found[name] = _matrix(body, order, where, depth + 1)
    return found
