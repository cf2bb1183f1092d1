"""Training on a Dask cluster whose workers see nothing of ours, and on one of this machine; all of it killed."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from clusters import Cluster, kill, trainings_of
from conftest import TINY_LADDER, CommandLine
from processes import PATIENCE_S, Climb

from stepladder.climbing.climbing import plan
from stepladder.engines import choose_engine
from stepladder.errors import LadderError
from stepladder.execution import on_dask
from stepladder.execution.places import opened
from stepladder.ladders.ladder_file import load
from stepladder.runs.run import RunIdentity
from stepladder.runs.store import Store

EPOCHS = 16
Numbers = dict[str, tuple[dict[str, object], bytes]]


def identities(ladder: Path) -> list[RunIdentity]:
    return [task.identity for task in plan(load(ladder), seeds=[1, 2], engine=choose_engine()[0])]


def numbers(ladder: Path, store: Path) -> Numbers:
    """All numbers of all runs, and their weights to the last bit."""
    opened = Store.open(store)
    runs = [run for each in identities(ladder) if (run := opened.find(each, set_aside=False))]
    return {run.identity.key: (run.numbers(), (store / f"{run.identity.key}.safetensors").read_bytes()) for run in runs}


def epochs(ladder: Path, store: Path) -> dict[str, int]:
    """The epochs of each run that the store holds, finished or not."""
    opened = Store.open(store)
    done = {each.key: opened.epochs_done(each)[0] for each in identities(ladder)}
    return done | dict.fromkeys(numbers(ladder, store), EPOCHS)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Path:
    """A folder that workers do not see, with images in it."""
    folder = tmp_path_factory.mktemp("hidden")
    shutil.copytree(digits, folder / "digits")
    return folder


@pytest.fixture(scope="module")
def ladder(images: Path) -> Path:
    """Two rungs."""
    text = TINY_LADDER.format(data=str(images / "digits"), epochs=EPOCHS)
    path = images / "two.toml"
    path.write_text(text[: text.index("[[rung]]", text.index('name = "dropout"'))])
    return path


@pytest.fixture(scope="module")
def undisturbed(ladder: Path) -> Numbers:
    store = ladder.parent / "undisturbed"
    with Climb(ladder, store, "--seeds", 2) as climbing:
        returncode, _, err = climbing.finish()
    assert returncode in (0, 1), err
    return numbers(ladder, store)


@pytest.fixture
def cluster(tmp_path: Path, images: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path / "machines", hidden=images) as found:
        yield found


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.mark.evidence  # the climb's own tests have the same kills, a minute sooner
def test_killed_again_and_again_it_ends_as_an_undisturbed_climb(
    ladder: Path, undisturbed: Numbers, cluster: Cluster, tmp_path: Path
) -> None:
    """A worker, the driver, the scheduler: no epoch that was received is lost, and no run is trained twice."""
    store = tmp_path / "runs"
    with Climb(ladder, store, "--seeds", 2, "--on", cluster.on) as climbing:
        climbing.wait_for("*/*.partial.safetensors", 2)
        kill(cluster.workers[0])
        cluster.begin_worker()
        climbing.wait_for("*/*.json")
        climbing.process.kill()
        climbing.process.wait()
    received, finished = epochs(ladder, store), numbers(ladder, store)
    assert 0 < sum(received.values()) < 4 * EPOCHS, "the kill came too late to mean anything"
    until(lambda: not cluster.trainings())  # nobody wants them any more

    with Climb(ladder, store, "--seeds", 2, "--on", cluster.on) as climbing:
        until(lambda: sum(epochs(ladder, store).values()) > sum(received.values()))
        assert all(n >= received[key] for key, n in epochs(ladder, store).items())
        assert cluster.scheduler is not None
        kill(cluster.scheduler)
        returncode, _, err = climbing.finish()
    assert (returncode, "Traceback" in err) == (5, False), err
    assert "Error: the Dask scheduler is gone" in err
    received = epochs(ladder, store)
    for worker in cluster.workers:
        kill(worker)

    cluster.begin()
    with Climb(ladder, store, "--seeds", 2, "--on", cluster.on) as climbing:
        until(lambda: all(n >= received[key] for key, n in epochs(ladder, store).items()))
        returncode, _, err = climbing.finish()
    assert returncode in (0, 1), err
    assert "damaged" not in err
    assert {key: finished[key] for key in finished} == {key: numbers(ladder, store)[key] for key in finished}
    assert numbers(ladder, store) == undisturbed
    assert not list(store.glob("*/*.partial.safetensors"))
    if cluster.network.is_there:
        assert set(cluster.sent_images().values()) <= {0, 1}
        assert sum(cluster.sent_images().values()) >= 2


@pytest.fixture(scope="module")
def long(ladder: Path) -> Path:
    """A ladder that takes minutes."""
    path = ladder.with_name("long.toml")
    path.write_text(ladder.read_text().replace(f"epochs = {EPOCHS}", "epochs = 100\nbatch_size = 1"))
    return path


@pytest.mark.parametrize("on", ["a cluster's workers", "dask"])
def test_ctrl_c_leaves_no_training_behind(on: str, long: Path, tmp_path: Path, images: Path) -> None:
    with Cluster(tmp_path / "machines", hidden=images) as cluster:
        where = on if on == "dask" else cluster.on.partition("?")[0]
        with Climb(long, tmp_path / "runs", "--seeds", 2, "--on", where) as climbing:
            began = climbing.process.pid if on == "dask" else cluster.workers[0].pid
            until(lambda: any(each.cpu_times().user > 2 for each in trainings_of(began)))
            trainings = trainings_of(began)
            os.killpg(climbing.process.pid, signal.SIGINT)
            _, alive = psutil.wait_procs(trainings, timeout=5 * slowness())
            assert not alive
            returncode, _, err = climbing.finish()
    assert returncode == 130, err
    assert "Traceback" not in err
    assert f"--on {where}" in err


def slowness() -> float:
    """How much longer things take here than on an idle machine."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def test_a_cluster_of_this_machine(ladder: Path, undisturbed: Numbers, tmp_path: Path) -> None:
    store = tmp_path / "runs"
    with Climb(ladder, store, "--seeds", 2, "--jobs", 2, "--on", "dask") as climbing:
        returncode, out, err = climbing.finish()
    assert returncode in (0, 1), err
    assert "distributed" not in err + out
    assert numbers(ladder, store) == undisturbed


def test_where_no_scheduler_answers(ladder: Path, tmp_path: Path, stepladder: CommandLine) -> None:
    done = stepladder("climb", ladder, "--store", tmp_path / "runs", "--on", "dask://127.0.0.1:9")
    assert done.returncode == 2
    assert "Error: --on dask://127.0.0.1:9: no scheduler answers there" in done.stderr
    assert "Traceback" not in done.stderr


def hear(climbing: Climb, words: str) -> None:
    """Wait until it says them."""
    assert climbing.process.stderr is not None
    patience = threading.Timer(PATIENCE_S, climbing.process.kill)
    patience.start()
    try:
        assert any(words in line for line in climbing.process.stderr), words
    finally:
        patience.cancel()


@pytest.fixture
def empty(tmp_path: Path, images: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path / "machines", hidden=images, n_workers=0) as found:
        yield found


def test_a_worker_without_stepladder_is_named(
    ladder: Path, empty: Cluster, tmp_path: Path, undisturbed: Numbers, stepladder: CommandLine
) -> None:
    """Such a worker dies of a training without a word: alone it is refused, and beside another one it is not used."""
    store = tmp_path / "runs"
    with Climb(ladder, store, "--seeds", 2, "--on", empty.on) as climbing:
        hear(climbing, "note: the Dask scheduler has no worker: nothing trains until")
        empty.begin_worker(is_bare=True)
        hear(climbing, "has no Stepladder")
        refused = stepladder("climb", ladder, "--store", tmp_path / "none", "--on", empty.on)
        assert refused.returncode == 2
        assert "has no Stepladder (ModuleNotFoundError: " in refused.stderr
        assert "Traceback" not in refused.stderr
        empty.begin_worker()
        returncode, _, err = climbing.finish()
    assert returncode in (0, 1), err
    assert numbers(ladder, store) == undisturbed


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ("dask://", "that is no address of a scheduler: write host and port, as in dask://10.0.0.1:8786"),
        ("dask://localhost", "that is no address of a scheduler"),
        ("dask://localhost:port", "that is no address of a scheduler"),
        ("dask://localhost:65536", "that is no address of a scheduler"),
        ("dask://:8786", "that is no address of a scheduler"),
        ("dask://localhost:8786/status", "that is no address of a scheduler"),
        ("dask:carrier-pigeon://localhost:8786", "that is no address of a scheduler"),
        ("dask:tls://localhost:8786", "tls needs certificates"),
    ],
)
def test_what_is_no_address_is_refused_at_once(on: str, said: str, caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()
    with pytest.raises(LadderError) as caught, opened(on, jobs=None):
        pass
    assert str(caught.value).startswith(f'on="{on}": {said}')
    assert time.monotonic() - began < on_dask.CONNECT_S * slowness()
    assert not caplog.records


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_cluster_of_this_machine_has_a_worker_for_each_job(jobs: int) -> None:
    with opened("dask", jobs=jobs) as at:
        assert at is not None
        assert at.most is not None
        assert at.most() == jobs


def test_ended_while_its_cluster_begins_it_says_so_and_nothing_else(ladder: Path, tmp_path: Path) -> None:
    """Half a cluster cannot be closed, and would complain."""
    with Climb(ladder, tmp_path / "runs", "--seeds", 1, "--jobs", 2, "--on", "dask") as climbing:
        until(lambda: psutil.Process(climbing.process.pid).children(recursive=True))
        climbing.process.terminate()
        returncode, _, err = climbing.finish()
    assert returncode == 143, err
    assert "Traceback" not in err
    assert "Interrupted; every epoch that came back is kept" in err


def test_hung_up_with_all_that_it_began_it_says_so_and_nothing_else(long: Path, tmp_path: Path) -> None:
    """As by a terminal that is closed: Python's own processes beside ours would die of it."""
    with Climb(long, tmp_path / "runs", "--seeds", 2, "--jobs", 2, "--on", "dask?piece_s=0.1") as climbing:
        climbing.wait_for("*/*.partial.safetensors")
        os.killpg(climbing.process.pid, signal.SIGHUP)
        returncode, _, err = climbing.finish()
    assert returncode == 129, err
    assert "Traceback" not in err
    assert "resource_tracker" not in err
