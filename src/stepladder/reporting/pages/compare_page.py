"""Verdicts as a page of text and tables."""

from collections.abc import Sequence
from math import ceil, floor

from stepladder._base.wording import n_of, seeds_text
from stepladder.analysis.comparing import Comparison, Needed, TargetVerdict, against_target, compare
from stepladder.analysis.verdict_errors import error_of_growth
from stepladder.ladders.ladder import Plan, Rung
from stepladder.reporting.numbers import NOTHING, interval_text, points, share_text, spread_text
from stepladder.reporting.pages.result_page import held_tones, outcome, result_notes
from stepladder.reporting.tables import Page, Table, Tone, change, hung
from stepladder.runs.results import Results


def compare_page(results: Results) -> Page:
    """All that ``stepladder compare`` shows."""
    comparisons = compare(results)
    notes = comparison_notes(comparisons, results.ladder)
    return [
        *comparison_tables(results, comparisons),
        *notes,
        target_table(results),
        *result_notes(results),
        outcome(results),
    ]


def comparison_tables(results: Results, comparisons: Sequence[Comparison]) -> list[Table]:
    """Each rung against the one below, and each variant against the rung that it hangs on, as far as there are any."""
    n, steps = len(results.rungs) - 1, [(below.rung, above.rung) for below, above in results.pairs]
    tables = [_comparison_table(comparisons[:n], steps[:n])] if n else []
    if results.variants:
        table = _comparison_table(comparisons[n:], steps[n:])
        on = [below.name for below, _ in steps[n:]]
        tables.append(hung(table, on, title="Each variant against the rung that it hangs on"))
    return tables


def _comparison_table(comparisons: Sequence[Comparison], steps: Sequence[tuple[Rung, Rung]]) -> Table:
    words = [change(above, below) for below, above in steps]
    return Table(
        title="Each rung against the rung below",
        header=("rung", "change", "seeds", "points", "verdict"),
        rows=tuple(_comparison_row(each, word) for each, word in zip(comparisons, words, strict=True)),
        numeric=frozenset({2, 3}),
        words=frozenset({1, 4}),
        dropped_first=(2, 1),
        tones={(row, 4): tone(each) for row, each in enumerate(comparisons)},
    )


def _comparison_row(comparison: Comparison, word: str) -> tuple[str, ...]:
    return (
        comparison.rung,
        word,
        n_seeds_text(comparison),
        points(comparison.difference, worth=comparison.worth_knowing),
        verdict(comparison),
    )


def n_seeds_text(comparison: Comparison) -> str:
    """``8``; ``8 and 16`` where the two rungs have unlike numbers of seeds."""
    below, above = len(comparison.seeds_below), len(comparison.seeds)
    return str(above) if below == above else f"{below} and {above}"


def tone(comparison: Comparison) -> Tone:
    """A comparison's outcome as a mark and a colour."""
    match comparison.outcome:
        case "better" | "worse" as outcome:
            return outcome
        case "negligible":
            return "same"
        case "undecided":
            return "unknown" if comparison.problem else "undecided"


def verdict(comparison: Comparison) -> str:
    """A comparison's outcome in words, with the interval that decides."""
    if comparison.problem:
        return f"{brief_verdict(comparison)}: {comparison.problem}"
    interval = interval_text(comparison.interval, worth=comparison.worth_knowing)
    needed = "" if comparison.decided else _needed_text(comparison)
    return f"{brief_verdict(comparison)} {interval}{needed}"


def brief_verdict(comparison: Comparison) -> str:
    """A comparison's outcome in a few words, where the whole verdict stands elsewhere."""
    match comparison.outcome:
        case "better" | "worse" as outcome:
            assert comparison.difference is not None
            size = points(abs(comparison.difference), worth=comparison.worth_knowing).lstrip("+")
            return f"{outcome} by {size} points"
        case "negligible":
            return f"less than {worth_points(comparison)}"
        case "undecided":
            return "not decided" if comparison.diverged else "not decided yet"


def worth_points(comparison: Comparison) -> str:
    """The least difference worth knowing: ``0.05 points``. It has two digits (comparing.worth_knowing)."""
    worth = comparison.worth_knowing
    return NOTHING if worth is None else "1 point" if worth == 1 else f"{worth:.6g} points"


def _needed_text(comparison: Comparison) -> str:
    """How many seeds it would take, for the difference seen and for one worth knowing."""
    seen, worth = comparison.needed_seen, comparison.needed_worth
    parts = [f"{_range_text(seen)} to show what is seen"] if seen else []
    parts += [f"{_range_text(worth)} to show {worth_points(comparison)}"] if worth else []
    return f"; it takes about {', '.join(parts)}" if parts else ""


def _range_text(needed: Needed) -> str:
    least, most = needed
    if most is None:
        return f"{least:,} or more seeds"
    return f"{least:,} seeds" if least == most else f"{least:,} to {most:,} seeds"


def comparison_notes(comparisons: Sequence[Comparison], ladder: Plan, *, down: bool = False) -> list[str]:
    """How the verdicts were found."""
    if not comparisons:
        return ["One rung alone is compared with nothing."]
    n = max(len(comparisons), ladder.comparisons)
    notes = [
        f"points: the difference of mean final {_measures(comparisons)}, in percentage points. The interval beside the"
        f" verdict decides: better or worse if 0 is not in it. It holds (95%) for {_all_of(n)}, and"
        " after every seed: compare as often as you like, and stop when you like."
    ]
    if any(each.needed_seen or each.needed_worth for each in comparisons):
        notes.append(
            "The seeds it takes: with that many of each rung the interval leaves out 0 in four of five cases, if the"
            " difference is that large. They are a range, because few seeds tell only roughly how far seeds spread."
        )
    if any(each.paired for each in comparisons):
        notes.append("Rungs that train alike and are evaluated otherwise are compared seed by seed.")
    notes += [
        f"rung '{each.rung}' changed nothing: its runs equal those of '{each.below}' in every number"
        f" ({_both_seeds_text(each)})"
        for each in comparisons
        if each.identical
    ]
    if any(each.problem and not each.diverged and each.seeds and each.seeds_below for each in comparisons):
        more = "climb --down with more of them, as in --seeds 8" if down else "climb with more, as in --seeds 8"
        notes.append(f"Too few seeds: {more}{'' if down else ', or with --until-decided'}.")
    if any(each.outcome == "negligible" for each in comparisons):
        first = next(each for each in comparisons if each.outcome == "negligible")
        notes.append(
            f"{worth_points(first)} {'is' if first.worth_knowing == 1 else 'are'} the least that is worth knowing here:"
            " about the spread of a run, or a twentieth of the errors that the target allows, and five images at least."
            " It is about seeds like these: a rare collapse of one may be missing."
        )
    if len(comparisons) > ladder.comparisons:
        notes.append(_growth_note(ladder.comparisons, comparisons))
    return notes + _image_notes(comparisons)


def _all_of(n: int) -> str:
    return "this one comparison" if n == 1 else f"{n_of(n, 'comparison')} together"


def _growth_note(declared: int, comparisons: Sequence[Comparison]) -> str:
    """What it costs that a ladder is judged more often than it said ahead."""
    n_comparisons = len(comparisons)
    share = share_text(error_of_growth(declared, n_comparisons, _shape(comparisons)))
    return (
        f"This ladder was to have {n_of(declared, 'comparison')}, and has {n_comparisons}. Compared after every"
        f" seed and every new rung, {share} of simulated ladders that grow like this show a false verdict at some time;"
        " of those that keep to what they declared it is 5% at most. It should have been set, before the first seed, to"
        f" comparisons = {n_comparisons} or more."
    )


def _shape(comparisons: Sequence[Comparison]) -> tuple[int, ...]:
    """Of each comparison, which of the rungs that were there before the new one is compared with, from 0."""
    names, shape = [comparisons[0].below], []
    for each in comparisons:
        new, old = (each.below, each.rung) if each.rung in names else (each.rung, each.below)
        names.append(new)
        shape.append(names.index(old))
    return tuple(shape)


def _both_seeds_text(comparison: Comparison) -> str:
    both = sorted(set(comparison.seeds) & set(comparison.seeds_below))
    return f"{'seed' if len(both) == 1 else 'seeds'} {seeds_text(both)}"


def _measures(comparisons: Sequence[Comparison]) -> str:
    return "balanced accuracies" if comparisons[0].measure != "accuracy" else "accuracies"


def _image_notes(comparisons: Sequence[Comparison]) -> list[str]:
    """What other evaluated images would change."""
    sizes = {each.n_evaluated for each in comparisons if each.n_evaluated is not None}
    if len(sizes) != 1:
        return []
    about = f"Verdicts are about seeds, on the {n_of(sizes.pop(), 'image')} evaluated."
    errors = [each.image_error for each in comparisons if each.image_error is not None]
    if not errors:
        return [about]
    least, most = (f"±{spread_text(error)}" for error in (min(errors), max(errors)))
    return [
        f"{about} For all images of their kind, each difference by itself is uncertain by about"
        f" {least if least == most else f'{least} to {most}'} points in all, seeds included (95%)."
    ]


def target_table(results: Results) -> Table:
    """Each rung against its target."""
    return Table(
        title="Each rung against its target",
        header=(
            *("rung", "target", "held", "95% interval of that share"),
            *("consistent from, median seed", "consistent from, worst seed"),
        ),
        rows=tuple(_target_row(against_target(each), f"{each.rung.target.accuracy}%") for each in results.rungs),
        numeric=frozenset(),
        words=frozenset({2}),
        dropped_first=(1, 4),
        tones=held_tones(results.rungs, 2),
    )


def _median_epoch(median: float | None) -> str:
    """Of an even number of seeds it may lie between two epochs."""
    if median is None:
        return "never"
    if not float(median).is_integer():
        return f"between epochs {floor(median)} and {ceil(median)}"
    return f"epoch {median:g}"


def _target_row(found: TargetVerdict, target: str) -> tuple[str, ...]:
    interval = NOTHING if found.interval is None else " to ".join(map(share_text, found.interval))
    median = _median_epoch(found.consistent_median)
    worst = "never" if found.consistent_worst is None else f"epoch {found.consistent_worst}"
    held = f"{found.n_held} of {found.n_seeds}" if found.n_seeds else "not trained"
    return (found.rung, target, held, interval, *((median, worst) if found.n_seeds else (NOTHING, NOTHING)))
