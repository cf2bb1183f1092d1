"""The results of a ladder as a page of text and tables."""

from collections.abc import Sequence

from stepladder._base.wording import n_of
from stepladder.reporting.numbers import NOTHING, percent, spread_text
from stepladder.reporting.summary import headline
from stepladder.reporting.tables import (
    VARIANTS,
    Headline,
    Page,
    Step,
    Table,
    Tone,
    chain,
    change,
    changes,
    compound_notes,
    hung,
    target_text,
)
from stepladder.runs.results import Results, RungResult
from stepladder.runs.stats import Summary


def result_page(results: Results) -> Page:
    """All that ``stepladder show`` shows."""
    return [*result_tables(results), *result_notes(results), outcome(results)]


def result_tables(results: Results) -> list[Table]:
    """A ladder's results, and those of what hangs on its rungs, if there is any."""
    if not results.variants:
        return [result_table(results)]
    on = [below.rung.name for below, _ in results.hung]
    words = [change(variant.rung, below.rung) for below, variant in results.hung]
    variants = _result_table(results, results.variants, results.variant_params, words)
    return [result_table(results), hung(variants, on, title=VARIANTS)]


def outcome(results: Results) -> Headline:
    """Whether the top rung reaches its target, as the last line, where a person looks first."""
    tone: Tone = "undecided" if not results.rungs[-1].runs else "reached" if results.reached else "missed"
    return Headline(headline(results), tone)


def held_tones(rungs: Sequence[RungResult], column: int) -> dict[tuple[int, int], Tone]:
    """Which rungs hold their targets with every seed, for a table with a row for each rung."""
    tones: dict[tuple[int, int], Tone] = {}
    for row, result in enumerate(rungs):
        if n := len(result.summary.seeds):
            tones[row, column] = "reached" if result.summary.n_held == n else "missed"
    return tones


def result_table(results: Results) -> Table:
    """A ladder's results, as the objective's authors wrote them down, over seeds."""
    return _result_table(results, results.rungs, results.params, changes([each.rung for each in results.rungs]))


def _result_table(results: Results, rungs: Sequence[RungResult], params: Sequence[int], words: Sequence[str]) -> Table:
    split = results.ladder.evaluate_on
    header: tuple[str, ...] = (
        "rung",
        "change",
        "parameters",
        "train %",
        f"{split} %",
        "± sd",
        "worst",
        "consistent from",
        "held",
    )
    rows = [_result_row(*each) for each in zip(rungs, words, params, strict=True)]
    balanced = shows_balanced(results)
    if balanced:
        header = (*header, "balanced %")
        rows = [
            (*row, percent(each.summary.balanced_mean, target=each.rung.target.accuracy))
            for row, each in zip(rows, rungs, strict=True)
        ]
    told = "Balanced accuracy: each class counts alike, however many images it has; the mean over seeds."
    return Table(
        title="",
        header=header,
        rows=tuple(rows),
        numeric=frozenset({2, 3, 4, 5, 6, *((9,) if balanced else ())}),
        words=frozenset({1, 7, 8}),
        dropped_first=(7, 2, 3),
        legend=((3, "Train accuracy is measured while training."), *(((9, told),) if balanced else ())),
        tones=held_tones(rungs, 8),
    )


def shows_balanced(results: Results) -> bool:
    """Whether balanced accuracy tells another thing than accuracy, or is what the target speaks of."""
    return any(each.summary.uneven or each.rung.target.balanced for each in results.trained)


def _result_row(result: RungResult, word: str, params: int) -> tuple[str, ...]:
    summary, target = result.summary, result.rung.target.accuracy
    n = len(summary.seeds)
    return (
        result.rung.name,
        word,
        f"{params:,}",
        percent(summary.train_final_mean, target=target),
        percent(summary.final_mean, target=target),
        spread_text(summary.final_sd),
        percent(summary.final_min, target=target),
        consistency_text(summary),
        f"{summary.n_held} of {n}" if n else "not trained",
    )


def steps_of(results: Results) -> list[Step]:
    """Each rung with the one below, and each variant with the one that it hangs on."""
    hanging = ((below.rung, variant.rung) for below, variant in results.hung)
    return [*chain([result.rung for result in results.rungs]), *hanging]


def consistency_text(summary: Summary) -> str:
    """``epoch 7``, ``epoch 7 (earliest seed) to 9 (latest); never in 2 of 8``, ``never``, ``diverged in 1 of 8``."""
    n = len(summary.seeds)
    if n == 0:
        return NOTHING
    parts = []
    epochs = sorted(epoch for epoch in summary.consistent_from if epoch is not None)
    n_never = n - len(epochs) - len(summary.diverged)
    if epochs:
        latest = f" (earliest seed) to {epochs[-1]} (latest)" if epochs[-1] != epochs[0] else ""
        parts.append(f"epoch {epochs[0]}{latest}")
    if n_never:
        parts.append("never" + (f" in {n_never} of {n}" if n > 1 else ""))
    if summary.diverged:
        parts.append("diverged" + (f" in {len(summary.diverged)} of {n}" if n > 1 else ""))
    return "; ".join(parts)


def result_notes(results: Results) -> list[str]:
    """What a reader of any result must know: the target, whose runs, test looks, what was left out, compound steps."""
    notes = [f"Target: {target_text(results.rungs[-1].rung.target)}."]
    if results.engine:
        notes.append(f"Engine: {results.engine}.")
    if results.ladder.evaluate_on == "test":
        notes.append(f"The test split was looked at {n_of(results.n_test_looks, 'time')} by these rungs' runs.")
    notes += [f"Kept apart: {n_of(n, 'run')} by {engine}." for engine, n in results.others.items()]
    if results.n_other_seeds:
        notes.append(
            f"Left out: {n_of(results.n_other_seeds, 'stored run')} with other seeds; 'show', 'compare' and 'report'"
            " take all."
        )
    notes += compound_notes(steps_of(results))
    notes += [
        f"Diverged: rung '{r.rung.name}', seed {run.identity.seed}, at epoch {run.diverged_at_epoch}: try a"
        " lower learning rate."
        for r in results.trained
        for run in r.runs
        if run.diverged_at_epoch is not None
    ]
    return notes
