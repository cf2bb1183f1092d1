"""A command on a terminal of its own: what a person who types it sees."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from contextlib import suppress

from conftest import stepladder_command

ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def on_terminal(*arguments: object, columns: int, **environment: str) -> str:
    """What a command writes on a terminal of its own."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    others = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    everything = others | {"TERM": "xterm", **environment}
    written = b""
    with subprocess.Popen(stepladder_command(*arguments), stdout=theirs, stderr=theirs, env=everything):
        os.close(theirs)
        with suppress(OSError):  # so Linux says that nobody writes any more
            while chunk := os.read(ours, 65536):
                written += chunk
    os.close(ours)
    return written.decode()
