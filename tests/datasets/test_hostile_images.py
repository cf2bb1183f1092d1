"""Image files that are damaged, that lie, or that are no files: refused by name, quickly, in little memory."""

import gzip
import lzma
import os
import socket
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy
from numpy.typing import NDArray

from stepladder.datasets import data
from stepladder.datasets.reading import pixels
from stepladder.errors import DataError

KERAS = {"train-images": "x_train", "train-labels": "y_train", "test-images": "x_test", "test-labels": "y_test"}
LONGEST_MESSAGE = 2000
SLOWEST_S = 5


def arrays(*, channels_last: bool = False) -> dict[str, NDArray[np.uint8]]:
    """A made-up set by part: 30 training and 12 test images of three classes."""
    rng = np.random.default_rng(0)
    form = (6, 6, 3) if channels_last else (6, 6)
    found = {}
    for part, n in (("train", 30), ("test", 12)):
        found[f"{part}-images"] = rng.integers(0, 256, (n, *form), dtype=np.uint8)
        found[f"{part}-labels"] = (np.arange(n) % 3).astype(np.uint8)
    return found


def idx(array: NDArray[np.uint8], shape: tuple[int, ...] | None = None) -> bytes:
    """An IDX file, whose header may promise another shape."""
    shape = array.shape if shape is None else shape
    return struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + array.tobytes()


def folder(path: Path, **contents: bytes) -> Path:
    """A sound folder of IDX files, but for some: ``train_images_gz`` is the content of a gzip file, and so on."""
    path.mkdir()
    spoilt = {"-".join(name.split("_")[:2]) for name in contents}
    for part, array in arrays().items():
        if part not in spoilt:
            (path / f"{part}-idx-ubyte").write_bytes(idx(array))
    for name, content in contents.items():
        part, _, suffix = name.replace("_", "-", 1).partition("_")
        (path / f"{part}-idx-ubyte{'.' * bool(suffix)}{suffix}").write_bytes(content)
    return path


def npz(path: Path, *, compressed: bool = False, **changed: Any) -> Path:
    """A sound .npz file, but for some arrays."""
    named = {KERAS[part]: array for part, array in arrays().items()} | changed
    (np.savez_compressed if compressed else np.savez)(path, **named)
    return path


def refused(path: Path | str) -> str:
    """The message with which images are refused, in time and short."""
    start = time.monotonic()
    with pytest.raises(DataError) as error:
        data.load(str(path))
    assert time.monotonic() - start < SLOWEST_S
    message = str(error.value)
    assert len(message) <= LONGEST_MESSAGE
    assert "\n" not in message
    return message


# What is no file.


def test_a_pipe_a_socket_and_a_device_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    assert "pipe.npz: a named pipe, not an ordinary file" in refused(tmp_path / "pipe.npz")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.npz"))
        assert "a socket, not an ordinary file" in refused(tmp_path / "socket.npz")
    assert "/dev/zero: a device, not an ordinary file" in refused("/dev/zero")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.mkdir()])
def test_a_part_that_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    digits = folder(tmp_path / "digits")
    (digits / "train-images-idx-ubyte").unlink()
    make(digits / "train-images-idx-ubyte")
    message = refused(digits)
    assert "no train-images among its files; train-images-idx-ubyte is " in message


@pytest.mark.parametrize("path", ["x\0.npz", "a" * 5000, "/".join(["b" * 200] * 40), "c/" * 2000])
def test_no_path_ends_in_a_traceback(path: str) -> None:
    assert refused(path).startswith("no data at ")


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.npz").symlink_to(tmp_path / "two.npz")
    (tmp_path / "two.npz").symlink_to(tmp_path / "one.npz")
    assert "symbolic links" in refused(tmp_path / "one.npz")


# Headers that lie.

MEASURED = """
import resource, sys
from stepladder.datasets import data; from stepladder import errors
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    data.load(sys.argv[1])
except errors.DataError as error:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, error)
"""


def refused_in(path: Path) -> tuple[int, str]:
    """How many MiB a process takes to refuse images, and its message."""
    ended = subprocess.run([sys.executable, "-c", MEASURED, path], capture_output=True, text=True, check=True)
    n_mib, message = ended.stdout.split(" ", 1)
    return int(n_mib), message


def packed_zeros(head: bytes, n_mib: int, pack: Callable[[bytes], bytes]) -> bytes:
    """A packed file of several parts, each packed alone: that is quick, and allowed."""
    return pack(head) + pack(bytes(2**20)) * n_mib


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_no_more_is_unpacked_than_a_header_promises(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    head = idx(arrays()["train-images"][:0], (30, 8, 8))
    digits = folder(tmp_path / "digits", train_images=packed_zeros(head, 3000, pack))
    n_mib, message = refused_in(digits)
    assert "too long: its header promises 1,920 bytes, it has more" in message
    assert n_mib < 40


def test_what_no_images_compress_to_is_not_unpacked(tmp_path: Path) -> None:
    head = idx(arrays()["train-images"][:0], (3 * 2**20, 32, 32))
    digits = folder(tmp_path / "digits", train_images=packed_zeros(head, 3072, gzip.compress))
    n_mib, message = refused_in(digits)
    assert "no images compress that far" in message
    assert n_mib < 40


def test_an_archive_is_not_unpacked_before_its_headers_are_looked_at(tmp_path: Path) -> None:
    lying, honest, long = tmp_path / "lying.npz", tmp_path / "honest.npz", tmp_path / "long.npz"
    for path, n_mib, shape in ((lying, 100, (30, 6, 6)), (honest, 300, (300 * 2**10, 32, 32))):
        head = npy.magic(1, 0)
        text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}".encode()
        bomb(path, head + struct.pack("<H", len(text)) + text, n_mib)
    bomb(long, npy.magic(2, 0) + struct.pack("<I", 100 * 2**20), 100)
    reasons = ("promises 1,080 bytes, it has 104,857,600", "no images compress that far", "104,857,600 bytes long")
    for path, words in zip((lying, honest, long), reasons, strict=True):
        n_mib, message = refused_in(path)
        assert words in message
        assert n_mib < 40


def bomb(path: Path, head: bytes, n_mib: int) -> None:
    """An archive with zeros for training images."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for part, name in KERAS.items():
            with archive.open(f"{name}.npy", "w") as member:
                if part != "train-images":
                    npy.write_array(member, arrays()[part])
                    continue
                member.write(head)
                for _ in range(n_mib):
                    member.write(bytes(2**20))


def test_more_than_the_memory_is_refused_with_both_sizes() -> None:
    with pytest.raises(DataError, match=r"promises 1,000,000\.0 GB, and this machine has [0-9.]+ GB of memory"):
        pixels.require_room("set.npz", 10**15, n_stored=10**15)


# Archives that numpy does not write.


def rewritten(path: Path, write: Callable[[zipfile.ZipFile, str, bytes], None], **options: Any) -> Path:
    """A sound archive, with each member written in another way."""
    good = npz(path.with_name("good.npz"))
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w", **options) as archive:
        for name in source.namelist():
            write(archive, name, source.read(name))
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    path = npz(tmp_path / "set.npz")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_train.npy", b"another")
    assert "has two arrays x_train" in refused(path)


def test_names_that_lead_elsewhere_are_only_names(tmp_path: Path) -> None:
    path = rewritten(tmp_path / "set.npz", lambda archive, name, content: archive.writestr(f"/../{name}", content))
    assert "has no array x_train or train_images; it has /../x_train" in refused(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_refused(tmp_path: Path, method: int) -> None:
    path = rewritten(tmp_path / "set.npz", zipfile.ZipFile.writestr, compression=method)
    assert "y_train.npy is compressed as numpy never does" in refused(path)


def test_encrypted_archives_are_refused(tmp_path: Path) -> None:
    content = bytearray(npz(tmp_path / "set.npz").read_bytes())
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(mark, at + 4)
    (tmp_path / "set.npz").write_bytes(content)
    assert "is encrypted" in refused(tmp_path / "set.npz")


def test_a_message_about_very_many_members_is_short(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        for k in range(3000):
            archive.writestr(f"{'n' * 200}{k}.npy", b"")
    assert "and 2,992 more" in refused(tmp_path / "set.npz")


STRANGE: dict[str, Any] = {
    "structured": np.zeros(30, [("a", "u1"), ("b", "u1")]),
    "objects": np.array([None] * 30),
    "empty text": np.zeros(30, "V0"),
    "no dimension": np.uint8(3),
    "times": np.arange(30).astype("m8[s]"),
}


@pytest.mark.parametrize("name", ["x_train", "y_train"])
@pytest.mark.parametrize("array", STRANGE.values(), ids=STRANGE)
def test_arrays_that_are_no_images_or_labels_are_refused(tmp_path: Path, name: str, array: Any) -> None:
    assert str(tmp_path) in refused(npz(tmp_path / "set.npz", **{name: array}))


HEADERS = [
    "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 6, 6)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999999, 6, 6)}",
    "{'descr': '|V99999999999', 'fortran_order': False, 'shape': (1, 6, 6)}",
    "{'descr': ('|u1', (3,)), 'fortran_order': False, 'shape': (1, 6, 6)}",
    "(" * 9000,
    "-" * 9000 + "1",
]


@pytest.mark.parametrize("text", HEADERS, ids=range(len(HEADERS)))
def test_headers_that_make_no_sense_are_refused(tmp_path: Path, text: str) -> None:
    content = npy.magic(1, 0) + struct.pack("<H", len(text)) + text.encode()
    path = rewritten(tmp_path / "set.npz", lambda archive, name, _: archive.writestr(name, content))
    assert "damaged, or no .npz file without pickles (" in refused(path)


@pytest.mark.parametrize("labels", ["<i8", ">i8", "u1"])
def test_any_order_of_bytes_and_axes_is_the_same_set(tmp_path: Path, labels: str) -> None:
    plain = npz(
        tmp_path / "plain.npz",
        x_train=arrays(channels_last=True)["train-images"],
        x_test=arrays(channels_last=True)["test-images"],
    )
    turned = npz(
        tmp_path / "turned.npz",
        x_train=np.asfortranarray(arrays(channels_last=True)["train-images"]),
        x_test=arrays(channels_last=True)["test-images"][::-1][::-1],
        y_train=arrays()["train-labels"].astype(labels),
    )
    assert data.fingerprint(str(turned)) == data.fingerprint(str(plain))


# A thousand damaged files were replayed once (docs/LOG.md); these are some of them.

N_DAMAGED = 160


def sound_files(where: Path) -> dict[str, tuple[bytes, str]]:
    """Contents of files by kind, and the name under which each belongs into a folder; "" for a whole set."""
    images = idx(arrays()["train-images"])
    return {
        "idx": (images, "train-images-idx-ubyte"),
        "gz": (gzip.compress(images, mtime=0), "train-images-idx-ubyte.gz"),
        "xz": (lzma.compress(images), "train-images-idx-ubyte.xz"),
        "labels": (idx(arrays()["train-labels"]), "train-labels-idx-ubyte"),
        "npz": (npz(where / "a.npz").read_bytes(), ""),
        "npz, compressed": (npz(where / "b.npz", compressed=True).read_bytes(), ""),
    }


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Bits flipped, an end cut off, a stretch doubled, zeroed or left out, or bytes of the header changed."""
    spoilt, n = bytearray(content), len(content)
    at, length = int(rng.integers(n)), int(rng.integers(1, 40))
    match rng.integers(6):
        case 0:
            for place in rng.integers(n, size=rng.integers(1, 4)):
                spoilt[place] ^= 1 << int(rng.integers(8))
        case 1:
            del spoilt[at:]
        case 2:
            spoilt[at:at] = spoilt[at : at + length]
        case 3:
            spoilt[at : at + length] = bytes(length)
        case 4:
            del spoilt[at : at + length]
        case _:
            for place in rng.integers(min(n, 140), size=2):
                spoilt[place] = int(rng.integers(256))
    return bytes(spoilt)


def replayed(where: Path, n: int) -> Iterator[tuple[str, str]]:
    """Each damaged file, and what comes of it: the set's fingerprint, or a message."""
    sound = sound_files(where)
    for number in range(n):
        rng = np.random.default_rng(number)
        kind = list(sound)[number % len(sound)]
        content, name = sound[kind]
        spoilt = damaged(content, rng)
        if name:
            path = folder(where / str(number))
            (path / name.removesuffix(".gz").removesuffix(".xz")).unlink()
            (path / name).write_bytes(spoilt)
        else:
            path = where / f"{number}.npz"
            path.write_bytes(spoilt)
        try:
            start, found = time.monotonic(), data.load(str(path)).sha256
        except DataError as error:
            found = str(error)
            assert len(found) <= LONGEST_MESSAGE
            assert str(where) in found, "which file it is"
        assert time.monotonic() - start < SLOWEST_S
        yield kind, found


def test_damaged_files_are_refused_or_right(tmp_path: Path) -> None:
    """What compression covers with a checksum is right where it is read; plain IDX files have none, but their size."""
    right = data.load(str(npz(tmp_path / "right.npz"))).sha256
    found = list(replayed(tmp_path, N_DAMAGED))
    for kind, outcome in found:
        if kind not in ("idx", "labels"):
            assert outcome == right or len(outcome) != 64, kind
    assert sum(len(outcome) != 64 for _, outcome in found) > N_DAMAGED / 2
