"""Small sets of known images, and what writes them to files of the forms in which sets come."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stepladder.datasets import data, kinds
from stepladder.datasets.image_set import ImageSet

Bytes = NDArray[np.uint8]
N, N_TEST = 90, 30
NAMES = ("ankle boot", "bag", "coat")


class Made:
    """A set of three classes, 12 x 12 pixels, grey or colours: what each form is made of."""

    def __init__(self, channels: int = 1, size: int = 12) -> None:
        rng = np.random.default_rng(channels)
        self.x, self.tx = (rng.integers(0, 256, (n, size, size, channels), np.uint8) for n in (N, N_TEST))
        self.y, self.ty = (rng.permutation(np.arange(n) % 3) for n in (N, N_TEST))
        self.x[:, 0, 0], self.tx[:, 0, 0] = 0, 0  # a rim, as most have

    @property
    def grey(self) -> tuple[Bytes, Bytes]:
        return self.x[..., 0], self.tx[..., 0]


GREY, COLOUR = Made(), Made(3, 32)


def write_csv(path: Path, rows: Sequence[Sequence[Any]], *, header: Sequence[str] = (), delimiter: str = ",") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([header] * bool(header) + list(rows))


def flat_rows(x: Bytes, y: NDArray[Any], *, last: bool = False) -> list[list[Any]]:
    pairs = zip(x.reshape(len(x), -1).tolist(), y.tolist(), strict=True)
    return [[*pixels, label] if last else [label, *pixels] for pixels, label in pairs]


PIXEL_NAMES = [f"pixel{k}" for k in range(144)]


def png(image: Bytes) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "PNG")
    return file.getvalue()


def write_classes(folder: Path, x: Bytes, y: NDArray[Any], names: Sequence[str] = NAMES) -> None:
    for row, (image, label) in enumerate(zip(x, y.tolist(), strict=True)):
        path = folder / names[label] / f"{row:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(image))


Builder = Callable[[Path], Any]


class Forms(dict[str, tuple[Made, Builder]]):
    """What writes a set to a folder, by the name of its form; it gives what names the set if that is not the folder."""

    def form(self, made: Made = GREY) -> Callable[[Builder], Builder]:
        def keep(build: Builder) -> Builder:
            self[build.__name__] = (made, build)
            return build

        return keep

    def require_read(self, name: str, folder: Path) -> ImageSet:
        """Write a set, read it, and hold what is read to what it was made of."""
        made, build = self[name]
        source = str(build(folder) or folder)
        found = data.load(source)
        require_same(found.train, made.x, made.y)
        require_same(found.test, made.tx, made.ty)
        assert kinds.kind_of(source).stamp == kinds.kind_of(source).stamp
        return found


def require_same(part: Any, x: Bytes, y: NDArray[Any]) -> None:
    """In whatever order."""
    found = sorted((image.tobytes(), label) for image, label in zip(part.images, part.labels.tolist(), strict=True))
    wanted = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    assert found == sorted((image.tobytes(), label) for image, label in zip(wanted, y.tolist(), strict=True))
