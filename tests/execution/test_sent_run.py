"""Runs on executors of others, that stand elsewhere and have libraries of their own settings; scripts that climb."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import TINY_LADDER, stepladder_command
from elsewhere import another, elsewhere, other_revision
from here import Here, train_here

from stepladder._base.machine import THREADS, blas_kernels, numpy_instructions
from stepladder.climbing.climbing import Watchers, climb, plan
from stepladder.datasets import data
from stepladder.engines import choose_engine
from stepladder.engines.training import train
from stepladder.errors import EngineError
from stepladder.execution.child import told
from stepladder.execution.piece import finished
from stepladder.execution.sent_run import Report
from stepladder.ladders.evaluated import splits_for
from stepladder.ladders.ladder import Ladder
from stepladder.ladders.ladder_file import load, shipped
from stepladder.runs.run import Progress, Run, RunIdentity
from stepladder.runs.store import Store

MUON = '\n[[rung]]\nname = "muon"\nwhy = "multiplies matrices"\nchange.optimizer = { kind = "muon" }\n'
SCRIPT = """\
import signal, sys
import stepladder as sl
from stepladder.climbing.climbing import climb

print("begun")
{before}
failures = climb(sl.load({ladder!r}), seeds=[1], store=sl.Store("runs"), engine=sl.choose_engine()[0], {how})
print("ended", failures)
"""

Numbers = list[tuple[dict[str, object], bytes]]


def runs(ladder: Ladder, store: Path) -> list[Run]:
    opened = Store.open(store)
    found = [opened.find(task.identity, set_aside=False) for task in plan(ladder, seeds=[1], engine=choose_engine()[0])]
    assert opened.notes == []
    return [run for run in found if run is not None]


def numbers(ladder: Ladder, store: Path) -> Numbers:
    return [(run.numbers(), (store / f"{run.identity.key}.safetensors").read_bytes()) for run in runs(ladder, store)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Path:
    """A ladder of two rungs and one epoch, one with Muon."""
    path = tmp_path_factory.mktemp("sent") / "sent.toml"
    whole = TINY_LADDER.format(data=str(digits), epochs=2)
    path.write_text(whole.partition('[[rung]]\nname = "dropout"')[0] + MUON)
    return path


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, path: Path) -> Numbers:
    """The numbers of a climb with processes of its own."""
    store = Store(tmp_path_factory.mktemp("here") / "runs")
    assert climb(load(path), seeds=[1], store=store, engine=choose_engine()[0], jobs=1) == []
    return numbers(load(path), store.folder)


def test_a_worker_may_stand_anywhere(
    path: Path, digits: Path, here: Numbers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder and its environment are others, names are relative to ours, and nothing in either is ours."""
    (tmp_path / "images").symlink_to(digits)
    monkeypatch.chdir(tmp_path)
    ladder, store, engine = replace(load(path), data="images"), Store(Path("runs")), choose_engine()[0]
    with elsewhere(tmp_path / "elsewhere") as executor:
        assert climb(ladder, seeds=[1], store=store, engine=engine, executor=executor) == []
    assert numbers(load(path), store.folder) == here
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_another_revision_of_an_engine_is_refused_and_both_are_named(path: Path, tmp_path: Path) -> None:
    ladder, store, engine = load(path), Store(tmp_path / "runs"), choose_engine("jit")[0]
    said = f"{engine.identity} is wanted, but on .* there is {another(engine.identity)}: install the same"
    with (
        elsewhere(tmp_path / "elsewhere", modules=other_revision(tmp_path)) as executor,
        pytest.raises(EngineError, match=said),
    ):
        climb(ladder, seeds=[1], store=store, engine=engine, executor=executor)
    assert not list(store.folder.glob("*/*"))


class Telling(Here):
    """A worker of a version that asks no engine for its name, and says afterwards what it computed with."""

    def __init__(self, **origin: object) -> None:
        self.origin = origin
        self.n_told = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        told = Report.model_validate_json(super().submit(fn, *args, **kwargs).result())
        assert told.computed_by is not None
        self.n_told += 1
        origin = replace(told.computed_by, **(self.origin if self.n_told > 1 else {}))  # type: ignore[arg-type]
        ended: Future[Any] = Future()
        ended.set_result(told.model_copy(update={"computed_by": origin}).model_dump_json())
        return ended


def test_what_computed_a_run_is_what_counts(path: Path, tmp_path: Path) -> None:
    ladder, store, engine = load(path), Store(tmp_path / "runs"), choose_engine("jit")[0]
    other = another(engine.identity)
    said = f"a run of {engine.identity} is wanted, but a worker computed it with {other}: install the same"
    with Telling(engine=other) as executor, pytest.raises(EngineError, match=said):
        climb(ladder, seeds=[1], store=store, engine=engine, executor=executor)


class Noting(Watchers):
    """Who keeps what is noted."""

    def __init__(self) -> None:
        super().__init__(())
        self.notes: list[str] = []

    def noted(self, text: str) -> None:
        self.notes.append(text)


def test_machines_that_are_not_alike_are_said(path: Path, tmp_path: Path) -> None:
    """They may differ in the last bits: no reason to refuse, but one to know."""
    ladder, store, engine = load(path), Store(tmp_path / "runs"), choose_engine("jit")[0]
    versions = {**engine.versions, "cpu-target": "z80", "numpy": version("numpy")}
    with Telling(versions=versions) as executor:
        watcher = Noting()
        assert climb(ladder, seeds=[1], store=store, engine=engine, executor=executor, watcher=watcher) == []
    (note,) = (note for note in watcher.notes if "alike" in note)
    assert "(cpu-target differ" in note


def test_a_run_is_stored_as_of_the_engine_that_computed_it(path: Path, tmp_path: Path) -> None:
    ladder, store, engine = load(path), Store.open(tmp_path / "runs", create=True), choose_engine("jit")[0]
    own = plan(ladder, seeds=[1], engine=engine)[0].identity
    wanted = own.model_copy(update={"engine": another(engine.identity)})
    splits = splits_for(data.load(ladder.data), own.data)
    *_, progress = train(engine, own.recipe, splits=splits, seed=1, resume=Progress())
    store.save(*finished(wanted, progress=progress, engine=engine, splits=splits))
    assert store.find(wanted, set_aside=False) is None
    assert sorted(store.folder.glob("*/*.json")) == [store.folder / f"{own.key}.json"]


def test_a_task_of_another_format_is_refused() -> None:
    ((text, goes_on),) = told('{"format_version": 99}')
    report = Report.model_validate_json(text)
    assert not goes_on
    assert report.error is not None
    assert isinstance(report.error.refusal(), EngineError)
    assert "was sent a training in format 99, and knows 3: install the same version" in str(report.error)


def test_a_run_is_the_same_after_its_way_as_text() -> None:
    engine = choose_engine()[0]
    for name in shipped():
        for task in plan(load(name), seeds=[1], engine=engine):
            assert RunIdentity.model_validate_json(task.identity.model_dump_json()) == task.identity


def test_what_the_process_of_an_executor_has_loaded_changes_no_number(
    path: Path, here: Numbers, tmp_path: Path
) -> None:
    """numpy has read its settings there: a training is in a process that has not."""
    before = (
        "import numpy; from concurrent.futures import ThreadPoolExecutor;"
        " from stepladder.climbing.climbing import Watchers"
        "\nclass Watcher(Watchers):\n    def noted(self, text): print('note:', text)\n"
    )
    how = "executor=ThreadPoolExecutor(1), watcher=Watcher(())"
    environment = {"NPY_DISABLE_CPU_FEATURES": "X86_V4", "OPENBLAS_CORETYPE": "Nehalem", "OMP_NUM_THREADS": "7"}
    done = script(path, tmp_path, before=before, how=how, **environment)
    assert (done.stdout, done.stderr) == ("begun\nended []\n", "")
    assert numbers(load(path), tmp_path / "runs") == here


@pytest.mark.skipif(blas_kernels() is None, reason="numpy has but one way here")
def test_what_numpy_is_told_not_to_use_changes_no_number(path: Path, here: Numbers, tmp_path: Path) -> None:
    environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"}
    command = stepladder_command("climb", path, "--seeds", 1, "--jobs", 1, "--store", tmp_path / "runs")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert numbers(load(path), tmp_path / "runs") == here
    instructions = {run.provenance.versions["numpy-instructions"] for run in runs(load(path), tmp_path / "runs")}
    assert instructions == {numpy_instructions()}


def test_a_run_is_not_stored_under_an_engine_that_did_not_compute_it(path: Path, tmp_path: Path) -> None:
    ladder, store = load(path), Store.open(tmp_path / "runs", create=True)
    identity = plan(ladder, seeds=[1], engine=choose_engine("jit")[0])[0].identity
    for change in ({"revision": 99}, {"version": "0.1.0"}):
        other = identity.model_copy(update={"engine": identity.engine.model_copy(update=change)})
        with pytest.raises(EngineError, match=r"is wanted, but on .* there is jit .*: install the same versions"):
            train_here(Store.open(store.folder), ladder.data, other)
    assert not list(store.folder.glob("*/*"))


def script(
    path: Path, folder: Path, *, how: str, before: str = "", **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run a plain script that climbs, as a person would write it: nothing in it asks for its own name."""
    file = folder / "script.py"
    file.write_text(SCRIPT.format(before=before, ladder=str(path), how=how))
    clean = {name: value for name, value in os.environ.items() if name not in (*THREADS, "OPENBLAS_CORETYPE")}
    return subprocess.run(
        [sys.executable, file.name], cwd=folder, env=clean | environment, capture_output=True, text=True, check=False
    )


def test_a_plain_script_climbs(path: Path, here: Numbers, tmp_path: Path) -> None:
    done = script(path, tmp_path, how="jobs=2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "begun\nended []\n", "")
    assert numbers(load(path), tmp_path / "runs") == here


def test_a_plain_script_with_an_executor_that_runs_it_again_is_told(path: Path, tmp_path: Path) -> None:
    before = "from concurrent.futures import ProcessPoolExecutor as Pool; from multiprocessing import get_context"
    done = script(path, tmp_path, before=before, how="executor=Pool(1, get_context('spawn'))")
    assert 'put what it does under if __name__ == "__main__":' in done.stderr
    (ended,) = (line for line in done.stdout.splitlines() if line.startswith("ended"))
    assert ended.count("not tried: ") == 2
    assert len(ended) < 400, "a failure is shown without its whole recipe"


def test_a_script_that_is_ended_leaves_no_worker_and_no_complaint(path: Path, tmp_path: Path) -> None:
    before = (
        "import os\nfrom stepladder.climbing.climbing import Watchers\n"
        "def stop(*_): raise SystemExit(7)\nsignal.signal(signal.SIGTERM, stop)\n"
        "class Watcher(Watchers):\n    def finished(self, *_): os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = script(path, tmp_path, before=before, how="jobs=2, watcher=Watcher(())")
    assert (done.returncode, done.stdout, done.stderr) == (7, "begun\n", "")
    assert not [p for p in psutil.process_iter() if tmp_path in working_folders(p)]


def working_folders(process: psutil.Process) -> list[Path]:
    try:
        return [Path(process.cwd())]
    except psutil.Error:
        return []


@pytest.mark.parametrize(("command", "kib"), [("climb", 150_000), ("climb", 400_000), ("report", 450_000)])
def test_too_little_memory_is_said(command: str, kib: int, path: Path, tmp_path: Path) -> None:
    """``ulimit -v``: no spin of threads that cannot be started, no traceback, no abort; where it is enough, it works.

    150 MB are too little everywhere.
    """
    Store.open(tmp_path / "runs", create=True)
    done = subprocess.run(
        stepladder_command(command, path, "--store", tmp_path / "runs"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (kib * 1024, kib * 1024)),
    )
    assert "Traceback" not in done.stderr
    if kib > 200_000 and done.returncode in (0, 1):
        return
    assert done.returncode == 2, done.stderr
    assert f"ulimit -v allows {kib * 1024 / 1e9:.1f} GB of address space here: allow more" in done.stderr


def test_it_knows_as_much_where_numpy_uses_nothing(tmp_path: Path) -> None:
    """numpy leaves a field out where it has nothing to put in; the kernels of OpenBLAS do not follow numpy's."""
    script = "from stepladder._base.machine import *; print(blas_kernels(), numpy_instructions(), sorted(versions()))"
    said = []
    for disabled in ("", "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"):
        environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": disabled}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        said.append(done.stdout)
    assert said[0].split()[0] == said[1].split()[0] == str(blas_kernels())
