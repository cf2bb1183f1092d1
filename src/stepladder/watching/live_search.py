"""A search while it goes on: a line for each trial that is judged, and the frontier when it moves (rich)."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from stepladder._base.plain import message
from stepladder._base.wording import is_are, n_of
from stepladder.reporting.numbers import percent
from stepladder.reporting.pages.search_page import mean_text, network_text
from stepladder.searching.searching import Found
from stepladder.searching.trials import Trial


class LiveSearch:
    """A SearchWatcher that writes to stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed} of {task.total} trials"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._bar = self._progress.add_task("search", total=None)
        self._frontier = ""

    def __enter__(self) -> "LiveSearch":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def started(self, *, n_known: int, n_trials: int) -> None:
        self._progress.update(self._bar, total=n_trials, completed=n_known)
        self._say(f"{n_known} of {n_of(n_trials, 'trial')} {is_are(n_trials)} done.")

    def judged(self, trial: Trial, *, goes_on: bool, found: Found) -> None:
        this = found.quest.rounds[len(trial.outcomes) - 1]
        what = "goes on" if goes_on else "stopped" if len(trial.outcomes) < len(found.quest.rounds) else "at its end"
        n_done = sum(each.state != "running" for each in found.trials)
        self._progress.update(self._bar, completed=n_done)
        target = found.quest.objective.rungs[0].target.accuracy
        self._say(
            f"trial {trial.number}: {network_text(trial)}, {trial.params:,} parameters:"
            f" held-out {percent(trial.accuracy(), target=target)}%"
            f" ({n_of(this.epochs, 'epoch')}, {n_of(this.n_seeds, 'seed')}): {what};"
            f" {n_of(n_done, 'trial')} done"
        )
        words = " | ".join(f"{each.params:,}: {mean_text(each, found)}" for each in found.frontier)
        if words and words != self._frontier:
            self._frontier = words
            seeds = n_of(len(found.frontier[0].outcomes[-1]), "seed")
            self._say(f"frontier ({seeds}; ± is half a 95% interval): {words}")

    def noted(self, text: str) -> None:
        self._say(f"note: {text}")

    def _say(self, text: str) -> None:
        """A line; on a terminal it is broken between words, elsewhere not at all."""
        self._progress.console.print(message(text), soft_wrap=not self._console.is_terminal)
