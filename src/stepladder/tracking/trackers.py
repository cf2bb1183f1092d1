"""Who can be told of runs, by name: the built-in trackers, and those that packages bring (docs/extending.md)."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from stepladder._base import registry
from stepladder._base.wording import did_you_mean, how_to_install, shown
from stepladder.errors import StepladderError, TrackerError
from stepladder.tracking.told import TrackedRun


class Tracker(Protocol):
    """Something that keeps what it is told of runs. What a name stands for is a function of one argument, ``log_dir``.

    That is the folder that a person wants it to write to, None for the usual one; the variables by which a person sets
    the tracker itself go before it. The function raises TrackerError where a library is missing, with the remedy.
    Nothing may be sent over a network unless a person has set the tracker so.
    """

    @property
    def where(self) -> str:
        """Where all of it is, and what to type to see it, in words."""

    def tell(self, run: TrackedRun) -> bool:
        """Bring what is there of a run up to this; whether anything had to be written.

        It is called with a run that trains again and again, with one that is over any number of times: what is there
        already is left as it is, what a process left that was killed meanwhile is made whole. What is there of a run
        that is over is no longer changed by one that is not. Raises TrackerError for what cannot be written.
        """

    def close(self) -> None:
        """Nothing more comes: write what is not written yet. Runs that train are left as they are."""


def choose_tracker(name: str, *, log_dir: str | None = None) -> Tracker:
    """The tracker of that name. Raises TrackerError, with what to install or ask for, if there is none."""
    who = f"the tracker {shown(name)}"
    if name in registry.TRACKERS.built_in:
        registry.TRACKERS.require_alone(name)
    else:
        known = registry.TRACKERS.names()
        if name not in known:
            raise TrackerError(f"no tracker {shown(name)}{did_you_mean(name, known, place='tracker')}")
        who = f"{who} of {registry.TRACKERS.brought_by(name)}"
    if log_dir == "":
        raise TrackerError("an empty path is no folder: give one with --log-dir")
    make: Callable[[str | None], Tracker] = registry.TRACKERS.load(name)
    try:
        tracker = make(log_dir)
    except StepladderError:
        raise
    except registry.OUTSIDERS as error:  # whatever a library or an outsider's code does
        remedy = ": give another folder with --log-dir" if isinstance(error, OSError) and log_dir is not None else ""
        raise TrackerError(f"{who} cannot be had ({registry.reason(error)}){remedy}") from error
    return required(tracker, who)


def required(tracker: Tracker, who: str) -> Tracker:
    """The same. Raises TrackerError for what is no tracker, or cannot say where it writes to."""
    try:
        missing = [each for each in ("where", "tell", "close") if not hasattr(tracker, each)]
    except registry.OUTSIDERS as error:
        raise TrackerError(f"{who} cannot say where it writes to ({registry.reason(error)})") from error
    if missing:
        raise TrackerError(f"{who} is none: it has no {missing[0]}; see docs/extending.md")
    return tracker


def named_tracker(to: str | Tracker, *, log_dir: str | Path | None) -> tuple[str, Tracker]:
    """A tracker by its name, or one that somebody has; and what it is called. Raises TrackerError."""
    if isinstance(to, str):
        return to, choose_tracker(to, log_dir=None if log_dir is None else str(log_dir))
    return type(to).__name__, required(to, f"the tracker {shown(to)}")


def not_installed(tracker: str, library: str, error: ImportError) -> TrackerError:
    """What a built-in tracker raises where its library does not load; the extra has the tracker's name."""
    return TrackerError(
        f"the {tracker} tracker needs {library}, which is not installed ({error}): {how_to_install(tracker)}"
    )


def told(tracker: Tracker, run: TrackedRun) -> bool:
    """Tell a tracker of a run; whatever goes wrong in its library is a TrackerError that names the run."""
    try:
        return tracker.tell(run)
    except StepladderError:
        raise
    except registry.OUTSIDERS as error:  # servers, disks, versions of libraries: a library raises what it likes
        raise TrackerError(
            f"{shown(run.project)}, {run.name}: the tracker does not take it ({registry.reason(error)})"
        ) from error


def close(tracker: Tracker, name: str) -> None:
    """Nothing more is told. Raises TrackerError if that cannot be written."""
    try:
        tracker.close()
    except StepladderError:
        raise
    except registry.OUTSIDERS as error:
        raise TrackerError(
            f"{name} could not be closed ({registry.reason(error)}): replay again, to make whole what is there"
        ) from error
