"""Folders of numpy's ``.npy`` files: an array for each part (``x_train.npy``, ``y_train.npy``), or one for each class,
as QuickDraw comes. Pieces in ``.npz`` files of one array each count too, as those of KMNIST and Kuzushiji-49.

An ``.npy`` file is mapped: its images are read once, a few at a time. Never a pickle.
"""

import warnings
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat
from stepladder.datasets import sources
from stepladder.datasets.forms import arrays, naming, npz
from stepladder.datasets.reading.found import Found
from stepladder.datasets.reading.odd_files import first_bytes
from stepladder.errors import DataError

MAGIC = {".npy": b"\x93NUMPY", ".npz": b"PK\x03\x04"}
MOST_PIECES = 2_000
PREFIX = "full_numpy_bitmap_"  # of QuickDraw's files, before the name of the class


class NpyFiles:
    """See kinds.Form."""

    def fits(self, path: Path) -> bool:
        if path.is_file():
            return path.suffix == ".npy" and _is_piece(path)
        pieces = pieces_of(path)
        return _in_parts(pieces) or _by_class(pieces)

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        return sources.stamp(pieces_of(Path(at)))

    def read(self, at: str) -> Found:
        path = Path(at)
        if path.is_file():
            raise DataError(_of_one_file(path))
        pieces = pieces_of(path)
        return _read_parts(path, pieces) if _in_parts(pieces) else _read_classes(path, pieces)


def pieces_of(folder: Path) -> list[Path]:
    """The files of arrays in a folder, by their names and first bytes."""
    if folder.is_file():
        return [folder]
    there = sorted(each for each in folder.iterdir() if each.suffix in MAGIC and each.is_file())
    return [each for each in there[:MOST_PIECES] if _is_piece(each)]


def _is_piece(path: Path) -> bool:
    try:
        return first_bytes(path, 8).startswith(MAGIC[path.suffix])
    except DataError:
        return False


def _in_parts(pieces: list[Path]) -> bool:
    return {"images", "labels"} <= {naming.said(each.stem)[1] for each in pieces}


def _by_class(pieces: list[Path]) -> bool:
    arrays_alone = all(each.suffix == ".npy" for each in pieces)
    return len(pieces) > 1 and arrays_alone and all(naming.said(each.stem)[1] is None for each in pieces)


def _of_one_file(path: Path) -> str:
    array = mapped(path)
    return (
        f"{flat(path, 1000)}: one array of shape {flat(array.shape, 60)} ({flat(array.dtype, 60)}); images and labels"
        " are two: put x_train.npy and y_train.npy into a folder, x_test.npy and y_test.npy where there are any, and"
        " give the folder"
    )


def mapped(path: Path) -> NDArray[Any]:
    """The array of a file, not yet read. Raises DataError for a damaged one, and for a pickle."""
    if path.suffix == ".npz":
        return npz.only_array(path)
    name = flat(path, 1000)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numpy, about headers of Python 2
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy names damage in a dozen ways, SyntaxError among them
        if "bject" in str(error):
            raise DataError(
                f"{name}: an array of Python objects, such as a list of dictionaries, is a pickle, which is never"
                " loaded: save images and labels as two arrays, np.save('x_train.npy', np.stack(images)) and"
                " np.save('y_train.npy', labels)"
            ) from None
        raise DataError(f"{name}: damaged, or no array that numpy saved ({flat(error)}): save it again") from None
    if array.dtype.names or array.dtype.subdtype:
        raise DataError(f"{name}: an array of records: save images and labels as two arrays")
    return array


def _read_parts(folder: Path, pieces: list[Path]) -> Found:
    files = {each.name: each for each in pieces}
    chosen, notes = naming.pairs({Path(name).stem: name for name in files}, where=flat(folder, 1000))
    by_stem = {each.stem: each for each in pieces}
    if len(by_stem) < len(pieces):
        twice = next(each for each in pieces if by_stem[each.stem] != each)
        other = by_stem[twice.stem].name
        raise DataError(f"{flat(folder, 1000)}: {flat(twice.name, 60)} and {flat(other, 60)}: keep one of them")
    stored = {}
    for part, names in chosen.items():
        images, labels = by_stem[names.images], by_stem[names.labels]
        where = flat(labels, 1000)
        stored[part] = arrays.Stored(
            mapped(images), arrays.as_text(np.asarray(mapped(labels)), where), flat(images, 1000)
        )
    n_stored = sum(each.stat().st_size for each in pieces)
    parts, more = arrays.parts_of(stored, n_stored=n_stored, order=arrays.order_of(folder), convert=False)
    named = naming.class_names(by_stem)
    class_names = _class_names(by_stem[named]) if named else ()
    return Found(parts, class_names, "a folder of numpy's arrays", (*notes, *more))


def _class_names(path: Path) -> tuple[str, ...]:
    texts = arrays.as_text(np.asarray(mapped(path)), flat(path, 1000))
    return tuple(texts.tolist()) if texts.ndim == 1 and texts.dtype.kind == "U" else ()


def _read_classes(folder: Path, pieces: list[Path]) -> Found:
    """A file for each class; its name, without QuickDraw's prefix, is the class's."""
    found = {each.stem.removeprefix(PREFIX): mapped(each) for each in pieces}
    kinds = {(array.shape[1:], array.dtype) for array in found.values()}
    if len(kinds) > 1 or () in {shape for shape, _ in kinds}:
        shown = ", ".join(f"{each.name} {mapped(each).shape} {mapped(each).dtype}" for each in pieces[:4])
        raise DataError(
            f"{flat(folder, 1000)}: arrays of different shapes or types ({flat(shown)}): give each class an array of"
            " images of its own, or call them x_train.npy, y_train.npy, x_test.npy, y_test.npy"
        )
    labels = np.repeat(np.array(list(found)), [len(array) for array in found.values()])
    stored = arrays.Stored(arrays.Chained(list(found.values())), labels, flat(folder, 1000))
    n_stored = sum(each.stat().st_size for each in pieces)
    parts, notes = arrays.parts_of({"train": stored}, n_stored=n_stored, order="rows", convert=False)
    return Found(parts, form="numpy's arrays, one for each class", notes=notes)
