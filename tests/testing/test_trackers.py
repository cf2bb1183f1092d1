"""The built-in trackers pass the suite that outsiders run; what they wrote is read by the trackers' own code."""

import json
import shutil
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conftest import Once

from stepladder.testing import TrackerConformance
from stepladder.testing.trackers import PAST_S, Seen
from stepladder.tracking.trackers import Tracker, choose_tracker

THEIR_WARNINGS = pytest.mark.filterwarnings("ignore")  # a library's about the next version of another


def seen(group: str, params: dict[str, Any], points: Sequence[tuple[str, int, float, float]]) -> Seen:
    """Of points (metric, epoch, value, time in seconds); none may be there twice."""
    assert len({point[:2] for point in points}) == len(points)
    values: dict[str, dict[int, float]] = {}
    for name, epoch, value, _ in points:
        values.setdefault(name, {})[epoch] = value
    return Seen(
        group, {name: str(value) for name, value in params.items()}, values, {each[1]: each[3] for each in points}
    )


class TestTensorBoard(TrackerConformance):
    def make_tracker(self, folder: Path) -> Tracker:
        return choose_tracker("tensorboard", log_dir=str(folder / "logs"))

    def seen(self, folder: Path) -> Sequence[Seen]:
        return [self._seen(run) for run in sorted((folder / "logs" / "suite").glob("*/*"))]

    def _seen(self, folder: Path) -> Seen:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.plugins.hparams import metadata

        found = EventAccumulator(str(folder)).Reload()
        points = [
            (name, each.step, each.value, each.wall_time)
            for name in found.Tags()["scalars"]
            for each in found.Scalars(name)
        ]
        assert found.FirstEventTimestamp() == PAST_S
        content = found.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
        started = metadata.parse_session_start_info_plugin_data(content)
        hparams = {name: getattr(each, str(each.WhichOneof("kind"))) for name, each in started.hparams.items()}
        hparams["epochs"] = int(hparams["epochs"])  # any number is a double there
        assert started.group_name == f"suite/{hparams['rung']}"
        return seen(hparams["rung"], hparams, points)


@THEIR_WARNINGS
class TestMlflow(TrackerConformance):
    @pytest.fixture(autouse=True)
    def unset(self, monkeypatch: pytest.MonkeyPatch, once: Once) -> None:
        pytest.importorskip("mlflow", reason="needs the extra mlflow")
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        self.empty = once("mlflow", lambda folder: choose_tracker("mlflow", log_dir=str(folder)))

    def make_tracker(self, folder: Path) -> Tracker:
        if not (folder / "mlflow.db").exists():  # to make one takes MLflow seconds
            shutil.copy(self.empty / "mlflow.db", folder)
        return choose_tracker("mlflow", log_dir=str(folder))

    def seen(self, folder: Path) -> Sequence[Seen]:
        from mlflow import MlflowClient

        uri = f"sqlite:///{folder / 'mlflow.db'}"
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        runs = client.search_runs([client.get_experiment_by_name("suite").experiment_id])
        assert {run.info.start_time for run in runs} == {round(1000 * PAST_S)}
        return [self._seen(client, run) for run in runs]

    def _seen(self, client: Any, run: Any) -> Seen:
        points = [
            (name, each.step, each.value, each.timestamp / 1000)
            for name in run.data.metrics
            for each in client.get_metric_history(run.info.run_id, name)
        ]
        return seen(run.data.tags.get("rung"), run.data.params, points)


@THEIR_WARNINGS
class TestWandb(TrackerConformance):
    shows_running: ClassVar[bool] = False  # it writes when it likes

    @pytest.fixture(autouse=True)
    def unset(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("wandb", reason="77 MB, not among the tests' own needs: pip install '.[wandb]'")
        monkeypatch.delenv("WANDB_DIR", raising=False)
        monkeypatch.setenv("WANDB_MODE", "offline")

    def make_tracker(self, folder: Path) -> Tracker:
        return choose_tracker("wandb", log_dir=str(folder))

    def leave(self, tracker: Tracker) -> None:
        """Its runs are open in a service of this process, which a killed one would have no more."""
        tracker.close()

    def seen(self, folder: Path) -> Sequence[Seen]:
        return [self._seen(path) for path in folder.glob("wandb/offline-run-*/*.wandb")]

    def _seen(self, path: Path) -> Seen:
        from wandb.proto.wandb_internal_pb2 import Record

        points, group, config = [], "", {}
        for content in records(path.read_bytes()):
            record = Record()
            record.ParseFromString(content)
            if record.WhichOneof("record_type") == "run":
                group = record.run.run_group
                config = {each.key: json.loads(each.value_json) for each in record.run.config.update}
            if record.WhichOneof("record_type") == "history":
                row = {"/".join(each.nested_key): json.loads(each.value_json) for each in record.history.item}
                measured = {name: value for name, value in row.items() if not name.startswith("_")}
                points += [(name, row["_step"], value, row["_timestamp"]) for name, value in measured.items()]
        return seen(group, config, points)


@THEIR_WARNINGS
class TestTrackio(TrackerConformance):
    @pytest.fixture(autouse=True)
    def folder_of(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("trackio", reason="129 MB, not among the tests' own needs: pip install '.[trackio]'")
        self.monkeypatch = monkeypatch

    def make_tracker(self, folder: Path) -> Tracker:
        self.write_to(folder)
        return choose_tracker("trackio")

    def write_to(self, folder: Path) -> None:
        """It reads TRACKIO_DIR once in a process."""
        for module in ("sqlite_storage", "utils"):
            self.monkeypatch.setattr(f"trackio.{module}.TRACKIO_DIR", folder)

    def seen(self, folder: Path) -> Sequence[Seen]:
        from datetime import datetime

        from trackio.sqlite_storage import SQLiteStorage

        self.write_to(folder)
        found = []
        for run in SQLiteStorage.get_run_records("suite"):
            config = SQLiteStorage.get_run_config("suite", run["name"], run_id=run["id"])
            rows = SQLiteStorage.get_logs("suite", run["name"], run_id=run["id"])
            points = [
                (name, row["step"], value, datetime.fromisoformat(row["timestamp"]).timestamp())
                for row in rows
                for name, value in row.items()
                if name not in ("step", "timestamp")
            ]
            found.append(seen(config["_Group"], config, points))
        return found


def records(log: bytes) -> Iterator[bytes]:
    """The records of a log as LevelDB writes it, after W&B's 7 bytes: blocks of 32 KiB, records in parts."""
    at, record = 7, b""
    while at + 7 <= len(log):
        left = 32_768 - at % 32_768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", log[at : at + 7])
        record += log[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or its last part
            yield record
            record = b""


def test_a_suite_without_a_tracker_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match="give make_tracker"):
        TrackerConformance().make_tracker(tmp_path)
    with pytest.raises(NotImplementedError, match="give seen"):
        TrackerConformance().seen(tmp_path)
