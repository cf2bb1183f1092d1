"""IDX files (format: the end of yann.lecun.com/exdb/mnist), plain, gzip or xz: no more is unpacked than their header
promises.
"""

import struct
from collections.abc import Hashable, Mapping
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat
from stepladder.datasets import sources
from stepladder.datasets.forms import idx_files
from stepladder.datasets.reading import files, pixels
from stepladder.datasets.reading.found import Found, Part
from stepladder.errors import DataError

OF_INTEGERS = b"\0\0\x0c\2"  # how QMNIST's labels begin: 8 columns, the class first
LONGEST_MAPPING = 1_000_000  # bytes


class IdxFolder:
    """See kinds.Form. ``at`` may be what the names of the four files begin with."""

    def fits(self, path: Path) -> bool:
        return path.is_dir() and idx_files.fits(path)

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        return sources.stamp(idx_files.find(Path(at)).all)

    def read(self, at: str) -> Found:
        found = idx_files.find(Path(at))
        arrays = {
            part: _read_part(f"{flat(at, 1000)}, {part}", found.parts[part][0], part=part) for part in found.parts
        }
        for part, (taken, *others) in found.parts.items():
            for other in others:
                sources.require_same(taken, other, part=part)
        parts, notes = {}, []
        for name in ("train", "test"):
            labels = arrays[f"{name}-labels"]
            if labels.dtype != np.uint8:
                labels = labels[:, 0]
                notes.append(
                    f"{name} labels have {arrays[f'{name}-labels'].shape[1]} columns; the first, the class, was taken"
                )
            parts[name] = Part(arrays[f"{name}-images"], labels)
        names = () if found.mapping is None else _class_names(found.mapping)
        return Found(parts, class_names=names, form="IDX files", notes=tuple(notes))


def _class_names(path: Path) -> tuple[str, ...]:
    """The characters of each class, from EMNIST's rows of a label and the codes of one or two characters."""
    try:
        text = files.content(path, flat(path), most=LONGEST_MAPPING).decode("ascii")
        rows = [list(map(int, line.split())) for line in text.splitlines() if line.strip()]
        names: Mapping[int, str] = {label: "".join(map(chr, codes)) for label, *codes in rows}
        if not all(0 <= label < 1000 and name.isprintable() and name for label, name in names.items()):
            raise ValueError("a label that is none")
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{flat(path)}: no mapping of labels to characters ({flat(error)}): get it again, or delete it"
        ) from None
    return tuple(names.get(label, "") for label in range(max(names, default=-1) + 1))


def _read_part(where: str, path: Path, *, part: str) -> NDArray[Any]:
    """One file; ``where`` names it in what is said of the images' shape. Raises DataError."""
    name, n_stored = flat(path, 1000), path.stat().st_size
    if "labels" in part and (rows := _of_integers(path)) is not None:
        return rows
    with sources.opened(path) as stream:
        shape = sources.idx_shape(stream, name)
        expected, n_plain = prod(shape), n_stored - 4 - 4 * len(shape)
        if expected == 0:
            raise DataError(f"{name}: holds nothing (its header says {shape}): get it again")
        if isinstance(stream, BufferedReader) and n_plain != expected:
            raise _wrong_size(name, expected, n_plain)
        pixels.require_room(name, expected, n_stored=n_stored)
        form = sources.image_shape(where, shape) if "images" in part else None
        try:
            found = pixels.read(stream, shape, form=form)
        except pixels.TooFewError as short:
            raise _wrong_size(name, expected, short.n_read) from None
        if stream.read(1):  # which also makes gzip and xz compare their checksums
            raise _wrong_size(name, expected, None)
    return found


def _of_integers(path: Path) -> NDArray[Any] | None:
    """Labels as QMNIST has them, (N, 8) of 32 bits; None where they are bytes. Raises DataError."""
    name = flat(path, 1000)
    with sources.opened(path) as stream:
        if stream.read(4) != OF_INTEGERS:
            return None
        sizes = stream.read(8)
        if len(sizes) < 8:
            raise DataError(f"{name}: truncated: it ends inside its header: get it again")
        shape = struct.unpack(">2I", sizes)
        expected = 4 * prod(shape)
        if expected == 0:
            raise DataError(f"{name}: holds nothing (its header says {shape}): get it again")
        pixels.require_room(name, expected, n_stored=path.stat().st_size)
        rows = np.empty(shape, ">i4")
        try:
            pixels.fill(stream, rows)
        except pixels.TooFewError as short:
            raise _wrong_size(name, expected, short.n_read) from None
        if stream.read(1):
            raise _wrong_size(name, expected, None)
    return rows


def _wrong_size(name: str, expected: int, n: int | None) -> DataError:
    """``n`` bytes, or more than expected if that is not known."""
    what = "truncated" if n is not None and n < expected else "too long"
    has = "more" if n is None else f"{n:,}"
    return DataError(f"{name}: {what}: its header promises {expected:,} bytes, it has {has}: get it again")
