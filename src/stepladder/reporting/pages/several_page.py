"""Several ladders side by side: what a check says of each, and how their top rungs compare."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from stepladder._base.wording import n_of
from stepladder.analysis.comparing import mean_interval
from stepladder.analysis.tops import Between
from stepladder.ladders.checking import Check
from stepladder.reporting.numbers import NOTHING, percent, percents, points
from stepladder.reporting.pages.compare_page import comparison_notes, n_seeds_text, tone, verdict
from stepladder.reporting.pages.result_page import held_tones
from stepladder.reporting.tables import Page, Table, Tone
from stepladder.runs.results import Results

Told = tuple[str, Check | None, str]
"""A ladder as it was named, what was found of it, and what is wrong."""


def checks_page(told: Sequence[Told]) -> Page:
    """A line for each ladder, and below what is wrong, with those that something is wrong with."""
    tones: dict[tuple[int, int], Tone] = {
        (row, 1): "reached" if not problem else "over" if check else "missed"
        for row, (_, check, problem) in enumerate(told)
    }
    table = Table(
        title="",
        header=("ladder", "check", "rungs", "top rung", "parameters", "budget", "epochs", "notes"),
        rows=tuple(_check_row(*each) for each in told),
        numeric=frozenset({2, 4, 5, 6, 7}),
        words=frozenset({0, 3}),
        dropped_first=(7, 6, 2),
        tones=tones,
    )
    return [table, *_problems((name, problem) for name, _, problem in told)]


def _check_row(name: str, check: Check | None, problem: str) -> tuple[str, ...]:
    if check is None:
        return (name, "refused", *[NOTHING] * 6)
    top, notes = check.rungs[-1], len(check.notes) + sum(len(each.notes) for each in check.trained)
    rungs = f"{len(check.rungs)}" + (f" + {len(check.variants)}" if check.variants else "")
    return (
        name,
        "OVER" if problem else "ok",
        rungs,
        top.rung.name,
        f"{top.network.params:,}",
        f"{top.rung.budget.params:,}",
        f"{top.rung.recipe.epochs} of {top.rung.budget.epochs}",
        str(notes),
    )


def tops_page(found: Sequence[Results], between: Sequence[Between], *, refused: Sequence[tuple[str, str]]) -> Page:
    """Each ladder's top rung, and how it differs from that of the first; what cannot be compared, and why."""
    parts: Page = [_tops_table(found, between)] if found else []
    compared = [each.comparison for each in between if each.comparison]
    if compared:
        first = found[0].ladder
        parts += [
            f"Each is compared with the top of {first.source}. 95% interval: that of a mean, of each rung by itself.",
            *comparison_notes(compared, replace(first, comparisons=len(compared))),
        ]
    parts += [f"Not compared: {each.first} and {each.other}: {each.problem}." for each in between if each.problem]
    if looks := sum(each.n_test_looks for each in found):
        parts.append(f"The test split was looked at {n_of(looks, 'time')} by these rungs' runs.")
    return [*parts, *_problems(refused)]


def _tops_table(found: Sequence[Results], between: Sequence[Between]) -> Table:
    rows, tones = [], held_tones([each.rungs[-1] for each in found], 6)
    for row, (results, each) in enumerate(zip(found, [None, *between], strict=True)):
        comparison = each.comparison if each else None
        if comparison:
            tones[row, 9] = tone(comparison)
        rows.append((*_top_cells(results), *_difference_cells(row, each)))
    return Table(
        title="Top rungs",
        header=(
            *("ladder", "top rung", "parameters", "on", "accuracy %", "95% interval", "held"),
            *("seeds", "points", "against the first"),
        ),
        rows=tuple(rows),
        numeric=frozenset({2, 4, 7, 8}),
        words=frozenset({0, 1, 9}),
        dropped_first=(3, 7, 1),
        tones=tones,
    )


def _top_cells(results: Results) -> tuple[str, ...]:
    top = results.rungs[-1]
    n, target = len(top.summary.seeds), top.rung.target.accuracy
    return (
        results.ladder.source,
        top.rung.name,
        f"{results.params[-1]:,}",
        results.ladder.evaluate_on,
        percent(top.measured_mean, target=target),
        percents(mean_interval(top), target=target),
        f"{top.summary.n_held} of {n}" if n else "not trained",
    )


def _difference_cells(row: int, each: Between | None) -> tuple[str, str, str]:
    if each is None or each.comparison is None:
        return (NOTHING, NOTHING, "the first" if row == 0 else "not compared")
    comparison = each.comparison
    return (
        n_seeds_text(comparison),
        points(comparison.difference, worth=comparison.worth_knowing),
        verdict(comparison),
    )


def _problems(told: Iterable[tuple[str, str]]) -> list[str]:
    """What is wrong, a line each; a line that does not name its ladder begins with it."""
    lines = [(name, line) for name, problem in told for line in problem.splitlines()]
    return [line if name in line else f"{name}: {line}" for name, line in lines]
