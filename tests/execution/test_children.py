"""Processes that train: killed, stopped, left behind, forked over, used again, and begun where others print."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from conftest import TINY_LADDER
from processes import PATIENCE_S

from stepladder.climbing.climbing import plan
from stepladder.engines import choose_engine
from stepladder.execution import children
from stepladder.execution.children import LostError, close_idle, stop, train_in_child
from stepladder.execution.sent_run import Order
from stepladder.ladders.ladder_file import load
from stepladder.runs.store import Store

LONG, SHORT = 100, 1  # epochs: some that will not end, and one

CLIMB = """\
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import stepladder as sl

def climb(**how):
    sl.climb(sl.load({ladder!r}), seeds=[1], store=sl.Store({store!r}), engine=sl.choose_engine()[0], **how)

if __name__ == "__main__":
    {how}
"""


class Training:
    """A store, and orders of runs in it; one that is under way in a thread of this process."""

    def __init__(self, ladder: Path, folder: Path) -> None:
        self.ladder, self.store = load(ladder), Store.open(folder / "runs", create=True)
        self.identities = [task.identity for task in plan(self.ladder, seeds=range(1, 9), engine=choose_engine()[0])]

    def order(self, epochs: int, *, number: int = 0) -> str:
        identity = self.identities[number]
        recipe = identity.recipe.model_copy(update={"epochs": epochs})
        return Order(identity=identity.model_copy(update={"recipe": recipe}), source=self.ladder.data).model_dump_json()


@pytest.fixture
def path(tmp_path: Path, digits: Path) -> Path:
    """A ladder of one rung that takes minutes."""
    ladder = TINY_LADDER.format(data=str(digits), epochs=LONG).partition('\n[[rung]]\nname = "dropout"')[0]
    (tmp_path / "long.toml").write_text(f"{ladder}batch_size = 1\n")
    return tmp_path / "long.toml"


@pytest.fixture
def training(path: Path, tmp_path: Path) -> Iterator[Training]:
    yield Training(path, tmp_path)
    close_idle()


def family(pid: int | None = None) -> list[psutil.Process]:
    """The processes that train for a process, or for a process of it."""
    found = psutil.Process(pid).children(recursive=True)
    return [each for each in found if "execution.child" in " ".join(each.cmdline())]


def soon(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_child_is_used_again_and_ended_when_nobody_needs_it(training: Training) -> None:
    close_idle()
    used = []
    for number in range(2):
        report = json.loads(train_in_child(f"ticket {number}", training.order(SHORT, number=number)))
        assert report["error"] is None
        used.append(family())
    assert used[0] == used[1]
    assert len(used[0]) == 1
    close_idle()
    assert not family()


def test_after_an_error_a_child_is_not_trusted(training: Training) -> None:
    close_idle()
    damaged = training.order(SHORT).replace('"seed":1', '"seed":"one"')
    report = json.loads(train_in_child("ticket", damaged))
    assert report["error"] == {
        "kind": "EngineError",
        "message": "a worker was sent a training that it cannot read (identity.seed: Input should be a valid integer):"
        " install the same version of Stepladder wherever runs are trained",
    }
    assert not family()


def test_a_child_that_nobody_asks_leaves_in_silence() -> None:
    """It ends while one of its threads still waits for stdin."""
    begin = children.BEGIN.replace(
        "from stepladder.execution.child import serve; serve",
        "from stepladder.execution import child; child.LEAVE_S = 0.2; child.serve",
    )
    assert "LEAVE_S" in begin
    with subprocess.Popen(
        [sys.executable, "-c", begin], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdin.write(f"{json.dumps([os.getpid(), sys.path])}\n".encode())
        child.stdin.flush()
        assert child.wait(PATIENCE_S) == 0
        assert (child.stdout.read(), child.stderr.read()) == (b"", b"")


def test_a_training_that_is_stopped_is_gone_and_no_other_is(training: Training) -> None:
    heard: list[list[str]] = [[], []]
    with ThreadPoolExecutor(2) as executor:
        futures = [
            executor.submit(train_in_child, f"{n}", training.order(LONG, number=n), heard[n].append) for n in range(2)
        ]
        soon(lambda: all(heard))
        assert len(family()) == 2
        stop(["0"])
        with pytest.raises(LostError, match="it was killed by SIGTERM"):
            futures[0].result(PATIENCE_S)
        assert len(family()) == 1
        assert not futures[1].done()
        stop(["1"])
        with pytest.raises(LostError):
            futures[1].result(PATIENCE_S)
    assert not family()


def test_one_that_is_stopped_before_it_begins_does_not(training: Training) -> None:
    stop(["early"])
    heard: list[str] = []
    with pytest.raises(LostError, match="it was stopped"):
        train_in_child("early", training.order(LONG), heard.append)
    assert not heard


def test_a_child_that_is_suspended_is_stopped_too(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "STOP_S", 0.2)
    with ThreadPoolExecutor(1) as executor:
        heard: list[str] = []
        future = executor.submit(train_in_child, "ticket", training.order(LONG), heard.append)
        soon(lambda: heard)
        (child,) = family()
        child.suspend()
        soon(lambda: child.status() == psutil.STATUS_STOPPED)
        stop(["ticket"])
        with pytest.raises(LostError, match="it was killed by SIGKILL, as by a system that is short of memory"):
            future.result(PATIENCE_S)


def test_what_is_printed_is_no_answer(training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by what runs before us, and not in the middle of a line."""
    close_idle()
    (tmp_path / "usercustomize.py").write_text("")
    (tmp_path / "sitecustomize.py").write_text("print('hello'); print('{', end='')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert json.loads(train_in_child("ticket", training.order(SHORT)))["error"] is None


def test_a_fork_leaves_the_children_of_its_parent_alone(training: Training) -> None:
    assert json.loads(train_in_child("ticket", training.order(SHORT)))["error"] is None
    before = family()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        close_idle()
        os._exit(0)
    os.waitpid(pid, 0)
    assert json.loads(train_in_child("ticket", training.order(SHORT, number=1)))["error"] is None
    assert family() == before


@pytest.mark.parametrize(
    "how",
    [
        "climb(jobs=1)",
        # another process has what the children listen to
        "import threading; threading.Timer(3, lambda: os.fork() or time.sleep(60)).start(); climb(jobs=1)",
        "climb(executor=ProcessPoolExecutor(1, get_context('spawn')))",
    ],
    ids=["own", "forked", "an executor's"],
)
def test_nothing_trains_on_for_a_driver_that_was_killed(
    training: Training, path: Path, tmp_path: Path, how: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(CLIMB.format(ladder=str(path), store=str(training.store.folder), how=how))
    with subprocess.Popen([sys.executable, script], start_new_session=True) as process:
        try:
            soon(lambda: any(each.cpu_times().user > 2 for each in family(process.pid)))
            if "fork" in how:
                soon(lambda: len(psutil.Process(process.pid).children()) == 2)
            (child,) = family(process.pid)
            process.kill()
            child.wait(30)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
