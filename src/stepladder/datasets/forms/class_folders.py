"""Folders of pictures, one folder for each class: alone, or below train, test and a validation folder.

As torchvision's ImageFolder, Keras's image_dataset_from_directory and most exports lay them out. What is below a class
folder belongs to that class, however deep; a folder around all of it is passed through.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from stepladder._base.wording import flat, n_of
from stepladder.datasets import files, sources
from stepladder.datasets.found import Encoded, Found, Part
from stepladder.errors import DataError

PICTURES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm")
SPLITS = {
    "train": ("train", "training", "train_images", "trainset", "training_set", "seg_train"),
    "test": ("test", "testing", "test_images", "testset", "test_set", "seg_test"),
    "validation": ("validation", "valid", "val", "dev", "validation_set", "valset"),
}
_PART_OF = {name: part for part, names in SPLITS.items() for name in names}


class ClassFolders:
    """See kinds.Form."""

    def fits(self, path: Path) -> bool:
        return path.is_dir() and any(is_picture(each) and "/" in each for each in files.peek(path))

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        return files.digest_of(Path(at), files.below(Path(at)))

    def read(self, at: str) -> Found:
        folder = Path(at)
        paths = [each for each in files.below(folder) if is_picture(each)]
        return found_in(paths, lambda path: partial(files.content, folder / path, path), where=flat(folder, 1000))


def is_picture(path: str) -> bool:
    return path.lower().endswith(PICTURES)


def found_in(paths: Sequence[str], reader: Callable[[str], Callable[[], bytes]], *, where: str) -> Found:
    """A set of these pictures, by their paths with / between their parts; ``reader(path)`` gives what reads one.

    Raises DataError where none is in a class's folder.
    """
    prefix = len(_around(paths))
    inner = {path: PurePosixPath(path).parts[prefix:] for path in paths}
    has_splits = any(_PART_OF.get(parts[0].lower()) == "train" for parts in inner.values())
    chosen: dict[str, list[tuple[str, str]]] = {}  # (path, class) by part
    left_out: dict[str, list[str]] = {}
    for path, parts in inner.items():
        part = _PART_OF.get(parts[0].lower()) if has_splits else "train"
        if part is not None and len(parts) > 1 + has_splits:
            chosen.setdefault(part, []).append((path, parts[has_splits]))
        else:
            left_out.setdefault("in no class's folder" if part in (None, "train") else "without a class", []).append(
                path
            )
    if "train" not in chosen:
        raise DataError(f"{where}: pictures, but none in a folder of its class: make a folder for each class")
    notes = [
        f"{n_of(len(paths), 'picture')} {why} ({flat(paths[0], 80)}{' ...' * (len(paths) > 1)})"
        f" {'was' if len(paths) == 1 else 'were'} left out"
        for why, paths in left_out.items()
    ]
    parts_found = {
        part: Part([Encoded(path, reader(path)) for path, _ in of_part], np.array([each for _, each in of_part]))
        for part, of_part in chosen.items()
    }
    form = "folders of pictures, one for each class" + f", below {', '.join(chosen)}" * has_splits
    return Found(parts_found, form=form, notes=tuple(notes))


def _around(paths: Sequence[str]) -> tuple[str, ...]:
    """The folders that all of it is in, down to where classes or splits begin."""
    prefix: tuple[str, ...] = ()
    split = [PurePosixPath(path).parts for path in paths]
    while True:
        level = {parts[len(prefix)] for parts in split if len(parts) > len(prefix) + 1}
        deeper = all(len(parts) > len(prefix) + 2 for parts in split)
        if len(level) != 1 or not deeper or next(iter(level)).lower() in _PART_OF:
            return prefix
        prefix = (*prefix, next(iter(level)))
