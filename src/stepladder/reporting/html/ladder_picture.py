"""The ladder as a picture: each rung's seeds on one scale of accuracy, the target through all of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from statistics import stdev

from stepladder._base.wording import n_of
from stepladder.analysis.comparing import Comparison, mean_interval
from stepladder.reporting.numbers import percent, percents, spread_text
from stepladder.reporting.pages.compare_page import brief_verdict, tone
from stepladder.reporting.tables import Tone, changes
from stepladder.runs.results import Results, RungResult
from stepladder.runs.stats import measured

TICK_STEPS = ("0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50")
MOST_TICKS = 6
ROOM = Fraction(1, 20)  # of the scale, left free at either end


@dataclass(frozen=True)
class Mark:
    """A mark on the scale: its place in percent of the width, and its words.

    ``level`` stacks marks at the same place: 0, 1, -1, 2 and so on.
    """

    at: float
    text: str
    level: int = 0


@dataclass(frozen=True)
class RungPicture:
    """One rung: places are in percent of the width; ``interval`` is that of the mean, as (from, width).

    ``cut`` names the ends at which it goes on beyond the picture: "", "low", "high" or "low high".
    ``spread`` says in words what the dots and the interval show. ``tone`` is that of the verdict against the rung
    below, None for the bottom rung; ``verdict`` says it in a few words.
    """

    name: str
    change: str
    params: str
    accuracy: str
    spread: str
    held: str
    holds: bool
    tone: Tone | None
    verdict: str
    dots: tuple[Mark, ...]
    mean: float | None
    interval: tuple[float, float] | None
    cut: str
    target: float | None


@dataclass(frozen=True)
class LadderPicture:
    """Rungs from the top down, as a ladder stands; ``target`` is the top rung's."""

    rungs: tuple[RungPicture, ...]
    target: Mark
    ticks: tuple[Mark, ...]

    @property
    def is_cut(self) -> bool:
        """Whether an interval goes on beyond the picture."""
        return any(rung.cut for rung in self.rungs)


@dataclass(frozen=True)
class _Scale:
    low: Fraction
    high: Fraction

    def at(self, value: Fraction | float) -> float:
        return round(100 * (float(value) - float(self.low)) / float(self.high - self.low), 2)


def ladder_picture(results: Results, comparisons: Sequence[Comparison]) -> LadderPicture:
    """A picture of results and their verdicts."""
    scale = _scale(results)
    by_rung = {each.rung: each for each in comparisons}
    words = changes([each.rung for each in results.rungs])
    rungs = [
        _rung(result, word, params, by_rung.get(result.rung.name), scale)
        for result, word, params in zip(results.rungs, words, results.params, strict=True)
    ]
    accuracy_aimed_at = results.rungs[-1].rung.target.accuracy
    target = Mark(scale.at(Fraction(accuracy_aimed_at)), f"target {accuracy_aimed_at}%")
    return LadderPicture(tuple(reversed(rungs)), target, _ticks(scale) if any(rung.dots for rung in rungs) else ())


def _rung(result: RungResult, change: str, params: int, comparison: Comparison | None, scale: _Scale) -> RungPicture:
    summary, target = result.summary, result.rung.target.accuracy
    n, ends = len(summary.seeds), mean_interval(result)
    interval, cut = None, ""
    alone = "compared with none" if result.rung.changes else "the start"
    if ends is not None:
        low, high = (min(100.0, max(0.0, scale.at(end))) for end in ends)
        interval = (low, round(high - low, 2))
        cut = " ".join(["low"] * (scale.at(ends[0]) < 0) + ["high"] * (scale.at(ends[1]) > 100))
    diverged = f", {len(summary.diverged)} diverged" if summary.diverged else ""
    return RungPicture(
        name=result.rung.name,
        change=change,
        params=n_of(params, "parameter"),
        accuracy=_mean_text(result),
        spread=_spread(result, ends),
        held=f"held in {summary.n_held} of {n_of(n, 'seed')}{diverged}" if n else "not trained",
        holds=0 < n == summary.n_held,
        tone=tone(comparison) if comparison else None,
        verdict=brief_verdict(comparison) if comparison else alone,
        dots=_dots(result, scale),
        mean=None if (mean := result.measured_mean) is None else scale.at(mean),
        interval=interval,
        cut=cut,
        target=scale.at(Fraction(target)),
    )


def _mean_text(result: RungResult) -> str:
    mean, target = result.measured_mean, result.rung.target
    return percent(mean, target=target.accuracy) + ("" if mean is None else "% balanced" if target.balanced else "%")


def _spread(result: RungResult, ends: tuple[float, float] | None) -> str:
    """``sd 0.03; mean's 95% interval 99.38 to 99.43``: two things that are easily taken for each other."""
    if ends is None or result.summary.final_sd is None:
        return ""
    target = result.rung.target.accuracy
    low, high = (min(100.0, max(0.0, end)) for end in ends)
    between = percents((low, high), target=target)
    spread = stdev(float(measured(run.final, result.rung.target)) for run in result.runs if run.final is not None)
    return f"sd {spread_text(spread)}; mean’s 95% interval {between}"


def _dots(result: RungResult, scale: _Scale) -> tuple[Mark, ...]:
    """One for each seed; those at the same place are stacked."""
    target = result.rung.target.accuracy
    n_there: Counter[float] = Counter()
    dots = []
    for run in result.runs:
        if run.final is None:
            continue
        value = measured(run.final, result.rung.target)
        at = scale.at(value)
        n = n_there[at]
        text = f"seed {run.identity.seed}: {percent(value, target=target)}%"
        dots.append(Mark(at, text, level=(n + 1) // 2 * (1 if n % 2 else -1)))
        n_there[at] += 1
    return tuple(dots)


def _scale(results: Results) -> _Scale:
    runs = [(run, each.rung.target) for each in results.rungs for run in each.runs]
    finals = [measured(run.final, target) for run, target in runs if run.final is not None]
    values = finals + [Fraction(each.rung.target.accuracy) for each in results.rungs]
    low, high = min(values), max(values)
    room = ROOM * (high - low) or Fraction(1, 10)
    return _Scale(low - room, high + room)


def _ticks(scale: _Scale) -> tuple[Mark, ...]:
    step = next((Fraction(s) for s in TICK_STEPS if (scale.high - scale.low) / Fraction(s) < MOST_TICKS), Fraction(50))
    digits = 2 if step < Fraction(1, 10) else 1 if step < 1 else 0
    numbers = range(ceil(scale.low / step), floor(scale.high / step) + 1)
    return tuple(Mark(scale.at(k * step), f"{float(k * step):.{digits}f}%") for k in numbers)
