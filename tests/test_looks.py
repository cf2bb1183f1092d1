"""Looks at verdicts: what is kept of them, what they cost, and climbs that buy seeds until a verdict is clear."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY_LADDER, CommandLine, Once
from numpy.typing import NDArray
from processes import Climb
from records import make_run
from scipy import stats
from test_cli import refused

from stepladder import looks
from stepladder.climbing import Task, Watchers, climb
from stepladder.comparing import (
    Comparison,
    alpha_left,
    compare,
    compare_rungs,
    compare_with_top,
    holm,
    interval_of_mean,
    least_seeds,
    look_number,
    sign_flip_test,
)
from stepladder.deciding import climb_until_decided, is_open, look
from stepladder.engines import choose_engine
from stepladder.errors import LadderError, StoreError
from stepladder.files import sealed
from stepladder.ladder_file import load
from stepladder.looks import Looks, Seeds, pair_key
from stepladder.report import compare_page
from stepladder.report.compare_json import comparison_dict
from stepladder.results import Results, RungResult, collect
from stepladder.run import RunIdentity
from stepladder.stats import summarise
from stepladder.store import Store

LADDER = load("mnist-8k")
AB, BC, CD, DE = (f"{16 * a} {16 * b} jit" for a, b in ("ab", "bc", "cd", "de"))
STAGES = (8, 16, 32, 64)


def first(n: int) -> Seeds:
    return tuple(range(1, n + 1))


def results(n_correct: Sequence[Sequence[int]], made: Sequence[Seeds] | None = None, *, n: int = 10_000) -> Results:
    """Rungs whose runs of seeds 1, 2, ... got so many images of ``n`` right, after these looks at each pair.

    No looks at all, or none yet, though seeds are bought for each pair: ``made`` is None, or empty.
    """
    rungs = []
    for rung, of_rung in zip(LADDER.rungs, n_correct, strict=False):
        runs = tuple(make_run(seed, [right], n=n, recipe=rung.recipe) for seed, right in enumerate(of_rung, 1))
        rungs.append(RungResult(rung, runs, summarise(runs, rung.target)))
    by_pair = {} if made is None else {key_of(below, above): tuple(made) for below, above in pairwise(rungs)}
    return Results(
        ladder=replace(LADDER, rungs=LADDER.rungs[: len(rungs)]),
        engine=None,
        rungs=tuple(rungs),
        params=(0,) * len(rungs),
        others={},
        n_test_looks=0,
        looks=Looks(by_pair),
    )


def key_of(below: RungResult, above: RungResult) -> str:
    return pair_key(below.runs[0].identity, above.runs[0].identity)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "runs", create=True)


# What is kept.


def test_looks_are_kept_in_order_and_the_same_one_once(store: Store) -> None:
    assert looks.read(store.folder) == Looks()
    for made in ({AB: first(8)}, {AB: first(16), BC: first(16)}, {AB: first(8)}):
        looks.note(store.folder, made)
        looks.note(store.folder, made)
    found = looks.read(store.folder)
    assert found.at(AB) == (first(8), first(16))
    assert found.at(BC) == (first(16),)
    assert found.at(CD) is None


def test_a_pair_is_kept_from_before_its_first_look(store: Store) -> None:
    looks.mark(store.folder, [AB, BC])
    written = (store.folder / "looks.json").stat().st_mtime_ns
    looks.mark(store.folder, [BC])
    assert (store.folder / "looks.json").stat().st_mtime_ns == written
    assert looks.read(store.folder).at(AB) == looks.read(store.folder).at(BC) == ()
    looks.note(store.folder, {BC: first(8)})
    looks.mark(store.folder, [BC, CD])
    found = looks.read(store.folder)
    assert [found.at(pair) for pair in (AB, BC, CD, DE)] == [(), (first(8),), (), None]


def test_a_pair_is_the_same_pair_on_another_ladder_and_by_another_engine_another() -> None:
    below, above = (make_run(1, [9900], recipe=rung.recipe).identity for rung in LADDER.rungs[:2])
    assert pair_key(below, above) == pair_key(above, below) == pair_key(below, above.model_copy(update={"seed": 2}))
    newer = {"engine": below.engine.model_copy(update={"revision": 2})}
    assert pair_key(below, above) != pair_key(below.model_copy(update=newer), above.model_copy(update=newer))


NOTES = (
    "import sys, pathlib\n"
    "from stepladder import looks\n"
    "for n in range(1, int(sys.argv[3])):\n"
    "    looks.note(pathlib.Path(sys.argv[1]), {sys.argv[2]: tuple(range(n))})\n"
)


def noting(store: Store, pair: str, n: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", NOTES, str(store.folder), pair, str(n)])


def test_climbs_at_once_lose_no_look(store: Store) -> None:
    pairs = (AB, BC, CD)
    writers = [noting(store, pair, 101) for pair in pairs]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    found = looks.read(store.folder)
    for pair in pairs:
        assert found.at(pair) == tuple(tuple(range(n)) for n in range(1, 101))


def test_a_killed_climb_leaves_its_looks_whole(store: Store) -> None:
    writer = noting(store, AB, 100_000)
    deadline = time.monotonic() + 60
    while len(looks.read(store.folder).at(AB) or ()) < 20 and time.monotonic() < deadline:
        time.sleep(0.003)
    writer.kill()
    assert writer.wait() == -signal.SIGKILL
    found = looks.read(store.folder).at(AB) or ()
    assert found == tuple(tuple(range(n)) for n in range(1, len(found) + 1))
    assert len(found) >= 20


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[1, 2, 3, 4, 5, 6, 7, 8]", "[1, 2, 3, 4, 5, 6, 7]"),
        ("]]}}", "]"),
        ('"looks": {', '"looks": {"more":[[1,2]],'),
        ('"format_version": 2', '"format_version": "one"'),
        ('"format_version": 2', '"format_version": 3'),
        ('{"format_version": 2', '{"version": 2'),
        ("[1, 2, 3, 4, 5, 6, 7, 8]", '"12345678"'),
    ],
)
def test_damaged_looks_make_no_verdict_easier(store: Store, old: str, new: str) -> None:
    path = store.folder / "looks.json"
    n_correct = [[9900] * 8, [9950] * 8]
    look(results(n_correct), store)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    damaged = looks.read(store.folder)
    with pytest.raises(StoreError, match=r"looks\.json is damaged .*move it away and repeat each"):
        compare(replace(results(n_correct), looks=damaged))
    with pytest.raises(StoreError, match="is damaged"):
        looks.note(store.folder, {AB: first(8)})
    assert path.read_text() == text.replace(old, new), "what is damaged is not written over"


def test_newer_and_unreadable_looks_are_refused(store: Store) -> None:
    path = store.folder / "looks.json"
    path.write_bytes(sealed("looks", "of another kind", version=3))
    assert "newer Stepladder (format 3; this one reads up to 2)" in looks.read(store.folder).problem
    path.unlink()
    path.mkdir()
    assert "cannot read" in looks.read(store.folder).problem
    with pytest.raises(StoreError, match="cannot read"):
        looks.note(store.folder, {AB: first(8)})
    path.rmdir()
    shutil.rmtree(store.folder)
    store.folder.symlink_to("/proc/gone")  # nothing can be written there
    with pytest.raises(StoreError, match="must not be looked at"):
        looks.note(store.folder, {AB: first(8)})


# What looks cost.


def test_the_kth_look_counts_two_to_the_kth() -> None:
    rng = np.random.default_rng(0)
    low, high = rng.integers(9900, 9920, 16).tolist(), rng.integers(9905, 9925, 16).tolist()
    differences = [Fraction(b - a, 100) for a, b in zip(low, high, strict=True)]
    p = {n: sign_flip_test(differences[:n]) for n in (8, 12, 16)}
    for made, expected, number in (
        (None, p[16], 0),
        ([], 2 * p[16], 1),
        ([first(16)], 2 * p[16], 1),
        ([first(8), first(16)], min(2 * p[8], 4 * p[16]), 2),
        ([first(8)], min(2 * p[8], 4 * p[16]), 2),  # the present seeds are the next look
        ([first(8), first(12)], min(2 * p[8], 4 * p[12], 8 * p[16]), 3),
        ([first(12), first(8)], min(2 * p[12], 4 * p[8], 8 * p[16]), 3),
    ):
        (found,) = compare(results([low, high], made))
        assert found.p == pytest.approx(min(1, expected))
        assert found.look == number


def test_a_look_at_runs_that_are_gone_costs_but_does_not_speak() -> None:
    low, high = [9900] * 16, [9930, 9940] * 8
    made = [first(16), (1, 2, 3, 20)]
    (whole,), (left,) = compare(results([low, high], made)), compare(results([low[:12], high[:12]], made))
    assert whole.p == pytest.approx(2 * 2 / 2**16)
    assert left.p == pytest.approx(2**3 * 2 / 2**12)
    assert (whole.look, left.look) == (1, 3)


def test_a_resumed_climb_finds_the_look_of_back_then() -> None:
    """With the first 8 seeds only, a look at 16 that was made later neither speaks nor counts."""
    low, high = [9900] * 16, [9902, 9890, 9911, 9899, 9907, 9900, 9902, 9890, *[9950] * 8]
    then = compare(results([low[:8], high[:8]], [first(8)]))
    assert compare(results([low[:8], high[:8]], [first(8), first(16)])) == then
    assert compare(results([low, high], [first(8), first(16)])) != then


@pytest.mark.parametrize(("n_comparisons", "number"), [(1, 1), (1, 3), (5, 1), (5, 4)])
def test_a_look_that_could_tell_nothing_is_no_verdict(n_comparisons: int, number: int) -> None:
    least = least_seeds(alpha_left(n_comparisons, look=number))
    made = [(seed,) for seed in range(100, 99 + number)]  # of seeds that are not there
    rungs = [[9000 + 100 * rung] * least for rung in range(n_comparisons + 1)]
    found = compare(results(rungs, [*made, first(least)]))
    assert [each.outcome for each in found] == ["better"] * n_comparisons
    fewer = compare(results([each[:-1] for each in rungs], [*made, first(least - 1)]))
    for each in fewer:
        assert (each.outcome, each.clear) == ("unknown", False)
        assert each.problem == f"{least - 1} seeds in common: {least} are the least that could tell"


def test_looks_are_corrected_for_the_number_of_comparisons_too() -> None:
    rng = np.random.default_rng(3)
    n_correct = (rng.integers(9900, 9920, (6, 16)) + np.arange(0, 48, 8)[:, None]).tolist()
    found = compare(results(n_correct, [first(16)]))
    alone = [
        sign_flip_test([Fraction(b - a, 100) for a, b in zip(below, above, strict=True)])
        for below, above in pairwise(n_correct)
    ]
    assert [each.p for each in found] == pytest.approx(holm([min(1, 2 * p) for p in alone]))


def test_climbing_down_pays_for_the_looks_at_the_same_runs() -> None:
    below = results([[9900] * 8, [9920] * 8, [9960] * 8], [first(8)])
    found = {each.below: each for each in compare_with_top(below)}
    never, looked = (found[rung.name] for rung in LADDER.rungs[:2])
    assert (never.look, looked.look) == (0, 1)
    assert never.p == looked.p == pytest.approx(2 * 2 / 2**8)  # Holm doubles the one, the look the other


def test_looks_are_numbered_from_1_and_0_is_no_look_ever() -> None:
    made = [first(8), first(16)]
    assert [look_number(made, first(n)) for n in (8, 16, 32)] == [1, 2, 3]
    assert look_number([], first(8)) == 1
    assert look_number(None, first(8)) == 0


# 8 seeds that were better by one image, then 8 that were worse by five, about.
BETTER_THEN_WORSE = [[9900] * 16, [*[9901] * 8, *[9893, 9895, 9897, 9895] * 2]]


def test_a_look_that_pointed_the_other_way_lends_no_verdict_its_p_value() -> None:
    (then,) = compare(results([each[:8] for each in BETTER_THEN_WORSE], [first(8)]))
    assert (then.outcome, then.p) == ("better", 2 * 2 / 2**8)
    low, high = BETTER_THEN_WORSE
    now = sign_flip_test([Fraction(b - a, 100) for a, b in zip(low, high, strict=True)])
    for made in ([first(8)], [first(8), first(16)]):
        (found,) = compare(results(BETTER_THEN_WORSE, made))
        assert found.interval is not None
        assert found.interval[1] < 0
        assert found.p == pytest.approx(4 * now)
        assert 4 * now > 0.05
        assert found.outcome == "no detectable difference"
    (even,) = compare(results([[9900] * 16, [*[9901] * 8, *[9899] * 8]], [first(8)]))
    assert (even.outcome, even.p) == ("no detectable difference", 1.0)


@pytest.mark.parametrize("n_pairs", [40, pytest.param(200, marks=pytest.mark.evidence)])
def test_a_verdict_points_where_a_significant_look_did(n_pairs: int) -> None:
    """Differences that drift from one sign to the other."""
    rng = np.random.default_rng(8)
    n_verdicts = 0
    for _ in range(n_pairs):
        drift = np.repeat(rng.choice([-6, 0, 6], 4), [8, 8, 16, 32])
        n_correct = np.stack([np.full(64, 9930), 9930 + np.rint(rng.normal(drift, 8)).astype(int)])
        for k, n in enumerate(STAGES, 1):
            (found,) = compare(results(n_correct[:, :n].tolist(), [first(each) for each in STAGES[:k]]))
            if found.outcome in ("better", "worse"):
                n_verdicts += 1
                seen = [[Fraction(int(b - a)) for a, b in n_correct[:, :each].T] for each in STAGES[:k]]
                sign = 1 if found.outcome == "better" else -1
                assert any(sign * sum(s) > 0 and 2**j * sign_flip_test(s) <= 0.05 for j, s in enumerate(seen, 1))
    assert n_verdicts > n_pairs / 4


# A difference that is not worth knowing.


def nearly_equal(n: int, *, by: int = 0) -> list[list[int]]:
    """Two rungs whose differences over n seeds are ``by`` images, one more or one less."""
    return [[9930] * n, [9930 + by + (1 if seed % 2 else -1) for seed in range(n)]]


def test_a_difference_known_to_be_small_is_not_worth_knowing() -> None:
    (found,) = compare(results(nearly_equal(16)))
    assert (found.outcome, found.negligible, found.clear) == ("no detectable difference", True, True)
    assert compare_page.verdict(found) == "no difference worth knowing: less than 0.05 points [-0.01, 0.01]"
    assert comparison_dict(found)["negligible"] is True
    assert comparison_dict(found)["look"] == 0
    (wide,) = compare(results([[9930] * 16, [9920, 9940] * 8]))
    assert (wide.negligible, wide.clear) == (False, False)
    assert compare_page.verdict(wide) == "no detectable difference [-0.06, 0.06]; 0.05 points would need about 36 seeds"
    (small,) = compare(results(nearly_equal(16, by=2)))
    assert (small.outcome, small.negligible) == ("better", True)
    assert compare_page.verdict(small).startswith("better by 0.02 points")
    (few,) = compare(results(nearly_equal(4)))
    assert (few.outcome, few.negligible) == ("unknown", False)
    (exactly,) = compare(results([[9930] * 16, [9935] * 16]))
    assert (exactly.outcome, exactly.negligible) == ("better", False)


def test_equal_differences_are_no_exact_knowledge() -> None:
    """Their spread counts as one image: with 6 seeds 0.0105 points to either side."""
    for by, negligible in ((0, True), (3, True), (4, False)):
        (found,) = compare(results([[9930] * 6, [9930 + by] * 6]))
        assert found.negligible is negligible
    for n, negligible in ((10_000, True), (9_999, False), (500, False)):
        (found,) = compare(results([[n - 60] * 64] * 2, n=n))
        assert (found.negligible, found.clear) == (negligible, negligible)


def test_negligible_at_the_level_that_is_left_of_the_kth_look() -> None:
    spread = 11
    n_correct = [[9930] * 16, [9930 + (spread if seed % 2 else -spread) // 2 for seed in range(16)]]
    differences = [(b - a) / 100 for a, b in zip(*n_correct, strict=True)]
    found = []
    for number in range(9):
        made = [(seed,) for seed in range(100, 99 + number)]
        (comparison,) = compare(results(n_correct, [*made, first(16)] if number else None))
        low, high = interval_of_mean(differences, alpha=0.05 / 2**number)
        able = len(differences) >= least_seeds(alpha_left(1, look=number))
        assert comparison.look == number
        assert comparison.negligible == (able and max(-low, high) < 0.05)
        found.append(comparison.negligible)
    assert found[0]
    assert not found[-1]
    theirs = stats.ttest_1samp(differences, 0).confidence_interval(1 - 0.05 / 8)
    assert interval_of_mean(differences, alpha=0.05 / 8) == pytest.approx((theirs.low, theirs.high))


def test_the_page_tells_of_looks_and_of_what_is_negligible() -> None:
    plain = " ".join(compare_page.comparison_notes(compare(results([[9900] * 8, [9950] * 8]))))
    assert "look" not in plain
    assert "worth knowing" not in plain
    said = " ".join(compare_page.comparison_notes(compare(results(nearly_equal(16), [first(8), first(16)]))))
    assert "here with look 2 at most" in said
    assert "within ±0.05 points" in said


# Simulations.


def found_ever(n_correct: NDArray[np.int64], flagged: NDArray[np.bool_], *, paid: bool) -> list[str]:
    """Verdicts on one ladder at those of the STAGES that are flagged, each look paid for or not."""
    found: list[str] = []
    for number, n in enumerate(STAGES):
        if flagged[number]:
            made = [first(each) for each in STAGES[: number + 1]] if paid else None
            found += [each.outcome for each in compare(results(n_correct[:, :n].tolist(), made))]
    return found


@pytest.mark.parametrize("n_ladders", [100, pytest.param(500, marks=pytest.mark.evidence)])
def test_looking_again_and_again_gives_few_false_alarms(n_ladders: int) -> None:
    """Three equal rungs: at most 5% of ladders (noise aside) get a verdict at any look; unpaid, clearly more do.

    A verdict needs Student's interval to exclude 0, so only looks at which one does are gone through.
    """
    rng = np.random.default_rng(1)
    n_correct = rng.binomial(10_000, 0.993, (n_ladders, 3, STAGES[-1]))
    differences = np.diff(n_correct, axis=1)
    flagged = np.stack([(stats.ttest_1samp(differences[..., :n], 0, axis=-1).pvalue <= 0.05).any(1) for n in STAGES], 1)
    alarms = {
        paid: sum(
            not {"better", "worse"}.isdisjoint(found_ever(*ladder, paid=paid))
            for ladder in zip(n_correct, flagged, strict=True)
        )
        for paid in (True, False)
    }
    most = 0.05 * n_ladders + 3 * (0.05 * 0.95 * n_ladders) ** 0.5
    assert 0 < alarms[True] <= 0.05 * n_ladders
    assert alarms[False] > most


@pytest.mark.parametrize("n_pairs", [200, pytest.param(1000, marks=pytest.mark.evidence)])
def test_a_difference_worth_knowing_is_seldom_called_negligible(n_pairs: int) -> None:
    """0.05 points in truth: an interval below it at any look, in at most half of 5% of pairs; unpaid, in more."""
    rng = np.random.default_rng(1)
    n_correct = 9930 + np.rint(rng.normal(0, 2, (n_pairs, 2, STAGES[-1]))).astype(int)
    n_correct[:, 1] += 5
    wrong = {True: 0, False: 0}
    for pair in n_correct:
        differences = (pair[1] - pair[0]) / 100
        near = [n for n in STAGES if interval_of_mean(differences[:n].tolist())[1] < 0.05]
        for paid in wrong:
            wrong[paid] += any(
                compare(results(pair[:, :n].tolist(), [first(each) for each in STAGES if each <= n] if paid else None))[
                    0
                ].negligible
                for n in near
            )
    most = 0.025 * n_pairs + 3 * (0.025 * 0.975 * n_pairs) ** 0.5
    assert 0 < wrong[True] <= 0.025 * n_pairs
    assert wrong[False] > most


@pytest.mark.parametrize(
    ("n", "more", "others"),
    [(100, 0.1, 0), (100, 0.05, 0), (500, 0.25, 0), (1_000, 0.5, 0.5), (10_000, 5, 0), (10_000, 5, 10)],
)
@pytest.mark.parametrize("n_pairs", [30, pytest.param(200, marks=pytest.mark.evidence)])
def test_few_images_make_no_difference_negligible(n: int, more: float, others: float, n_pairs: int) -> None:
    """0.05 or 0.1 points in truth, of few images that differ (Poisson): called negligible in half of 5% at most."""
    rng, wrong = np.random.default_rng(5), 0
    size = (n_pairs, STAGES[-1])
    for gained in rng.poisson(more + others, size) - rng.poisson(others, size):
        for k, seeds in enumerate(STAGES, 1):
            n_correct = [[n - 50] * seeds, (n - 50 + gained[:seeds]).tolist()]
            (found,) = compare(results(n_correct, [first(each) for each in STAGES[:k]], n=n))
            wrong += found.negligible
            if found.clear:
                break
    assert wrong <= (0.025 * n_pairs + 3 * (0.025 * 0.975 * n_pairs) ** 0.5 if n >= 10_000 else 0)


def bought_until_clear(n_correct: NDArray[np.int64], store: Store) -> tuple[int, Comparison]:
    """The seeds at which a pair's verdict became clear (or the last), and the verdict, with looks kept in a store."""
    for n in STAGES:
        (found,) = compare(look(results(n_correct[:, :n].tolist()), store))
        if not is_open(found):
            break
    return n, found


@pytest.mark.parametrize(("by", "outcome"), [(10, "better"), (-10, "worse")])
def test_a_true_difference_is_found_with_its_sign(by: int, outcome: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    stages = []
    for number in range(40):
        n_correct = rng.binomial(10_000, 0.993, (2, STAGES[-1]))
        n_correct[1] += by
        n, found = bought_until_clear(n_correct, Store.open(tmp_path / str(number), create=True))
        assert found.outcome == outcome
        stages.append(n)
    assert min(stages) < max(stages) <= 64


def test_nearly_equal_rungs_are_found_to_be_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    found = []
    for number in range(20):
        n_correct = 9930 + np.rint(rng.normal(0, 5, (2, STAGES[-1]))).astype(int)
        found.append(bought_until_clear(n_correct, Store.open(tmp_path / str(number), create=True)))
    assert [each.negligible for _, each in found].count(True) >= 19
    assert len({n for n, _ in found}) > 1, "some take more seeds than others"


# Climbs that buy seeds until verdicts are clear.


def test_looks_are_made_where_they_could_tell_and_kept_once(store: Store) -> None:
    six = [[9900 + 30 * rung + seed % 3 for seed in range(16)] for rung in range(6)]
    few = look(results([each[:8] for each in six], []), store)
    assert few.looks == Looks()
    marked = results([each[:8] for each in six], [])
    assert all(is_open(each) for each in compare(marked)), "8 seeds are too few for a look at five pairs"
    whole = look(results(six), store)
    again = look(replace(results(six), looks=whole.looks), store)
    assert again.looks == whole.looks
    assert sorted(whole.looks.by_pair.values()) == [(first(16),)] * 5
    assert not any(is_open(each) for each in compare(again))


def test_a_diverged_run_is_not_looked_at_and_keeps_nothing_open(store: Store) -> None:
    rungs = list(results([[9900] * 8, [9950] * 8]).rungs)
    runs = (*rungs[1].runs[:-1], make_run(8, [9950] * 4, recipe=LADDER.rungs[1].recipe, diverged_at_epoch=2))
    rungs[1] = replace(rungs[1], runs=runs)
    found = look(replace(results([[9900] * 8, [9950] * 8]), rungs=tuple(rungs)), store)
    assert found.looks == Looks()
    (comparison,) = compare(found)
    assert (comparison.diverged, is_open(comparison)) == (True, False)
    assert not compare_rungs(*results([[9900], [9950]]).rungs).diverged, "few seeds are no divergence"


@pytest.fixture(scope="module")
def uneven_ladder(once: Once, digits: Path) -> Path:
    """One change that 8 seeds make clear (six epochs instead of one), and one that 16 do not (a little rotation)."""

    def make(folder: Path) -> None:
        text = TINY_LADDER.format(data=str(digits), epochs=1).replace("last_epochs = 2", "last_epochs = 1")
        text = text.replace("change.dropout = 0.1", "change.epochs = 6").replace('"dropout"', '"longer"')
        (folder / "uneven.toml").write_text(text)

    return once("uneven-ladder", make) / "uneven.toml"


UNTIL = ("--until-decided", "--max-seeds", 16)


@pytest.fixture(scope="module")
def undisturbed(once: Once, uneven_ladder: Path) -> tuple[Path, str, str]:
    """The store of a climb until decided, its JSON, and what it said."""

    def make(folder: Path) -> None:
        with Climb(uneven_ladder, folder / "runs", *UNTIL, "--json") as climbing:
            returncode, out, err = climbing.finish()
        assert returncode in (0, 1), err
        (folder / "out.json").write_text(out)
        (folder / "err.txt").write_text(err)

    folder = once("undisturbed-until-decided", make)
    return folder / "runs", (folder / "out.json").read_text(), (folder / "err.txt").read_text()


def test_seeds_are_bought_where_a_verdict_is_not_clear(undisturbed: tuple[Path, str, str]) -> None:
    folder, out, err = undisturbed
    assert "note: 8 seeds: 1 of 2 verdicts are clear; going on with 16\n" in err
    assert "note: 16 seeds: 1 of 2 verdicts are clear; --max-seeds allows no more\n" in err
    longer, rotation = json.loads(out)["comparisons"]
    assert (longer["outcome"], longer["seeds"], longer["look"]) == ("better", list(first(8)), 1)
    assert (rotation["outcome"], rotation["seeds"], rotation["look"]) == (
        "no detectable difference",
        list(first(16)),
        2,
    )
    assert sorted(looks.read(folder).by_pair.values()) == [(first(8),), (first(8), first(16))]
    assert len(list(folder.glob("*/*.json"))) == 8 + 16 + 16


def test_compare_counts_the_looks(
    stepladder: CommandLine, undisturbed: tuple[Path, str, str], uneven_ladder: Path
) -> None:
    folder, out, _ = undisturbed
    assert stepladder("compare", uneven_ladder, "--store", folder, "--json").stdout == out
    assert "here with look 2 at most" in " ".join(
        stepladder("compare", uneven_ladder, "--store", folder).stdout.split()
    )


def test_repeated_it_trains_nothing_and_looks_at_nothing_new(
    stepladder: CommandLine, undisturbed: tuple[Path, str, str], uneven_ladder: Path, tmp_path: Path
) -> None:
    stored, out, err = undisturbed
    folder = shutil.copytree(stored, tmp_path / "runs")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    again = stepladder("climb", uneven_ladder, "--store", folder, *UNTIL, "--json")
    assert again.stdout == out
    assert "32 of 32 runs are stored; 0 to train" in again.stderr
    assert [line for line in again.stderr.splitlines() if "verdicts" in line] == [
        line for line in err.splitlines() if "verdicts" in line
    ]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_killed_after_a_look_it_goes_the_same_way(
    undisturbed: tuple[Path, str, str], uneven_ladder: Path, tmp_path: Path
) -> None:
    folder, out, _ = undisturbed
    with Climb(uneven_ladder, tmp_path / "runs", *UNTIL, "--json") as climbing:
        climbing.wait_for("looks.json")
        deadline = time.monotonic() + 60
        while () in looks.read(tmp_path / "runs").by_pair.values() and time.monotonic() < deadline:
            time.sleep(0.003)
        climbing.kill_all()
    assert set(looks.read(tmp_path / "runs").by_pair.values()) == {(first(8),)}, "the kill came too late"
    with Climb(uneven_ladder, tmp_path / "runs", *UNTIL, "--json") as climbing:
        assert climbing.finish()[1] == out
    assert looks.read(tmp_path / "runs") == looks.read(folder)


def test_what_else_is_stored_changes_nothing(
    stepladder: CommandLine, undisturbed: tuple[Path, str, str], uneven_ladder: Path, tmp_path: Path
) -> None:
    folder, out, _ = undisturbed
    assert stepladder("climb", uneven_ladder, "--seeds", 20).returncode in (0, 1)
    done = stepladder("climb", uneven_ladder, *UNTIL, "--json")
    assert done.stderr.count("; 0 to train.") == 2
    assert done.stdout == out
    assert looks.read(tmp_path / "runs") == looks.read(folder)
    everything = json.loads(stepladder("compare", uneven_ladder, "--json").stdout)["comparisons"]
    assert [(len(each["seeds"]), each["look"]) for each in everything] == [(20, 2), (20, 3)]


class Peeking(Watchers):
    """Who compares whenever a climb is about to train."""

    def __init__(self, results_now: Any) -> None:
        super().__init__(())
        self.results_now, self.seen = results_now, list[list[Comparison]]()

    def planned(self, to_train: Mapping[str, tuple[Task, int]], n_stored: int) -> None:
        super().planned(to_train, n_stored)
        self.seen.append(compare(self.results_now()))


def test_who_looks_while_seeds_are_bought_pays(tiny_ladder: Path, store: Store) -> None:
    engine, _ = choose_engine()
    ladder = load(tiny_ladder)
    assert climb(ladder, seeds=first(8), store=store, engine=engine, jobs=2) == []
    plain = compare(collect(ladder, store))
    assert [each.look for each in plain] == [0, 0]
    watcher = Peeking(lambda: collect(ladder, store))
    climb_until_decided(ladder, seeds=first(7), max_seeds=7, store=store, engine=engine, watcher=watcher)
    ((*peeked,),) = watcher.seen
    assert [each.look for each in peeked] == [1, 1]
    p = [sign_flip_test(each.differences) for each in plain]
    assert [each.p for each in plain] == pytest.approx(holm(p))
    assert [each.p for each in peeked] == pytest.approx(holm([min(1, 2 * each) for each in p]))
    assert list(looks.read(store.folder).by_pair.values()) == [(), ()], "7 seeds are too few for a look at two pairs"
    assert [each.look for each in compare(collect(ladder, store))] == [1, 1]


class FailsAt(ThreadPoolExecutor):
    """Trains in this process, but not one seed of the recipes with dropout and without rotation."""

    def __init__(self, seed: int) -> None:
        super().__init__(1)
        self.failing = seed

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        identity = RunIdentity.model_validate_json(args[2])  # as sent_run sends it
        if identity.seed == self.failing and identity.recipe.dropout and not identity.recipe.augment.rotation_deg:
            failed: Future[Any] = Future()
            failed.set_exception(OSError("no such luck"))
            return failed
        return super().submit(fn, *args, **kwargs)


def test_after_failures_what_is_whole_is_looked_at_and_the_rest_is_paid_for(tiny_ladder: Path, store: Store) -> None:
    engine, _ = choose_engine()
    text = tiny_ladder.read_text()
    more = '[[rung]]\nname = "lr"\nwhy = "another"\nchange.lr = 0.04\n'
    tiny_ladder.write_text(text + more)
    ladder = load(tiny_ladder)
    with FailsAt(8) as executor:
        failures, found = climb_until_decided(
            ladder, seeds=first(9), max_seeds=18, store=store, engine=engine, executor=executor
        )
    assert [failure.task.rung.name for failure in failures] == ["dropout"]
    assert [found.looks.at(key_of(*pair)) for pair in pairwise(found.rungs)] == [(), (), (first(9),)]
    assert [(len(each.seeds), each.look) for each in compare(found)] == [(8, 1), (8, 1), (9, 1)]
    assert compare(found) == compare(collect(ladder, store))


def test_too_few_seeds_for_any_look(stepladder: CommandLine, tiny_ladder: Path, tmp_path: Path) -> None:
    done = stepladder("climb", tiny_ladder, "--until-decided", "--seeds", "101-102", "--max-seeds", 4)
    assert done.returncode in (0, 1), done.stderr
    least = "2 seeds are too few for a look at 2 verdicts, 8 are the least; going on with 4"
    assert f"note: {least}\n" in done.stderr
    assert "8 are the least; --max-seeds allows no more" in done.stderr
    assert done.stdout.count("unknown: 4 seeds in common: 8 are the least that could tell") == 2
    assert list(looks.read(tmp_path / "runs").by_pair.values()) == [(), ()]
    assert len(list((tmp_path / "runs").glob("*/seed-104.*.json"))) == 3


def test_where_every_run_diverges_no_seed_is_bought(stepladder: CommandLine, tiny_ladder: Path) -> None:
    tiny_ladder.write_text(tiny_ladder.read_text().replace("lr = 0.05", "lr = 1e30"))
    done = stepladder("climb", tiny_ladder, "--until-decided", "--seeds", 2)
    assert done.returncode == 1
    assert "2 seeds: 0 of 2 verdicts are clear; more seeds cannot clear 2, where runs diverged\n" in done.stderr


def test_damaged_looks_stop_verdicts_and_nothing_else(stepladder: CommandLine, tiny_ladder: Path) -> None:
    assert stepladder("climb", tiny_ladder, "--seeds", 2).returncode in (0, 1)
    (tiny_ladder.parent / "runs" / "looks.json").write_text("{")
    for arguments in (["compare"], ["climb", "--until-decided", "--seeds", 3]):
        refused(stepladder(arguments[0], tiny_ladder, *arguments[1:]), 2, "looks.json is damaged", "move it away")
    assert not list((tiny_ladder.parent / "runs").glob("*/seed-3.*")), "refused before anything trains"
    assert stepladder("show", tiny_ladder).returncode == 0
    assert stepladder("climb", tiny_ladder, "--seeds", 2).returncode in (0, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--until-decided", "--down"], ["--until-decided", "leave --down out"]),
        (["--top", "--until-decided"], ["--top", "nothing to compare it with"]),
        (["--top", "--down"], ["--top", "nothing to compare it with"]),
        (["--max-seeds", "16"], ["--max-seeds goes with --until-decided"]),
        (["--until-decided", "--max-seeds", "4"], ["the 8 seeds to begin with are more than 4", "raise --max-seeds"]),
        (["--until-decided", "--seeds", "65"], ["the 65 seeds to begin with are more than 64"]),
        (["--until-decided", "--seeds", "0"], ["0 seeds train nothing"]),
    ],
)
def test_what_makes_no_sense_is_refused(
    stepladder: CommandLine, tiny_ladder: Path, arguments: list[str], words: list[str]
) -> None:
    refused(stepladder("climb", tiny_ladder, *arguments), 2, *words)
    assert not list((tiny_ladder.parent / "runs").glob("*/*"))


def test_the_library_refuses_alike(tiny_ladder: Path, store: Store) -> None:
    engine, _ = choose_engine()
    with pytest.raises(LadderError, match="raise --max-seeds"):
        climb_until_decided(load(tiny_ladder), seeds=[1, 2, 3], max_seeds=2, store=store, engine=engine)
    with pytest.raises(LadderError, match="0 seeds train nothing"):
        climb_until_decided(load(tiny_ladder), seeds=[], max_seeds=2, store=store, engine=engine)
    with pytest.raises(LadderError, match="seed 7 is given more than once"):
        climb_until_decided(load(tiny_ladder), seeds=[6, 7, 7], max_seeds=8, store=store, engine=engine)
    with pytest.raises(LadderError, match="give each seed once"):
        climb(load(tiny_ladder), seeds=[7, 7], store=store, engine=engine)
    assert looks.read(store.folder) == Looks(), "refused before anything is kept"
    failures, found = climb_until_decided(load(tiny_ladder), seeds=[5], max_seeds=3, store=store, engine=engine, jobs=2)
    assert failures == []
    assert [each.summary.seeds for each in found.rungs] == [(5, 6, 7)] * 3
