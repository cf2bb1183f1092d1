"""What tests share: a small folder of real MNIST digits, a tiny ladder, and the command line as a person runs it.

What is expensive is made once for a whole run of the tests, whichever worker needs it first (``once``).
"""

import gzip
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray
from starting import Starter

from stepladder.datasets import data

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CommandLine = Callable[..., "subprocess.CompletedProcess[str]"]
Once = Callable[[str, Callable[[Path], object]], Path]

TINY_LADDER = """\
name = "tiny"
data = {data!r}
evaluate_on = "test"
budget = {{ params = 1000, epochs = 100 }}
target = {{ accuracy = 50, last_epochs = 2 }}

[[rung]]
name = "start"
why = "small enough to train in a moment"
[rung.recipe]
network = ["conv 4 3x3 stride 2", "maxpool 2", "conv 6 3x3", "gap", "linear 10"]
lr = 0.05
epochs = {epochs}

[[rung]]
name = "dropout"
why = "draws random numbers"
change.dropout = 0.1

[[rung]]
name = "rotation"
why = "draws more of them"
change.augment = {{ rotation_deg = 10.0 }}
"""


def pytest_collection_finish() -> None:
    """Torch's threads cost more than they give on small networks: nine times the time where each core has a worker."""
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What the tests took in all workers together: where it grows, something is to be shared or marked as evidence."""
    reports = [each for group in terminalreporter.stats.values() for each in group if hasattr(each, "duration")]
    took_s, n_workers = sum(each.duration for each in reports), max(1, config.getoption("numprocesses", 0) or 0)
    terminalreporter.write_line(f"{took_s:.0f} s of tests, {took_s / n_workers:.0f} s for each of {n_workers} workers")


def write_idx(path: Path, array: NDArray[Any]) -> None:
    """An IDX file of bytes, gzipped if its name says so."""
    content = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)


def write_digits(folder: Path, *, n_train: int, n_test: int) -> None:
    """IDX files with the first images of MNIST."""
    images = data.load("mnist")
    for prefix, part, n in (("train", images.train, n_train), ("t10k", images.test, n_test)):
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", part.images[:n, 0])
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", part.labels[:n])


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this run of the tests: one for all workers."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session", autouse=True)
def cache(run_folder: Path) -> None:
    """Compiled code of the tests stays out of the user's own cache; workers share it."""
    os.environ["STEPLADDER_CACHE"] = str(run_folder / "cache")
    os.environ.pop("COLUMNS", None)  # a page is as wide as it says


@pytest.fixture(scope="session")
def once(run_folder: Path) -> Once:
    """``once("name", make)``: the folder of that name, which ``make(folder)`` fills once for all workers.

    Tests may read it and no more: who changes something takes a copy.
    """

    def folder_of(name: str, make: Callable[[Path], object]) -> Path:
        folder, is_whole = run_folder / name, run_folder / f"{name}.whole"
        with FileLock(run_folder / f"{name}.lock"):
            if not is_whole.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                is_whole.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def digits(once: Once) -> Path:
    """A folder of IDX files with the first 2,000 training and 500 test images of MNIST."""

    return once("digits", lambda folder: write_digits(folder, n_train=2000, n_test=500))


@pytest.fixture
def tiny_ladder(tmp_path: Path, digits: Path) -> Path:
    """A ladder of three rungs and four epochs on the small digits."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_LADDER.format(data=str(digits), epochs=4))
    return path


def stepladder_command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "stepladder", *map(str, arguments)]


@pytest.fixture(scope="session")
def starter(cache: None) -> Iterator[Starter]:  # noqa: ARG001
    """What starts commands quickly; begun when the first test asks."""
    with Starter() as begun:
        yield begun


@pytest.fixture
def stepladder(tmp_path: Path, starter: Starter) -> CommandLine:
    """Run ``stepladder ...`` in a process of its own, in an empty folder; gives returncode, stdout and stderr."""

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        return starter.run(list(map(str, arguments)), cwd=tmp_path, environment=os.environ | {"NO_COLOR": "1"})

    return run


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """One browser for all tests of a worker."""
    from browser import chromium

    with chromium() as started:
        yield started
