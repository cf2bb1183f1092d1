"""CIFAR-10 and CIFAR-100 as they are published: the "binary version", and the pickled "python version".

Records of a label, or a coarse and a fine one, and 3 x 32 x 32 pixels, in a few files; or dicts of the same.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat, n_of
from stepladder.datasets import sources
from stepladder.datasets.forms import pickles
from stepladder.datasets.reading import assembling, files, pixels
from stepladder.datasets.reading.found import Found, Part
from stepladder.datasets.reading.odd_files import require_regular
from stepladder.errors import DataError

SHAPE = (3, 32, 32)
N_PIXELS = 3072
LONGEST_NAMES = 1_000_000  # bytes of a file of class names
COARSE = "the 20 coarse labels were left out; the 100 fine ones were taken"


@dataclass(frozen=True)
class _Layout:
    """The files of one of the two sets, by their names without ending."""

    n_classes: int
    train: str  # a regular expression
    test: str
    n_labels: int  # of a record


TEN = _Layout(10, r"data_batch_\d+", "test_batch", 1)
HUNDRED = _Layout(100, "train", "test", 2)


class CifarBinary:
    """See kinds.Form."""

    ending = ".bin"
    names_of_ten, names_of_hundred = "batches.meta.txt", "fine_label_names.txt"

    def fits(self, path: Path) -> bool:
        return path.is_dir() and bool(files.holding(path, self._layout_of))

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        folder, layout = self._there(at)
        return sources.stamp(file for found in self._files(folder, layout).values() for file in found)

    def read(self, at: str) -> Found:
        folder, layout = self._there(at)
        found = self._files(folder, layout)
        parts = {name: self._part(of_part, layout) for name, of_part in found.items() if name != "names"}
        notes = (COARSE,) if layout is HUNDRED else ()
        form = f"CIFAR-{layout.n_classes}, {self.called}"
        return Found(parts, class_names=self._class_names(found["names"], layout), form=form, notes=notes)

    called = "binary version"

    def _there(self, at: str) -> tuple[Path, _Layout]:
        """The one folder that holds the set. Raises DataError if there are two."""
        folder = files.the_one_holding(Path(at), self._layout_of)
        layout = self._layout_of({each.name for each in folder.iterdir()})
        assert layout is not None
        return folder, layout

    def _layout_of(self, names: set[str]) -> _Layout | None:
        stems = {name.removesuffix(self.ending) for name in names if name.endswith(self.ending)}
        if any(re.fullmatch(TEN.train, each) for each in stems):
            return TEN
        return HUNDRED if self._is_hundred(names) else None

    def _is_hundred(self, names: set[str]) -> bool:
        return {"train.bin", "fine_label_names.txt"} <= names

    def _files(self, folder: Path, layout: _Layout) -> dict[str, list[Path]]:
        """The files of each part, in order, and those of names. Raises DataError where a batch is missing."""
        names = sorted((each.name for each in folder.iterdir()), key=assembling.natural)
        found: dict[str, list[Path]] = {}
        for part, pattern in (("train", layout.train), ("test", layout.test)):
            chosen = [folder / name for name in names if re.fullmatch(pattern + re.escape(self.ending), name)]
            if chosen:
                found[part] = chosen
        numbers = [int(number) for path in found["train"] for number in re.findall(r"_(\d+)", path.name)]
        missing = sorted(set(range(1, max(numbers, default=0))) - set(numbers))
        if missing:
            raise DataError(
                f"{flat(folder)}: data_batch_{missing[0]}{self.ending} is missing, and later ones are there: get it"
            )
        names_file = folder / (self.names_of_ten if layout is TEN else self.names_of_hundred)
        return found | {"names": [names_file] if names_file.is_file() else []}

    def _part(self, paths: Sequence[Path], layout: _Layout) -> Part:
        """All records of these files. Raises DataError."""
        size = layout.n_labels + N_PIXELS
        n_of_file = [_n_records(path, size, layout) for path in paths]
        n_bytes = sum(n_of_file) * size
        pixels.require_room(flat(paths[0].parent), n_bytes, n_stored=n_bytes)
        images, labels = np.empty((sum(n_of_file), *SHAPE), np.uint8), np.empty(sum(n_of_file), np.int64)
        start = 0
        for path, n in zip(paths, n_of_file, strict=True):
            records = np.frombuffer(files.content(path, flat(path), most=n * size), np.uint8)
            if len(records) != n * size:
                raise DataError(f"{flat(path)}: was written to while it was read: try again")
            records = records.reshape(n, size)
            images[start : start + n] = records[:, layout.n_labels :].reshape(n, *SHAPE)
            labels[start : start + n] = require_classes(records[:, layout.n_labels - 1], layout.n_classes, flat(path))
            start += n
        return Part(images, labels)

    def _class_names(self, paths: Sequence[Path], layout: _Layout) -> tuple[str, ...]:
        return class_names(paths[0], layout.n_classes) if paths else ()


def _n_records(path: Path, size: int, layout: _Layout) -> int:
    require_regular(path)
    n_bytes = path.stat().st_size
    if n_bytes == 0 or n_bytes % size:
        what = "a label" if layout.n_labels == 1 else "two labels"
        raise DataError(
            f"{flat(path)}: {'empty' if n_bytes == 0 else 'truncated, or no file of CIFAR'}: its {n_bytes:,} bytes are"
            f" no records of {size:,} ({what} and {N_PIXELS:,} pixels): get it again"
        )
    return n_bytes // size


def require_classes(labels: NDArray[Any], n_classes: int, name: str, *, first: int = 0) -> NDArray[np.int64]:
    """Labels as numbers. Raises DataError for one that no class has."""
    odd = np.flatnonzero((labels < first) | (labels >= first + n_classes))
    if len(odd):
        raise DataError(
            f"{name}: image {odd[0]:,}, counted from 0, has label {labels[odd[0]]}: they run from {first} to"
            f" {first + n_classes - 1}; it is damaged, or another set's: get it again"
        )
    return labels.astype(np.int64)


def class_names(path: Path, n_classes: int) -> tuple[str, ...]:
    """The names in a file, one a line. Raises DataError if there are not that many."""
    try:
        text = files.content(path, flat(path), most=LONGEST_NAMES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{flat(path)}: no text: class names are wanted, one a line: get it again") from None
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    if len(names) != n_classes:
        raise DataError(f"{flat(path)}: {n_of(len(names), 'name')} of {n_classes} classes: get it again")
    return names


class CifarPickled(CifarBinary):
    """See kinds.Form."""

    ending = ""
    names_of_ten, names_of_hundred = "batches.meta", "meta"
    called = "python version"

    def _is_hundred(self, names: set[str]) -> bool:
        return {"train", "meta"} <= names

    def _part(self, paths: Sequence[Path], layout: _Layout) -> Part:
        total = sum(path.stat().st_size for path in paths)
        pixels.require_room(flat(paths[0].parent), 3 * total, n_stored=total)
        found = [_batch(_unpickled(path), layout, flat(path)) for path in paths]
        return Part(np.concatenate([each for each, _ in found]), np.concatenate([each for _, each in found]))

    def _class_names(self, paths: Sequence[Path], layout: _Layout) -> tuple[str, ...]:
        if not paths:
            return ()
        key, name = "label_names" if layout is TEN else "fine_label_names", flat(paths[0])
        given = _unpickled(paths[0]).get(key)
        if not isinstance(given, list) or not all(isinstance(each, str | bytes) for each in given):
            raise DataError(f"{name}: has no list {key}: get it again")
        if len(given) != layout.n_classes:
            raise DataError(f"{name}: {n_of(len(given), 'name')} of {layout.n_classes} classes: get it again")
        return tuple(each if isinstance(each, str) else each.decode("utf-8", "replace") for each in given)


def _unpickled(path: Path) -> Mapping[str, Any]:
    require_regular(path)
    return pickles.read(files.content(path, flat(path), most=path.stat().st_size), flat(path))


def _batch(found: Mapping[str, Any], layout: _Layout, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, 3, 32, 32) and labels (N,) of a dict. Raises DataError for what is no batch of CIFAR."""
    images, labels = found.get("data"), found.get("labels" if layout is TEN else "fine_labels")
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (N_PIXELS,):
        raise DataError(f"{name}: has no array data (N, {N_PIXELS}) of bytes: no file of CIFAR; get it again")
    if isinstance(labels, list) and all(type(each) is int and -1 <= each < 2**31 for each in labels):
        labels = np.array(labels, np.int64)
    if not isinstance(labels, np.ndarray) or labels.ndim != 1 or len(labels) != len(images):
        raise DataError(f"{name}: has no list of {n_of(len(images), 'label')}: get it again")
    if not len(images):
        raise DataError(f"{name}: holds no images: get it again")
    return images.reshape(-1, *SHAPE), require_classes(labels, layout.n_classes, name)
