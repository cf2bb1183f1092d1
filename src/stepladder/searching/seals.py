"""What a search keeps of a trial, under checksums; and whether Optuna's own columns, which have none, agree with that.

A trial's state, value and parameters steer what is proposed next. They are implied by its sealed rounds and draws.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import isclose
from typing import TYPE_CHECKING, Any

from stepladder._base.files import checksum
from stepladder.searching.trials import Limits, Trial

if TYPE_CHECKING:
    import optuna

SHA256_OF = "sha256 of "  # and the name of an attribute: its checksum
SEALED = "every attribute has a checksum"  # attribute of a study; those of the first versions do not have it
DRAWN, QUEUED = "drawn", "fixed_params"
STATES = {"PRUNED": "stopped", "COMPLETE": "whole"}


def seal(trial: "optuna.Trial", name: str, value: Any) -> None:
    """Keep an attribute of a trial, and before it its checksum: who reads it in between finds nothing yet."""
    trial.set_user_attr(f"{SHA256_OF}{name}", checksum(value))
    trial.set_user_attr(name, value)


def unsealed(about: Mapping[str, Any], name: str, *, is_sealed: bool) -> Any:
    """An attribute of a trial as it was kept; in studies of former versions, some have no checksum.

    Raises ValueError and KeyError.
    """
    value = about[name]
    require_seal(about, name, value, is_sealed=is_sealed)
    return value


def require_seal(about: Mapping[str, Any], name: str, value: Any, *, is_sealed: bool) -> None:
    """Raises ValueError unless a value has the checksum that is kept for it."""
    found = about.get(f"{SHA256_OF}{name}")
    if found is None and is_sealed:
        raise ValueError(f"the checksum of its {name} is missing")
    if found is not None and found != checksum(value):
        raise ValueError(f"the checksum of its {name} differs")


def kept_trials(about: Mapping[str, Any]) -> int | None:
    """How many trials a study has had at least; None in one of a former version, whose draws have no checksums.

    Raises ValueError for what no search can have kept.
    """
    kept = about.get(SEALED)
    if kept is None or kept is True:
        return None
    if type(kept) is not int or kept < 0:
        raise ValueError("the count of its trials is none")
    return kept


def draws(trial: "optuna.Trial | optuna.trial.FrozenTrial") -> dict[str, list[Any]]:
    """What was drawn for a trial by name, and from what, as JSON holds it."""
    from optuna.distributions import distribution_to_json

    return {name: [value, distribution_to_json(trial.distributions[name])] for name, value in trial.params.items()}


def require_draws(frozen: "optuna.trial.FrozenTrial", trial: Trial, *, is_sealed: bool, limits: Limits | None) -> None:
    """Raises ValueError unless a finished trial's parameters are those that were drawn for it.

    Those of former versions have no checksum: they are to lead to the recipe that has one. KeyError without a ceiling.
    """
    about = frozen.user_attrs
    if is_sealed or DRAWN in about:
        fits = draws(frozen) == unsealed(about, DRAWN, is_sealed=is_sealed)
    else:
        fits = not (limits and limits.proposed) or limits.proposed(frozen.params, about["ceiling"]) == trial.recipe
    if not fits:
        raise ValueError("its parameters are not those that were drawn for it")


def require_alive(frozen: "optuna.trial.FrozenTrial") -> None:
    """Raises ValueError for a trial that has a result, and a state that says it has none."""
    if frozen.values is not None and frozen.state.name not in STATES:
        raise ValueError(f"its state is {frozen.state.name}, though it came to {frozen.values[0]:g}")


def require_scores(frozen: "optuna.trial.FrozenTrial", trial: Trial, *, limits: Limits | None) -> None:
    """Raises ValueError unless what Optuna was told of a trial is what its rounds came to.

    A trial that was begun again has rounds that Optuna has not been told of yet, or never will be.
    """
    told = frozen.intermediate_values
    n_told = len(told)
    if sorted(told) != list(range(n_told)) or n_told > len(trial.outcomes):
        raise ValueError("it has scores of other rounds than its own")
    for at, value in told.items():
        so_far = replace(trial, outcomes=trial.outcomes[: at + 1])
        expected = limits.score(so_far) if limits and limits.score else value
        if not isclose(value, expected):
            raise ValueError(f"its score after round {at + 1} is {value:g}, and its outcomes give {expected:g}")
    if trial.state == "whole" and n_told < len(trial.outcomes):
        raise ValueError(f"it is whole after {n_told} of {len(trial.outcomes)} rounds")
    if trial.state == "stopped" and limits and n_told == len(limits.rounds):
        raise ValueError("it is stopped after all its rounds")
    if frozen.state.name in STATES:
        _require_value(frozen.values, told[n_told - 1] if n_told else None)


def _require_value(values: list[float] | None, last: float | None) -> None:
    """Optuna's value of a finished trial is its last score; one without any has none."""
    found = values[0] if values else None
    if (found is None) != (last is None) or (found is not None and last is not None and not isclose(found, last)):
        given, scored = ("nothing" if each is None else f"{each:g}" for each in (found, last))
        raise ValueError(f"its value is {given}, and its last score is {scored}")
