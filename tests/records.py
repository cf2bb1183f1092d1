"""Runs made up for tests of what is said about runs."""

from collections.abc import Sequence

from stepladder.ladders.evaluated import DataIdentity
from stepladder.ladders.ladder import Split
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import EngineIdentity, Epoch, Provenance, Run, RunIdentity

VERSIONS = {"numpy": "2.4.6", "numpy-instructions": "X86_V3", "cpu-target": "znver4", "torch-instructions": "AVX2"}
ENGINE = EngineIdentity(name="torch", version="2.13.0", device="cpu", revision=1)


def make_epoch(n_correct: int, *, n: int = 10_000, n_train_correct: int = 58_800, n_train: int = 60_000) -> Epoch:
    """An epoch with ``n_correct`` of ``n`` evaluated images right; all mistakes are one class taken for another."""
    return Epoch(
        n_train=n_train,
        n_train_correct=n_train_correct,
        train_loss=0.06,
        n_evaluated=n,
        n_correct=n_correct,
        loss=0.02,
        confusion=((n_correct, n - n_correct), (0, 0)),
        train_s=8.0,
        evaluate_s=0.5,
    )


def make_run(
    seed: int,
    n_correct: Sequence[int],
    *,
    n: int = 10_000,
    n_train_correct: int = 58_800,
    diverged_at_epoch: int | None = None,
    recipe: Recipe | None = None,
    evaluate_on: Split = "test",
) -> Run:
    """A run that got ``n_correct[k]`` of ``n`` evaluated images right after epoch k + 1; if it diverged, until then."""
    epochs = tuple(make_epoch(right, n=n, n_train_correct=n_train_correct) for right in n_correct)
    if diverged_at_epoch is not None:
        epochs = epochs[: diverged_at_epoch - 1]
    recipe = recipe or Recipe.model_validate({"network": ["gap", "linear 10"], "epochs": max(1, len(n_correct))})
    data = DataIdentity(name="mnist", sha256="0" * 64, evaluate_on=evaluate_on, dev_images=0)
    return Run(
        identity=RunIdentity(recipe=recipe, data=data, seed=seed, engine=ENGINE),
        epochs=epochs,
        diverged_at_epoch=diverged_at_epoch,
        wrong_images=(),
        weights_sha256="0" * 64,
        provenance=Provenance(
            versions=VERSIONS, cpu="", platform="", finished_at="2026-11-22T12:00:00+00:00", n_resumed=0
        ),
    )
