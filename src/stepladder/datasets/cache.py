"""Image sets as they were read, kept as plain arrays that every process maps instead of reading the set again.

::

    <cache>/sets/<name>/           $STEPLADDER_CACHE, or the user's cache folder of the system
        set.json                   sealed; names of classes, notes, the SHA-256 of what is there
        train-images.npy ...

A set's name is the hash of all that decides what was read: its source, its path, what is to be made of it, and the
sizes, times and inodes of its files. What is mapped is held to its SHA-256 each time, so that a damaged copy is as good
as none. All of it can be thrown away.
"""

import os
import shutil
from collections.abc import Hashable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import platformdirs

from stepladder import __version__
from stepladder._base.files import sealed, unsealed
from stepladder.datasets.image_set import ImageSet, Labelled
from stepladder.datasets.kinds import Kind

FORMAT_VERSION = 1
MOST_SETS = 8  # are kept: those that were used last
LEAST_BYTES = 2**20  # of pixels: smaller sets are read again


def folder() -> Path | None:
    """Where sets are kept; None where a user has no home."""
    try:
        return Path(os.environ.get("STEPLADDER_CACHE") or platformdirs.user_cache_path("stepladder")) / "sets"
    except RuntimeError:
        return None


def name_of(kind: Kind, stamp: Hashable) -> str:
    """What a set is kept as; what this version made of it is not what another one would."""
    said = (FORMAT_VERSION, __version__, kind.source, str(Path(kind.at).absolute()), kind.spec.text, stamp)
    return sha256(repr(said).encode()).hexdigest()[:32]


def find(kind: Kind, stamp: Hashable) -> ImageSet | None:
    """A set as it was read before; None if it was not, or is no longer what was kept."""
    at = folder()
    if at is None or not (at / name_of(kind, stamp) / "set.json").is_file():
        return None
    at /= name_of(kind, stamp)
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError, AttributeError):
        found = _mapped(at, kind.name)
        if found is not None:
            with suppress(OSError):
                os.utime(at)
            return found
    shutil.rmtree(at, ignore_errors=True)
    return None


def _mapped(at: Path, name: str) -> ImageSet | None:
    said = unsealed((at / "set.json").read_bytes(), "set", path=at / "set.json", known=FORMAT_VERSION)
    parts: dict[str, Any] = {
        part: Labelled(
            np.load(at / f"{part}-images.npy", mmap_mode="c", allow_pickle=False),
            np.load(at / f"{part}-labels.npy", allow_pickle=False),
        )
        for part in said["parts"]
    }
    images = ImageSet(
        name,
        **parts,
        class_names=tuple(said["class_names"]),
        notes=tuple(said["notes"]),
        form=said["form"],
    )
    is_whole = images.sha256 == said["sha256"] and images.validation_sha256 == said["validation_sha256"]
    return images if is_whole else None


def keep(kind: Kind, stamp: Hashable, images: ImageSet) -> ImageSet:
    """Keep a set that was read; it comes back mapped, or as it is where it cannot be kept, or need not be."""
    at = folder()
    if at is None or sum(part.stored.nbytes for part in images.parts.values()) < LEAST_BYTES:
        return images
    made = None
    try:
        at.mkdir(parents=True, exist_ok=True)
        made = Path(mkdtemp(prefix=".new-", dir=at))
        _write(made, images)
        with suppress(OSError):  # another process has just done the same
            made.rename(at / name_of(kind, stamp))
        _forget_all_but_the_last(at)
        return find(kind, stamp) or images
    except OSError:  # a full disk, a folder that cannot be written: it is read each time
        return images
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


def _write(at: Path, images: ImageSet) -> None:
    for name, part in images.parts.items():
        np.save(at / f"{name}-images.npy", np.ascontiguousarray(part.stored))
        np.save(at / f"{name}-labels.npy", part.labels)
    said = {
        "parts": list(images.parts),
        "class_names": images.class_names,
        "notes": images.notes,
        "form": images.form,
        "sha256": images.sha256,
        "validation_sha256": images.validation_sha256,
    }
    (at / "set.json").write_bytes(sealed("set", said, version=FORMAT_VERSION))


def _forget_all_but_the_last(at: Path) -> None:
    kept = sorted((each for each in at.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime, reverse=True)
    for each in kept[MOST_SETS:]:
        shutil.rmtree(each, ignore_errors=True)
