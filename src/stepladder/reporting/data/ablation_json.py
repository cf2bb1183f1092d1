"""What each change is worth at the top, for machines."""

from typing import Any

from stepladder.analysis.comparing import compare, compare_with_top
from stepladder.ladders.ablation import Ablation
from stepladder.reporting.data.compare_json import SCHEMA_VERSION, comparison_dict
from stepladder.reporting.data.result_json import results_head
from stepladder.runs.results import Results


def ablation_dict(ablation: Ablation, *, up: Results, down: Results) -> dict[str, Any]:
    """What ``stepladder compare --down --json`` prints."""
    return {
        **results_head(down),
        "schema_version": SCHEMA_VERSION,
        "at_the_top": [comparison_dict(each) for each in compare_with_top(down)],
        "on_the_way_up": [comparison_dict(each) for each in compare(up)],
        "cannot_be_taken_out": ablation.kept,
    }
