"""Records: what the top rung of a ladder claims, and the results of every seed that the claims rest on.

::

    records/NAME.json    {"format_version": 2, "sha256": ..., "name": ..., "claims": [...], ...,
                          "runs": [{"seed": 101, ...}, ...]}

A record holds integers, one line for each seed. Mean, worst seed and share are computed from them wherever they are
shown, and a record whose claims they do not support is refused, when it is made and when it is read.

The checksum is that of all the rest (files.checksum). It finds damage; who changes a record can change that too.

FORMAT_VERSION history: 1, the first. 2, with a checksum; with the images' SHA-256 if it was made since that is kept.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from importlib import resources
from itertools import pairwise
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from stepladder._base.files import MOST_JSON_BYTES, checksum, parsed, read_regular, reason
from stepladder._base.frozen import Frozen
from stepladder._base.wording import clipped, did_you_mean, shown
from stepladder.analysis.intervals import interval_of_mean, share_interval
from stepladder.datasets.data import describe
from stepladder.errors import LadderError
from stepladder.ladders.evaluated import data_identity
from stepladder.ladders.ladder import Plan
from stepladder.ladders.ladder_file import load as load_ladder
from stepladder.ladders.ladder_file import shipped as shipped_ladders
from stepladder.ladders.terms import Accuracy, Percent, Target
from stepladder.records.protocol import MOST_SEED, against_rules, against_store
from stepladder.runs.results import Results
from stepladder.runs.run import EngineIdentity, Run, experiment_key
from stepladder.runs.soundness import MOST_IMAGES, against_engine, is_time

FORMAT_VERSION = 2
ABOUT_ACCURACY = "a record claims accuracy, and the target is balanced accuracy"

GET_IT_AGAIN = "get it again, unchanged, from where it came"


class MeanClaim(Frozen):
    """The mean over seeds of the final epoch's accuracy, in percent."""

    kind: Literal["mean"] = "mean"
    at_least: Accuracy = Field(gt=0, le=100)

    def __str__(self) -> str:
        return f"mean ≥ {self.at_least}%"


class WorstClaim(Frozen):
    """The final epoch's accuracy of the worst of the record's seeds, in percent."""

    kind: Literal["worst"] = "worst"
    at_least: Accuracy = Field(gt=0, le=100)

    def __str__(self) -> str:
        return f"worst seed ≥ {self.at_least}%"


class HeldClaim(Frozen):
    """The share of seeds, from 0 to 1, that hold the target of the ladder."""

    kind: Literal["held"] = "held"
    share_at_least: Percent = Field(gt=0, le=1)

    def __str__(self) -> str:
        return f"target held by ≥ {(100 * self.share_at_least).normalize():f}% of seeds"


class ParamsClaim(Frozen):
    """Every trainable number of the network, as budgets count them."""

    kind: Literal["params"] = "params"
    at_most: int = Field(ge=1)

    def __str__(self) -> str:
        return f"at most {self.at_most:,} parameters"


Claim = Annotated[MeanClaim | WorstClaim | HeldClaim | ParamsClaim, Field(discriminator="kind")]


class SeedResult(Frozen):
    """One seed: images right after each of the last epochs that the target speaks of, the last one being the result.

    None of them if the run diverged.
    """

    seed: int = Field(ge=0, le=MOST_SEED)
    n_correct: tuple[int, ...]
    diverged_at_epoch: int | None = Field(None, ge=1)


class Record(Frozen):
    """Claims about the top rung of a ladder, and what they rest on: one result for each seed of a range.

    ``experiment`` is the key of recipe and images (run.experiment_key), ``finished`` the times, UTC, at which the first
    and the last of the runs were done. All runs are of one engine, one installation and one kind of CPU: ``versions``
    tell what that is (see conditions). ``images`` is their SHA-256, None in records that were made before it was kept.
    """

    name: str = Field(min_length=1)
    ladder: str = Field(min_length=1, description="a shipped ladder, or the path of a file, relative to the record's")
    claims: tuple[Claim, ...] = Field(min_length=1)
    experiment: str = Field(pattern="^[0-9a-f]{16}$")
    engine: EngineIdentity
    versions: dict[str, str]
    cpu: str
    finished: tuple[str, str]
    n_evaluated: int = Field(ge=1, le=MOST_IMAGES)
    images: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    runs: tuple[SeedResult, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _plausible(self) -> "Record":
        if any(b.seed - a.seed != 1 for a, b in pairwise(self.runs)):
            raise ValueError("its seeds are no unbroken range in order")
        if any(not 0 <= n <= self.n_evaluated for run in self.runs for n in run.n_correct):
            raise ValueError("it has more images right than were evaluated, or fewer than none")
        if any((run.diverged_at_epoch is None) != bool(run.n_correct) for run in self.runs):
            raise ValueError("a seed has results although it diverged, or none although it did not")
        if len({claim.kind for claim in self.claims}) < len(self.claims):
            raise ValueError("it claims two things of one kind")
        for problem in against_engine(self.engine):
            raise ValueError(problem)
        if not all(map(is_time, self.finished)) or datetime.fromisoformat(self.finished[0]) > datetime.fromisoformat(
            self.finished[1]
        ):
            raise ValueError("its runs were not finished at two times in order, with their zone")
        return self

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(run.seed for run in self.runs)


@dataclass(frozen=True)
class Numbers:
    """What seeds add up to; accuracies in percent, of the final epoch, of the seeds that did not diverge.

    Mean, worst and deviation are None where a seed diverged: those of the survivors would flatter. ``image`` is what
    one image is worth, in points.
    """

    seeds: tuple[int, ...]
    diverged: tuple[int, ...]
    accuracies: tuple[Fraction, ...]
    n_held: int
    image: float

    @property
    def by_seed(self) -> dict[int, Fraction]:
        """The accuracies of the seeds that did not diverge."""
        survivors = [seed for seed in self.seeds if seed not in self.diverged]
        return dict(zip(survivors, self.accuracies, strict=True))

    @property
    def mean(self) -> Fraction | None:
        return mean(self.accuracies) if self.accuracies and not self.diverged else None

    @property
    def worst(self) -> Fraction | None:
        return min(self.accuracies) if self.accuracies and not self.diverged else None

    @property
    def sd(self) -> float | None:
        """Of the sample; needs two seeds."""
        return float(stdev(self.accuracies)) if len(self.accuracies) > 1 and not self.diverged else None

    @property
    def mean_interval(self) -> tuple[float, float] | None:
        """Student's 95% interval of the mean, cut at what is possible.

        The spread counts as one image at least, for few seeds may be equal.
        """
        if self.sd is None:
            return None
        low, high = interval_of_mean([float(each) for each in self.accuracies], least_spread=self.image)
        return max(low, 0.0), min(high, 100.0)

    @property
    def held_interval(self) -> tuple[float, float] | None:
        return share_interval(self.n_held, len(self.seeds))

    def n_below(self, least: Fraction) -> int:
        """Seeds that end below an accuracy; one that diverged is below any."""
        return len(self.diverged) + sum(each < least for each in self.accuracies)


def numbers(runs: Sequence[SeedResult], *, n_evaluated: int, target: Target) -> Numbers:
    """What these runs add up to."""
    needed = Fraction(target.accuracy) * n_evaluated / 100
    return Numbers(
        seeds=tuple(run.seed for run in runs),
        diverged=tuple(run.seed for run in runs if run.diverged_at_epoch is not None),
        accuracies=tuple(Fraction(100 * run.n_correct[-1], n_evaluated) for run in runs if run.n_correct),
        n_held=sum(bool(run.n_correct) and min(run.n_correct) >= needed for run in runs),
        image=100 / n_evaluated,
    )


def numbers_of(record: Record, ladder: Plan) -> Numbers:
    """What a record's runs add up to."""
    return numbers(record.runs, n_evaluated=record.n_evaluated, target=ladder.rungs[-1].target)


def seed_result(run: Run, target: Target) -> SeedResult:
    """What a record keeps of a run."""
    if run.diverged_at_epoch is not None:
        return SeedResult(seed=run.identity.seed, n_correct=(), diverged_at_epoch=run.diverged_at_epoch)
    last = run.epochs[-target.last_epochs :]
    return SeedResult(seed=run.identity.seed, n_correct=tuple(epoch.n_correct for epoch in last))


def params_of(ladder: Plan) -> int:
    """Every trainable number of the top rung."""
    return ladder.rungs[-1].network(describe(ladder.data).image).params


def shipped() -> tuple[str, ...]:
    """Names of the records that come with Stepladder."""
    folder = resources.files("stepladder.records") / "shipped"
    if not folder.is_dir():
        return ()
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")))


def load(name_or_path: str | Path) -> tuple[Record, Plan]:
    """A shipped record by name, or any record by the path of its file; and its ladder.

    Raises LadderError that says what is wrong, also if the ladder has changed since, the protocol is not kept, or the
    claims are not supported.
    """
    name, known = str(name_or_path), shipped()
    if name in known:
        content = resources.files("stepladder.records").joinpath("shipped", f"{name}.json").read_bytes()
        return _checked(_read(content, name), name, Path())
    if not name.endswith(".json"):
        hint = did_you_mean(name, known) if known else ": none is shipped yet"
        if name in shipped_ladders() or name.endswith(".toml"):
            hint = f": it is a ladder that has none; 'stepladder climb {clipped(name)}' climbs it"
        raise LadderError(f"no record {shown(name)}{hint}; a file of your own ends in .json")
    try:
        content = read_regular(Path(name), most=MOST_JSON_BYTES)
    except OSError as error:
        raise LadderError(f"{clipped(name)}: cannot read this record: {error.strerror}") from None
    except ValueError as error:
        raise LadderError(f"{clipped(name)}: no record: {error}: {GET_IT_AGAIN}") from None
    return _checked(_read(content, name), name, Path(name).parent)


def _read(content: bytes, file: str) -> Record:
    try:
        tree = parsed(content)
        version = tree["format_version"]
        if type(version) is not int or version < 1:
            raise ValueError(f"there is no format {clipped(str(version))}")
        if version > 1 and tree.pop("sha256") != checksum(tree):
            raise ValueError("its checksum differs")
        del tree["format_version"]
        if version > FORMAT_VERSION:
            raise LadderError(
                f"{file}: this record is of format {version}; this Stepladder reads up to {FORMAT_VERSION}: upgrade it"
            )
        return Record.model_validate_json(json.dumps(tree))
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        if isinstance(error, LadderError):
            raise
        raise LadderError(f"{clipped(file)}: no record: {reason(error)}: {GET_IT_AGAIN}") from None


def _checked(record: Record, file: str, folder: Path) -> tuple[Record, Plan]:
    """A record and its ladder: it must be made of that one, keep the protocol, and support its claims."""
    ladder = load_ladder(folder / record.ladder if record.ladder.endswith(".toml") else record.ladder)
    top = ladder.rungs[-1]
    if changed := _changed(record, ladder):
        raise LadderError(
            f"{file}: the top rung of {ladder.source}, '{top.name}', trains {changed}: make the record again"
        )
    info = describe(ladder.data)
    if record.n_evaluated != (n_images := ladder.n_dev(info.n_train) or info.n_test):
        raise LadderError(
            f"{file}: {record.n_evaluated:,} images evaluated, where there are {n_images:,}: make the record again"
        )
    if top.target.balanced:
        raise LadderError(f"{file}: {ABOUT_ACCURACY}: set the target of {ladder.source} on accuracy")
    for run in record.runs:
        if len(run.n_correct) != (0 if run.diverged_at_epoch is not None else top.target.last_epochs):
            raise LadderError(
                f"{file}: seed {run.seed} lacks the last {top.target.last_epochs} epochs, which the target is about"
            )
        if (run.diverged_at_epoch or 0) > top.recipe.epochs:
            raise LadderError(
                f"{file}: seed {run.seed} diverged at epoch {run.diverged_at_epoch:,} of {top.recipe.epochs:,}: make"
                " the record again"
            )
    if problems := against_rules(ladder, seeds=record.seeds):
        raise LadderError(
            f"{file}: against the protocol of records: {'; '.join(problems)}: make the record again by it"
        )
    if problems := unsupported(record, ladder):
        raise LadderError(f"{file}: {'; '.join(problems)}")
    return record, ladder


def _changed(record: Record, ladder: Plan) -> str:
    """How the experiment of a ladder is another one than its record's; empty if it is the same."""
    recipe, data = ladder.rungs[-1].recipe, data_identity(ladder)
    if experiment_key(recipe, data) == record.experiment:
        return ""
    if record.images is None:
        return (
            "another recipe or other images than those of this record, which does not tell its images (here they are"
            f" {data.name}, SHA-256 {data.sha256})"
        )
    if record.images == data.sha256:
        return "another recipe than that of this record, on its images"
    then = data.model_copy(update={"sha256": record.images})
    what = "" if experiment_key(recipe, then) == record.experiment else "another recipe and "
    return (
        f"{what}other images than those of this record: {data.name}, SHA-256 {data.sha256}, and the record's are"
        f" {record.images}"
    )


def unsupported(record: Record, ladder: Plan) -> list[str]:
    """The claims that the record's own runs do not support, and why; empty if they support all."""
    found, params = numbers_of(record, ladder), params_of(ladder)
    problems = [_problem(claim, found, params) for claim in record.claims]
    return [f"'{claim}' is not supported: {each}" for claim, each in zip(record.claims, problems, strict=True) if each]


def _problem(claim: Claim, found: Numbers, params: int) -> str:
    """Why a claim is not supported; empty if it is.

    A mean is about the recipe: it is claimed only where the interval lies above. Worst and share are of these seeds.
    """
    match claim:
        case ParamsClaim():
            return f"there are {params:,}" if params > claim.at_most else ""
        case HeldClaim():
            n = len(found.seeds)
            return f"{found.n_held} of {n} held it" if Fraction(found.n_held, n) < claim.share_at_least else ""
        case MeanClaim() | WorstClaim() if found.diverged:
            return f"diverged with seed {', '.join(map(str, found.diverged))}"
        case MeanClaim():
            assert found.mean is not None
            assert found.mean_interval is not None
            low, high = found.mean_interval
            text = f"the mean is {float(found.mean):.4f}, its 95% interval {low:.4f} to {high:.4f}"
            return text if low < claim.at_least else ""
        case WorstClaim():
            assert found.worst is not None
            return f"the worst is {float(found.worst):.10g}" if found.worst < claim.at_least else ""


def record_of(results: Results, *, name: str, claims: Sequence[Claim], seeds: Sequence[int]) -> Record:
    """The record of these seeds of the top rung; ``results`` are those of all seeds that the store has.

    Raises LadderError with all that stands against it.
    """
    ladder = results.ladder
    stored = {run.identity.seed: run for run in results.rungs[-1].runs}
    problems = [
        *against_rules(ladder, seeds=seeds),
        *against_store(seeds, stored=sorted(stored)),
    ]
    if problems:
        raise LadderError(f"no record {name!r}: {'; '.join(problems)}")
    record = _assembled(ladder, [stored[seed] for seed in seeds], name=name, claims=claims)
    if problems := unsupported(record, ladder):
        raise LadderError(f"no record {name!r}: {'; '.join(problems)}")
    return record


def _assembled(ladder: Plan, runs: Sequence[Run], *, name: str, claims: Sequence[Claim]) -> Record:
    """A record from its runs; raises LadderError if they are not of one installation and one kind of CPU."""
    target = ladder.rungs[-1].target
    if target.balanced:
        raise LadderError(f"no record {name!r}: {ABOUT_ACCURACY}: set the target of {ladder.source} on accuracy")
    told = [{"cpu": run.provenance.cpu} | run.provenance.versions for run in runs]
    for what in dict.fromkeys(key for each in told for key in each):
        kinds = {each.get(what, "not told") for each in told}
        if len(kinds) > 1:
            raise LadderError(f"no record {name!r}: its runs are of more than one {what}: {'; '.join(sorted(kinds))}")
    times = sorted(run.provenance.finished_at for run in runs)
    (n_evaluated,) = {epoch.n_evaluated for run in runs for epoch in run.epochs} or {0}
    body: dict[str, Any] = {
        "name": name,
        "ladder": ladder.source,
        "claims": tuple(claims),
        "experiment": runs[0].identity.experiment,
        "engine": runs[0].identity.engine,
        "versions": runs[0].provenance.versions,
        "cpu": runs[0].provenance.cpu,
        "finished": (times[0], times[-1]),
        "n_evaluated": n_evaluated,
        "images": runs[0].identity.data.sha256,
        "runs": tuple(seed_result(run, target) for run in runs),
    }
    try:
        return Record.model_validate(body)
    except ValidationError as error:
        raise LadderError(f"no record {name!r}: {error.errors(include_url=False)[0]['msg']}") from None


def record_text(record: Record) -> str:
    """A record as the content of its file, one seed a line."""
    without = {"runs"} if record.images else {"runs", "images"}
    body = {"format_version": FORMAT_VERSION} | record.model_dump(mode="json", exclude=without)
    runs = [run.model_dump(mode="json", exclude_none=True) for run in record.runs]
    head = {"format_version": FORMAT_VERSION, "sha256": checksum(body | {"runs": runs})} | body
    opened = json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}")
    return opened + ',\n "runs": [\n  ' + ",\n  ".join(map(json.dumps, runs)) + "\n ]\n}\n"
