"""Runs in trackio: a project for each ladder, a group for each rung, a run for each seed, in its own local database.

They are written as trackio's importers write them (``SQLiteStorage.bulk_log``), which takes past times; by its ``init``
and ``log`` all epochs would have the time of the replay. Nothing is sent: ``trackio sync`` does that.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stepladder.tracking.told import Point, TrackedRun
from stepladder.tracking.trackers import not_installed

STATE, N_EPOCHS = "stepladder_state", "stepladder_epochs"  # of a run's config
OVER = ("finished", "diverged")


class Trackio:
    """A Tracker that writes to trackio's database, in the user's TRACKIO_DIR, else in ``trackio/`` of ``log_dir``."""

    def __init__(self, log_dir: str | None = None) -> None:
        if log_dir is not None:
            os.environ.setdefault("TRACKIO_DIR", str(Path(log_dir) / "trackio"))  # where every .db is one of its own
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        try:
            from trackio.sqlite_storage import SQLiteStorage
            from trackio.utils import TRACKIO_DIR
        except ImportError as error:
            raise not_installed("trackio", "trackio", error) from None
        self._storage: Any = SQLiteStorage
        self._folder = TRACKIO_DIR

    @property
    def where(self) -> str:
        return f"{self._folder.absolute()}: TRACKIO_DIR={self._folder} trackio show"

    def close(self) -> None:
        """All is written when it is told."""

    def tell(self, run: TrackedRun) -> bool:
        self._storage.validate_project_name(run.project)
        kept = self._storage.get_run_config(run.project, run.name, run_id=run.id) or {}
        state = (run.state, len(run.points))
        if (kept.get(STATE), kept.get(N_EPOCHS)) == state or (kept.get(STATE) in OVER and not run.is_over):
            return False
        if (
            run.is_over and kept
        ):  # its times are those of the epochs as they were seen: write it whole, as a replay does
            self._storage.delete_run(run.project, run.name, run_id=run.id)
        points = run.points or (Point(0, run.began_s, {}),)
        self._storage.bulk_log(
            project=run.project,
            run=run.name,
            run_id=run.id,
            metrics_list=[dict(point.metrics) for point in points],
            steps=[point.epoch for point in points],
            timestamps=[_iso(point.at_s) for point in points],
            log_ids=[f"{run.id}-{point.epoch}" for point in points],  # what has one that is there is left out
            config={
                **run.params,
                **run.tags,
                STATE: run.state,
                N_EPOCHS: len(run.points),
                "_Group": run.group,
                "_Created": _iso(run.began_s),
            },
        )
        return True


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()
