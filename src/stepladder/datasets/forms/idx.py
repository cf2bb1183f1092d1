"""IDX files (format: the end of yann.lecun.com/exdb/mnist), plain, gzip or xz: no more is unpacked than their header
promises.
"""

from collections.abc import Hashable
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from stepladder._base.wording import flat
from stepladder.datasets import pixels, sources
from stepladder.errors import DataError


class IdxFolder:
    """See kinds.Form."""

    def fits(self, path: Path) -> bool:
        return path.is_dir() and any("idx" in each.name.lower() for each in path.iterdir())

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        return sources.stamp(file for found in sources.idx_files(Path(at)).values() for file in found)

    def read(self, at: str) -> dict[str, NDArray[Any]]:
        return read(Path(at))


def read(folder: Path) -> dict[str, NDArray[Any]]:
    """All parts: images (N, C, H, W) uint8, labels as they are. Raises DataError."""
    files = sources.idx_files(folder)
    found = {part: _read_part(f"{flat(folder, 1000)}, {part}", files[part][0], part=part) for part in files}
    for part, (taken, *others) in files.items():
        for other in others:
            sources.require_same(taken, other, part=part)
    return found


def _read_part(where: str, path: Path, *, part: str) -> NDArray[Any]:
    """One file; ``where`` names it in what is said of the images' shape. Raises DataError."""
    name, n_stored = flat(path, 1000), path.stat().st_size
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


def _wrong_size(name: str, expected: int, n: int | None) -> DataError:
    """``n`` bytes, or more than expected if that is not known."""
    what = "truncated" if n is not None and n < expected else "too long"
    has = "more" if n is None else f"{n:,}"
    return DataError(f"{name}: {what}: its header promises {expected:,} bytes, it has {has}: get it again")
