"""Verdicts for machines. Nothing is rounded.

SCHEMA_VERSION history: 1, the first: paired by seed, with p-values. 2, one interval decides: without "differences",
"p", "correlation", "negligible" and "look"; "outcome" is "better", "worse", "negligible" or "undecided".
"""

from collections.abc import Sequence
from typing import Any

from stepladder.analysis.comparing import Comparison, TargetVerdict, against_target, compare, mean_interval
from stepladder.analysis.tops import Between
from stepladder.reporting.data.result_json import results_dict, results_head
from stepladder.runs.results import Results

SCHEMA_VERSION = 2


def compare_dict(results: Results) -> dict[str, Any]:
    """What ``stepladder compare --json`` prints; variants are compared with the rungs that they hang on."""
    found, n = compare(results), len(results.rungs) - 1
    return {
        **results_head(results),
        "schema_version": SCHEMA_VERSION,
        "n_comparisons": max(results.ladder.comparisons, len(found)),
        "comparisons": [comparison_dict(each) for each in found[:n]],
        "variant_comparisons": [comparison_dict(each) for each in found[n:]],
        "targets": [_target(against_target(each)) for each in results.rungs],
    }


def tops_dict(
    found: Sequence[Results], between: Sequence[Between], *, refused: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """What ``stepladder compare A B ... --json`` prints: each top rung, and how it differs from that of the first."""
    return {
        "schema_version": SCHEMA_VERSION,
        "n_comparisons": sum(each.comparison is not None for each in between),
        "tops": [
            {"source": each.ladder.source, "mean_interval": mean_interval(each.rungs[-1])} | results_dict(each)
            for each in found
        ],
        "comparisons": [
            {"first": each.first, "other": each.other, "problem": each.problem or None}
            | {"comparison": comparison_dict(each.comparison) if each.comparison else None}
            for each in between
        ],
        "refused": [{"source": name, "problem": problem} for name, problem in refused],
    }


def comparison_dict(each: Comparison) -> dict[str, Any]:
    """One comparison."""
    return {
        "below": each.below,
        "rung": each.rung,
        "seeds_below": list(each.seeds_below),
        "seeds": list(each.seeds),
        "paired": each.paired,
        "measure": each.measure,
        "difference": None if each.difference is None else float(each.difference),
        "interval": each.interval,
        "outcome": each.outcome,
        "problem": each.problem,
        "spread": each.spread,
        "worth_knowing": each.worth_knowing,
        "seeds_needed": {"seen": each.needed_seen, "worth_knowing": each.needed_worth},
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
