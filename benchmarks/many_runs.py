"""Tall ladders, and stores of thousands of finished runs that nobody trained: what growth.py measures.

A made-up run has a record and a file of weights as a training leaves them, written by the store and read back by all
of its checks: accuracies that rise and settle, confusion tables that add up to the classes of the images, the wrong
images of the last epoch under their own labels, and the weights that the run's seed begins with.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from platform import platform

import numpy as np
from numpy.typing import NDArray

from stepladder._base.machine import cpu_name, versions
from stepladder.datasets import data
from stepladder.datasets.data import Splits
from stepladder.engines.training import initial_arrays, weights
from stepladder.ladders.evaluated import data_identity, splits_for
from stepladder.ladders.ladder import Ladder, Plan
from stepladder.ladders.ladder_file import load
from stepladder.runs.model import about_run
from stepladder.runs.run import EngineIdentity, Epoch, Provenance, Run, RunIdentity, WrongImage
from stepladder.runs.store import Store
from stepladder.runs.weight_files import arrays_sha256, weights_file

ENGINE = EngineIdentity(name="jit", version="0.50.0", device="cpu", revision=1)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)

BOTTOM = """\
name = "{name}"
about = "As tall as wanted."
data = "{data}"
evaluate_on = "test"
comparisons = {comparisons}
budget = {{ params = 10_000_000, epochs = 100 }}
target = {{ accuracy = 99.0, last_epochs = 5 }}

[[rung]]
name = "rung 1"
why = "The bottom."
[rung.recipe]
network = ["conv {width}", "conv {width}", "maxpool 2", "conv {width}", "conv {width}", "gap", "linear 10"]
block = "conv relu norm dropout"
lr = 0.01
epochs = {epochs}
"""


def tall_ladder(
    folder: Path, *, n_rungs: int, name: str = "tall", source: str = "mnist", width: int = 8, epochs: int = 14
) -> Path:
    """A ladder file of so many rungs, each with another change: of the network, learning rate, dropout or rotation."""
    changes = []
    for number in range(2, n_rungs + 1):
        more = width + 1 + number // 4
        changes.append(
            (
                f"change.lr = {0.01 + number / 1e4:.4f}",
                f"change.dropout = {number / 1e3:.3f}",
                f"change.augment = {{ rotation_deg = {5 + number / 10:.1f} }}",
                f'change.network = ["conv {width}", "conv {width}", "maxpool 2", "conv {more}", "conv {more}", "gap",'
                ' "linear 10"]',
            )[number % 4]
        )
    rungs = [
        f'\n[[rung]]\nname = "rung {number}"\nwhy = "Number {number}."\n{change}\n'
        for number, change in enumerate(changes, 2)
    ]
    bottom = BOTTOM.format(name=name, data=source, comparisons=max(5, n_rungs - 1), width=width, epochs=epochs)
    path = folder / f"{name}.toml"
    path.write_text("".join([bottom, *rungs]))
    return path


def fill(store: Store, ladder: Plan, *, seeds: Sequence[int]) -> int:
    """Put a made-up run of each rung and seed into a store; how many there are."""
    identity = data_identity(ladder)
    splits = splits_for(data.load(ladder.data), identity)
    made = _Making(splits)
    for rung in ladder.trained:
        network = rung.recipe.network_for(splits.image)
        for seed in seeds:
            about = RunIdentity(recipe=rung.recipe, data=identity, seed=seed, engine=ENGINE)
            arrays = weights(network, initial_arrays(network, seed))
            store.save(made.run(about, arrays_sha256(arrays)), weights_file(arrays, about_run(about, splits)))
    return len(ladder.trained) * len(seeds)


class _Making:
    """Makes up runs on these images: some images are harder than others, for every network."""

    def __init__(self, splits: Splits) -> None:
        self.n_train, self.labels = len(splits.train), splits.evaluated.labels.astype(int)
        self.n, self.n_classes = len(self.labels), splits.image.n_classes
        rng = np.random.default_rng(0)
        hardness = rng.permutation(self.n) + 1.0
        self.chance = hardness**-0.9 / (hardness**-0.9).sum()
        self.others = (self.labels[:, None] + rng.integers(1, self.n_classes, (self.n, 2))) % self.n_classes
        self.n_made = 0

    def run(self, identity: RunIdentity, weights_sha256: str) -> Run:
        rng = np.random.default_rng(int(identity.experiment, 16) + identity.seed)
        n_epochs = identity.recipe.epochs
        settled = self.n * rng.normal(0.0075, 0.0006)
        wrong = [int(settled + 0.02 * self.n * np.exp(-epoch / 3)) for epoch in range(n_epochs)]
        chosen = [self._wrong(rng, n_wrong) for n_wrong in wrong]
        epochs = tuple(self._epoch(rng, *each) for each in chosen)
        self.n_made += 1
        return Run(
            identity=identity,
            epochs=epochs,
            diverged_at_epoch=None,
            wrong_images=self._images(rng, *chosen[-1]),
            weights_sha256=weights_sha256,
            provenance=Provenance(
                versions=versions(),
                cpu=cpu_name(),
                platform=platform(),
                finished_at=(SINCE + timedelta(minutes=self.n_made)).isoformat(timespec="seconds"),
                n_resumed=0,
            ),
        )

    def _wrong(self, rng: np.random.Generator, n_wrong: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
        """Which images are wrong, in order, and what each is taken for."""
        chosen = np.sort(rng.choice(self.n, n_wrong, replace=False, p=self.chance))
        return chosen, self.others[chosen, (rng.random(n_wrong) < 0.1).astype(int)]

    def _epoch(self, rng: np.random.Generator, chosen: NDArray[np.int_], predicted: NDArray[np.int_]) -> Epoch:
        answers = self.labels.copy()
        answers[chosen] = predicted
        counts = np.bincount(self.labels * self.n_classes + answers, minlength=self.n_classes**2)
        n_wrong = len(chosen)
        return Epoch(
            n_train=self.n_train,
            n_train_correct=int(self.n_train * (1 - 1.3 * n_wrong / self.n)),
            train_loss=float(4.5 * n_wrong / self.n * rng.uniform(0.95, 1.05)),
            n_evaluated=self.n,
            n_correct=self.n - n_wrong,
            loss=float(3.2 * n_wrong / self.n * rng.uniform(0.95, 1.05)),
            confusion=tuple(map(tuple, counts.reshape(self.n_classes, self.n_classes).tolist())),
            train_s=float(rng.uniform(7, 8)),
            evaluate_s=float(rng.uniform(0.3, 0.4)),
        )

    def _images(
        self, rng: np.random.Generator, chosen: NDArray[np.int_], predicted: NDArray[np.int_]
    ) -> tuple[WrongImage, ...]:
        return tuple(
            WrongImage(index=index, label=label, predicted=answer, probability=probability)
            for index, label, answer, probability in zip(
                chosen.tolist(),
                self.labels[chosen].tolist(),
                predicted.tolist(),
                rng.uniform(0.4, 0.9, len(chosen)).tolist(),
                strict=True,
            )
        )


def make(folder: Path, ladder: Ladder, *, n_runs: int, n_seeds: int) -> Store:
    """A store with a ladder's runs of so many seeds, and others until it has ``n_runs``, of ladders of other epochs."""
    store = Store.open(folder, create=True)
    there, epochs = fill(store, ladder, seeds=range(1, n_seeds + 1)), 5
    while there < n_runs:
        other = load(tall_ladder(folder.parent, n_rungs=25, name=f"other-{epochs}", epochs=epochs))
        there += fill(store, other, seeds=range(1, min(n_seeds, max(1, (n_runs - there) // 25)) + 1))
        epochs += 1
    return store
