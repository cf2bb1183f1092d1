"""STL-10 as it is published: files of pixels, 3 x 96 x 96 with columns before rows, and files of labels from 1."""

from collections.abc import Hashable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat, n_of
from stepladder.datasets import sources
from stepladder.datasets.forms.cifar import class_names, require_classes
from stepladder.datasets.reading import files, pixels
from stepladder.datasets.reading.found import Found, Part
from stepladder.datasets.reading.odd_files import require_regular
from stepladder.errors import DataError

SHAPE = (3, 96, 96)
N_BYTES = 3 * 96 * 96
N_CLASSES = 10
AT_ONCE = 100  # images that are turned around together


class Stl10:
    """See kinds.Form."""

    def fits(self, path: Path) -> bool:
        return path.is_dir() and bool(files.holding(path, _is_set))

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        folder = files.the_one_holding(Path(at), _is_set)
        return sources.stamp(sorted(each for each in folder.iterdir() if each.suffix in (".bin", ".txt")))

    def read(self, at: str) -> Found:
        folder = files.the_one_holding(Path(at), _is_set)
        parts = {name: _part(folder, name) for name in ("train", "test") if (folder / f"{name}_X.bin").exists()}
        notes = []
        if (folder / "unlabeled_X.bin").exists():
            notes.append("the images without labels (unlabeled_X.bin) were left out")
        names: tuple[str, ...] = ()
        if (folder / "class_names.txt").exists():
            names = ("", *class_names(folder / "class_names.txt", N_CLASSES))  # labels count from 1
        return Found(parts, class_names=names, form="STL-10, binary", notes=tuple(notes))


def _is_set(names: set[str]) -> bool:
    return "train_X.bin" in names


def _part(folder: Path, part: str) -> Part:
    """Images (N, 3, 96, 96) and labels from 1 to 10. Raises DataError."""
    path, labels_path = folder / f"{part}_X.bin", folder / f"{part}_y.bin"
    if not labels_path.exists():
        raise DataError(f"{flat(folder)}: {part}_X.bin is there, and {part}_y.bin, its labels, is not: get it")
    require_regular(path)
    n, rest = divmod(path.stat().st_size, N_BYTES)
    if rest or not n:
        raise DataError(
            f"{flat(path)}: {'truncated, or no file of STL-10' if rest else 'empty'}: its {n * N_BYTES + rest:,} bytes"
            f" are no images of {N_BYTES:,}: get it again"
        )
    labels = np.frombuffer(files.content(labels_path, flat(labels_path)), np.uint8)
    if len(labels) != n:
        raise DataError(f"{flat(labels_path)}: {n_of(len(labels), 'label')} for {n_of(n, 'image')}: get both again")
    numbers = require_classes(labels, N_CLASSES, flat(labels_path), first=1)
    return Part(_images(path, n), numbers)


def _images(path: Path, n: int) -> NDArray[np.uint8]:
    pixels.require_room(flat(path), n * N_BYTES, n_stored=n * N_BYTES)
    images = np.empty((n, *SHAPE), np.uint8)
    with sources.opened(path) as stream:
        for start in range(0, n, AT_ONCE):
            columns_first = np.empty((min(AT_ONCE, n - start), *SHAPE), np.uint8)
            try:
                pixels.fill(stream, columns_first)
            except pixels.TooFewError:
                raise DataError(f"{flat(path)}: was written to while it was read: try again") from None
            images[start : start + len(columns_first)] = columns_first.transpose(0, 1, 3, 2)
    return images
