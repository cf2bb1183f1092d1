"""The whole report for machines: results, verdicts, what stands behind them. Nothing is rounded.

SCHEMA_VERSION history: 1, the first. 2, the verdicts of compare's version 2.
"""

from typing import Any

from stepladder.analysis.attempts import tried
from stepladder.analysis.comparing import compare
from stepladder.ladders.ablation import Ablation
from stepladder.reporting.data.ablation_json import ablation_dict
from stepladder.reporting.data.compare_json import compare_dict
from stepladder.reporting.data.result_json import results_dict
from stepladder.reporting.evidence import confusion, mistakes
from stepladder.reporting.pages.provenance import provenance
from stepladder.reporting.words.diagnosis_text import notes
from stepladder.runs.results import Results, RungResult

SCHEMA_VERSION = 2


def _evidence(result: RungResult) -> dict[str, Any]:
    """The recipe of a rung or variant, and what its runs came to."""
    matrix = confusion(result.runs)
    return {
        "recipe": result.rung.recipe.model_dump(mode="json"),
        "confusion": None if matrix is None else matrix.tolist(),
        "wrong_images": [vars(each) | {"others": list(each.others)} for each in mistakes(result.runs)],
        "runs": [run.numbers() for run in result.runs],
    }


def report_dict(results: Results, *, ablation: Ablation | None = None, down: Results | None = None) -> dict[str, Any]:
    """What ``stepladder report --format json`` prints; ``down`` are the results of the ablation, if any."""
    body = results_dict(results) | compare_dict(results) | {"about": results.ladder.about}
    comparisons = compare(results)
    by_rung, known = {each.rung: each for each in comparisons}, tried(results, comparisons)
    for index, (result, record) in enumerate(zip(results.rungs, body["rungs"], strict=True)):
        words = notes(results, index, by_rung.get(result.rung.name), known=known)
        names = ("targets", "results", "analysis", "next_steps")
        record.update({"notes": {name: list(getattr(words, name)) for name in names}}, **_evidence(result))
    for result, record in zip(results.variants, body["variants"], strict=True):
        record.update(_evidence(result))
    body["down"] = ablation_dict(ablation, up=results, down=down) if ablation and down else None
    return {**body, "provenance": dict(provenance(results)), "schema_version": SCHEMA_VERSION}
