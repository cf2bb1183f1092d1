"""Runs as TensorBoard's event files: a folder for each run, in one for each rung, in one for each ladder.

Nothing has to be installed for that; TensorBoard is, to see it. The file of a run that is over is replaced whole; one
that trains gets a file of its own, which grows, and is empty at the end.
"""

import os
import re
from pathlib import Path

from stepladder._base.files import write_atomically
from stepladder._base.wording import shown
from stepladder.errors import TrackerError
from stepladder.tracking.event_file import beginning, event_file, more
from stepladder.tracking.told import TrackedRun, folder_of

LOG_DIR = "tensorboard"
LIVE = "events.out.tfevents.0000000000.live"  # comes before any other name: TensorBoard reads files in that order
MOST_OF_AN_ID = 8  # digits, in the name of a folder


class TensorBoard:
    """A Tracker that writes event files below ``log_dir``."""

    def __init__(self, log_dir: str | None = None) -> None:
        if log_dir == "":
            raise TrackerError("an empty path is no folder: give one with --log-dir")
        self.log_dir = Path(LOG_DIR if log_dir is None else log_dir)
        self._n_told: dict[str, int] = {}  # epochs in the file that grows, by run

    @property
    def where(self) -> str:
        return f"{self.log_dir.absolute()}: tensorboard --logdir {self.log_dir}"

    def tell(self, run: TrackedRun) -> bool:
        try:
            return self._whole(run) if run.is_over else self._growing(run)
        except OSError as error:
            raise TrackerError(
                f"cannot write to {shown(str(self.log_dir.absolute()))} ({error.strerror or error}): give another"
                " folder with --log-dir"
            ) from None

    def close(self) -> None:
        """Every event is written when it is told."""

    def _whole(self, run: TrackedRun) -> bool:
        folder = self._folder(run)
        path, content = folder / file_name(run), event_file(run)
        others = [each for each in folder.glob("*tfevents*") if each != path]
        is_new = not path.is_file() or path.read_bytes() != content or any(each.stat().st_size for each in others)
        if is_new:
            unnamed = folder / run.id  # until it is whole: no name that TensorBoard reads
            write_atomically(unnamed, content)
            unnamed.replace(path)
        for each in others:
            _end(each)
        self._n_told.pop(run.id, None)
        return is_new

    def _growing(self, run: TrackedRun) -> bool:
        folder = self._folder(run)
        path, n_told = folder / LIVE, self._n_told.get(run.id)
        if any(each != path for each in folder.glob("*tfevents*")):
            return False  # it is over, and trained again: its numbers are the same
        if n_told is None or not path.is_file():
            write_atomically(folder / run.id, beginning(run) + more(run.points))
            (folder / run.id).replace(path)
        else:
            with path.open("ab") as file:
                file.write(more(run.points[n_told:]))
        self._n_told[run.id] = len(run.points)
        return n_told is None or n_told < len(run.points)

    def _folder(self, run: TrackedRun) -> Path:
        """That of a run; if its rung was called otherwise before, it is moved."""
        project = self.log_dir / folder_of(run.project)
        folder = project / readable(run.group) / f"seed-{run.seed}-{run.id[:MOST_OF_AN_ID]}"
        if not folder.is_dir():
            before = next(project.glob(f"*/{folder.name}"), None)
            folder.parent.mkdir(parents=True, exist_ok=True)
            if before:
                before.rename(folder)
        return folder


def _end(path: Path) -> None:
    """Empty a file, or remove one that is: TensorBoard does not get from a file that is gone to the next one."""
    if path.stat().st_size:
        os.truncate(path, 0)
    else:
        path.unlink()


def readable(group: str) -> str:
    """A rung's name as that of a folder: spaces may stay."""
    name = re.sub(r"[^\w .,=+-]+", "-", group, flags=re.ASCII)[:60].strip(" .-")
    return name or "rung"


def file_name(run: TrackedRun) -> str:
    """That of its events: TensorBoard wants ``tfevents`` and a time in it."""
    return f"events.out.tfevents.{int(run.ended_s):010d}.{run.id}"
