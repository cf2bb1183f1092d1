"""What a person asked for with --output, written through whatever stands there: a file, a link, a device, a stream."""

import errno
import os
import re
import stat
import sys
import time
from pathlib import Path

from stepladder._base.files import write_atomically
from stepladder._base.wording import option
from stepladder.errors import StoreError

READER_COMES_S = 2.0  # the most that a FIFO's reader is waited for
OWN_STREAMS = re.compile(r"/dev/(?:fd/(\d{1,6})|(stdin|stdout|stderr))|/proc/(?:self|thread-self)/fd/(\d{1,6})")
STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}
MOST_LINKS = 40  # one after the other, as in Linux


def write_output(path: Path, content: str | bytes) -> None:
    """Write the text or the bytes that a person asked for; raises StoreError if it cannot be written there.

    An ordinary file is replaced whole and keeps its permissions; so is the one that a link leads to: the link stays.
    Other names of a file (hard links) keep what was there. Into a device, a FIFO or a stream of this process it is
    written: what stands there is nothing of ours to replace.
    """
    try:
        _write(path, content.encode(errors="replace") if isinstance(content, str) else content)  # a name may be no text
    except ValueError:  # a NUL, or half a surrogate pair
        reason, another = "no file can have such a name", f"give another with {option('output')}"
        raise StoreError(f"cannot write {path} ({reason}): {another}") from None
    except OSError as error:
        reason, another = error.strerror or str(error), f"give another file with {option('output')}"
        raise StoreError(f"cannot write {path} ({reason}): {another}") from None


def _write(path: Path, content: bytes) -> None:
    """Raises OSError or ValueError."""
    if (number := _stream(path)) is not None:
        _write_to_stream(number, content)
    elif (mode := _mode(path)) is None:
        write_atomically(path, content)
    elif stat.S_ISREG(mode):
        _replace(Path(os.path.realpath(path)), content)
    elif stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
        _write_into(path, content)
    elif stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    else:
        raise OSError(errno.EINVAL, "it is a disk or a socket, and no file")


def is_stdout(path: Path) -> bool:
    """Whether what is written to a path stands in this process's results."""
    return _stream(path) == STREAMS["stdout"]


def _stream(path: Path) -> int | None:
    """The number of the stream of this process that a path, or the link that stands there, is a name of."""
    for _ in range(MOST_LINKS):
        if found := OWN_STREAMS.fullmatch(os.path.normpath(path)):
            return STREAMS[found[2]] if found[2] else int(found[1] or found[3])
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


def _mode(path: Path) -> int | None:
    """What stands at the end of a path, links followed; None for nothing."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise FileNotFoundError(errno.ENOENT, f"it is a link to {path.readlink()}, where nothing is") from None
        return None


def _write_to_stream(number: int, content: bytes) -> None:
    """By its path a stream would be opened anew: begun again from its start, or not at all if it is a socket."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    with os.fdopen(os.dup(number), "wb") as file:
        file.write(content)


def _replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another; where its folder does not allow that (a mount, say), write into it."""
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "it is write-protected")
    try:
        write_atomically(path, content, like=path.stat())
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EBUSY):
            raise
        path.write_bytes(content)


def _write_into(path: Path, content: bytes) -> None:
    """Write into a device or a FIFO; one that nobody comes to read from is an OSError."""
    flags = os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    deadline = time.monotonic() + READER_COMES_S
    while True:
        try:
            number = os.open(path, flags)
            break
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > deadline:
                raise OSError(errno.ENXIO, "nobody reads from it") from None
            time.sleep(0.05)
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(number, True)
    with os.fdopen(number, "wb") as file:
        file.write(content)
