"""Image sets in numpy's ``.npz`` files, named as Keras or MedMNIST name them, or of a single part. Never a pickle.

Members are read by their own headers, into one array each: numpy's reader would believe a header before it is looked
at, and hold images twice that have their channels last.
"""

import re
import struct
import warnings
import zipfile
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from stepladder._base.wording import flat
from stepladder.datasets import sources
from stepladder.datasets.forms import arrays, naming
from stepladder.datasets.reading import pixels
from stepladder.datasets.reading.found import Found, of_arrays
from stepladder.datasets.reading.odd_files import first_bytes, listed, what_is
from stepladder.errors import DataError

_NAMES = {
    "train-images": ("x_train", "train_images"),
    "train-labels": ("y_train", "train_labels"),
    "test-images": ("x_test", "test_images"),
    "test-labels": ("y_test", "test_labels"),
}
_VALIDATION_NAMES = {
    "validation-images": ("x_val", "val_images", "x_valid", "valid_images", "x_validation", "validation_images"),
    "validation-labels": ("y_val", "val_labels", "y_valid", "valid_labels", "y_validation", "validation_labels"),
}
# What others call these arrays.
_ALIKE = {
    "train-images": ("train_x", "xtrain", "trainimages", "x", "images", "train_data", "data", "x_tr"),
    "train-labels": ("train_y", "ytrain", "trainlabels", "y", "labels", "train_targets", "targets", "y_tr"),
    "test-images": ("test_x", "xtest", "testimages", "test_data", "x_te"),
    "test-labels": ("test_y", "ytest", "testlabels", "test_targets", "y_te"),
    "validation-images": ("val_x", "valid_x", "xval", "x_dev", "dev_x", "dev_images", "val_data", "valimages"),
    "validation-labels": ("val_y", "valid_y", "yval", "y_dev", "dev_y", "dev_labels", "val_targets", "vallabels"),
}
_KINDS = ("images", "labels")
_MOST_OF_NAMES = 2**20  # bytes of all names of classes
_LONGEST_HEADER = 10_000  # bytes, as in numpy


class NpzFile:
    """See kinds.Form."""

    def fits(self, path: Path) -> bool:
        return path.suffix == ".npz" and path.is_file()

    def name(self, at: str) -> str:
        return sources.set_name(Path(at))

    def stamp(self, at: str) -> Hashable:
        return sources.stamp([Path(at)])

    def read(self, at: str) -> Found:
        return read(Path(at))


def read(path: Path) -> Found:
    """The set: images (N, C, H, W) uint8, labels as they are. Raises DataError."""
    with problems_named(path), path.open("rb") as file, zipfile.ZipFile(file) as archive:
        members = _members(path, archive)
        if (single := _single_part(archive, members)) is not None:
            return _of_single_part(path, archive, members, single)
        wanted = [part for part in _NAMES if not part.startswith("test") or _has_test(members)]
        names = {part: _name(path, list(members), part) for part in wanted} | _validation(path, members)
        chosen = {part: members[name] for part, name in names.items()}
        n_bytes = sum(member.file_size for member in chosen.values())
        pixels.require_room(flat(path, 1000), n_bytes, n_stored=sum(each.compress_size for each in chosen.values()))
        found = {part: _array(path, archive, chosen[part], part) for part in chosen if part.endswith("labels")}
        for part in [part for part in chosen if part.endswith("images")]:
            n_labels = len(np.atleast_1d(found[part.replace("images", "labels")]))
            found[part] = _array(path, archive, chosen[part], part, n_labels=n_labels)
        class_names, notes = _class_names(archive, members)
        return replace(of_arrays(found, form="an .npz file"), class_names=class_names, notes=notes)


def _has_test(names: Iterable[str]) -> bool:
    """Whether there is anything that is called a test part; where there is none, one is cut (see assembling)."""
    return any("test" in name.lower() or _alike([name], f"test-{each}") for name in names for each in _KINDS)


def _single_part(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> naming.Pair | None:
    """The images and labels of a set that is not in parts: ``images`` and ``labels``, ``X`` and ``y``; of arrays
    without names, two of which only one can be the labels of the other. None for any other set.
    """
    if set(members) == {"arr_0", "arr_1"}:
        shapes = {name: _look(archive, member).shape for name, member in members.items()}
        images, labels = sorted(shapes, key=lambda name: -len(shapes[name]))
        alone = len(shapes[images]) in (3, 4) and shapes[labels] == shapes[images][:1]
        return naming.Pair(images, labels) if alone else None
    said = {name: naming.said(name) for name in members}
    if any(part is not None for part, _ in said.values()) or _has_test(members):
        return None
    roles = [role for _, role in said.values()]
    if (roles.count("images"), roles.count("labels")) != (1, 1):
        return None
    by_role = {role: name for name, (_, role) in said.items()}
    return naming.Pair(by_role["images"], by_role["labels"])


def _look(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> "_Header":
    with archive.open(member) as stream:
        return _header(stream)


def _of_single_part(
    path: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], names: naming.Pair
) -> Found:
    """A set of training images alone; flat ones become squares."""
    where = flat(path, 1000)
    found: dict[str, NDArray[Any]] = {}
    for name in (names.labels, names.images):
        header, member = _look(archive, members[name]), members[name]
        pixels.require_room(where, member.file_size, n_stored=member.compress_size)
        is_flat = name == names.images and len(header.shape) == 2 and header.dtype == np.uint8
        part = "train-labels" if name == names.labels or is_flat else "train-images"
        n_labels = len(np.atleast_1d(found.get(names.labels, [])))
        found[name] = _array(path, archive, member, part, n_labels=n_labels)
    labels = arrays.as_text(found[names.labels], f"{where}, {names.labels}")
    stored = {"train": arrays.Stored(found[names.images], labels, f"{where}, {names.images}")}
    parts, _ = arrays.parts_of(stored, n_stored=path.stat().st_size, order=arrays.order_of(path), convert=False)
    class_names, notes = _class_names(archive, members)
    left = [name for name in members if name not in names and naming.said(name)[1] != "names"]
    notes = (*notes, *([f"left out: {listed(left)}"] if left else []))
    return Found(parts, class_names, "an .npz file of one part", notes)


def _class_names(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of classes, where an array says them, and what is to be said of it."""
    name = naming.class_names(members)
    if name is None or members[name].file_size > _MOST_OF_NAMES:
        return (), ()
    try:
        with archive.open(members[name]) as stream:
            header = _header(stream)
            if len(header.shape) != 1 or header.dtype.kind not in "SU":
                return (), ()
            texts = arrays.as_text(_whole(stream, header), name)
    except _ObjectsError:
        return (), (f"left out: {flat(name, 60)}, a pickle of Python, which is never loaded",)
    return tuple(texts.tolist()), ()


def only_array(path: Path) -> NDArray[Any]:
    """The array of a file with one, whatever it is called. Raises DataError."""
    with problems_named(path), path.open("rb") as file, zipfile.ZipFile(file) as archive:
        members = _members(path, archive)
        if len(members) != 1:
            raise DataError(f"{flat(path, 1000)}: holds {listed(list(members)) or 'nothing'}: one array is wanted")
        (member,) = members.values()
        pixels.require_room(flat(path, 1000), member.file_size, n_stored=member.compress_size)
        return _array(path, archive, member, "labels")


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The arrays in an archive, by name."""
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in found:
            raise DataError(f"{flat(path, 1000)}: has two arrays {flat(name, 60)}: save it again with numpy.savez")
        if name != member.filename:
            found[name] = member
    return found


def _validation(path: Path, members: dict[str, zipfile.ZipInfo]) -> dict[str, str]:
    """The names of the set's own validation part, by part; empty where it has none."""
    there = {
        part: _only(path, [name for name in _VALIDATION_NAMES[part] if name in members]) for part in _VALIDATION_NAMES
    }
    found = {part: name for part, name in there.items() if name}
    for part, name in there.items():
        if name:
            _require_alone(path, members, name, part)
        elif alike := _alike(members, part):
            raise DataError(f"{flat(path, 1000)}: {_to_be_called(alike, _VALIDATION_NAMES[part][0])}")
    if len(found) == 1:
        ((part, name),) = found.items()
        other = "labels" if "images" in part else "images"
        raise DataError(f"{flat(path, 1000)}: has {name}, but no validation {other}: save both, or neither")
    return found


def _only(path: Path, rivals: list[str]) -> str | None:
    """The one array that a part is spelt as; None if there is none. Raises DataError if there are two."""
    if len(rivals) > 1:
        raise _two_names(path, rivals)
    return rivals[0] if rivals else None


def _require_alone(path: Path, names: Iterable[str], name: str, part: str) -> None:
    """Raise DataError if there is another array that the part ``name`` may be: which one was meant?"""
    if alike := _alike(names, part):
        raise _two_names(path, [name, flat(alike, 60)])


def _two_names(path: Path, names: list[str]) -> DataError:
    return DataError(f"{flat(path, 1000)}: has {' and '.join(names)}, which name the same part: keep one of them")


def _name(path: Path, names: list[str], part: str) -> str:
    if name := _only(path, [name for name in _NAMES[part] if name in names]):
        _require_alone(path, names, name, part)
        return name
    wanted = _NAMES[part]
    alike = _alike(names, part)
    alike_text = f"; {_to_be_called(alike, wanted[0])}" if alike else ""
    nameless = "; give arrays their names: np.savez(path, x_train=x, ...)" if "arr_0" in names else ""
    raise DataError(
        f"{flat(path, 1000)}: has no array {' or '.join(wanted)}; it has {listed(names) or 'none'}"
        f"{alike_text}{nameless}"
    )


def _alike(names: Iterable[str], part: str) -> str | None:
    """An array that is this part by what others would call it, and not by a name that is read."""
    read = (_NAMES | _VALIDATION_NAMES)[part]
    return next((name for name in names if name not in read and _plainly(name) in (*read, *_ALIKE[part])), None)


def _to_be_called(alike: str, name: str) -> str:
    given = flat(alike, 60)
    return f"{given} is to be called {name}: np.savez('new.npz', {name}=a['{given}'], ...)"


def _plainly(name: str) -> str:
    """A name without what is a matter of taste in it: its case, its folder, what stands between its words."""
    return re.sub(r"[^0-9a-z]+", "_", name.lower().rsplit("/", 1)[-1].strip()).strip("_")


@dataclass(frozen=True)
class _Header:
    """What the start of a .npy file says, and its length in bytes."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    n_bytes: int

    @property
    def n_promised(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


def _array(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, part: str, *, n_labels: int = 0
) -> NDArray[Any]:
    """One member; images are as many as ``n_labels``."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{flat(member.filename, 60)} is compressed as numpy never does")
    form = None
    with archive.open(member) as stream:
        header = _header(stream)
        n_there = member.file_size - header.n_bytes
        if n_there != header.n_promised:
            name = flat(member.filename, 60)
            raise ValueError(f"the header of {name} promises {header.n_promised:,} bytes, it has {n_there:,}")
        if part.endswith("images"):
            _require_images_first(path, part, header.shape, n_labels)
            form = sources.image_shape(f"{flat(path, 1000)}, {part.removesuffix('-images')}", header.shape)
            if header.dtype != np.uint8:
                raise _no_bytes(path, part, header, stream)
        in_order = form and not header.fortran
        found = pixels.read(stream, header.shape, form=form) if in_order else _whole(stream, header)
        stream.read(1)  # zipfile compares checksums at the end
    return _channels_first(found, form) if form and header.fortran else found


def _require_images_first(path: Path, part: str, shape: tuple[int, ...], n: int) -> None:
    """Raise DataError where the number of images, the number of labels, is the size that comes last, as in MATLAB."""
    if len(shape) > 2 and shape[0] != n == shape[-1]:
        order = ", ".join(map(str, (len(shape) - 1, *range(len(shape) - 1))))
        raise DataError(
            f"{flat(path, 1000)}: {part.replace('-', ' ')} of shape {shape} have their number last: save"
            f" x.transpose({order})"
        )


def _whole(stream: IO[bytes], header: _Header) -> NDArray[Any]:
    numbers = np.empty(prod(header.shape), header.dtype)
    pixels.fill(stream, numbers)
    return numbers.reshape(header.shape[::-1]).T if header.fortran else numbers.reshape(header.shape)


def _channels_first(images: NDArray[Any], form: tuple[int, int, int, int]) -> NDArray[Any]:
    """Images of any layout as (N, C, H, W) in C order: a second copy, which only Fortran's order needs."""
    if images.ndim == 4 and images.shape != form:
        images = images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(images).reshape(form)


def _no_bytes(path: Path, part: str, header: _Header, stream: IO[bytes]) -> DataError:
    """A refusal of pixels of another type, with the remedy for what they hold."""
    who, dtype = f"{flat(path, 1000)}: {part.removesuffix('-images')} images are", header.dtype
    low, high = np.nan, np.nan
    n_numbers = prod(header.shape)
    if dtype.kind in "biuf" and n_numbers:
        low, high = pixels.extremes(stream, dtype, n_numbers)
    kind = f"{flat(dtype, 60)}{':' if dtype.kind == 'b' else ','}"
    return DataError(f"{who} {kind} {pixels.as_bytes(dtype, low, high)}; bytes (uint8) are wanted")


def _header(stream: IO[bytes]) -> _Header:
    start = stream.read(8)
    wide = start[6:7] > b"\1"
    length = stream.read(4 if wide else 2)
    if start[:6] != npy.MAGIC_PREFIX or len(length) < 2:
        raise ValueError("a member is no array of numpy")
    (n,) = struct.unpack("<I" if wide else "<H", length)
    if n > _LONGEST_HEADER:
        raise ValueError(f"the header of an array is {n:,} bytes long")
    text = BytesIO(length + stream.read(n))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy, about headers of Python 2
        shape, fortran, dtype = (npy.read_array_header_2_0 if wide else npy.read_array_header_1_0)(text)
    if dtype.hasobject:
        raise _ObjectsError(
            "an array of Python objects, such as images of differing shapes, is a pickle, which is never loaded: make"
            " one uint8 array of it, np.stack(images)"
        )
    if dtype.names or dtype.subdtype or not dtype.itemsize or min(shape, default=0) < 0:
        raise ValueError(f"an array of {flat(dtype, 60)} and shape {flat(shape, 60)}")
    return _Header(shape, fortran, dtype, 8 + len(length) + n)


class _ObjectsError(ValueError):
    """An array that only a pickle can hold."""


@contextmanager
def problems_named(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except _ObjectsError as error:
        raise DataError(f"{flat(path, 1000)}: {error}") from None
    except Exception as error:  # zipfile, zlib and numpy name damage in a dozen ways, SyntaxError among them
        what = what_is(first_bytes(path))
        reason = flat(error) or type(error).__name__
        if what and "zip archive" not in what:
            reason = what
        raise DataError(
            f"{flat(path, 1000)}: damaged, or no .npz file without pickles ({reason}): save it again"
        ) from None
