"""Real files of the forms that are read: each gives the same images and labels as the arrays it was made of."""

from pathlib import Path

import numpy as np
import pytest
from image_forms import COLOUR, GREY, NAMES, PIXEL_NAMES, Forms, flat_rows, png, write_classes, write_csv

FORMS = Forms()


@FORMS.form()
def csv_labels_first(at: Path) -> None:
    write_csv(at / "mnist_train.csv", flat_rows(GREY.x, GREY.y), header=["label", *PIXEL_NAMES])
    write_csv(at / "mnist_test.csv", flat_rows(GREY.tx, GREY.ty), header=["label", *PIXEL_NAMES])


@FORMS.form()
def csv_labels_last_without_header(at: Path) -> None:
    write_csv(at / "train.csv", flat_rows(GREY.x, GREY.y, last=True))
    write_csv(at / "test.csv", flat_rows(GREY.tx, GREY.ty, last=True))


@FORMS.form()
def csv_semicolons(at: Path) -> None:
    write_csv(at / "train.csv", flat_rows(GREY.x, GREY.y), delimiter=";")
    write_csv(at / "test.csv", flat_rows(GREY.tx, GREY.ty), delimiter=";")


@FORMS.form()
def csv_names_of_classes(at: Path) -> None:
    names = np.array(NAMES)
    write_csv(at / "train.csv", flat_rows(GREY.x, names[GREY.y], last=True), header=[*PIXEL_NAMES, "class"])
    write_csv(at / "test.csv", flat_rows(GREY.tx, names[GREY.ty], last=True), header=[*PIXEL_NAMES, "class"])


@FORMS.form()
def csv_as_fer2013(at: Path) -> Path:
    rows = []
    for x, y, usage in ((GREY.x, GREY.y, "Training"), (GREY.tx, GREY.ty, "PrivateTest")):
        pixels = [" ".join(map(str, image)) for image in x.reshape(len(x), -1).tolist()]
        rows += [[label, text, usage] for label, text in zip(y.tolist(), pixels, strict=True)]
    write_csv(at / "fer2013.csv", rows, header=["emotion", "pixels", "Usage"])
    return at / "fer2013.csv"


@FORMS.form()
def csv_of_paths(at: Path) -> None:
    for part, x, y in (("train", GREY.x, GREY.y), ("test", GREY.tx, GREY.ty)):
        (at / "images").mkdir(exist_ok=True)
        for row, image in enumerate(x):
            (at / "images" / f"{part}-{row}.png").write_bytes(png(image))
        rows = [[f"{part}-{row}.png", NAMES[label]] for row, label in enumerate(y.tolist())]
        write_csv(at / f"{part}.csv", rows, header=["filename", "label"])


@FORMS.form()
def csv_of_names_without_ending(at: Path) -> None:
    for part, x, y in (("train", GREY.x, GREY.y), ("test", GREY.tx, GREY.ty)):
        (at / part).mkdir()
        for row, image in enumerate(x):
            (at / part / f"{part}{row}.png").write_bytes(png(image))
        write_csv(
            at / f"{part}Labels.csv",
            [[f"{part}{r}", NAMES[k]] for r, k in enumerate(y.tolist())],
            header=["id", "label"],
        )


@FORMS.form()
def class_folders(at: Path) -> None:
    write_classes(at / "train", GREY.x, GREY.y)
    write_classes(at / "test", GREY.tx, GREY.ty)


@FORMS.form()
def class_folders_one_deeper(at: Path) -> None:
    write_classes(at / "archive" / "data" / "training", GREY.x, GREY.y)
    write_classes(at / "archive" / "data" / "testing", GREY.tx, GREY.ty)


@FORMS.form(COLOUR)
def class_folders_in_colour(at: Path) -> None:
    write_classes(at / "train", COLOUR.x, COLOUR.y)
    write_classes(at / "test", COLOUR.tx, COLOUR.ty)


@pytest.mark.parametrize("name", FORMS)
def test_a_set_of_this_form_is_read(name: str, tmp_path: Path) -> None:
    found = FORMS.require_read(name, tmp_path)
    assert found.class_names in (NAMES, ("0", "1", "2"))
    assert found.form
