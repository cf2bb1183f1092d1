"""What each change is worth at the top, beside what it brought on the way up, as a page of text and tables."""

from collections.abc import Sequence

from stepladder.analysis.comparing import Comparison, compare, compare_with_top
from stepladder.ladders.ablation import Ablation
from stepladder.reporting.numbers import NOTHING, percent, points
from stepladder.reporting.pages.compare_page import comparison_notes, n_seeds_text, tone, verdict
from stepladder.reporting.pages.result_page import result_notes
from stepladder.reporting.tables import Page, Table, changes
from stepladder.runs.results import Results


def ablation_page(ablation: Ablation, *, up: Results, down: Results) -> Page:
    """``up`` are the results of the ladder, ``down`` those of ``ablation.as_plan``."""
    comparisons = compare_with_top(down)
    return [
        ablation_table(ablation, comparisons, up=up, down=down),
        *comparison_notes(comparisons, ablation.ladder, down=True),
        *result_notes(down),
    ]


def ablation_table(ablation: Ablation, comparisons: Sequence[Comparison], *, up: Results, down: Results) -> Table:
    """One row for each change."""
    rungs = ablation.ladder.rungs
    words = dict(zip((rung.name for rung in rungs), changes(rungs), strict=True))
    brought = {each.rung: points(each.difference, worth=each.worth_knowing) for each in compare(up)}
    worth = {each.below: verdict(each) for each in comparisons}
    seeds = {each.below: n_seeds_text(each) for each in comparisons}
    tones = {each.below: tone(each) for each in comparisons}
    left = {each.rung.name: percent(each.summary.final_mean) for each in down.rungs}
    rows = []
    for rung in rungs[1:]:
        name = f"without {rung.name}"
        at_top = worth.get(name, f"cannot be taken out alone: {ablation.kept.get(rung.name)}")
        row = (rung.name, words[rung.name], seeds.get(name, NOTHING), left.get(name, NOTHING), at_top)
        rows.append((*row, brought[rung.name]))
    top = percent(down.rungs[-1].summary.final_mean)
    return Table(
        title=f"What each change is worth at the top (rung '{rungs[-1].name}', {top}%)",
        header=(
            "rung",
            "change",
            "seeds",
            f"{ablation.ladder.evaluate_on} % without it",
            "the top with it is",
            "points on the way up",
        ),
        rows=tuple(rows),
        numeric=frozenset({2, 3, 5}),
        words=frozenset({1, 4}),
        dropped_first=(1, 3),
        tones={
            (row, 4): tones[name] for row, rung in enumerate(rungs[1:]) if (name := f"without {rung.name}") in tones
        },
    )
