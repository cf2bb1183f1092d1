"""Tables in LIBSVM's text form, ``label index:value ...`` a row, plain or packed: ``usps.bz2`` and ``usps.t.bz2``.

What is not in a row is 0. Rows are images of squares, flattened row by row; the last pixels of a set, black in all of
its images, may be missing.
"""

import bz2
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat
from stepladder.datasets import sources
from stepladder.datasets.forms import arrays
from stepladder.datasets.reading import pixels
from stepladder.datasets.reading.found import Found, Part
from stepladder.datasets.reading.odd_files import first_bytes, listed
from stepladder.errors import DataError

LOOKED_AT = 2**16
LARGEST_BLOCK = 2**20  # bytes of bzip2, of which nothing is had before all are there
LONGEST_ROW = 2**24  # bytes
MOST_FILES = 20
FEWEST_PIXELS = 9
NO_TABLES = (".csv", ".tsv", ".npz", ".npy", ".mat", ".h5", ".png", ".jpg", ".zip", ".tar", ".parquet", ".arrow")
_NUMBER = rb"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?"  # nothing is tried in two ways
_ROW = re.compile(rb"\s*+" + _NUMBER + rb"(?:[ \t]++\d++:" + _NUMBER + rb"){2,}+[ \t\r]*+(?:\n|$)")
_PARTS = {"t": "test", "tr": "train", "val": "validation"}  # a file's last ending, but that of its packing


class Libsvm:
    """See kinds.Form."""

    def fits(self, path: Path) -> bool:
        return bool(files_of(path))

    def name(self, at: str) -> str:
        path = Path(at)
        return sources.set_name(path) if path.is_dir() else _plain(path)

    def stamp(self, at: str) -> Hashable:
        return sources.stamp(files_of(Path(at)))

    def read(self, at: str) -> Found:
        path = Path(at)
        chosen, notes = _by_part(path, files_of(path))
        return _found({part: _table(file) for part, file in chosen.items()}, path, notes)


def files_of(path: Path) -> list[Path]:
    """The tables of a folder, or the one that a path is, by their first row."""
    there = [path] if path.is_file() else sorted(each for each in path.iterdir() if each.is_file())
    likely = [each for each in there if each.suffix.lower() not in NO_TABLES]
    return [each for each in likely if _ROW.match(_beginning(each))] if len(likely) <= MOST_FILES else []


def _plain(path: Path) -> str:
    """A file's name without the ending of its packing."""
    return path.stem if path.suffix in (".bz2", ".gz", ".xz") else path.name


def _beginning(path: Path) -> bytes:
    try:
        if first_bytes(path, 3) == b"BZh":
            return bz2.BZ2Decompressor().decompress(first_bytes(path, LARGEST_BLOCK), LOOKED_AT)
        with sources.opened(path) as stream:
            return stream.read(LOOKED_AT)
    except (DataError, OSError, EOFError):
        return b""


def _by_part(path: Path, files: list[Path]) -> tuple[dict[str, Path], tuple[str, ...]]:
    """The file of each part, and what is to be said: those with an ending .t are tests."""
    if path.is_file():
        others = [f"{_plain(path)}.t{path.suffix if _plain(path) != path.name else ''}"]
        beside = [each for each in others if (path.parent / each).is_file()]
        return {"train": path}, tuple(
            f"{flat(each, 60)} beside it was not read: for it to be the test part, give the folder" for each in beside
        )
    found: dict[str, Path] = {}
    plain = {_plain(each) for each in files}
    for each in files:
        ending = _plain(each).rpartition(".")[2]
        part = _PARTS.get(ending, "train")
        if part == "train" and ending != "tr" and f"{_plain(each)}.tr" in plain:
            continue  # all of it, of which .tr and .val are parts
        if part in found:
            raise DataError(
                f"{flat(path, 1000)}: {flat(found[part].name, 60)} and {flat(each.name, 60)} could both be {part}: keep"
                " one of them"
            )
        found[part] = each
    if "train" not in found:
        raise DataError(
            f"{flat(path, 1000)}: which of {listed([each.name for each in files])} is trained on? Get it too"
        )
    return found, ()


@dataclass(frozen=True)
class _Table:
    """A table's values by row and column, counted from 0, and its labels as they are written."""

    where: str
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float64]
    labels: NDArray[np.float64]


def _table(path: Path) -> _Table:
    """Raises DataError that names the line of what is none."""
    where, n_stored = flat(path, 1000), path.stat().st_size
    blocks, n_lines, n_values = [], 0, 0
    with _opened(path) as stream:
        for block in _blocks(stream, where):
            lines = [line for line in block.split(b"\n") if line.strip()]
            blocks.append(_block(lines, where, n_lines))
            n_lines += len(lines)
            n_values += len(blocks[-1][1])
            pixels.require_room(where, 32 * n_values, n_stored=n_stored)
    if not n_lines:
        raise DataError(f"{where}: an empty table: get it again")
    labels, columns, values, counts = (np.concatenate(each) for each in zip(*blocks, strict=True))
    if len(columns) and columns.min() < 1:
        raise DataError(f"{where}: an index is {columns.min()}: indices of pixels count from 1")
    return _Table(where, np.repeat(np.arange(len(labels)), counts), columns - 1, values, labels)


def _opened(path: Path) -> Any:
    if first_bytes(path, 3) == b"BZh":
        return cast(BinaryIO, bz2.open(path))
    return sources.opened(path)


def _blocks(stream: BinaryIO, where: str) -> Iterator[bytes]:
    """Whole lines, some megabytes at a time."""
    left = b""
    try:
        while chunk := stream.read(pixels.CHUNK):
            whole, newline, rest = (left + chunk).rpartition(b"\n")
            left = rest
            if len(left) > LONGEST_ROW:
                raise DataError(f"{where}: a row of more than {LONGEST_ROW:,} bytes: it is no table of images")
            if newline:
                yield whole
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{where}: damaged or truncated ({flat(error)}): get it again") from None
    if left.strip():
        yield left


def _block(lines: list[bytes], where: str, n_before: int) -> tuple[NDArray[Any], ...]:
    """Labels, indices, values, and how many of these each line has."""
    counts = np.array([line.count(b":") for line in lines])
    words = b" ".join(lines).replace(b":", b" ").split()
    starts = np.cumsum(1 + 2 * counts) - 1 - 2 * counts
    try:
        if len(words) != len(lines) + 2 * counts.sum():
            raise ValueError
        numbers = np.array(words).astype(np.float64)
    except (ValueError, OverflowError):
        odd = next((place for place, line in enumerate(lines) if not _is_row(line)), 0)
        raise DataError(
            f"{where}, row {n_before + odd + 1}: {flat(lines[odd][:60].decode(errors='replace'), 60)}: a row is a label"
            " and index:value pairs"
        ) from None
    is_label = np.zeros(len(words), bool)
    is_label[starts] = True
    indices, values = numbers[~is_label][::2], numbers[~is_label][1::2]
    if len(indices) and (np.abs(indices) > 2**31).any():
        raise DataError(f"{where}: an index of {np.abs(indices).max():.0f}: it is damaged, or no table of images")
    return numbers[starts], indices.astype(np.int64), values, counts


def _is_row(line: bytes) -> bool:
    return re.fullmatch(rb"\s*+" + _NUMBER + rb"(?:\s++\d++:" + _NUMBER + rb")*+\s*+", line) is not None


def _found(tables: dict[str, _Table], path: Path, notes: tuple[str, ...]) -> Found:
    where = flat(path, 1000)
    square = _Square.of(tables, path)
    low, high = _range(tables, square.n_columns, where)
    black = pixels.to_bytes(np.zeros(1), low, high)
    assert black is not None
    parts = {}
    for part, table in tables.items():
        n, n_pixels = len(table.labels), square.channels * square.size**2
        pixels.require_room(table.where, n * n_pixels, n_stored=n * n_pixels)
        images, made = np.full((n, n_pixels), black[0], np.uint8), pixels.to_bytes(table.values, low, high)
        assert made is not None
        images[table.rows, table.columns] = made
        parts[part] = Part(images.reshape(n, square.channels, square.size, square.size), _labels(table))
    said = list(arrays.scale_notes(low, high, np.dtype(np.float64)))
    if square.n_missing:
        said.append(f"the last {square.n_missing} pixels of images, which no row has, were taken for black")
    if _is_usps(parts, square.size, path):
        parts = {part: Part(each.images, each.labels - 1) for part, each in parts.items()}
        said.append("labels 1 to 10 are digits 0 to 9, as LIBSVM's USPS means them")
    parts, class_names = _by_name(parts)
    return Found(parts, class_names, "LIBSVM's text", (*notes, *said))


@dataclass(frozen=True)
class _Square:
    """What rows of this many columns are: grey, or of three colours, one after another; some last pixels are missing"""

    n_columns: int
    channels: int
    size: int

    @property
    def n_missing(self) -> int:
        return self.channels * self.size**2 - self.n_columns

    @classmethod
    def of(cls, tables: dict[str, _Table], path: Path) -> "_Square":
        """Raises DataError for what is no square, and for colours of a set that is not known."""
        where, n = flat(path, 1000), max(int(table.columns.max(initial=-1)) + 1 for table in tables.values())
        channels, size = arrays.square_of(n) or (1, int(np.ceil(np.sqrt(n))))
        if channels == 3 and arrays.order_of(path) == "grey rows":
            raise DataError(
                f"{where}: rows of {n:,} numbers are {size} x {size} colours in an order that nobody can know: save"
                f" them as an .npz file of images (N, 3, {size}, {size})"
            )
        if n < FEWEST_PIXELS or channels * size**2 - n >= size:
            raise DataError(f"{where}: rows of {n:,} numbers make no square of pixels: images are wanted")
        return cls(n, channels, size)


def _range(tables: dict[str, _Table], n_columns: int, where: str) -> tuple[float, float]:
    """The least and the largest number of all parts, 0 among them where a row lacks one. Raises DataError."""
    zero = [0.0] if any(len(table.values) < len(table.labels) * n_columns for table in tables.values()) else []
    found = np.concatenate([*(table.values for table in tables.values()), zero])
    low, high = float(found.min()), float(found.max())
    if pixels.to_bytes(np.zeros(1), low, high) is None:
        raise DataError(
            f"{where}: pixels {pixels.as_bytes(found.dtype, low, high)}, as an .npz file; values from 0 to 255, 0 to 1"
            " or -1 to 1 are read"
        )
    return low, high


def _labels(table: _Table) -> NDArray[Any]:
    """Whole numbers; others as they are, to be refused."""
    labels = table.labels
    if not np.isfinite(labels).all() or (labels != labels.round()).any() or np.abs(labels).max() > 2**31:
        return labels
    return labels.astype(np.int64)


def _by_name(parts: dict[str, Part]) -> tuple[dict[str, Part], tuple[str, ...]]:
    """Labels where any is below 0, as in -1 and +1, counted from 0, and their names; others as they are."""
    whole = all(each.labels.dtype.kind == "i" for each in parts.values())
    labels = np.unique(np.concatenate([each.labels for each in parts.values()]))
    if not whole or labels[0] >= 0:
        return parts, ()
    parts = {part: Part(each.images, np.searchsorted(labels, each.labels)) for part, each in parts.items()}
    return parts, tuple(map(str, labels.tolist()))


def _is_usps(parts: dict[str, Part], size: int, path: Path) -> bool:
    files = files_of(path) if path.is_dir() else [path]
    named = any("usps" in each.name.lower() for each in files)
    return named and size == 16 and np.unique(parts["train"].labels).tolist() == list(range(1, 11))
