"""The memory of a search: an Optuna study, in SQLite or in a database that many machines share.

A trial's parameters are Optuna's; its recipe and its outcomes, integers, are attributes of it. A trial whose process is
gone is given up as failed and queued again: its finished trainings are found in the store.
"""

import os
import socket
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pydantic import Field

from stepladder._base.files import checksum, reason
from stepladder._base.frozen import Frozen
from stepladder._base.wording import how_to_install
from stepladder.errors import LadderError, StepladderError, StoreError
from stepladder.recipes.recipe import Recipe
from stepladder.searching.seals import (
    DRAWN,
    QUEUED,
    SEALED,
    SHA256_OF,
    STATES,
    draws,
    kept_trials,
    require_alive,
    require_draws,
    require_scores,
    require_seal,
    seal,
    unsealed,
)
from stepladder.searching.trials import Limits, Outcome, Trial

if TYPE_CHECKING:
    import optuna

BEAT_S = 30.0
SILENT_S = 600.0  # a process that is not on this machine is taken for dead after so long without a beat
N_OPENINGS, OPENING_S = 4, 0.5
N_READINGS, READING_S = 4, 0.05
OWNER = ("host", "pid", "alive_at")  # attributes of a trial under way
NUMBERS = {"number": 0, "ceiling": 1}  # attributes that outlive a kill, and the least that each can be
SEED = 20200229
REMEDY = ": give --storage another database; what is trained is kept in the store, and found again"


def require_optuna() -> None:
    """Raise StepladderError that says what to install, unless Optuna is there."""
    try:
        import optuna  # noqa: F401
        import sqlalchemy  # noqa: F401
    except ImportError as error:
        raise StepladderError(
            f"stepladder search needs Optuna, which is not installed ({error}): {how_to_install('search')}"
        ) from None


class SearchStudy:
    """Trials of one search, shared by all processes that open it by this name at this storage URL.

    What is read of it keeps ``limits``. Raises StoreError if the storage cannot be opened.
    """

    def __init__(
        self, name: str, *, storage: str, first_guesses: Sequence[dict[str, float]], limits: Limits | None = None
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with _refusals(storage):
            self._backend = backend = _open(storage)
            try:
                self._study = optuna.create_study(storage=backend, study_name=name, direction="maximize")
                self._study.set_user_attr(SEALED, 0)
                for guess in first_guesses:
                    self._queue(guess)
                self._study.set_user_attr(SEALED, len(first_guesses))
            except optuna.exceptions.DuplicatedStudyError:
                self._study = optuna.load_study(storage=backend, study_name=name)
        self._limits = limits
        self._own: dict[int, Any] = {}
        self._done: dict[int, tuple[optuna.trial.FrozenTrial, Trial | None]] = {}

    def __enter__(self) -> "SearchStudy":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        import optuna
        import sqlalchemy

        with suppress(sqlalchemy.exc.SQLAlchemyError):
            self._backend.remove_session()
            self._backend.engine.dispose()
        if isinstance(error, sqlalchemy.exc.SQLAlchemyError | optuna.exceptions.StorageInternalError):
            raise StoreError(
                f"the search's storage was lost ({_first_line(error)}): what is trained is kept; start again when it is"
                " back"
            ) from None

    def ask(self, *, n_trials: int, ceiling: int) -> "optuna.Trial | None":
        """A trial to propose for, or None if there are ``n_trials`` already.

        Its attributes "number" (Optuna's own counts failed trials) and "ceiling" (the most parameters to propose)
        outlive a kill. Its draws come from a generator keyed by its number: it proposes what it would have.
        """
        import optuna

        if not self._wants_more(n_trials):
            return None
        trial = self._study.ask()
        self._count(trial.number + 1)
        self._beat(trial)
        if "ceiling" not in trial.user_attrs:
            seal(trial, "ceiling", ceiling)
        if "number" not in trial.user_attrs:
            seal(trial, "number", self._number_for(trial.number))
            if trial.user_attrs["number"] >= n_trials:  # another process was quicker
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
                if guess := _guess(self._frozen()[trial.number]):
                    self._queue(guess)
                return None
        number: int = trial.user_attrs["number"]
        self._study.sampler = optuna.samplers.TPESampler(seed=SEED + number, multivariate=False)
        self._own[trial.number] = trial
        return trial

    def keep(self, trial: "optuna.Trial", recipe: Recipe, *, params: int) -> None:
        """Keep what a trial proposes, and what was drawn for that."""
        seal(trial, DRAWN, draws(trial))
        seal(trial, "params", params)
        seal(trial, "recipe", recipe.model_dump(mode="json"))

    def report(self, trial: "optuna.Trial", outcomes: tuple[tuple[Outcome, ...], ...], *, score: float) -> None:
        """Keep the outcomes of a trial's last round, and its score so far."""
        at = len(outcomes) - 1
        seal(trial, f"round {at}", [outcome.model_dump(mode="json") for outcome in outcomes[at]])
        trial.report(score, at)

    def end(self, trial: "optuna.Trial", *, score: float | None) -> None:
        """A trial has had all its rounds, and this score; or it is stopped."""
        import optuna

        state = optuna.trial.TrialState.PRUNED if score is None else optuna.trial.TrialState.COMPLETE
        self._study.tell(trial, score, state=state, skip_if_finished=True)
        self._own.pop(trial.number, None)

    def release(self) -> None:
        """Give the trials under way back, for whoever goes on with the search."""
        for frozen in self._frozen():
            if frozen.number in self._own:
                self._queue_again(frozen)
        self._own.clear()

    def adopt(self) -> None:
        """Queue the trials again whose process is gone."""
        for frozen in self._frozen():
            if frozen.state.name == "RUNNING" and frozen.number not in self._own and _is_dead(frozen):
                self._queue_again(frozen)

    def beat(self) -> None:
        """Say that the own trials are alive, now and then."""
        for trial in self._own.values():
            owner = _owner(trial.user_attrs)
            if owner is None or owner.silent_s > BEAT_S:
                self._beat(trial)

    def trials(self) -> list[Trial]:
        """All trials with a proposal, those of other processes too.

        Raises StoreError that names those that are damaged, or says that some are gone. Damage stays: what is seen once
        may be a trial that another process wrote while its columns were read one after the other.
        """
        for _ in range(N_READINGS - 1):
            with suppress(StoreError):
                return self._read()
            time.sleep(READING_S)
        return self._read()

    def _read(self) -> list[Trial]:
        """What there is to read now. Raises as ``trials`` does."""
        found: dict[int, Trial] = {}
        damaged: list[StoreError] = []
        about, all_frozen = self._study.user_attrs, self._frozen()
        with _damage("this search"):
            n_kept = kept_trials(about)
            if [frozen.number for frozen in all_frozen] != list(range(max(len(all_frozen), n_kept or 0))):
                raise ValueError("some of its trials are gone")
        for frozen in all_frozen:
            try:
                with _damage(f"trial {frozen.number} of this search"):
                    trial = self._known(frozen, is_sealed=SEALED in about, has_draws=n_kept is not None)
                    if trial is not None and trial.number in found:
                        raise ValueError(f"another one has its number {trial.number}")
                    if trial is not None:
                        found[trial.number] = trial
            except StoreError as error:
                damaged.append(error)
        if damaged:
            raise StoreError("; ".join([*(f"{each}".partition(REMEDY)[0] for each in damaged[:-1]), f"{damaged[-1]}"]))
        return list(found.values())

    def _known(self, frozen: "optuna.trial.FrozenTrial", *, is_sealed: bool, has_draws: bool) -> Trial | None:
        """As _checked. A finished trial, which Optuna keeps too, is checked once, not once for each of thousands."""
        if self._done.get(frozen.number, (None,))[0] is not frozen:
            trial = self._checked(frozen, is_sealed=is_sealed, has_draws=has_draws)
            if not frozen.state.is_finished():
                return trial
            self._done[frozen.number] = frozen, trial
        return self._done[frozen.number][1]

    def _checked(self, frozen: "optuna.trial.FrozenTrial", *, is_sealed: bool, has_draws: bool) -> Trial | None:
        """A trial that counts and has a proposal, or None. Raises as _trial does, or LadderError."""
        require_alive(frozen)
        if not _counts(frozen):
            return None
        if has_draws and QUEUED in frozen.system_attrs:
            require_seal(frozen.user_attrs, QUEUED, frozen.system_attrs[QUEUED], is_sealed=True)
        trial = _trial(frozen, is_sealed=is_sealed)
        if trial is None:
            return None
        if self._limits is not None:
            self._limits.check(trial)
        require_scores(frozen, trial, limits=self._limits)
        if frozen.state.name in STATES:
            require_draws(frozen, trial, is_sealed=has_draws, limits=self._limits)
        return trial

    def _queue(self, guess: dict[str, Any], about: dict[str, Any] | None = None) -> None:
        """Have this tried next, with these attributes."""
        self._study.enqueue_trial(guess, user_attrs={**(about or {}), f"{SHA256_OF}{QUEUED}": checksum(guess)})

    def _count(self, n_trials: int) -> None:
        """Keep the number of trials that there are at least: it would be seen if some were gone."""
        kept = self._study.user_attrs.get(SEALED)
        if type(kept) is int and kept < n_trials:
            self._study.set_user_attr(SEALED, n_trials)

    def _wants_more(self, n_trials: int) -> bool:
        begun = [frozen for frozen in self._frozen() if _counts(frozen) and "number" in frozen.user_attrs]
        return len(begun) < n_trials or any(frozen.state.name == "WAITING" for frozen in begun)

    def _number_for(self, number: int) -> int:
        """How many trials are before Optuna's ``number``; if that is taken, the number of one that a kill lost."""
        before = [frozen for frozen in self._frozen() if _counts(frozen) and frozen.number < number]
        taken = [frozen.user_attrs.get("number") for frozen in before]
        wanted = len(before)
        return wanted if wanted not in taken else next(k for k in range(wanted + 1) if k not in taken)

    def _frozen(self) -> "list[optuna.trial.FrozenTrial]":
        with _damage("this search"):
            return self._study.get_trials(deepcopy=False)

    def _beat(self, trial: "optuna.Trial") -> None:
        for name, value in zip(OWNER, (socket.gethostname(), os.getpid(), _now().isoformat()), strict=True):
            trial.set_user_attr(name, value)

    def _queue_again(self, frozen: "optuna.trial.FrozenTrial") -> None:
        import optuna

        again = dict(frozen.user_attrs)
        if "number" not in again:
            again["number"] = self._number_for(frozen.number)
            again[f"{SHA256_OF}number"] = checksum(again["number"])
        for name in OWNER:
            again.pop(name, None)
        with suppress(optuna.exceptions.UpdateFinishedTrialError, ValueError):  # another process was quicker
            self._study.tell(frozen.number, state=optuna.trial.TrialState.FAIL)
            self._queue(frozen.params or _guess(frozen), again)


def _counts(frozen: "optuna.trial.FrozenTrial") -> bool:
    """Failed trials are those that were queued again, or one too many."""
    return frozen.state.name != "FAIL"


def _guess(frozen: "optuna.trial.FrozenTrial") -> dict[str, float]:
    """What a trial was queued with; nothing if that is damaged."""
    guess = frozen.system_attrs.get(QUEUED)
    if not isinstance(guess, dict):
        return {}
    return {name: value for name, value in guess.items() if type(value) in (int, float) and isfinite(value)}


def _trial(frozen: "optuna.trial.FrozenTrial", *, is_sealed: bool) -> Trial | None:
    """A trial, or None if it has no proposal yet. Raises ValueError, KeyError or TypeError for what none can be."""
    about = frozen.user_attrs
    for name, least in NUMBERS.items():
        if name in about:  # they are there before a proposal is
            _require_int(unsealed(about, name, is_sealed=is_sealed), name, least=least)
    if _guess(frozen) != frozen.system_attrs.get(QUEUED, {}):
        raise ValueError("what it was queued with are not numbers")
    state = STATES.get(frozen.state.name, "running")
    if "recipe" not in about and state == "running":
        return None
    n_rounds = sum(f"round {at}" in about for at in range(len(about)))
    rounds = [unsealed(about, f"round {at}", is_sealed=is_sealed) for at in range(n_rounds)]
    return Trial(
        number=unsealed(about, "number", is_sealed=is_sealed),
        params=_require_int(unsealed(about, "params", is_sealed=is_sealed), "params", least=0),
        recipe=Recipe.model_validate(unsealed(about, "recipe", is_sealed=is_sealed)),
        state=state,
        outcomes=tuple(tuple(map(Outcome.model_validate, outcomes)) for outcomes in rounds),
    )


def _require_int(value: Any, name: str, *, least: int) -> int:
    """Raises ValueError unless it is an integer, and at least that."""
    if type(value) is not int or value < least:
        raise ValueError(f"its {name} is none")
    return value


@contextmanager
def _damage(what: str) -> Iterator[None]:
    """StoreError for what no search can have kept. Optuna raises many kinds of errors for its own columns."""
    try:
        yield
    except StepladderError as error:
        problem: Exception = error
        if not isinstance(error, LadderError):
            raise
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        problem = error
    else:
        return
    raise StoreError(f"{what} is damaged ({reason(problem)}){REMEDY}") from None


class _Owner(Frozen):
    """Whose a trial under way is."""

    host: str
    pid: int = Field(ge=1, lt=2**31)
    alive_at: datetime = Field(strict=False)

    @property
    def silent_s(self) -> float:
        """Seconds since its last beat; where clocks differ, also until then."""
        return _seconds_since(self.alive_at)


def _owner(about: dict[str, Any]) -> _Owner | None:
    """Whose a trial is; None if that cannot be read."""
    with suppress(ValueError, OverflowError):
        owner = _Owner.model_validate({name: about.get(name) for name in OWNER})
        if type(about["alive_at"]) is str and owner.alive_at.tzinfo is not None:
            return owner
    return None


def _is_dead(frozen: "optuna.trial.FrozenTrial") -> bool:
    """Whether nobody trains a trial under way any more. One whose owner cannot be read counts as dead."""
    about = frozen.user_attrs
    if "alive_at" not in about:  # its process has just begun it, or died then
        return frozen.datetime_start is None or _seconds_since(frozen.datetime_start.astimezone()) > SILENT_S
    owner = _owner(about)
    if owner is None or owner.silent_s > SILENT_S:
        return True
    if owner.host != socket.gethostname() or os.name == "nt":
        return False  # another machine's; and on Windows signal 0 would end the process
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _now() -> datetime:
    return datetime.now(UTC)


def _seconds_since(moment: datetime) -> float:
    return abs(_now() - moment) / timedelta(seconds=1)


def default_storage(store: Path) -> str:
    """SQLite, in a file of the store."""
    import sqlalchemy

    return sqlalchemy.URL.create("sqlite", database=str(store.absolute() / "search.db")).render_as_string()


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _open(storage: str) -> "optuna.storages.RDBStorage":
    """Several processes may make the tables of a new database at once: all but one fail, and look again."""
    import optuna
    import sqlalchemy

    for _ in range(N_OPENINGS - 1):
        try:
            _require_tables(storage)
            return optuna.storages.RDBStorage(storage)
        except (sqlalchemy.exc.DBAPIError, RuntimeError):
            time.sleep(OPENING_S)
    return optuna.storages.RDBStorage(storage)


def _require_tables(storage: str) -> None:
    """Raise StoreError for a database of studies that lacks a table: Optuna would make an empty one in its place.

    Where another process is making them, there is nothing in any yet.
    """
    import sqlalchemy
    from optuna.storages._rdb.models import BaseModel

    engine = sqlalchemy.create_engine(storage)
    try:
        there = set(sqlalchemy.inspect(engine).get_table_names()) & BaseModel.metadata.tables.keys()
        missing = BaseModel.metadata.tables.keys() - there
        if not (there and missing):
            return
        with engine.connect() as connection:
            tables = [BaseModel.metadata.tables[name] for name in sorted(there)]
            if any(connection.execute(sqlalchemy.select(table).limit(1)).first() for table in tables):
                raise StoreError(f"the search's storage is damaged (its table {min(missing)} is gone){REMEDY}")
    finally:
        engine.dispose()


@contextmanager
def _refusals(storage: str) -> Iterator[None]:
    """Whatever is wrong with a storage URL, without the password that may be in it."""
    import sqlalchemy

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna's, about its own future
            yield
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, ValueError, OSError, RuntimeError) as error:
        name = storage.partition("://")[0]
        raise StoreError(
            f"cannot open the search's storage ({name}): {_first_line(error)}; give --storage an SQLAlchemy URL, as"
            " sqlite:///search.db or postgresql+psycopg://user@host/database (which needs psycopg)"
        ) from None
