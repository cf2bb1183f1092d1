"""How often verdicts are false, what they find, and whether the simulation shows what ``compare`` shows."""

from collections.abc import Callable

import numpy as np
import pytest
from made_up import results, star
from numpy.typing import NDArray

from stepladder.analysis.comparing import compare
from stepladder.analysis.verdict_errors import are_wrong, error_of_growth, shown_intervals

Floats = NDArray[np.float64]
Shape = tuple[int, int, int]  # ladder, rung, seed

N_IMAGES = 10_000
IMAGE = 100 / N_IMAGES


def images(gained: Floats) -> NDArray[np.int_]:
    """Counts of 10,000 images, about 99.3%, from what is gained in points."""
    return np.rint(N_IMAGES * (99.3 + gained) / 100).astype(int)


def points(counts: NDArray[np.int_]) -> Floats:
    return counts.astype(np.float64) * IMAGE


# One simulation, and what compare shows.

SEEDS = [
    *([n] * 6 for n in (2, 3, 4, 7, 8, 9, 20)),
    *([[n] * 5 + [last] for n in (3, 8, 16) for last in (2, 5, 8, 12)]),
    *([[8, 8], [16, 2], [2, 16], [8, 8, 8], [16, 16, 2], [64, 2, 2], [64, 64, 2, 2, 2], [9, 5, 12, 8]]),
]


@pytest.mark.parametrize("n_seeds", SEEDS, ids=lambda each: "-".join(map(str, each)))
def test_simulated_intervals_are_those_of_compare(n_seeds: list[int]) -> None:
    """Seeds 1, 2, ... of each rung: of normal runs, of ties, of rungs with no spread at all."""
    for seed, spread in enumerate((0.06, 0.004, 0.0, 0.03)):
        gained = np.random.default_rng(seed).normal(0, spread, (1, len(n_seeds), max(n_seeds)))
        gained[:, -2:] *= 1 if spread != 0.03 else 10  # rungs that spread by much more than the others
        counts = images(gained + 0.03 * np.arange(len(n_seeds))[:, None])
        shown = compare(results(*(of[:n].tolist() for of, n in zip(counts[0], n_seeds, strict=True))))
        low, high = shown_intervals(points(counts), n_seeds, n_comparisons=5, least_spread=IMAGE)
        for each, *ends in zip(shown, low[0], high[0], strict=True):
            assert each.interval == (pytest.approx(ends, abs=1e-4) if np.isfinite(ends).all() else None)


@pytest.mark.parametrize("n_seeds", [[8, 8, 8, 8], [20, 9, 5, 3], [3, 20, 20, 20], [8, 16, 4, 8]])
def test_simulated_intervals_of_variants_are_those_of_compare(n_seeds: list[int]) -> None:
    """A rung with one above it, and two variants: of the first, and of the second."""
    counts = images(np.random.default_rng(5).normal(0, 0.05, (1, 4, max(n_seeds))) + 0.03 * np.arange(4)[:, None])
    shown = compare(star(*(of[:n].tolist() for of, n in zip(counts[0], n_seeds, strict=True)), on=(0, 1)))
    assert [each.below for each in shown] == ["skeleton", "skeleton", "lighter"]
    low, high = shown_intervals(points(counts), n_seeds, n_comparisons=5, least_spread=IMAGE, below=(0, 0, 1))
    for each, *ends in zip(shown, low[0], high[0], strict=True):
        assert each.interval == (pytest.approx(ends, abs=1e-4) if np.isfinite(ends).all() else None)


def test_where_the_first_seeds_say_otherwise_all_of_them_are_shown_alike() -> None:
    """The first eight seeds are worse by as much as the others are better: all say better, by far."""
    counts = np.full((1, 2, 60), 9930) + np.arange(60) % 3
    counts[0, 1] += np.where(np.arange(60) < 8, -30, 30)
    (shown,) = compare(results(*counts[0].tolist()))
    low, high = shown_intervals(points(counts), [60, 60], n_comparisons=5, least_spread=IMAGE)
    assert shown.interval == pytest.approx((low[0, 0], high[0, 0]), abs=1e-4)
    assert shown.difference is not None
    assert low[0, 0] < float(shown.difference) < high[0, 0]
    assert shown.outcome == "better"


# False verdicts: rungs are alike, and compared after every seed.


def normal(spread: float) -> Callable[[np.random.Generator, Shape], Floats]:
    return lambda random, shape: random.normal(0, spread, shape)


def unlike(*spreads: float) -> Callable[[np.random.Generator, Shape], Floats]:
    return lambda random, shape: np.array(spreads)[:, None] * random.normal(0, 1, shape)


def correlated(r: float) -> Callable[[np.random.Generator, Shape], Floats]:
    def draw(random: np.random.Generator, shape: Shape) -> Floats:
        values = random.normal(0, 0.06, shape)
        for rung in range(1, shape[1]):
            values[:, rung] = r * values[:, rung - 1] + (1 - r * r) ** 0.5 * values[:, rung]
        return values

    return draw


def collapsing(random: np.random.Generator, shape: Shape) -> Floats:
    return random.normal(0, 0.06, shape) - (random.random(shape) < 0.05) * random.uniform(0.3, 2, shape)


KINDS = {
    "normal .03": normal(0.03),
    "normal .10": normal(0.10),
    "tied": normal(0.008),
    "skewed": lambda random, shape: -random.exponential(0.06, shape),
    "correlated": correlated(0.3),
    "against each other": correlated(-0.3),
    "collapsing": collapsing,
    "unlike": unlike(0.03, 0.03, 0.10, 0.10, 0.03, 0.03),
    "one wide": unlike(0.03, 0.03, 0.03, 0.03, 0.03, 0.10),
    "falling": unlike(0.10, 0.09, 0.07, 0.05, 0.04, 0.03),
    "much unlike": unlike(0.03, 0.03, 0.30, 0.30, 0.03, 0.03),
    "one much wider": unlike(0.03, 0.03, 0.03, 0.03, 0.03, 0.30),
}


def allowed(n: int, share: float = 0.05) -> float:
    """5%, and three times the noise of so many ladders."""
    return share + 3 * float((share * (1 - share) / n) ** 0.5)


@pytest.mark.parametrize("n_ladders", [300, pytest.param(4_000, marks=pytest.mark.evidence)])
@pytest.mark.parametrize("kind", KINDS)
def test_compared_after_every_seed_few_ladders_ever_show_a_false_verdict(kind: str, n_ladders: int) -> None:
    counts = images(KINDS[kind](np.random.default_rng(11), (n_ladders, 6, 64)))
    wrong = np.zeros(n_ladders, bool)
    for n in range(2, 65):
        wrong |= are_wrong(shown_intervals(points(counts), [n] * 6, n_comparisons=5, least_spread=IMAGE)).any(1)
    assert wrong.mean() <= (allowed(n_ladders) if n_ladders < 1_000 else 0.055)


@pytest.mark.parametrize("n_ladders", [150, pytest.param(4_000, marks=pytest.mark.evidence)])
@pytest.mark.parametrize("n_variants", [3, 12])
@pytest.mark.parametrize("kind", ["normal .03", "skewed", "collapsing"])
def test_of_variants_of_one_rung_few_ever_show_a_false_verdict(kind: str, n_variants: int, n_ladders: int) -> None:
    """All of them are compared with the same rung, whose luck is in every difference."""
    counts = images(KINDS[kind](np.random.default_rng(12), (n_ladders, n_variants + 1, 64)))
    wrong, on = np.zeros(n_ladders, bool), (0,) * n_variants
    for n in range(2, 65):
        n_seeds = [n] * (n_variants + 1)
        ends = shown_intervals(points(counts), n_seeds, n_comparisons=n_variants, least_spread=IMAGE, below=on)
        wrong |= are_wrong(ends).any(1)
    assert wrong.mean() <= (allowed(n_ladders) if n_ladders < 1_000 else 0.055)


@pytest.mark.parametrize("n_ladders", [300, pytest.param(4_000, marks=pytest.mark.evidence)])
@pytest.mark.parametrize("spread", [0.03, 0.06, 0.10, 0.30])
@pytest.mark.parametrize("n_below", [5, 16, 64])
@pytest.mark.parametrize("n_rungs", [2, 6])
def test_a_rung_on_top_that_spreads_otherwise_shows_few(
    n_rungs: int, n_below: int, spread: float, n_ladders: int
) -> None:
    """Of a spread of its own, with seeds added one by one, over rungs of 0.03 that have theirs."""
    counts = images(unlike(*[0.03] * (n_rungs - 1), spread)(np.random.default_rng(14), (n_ladders, n_rungs, 64)))
    wrong = np.zeros(n_ladders, bool)
    for n in range(2, 33):
        n_seeds = [*[n_below] * (n_rungs - 1), n]
        ends = shown_intervals(points(counts), n_seeds, n_comparisons=n_rungs - 1, least_spread=IMAGE)
        wrong |= are_wrong(ends).any(1)
    assert wrong.mean() <= allowed(n_ladders)


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_seeds_that_collapse_to_one_value_show_few(share: float) -> None:
    """In eleven rungs, which would know their typical spread well from two seeds, but not what became of these."""
    random = np.random.default_rng(15)
    counts = images(np.where(random.random((1_000, 11, 20)) < share, -89, random.normal(0, 0.06, (1_000, 11, 20))))
    wrong = np.zeros(1_000, bool)
    for n in range(2, 21):
        wrong |= are_wrong(shown_intervals(points(counts), [n] * 11, n_comparisons=10, least_spread=IMAGE)).any(1)
    assert wrong.mean() <= 0.05


@pytest.mark.parametrize("n_ladders", [12, pytest.param(80, marks=pytest.mark.evidence)])
def test_compare_itself_shows_few_false_verdicts(n_ladders: int) -> None:
    counts = images(collapsing(np.random.default_rng(12), (n_ladders, 6, 17)))
    wrong = 0
    for ladder in counts.tolist():
        wrong += any(
            each.outcome in ("better", "worse")
            for n in (2, 3, 4, 5, 8, 12, 17)
            for each in compare(results(*(rung[:n] for rung in ladder)))
        )
    assert wrong / n_ladders <= allowed(n_ladders)


@pytest.mark.parametrize("n_pairs", [400, pytest.param(4_000, marks=pytest.mark.evidence)])
def test_what_is_worth_knowing_is_seldom_said_to_be_less(n_pairs: int) -> None:
    """A true difference of 0.05 points: an interval that ever lies within it, of one comparison."""
    for spread in (0.02, 0.05):
        counts = images(np.random.default_rng(3).normal(0, spread, (n_pairs, 2, 64)) + np.array([[0.0], [0.05]]))
        wrong = np.zeros(n_pairs, bool)
        for n in range(2, 65):
            low, high = shown_intervals(points(counts), [n, n], n_comparisons=1, least_spread=IMAGE)
            wrong |= ((low > -0.05) & (high < 0.05)).any(1)
        assert wrong.mean() <= allowed(n_pairs, 0.025)


# What is shown of true differences.


def given_and_covered(n: int, spread: float, difference: float, *, n_ladders: int) -> tuple[float, float, int]:
    """The shares of steps found and, of those with a verdict, right about the difference; and how many have one."""
    steps = difference * (np.arange(6)[:, None] - 5)
    counts = images(np.random.default_rng(21).normal(0, spread, (n_ladders, 6, n)) + steps)
    low, high = shown_intervals(points(counts), [n] * 6, n_comparisons=5, least_spread=IMAGE)
    given, covered = (low > 0) | (high < 0), (low <= difference + 1e-9) & (difference - 1e-9 <= high)
    return float((low > 0).mean()), float(covered[given].mean()), int(given.sum())


@pytest.mark.parametrize(("n", "spread"), [(8, 0.05), (8, 0.08), (16, 0.05), (16, 0.08)])
@pytest.mark.parametrize("difference", [0.03, 0.05, 0.07, 0.10])
def test_the_interval_beside_a_verdict_is_right(n: int, spread: float, difference: float) -> None:
    """In 88% of cases at least: where steps are small, only those are found that came out too large."""
    _, covered, n_given = given_and_covered(n, spread, difference, n_ladders=8_000)
    assert n_given >= 100
    assert covered >= 0.88 - 3 * (0.88 * 0.12 / n_given) ** 0.5


@pytest.mark.parametrize(
    ("n", "spread", "difference", "least"),
    [
        (8, 0.06, 0.10, 0.45),
        (5, 0.06, 0.20, 0.50),
        (8, 0.05, 0.10, 0.60),
        (16, 0.05, 0.10, 0.90),
        (64, 0.07, 0.05, 0.40),
    ],
)
@pytest.mark.parametrize("n_ladders", [400, pytest.param(4_000, marks=pytest.mark.evidence)])
def test_true_differences_are_found(n: int, spread: float, difference: float, least: float, n_ladders: int) -> None:
    found, _, _ = given_and_covered(n, spread, difference, n_ladders=n_ladders)
    assert found >= least


# Ladders that grow.


def test_a_ladder_that_grows_beyond_what_it_declared_pays_for_it() -> None:
    """Below 5% where it grows little, and more the further it grows."""
    errors = [error_of_growth(5, n) for n in (5, 6, 7, 8)]
    assert errors == sorted(errors)
    assert 0 < errors[0] < errors[-1]
    assert errors[0] <= 0.05
    assert error_of_growth(1, 1) <= 0.05
    assert error_of_growth(5, 8, tuple(range(8))) == errors[-1]
    assert 0 < error_of_growth(5, 8, (0,) * 8) < 0.05


@pytest.mark.evidence
def test_rungs_added_on_top_cost_what_is_printed() -> None:
    """Five declared, and rungs added one by one: another simulation, with other draws, gives about the same."""
    for n_comparisons in (6, 8):
        counts = np.random.default_rng(9).normal(0, 1, (4_000, n_comparisons + 1, 16))
        wrong = np.zeros(4_000, bool)
        for n in range(2, 17):
            wrong |= are_wrong(shown_intervals(counts[:, :6], [n] * 6, n_comparisons=5, least_spread=0)).any(1)
        for rungs in range(7, n_comparisons + 2):
            for n in range(2, 17):
                n_seeds = [16] * (rungs - 1) + [n]
                shown = shown_intervals(counts[:, :rungs], n_seeds, n_comparisons=rungs - 1, least_spread=0)
                wrong |= are_wrong(shown).any(1)
        assert error_of_growth(5, n_comparisons) == pytest.approx(float(wrong.mean()), abs=0.015)


@pytest.mark.parametrize("n_ladders", [200, pytest.param(3_000, marks=pytest.mark.evidence)])
def test_within_what_was_declared_rungs_may_be_added_on_top(n_ladders: int) -> None:
    """Two rungs, then one more at a time up to six, each compared after every seed."""
    counts = images(normal(0.06)(np.random.default_rng(13), (n_ladders, 6, 16)))
    wrong = np.zeros(n_ladders, bool)
    for rungs in range(2, 7):
        for n in range(2, 17):
            n_seeds = [*[16 if rungs > 2 else n] * (rungs - 1), n]
            shown = shown_intervals(points(counts)[:, :rungs], n_seeds, n_comparisons=5, least_spread=IMAGE)
            wrong |= are_wrong(shown).any(1)
    assert wrong.mean() <= allowed(n_ladders)


def test_what_is_wrong_of_rungs_alike_is_an_interval_without_0() -> None:
    low, high = np.array([[-1.0, 0.1, -2.0, 0.0]]), np.array([[1.0, 0.3, -0.1, 0.0]])
    assert are_wrong((low, high)).tolist() == [[False, True, True, False]]
