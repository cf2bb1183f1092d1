"""Where trainings are computed: an executor, and what is known of it that concurrent.futures does not tell."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass

from stepladder.execution import children

PIECE_S = 30.0


@dataclass(frozen=True)
class Place:
    """An executor of any kind; its workers may stand in other folders and on other machines.

    ``most`` is how many pieces of runs it is given at once, all of them if it is None. A piece takes ``piece_s``
    seconds or one epoch, whichever is longer. ``stop`` ends the pieces of these tickets that are being trained.
    ``spread`` has images kept (see sent_images) on its machines; without it one of them is sent them, whichever.
    ``notes`` gives what is worth saying by now, a sentence each; it is asked again and again, and each is said once.
    """

    executor: Executor
    most: Callable[[], int] | None = None
    piece_s: float = PIECE_S
    stop: Callable[[Sequence[str]], None] = children.stop
    spread: "Callable[[str, bytes], Future[None]] | None" = None
    notes: Callable[[], Sequence[str]] = tuple

    @property
    def is_own(self) -> bool:
        """Whether what trains are children of this very process: then each epoch is heard of, and nothing is sent."""
        return isinstance(self, _Own)


class _Own(Place):
    pass


def own(jobs: int) -> Place:
    """So many processes of this machine, children of this one; each has the next run at hand."""
    return _Own(ThreadPoolExecutor(jobs), most=lambda: 2 * jobs)


def of(executor: Executor | Place | None) -> Place | None:
    """An executor that somebody else has made, and closes, as a place."""
    if executor is None or isinstance(executor, Place):
        return executor
    n_workers = getattr(executor, "_max_workers", None)  # of those of the standard library
    return Place(executor, most=(lambda: max(0, n_workers) + 1) if isinstance(n_workers, int) else None)
