"""A ladder's results in one sentence and a few numbers."""

import shlex

from stepladder._base.wording import n_of
from stepladder.ladders.ladder import Plan
from stepladder.ladders.ladder_file import shipped
from stepladder.reporting.numbers import percent, spread_text
from stepladder.reporting.tables import target_text
from stepladder.runs.results import Results


def headline(results: Results) -> str:
    """Whether the top rung reaches its target, and how often."""
    top = results.rungs[-1]
    summary, n = top.summary, len(top.summary.seeds)
    target = target_text(top.rung.target)
    if n == 0:
        again = how_to_climb(results.ladder)
        return f"Not climbed yet: '{top.rung.name}', the top rung, has no runs ({again}). Its target is {target}."
    if results.reached:
        seeds = f"with each of {n} seeds" if n > 1 else "with one seed, which proves little"
        return f"Reached: '{top.rung.name}' holds {target}, {seeds}."
    if summary.n_held:
        return f"Not reached: '{top.rung.name}' holds {target} with only {summary.n_held} of {n} seeds."
    seeds = f"any of {n} seeds" if n > 1 else "its one seed"
    return f"Not reached: '{top.rung.name}' does not hold {target} with {seeds}."


def how_to_climb(ladder: Plan) -> str:
    """What to type for a ladder that has a name or a file; one that a program built it climbs itself."""
    is_known = ladder.source.endswith(".toml") or ladder.source in shipped()
    return shlex.join(["stepladder", "climb", ladder.source]) if is_known else "sl.climb(ladder)"


def headline_so_far(results: Results) -> str:
    """The same while a climb goes on: what is not reached yet is not missed."""
    top = results.rungs[-1]
    name, target, n = top.rung.name, target_text(top.rung.target), len(top.summary.seeds)
    if n == 0:
        return f"Climbing: '{name}', the top rung, is not trained yet. Its target is {target}."
    return f"Climbing: '{name}' holds {target} with {top.summary.n_held} of {n_of(n, 'seed')} so far."


def facts(results: Results) -> tuple[tuple[str, str], ...]:
    """The top rung in numbers."""
    top, params = results.rungs[-1], results.params[-1]
    summary, target = top.summary, top.rung.target.accuracy
    found = [("parameters", f"{params:,}"), ("epochs", str(top.rung.recipe.epochs))]
    if summary.final_mean is not None:
        split = results.ladder.evaluate_on
        found.append((f"{split} accuracy, mean", f"{percent(summary.final_mean, target=target)}%"))
        if summary.final_sd is not None:
            found.append(("standard deviation of seeds", f"{spread_text(summary.final_sd)} points"))
        found.append(("worst seed", f"{percent(summary.final_min, target=target)}%"))
    n = len(summary.seeds)
    return (*found, ("target held", f"{summary.n_held} of {n_of(n, 'seed')}" if n else "not trained"))
