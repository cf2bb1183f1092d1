"""What check says of images before anything trains: wrong ones are refused with their reason, odd ones are named."""

import gzip
import lzma
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest
from conftest import CommandLine, write_idx
from numpy.typing import NDArray

from stepladder._base.wording import flat
from stepladder.datasets import data
from stepladder.datasets.reading import odd_files
from stepladder.datasets.reading.pixels import as_bytes
from stepladder.errors import DataError
from stepladder.ladders import ladder_file
from stepladder.ladders.checking import check, check_data
from stepladder.ladders.evaluated import data_identity
from stepladder.ladders.image_notes import examined
from stepladder.ladders.ladder import Ladder
from stepladder.recipes.recipe import Recipe

LADDER = ladder_file.load("mnist-8k")

Arrays = dict[str, NDArray[Any]]


def digits(n: int = 600, n_test: int = 200) -> Arrays:
    mnist = data.load("mnist")
    return {
        "x_train": mnist.train.images[:n, 0],
        "y_train": mnist.train.labels[:n],
        "x_test": mnist.test.images[:n_test, 0],
        "y_test": mnist.test.labels[:n_test],
    }


def of_classes(*classes: int, n: int, n_test: int = 20) -> Arrays:
    """So many digits of each class, sorted by class."""
    mnist = data.load("mnist")
    found: Arrays = {}
    for name, part, each in (("train", mnist.train, n), ("test", mnist.test, n_test)):
        rows = np.concatenate([np.flatnonzero(part.labels == c)[:each] for c in classes])
        found |= {f"x_{name}": part.images[rows, 0], f"y_{name}": np.repeat(np.arange(len(classes)), each)}
    return found


def ladder_on(path: Path, *, n_classes: int = 10, evaluate_on: Any = "dev") -> Ladder:
    network = ["conv 4 3x3 stride 2", "gap", f"linear {n_classes}"]
    rung = replace(LADDER.rungs[-1], recipe=Recipe.model_validate({"network": network, "epochs": 12}), changes=())
    return replace(LADDER, data=str(path), data_sha256=None, evaluate_on=evaluate_on, rungs=(rung,))


def notes(path: Path, arrays: Arrays, **options: Any) -> tuple[str, ...]:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return check(ladder_on(path, **options), n_seeds=1, jobs=1, speeds={}).notes


def change(arrays: Arrays, **changed: NDArray[Any]) -> Arrays:
    return arrays | changed


# Notes.


def test_nothing_is_said_of_sound_images(tmp_path: Path) -> None:
    assert notes(tmp_path / "digits.npz", digits(2000, 500)) == ()
    assert notes(tmp_path / "test.npz", digits(2000, 500), evaluate_on="test") == ()


def test_there_is_nothing_to_say_of_mnist(tmp_path: Path) -> None:
    """As ``examined`` takes it: here it is read as any other set."""
    mnist = data.load("mnist")
    for name, part in (("train", mnist.train), ("t10k", mnist.test)):
        write_idx(tmp_path / f"{name}-images-idx3-ubyte", part.images[:, 0])
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", part.labels)
    on_test = replace(LADDER, data=str(tmp_path), evaluate_on="test")
    on_dev = [replace(on_test, evaluate_on="dev", dev_images=n_dev) for n_dev in (None, 57, 10, 59_982)]
    for same in (on_test, *on_dev):
        for ladder in (same, replace(same, data="mnist")):
            assert examined(ladder, data_identity(ladder)) == ()


KINDS: dict[str, tuple[Callable[[], Arrays], dict[str, Any], str]] = {
    "test images are training images": (
        lambda: change(digits(), x_test=digits()["x_train"][100:250], y_test=digits()["y_train"][100:250]),
        {"evaluate_on": "test"},
        "150 of 150 test images are trained on too (test image 0 is training image 100, counted from 0)",
    ),
    "validation images are trained on": (
        lambda: change(digits(), **{k: np.concatenate([digits()[k][:300]] * 2) for k in ("x_train", "y_train")}),
        {},
        "100 of 100 validation images are trained on too (validation image 500 is training image 200, counted from 0)",
    ),
    "its own validation images are test images": (
        lambda: digits() | {"x_val": digits()["x_test"][50:150], "y_val": digits()["y_test"][50:150]},
        {},
        "100 of 200 test images are chosen with too (test image 50 is validation image 0, counted from 0): a test with"
        " them flatters; remove them from one side",
    ),
    "those that are left out are test images": (
        lambda: digits() | {"x_val": digits()["x_test"][50:150], "y_val": digits()["y_test"][50:150]},
        {"evaluate_on": "test"},
        "100 of 200 test images are chosen with too (test image 50 is own validation image 0, counted from 0)",
    ),
    "those that are left out are training images": (
        lambda: digits() | {"x_val": digits()["x_train"][9:50], "y_val": digits()["y_train"][9:50]},
        {"evaluate_on": "test"},
        "41 of 41 own validation images are trained on too (own validation image 0 is training image 9, counted",
    ),
    "one image with two labels": (
        lambda: change(
            digits(),
            x_train=np.concatenate([digits()["x_train"], digits()["x_train"][:3]]),
            y_train=np.r_[digits()["y_train"], (digits()["y_train"][:3] + 1) % 10],
        ),
        {},
        "3 images come with more than one label (",
    ),
    "test lacks classes": (
        lambda: change(digits(), **{k: digits()[k][digits()["y_test"] < 8] for k in ("x_test", "y_test")}),
        {"evaluate_on": "test"},
        "no test image is of classes 8, 9: accuracy there says nothing of them",
    ),
    "one class is nearly all": (
        lambda: change(
            of_classes(0, 1, n=900),
            x_train=of_classes(0, 1, n=900)["x_train"][840:],
            y_train=np.r_[np.zeros(60, int), np.ones(900, int)],
        ),
        {"n_classes": 2},
        "always naming class 1 would have 93.75% of dev",
    ),
    "classes are uneven": (
        lambda: change(
            of_classes(0, 1, n=900),
            x_train=of_classes(0, 1, n=900)["x_train"][840:],
            y_train=np.r_[np.zeros(60, int), np.ones(900, int)],
        ),
        {"n_classes": 2},
        "classes are uneven: there are 750 training images of class 1, but 50 of class 0",
    ),
    "pixels from 0 to 15": (
        lambda: change(digits(), x_train=digits()["x_train"] // 16, x_test=digits()["x_test"] // 16),
        {},
        "the brightest pixel is 15 of 255: pictures of these images are all but black; if 15 is meant to be white, save"
        " (x / 15 * 255).round().astype(np.uint8) for training and test images alike",
    ),
    "test on another scale": (
        lambda: change(digits(), x_test=digits()["x_test"] >> 4),
        {},
        "the brightest pixel of the test images is 15, of the training images 255: they seem to be on different scales;"
        " save training and test images alike, from 0 to 255",
    ),
    "training on another scale": (
        lambda: change(digits(), x_train=digits()["x_train"] >> 1),
        {"evaluate_on": "test"},
        "the brightest pixel of the test images is 255, of the training images 127: they seem to be on different",
    ),
    "validation on another scale": (
        lambda: digits() | {"x_val": digits()["x_test"] >> 4, "y_val": digits()["y_test"]},
        {},
        "the brightest pixel of the validation images is 15, of the training images 255",
    ),
    "test from -1 to 1": (
        lambda: change(digits(), x_test=digits()["x_test"] // 2 + 128),
        {},
        "pixels of the test images run from 128 to 255, of the training images from 0 to 255",
    ),
    "test inverted": (
        lambda: change(digits(), x_test=255 - digits()["x_test"]),
        {},
        ": if one of them is inverted or on another scale, save training and test images",
    ),
    "one image of many with two labels": (
        lambda: change(
            digits(),
            x_train=np.concatenate([digits()["x_train"], digits()["x_train"][:1]]),
            y_train=np.r_[digits()["y_train"], (digits()["y_train"][:1] + 1) % 10],
        ),
        {},
        "1 image comes with more than one label (",
    ),
    "one test image is trained on": (
        lambda: change(digits(), x_test=np.concatenate([digits()["x_train"][:1], digits()["x_test"][1:]])),
        {"evaluate_on": "test"},
        "1 of 200 test images is trained on too (test image 0 is training image 0, counted from 0): accuracy on it",
    ),
    "test lacks a class": (
        lambda: change(digits(), **{k: digits()[k][digits()["y_test"] < 9] for k in ("x_test", "y_test")}),
        {"evaluate_on": "test"},
        "no test image is of class 9: accuracy there says nothing of it",
    ),
    "the one validation image is left out": (
        lambda: digits() | {"x_val": digits(1, 201)["x_test"][200:], "y_val": digits(1, 201)["y_test"][200:]},
        {"evaluate_on": "test"},
        "its own 1 validation image is left out: evaluate_on is 'test'",
    ),
    "many channels": (
        lambda: {k: np.repeat(a[:, None], 13, 1) if k[0] == "x" else a for k, a in digits().items()},
        {},
        "13 channels: right for images of that many bands; the slices of a volume or the frames of a film are pictures",
    ),
}


@pytest.mark.parametrize(("make", "options", "words"), KINDS.values(), ids=KINDS)
def test_what_is_remarkable_is_said(
    tmp_path: Path, make: Callable[[], Arrays], options: dict[str, Any], words: str
) -> None:
    assert any(words in note for note in notes(tmp_path / "set.npz", make(), **options))


def test_a_target_that_no_network_is_needed_for_is_said_to_be(tmp_path: Path) -> None:
    arrays = of_classes(0, 1, n=600)
    uneven = {k: arrays[k][590:] for k in ("x_train", "y_train")}  # 10 of class 0, 600 of class 1
    found = notes(tmp_path / "set.npz", arrays | uneven, n_classes=2)
    assert "always naming class 1 would have 98.01% of dev" in found
    np.savez(tmp_path / "other.npz", **(arrays | uneven))  # type: ignore[arg-type]
    ladder = ladder_on(tmp_path / "other.npz", n_classes=2)
    low = ladder.rungs[0].target.model_copy(update={"accuracy": 98})
    found = check_data(ladder.with_rungs((replace(ladder.rungs[0], target=low),))).notes
    assert "always naming class 1 would have 98.01% of dev, which holds the target of 98%" in found


@pytest.mark.parametrize(
    ("name", "said"),
    [("emnist-digits", True), ("my_EMNIST", True), ("EMNIST/raw", True), ("femnist", False), ("medmnist", False)],
)
def test_emnist_is_said_to_lie_on_its_side(tmp_path: Path, name: str, said: bool) -> None:
    folder = tmp_path / name
    folder.mkdir(parents=True)
    for part, (x, y) in {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}.items():
        write_idx(folder / f"{part}-images-idx3-ubyte", digits(2000, 500)[x])
        write_idx(folder / f"{part}-labels-idx1-ubyte", digits(2000, 500)[y])
    ladder = ladder_on(folder)
    found = examined(ladder, data_identity(ladder))
    assert bool(found) == said
    assert not said or "as by x.transpose(0, 2, 1)" in found[0]


def test_notes_are_said_by_check_and_by_a_climb(tmp_path: Path, stepladder: CommandLine) -> None:
    arrays = digits(300, 100)
    arrays["x_test"], arrays["y_test"] = arrays["x_train"][:100], arrays["y_train"][:100]
    np.savez(tmp_path / "set.npz", **arrays)  # type: ignore[arg-type]
    (tmp_path / "own.toml").write_text(
        'name = "own"\ndata = "set.npz"\nevaluate_on = "test"\nbudget = { params = 900, epochs = 5 }\n'
        'target = { accuracy = 99, last_epochs = 1 }\n[[rung]]\nname = "a"\nwhy = "w"\n'
        '[rung.recipe]\nnetwork = ["conv 4 3x3 stride 4", "gap", "linear 10"]\nepochs = 1\n'
    )
    words = "100 of 100 test images are trained on too (test image 0 is training image 0"
    assert f"Note: {words}" in stepladder("check", "own.toml").stdout
    assert words in stepladder("check", "own.toml", "--json").stdout
    assert f"images: {words}" in stepladder("climb", "own.toml", "--seeds", 1, "--jobs", 1).stderr


# Refused by check, though they are read.

REFUSED: dict[str, tuple[Callable[[], Arrays], str]] = {
    "floats cast to bytes": (
        lambda: change(
            digits(), x_train=(digits()["x_train"] / 255).astype(np.uint8), x_test=digits()["x_test"] // 255
        ),
        "training images have pixels of 0 and 1 only, not up to 255: if they were numbers from 0 to 1, all between has"
        " been cut off: save those as (x * 255).round().astype(np.uint8); if they are black and white, save x * 255",
    ),
    "test images alone cast to bytes": (
        lambda: change(digits(), x_test=digits()["x_test"] // 255),
        "test images have pixels of 0 and 1 only",
    ),
    "all black": (
        lambda: change(digits(), x_train=digits()["x_train"] * 0),
        "all 600 training images are black: nothing can be learned from them",
    ),
    "all grey": (
        lambda: change(digits(), x_train=digits()["x_train"] * 0 + 77),
        "all 600 training images are the same: nothing can be learned from them",
    ),
    "test all grey": (
        lambda: change(digits(), x_test=digits()["x_test"] * 0 + 77),
        "all 200 test images are the same: nothing can be measured on them; see what has been saved",
    ),
    "test all one digit": (
        lambda: change(digits(), x_test=np.repeat(digits()["x_test"][:1], 200, 0)),
        "all 200 test images are the same: nothing can be measured on them",
    ),
    "validation all grey": (
        lambda: digits() | {"x_val": digits()["x_test"] * 0 + 77, "y_val": digits()["y_test"]},
        "all 200 validation images are the same: nothing can be measured on them",
    ),
    "test all black": (lambda: change(digits(), x_test=digits()["x_test"] * 0), "test images have pixels of 0 only"),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
def test_images_that_cannot_be_meant_are_refused(tmp_path: Path, make: Callable[[], Arrays], words: str) -> None:
    with pytest.raises(DataError) as refused:
        notes(tmp_path / "set.npz", make())
    assert words in str(refused.value)


@pytest.mark.parametrize("names", [("x_train", "train_images"), ("y_test", "test_labels"), ("x_val", "x_valid")])
def test_two_arrays_for_one_part_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    arrays = digits(40, 20)
    arrays |= {"x_val": arrays["x_test"], "y_val": arrays["y_test"]}
    np.savez(tmp_path / "set.npz", **arrays, **{names[1]: arrays[names[0]]})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=f"has {' and '.join(names)}, which name the same part: keep one of them"):
        data.load(str(tmp_path / "set.npz"))


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("x_train", "X_train"),
        ("x_train", "x-train"),
        ("x_train", "Train Images"),
        ("x_train", "mine/x_train"),
        ("y_train", "labels"),
        ("x_test", "X_TEST"),
        ("y_test", "ytest"),
        ("x_val", "X_val"),
        ("y_val", "dev_y"),
    ],
)
def test_another_spelling_of_an_array_that_is_there_is_refused(tmp_path: Path, name: str, other: str) -> None:
    arrays = digits(40, 20)
    arrays |= {"x_val": arrays["x_test"], "y_val": arrays["y_test"]}
    np.savez(tmp_path / "set.npz", **arrays, **{other: arrays[name][::-1]})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=f"has {name} and {other}, which name the same part: keep one of them"):
        data.load(str(tmp_path / "set.npz"))


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "test-labels-idx1-ubyte"])
@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_a_packed_file_beside_a_plain_one_must_hold_the_same(
    tmp_path: Path, name: str, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    """A download is often left beside what was unpacked of it."""
    arrays = digits(40, 20)
    for part in ("train", "test"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", arrays[f"x_{part}"])
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", arrays[f"y_{part}"])
    packed = tmp_path / f"{name}{suffix}"
    alone = data.load(str(tmp_path)).sha256
    content = (tmp_path / name).read_bytes()
    packed.write_bytes(pack(content))
    assert data.load(str(tmp_path)).sha256 == alone
    for other in (content[:-1] + bytes([content[-1] ^ 1]), content[:-1], content + b"0"):
        packed.write_bytes(pack(other))
        with pytest.raises(DataError, match=f"{name} and {name}{suffix} hold different .*: keep one of them"):
            data.load(str(tmp_path))
    packed.rename(tmp_path / name.upper())
    with pytest.raises(DataError, match=f"{name.upper()} and {name} could both be .*: keep one of them"):
        data.load(str(tmp_path))


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_images_that_are_replaced_are_read_again(tmp_path: Path, kind: str, in_place: bool) -> None:
    """And looked at again; as long as they are not, they are read once."""
    path = tmp_path / ("set.npz" if kind == "file" else "set")

    def write(arrays: Arrays) -> None:
        if not in_place and path.exists():
            path.rename(tmp_path / "old")
        if kind == "file":
            np.savez(path, **arrays)  # type: ignore[arg-type]
            return
        path.mkdir(exist_ok=True)
        for part in ("train", "test"):
            write_idx(path / f"{part}-images-idx3-ubyte", arrays[f"x_{part}"])
            write_idx(path / f"{part}-labels-idx1-ubyte", arrays[f"y_{part}"])

    write(digits())
    ladder = ladder_on(path)
    before = data.load(str(path))
    assert check_data(ladder).notes == ()
    assert data.load(str(path)) is before
    sleep(0.02)  # a file's time is counted in ticks of the kernel
    write(change(digits(), x_test=digits()["x_test"] >> 4))  # of the same size
    assert int(data.load(str(path)).test.images.max()) == 15
    assert data.fingerprint(str(path)) != before.sha256
    assert any("the brightest pixel of the test images is 15" in note for note in check_data(ladder).notes)


# Pixels of other types: the remedy gives what was meant.


BRIGHT = np.array([0, 1, 100, 254, 255])


@pytest.mark.parametrize(
    ("x", "meant"),
    [
        (BRIGHT / 255, BRIGHT),
        ((BRIGHT / 255).astype(np.float32), BRIGHT),
        (BRIGHT.astype(np.float64), BRIGHT),
        (BRIGHT / 127.5 - 1, BRIGHT),
        (BRIGHT.astype(np.int64), BRIGHT),
        ((BRIGHT * 257).astype(np.uint16), BRIGHT),
        (np.array([True, False]), np.array([255, 0])),
        (np.array([0, 1], np.int8), np.array([0, 255])),
        (np.array([0, 8, 16], np.float64), np.array([0, 128, 255])),
        (np.array([0, 7, 15], np.int8), np.array([0, 119, 255])),
        (np.array([-32768, 0, 32767], np.int16), np.array([0, 128, 255])),
        (np.array([-2.0, 0, 3.0]), np.array([0, 102, 255])),
    ],
)
def test_advice_for_other_pixels_is_no_trap(x: NDArray[Any], meant: NDArray[Any]) -> None:
    advice = as_bytes(x.dtype, float(x.min()), float(x.max()))
    code = advice.partition("save ")[2].partition(" for ")[0].partition(", with")[0]
    found = eval(code, {"np": np, "x": x})
    assert found.dtype == np.uint8
    assert found.tolist() == meant.tolist(), code


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.random.default_rng(0).random((40, 9, 9)), "from 0 to 1: save (x * 255).round().astype(np.uint8)"),
        (np.full((40, 9, 9), np.nan), "without NaN, infinite or complex numbers"),
        (np.zeros((40, 9, 9), complex), "without NaN, infinite or complex numbers"),
    ],
)
def test_pixels_of_another_type_are_refused_with_advice(tmp_path: Path, x: NDArray[Any], words: str) -> None:
    if np.isrealobj(x) and not np.isnan(x).any():
        x[0, 0, 0], x[1, 1, 1] = 0, 1
    np.savez(tmp_path / "set.npz", **change(digits(40, 20), x_train=x))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=f"train images are {x.dtype}") as refused:
        data.load(str(tmp_path / "set.npz"))
    assert words in str(refused.value)


# Shapes that can be read in two ways.

SHAPES: dict[tuple[int, ...], tuple[int, ...] | str] = {
    (20, 3, 8, 8): (3, 8, 8),
    (20, 8, 8, 3): (3, 8, 8),
    (20, 8, 8, 1): (1, 8, 8),
    (20, 4, 4, 3): (3, 4, 4),
    (20, 3, 2, 2): (3, 2, 2),
    (20, 13, 8, 8): (13, 8, 8),
    (20, 8, 8, 13): (13, 8, 8),
    (20, 28, 28, 28): "neither 28 nor 28 is a number of colour channels; a volume or a film is no image",
    (20, 28, 3, 3): "could be (N, C, H, W) or (N, H, W, C): pad the images",
    (20, 49, 10): (1, 49, 10),
    (20, 1, 49, 10): (1, 49, 10),
    (20, 49, 10, 1): (1, 49, 10),
    (20, 3, 49, 10): (3, 49, 10),
    (20, 49, 10, 2): (2, 49, 10),
    (20, 1, 64): (1, 1, 64),
    (20, 64, 1): (1, 64, 1),
    (20, 1, 1, 64): (1, 1, 64),
    (20, 64, 1, 1): (1, 64, 1),
    (20, 1, 64, 1): "could be (N, C, H, W) or (N, H, W, C): save those of one channel as (N, H, W)",
    (20, 3, 49, 4): "could be (N, C, H, W) or (N, H, W, C): pad the images",
    (20, 3, 3, 3): "could be (N, C, H, W) or (N, H, W, C): pad the images",
    (20, 16, 8, 12): "neither 16 nor 12 is a number of colour channels",
    (8, 8, 3, 20): "have their number last: save x.transpose(3, 0, 1, 2)",
    (8, 8, 20): "have their number last: save x.transpose(2, 0, 1)",
    (20, 784): "as by x.reshape(-1, 28, 28)",
    (20, 3072): "as by x.reshape(-1, 3, 32, 32)",
}


@pytest.mark.parametrize(("shape", "expected"), SHAPES.items(), ids=str)
def test_four_sizes_are_read_in_the_one_way_that_is_possible(
    tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...] | str
) -> None:
    x = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    y = np.arange(20) % 4
    path = tmp_path / "set.npz"
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    if isinstance(expected, str):
        with pytest.raises(DataError) as refused:
            data.load(str(path))
        assert expected in str(refused.value)
        return
    found = data.load(str(path)).train.images
    assert found.shape[1:] == expected
    given = x[:, None] if x.ndim == 3 else x
    assert np.array_equal(found, given if given.shape[1:] == expected else given.transpose(0, 3, 1, 2))


# Words for what is no image set.

FOLDERS: dict[str, tuple[list[str], str]] = {
    "empty": ([], "the folder is empty"),
    "one file a folder": (
        ["train-images-idx3-ubyte/train-images-idx3-ubyte"],
        "no train-labels among its files",
    ),
    "one deeper": (["raw/train-images-idx3-ubyte"], "raw: no train-labels among its files"),
    "two deeper": (["MNIST/raw/train-images-idx3-ubyte.gz"], "raw: no train-labels among its files"),
    "emnist": (
        ["emnist-letters-train-images-idx3-ubyte.gz"],
        "no emnist-letters-train-labels among its files",
    ),
    "qmnist": (["qmnist-test-labels-idx2-int.gz"], "no qmnist-train-images among its files"),
    "tables": (["train.csv", "test.csv"], "np.loadtxt"),
    "matlab": (["train_32x32.mat"], "scipy.io.loadmat"),
    "parquet": (["train-0.parquet"], "pandas.read_parquet"),
    "single arrays": (["x_train.npy"], 'np.load("x_train.npy")'),
    "an npz file": (["mnist.npz"], "it holds mnist.npz: give that file itself"),
    "an archive": (["archive.zip"], "it holds archive.zip: unpack that first"),
}


GREY_PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 28, 28, 8, 0, 0, 0, 0)


@pytest.mark.parametrize(("files", "words"), FOLDERS.values(), ids=FOLDERS)
def test_a_folder_that_is_no_image_set_is_called_what_it_is(tmp_path: Path, files: list[str], words: str) -> None:
    for each in files:
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).write_bytes(b"content")
    with pytest.raises(DataError) as refused:
        data.load(str(tmp_path))
    assert words in str(refused.value)
    assert ".npz file" in str(refused.value)


FILES: dict[str, tuple[bytes, str]] = {
    "page.npz": (b"<!DOCTYPE html><html>404", "(a web page)"),
    "empty.npz": (b"", "(an empty file)"),
    "pointer.npz": (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    "set.csv": (b"label,1x1\n5,0\n", "np.loadtxt"),
    "set.mat": (b"MATLAB 5.0 MAT-file", "scipy.io.loadmat"),
    "a.png": (b"\x89PNG\r\n", "a PNG picture"),
    "a.gz": (b"\x1f\x8b\x08", "a gzip file, of no form that is read: unpack it"),
    "train-images-idx3-ubyte.gz": (
        b"\x1f\x8b\x08",
        "give the folder that holds it and the other three; nothing need be",
    ),
    "t10k-labels.idx1-ubyte.xz": (b"\xfd7zXZ\0", "give the folder that holds it and the other three; nothing need be"),
    "b.png": (GREY_PNG, 'PIL.Image.open(p).convert("L"))'),
    "a.pkl": (b"\x80\x04\x95", "a pickle of Python"),
    "train-images-idx3-ubyte": (b"\0\0\x08\x03", "one IDX file: give the folder that holds it and the other three"),
    "set.NPZ": (b"PK\3\4" + bytes(26) + b"x_train.npy", "give it a name that ends in .npz"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_image_set_is_called_what_it_is(tmp_path: Path, name: str) -> None:
    content, words = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as refused:
        data.load(str(tmp_path / name))
    assert words in str(refused.value)


def test_names_of_well_known_sets_are_known() -> None:
    with pytest.raises(
        DataError, match=r"CIFAR-10 is not embedded: get it, and give its folder \(cifar-10-batches-py or"
    ):
        data.load("cifar10")
    with pytest.raises(DataError, match="or 'mnist', which is embedded"):
        data.load("MNIST")


def test_arrays_of_almost_the_right_name_are_named(tmp_path: Path) -> None:
    arrays = digits(40, 20)
    np.savez(tmp_path / "set.npz", X_train=arrays.pop("x_train"), **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="X_train is to be called x_train"):
        data.load(str(tmp_path / "set.npz"))
    np.savez(tmp_path / "nameless.npz", arrays["x_test"], arrays["y_test"], arrays["x_test"], arrays["y_test"])
    with pytest.raises(DataError, match="give arrays their names"):
        data.load(str(tmp_path / "nameless.npz"))


@pytest.mark.parametrize("spoil", ["gzip without .gz", "idx with .gz"])
def test_what_a_file_holds_counts_and_not_its_name(tmp_path: Path, spoil: str) -> None:
    arrays, packed = digits(40, 20), spoil == "gzip without .gz"
    for name, part in (("train", "train"), ("t10k", "test")):
        write_idx(tmp_path / f"{name}-images-idx3-ubyte.gz", arrays[f"x_{part}"])
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte{'.gz' * packed}", arrays[f"y_{part}"])
    for file in list(tmp_path.iterdir()):
        file.rename(file.with_suffix("") if packed else file.with_name(file.name.removesuffix(".gz") + ".gz"))
    found = data.load(str(tmp_path))
    assert np.array_equal(found.train.images[:, 0], arrays["x_train"])
    assert np.array_equal(found.test.labels, arrays["y_test"])


def test_messages_quote_little_of_what_others_wrote() -> None:
    assert flat("a\n\tb" + "c" * 1000 + "d", 20) == "a bccccccc ... cccccccccd"
    assert odd_files.listed([f"name {k}" for k in range(30)], 3) == "name 0, name 1, name 2 and 27 more"


# Memory.

TRAINED = """
import resource, sys
import numpy as np
from stepladder.datasets import data
from stepladder.engines import choose_engine
from stepladder.engines.training import Training, initial_arrays
from stepladder.recipes.recipe import Recipe
recipe = Recipe.model_validate({"network": ["conv 4 3x3 stride 4", "gap", "linear 4"], "epochs": 1})
small = data.load(sys.argv[2])

def trained(images):
    splits = data.splits(images, n_dev=len(images.train) // 6, rule="stratified")
    network = recipe.network_for(splits.image)
    training = Training(choose_engine("jit")[0], network, recipe, splits=splits, seed=1)
    training.set_arrays(initial_arrays(network, 1))
    training.model.begin_epoch(dropout_seed=1)
    training.learn(np.arange(len(splits.train))[-64:], None)
    training.logits()

trained(small)  # the machine code, and all libraries
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
trained(data.load(sys.argv[1]))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_training_holds_the_pixels_once(tmp_path: Path) -> None:
    """Channels last, sorted by class, and as large as makes a copy visible."""
    for name, n in (("large", 11_000), ("small", 600)):
        x = np.random.default_rng(0).integers(0, 256, (n, 64, 64, 3), dtype=np.uint8)
        y = np.sort(np.arange(n) % 4)
        np.savez(tmp_path / f"{name}.npz", x_train=x, y_train=y, x_test=x[::100], y_test=y[::100])
    command = [sys.executable, "-c", TRAINED, str(tmp_path / "large.npz"), str(tmp_path / "small.npz")]
    n_mib = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert n_mib < 11_000 * 64 * 64 * 3 / 2**20 + 40
