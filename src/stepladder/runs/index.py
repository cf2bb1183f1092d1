"""Which runs of a store were checked once, so that thousands are not checked again each time they are shown.

::

    index/<experiment>.checked    {"format_version": 1, "sha256": ..., "index": {"checks": ..., "runs": {stem: [...]}}}

It holds no number of any run. An entry says that a record of this SHA-256, beside a file of weights of this size, times
and inode, was read and found sound; ``checks`` says by which version and for which images. A record is read and hashed
all the same, each time: what is shown is always what it says. Only two things are left out where an entry holds: to
hold the record against itself again, and to read the weights, which are checked whenever they are used.

Weights that changed within the same tick of a clock as they were checked, with the same size, look as if they had not
(git calls that racily clean). So nothing is noted that is not older than SETTLED_NS, by the clock of the store's own
file system: whatever changes it later has another time. The time at which a file's inode changed counts too, as a
program may set that of its content.

The folder can be deleted at any time, and is written anew. What in it is damaged, foreign, of another version or cannot
be written costs time and nothing else. ``stepladder runs check``, ``merge`` and ``list`` do not look at it.
"""

import os
import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from stepladder import __version__
from stepladder._base.files import MOST_JSON_BYTES, checksum, read_regular, sealed, unsealed, write_atomically
from stepladder.datasets.sources import DataInfo
from stepladder.errors import StoreError
from stepladder.runs.run import Run
from stepladder.runs.run_files import believed_run, checked_run, read_record

FORMAT_VERSION = 1
FOLDER = "index"
SETTLED_NS = 2 * 10**9  # FAT, the coarsest of file systems, counts in two seconds

Entry = tuple[str, int, int, int, int]  # SHA-256 of the record; of the weights size, mtime_ns, ctime_ns, inode


class Index:
    """What is known of the runs in a store's folder. It reads and writes its own files alone, and raises nothing."""

    def __init__(self, store: Path) -> None:
        self._store, self._folder = store, store / FOLDER
        self._known: dict[tuple[str, str], dict[str, Entry]] = {}  # by experiment and checks
        self._new: dict[tuple[str, str], dict[str, Entry]] = {}
        self._began: int | None = None

    def read_run(self, path: Path, *, experiment: str, info: DataInfo) -> Run | None:
        """What run_files.read_run gives of a run on these images, and raises."""
        content = read_record(path)
        if content is None:
            return None
        place = experiment, _checks(info)
        entry = _entry(content, path)
        if entry is not None and self._entries(*place).get(path.stem) == entry:
            return believed_run(content)
        began = self._now()  # before the weights are read
        run = checked_run(content, path, key=f"{experiment}/{path.stem}", info=info)
        if entry is not None and began is not None and max(entry[2:4]) + SETTLED_NS < began:
            self._new.setdefault(place, {})[path.stem] = entry
        return run

    def keep(self) -> None:
        """Write down what was checked since the last time."""
        for (experiment, checks), new in self._new.items():
            known = self._entries(experiment, checks) | self._read(experiment, checks) | new
            self._known[experiment, checks] = known
            runs = self._store / experiment
            there = {stem: known[stem] for stem in sorted(known) if (runs / f"{stem}.json").exists()}
            content = sealed("index", {"checks": checks, "runs": there}, version=FORMAT_VERSION)
            with suppress(OSError):
                write_atomically(self._file(experiment), content)
        self._new.clear()
        self._began = None

    def forget(self, experiment: str) -> None:
        """Check the runs of an experiment again: one of them is not as it was."""
        for known in (self._known, self._new):
            for place in [place for place in known if place[0] == experiment]:
                del known[place]
        with suppress(OSError):
            self._file(experiment).unlink()

    def _entries(self, experiment: str, checks: str) -> dict[str, Entry]:
        if (experiment, checks) not in self._known:
            self._known[experiment, checks] = self._read(experiment, checks)
        return self._known[experiment, checks]

    def _read(self, experiment: str, checks: str) -> dict[str, Entry]:
        """What the file of an experiment says; nothing if it is not one that these checks wrote."""
        path = self._file(experiment)
        try:
            index = unsealed(read_regular(path, most=MOST_JSON_BYTES), "index", path=path, known=FORMAT_VERSION)
            return {stem: tuple(entry) for stem, entry in index["runs"].items()} if index["checks"] == checks else {}
        except (OSError, StoreError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return {}

    def _file(self, experiment: str) -> Path:
        return self._folder / f"{experiment}.checked"

    def _now(self) -> int | None:
        """The time at which checking began, as the store's file system has it; None if nothing can be kept in it."""
        if self._began is None:
            with suppress(OSError):
                self._folder.mkdir(exist_ok=True)
                if self._folder.resolve().is_relative_to(self._store.resolve()):  # not behind a link out of it
                    with tempfile.TemporaryFile(dir=self._folder) as file:
                        self._began = os.fstat(file.fileno()).st_mtime_ns
        return self._began


@lru_cache(maxsize=16)
def _checks(info: DataInfo) -> str:
    """What was checked, and by which version; the name of the images is a label."""
    return checksum([__version__, repr(replace(info, name=""))])


def _entry(record: bytes, path: Path) -> Entry | None:
    """What an entry would have to say of a record and of the weights beside it; None without weights."""
    try:
        found = path.with_suffix(".safetensors").stat()
    except (OSError, ValueError):
        return None
    return sha256(record).hexdigest(), found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
