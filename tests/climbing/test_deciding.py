"""Climbs that train seeds until verdicts are decided."""

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY_LADDER, CommandLine, Once
from here import Here
from made_up import of_rungs, result, results
from processes import Climb
from records import make_run
from refusals import refused
from stored import old_looks

from stepladder.analysis.comparing import Comparison, compare
from stepladder.climbing.climbing import climb
from stepladder.climbing.deciding import climb_until_decided, is_open
from stepladder.engines import choose_engine
from stepladder.errors import LadderError
from stepladder.execution.sent_run import Order
from stepladder.ladders.ladder_file import load
from stepladder.runs.results import collect
from stepladder.runs.store import Store

Seeds = tuple[int, ...]

STAGES = (8, 16, 32, 64)


def first(n: int) -> Seeds:
    return tuple(range(1, n + 1))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "runs", create=True)


# Verdicts that more seeds decide, of made-up runs.


def decided_at(n_correct: Sequence[Sequence[int]]) -> tuple[int, Comparison]:
    """The seeds with which a pair's verdict is decided (or the last), and the verdict."""
    for n in STAGES:
        (found,) = compare(results(*(list(each[:n]) for each in n_correct)))
        if not is_open(found):
            break
    return n, found


@pytest.mark.parametrize(("by", "outcome"), [(10, "better"), (-10, "worse")])
def test_a_true_difference_is_found_with_its_sign(by: int, outcome: str) -> None:
    rng, stages = np.random.default_rng(2), []
    for _ in range(30):
        n_correct = rng.binomial(10_000, 0.993, (2, STAGES[-1]))
        n_correct[1] += by
        n, found = decided_at(n_correct.tolist())
        stages.append((n, found.outcome))
    outcomes: list[str] = [each for _, each in stages]
    assert outcomes.count(outcome) >= 24
    assert {"better": "worse", "worse": "better"}[outcome] not in outcomes
    assert outcomes.count("negligible") <= 1, "0.1 points are what is worth knowing here"
    assert len({n for n, _ in stages}) > 1, "some take more seeds than others"


def test_nearly_equal_rungs_are_found_to_be_so() -> None:
    rng = np.random.default_rng(4)
    found = [decided_at((9930 + np.rint(rng.normal(0, 2, (2, STAGES[-1]))).astype(int)).tolist()) for _ in range(20)]
    assert [each.outcome for _, each in found].count("negligible") >= 19


def test_more_seeds_decide_what_is_open_but_nothing_where_runs_diverged() -> None:
    (few,) = compare(results([9900], [9950]))
    assert (few.diverged, is_open(few)) == (False, True)
    runs = [make_run(seed, [9950] * 6, diverged_at_epoch=2 if seed == 8 else None) for seed in range(1, 9)]
    (diverged,) = compare(of_rungs(results([9900] * 8).rungs[0], result(1, runs)))
    assert (diverged.diverged, is_open(diverged)) == (True, False)
    (better,) = compare(results([9900] * 8, [9950] * 8))
    assert not is_open(better)


# Climbs.


@pytest.fixture(scope="module")
def uneven_ladder(once: Once, digits: Path) -> Path:
    """One change that 8 seeds decide (six epochs instead of one), and one that 16 do not (a little rotation)."""

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


def test_seeds_are_trained_where_a_verdict_is_open(undisturbed: tuple[Path, str, str]) -> None:
    folder, out, err = undisturbed
    assert "note: 8 seeds: 1 of 2 verdicts are decided; going on with 16\n" in err
    assert "note: 16 seeds: 1 of 2 verdicts are decided; --max-seeds allows no more\n" in err
    longer, rotation = json.loads(out)["comparisons"]
    assert (longer["outcome"], longer["seeds_below"]) == ("better", list(first(8)))
    assert (rotation["outcome"], rotation["seeds"]) == ("undecided", list(first(16)))
    assert rotation["seeds_below"] == longer["seeds"] == list(first(16))
    assert len(list(folder.glob("*/*.json"))) == 8 + 16 + 16
    assert not (folder / "looks.json").exists()


def test_compare_shows_the_same(
    stepladder: CommandLine, undisturbed: tuple[Path, str, str], uneven_ladder: Path
) -> None:
    folder, out, _ = undisturbed
    assert stepladder("compare", uneven_ladder, "--store", folder, "--json").stdout == out


def test_repeated_it_trains_nothing(
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


def test_killed_on_its_way_it_goes_the_same_way(
    undisturbed: tuple[Path, str, str], uneven_ladder: Path, tmp_path: Path
) -> None:
    """Killed with the first of the seeds that were added."""
    folder, out, _ = undisturbed
    with Climb(uneven_ladder, tmp_path / "runs", *UNTIL, "--json") as climbing:
        climbing.wait_for("*/seed-9.*")
        climbing.kill_all()
    n_done = len(list((tmp_path / "runs").glob("*/*.json")))
    assert 24 <= n_done < 40, "the kill came too late"
    with Climb(uneven_ladder, tmp_path / "runs", *UNTIL, "--json") as climbing:
        assert climbing.finish()[1] == out
    names = [sorted(path.relative_to(each) for path in each.glob("*/*.json")) for each in (folder, tmp_path / "runs")]
    assert names[0] == names[1]


def test_what_else_is_stored_changes_nothing(
    stepladder: CommandLine, undisturbed: tuple[Path, str, str], uneven_ladder: Path, tmp_path: Path
) -> None:
    """More seeds of every rung, and the ledger of an older version."""
    stored, out, _ = undisturbed
    folder = shutil.copytree(stored, tmp_path / "runs")
    assert stepladder("climb", uneven_ladder, "--seeds", 20).returncode in (0, 1)
    (folder / "looks.json").write_text("{")
    done = stepladder("climb", uneven_ladder, *UNTIL, "--json")
    assert done.stderr.count("; 0 to train.") == 2
    assert done.stdout == out
    everything = json.loads(stepladder("compare", uneven_ladder, "--json").stdout)["comparisons"]
    assert [(len(each["seeds_below"]), len(each["seeds"])) for each in everything] == [(20, 20), (20, 20)]
    assert (folder / "looks.json").read_text() == "{"


@pytest.mark.parametrize("version", [1, 2, 3, 0])
def test_the_ledger_of_an_older_version_is_passed_over_by_every_command(
    stepladder: CommandLine, undisturbed: tuple[Path, str, str], uneven_ladder: Path, tmp_path: Path, version: int
) -> None:
    """Of format 1 or 2 (written by 0.13 and before), of a later one, and damaged (0)."""
    stored, out, _ = undisturbed
    folder = shutil.copytree(stored, tmp_path / "runs")
    identities = [each.runs[0].identity for each in collect(load(uneven_ladder), Store.open(folder)).rungs]
    content = old_looks(*identities[:2], version=version) if version else b'{"format_version": 2, "looks"'
    (folder / "looks.json").write_bytes(content)
    assert stepladder("compare", uneven_ladder, "--json").stdout == out
    with_ledger, without = [], []
    commands = (["show"], ["compare"], ["report", "--format", "markdown"])
    for arguments in commands:
        with_ledger.append(stepladder(arguments[0], uneven_ladder, *arguments[1:]))
    assert (folder / "looks.json").read_bytes() == content
    (folder / "looks.json").unlink()
    for arguments in commands:
        without.append(stepladder(arguments[0], uneven_ladder, *arguments[1:]))
    for one, other in zip(with_ledger, without, strict=True):
        assert (one.returncode, one.stdout, one.stderr) == (other.returncode, other.stdout, other.stderr)
        assert one.returncode in (0, 1)
        assert "looks.json" not in one.stdout + one.stderr


class FailsAt(Here):
    """Trains for this process, but not one seed of the recipes with dropout and without rotation."""

    def __init__(self, seed: int) -> None:
        self.failing = seed

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        identity = Order.model_validate_json(args[1]).identity
        if identity.seed == self.failing and identity.recipe.dropout and not identity.recipe.augment.rotation_deg:
            failed: Future[Any] = Future()
            failed.set_exception(OSError("no such luck"))
            return failed
        return super().submit(fn, *args, **kwargs)


def test_a_run_that_fails_ends_the_climb_with_what_there_is(tiny_ladder: Path, store: Store) -> None:
    engine, _ = choose_engine()
    ladder = load(tiny_ladder)
    with FailsAt(4) as executor:
        failures, found = climb_until_decided(
            ladder, seeds=first(5), max_seeds=64, store=store, engine=engine, executor=executor
        )
    assert [failure.task.rung.name for failure in failures] == ["dropout"]
    assert [each.summary.seeds for each in found.rungs] == [first(5), (1, 2, 3, 5), first(5)]
    assert compare(found) == compare(collect(ladder, store))


def test_too_few_seeds_for_any_verdict(stepladder: CommandLine, tiny_ladder: Path, tmp_path: Path) -> None:
    done = stepladder("climb", tiny_ladder, "--until-decided", "--seeds", "101-101", "--max-seeds", 2)
    assert done.returncode in (0, 1), done.stderr
    assert "note: 1 seed: 0 of 2 verdicts are decided; going on with 2\n" in done.stderr
    assert "note: 2 seeds: 0 of 2 verdicts are decided; --max-seeds allows no more\n" in done.stderr
    assert done.stdout.count("not decided yet: 5 seeds are the least that could tell, and there are 2") == 2
    assert len(list((tmp_path / "runs").glob("*/seed-102.*.json"))) == 3


def test_where_every_run_diverges_no_seed_is_added(stepladder: CommandLine, tiny_ladder: Path, tmp_path: Path) -> None:
    tiny_ladder.write_text(tiny_ladder.read_text().replace("lr = 0.05", "lr = 1e30"))
    done = stepladder("climb", tiny_ladder, "--until-decided", "--seeds", 2)
    assert done.returncode == 1
    assert "2 seeds: 0 of 2 verdicts are decided; more seeds cannot decide 2, where runs diverged\n" in done.stderr
    assert not list((tmp_path / "runs").glob("*/seed-3.*"))


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
    assert not list(store.folder.glob("*/*")), "refused before anything is kept"
    failures, found = climb_until_decided(load(tiny_ladder), seeds=[5], max_seeds=2, store=store, engine=engine, jobs=2)
    assert failures == []
    assert [each.summary.seeds for each in found.rungs] == [(5, 6)] * 3
