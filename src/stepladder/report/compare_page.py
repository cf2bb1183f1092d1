"""Verdicts as a page of text and tables."""

from collections.abc import Sequence
from fractions import Fraction

from stepladder.comparing import ALPHA, WORTH_KNOWING, Comparison, TargetVerdict, against_target, compare
from stepladder.report.result_page import result_notes
from stepladder.report.tables import NOTHING, Page, Table, changes
from stepladder.results import Results


def compare_page(results: Results) -> Page:
    """All that ``stepladder compare`` shows."""
    comparisons = compare(results)
    notes = comparison_notes(comparisons)
    return [comparison_table(results, comparisons), *notes, target_table(results), *result_notes(results)]


def comparison_table(results: Results, comparisons: Sequence[Comparison]) -> Table:
    """Each rung against the one below."""
    words = changes([result.rung for result in results.rungs])[1:]
    return Table(
        title="Each rung against the rung below, by seed",
        header=("rung", "change", "seeds", "points", "p", "r", "verdict"),
        rows=tuple(_comparison_row(each, word) for each, word in zip(comparisons, words, strict=True)),
        numeric=frozenset({2, 3, 4, 5}),
        words=frozenset({1, 6}),
        dropped_first=(1, 5, 4, 2),
    )


def _comparison_row(comparison: Comparison, word: str) -> tuple[str, ...]:
    p, r = comparison.p, comparison.correlation
    return (
        comparison.rung,
        word,
        str(len(comparison.seeds)),
        points(comparison.difference),
        NOTHING if p is None else p_text(p),
        NOTHING if r is None else f"{r:.2f}",
        verdict(comparison),
    )


def verdict(comparison: Comparison) -> str:
    """A comparison's outcome in words."""
    if comparison.outcome == "unknown":
        return f"unknown: {comparison.problem}"
    if comparison.outcome == "no detectable difference":
        needed = f"{comparison.seeds_needed:,} seeds" if comparison.seeds_needed else "too many seeds to count"
        interval = interval_text(comparison.interval)
        if comparison.negligible:
            return f"no difference worth knowing: less than {WORTH_KNOWING:g} points {interval}"
        return f"no detectable difference {interval}; {WORTH_KNOWING:g} points would need {needed}"
    assert comparison.difference is not None
    n = len(comparison.seeds)
    by = f"{comparison.outcome} by {points(abs(comparison.difference)).lstrip('+')} points"
    return f"{by} {interval_text(comparison.interval)}, {comparison.n_agreeing}/{n} seeds"


def points(value: Fraction | float | None) -> str:
    """A difference of percentages, with its sign; what is not 0 is never shown as 0.00."""
    if value is None:
        return NOTHING
    for digits in (2, 3, 4):
        if value == 0 or float(f"{float(value):.{digits}f}"):
            break
    return f"{float(value):+.{digits}f}"


def interval_text(interval: tuple[float, float] | None) -> str:
    return NOTHING if interval is None else f"[{interval[0]:.2f}, {interval[1]:.2f}]"


def p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def comparison_notes(comparisons: Sequence[Comparison]) -> list[str]:
    """How the verdicts were found."""
    if not comparisons:
        return ["One rung alone is compared with nothing."]
    notes = [
        "points: mean difference of final accuracy over seeds, in percentage points, with its 95% interval (Student)."
        f" p: exact sign-flip test, corrected for {len(comparisons)} comparisons (Holm); a verdict needs p ≤ {ALPHA:g}."
        " r: correlation of the two rungs over seeds."
    ]
    if most := max(each.n_looks for each in comparisons):
        notes.append(
            f"Seeds were bought until verdicts were clear, with up to {most} look(s) at a pair: the p of the k-th look"
            " counts 2^k times, and a pair's p is the least of them, so that looking again makes no verdict easier."
        )
    if any(each.negligible for each in comparisons):
        notes.append(
            f"No difference worth knowing: the interval lies within ±{WORTH_KNOWING:g} points, also at the level that"
            " is left after the same corrections."
        )
    return notes


def target_table(results: Results) -> Table:
    """Each rung against its target."""
    return Table(
        title="Each rung against its target",
        header=("rung", "target", "held", "95% interval of the share", "consistent from (median)", "(worst)"),
        rows=tuple(_target_row(against_target(each), f"{each.rung.target.accuracy}%") for each in results.rungs),
        numeric=frozenset(),
        dropped_first=(1, 4),
    )


def _target_row(found: TargetVerdict, target: str) -> tuple[str, ...]:
    interval = NOTHING if found.interval is None else f"{found.interval[0]:.0%} to {found.interval[1]:.0%}"
    median = "never" if found.consistent_median is None else f"epoch {found.consistent_median:g}"
    worst = "never" if found.consistent_worst is None else f"epoch {found.consistent_worst}"
    held = f"{found.n_held} of {found.n_seeds}" if found.n_seeds else "not trained"
    return (found.rung, target, held, interval, *((median, worst) if found.n_seeds else (NOTHING, NOTHING)))
