"""Compiled object code on disk, so that a network is compiled once on a machine and then only loaded.

A file is the SHA-256 of its key and the code, then the code; its name is the key, the SHA-256 of all that made it.
Files appear whole or not at all, so concurrent writers do no harm; one that is damaged, or was moved from another key,
is as good as missing; what cannot be written is done without.

Code is run, so it counts whose it is: a file that is not this user's, or that others can write, is as good as missing
too, and a folder where others could put or exchange one is left alone (see ``problem``).
"""

import os
import re
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import platformdirs

from stepladder._base.files import write_atomically

MOST_FILES = 400  # of about 0.1 MB each; the longest unused ones go
MOST_BYTES = 2**26  # of a file: no network's code is as long
DIGEST_BYTES = 32
_ENTRY = re.compile(r"[0-9a-f]{64}|\.[0-9a-f]{64}\.[0-9a-f]{8}")  # the second on its way to be one (write_atomically)

OTHERS_CAN_WRITE = stat.S_IWGRP | stat.S_IWOTH
# Not through a link, and not waiting for who writes to a pipe. Windows has neither, and other rights.
READ_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def folder() -> Path:
    """Where the code is kept: $STEPLADDER_CACHE, or the user's cache folder of this system.

    Raises OSError where a user has no home.
    """
    try:
        return Path(os.environ.get("STEPLADDER_CACHE") or platformdirs.user_cache_path("stepladder")) / "machine-code"
    except RuntimeError as error:
        raise OSError(str(error)) from None


def read(key: str) -> bytes | None:
    """The code under a key, or None if there is none that is whole and this user's own."""
    try:
        if problem():
            return None
        path = folder() / key
        with os.fdopen(os.open(path, READ_FLAGS), "rb") as file:
            content = file.read(MOST_BYTES) if _is_own_file(os.fstat(file.fileno())) else b""
    except OSError:
        return None
    code = content[DIGEST_BYTES:]
    if content[:DIGEST_BYTES] != _digest(key, code):
        return None
    with suppress(OSError):  # a disk that is read only
        os.utime(path)  # used now
    return code


def write(key: str, code: bytes) -> None:
    """Keep code under a key."""
    try:
        if problem():
            return
        _make(folder())
        write_atomically(folder() / key, _digest(key, code) + code, mode=0o600)
        _forget_oldest()
    except OSError:
        return


def problem() -> str | None:
    """Why the folder is neither read nor written although it could be, and the remedy; None if nothing is wrong.

    It must be this user's, no link, and nobody else may write there. The folder that it is in must be so too, or the
    system's own, such as /tmp; those further up must be this user's or the system's, and not everybody's to change.
    """
    if not hasattr(os, "geteuid"):
        return None
    try:
        fault = _fault_of(folder())
    except OSError:  # no home, or a folder that cannot be looked into: nothing is read or written there
        return None
    if fault is None:
        return None
    return (
        f"the cache of machine code is not used, and every process compiles anew: {fault}; make that folder yours alone"
        " (chown, chmod go-w), or set STEPLADDER_CACHE to a folder of your own"
    )


def _fault_of(code: Path) -> str | None:
    own = os.geteuid()
    trusted = {own, 0, Path("/").stat().st_uid}  # in a container the system's user need not be 0
    named = code.parent
    if fault := _fault(code, {own}, rights=OTHERS_CAN_WRITE, sticky=0):
        return fault
    if fault := _fault(named, trusted, rights=OTHERS_CAN_WRITE):
        return fault
    above = (_fault(each, trusted, rights=stat.S_IWOTH) for each in named.resolve().parents)
    return next(filter(None, above), None)


def _fault(path: Path, owners: set[int], *, rights: int, sticky: int = stat.S_ISVTX) -> str | None:
    """What is wrong with a folder that one of ``owners`` must have, and others must not have these rights to.

    A ``sticky`` folder is safe: files in it can be exchanged by their owners alone.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        return f"{path} is a link"
    if status.st_uid not in owners:
        return f"{path} belongs to another user"
    if status.st_mode & rights and not status.st_mode & sticky:
        return f"other users can write to {path}"
    return None


def _is_own_file(status: os.stat_result) -> bool:
    if not stat.S_ISREG(status.st_mode):
        return False
    return not hasattr(os, "geteuid") or (status.st_uid == os.geteuid() and not status.st_mode & OTHERS_CAN_WRITE)


def _digest(key: str, code: bytes) -> bytes:
    return sha256(key.encode() + b"\n" + code).digest()


def _make(path: Path) -> None:
    """Make a folder, and those above that are missing, for this user alone."""
    for each in (*reversed(path.parents), path):
        each.mkdir(mode=0o700, exist_ok=True)


def _forget_oldest() -> None:
    entries = (path for path in folder().iterdir() if _ENTRY.fullmatch(path.name))  # nobody else's files
    used = sorted((path.lstat().st_mtime, path) for path in entries)
    for _, path in used[: max(0, len(used) - MOST_FILES)]:
        path.unlink(missing_ok=True)
