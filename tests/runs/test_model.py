"""A trained network by itself: it answers as its engine does, and its file is what was written or is refused."""

import json
import pickle
import re
import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from here import train_here
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from light import small
from numpy.typing import NDArray
from random_networks import network_texts, random_weights
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from stored import Stored, as_before_models, flipped, make_store

import stepladder as sl
from stepladder._base.files import NewerFormatError
from stepladder.datasets import data
from stepladder.errors import DataError, GeometryError, ModelError, StoreError
from stepladder.execution.rechecking import check_runs
from stepladder.networks.geometry import ImageShape, Network
from stepladder.networks.ops import Block, Linear
from stepladder.networks.reference import normalised, trace
from stepladder.networks.sides import Sides
from stepladder.recipes.recipe import Recipe
from stepladder.runs import model as models
from stepladder.runs import weight_files
from stepladder.runs.housekeeping import experiments, merge
from stepladder.runs.model import Model, ModelOrigin, about_run, load_model
from stepladder.runs.results import collect
from stepladder.runs.run import FORMAT_VERSION, PLAIN_WEIGHTS_VERSION, Run
from stepladder.runs.store import Store
from stepladder.runs.weight_files import arrays_sha256, examined, weights_file

N_FLIPPED = 150


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return make_store(tmp_path_factory.mktemp("models"))


@pytest.fixture
def stored(original: Stored, tmp_path: Path) -> Stored:
    """A copy to change."""
    shutil.copytree(original.store.folder, tmp_path / "runs")
    return replace(original, store=Store.open(tmp_path / "runs"))


@pytest.fixture
def model(original: Stored) -> Model:
    return original.store.model(original.runs[0])


def same(one: Model, other: Model) -> bool:
    """Whether two models are equal in everything but, perhaps, where they come from."""
    arrays: list[tuple[NDArray[Any], NDArray[Any]]]
    arrays = [(one.weights[name], other.weights[name]) for name in one.weights]
    arrays += [(one.pixel_mean, other.pixel_mean), (one.pixel_std, other.pixel_std)]
    return (
        (one.network, one.class_names, one.weights.keys()) == (other.network, other.class_names, other.weights.keys())
    ) and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in arrays)


# What it answers.


def test_it_answers_as_the_engine_that_trained_it(original: Stored) -> None:
    """All classes of 2,000 digits of MNIST's test part, most of which no training of this store saw."""
    many = data.load("mnist").test[:2000]
    for run in original.runs:
        found = original.store.model(run)
        recipe = run.identity.recipe
        splits = replace(original.splits(), evaluated=many)
        engine = original.engine.model(found.network, recipe, splits=splits)
        engine.parameters[:] = np.concatenate([found.weights[name].ravel() for name in found.network.parameter_shapes])
        engine.set_statistics({name: found.weights[name] for name in found.network.statistic_shapes})
        theirs, ours = engine.logits(many), found.logits(many.images)
        assert ours.shape == (2000, 10)
        assert np.linalg.norm(ours - theirs) < 1e-5 * np.linalg.norm(theirs)
        assert (found.predict(many.images) == theirs.argmax(1)).mean() > 0.999


def test_it_has_its_record_right(original: Stored) -> None:
    part = original.splits().evaluated
    for run in original.runs:
        found = original.store.model(run)
        assert run.final is not None
        assert found.origin is not None
        assert int((found.predict(part.images) == part.labels).sum()) == run.final.n_correct == found.origin.n_correct
        assert found.origin.accuracy == 100 * run.final.n_correct / len(part)


def test_images_come_in_each_form_that_a_data_set_has(model: Model) -> None:
    images = data.load("mnist").test.images[:300]
    expected = model.logits(images)
    assert np.array_equal(model.logits(images[:, 0]), expected)
    assert np.array_equal(model.logits(images.transpose(0, 2, 3, 1)), expected)
    assert np.array_equal(model.logits(images[17:18])[0], expected[17]), "whatever else is asked with it"
    assert model.logits(images[:0]).shape == (0, 10)
    assert model.predict(images[:0]).shape == (0,)
    assert np.array_equal(model.predict(images), expected.argmax(1))
    shares = model.probabilities(images)
    assert np.allclose(shares.sum(1), 1)
    assert np.array_equal(shares.argmax(1), expected.argmax(1))


def test_colour_images_come_in_either_order() -> None:
    recipe = Recipe(network=["conv 4", "gap", "linear 10"], epochs=1)
    splits = small(50, 3, 9)
    network = recipe.network_for(splits.image)
    weights = {name: array.astype(np.float32) for name, array in random_weights(network).items()}
    found = Model(network, weights, splits.pixel_mean, splits.pixel_std, tuple("abcdefghij"))
    images = splits.train.images
    x = normalised(images, pixel_mean=splits.pixel_mean, pixel_std=splits.pixel_std, dtype=np.float64)
    assert np.array_equal(found.logits(images), trace(network, weights, x=x).logits)
    assert np.array_equal(found.logits(images.transpose(0, 2, 3, 1)), found.logits(images))
    with pytest.raises(DataError, match=r"takes \(N, 3, 9, 9\), or \(N, 9, 9, 3\); a single"):
        found.predict(images[:, 0])


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (
            np.zeros((28, 28), np.uint8),
            r"shape \(28, 28\): this model takes \(N, 1, 28, 28\).*a single image is x\[None",
        ),
        (np.zeros((2, 1, 27, 28), np.uint8), r"shape \(2, 1, 27, 28\)"),
        (np.zeros((2, 3, 28, 28), np.uint8), r"\(N, 28, 28, 1\), or \(N, 28, 28\)"),
        ("7.png", r"'7\.png' is no array of images: .* there is 'stepladder predict'"),
        (object(), r"<object .*> is no array of images: .* such as sl\.dataset"),
        (np.zeros((2, 28, 28)), r"images of float64: a model takes bytes from 0 to 255"),
        (np.zeros((2, 28, 28), np.int8), "images of int8"),
    ],
)
def test_other_images_are_refused(model: Model, images: Any, words: str) -> None:
    for ask in (model.predict, model.logits, model.probabilities):
        with pytest.raises(DataError, match=words):
            ask(images)


def test_nothing_of_it_can_be_written_to(model: Model) -> None:
    arrays: list[NDArray[Any]] = [*model.weights.values(), model.pixel_mean, model.pixel_std]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(TypeError, match="does not support item assignment"):
        model.weights["0.weight"] = model.weights["0.weight"]  # type: ignore[index]
    weights = {name: array.copy() for name, array in model.weights.items()}
    other = replace(model, weights=weights)
    weights["0.weight"][:] = 7
    assert same(other, model)


def test_it_shows_what_it_is(model: Model) -> None:
    assert repr(model) == "Model(94 parameters, 1 x 28 x 28 pixels to 10 classes, seed 1 on small)"
    named = ModelOrigin(identity=model.origin.identity, ladder="<b>", rungs=("a&b",)) if model.origin else None
    html = replace(model, origin=named)._repr_html_()
    assert "seed 1 of &#x27;a&amp;b&#x27; on &lt;b&gt;, by jit" in html
    assert "<b>" not in html


# Where it is kept.


def test_what_is_saved_is_read(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    model.save(path)
    again = sl.load_model(str(path))
    assert same(again, model)
    assert again.origin == model.origin
    content = path.read_bytes()
    again.save(path)
    assert path.read_bytes() == content
    with pytest.raises(ModelError, match="this model cannot be written there: "):
        model.save(path / "below.safetensors")


def test_a_run_keeps_its_model(original: Stored) -> None:
    """With nothing else at hand: no images, no record, no store."""
    run = original.runs[2]
    content = original.path(run, "safetensors").read_bytes()
    assert load_arrays(content).keys() == original.store.weights(run).keys(), "anybody's safetensors reads it"
    found = load_model(original.path(run, "safetensors"))
    splits = original.splits()
    assert same(found, original.store.model(run))
    assert found.network == run.identity.recipe.network_for(splits.image)
    assert np.array_equal(found.pixel_mean, splits.pixel_mean)
    assert np.array_equal(found.pixel_std, splits.pixel_std)
    assert found.class_names == tuple("0123456789")
    assert found.origin == ModelOrigin(identity=run.identity)
    assert found.weights_sha256 == run.weights_sha256


def test_the_same_run_is_the_same_bytes(original: Stored, tmp_path: Path) -> None:
    run = original.runs[0]
    Store.open(tmp_path / "again", create=True)
    source = str(original.ladder_path.parent / "small.npz")
    train_here(Store.open(tmp_path / "again"), source, run.identity)
    again = tmp_path / "again" / f"{run.identity.key}.safetensors"
    assert again.read_bytes() == original.path(run, "safetensors").read_bytes()


def test_the_hash_is_over_the_arrays_alone(original: Stored) -> None:
    for run in original.runs:
        arrays = original.store.weights(run)
        plain = save_arrays(arrays)
        assert weights_file(arrays) == plain, "as safetensors lays it out"
        assert sha256(plain).hexdigest() == arrays_sha256(arrays) == run.weights_sha256
        content = original.path(run, "safetensors").read_bytes()
        assert examined(content, path=Path("x")).sha256 == run.weights_sha256 != sha256(content).hexdigest()


def test_models_by_rung_and_seed(original: Stored) -> None:
    results = collect(original.ladder, original.store)
    start, slower = results.rungs
    found = slower.model(2)
    assert found.origin is not None
    assert (found.origin.ladder, found.origin.rungs, found.origin.seed) == ("small", ("slower",), 2)
    ranked = sorted(start.runs, key=lambda run: (run.final.n_correct if run.final else -1, run.identity.seed))
    assert same(start.typical_model(), original.store.model(ranked[0])), "the lower of two"
    with pytest.raises(ModelError, match="no stored run of seed 3 of rung 'slower': there are seeds 1 to 2"):
        slower.model(3)
    nothing = collect(original.ladder, original.store, seeds=[5]).rungs[0]
    with pytest.raises(ModelError, match=r"'start' is stored: climb first, with stepladder climb .*small\.toml$"):
        nothing.typical_model()


def test_a_run_that_diverged_has_no_model(stored: Stored) -> None:
    run = stored.runs[0]
    diverged = run.model_copy(update={"epochs": run.epochs[:1], "diverged_at_epoch": 2, "wrong_images": ()})
    stored.store.save(diverged, stored.store.weights_file(run))
    rung = collect(stored.ladder, stored.store).rungs[0]
    with pytest.raises(ModelError, match="seed 1 diverged at epoch 2, and there is no network to use: take another"):
        rung.model(1)
    assert rung.typical_model().origin == rung.model(2).origin


# What earlier versions stored.


def test_a_store_may_hold_both_formats(stored: Stored, tmp_path: Path) -> None:
    """Read, checked, and merged both ways as before; equal runs are equal."""
    before = {run.identity.key: run for run in stored.runs}
    expected = collect(stored.ladder, stored.store)
    old, new = stored.runs[0], stored.runs[1]
    as_before_models(stored.store, old)
    assert {run.identity.key: stored.store.find(run.identity, set_aside=False) for run in stored.runs} == before
    found = collect(stored.ladder, stored.store)
    assert found == expected
    outcomes = list(check_runs(stored.store, experiments(stored.store, [stored.ladder]), sources=[stored.ladder.data]))
    assert sorted(each.outcome for each in outcomes) == ["agrees"] * 4 + ["not checked"]
    assert stored.store.notes == []
    other, _ = Store.open_or_make(tmp_path / "other")
    assert len(merge(other, stored.store).copied) == 4
    assert {run.identity.key for run in stored.runs} == set(merge(other, stored.store).equal)
    for run, version in ((old, PLAIN_WEIGHTS_VERSION), (new, FORMAT_VERSION)):
        path = other.folder / f"{run.identity.key}.json"
        assert json.loads(path.read_bytes())["format_version"] == version, "earlier versions still read it"
        for ending in ("json", "safetensors"):
            assert path.with_suffix(f".{ending}").read_bytes() == stored.path(run, ending).read_bytes()
    as_before_models(other, new)
    assert len(merge(stored.store, other).equal) == 4
    assert stored.store.notes == []


def test_an_old_run_needs_its_images(stored: Stored) -> None:
    run, source = stored.runs[0], str(stored.ladder_path.parent / "small.npz")
    expected = stored.store.model(run)
    as_before_models(stored.store, run)
    assert same(stored.store.model(run, data=source), expected)
    assert stored.store.model(run, data=source).origin == expected.origin
    assert same(collect(stored.ladder, stored.store).rungs[0].model(1), expected)
    with pytest.raises(ModelError, match="on small was stored by an earlier version, without the mean of its pixels"):
        stored.store.model(run)
    with pytest.raises(DataError, match="mnist: other images than those that the run was trained on: small, SHA-256"):
        stored.store.model(run, data="mnist")
    with pytest.raises(
        ModelError, match=r"weights alone, as earlier versions and other programs store.*name its ladder"
    ):
        load_model(stored.path(run, "safetensors"))


def test_an_old_run_on_mnist_has_its_images_at_hand(stored: Stored) -> None:
    run = stored.runs[0]
    mnist = run.identity.data.model_copy(update={"sha256": data.fingerprint("mnist"), "name": "mnist"})
    old = run.model_copy(update={"identity": run.identity.model_copy(update={"data": mnist})})
    found = models.model_of_run(old, weights_file(stored.store.weights(run)))
    assert found.pixel_mean == pytest.approx(0.1307, abs=1e-4)


def small_model(*, channels: int, size: int) -> Model:
    """A network that tells every pixel from every other one."""
    shape = ImageShape(channels=channels, size=size, n_classes=3)
    network = Recipe(network=["linear 3"], epochs=1).network_for(shape)
    weights = {
        name: np.arange(1, 1 + np.prod(each), dtype=np.float32).reshape(each)
        for name, each in network.parameter_shapes.items()
    }
    return Model(network, weights, np.full(channels, 0.5), np.full(channels, 0.25), ("a", "b", "c"))


def test_where_both_forms_fit_images_are_as_a_data_sets() -> None:
    """Two channels of 2 x 2 pixels are (N, C, H, W)."""
    images = np.arange(8, dtype=np.uint8).reshape(1, 2, 2, 2) * 30
    model = small_model(channels=2, size=2)
    scaled = (images / 255 - 0.5) / 0.25
    weight, bias = model.weights["0.weight"].astype(float), model.weights["0.bias"]
    assert model.logits(images) == pytest.approx(scaled.reshape(1, -1) @ weight.T + bias)


def test_images_that_are_not_square_may_have_their_channels_last() -> None:
    image = ImageShape(channels=2, size=(3, 5), n_classes=4)
    network = Network((Linear(4),), Block(), image)
    weights = {name: array.astype(np.float32) for name, array in random_weights(network).items()}
    model = Model(network, weights, np.full(2, 0.5), np.full(2, 0.25), ("a", "b", "c", "d"))
    images = np.random.default_rng(1).integers(0, 256, (6, 2, 3, 5), dtype=np.uint8)
    assert (model.logits(images) == model.logits(images.transpose(0, 2, 3, 1))).all()
    assert "2 x 3 x 5 pixels to 4 classes" in repr(model)
    with pytest.raises(DataError, match=re.escape("this model takes (N, 2, 3, 5), or (N, 3, 5, 2); a single image")):
        model.logits(images.transpose(0, 1, 3, 2))


def test_a_model_goes_to_other_processes(model: Model) -> None:
    images = np.arange(4 * model.image.n_pixels, dtype=np.uint8).reshape(4, 1, model.image.height, -1)
    for other in (pickle.loads(pickle.dumps(model)), deepcopy(model)):
        assert same(other, model)
        assert other.origin == model.origin
        assert np.array_equal(other.logits(images), model.logits(images))
        with pytest.raises(ValueError, match="read-only"):
            next(iter(other.weights.values()))[...] = 0


def test_what_is_no_number_is_no_answer(recwarn: pytest.WarningsRecorder) -> None:
    """And says so once, not by the warnings of a library."""
    network = Recipe(network=["conv 1 1x1 bare"] * 9 + ["gap", "linear 3"], epochs=1).network_for(
        ImageShape(channels=1, size=2, n_classes=3)
    )
    weights = {name: np.full(each, 3e38, np.float32) for name, each in network.parameter_shapes.items()}
    model = Model(network, weights, np.full(1, 0.5), np.full(1, 0.25), ("a", "b", "c"))
    for ask in (model.logits, model.probabilities, model.predict):
        with pytest.raises(ModelError, match="this network gives what is no number for these images"):
            ask(np.full((1, 1, 2, 2), 255, np.uint8))
    assert not list(recwarn)


# Files that lie.


def forged(stored: Stored, run: Run, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """A file of a run's weights, with all checksums right, that says something else."""
    about = about_run(run.identity, stored.splits())
    change(about)
    return weights_file(load_arrays(stored.path(run, "safetensors").read_bytes()), about)


LIES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another network": (
        lambda a: a.update(network=["conv 5 3x3 stride 4", "gap", "linear 10"]),
        "are not those of its",
    ),
    "a network that does not fit": (lambda a: a.update(network=["conv 4 31x31", "gap", "linear 10"]), "31x31 kernel"),
    "no network": (lambda a: a.pop("network"), "network: Field required"),
    "a layer that is none": (lambda a: a.update(network=["conf 4"]), "unknown layer 'conf'"),
    "other steps": (
        lambda a: a.update(block="conv norm relu dropout"),
        "not that of the run that it",
    ),
    "fewer classes": (lambda a: a.update(class_names=list("012")), "it must end in one number for each of 3"),
    "classes alike": (lambda a: a.update(class_names=["a"] * 10), "not as many different names"),
    "other channels": (lambda a: a.update(pixel_mean=[0.1, 0.2]), "another number of channels"),
    "no deviation": (lambda a: a.update(pixel_std=[0.0]), "mean or deviation of its pixels is none"),
    "next to no deviation": (lambda a: a.update(pixel_std=[1e-320]), "mean or deviation of its pixels is none"),
    "a mean of 0 to 255": (lambda a: a.update(pixel_mean=[33.0]), "is none: pixels are from 0 to 1"),
    "infinite": (lambda a: a.update(pixel_mean=[float("inf")]), "pixel_mean.0: Input should be a finite number"),
    "too much": (lambda a: a.update(colour="red"), "colour: Extra inputs are not permitted"),
    "another key": (lambda a: a.update(key="0" * 16), "it names another run than it comes from"),
    "no key": (lambda a: a.update(key=None), "it names another run than it comes from"),
    "another seed": (lambda a: a["origin"]["identity"].update(seed=3), "it names another run than it comes from"),
    "a text for a number": (lambda a: a.update(size="28"), "size: Input should be a valid integer"),
    "an image for nobody": (lambda a: a.update(size=10**6, origin=None, key=None), "have more than 50,000,000 pixels"),
    "an enormous image": (lambda a: a.update(size=10**30), "size: Input should be less than"),
    "an image without height": (lambda a: a.update(size=[0, 28]), "size: Input should be greater than"),
    "an endless signal": (lambda a: a.update(size=[1, 10**30]), "size: Input should be less than"),
    "a volume": (lambda a: a.update(size=[28, 28, 28]), "size: Input should be a valid integer"),
}


@pytest.mark.parametrize("name", LIES)
def test_what_does_not_fit_is_refused(original: Stored, tmp_path: Path, name: str) -> None:
    change, words = LIES[name]
    path = tmp_path / "lie.safetensors"
    path.write_bytes(forged(original, original.runs[0], change))
    with pytest.raises(ModelError, match=words) as refusal:
        load_model(path)
    assert str(refusal.value).startswith(f"{path}: no model: ")
    assert len(str(refusal.value)) < 1000


def test_a_run_whose_weights_say_they_are_anothers_is_left_out(stored: Stored) -> None:
    """Every checksum is right: that of the file of another seed with the same numbers, too."""
    run = stored.runs[0]
    other = run.identity.model_copy(update={"seed": 2})
    stored.path(run, "safetensors").write_bytes(
        weights_file(stored.store.weights(run), about_run(other, stored.splits()))
    )
    assert [each.identity.seed for each in stored.store.runs_of(run.identity.experiment)] == [2]
    assert "its weights are said to be those of another run" in stored.store.notes[0]


def test_a_mean_of_other_pixels_is_found_by_runs_check(stored: Stored) -> None:
    run = stored.runs[0]
    wrong = forged(stored, run, lambda about: about.update(pixel_mean=[0.2]))
    stored.path(run, "safetensors").write_bytes(wrong)
    found = experiments(stored.store, [stored.ladder], only=True)
    outcomes = {each.stored.key: each for each in check_runs(stored.store, found, sources=[stored.ladder.data])}
    assert outcomes[run.identity.key].outcome == "differs"
    assert "another mean or deviation of pixels" in outcomes[run.identity.key].words
    assert [each.outcome for each in outcomes.values()].count("agrees") == 3


def test_a_newer_file_is_called_newer(original: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr(weight_files, "FORMAT_VERSION", weight_files.FORMAT_VERSION + 1)
        content = forged(original, original.runs[0], lambda about: about.update(new="field"))
    path = tmp_path / "newer.safetensors"
    path.write_bytes(content)
    with pytest.raises(NewerFormatError, match="was written by a newer Stepladder"):
        load_model(path)


def test_every_flipped_bit_and_every_cut_is_found(stored: Stored, tmp_path: Path) -> None:
    """In a saved model, which no record speaks of, and in the file of a run."""
    run, path = stored.runs[0], tmp_path / "m.safetensors"
    content = stored.store.weights_file(run)
    rng = Random(3)
    cuts = [content[:n] for n in (0, 1, 7, 8, 9, 20, len(content) // 2, len(content) - 4, len(content) - 1)]
    for damaged in (*flipped(content, N_FLIPPED, rng), *flipped(content[:60], 30, rng), *cuts, content + b"\0"):
        whole = damaged + content[60:] if len(damaged) == 60 else damaged
        path.write_bytes(whole)
        with pytest.raises(ModelError):
            load_model(path)
        stored.path(run, "safetensors").write_bytes(whole)
        with pytest.raises(StoreError, match="its weights are missing or damaged"):
            stored.store.model(run)
    assert stored.store.find(run.identity, set_aside=False) is None


def header(entries: str, rest: bytes = b"") -> bytes:
    return len(entries).to_bytes(8, "little") + entries.encode() + rest


DEEP = "[" * 100_000
HOSTILE = {
    "a length that is none": b"\xff" * 8 + b'{"__metadata__":{}}',
    "a length without an end": (2**40).to_bytes(8, "little") + b'{"__metadata__":' + b" " * 1000,
    "no object": header('{"__metadata__":3}'),
    "a list": header('{"__metadata__":[]}'),
    "nothing of ours": header('{"__metadata__":{"format":"pt"}}'),
    "twice": header('{"__metadata__":{},"__metadata__":{"stepladder":"{}"}}'),
    "nothing in it": header('{"__metadata__":{"stepladder":""}}'),
    "a text": header('{"__metadata__":{"stepladder":"\\"model\\""}}'),
    "deep": header('{"__metadata__":{"stepladder":"' + DEEP + '"}}'),
    "deeper": header('{"__metadata__":' + DEEP),
    "no numbers": header('{"__metadata__":{"stepladder":"{\\"format_version\\": 2}"}}'),
    "huge": header('{"__metadata__":{"stepladder":"' + "9" * 5_000_000 + '"}}'),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(ModelError, match=r"no model, or a damaged one|weights alone") as refusal:
        load_model(path)
    assert len(str(refusal.value)) < 600


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "it is a folder"),
        (lambda path: path.with_suffix(".other").touch(), "cannot be read: No such file"),
        (lambda path: path.write_text("{}"), r"text \(.*\): a model is a file of Stepladder's"),
        (lambda path: path.write_bytes(b""), "an empty file"),
        (lambda path: path.write_bytes(b"\x89PNG" + b"\r\n\x1a\n" * 9), "a PNG picture"),
    ],
)
def test_what_is_no_file_of_a_model_is_refused(tmp_path: Path, make: Callable[[Path], object], words: str) -> None:
    make(tmp_path / "mine.bin")
    with pytest.raises(ModelError, match=words):
        load_model(tmp_path / "mine.bin")


def test_metadata_that_vanish_leave_weights_alone(stored: Stored) -> None:
    """The record still stands: whatever else was there follows from it and the images."""
    run = stored.runs[0]
    stored.path(run, "safetensors").write_bytes(weights_file(stored.store.weights(run)))
    assert stored.store.find(run.identity, set_aside=False) == run
    with pytest.raises(ModelError, match="without the mean of its pixels"):
        stored.store.model(run)


# Whatever the network.


@settings(max_examples=40, deadline=None)
@given(
    network_texts(),
    st.lists(st.text(max_size=8), min_size=10, max_size=10, unique=True),
    st.lists(st.floats(0, 1), min_size=2, max_size=2),
    st.lists(st.floats(1e-6, 1), min_size=2, max_size=2),
    st.booleans(),
    st.sampled_from([10, (12, 8), (1, 20)]),
)
def test_any_model_is_the_same_after_it_was_written(
    layers: list[str], names: list[str], mean: list[float], std: list[float], scale: bool, size: Sides
) -> None:
    image = ImageShape(2, size, 10)
    try:
        network = Recipe(network=layers, norm_scale=scale, epochs=1).network_for(image)
    except GeometryError:
        assume(False)
    weights = {name: array.astype(np.float32) for name, array in random_weights(network).items()}
    found = Model(network, weights, np.array(mean), np.array(std), tuple(names))
    content = weights_file(dict(found.weights), models._about(found))
    about = examined(content, path=Path("x"))
    assert about.about is not None
    again = models._model(about.about, load_arrays(content))
    assert same(again, found)
    assert about.sha256 == found.weights_sha256 == again.weights_sha256
    assert weights_file(dict(again.weights), models._about(again)) == content
