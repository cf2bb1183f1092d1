"""How often verdicts are false, what they find, and how often their interval is right: simulated ladders.

``python benchmarks/verdicts.py`` prints the tables of docs/verdicts.md. Ladders of six rungs are compared after every
seed from 2 to 64; accuracies are counts of 10,000 images. Nothing is trained: two minutes on one core.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepladder.analysis.intervals import FEWEST
from stepladder.analysis.verdict_errors import are_wrong, error_of_growth, shown_intervals

Floats = NDArray[np.float64]

N_RUNGS = 6
MOST_SEEDS = 64
N_IMAGES = 10_000


@dataclass(frozen=True)
class Runs:
    """A kind of runs: ``draw(random, shape)`` gives accuracies in points, (ladder, rung, seed), of rungs alike."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, int, int]], Floats]
    n_rungs: int = N_RUNGS


def normal(sd: float) -> Runs:
    return Runs(f"normal, SD {sd:.2f}", lambda random, shape: random.normal(0, sd, shape))


def correlated(r: float) -> Runs:
    """Neighbouring rungs go together by seed, or against each other."""

    def draw(random: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
        values = random.normal(0, 1, shape)
        for rung in range(1, shape[1]):
            values[:, rung] = r * values[:, rung - 1] + (1 - r * r) ** 0.5 * values[:, rung]
        return 0.06 * values

    return Runs(f"normal, SD 0.06, correlated {r:+.1f} by seed", draw)


def unlike(*spreads: float) -> Runs:
    """Each rung has a spread of its own."""
    sd = np.array(spreads)[:, None]
    words = ", ".join(f"{spread:g}" for spread in spreads)
    return Runs(f"normal, SDs {words}", lambda random, shape: sd * random.normal(0, 1, shape), len(spreads))


def collapsing(random: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
    return random.normal(0, 0.06, shape) - (random.random(shape) < 0.05) * random.uniform(0.3, 2, shape)


ALIKE = (
    *(normal(sd) for sd in (0.03, 0.06, 0.10)),
    Runs("skewed (exponential), SD 0.06", lambda random, shape: -random.exponential(0.06, shape)),
    Runs("tied, SD 0.008", lambda random, shape: random.normal(0, 0.008, shape)),
    *(correlated(r) for r in (0.5, 0.3, -0.3, -0.5)),
    Runs("one seed in 20 collapses by 0.3 to 2 points", collapsing),
    unlike(0.03, 0.03, 0.10, 0.10, 0.03, 0.03),
    unlike(0.10, 0.09, 0.07, 0.05, 0.04, 0.03),
    unlike(0.03, 0.03, 0.03, 0.03, 0.03, 0.10),
    unlike(0.03, 0.03, 0.30, 0.30, 0.03, 0.03),
    unlike(0.01, 0.30),
)
# Rungs below that have this many seeds, of a spread of 0.03; the spread of one on top that gets its seeds one by one.
ON_TOP = tuple((n_rungs, n_below, sd) for n_rungs in (2, 6) for n_below in (8, 64) for sd in (0.03, 0.10, 0.30))
# Seeds, spread of a run, true difference of each step.
TRUE = (
    *((5, 0.06, 0.20), (8, 0.05, 0.03), (8, 0.05, 0.05), (8, 0.08, 0.05), (8, 0.05, 0.10), (8, 0.06, 0.10)),
    *((16, 0.05, 0.03), (16, 0.05, 0.05), (16, 0.08, 0.05), (16, 0.07, 0.07), (16, 0.06, 0.10)),
    *((16, 0.10, 0.03), (32, 0.05, 0.05), (64, 0.07, 0.05)),
)

UNTIL_FOUND = (
    *((normal(0.05), 0.05), (normal(0.07), 0.05), (normal(0.06), 0.10), (normal(0.06), 0.20)),
    (Runs("one seed in 20 collapses by 0.3 to 2 points", collapsing), 0.10),
)


def images(values: Floats) -> Floats:
    """Accuracies that images can give."""
    return np.round((99.3 + values) / 100 * N_IMAGES) * 100 / N_IMAGES


def shown(values: Floats, n_seeds: list[int]) -> tuple[Floats, Floats]:
    return shown_intervals(values, n_seeds, n_comparisons=len(n_seeds) - 1, least_spread=100 / N_IMAGES)


def ever_false(runs: Runs, *, n_ladders: int) -> float:
    """The share of ladders of rungs alike that ever show a false verdict, compared after every seed."""
    values = images(runs.draw(np.random.default_rng(0), (n_ladders, runs.n_rungs, MOST_SEEDS)))
    wrong = np.zeros(n_ladders, bool)
    for n in range(FEWEST, MOST_SEEDS + 1):
        wrong |= are_wrong(shown(values, [n] * runs.n_rungs)).any(1)
    return float(wrong.mean())


def ever_false_on_top(n_rungs: int, n_below: int, sd: float, *, n_ladders: int) -> float:
    """The same for a rung on top, with seeds added one by one to 32, over rungs that have theirs."""
    spreads = np.array([*[0.03] * (n_rungs - 1), sd])[:, None]
    values = images(spreads * np.random.default_rng(0).normal(0, 1, (n_ladders, n_rungs, MOST_SEEDS)))
    wrong = np.zeros(n_ladders, bool)
    for n in range(FEWEST, 33):
        wrong |= are_wrong(shown(values, [*[n_below] * (n_rungs - 1), n])).any(1)
    return float(wrong.mean())


def found(n: int, sd: float, difference: float, *, n_ladders: int) -> tuple[float, float]:
    """With n seeds: the share of steps that are called better, and of their intervals that hold the difference."""
    steps = difference * np.arange(N_RUNGS)[:, None]
    values = images(np.random.default_rng(0).normal(0, sd, (n_ladders, N_RUNGS, n)) + steps - 0.5)
    low, high = shown(values, [n] * N_RUNGS)
    given = (low > 0) | (high < 0)
    right = (low <= difference) & (difference <= high)
    return float((low > 0).mean()), float(right[given].mean()) if given.any() else float("nan")


def until_found(draw: Runs, difference: float, *, n_ladders: int) -> tuple[float, float]:
    """Compared after every seed up to 64: the share of steps that are ever found, and after how many seeds on average.

    What is not found counts 64 seeds.
    """
    steps = difference * np.arange(N_RUNGS)[:, None]
    values = images(draw.draw(np.random.default_rng(0), (n_ladders, N_RUNGS, MOST_SEEDS)) + steps - 0.5)
    first = np.full((n_ladders, N_RUNGS - 1), MOST_SEEDS + 1)
    for n in range(FEWEST, MOST_SEEDS + 1):
        first = np.where((shown(values, [n] * N_RUNGS)[0] > 0) & (first > n), n, first)
    return float((first <= MOST_SEEDS).mean()), float(np.minimum(first, MOST_SEEDS).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ladders", type=int, default=8_000, help="simulated for each line")
    n_ladders = parser.parse_args().ladders
    print(f"{n_ladders:,} ladders a line\n\n| runs | ladders that ever show a false verdict |\n|---|---|")
    for runs in ALIKE:
        print(f"| {runs.name} | {100 * ever_false(runs, n_ladders=n_ladders):.1f}% |", flush=True)
    print(
        "\n| rungs | seeds below | SD of the rung on top | ladders that ever show a false verdict |\n|---|---|---|---|"
    )
    for n_rungs, n_below, sd in ON_TOP:
        share = ever_false_on_top(n_rungs, n_below, sd, n_ladders=n_ladders)
        print(f"| {n_rungs} | {n_below} | {sd:.2f} | {100 * share:.1f}% |", flush=True)
    print("\n| seeds | SD of a run | true difference | found | interval right, where there is a verdict |")
    print("|---|---|---|---|---|")
    for n, sd, difference in TRUE:
        share, right = found(n, sd, difference, n_ladders=n_ladders)
        print(f"| {n} | {sd:.2f} | {difference:.2f} | {100 * share:.0f}% | {100 * right:.0f}% |", flush=True)
    print("\n| runs | true difference | ever found, up to 64 seeds | seeds until then, mean |\n|---|---|---|---|")
    for draw, difference in UNTIL_FOUND:
        share, mean = until_found(draw, difference, n_ladders=n_ladders // 8)
        print(f"| {draw.name} | {difference:.2f} | {100 * share:.0f}% | {mean:.0f} |", flush=True)
    print("\n| declared | compared in the end | ladders that ever show a false verdict |\n|---|---|---|")
    for declared, in_the_end in ((5, 6), (5, 8), (5, 11), (1, 5), (1, 25)):
        print(f"| {declared} | {in_the_end} | {100 * error_of_growth(declared, in_the_end):.1f}% |", flush=True)


if __name__ == "__main__":
    main()
