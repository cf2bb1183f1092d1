"""What `reproduce` says of its outcomes, of how many seeds would tell, and of numbers that do not repeat."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest
from conftest import TINY_LADDER, CommandLine, Once, write_digits
from elsewhere import another, elsewhere, other_revision
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stepladder.analysis.intervals import share_interval
from stepladder.datasets import data
from stepladder.engines import Engine
from stepladder.engines.jit.code.target import Target, host
from stepladder.engines.jit.engine import JitEngine
from stepladder.engines.training import train
from stepladder.errors import EngineError, LadderError
from stepladder.execution.piece import finished
from stepladder.execution.rechecking import check_runs
from stepladder.ladders import ladder_file
from stepladder.ladders.evaluated import data_identity, splits_for
from stepladder.ladders.ladder import Ladder
from stepladder.ladders.terms import Target as Goal
from stepladder.records import record
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
)
from stepladder.records.reproducing import (
    Reproduction,
    collapsed,
    difference_of_means,
    judge,
    reproduce,
    reproduction,
    with_needed,
)
from stepladder.records.seeds_to_tell import (
    chance_of_worst,
    fewest_below,
    fewest_new,
    seeds_for_mean,
    seeds_for_share,
    seeds_to_tell,
)
from stepladder.reporting import terminal
from stepladder.reporting.pages import record_page, repeat_page
from stepladder.reporting.tables import Table
from stepladder.runs.conditions import Origin, are_equal, conditions, origin_here, origin_of
from stepladder.runs.housekeeping import experiments
from stepladder.runs.run import TOGETHER_REVISION, Progress, Run, RunIdentity
from stepladder.runs.store import Store

SEEDS = (101, 102)


def trained(ladder: Ladder, seed: int, *, engine: Engine, store: Store) -> Run:
    """The run of the top rung, trained here by this engine."""
    identity = RunIdentity(
        recipe=ladder.rungs[-1].recipe, data=data_identity(ladder), seed=seed, engine=engine.identity
    )
    splits = splits_for(data.load(ladder.data), identity.data)
    *_, progress = train(engine, identity.recipe, splits=splits, seed=seed, resume=Progress(), teachers=[])
    store.save(*finished(identity, progress=progress, engine=engine, splits=splits))
    run = store.find(identity, set_aside=False)
    assert run is not None
    return run


def record_of(runs: list[Run], ladder: Ladder) -> Record:
    """A record of 100 seeds, as many as it takes: these, and made-up ones after them."""
    first = runs[0]
    results = [record.seed_result(run, ladder.rungs[-1].target) for run in runs]
    results += [results[-1].model_copy(update={"seed": seed}) for seed in range(SEEDS[-1] + 1, SEEDS[0] + 100)]
    return Record(
        name="few",
        ladder=ladder.source,
        claims=(ParamsClaim(at_most=400),),
        experiment=first.identity.experiment,
        engine=first.identity.engine,
        versions=first.provenance.versions,
        cpu=first.provenance.cpu,
        finished=(first.provenance.finished_at, first.provenance.finished_at),
        n_evaluated=500,
        images=first.identity.data.sha256,
        runs=tuple(results),
    )


@pytest.fixture(scope="module")
def folder(once: Once, digits: Path) -> Path:
    """A ladder, and stores with two seeds of its top rung: for this machine, and for three other targets."""
    return once("reproducing", lambda folder: make(folder, digits))


def make(folder: Path, digits: Path) -> None:
    (folder / "few.toml").write_text(TINY_LADDER.format(data=str(digits), epochs=2))
    ladder = ladder_file.load(folder / "few.toml")
    for name, target in targets().items():
        store = Store.open(folder / name, create=True)
        for seed in SEEDS:
            trained(ladder, seed, engine=JitEngine(target), store=store)


def targets() -> dict[str, Target]:
    """Other ones whose code runs here too: another name, another feature, another cache."""
    here = host()
    enabled = next(each for each in reversed(here.features.split(",")) if each.startswith("+"))
    without = ",".join(f"-{each[1:]}" if each == enabled else each for each in here.features.split(","))
    return {
        "here": here,
        "cpu-target": replace(here, cpu="generic"),
        "cpu-features": replace(here, features=without),
        "l1-bytes": replace(here, l1_bytes=here.l1_bytes // 4),
    }


def ladder_of(folder: Path) -> Ladder:
    return ladder_file.load(folder / "few.toml")


def runs_of(folder: Path, name: str = "here") -> list[Run]:
    store, ladder = Store.open(folder / name), ladder_of(folder)
    identity = RunIdentity(
        recipe=ladder.rungs[-1].recipe, data=data_identity(ladder), seed=0, engine=JitEngine().identity
    )
    found = [store.find(identity.model_copy(update={"seed": seed}), set_aside=False) for seed in SEEDS]
    return [run for run in found if run is not None]


def with_another_number(found: Record) -> Record:
    """The second seed had one image more, or less, right after the last epoch."""
    second = found.runs[1]
    *before, last = second.n_correct
    other = second.model_copy(update={"n_correct": (*before, last - 1 if last else 1)})
    return found.model_copy(update={"runs": (found.runs[0], other, *found.runs[2:])})


def words_of(again: Reproduction) -> str:
    return " ".join(terminal.render(record_page.reproduction_page(again), width=400).split())


# What does not repeat.


def test_the_same_machine_repeats_and_a_number_that_does_not_is_a_bug(folder: Path, tmp_path: Path) -> None:
    ladder, runs = ladder_of(folder), runs_of(folder)
    same = reproduction(record_of(runs, ladder), ladder, runs)
    assert same.repeat is not None
    assert (same.repeat.equal, same.repeat.must_be_equal, same.fails) == (SEEDS, True, False)
    assert "trained again (seeds 101 to 102): all repeat the record bit for bit" in words_of(same)

    (tmp_path / "few.json").write_text(record.record_text(with_another_number(record_of(runs, ladder))))
    edited, _ = record.load(tmp_path / "few.json")
    other = reproduction(edited, ladder, runs)
    assert other.repeat is not None
    assert (other.repeat.different, other.repeat.must_be_equal, other.fails) == ((102,), True, True)
    assert {each.state for each in other.repeat.conditions} == {"equal"}
    text = words_of(other)
    assert "NOT REPEATED: seed 102 gives other numbers than the record, 1 of 2 seeds of its own" in text
    assert "report it as a bug" in text
    there, here = (", ".join(map(str, result.n_correct)) for result in other.repeat.numbers[0])
    assert there != here
    assert f"102 {there} {here}" in text


def test_an_executor_elsewhere_repeats_it(folder: Path, tmp_path: Path) -> None:
    ladder, engine, store = ladder_of(folder), JitEngine(), Store.open(tmp_path / "runs", create=True)
    claimed = record_of(runs_of(folder), ladder)
    with elsewhere(tmp_path / "elsewhere") as executor:
        failures, again = reproduce(claimed, ladder, seeds=[101], store=store, engine=engine, executor=executor)
    assert failures == []
    assert again.repeat is not None
    assert (again.repeat.equal, again.repeat.must_be_equal) == ((101,), True)


def test_an_executor_with_another_revision_is_refused(folder: Path, tmp_path: Path) -> None:
    ladder, engine, store = ladder_of(folder), JitEngine(), Store.open(tmp_path / "runs", create=True)
    claimed = record_of(runs_of(folder), ladder)
    said = f"{engine.identity} is wanted, but on .* there is {another(engine.identity)}: install the same"
    with (
        elsewhere(tmp_path / "elsewhere", modules=other_revision(tmp_path)) as executor,
        pytest.raises(EngineError, match=said),
    ):
        reproduce(claimed, ladder, seeds=[101], store=store, engine=engine, executor=executor)


def test_the_command_says_so_too(folder: Path, tmp_path: Path, stepladder: CommandLine) -> None:
    found = with_another_number(record_of(runs_of(folder), ladder_of(folder)))
    (tmp_path / "few.json").write_text(record.record_text(found))
    arguments = ("reproduce", tmp_path / "few.json", "--seeds", "101-102", "--store", folder / "here")
    body = json.loads(stepladder(*arguments, "--json").stdout)
    (numbers,) = body["repeat"]["numbers"]
    assert numbers["seed"] == 102
    assert numbers["record"]["n_correct"] == list(found.runs[1].n_correct)
    assert numbers["here"]["n_correct"] != numbers["record"]["n_correct"]
    assert {each["state"] for each in body["repeat"]["conditions"]} == {"equal"}
    assert body["fails"] is True
    old = found.model_copy(update={"versions": {"numpy": "2.4.6"}, "cpu": "AMD EPYC"})
    (tmp_path / "few.json").write_text(record.record_text(old))
    done = stepladder(*arguments)
    assert done.returncode == 0, done.stderr
    assert "the record does not tell" in " ".join(done.stdout.split())


def test_it_is_tracked_as_a_climb_is(folder: Path, tmp_path: Path, stepladder: CommandLine) -> None:
    """A fresh seed and the stored ones; the seeds are named first all the same."""
    shutil.copytree(folder / "here", tmp_path / "runs")
    found = record_of(runs_of(folder), ladder_of(folder))
    (tmp_path / "few.json").write_text(record.record_text(found))
    where = ("--store", tmp_path / "runs", "--log-dir", tmp_path / "logs")
    done = stepladder("reproduce", tmp_path / "few.json", "--seeds", "1", "--track", "tensorboard", *where)
    assert done.returncode in (0, 1), done.stderr
    first, second = done.stderr.splitlines()[:2]
    assert "1 seed, not in the record: seed 201" in first
    assert second == f"note: tracked in {tmp_path / 'logs'}: tensorboard --logdir {tmp_path / 'logs'}"
    seeds = [path.name.partition("-")[2].partition("-")[0] for path in (tmp_path / "logs" / "tiny").glob("*/seed-*")]
    assert sorted(seeds) == ["101", "102", "201"]
    top = ("--top", "--seeds", "101-102", "--track", "tensorboard")
    assert stepladder("climb", folder / "few.toml", *top, *where).returncode in (0, 1)
    replayed = stepladder("replay", folder / "few.toml", "--to", "tensorboard", *where)
    assert "3 runs told to tensorboard, 0 new" in replayed.stdout
    alone = stepladder("reproduce", tmp_path / "few.json", "--log-dir", tmp_path / "logs")
    assert alone.returncode == 2
    assert "--log-dir is that of a tracker: add --track tensorboard" in alone.stderr


@pytest.mark.parametrize("what", ["cpu-target", "cpu-features", "l1-bytes"])
def test_code_for_another_target_need_not_repeat_and_is_named(what: str, folder: Path) -> None:
    ladder, made = ladder_of(folder), runs_of(folder, what)
    again = reproduction(with_another_number(record_of(made, ladder)), ladder, runs_of(folder))
    assert again.repeat is not None
    assert not again.fails
    assert [each.what for each in again.repeat.conditions if each.state != "equal"] == [what]
    (reason,) = repeat_page.reasons(again.repeat, again.record)
    there, here = made[0].provenance.versions[what], runs_of(folder)[0].provenance.versions[what]
    expected = {
        "cpu-target": f"another CPU that code is compiled for ({there} in the record, {here} here)",
        "cpu-features": f"other features of the CPU ({len(there.split())} features in the record",
        "l1-bytes": "another size of the L1 data cache (",
    }[what]
    assert reason.startswith(expected)
    assert "report it as a bug" not in words_of(again)
    if what == "l1-bytes":
        assert reason.endswith(f"({int(there) / 1024:g} KiB in the record, {int(here) / 1024:g} KiB here)")
    if what == "cpu-features":
        (lost,) = set(here.split()) - set(there.split())
        assert reason.endswith(f" features in the record, {len(here.split())} features with {lost} here)")


def test_equal_code_by_another_name_must_repeat(folder: Path) -> None:
    """A cloud may sell the same processor under two names."""
    ladder, runs = ladder_of(folder), runs_of(folder)
    renamed = with_another_number(record_of(runs, ladder)).model_copy(update={"cpu": "another name"})
    assert reproduction(renamed, ladder, runs).fails


def test_another_revision_or_engine_is_named(folder: Path, tmp_path: Path) -> None:
    ladder, runs = ladder_of(folder), runs_of(folder)
    found = with_another_number(record_of(runs, ladder))
    older = found.model_copy(update={"engine": found.engine.model_copy(update={"revision": 1})})
    again = reproduction(older, ladder, runs)
    assert again.repeat is not None
    assert repeat_page.reasons(again.repeat, older) == ["another revision of the engine (1 in the record, 2 here)"]
    pytest.importorskip("torch")
    from stepladder.engines.torch.engine import TorchEngine

    store = Store.open(tmp_path / "torch", create=True)
    by_torch = [trained(ladder, seed, engine=TorchEngine("cpu"), store=store) for seed in SEEDS]
    other = reproduction(with_another_number(record_of(by_torch, ladder)), ladder, runs)
    assert other.repeat is not None
    assert not other.fails
    assert repeat_page.reasons(other.repeat, other.record)[0].startswith("another engine (torch ")
    same = reproduction(with_another_number(record_of(by_torch, ladder)), ladder, by_torch)
    assert same.fails
    elsewhere = same.record.model_copy(update={"cpu": "AMD EPYC"})
    assert not reproduction(elsewhere, ladder, by_torch).fails  # PyTorch chooses by it


def test_on_a_gpu_nothing_must_repeat(folder: Path) -> None:
    ladder, runs = ladder_of(folder), runs_of(folder)
    engine = runs[0].identity.engine.model_copy(update={"name": "torch", "device": "cuda"})
    moved = [run.model_copy(update={"identity": run.identity.model_copy(update={"engine": engine})}) for run in runs]
    again = reproduction(with_another_number(record_of(moved, ladder)), ladder, moved)
    assert again.repeat is not None
    assert not again.fails
    assert "a GPU adds up in no fixed order" in repeat_page.reasons(again.repeat, again.record)


def test_what_was_trained_with_other_seeds_at_once_need_not_repeat(folder: Path) -> None:
    """Not on a CPU either: the last bits depend on how many there were."""
    ladder, runs = ladder_of(folder), runs_of(folder)
    engine = runs[0].identity.engine.model_copy(update={"name": "torch", "revision": TOGETHER_REVISION})
    moved = [run.model_copy(update={"identity": run.identity.model_copy(update={"engine": engine})}) for run in runs]
    again = reproduction(with_another_number(record_of(moved, ladder)), ladder, moved)
    assert again.repeat is not None
    assert not again.fails
    reasons = repeat_page.reasons(again.repeat, again.record)
    assert "how many seeds were trained at once, which is not told, decides the last bits" in reasons
    assert "report it as a bug" not in words_of(again)


@pytest.mark.parametrize("name", record.shipped())
def test_a_record_that_does_not_tell_its_target_is_no_bug(name: str) -> None:
    found, _ = record.load(name)
    here = origin_here(JitEngine())
    states = {each.what: each.state for each in conditions(Origin(found.engine, found.versions, found.cpu), here)}
    assert {what for what, state in states.items() if state == "not told"} >= {"cpu-target", "cpu-features", "l1-bytes"}
    assert "cpu" in states  # the best that is known


def test_a_run_of_an_earlier_version_is_read_and_does_not_tell(folder: Path) -> None:
    ladder, runs = ladder_of(folder), runs_of(folder)
    kept = {what: value for what, value in runs[1].provenance.versions.items() if what in ("numpy", "llvmlite")}
    old = runs[1].model_copy(update={"provenance": runs[1].provenance.model_copy(update={"versions": kept})})
    again = reproduction(with_another_number(record_of(runs, ladder)), ladder, [runs[0], old])
    assert again.repeat is not None
    assert not again.fails
    (reason,) = repeat_page.reasons(again.repeat, again.record)
    assert reason.startswith("the run here, an older one, does not tell numpy's instructions, CPU that code")


def test_one_seed_that_must_repeat_and_does_not_is_not_hidden_by_another(folder: Path) -> None:
    ladder, runs = ladder_of(folder), runs_of(folder)
    found = with_another_number(record_of(runs, ladder))
    first = found.runs[0].model_copy(update={"n_correct": tuple(n - 1 for n in found.runs[0].n_correct)})
    both = found.model_copy(update={"runs": (first, found.runs[1])})
    elsewhere = runs_of(folder, "l1-bytes")[0]
    assert reproduction(both, ladder, [elsewhere, runs[1]]).fails
    assert not reproduction(both, ladder, [elsewhere]).fails


def test_other_instructions_of_numpy_are_seen() -> None:
    told = origin_here(JitEngine()).versions["numpy-instructions"].split()
    if len(told) < 2:
        pytest.skip("numpy has no instructions here that it could do without")
    script = "from stepladder._base.machine import versions; print(versions()['numpy-instructions'])"
    without = {"NPY_DISABLE_CPU_FEATURES": told[-1], "PATH": ""}
    done = subprocess.run([sys.executable, "-c", script], env=without, capture_output=True, text=True, check=True)
    here = origin_here(JitEngine())
    there = replace(here, versions={**here.versions, "numpy-instructions": done.stdout.strip()})
    assert are_equal(conditions(here, here))
    assert [each.what for each in conditions(there, here) if each.state == "other"] == ["numpy-instructions"]


def test_other_images_and_another_recipe_are_named(folder: Path, tmp_path: Path) -> None:
    ladder = ladder_of(folder)
    found = record_of(runs_of(folder), ladder)
    (tmp_path / "digits").mkdir()
    write_digits(tmp_path / "digits", n_train=900, n_test=500)
    text = (folder / "few.toml").read_text()
    others = text.replace(repr(ladder.data), repr(str(tmp_path / "digits")))
    cases = {
        others: rf"trains other images than those of this record: .*{found.images}",
        text.replace("0.05", "0.06"): "trains another recipe than that of this record, on its images: make",
        others.replace("0.05", "0.06"): rf"trains another recipe and other images .*{found.images}",
    }
    for changed, reason in cases.items():
        (tmp_path / "few.toml").write_text(changed)
        (tmp_path / "few.json").write_text(record.record_text(found.model_copy(update={"ladder": "few.toml"})))
        with pytest.raises(LadderError, match=reason):
            record.load(tmp_path / "few.json")
    untold = found.model_copy(update={"ladder": "few.toml", "images": None})
    (tmp_path / "few.json").write_text(record.record_text(untold))
    with pytest.raises(LadderError, match=r"another recipe or other images .* does not tell its images \(here"):
        record.load(tmp_path / "few.json")
    assert "images" not in json.loads((tmp_path / "few.json").read_text())


def test_runs_check_asks_for_equality_where_code_is_the_same(folder: Path) -> None:
    for name, by in (("here", ""), ("l1-bytes", ", by jit ")):
        store = Store.open(folder / name)
        found = list(check_runs(store, experiments(store, [ladder_of(folder)]), sources=[ladder_of(folder).data]))
        assert [each.outcome for each in found] == ["agrees"] * 2
        assert all((", by jit " in each.words) == bool(by) for each in found)


def test_a_run_tells_the_target_that_its_engine_has(folder: Path) -> None:
    for name, target in targets().items():
        told = origin_of(runs_of(folder, name)[0]).versions
        assert (told["cpu-target"], told["l1-bytes"]) == (target.cpu, str(target.l1_bytes))
        assert set(told["cpu-features"].split()) == {x[1:] for x in target.features.split(",") if x.startswith("+")}


# How many seeds would tell.


def made_up(finals: list[int], *, held: int | None = None, n: int = 10_000) -> Numbers:
    """Seeds with so many images right; so many of them hold 50%."""
    n_held = len(finals) if held is None else held
    runs = [SeedResult(seed=101 + at, n_correct=(n if at < n_held else 0, right)) for at, right in enumerate(finals)]
    return numbers(runs, n_evaluated=n, target=Goal(accuracy=Decimal(50), last_epochs=2))


RECORDED = made_up([9950 + at % 10 for at in range(100)])


@given(st.floats(0.001, 1), st.floats(0.01, 1))
@settings(deadline=None, max_examples=60)
def test_seeds_for_a_mean_are_the_fewest(margin: float, spread: float) -> None:
    def half(n: int) -> float:
        return float(spread * (stats.t.ppf(0.975, n - 1) + stats.norm.ppf(0.8)) / n**0.5)

    n = seeds_for_mean(margin, spread)
    if n is None:
        assert half(10_000) > margin
    else:
        assert half(n) <= margin * (1 + 1e-9)
        assert n == 2 or half(n - 1) > margin * (1 - 1e-9)


@given(st.integers(1, 99), st.integers(0, 100))
@settings(deadline=None, max_examples=25)
def test_seeds_for_a_share_are_the_fewest(claimed: int, true: int) -> None:
    share, p = claimed / 100, true / 100
    needed = seeds_for_share(share, p)

    def power(n: int) -> float:
        ends = [share_interval(k, n) or (0.0, 1.0) for k in range(n + 1)]
        tells = [low >= share if p >= share else high < share for low, high in ends]
        return float(stats.binom.pmf(np.arange(n + 1), n, p)[tells].sum())

    if needed is None:
        assert abs(true - claimed) <= 1
    elif needed <= 150:
        assert power(needed) >= 0.8 - 1e-9
        assert all(power(n) < 0.8 + 1e-9 for n in range(1, needed))


def test_72_seeds_that_all_hold_are_the_fewest_for_95_percent() -> None:
    assert seeds_for_share(0.95, 1.0) == 72


@given(st.integers(1, 60), st.integers(2, 120))
def test_how_many_below_refute_a_worst_seed(n_new: int, n_record: int) -> None:
    k = fewest_below(n_new, n_record)
    assert (k is None) == (n_new < fewest_new(n_record))
    if k is not None:
        assert chance_of_worst(k, n_new=n_new, n_record=n_record) <= 0.025
        assert k == 1 or chance_of_worst(k - 1, n_new=n_new, n_record=n_record) > 0.025


@given(st.lists(st.integers(9900, 10_000), max_size=40), st.integers(0, 40), st.integers(9900, 9999))
@settings(deadline=None, max_examples=40)
def test_more_seeds_than_there_are_would_tell(finals: list[int], held: int, claimed: int) -> None:
    found = made_up(finals, held=min(held, len(finals)))
    for claim in (
        MeanClaim(at_least=Decimal(claimed) / 100),
        HeldClaim(share_at_least=Decimal("0.9")),
        WorstClaim(at_least=Decimal("99.4")),
    ):
        needed = seeds_to_tell(claim, claimed=RECORDED, found=found)
        if needed is not None and judge(claim, claimed=RECORDED, found=found, params=0).outcome == "cannot be told":
            assert needed.least is None or needed.least > len(finals)
            assert needed.most is None or (needed.least is not None and needed.most >= needed.least)


def test_the_number_of_seeds_told_for_a_mean_finds_it_in_four_of_five_cases() -> None:
    """A record like mnist-8k-record's: 0.017 points above its claim, a spread of 0.05."""
    n = seeds_for_mean(0.017, 0.05)
    assert n == 70
    draw = np.random.default_rng(1)
    samples = 99.577 + 0.05 * draw.standard_normal((4000, n))
    low = samples.mean(1) - stats.t.ppf(0.975, n - 1) * samples.std(1, ddof=1) / n**0.5
    assert (low >= 99.56).mean() == pytest.approx(0.8, abs=0.03)


# What the outcomes promise, and what not.


def sample(draw: np.random.Generator, kind: str, n: int) -> list[int]:
    """Images right with a true mean of 9,950: the sd is 5, but where one seed in 20 loses about 100."""
    match kind:
        case "normal":
            right = 9950 + 5 * draw.standard_normal(n)
        case "skewed":
            right = 9955 - draw.exponential(5, n)
        case _:
            right = 9955 + 5 * draw.standard_normal(n) - np.where(draw.random(n) < 0.05, 100, 0)
    return [int(each) for each in np.minimum(np.rint(right), 10_000)]


@pytest.mark.parametrize(("kind", "least", "most"), [("normal", 0, 0.04), ("skewed", 0.05, 0.2), ("collapse", 0.3, 1)])
def test_a_true_mean_rarely_fails_but_a_claim_may_stand_by_luck(kind: str, least: float, most: float) -> None:
    """Fails: 2.5% at most, and three standard errors. Stands, of a mean that is right at the claim: as it is said."""
    draw, claim, n = np.random.default_rng(5), MeanClaim(at_least=Decimal("99.5")), 1000
    outcomes = [
        judge(claim, claimed=RECORDED, found=made_up(sample(draw, kind, 8)), params=0).outcome for _ in range(n)
    ]
    assert outcomes.count("fails") / n <= 0.025 + 3 * (0.025 * 0.975 / n) ** 0.5
    assert least <= outcomes.count("stands") / n <= most


CLAIMS = (
    MeanClaim(at_least=Decimal("99.5")),
    WorstClaim(at_least=Decimal("99.4")),
    HeldClaim(share_at_least=Decimal("0.95")),
    ParamsClaim(at_most=400),
)


def judged(folder: Path, found: Numbers, *claims: Claim) -> Reproduction:
    """A record of RECORDED with these claims, and what these fresh seeds say of them."""
    ladder = ladder_of(folder)
    again = reproduction(record_of(runs_of(folder), ladder).model_copy(update={"claims": claims}), ladder, [])
    verdicts = [judge(claim, claimed=RECORDED, found=found, params=342) for claim in claims]
    told = tuple(with_needed(each, claimed=RECORDED, found=found) for each in verdicts)
    return replace(again, found=found, claimed=RECORDED, verdicts=told)


def test_the_notes_claim_no_bound_that_there_is_not(folder: Path) -> None:
    again = judged(folder, made_up([9960] * 100), *CLAIMS)
    mean, share, worst = record_page.bound_notes(again)
    assert "if one seed in 20 does, 100 seeds show none of those in 1% of cases" in mean
    assert "A share below the claim would stand in at most 2.5% of cases, however" in share
    assert "That has no bound: if 1% of all seeds are below, it still stands in 37% of cases. It fails if 6 of" in worst
    fails, share = record_page.bound_notes(judged(folder, made_up([9930 + at % 2 for at in range(100)]), *CLAIMS[::2]))
    assert share.startswith("stands, a share:")
    assert "A claim that is true fails in at most 2.5% of cases, looked at once (a mean: if seeds are spread" in fails
    (about,) = record_page.bound_notes(judged(folder, made_up([9950] * 8), CLAIMS[2]))
    assert about.startswith("How many seeds would tell: enough for four of five cases, if further seeds are like")


@pytest.mark.parametrize("finals", [[], [9950], [9960] * 8, [9930] * 8, [9960] * 100, [9930] * 100])
def test_only_what_is_in_the_table_is_explained(finals: list[int], folder: Path) -> None:
    again = judged(folder, made_up(finals), *CLAIMS)
    notes = record_page.bound_notes(again)
    outcomes = {(each.claim.kind, each.outcome) for each in again.verdicts}
    for kind, words in (("mean", "a mean"), ("held", "a share"), ("worst", "a worst seed")):
        assert any(f"stands, {words}:" in each for each in notes) == ((kind, "stands") in outcomes)
    assert any(each.startswith("fails:") for each in notes) == any(outcome == "fails" for _, outcome in outcomes)
    assert any("How many seeds would tell" in each for each in notes) == any(
        each.needed is not None for each in again.verdicts if each.claim.kind != "worst"
    )


def test_parameters_alone_need_no_explanation(folder: Path) -> None:
    assert record_page.bound_notes(judged(folder, made_up([]), ParamsClaim(at_most=300))) == []
    assert record_page.bound_notes(judged(folder, made_up([9960] * 8), ParamsClaim(at_most=400))) == []


# Claims that can only fail, and numbers of seeds that are true.


def outcome_text(folder: Path, claim: Claim, found: Numbers) -> str:
    table = record_page.reproduction_page(judged(folder, found, claim))[0]
    assert isinstance(table, Table)
    return table.rows[0][1]


@pytest.mark.parametrize(
    ("claim", "finals", "text"),
    [
        (HeldClaim(share_at_least=Decimal(1)), [], "with no fresh seed; no number of seeds can show 100%, it can only"),
        (HeldClaim(share_at_least=Decimal(1)), [9950] * 8, "with 8 seeds; no number of seeds can show 100%, it can"),
        (HeldClaim(share_at_least=Decimal(1)), [9950] * 1000, "1,000 seeds; no number of seeds can show 100%, it can"),
        (
            MeanClaim(at_least=Decimal(100)),
            [],
            "with no fresh seed; no number of seeds can show 100%, it can only fail",
        ),
        (MeanClaim(at_least=Decimal(100)), [10_000] * 8, "with 8 seeds; no number of seeds can show 100%, it can only"),
        (
            WorstClaim(at_least=Decimal("99.4")),
            [9930, *[9950] * 7],
            "with 8 seeds; as a seed is below, it can only fail",
        ),
        (WorstClaim(at_least=Decimal("99.4")), [9930, *[9950] * 99], "100 seeds; as a seed is below, it can only fail"),
        (WorstClaim(at_least=Decimal("99.4")), [9950] * 8, "with 8 seeds; 100 would if none is below"),
        (WorstClaim(at_least=Decimal(100)), [], "with no fresh seed; 100 would if none is below"),
        (HeldClaim(share_at_least=Decimal("0.9999")), [9950] * 8, "with 8 seeds; it takes more than 10,000"),
        (HeldClaim(share_at_least=Decimal("0.999")), [9950] * 8, "with 8 seeds; it takes 3,688 or more"),
        (HeldClaim(share_at_least=Decimal("0.95")), [9950] * 8, "with 8 seeds; about 72 to 312 would"),
        (MeanClaim(at_least=Decimal("99.545")), [9954, 9955], "with 2 seeds; it takes more than 10,000"),
    ],
)
def test_what_is_said_of_a_claim_that_cannot_be_told(claim: Claim, finals: list[int], text: str, folder: Path) -> None:
    assert text in outcome_text(folder, claim, made_up(finals))


def test_a_mean_can_only_fail_once_a_seed_diverged(folder: Path) -> None:
    runs = [SeedResult(seed=201 + at, n_correct=(9950, 9950)) for at in range(7)]
    runs.append(SeedResult(seed=208, n_correct=(), diverged_at_epoch=1))
    found = numbers(runs, n_evaluated=10_000, target=Goal(accuracy=Decimal(50), last_epochs=2))
    assert outcome_text(folder, CLAIMS[0], found).endswith("; as a seed diverged, it can only fail")


@given(st.integers(0, 3), st.integers(0, 120), st.integers(1, 1000), st.integers(90, 100))
@settings(deadline=None, max_examples=60)
def test_the_least_number_of_seeds_tells_if_all_further_ones_agree(
    missed: int, n: int, thousandths: int, held: int
) -> None:
    """Whatever the fresh seeds are that there are: with so many in all, an interval can leave the claimed share out."""
    claim = HeldClaim(share_at_least=Decimal(thousandths) / 1000)
    missed = min(missed, n)
    found, claimed = made_up([9950] * n, held=n - missed), made_up([9950] * 100, held=held)
    if judge(claim, claimed=claimed, found=found, params=0).outcome != "cannot be told":
        return
    needed = seeds_to_tell(claim, claimed=claimed, found=found)
    assert (needed is None) == (thousandths == 1000)
    for total in (needed.least, needed.most) if needed else ():
        if total is not None:
            best, worst = share_interval(total - missed, total), share_interval(n - missed, total)
            assert best is not None
            assert worst is not None
            assert best[0] >= claim.share_at_least or worst[1] < claim.share_at_least


@pytest.mark.parametrize("so_far", [[], [9950 - at % 3 for at in range(8)], [9960, 9957], [9957, 9800, *[9956] * 6]])
@pytest.mark.parametrize("claimed", ["99.53", "99.5", "99.56"])
def test_so_many_seeds_tell_a_mean_in_four_of_five_cases(so_far: list[int], claimed: str) -> None:
    """With the fresh seeds that there are, also where they are not like the record's."""
    draw, claim, found = np.random.default_rng(2), MeanClaim(at_least=Decimal(claimed)), made_up(so_far)
    if judge(claim, claimed=RECORDED, found=found, params=0).outcome != "cannot be told":
        return
    needed = seeds_to_tell(claim, claimed=RECORDED, found=found)
    every = [float(each) for each in (*RECORDED.accuracies, *found.accuracies)]
    center, spread = mean(every), stdev(every)
    assert needed is not None
    if needed.least is None or needed.most is None:
        assert abs(center - float(claimed)) < spread / 10_000**0.5 * 3
        return

    def power(n: int) -> float:
        more = draw.normal(center, spread, (1000, n - len(so_far)))
        whole = np.concatenate([np.tile(np.array(so_far) / 100, (1000, 1)), more], axis=1)
        half = stats.t.ppf(0.975, n - 1) * whole.std(1, ddof=1) / n**0.5
        return float((np.abs(whole.mean(1) - float(claimed)) >= half).mean())

    assert power(needed.least) >= 0.6
    assert power(needed.most) >= 0.72


def test_claims_near_100_percent_are_not_rounded_up() -> None:
    assert str(HeldClaim(share_at_least=Decimal("0.9999999"))) == "target held by ≥ 99.99999% of seeds"
    assert str(HeldClaim(share_at_least=Decimal("0.5"))) == "target held by ≥ 50% of seeds"


# Words.


@pytest.mark.parametrize(
    ("seeds", "own", "text"),
    [
        (range(201, 202), 0, "climbed with 1 seed, not in the record: seed 201"),
        (range(201, 602), 0, "climbed with 401 seeds, not in the record: seeds 201 to 601"),
        (range(101, 104), 3, "climbed with 3 seeds, of the record's own, no fresh evidence: seeds 101 to 103"),
        (range(199, 203), 2, "climbed with 4 seeds, 2 of the record's own, the others not in it: seeds 199 to 202"),
    ],
)
def test_the_first_line_names_the_seeds(seeds: range, own: int, text: str, folder: Path) -> None:
    found = record_of(runs_of(folder), ladder_of(folder))
    assert sum(seed in found.seeds for seed in seeds) == own
    assert record_page.seeds_note(found, seeds) == f"record 'few' is {text}"


def test_one_seed_is_spoken_of_as_one(folder: Path) -> None:
    ladder, runs = ladder_of(folder), runs_of(folder)
    found = record_of(runs, ladder)
    one = words_of(reproduction(found, ladder, runs[:1]))
    assert "climbed again with seed 101 " in one
    assert "Of the record's own 100 seeds, 1 was trained again (seed 101): it repeats the record bit for bit" in one
    older = with_another_number(found).model_copy(update={"engine": found.engine.model_copy(update={"revision": 1})})
    text = words_of(reproduction(older, ladder, runs))
    assert "2 were trained again (seeds 101 to 102); one repeats it bit for bit. Seed 102 gives other numbers" in text
    text = words_of(reproduction(older, ladder, runs[1:]))
    assert "1 was trained again (seed 102); none repeats it bit for bit. Seed 102 gives other numbers" in text
    assert "climbed again with no seed " in words_of(reproduction(found, ladder, []))


def test_what_is_impossible_is_no_part_of_an_interval() -> None:
    found = made_up([1135, *[9957] * 7])
    assert found.mean_interval is not None
    low, high = found.mean_interval
    assert (low < 70, high) == (True, 100.0)
    cut = difference_of_means(found, RECORDED)
    assert cut is not None
    assert cut[1][1] < 0.5
    assert made_up([0, 10_000]).mean_interval == (0.0, 100.0)


def test_one_collapsed_seed_is_named(folder: Path) -> None:
    found = made_up([9957, 1135, *[9956] * 6])
    assert collapsed(found, RECORDED) == ((102, Fraction("11.35")),)
    assert collapsed(made_up([9940] * 8), RECORDED) == ()
    ladder = ladder_of(folder)
    again = reproduction(record_of(runs_of(folder), ladder), ladder, [])
    again = replace(again, found=found, claimed=RECORDED, collapsed=collapsed(found, RECORDED))
    expected = "Seed 102 collapsed: 11.35%, where the record's median is 99.54%; the mean of the other 7 fresh seeds is"
    assert f"{expected} 99.561%" in words_of(again)
