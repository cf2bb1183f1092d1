"""HDF5 files, read by h5py, an extra: one with all arrays, in groups or not (USPS has ``train/data``, ``train/target``)
or a folder with one for each (PatchCamelyon's pairs).

Nothing of a file but its own datasets is read: no links to other files, no data that lie elsewhere. Datasets are read
a few rows at a time.
"""

from collections.abc import Hashable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat, how_to_install
from stepladder.datasets import sources
from stepladder.datasets.forms import arrays, naming
from stepladder.datasets.forms.arrays import Rows
from stepladder.datasets.reading.found import Found
from stepladder.datasets.reading.odd_files import first_bytes
from stepladder.errors import DataError

ENDINGS = (".h5", ".hdf5", ".hdf", ".he5")
MAGIC = b"\x89HDF\r\n\x1a\n"
MOST_DATASETS = 1_000
MOST_FILES = 100
MOST_OF_LABELS = 2**28  # bytes

T = TypeVar("T")


class Hdf5:
    """See kinds.Form."""

    def fits(self, path: Path) -> bool:
        return bool(files_of(path))

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        return sources.stamp(files_of(Path(at)))

    def read(self, at: str) -> Found:
        path, files = Path(at), files_of(Path(at))
        with ExitStack() as opened:
            there = joined({each: opened.enter_context(datasets(each)) for each in files})
            return found_in(there, path, n_stored=sum(each.stat().st_size for each in files))


def files_of(path: Path) -> list[Path]:
    """The HDF5 files of a folder, or the one that a path is, by their names and first bytes."""
    there = [path] if path.is_file() else sorted(each for each in path.iterdir() if each.is_file())
    named = [each for each in there if each.suffix.lower() in ENDINGS][:MOST_FILES]
    return [each for each in named if first_bytes(each, 8) == MAGIC]


def joined(files: Mapping[Path, Mapping[str, T]]) -> dict[str, T]:
    """The arrays of files by name; of several files, the file's name is part of each."""
    if len(files) == 1:
        return dict(*files.values())
    return {f"{path.stem}/{name}": array for path, found in files.items() for name, array in found.items()}


def found_in(there: Mapping[str, Rows], path: Path, *, n_stored: int) -> Found:
    """A set of arrays by name, of a file or folder."""
    where = flat(path, 1000)
    chosen, notes = naming.pairs(there, where=where)
    stored, said = {}, list(notes)
    for part, names in chosen.items():
        labels, more = arrays.labels_as_meant(in_memory(there[names.labels], where), f"{where}, {names.labels}")
        said += [f"{each} ({part})" for each in more]
        stored[part] = arrays.Stored(there[names.images], labels, f"{where}, {flat(names.images, 60)}")
    parts, more = arrays.parts_of(stored, n_stored=n_stored, order=arrays.order_of(path), convert=True)
    named = naming.class_names(there)
    class_names = text_of(there[named], where) if named else ()
    return Found(parts, class_names, "HDF5", (*said, *more))


def text_of(array: Rows, where: str) -> tuple[str, ...]:
    """Names of classes; none where an array is no list of texts."""
    if len(array.shape) != 1 or array.dtype.kind not in "OSU":
        return ()
    texts = arrays.as_text(in_memory(array, where), where)
    return tuple(texts.tolist()) if texts.dtype.kind == "U" else ()


def in_memory(array: Rows, where: str) -> NDArray[Any]:
    """All of a small array, such as labels."""
    n_bytes = prod(array.shape) * array.dtype.itemsize
    if n_bytes > MOST_OF_LABELS:
        raise DataError(f"{where}: labels of {n_bytes / 1e6:,.0f} MB: one class number per image is wanted")
    return np.asarray(array[:] if array.shape else [])


@contextmanager
def datasets(path: Path) -> Iterator[dict[str, Rows]]:
    """The datasets of a file by their paths in it, to be read while it is open. Raises DataError, without h5py too."""
    name = flat(path, 1000)
    try:
        import h5py
    except ImportError as error:
        raise DataError(f"{name}: HDF5 needs h5py, which is not installed ({error}): {how_to_install('h5')}") from None
    try:
        with h5py.File(path, "r") as file:
            yield dict(_below(h5py, file, name))
    except DataError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError) as error:
        reason = flat(error, 200)
        raise DataError(
            f"{name}: damaged, or packed in a way that h5py does not unpack ({reason}): get it again, or save it"
            " without compression"
        ) from None


def _below(h5py: Any, file: Any, name: str) -> Iterator[tuple[str, Rows]]:
    """Datasets of a file by path; those that are elsewhere are refused."""
    waiting, n_seen, seen = [("", file)], 0, set()
    while waiting:
        prefix, group = waiting.pop()
        for key in group:
            link = group.get(key, getlink=True)
            n_seen += 1
            if n_seen > MOST_DATASETS:
                raise DataError(f"{name}: more than {MOST_DATASETS:,} datasets: put all images into one array")
            if not isinstance(link, h5py.HardLink):
                continue
            entry = group[key]
            if isinstance(entry, h5py.Group):
                if entry.id not in seen:
                    seen.add(entry.id)
                    waiting.append((f"{prefix}{key}/", entry))
                continue
            if not isinstance(entry, h5py.Dataset):
                continue
            if entry.external or entry.is_virtual:
                raise DataError(f"{name}: {flat(key, 60)} lies in other files: save it into one")
            if entry.shape is not None:
                yield prefix + key, entry
