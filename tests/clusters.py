"""A Dask cluster whose workers stand elsewhere: other folders, other environments and, where that may be had, other
networks and no sight of our files."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Self

import psutil
from elsewhere import ENVIRONMENT
from processes import PATIENCE_S

DASK = "distributed.cli"
# A worker in an environment in which Stepladder is not installed.
BARE_WORKER = "import sys; sys.modules['stepladder'] = None; from distributed.cli.dask_worker import main; main()"


def run(*command: object, check: bool = True) -> bool:
    done = subprocess.run(list(map(str, command)), capture_output=True, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done.returncode == 0


_NUMBERS = count()


class Network:
    """A bridge, and network namespaces on it; or none, where we may not make them."""

    def __init__(self) -> None:
        number = next(_NUMBERS)  # what is deleted lingers for a while
        self.tag = f"s{os.getpid() % 100_000}c{number}"
        self.subnet = f"10.{os.getpid() % 200 + 20}.{(os.getpid() // 200 + number) % 250}"
        self.spaces: list[str] = []
        bridge = f"{self.tag}b"
        self.is_there = bool(shutil.which("ip") and shutil.which("unshare")) and (
            run("ip", "link", "add", bridge, "type", "bridge", check=False)
            and run("ip", "addr", "add", f"{self.subnet}.1/24", "dev", bridge, check=False)
            and run("ip", "link", "set", bridge, "up", check=False)
        )
        self.host = f"{self.subnet}.1" if self.is_there else "127.0.0.1"

    def space(self, number: int, *, hidden: Path) -> list[str]:
        """What to put before a command so that it runs in a space of its own, where a folder is empty."""
        if not self.is_there:
            return []
        name = f"{self.tag}n{number}"
        if name not in self.spaces:
            self.spaces.append(name)
            run("ip", "netns", "add", name)
            run("ip", "link", "add", f"{name}v", "type", "veth", "peer", "name", f"{name}e")
            run("ip", "link", "set", f"{name}v", "master", f"{self.tag}b", "up")
            run("ip", "link", "set", f"{name}e", "netns", name)
            address = f"{self.subnet}.{number + 10}/24"
            for words in (f"addr add {address} dev {name}e", f"link set {name}e up", "link set lo up"):
                run("ip", "netns", "exec", name, "ip", *words.split())
        there = f'mount -t tmpfs none {hidden} && exec "$@"'
        return ["ip", "netns", "exec", name, "unshare", "-m", "sh", "-c", there, "sh"]

    def close(self) -> None:
        for name in self.spaces:
            run("ip", "netns", "del", name, check=False)
        if self.is_there:
            run("ip", "link", "del", f"{self.tag}b", check=False)


class Cluster:
    """A scheduler and workers, each a process group that can be killed."""

    def __init__(self, folder: Path, *, hidden: Path, n_workers: int = 2) -> None:
        self.folder, self.hidden, self.n_workers, self.network = folder, hidden, n_workers, Network()
        with socket.socket() as free:
            free.bind((self.network.host, 0))
            self.port = free.getsockname()[1]
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.workers, *filter(None, [self.scheduler])):
            kill(process)
        self.network.close()

    @property
    def on(self) -> str:
        """For ``--on``, in pieces of one epoch."""
        return f"dask://{self.network.host}:{self.port}?piece_s=0.01"

    def begin(self) -> None:
        """A scheduler, and its workers."""
        where = ("--host", self.network.host, "--port", self.port, "--no-dashboard")
        self.scheduler = self._begun([], "-m", f"{DASK}.dask_scheduler", *where)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection((self.network.host, self.port), 1):
                break
            time.sleep(0.1)
        for _ in range(self.n_workers):
            self.begin_worker()

    def begin_worker(self, *, is_bare: bool = False) -> None:
        """A worker; one that is bare stands in an environment without Stepladder."""
        number = len(self.workers)
        space = self.network.space(number, hidden=self.hidden)
        where = (f"tcp://{self.network.host}:{self.port}", "--nthreads", 1, "--no-dashboard")
        what = ("-c", BARE_WORKER, "--no-nanny") if is_bare else ("-m", f"{DASK}.dask_worker")
        self.workers.append(self._begun(space, *what, *where, number=number))

    def _begun(self, space: Sequence[str], *words: object, number: int = -1) -> "subprocess.Popen[bytes]":
        folder = self.folder / f"machine {number}"
        folder.mkdir(parents=True, exist_ok=True)
        environment = ENVIRONMENT | {"PATH": os.environ["PATH"], "STEPLADDER_CACHE": str(folder / "cache")}
        with (folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*space, sys.executable, *map(str, words)],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def trainings(self) -> list[psutil.Process]:
        """The children of workers that train, or wait to."""
        return [each for worker in self.workers for each in trainings_of(worker.pid)]

    def sent_images(self) -> dict[int, int]:
        """How many sets each machine has been sent, and keeps."""
        numbers = range(len(self.workers))
        return {n: len(list((self.folder / f"machine {n}" / "cache" / "images").glob("*.npz"))) for n in numbers}


def kill(process: "subprocess.Popen[bytes]") -> None:
    """``kill -9`` of a process and all that it has begun."""
    with suppress(psutil.Error, OSError):
        family = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
        for each in family:
            with suppress(psutil.Error):
                each.kill()
    process.wait()


def trainings_of(pid: int) -> list[psutil.Process]:
    """The processes that train, or wait to, for this one or for one that it has begun."""
    found = []
    with suppress(psutil.Error):
        for each in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.Error):
                if "execution.child" in " ".join(each.cmdline()):
                    found.append(each)
    return found
