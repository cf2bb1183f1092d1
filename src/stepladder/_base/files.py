"""Files that are there whole or not at all, their names, checksums and versions.

A sealed file is JSON: ``{"format_version": ..., "sha256": ..., NAME: content}``. From format 2 on the checksum covers
all that is there besides itself, also of later formats; that of format 1 covers the content alone.
"""

import json
import os
import re
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any

from pydantic import ValidationError

from stepladder._base.wording import clipped, option
from stepladder.errors import StoreError

LONGEST_NAME = 100  # of a ladder, in a file's name: file systems allow 255 bytes
LONGEST_OF_A_FILE = 240  # bytes of a file's name that leave room for what a file on its way is called
TOO_DEEP = "its brackets are nested too deeply for any file of Stepladder"
MOST_JSON_BYTES = 32 * 2**20  # of any file of JSON in a store: what is larger is none of ours


class NewerFormatError(StoreError):
    """A file, whole and undamaged, of a later format than this Stepladder reads."""


def write_atomically(path: Path, content: bytes, *, mode: int = 0o666, like: os.stat_result | None = None) -> None:
    """Write a file that is there whole or not at all, also after a loss of power; safe against other writers.

    It gets the permissions and, where that is allowed, the owner of ``like``; or those of ``mode``, less what the
    process's umask takes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name if len(os.fsencode(path.name)) <= LONGEST_OF_A_FILE else ""
    temporary = path.with_name(f".{name}.{token_hex(4)}")
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
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


def name_for(ladder: str, ending: str) -> str:
    """A ladder's name, whatever is in it, as a file's: ``name_for("my ladder", "-report.html")``."""
    name = re.sub(r"[^0-9A-Za-z._-]+", "-", ladder)[:LONGEST_NAME].strip(".-")
    return f"{name or 'ladder'}{ending}"


def checksum(record: Any) -> str:
    """SHA-256 of a record's JSON, in hex digits."""
    return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def read_regular(path: Path, *, most: int) -> bytes:
    """A file's content. Raises OSError, and ValueError for one that is not ordinary or has more than ``most`` bytes."""

    def without_waiting(name: str, flags: int) -> int:  # for whoever writes to a pipe
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))

    try:
        with open(path, "rb", opener=without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("it is not an ordinary file")
            content = file.read(min(status.st_size, most) + 1)  # room for all that is allowed takes longer to get
            if len(content) > status.st_size:  # it has grown, or is one of those whose size is not known
                content += file.read(most + 1 - len(content))
    except IsADirectoryError:
        raise ValueError("it is a folder") from None
    if len(content) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    return content


def parsed(text: bytes | str) -> Any:
    """What JSON says, wherever it is read.

    Raises ValueError, in our own words also for what Python reads otherwise or not at all: a key that comes twice, of
    which it would take the last; brackets in brackets in brackets; a whole number of thousands of digits.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    except (json.JSONDecodeError, UnicodeDecodeError, _TwiceError):
        raise
    except ValueError:  # whose remedy is a setting of Python
        raise ValueError("it holds a whole number of too many digits") from None


class _TwiceError(ValueError):
    """A key that comes twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _TwiceError(f"it has {clipped(repr(twice))} twice: which of them is meant?")
    return found


def sealed(name: str, content: Any, *, version: int) -> bytes:
    """Content as a sealed file (see above)."""
    covered = content if version == 1 else {"format_version": version, name: content}
    return json.dumps({"format_version": version, "sha256": checksum(covered), name: content}).encode()


def unsealed(file: bytes, name: str, *, path: Path, known: int) -> Any:
    """What a sealed file holds.

    Raises NewerFormatError, and ValueError, KeyError, TypeError or RecursionError for what is not as it was written.
    """
    body = parsed(file)
    version, content = body["format_version"], None
    if type(version) is not int or version < 1:
        raise ValueError(f"there is no format {clipped(str(version))}")
    seal = body.pop("sha256")
    if version <= known:
        content = body[name]
        if body.keys() != {"format_version", name}:
            raise ValueError("it holds what its format does not know")
    if seal != checksum(content if version == 1 else body):
        raise ValueError("its checksum differs")
    require_readable(version, path, known=known)
    return content


def reason(error: Exception) -> str:
    """What is wrong with a file's content, in one short line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return clipped(f"{where + ': ' if where else ''}{first['msg']}")
    if isinstance(error, KeyError):
        return clipped(f"{error.args[0]!r} is missing")
    if isinstance(error, RecursionError):  # in Python's words, a setting of Python
        return TOO_DEEP
    return clipped(str(error)) or type(error).__name__


def require_readable(version: int, path: Path, *, known: int) -> None:
    """Raise NewerFormatError if a file in a store is of a later format than the last one ``known``."""
    if version > known:
        raise NewerFormatError(
            f"{path} was written by a newer Stepladder (format {version}; this one reads up to {known}): upgrade"
            f" Stepladder, or use another folder with {option('store')}"
        )
