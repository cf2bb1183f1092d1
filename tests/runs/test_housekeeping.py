"""What a store holds: listed, evaluated again, deleted, merged."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from here import Here
from stored import Stored, make_store

from stepladder._base.files import sealed
from stepladder.cli.main import main
from stepladder.climbing.climbing import climb
from stepladder.execution.rechecking import check_runs, others
from stepladder.reporting.pages.runs_page import ranges, size
from stepladder.runs.housekeeping import SILENT_S, chosen, delete, experiments, merge
from stepladder.runs.model import about_run
from stepladder.runs.store import Store
from stepladder.runs.weight_files import weights_file


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return make_store(tmp_path_factory.mktemp("original"))


@pytest.fixture
def stored(original: Stored, tmp_path: Path) -> Stored:
    """A copy to change."""
    shutil.copytree(original.store.folder, tmp_path / "runs")
    return replace(original, store=Store.open(tmp_path / "runs"))


@pytest.fixture
def command(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """``stepladder runs ...`` in this process, in the folder of the store."""
    monkeypatch.chdir(stored.store.folder.parent)

    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(main, ["runs", *map(str, arguments)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


def files_of(store: Store) -> dict[str, bytes]:
    return {
        str(path.relative_to(store.folder)): path.read_bytes() for path in store.folder.rglob("*") if path.is_file()
    }


# list


def test_list_says_what_each_folder_is(stored: Stored, command: Callable[..., Result]) -> None:
    start, slower = (stored.runs[k].identity.experiment for k in (0, 2))
    listed = json.loads(command("list", stored.ladder_path, "--json").stdout)
    assert listed["schema_version"] == 2
    by_folder = {each["folder"]: each for each in listed["experiments"]}
    assert by_folder.keys() == {start, slower}
    assert by_folder[start]["rungs"] == [{"ladder": "small", "rung": "start"}]
    assert by_folder[slower]["rungs"] == [{"ladder": "small", "rung": "slower"}]
    assert [(run["seed"], run["state"], run["epochs_done"]) for run in by_folder[start]["runs"]] == [
        (1, "finished", 2),
        (2, "finished", 2),
        (9, "under way", 1),
    ]
    in_folders = sum(len(content) for name, content in files_of(stored.store).items() if "/" in name)
    assert listed["bytes"] == sum(each["bytes"] for each in listed["experiments"]) == in_folders
    text = command("list", stored.ladder_path).stdout
    assert "small: start" in text
    assert "1 to 2" in text
    assert "under way, epoch 1 of 2" in text


def test_list_describes_what_is_on_no_known_ladder(stored: Stored, command: Callable[..., Result]) -> None:
    text = " ".join(command("list").stdout.split())
    assert "4s4-gap-10; 2 epochs; small (test)" in text
    assert "lr 0.02" in text, "what tells the second rung from the first"
    assert "'stepladder runs list LADDER' gives those of a ladder file of yours the names of its rungs" in text
    assert "ladder file of yours" not in command("list", stored.ladder_path).stdout
    stored.path(stored.runs[0]).write_text("{")
    stored.path(stored.runs[1], "safetensors").unlink()
    (stored.store.folder / "notes").mkdir()
    result = command("list")
    assert result.exit_code == 0
    assert "seed-1.jit" in result.stdout
    assert "its weights are missing or damaged" in result.stdout


def test_sizes_and_seeds_in_words() -> None:
    assert [size(n) for n in (0, 1, 999, 1000, 356_000, 1_200_000, 3_000_000_000)] == [
        "0 bytes",
        "1 byte",
        "999 bytes",
        "1 KB",
        "356 KB",
        "1.2 MB",
        "3 GB",
    ]
    assert ranges([1, 2, 3, 7, 9, 10]) == "1 to 3, 7, 9 to 10"


# check


def test_stored_weights_give_the_counts_of_their_records(stored: Stored, command: Callable[..., Result]) -> None:
    result = command("check", stored.ladder_path)
    assert result.exit_code == 0
    assert "5 runs: 4 agree with their records, 0 differ, 0 damaged, 1 not checked." in result.stdout
    for run in stored.runs:
        assert run.final is not None
        assert f"{run.final.n_correct} of 100 correct" in result.stdout
    seed_1 = json.loads(command("check", stored.ladder_path, "--seeds", "1", "--json").stdout)
    assert [(run["seed"], run["outcome"]) for run in seed_1["runs"]] == [(1, "agrees")] * 2


def test_averaged_and_recalibrated_weights_are_what_was_evaluated(stored: Stored) -> None:
    bottom = stored.ladder.rungs[0]
    changed = bottom.recipe.model_validate(
        bottom.recipe.model_dump()
        | {"recalibrate_images": 128, "average": {"horizon_epochs": 0.5}, "dropout": 0.2, "batch_size": 32}
    )
    ladder = stored.ladder.with_rungs((replace(bottom, recipe=changed),))
    with Here() as executor:
        assert not climb(ladder, seeds=[1], store=stored.store, engine=stored.engine, executor=executor)
    (checked,) = check_runs(stored.store, experiments(stored.store, [ladder], only=True), sources=[stored.ladder.data])
    assert checked.outcome == "agrees"


def test_images_that_are_not_here_are_said(command: Callable[..., Result]) -> None:
    result = command("check")
    assert result.exit_code == 0
    assert "its images (small) are not here: name their ladder" in result.stdout
    assert "0 agree with their records, 0 differ, 0 damaged, 5 not checked" in result.stdout


def keep_other_weights(stored: Stored, by: float, **provenance: object) -> None:
    """The first run, its record whole, with weights that were not those evaluated."""
    run = stored.runs[0]
    kept = stored.store.find(run.identity, set_aside=False)
    assert kept is not None
    weights = stored.store.weights(kept)
    weights["2.bias"] = weights["2.bias"] + np.float32(by) * (np.arange(10) == 3)
    content = weights_file(weights)
    about = run.provenance.model_copy(update=provenance)
    other = run.model_copy(update={"weights_sha256": sha256(content).hexdigest(), "provenance": about})
    stored.store.save(other, content)


def test_weights_that_give_other_counts_are_found(stored: Stored, command: Callable[..., Result]) -> None:
    keep_other_weights(stored, 10)
    result = command("check", stored.ladder_path, "--json")
    assert result.exit_code == 2
    assert "1 of the files or runs in runs are damaged or differ" in result.stderr
    (found,) = [run for run in json.loads(result.stdout)["runs"] if run["outcome"] == "differs"]
    assert found["seed"] == 1
    assert "other answers" in found["words"]


def test_another_cpu_may_round_otherwise_and_no_more(stored: Stored) -> None:
    own = stored.runs[0].provenance.versions
    for by, cpu, outcome in (
        (0.0, own["cpu-target"], "agrees"),
        (0.0, "another", "agrees"),
        (10.0, "another", "differs"),
    ):
        keep_other_weights(stored, by, versions=own | {"cpu-target": cpu})
        found = experiments(stored.store, [stored.ladder], only=True)
        checked = {each.stored.key: each for each in check_runs(stored.store, found, sources=[stored.ladder.data])}
        mine = checked[stored.runs[0].identity.key]
        assert mine.outcome == outcome
        assert (", by jit" in mine.words) == (cpu == "another")


@pytest.mark.parametrize(("gap", "by_rounding"), [(1e-5, 1), (9e-4, 1), (2e-3, 0), (1.0, 0)])
def test_only_answers_as_near_as_rounding_may_differ(stored: Stored, gap: float, by_rounding: int) -> None:
    run, labels = stored.runs[0], stored.splits().evaluated.labels
    before = labels.copy()
    for wrong in run.wrong_images:
        before[wrong.index] = wrong.predicted
    logits = np.eye(10, dtype=np.float32)[before]
    assert others(run, logits, labels) == (0, 0)
    logits[7, (before[7] + 1) % 10] = 1 + gap
    assert others(run, logits, labels) == (1, by_rounding)


def test_an_engine_of_another_version_evaluates_in_its_place(stored: Stored) -> None:
    run = stored.runs[0]
    engine = run.identity.engine.model_copy(update={"version": "0.1"})
    identity = run.identity.model_copy(update={"engine": engine})
    content = weights_file(stored.store.weights(run), about_run(identity, stored.splits()))
    stored.store.save(run.model_copy(update={"identity": identity}), content)
    found = experiments(stored.store, [stored.ladder], only=True)
    outcomes = list(check_runs(stored.store, found, sources=[stored.ladder.data]))
    assert [each.outcome for each in outcomes].count("agrees") == 5
    assert sum(", by jit" in each.words for each in outcomes) == 1


def test_check_reads_the_other_files_too(stored: Stored, command: Callable[..., Result]) -> None:
    path = stored.store.folder / "speed.json"
    path.write_bytes(path.read_bytes()[:-2])
    result = command("check", "--json")
    assert result.exit_code == 2
    (problem,) = json.loads(result.stdout)["problems"]
    assert "speed.json is damaged" in problem


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"format_version": 9}'])
def test_looks_of_older_versions_are_no_part_of_a_store(
    stored: Stored, command: Callable[..., Result], tmp_path: Path, content: bytes | None
) -> None:
    """They are not listed, checked, merged or deleted, whole or damaged; and they stay."""
    path = stored.store.folder / "looks.json"
    if content is not None:
        path.write_bytes(content)
    content = path.read_bytes()
    checked = command("check", "--json")
    assert (checked.exit_code, json.loads(checked.stdout)["problems"]) == (0, [])
    into = other_store(stored, tmp_path / "into")
    (into.folder / "looks.json").write_bytes(b"of its own")
    merged = command("merge", "into", "runs", "--json")
    assert merged.exit_code == 0
    told = json.loads(merged.stdout)
    assert (told["copied"], told["problems"], told["conflicts"]) == ([stored.runs[0].identity.key], [], [])
    assert "looks" not in merged.stdout
    assert (into.folder / "looks.json").read_bytes() == b"of its own"
    assert command("list", "--json").stdout.count("looks") == 0
    assert command("delete", stored.ladder_path, "--yes").exit_code == 0
    assert path.read_bytes() == content


def test_a_check_of_nothing_says_so(stored: Stored, command: Callable[..., Result]) -> None:
    for arguments in (["mnist-8k"], [stored.ladder_path, "--seeds", "3"]):
        result = command("check", *arguments)
        name = "small with these seeds" if len(arguments) > 1 else "mnist-8k"
        assert (result.exit_code, result.stdout) == (
            0,
            f"No runs of {name} are in {stored.store.folder.name}: there is nothing to check.\n",
        )
    assert json.loads(command("check", "mnist-8k", "--json").stdout)["runs"] == []


# delete


def test_delete_says_what_goes_and_asks(stored: Stored, command: Callable[..., Result]) -> None:
    before = files_of(stored.store)
    result = command("delete", stored.ladder_path, "--rung", "slower")
    assert result.exit_code == 2
    assert "add --yes" in result.stderr
    assert result.stdout.count("small: slower") == 2
    assert files_of(stored.store) == before, "nobody was asked"
    assert command("delete", stored.ladder_path, "--rung", "slower", "--yes").exit_code == 0
    slower = stored.runs[2].identity.experiment
    assert files_of(stored.store) == {name: each for name, each in before.items() if not name.startswith(slower)}
    assert not (stored.store.folder / slower).exists()


def test_delete_takes_seeds_and_folders(stored: Stored, command: Callable[..., Result]) -> None:
    folder = stored.runs[0].identity.experiment
    os.utime(stored.path(stored.under_way, "partial.safetensors"), (0, 0))
    before = files_of(stored.store)
    assert "nothing of" in command("delete", folder, "--seeds", "8", "--yes").stderr, "8 is seed 8, not 1 to 8"
    for wrong in ("8-", "-8", "all", "1,2", ""):
        result = command("delete", folder, f"--seeds={wrong}", "--yes")
        assert result.exit_code == 2
        assert "is not a seed, such as 9, nor a range, such as 101-200" in result.stderr
    assert "runs backwards" in command("delete", folder, "--seeds", "9-1", "--yes").stderr
    assert files_of(stored.store) == before
    assert command("delete", folder, "--seeds", "9", "--yes").exit_code == 0
    assert not list((stored.store.folder / folder).glob("seed-9.*"))
    assert command("delete", folder, "--seeds", "1-1", "--yes").exit_code == 0
    assert {path.name.partition(".")[0] for path in (stored.store.folder / folder).iterdir()} == {"seed-2"}
    assert command("delete", folder, "--yes").exit_code == 0
    assert not (stored.store.folder / folder).exists()
    assert "no folder in runs begins with" in command("delete", folder, "--yes").stderr
    assert "nothing of" in command("delete", "mnist-8k", "--yes").stderr
    assert "no stored runs of a rung 'top'; there are runs of slower" in (
        command("delete", stored.ladder_path, "--rung", "top", "--yes").stderr
    )


def test_what_another_process_trains_is_not_deleted(stored: Stored, command: Callable[..., Result]) -> None:
    code = (
        "import sys, time\n"
        "from stepladder.runs.run import RunIdentity\n"
        "from stepladder.runs.run_files import checkpoint_file, progress_of\n"
        "from stepladder.runs.store import Store\n"
        "store, identity = Store.open(sys.argv[1]), RunIdentity.model_validate_json(sys.stdin.read())\n"
        "store.checkpoint(identity, checkpoint_file(identity, progress_of(store.resume(identity), identity)))\n"
        "print('kept', flush=True)\n"
        "time.sleep(600)\n"
    )
    arguments = [sys.executable, "-c", code, str(stored.store.folder)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as trainer:
        try:
            assert trainer.stdin is not None
            assert trainer.stdout is not None
            trainer.stdin.write(stored.under_way.model_dump_json())
            trainer.stdin.close()
            assert trainer.stdout.readline() == "kept\n"
            before = files_of(stored.store)
            refused = command("delete", stored.ladder_path, "--yes")
            assert refused.exit_code == 2
            assert f"is being trained by process {trainer.pid}: wait for it or end it" in refused.stderr
            assert files_of(stored.store) == before
        finally:
            trainer.kill()
    assert command("delete", stored.ladder_path, "--yes").exit_code == 0
    assert not list(stored.store.folder.glob("?" * 16))


def test_an_old_checkpoint_is_of_nobody(stored: Stored) -> None:
    path = stored.path(stored.under_way, "partial.safetensors")
    os.utime(path, (path.stat().st_mtime - SILENT_S - 1,) * 2)
    found = experiments(stored.store, [stored.ladder])
    delete(stored.store, chosen(found, seeds=[9]))
    assert not path.exists()


@pytest.mark.parametrize("ending", ["lock", "json", "partial.safetensors"])
def test_what_cannot_be_deleted_is_said_and_the_others_go(
    stored: Stored, command: Callable[..., Result], ending: str
) -> None:
    first, second = stored.runs[:2]
    os.utime(stored.path(stored.under_way, "partial.safetensors"), (0, 0))
    in_the_way = stored.path(first, ending)
    in_the_way.unlink(missing_ok=True)
    in_the_way.mkdir()
    result = command("delete", first.identity.experiment, "--yes")
    assert result.exit_code == 2
    assert f"cannot delete {in_the_way.relative_to(stored.store.folder.parent)}: it is a folder" in result.stdout
    assert f"Deleted: {second.identity.key}\n" in result.stdout
    assert f"Deleted: {first.identity.key}\n" not in result.stdout
    assert "2 of 3 runs deleted." in result.stdout
    left = {path.name for path in in_the_way.parent.iterdir()}
    assert left == {in_the_way.name, *([stored.path(first, "safetensors").name] if ending == "json" else [])}


def test_what_a_link_leads_to_is_not_deleted(stored: Stored, tmp_path: Path, command: Callable[..., Result]) -> None:
    folder = stored.store.folder / stored.runs[2].identity.experiment
    folder.rename(tmp_path / "outside")
    folder.symlink_to(tmp_path / "outside")
    before = sorted((tmp_path / "outside").iterdir())
    result = command("delete", folder.name, "--yes")
    assert result.exit_code == 2
    assert "is a link out of this store" in result.stdout
    assert "0 of 2 runs deleted." in result.stdout
    assert sorted((tmp_path / "outside").iterdir()) == before


# merge


@pytest.mark.parametrize("kind", ["other files", "a file", "a lost marker"])
def test_merge_makes_no_store_of_what_is_none(
    stored: Stored, tmp_path: Path, command: Callable[..., Result], kind: str
) -> None:
    into = tmp_path / "into"
    if kind == "a file":
        into.write_text("mine")
    elif kind == "other files":
        into.mkdir()
        (into / "pyproject.toml").write_text("")
    else:
        shutil.copytree(stored.store.folder, into)
        (into / "store.json").unlink()
    before = sorted(into.rglob("*"))
    result = command("merge", "into", "runs")
    assert result.exit_code == 2
    assert f"{into} is not a store" in result.stderr
    assert sorted(into.rglob("*")) == before


@pytest.mark.parametrize("is_there", [False, True])
def test_merge_says_that_a_store_is_made(tmp_path: Path, command: Callable[..., Result], is_there: bool) -> None:
    if is_there:
        (tmp_path / "into").mkdir()
        (tmp_path / "into" / ".store.json.0123abcd").write_text("{")  # of one that was killed
    assert "into is a new store, made now." in command("merge", "into", "runs").stdout
    assert "new store" not in command("merge", "into", "runs").stdout
    assert json.loads(command("merge", "into", "runs", "--json").stdout)["into_is_new"] is False


def other_store(stored: Stored, folder: Path) -> Store:
    """A copy of the store, without the first run."""
    shutil.copytree(stored.store.folder, folder)
    other = Store.open(folder)
    for ending in ("json", "safetensors"):
        (folder / f"{stored.runs[0].identity.key}.{ending}").unlink()
    return other


def test_merge_copies_what_is_lacking(stored: Stored, tmp_path: Path, command: Callable[..., Result]) -> None:
    into = other_store(stored, tmp_path / "into")
    before = files_of(into)
    result = json.loads(command("merge", "into", "runs", "--json").stdout)
    assert result["copied"] == [stored.runs[0].identity.key]
    assert sorted(result["equal"]) == sorted(run.identity.key for run in stored.runs[1:])
    assert (result["conflicts"], result["problems"]) == ([], [])
    assert into.find(stored.runs[0].identity, set_aside=False) == stored.runs[0]
    assert np.array_equal(into.weights(stored.runs[0])["2.bias"], stored.store.weights(stored.runs[0])["2.bias"])
    after = files_of(into)
    assert {name: after[name] for name in before} == before, "nothing is written over"
    assert json.loads(command("merge", "new", "runs", "--json").stdout)["copied"] == sorted(
        run.identity.key for run in stored.runs
    )


def test_merge_keeps_what_differs_and_goes_on(stored: Stored, tmp_path: Path, command: Callable[..., Result]) -> None:
    into = other_store(stored, tmp_path / "into")
    run = stored.runs[1]
    slower = run.epochs[0].model_copy(update={"train_loss": 9.0})
    into.save(run.model_copy(update={"epochs": (slower, *run.epochs[1:])}), stored.store.weights_file(run))
    before = files_of(into)
    result = command("merge", "into", "runs")
    assert result.exit_code == 2
    assert f"Conflict: {run.identity.key} has other numbers in each store; that of into is kept." in result.stdout
    assert "It is 4s4-gap-10; 2 epochs; small (test)" in result.stdout
    delete = f"runs delete {run.identity.experiment} --seeds {run.identity.seed} --store into"
    assert delete in result.stdout
    after = files_of(into)
    assert {name: after[name] for name in before} == before
    assert into.find(stored.runs[0].identity, set_aside=False) == stored.runs[0], "the others are merged"


def test_merge_takes_nothing_damaged_and_mends(stored: Stored, tmp_path: Path) -> None:
    into = other_store(stored, tmp_path / "into")
    damaged, newer = stored.runs[2], stored.runs[3]
    stored.path(damaged).write_text("{")
    stored.path(newer).write_bytes(sealed("run", 0, version=9))
    mended = into.folder / f"{stored.runs[1].identity.key}.safetensors"
    mended.write_bytes(b"")
    merged = merge(into, stored.store)
    assert sorted(merged.copied) == sorted(run.identity.key for run in stored.runs[:2])
    assert not merged.whole
    assert any(damaged.identity.key in problem for problem in merged.problems)
    assert any("newer Stepladder" in problem for problem in merged.problems)
    assert any(str(mended.with_suffix(".json")) in problem and "set aside" in problem for problem in merged.problems)
    assert into.find(stored.runs[1].identity, set_aside=False) == stored.runs[1]


def test_a_store_is_not_merged_with_itself(command: Callable[..., Result]) -> None:
    result = command("merge", "runs", "./runs")
    assert result.exit_code == 2
    assert "are one store: give two" in result.stderr
    Path("link").symlink_to("runs")
    assert "are one store: give two" in command("merge", "link", "runs").stderr
    assert "no runs at" in command("merge", "runs", "nowhere").stderr
