"""The stored runs of a ladder, by rung, with runs of different engines kept apart."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from stepladder.datasets.data import describe
from stepladder.errors import StoreError
from stepladder.ladders.evaluated import data_identity
from stepladder.ladders.ladder import Plan, Rung
from stepladder.runs.run import EngineIdentity, Run, experiment_key
from stepladder.runs.stats import Summary, summarise
from stepladder.runs.store import Store


@dataclass(frozen=True)
class RungResult:
    """A rung and its stored runs, one per seed."""

    rung: Rung
    runs: tuple[Run, ...]
    summary: Summary

    @property
    def measured_mean(self) -> Fraction | None:
        """The mean of what the rung's target speaks of, in percent."""
        return self.summary.balanced_mean if self.rung.target.balanced else self.summary.final_mean


@dataclass(frozen=True)
class Results:
    """A ladder's stored runs by one engine; ``others`` counts those of other engines, which are not pooled.

    ``n_other_seeds`` counts that engine's runs of seeds that were not asked for. ``params`` are those of each rung's
    network, ``variants`` what hangs on the rungs, in the ladder's order, and ``variant_params`` their parameters.
    ``n_test_looks`` counts every evaluation of all of these on the test split that the store knows of: all seeds and
    engines, unfinished and diverged runs too.
    """

    ladder: Plan
    engine: EngineIdentity | None
    rungs: tuple[RungResult, ...]
    params: tuple[int, ...]
    others: dict[str, int]
    n_test_looks: int
    n_other_seeds: int = 0
    variants: tuple[RungResult, ...] = ()
    variant_params: tuple[int, ...] = ()

    @property
    def trained(self) -> tuple[RungResult, ...]:
        """The rungs, then their variants."""
        return (*self.rungs, *self.variants)

    @property
    def trained_params(self) -> tuple[int, ...]:
        """Those of ``trained``."""
        return (*self.params, *self.variant_params)

    @property
    def hung(self) -> tuple[tuple[RungResult, RungResult], ...]:
        """Each variant after the rung that it hangs on."""
        by_name = {each.rung.name: each for each in self.rungs}
        return tuple(
            (by_name[variant.on], each) for variant, each in zip(self.ladder.variants, self.variants, strict=True)
        )

    @property
    def pairs(self) -> tuple[tuple[RungResult, RungResult], ...]:
        """What is compared: each rung but the first with the one below, then each variant with its rung."""
        return (*pairwise(self.rungs), *self.hung)

    @property
    def reached(self) -> bool:
        """Whether the top rung holds its target with every seed."""
        summary = self.rungs[-1].summary
        return 0 < len(summary.seeds) == summary.n_held


def collect(
    ladder: Plan, store: Store, *, engine: str | EngineIdentity | None = None, seeds: Collection[int] | None = None
) -> Results:
    """A ladder's runs from a store, all seeds or the given ones.

    ``engine`` is an identity, or its name, version and device as far as they matter, such as "torch cuda"; without
    it, the engine that trained last speaks. Raises StoreError if the store has runs, but none of that engine's.
    """
    data, info = data_identity(ladder), describe(ladder.data)
    experiments = {rung.name: experiment_key(rung.recipe, data) for rung in ladder.trained}
    stored = {experiment: list(store.runs_of(experiment, info=info)) for experiment in set(experiments.values())}
    teachers = {experiment_key(rung.recipe.teacher, data) for rung in ladder.trained if rung.recipe.teacher}
    taught_by = {experiment: list(store.runs_of(experiment, info=info)) for experiment in teachers}
    found = {
        name: [run for run in stored[experiment] if seeds is None or run.identity.seed in seeds]
        for name, experiment in experiments.items()
    }
    runs = [run for of_rung in found.values() for run in of_rung]
    chosen = _choose(runs, engine)
    rungs = []
    for rung in ladder.trained:
        own = tuple(run for run in found[rung.name] if run.identity.engine == chosen)
        rungs.append(RungResult(rung, own, summarise(own, rung.target)))
    distinct = {run.identity.key: run for run in runs}.values()
    asked = {run.identity.key for run in runs}
    left_out = {run.identity.key for of_rung in stored.values() for run in of_rung if run.identity.engine == chosen}
    others = Counter(str(run.identity.engine) for run in distinct if run.identity.engine != chosen)
    params, n = tuple(rung.network(info.image).params for rung in ladder.trained), len(ladder.rungs)
    return Results(
        ladder=ladder,
        engine=chosen,
        rungs=tuple(rungs[:n]),
        params=params[:n],
        variants=tuple(rungs[n:]),
        variant_params=params[n:],
        others=dict(others),
        n_other_seeds=len(left_out - asked),
        n_test_looks=_n_evaluations(store, stored | taught_by) if ladder.evaluate_on == "test" else 0,
    )


def _n_evaluations(store: Store, stored: Mapping[str, Iterable[Run]]) -> int:
    """Evaluations of these experiments: one per epoch, that in which a run diverged included."""
    finished = sum(len(run.epochs) + (run.diverged_at_epoch is not None) for runs in stored.values() for run in runs)
    return finished + sum(map(store.n_epochs_under_way, stored))


def _choose(runs: list[Run], engine: str | EngineIdentity | None) -> EngineIdentity | None:
    if isinstance(engine, EngineIdentity):
        return engine
    matching = [run for run in runs if engine is None or _is_named(run.identity.engine, engine)]
    if runs and not matching:
        known = ", ".join(sorted({str(run.identity.engine) for run in runs}))
        raise StoreError(f"no stored run of an engine {engine!r}; there are runs of {known}")
    last = max(matching, key=lambda run: run.provenance.finished_at, default=None)
    return last.identity.engine if last else None


def _is_named(engine: EngineIdentity, words: str) -> bool:
    return bool(words.split()) and set(words.split()) <= {engine.name, engine.version, engine.device}
