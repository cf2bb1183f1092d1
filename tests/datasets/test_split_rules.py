"""Which training images are the validation split: every class is in it, keys stay where the last ones will do."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stepladder.datasets import data, sources, split_rules
from stepladder.errors import DataError
from stepladder.ladders import ladder_file
from stepladder.ladders.checking import check
from stepladder.ladders.evaluated import DataIdentity, data_identity, splits_for, with_dev_part
from stepladder.ladders.ladder import Ladder
from stepladder.recipes.recipe import Recipe
from stepladder.reporting.data.check_json import check_dict
from stepladder.reporting.pages.check_page import check_page
from stepladder.runs.run import experiment_key
from stepladder.searching.searching import quest

LADDER = replace(ladder_file.load("mnist-8k"), evaluate_on="dev")


def written(
    path: Path, labels: NDArray[np.int64], *, n_validation: int = 0, names: tuple[str, str] = ("x_val", "y_val")
) -> Ladder:
    """A ladder on a made-up set with these training labels, and validation images of its own if wanted."""
    rng = np.random.default_rng(0)

    def images(n: int) -> NDArray[np.uint8]:
        return rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)

    classes = np.unique(labels)
    own = {names[0]: images(n_validation), names[1]: np.resize(classes, n_validation)} if n_validation else {}
    arrays = {"x_train": images(len(labels)), "y_train": labels, "x_test": images(20), "y_test": np.resize(classes, 20)}
    np.savez(path, **arrays, **own)  # type: ignore[arg-type]
    recipe = Recipe.model_validate({"network": ["conv 4 3x3 stride 2", "gap", f"linear {len(classes)}"], "epochs": 12})
    rung = replace(LADDER.rungs[-1], recipe=recipe, changes=())
    return replace(LADDER, data=str(path), data_sha256=None, rungs=(rung,))


def mixed(n_of: list[int]) -> NDArray[np.int64]:
    return np.random.default_rng(1).permutation(np.repeat(np.arange(len(n_of)), n_of))


def checked(ladder: Ladder) -> tuple[str, dict[str, object]]:
    """What check says, as a page of text and as JSON."""
    found = check(ladder, n_seeds=1, jobs=1, speeds={})
    page = "\n".join(each for each in check_page(found) if isinstance(each, str))
    body = check_dict(found)
    return page, {**body["data"], "notes": body["notes"]}


# The rule.


@pytest.mark.parametrize("n_classes", [2, 3, 5, 6])
def test_a_set_sorted_by_class_has_every_class_on_both_sides(tmp_path: Path, n_classes: int) -> None:
    labels = np.repeat(np.arange(n_classes), 30)
    ladder = written(tmp_path / "sorted.npz", labels)
    identity = data_identity(ladder)
    assert identity.split == "stratified"
    found = splits_for(data.load(ladder.data), identity)
    assert np.bincount(found.evaluated.labels).tolist() == [5] * n_classes
    assert np.bincount(found.train.labels).tolist() == [25] * n_classes
    images = data.load(ladder.data).train.images
    last_five = [30 * k + at for k in range(n_classes) for at in range(25, 30)]
    assert np.array_equal(found.evaluated.images, images[last_five]), "the last of each class, in the order of the set"
    assert np.array_equal(found.train.images, np.delete(images, last_five, 0))
    page, body = checked(ladder)
    n = 5 * n_classes
    assert (
        f"evaluated on the validation split (dev), {n} of the training images, the last of each class in proportion;"
        in page
    )
    assert (body["split"], body["n_trained"], body["n_evaluated"]) == ("stratified", 25 * n_classes, n)


def test_the_last_ones_stay_where_each_class_has_half_its_share_in_them() -> None:
    labels = np.array([0, 1] * 40 + [0, 0, 0, 1])  # of four at the end, class 1 would have two
    assert split_rules.rule_for(labels, n_dev=4) == "last"
    labels[-1] = 0
    assert split_rules.rule_for(labels, n_dev=4) == "stratified"


def test_the_last_ones_must_leave_some_of_each_class() -> None:
    labels = np.array([0] * 12 + [1] * 2 + [0, 1] * 3)
    assert split_rules.rule_for(labels, n_dev=6) == "last"
    labels[12:14] = 0
    assert split_rules.rule_for(labels, n_dev=6) == "stratified", "all of class 1 are at the end"


def test_of_mnist_it_is_known_where_the_last_ones_will_do() -> None:
    labels = data.load("mnist").train.labels
    of_each = np.eye(10, dtype=np.int64)[labels[::-1]].cumsum(0)  # among the last 1, 2, 3 ...
    n_dev = np.arange(1, 60_001)[:, None]
    fine = ((2 * of_each * 60_000 >= of_each[-1] * n_dev) & (of_each < of_each[-1])).all(1)
    assert set(np.flatnonzero(fine) + 1) == set(sources.MNIST_LAST_ARE_FINE)
    for n in (1, 9, 10, 56, 57, 10_000, 59_982, 59_983):
        assert data.split_rule("mnist", n_dev=n) == split_rules.rule_for(labels, n_dev=n)


def test_keys_are_what_they_were_where_the_rule_is() -> None:
    """Written down before there were rules."""
    recipe = LADDER.rungs[-1].recipe
    identity = data_identity(LADDER)
    assert identity.essence() == {
        "sha256": sources.MNIST_SHA256,
        "evaluate_on": "dev",
        "dev_images": 10_000,
    }
    assert with_dev_part(identity, "mnist", part=3).essence() == identity.essence() | {"dev_part": 3}
    bare = DataIdentity(name="any", sha256=sources.MNIST_SHA256, evaluate_on="dev", dev_images=10_000)
    assert experiment_key(recipe, identity) == experiment_key(recipe, bare)
    others: list[dict[str, object]] = [
        {"split": "stratified"},
        {"split": "given", "validation_sha256": "0" * 64},
        {"dev_part": 1},
    ]
    keys = {experiment_key(recipe, identity.model_copy(update=other)) for other in others}
    assert len(keys | {experiment_key(recipe, identity)}) == 4


# So many of each class.


@given(st.lists(st.integers(2, 60), min_size=2, max_size=8), st.data())
@settings(max_examples=150, deadline=None)
def test_stratified_parts_are_of_every_class_and_exact(n_of: list[int], drawn: st.DataObject) -> None:
    labels, k = mixed(n_of), len(n_of)
    n = len(labels)
    n_dev = drawn.draw(st.integers(k, n - k))
    assert split_rules.problem(labels, n_dev=n_dev) is None
    for part in range(n // n_dev):
        rows = split_rules.stratified(labels, n_dev=n_dev, part=part)
        assert len(rows) == len(set(rows.tolist())) == n_dev
        assert (np.diff(rows) > 0).all()
        held = np.bincount(labels[rows], minlength=k)
        assert (held >= 1).all()
        assert (held < n_of).all()
        for c in range(k):
            own = np.flatnonzero(labels == c)
            places = np.flatnonzero(np.isin(own, rows))
            assert places[-1] - places[0] == len(places) - 1, "one block of each class"
            assert part or places[-1] == len(own) - 1, "at its end"


@given(st.lists(st.integers(20, 200), min_size=2, max_size=6), st.integers(2, 8))
def test_each_class_has_its_share_rounded(n_of: list[int], one_in: int) -> None:
    n_dev = sum(n_of) // one_in
    shares = split_rules.shares(np.array(n_of), n_dev)
    assert shares.sum() == n_dev
    assert all(abs(share - n * n_dev / sum(n_of)) < 1 for share, n in zip(shares, n_of, strict=True))


def test_parts_of_a_sorted_set_are_disjoint_blocks() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 30])
    parts = [split_rules.stratified(labels, n_dev=20, part=part) for part in range(6)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(120))
    for part, earlier in pairwise(parts):
        assert (earlier[:10] < part[0]).all(), "the next part is before this one in each class"


def test_what_no_split_can_do_is_refused_by_check_with_the_remedy(tmp_path: Path) -> None:
    one_image = written(tmp_path / "one.npz", np.array([0] * 20 + [1] * 20 + [2]))
    refused = {
        "class 2 has one training image: it cannot be both": one_image,
        "set dev_images to at least 3": replace(written(tmp_path / "few.npz", mixed([20, 20, 20])), dev_images=2),
        "none is left of some of the 3 classes: set dev_images to fewer": replace(
            written(tmp_path / "all.npz", mixed([20, 20, 20])), dev_images=58
        ),
    }
    for words, ladder in refused.items():
        with pytest.raises(DataError, match=words):
            checked(ladder)
        data_identity(ladder)  # what was trained so is still to be found
    checked(replace(one_image, evaluate_on="test"))
    with pytest.raises(DataError, match="set dev_images to at least 10"):
        checked(replace(LADDER, dev_images=9))
    assert checked(replace(LADDER, dev_images=10))[1]["split"] == "stratified"


def test_search_holds_out_stratified_parts_where_the_last_ones_will_not_do(tmp_path: Path) -> None:
    ladder = written(tmp_path / "sorted.npz", np.repeat(np.arange(10), 30))
    seen = quest(ladder, n_seeds=3).seen
    assert [(each.dev_part, each.split) for each in seen] == [(k, "stratified") for k in range(3)]
    held = [splits_for(data.load(ladder.data), each).evaluated.images for each in seen]
    assert len({image.tobytes() for each in held for image in each}) == 150
    mnist = quest(LADDER, n_seeds=3).seen
    assert [each.split for each in mnist] == ["last"] * 3


# The set's own validation part.


@pytest.mark.parametrize("names", [("x_val", "y_val"), ("val_images", "val_labels"), ("x_valid", "y_valid")])
def test_a_sets_own_validation_part_is_dev(tmp_path: Path, names: tuple[str, str]) -> None:
    ladder = written(tmp_path / "own.npz", mixed([20, 20, 20]), n_validation=9, names=names)
    identity, images = data_identity(ladder), data.load(ladder.data)
    assert images.validation is not None
    assert (identity.split, identity.dev_images) == ("given", 9)
    assert identity.validation_sha256 == images.validation_sha256
    found = splits_for(images, identity)
    assert (found.train, found.evaluated) == (images.train, images.validation)
    page, body = checked(ladder)
    assert "trained on 60 images, evaluated on the validation split (dev), the set's own 9 validation images;" in page
    assert (body["split"], body["n_trained"], body["n_evaluated"], body["notes"]) == ("given", 60, 9, [])
    other = identity.model_copy(update={"validation_sha256": "0" * 64})
    with pytest.raises(DataError, match="are not those that the run was evaluated on"):
        splits_for(images, other)


def test_a_validation_part_that_lacks_classes_is_said_to_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    remedy = "set dev_images to hold training images out instead"
    ladder = written(path, mixed([20, 20, 20]), n_validation=2)
    assert f"no validation image is of class 2: accuracy there says nothing of it; {remedy}" in checked(ladder)[0]
    ladder = written(path, mixed([20, 20, 20]), n_validation=1)
    with pytest.raises(
        DataError, match=f"1 validation image is of class 0 only: accuracy there can say nothing; {remedy}"
    ):
        checked(ladder)
    assert data_identity(ladder).split == "given", "what was trained so is still to be found"
    assert remedy not in checked(replace(ladder, dev_images=12))[0]


def test_a_validation_part_that_is_left_out_is_said_to_be(tmp_path: Path) -> None:
    ladder = written(tmp_path / "own.npz", mixed([20, 20, 20]), n_validation=9)
    page, body = checked(replace(ladder, dev_images=12))
    assert (body["split"], body["n_evaluated"]) == ("last", 12)
    assert "its own 9 validation images are left out: dev_images holds training images out instead" in page
    page, body = checked(replace(ladder, evaluate_on="test"))
    assert body["split"] is None
    assert "trained on all 60 training images, evaluated on 20 test images." in page
    assert "its own 9 validation images are left out: evaluate_on is 'test'" in page


def test_a_search_leaves_the_sets_own_validation_part_alone(tmp_path: Path) -> None:
    ladder = written(tmp_path / "own.npz", np.arange(200) % 10, n_validation=20)
    sought = quest(ladder, n_seeds=2)
    assert [(each.dev_part, each.dev_images, each.split) for each in sought.seen] == [(0, 33, "last"), (1, 33, "last")]
    assert sought.objective.dev_images == 33
    assert sought.space.n_train == 167


def test_the_fingerprint_of_train_and_test_does_not_depend_on_validation(tmp_path: Path) -> None:
    whole, bare = tmp_path / "own.npz", tmp_path / "bare.npz"
    written(whole, mixed([20, 20]), n_validation=9)
    with np.load(whole) as arrays:
        np.savez(bare, **{name: arrays[name] for name in arrays.files if "val" not in name})
    assert data.fingerprint(str(whole)) == data.fingerprint(str(bare))
    half = tmp_path / "half.npz"
    with np.load(whole) as arrays:
        np.savez(half, **{name: arrays[name] for name in arrays.files if name != "y_val"})
    with pytest.raises(DataError, match="has x_val, but no validation labels: save both, or neither"):
        data.load(str(half))


@pytest.mark.parametrize(
    ("given", "name"), [("X_val", "x_val"), ("Y_Val", "y_val"), ("val_x", "x_val"), ("dev_labels", "y_val")]
)
def test_what_others_call_a_validation_part_is_not_left_out_in_silence(tmp_path: Path, given: str, name: str) -> None:
    whole, other = tmp_path / "own.npz", tmp_path / "other.npz"
    written(whole, mixed([20, 20]), n_validation=9)
    with np.load(whole) as arrays:
        np.savez(other, **{given if each == name else each: arrays[each] for each in arrays.files})
    with pytest.raises(DataError, match=f"{given} is to be called {name}: np.savez"):
        data.load(str(other))
