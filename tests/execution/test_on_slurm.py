"""Training in jobs of submitit, as processes of this machine: there is no SLURM here."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import submitit
from clusters import trainings_of
from conftest import TINY_LADDER, CommandLine
from processes import PATIENCE_S, Climb

from stepladder.climbing.climbing import climb, plan
from stepladder.engines import choose_engine
from stepladder.execution.places import opened
from stepladder.ladders.ladder_file import load
from stepladder.runs.store import Store

ON = "slurm:piece_s=0.2"


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Path:
    """One rung."""
    path = tmp_path_factory.mktemp("slurm") / "one.toml"
    path.write_text(TINY_LADDER.format(data=str(digits), epochs=6).partition('\n[[rung]]\nname = "dropout"')[0])
    return path


def numbers(ladder: Path, store: Store) -> list[tuple[dict[str, object], bytes]]:
    tasks = plan(load(ladder), seeds=[1, 2], engine=choose_engine()[0])
    runs = [run for task in tasks if (run := store.find(task.identity, set_aside=False))]
    return [(run.numbers(), store.weights_file(run)) for run in runs]


def test_a_job_that_is_killed_is_tried_again_and_all_ends_as_at_home(
    ladder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Climb(ladder, tmp_path / "runs", "--seeds", 2, "--jobs", 2, "--on", ON) as climbing:
        climbing.wait_for("*/*.partial.safetensors")
        deadline = time.monotonic() + PATIENCE_S
        while not (jobs := jobs_of(climbing.process.pid)) and climbing.process.poll() is None:
            assert time.monotonic() < deadline
        for job in jobs[:1]:
            job.kill()
        returncode, _, err = climbing.finish()
    assert returncode in (0, 1), err
    assert "note: there is no SLURM here (no sbatch on the PATH)" in err
    assert "Traceback" not in err
    home = Store.open(tmp_path / "home", create=True)
    assert climb(load(ladder), seeds=[1, 2], store=home, engine=choose_engine()[0]) == []
    assert numbers(ladder, Store.open(tmp_path / "runs")) == numbers(ladder, home)
    assert len(numbers(ladder, home)) == 2


def jobs_of(pid: int) -> list[psutil.Process]:
    """The processes that submitit has begun for a climb."""
    try:
        found = psutil.Process(pid).children()
        return [each for each in found if "submitit" in " ".join(each.cmdline())]
    except psutil.Error:
        return []


def test_ctrl_c_leaves_no_training_behind(ladder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    long = tmp_path / "long.toml"
    long.write_text(ladder.read_text().replace("epochs = 6", "epochs = 100\nbatch_size = 1"))
    with Climb(long, tmp_path / "runs", "--seeds", 2, "--jobs", 2, "--on", "slurm") as climbing:
        deadline = time.monotonic() + PATIENCE_S
        while not any(each.cpu_times().user > 2 for each in trainings_of(climbing.process.pid)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        trainings = trainings_of(climbing.process.pid)
        os.killpg(climbing.process.pid, signal.SIGINT)
        slowness = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        _, alive = psutil.wait_procs(trainings, timeout=5 * slowness)
        assert not alive
        returncode, _, err = climbing.finish()
    assert returncode == 130, err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ("slurm:partition", "--on slurm:partition: write options as name=value"),
        ("slurm:piece_s=soon", "--on slurm:piece_s=soon: piece_s is a number of seconds above 0, not 'soon'"),
        ("slurm:piece_s=0", "piece_s is a number of seconds above 0"),
        ("slurm:timeout_min=long", "--on slurm:timeout_min=long: timeout_min is a whole number from 1 on, not 'long'"),
        ("slurm:timeout_min=0", "timeout_min is a whole number from 1 on, not '0'"),
        ("slurm:mem_gb=nan", "mem_gb is a number above 0, not 'nan'"),
        ("slurm:stderr_to_stdout=perhaps", "stderr_to_stdout is true or false, not 'perhaps'"),
        ("slurm:partitoin=short", "no option 'partitoin'; known are folder, piece_s, name, timeout_min,"),
        ("slurm:qos=a,qos=b", "qos is there twice: leave one out"),
        ("slurm:tasks_per_node=2", "a job trains one run, on one node: leave tasks_per_node out"),
        ("slurm:nodes=2", "a job trains one run, on one node: leave nodes out"),
        ("slurm:folder=one.toml", "jobs cannot be kept in "),
    ],
)
def test_options_that_are_none(on: str, said: str, ladder: Path, tmp_path: Path, stepladder: CommandLine) -> None:
    (tmp_path / "one.toml").write_text("no folder")
    done = stepladder("climb", ladder, "--store", tmp_path / "runs", "--on", on)
    assert done.returncode == 2
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("Error")]
    assert said in line
    assert "Traceback" not in done.stderr


def test_options_are_what_submitit_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts stay texts, such as an account of digits; commas in brackets are one of a list of machines."""
    monkeypatch.chdir(tmp_path)
    seen: dict[str, Any] = {}
    tell = submitit.AutoExecutor.update_parameters
    monkeypatch.setattr(
        submitit.AutoExecutor, "update_parameters", lambda self, **named: seen.update(named) or tell(self, **named)
    )
    options = "account=007,mem_gb=0.5,name=7,stderr_to_stdout=False,nodelist=n[1,3-4],setup=module load x,piece_s=1e99"
    with opened(f"slurm:{options}", jobs=None) as at:
        assert at is not None
        assert at.piece_s == 1e99
    assert seen.pop("timeout_min") > 0
    assert seen == {
        "slurm_account": "007",
        "mem_gb": 0.5,
        "name": "7",
        "stderr_to_stdout": False,
        "slurm_nodelist": "n[1,3-4]",
        "slurm_setup": ["module load x"],
    }
