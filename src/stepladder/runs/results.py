"""The stored runs of a ladder, by rung, with runs of different engines kept apart."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any

from stepladder._base.frozen import without_collecting
from stepladder._base.given import require
from stepladder._base.late import FACES, Drawn, late
from stepladder._base.wording import did_you_mean, n_of, named_seeds, seeds_text, shown
from stepladder.datasets.data import describe
from stepladder.errors import LadderError, ModelError, StoreError
from stepladder.ladders.evaluated import data_identity
from stepladder.ladders.ladder import Plan, Rung, require_ladder
from stepladder.runs.model import Model
from stepladder.runs.run import EngineIdentity, Run, experiment_key
from stepladder.runs.stats import Summary, summarise, typical_run
from stepladder.runs.store import Store

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class RungResult(Drawn):
    """A rung and its stored runs, one per seed. ``ladder`` and ``store`` are where they were found, None if nowhere."""

    rung: Rung
    runs: tuple[Run, ...]
    summary: Summary
    ladder: Plan | None = field(default=None, compare=False, repr=False)
    store: Store | None = field(default=None, compare=False, repr=False)

    def __repr__(self) -> str:
        n, held = len(self.runs), self.summary.n_held
        return f"<RungResult {shown(self.rung.name)}: {n_of(n, 'run')}, its target held by {held}>"

    @property
    def measured_mean(self) -> Fraction | None:
        """The mean of what the rung's target speaks of, in percent."""
        return self.summary.balanced_mean if self.rung.target.balanced else self.summary.final_mean

    def model(self, seed: int) -> Model:
        """The network that a seed ended with. Raises ModelError for a seed that is not here or diverged; StoreError."""
        run = next((run for run in self.runs if run.identity.seed == seed), None)
        if run is None:
            seeds = [each.identity.seed for each in self.runs]
            there = f"there {'is' if len(seeds) == 1 else 'are'} {named_seeds(seeds)}" if seeds else "there is none"
            raise ModelError(f"no stored run of seed {seed} of rung {shown(self.rung.name)}: {there}")
        return self._model_of(run)

    def typical_model(self) -> Model:
        """The network of the seed whose accuracy is the median: see stats.typical_run. Raises as ``model`` does."""
        run = typical_run(self.runs)
        if run is None:
            diverged = f"; of {seeds_text(self.summary.diverged)} each diverged" if self.runs else ""
            of_file = self.ladder and self.rung.is_of_file
            again = f", with {join(['stepladder', 'climb', self.ladder.source])}" if self.ladder and of_file else ""
            raise ModelError(f"no finished run of rung {shown(self.rung.name)} is stored{diverged}: climb first{again}")
        return self._model_of(run)

    def _model_of(self, run: Run) -> Model:
        if self.store is None or self.ladder is None:
            raise ModelError(f"the weights of rung {shown(self.rung.name)} are in no store that is known here")
        found = self.store.model(run, data=self.ladder.data)
        assert found.origin is not None
        names = tuple(rung.name for rung in self.ladder.trained if rung.recipe == self.rung.recipe)
        return replace(found, origin=found.origin.model_copy(update={"ladder": self.ladder.name, "rungs": names}))


@dataclass(frozen=True)
class Results(Drawn):
    """A ladder's stored runs by one engine; ``others`` counts those of other engines, which are not pooled.

    ``results["rotation"]`` is one rung's, ``results.top`` the last one's; iterating gives them from the bottom up.
    Printed, it is the page of ``stepladder show``. ``store`` is where the runs are, None for ones that are made up.

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
    store: Store | None = field(default=None, compare=False)
    variants: tuple[RungResult, ...] = ()
    variant_params: tuple[int, ...] = ()

    def __repr__(self) -> str:
        n = sum(len(each.runs) for each in self.trained)
        return f"<Results of {shown(self.ladder.name)}: {n_of(len(self.rungs), 'rung')}, {n_of(n, 'run')}>"

    def __str__(self) -> str:
        page: str = late(f"{FACES}:text")(self)
        return page

    def __iter__(self) -> Iterator[RungResult]:
        return iter(self.rungs)

    def __len__(self) -> int:
        return len(self.rungs)

    def __getitem__(self, name: str) -> RungResult:
        """The results of the rung or variant of this name; raises LadderError, with the names that there are."""
        known = [each.rung.name for each in self.trained]
        if not isinstance(name, str):
            names = ", ".join(map(shown, known))
            raise LadderError(f"results go by names of rungs, not by {shown(name)}: {names}; .rungs has them by number")
        if name not in known:
            raise LadderError(f"no rung {shown(name)} on {self.ladder.name!r}{did_you_mean(str(name), known)}")
        return self.trained[known.index(name)]

    @property
    def top(self) -> RungResult:
        """The top rung's results."""
        return self.rungs[-1]

    def to_pandas(self, *, epochs: bool = False) -> "DataFrame":
        """A DataFrame with a row for each run, or with ``epochs`` for each epoch; see ``frames`` for its columns.

        Raises StepladderError where pandas is not installed.
        """
        frame: DataFrame = late("runs.frames:data_frame")(self, epochs=epochs)
        return frame

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


def require_results(value: Any, *, of: str) -> None:
    """Raise LadderError for what is no results, given to a function of this name."""
    remedy = "sl.climb(ladder) trains and gives them, sl.collect(ladder) reads those that are stored"
    require(Results, value, of=of, takes="the results of one ladder", remedy=remedy)


def collect(
    ladder: Plan,
    store: Store | str | Path = "runs",
    *,
    engine: str | EngineIdentity | None = None,
    seeds: Collection[int] | None = None,
) -> Results:
    """A ladder's runs from a store, or from the folder of one, all seeds or the given ones; trains nothing.

    ``engine`` is an identity, or its name, version and device as far as they matter, such as "torch cuda"; without
    it, the engine that trained last speaks. Raises StoreError where there is no store, or if it has runs, but none of
    that engine's; DataError where the images are not there.
    """
    require_ladder(ladder, of="collect")
    store = store if isinstance(store, Store) else Store.open(store)
    data, info = data_identity(ladder), describe(ladder.data)
    experiments = {rung.name: experiment_key(rung.recipe, data) for rung in ladder.trained}
    teachers = {experiment_key(rung.recipe.teacher, data) for rung in ladder.trained if rung.recipe.teacher}
    with without_collecting():
        stored = {each: list(store.runs_of(each, info=info)) for each in set(experiments.values())}
        taught_by = {each: list(store.runs_of(each, info=info)) for each in teachers}
    store.index.keep()
    asked = {
        experiment: [run for run in runs if seeds is None or run.identity.seed in seeds]
        for experiment, runs in stored.items()
    }
    chosen = _choose([run for experiment in experiments.values() for run in asked[experiment]], engine)
    rungs = []
    for rung in ladder.trained:
        own = tuple(run for run in asked[experiments[rung.name]] if run.identity.engine == chosen)
        rungs.append(RungResult(rung, own, summarise(own, rung.target), ladder, store))
    engines, engines_asked = (
        Counter(run.identity.engine for runs in found.values() for run in runs) for found in (stored, asked)
    )
    params, n = tuple(rung.network(info.image).params for rung in ladder.trained), len(ladder.rungs)
    return Results(
        ladder=ladder,
        engine=chosen,
        rungs=tuple(rungs[:n]),
        params=params[:n],
        variants=tuple(rungs[n:]),
        variant_params=params[n:],
        others={str(each): n for each, n in engines_asked.items() if each != chosen},
        n_other_seeds=engines[chosen] - engines_asked[chosen] if chosen else 0,
        n_test_looks=_n_evaluations(store, stored | taught_by) if ladder.evaluate_on == "test" else 0,
        store=store,
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
