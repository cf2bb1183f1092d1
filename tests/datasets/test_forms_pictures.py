"""Sets of pictures as they come: folders of classes and their siblings, archives, exports, and pictures of every mode.

What is read has the right pixels and labels; what was converted or left out is said; what cannot be read is refused.
"""

import io
import json
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_forms import COLOUR, GREY, NAMES, Bytes, Forms, png, write_classes
from numpy.typing import NDArray
from PIL import Image

from stepladder.datasets import data
from stepladder.datasets.forms.class_folders import part_of
from stepladder.datasets.reading import decoding, files, pictures
from stepladder.errors import DataError
from stepladder.testing.datasets import DatasetConformance

FORMS = Forms()
SPELLINGS = [
    *[("Train", "Test"), ("TRAIN", "VAL"), ("training", "testing"), ("train_images", "test_images")],
    *[("training_set", "test_set"), ("seg_train", "seg_test"), ("trainset", "testset"), ("train", "valid")],
    *[("train", "validation"), ("train-images", "val-images"), ("images_train", "images_dev"), ("train1", "test1")],
]


def refusal(path: Path | str) -> str:
    with pytest.raises(DataError) as refused:
        data.load(str(path))
    return str(refused.value)


def write_split(at: Path, train: str = "train", test: str = "test", names: Sequence[str] = NAMES) -> None:
    write_classes(at / train, GREY.x, GREY.y, names)
    write_classes(at / test, GREY.tx, GREY.ty, names)


def zipped(path: Path, folder: Path, *, around: str = "") -> Path:
    """An archive of a folder's files."""
    with zipfile.ZipFile(path, "w") as archive:
        for each in sorted(folder.rglob("*")):
            if each.is_file():
                archive.write(each, around + str(each.relative_to(folder)))
    return path


# Forms that are read.


@FORMS.form()
def zip_of_class_folders(at: Path) -> Path:
    write_split(at / "set")
    return zipped(at / "set.zip", at / "set")


@FORMS.form()
def zip_of_class_folders_one_deeper(at: Path) -> Path:
    write_split(at / "set", "training", "testing")
    return zipped(at / "set.zip", at / "set", around="archive/data/")


@FORMS.form(COLOUR)
def zip_of_class_folders_in_colour(at: Path) -> Path:
    write_classes(at / "set" / "train", COLOUR.x, COLOUR.y)
    write_classes(at / "set" / "test", COLOUR.tx, COLOUR.ty)
    return zipped(at / "set.zip", at / "set")


@FORMS.form()
def a_folder_with_one_zip(at: Path) -> Path:
    write_split(at / "set")
    (at / "down").mkdir()
    zipped(at / "down" / "archive.zip", at / "set")
    return at / "down"


@FORMS.form()
def a_zip_for_each_part(at: Path) -> Path:
    write_split(at / "set")
    (at / "down").mkdir()
    zipped(at / "down" / "train.zip", at / "set" / "train", around="train/")
    zipped(at / "down" / "test.zip", at / "set" / "test")
    return at / "down"


@FORMS.form()
def zip_with_names_that_lead_elsewhere(at: Path) -> Path:
    write_split(at / "set")
    return zipped(at / "set.zip", at / "set", around="/../../")


@FORMS.form()
def train_in_train(at: Path) -> None:
    write_split(at, "train/train", "test/test")


@FORMS.form()
def pictures_further_down_in_a_class(at: Path) -> None:
    write_split(at / "all", names=[f"{name}/images" for name in NAMES])


@FORMS.form()
def classes_through_links(at: Path) -> Path:
    write_split(at / "real")
    for part in ("train", "test"):
        (at / "set" / part).mkdir(parents=True)
        for name in NAMES:
            (at / "set" / part / name).symlink_to(at / "real" / part / name)
    return at / "set"


@FORMS.form()
def junk_beside_pictures(at: Path) -> None:
    write_split(at)
    for junk in (".DS_Store", "train/.DS_Store", f"train/{NAMES[0]}/Thumbs.db", f"test/{NAMES[1]}/._1.png"):
        (at / junk).write_bytes(b"junk")
    for folder in ("__MACOSX/train/bag", ".ipynb_checkpoints", f"train/{NAMES[0]}/.ipynb_checkpoints"):
        (at / folder).mkdir(parents=True)
        (at / folder / "x.png").write_bytes(b"junk")


@FORMS.form()
def names_of_classes_in_other_languages(at: Path) -> None:
    write_split(at, names=["Äpfel", "пальто", "かばん"])


def _named(suffix: str, **how: Any) -> Callable[[Path], None]:
    def build(at: Path) -> None:
        for part, x, y in (("train", GREY.x, GREY.y), ("test", GREY.tx, GREY.ty)):
            for row, (image, label) in enumerate(zip(x[..., 0], y.tolist(), strict=True)):
                path = at / part / NAMES[label] / f"{row}{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path, **how)

    build.__name__ = f"pictures_as_{suffix[1:]}"
    return build


for _suffix in (".bmp", ".tif", ".pgm", ".PNG", ".TIFF"):
    FORMS.form()(_named(_suffix))


def _of_parts(train: str, test: str) -> Callable[[Path], None]:
    def build(at: Path) -> None:
        write_split(at, train, test)
        if part_of(test) == "validation":  # with a test part besides
            write_classes(at / "test", GREY.tx, GREY.ty)

    build.__name__ = f"parts_called_{train}_and_{test}"
    return build


for _train, _test in SPELLINGS:
    FORMS.form()(_of_parts(_train, _test))


@FORMS.form()
def edge_impulse(at: Path) -> None:
    said = []
    for part, x, y in (("training", GREY.x, GREY.y), ("testing", GREY.tx, GREY.ty)):
        (at / part).mkdir()
        for row, (image, label) in enumerate(zip(x, y.tolist(), strict=True)):
            path = f"{part}/{NAMES[label]}.{row}.png"
            (at / path).write_bytes(png(image))
            said.append(entry(path, part, NAMES[label]))
    (at / "info.labels").write_text(json.dumps({"version": 1, "files": said}))


def entry(path: str, part: str, label: Any) -> dict[str, Any]:
    return {"path": path, "name": path, "category": part, "label": {"type": "label", "label": label}}


@pytest.mark.parametrize("name", FORMS)
def test_a_set_of_this_form_is_read(name: str, tmp_path: Path) -> None:
    found = FORMS.require_read(name, tmp_path)
    assert found.form
    assert sorted(found.class_names) in (sorted(NAMES), ["Äpfel", "пальто", "かばん"])
    assert not any("left out" in note for note in found.notes)


def write_tiny_imagenet(at: Path) -> None:
    wnids = ["n01", "n02", "n03"]
    for row, (image, label) in enumerate(zip(GREY.x, GREY.y.tolist(), strict=True)):
        path = at / "train" / wnids[label] / "images" / f"{wnids[label]}_{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(image))
    rows = []
    for folder in ("val", "test"):
        (at / folder / "images").mkdir(parents=True)
        for row, (image, label) in enumerate(zip(GREY.tx, GREY.ty.tolist(), strict=True)):
            (at / folder / "images" / f"{folder}_{row}.png").write_bytes(png(image))
            rows += [f"val_{row}.png\t{wnids[label]}\t0\t0\t9\t9"] * (folder == "val")
    (at / "val" / "val_annotations.txt").write_text("\n".join(rows))
    (at / "wnids.txt").write_text("\n".join(wnids))
    (at / "words.txt").write_text("n01\tcrane, a bird\nn02\tboot\nn03\tCrane, a machine\nn99\tnothing\n")
    for wnid in wnids:
        (at / "train" / wnid / f"{wnid}_boxes.txt").write_text("boxes")


def test_tiny_imagenet_is_read_with_its_own_validation_part(tmp_path: Path) -> None:
    write_tiny_imagenet(tmp_path / "tiny-imagenet-200")
    found = data.load(str(tmp_path))
    assert found.validation is not None
    names = ["crane (n01)", "boot", "Crane (n03)"]
    assert sorted(found.class_names) == sorted(names)
    for part, x, y in ((found.validation, GREY.tx, GREY.ty),):
        require_named(part, found.class_names, x, [names[label] for label in y.tolist()])
    both = np.concatenate([found.train.images, found.test.images])
    assert len(both) == len(GREY.y)  # the test part is cut of what is trained on
    assert any("30 pictures without a class (test/images/test_0.png ...) were left out" in note for note in found.notes)


def require_named(part: Any, class_names: Sequence[str], x: Bytes, names: Sequence[str]) -> None:
    """In whatever order: images with the names of their classes."""
    found = sorted((image.tobytes(), class_names[label]) for image, label in zip(part.images, part.labels, strict=True))
    assert found == sorted((image.tobytes(), name) for image, name in zip(x, names, strict=True))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda at: (at / "val/images/val_0.png").unlink(),
            "1 picture of val/val_annotations.txt is not in val/images",
        ),
        (lambda at: (at / "val/images/more.png").write_bytes(b""), "more.png: is not in val/val_annotations.txt"),
        (lambda at: (at / "words.txt").write_bytes(b"\xff\xfe"), "words.txt: no text"),
        (lambda at: (at / "words.txt").write_text("n01 crane"), "words.txt: line 1 has no two columns"),
    ],
)
def test_a_spoilt_tiny_imagenet_is_refused(tmp_path: Path, spoil: Callable[[Path], object], words: str) -> None:
    write_tiny_imagenet(tmp_path)
    spoil(tmp_path)
    assert words in refusal(tmp_path)


def test_teachable_machine_gives_a_zip_for_each_class(tmp_path: Path) -> None:
    for label, name in enumerate(NAMES):
        with zipfile.ZipFile(tmp_path / f"{name}-samples.zip", "w") as archive:
            for row, image in enumerate(GREY.x[label == GREY.y]):
                archive.writestr(f"{row}.png", png(image))
    found = data.load(str(tmp_path))
    assert found.class_names == NAMES
    both = np.concatenate([found.train.labels, found.test.labels])
    assert np.array_equal(np.bincount(both), np.bincount(GREY.y))


class TestConformance(DatasetConformance):
    """What is relied on in every source (see stepladder.testing), of one set of each form."""

    @pytest.fixture(params=["zip_of_class_folders", "a_zip_for_each_part", "train_in_train", "edge_impulse", "tiny"])
    def source(self, request: pytest.FixtureRequest, tmp_path: Path) -> str:
        if request.param == "tiny":
            write_tiny_imagenet(tmp_path)
            return str(tmp_path)
        return str(FORMS[request.param][1](tmp_path) or tmp_path)


# Archives that are refused.


def write_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


PAIR = {f"{name}/{row}.png": png(GREY.x[row]) for row, name in enumerate(["cat", "dog", "cat", "dog"])}


def marked(path: Path) -> Path:
    """With the bit that says a member is encrypted."""
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(mark, at + 4)
    path.write_bytes(content)
    return path


def test_archives_that_are_spoilt_or_hostile_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.zip"
    assert "cat/0.png is encrypted: unpack it with its password" in refusal(marked(write_zip(path, PAIR)))
    write_zip(path, {**PAIR, "cat/9.png": bytes(2**24)}, zipfile.ZIP_DEFLATED)
    assert "cat/9.png: 0.02 MB that promise 16.8: no picture is packed that far" in refusal(path)
    whole = write_zip(path, PAIR).read_bytes()
    path.write_bytes(whole[:-30])
    assert "a zip archive" in refusal(path)
    path.write_bytes(whole.replace(PAIR["dog/1.png"][40:60], bytes(20)))
    assert "a.zip: dog/1.png: damaged, or no zip archive (Bad CRC-32" in refusal(path)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(write_zip(path, PAIR), "a") as archive:
        archive.writestr("cat/0.png", b"another")
    assert "cat/0.png is there twice" in refusal(path)
    assert "1 picture, none of them in a folder of its class" in refusal(write_zip(path, {"1.png": png(GREY.x[0])}))
    table = {"images/1.png": png(GREY.x[0]), "labels.csv": b"filename,label\n1.png,cat\n"}
    assert "a table in an archive is not read: unpack it" in refusal(write_zip(path, table))
    assert "a zip archive, of no form that is read" in refusal(write_zip(path, {"train-images-idx3-ubyte": b"1"}))
    monkeypatch.setattr(files, "MOST_BYTES", 100)
    assert "cat/0.png promises 0 MB: no picture has that many" in refusal(write_zip(path, PAIR))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_with_any_bits_flipped_is_read_or_refused(tmp_path: Path, method: int) -> None:
    whole = write_zip(tmp_path / "a.zip", PAIR, method).read_bytes()
    rng = np.random.default_rng(method)
    for place in rng.integers(0, len(whole), 40).tolist():
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "a.zip").write_bytes(spoilt)
        try:
            assert data.load(str(tmp_path / "a.zip")).train.shape[1:] == (1, 12, 12)
        except DataError as error:
            assert "a.zip" in str(error)  # noqa: PT017


def test_nothing_of_an_archive_is_written_anywhere(tmp_path: Path) -> None:
    FORMS.require_read("zip_with_names_that_lead_elsewhere", tmp_path / "a" / "b" / "c")
    assert sorted(each.name for each in (tmp_path / "a" / "b" / "c").iterdir()) == ["set", "set.zip"]
    assert sorted(each.name for each in tmp_path.rglob("*") if each.is_dir())[:3] == ["a", "ankle boot", "ankle boot"]


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.tar", b"cat".ljust(257, b"\0") + b"ustar\0", "a tar archive"),
        ("a.tar.gz", b"\x1f\x8b\x08", "a gzip file"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "a 7-zip archive"),
        ("a.rar", b"Rar!\x1a\x07", "a RAR archive"),
        ("a.tar.xz", b"\xfd7zXZ\0", "an xz file"),
        ("a.tar.bz2", b"BZh9", "a bzip2 file"),
        ("a.zip", b"PK\3\4", "a zip archive"),
    ],
)
def test_other_archives_are_to_be_unpacked(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert f"{name}: {what}, of no form that is read" in refusal(tmp_path / name)
    assert "unpack it" in refusal(tmp_path / name)


# Siblings of class folders.


def test_classes_that_are_numbers_come_in_their_order(tmp_path: Path) -> None:
    """pytorch/vision 714: folders 1 to 100 became classes 1, 10, 100, 11."""
    names = ["2", "10", "1"]
    write_split(tmp_path, names=names)
    found = data.load(str(tmp_path))
    assert found.class_names == ("1", "2", "10")
    require_named(found.train, found.class_names, GREY.x, [names[label] for label in GREY.y.tolist()])


def test_a_name_in_two_forms_of_unicode_is_one_class(tmp_path: Path) -> None:
    write_split(tmp_path, names=["café", "bar", "cafe\u0301"])
    found = data.load(str(tmp_path))
    assert found.class_names == ("bar", "café")
    assert any("1 class of train came in two forms of Unicode, and were joined" in note for note in found.notes)


def test_names_that_differ_in_capital_letters(tmp_path: Path) -> None:
    """In one part nobody knows what was meant; in two parts it is one class, and that is said."""
    write_split(tmp_path / "one", names=["cat", "Cat", "dog"])
    assert "classes Cat and cat differ in capital letters alone" in refusal(tmp_path / "one")
    write_classes(tmp_path / "two" / "train", GREY.x, GREY.y, ["cat", "dog", "emu"])
    write_classes(tmp_path / "two" / "test", GREY.tx, GREY.ty, ["Cat", "dog", "emu"])
    found = data.load(str(tmp_path / "two"))
    assert found.class_names == ("cat", "dog", "emu")
    assert "test class Cat was taken for cat, as training spells it" in found.notes


def test_an_empty_class_folder_is_said(tmp_path: Path) -> None:
    """pytorch/vision 4925: ImageFolder raised an error."""
    write_split(tmp_path)
    (tmp_path / "train" / "sandal").mkdir()
    (tmp_path / "train" / "shirt").mkdir()
    (tmp_path / "train" / "shirt" / "notes.txt").write_text("none yet")
    found = data.load(str(tmp_path))
    assert found.class_names == NAMES
    assert "2 folders (train/sandal, train/shirt) are without pictures, and no class" in found.notes
    assert "1 file not called as pictures are (train/shirt/notes.txt) was left out" in found.notes


@pytest.mark.parametrize("place", ["test/{}.png", "test/unknown/{}.png", "test/images/{}.png"])
def test_test_pictures_without_labels_are_left_out_and_that_is_said(tmp_path: Path, place: str) -> None:
    write_classes(tmp_path / "train", GREY.x, GREY.y)
    write_classes(tmp_path / "val", GREY.tx, GREY.ty)
    for row in range(3):
        path = tmp_path / place.format(row)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(GREY.tx[row]))
    found = data.load(str(tmp_path))
    assert f"3 pictures without a class ({place.format(0)} ...) were left out" in found.notes
    assert any("there is no test part" in note for note in found.notes)
    assert found.validation is not None
    assert len(found.validation) == len(GREY.ty)


def test_a_file_beside_the_folders_of_classes_is_no_class(tmp_path: Path) -> None:
    """datumaro 1178: LICENSE.txt beside the classes of flower_photos ended in NotADirectoryError."""
    write_classes(tmp_path / "flower_photos", GREY.x, GREY.y)
    (tmp_path / "flower_photos" / "LICENSE.txt").write_text("CC BY")
    found = data.load(str(tmp_path))
    assert found.class_names == NAMES
    assert "1 file not called as pictures are (flower_photos/LICENSE.txt) was left out" in found.notes


def test_pictures_beside_the_parts_are_said_to_be_left_out(tmp_path: Path) -> None:
    write_split(tmp_path)
    (tmp_path / "preview.png").write_bytes(png(GREY.x[0]))
    (tmp_path / "train" / "preview.png").write_bytes(png(GREY.x[0]))
    found = data.load(str(tmp_path))
    assert "2 pictures in no class's folder (preview.png ...) were left out" in found.notes


def test_a_test_folder_beside_classes_is_no_class(tmp_path: Path) -> None:
    """fastai 1552: the folder test became a label."""
    write_classes(tmp_path, GREY.x, GREY.y)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "1.png").write_bytes(png(GREY.tx[0]))
    message = refusal(tmp_path)
    assert "is test a class, as ankle boot is, or a part of the set? Put the folders of all classes into one" in message


def test_a_class_may_be_called_train_below_train(tmp_path: Path) -> None:
    write_split(tmp_path, names=["bus", "car", "train"])
    assert data.load(str(tmp_path)).class_names == ("bus", "car", "train")
    write_classes(tmp_path / "alone", GREY.x, GREY.y, ["bus", "car", "train"])
    assert "is train a class, as bus is, or a part of the set?" in refusal(tmp_path / "alone")


def test_names_of_files_say_nothing_of_parts(tmp_path: Path) -> None:
    """huggingface/datasets 5021: "photo of a train.jpg" was put into the training part, all others left out."""
    for row, image in enumerate(GREY.x):
        name = ("photo of a train", "test tubes", "photo")[row % 3]
        path = tmp_path / ("cat", "dog")[row // 2 % 2] / f"{name} {row}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png(image))
    found = data.load(str(tmp_path))
    assert len(found.train) + len(found.test) == len(GREY.x)
    assert found.class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["1.png", "2.png"], "2 pictures, none of them in a folder of its class: make a folder for each class"),
        (["data/1.png", "data/2.png"], "2 pictures, all in one folder, data: make a folder for each class"),
        (["data/1.png", "3.png"], "2 pictures, all in one folder, data: make a folder for each class"),
        (["train/1.png", "test/2.png"], "2 pictures, none of them in a folder of its class"),
        (["test/cat/1.png", "test/dog/2.png"], "a folder test, and none called train: which pictures are trained on?"),
        (["train/cat/1.png", "training/dog/2.png"], "train and training could both be train: keep one of them"),
    ],
)
def test_pictures_without_classes_are_refused(tmp_path: Path, paths: list[str], words: str) -> None:
    """huggingface/datasets 5153: labels were made of one folder, or of a folder and what lies beside it."""
    for row, path in enumerate(paths):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(png(GREY.x[row]))
    assert words in refusal(tmp_path)


def test_pictures_of_a_kind_that_is_not_read_are_not_left_out_in_silence(tmp_path: Path) -> None:
    """As telephones take them."""
    for path in ("cat/1.HEIC", "cat/2.heic", "dog/3.avif"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"\0\0\0\x18ftypheic")
    words = "3 pictures of a kind that is not read (cat/1.HEIC ...): save as PNG or JPEG, or take away"
    assert words in refusal(tmp_path)
    (tmp_path / "cat" / "4.png").write_bytes(png(GREY.x[0]))
    assert words in refusal(tmp_path)


def test_a_class_of_a_part_that_training_has_not_is_refused(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", GREY.x, GREY.y, ["a", "b", "c"])
    write_classes(tmp_path / "test", GREY.tx, GREY.ty, ["a", "b", "d"])
    assert "test label d never occurs in training" in refusal(tmp_path)


def test_classes_of_a_part_are_those_of_training_and_not_counted_anew(tmp_path: Path) -> None:
    """Loaders that number each part's folders by themselves take b for a where a part has no a."""
    write_classes(tmp_path / "train", GREY.x, GREY.y, ["a", "b", "c"])
    rows = GREY.ty > 0
    write_classes(tmp_path / "test", GREY.tx[rows], GREY.ty[rows], ["a", "b", "c"])
    found = data.load(str(tmp_path))
    require_named(found.test, found.class_names, GREY.tx[rows], ["abc"[label] for label in GREY.ty[rows]])


def test_links_in_circles_are_followed_no_further(tmp_path: Path) -> None:
    write_split(tmp_path)
    (tmp_path / "train" / NAMES[0] / "again").symlink_to(tmp_path / "train" / NAMES[0])
    (tmp_path / "train" / NAMES[0] / "all").symlink_to(tmp_path)
    found = data.load(str(tmp_path))
    assert len(found.test) == len(GREY.ty)
    assert found.class_names == NAMES


def test_a_link_to_nothing_is_refused_by_its_name(tmp_path: Path) -> None:
    write_split(tmp_path)
    (tmp_path / "train" / NAMES[0] / "lost.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "train" / NAMES[0] / "pipe.png")
    message = refusal(tmp_path)
    assert f"train/{NAMES[0]}/lost.png: cannot be read: No such file" in message
    assert f"train/{NAMES[0]}/pipe.png: cannot be read: it is not an ordinary file" in message


def test_all_that_cannot_be_read_is_listed(tmp_path: Path) -> None:
    """As notMNIST's two empty files, and what downloads leave: none is skipped in silence."""
    write_classes(tmp_path / "notMNIST_small", GREY.x, GREY.y, ["A", "B", "C"])
    folder = tmp_path / "notMNIST_small" / "A"
    good = png(GREY.x[0])
    spoilt = {
        "empty.png": (b"", "an empty file, which is no picture that can be read"),
        "page.png": (b"<!DOCTYPE html><html>404", "a web page, which is no picture that can be read"),
        "cut.png": (good[: len(good) // 2], "a damaged picture, or none"),
        "text.jpg": (b"hello", "text, which is no picture that can be read"),
        "pointer.png": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull gets it"),
    }
    for name, (content, _) in spoilt.items():
        (folder / name).write_bytes(content)
    write_classes(tmp_path / "parts" / "train", GREY.x, GREY.y)
    write_classes(tmp_path / "parts" / "test", GREY.tx, GREY.ty)
    for part in ("train", "test"):
        (tmp_path / "parts" / part / NAMES[0] / "empty.png").write_bytes(b"")
    assert "2 pictures of 122 cannot be read" in refusal(tmp_path / "parts")
    shutil.rmtree(tmp_path / "parts")
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}: ")
    for name, (_, words) in spoilt.items():
        line = next(line for line in message.splitlines() if f"A/{name}" in line)
        assert words in line


def test_what_would_fill_the_memory_is_refused_by_its_header(tmp_path: Path) -> None:
    """20,000 x 20,000 pixels in 50 kB; a long and thin picture is none such."""
    write_split(tmp_path)
    bomb = tmp_path / "train" / NAMES[0] / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(bomb)
    message = refusal(tmp_path)
    assert "bomb.png: " in message
    assert "pixels: shrink it first" in message
    Image.new("L", (20_000, 9)).save(bomb)
    assert "pictures of 2 sizes, from 12 x 12 to 9 x 20000 pixels" in refusal(tmp_path)


# Pictures of every mode, with the right values.


def write_pair(at: Path, first: Image.Image, name: str = "x.png", **how: Any) -> Path:
    """A set of two classes, a picture each, and the same to test on: what is read of the first is looked at."""
    for part in ("train", "test"):
        for label in ("a", "b"):
            (at / part / label).mkdir(parents=True)
            first.save(at / part / label / name, **how)
    return at


def read_first(at: Path, **how: Any) -> tuple[Bytes, tuple[str, ...]]:
    """(C, H, W), and what was said of the training part."""
    found = data.dataset({"path": str(at), **how}) if how else data.load(str(at))
    notes = [note.removesuffix(" (train)").split(": ", 1)[1] for note in found.notes if note.endswith("(train)")]
    return found.train.images[0], tuple(notes)


@pytest.fixture(scope="module")
def grey() -> Bytes:
    """(8, 8), every value of its own."""
    return np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


@pytest.fixture(scope="module")
def colour(grey: Bytes) -> Bytes:
    return np.stack([grey, grey.T, 255 - grey], 2)


DEEP, WHITE = "16 bits a pixel were converted to 8", "what is transparent was made white"


def test_grey_and_colour(grey: Bytes, colour: Bytes, tmp_path: Path) -> None:
    found, notes = read_first(write_pair(tmp_path / "grey", Image.fromarray(grey)))
    assert np.array_equal(found, grey[None])
    assert notes == ()
    found, notes = read_first(write_pair(tmp_path / "colour", Image.fromarray(colour)))
    assert np.array_equal(found, colour.transpose(2, 0, 1))
    assert notes == ()


def test_palettes(grey: Bytes, colour: Bytes, tmp_path: Path) -> None:
    """Numbers of a palette are no pixels; a palette of grey makes a grey picture, one of colours a coloured one."""
    numbers = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8), "P")
    numbers.putpalette(np.repeat(grey.reshape(-1)[::-1], 3).tobytes())
    found, notes = read_first(write_pair(tmp_path / "grey", numbers))
    assert np.array_equal(found, grey.reshape(-1)[::-1].reshape(1, 8, 8))
    numbers.putpalette(colour.reshape(-1, 3).tobytes())
    found, notes = read_first(write_pair(tmp_path / "colour", numbers))
    assert np.array_equal(found, colour.transpose(2, 0, 1))
    assert notes == ()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_a_pixel_reach_from_black_to_white(tmp_path: Path, bits: int) -> None:
    levels = np.arange(64, dtype=np.uint8).reshape(8, 8) % 2**bits
    picture = Image.fromarray(levels * np.uint8(255 // (2**bits - 1)))
    if bits == 1:
        picture = picture.convert("1", dither=Image.Dither.NONE)
    how: dict[str, Any] = {} if bits == 1 else {"bits": bits}
    found, _ = read_first(write_pair(tmp_path, picture, **how))
    assert np.array_equal(found, levels[None] * (255 // (2**bits - 1)))


def test_16_bits_in_grey_keep_their_levels(tmp_path: Path) -> None:
    """Pillow 2574 and 3011, pytorch/vision 2218, keras 4486: all above 255 became white."""
    deep = (np.arange(64, dtype=np.uint16) * 1040).reshape(8, 8)
    found, notes = read_first(write_pair(tmp_path, Image.fromarray(deep)))
    assert np.array_equal(found[0], np.rint(deep / 257).astype(np.uint8))
    assert len(np.unique(found)) == 64
    assert notes == (DEEP,)


def test_16_bits_in_colour_are_said_to_be_converted(tmp_path: Path) -> None:
    """keras 8497: made 8 bits in silence."""
    deep = (np.arange(192, dtype=np.uint16) * 340).reshape(8, 8, 3)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    write_pair(tmp_path, Image.new("RGB", (8, 8)))
    for path in tmp_path.rglob("*.png"):
        path.write_bytes(content)
    found, notes = read_first(tmp_path)
    assert np.abs(found.astype(int) - np.rint(deep / 257).astype(int).transpose(2, 0, 1)).max() <= 1
    assert notes == (DEEP,)


def test_ink_that_is_only_in_alpha_is_seen(grey: Bytes, tmp_path: Path) -> None:
    """Black or white ink, all of its shape in how opaque it is: other loaders give pictures of zeros."""
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[..., 3] = grey
    found, notes = read_first(write_pair(tmp_path / "black", Image.fromarray(ink)))
    assert np.array_equal(found, np.broadcast_to(255 - grey, (3, 8, 8)))
    assert notes == (WHITE,)
    ink[..., :3] = 255
    found, notes = read_first(write_pair(tmp_path / "white", Image.fromarray(ink)))
    assert np.array_equal(found, np.broadcast_to(grey, (3, 8, 8)))
    assert notes == ("what is transparent was made black",)
    both = np.stack([np.zeros_like(grey), grey], 2)
    found, notes = read_first(write_pair(tmp_path / "grey", Image.fromarray(both)))
    assert np.array_equal(found, 255 - grey[None])
    assert WHITE in notes


def test_alpha_that_hides_nothing_is_nothing(colour: Bytes, tmp_path: Path) -> None:
    opaque = np.concatenate([colour, np.full((8, 8, 1), 255, np.uint8)], 2)
    found, notes = read_first(write_pair(tmp_path, Image.fromarray(opaque)))
    assert np.array_equal(found, colour.transpose(2, 0, 1))
    assert notes == ()


def test_cmyk_is_converted_and_said(tmp_path: Path) -> None:
    flat = np.full((8, 8, 3), (200, 100, 50), np.uint8)
    found, notes = read_first(write_pair(tmp_path, Image.fromarray(flat).convert("CMYK"), "x.jpg", quality=100))
    assert np.abs(found.astype(int) - np.array([200, 100, 50])[:, None, None]).max() <= 3
    assert notes == ("CMYK, the colours of print, were converted to RGB",)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_pictures_are_turned_as_their_exif_data_say(tmp_path: Path, orientation: int, ending: str) -> None:
    """huggingface/datasets 6252: EXIF's orientation was ignored, so that photos lay on their side."""
    upright = np.zeros((16, 24), np.uint8)
    upright[:8, :16] = 240  # the corner is upper left, and the picture wide
    turn: dict[int, Callable[[Bytes], Bytes]] = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.T,
        6: np.rot90,
        7: lambda x: x[::-1, ::-1].T,
        8: lambda x: np.rot90(x, -1),
    }
    picture = Image.fromarray(np.ascontiguousarray(turn[orientation](upright)))
    exif = picture.getexif()
    exif[0x0112] = orientation
    write_pair(tmp_path, picture, f"x.{ending}", exif=exif, **({"quality": 100} if ending == "jpg" else {}))
    found, notes = read_first(tmp_path, resize="stretch", size=(24, 24))
    wanted = np.asarray(decoding.stretch(Image.fromarray(upright), (24, 24)))
    assert np.abs(found[0].astype(int) - wanted).max() <= (12 if ending == "jpg" else 0)
    turned = "turned upright, as its EXIF data say"
    assert (turned in notes) == (orientation > 1)


def test_damaged_exif_data_turn_nothing(grey: Bytes, tmp_path: Path) -> None:
    """huggingface/datasets 7668: contaminated EXIF data ended the whole program."""
    write_pair(
        tmp_path, Image.fromarray(grey), "x.jpg", quality=100, exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 40
    )
    found, notes = read_first(tmp_path)
    assert np.abs(found[0].astype(int) - grey).max() < 8
    assert notes == ()


def test_of_several_frames_the_first_is_taken_and_that_is_said(grey: Bytes, tmp_path: Path) -> None:
    first = Image.fromarray(grey).convert("P")
    more = [Image.fromarray(255 - grey).convert("P"), Image.new("P", (8, 8))]
    for name in ("x.gif", "x.tif"):
        write_pair(tmp_path / name, first, name, save_all=True, append_images=more)
        found, notes = read_first(tmp_path / name)
        assert np.abs(found.astype(int) - grey).max() <= 4
        assert "the first of several frames was taken" in notes


@pytest.mark.parametrize("how", [{"progressive": True}, {"progressive": False}, {"optimize": True}])
def test_jpeg_of_every_kind(colour: Bytes, grey: Bytes, tmp_path: Path, how: dict[str, bool]) -> None:
    found, _ = read_first(write_pair(tmp_path / "grey", Image.fromarray(grey), "x.jpeg", quality=100, **how))
    assert found.shape == (1, 8, 8)
    assert np.abs(found[0].astype(int) - grey).max() <= 2
    smooth = Image.fromarray(colour).resize((8, 8), Image.Resampling.BILINEAR)
    found, _ = read_first(write_pair(tmp_path / "colour", smooth, "x.jpg", quality=100, subsampling=0, **how))
    assert found.shape == (3, 8, 8)
    assert np.abs(found.astype(int) - colour.transpose(2, 0, 1)).max() <= 4


def test_grey_among_colours_becomes_colour_and_that_is_counted(grey: Bytes, colour: Bytes, tmp_path: Path) -> None:
    write_pair(tmp_path, Image.fromarray(colour))
    for part in ("train", "test"):
        (tmp_path / part / "a" / "x.png").write_bytes(png(grey))
    found = data.load(str(tmp_path))
    assert found.train.shape == (2, 3, 8, 8)
    assert "1 of 2 pictures: converted from grey to colour (train)" in found.notes
    assert np.array_equal(found.train.images[found.train.labels == 0][0], np.broadcast_to(grey, (3, 8, 8)))


def test_colours_may_be_asked_to_become_grey(colour: Bytes, tmp_path: Path) -> None:
    found, notes = read_first(write_pair(tmp_path, Image.fromarray(colour)), channels=1)
    assert np.array_equal(found[0], np.asarray(Image.fromarray(colour).convert("L")))
    assert notes == ("converted from colour to grey",)


def test_sizes_that_differ_are_refused_with_the_remedy(tmp_path: Path) -> None:
    write_split(tmp_path)
    (tmp_path / "train" / NAMES[0] / "large.png").write_bytes(png(np.zeros((40, 30), np.uint8)))
    message = refusal(tmp_path)
    assert "pictures of 2 sizes, from 12 x 12 to 40 x 30 pixels, most of them 12 x 12" in message
    assert "large.png" in message
    assert 'data = { path = "...", resize = "pad", size = [32, 32] }' in message
    found = data.dataset({"path": str(tmp_path), "resize": "pad", "size": 12})
    assert found.train.shape == (len(GREY.y) + 1, 1, 12, 12)


# Exports of Edge Impulse that are spoilt.


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("<html>", "info.labels: no JSON"),
        ("[" * 100_000, "info.labels: no JSON"),
        ("[]", "has no list of files"),
        ('{"files": 3}', "has no list of files"),
        ('{"files": [3]}', "a file without a path"),
        ('{"files": []}', "names no training pictures with a label"),
        (json.dumps({"files": [entry("../../etc/passwd", "training", "a")]}), "which is not there: export it again"),
        (json.dumps({"files": [entry("training/x.wav", "training", "a")]}), "training/x.wav is no picture"),
        (json.dumps({"files": [entry("training/1.png", "other", "a")]}), "is neither of training nor of testing"),
        (json.dumps({"files": [entry("training/1.png", "training", ["a", "b"])]}), "has no single label"),
    ],
)
def test_a_spoilt_export_is_refused(tmp_path: Path, said: str, words: str) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "x.wav").write_bytes(b"RIFF")
    (tmp_path / "training" / "1.png").write_bytes(png(GREY.x[0]))
    (tmp_path / "info.labels").write_text(said)
    assert words in refusal(tmp_path)


def test_what_an_export_has_no_label_for_is_left_out_and_counted(tmp_path: Path) -> None:
    edge_impulse(tmp_path)
    said = json.loads((tmp_path / "info.labels").read_text())
    said["files"][0]["label"] = {"type": "unlabeled"}
    (tmp_path / "info.labels").write_text(json.dumps(said))
    found = data.load(str(tmp_path))
    assert len(found.train) == len(GREY.y) - 1
    assert "1 picture without a label left out" in found.notes


# Resizing: right values, nothing out of shape, and where it is.


def squares(height: int, width: int) -> NDArray[np.uint8]:
    """A grey picture with a white square in its middle, half as high and wide as its shorter side."""
    pixels = np.full((height, width), 100, np.uint8)
    side = min(height, width) // 2
    top, left = (height - side) // 2, (width - side) // 2
    pixels[top : top + side, left : left + side] = 200
    return pixels


def extent(image: Bytes) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what is bright."""
    rows, columns = np.flatnonzero((image > 150).any(1)), np.flatnonzero((image > 150).any(0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


@pytest.mark.parametrize("shape", [(64, 128), (128, 64), (96, 96), (40, 400)])
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_what_is_resized_keeps_its_shape_and_its_middle(shape: tuple[int, int], ending: str, tmp_path: Path) -> None:
    how = {"quality": 100} if ending == "jpg" else {}
    write_pair(tmp_path, Image.fromarray(squares(*shape)), f"x.{ending}", **how)
    near = 6 if ending == "jpg" else 1
    for name in ("pad", "crop"):
        (image,), notes = read_first(tmp_path, resize=name, size=(32, 32))
        scale = 32 / (max(shape) if name == "pad" else min(shape))
        side = min(shape) // 2 * scale
        top, bottom, left, right = extent(image)
        assert abs(bottom - top - side) <= 1
        assert abs(right - left - side) <= 1
        assert abs((top + bottom) / 2 - 16) <= 1
        assert abs((left + right) / 2 - 16) <= 1
        assert np.abs(image[0].astype(int) - 100).max() <= near  # the edge's own colour, cropped or padded
        assert notes[-1] == f"resized to 32 x 32 ({name})"
    (image,), _ = read_first(tmp_path, resize="stretch", size=(32, 32))
    top, bottom, left, right = extent(image)
    assert abs(bottom - top - 32 * (min(shape) // 2) / shape[0]) <= 1
    assert abs(right - left - 32 * (min(shape) // 2) / shape[1]) <= 1


def test_a_photo_decoded_no_larger_than_needed_is_nearly_the_same() -> None:
    """JPEG's draft mode: a few grey levels, against the whole photo resized."""
    y, x = np.mgrid[:600, :800]
    photo = 128 + 90 * np.sin(x / 60) * np.cos(y / 45) + 30 * np.sin((x + y) / 17)
    content = io.BytesIO()
    Image.fromarray(photo.clip(0, 255).astype(np.uint8)).save(content, "JPEG", quality=95)
    whole, _ = pictures.seen(content.getvalue(), "x", mode="L")
    for size in ((32, 32), (64, 48), (100, 100)):
        small, _ = pictures.seen(content.getvalue(), "x", mode="L", draft=size)
        assert small.width < whole.width
        for resize in decoding.RESIZE.values():
            one, two = (np.asarray(resize(each, size)).astype(int) for each in (whole, small))
            assert np.abs(one - two).max() <= 6
            assert np.abs(one - two).mean() <= 1


def test_padding_is_the_mean_of_the_edge_in_each_colour() -> None:
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[...] = (10, 200, 90)
    pixels[2:8, 2:18] = 0
    padded = np.asarray(decoding.pad(Image.fromarray(pixels), (20, 20)))
    assert np.array_equal(padded[5:15], pixels)
    assert (padded[:5] == (10, 200, 90)).all()
    assert (padded[15:] == (10, 200, 90)).all()


def test_what_has_the_size_already_is_left_alone() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12), np.uint8)
    for resize in decoding.RESIZE.values():
        assert np.array_equal(np.asarray(resize(Image.fromarray(pixels), (12, 12))), pixels)
