"""MATLAB's ``.mat`` files: SVHN, EMNIST, USPS, and any others with arrays of usual names.

Those of version 5 are read here (see matlab_5), those of version 7.3, which are HDF5, by h5py. MATLAB has the number of
images last, and flattens images column by column; most flat images came from elsewhere, and were flattened row by row.
"""

from collections.abc import Hashable, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat
from stepladder.datasets import sources
from stepladder.datasets.forms import arrays, hdf5, matlab_5, naming
from stepladder.datasets.forms.arrays import Stored
from stepladder.datasets.forms.matlab_5 import Value
from stepladder.datasets.reading import pixels
from stepladder.datasets.reading.found import Found, Part
from stepladder.datasets.reading.odd_files import first_bytes, listed
from stepladder.errors import DataError

VERSION_7 = b"MATLAB 7.3 MAT"
MOST_FILES = 100
LARGEST_CODE = 2**16 - 1
USPS_ALL = (256, 10)  # rows of pixels, and digits
BY_ROWS = (
    "flat images were taken row by row; if they come lying on their side, they are stored column by column, as MATLAB"
    " flattens: save them as (N, H, W)"
)


class MatFile:
    """See kinds.Form."""

    def fits(self, path: Path) -> bool:
        return bool(files_of(path))

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        return sources.stamp(files_of(Path(at)))

    def read(self, at: str) -> Found:
        path, files = Path(at), files_of(Path(at))
        left = _left_out(files)
        there = hdf5.joined({each: _variables(each) for each in files if each not in left})
        found = _emnist(there, path) or _usps_all(there, path) or _of_pairs(there, path)
        notes = [f"left out: {listed([each.name for each in left])}"] if left else []
        return replace(found, notes=(*notes, *found.notes))


def files_of(path: Path) -> list[Path]:
    """The MATLAB files of a folder, or the one that a path is, by their names and first bytes."""
    there = [path] if path.is_file() else sorted(each for each in path.iterdir() if each.is_file())
    named = [each for each in there if each.suffix.lower() == ".mat"][:MOST_FILES]
    heads = {each: first_bytes(each, matlab_5.N_HEADER) for each in named}
    known = (matlab_5.MAGIC, VERSION_7)
    return [each for each, head in heads.items() if len(head) == matlab_5.N_HEADER and head.startswith(known)]


def _left_out(files: list[Path]) -> list[Path]:
    """The files of a folder that say no part, where others do: SVHN's extra images."""
    parts = {each: naming.said(each.stem)[0] for each in files}
    return [each for each, part in parts.items() if part is None] if "train" in parts.values() else []


def _variables(path: Path) -> dict[str, Value]:
    """The arrays of a file by name, and its structures. Raises DataError."""
    if not first_bytes(path, matlab_5.N_HEADER).startswith(VERSION_7):
        return matlab_5.variables(path)
    found: dict[str, Value] = {}
    with hdf5.datasets(path) as there:
        for name, array in there.items():
            if not name.startswith("#") and array.dtype.kind in "biuf" and array.shape:
                n_bytes = prod(array.shape) * array.dtype.itemsize
                pixels.require_room(flat(path, 1000), n_bytes, n_stored=path.stat().st_size)
                found[name] = np.asarray(array[:]).T
    return found


def _parts(stored: Mapping[str, Stored], order: arrays.Order) -> tuple[dict[str, Part], tuple[str, ...]]:
    """See arrays.parts_of; all are in memory already."""
    n_bytes = sum(np.asarray(each.images).nbytes for each in stored.values())
    return arrays.parts_of(stored, n_stored=n_bytes, order=order, convert=True)


def _of_pairs(there: Mapping[str, Value], path: Path) -> Found:
    """A set of images and labels by name; SVHN's label 10 is digit 0."""
    where = flat(path, 1000)
    numeric = {name: array for name, array in there.items() if isinstance(array, np.ndarray)}
    chosen, notes = naming.pairs(numeric, where=where)
    stored, said = {}, list(notes)
    for part, names in chosen.items():
        labels, more = arrays.labels_as_meant(numeric[names.labels], f"{where}, {names.labels}")
        said += [f"{each} ({part})" for each in more]
        images = arrays.number_first(numeric[names.images], len(labels))
        stored[part] = Stored(images, labels, f"{where}, {flat(names.images, 60)}")
    is_flat = any(len(each.images.shape) == 2 for each in stored.values())
    said += [BY_ROWS] * (is_flat and "train_patterns" not in there)  # which is USPS, known to be flattened so
    is_svhn = all(_is_svhn(each) for each in stored.values())
    if is_svhn:
        stored = {part: Stored(each.images, each.labels % 10, each.where) for part, each in stored.items()}
        said.append("label 10 is digit 0, and was taken for class 0, as SVHN means it")
    parts, more = _parts(stored, arrays.order_of(path))
    return Found(parts, form="SVHN's MATLAB files" if is_svhn else "MATLAB", notes=(*said, *more))


def _is_svhn(stored: Stored) -> bool:
    """Whether images are 32 x 32 colours, and labels run from 1 to 10."""
    labels = stored.labels
    if tuple(stored.images.shape[1:]) != (32, 32, 3) or labels.dtype.kind not in "iu" or not labels.size:
        return False
    return bool(labels.min() >= 1 and labels.max() == 10)


def _emnist(there: Mapping[str, Value], path: Path) -> Found | None:
    """EMNIST, a structure ``dataset`` of train, test and mapping, its images flattened column by column; else None."""
    dataset = there.get("dataset")
    if not isinstance(dataset, dict) or not {"train", "test", "mapping"} <= dataset.keys():
        return None
    where = flat(path, 1000)
    try:
        stored = {part: _emnist_part(dataset[part], f"{where}, dataset.{part}") for part in ("train", "test")}
        names = _characters(dataset["mapping"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(
            f"{where}: a structure dataset that is not EMNIST's ({flat(error)}): save images and labels as X and y"
        ) from None
    parts, more = _parts(stored, "columns")
    notes = ("images were turned upright: EMNIST has them column by column", *more)
    return Found(parts, names, "EMNIST's MATLAB file", notes)


def _emnist_part(part: Mapping[str, NDArray[Any]], where: str) -> Stored:
    labels, _ = arrays.labels_as_meant(part["labels"], where)
    if part["images"].ndim != 2:
        raise ValueError(f"images of shape {part['images'].shape}")
    return Stored(part["images"], labels, where)


def _characters(mapping: NDArray[Any]) -> tuple[str, ...]:
    """A name for each label: the characters, by their codes, that EMNIST's mapping (K, 1 + codes) has for it."""
    if mapping.ndim != 2 or not len(mapping) or mapping.min() < 0 or mapping.max() > LARGEST_CODE:
        raise ValueError(f"a mapping of shape {mapping.shape}")
    characters = {int(label): "".join(chr(int(code)) for code in codes if code) for label, *codes in mapping.tolist()}
    return tuple(characters.get(label, str(label)) for label in range(max(characters) + 1))


def _usps_all(there: Mapping[str, Value], path: Path) -> Found | None:
    """USPS in Roweis's file: ``data`` (256, N, 10), digits 1 to 9 and then 0, column by column; None for any other."""
    array = there.get("data")
    if len(there) > 1 or not isinstance(array, np.ndarray) or array.shape[::2] != USPS_ALL or array.ndim != 3:
        return None
    if array.dtype != np.uint8:
        raise DataError(f"{flat(path, 1000)}: USPS in {array.dtype}: bytes (uint8) are wanted")
    n = array.shape[1]
    images = array.transpose(2, 1, 0).reshape(10 * n, 1, 16, 16).transpose(0, 1, 3, 2)
    part = Part(np.ascontiguousarray(images), np.repeat([*range(1, 10), 0], n))
    notes = ("digits come in the order 1 to 9, 0", "images were turned upright: they are stored column by column")
    return Found({"train": part}, form=f"USPS in a MATLAB file ({flat(path.name, 60)})", notes=notes)
