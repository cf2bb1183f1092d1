"""Compiled object code on disk, so that a network is compiled once on a machine and then only loaded.

A file is the SHA-256 of the code, then the code; its name is the SHA-256 of all that made it. Files appear whole or
not at all, so concurrent writers do no harm; one that is damaged is as good as missing; what cannot be written is done
without.
"""

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import platformdirs

from stepladder.files import write_atomically

MOST_FILES = 400  # of about 0.1 MB each; the longest unused ones go
DIGEST_BYTES = 32


def folder() -> Path:
    """Where the code is kept: $STEPLADDER_CACHE, or the user's cache folder of this system.

    Raises OSError where a user has no home.
    """
    try:
        return Path(os.environ.get("STEPLADDER_CACHE") or platformdirs.user_cache_path("stepladder")) / "machine-code"
    except RuntimeError as error:
        raise OSError(str(error)) from None


def read(key: str) -> bytes | None:
    """The code under a key, or None if there is none that is whole."""
    try:
        path = folder() / key
        content = path.read_bytes()
    except OSError:
        return None
    with suppress(OSError):  # it may be another user's
        os.utime(path)  # used now
    code = content[DIGEST_BYTES:]
    return code if content[:DIGEST_BYTES] == sha256(code).digest() else None


def write(key: str, code: bytes) -> None:
    """Keep code under a key."""
    try:
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(folder() / key, sha256(code).digest() + code)
        _forget_oldest()
    except OSError:
        return


def _forget_oldest() -> None:
    used = sorted((path.stat().st_mtime, path) for path in folder().iterdir())
    for _, path in used[: max(0, len(used) - MOST_FILES)]:
        path.unlink(missing_ok=True)
