"""How much of a climb is done, in multiply-adds: epochs of one rung may take many times as long as those of another."""

import time
from collections.abc import Mapping

from stepladder.climbing.climbing import Task


class Work:
    """What was planned, and what of it is done; what was trained before does not count."""

    def __init__(self) -> None:
        self.macs = 0
        self.macs_done = 0
        self._epochs_left: dict[str, int] = {}
        self._started_at = time.monotonic()

    def plan(self, to_train: Mapping[str, tuple[Task, int]]) -> None:
        """Runs by key, each with the epochs it has behind it: besides what was planned before."""
        for key, (task, done) in to_train.items():
            self._epochs_left[key] = task.identity.recipe.epochs - done
            self.macs += task.macs_per_epoch * self._epochs_left[key]

    def move(self, task: Task, *, epochs_done: int) -> None:
        """A run stands there now; one that was not planned moves nothing."""
        if not self.knows(task):
            return
        left, before = task.identity.recipe.epochs - epochs_done, self._epochs_left[task.identity.key]
        self.macs_done += max(0, before - left) * task.macs_per_epoch
        self._epochs_left[task.identity.key] = min(left, before)

    def end(self, task: Task) -> None:
        self.move(task, epochs_done=task.identity.recipe.epochs)

    def knows(self, task: Task) -> bool:
        return task.identity.key in self._epochs_left

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.macs_done / self.macs if self.macs else 0.0

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started_at

    @property
    def left_s(self) -> float | None:
        """As long as the rest will take, if it goes on as it did; None before anything is done."""
        return self.elapsed_s * (self.macs / self.macs_done - 1) if self.macs_done else None
