"""Tables of paths and labels, beside the pictures themselves: ``train.csv`` with ``filename,label``."""

from collections.abc import Hashable
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from stepladder._base.wording import flat, is_are, n_of
from stepladder.datasets import sources
from stepladder.datasets.forms import tables
from stepladder.datasets.forms.class_folders import PICTURES, is_picture
from stepladder.datasets.forms.csv_pixels import as_labels
from stepladder.datasets.forms.parts import by_part
from stepladder.datasets.forms.tables import Table
from stepladder.datasets.reading import files
from stepladder.datasets.reading.found import Encoded, Found, Part
from stepladder.errors import DataError

MOST_COLUMNS = 12
MOST_NAMED = 5


class CsvPaths:
    """See kinds.Form."""

    def fits(self, path: Path) -> bool:
        try:
            found = tables.files_of(path)
            return bool(found) and _path_column(tables.look(found[0]), _base(path)) is not None
        except DataError:
            return False

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        return sources.stamp(tables.files_of(Path(at))), files.digest_of(_base(Path(at)), files.below(_base(Path(at))))

    def read(self, at: str) -> Found:
        path = Path(at)
        looks = {each.name: tables.look(each) for each in tables.files_of(path)}
        notes, parts = [], {}
        for name in [each for each, table in looks.items() if len(looks) > 1 and _label_column(table, path) is None]:
            notes.append(f"{flat(name, 60)} has no labels, and was left out")
            del looks[name]
        at_hand = _Pictures(_base(path))
        for part, name in by_part(looks, where=flat(path, 1000)).items():
            parts[part] = _part(looks[name], path, at_hand)
        return Found(parts, form="pictures, and a table of their labels", notes=tuple(notes))


def _base(path: Path) -> Path:
    return path if path.is_dir() else path.parent


class _Pictures:
    """The pictures below a folder, found by their path, or by their name alone, with its ending or without."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = [each for each in files.below(folder) if is_picture(each)]
        self._whole = set(self.paths)
        self._by_name: dict[str, list[str]] = {}
        for path in self.paths:
            for name in {PurePosixPath(path).name, PurePosixPath(path).stem}:
                self._by_name.setdefault(name, []).append(path)

    def find(self, said: str) -> str | None:
        """The picture that a table means; None if there is none, or more than one."""
        said = said.strip().replace("\\", "/").removeprefix("./")
        if said in self._whole:
            return said
        found = self._by_name.get(PurePosixPath(said).name, [])
        if len(found) > 1:
            found = [each for each in found if each.endswith(f"/{said}")]
        return found[0] if len(found) == 1 else None


def _path_column(table: Table, folder: Path) -> int | None:
    """The column that names pictures: by their endings, or by the names of pictures that are there."""
    if table.n_columns > MOST_COLUMNS:
        return None
    for place, cell in enumerate(table.rows[0]):
        if cell.strip().lower().endswith(PICTURES):
            return place
    named = table.named(tables.FILES)
    if named is None:
        return None
    stem = table.rows[0][named].strip()
    there = any(PurePosixPath(each).stem == stem for each in files.peek(folder) if is_picture(each))
    return named if there else None


def _label_column(table: Table, path: Path) -> int | None:
    column = _path_column(table, _base(path))
    place = table.named(tables.LABELS)
    if place is not None:
        return place
    rest = [each for each in range(table.n_columns) if each != column]
    return rest[0] if len(rest) == 1 else None


def _part(table: Table, path: Path, at_hand: _Pictures) -> Part:
    name = flat(table.path, 1000)
    column, label = _path_column(table, _base(path)), _label_column(table, path)
    if column is None or label is None:
        raise DataError(
            f"{name}: which columns name the picture and its class? Call them filename and label, in a header"
        )
    rows = tables.all_rows(table)
    found = [at_hand.find(row[column]) for row in rows]
    missing = [row[column] for row, each in zip(rows, found, strict=True) if each is None]
    if missing:
        shown = ", ".join(flat(each, 60) for each in missing[:MOST_NAMED])
        more = f" and {len(missing) - MOST_NAMED:,} more" if len(missing) > MOST_NAMED else ""
        raise DataError(
            f"{name}: {n_of(len(missing), 'picture')} of {len(rows):,} {is_are(len(missing))} not below"
            f" {flat(at_hand.folder)}, or there more than once: {shown}{more}"
        )
    pictures = [
        Encoded(each, partial(files.content, at_hand.folder / each, each)) for each in found if each is not None
    ]
    return Part(pictures, as_labels(np.array([row[label] for row in rows])))
