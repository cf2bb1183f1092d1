"""Runs, their weights and their checkpoints as the bytes of files, and back. What is read is checked, all of it.

A run's record is a sealed file (files): ``{"format_version": 3, "sha256": ..., "run": {...}}``. Its weights are laid
out in weight_files. A checkpoint is a safetensors file; its metadata hold a _Checkpoint as JSON, and its last 32 bytes,
an array named "sha256", the SHA-256 of all bytes before them. What has a right checksum is also held against itself
(soundness).

The history of records and checkpoints is that of run.FORMAT_VERSION.
"""

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from safetensors import safe_open
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from stepladder._base.files import (
    MOST_JSON_BYTES,
    parsed,
    read_regular,
    reason,
    require_readable,
    sealed,
    unsealed,
)
from stepladder._base.frozen import Frozen
from stepladder._base.wording import clipped
from stepladder.datasets.sources import MNIST, MNIST_SHA256, DataInfo
from stepladder.errors import LadderError
from stepladder.networks.geometry import ImageShape, Network
from stepladder.recipes.recipe import Recipe
from stepladder.runs.arrays import AVERAGE_SHARE, misfit, state_shapes
from stepladder.runs.run import (
    CHECKPOINT_VERSION,
    FORMAT_VERSION,
    PLAIN_WEIGHTS_VERSION,
    Arrays,
    Epoch,
    Progress,
    Run,
    RunIdentity,
    WrongImage,
)
from stepladder.runs.soundness import against_progress, contradictions
from stepladder.runs.weight_files import MOST_WEIGHTS_BYTES, WeightsFile, arrays_of, examined
from stepladder.runs.weight_files import WRONG as _WRONG

_SENT = Path("a checkpoint")  # that is no file
_SEAL = "sha256"
_UNSEALED = sha256().digest()  # in the place of the checksum, while that is computed


class DamagedError(Exception):
    """A file of a store that is not what was written, or cannot be true. Never leaves the store: see Store.notes."""


class OldCheckpointError(DamagedError):
    """A checkpoint of format 1, whose numbers no checksum covers."""


class _Checkpoint(Frozen):
    """What a partial file says besides its arrays."""

    format_version: int
    identity: RunIdentity
    epochs: tuple[Epoch, ...]
    wrong_images: tuple[WrongImage, ...]
    diverged_at_epoch: int | None
    n_resumed: int = Field(ge=0)
    pid: int = Field(description="the process that wrote it")


class _Record(Frozen):
    """A record, as its file has it."""

    format_version: int
    sha256: str
    run: Run


def run_file(run: Run, *, weights: WeightsFile) -> bytes:
    """A finished run as its record.

    Where its weights say nothing of their network, it is one that earlier versions read, as of any run of theirs.
    """
    version = PLAIN_WEIGHTS_VERSION if not weights.text else FORMAT_VERSION
    return sealed("run", run.model_dump(mode="json"), version=version)


def read_run(path: Path, *, key: str, info: DataInfo | None = None) -> Run | None:
    """The run that this record, of a run of this key, is about; None if there is no such file.

    ``info`` is what is known of its images. Raises DamagedError, NewerFormatError, and OSError.
    """
    content = read_record(path)
    return None if content is None else checked_run(content, path, key=key, info=info)


def read_record(path: Path) -> bytes | None:
    """A record as it is stored, unchecked; None if there is no such file. Raises DamagedError, and OSError."""
    try:
        return read_regular(path, most=MOST_JSON_BYTES)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DamagedError(reason(error)) from None


def checked_run(content: bytes, path: Path, *, key: str, info: DataInfo | None = None) -> Run:
    """The run that this content of a record says, checked against itself and the weights beside ``path``.

    Raises as read_run does.
    """
    try:
        record = unsealed(content, "run", path=path, known=FORMAT_VERSION)
        run = Run.model_validate_json(json.dumps(record))
    except _WRONG as error:
        raise DamagedError(reason(error)) from None
    if run.identity.key != key:
        raise DamagedError("it is the record of another run")
    for problem in contradictions(run, info):
        raise DamagedError(clipped(f"it contradicts itself: {problem}"))
    if run.identity.data.sha256 == MNIST_SHA256:
        info = MNIST
    read_weights(path.with_suffix(".safetensors"), run, image=info.image if info else None)
    return run


def believed_run(content: bytes) -> Run:
    """The same of a content that was checked before: these very bytes, beside these very weights (see index)."""
    return _Record.model_validate_json(content).run


def read_weights(path: Path, run: Run, *, image: ImageShape | None) -> Arrays:
    """A finished run's parameters and statistics, as its record and, on these images, its network have them.

    Raises DamagedError.
    """
    content = read_weights_file(path, run)
    try:
        weights = arrays_of(content)
    except _WRONG:
        raise DamagedError("its weights are no safetensors file") from None
    if image is not None and (problem := _misfit(run.identity.recipe, image, weights)):
        raise DamagedError(problem)
    return weights


def read_weights_file(path: Path, run: Run) -> bytes:
    """The weights that a record speaks of, as they are stored. Raises DamagedError, and NewerFormatError."""
    try:
        content = read_regular(path, most=MOST_WEIGHTS_BYTES)
        weights = examined(content, path=path)
    except (OSError, *_WRONG):
        raise DamagedError("its weights are missing or damaged") from None
    if problem := against_weights(run, weights):
        raise DamagedError(problem)
    return content


def against_weights(run: Run, weights: WeightsFile) -> str:
    """Why a file of weights is not that of a run; empty if it is."""
    if weights.sha256 != run.weights_sha256:
        return "its weights are missing or damaged"
    if weights.text and weights.key != run.identity.key:
        return "its weights are said to be those of another run"
    return ""


def _misfit(recipe: Recipe, image: ImageShape, weights: Mapping[str, Any]) -> str:
    """Why arrays by name are not the weights of a recipe's network on these images; empty if they are."""
    try:
        return misfit(_network(recipe, image), weights)
    except LadderError as error:
        return f"its network does not fit its images: {clipped(str(error))}"


@lru_cache(maxsize=256)
def _network(recipe: Recipe, image: ImageShape) -> Network:
    return recipe.network_for(image)


def checkpoint_file(identity: RunIdentity, progress: Progress) -> bytes:
    """A training at its last finished epoch."""
    assert progress.arrays is not None
    about = _Checkpoint(
        format_version=CHECKPOINT_VERSION,
        identity=identity,
        epochs=progress.epochs,
        wrong_images=progress.wrong_images,
        diverged_at_epoch=progress.diverged_at_epoch,
        n_resumed=progress.n_resumed,
        pid=os.getpid(),
    )
    seal = np.frombuffer(_UNSEALED, np.uint8)  # bytes come last: safetensors sorts by the size of numbers
    content = save_tensors({**progress.arrays, _SEAL: seal}, {"checkpoint": about.model_dump_json()})
    assert content.endswith(_UNSEALED)
    rest = content[: -len(_UNSEALED)]
    return rest + sha256(rest).digest()


def read_checkpoint(path: Path, identity: RunIdentity, *, info: DataInfo | None = None) -> bytes | None:
    """A checkpoint that a training can go on from, on these images if they are known; None if there is no file.

    Raises DamagedError, OldCheckpointError, NewerFormatError, and OSError.
    """
    content = _content(path)
    if content is not None:
        progress_of(content, identity, info=info, path=path)
    return content


def progress_of(content: bytes, identity: RunIdentity, *, info: DataInfo | None = None, path: Path = _SENT) -> Progress:
    """Where a training stands by the content of its checkpoint, on these images if they are known.

    Raises DamagedError, OldCheckpointError and NewerFormatError.
    """
    about = _about(content, key=identity.key, info=info, path=path)
    try:
        arrays = load_tensors(content)
    except _WRONG as error:
        raise DamagedError(reason(error)) from None
    arrays.pop(_SEAL)
    if info is not None and (problem := _against_state(arrays, identity.recipe, info.image)):
        raise DamagedError(problem)
    return Progress(about.epochs, about.wrong_images, about.diverged_at_epoch, about.n_resumed, arrays)


def read_progress(path: Path, *, key: str) -> tuple[RunIdentity, tuple[Epoch, ...]] | None:
    """Whose training a checkpoint is, and its finished epochs; None if there is no file. Raises as read_checkpoint."""
    content = _content(path)
    if content is None:
        return None
    about = _about(content, key=key, path=path)
    return about.identity, about.epochs


def epochs_of(content: bytes, identity: RunIdentity) -> tuple[Epoch, ...]:
    """The finished epochs that the content of a checkpoint tells of. Raises as progress_of."""
    return _about(content, key=identity.key).epochs


def _content(path: Path) -> bytes | None:
    """A checkpoint's content; None if there is none. Raises DamagedError, and OSError."""
    try:
        return read_regular(path, most=MOST_WEIGHTS_BYTES)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DamagedError(reason(error)) from None


def _about(content: bytes, *, key: str, info: DataInfo | None = None, path: Path = _SENT) -> _Checkpoint:
    """What the checkpoint of a run of this key says, checked."""
    try:
        if not _is_sealed(content):
            if _metadata(content).get("format_version") == 1:
                raise OldCheckpointError("it is of format 1, whose numbers no checksum covers")
            raise DamagedError("its checksum differs")
        text = json.dumps(_metadata(content))
        require_readable(parsed(text)["format_version"], path, known=CHECKPOINT_VERSION)
        about = _Checkpoint.model_validate_json(text)
    except _WRONG as error:
        raise DamagedError(reason(error)) from None
    if about.identity.key != key:
        raise DamagedError("it is the checkpoint of another run")
    kept = (about.identity, about.epochs, about.wrong_images, about.diverged_at_epoch)
    for problem in against_progress(*kept, info=info):
        raise DamagedError(clipped(f"it contradicts itself: {problem}"))
    return about


def _against_state(arrays: Arrays, recipe: Recipe, image: ImageShape) -> str:
    """Why a training cannot go on from these; empty if it can.

    Each array counts: one that is not there would begin at zero, and other numbers would come of it.
    """
    try:
        expected = state_shapes(_network(recipe, image), recipe)
    except LadderError as error:
        return f"its network does not fit its images: {clipped(str(error))}"
    if {name: (array.shape, array.dtype) for name, array in arrays.items()} != expected:
        return "its arrays are not those of its training"
    if not all(np.isfinite(array).all() for array in arrays.values()):
        return "its arrays hold what is no number"
    negative = [name for name in arrays if name.endswith(("running_var", "second_moment")) and arrays[name].min() < 0]
    if negative:
        return f"{negative[0]} is negative"
    if AVERAGE_SHARE in arrays and not 0 <= arrays[AVERAGE_SHARE][0] <= 1:
        return "its average has a share that is none"
    return ""


def _is_sealed(content: bytes) -> bool:
    rest, seal = content[: -len(_UNSEALED)], content[-len(_UNSEALED) :]
    return sha256(rest).digest() == seal


def _metadata(content: bytes) -> dict[str, Any]:
    """What a checkpoint says besides its arrays: 8 bytes of header length, then the header as JSON."""
    length = int.from_bytes(content[:8], "little")
    about: dict[str, Any] = parsed(parsed(content[8 : 8 + length])["__metadata__"]["checkpoint"])
    return about


def counted_epochs(path: Path) -> int:
    """Finished epochs of the training under way in a checkpoint, none if there is no file.

    Raises DamagedError, and OSError.
    """
    try:
        content = read_regular(path, most=MOST_WEIGHTS_BYTES)
        about = _metadata(content)
        if not (_is_sealed(content) or about["format_version"] == 1):
            raise DamagedError("its checksum differs")
        return len(about["epochs"])
    except FileNotFoundError:
        return 0
    except _WRONG as error:
        raise DamagedError(reason(error)) from None


def epochs_in(partial: Path) -> tuple[int, int]:
    """Finished epochs in a checkpoint and the process that wrote it, read quickly and trusted for nothing else.

    (0, 0) if it cannot be read.
    """
    try:
        if not partial.is_file():
            return 0, 0
        with safe_open(partial, "numpy") as file:
            about = parsed((file.metadata() or {})["checkpoint"])
            return len(about["epochs"]), int(about["pid"])
    except (OSError, *_WRONG):
        return 0, 0
