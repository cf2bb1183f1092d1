"""What can be said of a ladder before anything trains: sizes, budgets, and how long a climb will take."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from stepladder._base.late import FACES, Drawn, late
from stepladder._base.wording import n_of, shown
from stepladder.datasets import sources
from stepladder.datasets.sources import DataInfo
from stepladder.errors import BudgetError, GeometryError, LadderError
from stepladder.ladders import rules
from stepladder.ladders.ladder import Plan, Rung, budget_excess
from stepladder.networks.geometry import Network
from stepladder.networks.ops import BatchNorm
from stepladder.recipes.happening import idle_notes, what_happens, why_alike
from stepladder.recipes.idle import Sizes
from stepladder.recipes.recipe import Recipe
from stepladder.recipes.slight import slight_changes

# Of one process, two at once on 2 cores of an AMD EPYC, over mnist-8k: jit on Zen 5, 2026-11-23; torch on Zen 3, a day
# earlier.
# The first is the default engine's.
TYPICAL_MACS_PER_S = {"jit": 6e10, "torch": 4.7e9}
START_S = 1.5  # until the first worker trains: they start side by side
COMPILE_S = 1.0  # of each different network; a climb that goes on has it in its cache


@dataclass(frozen=True)
class CheckedRung:
    """A rung, its network on the ladder's images, and how it is over its budget (empty when within).

    ``notes`` say which of its settings do nothing on these images; not those that the rung below has notes of.
    """

    rung: Rung
    network: Network
    excess: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """How long a climb would take from nothing, in seconds; ``measured`` if this store has trained before.

    ``preparing_s`` of ``elapsed_s`` are for starting processes and compiling, of which nothing is measured.
    """

    elapsed_s: float
    n_runs: int
    jobs: int
    measured: bool
    preparing_s: float = 0.0


@dataclass(frozen=True)
class CheckedData:
    """A ladder's images: what they are, how dev is chosen of them, what is remarkable in them, a sentence each.

    ``split`` is a rule of split_rules, None if evaluated on test.
    """

    info: DataInfo
    sha256: str
    split: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check(Drawn):
    """All that ``stepladder check`` knows, and prints. ``split`` and ``notes`` as in CheckedData.

    ``rungs`` have each rung's network with its geometry, ``variants`` those of the ladder's variants, in its order;
    ``excess`` says how they are over their budget, a sentence each.
    """

    ladder: Plan
    info: DataInfo
    sha256: str
    split: str | None
    notes: tuple[str, ...]
    rungs: tuple[CheckedRung, ...]
    estimate: Estimate
    variants: tuple[CheckedRung, ...] = ()

    @property
    def trained(self) -> tuple[CheckedRung, ...]:
        """The rungs, then their variants."""
        return (*self.rungs, *self.variants)

    def __repr__(self) -> str:
        budget = f"{len(self.excess)} over budget" if self.excess else "within budget"
        return f"<Check of {shown(self.ladder.name)}: {n_of(len(self.rungs), 'rung')}, {budget}>"

    def __str__(self) -> str:
        page: str = late(f"{FACES}:text")(self)
        return page

    @property
    def excess(self) -> list[str]:
        return excess_of(self.trained)


def check(ladder: Plan, *, n_seeds: int, jobs: int, speeds: Mapping[str, float]) -> Check:
    """Check a ladder; ``speeds`` are the multiply-adds per second measured so far, by engine tag (speeds.read).

    Raises DataError, and LadderError for networks that do not fit their images, for a change that has no effect on
    them, or for several concepts at once that are not declared; being over budget is a finding.
    """
    require_declared(ladder)
    data = check_data(ladder)
    found, n = check_rungs(ladder, data.info), len(ladder.rungs)
    require_effects(ladder, data.info)
    took = estimate(ladder, data.info, n_seeds=n_seeds, jobs=jobs, speeds=speeds)
    return Check(ladder, data.info, data.sha256, data.split, data.notes, found[:n], took, found[n:])


def check_data(ladder: Plan) -> CheckedData:
    """The ladder's images, split as they will be. Raises DataError for those that cannot be trained on."""
    if ladder.data == "mnist" and ladder.data_sha256 in (None, sources.MNIST_SHA256):
        n_dev = ladder.n_dev(sources.MNIST.n_train)
        if n_dev == 0 or n_dev in sources.MNIST_LAST_ARE_FINE:
            return CheckedData(sources.MNIST, sources.MNIST_SHA256, "last" if n_dev else None)
    from stepladder.datasets import data  # only now: they need numpy
    from stepladder.ladders import evaluated, image_notes  # only now: they need numpy

    identity = evaluated.data_identity(ladder)
    split = None if ladder.evaluate_on == "test" else identity.split
    notes = image_notes.examined(ladder, identity)
    return CheckedData(data.describe(ladder.data), identity.sha256, split, notes)


def check_rungs(ladder: Plan, info: DataInfo) -> tuple[CheckedRung, ...]:
    """Every rung on these images, then every variant; raises LadderError for one that cannot be trained on them."""
    rungs = []
    for rung in ladder.trained:
        who = str(_who(ladder, rung))
        try:
            network = rung.recipe.network_for(info.image)
        except GeometryError as error:
            place = ladder.place(rung.line_of_layer(error.layer_index))
            raise GeometryError(f"{place}: {who}: {error}", layer_index=error.layer_index) from None
        _require_trainable(ladder, rung, who, network, info)
        _require_sound_teacher(ladder, rung, info)
        rungs.append(CheckedRung(rung, network, tuple(budget_excess(rung, network, who=who))))
    return tuple(replace(checked, notes=notes) for checked, notes in zip(rungs, _notes(ladder, info), strict=True))


def require_declared(ladder: Plan) -> None:
    """Raise LadderError for rungs that change several distortions at once, and do not say why.

    Once they were read as one change each: what has been trained of such a ladder is shown, and no more is trained.
    """
    found = [
        f"{ladder.place(rung.change_line)}: {rules.undeclared(_who(ladder, rung), below.recipe, rung.recipe)}"
        for below, rung in ladder.steps
        if rules.is_undeclared(below.recipe, rung.recipe, rung.compound)
    ]
    if found:
        raise LadderError("\n".join(found))


def require_effects(ladder: Plan, info: DataInfo) -> None:
    """Raise LadderError for a rung that would train exactly as the rung below on these images.

    What can be told without images a ladder file is refused for.
    """
    sizes = _sizes(ladder, info)
    for below, rung in ladder.steps:
        if what_happens(below.recipe, sizes) == what_happens(rung.recipe, sizes):
            who = _who(ladder, rung)
            raise LadderError(
                f"{ladder.place(rung.change_line)}: {who} changes {', '.join(rung.changes)} without any"
                f" effect: on these images it would train exactly as {who.below}, because"
                f" {why_alike(below.recipe, rung.recipe, sizes)}"
            )


def _who(ladder: Plan, rung: Rung) -> rules.Who:
    hangs = any(variant.rung is rung for variant in ladder.variants)
    return (rules.variant if hangs else rules.rung)(rung.name, in_file=rung.is_of_file)


def notes_of(rungs: Iterable[CheckedRung]) -> list[str]:
    """What is to be said of rungs' settings that do nothing, one sentence each."""
    return [f"rung {checked.rung.name!r}: {note}" for checked in rungs for note in checked.notes]


def _notes(ladder: Plan, info: DataInfo) -> list[tuple[str, ...]]:
    """Of each rung the notes that the rung below lacks, and what is so little a change that it may be none."""
    hang_on = (ladder.rung(variant.on) for variant in ladder.variants)
    before: list[Rung | None] = [None, *ladder.rungs[:-1], *hang_on]
    found = {recipe: idle_notes(recipe, _sizes(ladder, info)) for recipe in {rung.recipe for rung in ladder.trained}}
    notes = []
    for below, rung in zip(before, ladder.trained, strict=True):
        known = found[below.recipe] if below else ()
        slight = slight_changes(below.recipe, rung.recipe) if below else ()
        notes.append((*(note for note in found[rung.recipe] if note not in known), *slight))
    return notes


def _sizes(ladder: Plan, info: DataInfo) -> Sizes:
    return Sizes(info.image, ladder.n_trained(info))


def excess_of(rungs: tuple[CheckedRung, ...]) -> list[str]:
    """How rungs are over their budgets, one sentence each."""
    return [line for checked in rungs for line in checked.excess]


def require_within_budget(ladder: Plan, rungs: tuple[CheckedRung, ...]) -> None:
    """Raise BudgetError if any rung is over its budget: of each the file and line, and what is too much."""
    if excess := [f"{ladder.place(each.rung.line)}: {line}" for each in rungs for line in each.excess]:
        raise BudgetError("over budget: " + "; ".join(excess))


def estimate(ladder: Plan, info: DataInfo, *, n_seeds: int, jobs: int, speeds: Mapping[str, float]) -> Estimate:
    """How long a climb takes: the work in multiply-adds, over the speed at which it was last done here.

    What it takes to begin is added, for the default engine, whose kernels are compiled for each network.
    """
    engine, typical = next(iter(TYPICAL_MACS_PER_S.items()))
    measured = [speed for tag, speed in speeds.items() if tag.startswith(f"{engine}-")]
    macs_per_s = measured[-1] if measured else typical
    n_runs = n_seeds * len(ladder.trained)
    jobs = max(1, min(jobs, n_runs))
    runs = _runs_of_climb(ladder, range(1, n_seeds + 1))
    macs = sum(len(seeds) * macs_per_epoch(ladder, rung, info=info) * rung.recipe.epochs for rung, seeds in runs)
    preparing_s = START_S + COMPILE_S * len({rung.network(info.image) for rung, _ in runs})
    return Estimate(macs / macs_per_s / jobs + preparing_s, n_runs, jobs, bool(measured), preparing_s)


def macs_per_epoch(ladder: Plan, rung: Rung, *, info: DataInfo) -> int:
    """Multiply-adds of one epoch: forward, and twice that backward, in training; forward in evaluation.

    Sharpness-aware training does all of it twice. Each teacher answers to each training image.
    """
    n_train = ladder.n_trained(info)
    teacher = teacher_rung(rung)
    answers = teacher.network(info.image).macs * n_train * n_teachers(rung) if teacher else 0
    passes = 6 if rung.recipe.sharpness_aware else 3
    return rung.network(info.image).macs * (passes * n_train + ladder.n_evaluated(info)) + answers


def macs_of_run(ladder: Plan, rung: Rung, *, info: DataInfo) -> int:
    """Multiply-adds of all epochs, those of the training of all its teachers included: others may have trained some."""
    rungs = [rung, *[teacher] * n_teachers(rung)] if (teacher := teacher_rung(rung)) else [rung]
    return sum(macs_per_epoch(ladder, each, info=info) * each.recipe.epochs for each in rungs)


def teacher_rung(rung: Rung) -> Rung | None:
    """What a rung's teacher would be as a rung."""
    return replace(rung, recipe=rung.recipe.teacher) if rung.recipe.teacher else None


def n_teachers(rung: Rung) -> int:
    """How many networks each run of a rung learns from."""
    return len(rung.recipe.distill.seeds_for(0)) if rung.recipe.distill else 0


def _runs_of_climb(ladder: Plan, seeds: Iterable[int]) -> list[tuple[Rung, set[int]]]:
    """All that is trained, each once: rungs and teachers, which may be a rung's recipe, with their seeds."""
    runs: dict[Recipe, tuple[Rung, set[int]]] = {}
    for rung in ladder.trained:
        runs.setdefault(rung.recipe, (rung, set()))[1].update(seeds)
        if (teacher := teacher_rung(rung)) and (distill := rung.recipe.distill):
            taught_by = {each for seed in seeds for each in distill.seeds_for(seed)}
            runs.setdefault(teacher.recipe, (teacher, set()))[1].update(taught_by)
    return list(runs.values())


def _require_sound_teacher(ladder: Plan, rung: Rung, info: DataInfo) -> None:
    """Raise LadderError for a teacher that cannot be trained on these images."""
    recipe, whose = rung.recipe.teacher, f"{_who(ladder, rung)}: its teacher"
    if recipe is None:
        return
    try:
        network = recipe.network_for(info.image)
    except GeometryError as error:
        raise GeometryError(f"{ladder.place(rung.line)}: {whose}: {error}") from None
    _require_trainable(ladder, replace(rung, recipe=recipe), whose, network, info)


def _require_trainable(ladder: Plan, rung: Rung, whose: str, network: Network, info: DataInfo) -> None:
    """Refuse a network without parameters, too few images to recalibrate on, or one value per channel for batch norm.

    The last is a last batch of one image where it sees one pixel.
    """
    recipe, place = rung.recipe, ladder.place(rung.line)
    if not network.params:
        raise LadderError(f"{place}: {whose} has no parameters to train: add a conv or linear layer")
    n_train = ladder.n_trained(info)
    if recipe.recalibrate_images > n_train:
        raise LadderError(
            f"{place}: {whose}: recalibrate_images = {recipe.recalibrate_images:,} are more than the"
            f" {n_train:,} training images: give at most those"
        )
    n_last = n_train % recipe.batch_size or recipe.batch_size
    for row in network.rows:
        if n_last == 1 and row.has(BatchNorm) and row.out_size == 1:
            raise LadderError(
                f"{place}: {whose}: layer {row.index + 1} ('{row.layer}') normalises one pixel per"
                f" channel over a last batch of one image ({n_train:,} images in batches of"
                f" {recipe.batch_size}): choose another batch_size"
            )
