"""Files that are there whole or not at all, their names, checksums and versions."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any

from filelock import FileLock

from stepladder.errors import StoreError

LONGEST_NAME = 100  # of a ladder, in a file's name: file systems allow 255 bytes


def write_atomically(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Write a file that is there whole or not at all, also after a loss of power; safe against other writers.

    ``mode`` are its rights, less those that the process's umask takes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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


def write_output(path: Path, text: str) -> None:
    """Write what a person asked for with --output; raises StoreError if it cannot be written there."""
    try:
        write_atomically(path, text.encode(errors="replace"))  # a file's name may be no text
    except OSError as error:
        raise StoreError(f"cannot write {path} ({error.strerror}): give another file with --output") from None


def name_for(ladder: str, ending: str) -> str:
    """A ladder's name, whatever is in it, as a file's: ``name_for("my ladder", "-report.html")``."""
    name = re.sub(r"[^0-9A-Za-z._-]+", "-", ladder)[:LONGEST_NAME].strip(".-")
    return f"{name or 'ladder'}{ending}"


def checksum(record: Any) -> str:
    """SHA-256 of a record's JSON, in hex digits."""
    return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def require_readable(version: int, path: Path, *, known: int) -> None:
    """Raise StoreError if a file in a store is of a later format than the last one ``known``."""
    if version > known:
        raise StoreError(
            f"{path} was written by a newer Stepladder (format {version}; this one reads up to {known}): upgrade"
            " Stepladder, or use another folder with --store"
        )
