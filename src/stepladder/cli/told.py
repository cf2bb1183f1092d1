"""Who is told of a climb while it goes on: the terminal, the live page if there is one, and trackers."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from stepladder.errors import LadderError


def refuse_untracked(trackers: Sequence[str], log_dir: str | None) -> None:
    """Raise LadderError for a folder that no tracker writes to."""
    if log_dir is not None and not trackers:
        raise LadderError("--log-dir is that of a tracker: add --track tensorboard, or another one")


def tracked(ladder: Any, trackers: Sequence[str], store: Any, *, log_dir: str | None) -> list[Any]:
    """Who tells these trackers of the runs of a plan, each once."""
    if not trackers:
        return []
    from stepladder.tracking.tracked_climb import TrackedClimb

    return [TrackedClimb(ladder, each, log_dir=log_dir, store=store) for each in dict.fromkeys(trackers)]


def watchers(stack: ExitStack, tracked: Sequence[Any], *, page: Any = None, first: str = "") -> Any:
    """A Watcher that tells all of them, for as long as the stack lasts; ``first`` is said before all else."""
    from stepladder.climbing.climbing import Watchers
    from stepladder.watching.live import LiveClimb

    watcher = Watchers([stack.enter_context(each) for each in (LiveClimb(), page, *tracked) if each])
    if first:
        watcher.noted(first)
    for each in (page, *tracked):
        if each:
            each.complain = watcher.noted
    if page:
        watcher.noted(f"live report at {page.url}")
    for each in tracked:
        watcher.noted(f"tracked in {each.where}")
    return watcher
