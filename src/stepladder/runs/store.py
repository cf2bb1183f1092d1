"""A folder of runs. Writes are atomic, so that a kill at any moment leaves every file whole or absent.

::

    store.json                              {"format_version": 1}
    <experiment>/seed-<n>.<engine>.json                   a finished run, with a checksum
    <experiment>/seed-<n>.<engine>.safetensors            its weights
    <experiment>/seed-<n>.<engine>.partial.safetensors    a training at its last finished epoch
    <experiment>/seed-<n>.<engine>.lock                   of older versions: what others waited for
    damaged/                                what could not be read, set aside; damaged-2/ where that is no folder of it
    speed.json                              how fast each engine trained here (see speeds)
    index/                                  which runs were checked already (see index); can be deleted
    looks.json                              of older versions: looks at verdicts, which nothing reads any more

How runs are files, and what is checked of them, is in run_files.

``<experiment>`` is 16 hex digits for recipe and data (run.experiment_key).
"""

import errno
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from stepladder._base.files import (
    MOST_JSON_BYTES,
    NewerFormatError,
    parsed,
    read_regular,
    require_readable,
    write_atomically,
)
from stepladder._base.given import A_PATH, require
from stepladder._base.wording import option, shown
from stepladder.datasets.sources import DataInfo
from stepladder.errors import StoreError
from stepladder.networks.geometry import ImageShape
from stepladder.runs.index import Index
from stepladder.runs.model import Model, model_of_run
from stepladder.runs.run import Arrays, Run, RunIdentity
from stepladder.runs.run_files import (
    DamagedError,
    OldCheckpointError,
    against_weights,
    counted_epochs,
    epochs_in,
    read_checkpoint,
    read_run,
    read_weights,
    read_weights_file,
    run_file,
)
from stepladder.runs.soundness import contradictions
from stepladder.runs.weight_files import WRONG, examined

FORMAT_VERSION = 1  # of the folder; its files have their own
MOST_MARKER_BYTES = 10_000
STALE_S = 3600
ASIDE = ("damaged", *(f"damaged-{number}" for number in range(2, 10)))  # the first that is a folder of the store

# What files.write_atomically calls a file on its way. A store may be any folder: no other file may match.
_LEFTOVER = re.compile(r"\.(store\.json|speed\.json|looks\.json|seed-\d+\..+\.(json|safetensors))\.[0-9a-f]{8}")


class LeftAloneError(StoreError):
    """A damaged file that cannot be set aside: its run must not be trained over it."""


@dataclass(frozen=True)
class Store:
    """Runs in a folder. ``notes`` collects what was set aside, one sentence each."""

    folder: Path
    notes: list[str] = field(default_factory=list)
    index: Index = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))  # a str will do
        object.__setattr__(self, "index", Index(self.folder))

    @classmethod
    def open(cls, folder: str | Path, *, create: bool = False) -> "Store":
        """Open a store; ``create`` it where there is none.

        Raises StoreError if it cannot be written, or was written by a newer version.
        """
        require(A_PATH, folder, of="store", takes="the path of a folder, or a store", remedy='as in store="runs"')
        if "\0" in str(folder):
            raise StoreError(f"{shown(str(folder))} is no name of a folder: give one with --store")
        if not str(folder):
            raise StoreError(f"an empty path is not a store: give a folder with {option('store')}")
        store = cls(Path(folder))
        marker = store.folder / "store.json"
        if not create and not marker.exists():
            another = f"climb first, or give another folder with {option('store')}"
            raise StoreError(f"no runs at {store.folder.absolute()}: {another}")
        try:
            if create:
                store.folder.mkdir(parents=True, exist_ok=True)
                if not marker.exists():
                    write_atomically(marker, json.dumps({"format_version": FORMAT_VERSION}).encode())
                with tempfile.TemporaryFile(dir=store.folder):
                    pass
                store.remove_leftovers()
            version = parsed(read_regular(marker, most=MOST_MARKER_BYTES))["format_version"]
            if type(version) is not int or version < 1:
                raise ValueError("there is no such format")
        except OSError as error:
            raise StoreError(
                f"cannot {'write' if create else 'read'} runs {'to' if create else 'in'} {store.folder.absolute()}"
                f" ({error.strerror}): choose another folder with {option('store')}"
            ) from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise StoreError(
                f'{marker} is damaged: if this folder is a store, write {{"format_version": {FORMAT_VERSION}}} into it'
            ) from None
        require_readable(version, marker, known=FORMAT_VERSION)
        return store

    @classmethod
    def open_or_make(cls, folder: str | Path) -> tuple["Store", bool]:
        """Open a store to write to, or make one where nothing is yet; and whether it was made.

        Raises StoreError as ``open`` does, and for a folder that holds something and is not a store.
        """
        if not str(folder) or (Path(folder) / "store.json").exists():
            return cls.open(folder, create=True), False
        path = Path(folder)
        try:
            is_free = not os.path.lexists(path) or all(_LEFTOVER.fullmatch(each.name) for each in path.iterdir())
        except OSError as error:
            raise StoreError(f"{path.absolute()} is not a store ({error.strerror}): give the folder of one") from None
        if not is_free:
            raise StoreError(
                f"{path.absolute()} is not a store: it has no store.json, and other files are in it; give the folder of"
                " a store, or one that is empty or not there yet"
            )
        return cls.open(path, create=True), True

    def holds(self, path: Path) -> bool:
        """Whether a file or folder by this name is in the store's folder, and not behind a link out of it."""
        return path.resolve().is_relative_to(self.folder.resolve())

    def remove_leftovers(self) -> None:
        """Remove what writers left that were killed in the middle of a write, an hour ago or more."""
        for path in (*self.folder.glob(".[sl]*.json.*"), *self.folder.glob(f"{'[0-9a-f]' * 16}/.seed-*")):
            with suppress(FileNotFoundError):  # most are being written just now, and gone when they are whole
                if _LEFTOVER.fullmatch(path.name) and time.time() - path.stat().st_mtime > STALE_S:
                    path.unlink()

    def find(self, identity: RunIdentity, *, set_aside: bool, info: DataInfo | None = None) -> Run | None:
        """The finished run of this identity, or None. A damaged one counts as none, is noted and ``set_aside``.

        One that contradicts itself, or what is known of its images (``info``), is damaged. Raises NewerFormatError for
        one that a newer Stepladder wrote, LeftAloneError for one that cannot be set aside, and StoreError for what
        cannot be read.
        """
        path = self._path(identity, "json")
        try:
            return self._read(path, identity.key, info)
        except DamagedError as damage:
            files = [path, self._path(identity, "safetensors")]
            self._note(files, f"is damaged ({damage})", set_aside=set_aside, what="trained again")
            return None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from None

    def runs_of(self, experiment: str, *, info: DataInfo | None = None) -> Iterator[Run]:
        """All readable finished runs of an experiment, whatever their seed and engine.

        Others are left out and noted: damaged ones, also by what is known of their images (``info``), and newer ones.
        """
        for path in sorted((self.folder / experiment).glob("seed-*.json")):
            try:
                run = self._read(path, f"{experiment}/{path.stem}", info)
            except DamagedError as damage:
                self._note([path], f"is damaged ({damage})", what="left out")
            except NewerFormatError as error:
                self.notes.append(f"{error}: left out")
            except OSError as error:
                self._note([path], f"cannot be read ({error.strerror})", what="left out")
            else:
                if run is not None:
                    yield run

    def _read(self, path: Path, key: str, info: DataInfo | None) -> Run | None:
        """A record, checked; by the index, where its images are known. Raises as read_run does."""
        if info is None:
            return read_run(path, key=key)
        return self.index.read_run(path, experiment=key.partition("/")[0], info=info)

    def weights(self, run: Run, *, image: ImageShape | None = None) -> Arrays:
        """A finished run's parameters and statistics by name, as its network has them on these images, if given.

        Raises StoreError if they are no longer those that its record speaks of.
        """
        path = self._path(run.identity, "safetensors")
        try:
            return read_weights(path, run, image=image)
        except DamagedError as damage:
            self.index.forget(run.identity.experiment)
            raise StoreError(f"{path} cannot be used ({damage}): start again, and its run is left out") from None

    def weights_file(self, run: Run) -> bytes:
        """The same as a safetensors file. Raises StoreError."""
        path = self._path(run.identity, "safetensors")
        try:
            return read_weights_file(path, run)
        except DamagedError as damage:
            self.index.forget(run.identity.experiment)
            raise StoreError(f"{path} cannot be used ({damage}): start again, and its run is left out") from None

    def model(self, run: Run, *, data: str | None = None) -> Model:
        """The network of a finished run, to be used by itself.

        What earlier versions stored needs the images that it was trained on: ``data`` names them as a ladder does, and
        MNIST is at hand. Raises StoreError, ModelError for a run that diverged, and DataError for other images.
        """
        return model_of_run(run, self.weights_file(run), data=data)

    def save(self, run: Run, weights: bytes) -> None:
        """Keep a finished run: weights first, then the record that speaks of them, then drop the checkpoint.

        Raises StoreError for a record that contradicts itself: nothing is kept that would not be read.
        """
        path = self._path(run.identity, "safetensors")
        problem, found = next(contradictions(run), ""), None
        with suppress(*WRONG):
            found = examined(weights, path=path)
        if found is None or against_weights(run, found):
            problem = "its weights are others"
        if found is None or problem:
            raise StoreError(f"the record of {run.identity.key} contradicts itself ({problem}): it is not stored")
        record = run_file(run, weights=found)
        if len(record) > MOST_JSON_BYTES:
            raise StoreError(
                f"the record of {run.identity.key} has {len(record):,} bytes, and none of more than {MOST_JSON_BYTES:,}"
                " is read: train for fewer epochs, or with fewer classes"
            )
        write_atomically(path, weights)
        write_atomically(self._path(run.identity, "json"), record)
        self.partial_path(run.identity).unlink(missing_ok=True)

    def checkpoint(self, identity: RunIdentity, content: bytes) -> None:
        """Keep a training at its last finished epoch (see run_files.checkpoint_file), in one atomic file."""
        write_atomically(self.partial_path(identity), content)

    def resume(self, identity: RunIdentity, *, info: DataInfo | None = None) -> bytes | None:
        """The checkpoint that a training on these images goes on from; None if it begins at its start.

        A checkpoint is trusted as a whole or not at all: one that is not is noted and set aside.
        """
        path = self.partial_path(identity)
        try:
            return read_checkpoint(path, identity, info=info)
        except OldCheckpointError as old:
            problem = f"is not trusted ({old})"
        except DamagedError as damage:
            problem = f"is damaged ({damage})"
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from None
        self._note([path], problem, set_aside=True, what="trained from the start")
        return None

    def drop_checkpoint(self, identity: RunIdentity) -> None:
        """Remove what is left of the training of a stored run, whose process was killed before it could."""
        with suppress(OSError):  # of a store that is read only; it does no harm
            self.partial_path(identity).unlink(missing_ok=True)

    def epochs_done(self, identity: RunIdentity) -> tuple[int, int]:
        """Finished epochs of a training under way and the process that trained them; (0, 0) if there is none."""
        return epochs_in(self.partial_path(identity))

    def n_epochs_under_way(self, experiment: str) -> int:
        """Finished epochs of all the experiment's trainings that are not finished runs yet; damaged ones are noted."""
        n_epochs = 0
        for path in sorted((self.folder / experiment).glob("seed-*.partial.safetensors")):
            if path.with_name(path.name.replace(".partial.safetensors", ".json")).exists():
                continue  # its run was stored, and its process killed before it could remove this
            try:
                n_epochs += counted_epochs(path)
            except DamagedError as damage:
                self._note([path], f"is damaged ({damage})", what="its epochs are not counted")
            except OSError as error:
                self._note([path], f"cannot be read ({error.strerror})", what="its epochs are not counted")
        return n_epochs

    def partial_path(self, identity: RunIdentity) -> Path:
        return self._path(identity, "partial.safetensors")

    def _path(self, identity: RunIdentity, ending: str) -> Path:
        return self.folder / f"{identity.key}.{ending}"

    def _note(self, paths: list[Path], problem: str, *, what: str, set_aside: bool = False) -> None:
        """Say that files are not used and, if they are to be set aside, move what is still there of them.

        Raises LeftAloneError if they cannot be moved, or are not of this store.
        """
        note = f"{paths[0]} {problem}"
        if not set_aside:
            self.notes.append(f"{note}: {what}")
            return
        if not self.holds(paths[0].parent):
            raise LeftAloneError(
                f"{note}, and {paths[0].parent} is a link out of this store: nothing there is moved or overwritten;"
                " remove the link, and its runs are trained here"
            )
        try:
            aside = self._aside()
            for path in paths:
                with suppress(FileNotFoundError):  # another climb was quicker
                    path.rename(aside / path.name)
        except OSError as error:
            raise LeftAloneError(
                f"{note}, but it cannot be set aside in {self.folder / ASIDE[0]} ({error.strerror}): move it away"
            ) from None
        self.notes.append(f"{note}: {what}, set aside in {aside}")

    def _aside(self) -> Path:
        """A new folder for what is set aside. Raises OSError if there can be none."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        last = OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        for name in ASIDE:
            aside = self.folder / name / stamp
            try:
                if self.holds(aside):
                    aside.mkdir(parents=True, exist_ok=True)
                    return aside
            except (FileExistsError, NotADirectoryError) as error:
                last = error
        raise last
