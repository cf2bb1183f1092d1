"""What MLflow is told, by its own client: when a process is killed in the middle, and when a server does not answer."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Once

from stepladder.errors import TrackerError
from stepladder.testing.trackers import made_up
from stepladder.tracking.mlflow import ID, Mlflow
from stepladder.tracking.trackers import told

pytest.importorskip("mlflow", reason="needs the extra mlflow")
pytestmark = pytest.mark.filterwarnings("ignore")  # a library's about the next version of another


@pytest.fixture
def folder(tmp_path: Path, once: Once, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One with an empty database, which MLflow takes seconds to make."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    empty = once("mlflow", lambda folder: Mlflow(str(folder)))
    shutil.copy(empty / "mlflow.db", tmp_path)
    return tmp_path


def run_in(folder: Path) -> Any:
    """The one run that is there."""
    client = client_of(folder)
    (run,) = client.search_runs([client.get_experiment_by_name("suite").experiment_id])
    return run


def client_of(folder: Path) -> Any:
    from mlflow import MlflowClient

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


class Broken:
    """MLflow's client until its n-th request, which and all after it are lost, as when a process is killed there."""

    def __init__(self, client: Any, n: int) -> None:
        self._client, self.n_left = client, n

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def request(*arguments: Any, **named: Any) -> Any:
            self.n_left -= 1
            if self.n_left < 0:
                raise ConnectionResetError("gone")
            return getattr(self._client, name)(*arguments, **named)

        return request


def test_whichever_request_is_the_last_the_next_process_makes_it_whole(folder: Path) -> None:
    """Nothing is there twice, whatever was there."""
    n_cut = 0
    for n in range(16):
        run = replace(made_up(), project="suite", id=f"{n:016x}")
        tracker = Mlflow(str(folder))
        tracker._client = Broken(tracker._client, n)
        try:
            tracker.tell(run)
        except ConnectionResetError:
            n_cut += 1
        assert Mlflow(str(folder)).tell(run) is (n_cut == n + 1)
        assert not Mlflow(str(folder)).tell(run)
    assert 5 < n_cut < 16
    client = client_of(folder)
    runs = client.search_runs([client.get_experiment_by_name("suite").experiment_id])
    assert len({each.data.tags[ID] for each in runs}) == len(runs) == 16
    for each in runs:
        assert each.info.status == "FINISHED"
        assert set(each.data.params) == set(made_up().params)
        for name in ("train/loss", "test/accuracy"):
            assert [found.step for found in client.get_metric_history(each.info.run_id, name)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("state", "status"),
    [("running", "RUNNING"), ("stopped", "KILLED"), ("finished", "FINISHED"), ("diverged", "FAILED")],
)
def test_its_status_is_that_of_the_run(state: str, status: str, folder: Path) -> None:
    Mlflow(str(folder)).tell(made_up(state=state))  # type: ignore[arg-type]
    assert run_in(folder).info.status == status


def test_a_run_that_goes_on_runs_again(folder: Path) -> None:
    Mlflow(str(folder)).tell(made_up(n=1, state="stopped"))
    Mlflow(str(folder)).tell(made_up(n=2, state="running"))
    assert run_in(folder).info.status == "RUNNING"


def test_a_run_that_was_watched_did_not_end_before_it_began(folder: Path) -> None:
    """It is stored in whole seconds, and began in between."""
    tracker, stored = Mlflow(str(folder)), made_up(n=1)
    tracker.tell(replace(made_up(n=1, state="running"), began_s=stored.ended_s + 0.3))
    tracker.tell(stored)
    info = run_in(folder).info
    assert info.end_time - info.start_time == 10_000


def test_a_rung_of_another_name_is_followed(folder: Path) -> None:
    run = made_up()
    Mlflow(str(folder)).tell(run)
    assert Mlflow(str(folder)).tell(replace(run, tags={**run.tags, "rung": "begin"}))
    assert run_in(folder).data.tags["rung"] == "begin"


def test_the_users_own_uri_goes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    Mlflow(str(folder / "elsewhere")).tell(made_up())
    assert run_in(folder).data.tags["rung"] == "start"
    assert not (folder / "elsewhere").exists()


def test_a_server_that_is_not_there_is_said_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackerError, match=r"'suite', start, seed 1: the tracker does not take it \(MlflowException"):
        told(Mlflow(), made_up())
