"""Stored runs are replayed: each once, named after ladders, as often as one likes; by the command as it is typed."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from stored import Stored, make_store

import stepladder as sl
from stepladder.cli.main import main
from stepladder.errors import StepladderError
from stepladder.runs.store import Store
from stepladder.tracking.replaying import runs_of, stored_runs

IN_ALL = 4  # finished runs


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return make_store(tmp_path_factory.mktemp("original"))


@pytest.fixture
def stored(original: Stored, tmp_path: Path) -> Stored:
    """A copy to change."""
    shutil.copytree(original.store.folder, tmp_path / "runs")
    return replace(original, store=Store.open(tmp_path / "runs"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def replay(logs: Path, *words: object) -> Result:
    """``stepladder replay``, to TensorBoard unless said otherwise."""
    where = [] if "--log-dir" in words else ["--log-dir", logs]
    to = [] if "--to" in words else ["--to", "tensorboard"]
    return CliRunner().invoke(main, [*map(str, ["replay", *words, *to, *where])], catch_exceptions=False)


def test_runs_are_named_after_the_rungs_of_a_ladder(stored: Stored) -> None:
    told = list(stored_runs(stored.store, [stored.ladder], only=True))
    assert {(run.project, run.group, run.seed) for run in told} == {
        ("small", "start", 1),
        ("small", "start", 2),
        ("small", "slower", 1),
        ("small", "slower", 2),
    }
    collected = list(runs_of(sl.collect(stored.ladder, stored.store)))
    assert sorted(collected, key=lambda run: run.id) == sorted(told, key=lambda run: run.id)


def test_without_a_ladder_keys_name_them_and_sizes_are_those_of_their_weights(stored: Stored) -> None:
    told = list(stored_runs(stored.store, [], only=False))
    named = {run.id: run for run in stored_runs(stored.store, [stored.ladder], only=True)}
    assert len(told) == IN_ALL
    for run in told:
        assert (run.project, run.group) == ("stepladder", run.tags["experiment"])
        assert run.tags["params"] == named[run.id].tags["params"]
        assert run.tags["macs"] == named[run.id].tags["macs"]


def test_only_what_is_on_these_ladders(stored: Stored) -> None:
    top = stored.ladder.top
    assert {run.group for run in stored_runs(stored.store, [top], only=True)} == {"slower"}
    assert len(list(stored_runs(stored.store, [top], only=False))) == IN_ALL


def test_a_damaged_record_is_left_out_and_said(stored: Stored, tmp_path: Path) -> None:
    path = stored.store.folder / f"{stored.runs[0].identity.key}.json"
    path.write_bytes(path.read_bytes()[:-20])
    done = replay(tmp_path / "logs", stored.ladder_path, "--store", stored.store.folder)
    assert done.exit_code == 0
    assert f"{stored.runs[0].identity.key}: " in done.stderr
    assert "left out" in done.stderr
    assert "3 runs told to tensorboard, 3 new" in done.stdout


@pytest.mark.parametrize("with_ladder", [False, True])
def test_replayed_again_it_adds_and_changes_nothing(stored: Stored, tmp_path: Path, with_ladder: bool) -> None:
    words = [stored.store.folder, *[stored.ladder_path] * with_ladder]
    done = replay(tmp_path / "logs", *words)
    assert (done.exit_code, done.stderr) == (0, "")
    assert (
        f"{IN_ALL} runs told to tensorboard, {IN_ALL} new, in {tmp_path / 'logs'}: tensorboard --logdir" in done.stdout
    )
    before = files(tmp_path / "logs")
    assert len(before) == IN_ALL
    assert f"{IN_ALL} runs told to tensorboard, 0 new" in replay(tmp_path / "logs", *words).stdout
    assert files(tmp_path / "logs") == before


def test_after_more_runs_only_those_are_added(stored: Stored, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(stored.store.folder, kept)
    for path in stored.store.folder.glob("*/seed-2.*"):
        path.unlink()
    words = (stored.ladder_path, "--json")
    first = json.loads(replay(tmp_path / "logs", *words, "--store", stored.store.folder).stdout)
    before = files(tmp_path / "logs")
    assert [run["new"] for run in first["runs"]] == [True, True]
    then = json.loads(replay(tmp_path / "logs", *words, "--store", kept).stdout)
    assert {(run["group"], run["seed"]) for run in then["runs"] if run["new"]} == {("start", 2), ("slower", 2)}
    assert before.items() < files(tmp_path / "logs").items()
    assert then["schema_version"] == 1
    assert then["to"] == "tensorboard"


def test_a_replay_that_is_killed_and_repeated_is_complete(stored: Stored, tmp_path: Path) -> None:
    """At the first sign of a file, and a little later, each time in the folder that the one before left."""
    logs, whole = tmp_path / "logs", tmp_path / "whole"
    words = ("replay", stored.ladder_path, "--store", stored.store.folder, "--to", "tensorboard", "--log-dir")
    assert replay(whole, stored.ladder_path, "--store", stored.store.folder).exit_code == 0
    command = [sys.executable, "-m", "stepladder", *map(str, words), str(logs)]
    for wait_s in (0.0, 0.002):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            n_before = len(list(logs.rglob("seed-*")))
            while process.poll() is None and len(list(logs.rglob("seed-*"))) == n_before:
                time.sleep(0.001)
            time.sleep(wait_s)
            process.send_signal(signal.SIGKILL)
    assert replay(logs, stored.ladder_path, "--store", stored.store.folder).exit_code == 0
    events = {name: content for name, content in files(logs).items() if "tfevents" in name}
    assert events == files(whole)


def test_two_stores_are_one_too_many(stored: Stored, tmp_path: Path) -> None:
    done = replay(tmp_path / "logs", stored.store.folder, "--store", stored.store.folder)
    assert done.exit_code == 2
    assert "one store at a time" in done.stderr
    done = replay(tmp_path / "logs", tmp_path)
    assert done.exit_code == 2
    assert "no runs at" in done.stderr


def test_a_folder_called_as_a_shipped_ladder_is_a_store_if_it_is_one(
    stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist-8k").mkdir()
    done = replay(tmp_path / "logs", "mnist-8k", "--store", stored.store.folder)
    assert (done.exit_code, done.stdout) == (0, "There are no runs to replay.\n")
    (tmp_path / "mnist-8k").rmdir()
    shutil.copytree(stored.store.folder, tmp_path / "mnist-8k")
    assert f"{IN_ALL} runs told" in replay(tmp_path / "logs", "mnist-8k").stdout


def test_a_ladder_that_is_given_twice_counts_once(stored: Stored, tmp_path: Path) -> None:
    done = replay(tmp_path / "logs", stored.ladder_path, stored.ladder_path, "--store", stored.store.folder)
    assert f"{IN_ALL} runs told to tensorboard, {IN_ALL} new" in done.stdout


@pytest.mark.parametrize("to", ["tensorboard", "mlflow"])
def test_a_folder_that_cannot_be_had_is_refused_with_the_remedy(to: str, stored: Stored, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for log_dir, said in (("", "an empty path is no folder"), (tmp_path / "file", "give another folder")):
        done = replay(tmp_path, stored.store.folder, "--to", to, "--log-dir", log_dir)
        assert done.exit_code == 2
        assert said in done.stderr
        assert "with --log-dir" in done.stderr


def test_an_unknown_tracker_is_told_what_there_is(stored: Stored, tmp_path: Path) -> None:
    for asked, said in (
        ("tensorbord", "no tracker 'tensorbord'; did you mean 'tensorboard'?"),
        ("weights-and-biases", "did you mean 'wandb'?"),
        ("neptune", "there is none here; a package can bring one"),
        ("xyz", "known are mlflow, tensorboard, trackio, wandb"),
    ):
        done = replay(tmp_path / "logs", stored.store.folder, "--to", asked)
        assert done.exit_code == 2
        assert said in done.stderr, done.stderr


@pytest.mark.parametrize("name", ["mlflow", "wandb", "trackio"])
def test_a_library_that_is_missing_is_named_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"{name}.sqlite_storage", raising=False)
    with pytest.raises(
        StepladderError, match=rf"the {name} tracker needs .*not installed .*pip install '\.\[{name}\]'"
    ):
        sl.replay(None, name)  # type: ignore[arg-type]


def test_nothing_to_replay_is_no_error(tmp_path: Path) -> None:
    Store.open(tmp_path / "empty", create=True)
    done = replay(tmp_path / "logs", tmp_path / "empty")
    assert (done.exit_code, done.stdout) == (0, "There are no runs to replay.\n")


def test_python_replays_results(stored: Stored, tmp_path: Path) -> None:
    results = sl.collect(stored.ladder, stored.store)
    assert sl.replay(results, "tensorboard", log_dir=tmp_path / "logs") == IN_ALL
    assert sl.replay(results, "tensorboard", log_dir=tmp_path / "logs") == 0
