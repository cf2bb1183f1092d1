"""Places by name, and those of Python."""

import os
import signal
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from clusters import trainings_of
from conftest import TINY_LADDER
from processes import PATIENCE_S, Climb

import stepladder
from stepladder.errors import LadderError
from stepladder.execution.place import Place
from stepladder.execution.places import opened

MODULE = """\
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

class Executor:
    def submit(self, function, /, *args):
        return pool.submit(function, *args)

def processes():
    return ProcessPoolExecutor(2)

pool = ThreadPoolExecutor(1)
make = Executor
number = lambda: 3
a_class = lambda: ThreadPoolExecutor

class Executor2(Executor):
    entered = left = True

    def __enter__(self):
        if not self.entered:
            raise OSError("closed today")

    def __exit__(self, *_):
        if not self.left:
            raise OSError("no way out")

class Half(Executor):
    def __exit__(self, *_):
        pass

def unentered():
    made = Executor2()
    made.entered = False
    return made

def unleft():
    made = Executor2()
    made.left = False
    return made

class OtherworldlyError(BaseException):
    pass

def leaves():
    raise SystemExit(0)

def ends():
    raise OtherworldlyError("all over")

def fails():
    raise OSError("no cluster today")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_cluster.py").write_text(MODULE)
    (tmp_path / "leaves.py").write_text("import sys; sys.exit(0)")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ("locale", "no place to train 'locale'; did you mean 'local'"),
        ("", "no place to train ''"),
        ("LOCAL", "no place to train 'LOCAL'; did you mean 'local'"),
        (" dask", "no place to train ' dask'; did you mean 'dask'"),
        ("dask//host:8786", "no place to train 'dask//host'"),
        (None, "on takes the name of a place to train, not None"),
        (["dask"], "on takes the name of a place to train, not ['dask']"),
        ("local:4", "local takes nothing behind a colon; give --jobs"),
        ("tcp://host:8786", "the address of a Dask scheduler is written dask://HOST:PORT"),
        ("ray", "write python:MODULE:FUNCTION, a function of yours that gives an executor"),
        ("sbatch", "no place to train 'sbatch'; did you mean 'slurm'?"),
        ("dask://host:8786?pieces=3", "the one option is piece_s"),
        ("dask?piece_s=nan", "piece_s is a number of seconds above 0, not 'nan'"),
        ("python", "write python:module:function"),
        ("python:my_cluster", "write python:module:function"),
        ("python:no_such:make", "it does not load (ModuleNotFoundError: No module named 'no_such')"),
        ("python:my_cluster:none", 'on="python:my_cluster:none": it does not load'),
        ("python:my_cluster:none", "it does not load (AttributeError"),
        ("python:my_cluster:number", "it gives 'int', not an executor"),
        ("python:my_cluster:a_class", "it gives the class 'ThreadPoolExecutor': let it return one of it"),
        ("python:my_cluster:unentered", "it cannot be entered (OSError: closed today)"),
        ("python:my_cluster:unleft", "it cannot be left (OSError: no way out); what was trained is stored"),
        ("python:my_cluster:leaves", "it cannot be made (SystemExit: 0)"),
        ("python:my_cluster:ends", "it cannot be made (OtherworldlyError: all over)"),
        ("python:leaves:make", "it does not load (SystemExit: 0)"),
        ("python:my_cluster:fails", "it cannot be made (OSError: no cluster today)"),
    ],
)
def test_what_cannot_be_had(on: Any, said: str, module: Path) -> None:  # noqa: ARG001
    with pytest.raises(LadderError) as caught, opened(on, jobs=None):
        pass
    assert said in str(caught.value)


def test_what_cannot_be_left_hides_nothing(module: Path) -> None:  # noqa: ARG001
    with pytest.raises(KeyboardInterrupt), opened("python:my_cluster:unleft", jobs=None):
        raise KeyboardInterrupt


def test_what_is_left_but_never_entered_is_taken_as_it_is(module: Path) -> None:  # noqa: ARG001
    with opened("python:my_cluster:Half", jobs=None) as found:
        assert isinstance(found, Place)


def test_anything_that_submits_will_do(module: Path, digits: Path) -> None:
    path = module / "one.toml"
    path.write_text(TINY_LADDER.format(data=str(digits), epochs=3).partition('\n[[rung]]\nname = "dropout"')[0])
    how = {"seeds": 2, "progress": False}
    there = stepladder.climb(stepladder.load(path), store="there", on="python:my_cluster:make", **how)  # type: ignore[arg-type]
    here = stepladder.climb(stepladder.load(path), store="here", **how)  # type: ignore[arg-type]
    assert [run.numbers() for run in there.rungs[0].runs] == [run.numbers() for run in here.rungs[0].runs]


def test_ctrl_c_ends_trainings_in_processes_that_a_module_gave(module: Path, digits: Path) -> None:
    """It does not wait for a piece, half a minute long, of which nothing would be kept."""
    path = module / "long.toml"
    long = TINY_LADDER.format(data=str(digits), epochs="100\nbatch_size = 1")
    path.write_text(long.partition('\n[[rung]]\nname = "dropout"')[0])
    with Climb(path, module / "runs", "--seeds", 2, "--on", "python:my_cluster:processes") as climbing:
        deadline = time.monotonic() + PATIENCE_S
        while len(trainings := trainings_of(climbing.process.pid)) < 2:
            assert time.monotonic() < deadline
            assert climbing.process.poll() is None, climbing.process.communicate()
            time.sleep(0.1)
        os.kill(climbing.process.pid, signal.SIGINT)
        slowness = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        _, alive = psutil.wait_procs(trainings, timeout=5 * slowness)
        assert not alive
        returncode, _, err = climbing.finish()
    assert returncode == 130, err
    assert "Interrupted; every epoch that came back is kept. Go on with:\n  stepladder climb" in err
    assert "Traceback" not in err


def test_an_executor_and_a_name_do_not_go_together(tiny_ladder: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(LadderError, match="both say where to train"):
        stepladder.climb(stepladder.load(tiny_ladder), store=tmp_path / "runs", executor=executor, on="dask")


def test_where_is_a_text(tiny_ladder: Path, tmp_path: Path) -> None:
    with pytest.raises(LadderError, match='on is none: 5; give "dask"'):
        stepladder.climb(stepladder.load(tiny_ladder), store=tmp_path / "runs", on=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("executor", [ThreadPoolExecutor, 5, "dask"])
def test_what_is_no_executor_is_refused_before_anything_trains(
    executor: Any, tiny_ladder: Path, tmp_path: Path
) -> None:
    with pytest.raises(LadderError, match=r"executor is none: .*; give one of concurrent.futures, or leave executor"):
        stepladder.climb(stepladder.load(tiny_ladder), store=tmp_path / "runs", executor=executor)


def test_a_place_is_left_when_it_is_no_longer_needed(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = []

    class Watched(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            left.append(self)
            super().shutdown(wait, cancel_futures=cancel_futures)

    monkeypatch.syspath_prepend(module)
    import my_cluster  # type: ignore[import-not-found]

    monkeypatch.setattr(my_cluster, "make", lambda: Watched(3))
    with opened("python:my_cluster:make", jobs=None) as found:
        assert isinstance(found, Place)
        assert isinstance(found.executor, Executor)
        assert found.most is not None
        assert found.most() == 4
    assert len(left) == 1
    with opened("python:my_cluster:make", jobs=2) as found:
        assert isinstance(found, Place)
        assert found.most is not None
        assert found.most() == 2
