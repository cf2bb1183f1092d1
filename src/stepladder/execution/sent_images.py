"""Images that were sent to a machine that has none: kept there by their SHA-256, so that they travel once.

::

    <cache>/images/<sha256>.npz     $STEPLADDER_CACHE, or the user's cache folder of the system

Whoever uses a set checks its pixels and labels against its name; a damaged file is as good as none.
"""

import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from platform import node
from typing import TYPE_CHECKING, Any
from uuid import getnode

import platformdirs

from stepladder._base.files import write_atomically
from stepladder.errors import DataError

if TYPE_CHECKING:
    from stepladder.datasets.image_set import ImageSet
    from stepladder.ladders.evaluated import DataIdentity

MOST_SETS = 8  # are kept: those that came last


def folder() -> Path:
    """Where they are kept. Raises DataError where a user has no home."""
    try:
        return Path(os.environ.get("STEPLADDER_CACHE") or platformdirs.user_cache_path("stepladder")) / "images"
    except RuntimeError as error:
        raise DataError(f"images cannot be kept ({error}): set STEPLADDER_CACHE to a folder for them") from None


def machine() -> str:
    """What tells this machine, and where it keeps images, from others."""
    return f"{node()} {getnode():x} {folder()}"


def name_of(identity: "DataIdentity") -> str:
    """What a set is kept as."""
    return "-".join(filter(None, (identity.sha256, identity.validation_sha256)))


def packed(images: "ImageSet") -> bytes:
    """A whole set as the content of an ``.npz`` file."""
    import numpy as np

    parts = {"train": images.train, "test": images.test, **({"val": images.validation} if images.validation else {})}
    arrays: dict[str, Any] = {f"x_{name}": part.images for name, part in parts.items()}
    arrays |= {f"y_{name}": part.labels for name, part in parts.items()}
    file = BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def keep(name: str, content: bytes) -> None:
    """Keep a set that was sent: what an executor runs. Raises DataError if that is impossible here."""
    at = folder()
    try:
        at.mkdir(parents=True, exist_ok=True)
        write_atomically(at / f"{name}.npz", content)
        others = sorted((each for each in at.glob("*.npz") if each.stem != name), key=_came_at, reverse=True)
    except OSError as error:
        raise DataError(
            f"the images that were sent to {node() or 'this machine'} cannot be kept in {at} ({error.strerror}): set"
            " STEPLADDER_CACHE there to a folder that can be written"
        ) from None
    for path in others[MOST_SETS - 1 :]:  # by their clock; what has just come stays whatever that says
        with suppress(OSError):
            path.unlink()


def _came_at(path: Path) -> float:
    """In seconds since 1970; long ago if it is gone: another climb keeps images here too."""
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def find(identity: "DataIdentity") -> "ImageSet | None":
    """The set of an identity, as it was sent to this machine; None if it was not, or is no longer what was sent."""
    from stepladder.datasets import data

    path = folder() / f"{name_of(identity)}.npz"
    if not path.is_file():
        return None
    with suppress(DataError):
        images = data.load(str(path))
        if images.sha256 == identity.sha256 and identity.validation_sha256 in (None, images.validation_sha256):
            return images
    with suppress(OSError):
        path.unlink()
    return None
