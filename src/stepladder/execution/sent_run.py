"""A run as it is sent to a worker: text alone, and nothing of the place that it was sent from.

A worker may be a process of ours or of any executor, in another folder or on another machine that shares the store.
This module imports nothing that computes, so that a worker's libraries are set before they are loaded.
"""

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING

from stepladder._base.machine import settle_libraries

if TYPE_CHECKING:
    from stepladder.execution.one_run import Work
    from stepladder.recipes.recipe import Recipe
    from stepladder.runs.run import RunIdentity


def send(executor: Executor, work: "Work", identity: "RunIdentity") -> Future[list[str]]:
    """Have a run trained by an executor (see one_run.train_one); the future gives what is to be said of it."""
    away = work.from_anywhere()
    return executor.submit(
        train_received, away.source, str(away.store), identity.model_dump_json(), use_cache=away.use_cache
    )


def train_received(source: str, store: str, identity: str, *, use_cache: bool) -> list[str]:
    """Train what ``send`` sends."""
    late = settle_libraries()
    from pathlib import Path

    from stepladder.execution.one_run import Work, train_one
    from stepladder.runs.run import RunIdentity

    wanted = RunIdentity.model_validate_json(identity)
    notes = train_one(Work(source, Path(store), use_cache=use_cache), wanted)
    return [*notes, *_too_late(late, wanted.recipe)]


def _too_late(late: Mapping[str, str | None], recipe: "Recipe") -> list[str]:
    """What is to be said of settings of a worker's libraries that could not be made."""
    recipes = [recipe, *([recipe.teacher] if recipe.teacher else [])]
    multiplies = any(each.optimizer.kind == "muon" for each in recipes)  # matrices, which nothing else does
    matter = {name: value for name, value in late.items() if value is None or (multiplies and "OPENBLAS" in name)}
    if not matter:
        return []
    wanted = ", ".join(f"without {name}" if value is None else f"{name}={value}" for name, value in matter.items())
    return [
        "numpy was loaded before this run came, so that the last bits of its numbers may differ from those of"
        f" 'stepladder climb': start Python with {wanted} where the executor's workers run"
    ]
