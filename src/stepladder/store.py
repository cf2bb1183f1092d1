"""A folder of runs. Writes are atomic, so that a kill at any moment leaves every file whole or absent.

::

    store.json                              {"format_version": 1}
    <experiment>/seed-<n>.<engine>.json                   a finished run, with a checksum
    <experiment>/seed-<n>.<engine>.safetensors            its weights
    <experiment>/seed-<n>.<engine>.partial.safetensors    a training at its last finished epoch
    damaged/                                what could not be read, set aside
    speed.json                              how fast each engine trained here (see speeds)

``<experiment>`` is 16 hex digits for recipe and data (run.experiment_key).
"""

import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from stepladder.errors import StoreError
from stepladder.files import write_atomically
from stepladder.recipe import Frozen
from stepladder.run import FORMAT_VERSION, Arrays, Epoch, Progress, Run, RunIdentity, WrongImage


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

    @classmethod
    def open(cls, folder: str | Path, *, create: bool = False) -> "Store":
        """Open a store; ``create`` it where there is none.

        Raises StoreError if it cannot be written, or was written by a newer version.
        """
        store = cls(Path(folder))
        marker = store.folder / "store.json"
        try:
            if create:
                store.folder.mkdir(parents=True, exist_ok=True)
                if not marker.exists():
                    write_atomically(marker, json.dumps({"format_version": FORMAT_VERSION}).encode())
                with tempfile.TemporaryFile(dir=store.folder):
                    pass
            text = marker.read_text() if marker.exists() else ""
        except OSError as error:
            raise StoreError(
                f"cannot write runs to {store.folder.absolute()} ({error.strerror}): choose another folder with --store"
            ) from None
        _require_readable(_version_in(text) if text else 0, marker)
        return store

    def find(self, identity: RunIdentity, *, set_aside: bool) -> Run | None:
        """The finished run of this identity, or None. A damaged one counts as none, is noted and ``set_aside``."""
        try:
            return self._read_run(self._path(identity, "json"), identity)
        except DamagedError as damage:
            self._note(self._path(identity, "json"), str(damage), set_aside=set_aside, what="trained again")
            return None

    def runs_of(self, experiment: str) -> Iterator[Run]:
        """All readable finished runs of an experiment, whatever their seed and engine; damaged ones are noted."""
        for path in sorted((self.folder / experiment).glob("seed-*.json")):
            try:
                run = self._read_run(path, None)
            except DamagedError as damage:
                self._note(path, str(damage), set_aside=False, what="left out")
                continue
            if run is not None and run.identity.experiment == experiment:
                yield run

    def weights(self, run: Run) -> Arrays:
        """A finished run's parameters and statistics by name."""
        return load_tensors(self._path(run.identity, "safetensors").read_bytes())

    def save(self, run: Run, weights: bytes) -> None:
        """Keep a finished run: weights first, then the record that speaks of them, then drop the checkpoint."""
        record = run.model_dump(mode="json")
        body = {"format_version": FORMAT_VERSION, "sha256": _checksum(record), "run": record}
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

    def resume(self, identity: RunIdentity) -> Progress:
        """Where a training stands: at its last checkpoint, or at the start."""
        path = self.partial_path(identity)
        try:
            return self._read_checkpoint(path, identity)
        except DamagedError as damage:
            self._note(path, str(damage), set_aside=True, what="trained from the start")
            return Progress()

    def epochs_done(self, identity: RunIdentity) -> tuple[int, int]:
        """Finished epochs of a training under way and the process that trained them; (0, 0) if there is none."""
        try:
            with safe_open(self.partial_path(identity), "numpy") as file:
                about = json.loads((file.metadata() or {})["checkpoint"])
                return len(about["epochs"]), about["pid"]
        except (OSError, SafetensorError, KeyError, ValueError):
            return 0, 0

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
            _require_readable(body["format_version"], path)
            record = body["run"]
            if body["sha256"] != _checksum(record):
                raise DamagedError("its checksum differs")
            run = Run.model_validate_json(json.dumps(record))
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedError(_first_line(error)) from None
        if identity is not None and run.identity.key != identity.key:
            raise DamagedError("it is the record of another run")
        weights = path.with_suffix(".safetensors")
        if not weights.exists() or sha256(weights.read_bytes()).hexdigest() != run.weights_sha256:
            raise DamagedError("its weights are missing or damaged")
        return run

    def _read_checkpoint(self, path: Path, identity: RunIdentity) -> Progress:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return Progress()
        try:
            arrays = load_tensors(content)
            with safe_open(path, "numpy") as file:
                text = (file.metadata() or {})["checkpoint"]
            _require_readable(_version_in(text), path)
            about = _Checkpoint.model_validate_json(text)
        except (SafetensorError, ValidationError, KeyError, ValueError, OSError) as error:
            raise DamagedError(_first_line(error)) from None
        if about.identity.key != identity.key:
            raise DamagedError("it is the checkpoint of another run")
        if about.arrays_sha256 != _arrays_checksum(arrays):
            raise DamagedError("its checksum differs")
        return Progress(about.epochs, about.wrong_images, about.diverged_at_epoch, about.n_resumed, arrays)

    def _note(self, path: Path, problem: str, *, set_aside: bool, what: str) -> None:
        note = f"{path} is damaged ({problem}): {what}"
        if set_aside:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
            target = self.folder / "damaged" / f"{path.parent.name}.{path.name}.{stamp}"
            target.parent.mkdir(exist_ok=True)
            path.rename(target)
            note += f", set aside as {target}"
        self.notes.append(note)


def weights_file(weights: Arrays) -> bytes:
    """Weights as the content of a safetensors file."""
    return save_tensors({name: np.ascontiguousarray(array) for name, array in weights.items()})


def test_looks(runs: Iterable[Run]) -> int:
    """How often runs were evaluated on the test split: once per epoch."""
    return sum(len(run.epochs) for run in runs if run.identity.data.evaluate_on == "test")


def _version_in(text: str) -> int:
    match = re.search(r'"format_version":\s*(\d+)', text)
    return int(match[1]) if match else 0


def _require_readable(version: int, path: Path) -> None:
    if version > FORMAT_VERSION:
        raise StoreError(
            f"{path} was written by a newer Stepladder (format {version}; this one reads up to {FORMAT_VERSION}):"
            " upgrade Stepladder, or use another folder with --store"
        )


def _checksum(record: Any) -> str:
    return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _arrays_checksum(arrays: Arrays) -> str:
    digest = sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape} {arrays[name].dtype}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
