"""No stored number is silently wrong: flipped bits, changed digits, and records that cannot be true."""

import json
import os
import re
import shutil
from collections.abc import Callable
from copy import deepcopy
from hashlib import sha256
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from here import Here
from safetensors.numpy import load, save
from stored import Stored, flipped, make_store, old_looks, other_digits, record_of_claims

from stepladder._base.files import sealed
from stepladder.analysis.comparing import compare
from stepladder.cli.main import main
from stepladder.climbing.climbing import climb
from stepladder.engines.training import train
from stepladder.errors import LadderError, StepladderError, StoreError
from stepladder.execution.piece import finished
from stepladder.records import record
from stepladder.runs import speeds
from stepladder.runs.model import about_run
from stepladder.runs.results import collect
from stepladder.runs.run import FORMAT_VERSION, Progress, Run
from stepladder.runs.run_files import checkpoint_file, progress_of
from stepladder.runs.store import Store
from stepladder.runs.weight_files import weights_file

CORPUS = Path(__file__).parents[1] / "corpus"
N_SAMPLED = 100  # of each kind of damage and file
N_EVIDENCE = 260

Tree = dict[str, Any]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return make_store(tmp_path_factory.mktemp("original"))


@pytest.fixture
def stored(original: Stored, tmp_path: Path) -> Stored:
    """A copy to damage."""
    folder = tmp_path / "runs"
    shutil.copytree(original.store.folder, folder)
    return Stored(**(vars(original) | {"store": Store.open(folder)}))


# Whatever is read is what was written, or something is said. Each reads a file, and gives what was said, in words; it
# fails if the file gave another number.


def read_record(stored: Stored, _: Path) -> str:
    store = Store.open(stored.store.folder)
    found = store.find(stored.runs[0].identity, set_aside=False)
    assert found in (stored.runs[0], None)
    seen = list(store.runs_of(stored.runs[0].identity.experiment))
    assert seen == [run for run in stored.runs[:2] if run != stored.runs[0] or found is not None]
    return " ".join(store.notes) if found is None else "as it was"


def read_checkpoint(stored: Stored, path: Path) -> str:
    content = path.read_bytes()
    store = Store.open(stored.store.folder)
    store.epochs_done(stored.under_way)
    n_epochs = store.n_epochs_under_way(stored.under_way.experiment)
    assert n_epochs == 1 or store.notes, "epochs that are not counted are said"
    resumed = store.resume(stored.under_way)
    path.write_bytes(content)
    if resumed is None:
        return " ".join(store.notes)
    kept, found = stored.progress, progress_of(resumed, stored.under_way)
    assert kept.arrays is not None
    assert found.arrays is not None
    assert (found.epochs, found.wrong_images) == (kept.epochs, kept.wrong_images)
    assert found.arrays.keys() == kept.arrays.keys()
    assert all(np.array_equal(found.arrays[name], array) for name, array in kept.arrays.items())
    return "as it was"


def read_marker(stored: Stored, _: Path) -> str:
    try:
        store = Store.open(stored.store.folder)
    except StoreError as error:
        return str(error)
    assert store.find(stored.runs[0].identity, set_aside=False) == stored.runs[0]
    return "as it was"


def read_speeds(_: Stored, path: Path) -> str:
    found = speeds.read(path.parent)
    if found == {}:
        return speeds.problem(path.parent)
    assert found == json.loads((path.parent / "speed.kept").read_text())
    return "as it was"


def read_claims(__: Stored, path: Path) -> str:
    try:
        found, _ = record.load(path)
    except StepladderError as error:
        return str(error)
    assert found == record.load("mnist-1000")[0]
    return "as it was"


KINDS: dict[str, tuple[Callable[[Stored], Path], Callable[[Stored, Path], str]]] = {
    "record": (lambda stored: stored.path(stored.runs[0]), read_record),
    "weights": (lambda stored: stored.path(stored.runs[0], "safetensors"), read_record),
    "checkpoint": (lambda stored: stored.path(stored.under_way, "partial.safetensors"), read_checkpoint),
    "marker": (lambda stored: stored.store.folder / "store.json", read_marker),
    "speeds": (lambda stored: stored.store.folder / "speed.json", read_speeds),
    "claims": (lambda stored: record_of_claims(stored.store.folder), read_claims),
}


def damage_and_read(stored: Stored, kind: str, n: int) -> int:
    """How often of 2 ``n`` times something was said; fails where a number is another one and nothing was."""
    path_of, read = KINDS[kind]
    path, rng = path_of(stored), Random(f"{kind} {n}")
    content, n_said = path.read_bytes(), 0
    (stored.store.folder / "speed.kept").write_text(json.dumps(speeds.read(stored.store.folder)))
    for damaged in chain(flipped(content, n, rng), other_digits(content, n, rng)):
        path.write_bytes(damaged)
        said = read(stored, path)
        assert said, f"not read, and nothing said: {damaged!r}"
        assert len(said) < 2000
        n_said += said != "as it was"
    path.write_bytes(content)
    assert read(stored, path) == "as it was"
    return n_said


@pytest.mark.parametrize("kind", KINDS)
def test_damage_never_changes_a_number_without_a_word(stored: Stored, kind: str) -> None:
    n_said = damage_and_read(stored, kind, N_SAMPLED)
    assert n_said > 1.9 * N_SAMPLED or kind == "marker", "1e-7 may become 1E-7, and it has hardly more than names"


def test_another_format_of_weights_that_is_a_changed_digit_is_damage(stored: Stored) -> None:
    """And no newer Stepladder's file, which a climb would not train over."""
    path = stored.path(stored.runs[0], "safetensors")
    content = path.read_bytes()
    for digit in (b"1", b"3", b"6"):
        path.write_bytes(content.replace(b'"format_version\\": 2', b'"format_version\\": ' + digit))
        assert path.read_bytes() != content
        assert "its weights are missing or damaged" in read_record(stored, path)


@pytest.mark.evidence
@pytest.mark.parametrize("kind", KINDS)
def test_damage_never_changes_a_number_without_a_word_3000_times(stored: Stored, kind: str) -> None:
    """Over the six kinds of file, 3,120 times."""
    n_said = damage_and_read(stored, kind, N_EVIDENCE)
    print(f"{kind}: {n_said} of {2 * N_EVIDENCE} were said")


def test_trainings_that_go_on_from_a_damaged_checkpoint_end_with_the_same_numbers(stored: Stored) -> None:
    go_on_from_damage(stored, 5)


@pytest.mark.evidence
def test_trainings_that_go_on_from_a_damaged_checkpoint_end_with_the_same_numbers_100_times(stored: Stored) -> None:
    go_on_from_damage(stored, 50)


def go_on_from_damage(stored: Stored, n: int) -> None:
    """Damage a checkpoint's header 2 ``n`` times, and train to the end."""
    path, rng = stored.path(stored.under_way, "partial.safetensors"), Random(n)
    content = path.read_bytes()
    finished = trained_to_the_end(stored)
    assert stored.store.notes == []
    header = 8 + int.from_bytes(content[:8], "little")
    for damaged in chain(flipped(content[:header], n, rng), other_digits(content[:header], n, rng)):
        stored.path(finished).unlink()
        path.write_bytes(damaged + content[header:])
        again = trained_to_the_end(stored)
        assert again.numbers() == finished.numbers()
        assert "trained from the start" in stored.store.notes.pop()


def trained_to_the_end(stored: Stored) -> Run:
    """The run of the training under way, from its checkpoint."""
    identity, splits = stored.under_way, stored.splits()
    resumed = stored.store.resume(identity, info=stored.info)
    progress = Progress() if resumed is None else progress_of(resumed, identity)
    for after in train(stored.engine, identity.recipe, splits=splits, seed=identity.seed, resume=progress):
        progress = after
    stored.store.save(*finished(identity, progress=progress, engine=stored.engine, splits=splits))
    run = stored.store.find(identity, set_aside=False)
    assert run is not None
    return run


def edited_checkpoint(stored: Stored, **changes: Any) -> None:
    progress = Progress(**(vars(stored.progress) | changes))
    path = stored.path(stored.under_way, "partial.safetensors")
    path.write_bytes(checkpoint_file(stored.under_way, progress))


def test_a_checkpoint_with_a_right_checksum_is_held_against_itself_and_its_network(stored: Stored) -> None:
    (epoch,), arrays = stored.progress.epochs, stored.progress.arrays
    assert arrays is not None
    for changes, words in (
        ({"epochs": (epoch.model_copy(update={"n_correct": epoch.n_correct + 1}),)}, "contradicts itself"),
        ({"epochs": (epoch,) * 3}, "it has 3 epochs, and its recipe 2"),
        ({"diverged_at_epoch": 7}, "diverged at epoch 7"),
        ({"wrong_images": ()}, "its wrong images are not those"),
        ({"arrays": {"parameters": arrays["parameters"][:-1]}}, "not those of its training"),
        ({"arrays": {"parameters": arrays["parameters"].astype(np.int32)}}, "not those of its training"),
        ({"arrays": {}}, "not those of its training"),
        ({"arrays": arrays | {"velocity": arrays["parameters"][:-1]}}, "not those of its training"),
        ({"arrays": {name: each for name, each in arrays.items() if name != "velocity"}}, "not those of its training"),
        ({"arrays": arrays | {"more": arrays["parameters"]}}, "not those of its training"),
        ({"arrays": {name: each.astype(np.float16) for name, each in arrays.items()}}, "not those of its training"),
        ({"arrays": arrays | {"velocity": arrays["velocity"] * np.float32(np.nan)}}, "hold what is no number"),
        ({"arrays": {name: -np.abs(each) for name, each in arrays.items()}}, "running_var is negative"),
        ({"epochs": (epoch.model_copy(update={"n_train": epoch.n_train - 1}),)}, "contradicts itself"),
    ):
        edited_checkpoint(stored, **changes)
        assert stored.store.resume(stored.under_way, info=stored.info) is None
        assert words in stored.store.notes.pop()


def test_a_checkpoint_of_format_1_is_not_trusted(stored: Stored) -> None:
    path = stored.path(stored.under_way, "partial.safetensors")
    shutil.copy(CORPUS / "stored" / "format-1.partial.safetensors", path)
    assert stored.store.n_epochs_under_way(stored.under_way.experiment) == 1, "it was evaluated all the same"
    assert stored.store.resume(stored.under_way) is None
    (note,) = stored.store.notes
    assert "is not trusted (it is of format 1, whose numbers no checksum covers): trained from the start" in note
    assert "damaged (" not in note


def test_a_run_of_format_1_is_read_by_its_own_rule(stored: Stored) -> None:
    path = stored.path(stored.runs[0])
    run = json.loads(path.read_bytes())["run"]
    old = json.loads(sealed("run", run, version=1))
    path.write_text(json.dumps(old))
    assert stored.store.find(stored.runs[0].identity, set_aside=False) == stored.runs[0]
    path.write_text(json.dumps(old | {"format_version": 2}))
    assert stored.store.find(stored.runs[0].identity, set_aside=False) is None
    assert "its checksum differs" in stored.store.notes[0]


def test_weights_that_vanish_or_change_after_their_record_is_read_are_refused(stored: Stored) -> None:
    run, path = stored.runs[0], stored.path(stored.runs[0], "safetensors")
    content = path.read_bytes()
    for damaged in (content[:-1], b"", content[:-1] + b"!"):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match="weights are missing or damaged"):
            stored.store.weights(run)
    path.unlink()
    with pytest.raises(StoreError, match="weights are missing or damaged"):
        stored.store.weights(run)


def test_a_record_that_contradicts_itself_is_never_written(stored: Stored) -> None:
    run = stored.runs[0]
    weights = stored.store.weights_file(run)
    with pytest.raises(StoreError, match="contradicts itself"):
        stored.store.save(run.model_copy(update={"epochs": run.epochs[:1]}), weights)
    with pytest.raises(StoreError, match="its weights are others"):
        stored.store.save(run, weights + b" ")
    assert stored.store.find(run.identity, set_aside=False) == run


# Records that cannot be true, each with a right checksum.


def last(tree: Tree) -> Tree:
    epoch: Tree = tree["epochs"][-1]
    return epoch


def first_wrong(tree: Tree) -> Tree:
    wrong: Tree = tree["wrong_images"][0]
    return wrong


def each_epoch(**changes: Any) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        for epoch in tree["epochs"]:
            epoch.update(changes)

    return change


def of_last(**changes: Any) -> Callable[[Tree], None]:
    return lambda tree: last(tree).update(changes)


def of_wrong(**changes: Any) -> Callable[[Tree], None]:
    return lambda tree: first_wrong(tree).update(changes)


def of_run(**changes: Any) -> Callable[[Tree], None]:
    return lambda tree: tree.update(changes)


def of_provenance(**changes: Any) -> Callable[[Tree], None]:
    return lambda tree: tree["provenance"].update(changes)


def of_identity(**changes: Any) -> Callable[[Tree], None]:
    return lambda tree: tree["identity"].update(changes)


def of_engine(**changes: Any) -> Callable[[Tree], None]:
    return lambda tree: tree["identity"]["engine"].update(changes)


def of_data(**changes: Any) -> Callable[[Tree], None]:
    return lambda tree: tree["identity"]["data"].update(changes)


def one_right_fewer(tree: Tree) -> None:
    last(tree)["n_correct"] -= 1


def other_labels(tree: Tree) -> None:
    """A right image of one class becomes one of another, in the first epoch alone."""
    confusion = tree["epochs"][0]["confusion"]
    right = next(k for k in range(10) if confusion[k][k])
    confusion[right][right] -= 1
    confusion[(right + 1) % 10][(right + 1) % 10] += 1


def negative_confusion(tree: Tree) -> None:
    row = last(tree)["confusion"][0]
    row[1] -= 1000
    row[2] += 1000


def eleven_classes(tree: Tree) -> None:
    for epoch in tree["epochs"]:
        epoch["confusion"] = [*([*row, 0] for row in epoch["confusion"]), [0] * 11]


def one_more_image(tree: Tree) -> None:
    for epoch in tree["epochs"]:
        epoch["confusion"][0][0] += 1
        epoch["n_correct"] += 1
        epoch["n_evaluated"] += 1


def ragged(tree: Tree) -> None:
    last(tree)["confusion"][0].append(0)


def shuffled(tree: Tree) -> None:
    tree["wrong_images"].reverse()


def one_wrong_image_less(tree: Tree) -> None:
    tree["wrong_images"].pop()


def one_wrong_image_twice(tree: Tree) -> None:
    tree["wrong_images"].insert(0, tree["wrong_images"][0])


def no_epochs(tree: Tree) -> None:
    tree["epochs"], tree["wrong_images"] = [], []


def an_epoch_less(tree: Tree) -> None:
    tree["epochs"].pop(0)


def an_epoch_more(tree: Tree) -> None:
    tree["epochs"].append(last(tree))


def other_recipe(tree: Tree) -> None:
    tree["identity"]["recipe"]["lr"] = 0.07


def deep(tree: Tree) -> None:
    nested: Any = []
    for _ in range(500):
        nested = [nested]
    tree["wrong_images"] = nested


def confused_differently(tree: Tree) -> None:
    """A wrong image is said to be taken for another class than the confusion has it."""
    wrong = first_wrong(tree)
    wrong["predicted"] = next(k for k in range(10) if k not in (wrong["label"], wrong["predicted"]))


CONTRADICTIONS: dict[str, tuple[Callable[[Tree], Any], str]] = {
    "101 of 100 correct": (of_last(n_correct=101), "101 of 100 images evaluated are correct"),
    "fewer than none correct": (of_last(n_correct=-1), "-1 of 100 images evaluated"),
    "a loss too small for its mistakes": (of_last(loss=0.0), "its loss is 0, with"),
    "a loss in training too small for its mistakes": (of_last(train_loss=0.0), "in training its loss is 0, with"),
    "unlike the diagonal": (one_right_fewer, "correct images, it"),
    "nothing evaluated": (of_last(n_evaluated=0), "is evaluated on 0"),
    "more evaluated than counted": (of_last(n_evaluated=99), "its confusion counts 100 images, of 99"),
    "trained on nothing": (each_epoch(n_train=0, n_train_correct=0), "it trains on 0 images"),
    "more right in training than trained on": (of_last(n_train_correct=301), "301 of 300 images trained on"),
    "trained on others than in the first epoch": (of_last(n_train=299), "another number of images than the first"),
    "trained on more than there are": (each_epoch(n_train=301), "where there are (300, 100)"),
    "evaluated on more than there are": (one_more_image, "where there are (300, 100)"),
    "no epochs": (no_epochs, "it has 0 epochs, and its recipe 2"),
    "an epoch less": (an_epoch_less, "it has 1 epochs, and its recipe 2"),
    "an epoch more": (an_epoch_more, "it has 3 epochs, and its recipe 2"),
    "diverged, with all epochs": (of_run(diverged_at_epoch=3, wrong_images=[]), "it diverged at epoch 3 of 2"),
    "diverged long before": (of_run(diverged_at_epoch=0), "it diverged at epoch 0"),
    "diverged, with wrong images": (
        lambda tree: tree.update(diverged_at_epoch=2, epochs=tree["epochs"][:1]),
        "wrong images of no final epoch",
    ),
    "ragged confusion": (ragged, "no square of classes"),
    "no confusion": (of_last(confusion=[]), "no square of classes"),
    "negative confusion": (negative_confusion, "fewer than no images"),
    "a class too many": (eleven_classes, "its network has 10 outputs, its confusion 11 classes"),
    "other labels in the first epoch": (other_labels, "other labels than the first one's"),
    "negative loss": (of_last(loss=-0.5), "its losses are"),
    "impossible loss": (of_last(train_loss=1e300), "its losses are"),
    "negative time": (of_last(train_s=-1.0), "it took -1 s"),
    "endless time": (of_last(evaluate_s=1e300), "1e+300 s"),
    "a wrong image less": (one_wrong_image_less, "not those of its final confusion"),
    "a wrong image twice": (one_wrong_image_twice, "not in order, or one is there twice"),
    "wrong images out of order": (shuffled, "not in order, or one is there twice"),
    "image 10^9": (of_wrong(index=10**9), "none of the 100 evaluated ones"),
    "image -1": (of_wrong(index=-1), "none of the 100 evaluated ones"),
    "image 10^400": (of_wrong(index=10**400), "none of the 100 evaluated ones"),
    "wrong, yet right": (lambda tree: of_wrong(predicted=first_wrong(tree)["label"])(tree), "final confusion"),
    "a class that is not there": (of_wrong(predicted=10), "final confusion"),
    "confused differently": (confused_differently, "final confusion"),
    "no probability": (of_wrong(probability=0.0), "a probability that no chosen class can have"),
    "probability above 1": (of_wrong(probability=1.5), "a probability that no chosen class can have"),
    "less sure than of others": (of_wrong(probability=0.05), "a probability that no chosen class can have"),
    "another seed": (of_identity(seed=2), "the record of another run"),
    "another recipe": (other_recipe, "the record of another run"),
    "other images": (of_data(sha256="0" * 64), "the record of another run"),
    "another engine": (of_engine(version="0.1"), "the record of another run"),
    "no checksum of weights": (of_run(weights_sha256="none"), "the checksum of its weights is none"),
    "other weights": (of_run(weights_sha256="0" * 64), "its weights are missing or damaged"),
    "finished yesterday": (of_provenance(finished_at="yesterday"), "'yesterday' is no time"),
    "finished in no zone": (of_provenance(finished_at="2026-11-22T12:00:00"), "is no time with its zone"),
    "a machine of 100,000 letters": (of_provenance(cpu="x" * 100_000), "tells more of its machine"),
    "a thousand libraries": (of_provenance(versions={f"x{n}": "1" for n in range(1000)}), "tells more of its machine"),
    "resumed less than never": (of_provenance(n_resumed=-1), "resumed -1 times"),
    "a loss that is no number": (of_last(loss=float("nan")), "epochs.1.loss: Input should be a finite number"),
    "an infinite loss": (of_last(loss=float("inf")), "epochs.1.loss: Input should be a finite number"),
    "a loss of 10^400": (of_last(loss=10**400), "epochs.1.loss"),
    "half an image": (of_last(n_correct=9.5), "epochs.1.n_correct: Input should be a valid integer"),
    "a truth": (of_last(n_correct=True), "epochs.1.n_correct: Input should be a valid integer"),
    "a field too many": (of_run(note="trust me"), "note: Extra inputs are not permitted"),
    "a field too few": (lambda tree: tree.pop("epochs"), "epochs: Field required"),
    "lists in lists": (deep, "recursion limit exceeded"),
    "a list": (lambda tree: tree.clear(), "Field required"),
}
FIRST_FALSE = 101  # the seed of the first of them


def keep_false(stored: Stored, seed: int, change: Callable[[Tree], Any]) -> Path:
    """A record of this seed, made of that of seed 1, its weights beside it."""
    run = stored.runs[0]
    identity = run.identity.model_copy(update={"seed": seed})
    tree = deepcopy(run.model_dump(mode="json"))
    tree["identity"]["seed"] = seed
    change(tree)
    path = stored.path(identity)
    content = weights_file(stored.store.weights(run), about_run(identity, stored.splits()))
    stored.path(identity, "safetensors").write_bytes(content)
    path.write_bytes(sealed("run", tree, version=FORMAT_VERSION))
    return path


def test_a_true_record_of_a_made_up_seed_would_be_read(stored: Stored) -> None:
    keep_false(stored, FIRST_FALSE, of_run())
    assert len(list(stored.store.runs_of(stored.runs[0].identity.experiment))) == 3
    assert stored.store.notes == []


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_record_that_cannot_be_true_is_left_out_and_said(stored: Stored, name: str) -> None:
    change, words = CONTRADICTIONS[name]
    path = keep_false(stored, FIRST_FALSE, change)
    results = collect(stored.ladder, stored.store)
    assert [rung.summary.seeds for rung in results.rungs] == [(1, 2), (1, 2)], "the others are shown"
    (note,) = stored.store.notes
    assert note.startswith(f"{path} is damaged (")
    assert words in note
    assert len(note) < 1000


def test_records_of_engines_that_are_none_are_left_out(stored: Stored) -> None:
    """Their files are called as their records say."""
    engines: list[dict[str, Any]] = [{"name": "ABACUS"}, {"device": "toaster"}, {"revision": 0}, {"version": "1 b"}]
    for seed, changes in enumerate(engines, 3):
        old = keep_false(stored, seed, of_engine(**changes))
        tag = stored.runs[0].identity.engine.model_copy(update=changes).tag
        for ending in ("json", "safetensors"):
            Path(str(old).replace(".json", f".{ending}")).rename(old.with_name(f"seed-{seed}.{tag}.{ending}"))
    assert len(list(stored.store.runs_of(stored.runs[0].identity.experiment))) == 2
    assert len(stored.store.notes) == 4
    assert all("contradicts itself: " in note for note in stored.store.notes)


def said_by(result: Result) -> str:
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture
def command(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command line in this process, about the damaged store."""
    monkeypatch.chdir(stored.store.folder.parent)
    monkeypatch.setenv("STEPLADDER_STORE", str(stored.store.folder))
    return lambda *arguments: CliRunner().invoke(main, [str(each) for each in arguments])


def test_every_command_leaves_out_what_cannot_be_true_and_shows_the_others(
    stored: Stored, command: Callable[..., Result]
) -> None:
    ladder = stored.ladder_path
    before = {
        how: command(*how, ladder, "--json") if how[0] != "report" else command(*how, ladder, "-o", "-")
        for how in (("show",), ("compare",), *(("report", "--format", form) for form in ("json", "csv", "markdown")))
    }
    paths = [keep_false(stored, seed, change) for seed, (change, _) in enumerate(CONTRADICTIONS.values(), FIRST_FALSE)]
    for how, whole in before.items():
        again = command(*how, ladder, "-o", "-") if how[0] == "report" else command(*how, ladder, "--json")
        assert again.exit_code == whole.exit_code == 0
        assert again.stdout == whole.stdout, how
        assert all(str(path) in again.stderr for path in paths), how
    page = command("report", ladder, "-o", "page.html")
    assert page.exit_code == 0
    assert all(str(path) in said_by(page) for path in paths)
    listed = json.loads(command("runs", "list", ladder, "--json").stdout)
    states = {run["state"]: 0 for each in listed["experiments"] for run in each["runs"]}
    for run in (run for each in listed["experiments"] for run in each["runs"]):
        states[run["state"]] += 1
    assert states["finished"] == 4
    assert states["under way"] == 1
    assert states["damaged"] == len(paths)
    checked = command("runs", "check", ladder, "--json")
    assert checked.exit_code == 2
    outcomes = [run["outcome"] for run in json.loads(checked.stdout)["runs"]]
    assert outcomes.count("agrees") == 4
    assert outcomes.count("damaged") == len(paths)


def test_a_climb_trains_again_what_cannot_be_true(stored: Stored) -> None:
    keep_false(stored, 9, of_last(n_correct=101))
    with Here() as executor:
        assert not climb(stored.ladder, seeds=[1, 9], store=stored.store, engine=stored.engine, executor=executor)
    found = stored.store.find(stored.under_way, set_aside=False)
    assert found is not None
    assert found.epochs[0].n_correct == stored.progress.epochs[0].n_correct, "it goes on from its checkpoint"
    assert list((stored.store.folder / "damaged").iterdir())


def test_a_newer_run_stops_no_command_and_no_other_run(stored: Stored, command: Callable[..., Result]) -> None:
    path = stored.path(stored.runs[0])
    path.write_bytes(sealed("run", {"of": "another kind"}, version=9))
    shown = command("show", stored.ladder_path, "--json")
    assert shown.exit_code == 0
    assert [rung["seeds"] for rung in json.loads(shown.stdout)["rungs"]] == [[2], [1, 2]]
    assert "written by a newer Stepladder (format 9" in shown.stderr
    with Here() as executor:
        (failure,) = climb(stored.ladder, seeds=[1, 9], store=stored.store, engine=stored.engine, executor=executor)
    assert "newer Stepladder" in failure.reason
    assert stored.store.find(stored.under_way, set_aside=False) is not None, "the others are trained"
    assert b"another kind" in path.read_bytes()


# Hostile files.


@pytest.mark.parametrize("name", sorted(path.name for path in (CORPUS / "stored").glob("*.json")))
def test_hostile_files_are_refused_in_one_short_line(stored: Stored, name: str) -> None:
    content, folder = (CORPUS / "stored" / name).read_bytes(), stored.store.folder
    for kind, (path_of, read) in KINDS.items():
        path = path_of(stored)
        kept = path.read_bytes()
        (folder / "speed.kept").write_text(json.dumps(speeds.read(folder)))
        path.write_bytes(content)
        said = read(stored, path)
        assert said not in ("", "as it was"), kind
        assert len(said) < 2000
        assert "\n" not in said
        assert not re.search("recursion|set_int_max_str_digits", said), "a setting of Python is no remedy"
        path.write_bytes(kept)


@pytest.mark.parametrize("kind", ["record", "marker", "speeds", "claims"])
def test_a_key_that_comes_twice_is_refused(stored: Stored, kind: str) -> None:
    """With a right checksum: Python takes the last, the sealed one, and a reader may see the first."""
    path_of, read = KINDS[kind]
    path = path_of(stored)
    kept = path.read_text()
    (stored.store.folder / "speed.kept").write_text(json.dumps(speeds.read(stored.store.folder)))
    inner = re.search(r'"(n_correct|sha256|format_version)": ?\S', kept)
    assert inner
    for place, name in ((kept.index("{") + 1, "format_version"), (inner.start(), inner[1])):
        path.write_text(f'{kept[:place]}"{name}": 7, {kept[place:]}')
        said = read(stored, path)
        assert f"it has '{name}' twice" in said or (kind == "marker" and "is damaged" in said), said


def test_a_record_of_brackets_alone_is_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "rec.json"
    path.write_text("[" * 100_000)
    told = CliRunner().invoke(main, ["reproduce", str(path)], standalone_mode=False)
    assert str(told.exception) == (
        f"{path}: no record: its brackets are nested too deeply for any file of Stepladder: get it again,"
        " unchanged, from where it came"
    )


def test_files_that_are_no_files_are_refused_at_once(stored: Stored) -> None:
    for kind, (path_of, read) in KINDS.items():
        path = path_of(stored)
        kept = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        said = read_unkept(stored, path, read)
        assert said, kind
        if path.exists():
            path.unlink()
        path.symlink_to("/dev/zero")
        assert read_unkept(stored, path, read), kind
        path.unlink(missing_ok=True)
        path.write_bytes(kept)


def read_unkept(stored: Stored, path: Path, read: Callable[[Stored, Path], str]) -> str:
    """What is said of something that cannot be read to be put back."""
    if read is not read_checkpoint:
        return read(stored, path)
    store = Store.open(stored.store.folder)
    assert store.epochs_done(stored.under_way) == (0, 0)
    assert store.n_epochs_under_way(stored.under_way.experiment) == 0
    assert store.resume(stored.under_way) is None
    return " ".join(store.notes)


def test_looks_of_older_versions_change_nothing(stored: Stored) -> None:
    """Whole, of format 1, damaged, endless, or no file at all: nothing reads them, and nothing writes over them."""

    def seen() -> tuple[object, ...]:
        store = Store.open(stored.store.folder)
        found = collect(stored.ladder, store)
        return found.rungs, found.n_test_looks, compare(found), store.notes

    path, rng = stored.store.folder / "looks.json", Random(3)
    content, expected = path.read_bytes(), seen()
    older = old_looks(stored.runs[0].identity, stored.runs[2].identity, version=1)
    newer = old_looks(stored.runs[0].identity, stored.runs[2].identity, version=3)
    for damaged in (
        older,
        newer,
        b"",
        b"{",
        b"[" * 100_000,
        *flipped(content, 10, rng),
        *other_digits(content, 10, rng),
    ):
        path.write_bytes(damaged)
        assert seen() == expected
        assert path.read_bytes() == damaged
    path.unlink()
    assert seen() == expected
    path.mkdir()
    assert seen() == expected
    path.rmdir()
    path.symlink_to("/proc/gone")
    assert seen() == expected


def test_speeds_without_a_checksum_are_read(stored: Stored) -> None:
    (stored.store.folder / "speed.json").write_text('{"jit-1": 5e8, "jit-2": "1e9", "jit-3": true, "jit-4": 1e999}')
    assert speeds.read(stored.store.folder) == {"jit-1": 5e8}


def test_claims_that_are_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "r.json").mkdir()
    with pytest.raises(LadderError, match="it is a folder"):
        record.load(tmp_path / "r.json")


def test_weights_of_another_network_are_left_out(stored: Stored) -> None:
    """Their checksum is right, and so is the record's."""
    content = stored.store.weights_file(stored.runs[0])
    arrays = load(content)
    arrays["0.weight"] = arrays["0.weight"][:-1]
    other = save(arrays)
    path = keep_false(stored, 3, of_run(weights_sha256=sha256(other).hexdigest()))
    path.with_suffix(".safetensors").write_bytes(other)
    assert collect(stored.ladder, stored.store).rungs[0].summary.seeds == (1, 2)
    assert "its weights are not those of its network" in stored.store.notes[0]
