"""Where images come from: names, files and headers. No numpy, so that a check stays instant."""

import gzip
import lzma
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from stepladder.errors import DataError
from stepladder.geometry import ImageShape

PARTS = ("train-images", "train-labels", "test-images", "test-labels")

# SHA-256 of the uncompressed IDX files, as LeCun, Cortes and Burges published them.
MNIST_FILES = {
    "train-images": (
        "train-images-idx3-ubyte.xz",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels": (
        "train-labels-idx1-ubyte.xz",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "test-images": (
        "t10k-images-idx3-ubyte.xz",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "test-labels": (
        "t10k-labels-idx1-ubyte.xz",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}
# Of the whole set, as ImageSet.sha256 computes it; a test holds it to that.
MNIST_SHA256 = "19a6140e6556b11c0ffaebfa0502d9937af45fd2416e8d1c8425426c84ba2a34"


@dataclass(frozen=True)
class DataInfo:
    """What is known of an image set without reading its pixels."""

    name: str
    image: ImageShape
    n_train: int
    n_test: int


MNIST = DataInfo("mnist", ImageShape(channels=1, size=28, n_classes=10), 60_000, 10_000)


def set_name(path: Path) -> str:
    """What a set is called: its folder's name, or its file's without the ending."""
    return path.resolve().name if path.is_dir() else path.stem


def existing(data: str) -> Path:
    path = Path(data)
    try:
        exists = path.exists()
    except OSError as error:
        raise DataError(f"no data at {data[:200]!r}: {error.strerror}") from None
    if not exists:
        raise DataError(
            f"no data at {path.absolute()}: give a folder of IDX files ({', '.join(PARTS)}, as"
            " train-images-idx3-ubyte.gz), an .npz file, or 'mnist'"
        )
    if not path.is_dir() and not path.is_file():
        raise DataError(f"{path}: it is a device, a FIFO or a socket: give a folder of IDX files, or an .npz file")
    if not path.is_dir() and path.suffix != ".npz":
        raise DataError(f"{path}: not a folder of IDX files and not an .npz file")
    return path


def idx_files(folder: Path) -> dict[str, Path]:
    """The file of each part: ``t10k`` counts as test; uncompressed goes before compressed, then by name."""
    names = sorted((path for path in folder.iterdir() if "idx" in path.name), key=lambda p: (p.suffix in _OPENERS, p))
    files: dict[str, Path] = {}
    for part in PARTS:
        spellings = {part, part.replace("test", "t10k")}
        prefixes = tuple(spellings | {spelling.replace("-", "_") for spelling in spellings})
        found = [path for path in names if path.name.startswith(prefixes) and path.is_file()]
        if not found:
            raise DataError(
                f"{folder}: no {part} among its files; it needs IDX files of {', '.join(PARTS)} (gzip or not)"
            )
        rivals = [path.name for path in found if path.suffix == found[0].suffix or path.suffix not in _OPENERS]
        if len(rivals) > 1:
            raise DataError(f"{folder}: {' and '.join(rivals)} could both be {part}: keep one of them")
        files[part] = found[0]
    return files


_OPENERS: dict[str, Callable[[Any], Any]] = {".gz": gzip.open, ".xz": lzma.open}


def uncompressed(file: Path | Traversable, size: int = -1) -> bytes:
    try:
        with file.open("rb") as raw:
            opener = _OPENERS.get(Path(file.name).suffix)
            content: bytes = (opener(raw) if opener else raw).read(size)
            return content
    except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:
        raise DataError(f"{file}: damaged or truncated ({error}): get it again") from None


def idx_shape(content: bytes, name: str) -> tuple[int, ...]:
    if len(content) < 4 or content[:3] != b"\0\0\x08" or not 1 <= content[3] <= 4:
        raise DataError(f"{name}: not an IDX file of unsigned bytes (its first bytes are {content[:4].hex(' ')})")
    n_dims = content[3]
    if len(content) < 4 + 4 * n_dims:
        raise DataError(f"{name}: truncated: it ends inside its header: get it again")
    return struct.unpack_from(f">{n_dims}I", content, 4)


def image_shape(name: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(N, channels, size) of images stored as (N, H, W), (N, C, H, W) or (N, H, W, C)."""
    if len(shape) == 3:
        n, height, width, channels = *shape, 1
    elif len(shape) == 4 and shape[2] == shape[3]:
        n, channels, height, width = shape
    elif len(shape) == 4:
        n, height, width, channels = shape
    else:
        raise DataError(f"{name}: images of shape {shape}: save them as (N, H, W), (N, C, H, W) or (N, H, W, C)")
    if n == 0 or channels == 0:
        raise DataError(f"{name}: holds no images (its shape is {shape})")
    if height != width or height < 2:
        raise DataError(
            f"{name}: images of {height} x {width} pixels: only square ones of at least 2 x 2 are handled;"
            " pad or crop them"
        )
    return n, channels, height
