"""A folder of runs. Writes are atomic, so that a kill at any moment leaves every file whole or absent.

::

    store.json                              {"format_version": 1}
    <experiment>/seed-<n>.<engine>.json                   a finished run, with a checksum
    <experiment>/seed-<n>.<engine>.safetensors            its weights
    <experiment>/seed-<n>.<engine>.partial.safetensors    a training at its last finished epoch
    <experiment>/seed-<n>.<engine>.lock                   held by who trains a teacher that others wait for
    damaged/                                what could not be read, set aside
    speed.json                              how fast each engine trained here (see speeds)
    looks.json                              with which seeds pairs of rungs were looked at (see looks)

``<experiment>`` is 16 hex digits for recipe and data (run.experiment_key).
"""

import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from stepladder.errors import StoreError
from stepladder.files import checksum, locked, require_readable, write_atomically
from stepladder.recipe import Frozen
from stepladder.run import FORMAT_VERSION, Arrays, Epoch, Progress, Run, RunIdentity, WrongImage

STALE_S = 3600

# What files.write_atomically calls a file on its way. A store may be any folder: no other file may match.
_LEFTOVER = re.compile(r"\.(store\.json|speed\.json|looks\.json|seed-\d+\..+\.(json|safetensors))\.[0-9a-f]{8}")


class _Checkpoint(Frozen):
    """What a partial file says besides its arrays."""

    format_version: int
    identity: RunIdentity
    epochs: tuple[Epoch, ...]
    wrong_images: tuple[WrongImage, ...]
    diverged_at_epoch: int | None
    n_resumed: int
    pid: int = Field(description="the process that wrote it")
    arrays_sha256: str


class DamagedError(Exception):
    """A file of the store that is not what was written. Never leaves the store: see Store.notes."""


@dataclass(frozen=True)
class Store:
    """Runs in a folder. ``notes`` collects what was set aside, one sentence each."""

    folder: Path
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))  # a str will do

    @classmethod
    def open(cls, folder: str | Path, *, create: bool = False) -> "Store":
        """Open a store; ``create`` it where there is none.

        Raises StoreError if it cannot be written, or was written by a newer version.
        """
        if not str(folder):
            raise StoreError("an empty path is no store: give a folder with --store")
        store = cls(Path(folder))
        marker = store.folder / "store.json"
        if not create and not marker.exists():
            raise StoreError(f"no runs at {store.folder.absolute()}: climb first, or give another folder with --store")
        try:
            if create:
                store.folder.mkdir(parents=True, exist_ok=True)
                if not marker.exists():
                    write_atomically(marker, json.dumps({"format_version": FORMAT_VERSION}).encode())
                with tempfile.TemporaryFile(dir=store.folder):
                    pass
                store.remove_leftovers()
            version = int(json.loads(marker.read_bytes())["format_version"])
        except OSError as error:
            raise StoreError(
                f"cannot {'write' if create else 'read'} runs {'to' if create else 'in'} {store.folder.absolute()}"
                f" ({error.strerror}): choose another folder with --store"
            ) from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise StoreError(
                f'{marker} is damaged: if this folder is a store, write {{"format_version": {FORMAT_VERSION}}} into it'
            ) from None
        require_readable(version, marker, known=FORMAT_VERSION)
        return store

    def remove_leftovers(self) -> None:
        """Remove what writers left that were killed in the middle of a write, an hour ago or more."""
        for path in (*self.folder.glob(".[sl]*.json.*"), *self.folder.glob(f"{'[0-9a-f]' * 16}/.seed-*")):
            with suppress(FileNotFoundError):  # most are being written just now, and gone when they are whole
                if _LEFTOVER.fullmatch(path.name) and time.time() - path.stat().st_mtime > STALE_S:
                    path.unlink()

    def find(self, identity: RunIdentity, *, set_aside: bool) -> Run | None:
        """The finished run of this identity, or None. A damaged one counts as none, is noted and ``set_aside``."""
        try:
            return self._read_run(self._path(identity, "json"), identity)
        except DamagedError as damage:
            files = [self._path(identity, ending) for ending in ("json", "safetensors")]
            self._note(files, str(damage), set_aside=set_aside, what="trained again")
            return None

    def runs_of(self, experiment: str) -> Iterator[Run]:
        """All readable finished runs of an experiment, whatever their seed and engine; damaged ones are noted."""
        for path in sorted((self.folder / experiment).glob("seed-*.json")):
            try:
                run = self._read_run(path, None)
            except DamagedError as damage:
                self._note([path], str(damage), set_aside=False, what="left out")
                continue
            if run is not None and run.identity.experiment == experiment:
                yield run

    def weights(self, run: Run) -> Arrays:
        """A finished run's parameters and statistics by name."""
        return load_tensors(self._path(run.identity, "safetensors").read_bytes())

    def save(self, run: Run, weights: bytes) -> None:
        """Keep a finished run: weights first, then the record that speaks of them, then drop the checkpoint."""
        record = run.model_dump(mode="json")
        body = {"format_version": FORMAT_VERSION, "sha256": checksum(record), "run": record}
        write_atomically(self._path(run.identity, "safetensors"), weights)
        write_atomically(self._path(run.identity, "json"), json.dumps(body).encode())
        self.partial_path(run.identity).unlink(missing_ok=True)

    def checkpoint(self, identity: RunIdentity, progress: Progress) -> None:
        """Keep a training at its last finished epoch, in one atomic file."""
        assert progress.arrays is not None
        about = _Checkpoint(
            format_version=FORMAT_VERSION,
            identity=identity,
            epochs=progress.epochs,
            wrong_images=progress.wrong_images,
            diverged_at_epoch=progress.diverged_at_epoch,
            n_resumed=progress.n_resumed,
            pid=os.getpid(),
            arrays_sha256=_arrays_checksum(progress.arrays),
        )
        content = save_tensors(progress.arrays, {"checkpoint": about.model_dump_json()})
        write_atomically(self.partial_path(identity), content)

    @contextmanager
    def claim(self, identity: RunIdentity) -> Iterator[None]:
        """While another process has a run claimed, wait (see files.locked)."""
        path = self._path(identity, "lock")
        path.parent.mkdir(exist_ok=True)
        with locked(path):
            yield
            with suppress(OSError):  # open elsewhere, on Windows; who comes next finds the run, and needs no lock
                path.unlink()

    def resume(self, identity: RunIdentity) -> Progress:
        """Where a training stands: at its last checkpoint, or at the start."""
        path = self.partial_path(identity)
        try:
            return self._read_checkpoint(path, identity)
        except DamagedError as damage:
            self._note([path], str(damage), set_aside=True, what="trained from the start")
            return Progress()

    def epochs_done(self, identity: RunIdentity) -> tuple[int, int]:
        """Finished epochs of a training under way and the process that trained them; (0, 0) if there is none."""
        return _epochs_in(self.partial_path(identity))

    def n_epochs_under_way(self, experiment: str) -> int:
        """Finished epochs of all the experiment's trainings that are not finished runs yet."""
        return sum(_epochs_in(path)[0] for path in (self.folder / experiment).glob("seed-*.partial.safetensors"))

    def partial_path(self, identity: RunIdentity) -> Path:
        return self._path(identity, "partial.safetensors")

    def _path(self, identity: RunIdentity, ending: str) -> Path:
        return self.folder / f"{identity.key}.{ending}"

    def _read_run(self, path: Path, identity: RunIdentity | None) -> Run | None:
        """Raises DamagedError, or StoreError if a newer version wrote it."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from None
        try:
            body = json.loads(content)
            require_readable(body["format_version"], path, known=FORMAT_VERSION)
            record = body["run"]
            if body["sha256"] != checksum(record):
                raise DamagedError("its checksum differs")
            run = Run.model_validate_json(json.dumps(record))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DamagedError(_first_line(error)) from None
        if identity is not None and run.identity.key != identity.key:
            raise DamagedError("it is the record of another run")
        try:
            weights = path.with_suffix(".safetensors").read_bytes()
        except OSError:
            weights = b""
        if sha256(weights).hexdigest() != run.weights_sha256:
            raise DamagedError("its weights are missing or damaged")
        return run

    def _read_checkpoint(self, path: Path, identity: RunIdentity) -> Progress:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return Progress()
        try:
            arrays = load_tensors(content)
            text = _metadata(content)["checkpoint"]
            require_readable(json.loads(text)["format_version"], path, known=FORMAT_VERSION)
            about = _Checkpoint.model_validate_json(text)
        except (SafetensorError, ValidationError, KeyError, ValueError, TypeError) as error:
            raise DamagedError(_first_line(error)) from None
        if about.identity.key != identity.key:
            raise DamagedError("it is the checkpoint of another run")
        if about.arrays_sha256 != _arrays_checksum(arrays):
            raise DamagedError("its checksum differs")
        return Progress(about.epochs, about.wrong_images, about.diverged_at_epoch, about.n_resumed, arrays)

    def _note(self, paths: list[Path], problem: str, *, set_aside: bool, what: str) -> None:
        """Say that files are damaged and, if they are to be set aside, move what is still there of them."""
        note = f"{paths[0]} is damaged ({problem}): {what}"
        if set_aside:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
            aside = self.folder / "damaged" / stamp
            try:
                aside.mkdir(parents=True, exist_ok=True)
                for path in paths:
                    with suppress(FileNotFoundError):  # another climb was quicker
                        path.rename(aside / path.name)
            except OSError as error:
                raise StoreError(f"{note}, but it cannot be set aside in {aside}: {error.strerror}") from None
            note += f", set aside in {aside}"
        self.notes.append(note)


def weights_file(weights: Arrays) -> bytes:
    """Weights as the content of a safetensors file."""
    return save_tensors({name: np.ascontiguousarray(array) for name, array in weights.items()})


def _metadata(content: bytes) -> dict[str, str]:
    """The metadata of a safetensors file: 8 bytes of header length, then the header as JSON."""
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return metadata


def _epochs_in(partial: Path) -> tuple[int, int]:
    try:
        with safe_open(partial, "numpy") as file:
            about = json.loads((file.metadata() or {})["checkpoint"])
            return len(about["epochs"]), about["pid"]
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return 0, 0


def _arrays_checksum(arrays: Arrays) -> str:
    digest = sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape} {arrays[name].dtype}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
