"""Tiny ImageNet as it is published: training pictures in folders of their classes, validation pictures in one folder
with a table of theirs, and a table of what the classes are called.
"""

from collections import Counter
from collections.abc import Hashable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from stepladder._base.wording import flat, is_are, n_of
from stepladder.datasets import sources
from stepladder.datasets.forms.class_folders import found_in, is_picture
from stepladder.datasets.reading import files
from stepladder.datasets.reading.found import Found, Part
from stepladder.errors import DataError

ANNOTATIONS, WORDS = "val/val_annotations.txt", "words.txt"
LONGEST_TABLE = 50_000_000  # bytes


class TinyImageNet:
    """See kinds.Form."""

    def fits(self, path: Path) -> bool:
        return path.is_dir() and any((each / ANNOTATIONS).is_file() for each in files.holding(path, _is_set))

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        folder = files.the_one_holding(Path(at), _is_set)
        return files.digest_of(folder, files.below(folder))

    def read(self, at: str) -> Found:
        folder = files.the_one_holding(Path(at), _is_set)
        placed = _placed(folder)
        found = found_in(
            list(placed),
            lambda path: partial(files.content, folder / placed[path], placed[path]),
            where=flat(folder, 1000),
        )
        names = _called(folder, {label for _, part in found for label in part.labels.tolist()})
        parts = {part: _renamed(of_part, names) for part, of_part in found}
        return replace(found, parts=parts, form="Tiny ImageNet")


def _is_set(names: set[str]) -> bool:
    return bool({"wnids.txt", WORDS} & names)


def _renamed(part: Part, names: dict[str, str]) -> Part:
    return replace(part, labels=np.array([names[label] for label in part.labels.tolist()]))


def _placed(folder: Path) -> dict[str, str]:
    """Where each picture would be in folders of classes, and where it is. Raises DataError where the table differs."""
    pictures = [path for path in files.below(folder) if is_picture(path)]
    classes = dict(row[:2] for row in _rows(folder / ANNOTATIONS))
    found, of_val = {}, set()
    for path in pictures:
        place, _, name = path.rpartition("/")
        if place == "val/images" and name in classes:
            of_val.add(name)
            found[f"val/{classes[name]}/{name}"] = path
        elif place == "val/images":
            raise DataError(f"{flat(folder / path)}: is not in {ANNOTATIONS}: get the set again")
        else:
            found[path] = path
    missing = [name for name in classes if name not in of_val]
    if missing:
        raise DataError(
            f"{flat(folder)}: {n_of(len(missing), 'picture')} of {ANNOTATIONS} {is_are(len(missing))} not in"
            f" val/images, such as {flat(missing[0], 60)}: get the set again"
        )
    return found


def _rows(path: Path) -> list[list[str]]:
    """The lines of a table, two columns at least. Raises DataError."""
    try:
        text = files.content(path, flat(path), most=LONGEST_TABLE).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{flat(path)}: no text: get it again") from None
    rows = [line.split("\t") for line in text.splitlines() if line.strip()]
    odd = next((place for place, row in enumerate(rows, 1) if len(row) < 2), None)
    if odd is not None:
        raise DataError(f"{flat(path)}: line {odd} has no two columns with a tab between: get it again")
    return rows


def _called(folder: Path, labels: set[str]) -> dict[str, str]:
    """What classes are called: by the first of their words, and their number where others are called so too."""
    path = folder / WORDS
    words = {row[0]: row[1].split(",")[0].strip() for row in _rows(path)} if path.is_file() else {}
    names = {label: words.get(label) or label for label in labels}
    n_called = Counter(name.casefold() for name in names.values())
    return {label: f"{name} ({label})" if n_called[name.casefold()] > 1 else name for label, name in names.items()}
