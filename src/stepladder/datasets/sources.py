"""Where images come from: names, files and headers. No numpy, so that a check stays instant."""

import gzip
import lzma
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, BinaryIO, cast

from stepladder._base.wording import flat
from stepladder.datasets.reading.odd_files import (
    GZIP,
    XZ,
    not_there,
    require_regular,
    what_is,
)
from stepladder.errors import DataError
from stepladder.networks.geometry import ImageShape

PARTS = ("train-images", "train-labels", "test-images", "test-labels")
OWN_VALIDATION = ("validation-images", "validation-labels")  # of sets that have such a part

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
# So many images at its end have at least half their share of every class, and leave some; a test holds it to that.
MNIST_LAST_ARE_FINE = range(57, 59_983)

LIKELY_CHANNELS = 4  # grey, grey and alpha, colour, colour and alpha


@dataclass(frozen=True)
class DataInfo:
    """What is known of an image set without reading its pixels. ``n_validation`` counts its own validation part.

    Without ``class_names``, classes are called by their numbers.
    """

    name: str
    image: ImageShape
    n_train: int
    n_test: int
    n_validation: int = 0
    class_names: tuple[str, ...] = ()

    def class_name(self, label: int) -> str:
        """What a class is called, in messages and tables."""
        return called(label, self.class_names)


MNIST = DataInfo("mnist", ImageShape(channels=1, size=28, n_classes=10), 60_000, 10_000)


def called(label: int, class_names: Sequence[str]) -> str:
    """The name of a class, or its number where classes have no names."""
    return flat(class_names[label], 60) if class_names else str(label)


def set_name(path: Path) -> str:
    """What a set is called: its folder's name, or its file's without the ending."""
    return path.resolve().name if path.is_dir() else path.stem


def there(data: str) -> Path:
    """The folder or file at a path. Raises DataError, without opening what is not an ordinary file."""
    path = Path(data)
    try:
        path.stat()
        is_folder = path.is_dir()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(not_there(path)) from None
    except (OSError, ValueError, RuntimeError) as error:  # too long, a loop of links, a NUL, no permission
        raise DataError(f"no data at {data[:200]!r}: {getattr(error, 'strerror', None) or error}") from None
    if not is_folder:
        require_regular(path)
    return path


def stamp(files: Iterable[Path]) -> tuple[tuple[str, int, int, int, int], ...]:
    """What tells whether files are still the ones that were read."""
    found = [(str(file), file.stat()) for file in files]
    return tuple((name, of.st_mtime_ns, of.st_ctime_ns, of.st_size, of.st_ino) for name, of in found)


def is_packed(path: Path | Traversable) -> bool:
    """By its name."""
    return Path(path.name).suffix in (".gz", ".xz")


_CHUNK_BYTES = 2**20
_UNPACK: dict[str | None, Callable[[Any], Any]] = {GZIP: gzip.open, XZ: lzma.open}


@contextmanager
def opened(file: Path | Traversable) -> Iterator[BinaryIO]:
    """A file to read, unpacked if it is gzip or xz by its first bytes, whatever its name. Raises DataError."""
    if isinstance(file, Path) and file.exists():
        require_regular(file)
    try:
        with file.open("rb") as raw:
            head = raw.read(512)
            raw.seek(0)
            what = what_is(head)
            if what not in _UNPACK and is_packed(file) and head[:3] != b"\0\0\x08":
                raise DataError(f"{file}: damaged or truncated ({what or 'not what its name says'}): get it again")
            yield _UNPACK[what](raw) if what in _UNPACK else cast(BinaryIO, raw)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError, MemoryError) as error:
        raise DataError(f"{flat(file, 1000)}: damaged or truncated ({flat(error)}): get it again") from None


def require_same(path: Path, other: Path, *, part: str) -> None:
    """Raise DataError if two files of one part, a sound one and any other, hold different images or labels.

    One that cannot be unpacked, as a download that broke off, holds nothing.
    """
    try:
        with opened(path) as one, opened(other) as two:
            while (chunk := one.read(_CHUNK_BYTES)) == two.read(_CHUNK_BYTES):
                if not chunk:
                    return
    except DataError:
        return
    raise DataError(
        f"{flat(path.parent)}: {path.name} and {other.name} hold different {part.replace('-', ' ')}: keep one of them"
    )


def uncompressed(file: Path | Traversable) -> bytes:
    """All of a file that is trusted to be small."""
    with opened(file) as stream:
        return stream.read()


def idx_shape(stream: BinaryIO, name: str) -> tuple[int, ...]:
    """The shape in an IDX file's header (format: the end of yann.lecun.com/exdb/mnist). Raises DataError."""
    head = stream.read(4)
    if len(head) < 4 or head[:3] != b"\0\0\x08" or not 1 <= head[3] <= 4:
        raise DataError(f"{name}: not an IDX file of unsigned bytes{_instead(head + stream.read(508))}")
    sizes = stream.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise DataError(f"{name}: truncated: it ends inside its header: get it again")
    return struct.unpack(f">{head[3]}I", sizes)


def _instead(head: bytes) -> str:
    """What it is that should be an IDX file, and what to do."""
    what = what_is(head)
    if what is None or (what == "text" and len(head) < 4):
        return f" (its first bytes are {head[:4].hex(' ')}): get it again"
    if "an IDX file" in what:
        return f", but {what}: pixels are to be bytes from 0 to 255, and labels bytes"
    return f", but {what}: {'unpack it' if 'archive' in what else 'get it again'}"


def image_shape(name: str, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(N, channels, height, width) of images stored as (N, H, W), (N, C, H, W) or (N, H, W, C).

    Raises DataError for others, and where both readings of four sizes are possible.
    """
    if len(shape) not in (3, 4):
        raise DataError(
            f"{name}: images of shape {shape}: save them as (N, H, W), (N, C, H, W) or (N, H, W, C){_flat(shape)}"
        )
    n, channels, height, width = (shape[0], 1, *shape[1:]) if len(shape) == 3 else _reading(name, shape)
    if n == 0 or channels == 0:
        raise DataError(f"{name}: holds no images (its shape is {shape})")
    if height * width < 2:
        raise DataError(f"{name}: images of {height} x {width} pixels: give some of more (their shape is {shape})")
    return n, channels, height, width


def _reading(name: str, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(N, C, H, W) of four sizes: the one reading with at most 4 channels, or, of two or none such, the square one.

    Not the one where images would not be square and in the other reading they are.
    """
    n, a, b, c = shape
    readings = [(n, a, b, c), (n, c, a, b)]
    likely = [each for each in readings if each[1] <= LIKELY_CHANNELS] or readings
    square = [each for each in readings if each[2] == each[3] > 1]
    chosen = [each for each in likely if each in square]
    if len(likely) == 1 and not square:
        chosen = likely
    if len(chosen) == 1:
        return chosen[0]
    if likely[0][1] > LIKELY_CHANNELS:
        raise DataError(
            f"{name}: images of shape {shape}: neither {a} nor {c} is a number of colour channels; a volume or a film"
            " is no image: save single pictures as (N, H, W), such as one slice of each, x[:, x.shape[1] // 2]"
        )
    remedy = "pad the images, for a square of more pixels than it has channels"
    if 1 in (a, c):
        remedy = "save those of one channel as (N, H, W), and pad others to be higher and wider than their channels"
    raise DataError(f"{name}: images of shape {shape} could be (N, C, H, W) or (N, H, W, C): {remedy}")


def _flat(shape: tuple[int, ...]) -> str:
    """How flat images of 1 or 3 square channels get a shape."""
    if len(shape) != 2:
        return ""
    for channels in (1, 3):
        size = round((shape[1] / channels) ** 0.5)
        if channels * size**2 == shape[1] and size > 1:
            sizes = f"{size}, {size}" if channels == 1 else f"{channels}, {size}, {size}"
            return f", as by x.reshape(-1, {sizes})"
    return ""
