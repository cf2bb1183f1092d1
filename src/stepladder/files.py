"""Files that are there whole or not at all, their names, checksums and versions."""

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any

from filelock import FileLock

from stepladder.errors import StoreError

LONGEST_NAME = 100  # of a ladder, in a file's name: file systems allow 255 bytes
LONGEST_OF_A_FILE = 240  # bytes of a file's name that leave room for what a file on its way is called


def write_atomically(path: Path, content: bytes, *, like: os.stat_result | None = None) -> None:
    """Write a file that is there whole or not at all, also after a loss of power; safe against other writers.

    It gets the permissions and, where that is allowed, the owner of ``like``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name if len(os.fsencode(path.name)) <= LONGEST_OF_A_FILE else ""
    temporary = path.with_name(f".{name}.{token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            if like is not None:
                _make_alike(temporary, like)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _make_alike(path: Path, like: os.stat_result) -> None:
    with suppress(OSError):
        if hasattr(os, "chown"):  # before the mode: it may clear some of that
            os.chown(path, like.st_uid, like.st_gid)
    with suppress(OSError):
        path.chmod(like.st_mode & 0o777)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """While another process holds the lock of this file, wait. A lock ends with its process.

    Some network disks have none: there nobody waits.
    """
    lock = FileLock(path)
    try:
        lock.acquire()
    except (NotImplementedError, OSError):
        yield
        return
    try:
        yield
    finally:
        lock.release()


def name_for(ladder: str, ending: str) -> str:
    """A ladder's name, whatever is in it, as a file's: ``name_for("my ladder", "-report.html")``."""
    name = re.sub(r"[^0-9A-Za-z._-]+", "-", ladder)[:LONGEST_NAME].strip(".-")
    return f"{name or 'ladder'}{ending}"


def checksum(record: Any) -> str:
    """SHA-256 of a record's JSON, in hex digits."""
    return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def read_regular(path: Path, *, most: int) -> bytes:
    """A file's content. Raises OSError, and ValueError if it is no ordinary file or has more than ``most`` bytes."""

    def without_waiting(name: str, flags: int) -> int:  # for whoever writes to a pipe
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))

    try:
        with open(path, "rb", opener=without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError("it is no ordinary file")
            content = file.read(most + 1)
    except IsADirectoryError:
        raise ValueError("it is a folder") from None
    if len(content) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    return content


def require_readable(version: int, path: Path, *, known: int) -> None:
    """Raise StoreError if a file in a store is of a later format than the last one ``known``."""
    if version > known:
        raise StoreError(
            f"{path} was written by a newer Stepladder (format {version}; this one reads up to {known}): upgrade"
            " Stepladder, or use another folder with --store"
        )
