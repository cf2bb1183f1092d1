"""Climbing with real processes: killed, interrupted, with one job and with two."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest
from conftest import TINY_LADDER, CommandLine, Once
from processes import PATIENCE_S, Climb

from stepladder._base.machine import blas_kernels
from stepladder.climbing.climbing import climb, plan
from stepladder.datasets import data
from stepladder.engines import choose_engine
from stepladder.engines.training import initial_arrays, train
from stepladder.errors import BudgetError, LadderError
from stepladder.execution.piece import finished
from stepladder.ladders.ladder_file import load
from stepladder.runs.results import collect
from stepladder.runs.run import Progress, Run
from stepladder.runs.store import Store


def runs_in(ladder: Path, store: Path) -> Iterator[Run]:
    engine, _ = choose_engine()
    opened = Store.open(store)
    for task in plan(load(ladder), seeds=[1, 2], engine=engine):
        run = opened.find(task.identity, set_aside=False)
        if run is not None:
            yield run


def numbers(ladder: Path, store: Path) -> list[tuple[dict[str, object], bytes]]:
    """All numbers of all runs, and their weights to the last bit."""
    return [(run.numbers(), (store / f"{run.identity.key}.safetensors").read_bytes()) for run in runs_in(ladder, store)]


@pytest.fixture(scope="module")
def module_ladder(once: Once, digits: Path) -> Path:
    def make(folder: Path) -> None:
        (folder / "tiny.toml").write_text(TINY_LADDER.format(data=str(digits), epochs=40))

    return once("long-ladder", make) / "tiny.toml"


@pytest.fixture(scope="module")
def undisturbed(once: Once, module_ladder: Path) -> Path:
    """The store of a climb of three rungs and two seeds with one job."""

    def make(folder: Path) -> None:
        with Climb(module_ladder, folder / "runs", "--seeds", 2, "--jobs", 1) as climbing:
            returncode, out, err = climbing.finish()
        assert returncode in (0, 1), err
        assert "dropout: none → 10%" in out
        assert len(numbers(module_ladder, folder / "runs")) == 6

    return once("undisturbed-climb", make) / "runs"


def test_two_jobs_train_the_same_runs_as_one(tmp_path: Path, module_ladder: Path, undisturbed: Path) -> None:
    with Climb(module_ladder, tmp_path / "runs", "--seeds", 2, "--jobs", 2) as climbing:
        assert climbing.finish()[0] in (0, 1)
    assert numbers(module_ladder, tmp_path / "runs") == numbers(module_ladder, undisturbed)


def test_another_seed_and_another_rung_are_other_runs(module_ladder: Path, undisturbed: Path) -> None:
    weights = [content for _, content in numbers(module_ladder, undisturbed)]
    assert len(set(weights)) == 6


def test_killed_again_and_again_a_climb_ends_as_an_undisturbed_one(
    tmp_path: Path, module_ladder: Path, undisturbed: Path
) -> None:
    store = tmp_path / "runs"
    finished: dict[Path, bytes] = {}
    moments = [
        ("*/*.partial.safetensors", 1, 0.0),
        ("*/*.partial.safetensors", 2, 0.35),
        ("*/*.json", 1, 0.0),
        ("*/*.json", 3, 0.2),
    ]
    for pattern, count, delay_s in moments:
        with Climb(module_ladder, store, "--seeds", 2, "--jobs", 2) as climbing:
            climbing.wait_for(pattern, count)
            time.sleep(delay_s)
            climbing.kill_all()
        for path, content in finished.items():
            assert path.read_bytes() == content, "a finished run was trained again"
        finished = {path: path.read_bytes() for path in store.glob("*/*.json")}
    assert 3 <= len(finished) < 6, "the kills came too late to mean anything"
    with Climb(module_ladder, store, "--seeds", 2, "--jobs", 2) as climbing:
        returncode, _, err = climbing.finish()
    assert returncode in (0, 1)
    assert f"{len(finished)} of 6 runs are stored" in err
    assert all(path.read_bytes() == content for path, content in finished.items())
    assert numbers(module_ladder, store) == numbers(module_ladder, undisturbed)
    assert any(run.provenance.n_resumed for run in runs_in(module_ladder, store))
    assert not list(store.glob("*/*.partial.safetensors"))


def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path, module_ladder: Path) -> None:
    with Climb(module_ladder, tmp_path / "runs", "--seeds", 2, "--jobs", 2) as climbing:
        climbing.wait_for("*/*.partial.safetensors")
        workers = climbing.workers()
        assert len(workers) == 2
        climbing.process.kill()
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert not alive


def test_a_stored_climb_trains_nothing(
    stepladder: CommandLine, module_ladder: Path, undisturbed: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(undisturbed, tmp_path / "runs")
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    done = stepladder("climb", module_ladder, "--seeds", 2, "--store", store)
    assert "6 of 6 runs are stored; 0 to train" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


def test_what_a_kill_left_beside_a_stored_run_is_removed(
    stepladder: CommandLine, module_ladder: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """Its process was killed when the record was written, and the checkpoint not yet removed."""
    store = shutil.copytree(undisturbed, tmp_path / "runs")
    stored = sorted(store.glob("*/*.json"))
    left = stored[0].with_name(stored[0].name.replace(".json", ".partial.safetensors"))
    left.write_bytes(b"a checkpoint")
    done = stepladder("climb", module_ladder, "--seeds", 2, "--store", store)
    assert "6 of 6 runs are stored; 0 to train" in done.stderr
    assert not left.exists()
    assert sorted(store.glob("*/*.json")) == stored


def test_the_top_rung_alone(stepladder: CommandLine, module_ladder: Path, undisturbed: Path) -> None:
    """Its runs are those of the whole climb."""
    again = stepladder("climb", module_ladder, "--top", "--store", undisturbed, "--seeds", 2)
    assert again.returncode in (0, 1)
    assert "2 of 2 runs are stored" in again.stderr
    assert "rotation" in again.stdout
    assert "dropout" not in again.stdout


def test_two_seeds_are_too_few_for_a_verdict(stepladder: CommandLine, module_ladder: Path, undisturbed: Path) -> None:
    text = stepladder("compare", module_ladder, "--store", undisturbed).stdout
    assert text.count("not decided yet: 5 seeds are the least that could tell, and there are 2") == 2
    body = json.loads(stepladder("compare", module_ladder, "--store", undisturbed, "--json").stdout)
    assert [each["outcome"] for each in body["comparisons"]] == ["undecided", "undecided"]
    shown = json.loads(stepladder("show", module_ladder, "--store", undisturbed, "--json").stdout)["rungs"]
    for each, below, above in zip(body["comparisons"], shown, shown[1:], strict=False):
        assert each["seeds_below"] == each["seeds"] == [1, 2]
        assert each["interval"] is None
        assert each["difference"] == pytest.approx(above["test_final_mean"] - below["test_final_mean"])
    assert [each["held"][1] for each in body["targets"]] == [2, 2, 2]


def test_a_worker_that_dies_is_tried_once_more(tmp_path: Path, module_ladder: Path, undisturbed: Path) -> None:
    store = tmp_path / "runs"
    with Climb(module_ladder, store, "--seeds", 2, "--jobs", 1) as climbing:
        climbing.wait_for("*/*.partial.safetensors")
        climbing.workers()[0].kill()
        returncode, _, err = climbing.finish()
    assert returncode in (0, 1)
    assert "rung 'start', seed 1 lost its worker (it was killed by SIGKILL, as by a system that is short of" in err
    assert "it is tried once more" in err
    assert numbers(module_ladder, store) == numbers(module_ladder, undisturbed)


def test_a_worker_that_dies_twice_is_reported_while_the_others_go_on(tmp_path: Path, digits: Path) -> None:
    ladder, store = tmp_path / "long.toml", tmp_path / "runs"
    ladder.write_text(TINY_LADDER.format(data=str(digits), epochs=100))
    opened = Store.open(store, create=True)
    engine, _ = choose_engine()
    victim = next(t for t in plan(load(ladder), seeds=[1], engine=engine) if t.rung.name == "dropout").identity
    with Climb(ladder, store, "--seeds", 1, "--jobs", 2) as climbing:
        killed: set[int] = set()
        deadline = time.monotonic() + PATIENCE_S
        while len(killed) < 2 and time.monotonic() < deadline:
            _, pid = opened.epochs_done(victim)
            if pid and pid not in killed and psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            time.sleep(0.01)
        returncode, out, err = climbing.finish()
    assert returncode == 5, err
    assert "Error: not trained: rung 'dropout', seed 1: lost its worker twice" in err
    assert [line.split()[-2:] for line in out.splitlines() if line.strip().startswith("dropout")] == [
        ["not", "trained"]
    ]
    assert len(list(store.glob("*/*.json"))) == 2


def test_ctrl_c_prints_the_command_that_resumes(tmp_path: Path, module_ladder: Path) -> None:
    store = tmp_path / "runs"
    with Climb(module_ladder, store, "--seeds", 2, "--jobs", 2) as climbing:
        climbing.wait_for("*/*.partial.safetensors")
        workers = climbing.workers()
        os.killpg(climbing.process.pid, signal.SIGINT)
        returncode, _, err = climbing.finish()
        assert not psutil.wait_procs(workers, timeout=30)[1]
    assert returncode == 130
    assert f"stepladder climb {module_ladder} --store {store} --seeds 2 --jobs 2" in err
    assert "Traceback" not in err
    n_begun = len(list(store.glob("*/*.partial.safetensors")))
    with Climb(module_ladder, store, "--seeds", 2, "--jobs", 2) as climbing:
        assert climbing.process.stderr is not None
        planned = next(line for line in climbing.process.stderr if "to train" in line)
    assert f" to train, {n_begun} of them from where {'it' if n_begun == 1 else 'they'} stopped." in planned


def test_ctrl_c_while_workers_are_starting_is_as_quiet(tmp_path: Path, module_ladder: Path) -> None:
    with Climb(module_ladder, tmp_path / "runs", "--seeds", 2, "--jobs", 2) as climbing:
        deadline = time.monotonic() + PATIENCE_S
        while not climbing.workers() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(climbing.process.pid, signal.SIGINT)
        returncode, _, err = climbing.finish()
    assert returncode == 130
    assert "Traceback" not in err
    assert "Go on with:" in err


def test_images_that_change_during_a_climb_are_refused(tmp_path: Path, digits: Path) -> None:
    folder, ladder = tmp_path / "digits", tmp_path / "long.toml"
    shutil.copytree(digits, folder)
    ladder.write_text(TINY_LADDER.format(data=str(folder), epochs=100))
    with Climb(ladder, tmp_path / "runs", "--seeds", 1, "--jobs", 1) as climbing:
        climbing.wait_for("*/*.partial.safetensors")
        labels = folder / "train-labels-idx1-ubyte"
        labels.write_bytes(labels.read_bytes()[:-1] + b"\x05")
        climbing.workers()[0].kill()  # the next worker reads the images anew
        returncode, _, err = climbing.finish()
    assert returncode == 4
    assert "these images changed since the climb began" in err
    assert not list((tmp_path / "runs").glob("*/*.json"))


def test_two_climbs_at_once_end_as_one(tmp_path: Path, module_ladder: Path, undisturbed: Path) -> None:
    store = tmp_path / "runs"
    with (
        Climb(module_ladder, store, "--seeds", 2, "--jobs", 1) as one,
        Climb(module_ladder, store, "--seeds", 2, "--jobs", 1) as other,
    ):
        for climbing in (one, other):
            returncode, _, err = climbing.finish()
            assert returncode in (0, 1), err
            assert "damaged" not in err
    assert numbers(module_ladder, store) == numbers(module_ladder, undisturbed)


def test_any_executor_will_do(tmp_path: Path, module_ladder: Path, undisturbed: Path) -> None:
    engine, _ = choose_engine()
    store = Store.open(tmp_path / "runs", create=True)
    with ThreadPoolExecutor(1) as executor:
        assert climb(load(module_ladder), seeds=[1, 2], store=store, engine=engine, executor=executor) == []
    assert numbers(module_ladder, store.folder) == numbers(module_ladder, undisturbed)


def test_a_damaged_run_is_trained_again(stepladder: CommandLine, tmp_path: Path, module_ladder: Path) -> None:
    assert stepladder("climb", module_ladder, "--seeds", 1, "--store", tmp_path / "runs").returncode in (0, 1)
    (record, *_) = sorted((tmp_path / "runs").glob("*/*.json"))
    whole = record.read_bytes()
    record.write_bytes(whole[:1000])
    done = stepladder("climb", module_ladder, "--seeds", 1, "--store", tmp_path / "runs")
    assert "is damaged" in done.stderr
    assert "trained again, set aside in" in done.stderr
    assert "2 of 3 runs are stored; 1 to train" in done.stderr
    assert record.exists()


def test_refusals_come_before_training(tmp_path: Path, module_ladder: Path) -> None:
    engine, _ = choose_engine()
    store = Store.open(tmp_path / "runs", create=True)
    with pytest.raises(LadderError, match="0 seeds train nothing"):
        climb(load(module_ladder), seeds=[], store=store, engine=engine)
    over = tmp_path / "over.toml"
    over.write_text(module_ladder.read_text().replace("params = 1000", "params = 300"))
    with pytest.raises(BudgetError, match=r"has 342 parameters, 42 over its budget of 300.*conv 6 3x3.*228"):
        climb(load(over), seeds=[1], store=store, engine=engine)
    assert not list(store.folder.glob("*/*"))


def test_a_teacher_is_trained_first_once_and_kept_as_a_run(tmp_path: Path, digits: Path) -> None:
    path, store = tmp_path / "tiny.toml", tmp_path / "runs"
    taught = 'name = "taught"\nwhy = "A teacher."\nchange.distill = { network = ["conv 6", "gap", "linear 10"] }\n'
    path.write_text(TINY_LADDER.format(data=str(digits), epochs=3) + f"\n[[rung]]\n{taught}")
    with Climb(path, store, "--seeds", 1) as climbing:
        returncode, out, err = climbing.finish()
    assert returncode in (0, 1), err
    assert "distill: none → from 6-gap-10" in out
    engine, _ = choose_engine()
    identity = plan(load(path), seeds=[1], engine=engine)[-1].identity
    opened = Store.open(store)
    student = opened.find(identity, set_aside=False)
    assert student is not None
    trained = identity.model_copy(update={"recipe": identity.recipe.teacher})
    teacher = opened.find(trained, set_aside=False)
    assert teacher is not None

    before = (store / f"{trained.key}.json").read_bytes()
    (store / f"{identity.key}.json").unlink()
    assert climb(load(path).top, seeds=[1], store=opened, engine=engine, jobs=1) == []
    assert (store / f"{trained.key}.json").read_bytes() == before, "a teacher that is there is not trained again"
    again = opened.find(identity, set_aside=False)
    assert again is not None
    assert again.numbers() == student.numbers()

    splits = data.splits(data.load(str(digits)), n_dev=identity.data.dev_images)
    own = train(engine, identity.recipe, splits=splits, seed=1, resume=Progress(), teachers=[opened.weights(teacher)])
    *_, end = own
    assert [each.train_loss for each in end.epochs] == [each.train_loss for each in student.epochs]


def test_teachers_with_seeds_are_shared_by_all_runs(tmp_path: Path, digits: Path) -> None:
    path, engine = tmp_path / "tiny.toml", choose_engine()[0]
    taught = 'change.distill = { network = ["conv 6", "gap", "linear 10"], seeds = [7, 9, 8] }'
    rung = f'\n[[rung]]\nname = "taught"\nwhy = "?"\n{taught}\n'
    path.write_text(TINY_LADDER.format(data=str(digits), epochs=3) + rung)
    ladder, store = load(path).top, Store.open(tmp_path / "runs", create=True)
    assert climb(ladder, seeds=[1, 2], store=store, engine=engine, jobs=2) == []
    assert collect(ladder, store).n_test_looks == (2 + 3) * 3

    students = {task.identity.seed: task.identity for task in plan(ladder, seeds=[1, 2], engine=engine)}
    assert students[1].recipe.teacher is not None
    experiment = students[1].model_copy(update={"recipe": students[1].recipe.teacher}).experiment
    assert not any(run.provenance.n_resumed for run in store.runs_of(experiment)), "nobody went on with another's"
    teachers = {run.identity.seed: store.weights(run) for run in store.runs_of(experiment)}
    assert sorted(teachers) == [7, 8, 9], "of these seeds, not of the runs'"
    splits = data.splits(data.load(str(digits)), n_dev=0)
    for seed, identity in students.items():
        given = [teachers[each] for each in (7, 8, 9)]
        *_, end = train(engine, identity.recipe, splits=splits, seed=seed, resume=Progress(), teachers=given)
        run = store.find(identity, set_aside=False)
        assert run is not None
        assert [each.train_loss for each in end.epochs] == [each.train_loss for each in run.epochs]


def test_the_looks_of_a_teacher_count_and_its_divergence_is_its_students(tmp_path: Path, digits: Path) -> None:
    path, engine = tmp_path / "tiny.toml", choose_engine()[0]
    taught = 'name = "taught"\nwhy = "?"\nchange.distill = { network = ["conv 6", "gap", "linear 10"] }\n'
    path.write_text(TINY_LADDER.format(data=str(digits), epochs=3) + f"\n[[rung]]\n{taught}")
    ladder, store = load(path).top, Store.open(tmp_path / "runs", create=True)
    assert climb(ladder, seeds=[1], store=store, engine=engine, jobs=1) == []
    assert collect(ladder, store).n_test_looks == 3 + 3

    (task,) = plan(ladder, seeds=[2], engine=engine)
    trained = task.identity.model_copy(update={"recipe": task.identity.recipe.teacher})
    splits = data.splits(data.load(str(digits)), n_dev=0)
    assert trained.recipe is not None
    arrays = initial_arrays(trained.recipe.network_for(splits.image), 2)
    end = Progress(diverged_at_epoch=1, arrays=arrays)
    store.save(*finished(trained, progress=end, engine=engine, splits=splits))
    assert climb(ladder, seeds=[2], store=store, engine=engine, jobs=1) == []
    summary = collect(ladder, store).rungs[-1].summary
    assert (summary.seeds, summary.diverged, summary.final_mean) == ((1, 2), (2,), None)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ('["conv 6 99x99", "gap", "linear 10"]', r"layer 1 \('conv 6 99x99'\) has a 99x99 kernel"),
        ('["maxpool 28"]', "the network ends in 1 x 1 x 1 values"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(tmp_path: Path, digits: Path, network: str, message: str) -> None:
    path = tmp_path / "tiny.toml"
    taught = f'name = "taught"\nwhy = "?"\nchange.distill = {{ network = {network} }}\n'
    path.write_text(TINY_LADDER.format(data=str(digits), epochs=3) + f"\n[[rung]]\n{taught}")
    with pytest.raises(LadderError, match=f"rung 'taught': its teacher: {message}"):
        plan(load(path), seeds=[1], engine=choose_engine()[0])


def test_more_images_to_recalibrate_on_than_there_are_are_refused(tmp_path: Path, digits: Path) -> None:
    n_train, path = data.describe(str(digits)).n_train, tmp_path / "tiny.toml"
    ladder = TINY_LADDER.format(data=str(digits), epochs=3) + '\n[[rung]]\nname = "precise"\nwhy = "?"\n'
    for more in (0, 1):
        path.write_text(f"{ladder}change.recalibrate_images = {n_train + more}\n")
        expected = pytest.raises(LadderError, match=f"rung 'precise': recalibrate_images = .* than the {n_train:,}")
        with expected if more else nullcontext():
            plan(load(path), seeds=[1], engine=choose_engine()[0])


def test_sharpness_aware_training_is_twice_the_work(tmp_path: Path, digits: Path) -> None:
    path = tmp_path / "tiny.toml"
    aware = '\n[[rung]]\nname = "aware"\nwhy = "?"\nchange.sharpness_aware = { radius = 0.1 }\n'
    path.write_text(TINY_LADDER.format(data=str(digits), epochs=3) + aware)
    *_, plain, twice = plan(load(path), seeds=[1], engine=choose_engine()[0])
    info = data.describe(str(digits))
    training = 3 * plain.rung.network(info.image).macs * info.n_train
    assert plain.identity.recipe.sharpness_aware is None
    assert twice.macs_per_epoch - plain.macs_per_epoch == training


@pytest.mark.skipif(blas_kernels() is None, reason="OpenBLAS chooses")
def test_muon_has_the_same_bits_whatever_kernels_the_environment_names(
    tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch, stepladder: CommandLine
) -> None:
    path = tmp_path / "tiny.toml"
    muon = '\n[[rung]]\nname = "muon"\nwhy = "?"\nchange.optimizer = { kind = "muon" }\n'
    path.write_text(TINY_LADDER.format(data=str(digits), epochs=2) + muon)
    found = []
    for kernels in ("", "Nehalem"):
        monkeypatch.setenv("OPENBLAS_CORETYPE", kernels)
        store = tmp_path / f"runs {kernels}"
        assert stepladder("climb", path, "--top", "--seeds", 1, "--store", store).returncode in (0, 1)
        found.append(numbers(path, store))
    assert len(found[0]) == 1
    assert found[0] == found[1]
