"""From what a source finds to a set: labels become classes, a test part is cut where there is none, groups stay whole.

What is cut is held to what it promises: an image is never on both sides, whatever the order and whatever is added.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_forms import GREY, png
from numpy.typing import NDArray

from stepladder.datasets import data
from stepladder.datasets.reading import assembling
from stepladder.datasets.reading.found import Found, Part
from stepladder.datasets.spec import DataSpec
from stepladder.errors import DataError

Rows = Sequence[tuple[int, int]]  # a number that an image shows, and its class
PLAIN = DataSpec(path="x")


def part(rows: Rows, names: Sequence[str] = ()) -> Part:
    """Images of 2 x 2 pixels that show a number."""
    shown = np.array([number for number, _ in rows], "<u4").view(np.uint8).reshape(-1, 1, 2, 2)
    return Part(shown, np.array([label for _, label in rows], np.int64), names)


def rows_of(found: Part) -> list[tuple[int, int]]:
    images = np.ascontiguousarray(found.images)
    return list(zip(images.reshape(-1, 4).view("<u4")[:, 0].tolist(), found.labels.tolist(), strict=True))


def cut(rows: Rows) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """What stays for training, and what is cut as test."""
    found = assembling.with_test(Found({"train": part(rows)}), PLAIN, where="x")
    return rows_of(found.parts["train"]), rows_of(found.parts["test"])


def with_two_each(rows: Rows) -> list[tuple[int, int]]:
    """And two of each class that nothing else shows."""
    return [*rows, *((10**6 + 2 * label + k, label) for label in range(3) for k in range(2))]


made_rows = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2)), max_size=80).map(with_two_each)


@settings(max_examples=150, deadline=None)
@given(made_rows)
def test_an_image_is_never_on_both_sides(rows: Rows) -> None:
    """Not even where it comes more than once, or under two labels."""
    train, test = cut(rows)
    assert Counter(train) + Counter(test) == Counter(rows)
    labels = {label for _, label in rows}
    assert {label for _, label in train} == {label for _, label in test} == labels
    assert not {number for number, _ in train} & {number for number, _ in test}


@settings(max_examples=150, deadline=None)
@given(made_rows, st.randoms())
def test_order_decides_nothing(rows: Rows, random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert [Counter(side) for side in cut(shuffled)] == [Counter(side) for side in cut(rows)]


def test_what_is_added_moves_nothing() -> None:
    """Where every class has images on both sides without help, each image decides for itself."""
    rows = [(number, number % 3) for number in range(600)]
    train, test = cut(rows)
    more = [(number, number % 3) for number in range(600, 900)]
    train_more, test_more = cut([*more, *rows])
    assert set(train) < set(train_more)
    assert set(test) < set(test_more)
    fewer_train, fewer_test = cut(rows[::2])
    assert set(fewer_train) < set(train)
    assert set(fewer_test) < set(test)


def test_about_a_sixth_is_cut_and_the_number_is_said() -> None:
    rows = [(number, number % 3) for number in range(3000)]
    found = assembling.with_test(Found({"train": part(rows)}), PLAIN, where="x")
    n = len(found.parts["test"])
    assert abs(n - 500) < 70
    assert found.notes == (
        f"there is no test part: {n} images were cut as one, chosen by what they show, so that they stay the same ones",
    )


def test_a_test_part_that_is_there_is_left_alone() -> None:
    found = Found({"train": part([(1, 0), (2, 1)]), "test": part([(3, 0)])})
    assert assembling.with_test(found, PLAIN, where="x") is found


def test_a_class_of_one_image_cannot_be_cut() -> None:
    with pytest.raises(DataError, match="x: class 1 has one image, and no test part is given"):
        cut([(1, 0), (2, 0), (3, 1)])
    with pytest.raises(DataError, match="x: class 1 has one image"):
        cut([(1, 0), (2, 0), (3, 1), (3, 1)])  # the same one twice
    with pytest.raises(DataError, match="x: class 0 has no two images of its own"):
        cut([(1, 0), (2, 0), (1, 1), (2, 1), (3, 1)])


# Groups.


def grouped(names: Sequence[str], group: str, *, given: bool = False) -> Found:
    """Two images of each name, one of each class."""
    names = [name for name in names for _ in range(2)]
    train = part([(row, row % 2) for row in range(len(names))], names)
    parts = {"train": train} | ({"test": part([(10**6, 0), (10**6 + 1, 1)], ["t0", "t1"])} if given else {})
    return assembling.with_test(Found(parts), PLAIN.model_copy(update={"group": group}), where="x")


writers = st.lists(st.integers(0, 40), min_size=1, max_size=80).map(
    lambda found: [f"writer{each:02}-{row}.png" for row, each in enumerate([*found, 41, 42, 43, 44])]
)


@settings(max_examples=150, deadline=None)
@given(writers, st.booleans())
def test_a_group_stays_in_one_part(names: list[str], given_test: bool) -> None:
    found = grouped(names, r"writer(\d+)", given=given_test)
    of_part = {name: {each[:8] for each in part.called if each[0] == "w"} for name, part in found}
    assert set(of_part) == {"train", "test", "validation"}
    assert all(of_part[name] for name in of_part if name != "test" or not given_test)
    for one, other in (("train", "test"), ("train", "validation"), ("test", "validation")):
        assert not of_part[one] & of_part[other]
    assert sum(len(part) for _, part in found) == 2 * len(names) + 2 * given_test


def test_groups_are_said_and_stay_where_they_are(tmp_path: Path) -> None:
    """Also where a writer is added; and through the whole of reading a folder."""
    for row in range(60):
        path = tmp_path / ("cat", "dog")[row % 2] / f"w{row // 4:02}-{row}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png(GREY.x[row]))
    found = data.dataset({"path": str(tmp_path), "group": r"w(\d+)-"})
    assert found.validation is not None
    assert any("of 15 groups were cut as test part" in note for note in found.notes)
    for image in GREY.x[60:64]:
        (tmp_path / "cat" / f"w99-{image[3, 3, 0]}.png").write_bytes(png(image))
    more = data.dataset({"path": str(tmp_path), "group": r"w(\d+)-"})
    for one, other in ((found.train, more.train), (found.test, more.test)):
        assert {image.tobytes() for image in one.images} <= {image.tobytes() for image in other.images}


@pytest.mark.parametrize(
    ("names", "group", "words"),
    [
        (["a1", "b1"], r"(\d)", "group finds 1 group only: no split can be made of so few"),
        (["a1", "b2", "c"], r"\d", "group = \\d finds nothing in c"),
        ((), r"\d", "group is for images with names, and these have none: leave it out"),
    ],
)
def test_groups_that_make_no_split_are_refused(names: Sequence[str], group: str, words: str) -> None:
    with pytest.raises(DataError) as refused:
        assembling.with_test(
            Found({"train": part([(0, 0), (1, 1), (2, 0)][: len(names) or 3], names)}),
            PLAIN.model_copy(update={"group": group}),
            where="x",
        )
    assert words in str(refused.value)


def test_a_class_that_groups_take_from_training_is_refused() -> None:
    names = [f"w{row:02}" for row in range(30)]
    found = grouped(names, r"w(\d+)")
    in_test = next(iter(found.parts["test"].called))
    rows = [(row, int(name == in_test)) for row, name in enumerate(names)]
    with pytest.raises(DataError, match="x: group leaves no training image of class 1"):
        assembling.with_test(
            Found({"train": part(rows, names)}), PLAIN.model_copy(update={"group": r"w(\d+)"}), where="x"
        )


# Labels and classes.


def classes(*of_parts: Any, class_names: tuple[str, ...] = ()) -> Found:
    parts = {
        name: Part(np.zeros((len(labels), 1, 2, 2), np.uint8), np.asarray(labels))
        for name, labels in zip(("train", "test", "validation"), of_parts, strict=False)
    }
    return assembling.with_classes(Found(parts, class_names=class_names), where="x")


def test_numbers_with_gaps_are_mapped_and_the_map_is_said() -> None:
    found = classes([7, 3, 3, 9], [9, 3])
    assert found.parts["train"].labels.tolist() == [1, 0, 0, 2]
    assert found.parts["test"].labels.tolist() == [2, 0]
    assert found.class_names == ("3", "7", "9")
    assert found.notes == (
        "labels do not count from 0 without gaps, and were mapped to classes: 3 is 0, 7 is 1, 9 is 2",
    )
    assert classes([0, 1, 2]).notes == ()


def test_names_go_with_their_numbers_where_some_are_missing() -> None:
    assert classes([2, 0], class_names=("a", "b", "c")).class_names == ("a", "c")
    with pytest.raises(DataError, match="x: label 3 has no name: there are 3 names of classes"):
        classes([3, 0], class_names=("a", "b", "c"))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=2, max_size=60), st.booleans())
def test_each_image_keeps_the_class_that_it_had(labels: list[int], as_text: bool) -> None:
    if len(set(labels)) == 1:
        labels = [*labels, 301]
    given_labels: NDArray[Any] = np.array([f"class {each}" for each in labels]) if as_text else np.array(labels)
    found = classes(given_labels, given_labels[:1])
    said = [found.class_names[each] for each in found.parts["train"].labels.tolist()]
    assert said == list(map(str, given_labels.tolist()))
    assert list(found.class_names) == sorted(set(said), key=assembling.natural)
    assert found.class_names[found.parts["test"].labels[0]] == said[0]


@pytest.mark.parametrize(
    ("given_labels", "words"),
    [
        (([0, 1], [2]), "test label 2 never occurs in training"),
        ((["a", "b"], ["c"]), "test label c never occurs in training"),
        ((["a", "b"], [0]), "labels of one part are numbers, of another part names"),
        (([1, 1],), "all training images are of one class"),
        ((["a", "A"],), "classes A and a differ in capital letters alone"),
        ((["a", " "],), "an image has an empty class name"),
        (([0.5, 1],), "labels are float64"),
        (([-1, 1],), "labels run from -1 to 1"),
        (([0, 70_000],), "labels run from 0 to 70000"),
    ],
)
def test_labels_that_make_no_classes_are_refused(given_labels: tuple[Any, ...], words: str) -> None:
    with pytest.raises(DataError) as refused:
        classes(*given_labels)
    assert words in str(refused.value)


def test_as_many_labels_as_images() -> None:
    found = Found({"train": Part(np.zeros((3, 1, 2, 2), np.uint8), np.arange(2))})
    with pytest.raises(DataError, match="x: 3 train images but 2 train labels: they must agree"):
        assembling.with_classes(found, where="x")
