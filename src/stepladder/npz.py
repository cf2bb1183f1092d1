"""Image sets in numpy's ``.npz`` files, named as Keras or MedMNIST name them. Never a pickle."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder.errors import DataError

LARGEST_LABEL = 65_535

_NAMES = {
    "train-images": ("x_train", "train_images"),
    "train-labels": ("y_train", "train_labels"),
    "test-images": ("x_test", "test_images"),
    "test-labels": ("y_test", "test_labels"),
}


def read(path: Path) -> dict[str, NDArray[Any]]:
    """All four arrays by part. Raises DataError."""
    with _problems_named(path), path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {part: _member(path, archive, part) for part in _NAMES}


def checked_labels(name: str, labels: NDArray[Any]) -> NDArray[np.int64]:
    """Labels (N,) or (N, 1) of any integer type as (N,) int64. Raises DataError."""
    if labels.ndim not in (1, 2) or labels.shape[1:] not in ((), (1,)):
        raise DataError(f"{name}: labels of shape {labels.shape}: save them as (N,), one class number per image")
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"{name}: labels are {labels.dtype}: save them as integers, counted from 0")
    if labels.size and (labels.min() < 0 or labels.max() > LARGEST_LABEL):
        raise DataError(f"{name}: labels run from {labels.min()} to {labels.max()}: count classes from 0")
    return labels.reshape(-1).astype(np.int64)


def _member(path: Path, archive: Any, part: str) -> NDArray[Any]:
    name = _name(path, archive.files, part)
    array = archive[name]
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: its member {name} is no array: save it again with numpy.savez")
    return array


def _name(path: Path, names: list[str], part: str) -> str:
    for name in _NAMES[part]:
        if name in names:
            return name
    raise DataError(f"{path}: has no array {' or '.join(_NAMES[part])}; it has {', '.join(names)}")


@contextmanager
def _problems_named(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and numpy name damage in a dozen ways, SyntaxError among them
        raise DataError(f"{path}: damaged, or no .npz file without pickles ({error}): save it again") from None
