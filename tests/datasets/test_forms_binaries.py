"""Sets in binary files of their own: CIFAR's records and pickles, STL-10's, IDX under any name.

Sound ones give what they were made of; damaged and hostile ones are refused in one sentence that names the file.
"""

import gzip
import os
import pickle
import pickletools
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_idx
from hypothesis import given, settings
from hypothesis import strategies as st
from image_forms import COLOUR, GREY, Bytes, Forms, Made
from numpy.typing import NDArray

from stepladder.datasets import data
from stepladder.datasets.forms import pickles
from stepladder.datasets.reading import pixels
from stepladder.errors import DataError
from stepladder.testing.datasets import DatasetConformance

FORMS = Forms()
PREFIXED = "idx_one_set_of_two_by_its_prefix"
TEN = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
HUNDRED = [f"kind {k}" for k in range(100)]


def refusal(path: Path) -> str:
    """One sentence, that of a DataError."""
    with pytest.raises(DataError) as refused:
        data.load(str(path))
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 2000
    return message


# CIFAR, binary.


def records(x: Bytes, *labels: Any) -> bytes:
    columns = [np.asarray(each, np.uint8)[:, None] for each in labels]
    return np.concatenate([*columns, x.transpose(0, 3, 1, 2).reshape(len(x), -1)], 1).tobytes()


def write_cifar_binary(at: Path, made: Made = COLOUR) -> None:
    at.mkdir(parents=True, exist_ok=True)
    for k in range(2):
        (at / f"data_batch_{k + 1}.bin").write_bytes(records(made.x[k::2], made.y[k::2]))
    (at / "test_batch.bin").write_bytes(records(made.tx, made.ty))
    (at / "batches.meta.txt").write_text("\n".join(TEN) + "\n\n")


@FORMS.form(COLOUR)
def cifar_10_binary(at: Path) -> None:
    write_cifar_binary(at)


@FORMS.form(COLOUR)
def cifar_10_binary_one_deeper(at: Path) -> None:
    write_cifar_binary(at / "cifar-10-batches-bin")


@FORMS.form(COLOUR)
def cifar_10_binary_without_names(at: Path) -> None:
    write_cifar_binary(at)
    (at / "batches.meta.txt").unlink()


@FORMS.form(COLOUR)
def cifar_100_binary(at: Path) -> None:
    for part, x, y in (("train", COLOUR.x, COLOUR.y), ("test", COLOUR.tx, COLOUR.ty)):
        (at / f"{part}.bin").write_bytes(records(x, 19 - y, y))
    (at / "fine_label_names.txt").write_text("\n".join(HUNDRED))
    (at / "coarse_label_names.txt").write_text("\n".join(TEN))


# CIFAR, pickled.


def batch(x: Bytes, **labels: list[int]) -> dict[bytes, Any]:
    return {b"data": x.transpose(0, 3, 1, 2).reshape(len(x), -1), **{k.encode(): v for k, v in labels.items()}}


def write_cifar_pickled(at: Path, *, protocol: int = 2, made: Made = COLOUR) -> None:
    at.mkdir(parents=True, exist_ok=True)
    for name, x, y in (
        ("data_batch_1", made.x[:40], made.y[:40]),
        ("data_batch_2", made.x[40:], made.y[40:]),
        ("test_batch", made.tx, made.ty),
    ):
        said = batch(x, labels=y.tolist()) | {b"batch_label": b"a batch", b"filenames": [b"%d.png" % k for k in y]}
        (at / name).write_bytes(pickle.dumps(said, protocol))
    meta = {b"num_cases_per_batch": 40, b"label_names": [each.encode() for each in TEN], b"num_vis": 3072}
    (at / "batches.meta").write_bytes(pickle.dumps(meta, protocol))


def _of_protocol(protocol: int) -> Callable[[Path], None]:
    def build(at: Path) -> None:
        write_cifar_pickled(at, protocol=protocol)

    build.__name__ = f"cifar_10_pickled_protocol_{protocol}"
    return build


for _protocol in range(6):
    FORMS.form(COLOUR)(_of_protocol(_protocol))


@FORMS.form(COLOUR)
def cifar_10_pickled_one_deeper(at: Path) -> None:
    write_cifar_pickled(at / "cifar-10-batches-py")


@FORMS.form(COLOUR)
def cifar_100_pickled(at: Path) -> None:
    for part, x, y in (("train", COLOUR.x, COLOUR.y), ("test", COLOUR.tx, COLOUR.ty)):
        (at / part).write_bytes(pickle.dumps(batch(x, fine_labels=y.tolist(), coarse_labels=(19 - y).tolist()), 2))
    meta = {"fine_label_names": HUNDRED, "coarse_label_names": TEN}
    (at / "meta").write_bytes(pickle.dumps(meta, 2))


# STL-10: large images, so that a few are enough.


class Few(Made):
    def __init__(self) -> None:
        super().__init__(3, 96)
        self.x, self.y, self.tx, self.ty = self.x[:12], np.arange(12) % 3, self.tx[:6], np.arange(6) % 3


LARGE = Few()


@FORMS.form(LARGE)
def stl_10_binary(at: Path) -> None:
    for part, x, y in (("train", LARGE.x, LARGE.y), ("test", LARGE.tx, LARGE.ty)):
        (at / f"{part}_X.bin").write_bytes(x.transpose(0, 3, 2, 1).tobytes())  # columns before rows
        (at / f"{part}_y.bin").write_bytes((y + 1).astype(np.uint8).tobytes())
    (at / "class_names.txt").write_text("\n".join(TEN))
    (at / "unlabeled_X.bin").write_bytes(bytes(3 * 96 * 96))


@FORMS.form(LARGE)
def stl_10_binary_one_deeper_without_names(at: Path) -> None:
    (at / "stl10_binary").mkdir()
    stl_10_binary(at / "stl10_binary")
    (at / "stl10_binary" / "class_names.txt").unlink()


# IDX, under any name.


def write_idx_set(
    at: Path, before: str = "", *, suffix: str = "", test: str = "t10k", own_folders: bool = False
) -> None:
    for part, x, y in (("train", GREY.x, GREY.y), (test, GREY.tx, GREY.ty)):
        for kind, array in (("images-idx3-ubyte", x[..., 0]), ("labels-idx1-ubyte", y)):
            name = f"{before}{part}-{kind}{suffix}"
            folder = at / name if own_folders else at
            folder.mkdir(parents=True, exist_ok=True)
            write_idx(folder / name, array)


@FORMS.form()
def idx_one_deeper(at: Path) -> None:
    write_idx_set(at / "raw", suffix=".gz")


@FORMS.form()
def idx_two_deeper(at: Path) -> None:
    write_idx_set(at / "MNIST" / "raw")


@FORMS.form()
def idx_one_file_a_folder(at: Path) -> None:
    write_idx_set(at, own_folders=True)


@FORMS.form()
def idx_one_file_a_folder_and_the_files_beside(at: Path) -> None:
    """As on Kaggle: what is in the folders is the same once more, and not needed."""
    write_idx_set(at, own_folders=True)
    for path in sorted(at.glob("*/*")):
        (at / path.name.replace("-idx", ".idx")).write_bytes(path.read_bytes())


@FORMS.form()
def idx_emnist_with_its_mapping(at: Path) -> None:
    write_idx_set(at, "emnist-balanced-", suffix=".gz", test="test")
    (at / "emnist-balanced-mapping.txt").write_text("0 48\n1 65 97\n2 66\n")


@FORMS.form()
def idx_one_set_of_two_by_its_prefix(at: Path) -> Path:
    write_idx_set(at, "emnist-letters-", suffix=".gz", test="test")
    for part in ("train", "test"):
        write_idx(at / f"emnist-digits-{part}-images-idx3-ubyte", GREY.x[..., 0] // 2)
        write_idx(at / f"emnist-digits-{part}-labels-idx1-ubyte", GREY.y)
    return at / "emnist-letters"


@FORMS.form()
def idx_one_set_of_two_by_its_folder(at: Path) -> Path:
    write_idx_set(at / "MNIST" / "raw")
    write_idx_set(at / "FashionMNIST" / "raw")
    return at / "FashionMNIST"


@FORMS.form()
def idx_qmnist(at: Path) -> None:
    write_idx_set(at, "qmnist-", test="test")
    for part, y in (("train", GREY.y), ("test", GREY.ty)):
        (at / f"qmnist-{part}-labels-idx1-ubyte").unlink()
        (at / f"qmnist-{part}-labels-idx2-int.gz").write_bytes(gzip.compress(int_labels(y)))


def int_labels(y: NDArray[Any]) -> bytes:
    """As QMNIST has them: the class, where it comes from, who wrote it, and so on."""
    rows = np.arange(8 * len(y), dtype=">i4").reshape(-1, 8)
    rows[:, 0] = y
    return b"\0\0\x0c\2" + struct.pack(">2I", *rows.shape) + rows.tobytes()


@pytest.mark.parametrize("name", FORMS)
def test_a_set_of_this_form_is_read(name: str, tmp_path: Path) -> None:
    found = FORMS.require_read(name, tmp_path)
    assert found.form
    assert len(found.class_names) == 3


def test_names_of_classes_and_what_was_chosen_are_said(tmp_path: Path) -> None:
    FORMS.require_read("cifar_10_pickled_one_deeper", tmp_path / "ten")
    assert data.load(str(tmp_path / "ten")).class_names == ("airplane", "automobile", "bird")
    (tmp_path / "hundred").mkdir()
    found = FORMS.require_read("cifar_100_binary", tmp_path / "hundred")
    assert found.class_names == ("kind 0", "kind 1", "kind 2")
    assert "the 20 coarse labels were left out; the 100 fine ones were taken" in found.notes


def test_python_2_wrote_texts_as_bytes() -> None:
    """By hand, as Python 2's cPickle wrote CIFAR: SHORT_BINSTRING and BINSTRING, a dtype named by bytes."""

    def short(text: bytes) -> bytes:
        return b"U" + bytes([len(text)]) + text

    pixels = bytes(range(256)) * 12
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85" + short(b"b") + b"tR"
        b"(K\1K\1M\0\x0c\x86cnumpy\ndtype\n(" + short(b"u1") + b"K\0K\1tR(K\3" + short(b"|") + b"NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\0tb\x89T" + struct.pack("<i", len(pixels)) + pixels + b"tb"
    )
    found = pickles.read(b"\x80\2}(" + short(b"data") + array + short(b"labels") + b"]K\6au.", "x")
    assert found["labels"] == [6]
    assert found["data"].tobytes() == pixels
    assert found["data"].shape == (1, 3072)
    text = b"(dS'data'\nS'\\x00\\xff\\n\\'a'\ns."  # protocol 0
    assert pickles.read(text, "x") == {"data": b"\0\xff\n'a"}


class TestConformance(DatasetConformance):
    """What is relied on in every source (see stepladder.testing), of one set of each form."""

    @pytest.fixture(params=["cifar_10_binary_one_deeper", "cifar_100_pickled", "stl_10_binary", "idx_qmnist", PREFIXED])
    def source(self, request: pytest.FixtureRequest, tmp_path: Path) -> str:
        return str(FORMS[request.param][1](tmp_path) or tmp_path)


# What spoils CIFAR's files, and what is said.


def spoilt(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


BINARY: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "truncated": ("data_batch_2.bin", lambda c: c[:-1], "data_batch_2.bin: truncated, or no file of CIFAR"),
    "empty": ("test_batch.bin", lambda _: b"", "test_batch.bin: empty"),
    "label 10": ("data_batch_1.bin", lambda c: b"\x0a" + c[1:], "image 0, counted from 0, has label 10"),
    "a page": ("test_batch.bin", lambda _: b"<!DOCTYPE html>" * 100, "test_batch.bin: truncated, or no file of CIFAR"),
    "names missing": ("batches.meta.txt", lambda _: b"cat\ndog\n", "batches.meta.txt: 2 names of 10 classes"),
    "names no text": ("batches.meta.txt", lambda _: b"\xff\xfe\0", "batches.meta.txt: no text"),
}


@pytest.mark.parametrize("name", BINARY)
def test_a_spoilt_binary_file_is_named(name: str, tmp_path: Path) -> None:
    file, change, words = BINARY[name]
    write_cifar_binary(tmp_path)
    spoilt(tmp_path / file, change)
    message = refusal(tmp_path)
    assert words in message
    assert "get it again" in message


def test_a_batch_in_the_middle_that_is_missing_is_named(tmp_path: Path) -> None:
    write_cifar_binary(tmp_path)
    (tmp_path / "data_batch_1.bin").rename(tmp_path / "data_batch_3.bin")
    assert "data_batch_1.bin is missing, and later ones are there" in refusal(tmp_path)


def test_two_sets_beside_each_other_are_not_chosen_between(tmp_path: Path) -> None:
    write_cifar_binary(tmp_path / "one")
    write_cifar_binary(tmp_path / "two")
    assert "more than one set, one, two: give one of them" in refusal(tmp_path)


def test_without_a_test_batch_a_test_part_is_cut_and_said(tmp_path: Path) -> None:
    write_cifar_binary(tmp_path)
    (tmp_path / "test_batch.bin").unlink()
    found = data.load(str(tmp_path))
    assert len(found.train) + len(found.test) == len(COLOUR.y)
    assert any("there is no test part" in note for note in found.notes)


def with_batch(change: Callable[[dict[bytes, Any]], object]) -> bytes:
    said = batch(COLOUR.x[:8], labels=COLOUR.y[:8].tolist())
    change(said)
    return pickle.dumps(said, 2)


PICKLED: dict[str, tuple[bytes, str]] = {
    "truncated": (with_batch(len)[:-500], "a damaged pickle, or none"),
    "empty": (b"", "a damaged pickle, or none (it ends too early)"),
    "a page": (b"<!DOCTYPE html>", "a damaged pickle, or none"),
    "a list": (pickle.dumps([1]), "it holds no dict"),
    "no data": (with_batch(lambda d: d.pop(b"data")), "has no array data (N, 3072) of bytes"),
    "floats": (with_batch(lambda d: d.update({b"data": d[b"data"] / 255})), "an array of f8, where whole numbers"),
    "of integers": (with_batch(lambda d: d.update({b"data": d[b"data"].astype(int)})), "has no array data (N, 3072)"),
    "objects": (with_batch(lambda d: d.update({b"data": np.array([{}])})), "an array of O8, where whole numbers"),
    "too few pixels": (with_batch(lambda d: d.update({b"data": d[b"data"][:, 1:]})), "has no array data (N, 3072)"),
    "too few labels": (with_batch(lambda d: d[b"labels"].pop()), "has no list of 8 labels"),
    "no labels": (with_batch(lambda d: d.pop(b"labels")), "has no list of 8 labels"),
    "texts": (with_batch(lambda d: d.update({b"labels": ["cat"] * 8})), "has no list of 8 labels"),
    "label 10": (with_batch(lambda d: d[b"labels"].__setitem__(3, 10)), "image 3, counted from 0, has label 10"),
    "label -1": (with_batch(lambda d: d[b"labels"].__setitem__(3, -1)), "has label -1"),
    "none": (with_batch(lambda d: d.update({b"data": d[b"data"][:0], b"labels": []})), "holds no images"),
}


@pytest.mark.parametrize("name", PICKLED)
def test_a_spoilt_pickle_is_named(name: str, tmp_path: Path) -> None:
    content, words = PICKLED[name]
    write_cifar_pickled(tmp_path)
    (tmp_path / "data_batch_2").write_bytes(content)
    message = refusal(tmp_path)
    assert "data_batch_2: " in message
    assert words in message
    assert "get it again" in message or "get the file from" in message


@pytest.mark.parametrize(
    ("said", "words"),
    [({}, "has no list label_names"), ({"label_names": ["a"]}, "1 name of 10 classes"), ({"label_names": 3}, "has no")],
)
def test_spoilt_names_are_named(tmp_path: Path, said: dict[str, Any], words: str) -> None:
    write_cifar_pickled(tmp_path)
    (tmp_path / "batches.meta").write_bytes(pickle.dumps(said))
    assert words in refusal(tmp_path)


def test_stl_10_says_its_classes_and_what_is_left_out(tmp_path: Path) -> None:
    found = FORMS.require_read("stl_10_binary", tmp_path)
    assert found.class_names == ("airplane", "automobile", "bird")
    assert "the images without labels (unlabeled_X.bin) were left out" in found.notes


STL: dict[str, tuple[str, Callable[[bytes], bytes] | None, str]] = {
    "truncated": ("train_X.bin", lambda c: c[:-1], "train_X.bin: truncated, or no file of STL-10"),
    "empty": ("test_X.bin", lambda _: b"", "test_X.bin: empty"),
    "too few labels": ("test_y.bin", lambda c: c[1:], "test_y.bin: 5 labels for 6 images: get both again"),
    "no labels": ("test_y.bin", None, "test_X.bin is there, and test_y.bin, its labels, is not: get it"),
    "label 0": ("train_y.bin", lambda c: b"\0" + c[1:], "image 0, counted from 0, has label 0: they run from 1 to 10"),
    "label 11": ("train_y.bin", lambda c: c[:-1] + b"\x0b", "image 11, counted from 0, has label 11"),
    "two names": ("class_names.txt", lambda _: b"cat\ndog", "class_names.txt: 2 names of 10 classes"),
}


@pytest.mark.parametrize("name", STL)
def test_a_spoilt_file_of_stl_10_is_named(name: str, tmp_path: Path) -> None:
    file, change, words = STL[name]
    stl_10_binary(tmp_path)
    if change is None:
        (tmp_path / file).unlink()
    else:
        spoilt(tmp_path / file, change)
    assert words in refusal(tmp_path)


@pytest.mark.parametrize("name", ["data_batch_1", "train_X.bin"])
def test_a_pipe_is_not_waited_for(name: str, tmp_path: Path) -> None:
    """Names alone make no set: what is no file is none of its files."""
    os.mkfifo(tmp_path / name)
    assert str(tmp_path) in refusal(tmp_path)


def test_a_single_file_of_cifar_is_told_where_it_belongs(tmp_path: Path) -> None:
    write_cifar_binary(tmp_path)
    assert "one file of CIFAR: give the folder that holds it" in refusal(tmp_path / "data_batch_1.bin")


@pytest.mark.parametrize(("write", "file"), [(write_cifar_binary, "test_batch.bin"), (write_cifar_pickled, "meta")])
def test_more_than_the_memory_is_refused_before_it_is_read(
    tmp_path: Path, write: Callable[[Path], None], file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sparse files of 60 GB, on a machine of 1 GB."""
    monkeypatch.setattr(pixels, "memory_bytes", lambda: 2**30)
    write(tmp_path)
    big = tmp_path / (file if file != "meta" else "data_batch_1")
    with big.open("r+b") as opened:
        opened.truncate(3073 * 20_000_000)
    assert "and this machine has 1.1 GB of memory" in refusal(tmp_path)


def test_a_test_batch_alone_is_no_set(tmp_path: Path) -> None:
    (tmp_path / "test_batch").write_bytes(b"content")
    assert "it holds test_batch, and no file data_batch_1 to train on" in refusal(tmp_path)


def test_emnist_s_mapping_names_the_classes(tmp_path: Path) -> None:
    found = FORMS.require_read("idx_emnist_with_its_mapping", tmp_path)
    assert found.class_names == ("0", "Aa", "B")


def test_emnist_s_letters_count_from_1_and_keep_their_names(tmp_path: Path) -> None:
    """pytorch/vision 2630: the list of names was one off, and the last label beyond it."""
    letters = 1 + np.arange(90) % 26
    for part in ("train", "test"):
        write_idx(tmp_path / f"emnist-letters-{part}-images-idx3-ubyte", GREY.x[..., 0])
        write_idx(tmp_path / f"emnist-letters-{part}-labels-idx1-ubyte.gz", letters)
    rows = [f"{k} {64 + k} {96 + k}" for k in range(1, 27)]
    (tmp_path / "emnist-letters-mapping.txt").write_text("\n".join(rows))
    found = data.load(str(tmp_path))
    assert found.class_names[0] == "Aa"
    assert found.class_names[-1] == "Zz"
    assert np.array_equal(found.train.labels, letters - 1)
    assert any("mapped to classes: 1 is 0, 2 is 1" in note for note in found.notes)


def test_qmnist_s_other_columns_are_said_to_be_left_out(tmp_path: Path) -> None:
    found = FORMS.require_read("idx_qmnist", tmp_path)
    assert "train labels have 8 columns; the first, the class, was taken" in found.notes


def test_several_idx_sets_in_a_folder_are_listed(tmp_path: Path) -> None:
    for kind in ("balanced", "letters"):
        write_idx_set(tmp_path, f"emnist-{kind}-", test="test")
    message = refusal(tmp_path)
    assert "IDX files of 2 sets, emnist-balanced, emnist-letters: say which, as in data = " in message
    assert f'"{tmp_path}/emnist-balanced"' in message
    assert "no data at" in refusal(tmp_path / "emnist-digits")
    assert "no data at" in refusal(tmp_path / "emnist")


IDX: dict[str, tuple[str, bytes | None, str]] = {
    "no labels": ("qmnist-test-labels-idx2-int.gz", None, "no qmnist-test-labels among its files"),
    "truncated": ("qmnist-train-labels-idx2-int.gz", gzip.compress(int_labels(GREY.y)[:-3]), "truncated: its header"),
    "in its header": ("qmnist-train-labels-idx2-int.gz", b"\0\0\x0c\2\0\0", "truncated: it ends inside its header"),
    "too long": ("qmnist-train-labels-idx2-int.gz", int_labels(GREY.y) + b"1", "too long: its header promises"),
    "empty": ("qmnist-train-labels-idx2-int.gz", int_labels(GREY.y[:0]), "holds nothing"),
    "huge": (
        "qmnist-train-labels-idx2-int.gz",
        b"\0\0\x0c\2" + b"\xff" * 8,
        "qmnist-train-labels-idx2-int.gz: promises 73,786,976,2",
    ),
    "too few": ("qmnist-train-labels-idx2-int.gz", int_labels(GREY.y[1:]), "90 train images but 89 train labels"),
    "a page": ("qmnist-train-labels-idx2-int.gz", b"<!DOCTYPE html>", "damaged or truncated (a web page)"),
}


@pytest.mark.parametrize("name", IDX)
def test_a_spoilt_idx_file_is_named(name: str, tmp_path: Path) -> None:
    file, content, words = IDX[name]
    idx_qmnist(tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(
            content if content[:2] == b"\x1f\x8b" or name == "a page" else gzip.compress(content)
        )
    assert words in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"<html>", b"0 a", b"0 99999999999999999999", b"-1 65", b"0", b"\xff"])
def test_a_mapping_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    idx_emnist_with_its_mapping(tmp_path)
    (tmp_path / "emnist-balanced-mapping.txt").write_bytes(content)
    assert "emnist-balanced-mapping.txt: no mapping of labels to characters" in refusal(tmp_path)


# Pickles that would do something.


class Calls:
    """Whatever it is asked, when it is unpickled by Python."""

    def __init__(self, function: Any, *given: Any) -> None:
        self.said = (function, given)

    def __reduce__(self) -> Any:
        return self.said


class Persistent(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return "an id" if isinstance(value, Calls) else None


class OfOurs:
    """With a state, which BUILD would set."""

    def __init__(self) -> None:
        self.state = 1


def persistent(protocol: int, at: Path) -> bytes:
    with at.open("wb") as file:
        Persistent(file, protocol).dump({"data": Calls(os.getcwd)})
    return at.read_bytes()


TOUCH = Path("/tmp") / f"touched-by-a-pickle-{os.getpid()}"


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_imported_and_nothing_is_called(protocol: int, tmp_path: Path) -> None:
    values = [
        Calls(os.system, f"touch {TOUCH}"),
        Calls(eval, f"open({str(TOUCH)!r}, 'w')"),
        Calls(np.ndarray, (2, 2)),
        Calls(np.fromfile, "/etc/passwd"),
        OfOurs(),
        OfOurs,
        {1, 2},
        frozenset([1]),
        1.5,
    ]
    for value in values:
        content = pickle.dumps({"data": value}, protocol)
        with pytest.raises(DataError, match=r"x: refused: it (would have Python|uses the opcode)"):
            pickles.read(content, "x")
    with pytest.raises(DataError, match=r"refused: it uses the opcode (BIN)?PERSID"):
        pickles.read(persistent(protocol, tmp_path / "p"), "x")
    assert not TOUCH.exists()


def test_what_would_run_is_named(tmp_path: Path) -> None:
    write_cifar_pickled(tmp_path)
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({"data": Calls(os.system, f"touch {TOUCH}")}))
    message = refusal(tmp_path)
    assert "data_batch_1: refused: it would have Python import posix.system; a pickle is a program" in message
    assert not TOUCH.exists()


def test_python_s_own_reader_is_never_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("pickle was asked")

    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, never)
    FORMS.require_read("cifar_10_pickled_one_deeper", tmp_path)


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
HOSTILE: dict[str, tuple[bytes, str]] = {
    "lists in lists": (b"]" * 400_000 + b"a" * 399_999 + b".", "it holds no dict"),
    "tuples in tuples": (b")" + b"\x85" * 400_000 + b".", "it holds no dict"),
    "a list in itself": (b"]q\0h\0a.", "it holds no dict"),
    "a dict in itself": (b"}q\0U\1ah\0s.", ""),
    "a key that is a tuple": (b"}" + b")" + b"2\x86" * 60 + b"K\1s.", "a key that is no text"),
    "marks alone": (b"(" * 100_000 + b".", "a damaged pickle"),
    "a memo that is not set": (b"h\5.", "memo 5 is used, and was not set"),
    "a memo far away": (b"}r\xff\xff\xff\xff.", ""),
    "bytes that are not there": (b"\x8e" + struct.pack("<Q", 2**62) + b"abc.", "a damaged pickle"),
    "more bytes than can be": (b"\x8e" + struct.pack("<Q", 2**64 - 1) + b".", "a damaged pickle"),
    "a bytearray not there": (b"\x96" + struct.pack("<Q", 2**40) + b".", "a damaged pickle"),
    "a text not there": (b"\x8d" + struct.pack("<Q", 2**40) + b".", "a damaged pickle"),
    "a text of Python 2": (b"T\xff\xff\xff\xffabc.", "it ends inside a text of 4,294,967,295 bytes"),
    "a number of digits": (b"L" + b"9" * 10_000 + b"L\n.", "a damaged pickle"),
    "a long number": (b"\x8b" + struct.pack("<i", -5) + b".", "a damaged pickle"),
    "a frame": (b"\x80\4\x95" + struct.pack("<Q", 2**63) + b"}.", ""),
    "another protocol": (b"\x80\x09}.", "is of protocol 9"),
    "nothing on the stack": (b"0.", "a damaged pickle"),
    "a buffer elsewhere": (b"\x97.", "uses the opcode NEXT_BUFFER"),
    "an extension": (b"\x82\1.", "uses the opcode EXT1"),
    "an instance": (b"(iposix\nsystem\n.", "uses the opcode INST"),
    "an object": (b"(cos\nsystem\no.", "would have Python import os.system"),
    "new": (b"cos\nsystem\n)\x81.", "would have Python import os.system"),
    "new of numpy": (b"cnumpy\nndarray\n)\x81.", "uses the opcode NEWOBJ"),
    "a call of a number": (b"K\1)R.", "would have Python call something"),
    "a call with a list": (RECONSTRUCT + b"]R.", "would have Python call something"),
    "an array of nothing": (RECONSTRUCT + b"(tR.", "would have Python call _reconstruct with what nobody gives it"),
    "a state of a list": (b"]K\1b.", "would have Python set the state of an object"),
    "an array without numbers": (
        b"}U\4data" + RECONSTRUCT + b"(cnumpy\nndarray\nK\0\x85U\1btRs.",
        "an array without numbers",
    ),
    "a codec": (b"c_codecs\nencode\n(X\1\0\0\0aX\3\0\0\0hextR.", "would have Python call encode"),
    "a name of a name": (b"\x8c\2os\x8c\6system\x93.", "would have Python import os.system"),
    "a text many times": (
        b"X\x10\x27\0\0" + b"a" * 10_000 + b"q\0" + b"c_codecs\nencode\n(h\0X\6\0\0\0latin1tR" * 50 + b".",
        "makes more bytes than it has",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_is_refused(name: str) -> None:
    content, words = HOSTILE[name]
    if not words:
        assert isinstance(pickles.read(content, "x"), dict)
        return
    with pytest.raises(DataError) as refused:
        pickles.read(content, "x")
    assert words in str(refused.value)
    assert str(refused.value).startswith("x: ")


def test_a_pickle_of_very_many_steps_is_not_followed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MOST_STEPS", 1000)
    with pytest.raises(DataError, match="x: refused: it has more than 1,000 opcodes"):
        pickles.read(b"N" * 1001 + b".", "x")


values = st.recursive(
    st.integers(-(2**80), 2**80) | st.text(max_size=9) | st.binary(max_size=300) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=5), values, max_size=5), st.integers(0, 5))
def test_plain_values_come_back_whatever_the_protocol(said: dict[str, Any], protocol: int) -> None:
    assert pickles.read(pickle.dumps(said, protocol), "x") == said


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 4), max_size=4),
    st.sampled_from(["u1", "i1", "<u2", ">i4", "<i8", ">u8"]),
    st.sampled_from("CF"),
    st.integers(0, 5),
)
def test_arrays_of_whole_numbers_come_back(shape: list[int], dtype: str, order: Any, protocol: int) -> None:
    array = np.arange(int(np.prod(shape)), dtype=dtype).reshape(shape).copy(order)
    found = pickles.read(pickle.dumps({"data": array, "n": array.dtype.type(7)}, protocol), "x")
    assert found["n"] == 7
    assert found["data"].shape == array.shape
    assert np.array_equal(found["data"], array)


def is_read_or_refused(content: bytes) -> bool:
    """Whether a pickle is a dict, or refused by its name; nothing else may come of one."""
    try:
        return isinstance(pickles.read(content, "x"), dict)
    except DataError as error:
        return str(error).startswith("x: ")


SOUND = pickle.dumps(batch(COLOUR.x[:1, :2], labels=[1]) | {b"n": np.uint8(3)}, 2)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.integers(0, len(SOUND)), st.integers(0, 20))
def test_any_bytes_are_read_or_refused(content: bytes, at: int, n: int) -> None:
    assert is_read_or_refused(content + b".")
    assert is_read_or_refused(SOUND[:at] + content + SOUND[at + n :])


def opcodes() -> Iterator[bytes]:
    for opcode in pickletools.opcodes:
        yield opcode.code.encode("latin-1")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*opcodes(), b"K\1", b"U\1a", b"(", b"}", b"h\0", b"q\0", RECONSTRUCT]), max_size=30))
def test_any_opcodes_are_read_or_refused(steps: list[bytes]) -> None:
    assert is_read_or_refused(b"".join(steps) + b".")
