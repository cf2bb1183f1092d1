"""Results as a pandas DataFrame, for those who have pandas (extra ``pandas``).

A row for each run has these columns: ``ladder``, ``rung``, ``seed``, ``engine`` and ``split`` say which it is, and
``params`` counts parameters. ``accuracy``, ``balanced_accuracy`` and ``train_accuracy`` are percentages of the last
epoch, ``loss`` is its mean loss in nats; all four are empty where the run diverged. ``held`` tells whether it holds its
target, ``consistent_from`` from which epoch on it is at or above it; ``diverged_at_epoch`` and ``elapsed_s`` follow,
and then its recipe, a column for each number: ``recipe.lr``, ``recipe.augment.rotation_deg``; its networks are texts.

A row for each epoch has ``ladder`` to ``params``, the ``epoch`` (from 1), what was counted in it (runs.run.Epoch), and
the recipe.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stepladder._base.wording import how_to_install
from stepladder.errors import StepladderError
from stepladder.runs.run import Run
from stepladder.runs.stats import accuracy, balanced_accuracy, consistent_from, holds, train_accuracy

if TYPE_CHECKING:
    from pandas import DataFrame

    from stepladder.ladders.terms import Target
    from stepladder.runs.results import Results

Row = dict[str, Any]

COUNTED = ("n_train", "n_train_correct", "train_loss", "n_evaluated", "n_correct", "loss", "train_s", "evaluate_s")


def data_frame(results: "Results", *, epochs: bool) -> "DataFrame":
    """What ``Results.to_pandas`` gives. Raises StepladderError where pandas is not installed."""
    try:
        import pandas
    except ImportError as error:
        raise StepladderError(
            f"to_pandas needs pandas, which is not installed ({error}): {how_to_install('pandas')}"
        ) from None
    return pandas.DataFrame(list(_rows(results, epochs=epochs)))


def _rows(results: "Results", *, epochs: bool) -> Iterator[Row]:
    for result, params in zip(results.rungs, results.params, strict=True):
        for run in result.runs:
            which = {"ladder": results.ladder.name, "rung": result.rung.name, "seed": run.identity.seed}
            which |= {"engine": run.identity.engine.tag, "split": results.ladder.evaluate_on, "params": params}
            recipe = dict(columns("recipe", run.identity.recipe.model_dump(mode="json")))
            if not epochs:
                yield which | _outcome(run, result.rung.target) | recipe
                continue
            for number, epoch in enumerate(run.epochs, 1):
                yield which | {"epoch": number} | {name: getattr(epoch, name) for name in COUNTED} | recipe


def _outcome(run: Run, target: "Target") -> Row:
    final = run.final
    return {
        "accuracy": None if final is None else float(accuracy(final)),
        "balanced_accuracy": None if final is None else float(balanced_accuracy(final)),
        "train_accuracy": None if final is None else float(train_accuracy(final)),
        "loss": None if final is None else final.loss,
        "held": holds(run, target),
        "consistent_from": consistent_from(run, target),
        "diverged_at_epoch": run.diverged_at_epoch,
        "elapsed_s": run.elapsed_s,
    }


def columns(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A field of a recipe, or each of its own fields; a list as a text."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from columns(f"{name}.{key}", each)
    else:
        yield name, ", ".join(map(str, value)) if isinstance(value, list) else value
