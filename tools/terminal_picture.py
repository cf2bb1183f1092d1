"""The README's picture of a terminal.

``python tools/terminal_picture.py climb mnist-8k --seeds 8``, where its runs are.

The command runs on a terminal of its own, 88 columns wide so that its letters can be read in a browser, and what it
leaves there becomes docs/climb.svg. Its runs are stored already: bars that move are no picture.
"""

import fcntl
import os
import pty
import shlex
import struct
import subprocess
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parent.parent / "docs" / "climb.svg"
COLUMNS, LINES = 88, 60
WIPE, BAR = "\x1b[2K", "━"  # bars move, and are gone when the command ends


def on_terminal(command: list[str]) -> str:
    """What a command writes on a terminal of 88 columns, colours included."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment | {"TERM": "xterm-256color"}):
        os.close(theirs)
        written = b""
        while chunk := _read(ours):
            written += chunk
    os.close(ours)
    lines = [line.rpartition(WIPE)[2] for line in written.decode().replace("\r\n", "\n").split("\n")]
    return "\n".join(line for line in lines if BAR not in line)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # so Linux says that nobody writes any more
        return b""


def svg(arguments: list[str], text: str) -> str:
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115, PTH123
    console.print(Text(f"$ {shlex.join(['stepladder', *arguments])}", style="bold"))
    console.print(Text.from_ansi(text), soft_wrap=True)
    return console.export_svg(title="stepladder")


def main(arguments: list[str]) -> None:
    text = on_terminal([sys.executable, "-m", "stepladder", *arguments])
    PICTURE.write_text(svg(arguments, text), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
