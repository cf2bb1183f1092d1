"""Tables of pixels, a row for each image: Kaggle's digit-recognizer, Sign Language MNIST, FER2013, Fashion-MNIST's CSV.

A column of labels, first or last or named, and one for each pixel; or all pixels of an image in one column, with
spaces between them. With a header or without.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat, n_of
from stepladder.datasets import sources
from stepladder.datasets.forms import tables
from stepladder.datasets.forms.parts import by_part
from stepladder.datasets.forms.tables import Table
from stepladder.datasets.reading import pixels
from stepladder.datasets.reading.found import Found, Part
from stepladder.errors import DataError

FEWEST_PIXELS = 9  # columns of a table of pixels
PIXELS = ("pixels", "pixel", "image", "img", "data")  # what a column of all pixels is called
USAGE = ("usage", "split", "part", "set", "subset")
_OF_USAGE = {"publictest": "validation", "privatetest": "test", "training": "train"}  # FER2013's words


class CsvPixels:
    """See kinds.Form."""

    def fits(self, path: Path) -> bool:
        try:
            found = tables.files_of(path)
            return bool(found) and _has_pixels(tables.look(found[0]))
        except DataError:
            return False

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        return sources.stamp(tables.files_of(Path(at)))

    def read(self, at: str) -> Found:
        path = Path(at)
        files = {each.name: each for each in tables.files_of(path)}
        looks = {name: tables.look(file) for name, file in files.items()}
        notes = []
        if len(looks) > 1:
            widest = max(table.n_columns for table in looks.values())
            for name in [each for each, table in looks.items() if table.n_columns == widest - 1]:
                notes.append(f"{flat(name, 60)} has no labels, and was left out")
                del looks[name]
        parts: dict[str, Part] = {}
        for part, name in by_part(looks, where=flat(path, 1000)).items():
            parts |= _parts(looks[name], part)
        return Found(parts, form="a table of pixels" if len(files) == 1 else "tables of pixels", notes=tuple(notes))


def _has_pixels(table: Table) -> bool:
    return _in_one_column(table) is not None or table.n_columns > FEWEST_PIXELS


def _in_one_column(table: Table) -> int | None:
    """The column that has all pixels of an image."""
    for place, cell in enumerate(table.rows[0]):
        numbers = cell.split()
        if len(numbers) >= FEWEST_PIXELS and all(each.isdigit() for each in numbers):
            return place
    return None


def _parts(table: Table, part: str) -> dict[str, Part]:
    column = _in_one_column(table)
    if column is not None:
        return _of_one_column(table, column, part)
    label = _label_column(table)
    others = [place for place in range(table.n_columns) if place != label]
    if others[0] + len(others) - 1 != others[-1]:
        raise DataError(f"{flat(table.path, 1000)}: labels stand between pixels, in column {label + 1}: put them first")
    images = _numbers(table, others)
    return {part: Part(_squared(images, flat(table.path, 1000)), _labels(table, label))}


def _label_column(table: Table) -> int:
    """Where labels are: by name, or first or last, whichever leaves pixels that make a square."""
    name = flat(table.path, 1000)
    place = table.named(tables.LABELS)
    if place is not None:
        return place
    if table.header and table.header[0].lower() in ("", "id", "index", "unnamed: 0"):
        raise DataError(f"{name}: its first column, {flat(table.header[0], 40)!r}, numbers the rows: leave it out")
    first, last = ({row[at] for row in table.rows} for at in (0, -1))
    if len(table.rows) > 1 and (len(first) == 1) != (len(last) == 1):  # pixels at the rim are often all the same
        return 0 if len(last) == 1 else table.n_columns - 1
    if table.header:
        raise DataError(f"{name}: no column is called {', '.join(tables.LABELS[:4])}: name the one of the labels so")
    texts = [not all(cell.strip().isdigit() for cell in column) for column in (first, last)]
    if texts[0] != texts[1]:
        return 0 if texts[0] else table.n_columns - 1
    if len(first) != len(last) and max(len(first), len(last)) > 2 * min(len(first), len(last)):
        return 0 if len(first) < len(last) else table.n_columns - 1
    raise DataError(f"{name}: are labels first or last? Give the table a header, with a column called label")


def _numbers(table: Table, columns: list[int]) -> NDArray[np.uint8]:
    """(N, columns) of bytes. Raises DataError that names row and column of what is none."""
    try:
        with table.path.open(encoding="utf-8-sig") as file:
            found: NDArray[np.uint8] = np.loadtxt(
                file,
                np.uint8,
                delimiter=None if table.delimiter == " " else table.delimiter,
                skiprows=int(bool(table.header)),
                usecols=columns,
                ndmin=2,
                comments=None,
            )
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{flat(table.path, 1000)}: {flat(error)} (rows and columns counted from 0"
            f"{', below the header' * bool(table.header)}): pixels are whole numbers from 0 to 255"
        ) from None
    except (OSError, MemoryError) as error:
        raise DataError(f"{flat(table.path, 1000)}: cannot be read ({flat(error)})") from None
    return found


def _labels(table: Table, column: int) -> NDArray[Any]:
    with table.path.open(encoding="utf-8-sig") as file:
        delimiter = None if table.delimiter == " " else table.delimiter
        texts = np.loadtxt(
            file, str, delimiter=delimiter, skiprows=int(bool(table.header)), usecols=column, ndmin=1, comments=None
        )
    return as_labels(texts)


def as_labels(texts: NDArray[Any]) -> NDArray[Any]:
    """Labels as they are written: whole numbers where all of them are such, else names."""
    texts = np.char.strip(np.char.strip(texts), '"')
    if all(each.lstrip("-").isdigit() and len(each) < 10 for each in np.unique(texts).tolist()):
        return texts.astype(np.int64)
    return texts


def _squared(images: NDArray[np.uint8], where: str) -> NDArray[np.uint8]:
    """(N, C, size, size) of flat images; colours come last in a table, as in arrays that are flattened."""
    n, n_pixels = images.shape
    for channels in (1, 3):
        size = round((n_pixels / channels) ** 0.5)
        if channels * size**2 == n_pixels and size > 1:
            shaped = images.reshape(n, size, size, channels).transpose(0, 3, 1, 2)
            return np.ascontiguousarray(shaped)
    raise DataError(
        f"{where}: {n_pixels:,} pixels a row make no square of grey or of three colours: save them as an .npz"
    )


def _of_one_column(table: Table, column: int, part: str) -> dict[str, Part]:
    """Of a table with all pixels in one column, and perhaps one that says which part a row is."""
    name = flat(table.path, 1000)
    label = table.named(tables.LABELS)
    if label is None:
        rest = [place for place in range(table.n_columns) if place != column]
        if len(rest) != 1:
            raise DataError(
                f"{name}: no column is called {', '.join(tables.LABELS[:4])}: name the one of the labels so"
            )
        (label,) = rest
    rows = tables.all_rows(table)
    n_pixels = len(table.rows[0][column].split())
    pixels.require_room(name, len(rows) * n_pixels, n_stored=table.path.stat().st_size)
    images = np.empty((len(rows), n_pixels), np.uint8)
    for place, row in enumerate(rows):
        images[place] = _bytes(row[column], n_pixels, f"{name}, row {place + 1 + bool(table.header)}")
    labels, squares = as_labels(np.array([row[label] for row in rows])), _squared(images, name)
    usage = table.named(USAGE)
    if usage is None:
        return {part: Part(squares, labels)}
    said = np.array([_OF_USAGE.get(row[usage].strip().lower(), row[usage].strip().lower()) for row in rows])
    unknown = sorted(set(said.tolist()) - {"train", "test", "validation"})
    if unknown:
        raise DataError(
            f"{name}: column {table.header[usage]!r} says {flat(unknown[0], 40)}: train, validation or test"
        )
    return {each: Part(squares[said == each], labels[said == each]) for each in dict.fromkeys(said.tolist())}


def _bytes(text: str, n: int, where: str) -> NDArray[np.uint8]:
    try:
        numbers = np.array(text.split(), np.int64)
    except ValueError as error:
        raise DataError(f"{where}: {flat(error)}: pixels are whole numbers from 0 to 255") from None
    if len(numbers) != n:
        raise DataError(f"{where}: {n_of(len(numbers), 'pixel')}, where the first row has {n:,}")
    if numbers.min() < 0 or numbers.max() > 255:
        raise DataError(f"{where}: pixels from {numbers.min()} to {numbers.max()}: they are to be from 0 to 255")
    return numbers.astype(np.uint8)
