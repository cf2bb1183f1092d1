"""Files of arrays and tables in their many forms: read as the arrays they were made of, or refused in one sentence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_forms import COLOUR, GREY, NAMES, Bytes, Forms, Made, require_same
from numpy.typing import NDArray

from stepladder.datasets import data
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
