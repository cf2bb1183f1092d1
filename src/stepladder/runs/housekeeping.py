"""What a store holds, and what a person does with it: list it, delete runs, merge another store into it."""

import errno
import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from stepladder._base.files import NewerFormatError
from stepladder.datasets.data import describe
from stepladder.datasets.sources import DataInfo
from stepladder.errors import LadderError, StoreError
from stepladder.ladders.evaluated import data_identity
from stepladder.ladders.ladder import Plan
from stepladder.runs.run import Run, RunIdentity, experiment_key
from stepladder.runs.run_files import DamagedError, epochs_in, read_progress, read_run
from stepladder.runs.store import Store

State = Literal["finished", "diverged", "under way", "damaged", "newer"]
SILENT_S = 24 * 3600  # a checkpoint this old is of no training that still goes on

_EXPERIMENT = "[0-9a-f]" * 16
_FILE = re.compile(r"(seed-([0-9]+)\.(.+?))\.(json|partial\.safetensors|safetensors|lock)")


@dataclass(frozen=True)
class StoredRun:
    """The files of one run. ``run`` is its record, ``identity`` all that decides its numbers; None if unreadable.

    ``n_epochs`` are finished; ``problem`` says why it cannot be read.
    """

    experiment: str
    seed: int
    engine: str
    files: tuple[Path, ...]
    n_bytes: int
    state: State
    n_epochs: int = 0
    run: Run | None = None
    identity: RunIdentity | None = None
    problem: str = ""

    @property
    def key(self) -> str:
        return f"{self.experiment}/seed-{self.seed}.{self.engine}"


@dataclass(frozen=True)
class Experiment:
    """A folder of a store. ``names`` are the rungs that it is, as (ladder, rung), on the ladders that were asked."""

    folder: str
    names: tuple[tuple[str, str], ...]
    runs: tuple[StoredRun, ...]

    @property
    def n_bytes(self) -> int:
        return sum(run.n_bytes for run in self.runs)

    @property
    def identity(self) -> RunIdentity | None:
        """One of its runs': all have the same recipe and images."""
        return next((run.identity for run in self.runs if run.identity), None)


def experiments(store: Store, ladders: Iterable[Plan], *, only: bool = False) -> list[Experiment]:
    """What a store holds, folder by folder; ``only`` what is on these ladders. Raises DataError for their images."""
    names: dict[str, list[tuple[str, str]]] = {}
    images: dict[str, DataInfo] = {}
    for ladder in ladders:
        for folder, rung in names_of(ladder):
            names.setdefault(folder, []).append((ladder.name, rung))
            images[folder] = describe(ladder.data)
    folders = sorted(path for path in store.folder.glob(_EXPERIMENT) if path.is_dir())
    return [
        Experiment(path.name, tuple(names.get(path.name, ())), tuple(_runs_in(path, images.get(path.name))))
        for path in folders
        if path.name in names or not only
    ]


def names_of(ladder: Plan) -> Iterator[tuple[str, str]]:
    """The experiments of a ladder and the rungs that they are; a rung's teacher is called so."""
    data = data_identity(ladder)
    for rung in ladder.trained:
        yield experiment_key(rung.recipe, data), rung.name
        if rung.recipe.teacher:
            yield experiment_key(rung.recipe.teacher, data), f"teacher of {rung.name}"


def _runs_in(folder: Path, info: DataInfo | None) -> Iterator[StoredRun]:
    files: dict[tuple[int, str, str], list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if found := _FILE.fullmatch(path.name):
            files.setdefault((int(found[2]), found[3], found[1]), []).append(path)
    for (seed, engine, stem), paths in sorted(files.items()):
        if any(path.suffix != ".lock" for path in paths):
            state = _state_of(folder, stem, info)
            yield StoredRun(folder.name, seed, engine, tuple(paths), sum(map(_n_bytes, paths)), *state)


def _n_bytes(path: Path) -> int:
    with suppress(OSError):  # it is gone
        return path.stat().st_size
    return 0


def _state_of(folder: Path, stem: str, info: DataInfo | None) -> tuple[State, int, Run | None, RunIdentity | None, str]:
    """State, finished epochs, record, identity and problem of the run whose files are called so."""
    key = f"{folder.name}/{stem}"
    try:
        run = read_run(folder / f"{stem}.json", key=key, info=info)
        if run is not None:
            state: State = "finished" if run.diverged_at_epoch is None else "diverged"
            return state, len(run.epochs), run, run.identity, ""
        about = read_progress(folder / f"{stem}.partial.safetensors", key=key)
        if about is not None:
            return "under way", len(about[1]), None, about[0], ""
        return "damaged", 0, None, None, "it has no record"
    except NewerFormatError as error:
        return "newer", 0, None, None, str(error)
    except DamagedError as damage:
        return "damaged", 0, None, None, str(damage)
    except OSError as error:
        return "damaged", 0, None, None, f"it cannot be read: {error.strerror}"


def chosen(
    found: Sequence[Experiment], *, rung: str | None = None, seeds: Collection[int] | None = None
) -> list[StoredRun]:
    """The runs of a rung, by its name, and of these seeds; all if they are not given.

    Raises LadderError for a rung that no experiment is.
    """
    if rung is not None:
        known = sorted({name for each in found for _, name in each.names})
        if rung not in known:
            raise LadderError(f"no stored runs of a rung {rung!r}; there are runs of {', '.join(known) or 'none'}")
        found = [each for each in found if rung in {name for _, name in each.names}]
    return [run for each in found for run in each.runs if seeds is None or run.seed in seeds]


@dataclass
class Deleted:
    """The keys of runs of which nothing is left, and a sentence about each file that is."""

    keys: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def delete(store: Store, runs: Sequence[StoredRun]) -> Deleted:
    """Delete all files of these runs, as far as that can be done, and the folders that are empty then.

    Raises StoreError, before anything is deleted, if another process trains one of them as far as can be told.
    """
    for run in runs:
        if trainer := _trainer(store, run):
            raise StoreError(f"{run.key} is being trained by {trainer}: wait for it or end it, and delete again")
    deleted = Deleted()
    for run in runs:
        problems = list(_delete_run(store, run))
        deleted.problems.extend(problems)
        if not problems:
            deleted.keys.append(run.key)
        with suppress(OSError):  # not empty yet, or gone, or a link
            (store.folder / run.experiment).rmdir()
    return deleted


def _delete_run(store: Store, run: StoredRun) -> Iterator[str]:
    """Delete the files of a run; a sentence about each that is left."""
    folder = store.folder / run.experiment
    if not store.holds(folder):
        yield f"cannot delete {run.key}: {folder} is a link out of this store, to what does not belong to it"
        return
    for path in sorted(run.files, key=lambda path: path.suffix != ".json"):  # never a record without its weights
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            is_folder = path.is_dir() and not path.is_symlink()
            yield f"cannot delete {path}: {'it is a folder' if is_folder else error.strerror}"
            if path.suffix == ".json":
                return


def _trainer(store: Store, run: StoredRun) -> str:
    """Who trains a run, in words; empty if nobody does who left a trace here."""
    base = str(store.folder / run.key)
    lock = Path(f"{base}.lock")
    if lock.exists():
        try:
            with FileLock(lock, timeout=0):
                pass
        except Timeout:
            return "another process, which holds its lock"
        except (OSError, NotImplementedError):
            pass
    partial = Path(f"{base}.partial.safetensors")
    pid = 0
    try:
        age_s = time.time() - partial.stat().st_mtime
        pid = epochs_in(partial)[1]
        if age_s > SILENT_S or pid in (0, os.getpid()) or os.name == "nt":  # there signal 0 would end it
            return ""
        os.kill(pid, 0)
    except OSError as error:
        return f"process {pid}" if error.errno == errno.EPERM else ""
    except OverflowError:
        return ""
    return f"process {pid}"


@dataclass
class Merged:
    """What became of the runs of another store, by key; ``conflicts`` have other numbers in each store.

    ``problems`` are sentences about what could not be merged. ``is_new``: there was no store yet to merge into.
    """

    copied: list[str] = field(default_factory=list)
    equal: list[str] = field(default_factory=list)
    conflicts: list[StoredRun] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    is_new: bool = False

    @property
    def whole(self) -> bool:
        return not self.conflicts and not self.problems


def merge(into: Store, other: Store) -> Merged:
    """Copy the finished runs that another store has and this one lacks.

    Every run is verified before it is copied. Nothing is written over but what is damaged, which is set aside.
    """
    if into.folder.samefile(other.folder):
        raise StoreError(f"{into.folder} and {other.folder} are one store: give two")
    merged = Merged()
    for experiment in experiments(other, ()):
        for each in experiment.runs:
            if each.run is not None:
                _merge_run(into, other, each, each.run, merged)
            elif each.state != "under way":
                merged.problems.append(f"{other.folder / each.key}: {each.problem}: left out")
    merged.problems.extend(into.notes)
    into.notes.clear()
    return merged


def _merge_run(into: Store, other: Store, stored: StoredRun, run: Run, merged: Merged) -> None:
    key = run.identity.key
    try:
        own = into.find(run.identity, set_aside=True)
        if own is None:
            into.save(run, other.weights_file(run))
            merged.copied.append(key)
        elif own.numbers() == run.numbers():
            merged.equal.append(key)
        else:
            merged.conflicts.append(stored)
    except StoreError as error:
        merged.problems.append(str(error))
    except OSError as error:
        merged.problems.append(f"cannot write {into.folder / key}: {error.strerror}")
