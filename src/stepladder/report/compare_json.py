"""Verdicts for machines. Nothing is rounded."""

from typing import Any

from stepladder.comparing import Comparison, TargetVerdict, against_target, compare
from stepladder.report.result_json import results_head
from stepladder.results import Results


def compare_dict(results: Results) -> dict[str, Any]:
    """What ``stepladder compare --json`` prints."""
    return {
        **results_head(results),
        "comparisons": [comparison_dict(each) for each in compare(results)],
        "targets": [_target(against_target(each)) for each in results.rungs],
    }


def comparison_dict(each: Comparison) -> dict[str, Any]:
    """One comparison."""
    return {
        "below": each.below,
        "rung": each.rung,
        "seeds": list(each.seeds),
        "differences": [float(difference) for difference in each.differences],
        "difference": None if each.difference is None else float(each.difference),
        "interval": each.interval,
        "p": each.p,
        "correlation": each.correlation,
        "seeds_needed": each.seeds_needed,
        "outcome": each.outcome,
        "problem": each.problem,
        "negligible": each.negligible,
        "look": each.look,
        "n_evaluated": each.n_evaluated,
        "image_error": each.image_error,
        "identical": each.identical,
    }


def _target(each: TargetVerdict) -> dict[str, Any]:
    return {
        "rung": each.rung,
        "held": [each.n_held, each.n_seeds],
        "interval": each.interval,
        "consistent_median": each.consistent_median,
        "consistent_worst": each.consistent_worst,
    }
