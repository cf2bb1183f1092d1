"""Search for the best network under a budget, or the smallest that holds a target. Only training images are looked at.

Optuna proposes inside the budget (search_space), seeds and epochs are spent by successive halving (search_trials), and
each training is an ordinary run in the store: a search that is killed finds all of them again. Each seed is evaluated
on another part of the training images: on one part, luck with its images would choose, however many the seeds.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import cycle
from json import dumps
from typing import TYPE_CHECKING, Any, Protocol

from stepladder._base.machine import n_cores
from stepladder.climbing.climbing import Task, plan
from stepladder.datasets import data as data_sets
from stepladder.engines import Engine
from stepladder.errors import BudgetError, LadderError
from stepladder.execution import place
from stepladder.execution.job_queue import Ended, JobQueue, require_own_process
from stepladder.execution.place import Place
from stepladder.ladders import checking
from stepladder.ladders.evaluated import DataIdentity, data_identity, splits_for, with_dev_part
from stepladder.ladders.image_notes import examined
from stepladder.ladders.ladder import Plan
from stepladder.recipes.recipe import Recipe
from stepladder.runs import speeds
from stepladder.runs.run import RunIdentity
from stepladder.runs.store import Store
from stepladder.searching import space as search_space
from stepladder.searching import trials as search_trials
from stepladder.searching.guesses import first_guesses
from stepladder.searching.space import Proposal, SearchSpace, propose, recipe_of
from stepladder.searching.study import SearchStudy, default_storage
from stepladder.searching.trials import Limits, Outcome, Round, Trial

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Quest:
    """What is looked for: a change of the one rung of ``objective``, inside the space; evaluated as ``seen`` says.

    ``seen`` has the images of each part of the training images that is held out in turn.
    """

    objective: Plan
    seen: tuple[DataIdentity, ...]
    space: SearchSpace
    smallest: bool
    rounds: tuple[Round, ...]

    @property
    def epochs(self) -> int:
        return self.rounds[-1].epochs

    def proposed(self, drawn: Mapping[str, Any], ceiling: int) -> Recipe:
        """What a trial proposes for which this was drawn."""
        import optuna

        drawing = optuna.trial.FixedTrial(dict(drawn))
        proposal = propose(replace(self.space, params=ceiling), drawing)
        return self.ladder(proposal, epochs=self.epochs).rungs[0].recipe

    def score(self, trial: Trial) -> float:
        """What Optuna is to maximise, of a trial after its last round so far."""
        return search_trials.score(trial, smallest=self.smallest, budget=self.space.params)

    def name(self, engine: Engine) -> str:
        """The study's name: searches that differ in anything that decides a number have different ones."""
        goal = "smallest" if self.smallest else "best"
        rung = self.objective.rungs[0]
        essence = [
            search_space.VERSION,
            rung.recipe.essence(),
            rung.target.essence(),
            self.seen[0].essence(),
            [[each.epochs, each.n_seeds] for each in self.rounds],
            engine.identity.tag,
        ]
        digest = sha256(dumps(essence, sort_keys=True).encode()).hexdigest()[:16]
        return f"{self.objective.name}: {goal} of at most {self.space.params} parameters, {digest}"

    def ladder(self, proposal: Proposal, *, epochs: int) -> Plan:
        """A proposal as a ladder of one rung, in the budget of the search."""
        rung = self.objective.rungs[0]
        recipe = recipe_of(self.space, proposal, epochs=epochs, of_epochs=self.epochs)
        budget = rung.budget.model_copy(update={"params": self.space.params, "epochs": self.epochs})
        return self.objective.with_rungs((replace(rung, name="trial", recipe=recipe, budget=budget),))

    def tasks(self, proposal: Proposal, this: Round, engine: Engine) -> list[Task]:
        """The trainings of one round: each seed is evaluated on another part, as far as there are others."""
        tasks = plan(self.ladder(proposal, epochs=this.epochs), seeds=this.seeds, engine=engine)
        return [
            replace(task, identity=task.identity.model_copy(update={"data": data}))
            for task, data in zip(tasks, self.seen_in(this), strict=False)
        ]

    def seen_in(self, this: Round) -> Iterator[DataIdentity]:
        """What the seeds of a round are evaluated on, one after the other, without an end.

        A short round begins at the other end: luck with the same images shall not decide twice.
        """
        return cycle(self.seen if this.epochs == self.epochs else self.seen[::-1])


@dataclass(frozen=True)
class Found:
    """What a search has come to: its trials, those with all epochs, those that can be compared, the winner of them.

    ``out_of_time`` if --max-time ended it. ``failures`` are trainings that failed twice, one sentence each.
    """

    quest: Quest
    trials: tuple[Trial, ...]
    at_all_epochs: tuple[Trial, ...]
    contenders: tuple[Trial, ...]
    frontier: tuple[Trial, ...]
    winner: Trial | None
    out_of_time: bool
    failures: tuple[str, ...]

    def n_in(self, state: str) -> int:
        return sum(trial.state == state for trial in self.trials)

    @property
    def reached(self) -> bool:
        """Whether the winner held the target with every seed, and had all of them."""
        return self.winner is not None and self.winner.state == "whole" and self.winner.holds()


class SearchWatcher(Protocol):
    """Who is told how a search goes on."""

    def started(self, *, n_known: int, n_trials: int) -> None: ...

    def judged(self, trial: Trial, *, goes_on: bool, found: Found) -> None:
        """A trial has another round behind it; ``found`` is what the search would come to now."""

    def noted(self, text: str) -> None: ...


def quest(
    ladder: Plan, *, params: int | None = None, epochs: int | None = None, n_seeds: int = 4, smallest: bool = False
) -> Quest:
    """What a search from the top of a ladder is about; ``params`` tightens its budget, ``epochs`` replaces its epochs.

    Raises BudgetError, DataError or LadderError if that cannot be looked for.
    """
    top = ladder.rungs[-1]
    epochs = epochs or top.recipe.epochs
    if epochs > top.budget.epochs:
        raise BudgetError(f"{epochs} epochs are over the budget of {top.budget.epochs}: give --epochs at most that")
    if epochs < top.target.last_epochs:
        raise LadderError(
            f"{epochs} epochs are fewer than the last {top.target.last_epochs} that the target speaks of: train longer"
        )
    if params is not None and params > top.budget.params:
        raise BudgetError(
            f"--params {params:,} loosens the ladder's budget of {top.budget.params:,}: a search may only tighten it"
        )
    objective = replace(ladder.with_rungs([replace(top, changes=(), compound=None)]), evaluate_on="dev")
    info = data_sets.describe(ladder.data)
    if objective.uses_own_validation(info):  # parts of the training images all the same: the set's own stays unseen
        objective = replace(objective, dev_images=max(1, info.n_train // 6))
    checking.check_rungs(objective, info)
    space = SearchSpace(
        base=top.recipe,
        image=info.image,
        n_train=objective.n_trained(info),
        params=params or top.budget.params,
    )
    data = data_identity(objective)
    n_parts = min(info.n_train // data.dev_images, max(2, n_seeds))
    seen = tuple(with_dev_part(data, ladder.data, part=number) for number in range(n_parts))
    return Quest(objective, seen, space, smallest, search_trials.rounds(epochs, n_seeds))


def search(
    sought: Quest,
    *,
    store: Store,
    engine: Engine,
    storage: str | None = None,
    n_trials: int = 60,
    jobs: int | None = None,
    executor: Executor | Place | None = None,
    max_s: float | None = None,
    watcher: SearchWatcher,
) -> Found:
    """Go on with a search until it has ``n_trials`` trials, or for ``max_s`` seconds.

    ``storage`` is an SQLAlchemy URL, search.db in the store unless told; ``jobs`` processes, one per core unless told,
    train one run each. With an ``executor`` (see climb), trials are begun as long as it has fewer than ``jobs`` runs to
    train. Raises DataError, EngineError, LadderError, StoreError, or StepladderError without Optuna.
    """
    require_own_process()
    deadline = Deadline(max_s, measured=speeds.read(store.folder).get(engine.identity.tag))
    url = storage or default_storage(store.folder)
    guesses = first_guesses(sought.space)
    for note in examined(sought.objective, sought.seen[0]):  # bad images end the search here
        watcher.noted(f"images: {note}")
    images = data_sets.load(sought.objective.data)
    for data in sought.seen:
        splits_for(images, data)
    at = place.of(executor)
    jobs = jobs or (max(1, at.most()) if at and at.most else n_cores())
    limits = Limits(sought.space.image, sought.rounds, sought.seen[0].dev_images, sought.score, sought.proposed)
    with (
        SearchStudy(sought.name(engine), storage=url, first_guesses=guesses, limits=limits) as study,
        JobQueue[_Training](at, source=sought.objective.data, store=store, jobs=jobs, tell=watcher.noted) as queue,
    ):
        study.adopt()
        watcher.started(n_known=sum(each.state != "running" for each in study.trials()), n_trials=n_trials)
        searching = _Search(sought, study, queue, store=store, engine=engine, watcher=watcher, deadline=deadline)
        searching.run(n_trials=n_trials, jobs=jobs)
        return searching.found()


class Deadline:
    """When a search has to be over, and how fast it trains: the slowest that was measured, in multiply-adds per second.

    ``measured`` is the speed of an earlier training, or None.
    """

    def __init__(self, max_s: float | None, *, measured: float | None) -> None:
        self._ends_at = time.monotonic() + max_s if max_s is not None else None
        self._macs_per_s = measured
        self._measured_here = False

    @property
    def is_over(self) -> bool:
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def allows(self, macs: int, *, n_waves: int) -> bool:
        """Whether a training of this many multiply-adds, which begins after those others, would end in time."""
        if self._ends_at is None or self._macs_per_s is None:
            return not self.is_over
        return time.monotonic() + (n_waves + 1) * macs / self._macs_per_s < self._ends_at

    def measure(self, macs: int, *, elapsed_s: float) -> float | None:
        """The speed of a training that has finished; None if it took no time that could be measured."""
        if elapsed_s <= 0:
            return None
        speed = macs / elapsed_s
        self._macs_per_s = min(speed, self._macs_per_s or speed) if self._measured_here else speed
        self._measured_here = True
        return speed


@dataclass(eq=False)
class _Trying:
    """A trial under way: Optuna's handle on it, what it proposes, and the trainings of its present round."""

    handle: "optuna.Trial"
    proposal: Proposal
    trial: Trial
    tasks: list[Task] = field(default_factory=list)
    n_under_way: int = 0
    ended: bool = False


@dataclass(frozen=True, eq=False)
class _Training:
    """A run that a trial needs, as the queue is given it."""

    trying: _Trying
    task: Task

    @property
    def identity(self) -> RunIdentity:
        return self.task.identity

    @property
    def macs_per_epoch(self) -> int:
        return self.task.macs_per_epoch

    def __str__(self) -> str:
        return f"trial {self.trying.trial.number}, {self.identity.recipe.epochs} epochs, seed {self.identity.seed}"


class _Search:
    """The trials under way of one search."""

    def __init__(
        self,
        sought: Quest,
        study: SearchStudy,
        queue: JobQueue[_Training],
        *,
        store: Store,
        engine: Engine,
        watcher: SearchWatcher,
        deadline: Deadline,
    ) -> None:
        self.sought, self.study, self.queue = sought, study, queue
        self.store, self.engine, self.watcher, self.deadline = store, engine, watcher, deadline
        self.failures: list[str] = []
        self.jobs = 1
        self.out_of_time = False

    def run(self, *, n_trials: int, jobs: int) -> None:
        self.jobs = jobs
        try:
            while not self.deadline.is_over:
                while len(self.queue) < jobs and self.has_time and (trying := self.begin(n_trials)):
                    self.go_on(trying)
                if not self.queue:
                    return
                for ended in self.queue.wait():
                    self.collect(ended)
                self.study.beat()
                self.pass_on_notes()
            self.out_of_time = True
            self.queue.close()
        finally:
            self.study.release()

    @property
    def has_time(self) -> bool:
        """Whether more may begin; where all trainings are in the store already, nothing else asks the clock."""
        self.out_of_time = self.out_of_time or self.deadline.is_over
        return not self.out_of_time

    def begin(self, n_trials: int) -> _Trying | None:
        """The next trial, or None if there is none to begin."""
        sought = self.sought
        most = search_trials.ceiling(self.study.trials(), smallest=sought.smallest, budget=sought.space.params)
        if most < sought.space.least_params:
            return None  # the smallest network of all holds the target
        handle = self.study.ask(n_trials=n_trials, ceiling=most)
        if handle is None:
            return None
        proposal = propose(replace(sought.space, params=handle.user_attrs["ceiling"]), handle)
        recipe = sought.ladder(proposal, epochs=sought.epochs).rungs[0].recipe
        params = recipe.network_for(sought.space.image).params
        self.study.keep(handle, recipe, params=params)
        return _Trying(handle, proposal, Trial(handle.user_attrs["number"], params, recipe, "running"))

    def go_on(self, trying: _Trying) -> None:
        """Through the rounds of a trial, until one has to be trained, or the trial is at its end."""
        while not trying.ended:
            this = self.sought.rounds[len(trying.trial.outcomes)]
            trying.tasks = self.sought.tasks(trying.proposal, this, self.engine)
            to_train = [task for task in trying.tasks if self.store.find(task.identity, set_aside=True) is None]
            if to_train:
                self.submit_all(trying, to_train)
                return
            self.judge(trying)

    def submit_all(self, trying: _Trying, tasks: Sequence[Task]) -> None:
        """Train, unless it would take too long: then the search begins nothing more."""
        for task in tasks:
            if self.out_of_time or not self.deadline.allows(task.macs, n_waves=len(self.queue) // self.jobs):
                self.out_of_time = True
                return
            trying.n_under_way += 1
            self.queue.submit(_Training(trying, task))

    def collect(self, ended: Ended[_Training]) -> None:
        trying, run = ended.job.trying, ended.run
        trying.n_under_way -= 1
        if run is None:
            self.give_up(trying, f"{ended.job}: {ended.reason}")
            return
        self.deadline.measure(ended.job.macs_per_epoch * len(run.epochs), elapsed_s=run.elapsed_s)
        if not trying.ended and not trying.n_under_way:
            self.go_on(trying)

    def pass_on_notes(self) -> None:
        for note in self.store.notes:
            self.watcher.noted(note)
        self.store.notes.clear()

    def give_up(self, trying: _Trying, reason: str) -> None:
        """A trial that cannot be trained is stopped; the others go on."""
        self.failures.append(reason)
        self.watcher.noted(reason)
        self.end(trying, score=None)

    def judge(self, trying: _Trying) -> None:
        """All trainings of a trial's round are in the store: is it worth the next one?"""
        target = trying.tasks[0].rung.target
        runs = [self.store.find(task.identity, set_aside=False) for task in trying.tasks]
        outcomes = tuple(Outcome.of(run, target) for run in runs if run is not None)
        trial = replace(trying.trial, outcomes=(*trying.trial.outcomes, outcomes))
        trying.trial = trial
        smallest, n_rounds = self.sought.smallest, len(self.sought.rounds)
        score = self.sought.score(trial)
        self.study.report(trying.handle, trial.outcomes, score=score)
        goes_on = search_trials.goes_on(trial, self.study.trials(), smallest=smallest, n_rounds=n_rounds)
        if not goes_on:
            self.end(trying, score=score if len(trial.outcomes) == n_rounds else None)
        self.watcher.judged(trial, goes_on=goes_on, found=self.found())

    def end(self, trying: _Trying, *, score: float | None) -> None:
        trying.ended = True
        self.study.end(trying.handle, score=score)

    def found(self) -> Found:
        trials = self.study.trials()
        trained = search_trials.at_all_epochs(trials, self.sought.rounds)
        compared = search_trials.contenders(trained)
        return Found(
            quest=self.sought,
            trials=tuple(trials),
            at_all_epochs=tuple(trained),
            contenders=tuple(compared),
            frontier=tuple(search_trials.frontier(compared)),
            winner=search_trials.winner(compared, smallest=self.sought.smallest),
            out_of_time=self.out_of_time,
            failures=tuple(self.failures),
        )
