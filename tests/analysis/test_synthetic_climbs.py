"""Words on synthetic climbs: what must be said of each, and what must not, because it would not be true of it.

The first are those that an audit of the words made up (numbers 1 to 17), the others further kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from records import make_run

from stepladder.analysis.comparing import compare
from stepladder.analysis.outliers import outliers
from stepladder.ladders.ladder import Rung
from stepladder.ladders.ladder_file import load
from stepladder.ladders.terms import Budget, Target
from stepladder.networks.geometry import ImageShape
from stepladder.recipes.recipe import Augment, Recipe
from stepladder.recipes.schedules import Cosine, LinearDecay, OneCycle, Plateau, Schedule, Step
from stepladder.reporting.words.diagnosis_text import notes
from stepladder.runs.results import Results, RungResult
from stepladder.runs.run import Run, WrongImage
from stepladder.runs.stats import summarise

MNIST = ImageShape(channels=1, size=28, n_classes=10)
LADDER = load("mnist-8k")
EPOCHS = 14
N_TRAIN = 60_000
EQUAL = (1000,) * 10
ROTATION = Augment(rotation_deg=10.0)


# How climbs are made up.


def rung(name: str = "synthetic", *, target: str = "99.4", most_params: int = 10_000, **recipe: Any) -> Rung:
    below = LADDER.rungs[0]
    changed = below.recipe.model_copy(update={"epochs": EPOCHS} | recipe)
    return replace(
        below,
        name=name,
        recipe=changed,
        budget=Budget(params=most_params, epochs=15),
        target=Target(accuracy=Decimal(target), last_epochs=min(5, changed.epochs)),
    )


def mistaken(n_wrong: int, sizes: Sequence[int] = EQUAL) -> list[tuple[int, int]]:
    """So many mistakes, evenly over labels and answers."""
    found: list[tuple[int, int]] = []
    shift, left = 1, [*sizes]
    while len(found) < n_wrong:
        for label in range(len(sizes)):
            if left[label] and len(found) < n_wrong:
                found.append((label, (label + 1 + shift % (len(sizes) - 1)) % len(sizes)))
                left[label] -= 1
        shift += 1
    return [(label, other if other != label else (label + 1) % len(sizes)) for label, other in found]


def matrix(sizes: Sequence[int], wrong: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    cells = [[n if label == other else 0 for other in range(len(sizes))] for label, n in enumerate(sizes)]
    for label, other in wrong:
        cells[label][label] -= 1
        cells[label][other] += 1
    return tuple(map(tuple, cells))


def one_answer(sizes: Sequence[int], answer: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(n if other == answer else 0 for other in range(len(sizes))) for n in sizes)


def run(
    seed: int,
    right: Sequence[int],
    *,
    train: Sequence[float],
    losses: Sequence[float],
    train_losses: Sequence[float] | None = None,
    sizes: Sequence[int] = EQUAL,
    confusion: tuple[tuple[int, ...], ...] | None = None,
    **how: Any,
) -> Run:
    """A run with so many images right, ``train`` percent and these losses after each epoch."""
    found = make_run(seed, right, n=sum(sizes), **how)
    last = confusion or matrix(sizes, mistaken(sum(sizes) - right[-1], sizes))
    epochs = tuple(
        epoch.model_copy(
            update={
                "n_train_correct": round(N_TRAIN * train[number] / 100),
                "loss": losses[number],
                "train_loss": (train_losses or losses)[number],
                "confusion": last,
            }
        )
        for number, epoch in enumerate(found.epochs)
    )
    cells = [(label, other) for label, row in enumerate(last) for other, n in enumerate(row) if other != label]
    wrong = [pair for pair in cells for _ in range(last[pair[0]][pair[1]])]
    images = tuple(
        WrongImage(index=index, label=label, predicted=other, probability=0.6)
        for index, (label, other) in enumerate(wrong)
    )
    return found.model_copy(update={"epochs": epochs, "wrong_images": images if epochs else ()})


def towards(end: float, *, start: float, pace: float = 0.5, n: int = EPOCHS) -> list[float]:
    """From ``start`` towards ``end``, each time by a part of what is left."""
    return [end + (start - end) * pace**number for number in range(n)]


def right_towards(end: int, *, n: int = EPOCHS) -> list[int]:
    """So many right from the fifth epoch before the end on, and fewer before."""
    return [*(round(each) for each in towards(end, start=0.95 * end, n=max(0, n - 5))), *[end] * min(n, 5)]


def jitter(seed: int) -> int:
    """A few images more or fewer, by seed: with 8 seeds 0 in the median."""
    return (0, 3, -2, 5, -4, 1, -1, 2)[seed % 8]


def fine(seed: int, end: int = 9920, *, losses: Sequence[float] | None = None, train: float = 99.2, **how: Any) -> Run:
    """An ordinary seed that ends with about so many images right."""
    losses = losses or towards(0.03, start=0.2, pace=0.6)
    n = len(losses)
    right = right_towards(end + jitter(seed), n=n)
    return run(seed, right, train=towards(train, start=90, n=n), losses=losses, **how)


def collapsed(seed: int, *, answer: int = 1, before: Sequence[int] = (), sizes: Sequence[int] = EQUAL) -> Run:
    """A seed that gives one answer, at once or after so many epochs of learning."""
    n = EPOCHS - len(before)
    return run(
        seed,
        [*before, *[sizes[answer]] * n],
        train=[*(98.0 for _ in before), *[10.0] * n],
        losses=[*(0.05 for _ in before), *[2.3] * n],
        sizes=sizes,
        confusion=one_answer(sizes, answer),
    )


@dataclass(frozen=True)
class Climb:
    """A rung with its runs, what must be said of it, and what must not."""

    runs: Sequence[Run]
    says: Sequence[str]
    never: Sequence[str] = ()
    rung: Rung = field(default_factory=rung)


def results(*rungs: tuple[Rung, Sequence[Run]]) -> Results:
    found = tuple(RungResult(each, tuple(runs), summarise(runs, each.target)) for each, runs in rungs)
    params = tuple(each.rung.network(MNIST).params for each in found)
    return Results(ladder=LADDER, engine=None, rungs=found, params=params, others={}, n_test_looks=0)


def words(climb: Climb) -> str:
    """The results, the analysis and the next steps, in a row."""
    found = notes(results((climb.rung, climb.runs)), 0, None)
    return " ".join((*found.results, *found.analysis, *(f"Next: {step}" for step in found.next_steps)))


# The climbs.


SEEDS = range(1, 9)
CAPACITY = ("receptive field", "Wider layers")  # which do not follow from what these climbs show
BOUNCING = [0.10, 0.07, *(0.04 + (0.005 if number % 2 else -0.005) for number in range(EPOCHS - 2))]
RISING_LOSS = [0.10, 0.06, 0.045, 0.04, 0.04, 0.04, 0.042, 0.044, 0.046, 0.048, 0.05, 0.053, 0.055, 0.057]
FALLING = towards(0.001, start=0.2, pace=0.7)
CUT_EARLY = [0.30, 0.25, 0.21, 0.17, 0.14, 0.12, *(0.1165 - 0.0007 * number for number in range(8))]
DIPS = [9945] * 12 + [9939, 9945]
FALLS_AT_END = [9500, 9700, 9800, 9850, 9880, 9890, 9890, 9890, 9880, 9870, 9860, 9850, 9840, 9830]


def weak_class(label: int, n_right: int, *, others: int = 990) -> tuple[tuple[int, ...], ...]:
    """All classes of 1,000 images have ``others`` right, and this one fewer; mistakes are even."""
    rows = []
    for own in range(10):
        n_wrong = 1000 - (n_right if own == label else others)
        answers = [other for other in range(10) if other != own]
        row = {other: n_wrong // 9 + (place < n_wrong % 9) for place, other in enumerate(answers)}
        rows.append(tuple(row.get(other, 1000 - n_wrong) for other in range(10)))
    return tuple(rows)


def of_matrix(seed: int, cells: tuple[tuple[int, ...], ...], *, train: float = 99.0) -> Run:
    """An ordinary seed with this confusion at the end."""
    sizes, right = [sum(row) for row in cells], sum(cells[label][label] for label in range(len(cells)))
    losses = towards(0.05, start=0.3, pace=0.6)
    rights = right_towards(right)
    return run(seed, rights, train=towards(train, start=80), losses=losses, sizes=sizes, confusion=cells)


def with_tail(seed: int, tail: Sequence[int], *, train: float = 99.5) -> Run:
    return run(seed, tail, train=towards(train, start=90), losses=towards(0.02, start=0.2, pace=0.6))


def falls_at_end(seed: int, *, train: float, train_losses: Sequence[float]) -> Run:
    right, towards_train = [n + jitter(seed) for n in FALLS_AT_END], towards(train, start=90)
    return run(seed, right, train=towards_train, losses=RISING_LOSS, train_losses=train_losses)


def restless(seed: int, losses: Sequence[float]) -> list[float]:
    """The same losses, each off by up to 2%, otherwise for each seed."""
    random = Random(seed)
    return [loss * (1 + random.uniform(-0.02, 0.02)) for loss in losses]


def never_answered(label: int, instead: int) -> tuple[tuple[int, ...], ...]:
    """All images of a class are taken for another, and none of the others' for it."""
    rows = [[990 if own == other else 0 for other in range(10)] for own in range(10)]
    for own in range(10):
        rows[own][next(other for other in (4, 6) if other != own)] += 10
    rows[label] = [1000 if other == instead else 0 for other in range(10)]
    return tuple(map(tuple, rows))


def improving(seed: int) -> Run:
    losses = restless(seed, [0.4 * 0.87**number for number in range(EPOCHS)])
    train = [96 + 0.19 * number for number in range(EPOCHS)]
    return run(seed, right_towards(9800 + jitter(seed)), train=train, losses=losses)


OTHERS = [fine(s, 9935, train=99.35) for s in SEEDS]  # of which some are left out where other seeds take their place
MILD = ("Under-fitting", "Over-fitting", "far below", "hardly improved", "other than")  # not true of those others
STEP = Step(kind="step", every_epochs=6, factor=0.1)


def uneven(most: int, few: int) -> tuple[tuple[int, ...], ...]:
    """Of 9,000 images of a class and 100 of another so many are right."""
    return ((most, 9000 - most), (100 - few, few))


def balanced_rung(accuracy: str) -> Rung:
    return replace(rung(), target=Target(accuracy=Decimal(accuracy), last_epochs=1, balanced=True))


def rising_loss(seed: int, *, train: float = 99.9, rises: Sequence[float] = RISING_LOSS) -> Run:
    """The test loss rises while the train loss stays, and the accuracies do too."""
    right = right_towards(9880 + jitter(seed))
    return run(seed, right, train=[train] * EPOCHS, losses=rises, train_losses=[0.06] * EPOCHS)


NO_HARM = (
    "Over-fitting",
    "over-fitting",
    "no harm",
    "does not clearly rise",
    "hardly improved",
)  # not of a rising loss
RISES = "The mean test loss of the last 3 epochs is 38% above that of epochs 4 to 6, while the train loss does not"
LOSS_FROM_0 = [0.1, 0.01, *[0.0] * 9, *[0.02] * 3]


def others(*without: int) -> list[Run]:
    return [each for each in OTHERS if each.identity.seed not in without]


CLIMBS = {
    "1 over-fitting": Climb(
        [fine(s, 9880, losses=RISING_LOSS, train=99.95, train_losses=FALLING) for s in SEEDS],
        says=[
            "Over-fitting: train accuracy, 99.95%, is 1.14 points above test accuracy, 98.80%, more than chance",
            "the mean test loss of the last 3 epochs is 38% above that of epochs 4 to 6, while the train loss falls",
            "Next: Dropout could reduce the gap of 1.14 points; none is in use.",
        ],
        never=["A gap", "Under-fitting", "No over-fitting", "accuracy falls", *CAPACITY],
    ),
    "2 under-fitting": Climb(
        [fine(s, 9000, losses=[0.4, 0.36, 0.33, 0.31], train=89) for s in SEEDS],
        says=[
            "Under-fitting: train accuracy, 89.12%, and test accuracy, 90.00%, are both below 99.4%",
            "Next: More epochs could help: accuracy is far below 99.4%, and 11 epochs of the budget are left. Next: A"
            " learning rate other than 0.01 could help",
        ],
        never=["Over-fitting", "A gap", "Dropout", "collapsed", *CAPACITY],
        rung=rung(epochs=4),
    ),
    "3 bounce": Climb(
        [fine(s, losses=BOUNCING, train=99.8) for s in SEEDS],
        says=[
            "The test loss bounces: in epochs 7 to 14, at a learning rate of 0.01, it moves by 0.0100 from epoch to"
            " epoch, 25% of its level, and ranges from 0.0350 to 0.0450 in a typical run.",
            "A gap: train accuracy, 99.80%",
            "Next: A schedule that lowers the learning rate, 0.01 throughout, could settle the loss. Next: Dropout",
        ],
        never=["Over-fitting", "Under-fitting", *CAPACITY],
    ),
    "4 one of eight collapses": Climb(
        [*others(5), collapsed(5)],
        says=[
            "worst 10.00%, median 99.34%",
            "Seed 5 collapsed: it ends at 10.00%, no better than naming the most frequent class each time; the median"
            " of the other 7 seeds is 99.35%. What follows is about the other 7 seeds unless it says otherwise.",
            "The mean of all 8 seeds is 11.22 points short of 99.4%: 1,122 more of the 10,000 images right would reach"
            " it. The mean of the other 7 seeds is at 99.35%, 0.05 points short of it.",
            "No over-fitting shows: train accuracy, 99.35%, is not above test accuracy, 99.35%",
            "60 images are wrong in all 7 other runs",
            "a typical run gets 65 wrong, the target allows 60.",
            "Next: A learning rate below 0.01, or a warm-up, could keep seeds from collapsing as seed 5 did.",
        ],
        never=["No learning", "One answer", "confused", "unusually", *MILD, *CAPACITY],
    ),
    "5 plateau": Climb(
        [fine(s, losses=restless(s, towards(0.03, start=0.2, pace=0.2)), train=99.8) for s in SEEDS],
        says=["The mean test loss over seeds has hardly improved since epoch 5: by less than 5%.", "A gap: train"],
        never=["Over-fitting", "Under-fitting", "bounces", "More epochs", *CAPACITY],
    ),
    "6 one seed": Climb(
        [fine(3, losses=BOUNCING, train=99.9)],
        says=[
            "Test accuracy: 99.25% with one seed.",
            "Its accuracy is 0.15 points short",
            "more than the choice of images explains (±0.19 points). One seed cannot tell whether it does harm.",
            "and ranges from 0.0350 to 0.0450. Next: More seeds would show how much of this is luck.",
        ],
        never=["Over-fitting", "typical run", "seeds hold", "more than chance", "The mean", *CAPACITY],
    ),
    "7 three of eight diverge": Climb(
        [*others(1, 2, 3), *(make_run(s, [9000] * 14, diverged_at_epoch=2) for s in (1, 2, 3))],
        says=[
            "Test accuracy: none is given, because 3 of 8 runs diverged.",
            "Diverged: seed 1 at epoch 2, seed 2 at epoch 2 and seed 3 at epoch 2.",
            "wrong in all 5 finished runs",
            "Next: A learning rate below 0.01 could keep the runs from diverging.",
        ],
        never=["The mean", "collapsed", "fitting", "median", *CAPACITY],
    ),
    "8 one image in one epoch of one seed": Climb(
        [*(with_tail(s, right_towards(9945)) for s in SEEDS if s != 4), with_tail(4, DIPS)],
        says=[
            "The mean reaches 99.4%, but only 7 of 8 seeds hold it",
            "it is missed at 1 of the 40 epochs that count.",
            "Next: Little is missing: with 1 more image right, the epoch that missed would have reached 99.4%.",
        ],
        never=["short", "Under-fitting", "unusually", "collapsed", "Augmentation", "epochs of the", *CAPACITY],
    ),
    "8b the mean is one image short": Climb(
        [with_tail(s, right_towards(9939), train=99.38) for s in SEEDS],
        says=[
            "The mean is 0.01 points short of 99.4%: 1 more of the 10,000 images right would reach it.",
            "Next: Little is missing: with 1 more image right, each of the 40 epochs that missed would have reached",
        ],
        never=["Under-fitting", "Augmentation", "far", *CAPACITY],
    ),
    "10b always one class": Climb(
        [collapsed(s) for s in SEEDS],
        says=[
            "No learning: test accuracy, 10.00%, is no better than naming the most frequent class each time.",
            "One answer for all: 100% of the test images are taken for class 1, which 10% of them are.",
            "Next: A learning rate other than 0.01 could get it to learn.",
        ],
        never=["collapsed", "Under-fitting", "confused", "never predicted", *CAPACITY],
    ),
    "10d class 7 far below": Climb(
        [of_matrix(s, weak_class(7, 400)) for s in SEEDS],
        says=[
            "Class 7 is far below the others: 40% of its 1,000 images are right on average over 8 runs, where of the"
            " other classes it is 99% in the median.",
            "Next: Class 7 comes first: 87% of the mistakes are its images; look at them and their labels.",
        ],
        never=["Class 6", "Classes", "never predicted", "balanced", "One answer", *CAPACITY],
    ),
    "11 two classes": Climb(
        [of_matrix(s, ((4946, 54), (40, 4960)), train=99.1) for s in SEEDS],
        says=["Most confused, over 8 runs: 0 taken for 1 (432 times) and 1 for 0 (320)."],
        never=["far below the others", "Classes", "One answer", "Over-fitting"],
    ),
    "13 train lower, for rotation and dropout": Climb(
        [fine(s, train=97.5) for s in SEEDS],
        says=[
            "Train accuracy, 97.50%, is measured with dropout and on rotated images, which lowers it",
            "Next: Less dropout than 5%, or weaker augmentation, could be tried: with both, train accuracy stays below"
            " test accuracy, and these numbers cannot tell which of them does it.",
        ],
        never=["Under-fitting", "Over-fitting", "with it, train accuracy", *CAPACITY],
        rung=rung(dropout=0.05, augment=ROTATION),
    ),
    "14 the learning rate falls while the loss falls fast": Climb(
        [fine(s, 9700, losses=CUT_EARLY, train=96.8) for s in SEEDS],
        says=[
            "Under-fitting: train accuracy, 96.80%",
            "from epoch to epoch the test loss moves by 0.0300 before (epochs 3 to 6) and by 0.0007 after",
            "The learning rate falls too early, after epoch 6: in the 2 epochs before, the mean test loss fell by 16%"
            " an epoch, and all 8 epochs after it bring less than those 2.",
            "Next: A learning rate that falls later than after epoch 6, or by less, could help",
        ],
        never=["settle", "Over-fitting", "other than", *CAPACITY],
        rung=rung(schedule=STEP),
    ),
    "15 constant improvement": Climb(
        [improving(s) for s in SEEDS],
        says=[
            "Still learning: over the last 3 epochs the test loss is 34% lower than over the 3 before",
            "Next: More epochs could help: the loss is still falling, and 1 epoch of the budget is left.",
        ],
        never=["hardly improved", "Over-fitting", "bounces", *CAPACITY],
    ),
    "a gap that does no harm, as the best rung of Fashion has": Climb(
        [fine(s, 9194, losses=towards(0.24, start=0.6), train=93.63) for s in SEEDS],
        says=[
            "A gap: train accuracy, 93.63%, is 1.68 points above test accuracy, 91.94%",
            "Training on does no harm that shows: test loss does not clearly rise, nor does accuracy fall.",
        ],
        never=["Over-fitting", "Under-fitting", *CAPACITY],
        rung=rung(target="92.0", lr=0.05, schedule=Cosine(kind="cosine")),
    ),
    "one answer for nearly all": Climb(
        [of_matrix(s, ((950, 50, 0), (930, 70, 0), (960, 40, 0))) for s in SEEDS],
        says=[
            "One answer for nearly all: 95% of the test images are taken for class 0, which 33% of them are.",
            "Next: Nearly all test images get one answer, though train accuracy is 99.00%: do training and test images",
        ],
        never=["No learning", "far below the others", "Dropout", "Augmentation", *CAPACITY],
    ),
    "20 images": Climb(
        [of_matrix(s, ((9, 1), (1, 9)), train=95) for s in SEEDS],
        says=[
            "Only 20 test images are evaluated: one image is 5.00 points.",
            "9.40 points short of 99.4%: 2 more of the 20 images right would reach it.",
            "by more than chance explains (±13.42 points)",
            "Next: Little is missing: with 2 more images right",
        ],
        never=["Under-fitting", "A gap", "far below", "other than", *CAPACITY],
    ),
    "a low seed that did not collapse": Climb(
        [*others(5), fine(5, 9850, train=98.6)],
        says=["Seed 5 is unusually low: 98.51%; that is no collapse; the median of the other 7 seeds is 99.35%."],
        never=["collapsed", "What follows", "collapsing", "far below"],
    ),
    "a high seed": Climb(
        [*(fine(s, 9820, train=98.2) for s in SEEDS if s != 5), fine(5, 9945, train=99.3)],
        says=["Seed 5 is unusually high: 99.46%; the median of the other 7 seeds is 98.20%."],
        never=["collapse", "What follows", "unusually low"],
    ),
    "two of eight collapse": Climb(
        [*others(2, 5), collapsed(5), collapsed(2, answer=3)],
        says=[
            "Seeds 2 and 5 collapsed: they end at 10.00%, no better than naming the most frequent class each time; the"
            " median of the other 6 seeds is 99.36%. What follows is about the other 6 seeds",
            "from collapsing as seeds 2 and 5 did.",
        ],
        never=["One answer", "No learning", *MILD, *CAPACITY],
    ),
    "five of eight collapse": Climb(
        [*others(4, 5, 6, 7, 8), *(collapsed(s) for s in (4, 5, 6, 7, 8))],
        says=[
            "Seeds 4, 5, 6, 7 and 8 collapsed: they end at 10.00%",
            "the median of the other 3 seeds is 99.38%. What follows is about the other 3 seeds",
        ],
        never=["unusually", "No learning", *MILD, *CAPACITY],
    ),
    "one of three collapses": Climb(
        [*others(*range(3, 9)), collapsed(3)],
        says=["Seed 3 collapsed: it ends at 10.00%", "62 images are wrong in both other runs, 67 in at least one"],
        never=[*MILD, *CAPACITY],
    ),
    "all collapse, each to another class": Climb(
        [collapsed(s, answer=s) for s in SEEDS],
        says=[
            "No learning: test accuracy, 10.00%",
            "100% of the test images are taken for one class, which is not the same in all runs.",
        ],
        never=["collapsed", "other 7", "taken for class", "confused", *CAPACITY],
    ),
    "a late collapse": Climb(
        [*others(5), collapsed(5, before=right_towards(9900)[:9])],
        says=["Seed 5 collapsed: it ends at 10.00% (after 98.98% at epoch 9), no better than naming"],
        never=["unusually", *MILD, *CAPACITY],
    ),
    "a collapse to half": Climb(
        [*others(5), fine(5, 5000, train=50)],
        says=["Seed 5 collapsed: it ends at 50.01%; the median of the other 7 seeds is 99.35%."],
        never=["no better than", "unusually", *MILD, *CAPACITY],
    ),
    "a late divergence": Climb(
        [*others(8), make_run(8, [9900] * 14, diverged_at_epoch=12)],
        says=["Diverged: seed 8 at epoch 12.", "because 1 of 8 runs diverged"],
        never=["collapsed", "The mean", "fitting", *CAPACITY],
    ),
    "unequal classes, the small ones neglected": Climb(
        [of_matrix(s, ((8990, 5, 5), (300, 200, 0), (500, 0, 0)), train=92) for s in SEEDS],
        says=[
            "One answer for nearly all: 98% of the test images are taken for class 0, which 90% of them are.",
            "Classes are unequal, of 500 to 9,000 test images: balanced accuracy, the mean of each class's share of"
            " right images, is 47%, where accuracy is 91.90%.",
        ],
        never=["No learning", "do training and test images differ"],
    ),
    "a class that is never answered": Climb(
        [of_matrix(s, never_answered(3, 5)) for s in SEEDS],
        says=[
            "Class 3 is never predicted: none of its 1,000 images is right.",
            "Next: Class 3 comes first: 92% of the mistakes are its images",
        ],
        never=["Class 3 is far below", "One answer", "unequal", *CAPACITY],
    ),
    "perfect": Climb(
        [with_tail(s, [10_000] * 14, train=100) for s in SEEDS],
        says=["No image is wrong in any of the 8 runs.", "All 8 seeds hold 99.4%", "Next: Fewer than 9,714 parameters"],
        never=["short", "Over-fitting", "Under-fitting", "unusually", "More epochs", *CAPACITY],
    ),
    "accuracy falls at the end, for over-fitting": Climb(
        [falls_at_end(s, train=99.9, train_losses=FALLING) for s in SEEDS],
        says=[
            "Over-fitting: train accuracy, 99.90%",
            "test accuracy falls: over the last 3 epochs it is 98.40% on average, over epochs 6 to 8 it was 98.90%",
            "Next: Dropout",
        ],
        never=["No over-fitting", "hardly improved", *CAPACITY],
    ),
    "accuracy falls at the end, and train with it": Climb(
        [falls_at_end(s, train=98.0, train_losses=[0.06] * EPOCHS) for s in SEEDS],
        says=[
            "Test accuracy falls: over the last 3 epochs it is 98.40% on average, over epochs 6 to 8 it was 98.90%.",
            "Next: A schedule that lowers the learning rate, 0.01 throughout, could keep test accuracy from falling.",
        ],
        never=["Over-fitting", "while the train loss falls", "settle", *CAPACITY],
    ),
    "heavy augmentation": Climb(
        [fine(s, 9930, train=91) for s in SEEDS],
        says=[
            "Train accuracy, 91.00%, is measured on distorted images, which lowers it",
            "Next: Weaker augmentation could be tried: with it, train accuracy stays below test accuracy.",
        ],
        never=["dropout", "Under-fitting", "far below", *CAPACITY],
        rung=rung(augment=Augment(rotation_deg=30.0, shift_px=4.0)),
    ),
    "the loss rises, and the train loss does not fall": Climb(
        [rising_loss(s) for s in SEEDS],
        says=["(±0.24 points). " + RISES + " clearly fall.", "could keep test loss from rising. Next: Dropout"],
        never=[*NO_HARM, "accuracy falls", *CAPACITY],
    ),
    "the loss doubles, and train is no better": Climb(
        [rising_loss(s, train=98.8, rises=[*[0.05] * 9, *[0.1] * 5]) for s in SEEDS],
        says=["The mean test loss of the last 3 epochs is 100% above that of epochs 1 to 3, while the train loss does"],
        never=[*NO_HARM, "Yet", *CAPACITY],
    ),
    "the loss rises from nothing": Climb(
        [rising_loss(s, rises=LOSS_FROM_0) for s in SEEDS],
        says=["The mean test loss of the last 3 epochs is 0.0200, where that of epochs 3 to 5 is 0, while the train"],
        never=[*NO_HARM, "inf"],
    ),
    "accuracy falls from all right": Climb(
        [with_tail(s, [*[10_000] * 9, *[9000] * 5], train=99.9) for s in SEEDS],
        says=[
            "Test accuracy falls: over the last 3 epochs it is 90.00% on average, over epochs 1 to 3 it was 100.00%."
        ],
        never=["no harm", "nor does accuracy fall"],
    ),
    "loss rises and accuracy falls, and the train loss stays": Climb(
        [falls_at_end(s, train=99.9, train_losses=[0.06] * EPOCHS) for s in SEEDS],
        says=[RISES + " clearly fall. Test accuracy falls: over the last 3 epochs it is 98.40% on average"],
        never=NO_HARM,
    ),
    "loss rises while train loss falls, far from the target": Climb(
        [fine(s, 8000, losses=RISING_LOSS, train=93, train_losses=FALLING) for s in SEEDS],
        says=["A gap: train accuracy", "Yet the mean test loss of the last 3 epochs is 38% above"],
        never=["no harm", "does not clearly rise"],
    ),
    "the last epochs are without distortion": Climb(
        [fine(s, 9930, train=98) for s in SEEDS],
        says=["No over-fitting shows: train accuracy, 98.00%, is not above test accuracy, 99.30%"],
        never=["rotated", "distorted", "lowers it", "Weaker augmentation", "rules out"],
        rung=rung(dropout=0.0, augment=ROTATION, clean_epochs=2),
    ),
    "under-fitting that distortion does not hide": Climb(
        [fine(s, 9700, train=97) for s in SEEDS],
        says=["Under-fitting: train accuracy, 97.00%, and test accuracy, 97.00%, are both below 99.4%"],
        never=["rotated", "rule out", "Weaker augmentation"],
        rung=rung(dropout=0.0, augment=ROTATION, clean_epochs=5),
    ),
    "dropout to the end, distortion not": Climb(
        [fine(s, 9930, train=98) for s in SEEDS],
        says=["is measured with dropout, which lowers it", "Next: Less dropout than 5% could be tried: with it, train"],
        never=["rotated", "augmentation"],
        rung=rung(dropout=0.05, augment=ROTATION, clean_epochs=1),
    ),
    "what falls when distortion ends is not still learning": Climb(
        [improving(s) for s in SEEDS],
        says=["Under-fitting"],
        never=["Still learning", "still falling"],
        rung=rung(augment=ROTATION, clean_epochs=3),
    ),
    "both of two uneven classes are recalled, though naming one would be right more often": Climb(
        [of_matrix(s, uneven(8500, 95)) for s in SEEDS],
        says=["balanced accuracy, the mean of each class's share of right images, is 95%, where accuracy is 94.45%."],
        never=["No learning", "get it to learn", "One answer", "collapsed"],
    ),
    "a seed with more of the small class has not collapsed": Climb(
        [*(of_matrix(s, uneven(8990, 90)) for s in SEEDS if s != 8), of_matrix(8, uneven(8700, 99))],
        says=["All 8 seeds hold 90% balanced accuracy"],
        never=["collapsed", "unusually", "other 7"],
        rung=balanced_rung("90"),
    ),
    "nor is it where accuracy is aimed at": Climb(
        [*(of_matrix(s, uneven(8990, 90)) for s in SEEDS if s != 8), of_matrix(8, uneven(7500, 99))],
        says=["Seed 8 is unusually low: 83.51%; that is no collapse; the median of the other 7 seeds is 99.78%."],
        never=["collapsed"],
    ),
    "a seed that lost the small class, by the measure of the target": Climb(
        [*(of_matrix(s, uneven(8990, 90)) for s in SEEDS if s != 8), of_matrix(8, uneven(9000, 3))],
        says=[
            "Seed 8 collapsed: it ends at 51.50% balanced accuracy; the median of the other 7 seeds is 94.94% balanced"
            " accuracy.",
            "The mean of all 8 seeds is 0.49 points short of 90% balanced accuracy. The mean of the other 7 seeds is at"
            " 94.94% balanced accuracy, at or above it.",
        ],
        rung=balanced_rung("90"),
    ),
    "a seed that names one class, by the measure of the target": Climb(
        [*(of_matrix(s, uneven(8990, 90)) for s in SEEDS if s != 8), of_matrix(8, uneven(8990, 4))],
        says=["it ends at 51.94% balanced accuracy, where naming one class each time gives 50.00% balanced accuracy;"],
        never=["no better"],
        rung=balanced_rung("90"),
    ),
    "a balanced target says nothing of plain accuracy": Climb(
        [of_matrix(s, ((4800, 1200), (0, 3000)), train=84.0) for s in SEEDS],
        says=["No over-fitting shows: train accuracy, 84.00%", "All 8 seeds hold 89% balanced accuracy"],
        never=["Under-fitting", "below 89%"],
        rung=balanced_rung("89"),
    ),
    "plain accuracies are not cut at a balanced target": Climb(
        [of_matrix(s, ((89998, 10002), (5, 95)), train=89.9999) for s in SEEDS[:1]],
        says=["Test accuracy: 90.00% with one seed.", "The one run holds 90% balanced"],
        never=["89.99%"],
        rung=balanced_rung("90"),
    ),
    "balanced accuracy is not shown as a target that it misses": Climb(
        [of_matrix(s, uneven(8095, 90)) for s in SEEDS],
        says=["right images, is 89.97%, where accuracy is 89.95%."],
        rung=balanced_rung("90"),
    ),
    "one seed is short of a balanced target": Climb(
        [of_matrix(1, ((4900, 100), (100, 4900)))],
        says=["Its balanced accuracy is 1.00 points short of 99%. A gap"],
        never=["images right would reach it", "short of 99% balanced"],
        rung=balanced_rung("99"),
    ),
    "a seed that names one class is right more often than those that learned": Climb(
        [*(of_matrix(s, uneven(8500, 95)) for s in SEEDS if s != 8), of_matrix(8, uneven(9000, 0))],
        says=["Seed 8 collapsed: it ends at 98.90%, no better than naming the most frequent class each time; the"],
        never=["(after"],
    ),
    "all but one seed name one class": Climb(
        [*(of_matrix(s, uneven(9000, 0)) for s in SEEDS if s != 8), of_matrix(8, uneven(8900, 95))],
        says=["The other seed is at 96.94% balanced accuracy, at or above it."],
        never=["No learning", "One answer"],
        rung=balanced_rung("90"),
    ),
    "20 images, all wrong": Climb(
        [of_matrix(s, ((0, 10), (10, 0)), train=5) for s in SEEDS],
        says=["99.40 points short of 99.4%: nothing less than all 20 images right would reach it."],
        never=["±0.0", "20 more of"],
    ),
    "20 images, all right": Climb(
        [of_matrix(s, ((10, 0), (0, 10)), train=95) for s in SEEDS],
        says=["train accuracy, 95.00%, is not above test accuracy, 100.00%, by more than chance explains (±9.32"],
        never=["±0.0"],
        rung=rung(dropout=0.0),
    ),
    "one image": Climb(
        [of_matrix(s, ((0, 1), (0, 0)), train=95) for s in SEEDS[:1]],
        says=["nothing less than the one image right would reach it.", "(±100.00 points)"],
        never=["±0.0", "1 more of", "A gap", "1 images"],
    ),
    "one of two collapses": Climb(
        [fine(1, 9935, train=99.35), collapsed(2)],
        says=["The mean of both seeds is", "The other seed is at 99.38%, 0.02 points short of it."],
        never=["all 2"],
    ),
    "a class of one image": Climb(
        [of_matrix(s, ((500, 0, 0), (0, 500, 0), (1, 0, 0)), train=99.8) for s in SEEDS[:1]],
        says=["Class 2 is never predicted: its one image is not right."],
    ),
}


@pytest.mark.parametrize("name", CLIMBS)
def test_what_is_said_of_a_climb(name: str) -> None:
    climb = CLIMBS[name]
    text = words(climb)
    for sentence in climb.says:
        assert sentence in text
    for sentence in climb.never:
        assert sentence not in text


# Two rungs, and what a ladder has measured.


@pytest.mark.parametrize(
    "gains", [[1] * 7 + [40], [1] * 8], ids=["16 seven gain an image, one 40", "17 each gains one"]
)
def test_one_interval_decides_and_nothing_beside_it_says_otherwise(gains: Sequence[int]) -> None:
    below = [with_tail(s, right_towards(9930 + jitter(s))) for s in SEEDS]
    above = [with_tail(s, right_towards(9930 + jitter(s) + gain)) for s, gain in zip(SEEDS, gains, strict=True)]
    found = results((rung("below"), below), (replace(rung("above"), changes=("lr",)), above))
    comparison = compare(found)[0]
    sentence = notes(found, 1, comparison).analysis[0]
    assert comparison.interval is not None
    assert comparison.interval[1] - comparison.interval[0] >= 0.02, "at least an image each way"
    assert ("better" in sentence) == (comparison.interval[0] > 0)
    assert not any(each in sentence for each in ("p =", "corrected", "no detectable", "8/8"))


def with_gap(end: int) -> list[Run]:
    return [fine(s, end, train=99.9) for s in SEEDS]


@pytest.mark.parametrize(
    ("end", "gained", "advised"),
    [(9850, False, "Dropout"), (9900, True, "Augmentation"), (9880, False, "Dropout")],
    ids=["worse", "better", "equal"],
)
def test_what_the_ladder_tried_without_a_gain_is_not_advised(end: int, gained: bool, advised: str) -> None:
    start, rotated = rung("start", dropout=0.0), rung("rotated", augment=ROTATION)
    found = results((start, with_gap(9880)), (replace(rotated, changes=("augment",)), with_gap(end)))
    first = notes(found, 0, None).next_steps
    assert ("No gain showed with augmentation (rung 'rotated')." in first[0]) == (not gained)
    assert any(step.startswith("Augmentation") for step in first) == gained
    assert any(step.startswith(advised) for step in first)


def test_less_dropout_is_not_advised_where_dropout_gained() -> None:
    """Train accuracy is below test accuracy with dropout, as it should be."""
    dropping = replace(rung("dropping", dropout=0.05), changes=("dropout",))
    runs = [fine(s, train=97.5) for s in SEEDS]
    for below, advised in ((9880, False), (9920, True)):
        found = results((rung("start"), [fine(s, below) for s in SEEDS]), (dropping, runs))
        assert any("Less dropout" in step for step in notes(found, 1, None).next_steps) == advised


def removed(what: dict[str, Any], end: int) -> list[tuple[Rung, list[Run]]]:
    """A rung that has it, with a gap, and one above without it that ends with so many right."""
    below, name = rung("with", **what), next(iter(what))
    without: dict[str, Any] = what | {name: Recipe.model_fields[name].get_default(call_default_factory=True)}
    above = replace(rung("without", **without), changes=(name,))
    return [(below, with_gap(9880)), (above, with_gap(end))]


@pytest.mark.parametrize(
    ("what", "word"),
    [
        ({"dropout": 0.05}, "Dropout"),
        ({"augment": ROTATION, "dropout": 0.05}, "Augmentation"),
        ({"weight_decay": 0.001, "dropout": 0.05, "augment": ROTATION}, "Weight decay"),
    ],
)
@pytest.mark.parametrize("end", [9840, 9880, 9910], ids=["worse", "equal", "better"])
def test_what_was_taken_away_is_advised_again_only_if_it_had_gained(what: dict[str, Any], word: str, end: int) -> None:
    found = results(*removed(what, end))
    steps = notes(found, 1, compare(found)[0]).next_steps
    assert any(step.startswith(f"{word} could reduce") for step in steps) == (end < 9880)
    assert not any(f"{word.lower()} (rung 'without')" in step for step in steps), "which is the one without it"


def test_what_had_gained_before_it_was_taken_away_is_not_advised_to_be_less() -> None:
    def below_test(end: int) -> list[Run]:
        return [fine(s, end, train=97.5) for s in SEEDS]

    in_use: list[tuple[str, Any, str]] = [
        ("dropout", 0.05, "Less dropout"),
        ("augment", ROTATION, "Weaker augmentation"),
    ]
    for name, value, word in in_use:
        for end, advised in ((9880, False), (9930, True)):
            above = replace(rung("without"), changes=(name,))
            found = results((rung("with", **{name: value}), below_test(9900)), (above, below_test(end)))
            assert any(step.startswith(word) for step in notes(found, 0, None).next_steps) == advised


def far_off(end: int) -> list[Run]:
    return [fine(s, end, train=end / 100 + 0.1) for s in SEEDS]


@pytest.mark.parametrize(
    ("ends", "advised"),
    [
        ((9500, 9300, 9200), None),
        ((9500, 9300, 9400), None),
        ((9500, 9300, 9700), "above 0.01 "),
        ((9500, 9300, None), "above 0.01 "),
        ((9500, None, 9300), "below 0.01 "),
        ((9500, None, None), "other than 0.01 "),
    ],
    ids=["both worse", "both worse than the start", "higher better", "lower worse", "higher worse", "none tried"],
)
def test_a_rate_that_was_tried_both_ways_is_not_advised(ends: Sequence[int | None], advised: str | None) -> None:
    """At the start, of 0.01: lower is 0.003, higher 0.03."""
    lower, higher = (replace(rung(f"{lr}", lr=lr), changes=("lr",)) for lr in (0.003, 0.03))
    tried = [(each, far_off(end)) for each, end in zip((rung("start"), lower, higher), ends, strict=True) if end]
    steps = notes(results(*tried), 0, None).next_steps
    rates = [step for step in steps if step.startswith("A learning rate")]
    assert rates == ([f"A learning rate {advised}could help: accuracy is far below 99.4%."] if advised else [])


def test_nor_where_nothing_was_learned_at_any() -> None:
    lower, higher = (replace(rung(f"{lr}", lr=lr), changes=("lr",)) for lr in (0.003, 0.03))
    blind = [collapsed(s) for s in SEEDS]
    one = results((rung("start"), blind), (lower, blind))
    assert notes(one, 0, None).next_steps == ("A learning rate above 0.01 could get it to learn.",)
    both = results((rung("start"), blind), (lower, blind), (higher, blind))
    assert notes(both, 0, None).next_steps == ("Nothing in these numbers points to a next step.",)


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize("diverges", [True, False])
def test_a_lower_rate_that_lost_seeds_again_is_not_to_steady_them(again: bool, diverges: bool) -> None:
    lost = make_run(5, [9000] * 14, diverged_at_epoch=2) if diverges else collapsed(5)
    low = replace(rung("low", lr=0.003), changes=("lr",))
    warm = replace(rung("warm", lr=0.003, schedule=Cosine(kind="cosine", warmup_epochs=2.0)), changes=("schedule",))
    losing = [*others(5), lost]
    found = results((rung("start"), losing), (low, losing if again else OTHERS), (warm, losing if again else OTHERS))
    why = "keep the runs from diverging." if diverges else "keep seeds from collapsing as seed 5 did."
    lower = "A learning rate below 0.01" + (" could " if diverges else ", or a warm-up, could ")
    steps = notes(found, 0, None).next_steps
    assert (f"{lower}{why}" in steps) == (not again)
    assert any(why in step for step in steps) == (not again)
    once = results((rung("start"), losing), (low, losing))
    assert f"A warm-up could {why}" in notes(once, 0, None).next_steps


def test_dropout_is_not_advised_where_no_step_of_a_block_drops() -> None:
    block = rung().recipe.block.parse("conv relu norm")
    steps = notes(results((rung(block=block), with_gap(9880))), 0, None).next_steps
    assert [step.partition(" could")[0] for step in steps] == ["Augmentation"]
    idle = rung(block=block, dropout=0.1, augment=ROTATION, clean_epochs=EPOCHS)
    steps = notes(results((idle, with_gap(9880))), 0, None).next_steps
    assert [step.partition(" could")[0] for step in steps] == ["Weight decay"]


@pytest.mark.parametrize(
    ("schedule", "advised"),
    [
        (Cosine(kind="cosine"), False),
        (Cosine(kind="cosine", final=0.5), True),
        (LinearDecay(kind="linear"), False),
        (OneCycle(kind="one-cycle"), False),
        (Step(kind="step", every_epochs=4, factor=0.1), False),
        (STEP.model_copy(update={"factor": 0.5}), True),
        (Plateau(kind="plateau"), True),
    ],
)
def test_a_lower_rate_at_the_end_is_advised_where_there_can_be_one(schedule: Schedule, advised: bool) -> None:
    runs = [falls_at_end(s, train=98.0, train_losses=[0.06] * EPOCHS) for s in SEEDS]
    text = words(Climb(runs, says=(), rung=rung(schedule=schedule)))
    assert "Test accuracy falls" in text
    assert ("A lower learning rate at the end" in text) == advised
    assert "A schedule that lowers" not in text


@pytest.mark.parametrize(
    ("augment", "weaker"),
    [(Augment(mirror=True), False), (Augment(mirror=True, cutout_px=1), False), (Augment(cutout_px=2), True)],
)
def test_a_flipped_image_cannot_be_flipped_less(augment: Augment, weaker: bool) -> None:
    runs = [fine(s, 9930, train=97.5) for s in SEEDS]
    assert ("eaker augmentation" in words(Climb(runs, says=(), rung=rung(dropout=0.0, augment=augment)))) == weaker
    both = words(Climb(runs, says=(), rung=rung(dropout=0.05, augment=augment)))
    assert ("or weaker augmentation, could be tried: with both, train" in both) == weaker
    assert ("Less dropout than 5% could be tried: with it and distorted images, train" in both) == (not weaker)


def test_a_cut_that_came_later_without_a_gain_is_not_advised() -> None:
    cut, later = rung("cut", schedule=STEP), rung("later", schedule=STEP.model_copy(update={"every_epochs": 7}))
    for end, advised in ((9600, False), (9750, True)):
        runs = [[fine(s, each, losses=CUT_EARLY, train=96.8) for s in SEEDS] for each in (9700, end)]
        found = results((cut, runs[0]), (replace(later, changes=("schedule",)), runs[1]))
        assert any("falls later" in step for step in notes(found, 0, None).next_steps) == advised


NARROW = ("conv 8", "conv 8", "maxpool 2", "conv 8", "conv 8", "gap", "linear 10")
WIDER = ("conv 8", "conv 8", "maxpool 2", "conv 10", "conv 10", "gap", "linear 10")
DEEPER = ("conv 8", "conv 8", "maxpool 2", "conv 8", "conv 8", "conv 8", "gap", "linear 10")


@pytest.mark.parametrize(("tried", "word"), [(WIDER, "Wider layers"), (DEEPER, "A larger receptive field")])
@pytest.mark.parametrize("gained", [True, False])
def test_a_network_that_brought_nothing_is_not_advised_again(tried: Sequence[str], word: str, gained: bool) -> None:
    def short_of_target(end: int) -> list[Run]:
        return [fine(s, end, train=end / 100 - 0.2) for s in SEEDS]

    start = of_network(NARROW)
    found = results((start, short_of_target(9850)), (of_network(tried), short_of_target(9890 if gained else 9840)))
    advised = {step.partition(" could")[0] for step in notes(found, 0, None).next_steps}
    assert (word in advised) == gained
    assert advised & {"Wider layers", "A larger receptive field"}


def of_network(layers: Sequence[str]) -> Rung:
    recipe = Recipe.model_validate(rung().recipe.model_dump(mode="json") | {"network": list(layers)})
    return replace(rung(), name=layers[3], recipe=recipe, changes=("network",))


@pytest.mark.parametrize(("right", "collapsed"), [(5000, True), (6000, False), (1100, True)])
def test_of_two_seeds_one_collapsed_if_it_lost_half_of_what_the_other_learned(right: int, collapsed: bool) -> None:
    found = outliers([fine(1, 9935), fine(2, right)])
    assert [(each.seed, each.kind) for each in found] == ([(2, "collapsed")] if collapsed else [])


@pytest.mark.parametrize("n_seeds", [3, 4, 8, 16])
@pytest.mark.parametrize("spread", [3, 10, 40])
def test_ordinary_seeds_are_rarely_called_outliers(n_seeds: int, spread: int) -> None:
    """Runs that spread by up to 40 images, five times what independent mistakes would: in 5% of rungs at most."""
    random, alarms = Random(n_seeds), 0
    for _ in range(100):
        right = [[round(random.gauss(9935, spread))] for _ in range(n_seeds)]
        alarms += bool(outliers([make_run(seed, each) for seed, each in enumerate(right)]))
    assert alarms <= 5
