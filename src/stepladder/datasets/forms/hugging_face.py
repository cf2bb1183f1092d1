"""Sets as Hugging Face's ``datasets`` writes them, read by pyarrow, an extra: Parquet shards, as on the Hub, and the
Arrow files of ``save_to_disk``.

A column of pictures, encoded, and one of labels, whose names are in the schema's metadata or in dataset_info.json.
Pictures stay packed until they are decoded; Arrow files are mapped.
"""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder._base.files import parsed, read_regular
from stepladder._base.wording import flat, how_to_install, n_of
from stepladder.datasets import sources
from stepladder.datasets.forms.class_folders import is_picture
from stepladder.datasets.forms.parts import part_of
from stepladder.datasets.reading import files, pixels
from stepladder.datasets.reading.found import Encoded, Found, Part
from stepladder.datasets.reading.odd_files import first_bytes, listed
from stepladder.errors import DataError

MAGIC = {".parquet": (b"PAR1",), ".arrow": (b"\xff\xff\xff\xff", b"ARROW1")}
LABELS = ("label", "labels", "fine_label", "class", "target", "y")
IMAGES = ("image", "img", "images", "picture")
MOST_FILES = 10_000
MOST_OF_INFO = 2**24  # bytes of dataset_info.json
_SHARD = re.compile(r"-(\d{5,})-of-(\d{5,})$")


class HuggingFace:
    """See kinds.Form."""

    def fits(self, path: Path) -> bool:
        there = files.peek(path) if path.is_dir() else [path.name]
        found, base = tables_among(there), path if path.is_dir() else path.parent
        if not found or any(is_picture(each) for each in there):
            return False
        return first_bytes(base / found[0], 8).startswith(MAGIC[Path(found[0]).suffix])

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        base, found = files_of(Path(at))
        return files.digest_of(base, found)

    def read(self, at: str) -> Found:
        base, found = files_of(Path(at))
        where = flat(at, 1000)
        shards, left = _by_part(found, where)
        parts: dict[str, Part] = {}
        notes = [f"left out: {listed(left)}"] * bool(left)
        names: tuple[str, ...] = ()
        for part, paths in shards.items():
            columns = [_Columns.of(base, path) for path in paths]
            names = names or columns[0].class_names
            notes += [note for note in columns[0].notes if note not in notes]
            labels = np.concatenate([each.labels for each in columns])
            if labels.size and labels.dtype.kind in "iu" and (labels == -1).all():
                notes.append(f"{part} has no labels (-1), and was left out")
                continue
            parts[part] = Part(list(chain.from_iterable(each.pictures for each in columns)), labels)
        if "train" not in parts:
            raise DataError(f"{where}: the images to train on have no labels: get the labelled part")
        form = "Parquet" if found[0].endswith(".parquet") else "Arrow"
        return Found(parts, names, f"{form} files of Hugging Face", tuple(notes))


def files_of(path: Path) -> tuple[Path, list[str]]:
    """A folder, and the paths below it of its tables; or those of one file."""
    if path.is_file():
        return path.parent, [path.name]
    return path, tables_among(files.below(path))


def tables_among(paths: Sequence[str]) -> list[str]:
    """The Parquet files among these, or else the Arrow files, but for those that ``datasets`` keeps for itself."""
    for suffix in MAGIC:
        found = [each for each in paths if each.endswith(suffix) and not PurePosixPath(each).name.startswith("cache-")]
        if found:
            return found
    return []


def _by_part(paths: Sequence[str], where: str) -> tuple[dict[str, list[str]], list[str]]:
    """The shards of each part, by the names of files, or else of folders; and what is of no part.

    Raises DataError where two folders could be the same part, as of two configurations, and where a shard is missing.
    """
    if len(paths) == 1:
        _require_all_shards(paths, where)
        return {"train": list(paths)}, []
    found: dict[str, list[str]] = {}
    left = []
    for path in paths:
        words = [PurePosixPath(path).stem, *reversed(PurePosixPath(path).parts[:-1])]
        part = next((part for part in map(part_of, words) if part is not None), None)
        if part is None:
            left.append(path)
        else:
            found.setdefault(part, []).append(path)
    for part, shards in found.items():
        folders = sorted({str(PurePosixPath(each).parent) for each in shards})
        if len(folders) > 1:
            raise DataError(
                f"{where}: {flat(folders[0], 60)} and {flat(folders[1], 60)} both have a {part} part: give the folder"
                " of one of them"
            )
        _require_all_shards(shards, where)
    if "train" not in found:
        raise DataError(f"{where}: which of these is trained on? {listed(list(paths))}: call it train")
    return found, left


def _require_all_shards(paths: Sequence[str], where: str) -> None:
    said = [match for path in paths if (match := _SHARD.search(PurePosixPath(path).stem))]
    if not said:
        return
    n = int(said[0][2])
    missing = sorted(set(range(min(n, MOST_FILES))) - {int(each[1]) for each in said})
    if missing or len(said) > n:
        raise DataError(
            f"{where}: {flat(paths[0], 80)} is one of {n_of(n, 'file')}, and number {(missing or [n])[0]} is missing,"
            " or one is there twice: get all of them, and give their folder"
        )


@dataclass(frozen=True, eq=False)
class _Columns:
    """Pictures and labels of one file."""

    pictures: list[Encoded]
    labels: NDArray[Any]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, base: Path, path: str) -> "_Columns":
        """Raises DataError that names the file."""
        where = flat(base / path, 1000)
        with _problems_named(where):
            open_table = _parquet if path.endswith(".parquet") else _arrow
            schema, read = open_table(base / path, where)
            features = _features(schema, base / path)
            image, label = _image_column(schema, where), _label_column(schema, features, where)
            table = read([image, label])
            table.validate(full=True)  # offsets that lead elsewhere would be followed
            labels = _labels(table.column(label), where)
            pictures = _pictures(table.column(image), path, where)
        others = [name for name in features if name != label and _class_label(features[name])]
        notes = (f"of several labels, {label} was taken, not {listed(others)}",) if others else ()
        return cls(pictures, labels, _class_label(features.get(label)), notes)


@contextmanager
def _problems_named(where: str) -> Iterator[None]:
    try:
        import pyarrow
    except ImportError as error:
        raise DataError(
            f"{where}: Parquet and Arrow files need pyarrow, which is not installed ({error}):"
            f" {how_to_install('parquet')}"
        ) from None
    try:
        yield
    except DataError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError, RecursionError) as error:
        raise DataError(f"{where}: damaged, or no file of a table ({flat(error, 200)}): get it again") from None


def _parquet(path: Path, where: str) -> tuple[Any, Any]:
    """A file's schema, and what reads columns of it."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    groups = [file.metadata.row_group(each) for each in range(file.metadata.num_row_groups)]
    n_bytes = sum(group.total_byte_size for group in groups)
    pixels.require_room(where, n_bytes, n_stored=path.stat().st_size)
    return file.schema_arrow, lambda columns: file.read(columns=columns, use_threads=False)


def _arrow(path: Path, where: str) -> tuple[Any, Any]:
    """The same of a file that save_to_disk wrote, a stream, or of one that others write; it is mapped."""
    import pyarrow as pa

    source = pa.memory_map(str(path))
    is_file = first_bytes(path, 6) == b"ARROW1"
    if not is_file and bytes(source.read_at(4, max(0, source.size() - 4))) != bytes(4):
        raise DataError(f"{where}: truncated: damaged, or no file of a table (its end is missing): get it again")
    table = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source).read_all()
    return table.schema, table.select


def _features(schema: Any, path: Path) -> dict[str, Any]:
    """What Hugging Face says of the columns: in the schema's metadata, or in dataset_info.json beside the file."""
    said: Any = None
    content = (schema.metadata or {}).get(b"huggingface")
    if content is not None:
        said = parsed(content).get("info")
    elif (info := path.parent / "dataset_info.json").is_file():
        said = parsed(read_regular(info, most=MOST_OF_INFO))
    features = said.get("features") if isinstance(said, dict) else None
    return features if isinstance(features, dict) else {}


def _class_label(feature: Any) -> tuple[str, ...]:
    """The names of a feature's classes; none where it is no label."""
    names = feature.get("names") if isinstance(feature, Mapping) else None
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _image_column(schema: Any, where: str) -> str:
    import pyarrow as pa

    def is_picture(kind: Any) -> bool:
        if pa.types.is_struct(kind):
            return bool(kind.get_field_index("bytes") >= 0)
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    found = [field.name for field in schema if is_picture(field.type)]
    named = [name for name in found if name.lower() in IMAGES]
    chosen = named if len(named) == 1 else found
    if len(chosen) == 1:
        return str(chosen[0])
    if not found:
        raise DataError(
            f"{where}: no column of pictures (bytes, or bytes and path) among {listed(schema.names)}: save arrays of"
            " pixels as an .npz file, or as a CSV with a column label"
        )
    raise DataError(f"{where}: {listed(found)} are all columns of pictures: save one of them, and call it image")


def _label_column(schema: Any, features: Mapping[str, Any], where: str) -> str:
    """The one that the metadata call a label, or that is called so; the finer one of two."""
    said = [name for name in schema.names if _class_label(features.get(name))]
    for names in (said if len(said) == 1 else [], [each for each in LABELS if each in schema.names]):
        if names:
            return str(names[0])
    raise DataError(f"{where}: no column is called {', '.join(LABELS[:3])} among {listed(schema.names)}: name it so")


def _labels(column: Any, where: str) -> NDArray[Any]:
    """Whole numbers, or texts."""
    import pyarrow as pa

    if column.null_count:
        raise DataError(f"{where}: {n_of(column.null_count, 'image')} without a label: leave them out, or label them")
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.to_pylist(), dtype=str)
    if pa.types.is_list(column.type) or pa.types.is_struct(column.type):
        raise DataError(f"{where}: labels are {flat(column.type, 60)}: one class for each image is wanted")
    labels: NDArray[Any] = np.asarray(column.to_numpy())
    return labels.astype(np.int64) if labels.dtype.kind == "b" else labels


def _pictures(column: Any, path: str, where: str) -> list[Encoded]:
    """Pictures that are read from their row when they are asked for."""
    if hasattr(column.type, "get_field_index"):
        import pyarrow.compute as pc

        names = pc.struct_field(column, "bytes")
    else:
        names = column
    if names.null_count:
        raise DataError(
            f"{where}: {n_of(names.null_count, 'picture')} {'is' if names.null_count == 1 else 'are'} not in it, but in"
            " files that it names: save it with the pictures in it, or give the folder of the pictures"
        )
    return [Encoded(f"{path}, row {row + 1}", partial(_bytes_of, names, row)) for row in range(len(names))]


def _bytes_of(column: Any, row: int) -> bytes:
    content: bytes = column[row].as_py()
    return content
