"""Stored weights evaluated again: do they give the counts of their record?

The same engine on the same kind of CPU must give them exactly (see conditions). Another one rounds otherwise: there an
image may get another answer where the two answers' logits differ by less than ROUNDING, and no other image may. So it
may where a run does not tell its kind of CPU.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stepladder._base.machine import cpu_name
from stepladder.datasets import data as data_sets
from stepladder.datasets.sources import MNIST_SHA256
from stepladder.engines import Engine, Model, choose_engine, require_code
from stepladder.engines.training import judge
from stepladder.errors import DataError, EngineError, LadderError, ModelError, StoreError
from stepladder.ladders.evaluated import DataIdentity, splits_for
from stepladder.networks.geometry import Network
from stepladder.runs import speeds
from stepladder.runs.conditions import are_equal, conditions, origin_here, origin_of
from stepladder.runs.housekeeping import Experiment, StoredRun
from stepladder.runs.model import Model as TrainedModel
from stepladder.runs.run import Arrays, EngineIdentity, Run, WrongImage
from stepladder.runs.store import Store

SAME = 1e-5  # of losses and probabilities: code that only evaluates may round float32 otherwise than code that trains
ROUNDING = 1e-3  # of logits, as a share of the largest one or of 1

Outcome = Literal["agrees", "differs", "damaged", "not checked"]


@dataclass(frozen=True)
class Checked:
    """A stored run, and what came of looking. ``words`` say why, and by what engine it was evaluated."""

    stored: StoredRun
    outcome: Outcome
    words: str


def check_runs(store: Store, found: Sequence[Experiment], *, sources: Sequence[str]) -> Iterator[Checked]:
    """Evaluate every finished run again whose images are among ``sources`` (Ladder.data), or are MNIST."""
    for experiment in found:
        at = experiment.identity
        source = _source_of(at.data, sources) if at else None
        models: dict[EngineIdentity, _Evaluation] = {}
        for stored in experiment.runs:
            yield _checked(store, stored, source=source, models=models)


def other_problems(store: Store) -> list[str]:
    """What is wrong with the files of a store that are of no run, one sentence each."""
    found = (speeds.problem(store.folder),)
    return [problem for problem in found if problem]


def _source_of(data: DataIdentity, sources: Sequence[str]) -> str | None:
    """Where these images are; None if they are not among the sources."""
    if data.sha256 == MNIST_SHA256:
        return "mnist"
    return next((source for source in sources if data_sets.fingerprint(source) == data.sha256), None)


@dataclass(frozen=True)
class _Evaluation:
    """A model of an experiment's network, and what it is evaluated on."""

    engine: Engine
    network: Network
    model: Model
    splits: data_sets.Splits

    def logits(self, weights: Arrays) -> NDArray[np.float32]:
        """What the network answers with these weights, as they were evaluated: averaged and recalibrated ones too."""
        flat = np.concatenate([weights[name].ravel() for name in self.network.parameter_shapes])
        self.model.parameters[:] = self.model.to_array(flat)
        self.model.set_statistics({name: weights[name] for name in self.network.statistic_shapes})
        return self.model.logits(self.splits.evaluated)


def _checked(
    store: Store, stored: StoredRun, *, source: str | None, models: dict[EngineIdentity, _Evaluation]
) -> Checked:
    run = stored.run
    if run is None:
        return Checked(stored, "damaged" if stored.state == "damaged" else "not checked", _why_unread(stored))
    if run.final is None:
        return Checked(stored, "not checked", "it diverged: there is nothing to evaluate")
    if source is None:
        return Checked(stored, "not checked", f"its images ({run.identity.data.name}) are not here: name their ladder")
    try:
        return Checked(stored, *_evaluated(store, run, source, models))
    except (EngineError, DataError) as error:
        return Checked(stored, "not checked", str(error))
    except (StoreError, LadderError, ModelError) as error:
        return Checked(stored, "damaged", str(error))


def _why_unread(stored: StoredRun) -> str:
    return stored.problem or f"under way, {stored.n_epochs:,} epochs are finished"


def _evaluated(store: Store, run: Run, source: str, models: dict[EngineIdentity, _Evaluation]) -> tuple[Outcome, str]:
    """Raises StoreError for weights that are not those of its network."""
    if run.identity.engine not in models:
        models[run.identity.engine] = _evaluation(run, source)
    evaluation = models[run.identity.engine]
    weights = store.weights(run, image=evaluation.splits.image)
    outcome, words = _verdict(run, evaluation.logits(weights), evaluation)
    if outcome == "agrees" and not _carries_its_pixels(store.model(run, data=source), evaluation.splits):
        return "differs", "its weights carry another mean or deviation of pixels than its images have"
    return outcome, words


def _carries_its_pixels(model: TrainedModel, splits: data_sets.Splits) -> bool:
    pairs = ((model.pixel_mean, splits.pixel_mean), (model.pixel_std, splits.pixel_std))
    return all(np.array_equal(*pair) for pair in pairs)


def _evaluation(run: Run, source: str) -> _Evaluation:
    """Raises EngineError, DataError, and LadderError for a network that does not fit its images."""
    recipe = run.identity.recipe
    splits = splits_for(data_sets.load(source), run.identity.data)
    network = recipe.network_for(splits.image)
    engine = _engine(run.identity.engine)
    require_code(engine, network)
    still = recipe.model_copy(update={"dropout": 0.0, "distill": None})
    return _Evaluation(engine, network, engine.model(network, still, splits=splits), splits)


def _engine(wanted: EngineIdentity) -> Engine:
    """The engine that computed a run where it is here, or another one.

    It compiles all code anew: damaged code of the cache would end this process, and whoever checks trusts nothing.
    """
    try:
        found = choose_engine(wanted.name, device=wanted.device)[0]
    except EngineError:
        found = choose_engine()[0]
    return found.without_cache()


def _verdict(run: Run, logits: NDArray[np.float32], evaluation: _Evaluation) -> tuple[Outcome, str]:
    final, labels = run.final, evaluation.splits.evaluated.labels
    assert final is not None
    same = are_equal(conditions(origin_of(run), origin_here(evaluation.engine)))
    by = "" if same else f", by {evaluation.engine.identity} on {cpu_name()}"
    if len(labels) != final.n_evaluated:
        return "differs", f"it was evaluated on {final.n_evaluated:,} images, and there are {len(labels):,}"
    n_correct, loss, confusion, wrong = judge(logits, labels)
    kept = [(each.index, each.label, each.predicted) for each in run.wrong_images]
    if (n_correct, confusion) == (final.n_correct, final.confusion) and kept == [
        (each.index, each.label, each.predicted) for each in wrong
    ]:
        near = {"rel_tol": SAME, "abs_tol": 1e-9} if same else {"rel_tol": 1e-2, "abs_tol": 1e-3}
        pairs = [(loss, final.loss), *zip(probabilities(wrong), probabilities(run.wrong_images), strict=True)]
        if not all(isclose(*pair, **near) for pair in pairs):
            return "differs", f"{n_correct:,} of {len(labels):,} correct, but with other losses or probabilities{by}"
        return "agrees", f"{n_correct:,} of {len(labels):,} correct{by}"
    if any(labels[index] != label for index, label, _ in kept):
        return "differs", "a wrong image of its record has another label"
    n_others, n_by_rounding = others(run, logits, labels)
    text = (
        f"{n_correct:,} of {len(labels):,} correct, in the record {final.n_correct:,}; {n_others:,} other answers{by}"
    )
    if not same and n_others == n_by_rounding:
        return "agrees", f"{text}, each as near as rounding"
    return "differs", text


def probabilities(wrong: Sequence[WrongImage]) -> list[float]:
    return [each.probability for each in wrong]


def others(run: Run, logits: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[int, int]:
    """Images with another answer than in the record, and those among them where rounding can have decided."""
    before = labels.copy()
    for wrong in run.wrong_images:
        before[wrong.index] = wrong.predicted
    others = np.flatnonzero(logits.argmax(1) != before)
    gap = logits[others].max(1) - logits[others, before[others]]
    scale = np.maximum(1, np.abs(logits[others]).max(1))
    return len(others), int((gap <= ROUNDING * scale).sum())
