"""What tests share: a small folder of real MNIST digits, a tiny ladder, and the command line as a person runs it."""

import gzip
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stepladder import data

CommandLine = Callable[..., "subprocess.CompletedProcess[str]"]

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


def write_idx(path: Path, array: NDArray[Any]) -> None:
    """An IDX file of bytes, gzipped if its name says so."""
    content = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Compiled code of the tests stays out of the user's own cache."""
    os.environ["STEPLADDER_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of IDX files with the first 2,000 training and 500 test images of MNIST."""
    folder = tmp_path_factory.mktemp("digits")
    images = data.load("mnist")
    for prefix, part, n in (("train", images.train, 2000), ("t10k", images.test, 500)):
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", part.images[:n, 0])
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", part.labels[:n])
    return folder


@pytest.fixture
def tiny_ladder(tmp_path: Path, digits: Path) -> Path:
    """A ladder of three rungs and four epochs on the small digits."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_LADDER.format(data=str(digits), epochs=4))
    return path


def stepladder_command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "stepladder", *map(str, arguments)]


@pytest.fixture
def stepladder(tmp_path: Path) -> CommandLine:
    """Run ``stepladder ...`` in a process of its own, in an empty folder; gives returncode, stdout and stderr."""

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        environment = os.environ | {"NO_COLOR": "1"}
        return subprocess.run(
            stepladder_command(*arguments), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return run
