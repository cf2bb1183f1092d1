"""Files of arrays and tables in their many forms: read as the arrays they were made of, or refused in one sentence."""

import bz2
import json
import lzma
import struct
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from image_forms import COLOUR, GREY, NAMES, Bytes, Forms, Made, png, require_same
from numpy.typing import NDArray
from scipy.io import savemat
from scipy.sparse import coo_matrix

from stepladder.datasets import data, kinds
from stepladder.datasets.image_set import ImageSet
from stepladder.errors import DataError

FORMS = Forms()
OF_ONE_PART = Forms()
X, TX = GREY.grey


class Whole:
    """All images of a set."""

    def __init__(self, found: ImageSet) -> None:
        parts = found.parts.values()
        self.images = np.concatenate([part.images for part in parts])
        self.labels = np.concatenate([part.labels for part in parts])


def require_all(found: ImageSet, x: Bytes, y: NDArray[Any]) -> None:
    """In whatever part."""
    require_same(Whole(found), x, y)


def refusal(path: Path) -> str:
    """The one line with which a set is refused."""
    with pytest.raises(DataError) as refused:
        data.load(str(path))
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 2000
    assert str(path.parent) in message
    return message


def require_refused(path: Path, *words: str) -> None:
    message = refusal(path)
    for each in words:
        assert each in message, message


def keras(made: Made = GREY, **changed: Any) -> dict[str, Any]:
    """The arrays of a set by the names that Keras gives them."""
    x, tx = made.grey if made is GREY else (made.x, made.tx)
    return {"x_train": x, "y_train": made.y, "x_test": tx, "y_test": made.ty} | changed


def without(arrays: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: array for name, array in arrays.items() if name not in names}


# .npz files.


@OF_ONE_PART.form()
def npz_without_a_test_part(at: Path) -> Path:
    np.savez(at / "set.npz", x_train=X, y_train=GREY.y)
    return at / "set.npz"


@OF_ONE_PART.form()
def npz_images_and_labels(at: Path) -> Path:
    np.savez_compressed(at / "set.npz", images=X, labels=GREY.y[:, None])
    return at / "set.npz"


@OF_ONE_PART.form(COLOUR)
def npz_x_and_y(at: Path) -> Path:
    np.savez(at / "set.npz", X=COLOUR.x, y=COLOUR.y.astype(np.int32))
    return at / "set.npz"


@OF_ONE_PART.form()
def npz_flat_data_and_target(at: Path) -> Path:
    np.savez(at / "set.npz", data=X.reshape(len(X), -1), target=GREY.y)
    return at / "set.npz"


@OF_ONE_PART.form()
def npz_without_names(at: Path) -> Path:
    np.savez(at / "set.npz", np.asfortranarray(X), GREY.y)
    return at / "set.npz"


def test_names_of_classes_in_an_npz_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **keras(), class_names=np.array(NAMES))
    assert data.load(str(tmp_path / "a.npz")).class_names == NAMES
    np.savez(tmp_path / "b.npz", images=X, labels=GREY.y, label_names=np.array(NAMES, "S"))
    assert data.load(str(tmp_path / "b.npz")).class_names == NAMES
    texts = np.array(NAMES)
    np.savez(tmp_path / "c.npz", **keras(y_train=texts[GREY.y], y_test=texts[GREY.ty]))
    found = data.load(str(tmp_path / "c.npz"))
    assert found.class_names == NAMES
    require_same(found.train, GREY.x, GREY.y)
    np.savez(tmp_path / "d.npz", **keras(), class_names=np.array(NAMES, object))
    found = data.load(str(tmp_path / "d.npz"))
    assert found.class_names == ("0", "1", "2")
    assert any("class_names, a pickle of Python" in note for note in found.notes)


NPZ: dict[str, tuple[dict[str, Any], str]] = {
    "floats": ({"images": X / 255.0, "labels": GREY.y}, "from 0 to 1: save (x * 255)"),
    "one-hot labels": ({"images": X, "labels": np.eye(3, dtype=int)[GREY.y]}, "one-hot ones by y.argmax(1)"),
    "fewer labels": ({"images": X, "labels": GREY.y[1:]}, "90 train images but 89 train labels"),
    "fractions as labels": ({"images": X, "labels": GREY.y / 2}, "save them as integers"),
    "colours in a row": (
        {"data": COLOUR.x.reshape(len(COLOUR.x), -1), "target": COLOUR.y},
        "32 x 32 colours in an order that nobody can know: save them as (N, 32, 32, 3) or (N, 3, 32, 32)",
    ),
    "two arrays without names, neither labels": ({"arr_0": X, "arr_1": X}, "give arrays their names"),
    "objects": ({"images": np.array([X[0], None], object), "labels": GREY.y[:2]}, "np.stack(images)"),
}


@pytest.mark.parametrize("name", NPZ)
def test_an_npz_file_of_one_part_is_refused(name: str, tmp_path: Path) -> None:
    arrays, words = NPZ[name]
    np.savez(tmp_path / "set.npz", **arrays)
    require_refused(tmp_path / "set.npz", words)


# Folders of .npy and .npz pieces.


def write_npy(at: Path, arrays: Mapping[str, Any]) -> None:
    for name, array in arrays.items():
        np.save(at / f"{name}.npy", array)


@FORMS.form()
def npy_by_part(at: Path) -> None:
    write_npy(at, keras())


@FORMS.form()
def npy_in_other_words(at: Path) -> None:
    write_npy(at, {"trainImages": X, "trainLabels": GREY.y, "images_test": TX, "labels_test": GREY.ty[:, None]})


@FORMS.form(COLOUR)
def npy_in_fortran_order(at: Path) -> None:
    write_npy(at, keras(COLOUR, x_train=np.asfortranarray(COLOUR.x), x_test=COLOUR.tx.transpose(0, 3, 1, 2)))


@FORMS.form()
def npy_flat(at: Path) -> None:
    write_npy(at, keras(x_train=X.reshape(len(X), -1), x_test=TX.reshape(len(TX), -1)))


@FORMS.form()
def kmnist_pieces(at: Path) -> None:
    for name, array in zip(("train-imgs", "train-labels", "test-imgs", "test-labels"), keras().values(), strict=True):
        np.savez_compressed(at / f"kmnist-{name}.npz", array)
    (at / "kmnist_classmap.csv").write_text("index,codepoint,char\n0,U+304A,お\n")


@OF_ONE_PART.form()
def npy_x_and_y(at: Path) -> None:
    write_npy(at, {"X": X, "y": np.array(NAMES)[GREY.y]})


@OF_ONE_PART.form()
def quickdraw(at: Path) -> None:
    by_class = {name: X[GREY.y == label] for label, name in enumerate(NAMES)}
    write_npy(at, {f"full_numpy_bitmap_{name}": array.reshape(len(array), -1) for name, array in by_class.items()})


@OF_ONE_PART.form(COLOUR)
def npy_by_class_in_colour(at: Path) -> None:
    write_npy(at, {name: COLOUR.x[COLOUR.y == label] for label, name in enumerate(NAMES)})


def test_the_classes_of_quickdraw_are_its_files(tmp_path: Path) -> None:
    quickdraw(tmp_path)
    assert data.load(str(tmp_path)).class_names == NAMES


NPY: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "floats": (keras(x_train=X / 255.0), ("x_train.npy: images are float64, from 0 to 1: save (x * 255)",)),
    "number last": (
        keras(COLOUR, x_train=COLOUR.x.transpose(1, 2, 3, 0)),
        ("x_train.npy: images of shape (32, 32, 3, 90) have their number last: save x.transpose(3, 0, 1, 2)",),
    ),
    "one-hot labels": (keras(y_train=np.eye(3)[GREY.y]), ("one-hot ones by y.argmax(1)",)),
    "floats as labels": (keras(y_train=GREY.y / 1), ("labels are float64: save them as integers",)),
    "fewer labels": (keras(y_train=GREY.y[1:]), ("90 train images but 89 train labels",)),
    "labels of test alone": (without(keras(), "y_train"), ("no labels to train on among ", "call arrays x_train")),
    "two of one part": (keras(train_images=X), ("could both be the images of train: keep one of them",)),
    "a volume": (keras(x_train=np.zeros((90, 12, 12, 12), np.uint8)), ("a volume or a film is no image",)),
    "no square": (keras(x_train=X.reshape(90, 144)[:, :143]), ("images of shape (90, 143): save them as (N, H, W)",)),
    "labels out of range": (keras(y_train=GREY.y - 1), ("labels run from -1 to 1",)),
    "a class for each, of different shapes": (
        {"cat": X, "dog": X[:, 1:]},
        ("arrays of different shapes or types (cat.npy",),
    ),
    "records": (keras(x_train=np.zeros(90, [("a", "u1")])), ("x_train.npy: an array of records",)),
    "objects": (keras(x_train=np.array([{"image": 1, "label": 2}], object)), ("x_train.npy: an array of Python obj",)),
    "texts that are no UTF-8": (keras(y_train=np.array([b"\xff", b"b"] * 45)), ("texts that are not in UTF-8",)),
}


@pytest.mark.parametrize("name", NPY)
def test_a_folder_of_npy_files_is_refused(name: str, tmp_path: Path) -> None:
    arrays, words = NPY[name]
    write_npy(tmp_path, arrays)
    require_refused(tmp_path, *words)


def test_a_single_npy_file_is_refused_and_a_pickle_never_loaded(tmp_path: Path) -> None:
    write_npy(tmp_path, {"x_train": X, "dicts": np.array([{"image": X[0], "label": 1}] * 3)})
    require_refused(tmp_path / "x_train.npy", "one array of shape (90, 12, 12) (uint8)", "give the folder")
    require_refused(tmp_path / "dicts.npy", "a list of dictionaries, is a pickle, which is never loaded")


@pytest.mark.parametrize("name", ["x_train", "y_test"])
def test_a_truncated_npy_file_is_refused(name: str, tmp_path: Path) -> None:
    write_npy(tmp_path, keras())
    path = tmp_path / f"{name}.npy"
    path.write_bytes(path.read_bytes()[:-9])
    require_refused(tmp_path, f"{name}.npy: damaged, or no array that numpy saved")


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path: Path) -> None:
    write_npy(tmp_path, keras())
    content = (tmp_path / "x_train.npy").read_bytes()
    (tmp_path / "x_train.npy").write_bytes(content.replace(b"(90, 12, 12), }", b"(9000000000, 12, 12), }"[:15]))
    require_refused(tmp_path, "x_train.npy: damaged")


# MATLAB's files.


def digits(made: Made, n_classes: int = 10) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels of ten classes for a set's images."""
    return np.arange(len(made.x)) % n_classes, np.arange(len(made.tx)) % n_classes


def write_svhn(at: Path, name: str, x: Bytes, y: NDArray[Any]) -> None:
    labels = np.where(y == 0, 10, y).astype(np.uint8)[:, None]
    savemat(at / name, {"X": x.transpose(1, 2, 3, 0), "y": labels}, do_compression=True)


@pytest.fixture
def svhn(tmp_path: Path) -> Path:
    y, ty = digits(COLOUR)
    write_svhn(tmp_path, "train_32x32.mat", COLOUR.x, y)
    write_svhn(tmp_path, "test_32x32.mat", COLOUR.tx, ty)
    return tmp_path


def test_svhn(svhn: Path) -> None:
    write_svhn(svhn, "extra_32x32.mat", COLOUR.x, digits(COLOUR)[0])
    found, (y, ty) = data.load(str(svhn)), digits(COLOUR)
    require_same(found.train, COLOUR.x, y)
    require_same(found.test, COLOUR.tx, ty)
    assert found.class_names == tuple("0123456789")
    assert "left out: extra_32x32.mat" in found.notes
    assert any("label 10 is digit 0" in note for note in found.notes)


def test_one_file_of_svhn(svhn: Path) -> None:
    require_all(data.load(str(svhn / "train_32x32.mat")), COLOUR.x, digits(COLOUR)[0])


def by_columns(x: Bytes) -> NDArray[Any]:
    return x[..., 0].transpose(0, 2, 1).reshape(len(x), -1)


def emnist(at: Path, mapping: list[list[int]], *, first: int = 0, packed: bool = True) -> Path:
    def part(x: Bytes, y: NDArray[Any]) -> dict[str, Any]:
        labels = (y + first).astype(np.uint8)[:, None]
        return {"images": by_columns(x), "labels": labels, "writers": np.zeros((len(x), 1))}

    content = {"train": part(GREY.x, GREY.y), "test": part(GREY.tx, GREY.ty), "mapping": np.array(mapping, np.uint8)}
    savemat(at, {"dataset": content}, do_compression=packed)
    return at


def test_emnist_is_turned_upright_and_its_classes_are_characters(tmp_path: Path) -> None:
    found = data.load(str(emnist(tmp_path / "emnist-letters.mat", [[1, 65, 97], [2, 66, 98], [3, 67, 99]], first=1)))
    require_same(found.train, GREY.x, GREY.y)
    require_same(found.test, GREY.tx, GREY.ty)
    assert found.class_names == ("Aa", "Bb", "Cc")
    assert any("turned upright" in note for note in found.notes)
    found = data.load(str(emnist(tmp_path / "emnist-digits.mat", [[0, 48], [1, 49], [2, 50]])))
    assert found.class_names == ("0", "1", "2")


def test_usps_as_roweis_has_it(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (10, 6, 16, 16, 1), np.uint8)
    stored = np.stack([by_columns(each).T for each in (*x[1:], x[0])], 2)
    assert stored.shape == (256, 6, 10)
    savemat(tmp_path / "usps_all.mat", {"data": stored})
    require_all(data.load(str(tmp_path / "usps_all.mat")), x.reshape(60, 16, 16, 1), np.repeat(np.arange(10), 6))


def test_usps_as_it_was_resampled(tmp_path: Path) -> None:
    y, ty = digits(GREY)
    names = {"train": (GREY.x, y), "test": (GREY.tx, ty)}
    arrays = {f"{part}_patterns": x.reshape(len(x), -1).T / 127.5 - 1 for part, (x, _) in names.items()}
    arrays |= {f"{part}_labels": np.eye(10, dtype=np.int16)[labels].T * 2 - 1 for part, (_, labels) in names.items()}
    savemat(tmp_path / "usps_resampled.mat", arrays)
    found = data.load(str(tmp_path / "usps_resampled.mat"))
    require_same(found.train, GREY.x, y)
    require_same(found.test, GREY.tx, ty)
    assert any("-1 as 0 and 1 as 255" in note for note in found.notes)
    assert sum("one-hot labels" in note for note in found.notes) == 2
    assert not any("row by row" in note for note in found.notes)


def test_flat_images_of_no_known_set_are_said_to_be_taken_row_by_row(tmp_path: Path) -> None:
    notes = data.load(str(mat_number_last_and_fractions(tmp_path))).notes
    assert any("taken row by row; if they come lying on their side" in note for note in notes)


@FORMS.form()
def mat_as_keras_names_arrays(at: Path) -> Path:
    savemat(at / "set.mat", keras(), do_compression=True)
    return at / "set.mat"


@FORMS.form()
def mat_number_last_and_fractions(at: Path) -> Path:
    arrays = {"trainX": GREY.x.reshape(90, -1).T / 255, "trainY": GREY.y.astype(float)}
    savemat(at / "set.mat", arrays | {"testX": GREY.tx.reshape(30, -1).T / 255, "testY": GREY.ty.astype(float)})
    return at / "set.mat"


@FORMS.form()
def mat_of_version_7(at: Path) -> Path:
    """As MATLAB writes it: HDF5 below a header of its own, all axes turned around."""
    with h5py.File(at / "set.mat", "w", userblock_size=512) as file:
        for name, array in keras().items():
            file[name] = array.T if array.ndim > 1 else array[None].astype(float)
    content = bytearray((at / "set.mat").read_bytes())
    content[:128] = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM"
    (at / "set.mat").write_bytes(content)
    return at / "set.mat"


@OF_ONE_PART.form()
def mat_of_texts(at: Path) -> Path:
    savemat(at / "set.mat", {"fea": X, "gnd": np.array(NAMES)[GREY.y]})
    return at / "set.mat"


MAT: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a sparse matrix": ({"X": coo_matrix(np.eye(9)), "y": np.arange(9)}, ("no images to train on among y",)),
    "no labels": ({"X": X}, ("no labels to train on among X: call arrays x_train",)),
    "of unknown ends": (keras(x_train=X * 1.0, x_test=TX * 4.2), ("it seems): save (x / 4095 * 255)",)),
    "standardised": (keras(x_train=X / 50.0 - 2, x_test=TX / 50.0 - 2), ("save ((x.astype(float) - (-2)) / 5.1",)),
    "not a number": (keras(x_train=X * np.nan, x_test=TX * 1.0), ("without NaN, infinite",)),
    "of two types": (keras(x_train=X / 255), ("those of another part bytes (uint8): save all alike",)),
    "fractions as labels": (keras(y_train=GREY.y / 2), ("labels are float64: save them as integers",)),
    "two hot": (keras(y_train=np.eye(3)[GREY.y] + np.eye(3)[0]), ("one-hot ones by y.argmax(1)",)),
    "fewer labels": (keras(y_train=GREY.y[1:]), ("90 train images but 89 train labels",)),
    "colours in a row": (
        keras(COLOUR, x_train=COLOUR.x.reshape(90, -1), x_test=COLOUR.tx.reshape(30, -1)),
        ("in an order that nobody can know",),
    ),
    "dataset of another kind": ({"dataset": {"train": 1, "test": 2, "mapping": 3}}, ("that is not EMNIST's",)),
}


@pytest.mark.parametrize("name", MAT)
def test_a_mat_file_is_refused(name: str, tmp_path: Path) -> None:
    arrays, words = MAT[name]
    savemat(tmp_path / "set.mat", arrays)
    require_refused(tmp_path / "set.mat", *words)


@pytest.mark.parametrize("packed", [False, True])
def test_a_truncated_mat_file_is_refused(packed: bool, tmp_path: Path) -> None:
    savemat(tmp_path / "set.mat", keras(), do_compression=packed)
    content = (tmp_path / "set.mat").read_bytes()
    for length in (200, len(content) // 2, len(content) - 5):
        (tmp_path / "set.mat").write_bytes(content[:length])
        require_refused(tmp_path / "set.mat", "set.mat: ")


@pytest.mark.parametrize(
    ("promised", "words"),
    [(2**30, "no images compress that far"), (2**40 % 2**32 + 100, "has more than the 100 bytes that it promises")],
)
def test_a_packed_mat_file_that_would_fill_the_memory_is_refused(promised: int, words: str, tmp_path: Path) -> None:
    savemat(tmp_path / "set.mat", {"X": X, "y": GREY.y})
    packed = zlib.compress(struct.pack("<II", 14, promised) + bytes(2**20))
    with (tmp_path / "set.mat").open("ab") as file:
        file.write(struct.pack("<II", 15, len(packed)) + packed)
    require_refused(tmp_path / "set.mat", words)


def test_wrong_bytes_in_a_mat_file_end_in_no_traceback(tmp_path: Path) -> None:
    """SciPy ends the process at some of these."""
    path = emnist(tmp_path / "set.mat", [[0, 48], [1, 49], [2, 50]], packed=False)
    content = path.read_bytes()
    places = [*range(128, 520, 8), *range(len(content) - 400, len(content), 40)]
    for place in places:
        path.write_bytes(content[:place] + b"\xee" + content[place + 1 :])
        with suppress(DataError):
            data.read(kinds.kind_of(str(path)))


def test_a_mat_file_in_the_other_order_of_bytes(tmp_path: Path) -> None:
    """As MATLAB wrote it on a SPARC."""
    name, images = b"x\0\0\0\0\0\0\0", X.transpose(1, 2, 0).tobytes("F")
    body = struct.pack(">IIII", 6, 8, 9, 0) + struct.pack(">IIIIII", 5, 12, 12, 12, 90, 0)
    body += struct.pack(">II", 1, 1) + name + struct.pack(">II", 2, len(images)) + images
    labels = (
        struct.pack(">IIII", 6, 8, 6, 0) + struct.pack(">IIII", 5, 8, 90, 1) + struct.pack(">HHI", 1, 1, 0x79000000)
    )
    values = GREY.y.astype(">u2").tobytes()
    labels += struct.pack(">II", 4, len(values)) + values + bytes(-len(values) % 8)
    content = b"MATLAB 5.0 MAT-file".ljust(124) + b"\1\0MI"
    content += b"".join(struct.pack(">II", 14, len(each)) + each for each in (body, labels))
    (tmp_path / "set.mat").write_bytes(content)
    require_all(data.load(str(tmp_path / "set.mat")), GREY.x, GREY.y)


# HDF5.


def write_h5(at: Path, arrays: Mapping[str, Any], **options: Any) -> Path:
    with h5py.File(at, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, **options)
    return at


@FORMS.form()
def h5_as_usps(at: Path) -> Path:
    arrays = {"train/data": X.reshape(90, -1) / np.float32(255), "train/target": GREY.y}
    return write_h5(
        at / "usps.h5", arrays | {"test/data": TX.reshape(30, -1) / np.float32(255), "test/target": GREY.ty}
    )


@FORMS.form(COLOUR)
def h5_packed(at: Path) -> Path:
    return write_h5(at / "set.hdf5", keras(COLOUR), compression="gzip")


@FORMS.form(COLOUR)
def h5_of_a_course(at: Path) -> None:
    """A file for each part, with names of classes."""
    for part, x, y in (("train", COLOUR.x, COLOUR.y), ("test", COLOUR.tx, COLOUR.ty)):
        arrays = {f"{part}_set_x": x, f"{part}_set_y": y, "list_classes": np.array(NAMES, "S")}
        write_h5(at / f"{part}_signs.h5", arrays)


@FORMS.form(COLOUR)
def h5_as_patch_camelyon(at: Path) -> None:
    for part, x, y in (("train", COLOUR.x, COLOUR.y), ("test", COLOUR.tx, COLOUR.ty), ("valid", COLOUR.tx, COLOUR.ty)):
        write_h5(at / f"camelyonpatch_level_2_split_{part}_x.h5", {"x": x}, chunks=(7, 32, 32, 3))
        write_h5(at / f"camelyonpatch_level_2_split_{part}_y.h5", {"y": y.astype(np.uint8)[:, None, None, None]})
        (at / f"camelyonpatch_level_2_split_{part}_meta.csv").write_text(",coord_y,coord_x,tumor_patch\n0,1,2,True\n")
    write_h5(at / "camelyonpatch_level_2_split_train_mask.h5", {"mask": COLOUR.x[..., :1]})


@OF_ONE_PART.form()
def h5_of_texts(at: Path) -> Path:
    return write_h5(at / "set.h5", {"images": X, "labels": np.array(NAMES, object)[GREY.y]})


def test_a_validation_part_and_names_of_classes_in_h5(tmp_path: Path) -> None:
    h5_as_patch_camelyon(tmp_path)
    found = data.load(str(tmp_path))
    assert found.validation is not None
    require_same(found.validation, COLOUR.tx, COLOUR.ty)
    assert any("left out: camelyonpatch_level_2_split_train_mask/mask" in note for note in found.notes)
    named = write_h5(tmp_path / "named.h5", keras() | {"class_names": np.array(NAMES, object)})
    assert data.load(str(named)).class_names == NAMES


H5: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "weights": ({"model_weights/conv/kernel": X * 1.0}, ("no images to train on among model_weights/conv/kernel",)),
    "number last": (
        keras(COLOUR, x_train=COLOUR.x.transpose(1, 2, 3, 0)),
        ("set.h5, x_train: images of shape (32, 32, 3, 90) have their number last: save x.transpose(3, 0, 1, 2)",),
    ),
    "of unknown ends": (keras(x_train=X * 3.0, x_test=TX * 3.0), ("(of 1023, it seems): save (x / 1023 * 255)",)),
    "objects": (keras(x_train=np.array(["a"] * 90, object)), ("images of shape (90,)",)),
    "fractions as labels": (keras(y_train=GREY.y / 2), ("labels are float64: save them as integers",)),
    "out of range": (keras(y_train=GREY.y * 70_000), ("labels run from 0 to 140000",)),
    "fewer labels": (keras(y_train=GREY.y[1:]), ("90 train images but 89 train labels",)),
    "a scalar": (keras(y_train=np.uint8(3)), ("train images but 0 train labels",)),
}


@pytest.mark.parametrize("name", H5)
def test_an_h5_file_is_refused(name: str, tmp_path: Path) -> None:
    arrays, words = H5[name]
    require_refused(write_h5(tmp_path / "set.h5", arrays), *words)


def test_a_damaged_h5_file_is_refused(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "set.h5", keras())
    content = path.read_bytes()
    for length in (8, 600, len(content) // 2, len(content) - 2000):
        path.write_bytes(content[:length])
        require_refused(path, "set.h5: damaged, or packed in a way that h5py does not unpack")


def test_an_h5_file_that_promises_more_than_images_compress_to_is_refused(tmp_path: Path) -> None:
    """Nothing of it is stored: all is what fills an array that nobody wrote to."""
    path = write_h5(tmp_path / "set.h5", without(keras(), "x_train"))
    with h5py.File(path, "a") as file:
        file.create_dataset("x_train", (90, 10_000, 10_000), np.uint8, chunks=True)
    require_refused(path, "set.h5, x_train: ", "that promise 9.0 GB")


def test_h5_reads_no_other_file(tmp_path: Path) -> None:
    other = write_h5(tmp_path / "other.h5", keras())
    path = write_h5(tmp_path / "set.h5", without(keras(), "x_train"))
    with h5py.File(path, "a") as file:
        file["x_train"] = h5py.ExternalLink(str(other), "x_train")
    require_refused(path, "no images to train on")
    with h5py.File(path, "a") as file:
        del file["x_train"]
        file.create_dataset("x_train", X.shape, np.uint8, external=[("/etc/passwd", 0, X.nbytes)])
    require_refused(path, "x_train lies in other files")


def test_without_h5py_it_is_said_how_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_h5(tmp_path / "set.h5", keras())
    monkeypatch.setitem(sys.modules, "h5py", None)
    require_refused(path, "HDF5 needs h5py, which is not installed", "pip install '.[h5]'")


# LIBSVM's text.


def svm(x: NDArray[Any], y: NDArray[Any], *, scale: Callable[[Any], Any] = float) -> bytes:
    """Rows of ``label index:value``, without zeros."""
    rows = []
    for image, label in zip(x.reshape(len(x), -1).tolist(), y.tolist(), strict=True):
        pairs = [(place, scale(value)) for place, value in enumerate(image, 1)]
        rows.append(f"{label} " + " ".join(f"{place}:{value:.7g}" for place, value in pairs if value))
    return "\n".join(rows).encode() + b"\n"


@FORMS.form()
def libsvm_as_mnist(at: Path) -> None:
    (at / "mnist").write_bytes(svm(GREY.x, GREY.y))
    (at / "mnist.t").write_bytes(svm(GREY.tx, GREY.ty))


@FORMS.form()
def libsvm_scaled_and_packed(at: Path) -> None:
    (at / "mnist.scale.bz2").write_bytes(bz2.compress(svm(GREY.x, GREY.y, scale=lambda value: value / 255)))
    (at / "mnist.scale.t.xz").write_bytes(lzma.compress(svm(GREY.tx, GREY.ty, scale=lambda value: value / 255)))


@OF_ONE_PART.form()
def libsvm_of_two_signs(at: Path) -> Path:
    (at / "set.libsvm").write_bytes(svm(GREY.x, np.array([-1, 0, 1])[GREY.y]))
    return at / "set.libsvm"


def test_usps_of_libsvm(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, tx = (rng.integers(0, 256, (n, 16, 16, 1), np.uint8) for n in (60, 20))
    y, ty = np.arange(60) % 10, np.arange(20) % 10
    for name, images, labels in (("usps.bz2", x, y), ("usps.t.bz2", tx, ty)):
        (tmp_path / name).write_bytes(bz2.compress(svm(images, labels + 1, scale=lambda value: value / 127.5 - 1)))
    found = data.load(str(tmp_path))
    require_same(found.train, x, y)
    require_same(found.test, tx, ty)
    assert found.class_names == tuple("0123456789")
    assert any("labels 1 to 10 are digits 0 to 9" in note for note in found.notes)
    alone = data.load(str(tmp_path / "usps.bz2"))
    assert alone.name == "usps"
    require_all(alone, x, y)
    assert any("usps.t.bz2 beside it was not read" in note for note in alone.notes)


def test_last_pixels_that_are_always_black_may_be_missing(tmp_path: Path) -> None:
    x = GREY.x.copy()
    x[:, -1, -4:] = 0
    (tmp_path / "set").write_bytes(svm(x, GREY.y))
    found = data.load(str(tmp_path / "set"))
    require_all(found, x, GREY.y)
    assert "the last 4 pixels of images, which no row has, were taken for black" in found.notes


SVM: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "a word": (svm(GREY.x, GREY.y) + b"1 1:0.5 2:many\n", ("set, row 91: 1 1:0.5 2:many: a row is a label and",)),
    "a pair cut short": (svm(GREY.x, GREY.y) + b"1 1:0.5 2\n", ("set, row 91: 1 1:0.5 2: a row is",)),
    "from 0": (svm(GREY.x, GREY.y) + b"1 0:3 1:2\n", ("an index is 0: indices of pixels count from 1",)),
    "out of range": (svm(GREY.x * 4.0, GREY.y), ("(of 1023, it seems): save (x / 1023 * 255)",)),
    "half labels": (svm(GREY.x, GREY.y / 2), ("labels are float64: save them as integers",)),
    "features": (svm(GREY.x.reshape(90, -1)[:, :130], GREY.y), ("rows of 130 numbers make no square",)),
    "colours": (svm(GREY.x.reshape(90, -1)[:, :108], GREY.y), ("rows of 108 numbers are 6 x 6 colours",)),
    "a far column": (svm(GREY.x, GREY.y) + b"1 1:3 2000000000:2\n", ("rows of 2,000,000,000 numbers make no",)),
    "a square too large": (svm(GREY.x, GREY.y) + b"1 1:3 1600000000:2\n", ("promises 145.6 GB",)),
}


@pytest.mark.parametrize("name", SVM)
def test_a_table_of_libsvm_is_refused(name: str, tmp_path: Path) -> None:
    content, words = SVM[name]
    (tmp_path / "set").write_bytes(content)
    require_refused(tmp_path / "set", *words)


def test_packed_tables_that_are_damaged_or_bombs_are_refused(tmp_path: Path) -> None:
    content = bz2.compress(svm(GREY.x, GREY.y))
    (tmp_path / "usps.bz2").write_bytes(content[:-20])
    require_refused(tmp_path / "usps.bz2", "usps.bz2: ")
    (tmp_path / "usps.bz2").write_bytes(content + bz2.compress(b" " * 2**26))
    require_refused(tmp_path / "usps.bz2", "a row of more than 16,777,216 bytes")


# What Hugging Face's datasets writes.

PARTS = {"train": (GREY.x, GREY.y), "test": (GREY.tx, GREY.ty)}


def hub_table(x: Bytes, y: Any, *, names: Sequence[str] = NAMES, **columns: Any) -> pa.Table:
    """Pictures and labels as they are on the Hub, with names of classes in the schema's metadata."""
    pictures = [{"bytes": png(image), "path": f"{row}.png"} for row, image in enumerate(x)]
    table = pa.table({"image": pictures, "label": y, **columns})
    features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def write_parquet(path: Path, table: pa.Table) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=25)
    return path


def write_arrow(path: Path, table: pa.Table) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=40)
    return path


@FORMS.form()
def parquet_of_the_hub(at: Path) -> None:
    for part, (x, y) in PARTS.items():
        write_parquet(at / "data" / f"{part}-00000-of-00001.parquet", hub_table(x, y))
    (at / "README.md").write_text("---\ntask_categories: [image-classification]\n---\n")


@FORMS.form()
def parquet_in_shards(at: Path) -> None:
    for shard, rows in enumerate((slice(0, 50), slice(50, 90))):
        write_parquet(at / "mnist" / f"train-{shard:05}-of-00002.parquet", hub_table(GREY.x[rows], GREY.y[rows]))
    write_parquet(at / "mnist" / "test-00000-of-00001.parquet", hub_table(GREY.tx, GREY.ty))


@FORMS.form()
def parquet_in_folders_by_part(at: Path) -> None:
    for part, (x, y) in PARTS.items():
        pictures = [png(image) for image in x]
        write_parquet(at / "default" / part / "0000.parquet", pa.table({"img": pictures, "fine_label": y, "y": y}))


@FORMS.form()
def arrow_saved_to_disk(at: Path) -> None:
    (at / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    for part, (x, y) in PARTS.items():
        write_arrow(at / part / "data-00000-of-00001.arrow", hub_table(x, y).replace_schema_metadata())
        features = {"label": {"names": list(NAMES), "_type": "ClassLabel"}, "image": {"_type": "Image"}}
        (at / part / "dataset_info.json").write_text(json.dumps({"features": features}))
        (at / part / "state.json").write_text("{}")


@OF_ONE_PART.form()
def one_parquet_file_of_texts(at: Path) -> Path:
    return write_parquet(at / "set.parquet", hub_table(GREY.x, np.array(NAMES)[GREY.y].tolist(), names=()))


@OF_ONE_PART.form()
def one_arrow_file(at: Path) -> Path:
    with pa.OSFile(str(at / "set.arrow"), "wb") as file:
        table = hub_table(GREY.x, GREY.y)
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    return at / "set.arrow"


@pytest.mark.parametrize("build", [parquet_of_the_hub, arrow_saved_to_disk])
def test_class_names_are_those_of_the_features(build: Callable[[Path], None], tmp_path: Path) -> None:
    build(tmp_path)
    assert data.load(str(tmp_path)).class_names == NAMES


def test_parts_without_labels_or_of_no_part_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    parquet_of_the_hub(tmp_path)
    write_parquet(tmp_path / "data" / "validation-00000-of-00001.parquet", hub_table(GREY.tx, GREY.ty * 0 - 1))
    write_parquet(tmp_path / "data" / "extra-00000-of-00001.parquet", hub_table(GREY.tx, GREY.ty))
    found = data.load(str(tmp_path))
    assert found.validation is None
    assert "validation has no labels (-1), and was left out" in found.notes
    assert "left out: data/extra-00000-of-00001.parquet" in found.notes


def test_two_labels_of_which_the_finer_is_taken(tmp_path: Path) -> None:
    named = {"names": list(NAMES), "_type": "ClassLabel"}
    features = {"coarse_label": named, "fine_label": named}
    table = pa.table({"img": [png(image) for image in GREY.x], "fine_label": GREY.y, "coarse_label": GREY.y * 0})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    found = data.load(str(write_parquet(tmp_path / "set.parquet", table)))
    require_all(found, GREY.x, GREY.y)
    assert "of several labels, fine_label was taken, not coarse_label" in found.notes


ELSEWHERE = {"image": [{"bytes": None, "path": f"{row}.png"} for row in range(3)], "label": [0, 1, 2]}
HUB: dict[str, tuple[Callable[[], pa.Table], tuple[str, ...]]] = {
    "no pictures": (lambda: pa.table({"pixel0": [1, 2], "label": [0, 1]}), ("no column of pictures",)),
    "no labels": (
        lambda: hub_table(GREY.x, GREY.y).drop_columns("label"),
        ("no column is called label, labels, fine",),
    ),
    "two pictures": (
        lambda: hub_table(GREY.x, GREY.y, mask=[b""] * 90, depth=[b""] * 90).drop_columns("image"),
        ("mask, depth are all",),
    ),
    "pictures elsewhere": (lambda: pa.table(ELSEWHERE), ("3 pictures are not in it, but in files that it names",)),
    "no picture": (
        lambda: pa.table({"image": [b"<html>"] * 3, "label": [0, 1, 2]}),
        ("3 pictures of 3 cannot be read",),
    ),
    "labels missing": (lambda: hub_table(GREY.x[:3], [0, None, 1]), ("1 image without a label",)),
    "several labels each": (lambda: hub_table(GREY.x[:2], [[0], [1, 2]]), ("one class for each image is wanted",)),
    "fractions as labels": (lambda: hub_table(GREY.x, GREY.y / 2), ("labels are float64: save them as integers",)),
    "no name for a label": (lambda: hub_table(GREY.x, GREY.y, names=["a", "b"]), ("label 2 has no name",)),
    "one-hot labels": (lambda: hub_table(GREY.x, np.eye(3)[GREY.y].tolist()), ("one class for each image is wanted",)),
}


@pytest.mark.parametrize("write", [write_parquet, write_arrow])
@pytest.mark.parametrize("name", HUB)
def test_a_table_of_pictures_is_refused(name: str, write: Callable[[Path, pa.Table], Path], tmp_path: Path) -> None:
    make, words = HUB[name]
    path = write(tmp_path / ("set.parquet" if write is write_parquet else "set.arrow"), make())
    with pytest.raises(DataError) as refused:
        data.load(str(path))
    assert str(path) in str(refused.value)
    for each in words:
        assert each in str(refused.value)


def test_shards_that_are_missing_are_not_left_out_in_silence(tmp_path: Path) -> None:
    parquet_in_shards(tmp_path)
    (tmp_path / "mnist" / "train-00001-of-00002.parquet").unlink()
    require_refused(tmp_path, "train-00000-of-00002.parquet is one of 2 files, and number 1 is missing")


def test_two_configurations_are_not_mixed(tmp_path: Path) -> None:
    parquet_in_shards(tmp_path)
    write_parquet(tmp_path / "other" / "train-00000-of-00001.parquet", hub_table(GREY.x, GREY.y))
    require_refused(tmp_path, "mnist and other both have a train part: give the folder of one of them")


@pytest.mark.parametrize("build", [one_parquet_file_of_texts, one_arrow_file])
def test_truncated_tables_are_refused(build: Callable[[Path], Path], tmp_path: Path) -> None:
    path = build(tmp_path)
    content = path.read_bytes()
    for length in (9, 300, len(content) // 2, len(content) - 3):
        path.write_bytes(content[:length])
        require_refused(path, f"{path.name}: damaged, or no file of a table")


def test_without_pyarrow_it_is_said_how_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = one_parquet_file_of_texts(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    require_refused(path, "need pyarrow, which is not installed", "pip install '.[parquet]'")


# Colours in a row, of the one set of which it is known in which order.


def cifar_rows(x: Bytes) -> NDArray[Any]:
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1)


@OF_ONE_PART.form(COLOUR)
def npz_of_cifar(at: Path) -> Path:
    np.savez(at / "cifar10.npz", data=cifar_rows(COLOUR.x), labels=COLOUR.y)
    return at / "cifar10.npz"


@OF_ONE_PART.form(COLOUR)
def mat_of_cifar(at: Path) -> Path:
    savemat(at / "cifar_batch.mat", {"data": cifar_rows(COLOUR.x), "labels": COLOUR.y[:, None]})
    return at / "cifar_batch.mat"


@OF_ONE_PART.form(COLOUR)
def libsvm_of_cifar(at: Path) -> Path:
    (at / "cifar10.bz2").write_bytes(bz2.compress(svm(cifar_rows(COLOUR.x), COLOUR.y)))
    return at / "cifar10.bz2"


# All of them.


@pytest.mark.parametrize("name", FORMS)
def test_a_set_of_this_form_is_read(name: str, tmp_path: Path) -> None:
    found = FORMS.require_read(name, tmp_path)
    assert len(found.class_names) == 3
    assert found.form


@pytest.mark.parametrize("name", OF_ONE_PART)
def test_a_set_without_a_test_part_is_read_and_one_is_cut(name: str, tmp_path: Path) -> None:
    made, build = OF_ONE_PART[name]
    found = data.load(str(build(tmp_path) or tmp_path))
    require_all(found, made.x, made.y)
    assert any("there is no test part" in note for note in found.notes)
    assert len(found.test) > 5
