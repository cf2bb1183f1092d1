"""What can be said of a ladder before anything trains: sizes, budgets, and how long a climb will take."""

from collections.abc import Mapping
from dataclasses import dataclass

from stepladder import sources
from stepladder.errors import LadderError
from stepladder.geometry import Network
from stepladder.ladder import Ladder, Rung, budget_excess
from stepladder.sources import DataInfo

# Multiply-adds per second and process, two processes at once on 2 cores of an AMD EPYC (Zen 4), 2026-11-22.
TYPICAL_SPEED = {"torch": 6.5e9}


@dataclass(frozen=True)
class CheckedRung:
    """A rung, its network on the ladder's images, and how it is over its budget (empty when within)."""

    rung: Rung
    network: Network
    excess: tuple[str, ...]


@dataclass(frozen=True)
class Estimate:
    """How long a climb would take from nothing, in seconds; ``measured`` if this store has trained before."""

    elapsed_s: float
    n_runs: int
    jobs: int
    measured: bool


@dataclass(frozen=True)
class Check:
    """All that ``stepladder check`` knows."""

    ladder: Ladder
    info: DataInfo
    rungs: tuple[CheckedRung, ...]
    estimate: Estimate

    @property
    def excess(self) -> list[str]:
        return [line for checked in self.rungs for line in checked.excess]


def check(ladder: Ladder, *, n_seeds: int, jobs: int, speeds: Mapping[str, float]) -> Check:
    """Check a ladder; ``speeds`` are the multiply-adds per second measured so far, by engine tag (Store.speeds).

    Raises DataError, and LadderError for networks that do not fit their images; being over budget is a finding.
    """
    info = sources.describe(ladder.data)
    rungs = []
    for rung in ladder.rungs:
        network = rung.network(info.image)
        require_full_batches(ladder, rung, network, info)
        rungs.append(CheckedRung(rung, network, tuple(budget_excess(rung, network))))
    return Check(ladder, info, tuple(rungs), estimate(ladder, info, n_seeds=n_seeds, jobs=jobs, speeds=speeds))


def estimate(ladder: Ladder, info: DataInfo, *, n_seeds: int, jobs: int, speeds: Mapping[str, float]) -> Estimate:
    """How long a climb takes: the work in multiply-adds, over the speed at which it was last done here."""
    engine, typical = next(iter(TYPICAL_SPEED.items()))
    measured = [speed for tag, speed in speeds.items() if tag.startswith(f"{engine}-")]
    speed = measured[-1] if measured else typical
    n_runs = n_seeds * len(ladder.rungs)
    jobs = max(1, min(jobs, n_runs))
    cost = n_seeds * sum(epoch_cost(ladder, rung, info) * rung.recipe.epochs for rung in ladder.rungs)
    return Estimate(cost / speed / jobs, n_runs, jobs, bool(measured))


def epoch_cost(ladder: Ladder, rung: Rung, info: DataInfo) -> int:
    """Multiply-adds of one epoch: forward, and twice that backward, in training; forward in evaluation."""
    n_dev = ladder.n_dev(info.n_train)
    return rung.network(info.image).macs * (3 * (info.n_train - n_dev) + (n_dev or info.n_test))


def require_full_batches(ladder: Ladder, rung: Rung, network: Network, info: DataInfo) -> None:
    """Batch norm needs two values per channel: refuse a last batch of one image where it sees one pixel."""
    n_dev = ladder.n_dev(info.n_train)
    n_last = (info.n_train - n_dev) % rung.recipe.batch_size or rung.recipe.batch_size
    for row in network.rows:
        if n_last == 1 and "norm" in row.steps and row.out_size == 1:
            raise LadderError(
                f"rung {rung.name!r}: layer {row.index + 1} ('{row.layer}') normalises one pixel per channel over a"
                f" last batch of one image ({info.n_train - n_dev:,} images in batches of {rung.recipe.batch_size}):"
                " choose another batch_size"
            )
