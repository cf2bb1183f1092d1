"""Standard streams that may be closed, full or gone: what is lost is what was written there, and nothing else.

A reader that leaves (``| head``) has read enough: what comes after is dropped, and the exit code stays the command's
own. A disk that is full under stdout is an error, said once. Whatever is wrong with stderr, nobody can be told.
"""

import errno
import io
import os
import select
import sys
from collections.abc import Callable
from typing import TextIO, cast

STDIN, STDOUT, STDERR = 0, 1, 2


def make_sound() -> None:
    """Put streams in place of stdout and stderr that behave as said above; those of a caller's own stay."""
    for number in (STDIN, STDOUT, STDERR):
        _occupy(number)
    sys.stdout = _sound(sys.stdout, STDOUT, forgives=lambda error: error.errno == errno.EPIPE)
    sys.stderr = _sound(sys.stderr, STDERR, forgives=lambda _: True)


def _occupy(number: int) -> None:
    """Give a closed standard stream to the null device: the next file that is opened would become that stream."""
    try:
        os.fstat(number)
    except OSError:
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free


def _sound(stream: TextIO | None, number: int, *, forgives: Callable[[OSError], bool]) -> TextIO:
    if stream is None:
        return io.TextIOWrapper(_End(number, forgives), errors="replace", write_through=True)
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors="replace")  # better a '?' than no table where '→' cannot be encoded
    if not _is_plain(stream, number):
        return stream
    stream.flush()
    end = _End(number, forgives)
    return io.TextIOWrapper(
        end if stream.write_through else io.BufferedWriter(cast(io.RawIOBase, end)),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _is_plain(stream: io.TextIOWrapper, number: int) -> bool:
    """Whether this is the stream that Python began with: no test's, and no console of Windows, which has its own."""
    try:
        return stream.fileno() == number and type(getattr(stream.buffer, "raw", stream.buffer)) is io.FileIO
    except (OSError, ValueError):
        return False


class _End(io.FileIO):
    """The end of a stream: after the first error nothing is written any more; ``forgives`` says which are no error."""

    def __init__(self, number: int, forgives: Callable[[OSError], bool]) -> None:
        super().__init__(number, "wb", closefd=False)
        self._forgives = forgives
        self._is_gone = False

    def write(self, data: "memoryview | bytes", /) -> int:  # type: ignore[override]
        if self._is_gone or not data:  # click writes nothing to see whether that is allowed
            return len(data)
        try:
            while (n_written := super().write(data)) is None:  # it does not block: wait for it
                select.select([], [self], [])
        except OSError as error:
            self._is_gone = True
            if not self._forgives(error):
                raise
            return len(data)
        return n_written
