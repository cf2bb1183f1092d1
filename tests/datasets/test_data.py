"""Image sets: what is embedded, what is read from folders and .npz files, and what is refused."""

import gc
import gzip
import hashlib
import lzma
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_idx
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.lib import format as npy
from numpy.typing import NDArray

import stepladder
from stepladder.datasets import data, sources
from stepladder.datasets.image_set import ImageSet, Labelled
from stepladder.errors import DataError, LadderError
from stepladder.ladders import ladder_file
from stepladder.ladders.checking import check

FASHION = Path("/usr/share/datasets/fashion-mnist")

Parts = dict[str, NDArray[Any]]

LABELS_PER_TRAIN_CLASS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
LABELS_PER_TEST_CLASS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def small_set(n_train: int = 30, n_test: int = 12, *, size: int = 5, channels: int | None = None) -> Parts:
    """Arrays of a made-up set of three classes: (N, H, W), or (N, C, H, W) with ``channels``."""
    rng = np.random.default_rng(0)
    form = (size, size) if channels is None else (channels, size, size)
    return {
        "train-images": rng.integers(0, 256, (n_train, *form), dtype=np.uint8),
        "train-labels": np.arange(n_train, dtype=np.uint8) % 3,
        "test-images": rng.integers(0, 256, (n_test, *form), dtype=np.uint8),
        "test-labels": np.arange(n_test, dtype=np.uint8) % 3,
    }


def image_set(parts: Parts) -> ImageSet:
    """The image set that arrays in (N, H, W) or (N, C, H, W) mean, made without reading any file."""

    def labelled(part: str) -> Labelled:
        images = parts[f"{part}-images"]
        return Labelled(images[:, None] if images.ndim == 3 else images, parts[f"{part}-labels"].astype(np.int64))

    return ImageSet("made-up", labelled("train"), labelled("test"))


def idx_name(part: str, suffix: str = "") -> str:
    return f"{part}-idx{3 if 'images' in part else 1}-ubyte{suffix}"


def write_folder(folder: Path, parts: Parts, *, suffix: str = "", rename: Callable[[str], str] = str) -> Path:
    """A folder of IDX files, compressed as their suffix says."""
    folder.mkdir(exist_ok=True)
    for part, array in parts.items():
        raw = folder / rename(idx_name(part))
        write_idx(raw, array)
        if suffix:
            raw.with_name(raw.name + suffix).write_bytes(COMPRESS[suffix](raw.read_bytes()))
            raw.unlink()
    return folder


COMPRESS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress}

KERAS = {"train-images": "x_train", "train-labels": "y_train", "test-images": "x_test", "test-labels": "y_test"}
MEDMNIST = {part: part.replace("-", "_") for part in sources.PARTS}


def write_npz(path: Path, parts: Parts, *, names: dict[str, str] = KERAS, compressed: bool = False) -> Path:
    save = np.savez_compressed if compressed else np.savez
    arrays: dict[str, Any] = {names[part]: array for part, array in parts.items()}
    save(path, **arrays)
    return path


def refusal(path: Path) -> str:
    """The message with which a data set is refused; its description may be refused too, but only with a DataError."""
    with suppress(DataError):
        data.describe(str(path))
    with pytest.raises(DataError) as refused:
        data.load(str(path))
    return str(refused.value)


def outcome(read: Callable[[Path], Any], path: Path) -> Any:
    """What reading a path gives; "refused" if it is refused by name; else the exception it ends with, as text."""
    try:
        return read(path)
    except DataError as error:
        return "refused" if str(path) in str(error) else repr(error)
    except Exception as error:
        return repr(error)


def with_flipped_bits(content: bytes, *, every: int = 1) -> Iterator[bytes]:
    """The content with one bit of one byte flipped, for all bytes in turn."""
    for k in range(0, len(content), every):
        yield content[:k] + bytes([content[k] ^ (1 << k % 8)]) + content[k + 1 :]


def assert_read_back(path: Path, expected: ImageSet) -> None:
    """A file or folder holds exactly these images and labels, and is described as what it is."""
    found = data.load(str(path))
    for part, of in ((found.train, expected.train), (found.test, expected.test)):
        assert str(part.images.dtype) == "uint8"
        assert str(part.labels.dtype) == "int64"
        assert part.images.flags.c_contiguous
        assert np.array_equal(part.images, of.images)
        assert np.array_equal(part.labels, of.labels)
    assert found.sha256 == expected.sha256 == data.fingerprint(str(path))
    assert data.describe(str(path)) == found.info


# The embedded MNIST.


@pytest.fixture(scope="module")
def mnist() -> ImageSet:
    return data.load("mnist")


def test_mnist_is_whole(mnist: ImageSet) -> None:
    assert mnist.train.images.shape == (60_000, 1, 28, 28)
    assert mnist.test.images.shape == (10_000, 1, 28, 28)
    assert np.bincount(mnist.train.labels).tolist() == LABELS_PER_TRAIN_CLASS
    assert np.bincount(mnist.test.labels).tolist() == LABELS_PER_TEST_CLASS
    assert mnist.train.labels[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    assert mnist.test.labels[:8].tolist() == [7, 2, 1, 0, 4, 1, 4, 9]


def test_what_is_known_of_mnist_without_reading_it_is_true(mnist: ImageSet) -> None:
    assert mnist.sha256 == sources.MNIST_SHA256
    assert data.fingerprint("mnist") == sources.MNIST_SHA256
    assert data.describe("mnist") == mnist.info
    data.require_sha256("mnist", sources.MNIST_SHA256)


def test_pixel_moments_are_the_well_known_ones(mnist: ImageSet) -> None:
    splits = data.splits(mnist, n_dev=0)
    assert splits.pixel_mean.round(4).tolist() == [0.1307]
    assert splits.pixel_std.round(4).tolist() == [0.3081]


def test_a_set_is_read_once_per_process(mnist: ImageSet) -> None:
    assert data.load("mnist") is mnist


def test_the_checksum_depends_on_every_part_and_on_nothing_else() -> None:
    def sha256(parts: Parts) -> str:
        return image_set(parts).sha256

    parts = small_set()
    assert sha256(parts) == sha256(small_set())
    for part, array in parts.items():
        other = array.copy()
        other.flat[-1] += 1
        assert sha256(parts | {part: other}) != sha256(parts), part
    assert sha256(small_set(channels=1)) == sha256(parts)
    assert sha256(parts | {"train-images": np.asfortranarray(parts["train-images"])}) == sha256(parts)
    turned = {part: array.reshape(array.shape[0], 1, 1, 25) for part, array in parts.items() if "images" in part}
    assert sha256(parts | turned) != sha256(parts), "the same bytes in another shape"


@pytest.fixture
def copied_package(tmp_path: Path) -> Path:
    """A folder to run Stepladder from, with a copy of its package that may be damaged."""
    package = Path(stepladder.__file__).parent
    shutil.copytree(package, tmp_path / "copy" / "stepladder", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "copy"


def run_copy(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(folder), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def flip_a_bit(path: Path, at: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 16
    path.write_bytes(content)


def embedded(folder: Path, part: str) -> Path:
    return folder / "stepladder" / "datasets" / "mnist" / sources.MNIST_FILES[part][0]


def test_a_climb_on_damaged_mnist_ends_with_one_message(copied_package: Path) -> None:
    file = embedded(copied_package, "train-images")
    flip_a_bit(file)
    ended = run_copy(copied_package, "-m", "stepladder", "climb", "mnist-8k", "--seeds", "1", "--jobs", "1")
    assert ended.returncode == 4, ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.count("Error: ") == 1
    assert ended.stderr.splitlines()[-1].startswith(f"Error: {file}: damaged or truncated")
    assert "get it again" in ended.stderr
    assert "Traceback" not in ended.stderr


LOAD_MNIST = """
from stepladder.datasets import data; from stepladder import errors
try:
    data.load("mnist")
except errors.DataError as error:
    print(error)
else:
    print("loaded")
"""


def other(content: bytes) -> bytes:
    """A sound file, but not the one published: one label differs."""
    idx = lzma.decompress(content)
    return lzma.compress(idx[:-1] + bytes([idx[-1] ^ 1]))


@pytest.mark.parametrize(
    ("part", "damage", "words"),
    [
        ("train-labels", lambda content: content[:-10], "damaged or truncated"),
        ("test-images", None, "No such file"),
        ("test-labels", other, "wrong checksum: the embedded MNIST is damaged; install Stepladder again"),
    ],
    ids=["cut short", "gone", "another file"],
)
def test_damaged_mnist_is_refused(
    copied_package: Path, part: str, damage: Callable[[bytes], bytes] | None, words: str
) -> None:
    file = embedded(copied_package, part)
    content = file.read_bytes()
    file.unlink()
    if damage:
        file.write_bytes(damage(content))
    ended = run_copy(copied_package, "-c", LOAD_MNIST)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"{file}: ")
    assert words in ended.stdout
    assert "again" in ended.stdout


# Folders of IDX files.


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
@pytest.mark.parametrize(
    "rename",
    [
        str,
        lambda name: name.replace("test", "t10k"),
        lambda name: name.replace("-images", "_images").replace("-labels", "_labels"),
        lambda name: name.replace("-idx", ".idx"),
    ],
    ids=["test", "t10k", "underscore", "dot"],
)
def test_a_folder_is_the_same_set_however_it_is_stored(
    tmp_path: Path, suffix: str, rename: Callable[[str], str]
) -> None:
    parts = small_set()
    folder = write_folder(tmp_path / "digits", parts, suffix=suffix, rename=rename)
    assert_read_back(folder, image_set(parts))
    assert data.describe(str(folder)).name == "digits"


@pytest.mark.parametrize("channels", [1, 3])
def test_idx_files_of_four_dimensions(tmp_path: Path, channels: int) -> None:
    parts = small_set(channels=channels)
    assert_read_back(write_folder(tmp_path / "colour", parts), image_set(parts))


def test_uncompressed_goes_before_compressed_and_other_files_do_not_matter(tmp_path: Path) -> None:
    parts = small_set()
    folder = write_folder(tmp_path / "digits", parts)
    for part in sources.PARTS:
        (folder / idx_name(part, ".gz")).write_bytes(b"a download that broke off")
    (folder / "README").write_text("train-images")
    (folder / "train-images.txt").write_text("not this one")
    assert_read_back(folder, image_set(parts))


def test_fashion_mnist_as_debian_packages_it() -> None:
    if not FASHION.is_dir():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed")
    found = data.load(str(FASHION))
    assert found.train.images.shape == (60_000, 1, 28, 28)
    assert np.bincount(found.train.labels).tolist() == [6000] * 10
    assert np.bincount(found.test.labels).tolist() == [1000] * 10
    assert data.describe(str(FASHION)) == found.info
    splits = data.splits(found, n_dev=0)
    assert splits.pixel_mean.round(4).tolist() == [0.286]
    assert splits.pixel_std.round(4).tolist() == [0.353]


def test_the_example_climbs_on_these_very_images() -> None:
    if not FASHION.is_dir():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed")
    ladder = ladder_file.load(str(Path(__file__).parents[2] / "examples" / "fashion-8k.toml"))
    assert ladder.data_sha256 == data.load(ladder.data).sha256
    assert len(ladder.rungs) > 5
    found = check(ladder, n_seeds=8, jobs=2, speeds={})
    assert not found.excess
    assert all(len(rung.changes) == 1 for rung in ladder.rungs[1:])


def labels_for(draw: st.DrawFn, n: int, known: list[int]) -> NDArray[np.uint8]:
    return draw(arrays(np.uint8, n, elements=st.sampled_from(known)))


@st.composite
def any_set(draw: st.DrawFn) -> Parts:
    """Any small image set; every label from 0 to its largest occurs in training."""
    n_train, n_test, size = draw(st.integers(3, 6)), draw(st.integers(1, 4)), draw(st.integers(2, 5))
    n_classes = draw(st.integers(2, 3))
    known = list(range(n_classes))
    rest = labels_for(draw, n_train - n_classes, known)
    return {
        "train-images": draw(arrays(np.uint8, (n_train, size, size))),
        "train-labels": np.concatenate([np.array(draw(st.permutations(known)), np.uint8), rest]),
        "test-images": draw(arrays(np.uint8, (n_test, size, size))),
        "test-labels": labels_for(draw, n_test, known),
    }


@given(any_set(), st.sampled_from(["", ".gz", ".xz"]))
@settings(deadline=None, max_examples=40)
def test_whatever_is_written_is_read_back(parts: Parts, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_read_back(write_folder(Path(folder), parts, suffix=suffix), image_set(parts))


dimensions = st.sampled_from([0, 1, 2, 28, 2**16, 2**31, 2**32 - 1])
idx_like = st.builds(
    lambda shape, body: struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + body,
    st.lists(dimensions, min_size=0, max_size=5),
    st.binary(max_size=40),
)


@given(st.sampled_from(sources.PARTS), st.binary(max_size=60) | idx_like, st.sampled_from(["", ".gz", ".xz"]))
@settings(deadline=None, max_examples=300)
def test_any_bytes_as_an_idx_file_are_read_or_refused(part: str, content: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_folder(Path(folder), small_set(n_train=3, n_test=3, size=2))
        (path / idx_name(part)).unlink()
        (path / idx_name(part, suffix)).write_bytes(content)
        for read in (data.describe, data.load):
            with suppress(DataError):
                read(str(path))


@pytest.mark.parametrize(
    "shape",
    [(2**16,) * 4, (2**31, 2**31, 4), (0, 2**32 - 1, 2**32 - 1), (2**32 - 1, 0, 2**32 - 1), (2**32 - 1,) * 4],
    ids=str,
)
def test_a_header_that_promises_more_than_any_memory_holds_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    folder = write_folder(tmp_path / "digits", small_set())
    file = folder / idx_name("train-images")
    file.write_bytes(struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape))
    assert str(folder) in refusal(folder)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_flipped_bit_in_a_compressed_file_is_noticed_or_does_no_harm(tmp_path: Path, suffix: str) -> None:
    """All bytes in turn: only what the compressor's checksums do not cover, such as a time stamp, may go unnoticed."""
    plain = b"\0\0\x08\x01" + struct.pack(">I", 400) + b"".join(bytes([k % 10] * (k % 7)) for k in range(150))[:400]
    file = tmp_path / f"labels{suffix}"
    found = []
    for content in with_flipped_bits(COMPRESS[suffix](plain)):
        file.write_bytes(content)
        found.append(outcome(sources.uncompressed, file))
    assert set(found) <= {plain, "refused"}
    assert found.count("refused") > 0.8 * len(found)


# What folders are refused for.


def test_a_missing_folder_is_refused_with_what_to_give(tmp_path: Path) -> None:
    message = refusal(tmp_path / "nowhere")
    assert message.startswith(
        f"no data at {tmp_path / 'nowhere'}: give a folder of pictures with a folder for each class"
    )
    assert "'mnist'" in message


def test_a_file_that_is_neither_folder_nor_npz_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "digits.csv"
    file.write_text("1,2,3")
    message = refusal(file)
    assert message.startswith(f"{file}: text, of no form that is read: make an .npz of it: ")
    assert "np.loadtxt" in message
    assert "np.savez_compressed" in message


@pytest.mark.parametrize("part", sources.PARTS)
def test_a_folder_without_a_part_is_refused(tmp_path: Path, part: str) -> None:
    folder = write_folder(tmp_path / "digits", small_set())
    (folder / idx_name(part)).unlink()
    message = refusal(folder)
    assert f"{folder}: no {part} among its files" in message
    assert "it needs IDX files of train-images, train-labels, test-images, test-labels" in message


def truncated(content: bytes) -> bytes:
    return content[:-5]


def flipped(content: bytes) -> bytes:
    return content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]


@pytest.mark.parametrize("part", sources.PARTS)
@pytest.mark.parametrize(
    ("suffix", "damage", "words"),
    [
        ("", truncated, "truncated: its header promises"),
        ("", lambda content: content + b"\0", "too long: its header promises"),
        ("", lambda content: content[:7], "truncated: it ends inside its header"),
        ("", lambda content: content[:3], "not an IDX file of unsigned bytes (its first bytes are 00 00 08)"),
        ("", lambda _: b"", "not an IDX file"),
        ("", lambda _: b"<!DOCTYPE html>", "not an IDX file of unsigned bytes, but a web page: get it again"),
        ("", lambda content: b"\0\0\x0d" + content[3:], "not an IDX file of unsigned bytes"),  # floats
        ("", lambda content: b"\0\0\x08\0" + content[4:], "not an IDX file of unsigned bytes"),  # no dimensions
        (".gz", truncated, "damaged or truncated"),
        (".gz", flipped, "damaged or truncated"),
        (".gz", lambda _: b"<!DOCTYPE html>", "damaged or truncated"),
        (".gz", lambda content: content + b"more", "damaged or truncated"),
        (".xz", truncated, "damaged or truncated"),
        (".xz", flipped, "damaged or truncated"),
        (".xz", lambda _: b"<!DOCTYPE html>", "damaged or truncated"),
    ],
)
def test_a_damaged_file_is_refused_by_name(
    tmp_path: Path, part: str, suffix: str, damage: Callable[[bytes], bytes], words: str
) -> None:
    folder = write_folder(tmp_path / "digits", small_set(), suffix=suffix)
    file = folder / idx_name(part, suffix)
    file.write_bytes(damage(file.read_bytes()))
    message = refusal(folder)
    assert message.startswith(f"{file}: {words}")
    assert "get it again" in message or "not an IDX file" in message


def change(**changed: NDArray[Any]) -> Callable[[Parts], Parts]:
    return lambda parts: parts | {part.replace("_", "-"): array for part, array in changed.items()}


def ones(*shape: int, dtype: Any = np.uint8) -> NDArray[Any]:
    return np.ones(shape, dtype)


DISAGREEMENTS: dict[str, tuple[Callable[[Parts], Parts], str]] = {
    "one label less": (change(train_labels=np.arange(29) % 3), "30 train images but 29 train labels"),
    "one test label more": (change(test_labels=np.arange(13) % 3), "12 test images but 13 test labels"),
    "one-hot labels": (
        change(train_labels=np.eye(3)[np.arange(30) % 3].astype(int)),
        "labels of shape (30, 3): save them as (N,)",
    ),
    "test images of another size": (change(test_images=ones(12, 6, 6)), "(1, 5, 5)"),
    "test images in colour": (change(test_images=ones(12, 3, 5, 5)), "(3, 5, 5)"),
    "training images not square": (change(train_images=ones(30, 5, 4)), "training images are (1, 5, 4)"),
    "test images not square": (change(test_images=ones(12, 4, 5)), "but test images (1, 4, 5)"),
    "one pixel": (change(train_images=ones(30, 1, 1), test_images=ones(12, 1, 1)), "images of 1 x 1 pixels: give"),
    "flat images": (change(train_images=ones(30, 25)), "images of shape (30, 25): save them as (N, H, W)"),
    "no images": (change(train_images=ones(0, 5, 5), train_labels=ones(0)), "no"),
    "no test images": (change(test_images=ones(0, 5, 5), test_labels=ones(0)), "holds no"),
    "a label above all of training": (change(test_labels=np.arange(12) % 4), "test label 3 never occurs in training"),
    "a label between those of training": (
        change(train_labels=np.arange(30) % 2 * 2),
        "test label 1 never occurs in training",
    ),
    "one class only": (change(train_labels=ones(30) * 0, test_labels=ones(12) * 0), "of one class"),
    "one class only, not the first": (change(train_labels=ones(30) * 2, test_labels=ones(12) * 2), "of one class"),
}


@pytest.mark.parametrize("kind", ["folder", "npz"])
@pytest.mark.parametrize(("disagree", "words"), DISAGREEMENTS.values(), ids=DISAGREEMENTS)
def test_parts_that_disagree_are_refused(
    tmp_path: Path, kind: str, disagree: Callable[[Parts], Parts], words: str
) -> None:
    parts = disagree(small_set())
    path = write_folder(tmp_path / "set", parts) if kind == "folder" else write_npz(tmp_path / "set.npz", parts)
    message = refusal(path)
    assert str(path) in message
    assert words in message


def test_wrong_data_sha256_is_refused_with_both_checksums(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "digits", small_set())
    right = image_set(small_set()).sha256
    data.require_sha256(str(folder), right)
    data.require_sha256(str(folder), None)
    wrong = hashlib.sha256(b"").hexdigest()
    for source, found in ((str(folder), right), ("mnist", sources.MNIST_SHA256)):
        with pytest.raises(DataError) as refused:
            data.require_sha256(source, wrong)
        message = str(refused.value)
        assert message.startswith(f"{source}: wrong checksum: the ladder pins data_sha256 = {wrong}")
        assert found in message
        assert "get the right images, or correct the ladder" in message


# .npz files.


@pytest.mark.parametrize("names", [KERAS, MEDMNIST], ids=["keras", "medmnist"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("channels", "layout"),
    [
        (None, lambda images: images),
        (1, lambda images: images),
        (3, lambda images: images),
        (1, lambda images: images.transpose(0, 2, 3, 1)),
        (3, lambda images: images.transpose(0, 2, 3, 1)),
        (3, np.asfortranarray),
    ],
    ids=["NHW", "N1HW", "NCHW", "NHW1", "NHWC", "fortran order"],
)
def test_npz_files_as_keras_and_medmnist_write_them(
    tmp_path: Path,
    names: dict[str, str],
    compressed: bool,
    channels: int | None,
    layout: Callable[[NDArray[Any]], NDArray[Any]],
) -> None:
    parts = small_set(channels=channels)
    stored = {part: layout(array) if "images" in part else array for part, array in parts.items()}
    if names is MEDMNIST:
        stored |= {part: array[:, None] for part, array in parts.items() if "labels" in part}  # (N, 1)
    path = write_npz(tmp_path / "set.npz", stored, names=names, compressed=compressed)
    assert_read_back(path, image_set(parts))


@pytest.mark.parametrize("dtype", ["u1", "<i4", ">i8", "u8"])
def test_labels_of_any_integer_type(tmp_path: Path, dtype: str) -> None:
    parts = small_set()
    stored = {part: array.astype(dtype) if "labels" in part else array for part, array in parts.items()}
    assert_read_back(write_npz(tmp_path / "set.npz", stored), image_set(parts))


def test_an_npz_file_and_a_folder_of_the_same_images_are_the_same_set(tmp_path: Path) -> None:
    folder, file = write_folder(tmp_path / "a", small_set()), write_npz(tmp_path / "b.npz", small_set())
    assert data.fingerprint(str(folder)) == data.fingerprint(str(file))


@pytest.mark.parametrize("part", sources.PARTS)
def test_an_npz_file_without_a_part_is_refused(tmp_path: Path, part: str) -> None:
    parts = small_set()
    del parts[part]
    path = write_npz(tmp_path / "set.npz", parts)
    message = refusal(path)
    assert f"{path}: has no array {KERAS[part]} or {MEDMNIST[part]}; it has " in message
    assert all(KERAS[other] in message for other in parts)


WRONG_TYPES: dict[str, tuple[Callable[[Parts], Parts], str]] = {
    "float images": (change(train_images=ones(30, 5, 5, dtype=np.float32)), "train images are float32"),
    "float test images": (change(test_images=ones(12, 5, 5, dtype=float)), "test images are float64"),
    "float labels": (change(train_labels=np.arange(30) % 3.0), "labels are float64: save them as integers"),
    "words as labels of one part": (change(train_labels=np.array(["cat", "dog"] * 15)), "both must be alike"),
    "complex labels": (change(train_labels=np.arange(30) % 3 * 1j), "labels are complex128: save them as integers"),
    "negative labels": (change(train_labels=np.arange(30) % 3 - 1), "labels run from -1 to 1"),
    "huge labels": (change(train_labels=np.arange(30) * 10_000), "labels run from 0 to 290000"),
    "a number for images": (change(train_images=np.array(5)), "images of shape ()"),
    "a number for test images": (change(test_images=np.array(5)), "images of shape ()"),
    "a number for labels": (change(train_labels=np.array(5)), "labels of shape (): save them as (N,)"),
}


@pytest.mark.parametrize(("spoil", "words"), WRONG_TYPES.values(), ids=WRONG_TYPES)
def test_arrays_of_the_wrong_type_are_refused(tmp_path: Path, spoil: Callable[[Parts], Parts], words: str) -> None:
    path = write_npz(tmp_path / "set.npz", spoil(small_set()))
    message = refusal(path)
    assert str(path) in message
    assert words in message


@pytest.mark.parametrize("labels", [np.arange(30) % 3.0, np.arange(30) % 3 - 5], ids=["floats", "negative"])
def test_wrong_labels_are_refused_before_classes_are_counted(tmp_path: Path, labels: NDArray[Any]) -> None:
    """Else a check would speak of 3.0 or of -2 classes."""
    path = write_npz(tmp_path / "set.npz", small_set() | {"train-labels": labels})
    with pytest.raises(DataError, match="labels"):
        data.describe(str(path))


class Trap:
    """An object whose pickle creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("part", sources.PARTS)
def test_object_arrays_are_refused_and_never_unpickled(tmp_path: Path, part: str) -> None:
    trap = Trap(tmp_path / "sprung")
    pickle.loads(pickle.dumps(trap))
    assert trap.path.exists(), "the trap works"
    trap.path.unlink()
    path = write_npz(tmp_path / "set.npz", small_set() | {part: np.array([trap] * 30, dtype=object)})
    assert f"{path}: an array of Python objects, such as" in refusal(path)
    assert not trap.path.exists()


def zipped(path: Path, member: bytes, *, suffix: str = ".npy") -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in KERAS.values():
            archive.writestr(f"{name}{suffix}", member)


def header(text: str) -> bytes:
    """The start of a .npy file with this text for a header."""
    return npy.magic(1, 0) + struct.pack("<H", len(text)) + text.encode()


NOT_NPZ: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "a web page": lambda path: path.write_bytes(b"<!DOCTYPE html>"),
    "a zip cut short": lambda path: path.write_bytes(write_npz(path, small_set()).read_bytes()[:-30]),
    "one array, .npy": lambda path: path.write_bytes(npy_file(np.zeros((3, 3), np.uint8))),
    "a pickle": lambda path: path.write_bytes(pickle.dumps([1, 2, 3])),
    "a zip of text files": lambda path: zipped(path, b"hello"),
    "a zip of files without .npy": lambda path: zipped(path, npy_file(np.zeros((3, 3), np.uint8)), suffix=""),
    "a zip of text without .npy": lambda path: zipped(path, b"hello", suffix=""),
    "a header that is no Python": lambda path: zipped(path, header("{'descr': ('|u1', [")),
    "a header that is no dictionary": lambda path: zipped(path, header("[1, 2]")),
    "a header cut short": lambda path: zipped(path, header("{'descr': '|u1'}")[:12]),
}


def npy_file(array: NDArray[Any]) -> bytes:
    with tempfile.TemporaryFile() as file:
        np.save(file, array)
        file.seek(0)
        return file.read()


@pytest.mark.parametrize("write", NOT_NPZ.values(), ids=NOT_NPZ)
def test_what_is_no_npz_file_of_arrays_is_refused(tmp_path: Path, write: Callable[[Path], object]) -> None:
    path = tmp_path / "set.npz"
    write(path)
    assert str(path) in refusal(path)
    with pytest.raises(DataError):
        data.describe(str(path))


def test_a_refused_npz_file_is_not_left_open(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "set.npz", small_set())
    path.write_bytes(path.read_bytes()[:-30])
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        assert str(path) in refusal(path)
        gc.collect()
    assert [str(warning.message) for warning in warned] == []


@pytest.mark.parametrize("compressed", [False, True])
def test_a_flipped_bit_in_an_npz_file_is_noticed_or_does_no_harm(tmp_path: Path, compressed: bool) -> None:
    """Every third byte in turn; time stamps and the like may go unnoticed."""
    parts = small_set(n_train=3, n_test=3, size=2)
    good = write_npz(tmp_path / "good.npz", parts, compressed=compressed).read_bytes()
    loaded, described = [], []
    for k, content in enumerate(with_flipped_bits(good, every=3)):
        path = tmp_path / f"{k}.npz"
        path.write_bytes(content)
        loaded.append(outcome(lambda path: data.load(str(path)).sha256, path))
        described.append(outcome(lambda path: data.describe(str(path)).n_train, path))
    assert set(loaded) <= {image_set(parts).sha256, "refused"}
    assert set(described) <= {3, "refused"}
    assert loaded.count("refused") > 0.5 * len(loaded)


# Splits.


@pytest.mark.parametrize("n_dev", [1, 5, 27])
def test_dev_is_the_last_of_the_training_images_and_train_the_rest(n_dev: int) -> None:
    images = image_set(small_set(n_train=30))
    found = data.splits(images, n_dev=n_dev)
    assert np.array_equal(found.train.images, images.train.images[: 30 - n_dev])
    assert np.array_equal(found.train.labels, images.train.labels[: 30 - n_dev])
    assert np.array_equal(found.evaluated.images, images.train.images[30 - n_dev :])
    assert np.array_equal(found.evaluated.labels, images.train.labels[30 - n_dev :])
    assert len(found.train) + len(found.evaluated) == 30
    assert not np.shares_memory(found.train.images, found.evaluated.images)
    assert not np.shares_memory(found.evaluated.images, images.test.images)
    assert found.image == images.info.image


@pytest.mark.parametrize(("n_dev", "part", "start"), [(7, 0, 23), (7, 1, 16), (7, 3, 2), (10, 2, 0), (15, 1, 0)])
def test_other_parts_of_the_training_images_can_be_held_out(n_dev: int, part: int, start: int) -> None:
    images = image_set(small_set())
    found = data.splits(images, n_dev=n_dev, dev_part=part)
    rest = [*range(start), *range(start + n_dev, 30)]
    assert np.array_equal(found.evaluated.images, images.train.images[start : start + n_dev])
    assert np.array_equal(found.evaluated.labels, images.train.labels[start : start + n_dev])
    assert np.array_equal(found.train.images, images.train.images[rest])
    assert np.array_equal(found.train.labels, images.train.labels[rest])


@pytest.mark.parametrize(("n_dev", "part"), [(7, 4), (7, 5), (7, 9), (7, -1), (15, 2)])
def test_a_part_that_is_not_there_is_refused(n_dev: int, part: int) -> None:
    with pytest.raises(
        DataError, match=f"30 training images have no part {part} of {n_dev}, counted from 0 at the end"
    ):
        data.splits(image_set(small_set()), n_dev=n_dev, dev_part=part)


def test_evaluated_on_test_all_training_images_are_trained_on() -> None:
    images = image_set(small_set())
    found = data.splits(images, n_dev=0)
    assert (found.train, found.evaluated) == (images.train, images.test)


def test_data_sorted_by_class_is_refused_a_dev_split() -> None:
    parts = small_set()
    parts["train-labels"] = np.sort(parts["train-labels"])  # ten of each
    data.splits(image_set(parts), n_dev=9)
    with pytest.raises(DataError) as refused:
        data.splits(image_set(parts), n_dev=10)
    message = str(refused.value)
    assert (
        "with the last 10 training images held out as the validation split (dev), no training image of class 2 is left"
        in message
    )
    assert "shuffle it once and save it again" in message
    with pytest.raises(
        DataError, match=r"with the 10 training images before the last 10 held out .* of class 1 is left"
    ):
        data.splits(image_set(parts), n_dev=10, dev_part=1)


@pytest.mark.parametrize("n_dev", [0, 7])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixel_moments_are_those_of_the_images_trained_on(n_dev: int, channels: int) -> None:
    """More images than are summed up at a time."""
    parts = small_set(n_train=4500, channels=channels)
    parts["train-images"][:, -1] //= 3  # channels differ
    parts["train-images"][-7:] = 255  # and so do the last images
    found = data.splits(image_set(parts), n_dev=n_dev)
    pixels = parts["train-images"][: 4500 - n_dev] / 255
    np.testing.assert_allclose(found.pixel_mean, pixels.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(found.pixel_std, pixels.std((0, 2, 3)), rtol=1e-9)


def test_images_of_one_colour_can_still_be_normalised() -> None:
    parts = small_set() | {"train-images": np.full((30, 5, 5), 77, np.uint8)}
    found = data.splits(image_set(parts), n_dev=0)
    assert found.pixel_mean.tolist() == pytest.approx([77 / 255])
    assert (found.pixel_std > 0).all()


LADDER = ladder_file.load("mnist-8k")


@pytest.mark.parametrize(
    ("dev_images", "n_train", "expected"), [(None, 60_000, 10_000), (None, 11, 1), (1, 2, 1), (59_999, 60_000, 59_999)]
)
def test_the_size_of_dev(dev_images: int | None, n_train: int, expected: int) -> None:
    assert replace(LADDER, evaluate_on="dev", dev_images=dev_images).n_dev(n_train) == expected


@pytest.mark.parametrize("dev_images", [None, 5000])
def test_there_is_no_dev_when_evaluated_on_test(dev_images: int | None) -> None:
    assert replace(LADDER, evaluate_on="test", dev_images=dev_images).n_dev(60_000) == 0


@pytest.mark.parametrize(("dev_images", "n_train"), [(None, 5), (60_000, 60_000), (60_001, 60_000), (0, 10), (-1, 10)])
def test_a_dev_split_out_of_range_is_refused(dev_images: int | None, n_train: int) -> None:
    with pytest.raises(
        LadderError,
        match=r"^mnist-8k: cannot hold .* set dev_images to at most [0-9,]+, as in dev_images = [0-9]+$",
    ):
        replace(LADDER, evaluate_on="dev", dev_images=dev_images).n_dev(n_train)


def test_an_npz_file_says_how_its_arrays_are_renamed_or_made(tmp_path: Path) -> None:
    parts = small_set()
    images, labels = parts["train-images"], parts["train-labels"]
    test: dict[str, Any] = {"x_test": parts["test-images"], "y_test": parts["test-labels"]}
    path = tmp_path / "set.npz"
    for x, y in (("X", "y"), ("train_x", "train_y"), ("X_train", "y_train")):
        arrays: dict[str, Any] = {x: images, y: labels}
        np.savez(path, **arrays, **test)
        assert f"{x} is to be called x_train: np.savez('new.npz', x_train=a['{x}'], ...)" in refusal(path)
    np.savez(path, x_train=images, y_train=labels)
    found = data.load(str(path))
    assert len(found.train) + len(found.test) == len(images)
    assert any("there is no test part" in note for note in found.notes)
    ragged = np.array([images[0], None], dtype=object)
    np.savez(path, x_train=ragged, y_train=labels[:2], **test)
    assert "make one uint8 array of it, np.stack(images)" in refusal(path)
