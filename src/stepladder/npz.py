"""Image sets in numpy's ``.npz`` files, named as Keras or MedMNIST name them. Never a pickle."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from stepladder.errors import DataError

_NAMES = {
    "train-images": ("x_train", "train_images"),
    "train-labels": ("y_train", "train_labels"),
    "test-images": ("x_test", "test_images"),
    "test-labels": ("y_test", "test_labels"),
}


def read(path: Path) -> dict[str, NDArray[Any]]:
    """All four arrays by part. Raises DataError."""
    with _problems_named(path), np.load(path, allow_pickle=False) as archive:
        return {part: archive[_name(path, archive.files, part)] for part in _NAMES}


def read_labels(path: Path) -> NDArray[Any]:
    """The training labels alone."""
    with _problems_named(path), np.load(path, allow_pickle=False) as archive:
        labels: NDArray[Any] = archive[_name(path, archive.files, "train-labels")]
        return labels


def shape(path: Path, part: str) -> tuple[int, ...]:
    """The shape of one array, from its header alone."""
    with _problems_named(path), zipfile.ZipFile(path) as archive:
        name = _name(path, [name.removesuffix(".npy") for name in archive.namelist()], part)
        with archive.open(f"{name}.npy") as member:
            read_header = npy.read_array_header_1_0 if npy.read_magic(member) == (1, 0) else npy.read_array_header_2_0
            found: tuple[int, ...] = read_header(member)[0]
            return found


def _name(path: Path, names: list[str], part: str) -> str:
    for name in _NAMES[part]:
        if name in names:
            return name
    raise DataError(f"{path}: has no array {' or '.join(_NAMES[part])}; it has {', '.join(names)}")


@contextmanager
def _problems_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as .npz without pickle ({error})") from None
