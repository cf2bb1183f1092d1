"""Results of mnist-8k's rungs that are made up."""

from dataclasses import replace

from records import make_run

from stepladder.ladders.ladder import COMPARISONS, Variant
from stepladder.ladders.ladder_file import load
from stepladder.runs.results import Results, RungResult
from stepladder.runs.run import Run
from stepladder.runs.stats import summarise

LADDER = load("mnist-8k")


def result(rung: int, runs: list[Run]) -> RungResult:
    return RungResult(LADDER.rungs[rung], tuple(runs), summarise(runs, LADDER.rungs[rung].target))


def rung_result(rung: int, n_correct: list[int]) -> RungResult:
    """Runs of seeds 1, 2, ... that end with so many images of 10,000 right."""
    return result(
        rung, [make_run(seed, [n] * 6, recipe=LADDER.rungs[rung].recipe) for seed, n in enumerate(n_correct, 1)]
    )


def results(*n_correct: list[int], comparisons: int = COMPARISONS) -> Results:
    return of_rungs(*(rung_result(rung, each) for rung, each in enumerate(n_correct)), comparisons=comparisons)


def star(*n_correct: list[int], on: tuple[int, ...], comparisons: int = COMPARISONS) -> Results:
    """Two rungs and below them variants, hanging on the rungs ``on``, with a learning rate of their own."""
    n_rungs = len(n_correct) - len(on)
    rungs, variants = LADDER.rungs[:n_rungs], []
    for number, low in enumerate(on, 1):
        recipe = rungs[low].recipe.model_copy(update={"lr": 0.01 + number / 100})
        rung = replace(rungs[low], name=f"lr {number}", why="?", recipe=recipe, changes=("lr",))
        variants.append(Variant(on=rungs[low].name, rung=rung))
    ladder = replace(LADDER, rungs=rungs, variants=tuple(variants), comparisons=comparisons)
    found = []
    for rung, counts in zip(ladder.trained, n_correct, strict=True):
        runs = tuple(make_run(seed, [n] * 6, recipe=rung.recipe) for seed, n in enumerate(counts, 1))
        found.append(RungResult(rung, runs, summarise(runs, rung.target)))
    return Results(
        ladder=ladder,
        engine=None,
        rungs=tuple(found[:n_rungs]),
        params=(0,) * n_rungs,
        others={},
        n_test_looks=0,
        variants=tuple(found[n_rungs:]),
        variant_params=(0,) * len(on),
    )


def of_rungs(*rungs: RungResult, comparisons: int = COMPARISONS) -> Results:
    ladder = replace(LADDER, comparisons=comparisons)
    return Results(ladder=ladder, engine=None, rungs=rungs, params=(0,) * len(rungs), others={}, n_test_looks=0)
