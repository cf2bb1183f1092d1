"""Commands as process groups of their own: watched through their store, killed whole, or let to finish."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

import psutil
from conftest import stepladder_command

PATIENCE_S = 180


class Command:
    """``stepladder COMMAND LADDER --store STORE ...``."""

    def __init__(self, command: str, ladder: Path, store: Path, *more: object) -> None:
        self.store = store
        self.process = subprocess.Popen(
            stepladder_command(command, ladder, "--store", store, *more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # a CI that runs in the background ignores Ctrl-C, and hands that down
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_all()

    def kill_all(self) -> None:
        """``kill -9`` of the parent and every worker at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def workers(self) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if "execution.child" in " ".join(child.cmdline())]

    def wait_for(self, pattern: str, count: int = 1) -> list[Path]:
        """Wait until the store holds so many files of this pattern."""
        deadline = time.monotonic() + PATIENCE_S
        while len(found := sorted(self.store.glob(pattern))) < count:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, f"no {pattern} in {PATIENCE_S} s"
            time.sleep(0.01)
        return found

    def finish(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err


class Climb(Command):
    """``stepladder climb``."""

    def __init__(self, ladder: Path, store: Path, *more: object) -> None:
        super().__init__("climb", ladder, store, *more)
