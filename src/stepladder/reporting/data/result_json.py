"""Results for machines. Percentages are not rounded."""

from fractions import Fraction
from typing import Any

from stepladder.analysis.classes import recalls
from stepladder.datasets.data import describe
from stepladder.datasets.sources import DataInfo
from stepladder.reporting.data.check_json import SCHEMA_VERSION, rung_dict
from stepladder.reporting.tables import Step, chain
from stepladder.runs.results import Results, RungResult


def results_dict(results: Results) -> dict[str, Any]:
    """What ``stepladder show --json`` prints; accuracies are named after the split they were measured on."""
    rungs, info = [result.rung for result in results.rungs], describe(results.ladder.data)
    return {
        **results_head(results),
        "other_engines": results.others,
        "n_test_looks": results.n_test_looks,
        "reached": results.reached,
        "rungs": [
            _rung_result(step, result, params, results.ladder.evaluate_on, info)
            for step, result, params in zip(chain(rungs), results.rungs, results.params, strict=True)
        ],
        "variants": [
            {"on": below.rung.name}
            | _rung_result((below.rung, result.rung), result, params, results.ladder.evaluate_on, info)
            for (below, result), params in zip(results.hung, results.variant_params, strict=True)
        ],
    }


def results_head(results: Results) -> dict[str, Any]:
    """Whose results these are: what every body about them begins with."""
    return {
        "schema_version": SCHEMA_VERSION,
        "ladder": results.ladder.name,
        "evaluated_on": results.ladder.evaluate_on,
        "engine": results.engine.model_dump() if results.engine else None,
    }


def _rung_result(step: Step, result: RungResult, params: int, split: str, info: DataInfo) -> dict[str, Any]:
    summary = result.summary
    return rung_dict(step) | {
        "params": params,
        "seeds": list(summary.seeds),
        f"{split}_final_mean": _number(summary.final_mean),
        f"{split}_final_min": _number(summary.final_min),
        f"{split}_final_sd": summary.final_sd,
        f"{split}_balanced_final_mean": _number(summary.balanced_mean),
        "train_final_mean": _number(summary.train_final_mean),
        "consistent_from": list(summary.consistent_from),
        "held": [summary.n_held, len(summary.seeds)],
        "diverged": list(summary.diverged),
        "classes": [
            {"label": each.label, "name": info.class_name(each.label), "n": each.n, "recall": float(each.mean)}
            for each in recalls(result.runs)
        ],
    }


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
