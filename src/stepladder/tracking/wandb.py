"""Runs in Weights & Biases: a project for each ladder, a group for each rung, a run for each seed. Offline, unless the
user has set WANDB_MODE; ``wandb sync`` sends what was written.

An offline run cannot be gone on with (wandb#2423): one that a process left in the middle is written again, whole. What
is whole has a mark below ``wandb/stepladder``, also when the run itself was sent and cleared away.
"""

import json
import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

from stepladder._base.files import write_atomically
from stepladder.tracking.told import TrackedRun, folder_of
from stepladder.tracking.trackers import not_installed

UNLESS_SET = {"WANDB_ERROR_REPORTING": "false", "WANDB_MODE": "offline"}


class Wandb:
    """A Tracker that writes W&B runs to ``wandb/`` in the user's WANDB_DIR, else in ``log_dir``."""

    def __init__(self, log_dir: str | None = None) -> None:
        self._folder = Path(os.environ.get("WANDB_DIR") or log_dir or ".")
        for name, value in UNLESS_SET.items():
            os.environ.setdefault(name, value)
        try:
            import wandb
        except ImportError as error:
            raise not_installed("wandb", "wandb", error) from None
        self._wandb: Any = wandb
        self._open: dict[str, Any] = {}  # W&B's runs by the ids that they have there
        self._n_told: dict[str, int] = {}  # epochs

    @property
    def where(self) -> str:
        folder = self._folder.absolute() / "wandb"
        return (
            f"{folder}: wandb sync {self._folder / 'wandb'}/offline-run-* sends it" if self._is_offline else str(folder)
        )

    @property
    def _is_offline(self) -> bool:
        return os.environ["WANDB_MODE"] == "offline"

    def tell(self, run: TrackedRun) -> bool:
        mark, name = self._mark(run), _id(run)
        if mark.exists():
            return False
        is_new = name not in self._open
        if is_new:
            if run.state == "stopped" and not run.points:
                return False
            self._open[name], self._n_told[name] = self._begun(run), 0
        missing = run.points[self._n_told[name] :]
        for point in missing:
            times = {"_timestamp": point.at_s, "_runtime": point.at_s - run.began_s}
            self._open[name].log({**point.metrics, **times}, step=point.epoch)
        self._n_told[name] = len(run.points)
        if run.state != "running":
            self._open.pop(name).finish(exit_code=0 if run.state == "finished" else 1)
        if run.is_over:
            mark.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(mark, json.dumps({"run": name, "epochs": len(run.points), "state": run.state}).encode())
        return is_new or bool(missing) or run.is_over

    def close(self) -> None:
        """Runs that train are left as they are."""
        for each in self._open.values():
            each.finish(exit_code=1)
        self._open.clear()

    def _begun(self, run: TrackedRun) -> Any:
        name = _id(run)
        if self._is_offline:
            for left in (self._folder / "wandb").glob(f"offline-run-*-{name}"):
                shutil.rmtree(left, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        quiet = {"silent": True, "console": "off", "disable_git": True, "disable_code": True}
        nothing_of_this_machine = {"x_disable_stats": True, "x_disable_meta": True, "x_disable_machine_info": True}
        return self._wandb.init(
            project=folder_of(run.project),
            id=name,
            name=run.name,
            group=run.group,
            config={**run.params, **run.tags},
            dir=str(self._folder),
            resume=None if self._is_offline else "allow",
            reinit="create_new",
            settings=self._wandb.Settings(**quiet, **nothing_of_this_machine),
        )

    def _mark(self, run: TrackedRun) -> Path:
        return self._folder / "wandb" / "stepladder" / f"{_id(run)}.json"


def _id(run: TrackedRun) -> str:
    """What a run is called in W&B: another project's run of the same experiment is another one."""
    return f"{run.id}-{sha256(run.project.encode()).hexdigest()[:6]}"
