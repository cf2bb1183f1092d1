"""Records: what they rest on, what is refused, and what is said when one is climbed again."""

import json
import runpy
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import TINY_LADDER, CommandLine, Once
from hypothesis import given, settings
from hypothesis import strategies as st
from records import make_run
from scipy import stats

import stepladder
from stepladder._base.files import checksum
from stepladder.analysis.intervals import share_interval
from stepladder.cli.main import main
from stepladder.climbing.climbing import climb
from stepladder.datasets.data import describe
from stepladder.engines import choose_engine
from stepladder.errors import LadderError
from stepladder.ladders import ladder_file
from stepladder.ladders.evaluated import data_identity
from stepladder.ladders.ladder import Ladder
from stepladder.ladders.terms import Budget, Target
from stepladder.records import record
from stepladder.records.protocol import FIRST_SEED, MOST_SEED, against_rules
from stepladder.records.record import (
    Claim,
    HeldClaim,
    MeanClaim,
    Numbers,
    ParamsClaim,
    Record,
    SeedResult,
    WorstClaim,
    numbers,
    record_of,
    record_text,
)
from stepladder.records.reproducing import (
    ClaimVerdict,
    Reproduction,
    difference_of_means,
    fresh_seeds,
    judge,
    reproduce,
    reproduction,
)
from stepladder.records.seeds_to_tell import chance_of_worst
from stepladder.reporting import terminal
from stepladder.reporting.pages import record_page, repeat_page
from stepladder.reporting.tables import Table
from stepladder.runs.results import Results, RungResult, collect
from stepladder.runs.run import Run, RunIdentity, experiment_key
from stepladder.runs.stats import holds, summarise
from stepladder.runs.store import Store

ROOT = Path(__file__).parents[2]
LADDER = ladder_file.load("mnist-8k-record")
TOP = LADDER.rungs[-1]
PARAMS = 7966
TARGET = Target(accuracy=Decimal("99.4"), last_epochs=5)
CLAIMS: tuple[Claim, ...] = (
    MeanClaim(at_least=Decimal("99.53")),
    WorstClaim(at_least=Decimal("99.45")),
    HeldClaim(share_at_least=Decimal("0.95")),
    ParamsClaim(at_most=8000),
)
RECORDED = [9950 + index % 10 for index in range(100)]  # of 10,000; mean 99.545%, worst 99.50%


@lru_cache(maxsize=1)
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "make_records.py"))


def run_of(seed: int, final: int, *, last: Sequence[int] = (9950,) * 4, diverged: bool = False) -> Run:
    """A made-up run of the top rung of mnist-8k-record."""
    run = make_run(seed, [9900] * 10 + [*last, final], recipe=TOP.recipe, diverged_at_epoch=3 if diverged else None)
    engine = run.identity.engine
    identity = RunIdentity(recipe=TOP.recipe, data=data_identity(LADDER), seed=seed, engine=engine)
    return run.model_copy(update={"identity": identity})


def results_of(runs: Sequence[Run], ladder: Ladder = LADDER) -> Results:
    top = ladder.rungs[-1]
    rung = RungResult(top, tuple(runs), summarise(runs, top.target))
    engine = runs[0].identity.engine if runs else None
    return Results(ladder.with_rungs((top,)), engine, (rung,), (PARAMS,), {}, 0)


def made_up(finals: Sequence[int] = RECORDED, *, claims: Sequence[Claim] = CLAIMS) -> Record:
    runs = [run_of(101 + index, final) for index, final in enumerate(finals)]
    return record_of(results_of(runs), name="made-up", claims=claims, seeds=range(101, 101 + len(finals)))


def again(found: Record, finals: Sequence[int], *, first: int = 201) -> Reproduction:
    return reproduction(found, LADDER, [run_of(first + index, final) for index, final in enumerate(finals)])


def outcomes(found: Reproduction) -> list[str]:
    return [verdict.outcome for verdict in found.verdicts]


# What is shipped.


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "records.md").read_text() == script()["page"](), "run: python tools/make_records.py page"


@pytest.mark.parametrize("name", record.shipped())
def test_shipped_records_keep_the_protocol(name: str) -> None:
    path = Path(stepladder.__file__).parent / "records" / "shipped" / f"{name}.json"
    found, ladder = record.load(name)
    assert path.stat().st_size < 30_000
    assert path.read_text() == record_text(found)
    assert (found.name, found.ladder) == (name, ladder.name)
    assert ladder.name in ladder_file.shipped()
    assert not against_rules(ladder, seeds=found.seeds)
    assert min(found.seeds) >= FIRST_SEED


@pytest.mark.parametrize("name", record.shipped())
def test_the_header_of_a_ladder_says_what_its_record_says(name: str) -> None:
    found, ladder = record.load(name)
    text = (Path(stepladder.__file__).parent / "ladders" / "shipped" / f"{ladder.name}.toml").read_text()
    comment = " ".join(text.partition("\n#\n")[0].replace("\n#", "").removeprefix("# ").split())
    assert record_page.header_text(found, ladder) in comment, "run: python tools/make_records.py page"


def test_the_ladder_of_the_record_ends_with_the_recipe_of_the_notes() -> None:
    start = ladder_file.load("mnist-8k").rungs[-1].recipe
    assert LADDER.rungs[0].recipe == start
    assert all(len(rung.changes) == 1 for rung in LADDER.rungs[1:])
    assert record.params_of(LADDER) == PARAMS
    assert (TOP.recipe.epochs, TOP.recipe.lr, TOP.recipe.batch_size, TOP.recipe.dropout) == (15, 0.08, 64, 0.0)


# What a record is.


def test_a_record_of_100_seeds_is_small_and_has_one_seed_a_line() -> None:
    found = made_up()
    text = record_text(found)
    assert len(text.encode()) < 30_000
    assert '  {"seed": 101, "n_correct": [9950, 9950, 9950, 9950, 9950]},\n' in text
    tree = json.loads(text)
    assert tree.pop("format_version") == 2
    assert tree.pop("sha256") == checksum({"format_version": 2, **tree})
    assert Record.model_validate_json(json.dumps(tree)) == found


def test_a_record_is_read_back(tmp_path: Path) -> None:
    found = made_up()
    (tmp_path / "r.json").write_text(record_text(found))
    assert record.load(tmp_path / "r.json")[0] == found


@given(
    st.lists(
        st.tuples(st.lists(st.integers(9930, 9950), min_size=5, max_size=5), st.booleans()), min_size=2, max_size=20
    )
)
@settings(deadline=None, max_examples=50)
def test_numbers_are_those_of_the_runs(cases: list[tuple[list[int], bool]]) -> None:
    runs = [run_of(seed, last[-1], last=last[:-1], diverged=bad) for seed, (last, bad) in enumerate(cases, 101)]
    summary = summarise(runs, TARGET)
    kept = [record.seed_result(run, TARGET) for run in runs]
    found = numbers(kept, n_evaluated=10_000, target=TARGET)
    assert (found.mean, found.worst, found.sd) == (summary.final_mean, summary.final_min, summary.final_sd)
    assert (found.n_held, found.diverged) == (sum(holds(run, TARGET) for run in runs), summary.diverged)


def refused(reason: str, **changed: Any) -> None:
    runs = changed.pop("runs", None) or [run_of(101 + index, final) for index, final in enumerate(RECORDED)]
    ladder = changed.pop("ladder", LADDER)
    arguments: dict[str, Any] = {"name": "r", "claims": CLAIMS, "seeds": range(101, 201)} | changed
    with pytest.raises(LadderError, match=reason):
        record_of(results_of(runs, ladder), **arguments)


def test_no_record_of_seeds_that_were_picked() -> None:
    refused("99 seeds are too few: a record takes 100", seeds=range(101, 200))
    refused("no unbroken range", seeds=[*range(101, 150), *range(151, 202)])
    refused("seed 100 may have been chosen with", seeds=range(100, 200))
    refused(r"7 of its seeds are not trained by this engine, the first of them 201", seeds=range(101, 208))
    more = [run_of(101 + index, 9960) for index in range(110)]
    refused("seed 101 is trained too: begin with the first", runs=more, seeds=range(111, 211))


def test_no_record_against_the_rules() -> None:
    longer = TOP.recipe.model_copy(update={"epochs": 16})
    refused("16 epochs, a record for 15 at most", ladder=LADDER.with_rungs((replace(TOP, recipe=longer),)))
    small = replace(TOP, budget=Budget(params=7000, epochs=15))
    refused("966 over its budget", ladder=LADDER.with_rungs((small,)))
    refused("evaluated on dev, a record on test", ladder=replace(LADDER, evaluate_on="dev"))
    runs = [run_of(101 + index, final) for index, final in enumerate(RECORDED)]
    elsewhere = runs[0].provenance.model_copy(update={"cpu": "another"})
    refused("more than one cpu", runs=[runs[0].model_copy(update={"provenance": elsewhere}), *runs[1:]])


def test_no_record_of_what_the_runs_do_not_support() -> None:
    refused("'mean ≥ 99.545%' is not supported: the mean is 99.5450", claims=[MeanClaim(at_least=Decimal("99.545"))])
    refused("'worst seed ≥ 99.51%' is not supported: the worst is 99.5", claims=[WorstClaim(at_least=Decimal("99.51"))])
    refused("parameters' is not supported: there are 7,966", claims=[ParamsClaim(at_most=7965)])
    low = [run_of(seed, 9960, last=[9939 if seed <= 106 else 9950] * 4) for seed in range(101, 201)]
    refused("'target held by ≥ 95% of seeds' is not supported: 94 of 100", runs=low, claims=CLAIMS[2:3])
    refused("two things of one kind", claims=[ParamsClaim(at_most=7966), ParamsClaim(at_most=8000)])


def test_a_diverged_seed_is_listed_and_counts_as_a_miss() -> None:
    runs = [run_of(seed, 9960, diverged=seed == 150) for seed in range(101, 201)]
    refused("diverged with seed 150", runs=runs, claims=CLAIMS[:1])
    refused("diverged with seed 150", runs=runs, claims=CLAIMS[1:2])
    found = record_of(results_of(runs), name="r", claims=CLAIMS[2:], seeds=range(101, 201))
    assert '{"seed": 150, "n_correct": [], "diverged_at_epoch": 3}' in record_text(found)
    assert "99 of 100 (diverged: seed 150)" in record_page.records_table([(found, LADDER)]).rows[0]
    refused("'target held by ≥ 100% of seeds'", runs=runs, claims=[HeldClaim(share_at_least=Decimal(1))])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tree: tree.update(format_version=3), "of format 3; this Stepladder reads up to 2: upgrade"),
        (lambda tree: tree.update(format_version=1), "no record: sha256: Extra inputs are not permitted"),
        (lambda tree: tree.update(format_version=2.0), r"there is no format 2\.0"),
        (lambda tree: tree.update(format_version=0), "there is no format 0"),
        (lambda tree: tree.pop("format_version"), "no record: .format_version. is missing"),
        (lambda tree: tree.pop("cpu"), "no record: cpu: Field required"),
        (lambda tree: tree.update(experiment="0" * 16), "'average', trains another recipe than that of this record"),
        (lambda tree: tree["claims"][0].update(at_least=99.6), r"'mean ≥ 99\.6%' is not supported"),
        (lambda tree: tree["runs"].pop(3), "no unbroken range"),
        (lambda tree: tree["runs"][0].update(n_correct=[9950] * 4), "seed 101 lacks the last 5 epochs"),
        (lambda tree: tree["runs"][0].update(n_correct=[10_001] * 5), "more images right than were evaluated"),
        (lambda tree: tree["runs"][0].update(n_correct=[-1] * 5), "fewer than none"),
        (lambda tree: tree["runs"][0].update(n_correct=[]), "or none although it did not"),
        (lambda tree: tree["runs"][0].update(diverged_at_epoch=3), "results although it diverged"),
        (lambda tree: tree["runs"][0].update(n_correct=[], diverged_at_epoch=16), "diverged at epoch 16 of 15"),
        (lambda tree: tree["runs"][0].update(n_correct=[], diverged_at_epoch=0), "greater than or equal to 1"),
        (lambda tree: tree["runs"][0].update(seed=10**18), "no unbroken range"),
        (lambda tree: tree["runs"][0].update(seed=10**400), "less than or equal to"),
        (lambda tree: tree.update(n_evaluated=10_001), "10,001 images evaluated, where there are 10,000"),
        (lambda tree: tree.update(n_evaluated=10**400), "n_evaluated: Input should be less than"),
        (lambda tree: tree["engine"].update(revision=0), "no revision 0"),
        (lambda tree: tree["engine"].update(device="toaster"), "no engine 'jit' on 'toaster'|no engine 'torch' on"),
        (lambda tree: tree.update(finished=["yesterday", "today"]), "two times in order"),
        (lambda tree: tree.update(finished=tree["finished"][:1]), "finished"),
        (lambda tree: tree["claims"][0].update(at_least=float("nan")), "no record"),
        (lambda tree: tree["claims"][0].update(at_least=1e999), "no record"),
        (lambda tree: tree["claims"][0].update(kind="best"), "no record"),
        (lambda tree: tree.update(claims=tree["claims"] * 2), "two things of one kind"),
        (lambda tree: tree.update(ladder="absent"), "no ladder 'absent'"),
        (lambda tree: tree.update(runs=tree["runs"][:99]), "protocol of records: 99 seeds are too few: a record takes"),
        (lambda tree: tree.update(runs=tree["runs"][:2]), "2 seeds are too few: a record takes 100 at least"),
        (lambda tree: renumber(tree, 100), "seed 100 may have been chosen with: a record takes seeds from 101 on"),
        (lambda tree: renumber(tree, 0), "seed 0 may have been chosen with"),
        (lambda tree: renumber(tree, 10**18 - 98), "less than or equal to 1000000000000000000"),
    ],
)
def test_a_record_that_is_wrong_is_refused(change: Callable[[Any], Any], reason: str, tmp_path: Path) -> None:
    tree = json.loads(record_text(made_up()))
    change(tree)
    tree["sha256"] = checksum({name: value for name, value in tree.items() if name != "sha256"})
    (tmp_path / "r.json").write_text(json.dumps(tree))
    with pytest.raises(LadderError, match=reason):
        record.load(tmp_path / "r.json")


def renumber(tree: Any, first: int) -> None:
    """Its seeds begin here, with the same results."""
    for seed, run in enumerate(tree["runs"], first):
        run["seed"] = seed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("epochs = 4", "epochs = 16"), r"trains for 16 epochs, a record for 15 at most"),
        (('evaluate_on = "test"', 'evaluate_on = "dev"'), r"is evaluated on dev, a record on test"),
        (("params = 1000", "params = 300"), r"over its budget of 300; its largest layer is .*"),
    ],
)
def test_a_record_of_a_ladder_against_the_protocol_is_refused_when_it_is_read(
    change: tuple[str, str], reason: str, digits: Path, tmp_path: Path
) -> None:
    """Edited by hand: its ladder is the one it was made of, as far as its key can tell."""
    text = TINY_LADDER.format(data=str(digits), epochs=4)
    assert change[0] in text
    (tmp_path / "tiny.toml").write_text(text.replace(*change))
    ladder = ladder_file.load(tmp_path / "tiny.toml")
    top, data = ladder.rungs[-1], data_identity(ladder)
    runs = tuple(SeedResult(seed=seed, n_correct=(50, 50)) for seed in range(101, 201))
    n_evaluated = ladder.n_dev(describe(ladder.data).n_train) or 500
    update = {"experiment": experiment_key(top.recipe, data), "images": data.sha256, "n_evaluated": n_evaluated}
    found = made_up(claims=[ParamsClaim(at_most=10_000)])
    found = found.model_copy(update={**update, "ladder": "tiny.toml", "runs": runs})
    (tmp_path / "r.json").write_text(record_text(found))
    with pytest.raises(LadderError, match=f"against the protocol of records: .*{reason}: make the record again by it"):
        record.load(tmp_path / "r.json")


def test_a_record_of_format_1_has_no_checksum_and_is_read(tmp_path: Path) -> None:
    found = made_up()
    tree = json.loads(record_text(found))
    del tree["sha256"]
    (tmp_path / "r.json").write_text(json.dumps(tree | {"format_version": 1}))
    assert record.load(tmp_path / "r.json")[0] == found
    (tmp_path / "r.json").write_text(json.dumps(tree | {"format_version": 2}))
    with pytest.raises(LadderError, match="'sha256' is missing"):
        record.load(tmp_path / "r.json")


def test_a_record_that_was_changed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(record_text(made_up()).replace('"n_correct": [9950', '"n_correct": [9951', 1))
    with pytest.raises(LadderError, match="its checksum differs"):
        record.load(tmp_path / "r.json")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'{"format_version": "1"}', b"null"])
def test_a_file_that_is_no_record_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(LadderError, match=r"r\.json: no record"):
        record.load(tmp_path / "r.json")


# Climbed again.


def test_fresh_seeds_come_after_the_record() -> None:
    assert fresh_seeds(made_up(), 8) == range(201, 209)
    assert fresh_seeds(made_up(), range(105, 108)) == range(105, 108)


def test_seeds_beyond_the_largest_are_refused_before_anything_trains(tmp_path: Path, stepladder: CommandLine) -> None:
    """A record may end at the largest seed of all: the message says which are left."""
    tree = json.loads(record_text(made_up()))
    renumber(tree, MOST_SEED - 99)
    tree["sha256"] = checksum({name: value for name, value in tree.items() if name != "sha256"})
    (tmp_path / "r.json").write_text(json.dumps(tree))
    found, ladder = record.load(tmp_path / "r.json")
    with pytest.raises(LadderError, match=f"{MOST_SEED + 8} is beyond the largest .* give seeds below its first"):
        fresh_seeds(found, 8)
    assert fresh_seeds(found, range(101, 109)) == range(101, 109)
    with pytest.raises(LadderError, match=f"seed {MOST_SEED + 1} is beyond the largest that a record can have"):
        fresh_seeds(found, (MOST_SEED, MOST_SEED + 1))
    store = Store.open(tmp_path / "runs", create=True)
    engine, _ = choose_engine("auto")
    with pytest.raises(LadderError, match="beyond the largest"):
        reproduce(found, ladder, seeds=[MOST_SEED + 1], store=store, engine=engine)
    done = stepladder("reproduce", tmp_path / "r.json", "--seeds", 2, "--store", tmp_path / "runs")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: seed {MOST_SEED + 2} is beyond the largest")
    assert not list((tmp_path / "runs").rglob("*.safetensors"))


@pytest.mark.parametrize("seeds", ["1000000000-1000000001", "101-9999999999", "10000000000", "1-" + 5000 * "9"])
def test_a_seed_beyond_those_that_a_command_takes_is_called_that(seeds: str) -> None:
    told = CliRunner().invoke(main, ["reproduce", "mnist-1000", "--seeds", seeds], standalone_mode=False)
    assert isinstance(told.exception, LadderError)
    assert str(told.exception).endswith(" goes beyond seed 999999999, the largest: give smaller ones")
    assert len(str(told.exception)) < 300


def test_no_record_of_seeds_beyond_the_largest() -> None:
    seeds = range(MOST_SEED - 98, MOST_SEED + 2)
    refused("is beyond the largest that a record can have", runs=[run_of(seed, 9950) for seed in seeds], seeds=seeds)
    refused("no unbroken range", seeds=[101, MOST_SEED])


def test_few_seeds_tell_little_and_nothing_stands_by_accident() -> None:
    found = made_up()
    for finals in ([], [9970], [9970] * 8):
        mean, worst, held, params = outcomes(again(found, finals))
        assert mean == ("stands" if len(finals) == 8 else "cannot be told")
        assert (worst, held, params) == ("cannot be told", "cannot be told", "stands")
    assert outcomes(again(found, [9956, 9956]))[0] == "cannot be told"  # equal by chance: they have a spread still


def test_many_seeds_stand_or_fail() -> None:
    found = made_up()
    assert outcomes(again(found, RECORDED)) == ["stands"] * 4
    worse = again(found, [9935 + index % 5 for index in range(100)])
    assert outcomes(worse) == ["fails", "fails", "fails", "stands"]
    assert worse.fails
    assert not again(found, RECORDED).fails


def test_with_72_seeds_that_all_hold_95_percent_stand() -> None:
    assert outcomes(again(made_up(), [9960] * 71))[2] == "cannot be told"
    assert outcomes(again(made_up(), [9960] * 72))[2] == "stands"


@pytest.mark.parametrize(
    ("n", "n_below", "outcome"),
    [
        (8, 1, "cannot be told"),
        (8, 2, "fails"),
        (99, 0, "cannot be told"),
        (100, 0, "stands"),
        (100, 1, "cannot be told"),
        (100, 5, "cannot be told"),
        (100, 6, "fails"),
    ],
)
def test_the_worst_seed(n: int, n_below: int, outcome: str) -> None:
    verdict = again(made_up(), [9944] * n_below + [9945] * (n - n_below)).verdicts[1]
    assert (verdict.outcome, verdict.n_missed) == (outcome, n_below)
    assert verdict.p == pytest.approx(stats.hypergeom.pmf(n_below, n + 100, n, n_below))
    assert verdict.interval == share_interval(n_below, n)


def test_one_fresh_seed_that_diverges_is_below_and_leaves_no_mean() -> None:
    found = made_up()
    runs = [run_of(seed, 9960, diverged=seed == 203) for seed in range(201, 209)]
    one = reproduction(found, LADDER, runs)
    assert outcomes(one) == ["cannot be told"] * 3 + ["stands"]
    assert one.difference is None
    assert "no mean (diverged: seed 203)" in terminal.render(record_page.reproduction_page(one), width=300)
    runs = [run_of(seed, 9960, diverged=seed < 203) for seed in range(201, 209)]
    assert outcomes(reproduction(found, LADDER, runs))[:2] == ["fails", "fails"]


def simulated(draw: np.random.Generator, *, n: int, sd: float, p_held: float) -> Numbers:
    """Seeds with images right around 9,950 and a tail to the left, some of which do not hold."""
    right = np.rint(9950 + sd * draw.standard_normal(n) - draw.exponential(sd / 2, n)).astype(int)
    held = draw.random(n) < p_held
    runs = [
        SeedResult(seed=seed, n_correct=(9960 if ok else 9800, int(final)))
        for seed, (final, ok) in enumerate(zip(right, held, strict=True))
    ]
    return numbers(runs, n_evaluated=10_000, target=Target(accuracy=Decimal("99"), last_epochs=2))


@pytest.mark.parametrize("n_records", [100, pytest.param(300, marks=pytest.mark.evidence)])
@pytest.mark.parametrize("n", [2, 8, 30])
def test_claims_that_are_true_rarely_fail(n: int, n_records: int) -> None:
    """The tightest claims that a record of 100 seeds supports, against new seeds of its own distribution.

    A share is claimed as it is; what the record's seeds happened to show may be more.
    """
    draw, n_failed = np.random.default_rng(n), np.zeros(4)
    for _ in range(n_records):
        claimed, found = (simulated(draw, n=size, sd=4.0, p_held=0.97) for size in (100, n))
        assert claimed.mean_interval is not None
        assert claimed.worst is not None
        claims: list[Claim] = [
            MeanClaim(at_least=Decimal(repr(claimed.mean_interval[0]))),
            WorstClaim(at_least=Decimal(float(claimed.worst)).quantize(Decimal("0.01"))),
            HeldClaim(share_at_least=Decimal("0.97")),
        ]
        failed = [judge(claim, claimed=claimed, found=found, params=0).outcome == "fails" for claim in claims]
        n_failed += [*failed, any(failed)]
    assert (n_failed[:3] / n_records <= 0.05).all()  # 0.025, and nearly three standard errors
    assert n_failed[3] / n_records <= 0.075


@pytest.mark.parametrize("n_records", [100, pytest.param(300, marks=pytest.mark.evidence)])
@pytest.mark.parametrize("n", [2, 3, 8, 100])
def test_claims_that_are_false_rarely_stand(n: int, n_records: int) -> None:
    """The claims are a little above what is true: the mean by a tenth of its deviation, the share by 0.01."""
    draw, n_stood = np.random.default_rng(n), np.zeros(2)
    claimed = simulated(draw, n=100, sd=4.0, p_held=1.0)
    true_mean = 99.50 - 0.02  # the exponential's mean is 2 images
    claims: list[Claim] = [
        MeanClaim(at_least=Decimal(repr(true_mean + 0.004))),
        HeldClaim(share_at_least=Decimal("0.96")),
    ]
    for _ in range(n_records):
        found = simulated(draw, n=n, sd=4.0, p_held=0.95)
        n_stood += [judge(each, claimed=claimed, found=found, params=0).outcome == "stands" for each in claims]
    assert (n_stood / n_records <= 0.05).all()


@given(st.integers(20, 100), st.integers(0, 19), st.integers(1, 100))
@settings(max_examples=50)
def test_the_chance_of_the_worst_is_a_chance(n_new: int, k: int, n_record: int) -> None:
    chance = chance_of_worst(k, n_new=n_new, n_record=n_record)
    assert 0 <= chance <= 1
    assert chance_of_worst(k + 1, n_new=n_new, n_record=n_record) <= chance
    assert chance_of_worst(1, n_new=n_new, n_record=n_record) == pytest.approx(n_new / (n_new + n_record))
    assert chance_of_worst(2, n_new=8, n_record=100) == comb(8, 2) / comb(108, 2)


def test_the_difference_of_means_is_welchs() -> None:
    found = again(made_up(), [9940, 9950, 9955, 9966, 9971])
    samples = [[float(x) for x in each.accuracies] for each in (found.found, found.claimed)]
    interval = stats.ttest_ind(*samples, equal_var=False).confidence_interval(0.95)
    assert found.difference is not None
    difference, ends = found.difference
    assert difference == pytest.approx(np.mean(samples[0]) - np.mean(samples[1]))
    assert ends == pytest.approx((interval.low, interval.high))
    assert again(made_up(), [9950]).difference is None
    level = numbers([SeedResult(seed=s, n_correct=(9950,) * 5) for s in (1, 2)], n_evaluated=10_000, target=TARGET)
    assert difference_of_means(level, level) is not None


def test_the_records_own_seeds_are_no_fresh_evidence() -> None:
    found = made_up()
    same = again(found, RECORDED, first=101)
    assert same.found.seeds == ()
    assert outcomes(same) == ["cannot be told"] * 3 + ["stands"]
    assert same.repeat is not None
    assert (len(same.repeat.equal), same.repeat.different, same.repeat.must_be_equal) == (100, (), True)
    assert not same.fails
    other = again(found, [*RECORDED[:-1], 9900, 9960], first=101)
    assert other.repeat is not None
    assert (other.repeat.different, other.found.seeds, other.fails) == ((200,), (201,), True)
    assert (
        "NOT REPEATED: seed 200 gives other numbers than the record, 1 of 100 seeds of its own"
        in repeat_page.repeat_text(other.repeat, found)
    )


def test_on_another_engine_or_cpu_seeds_need_not_repeat() -> None:
    found = made_up()
    for changed in (
        found.model_copy(update={"cpu": "another"}),
        found.model_copy(update={"engine": found.engine.model_copy(update={"revision": 9})}),
    ):
        other = again(changed, [9900], first=101)
        assert other.repeat is not None
        assert (other.repeat.different, other.repeat.must_be_equal, other.fails) == ((101,), False, False)
        assert "they need not" in repeat_page.repeat_text(other.repeat, changed)


def test_a_page_never_rounds_up_to_a_claim() -> None:
    claim = MeanClaim(at_least=Decimal("99.53"))
    found = again(made_up(claims=[claim]), [9952, *[9953] * 24])  # 99.5296
    (row,) = next(part for part in record_page.reproduction_page(found) if isinstance(part, Table)).rows
    assert row[0] == "mean ≥ 99.53%"
    assert row[2] == "99.529%"


def test_the_header_and_the_table_say_the_same() -> None:
    found = made_up()
    header = record_page.header_text(found, LADDER)
    for words in (
        "Record made-up: mean ≥ 99.53%; worst seed ≥ 99.45%;",
        "7,966 parameters, seeds 101 to 200",
        "99.545% (sd ",
        "worst 99.50%",
    ):
        assert words in header
    text = (ROOT / "src" / "stepladder" / "ladders" / "shipped" / "mnist-8k-record.toml").read_text()
    once = script()["with_header"](text, [header])
    assert " ".join(once.partition("\n#\n")[0].replace("\n#", "").removeprefix("# ").split()) == header
    assert script()["with_header"](once, [header]) == once
    assert once.partition("\n#\n")[2] == text.partition("\n#\n")[2]
    page = script()["page"]([(found, LADDER)])
    assert "| made-up | mnist-8k-record | mean ≥ 99.53%; worst seed ≥ 99.45%; target held by ≥ 95% of seeds; " in page
    assert "| 100 of 100 | 96% to 100% |" in page


def test_the_json_of_a_reproduction() -> None:
    body = json.loads(json.dumps(record_page.reproduction_dict(again(made_up(), [9956] * 8))))
    assert body["schema_version"] == 1
    assert body["record"]["params"] == PARAMS
    assert body["fresh"]["seeds"] == list(range(201, 209))
    assert [each["claim"]["kind"] for each in body["claims"]] == ["mean", "worst", "held", "params"]
    assert body["claims"][1] | {"interval": None} == {
        "claim": {"kind": "worst", "at_least": 99.45},
        "outcome": "cannot be told",
        "value": 99.56,
        "interval": None,
        "n_missed": 0,
        "p": 1.0,
        "can_stand": True,
        "seeds_to_tell": [100, 100],
    }
    assert (body["repeat"], body["fails"]) == (None, False)


def test_a_verdict_has_a_value_as_exact_as_its_claim() -> None:
    verdict: ClaimVerdict = again(made_up(), [9953] * 100).verdicts[0]
    assert verdict.value == Fraction("99.53")
    assert verdict.outcome == "cannot be told"  # right at the claim: the interval reaches below


# Real trainings: 100 seeds of a tiny ladder, once.


@pytest.fixture(scope="module")
def tiny(once: Once, digits: Path) -> Path:
    """A folder with a ladder, a store with seeds 101 to 200 of its top rung, and a record made of them."""
    return once("records", lambda folder: make_tiny(folder, digits))


def make_tiny(folder: Path, digits: Path) -> None:
    (folder / "tiny.toml").write_text(TINY_LADDER.format(data=str(digits), epochs=4))
    store = Store.open(folder / "runs", create=True)
    engine, _ = choose_engine("auto")
    top = ladder_file.load(folder / "tiny.toml").top
    assert not climb(top, seeds=range(101, 201), store=store, engine=engine)
    found = numbers(
        [record.seed_result(run, top.rungs[-1].target) for run in collect(top, store).rungs[-1].runs],
        n_evaluated=500,
        target=top.rungs[-1].target,
    )
    assert found.mean is not None
    assert found.worst is not None
    claims = ["--mean", str(float(found.mean) - 2), "--worst", str(float(found.worst)), "--params", "400"]
    make(folder, "tiny", "--seeds", "101-200", *claims)


def make(folder: Path, name: str, *arguments: str) -> None:
    """Make a record as tools/make_records.py does; raises SystemExit with its message."""
    places = ["--store", str(folder / "runs"), "--to", str(folder)]
    script()["main"](["make", name, str(folder / "tiny.toml"), *arguments, *places])


def test_a_record_of_real_runs(tiny: Path) -> None:
    found, ladder = record.load(tiny / "tiny.json")
    assert found.seeds == tuple(range(101, 201))
    assert all(len(run.n_correct) == 2 for run in found.runs)
    assert found.experiment == experiment_key(ladder.rungs[-1].recipe, data_identity(ladder))
    assert (tiny / "tiny.json").stat().st_size < 30_000


def test_fresh_seeds_of_a_real_record(tiny: Path, stepladder: CommandLine) -> None:
    done = stepladder("reproduce", tiny / "tiny.json", "--seeds", 4, "--jobs", 2, "--json")
    body = json.loads(done.stdout)
    assert body["fresh"]["seeds"] == [201, 202, 203, 204]
    assert done.returncode == (1 if body["fails"] else 0)
    assert "rung 'rotation', seed 204: test" in done.stderr
    assert "start" not in done.stderr  # the top rung alone
    assert "with 4 seeds, not in the record: seeds 201 to 204" in done.stderr.splitlines()[0]
    page = stepladder("reproduce", tiny / "tiny.json", "--seeds", 4)
    assert "climbed again with seeds 201 to 204" in page.stdout
    assert "cannot be told with 4 seeds" in page.stdout


def test_own_seeds_of_a_real_record_repeat_bit_for_bit(tiny: Path, stepladder: CommandLine, tmp_path: Path) -> None:
    done = stepladder("reproduce", tiny / "tiny.json", "--seeds", "101-103")
    assert done.returncode == 0, done.stderr
    assert "3 were trained again (seeds 101 to 103): all repeat the record bit for bit" in " ".join(done.stdout.split())
    tree = json.loads((tiny / "tiny.json").read_text())
    tree["runs"][1]["n_correct"][0] += 1
    del tree["sha256"]  # format 1 had none
    (tmp_path / "other.json").write_text(json.dumps(tree | {"ladder": str(tiny / "tiny.toml"), "format_version": 1}))
    done = stepladder("reproduce", tmp_path / "other.json", "--seeds", "101-103")
    assert done.returncode == 1
    assert "NOT REPEATED: seed 102 gives other numbers than the record, 1 of 3 seeds of its own" in " ".join(
        done.stdout.split()
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["101-199", "--params", "400"], "99 seeds are too few"),
        (["101-250", "--params", "400"], "of its seeds are not trained"),
        (["102-201", "--params", "400"], "seed 101 is trained too"),
        (["101-200", "--params", "300"], "there are 342"),
        (["101-200", "--worst", "99.9"], "not supported: the worst is"),
        (["101-200"], "a record claims something"),
        (["101-200", "--params", "400", "--engine", "torch"], "no stored run of an engine 'torch'"),
    ],
)
def test_the_script_refuses(arguments: list[str], reason: str, tiny: Path) -> None:
    with pytest.raises(SystemExit, match=rf"^Error: .*{reason}"):
        make(tiny, "other", "--seeds", *arguments)
    assert not (tiny / "other.json").exists()


def test_the_package_takes_shipped_ladders_alone(tiny_ladder: Path) -> None:
    with pytest.raises(SystemExit, match="is no shipped ladder"):
        script()["main"](["make", "other", str(tiny_ladder), "--seeds", "101-200", "--params", "400"])


def test_the_list_of_records(stepladder: CommandLine) -> None:
    body = json.loads(stepladder("reproduce", "--json").stdout)
    assert [each["name"] for each in body["records"]] == list(record.shipped())
    text = stepladder("reproduce").stdout
    assert all(name in text for name in record.shipped())
    assert record.shipped() or text == "No record is shipped yet.\n"


def test_a_record_that_is_not_there(stepladder: CommandLine) -> None:
    for name, words in (
        ("nope", "no record 'nope'; known are mnist-1000,"),
        ("absent.json", "absent.json: cannot read this record"),
        ("mnist-fast", "no record 'mnist-fast': it is a ladder that has none; 'stepladder climb mnist-fast' climbs it"),
        ("mine.toml", "no record 'mine.toml': it is a ladder that has none; 'stepladder climb mine.toml' climbs it"),
    ):
        done = stepladder("reproduce", name)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr
