"""Verdicts as a page of text and tables."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor

from stepladder.comparing import ALPHA, WORTH_KNOWING, Comparison, TargetVerdict, against_target, compare
from stepladder.report.result_page import held_tones, outcome, result_notes
from stepladder.report.tables import NOTHING, Page, Table, Tone, changes
from stepladder.results import Results
from stepladder.wording import n_of, seeds_text


def compare_page(results: Results) -> Page:
    """All that ``stepladder compare`` shows."""
    comparisons = compare(results)
    notes = comparison_notes(comparisons)
    verdicts = comparison_table(results, comparisons)
    return [verdicts, *notes, target_table(results), *result_notes(results), outcome(results)]


def comparison_table(results: Results, comparisons: Sequence[Comparison]) -> Table:
    """Each rung against the one below."""
    words = changes([result.rung for result in results.rungs])[1:]
    return Table(
        title="Each rung against the rung below, by seed",
        header=("rung", "change", "seeds", "points", "p", "r", "verdict"),
        rows=tuple(_comparison_row(each, word) for each, word in zip(comparisons, words, strict=True)),
        numeric=frozenset({2, 3, 4, 5}),
        words=frozenset({1, 6}),
        dropped_first=(5, 2, 1, 4),
        legend=((5, "r: correlation of the two rungs over seeds."),),
        tones={(row, 6): tone(each) for row, each in enumerate(comparisons)},
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


def tone(comparison: Comparison) -> Tone:
    """A comparison's outcome as a mark and a colour."""
    match comparison.outcome:
        case "better" | "worse" | "unknown" as outcome:
            return outcome
        case "no detectable difference":
            return "same" if comparison.negligible else "undecided"


def verdict(comparison: Comparison) -> str:
    """A comparison's outcome in words."""
    if comparison.outcome == "unknown":
        return f"unknown: {comparison.problem}"
    if comparison.outcome == "no detectable difference":
        interval = interval_text(comparison.interval)
        if comparison.negligible:
            return f"no difference worth knowing: less than {WORTH_KNOWING:g} points {interval}"
        corrected = " after correction" if comparison.excludes_0 and not _is_significant(comparison) else ""
        return f"no detectable difference{corrected} {interval}{_needed_text(comparison)}"
    n = len(comparison.seeds)
    return f"{brief_verdict(comparison)} {interval_text(comparison.interval)}, {comparison.n_agreeing}/{n} seeds"


def brief_verdict(comparison: Comparison) -> str:
    """A comparison's outcome in a few words, where the whole verdict stands elsewhere."""
    if comparison.outcome in ("better", "worse"):
        assert comparison.difference is not None
        return f"{comparison.outcome} by {points(abs(comparison.difference)).lstrip('+')} points"
    return "no difference worth knowing" if comparison.negligible else comparison.outcome


def _is_significant(comparison: Comparison) -> bool:
    return comparison.p is not None and comparison.p <= ALPHA


def _needed_text(comparison: Comparison) -> str:
    """How many seeds a difference worth knowing would need, if these are too few."""
    needed = comparison.seeds_needed
    if needed is not None and needed <= len(comparison.seeds):
        return ""
    return f"; {WORTH_KNOWING:g} points would need {f'about {needed:,}' if needed else 'too many'} seeds"


def points(value: Fraction | float | None) -> str:
    """A difference of percentages, with its sign.

    What is not 0 is never shown as 0.00, and what is not worth knowing never as if it were.
    """
    return NOTHING if value is None else f"{float(value):+.{_decimals_of_points(float(value))}f}"


def interval_text(interval: tuple[float, float] | None) -> str:
    """An interval in points; its ends are not shown as limits that they do not reach, see ``points``."""
    if interval is None:
        return NOTHING
    decimals = max(map(_decimals_of_points, interval))
    low, high = (f"{round(end, decimals) + 0.0:.{decimals}f}" for end in interval)  # -0.0 + 0.0 is 0.0
    return f"[{low}, {high}]"


def p_text(p: float) -> str:
    """A p-value; one that is too large for a verdict is never shown as if it were not."""
    return "< 0.001" if p < 0.001 else f"{p:.{_decimals(p, misleads=lambda shown: shown <= ALPHA < p, least=3)}f}"


def share_text(share: float) -> str:
    """A share as a percentage; only none is 0%, and only all is 100%."""
    decimals = _decimals(100 * share, misleads=lambda shown: shown in (0, 100) and share not in (0, 1), least=0)
    return f"{100 * share:.{decimals}f}%"


def _decimals_of_points(value: float) -> int:
    def misleads(shown: float) -> bool:
        return shown == 0 != value or abs(value) < WORTH_KNOWING <= abs(shown)

    return _decimals(value, misleads=misleads, least=2)


def _decimals(value: float, *, misleads: Callable[[float], bool], least: int) -> int:
    """The fewest decimals with which what is shown does not mislead; the least if six do, as for 1e-17."""
    return next((n for n in range(least, 7) if not misleads(float(f"{value:.{n}f}"))), least)


def comparison_notes(comparisons: Sequence[Comparison], *, down: bool = False) -> list[str]:
    """How the verdicts were found."""
    if not comparisons:
        return ["One rung alone is compared with nothing."]
    notes = [
        "points: mean difference of final accuracy over seeds, in percentage points, with its 95% interval (Student),"
        " which is not corrected. p: sign-flip test, exact if a change does nothing, corrected for"
        f" {n_of(len(comparisons), 'comparison')} (Holm). Better or worse needs both: p ≤ {ALPHA:g}, and an interval"
        " without 0."
    ]
    notes += [
        f"rung '{each.rung}' changed nothing: its runs equal those of '{each.below}' in every number"
        f" ({'seed' if len(each.seeds) == 1 else 'seeds'} {seeds_text(each.seeds)})"
        for each in comparisons
        if each.identical
    ]
    if any(each.outcome == "unknown" and not each.diverged for each in comparisons):
        more = "climb --down with more of them, as in --seeds 8" if down else "climb with more, as in --seeds 8"
        notes.append(f"Unknown for want of seeds: {more}{'' if down else ', or with --until-decided'}.")
    if most := max(each.look for each in comparisons):
        notes.append(
            f"climb --until-decided adds seeds until verdicts are clear, here with look {most} at most: the p of the"
            " k-th look at a pair counts 2^k times, and a pair's p is the least of the looks that point where its"
            " difference does, so that the climb's looking again makes no verdict easier."
        )
    if any(each.negligible for each in comparisons):
        notes.append(
            f"No difference worth knowing: the interval lies within ±{WORTH_KNOWING:g} points, also at the level that"
            " is left after the same corrections, for seeds like these: a rare collapse of one may be missing here."
        )
    return notes + _image_notes(comparisons)


def _image_notes(comparisons: Sequence[Comparison]) -> list[str]:
    """What other evaluated images would change."""
    errors = [each.image_error for each in comparisons if each.image_error is not None]
    sizes = {each.n_evaluated for each in comparisons if each.image_error is not None}
    if len(sizes) != 1:
        return []
    least, most = (f"±{error:.2f}" for error in (min(errors), max(errors)))
    return [
        f"Verdicts are about seeds, on the {sizes.pop():,} images evaluated. For all images of their kind, these"
        f" differences are uncertain by another {least if least == most else f'{least} to {most}'} points (95%)."
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
        tones=held_tones(results, 2),
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
