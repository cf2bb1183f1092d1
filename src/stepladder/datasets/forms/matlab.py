"""MATLAB's ``.mat`` files: SVHN, EMNIST, USPS, and any others with arrays of usual names.

Those of version 5 are read by SciPy, those of version 7.3, which are HDF5, by h5py. MATLAB has the number of images
last, and flattens images column by column; most sets of flat images came from elsewhere, and were flattened row by row.
"""

import warnings
import zlib
from collections.abc import Hashable, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat
from stepladder.datasets import pixels, sources
from stepladder.datasets.forms import arrays, hdf5, naming
from stepladder.datasets.forms.arrays import Rows, Stored
from stepladder.datasets.found import Found, Part
from stepladder.datasets.odd_files import first_bytes, listed
from stepladder.errors import DataError

VERSION_5, VERSION_7 = b"MATLAB 5.0 MAT", b"MATLAB 7.3 MAT"
N_HEADER = 128
MOST_FILES = 100
KINDS = ("double", "single", "logical", "char", *(f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64)))
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
    heads = {each: first_bytes(each, N_HEADER) for each in named}
    return [each for each, head in heads.items() if len(head) == N_HEADER and head.startswith((VERSION_5, VERSION_7))]


def _left_out(files: list[Path]) -> list[Path]:
    """The files of a folder that say no part, where others do: SVHN's extra images."""
    parts = {each: naming.said(each.stem)[0] for each in files}
    return [each for each, part in parts.items() if part is None] if "train" in parts.values() else []


def _variables(path: Path) -> dict[str, Any]:
    """The arrays of a file by name, and structures as SciPy has them. Raises DataError."""
    if not first_bytes(path, N_HEADER).startswith(VERSION_7):
        return _of_version_5(path)
    n_stored, found = path.stat().st_size, {}
    with hdf5.datasets(path) as there:
        for name, array in there.items():
            if not name.startswith("#") and array.dtype.kind in "biuf" and array.shape:
                pixels.require_room(flat(path, 1000), prod(array.shape) * array.dtype.itemsize, n_stored=n_stored)
                found[name] = np.asarray(array[:]).T
    return found


def _of_version_5(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat, whosmat  # only now: a tenth of a second

    name = flat(path, 1000)
    try:
        _require_unpacked_room(path)
        listed = whosmat(str(path), appendmat=False)
        kinds = {each: (kind, shape) for each, shape, kind in listed}
        wanted = [each for each, (kind, _) in kinds.items() if kind in KINDS or (each, kind) == ("dataset", "struct")]
        for kind, shape in (kinds[each] for each in wanted):
            n_bytes = prod(shape) * (1 if kind in ("uint8", "int8", "logical") else 8)
            pixels.require_room(name, n_bytes, n_stored=n_bytes)  # packed is how numbers are, too
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of SciPy, about what is left out
            found: dict[str, Any] = loadmat(str(path), appendmat=False, variable_names=wanted)
    except DataError:
        raise
    except Exception as error:  # SciPy names damage in a dozen ways
        reason = flat(error, 200) or type(error).__name__
        raise DataError(
            f"{name}: a damaged MATLAB file, or of a kind that SciPy does not read ({reason}): get it again, or"
            " save it in MATLAB with save(..., '-v7')"
        ) from None
    return {each: value for each, value in found.items() if each in wanted}


def _require_unpacked_room(path: Path) -> None:
    """Raise DataError where a file unpacks to more than memory holds, or than images compress from, whatever its
    headers say. (Format: MAT-File Level 5, in MATLAB's documentation; elements of type 15 are packed by zlib.)
    """
    n_stored = path.stat().st_size
    n_unpacked = 0
    with path.open("rb") as file:
        order = "little" if file.read(N_HEADER)[126:128] == b"IM" else "big"
        while len(tag := file.read(8)) == 8:
            kind, n_bytes = (int.from_bytes(each, order) for each in (tag[:4], tag[4:]))  # type: ignore[arg-type]
            if kind != 15:
                n_unpacked += n_bytes
                file.seek(n_bytes, 1)
                continue
            unpack, left = zlib.decompressobj(), n_bytes
            while left > 0 and (chunk := file.read(min(left, pixels.CHUNK))):
                left -= len(chunk)
                while chunk:
                    n_unpacked += len(unpack.decompress(chunk, pixels.CHUNK))
                    chunk = unpack.unconsumed_tail
                    pixels.require_room(flat(path, 1000), n_unpacked, n_stored=n_stored)
    pixels.require_room(flat(path, 1000), n_unpacked, n_stored=n_stored)


def _parts(stored: Mapping[str, Stored], order: arrays.Order) -> tuple[dict[str, Part], tuple[str, ...]]:
    """See arrays.parts_of; all are in memory already."""
    n_bytes = sum(np.asarray(each.images).nbytes for each in stored.values())
    return arrays.parts_of(stored, n_stored=n_bytes, order=order, convert=True)


def _of_pairs(there: Mapping[str, Any], path: Path) -> Found:
    """A set of images and labels by name; SVHN's label 10 is digit 0."""
    where = flat(path, 1000)
    numeric = {name: array for name, array in there.items() if array.dtype.kind in "biufU"}
    chosen, notes = naming.pairs(numeric, where=where)
    stored, said = {}, list(notes)
    for part, names in chosen.items():
        labels, more = arrays.labels_as_meant(numeric[names.labels], f"{where}, {names.labels}")
        said += [f"{each} ({part})" for each in more]
        images = arrays.number_first(numeric[names.images], len(labels))
        stored[part] = Stored(images, _stripped(labels), f"{where}, {flat(names.images, 60)}")
    is_flat = any(len(each.images.shape) == 2 for each in stored.values())
    said += [BY_ROWS] * (is_flat and "train_patterns" not in there)  # which is USPS, known to be flattened so
    is_svhn = all(_is_svhn(each) for each in stored.values())
    if is_svhn:
        stored = {part: Stored(each.images, each.labels % 10, each.where) for part, each in stored.items()}
        said.append("label 10 is digit 0, and was taken for class 0, as SVHN means it")
    parts, more = _parts(stored, "grey rows")
    return Found(parts, form="SVHN's MATLAB files" if is_svhn else "MATLAB", notes=(*said, *more))


def _stripped(labels: NDArray[Any]) -> NDArray[Any]:
    """Texts of MATLAB are as long as the longest."""
    return np.char.strip(labels) if labels.dtype.kind == "U" else labels


def _is_svhn(stored: Stored) -> bool:
    """Whether images are 32 x 32 colours, and labels run from 1 to 10."""
    labels = stored.labels
    if tuple(stored.images.shape[1:]) != (32, 32, 3) or labels.dtype.kind not in "iu" or not labels.size:
        return False
    return bool(labels.min() >= 1 and labels.max() == 10)


def _emnist(there: Mapping[str, Any], path: Path) -> Found | None:
    """EMNIST, a structure ``dataset`` of train, test and mapping, its images flattened column by column; else None."""
    dataset = there.get("dataset")
    if not isinstance(dataset, np.ndarray) or not {"train", "test", "mapping"} <= set(dataset.dtype.names or ()):
        return None
    where = flat(path, 1000)
    try:
        stored = {part: _emnist_part(dataset[part], f"{where}, dataset.{part}") for part in ("train", "test")}
        names = _characters(np.asarray(dataset["mapping"].item()))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(
            f"{where}: a structure dataset that is not EMNIST's ({flat(error)}): save images and labels as X and y"
        ) from None
    parts, more = _parts(stored, "columns")
    notes = ("images were turned upright: EMNIST has them column by column", *more)
    return Found(parts, names, "EMNIST's MATLAB file", notes)


def _emnist_part(part: NDArray[Any], where: str) -> Stored:
    fields = part.item()
    labels, _ = arrays.labels_as_meant(np.asarray(fields["labels"].item()), where)
    return Stored(np.asarray(fields["images"].item()), labels, where)


def _characters(mapping: NDArray[Any]) -> tuple[str, ...]:
    """A name for each label: the characters, by their codes, that EMNIST's mapping (K, 1 + codes) has for it."""
    characters = {int(label): "".join(chr(int(code)) for code in codes if code) for label, *codes in mapping.tolist()}
    return tuple(characters.get(label, str(label)) for label in range(max(characters) + 1))


def _usps_all(there: Mapping[str, Rows], path: Path) -> Found | None:
    """USPS in Roweis's file: ``data`` (256, N, 10), digits 1 to 9 and then 0, column by column; None for any other."""
    if set(there) != {"data"}:
        return None
    array = np.asarray(there["data"])
    if array.ndim != 3 or (array.shape[0], array.shape[2]) != USPS_ALL or array.dtype != np.uint8:
        return None
    n = array.shape[1]
    images = array.transpose(2, 1, 0).reshape(10 * n, 1, 16, 16).transpose(0, 1, 3, 2)
    part = Part(np.ascontiguousarray(images), np.repeat([*range(1, 10), 0], n))
    notes = ("digits come in the order 1 to 9, 0", "images were turned upright: they are stored column by column")
    return Found({"train": part}, form=f"USPS in a MATLAB file ({flat(path.name, 60)})", notes=notes)
