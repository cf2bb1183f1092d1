"""Text tables (CSV, TSV) as they are looked at before they are read: delimiter, header, and what is in the columns."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stepladder._base.wording import flat
from stepladder.datasets.reading.odd_files import require_regular
from stepladder.errors import DataError

ENDINGS = (".csv", ".tsv")
LOOKED_AT = 2**22  # bytes: a row of 64 x 64 x 3 pixels has some 50,000
LABELS = ("label", "labels", "class", "classes", "category", "target", "y", "emotion", "character", "digit", "class_id")
FILES = ("filename", "file", "file_name", "filepath", "path", "image", "image_path", "img", "id", "image_id", "name")
csv.field_size_limit(LOOKED_AT)


@dataclass(frozen=True)
class Table:
    """A table by its beginning. ``header`` are names of columns, none where the first row is data like all others."""

    path: Path
    delimiter: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]  # the first ones

    @property
    def n_columns(self) -> int:
        return len(self.rows[0])

    def named(self, names: Sequence[str]) -> int | None:
        """The one column that is called by one of these names."""
        places = [place for place, name in enumerate(self.header) if name.strip().lower() in names]
        return places[0] if len(places) == 1 else None


def files_of(path: Path) -> list[Path]:
    """The tables of a folder, or the one that a path is."""
    if path.is_file():
        return [path] if path.suffix.lower() in ENDINGS else []
    found = sorted(each for each in path.iterdir() if each.suffix.lower() in ENDINGS and each.is_file())
    return [each for each in found if "submission" not in each.name.lower()]


def look(path: Path, *, most: int = 200) -> Table:
    """What a table is. Raises DataError for one that is empty, no text, or has rows of different lengths."""
    require_regular(path)
    name = flat(path, 1000)
    try:
        with path.open("rb") as file:
            head = file.read(LOOKED_AT)
        text = head.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({flat(error)})") from None
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            raise DataError(
                f"{name}: no table of text (byte {error.start:,} is none of UTF-8): save it as UTF-8"
            ) from None
        text = head[: error.start].decode("utf-8-sig")
    lines = text.splitlines(keepends=True)
    lines = lines[: most + 1] if len(lines) > 1 and len(head) < LOOKED_AT else lines[:-1][: most + 1] or lines
    if not lines or not lines[0].strip():
        raise DataError(f"{name}: an empty table: get it again")
    delimiter = max(",;\t|", key=lines[0].count)
    if not lines[0].count(delimiter):
        delimiter = " " if " " in lines[0].strip() else ","
    try:
        rows = [tuple(row) for row in csv.reader(io.StringIO("".join(lines)), delimiter=delimiter) if row]
    except csv.Error as error:
        raise DataError(f"{name}: no table that can be read ({error})") from None
    odd = next((place for place, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if odd is not None:
        raise DataError(f"{name}: line {odd + 1} has {len(rows[odd]):,} columns, the first has {len(rows[0]):,}")
    has_header = _has_header(rows)
    header, rows = (rows[0], rows[1:]) if has_header else ((), rows)
    if not rows:
        raise DataError(f"{name}: a header, and no row below it: get it again")
    return Table(path, delimiter, header, tuple(rows))


def _has_header(rows: list[tuple[str, ...]]) -> bool:
    """Whether the first row names columns: where others have numbers it has none, or it has a usual name."""
    first, below = rows[0], rows[1:2]
    if not below:
        return not any(map(_is_number, first))
    if any(_is_number(other) and not _is_number(cell) for cell, other in zip(first, below[0], strict=True)):
        return True
    is_data = any(map(_is_number, first)) or any("." in cell for cell in first)
    return not is_data and any(cell.strip().lower() in (*LABELS, *FILES) for cell in first)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def all_rows(table: Table) -> list[list[str]]:
    """All rows below the header. Raises DataError for one that is shorter or longer than the others."""
    name, found = flat(table.path, 1000), []
    try:
        with table.path.open(encoding="utf-8-sig", newline="") as file:
            for line, row in enumerate(csv.reader(file, delimiter=table.delimiter), 1):
                if not row or (line == 1 and table.header):
                    continue
                if len(row) != table.n_columns:
                    raise DataError(f"{name}: row {line} has {len(row):,} columns, others have {table.n_columns:,}")
                found.append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{name}: cannot be read ({flat(error)})") from None
    return found
