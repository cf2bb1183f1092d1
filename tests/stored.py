"""A small store of real runs, and ways to damage its files."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np
from here import Here
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save

from stepladder._base.files import sealed, write_atomically
from stepladder.climbing.climbing import climb, plan
from stepladder.datasets import data
from stepladder.datasets.sources import DataInfo
from stepladder.engines import Engine, choose_engine
from stepladder.engines.training import train
from stepladder.ladders.ladder import Ladder
from stepladder.ladders.ladder_file import load
from stepladder.records import record
from stepladder.runs.run import Progress, Run, RunIdentity
from stepladder.runs.run_files import checkpoint_file
from stepladder.runs.store import Store

SEEDS = (1, 2)
LADDER = """\
name = "small"
data = "small.npz"
evaluate_on = "test"
budget = { params = 1000, epochs = 100 }
target = { accuracy = 5, last_epochs = 1 }

[[rung]]
name = "start"
why = "small enough to train in a moment"
[rung.recipe]
network = ["conv 4 3x3 stride 4", "gap", "linear 10"]
lr = 0.05
epochs = 2

[[rung]]
name = "slower"
why = "another one"
change.lr = 0.02
"""


@dataclass(frozen=True)
class Stored:
    """A store with two rungs of two seeds, a training of seed 9 after the first of its two epochs, and a looks.json."""

    ladder: Ladder
    ladder_path: Path
    store: Store
    engine: Engine
    runs: tuple[Run, ...]
    under_way: RunIdentity
    progress: Progress

    def path(self, run: Run | RunIdentity, ending: str = "json") -> Path:
        identity = run.identity if isinstance(run, Run) else run
        return self.store.folder / f"{identity.key}.{ending}"

    @property
    def info(self) -> DataInfo:
        return data.describe(self.ladder.data)

    def splits(self) -> data.Splits:
        return data.splits(data.load(self.ladder.data), n_dev=0)


def make_store(folder: Path) -> Stored:
    """Train all of it, in this process."""
    mnist = data.load("mnist")
    (x_train, y_train), (x_test, y_test) = (
        (part.images[:n, 0], part.labels[:n]) for part, n in ((mnist.train, 300), (mnist.test, 100))
    )
    np.savez(folder / "small.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    path = folder / "small.toml"
    path.write_text(LADDER)
    ladder, engine = load(path), choose_engine()[0]
    store = Store.open(folder / "runs", create=True)
    with Here() as executor:
        assert not climb(ladder, seeds=SEEDS, store=store, engine=engine, executor=executor)
    tasks = plan(ladder, seeds=SEEDS, engine=engine)
    runs = tuple(run for task in tasks if (run := store.find(task.identity, set_aside=False)))
    assert len(runs) == len(tasks)
    under_way = plan(ladder, seeds=[9], engine=engine)[0].identity
    splits = data.splits(data.load(ladder.data), n_dev=0)
    progress = next(train(engine, under_way.recipe, splits=splits, seed=9, resume=Progress()))
    store.checkpoint(under_way, checkpoint_file(under_way, progress))
    (store.folder / "looks.json").write_bytes(old_looks(runs[0].identity, runs[2].identity))
    return Stored(ladder, path, store, engine, runs, under_way, progress)


def as_before_models(store: Store, run: Run) -> None:
    """A run's files as they were when weights said nothing of their network: format 2, in the library's own bytes."""
    path = store.folder / f"{run.identity.key}.json"
    content = save(load_arrays(path.with_suffix(".safetensors").read_bytes()))
    path.with_suffix(".safetensors").write_bytes(content)
    tree = run.model_dump(mode="json") | {"weights_sha256": sha256(content).hexdigest()}
    path.write_bytes(sealed("run", tree, version=2))


def old_looks(below: RunIdentity, above: RunIdentity, *, version: int = 2) -> bytes:
    """A looks.json as versions up to 0.13 wrote it: of one pair, looked at with both seeds."""
    pair = " ".join((*sorted((below.experiment, above.experiment)), below.engine.tag))
    return sealed("looks", {pair: [SEEDS]}, version=version)


def flipped(content: bytes, n: int, rng: Random) -> Iterator[bytes]:
    """The content with one bit of it flipped, ``n`` times."""
    for _ in range(n):
        place, bit = rng.randrange(len(content)), rng.randrange(8)
        yield content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def other_digits(content: bytes, n: int, rng: Random) -> Iterator[bytes]:
    """The content with one decimal digit of it changed, ``n`` times."""
    places = [found.start() for found in re.finditer(b"[0-9]", content)]
    for _ in range(n):
        place = rng.choice(places)
        digit = rng.choice([each for each in b"0123456789" if each != content[place]])
        yield content[:place] + bytes([digit]) + content[place + 1 :]


def record_of_claims(folder: Path) -> Path:
    """A shipped record as a file of its own."""
    found, _ = record.load("mnist-1000")
    path = folder / "claims.json"
    write_atomically(path, record.record_text(found).encode())
    assert json.loads(path.read_bytes())["format_version"] == record.FORMAT_VERSION
    return path
