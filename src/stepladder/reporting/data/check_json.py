"""Checks and ladders for machines. SCHEMA_VERSION history: 1, the first; a rung's "notes" came later, then its
"concepts" and "undeclared", the ladder's "variants", and the "class_names" of its data."""

from collections.abc import Sequence
from typing import Any

from stepladder.ladders.checking import Check, CheckedRung
from stepladder.ladders.ladder import Plan, Rung
from stepladder.networks.geometry import LayerGeometry
from stepladder.reporting.tables import Step, chain, compound_mark, concepts_of

SCHEMA_VERSION = 1


def check_dict(check: Check) -> dict[str, Any]:
    """What ``stepladder check --json`` prints."""
    rungs = [checked.rung for checked in check.rungs]
    return {
        "schema_version": SCHEMA_VERSION,
        "ladder": check.ladder.name,
        "data": {
            "name": check.info.name,
            "channels": check.info.image.channels,
            "size": check.info.image.size,
            "n_classes": check.info.image.n_classes,
            "class_names": list(check.info.class_names) or None,
            "n_train": check.info.n_train,
            "n_test": check.info.n_test,
            "sha256": check.sha256,
            "evaluate_on": check.ladder.evaluate_on,
            "split": check.split,
            "n_trained": check.ladder.n_trained(check.info),
            "n_evaluated": check.ladder.n_evaluated(check.info),
        },
        "notes": list(check.notes),
        "rungs": [_checked_rung(checked, below) for (below, _), checked in zip(chain(rungs), check.rungs, strict=True)],
        "variants": [
            {"on": variant.on} | _checked_rung(checked, check.ladder.rung(variant.on))
            for variant, checked in zip(check.ladder.variants, check.variants, strict=True)
        ],
        "estimate": {
            "elapsed_s": check.estimate.elapsed_s,
            "n_runs": check.estimate.n_runs,
            "jobs": check.estimate.jobs,
            "measured": check.estimate.measured,
        },
    }


def checks_dict(told: Sequence[tuple[str, Check | None, str]], *, exit_codes: Sequence[int]) -> dict[str, Any]:
    """What ``stepladder check A B ... --json`` prints: of each ladder what was found, what is wrong, or both."""
    return {
        "schema_version": SCHEMA_VERSION,
        "checks": [
            {
                "source": name,
                "exit_code": code,
                "problem": problem or None,
                "check": None if check is None else check_dict(check),
            }
            for (name, check, problem), code in zip(told, exit_codes, strict=True)
        ],
    }


def ladders_dict(ladders: Sequence[Plan]) -> dict[str, Any]:
    """What ``stepladder ladders --json`` prints."""
    return {
        "schema_version": SCHEMA_VERSION,
        "ladders": [
            {
                "name": ladder.name,
                "about": ladder.about,
                "rungs": [rung.name for rung in ladder.rungs],
                "variants": [variant.rung.name for variant in ladder.variants],
            }
            for ladder in ladders
        ],
    }


def _checked_rung(checked: CheckedRung, below: Rung | None) -> dict[str, Any]:
    network = checked.network
    return rung_dict((below, checked.rung)) | {
        "params": network.params,
        "macs": network.macs,
        "receptive_field": network.receptive_field,
        "layers": [_layer(row) for row in network.rows],
        "epochs": checked.rung.recipe.epochs,
        "over_budget": bool(checked.excess),
        "excess": list(checked.excess),
        "notes": list(checked.notes),
    }


def rung_dict(step: Step) -> dict[str, Any]:
    """What every JSON form says of a rung. "undeclared": it changes several concepts, and does not say why."""
    rung = step[1]
    return {
        "name": rung.name,
        "why": rung.why,
        "changes": list(rung.changes),
        "concepts": list(concepts_of(step)),
        "compound": rung.compound,
        "undeclared": bool(compound_mark(step)) and not rung.compound,
        "budget": rung.budget.model_dump(mode="json"),
        "target": rung.target.model_dump(mode="json"),
    }


def _layer(row: LayerGeometry) -> dict[str, Any]:
    names = (
        "operation",
        "in_size",
        "kernel",
        "padding",
        "stride",
        "out_size",
        "jump_in",
        "jump_out",
        "rf_in",
        "rf_out",
    )
    more = ("params", "macs", "in_channels", "out_channels")
    return {name: getattr(row, name) for name in (*names, *more)} | {
        "layer": str(row.layer),
        "steps": list(map(str, row.steps)),
    }
