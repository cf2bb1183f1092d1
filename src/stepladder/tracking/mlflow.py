"""Runs in MLflow: an experiment for each ladder, a run for each seed, where the user's MLFLOW_TRACKING_URI says.

Without that, in a file: ``mlflow.db`` in ``log_dir``, else where MLflow has it by itself, in the working directory; and
nothing goes over a network.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stepladder._base.wording import cut
from stepladder.tracking.told import TrackedRun
from stepladder.tracking.trackers import not_installed

ID, STATE, N_EPOCHS = "stepladder.id", "stepladder.state", "stepladder.epochs"
OVER = ("finished", "diverged")
STATUS = {"running": "RUNNING", "stopped": "KILLED", "finished": "FINISHED", "diverged": "FAILED"}
LONGEST_PARAM = 500  # characters: older servers take no more
MOST_METRICS = 900  # in one request: a server takes 1,000
PAGE = 1000  # runs
# Unless the user says otherwise: half a minute for a server that does not answer, not half an hour; no telemetry.
UNLESS_SET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


class Mlflow:
    """A Tracker that tells MLflow, through its client."""

    def __init__(self, log_dir: str | None = None) -> None:
        for name, value in UNLESS_SET.items():
            os.environ.setdefault(name, value)
        try:
            import mlflow
            from mlflow import entities
        except ImportError as error:
            raise not_installed("mlflow", "MLflow", error) from None
        self._entities: Any = entities
        self._uri = str(mlflow.get_tracking_uri())
        if log_dir is not None and not mlflow.is_tracking_uri_set():
            folder = Path(log_dir).absolute()
            folder.mkdir(parents=True, exist_ok=True)
            self._uri = f"sqlite:///{folder / 'mlflow.db'}"
        self._client: Any = mlflow.MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
        self._experiments: dict[str, str] = {}
        self._found: dict[tuple[str, str], _Kept] = {}

    @property
    def where(self) -> str:
        return f"{self._uri}: mlflow ui --backend-store-uri {self._uri}" if "sqlite:" in self._uri else self._uri

    def close(self) -> None:
        """Every request is answered before the next one is made."""

    def tell(self, run: TrackedRun) -> bool:
        try:
            return self._told(run)
        except Exception:
            self._experiments.clear()  # a server may have done what it did not answer: ask it again
            self._found.clear()
            raise

    def _told(self, run: TrackedRun) -> bool:
        kept, tags = self._kept(run), _tags(run)
        if all(kept.tags.get(name) == text for name, text in tags.items()):
            return False
        if kept.tags.get(STATE) in OVER and not run.is_over:
            return False
        self._bring(run, kept)
        if STATUS[run.state] != kept.status:
            self._end(run, kept)
        self._client.log_batch(kept.run_id, tags=[self._entities.RunTag(*pair) for pair in tags.items()])
        kept.tags |= tags  # the last that is written: it says that all else is
        return True

    def _bring(self, run: TrackedRun, kept: "_Kept") -> None:
        """Parameters, and the metrics that are not there yet; what is there is never written twice."""
        missing = [
            self._entities.Metric(name, value, _ms(point.at_s), point.epoch)
            for point in run.points
            for name, value in point.metrics.items()
            if point.epoch not in self._steps(kept, name)
        ]
        if not kept.has_params:
            params = [
                self._entities.Param(name, cut(str(value), most=LONGEST_PARAM)) for name, value in run.params.items()
            ]
            self._client.log_batch(kept.run_id, params=params)
            kept.has_params = True
        for start in range(0, len(missing), MOST_METRICS):
            self._client.log_batch(kept.run_id, metrics=missing[start : start + MOST_METRICS])
        for metric in missing:
            kept.steps[metric.key].add(metric.step)

    def _steps(self, kept: "_Kept", name: str) -> set[int]:
        """The epochs that are there of a metric: asked once, of a run that this process has not begun."""
        if name not in kept.steps:
            history = self._client.get_metric_history(kept.run_id, name)
            kept.steps[name] = {each.step for each in history}
        return kept.steps[name]

    def _end(self, run: TrackedRun, kept: "_Kept") -> None:
        if run.state == "running":
            self._client.update_run(kept.run_id, status="RUNNING")
        else:
            took_ms = _ms(run.ended_s - run.began_s)  # stored times are whole seconds, watched ones are not
            ended_ms = max(_ms(run.ended_s), kept.began_ms + took_ms)
            self._client.set_terminated(kept.run_id, STATUS[run.state], end_time=ended_ms)
        kept.status = STATUS[run.state]

    def _kept(self, run: TrackedRun) -> "_Kept":
        """What MLflow has of a run, which is begun where there is nothing."""
        experiment = self._experiment(run.project)
        if (found := self._found.get((experiment, run.id))) is not None:
            return found
        began = self._client.create_run(
            experiment, start_time=_ms(run.began_s), run_name=run.name, tags={ID: run.id, **_about(run)}
        )
        kept = _Kept(began)
        kept.steps = {name: set() for point in run.points for name in point.metrics}
        self._found[experiment, run.id] = kept
        return kept

    def _experiment(self, project: str) -> str:
        """The id of a project's experiment; what is there of ours is read at first."""
        if project not in self._experiments:
            found = self._client.get_experiment_by_name(project)
            experiment = found.experiment_id if found else self._client.create_experiment(project)
            self._found |= {(experiment, each.tags[ID]): each for each in self._ours(experiment)}
            self._experiments[project] = experiment
        return self._experiments[project]

    def _ours(self, experiment: str) -> "Sequence[_Kept]":
        ours: list[_Kept] = []
        token = None
        while token != "":
            page = self._client.search_runs([experiment], f"tags.`{ID}` LIKE '%'", max_results=PAGE, page_token=token)
            ours.extend(map(_Kept, page))
            token = page.token or ""
        return ours


class _Kept:
    """What MLflow has of a run, as far as this process has asked or told it."""

    def __init__(self, run: Any) -> None:
        self.run_id: str = run.info.run_id
        self.status: str = run.info.status
        self.began_ms: int = run.info.start_time
        self.tags: dict[str, str] = dict(run.data.tags)
        self.has_params = bool(run.data.params)
        self.steps: dict[str, set[int]] = {}


def _about(run: TrackedRun) -> Mapping[str, str]:
    return {name: text for name, text in run.tags.items() if text}


def _tags(run: TrackedRun) -> dict[str, str]:
    """All tags of ours; those of the state are no longer equal when there is something new."""
    return {**_about(run), STATE: run.state, N_EPOCHS: str(len(run.points))}


def _ms(at_s: float) -> int:
    """Milliseconds since 1970, as MLflow has them."""
    return round(1000 * at_s)
