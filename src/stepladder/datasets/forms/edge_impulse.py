"""Exports of Edge Impulse: files in training/ and testing/, and info.labels, which says what each is."""

from collections.abc import Hashable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from stepladder._base.files import parsed
from stepladder._base.wording import flat, n_of
from stepladder.datasets import sources
from stepladder.datasets.forms.class_folders import is_picture
from stepladder.datasets.reading import files
from stepladder.datasets.reading.found import Encoded, Found, Part
from stepladder.errors import DataError

LABELS = "info.labels"
LONGEST_LABELS = 500_000_000  # bytes
_PARTS = {"training": "train", "split": "train", "testing": "test", "validation": "validation"}


class EdgeImpulse:
    """See kinds.Form."""

    def fits(self, path: Path) -> bool:
        return path.is_dir() and bool(files.holding(path, _is_set))

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        folder = files.the_one_holding(Path(at), _is_set)
        return files.digest_of(folder, files.below(folder))

    def read(self, at: str) -> Found:
        folder = files.the_one_holding(Path(at), _is_set)
        there = set(files.below(folder))
        chosen: dict[str, list[tuple[str, str]]] = {}  # (path, class) by part
        n_unlabelled = 0
        for entry in _entries(folder / LABELS):
            path, part, label = _said(entry, folder / LABELS)
            if path not in there:
                raise DataError(
                    f"{flat(folder / LABELS)}: names {flat(path, 120)}, which is not there: export it again"
                )
            if not is_picture(path):
                raise DataError(f"{flat(folder)}: {flat(path, 120)} is no picture: only sets of pictures are read")
            if label is None:
                n_unlabelled += 1
            else:
                chosen.setdefault(part, []).append((path, label))
        if "train" not in chosen:
            raise DataError(f"{flat(folder / LABELS)}: names no training pictures with a label: export it again")
        parts = {
            part: Part(
                [Encoded(path, partial(files.content, folder / path, path)) for path, _ in of_part],
                np.array([label for _, label in of_part]),
            )
            for part, of_part in chosen.items()
        }
        notes = (f"{n_of(n_unlabelled, 'picture')} without a label left out",) if n_unlabelled else ()
        return Found(parts, form="an export of Edge Impulse", notes=notes)


def _is_set(names: set[str]) -> bool:
    return LABELS in names


def _entries(path: Path) -> list[Any]:
    try:
        said = parsed(files.content(path, flat(path), most=LONGEST_LABELS))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{flat(path)}: no JSON ({flat(error)}): export it again") from None
    entries = said.get("files") if isinstance(said, Mapping) else None
    if not isinstance(entries, list):
        raise DataError(f"{flat(path)}: has no list of files: export it again")
    return entries


def _said(entry: Any, where: Path) -> tuple[str, str, str | None]:
    """Path, part and class of a file; no class where it has no label. Raises DataError."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("path"), str):
        raise DataError(f"{flat(where)}: a file without a path: export it again")
    path, part, label = entry["path"], _PARTS.get(str(entry.get("category"))), entry.get("label")
    if part is None:
        raise DataError(f"{flat(where)}: {flat(path, 120)} is neither of training nor of testing: export it again")
    if isinstance(label, Mapping):
        if label.get("type") == "unlabeled":
            return path, part, None
        label = label.get("label")
    if not isinstance(label, str) or not label.strip():
        raise DataError(f"{flat(where)}: {flat(path, 120)} has no single label: export a set for classification")
    return path, part, label
